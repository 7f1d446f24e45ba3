//! `dumpscope symbols check` and `fetch` against servers that misbehave, and processes that die.

use crate::{Run, dumpscope, run};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A server that answers each connection with `answer`, which gets the request's path.
struct Server {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Server {
    fn new(answer: impl Fn(&mut TcpStream, &str) + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, answer) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, count) = (answer.clone(), count.clone());
                std::thread::spawn(move || {
                    let mut stream = stream;
                    if let Some(path) = request(&mut stream) {
                        count.fetch_add(1, Ordering::SeqCst);
                        answer(&mut stream, &path);
                    }
                });
            }
        });
        Server { port, asked }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/sym", self.port)
    }
}

/// Reads a request's head; gives its path.
fn request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0u8];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 8192 || stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()?.split(' ').nth(1).map(str::to_owned)
}

fn say(stream: &mut TcpStream, status: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

/// A dump, its symbol files, and a cache.
struct Rig {
    dir: TempDir,
    symbols: Vec<dumpscope_fixtures::symfile::SymFile>,
}

impl Rig {
    fn new() -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let (dump, symbols) = dumpscope_fixtures::small::x64();
        std::fs::write(dir.path().join("app.dmp"), dump.bytes()).unwrap();
        Rig { dir, symbols }
    }

    fn cache(&self) -> PathBuf {
        self.dir.path().join("cache")
    }

    fn command(&self, what: &str, url: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dumpscope"));
        command.args(["symbols", what, "-y", &format!("srv**{url}"), "--cache"]);
        command.arg(self.cache()).arg(self.dir.path().join("app.dmp"));
        for name in ["_NT_SYMBOL_PATH", "_NT_ALT_SYMBOL_PATH", "_NT_EXECUTABLE_IMAGE_PATH", "NETRC"] {
            command.env_remove(name);
        }
        command.env("NO_PROXY", "127.0.0.1");
        command
    }

    fn run(&self, what: &str, url: &str) -> Run {
        run(&mut assert_cmd::Command::from_std(self.command(what, url)))
    }

    /// The files of a good server: path and text.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let file = |s: &dumpscope_fixtures::symfile::SymFile| {
            let name = s.debug_file.trim_end_matches(".pdb");
            let path = format!("/sym/{}/{}/{name}.sym", s.debug_file, s.id);
            (path.to_ascii_lowercase(), s.text.clone().into_bytes())
        };
        self.symbols.iter().map(file).collect()
    }

    fn good_server(&self) -> Server {
        self.server_after(Duration::ZERO)
    }

    /// A good server that lets each file wait.
    fn server_after(&self, wait: Duration) -> Server {
        let files = self.files();
        Server::new(move |stream, path| match files.iter().find(|(p, _)| *p == path.to_ascii_lowercase()) {
            Some((_, body)) => {
                std::thread::sleep(wait);
                say(stream, "200 OK", body);
            }
            None => say(stream, "404 Not Found", b""),
        })
    }
}

