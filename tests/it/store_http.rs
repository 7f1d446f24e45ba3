//! The store client against a real HTTP server on loopback, with everything that servers do wrong.

use dumpscope_symbols::locate::{FileKey, FileKind, SafeName, SymbolPath};
use dumpscope_symbols::store::{Auth, Client, Fetched, Http, Policy, SystemClock, Unwatched, Wanted};
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
fn open(path: &Path, _: &Path, _: &FileKey) -> Result<Vec<u8>, String> {
    let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
    if bytes == b"good pdb" { Ok(bytes) } else { Err("made for another build".into()) }
}

fn fetch(client: &Client, dir: &Path, url: &str, id: &str) -> Fetched<Vec<u8>> {
    fetch_until(client, &format!("srv*{}*{url}", dir.display()), id, &|| false)
}

fn fetch_until(client: &Client, path: &str, id: &str, stop: &(dyn Fn() -> bool + Sync)) -> Fetched<Vec<u8>> {
    let keys = [key(id)];
    let wanted = Wanted { keys: &keys, image: "foo.dll", open: &open, cache: None, fresh: false, stop };
    client.find(&SymbolPath::parse(path).candidates(None), &wanted)
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
    assert!(got.found.is_none(), "{got:?}");
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
    assert!(fetch(&client(), dir.path(), &rig.url(), ID).found.is_some());
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
    assert!(fetch(&client(), dir.path(), &rig.url(), ID).found.is_some());
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
    assert!(got.found.is_none() && say.starts_with("failed: "), "{say}");
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
            scope.spawn(|| assert!(fetch(&client(), dir.path(), &url, ID).found.is_some()));
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
                    assert!(fetch(&client, dir.path(), &url, &format!("{n:033X}")).found.is_some());
                }
            });
        }
    });
    eprintln!("50 files at 100 ms latency: {:?}", begun.elapsed());
    assert_eq!(asked.load(Ordering::SeqCst), 50);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn answers_are_decoded_and_bombs_are_bounded() {
    let coded = |body: Vec<u8>| {
        move |r: Request, _: usize| {
            let asked = r
                .headers()
                .iter()
                .any(|h| h.field.equiv("Accept-Encoding") && h.value.as_str() == "identity");
            let coding = Header::from_bytes("Content-Encoding", "gzip").unwrap();
            let answer = if asked { ok(&body).with_header(coding) } else { ok(b"not asked for identity") };
            drop(r.respond(answer));
        }
    };
    let rig = Rig::new(coded(gzip(b"good pdb")));
    let dir = tempfile::tempdir().unwrap();
    assert!(fetch(&client(), dir.path(), &rig.url(), ID).found.is_some());
    assert_eq!(
        outcome(coded(gzip(&vec![0; 8 << 20]))),
        "rejected: the gzip file expands to more than 1048576 bytes"
    );
}

#[test]
fn slow_and_endless_answers_end() {
    // A byte at a time, for ever, never silent.
    let policy = Policy { slowest: (Duration::from_secs(1), 1000), ..policy() };
    let say = outcome_with(policy, |r, _| {
        let mut writer = r.into_writer();
        let _ = writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        while writer.write_all(b"x").and_then(|()| writer.flush()).is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    assert!(say.starts_with("failed: too slow: "), "{say}");
    // A header that never ends: fast, and slowly.
    let say = outcome_with(impatient(), |r, _| {
        let mut writer = r.into_writer();
        let _ = writer.write_all(b"HTTP/1.1 200 OK\r\n");
        while writer.write_all(b"X-More: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n").is_ok()
        {
        }
    });
    assert!(say.starts_with("failed: "), "{say}");
    let say = outcome_with(impatient(), |r, _| {
        let mut writer = r.into_writer();
        let _ = writer.write_all(b"HTTP/1.1 200 OK\r\nX-More: ");
        while writer.write_all(b"x").and_then(|()| writer.flush()).is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    assert!(say.starts_with("failed: no answer for 0.4 s"), "{say}");
    // A pause that nobody waits for is waited for by nobody.
    let say = outcome(|r, _| {
        let later = Header::from_bytes("Retry-After", "3600").unwrap();
        drop(r.respond(Response::empty(503).with_header(later)));
    });
    assert_eq!(say, "failed: HTTP 503, the server wants 3600 s without requests");
}

#[test]
fn a_stop_reaches_every_slow_server() {
    type Answer = Box<dyn Fn(Request, usize) + Send + Sync>;
    let answers: [Answer; 4] = [
        Box::new(|r, _| {
            std::thread::sleep(Duration::from_secs(300));
            drop(r);
        }),
        Box::new(|r, _| {
            raw(r, b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\ngood");
            std::thread::sleep(Duration::from_secs(300));
        }),
        Box::new(|r, _| {
            let later = Header::from_bytes("Retry-After", "20").unwrap();
            drop(r.respond(Response::empty(503).with_header(later)));
        }),
        Box::new(|r, _| {
            let mut writer = r.into_writer();
            let _ = writer.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
            while writer.write_all(b"x").and_then(|()| writer.flush()).is_ok() {
                std::thread::sleep(Duration::from_millis(50));
            }
        }),
    ];
    for answer in answers {
        let rig = Rig::new(answer);
        let dir = tempfile::tempdir().unwrap();
        let asked = rig.asked.clone();
        // Stopped once it has been asked.
        let stop = move || asked.load(Ordering::SeqCst) > 0;
        let path = format!("srv*{}*{}", dir.path().display(), rig.url());
        let got = fetch_until(&client(), &path, ID, &stop);
        assert_eq!(got.attempts.last().unwrap().outcome.to_string(), "stopped");
        let left = std::fs::read_dir(dir.path().join(".dumpscope/tmp")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "temporary files are left");
    }
}
