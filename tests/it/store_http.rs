//! The store client against a real HTTP server on loopback, with everything that servers do wrong.

use dumpscope_symbols::locate::{FileKey, FileKind, SafeName, SymbolPath};
use dumpscope_symbols::store::{Auth, Client, Fetched, Http, Job, Policy, SystemClock, Unwatched};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tiny_http::{Header, Request, Response, Server};

const ID: &str = "ABCD0000000000000000000000000000A";

/// A server that does `answer` for each request, each in a thread of its own, until it is dropped.
struct Rig {
    server: Arc<Server>,
    asked: Arc<AtomicUsize>,
}

impl Rig {
    fn new(answer: impl Fn(Request, usize) + Send + Sync + 'static) -> Rig {
        let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let (listener, count, answer) = (server.clone(), asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for request in listener.incoming_requests() {
                let n = count.fetch_add(1, Ordering::SeqCst);
                let answer = answer.clone();
                std::thread::spawn(move || answer(request, n));
            }
        });
        Rig { server, asked }
    }

    fn port(&self) -> u16 {
        self.server.server_addr().to_ip().unwrap().port()
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/sym", self.port())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.server.unblock();
    }
}

/// Small limits, but time enough for a machine that is busy with other tests.
fn policy() -> Policy {
    Policy {
        connect: Duration::from_secs(20),
        stall: Duration::from_secs(20),
        total: Duration::from_secs(60),
        tries: 2,
        backoff: Duration::from_millis(10),
        max_download: 1 << 20,
        max_unpacked: 1 << 20,
        breaker_failures: 100,
        ..Policy::default()
    }
}

/// For servers that fall silent.
fn impatient() -> Policy {
    Policy { stall: Duration::from_millis(400), ..policy() }
}

fn client() -> Client {
    client_with(policy())
}

fn client_with(policy: Policy) -> Client {
    let http = Http::new(policy.connect).unwrap();
    Client::new(Arc::new(http), Arc::new(SystemClock), policy, Auth::default(), Arc::new(Unwatched))
}

fn key(id: &str) -> FileKey {
    let name = SafeName::new("foo.pdb").unwrap();
    FileKey { kind: FileKind::Pdb, folder: name.clone(), file: name, id: id.into() }
}

/// A file is good when it says so and is whole.
fn verify(path: &Path) -> Result<(), String> {
    let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
    if bytes == b"good pdb" { Ok(()) } else { Err("made for another build".into()) }
}

fn fetch(client: &Client, dir: &Path, url: &str, id: &str) -> Fetched {
    let key = key(id);
    let job = Job { key: &key, image: "foo.dll", verify: &verify, fresh: false };
    let path = SymbolPath::parse(&format!("srv*{}*{url}", dir.display()));
    client.fetch(&path, &dir.join("default"), &job)
}

/// Fetches once from a server that misbehaves; gives what is said of the server. Nothing may be left in the store
/// but a good file.
fn outcome(answer: impl Fn(Request, usize) + Send + Sync + 'static) -> String {
    outcome_with(policy(), answer)
}

fn outcome_with(policy: Policy, answer: impl Fn(Request, usize) + Send + Sync + 'static) -> String {
    let rig = Rig::new(answer);
    let dir = tempfile::tempdir().unwrap();
    let got = fetch(&client_with(policy), dir.path(), &rig.url(), ID);
    assert!(got.file.is_none(), "{got:?}");
    assert!(!dir.path().join("foo.pdb").join(ID).join("foo.pdb").exists());
    let left = std::fs::read_dir(dir.path().join(".dumpscope/tmp")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "temporary files are left");
    got.attempts.last().unwrap().outcome.to_string()
}

fn ok(body: &[u8]) -> Response<std::io::Cursor<Vec<u8>>> {
    Response::from_data(body.to_vec())
}

/// Raw bytes as the whole answer, then silence.
fn raw(request: Request, text: &[u8]) {
    let mut writer = request.into_writer();
    let _ = writer.write_all(text);
    let _ = writer.flush();
}

#[test]
fn a_good_server_and_a_slow_one() {
    let rig = Rig::new(|r, _| drop(r.respond(ok(b"good pdb"))));
    let dir = tempfile::tempdir().unwrap();
    assert!(fetch(&client(), dir.path(), &rig.url(), ID).file.is_some());
    // Slow, but never silent for too long.
    let rig = Rig::new(|r, _| {
        let mut writer = r.into_writer();
        let _ = writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n");
        for byte in b"good pdb" {
            std::thread::sleep(Duration::from_millis(100));
            let _ = writer.write_all(&[*byte]);
            let _ = writer.flush();
        }
    });
    let dir = tempfile::tempdir().unwrap();
    assert!(fetch(&client(), dir.path(), &rig.url(), ID).file.is_some());
}