/// All files below a folder but the client's own, with their bytes.
fn stored(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut out = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return out };
    for path in entries.flatten().map(|e| e.path()) {
        if path.file_name().is_some_and(|n| n == ".dumpscope") {
            continue;
        }
        if path.is_dir() {
            out.extend(stored(&path));
        } else {
            out.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    out
}

#[test]
fn a_good_server_is_told_with_every_module() {
    let rig = Rig::new();
    let server = rig.good_server();
    let r = rig.run("fetch", &server.url());
    assert_eq!((r.code, r.err.as_str()), (0, ""), "{}", r.out);
    assert!(r.out.contains("demo.exe") && r.out.contains("Breakpad file  "), "{}", r.out);
    let count = rig.symbols.len();
    assert!(r.out.contains(&format!("{count} modules with symbol files")), "{}", r.out);
    let asked = server.asked.load(Ordering::SeqCst);
    // All of it lies in the cache now.
    let r = rig.run("check", &server.url());
    assert!(r.out.contains(&format!("{count} modules with symbol files")), "{}", r.out);
    assert_eq!(server.asked.load(Ordering::SeqCst), asked);
}

#[test]
fn every_fault_gives_a_clear_line_and_no_symbols() {
    let silent = |stream: &mut TcpStream, head: &[u8]| {
        let _ = stream.write_all(head);
        let _ = stream.flush();
        // Closed without the rest: the transfer broke.
        let _ = stream.shutdown(std::net::Shutdown::Both);
    };
    type Answer = Box<dyn Fn(&mut TcpStream, &str) + Send + Sync>;
    let cases: Vec<(&str, Answer)> = vec![
        ("not there", Box::new(|s, _| say(s, "404 Not Found", b""))),
        ("refused: HTTP 403", Box::new(|s, _| say(s, "403 Forbidden", b""))),
        ("failed: HTTP 500 (3 tries)", Box::new(|s, _| say(s, "500 Oops", b""))),
        ("failed: HTTP 429", Box::new(|s, _| say(s, "429 Slow Down", b""))),
        ("rejected: not a PDB file", Box::new(|s, _| say(s, "200 OK", b"<html>a login page</html>"))),
        ("rejected: the server sent an empty file", Box::new(|s, _| say(s, "200 OK", b""))),
        (
            "failed: the transfer broke",
            Box::new(move |s, _| silent(s, b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nMicrosoft")),
        ),
        ("failed: ", Box::new(move |s, _| silent(s, b"SSH-2.0-OpenSSH\r\n"))),
        ("rejected: bad CAB", Box::new(|s, _| say(s, "200 OK", b"MSCF and no cabinet"))),
        (
            "refused: more than 5 redirects",
            Box::new(|s, path| {
                let head = format!(
                    "HTTP/1.1 302 Found\r\nLocation: {path}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                );
                let _ = s.write_all(head.as_bytes());
            }),
        ),
        (
            "refused: a redirect to file: is not followed",
            Box::new(|s, _| {
                let _ = s.write_all(
                    b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                );
            }),
        ),
    ];
    std::thread::scope(|scope| {
        for (want, answer) in cases {
            scope.spawn(move || {
                let rig = Rig::new();
                let server = Server::new(answer);
                let begun = Instant::now();
                let r = rig.run("check", &server.url());
                assert_eq!(r.code, 0, "{want}: {}", r.err);
                let told = r.out.lines().any(|l| l.contains(want) && l.contains("127.0.0.1"));
                assert!(told, "{want}: {}", r.out);
                assert!(r.out.contains("0 modules with symbol files"), "{want}: {}", r.out);
                assert_eq!(stored(&rig.cache()), [], "{want}");
                assert!(begun.elapsed() < Duration::from_secs(120), "{want}: {:?}", begun.elapsed());
            });
        }
    });
    // Who fetches and could not is told by the exit code; a file that is not there is no failure.
    let broken = Server::new(|s, _| say(s, "500 Oops", b""));
    let r = Rig::new().run("fetch", &broken.url());
    assert!(r.code == 1 && r.out.contains("a server refused or did not answer"), "{}", r.out);
    let missing = Server::new(|s, _| say(s, "404 Not Found", b""));
    assert_eq!(Rig::new().run("fetch", &missing.url()).code, 0);
    let rig = Rig::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dumpscope"));
    command.args(["symbols", "fetch", "-y", "/nowhere"]).arg(rig.dir.path().join("app.dmp"));
    let r = run(&mut assert_cmd::Command::from_std(command));
    assert!(r.code == 0 && r.out.contains("names no server"), "{}", r.out);
    // Nobody there, and TLS to a server that speaks none.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let rig = Rig::new();
    let r = rig.run("check", &format!("http://127.0.0.1:{closed}/"));
    assert!(r.out.contains("failed: cannot connect"), "{}", r.out);
    let plain = Server::new(|s, _| say(s, "404 Not Found", b""));
    let r = rig.run("check", &format!("https://127.0.0.1:{}/", plain.port));
    assert!(r.out.contains("failed: "), "{}", r.out);
}

/// Starts a download and waits until `server` has been asked.
fn begin(rig: &Rig, server: &Server) -> Child {
    let child =
        rig.command("fetch", &server.url()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    while server.asked.load(Ordering::SeqCst) == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing was asked");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

#[test]
fn a_killed_download_leaves_the_store_usable() {
    let rig = Rig::new();
    // Half of each file, then nothing.
    let files = rig.files();
    let stalling =
        Server::new(move |stream, path| match files.iter().find(|(p, _)| *p == path.to_ascii_lowercase()) {
            Some((_, body)) => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
                let _ = stream.write_all(head.as_bytes());
                let _ = stream.write_all(&body[..body.len() / 2]);
                let _ = stream.flush();
                std::thread::sleep(Duration::from_secs(300));
            }
            None => say(stream, "404 Not Found", b""),
        });
    let mut child = begin(&rig, &stalling);
    // Until half a file lies in the client's folder.
    let temporary = rig.cache().join(".dumpscope/tmp");
    let half = || {
        let entries = std::fs::read_dir(&temporary).into_iter().flatten().flatten();
        entries.filter_map(|e| e.metadata().ok()).any(|m| m.len() > 0)
    };
    let begun = Instant::now();
    while !half() {
        assert!(begun.elapsed() < Duration::from_secs(60), "no byte arrived");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(stored(&rig.cache()), [], "half a file is in the store");
    // The next process is not hindered: no lock is left, nothing half is taken.
    let server = rig.good_server();
    let r = rig.run("fetch", &server.url());
    assert!(r.out.contains(&format!("{} modules with symbol files", rig.symbols.len())), "{}", r.out);
    let mut whole: Vec<Vec<u8>> = stored(&rig.cache()).into_iter().map(|(_, bytes)| bytes).collect();
    let mut want: Vec<Vec<u8>> = rig.files().into_iter().map(|(_, bytes)| bytes).collect();
    whole.sort();
    want.sort();
    assert_eq!(whole, want);
}

#[test]
fn two_processes_at_once_have_the_effects_of_one() {
    let rig = Rig::new();
    let server = rig.server_after(Duration::from_millis(200));
    let both: Vec<Child> = (0..2)
        .map(|_| {
            let mut command = rig.command("fetch", &server.url());
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut said = Vec::new();
    for child in both {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success());
        assert!(text.contains(&format!("{} modules with symbol files", rig.symbols.len())), "{text}");
        said.push(text);
    }
    let mut whole: Vec<Vec<u8>> = stored(&rig.cache()).into_iter().map(|(_, bytes)| bytes).collect();
    let mut want: Vec<Vec<u8>> = rig.files().into_iter().map(|(_, bytes)| bytes).collect();
    whole.sort();
    want.sort();
    assert_eq!(whole, want);
    let left = std::fs::read_dir(rig.cache().join(".dumpscope/tmp")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "temporary files are left");
}

#[test]
fn offline_asks_nobody_and_says_so() {
    let rig = Rig::new();
    let server = rig.good_server();
    let mut command = rig.command("check", &server.url());
    command.arg("--offline");
    let r = run(&mut assert_cmd::Command::from_std(command));
    assert!(r.out.contains("was not asked (--offline)"), "{}", r.out);
    assert_eq!(server.asked.load(Ordering::SeqCst), 0);
    // Without a path one line says what would help.
    let r = run(dumpscope().args(["symbols", "check"]).arg(rig.dir.path().join("app.dmp")));
    assert!(r.out.contains("No symbol path is set: -y 'srv*https://"), "{}", r.out);
}

/// A server that has nothing.
fn empty_server() -> Server {
    Server::new(|s, _| say(s, "404 Not Found", b""))
}

#[test]
fn secrets_of_urls_are_in_no_output() {
    let rig = Rig::new();
    let server = empty_server();
    let dump = rig.dir.path().join("app.dmp").display().to_string();
    let good = format!("http://user:s3cr3t@127.0.0.1:{}/x?sig=SECRET", server.port);
    for url in [
        good.as_str(),
        "http://user:s3/cr3t@127.0.0.1:1/x?sig=SECRET",
        "http://user:s3*cr3t@127.0.0.1:1/x?sig=SECRET",
        "http://user:s3;cr3t@127.0.0.1:1/x?sig=SECRET",
        "ftp://user:s3cr3t@127.0.0.1:1/x?sig=SECRET",
        "http://user:s3cr3t@127.0.0.1:99999/x?sig=SECRET",
    ] {
        // The path of `.sympath` is all that follows on its line.
        let commands = "ld *; .reload /f /v; !sym noisy; .reload /f; !lmi demo; lm; ~*k; !analyze -v";
        let lines: [&[&str]; 6] = [
            &["symbols", "check", &dump],
            &["symbols", "fetch", &dump],
            &["exec", &dump, "-c", ".sympath", "-c", ".exepath", "-c", commands],
            &["exec", &dump, "-c", ".sympath", "-c", ".exepath", "-c", commands, "--format", "json"],
            &["triage", &dump, "--format", "json"],
            &["symbols", "check", &dump, "--offline"],
        ];
        for line in lines {
            let mut command = Command::new(env!("CARGO_BIN_EXE_dumpscope"));
            command.args(line).args(["-y", &format!("srv**{url}"), "-i", url, "--cache"]).arg(rig.cache());
            let r = run(&mut assert_cmd::Command::from_std(command));
            for text in [&r.out, &r.err] {
                assert!(!text.contains("cr3t") && !text.contains("SECRET"), "{line:?} {url}: {text}");
            }
        }
    }
    assert!(server.asked.load(Ordering::SeqCst) > 0);
}

#[test]
fn a_fetch_that_could_not_write_fails() {
    let rig = Rig::new();
    let server = rig.good_server();
    // A file where the cache should be: not even root can write there.
    std::fs::write(rig.cache(), b"").unwrap();
    let r = rig.run("fetch", &server.url());
    assert_eq!(r.code, 1, "{}", r.out);
    assert!(r.out.contains("cannot be written") && r.out.contains("--cache"), "{}", r.out);
    assert!(!r.out.contains("not asked"), "{}", r.out);
    // A full disk, where a small one can be had.
    #[cfg(target_os = "linux")]
    {
        std::fs::remove_file(rig.cache()).unwrap();
        std::fs::create_dir(rig.cache()).unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=32k", "tmpfs"])
            .arg(rig.cache())
            .stderr(Stdio::null())
            .status();
        if !mount.is_ok_and(|s| s.success()) {
            eprintln!("skipped: no tmpfs may be mounted here");
            return;
        }
        let big = Server::new(|s, _| {
            let mut body = b"MSCF".to_vec();
            body.resize(1 << 20, 0);
            say(s, "200 OK", &body);
        });
        let r = rig.run("fetch", &big.url());
        let left = stored(&rig.cache());
        let _ = Command::new("umount").arg(rig.cache()).status();
        assert_eq!(r.code, 1, "{}", r.out);
        assert!(r.out.contains("cannot be written: No space left"), "{}", r.out);
        assert_eq!(left, []);
    }
}

#[test]
fn a_budget_ends_waiting_for_slow_servers() {
    let rig = Rig::new();
    let silent = Server::new(|_, _| std::thread::sleep(Duration::from_secs(300)));
    let dripping = Server::new(|s, _| {
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        while s.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    let later = Server::new(|s, _| {
        let _ = s.write_all(
            b"HTTP/1.1 503 Busy\r\nRetry-After: 25\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    });
    for server in [silent, dripping, later] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dumpscope"));
        command.args([
            "triage",
            "--format",
            "json",
            "--budget",
            "1",
            "-y",
            &format!("srv**{}", server.url()),
            "--cache",
        ]);
        command.arg(rig.cache()).arg(rig.dir.path().join("app.dmp")).env("NO_PROXY", "127.0.0.1");
        let begun = Instant::now();
        let r = run(&mut assert_cmd::Command::from_std(command));
        // Without the budget each of them takes 20 seconds or more for one module.
        assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
        assert!(r.out.contains("the time budget was used up"), "{}", r.out);
        assert!(server.asked.load(Ordering::SeqCst) > 0);
    }
}

/// The folder `shared/cases`, when it lies beside the checkout.
fn cases() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/cases");
    if !dir.is_dir() {
        assert!(std::env::var_os("DUMPSCOPE_REQUIRE_SHARED").is_none(), "no folder `shared`");
        eprintln!("skipped: no folder `shared`");
        return None;
    }
    Some(dir)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_real_pdb_is_found_whatever_its_case_and_packing() {
    const ID: &str = "4BF5DDACF5D954224C4C44205044422E1";
    let Some(cases) = cases() else { return };
    let pdb = std::fs::read(cases.join("name-case/app.pdb")).unwrap();
    let check = |dump: &str, path: &str, cache: &Path| {
        let mut command = dumpscope();
        command.args(["symbols", "check", "-y", path, "--cache"]).arg(cache).arg(cases.join(dump));
        command.env("NO_PROXY", "127.0.0.1");
        run(&mut command).out
    };
    for (place, packed) in [
        (format!("MYAPP.PDB/{ID}/MYAPP.PDB"), false),
        (format!("my/myapp.pdb/{}/myapp.pdb", ID.to_lowercase()), false),
        ("MYAPP.pdb".to_owned(), false),
        ("Symbols/EXE/myApp.PDB".to_owned(), false),
        ("myapp.PDB.gz".to_owned(), true),
        (format!("MyApp.pdb/{ID}/MYAPP.PD_"), true),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("s").join(&place);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, if packed { gzip(&pdb) } else { pdb.clone() }).unwrap();
        let path = dir.path().join("s").display().to_string();
        let out = check("name-case/Mixed.dmp", &path, &dir.path().join("c"));
        assert!(out.contains("1 modules with symbol files"), "{place}: {out}");
    }
    let body = gzip(&pdb);
    let server = Server::new(move |stream, path| {
        if !path.ends_with(&format!("/app.pdb/{ID}/app.pdb")) {
            return say(stream, "404 Not Found", b"");
        }
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
    });
    let dir = tempfile::tempdir().unwrap();
    let out = check("gzip-reply/noimg.dmp", &format!("srv**{}", server.url()), dir.path());
    assert!(out.contains("1 modules with symbol files"), "{out}");
}