#[test]
fn what_servers_do_wrong_is_said_and_leaves_nothing() {
    let say = outcome(|r, _| drop(r.respond(Response::empty(404))));
    assert_eq!(say, "not there");
    let say = outcome(|r, _| drop(r.respond(Response::empty(403))));
    assert_eq!(say, "refused: HTTP 403");
    let say = outcome(|r, _| drop(r.respond(Response::empty(500))));
    assert_eq!(say, "failed: HTTP 500 (2 tries)");
    let say = outcome(|r, _| drop(r.respond(Response::empty(429))));
    assert_eq!(say, "failed: HTTP 429 (2 tries)");
    let say = outcome(|r, _| drop(r.respond(ok(b"another pdb"))));
    assert_eq!(say, "rejected: made for another build");
    let say = outcome(|r, _| drop(r.respond(ok(b""))));
    assert_eq!(say, "rejected: the server sent an empty file");
    // Stalled: before the answer, and in the middle of it.
    let say = outcome_with(impatient(), |r, _| {
        std::thread::sleep(Duration::from_millis(1500));
        drop(r);
    });
    assert!(say.starts_with("failed: no answer for 0.4 s"), "{say}");
    let say = outcome_with(impatient(), |r, _| {
        raw(r, b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\ngood");
        std::thread::sleep(Duration::from_millis(1500));
    });
    assert!(say.starts_with("failed: "), "{say}");
    // A length that is too short gives a short file.
    let say = outcome_with(impatient(), |r, _| {
        raw(r, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ngood pdb")
    });
    assert_eq!(say, "rejected: made for another build");
    // No HTTP at all.
    let say = outcome_with(impatient(), |r, _| raw(r, b"SSH-2.0-OpenSSH\r\n"));
    assert!(say.starts_with("failed: "), "{say}");
}

#[test]
fn a_reset_connection_is_tried_again() {
    // A listener that hangs up at once, twice, is no HTTP library's business.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let mut hung_up = 0;
        for stream in listener.incoming().take(2) {
            drop(stream);
            hung_up += 1;
        }
        hung_up
    });
    let dir = tempfile::tempdir().unwrap();
    let got = fetch(&client(), dir.path(), &format!("http://127.0.0.1:{port}/"), ID);
    let say = got.attempts.last().unwrap().outcome.to_string();
    assert!(say.starts_with("failed: ") && say.ends_with("(2 tries)"), "{say}");
    assert_eq!(thread.join().unwrap(), 2);
    // Nobody listens there now.
    let dir = tempfile::tempdir().unwrap();
    let got = fetch(&client(), dir.path(), &format!("http://127.0.0.1:{port}/"), ID);
    let say = got.attempts.last().unwrap().outcome.to_string();
    assert!(say.starts_with("failed: cannot connect"), "{say}");
}

#[test]
fn endless_bodies_bombs_and_loops_are_bounded() {
    struct Endless;
    impl Read for Endless {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            buf.fill(b'x');
            Ok(buf.len())
        }
    }
    let say = outcome(|r, _| drop(r.respond(Response::new(200.into(), Vec::new(), Endless, None, None))));
    assert_eq!(say, "rejected: larger than 1048576 bytes");
    let mut builder = cab::CabinetBuilder::new();
    builder.add_folder(cab::CompressionType::MsZip).add_file("foo.pdb");
    let mut writer = builder.build(std::io::Cursor::new(Vec::new())).unwrap();
    while let Some(mut w) = writer.next_file().unwrap() {
        w.write_all(&vec![0u8; 8 << 20]).unwrap();
    }
    let bomb = writer.finish().unwrap().into_inner();
    assert!(bomb.len() < 1 << 20);
    let say = outcome(move |r, _| drop(r.respond(ok(&bomb))));
    assert_eq!(say, "rejected: the CAB expands to more than 1048576 bytes");
    let say = outcome(|r, _| {
        let to = Header::from_bytes("Location", r.url().as_bytes()).unwrap();
        drop(r.respond(Response::empty(302).with_header(to)));
    });
    assert_eq!(say, "refused: more than 5 redirects");
}

#[test]
fn tls_errors_are_said() {
    let rig = Rig::new(|r, _| drop(r.respond(ok(b"good pdb"))));
    let dir = tempfile::tempdir().unwrap();
    let got = fetch(&client(), dir.path(), &format!("https://127.0.0.1:{}/", rig.port()), ID);
    let say = got.attempts.last().unwrap().outcome.to_string();
    assert!(got.file.is_none() && say.starts_with("failed: "), "{say}");
}

#[test]
fn who_asks_at_the_same_time_shares_one_download() {
    let rig = Rig::new(|r, _| {
        std::thread::sleep(Duration::from_millis(100));
        drop(r.respond(ok(b"good pdb")));
    });
    let dir = tempfile::tempdir().unwrap();
    let url = rig.url();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            // A client each, as separate processes have.
            scope.spawn(|| assert!(fetch(&client(), dir.path(), &url, ID).file.is_some()));
        }
    });
    assert_eq!(rig.asked.load(Ordering::SeqCst), 1);
}

/// A server with a thread for each connection, which answers after `wait`: the library's pool lets a connection wait
/// behind others that are only kept open.
fn plain_server(wait: Duration) -> (String, Arc<AtomicUsize>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://127.0.0.1:{}/sym", listener.local_addr().unwrap().port());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let count = count.clone();
            std::thread::spawn(move || {
                let (mut head, mut byte) = (Vec::new(), [0u8]);
                while stream.read(&mut byte).is_ok_and(|n| n == 1) {
                    head.push(byte[0]);
                    if !head.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    head.clear();
                    count.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(wait);
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\ngood pdb";
                    if stream.write_all(answer).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (url, asked)
}

#[test]
fn many_files_are_fetched_in_parallel() {
    let (url, asked) = plain_server(Duration::from_millis(100));
    let dir = tempfile::tempdir().unwrap();
    let (client, next) = (client(), AtomicUsize::new(0));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::SeqCst);
                    if n >= 50 {
                        return;
                    }
                    assert!(fetch(&client, dir.path(), &url, &format!("{n:033X}")).file.is_some());
                }
            });
        }
    });
    eprintln!("50 files at 100 ms latency: {:?}", begun.elapsed());
    assert_eq!(asked.load(Ordering::SeqCst), 50);
}
