//! The client's policies over a transport and a clock of the test's own.

use super::*;
use crate::locate::{FileKey, FileKind, SafeName, SymbolPath};
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};

mod places;

const ID: &str = "ABCD0000000000000000000000000000A";

/// An answer: status, headers, body, and where the transfer breaks.
#[derive(Clone, Debug, Default)]
struct Answer {
    head: Head,
    body: Vec<u8>,
    breaks: Option<TransportError>,
}

fn ok(body: &[u8]) -> Answer {
    Answer { head: Head { status: 200, ..Head::default() }, body: body.to_vec(), breaks: None }
}

fn status(status: u16) -> Answer {
    Answer { head: Head { status, ..Head::default() }, ..Answer::default() }
}

fn dead() -> Answer {
    Answer { breaks: Some(TransportError::Connect("refused".into())), ..Answer::default() }
}

/// Answers by URL (the last answer is repeated, 404 where nothing is set) and writes down what was asked.
#[derive(Debug, Default)]
struct Fake {
    answers: Mutex<BTreeMap<String, VecDeque<Answer>>>,
    asked: Mutex<Vec<String>>,
}

impl Fake {
    fn on(&self, url: &str, answers: &[Answer]) {
        self.answers.lock().unwrap().insert(url.into(), answers.iter().cloned().collect());
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl Transport for Fake {
    fn get(&self, r: &Request, _: &dyn Watch, to: &mut dyn Receiver) -> Result<(), TransportError> {
        let resume = r.resume.as_ref().map_or(String::new(), |(from, v)| format!(" from {from} if {v}"));
        let auth = r.headers.iter().map(|(n, _)| format!(" +{n}")).collect::<String>();
        self.asked.lock().unwrap().push(format!("{}{resume}{auth}", r.url.secret()));
        let mut answers = self.answers.lock().unwrap();
        let answer = match answers.get_mut(r.url.secret().as_str()) {
            Some(list) if list.len() > 1 => list.pop_front().unwrap(),
            Some(list) => list.front().unwrap().clone(),
            None => status(404),
        };
        if answer.head.status == 0 {
            return answer.breaks.map_or(Ok(()), Err);
        }
        if to.head(&answer.head).is_break() {
            return Ok(());
        }
        for part in answer.body.chunks(4) {
            if to.data(part).is_break() {
                return Err(TransportError::Stopped);
            }
        }
        answer.breaks.map_or(Ok(()), Err)
    }
}

/// Time moves only when somebody sleeps.
#[derive(Debug, Default)]
struct FakeClock(Mutex<(u64, Vec<Duration>)>);

impl Clock for FakeClock {
    fn now(&self) -> u64 {
        1_000_000 + self.0.lock().unwrap().0
    }

    fn sleep(&self, time: Duration, _: &dyn Fn() -> bool) {
        let mut state = self.0.lock().unwrap();
        state.0 += time.as_secs().max(1);
        state.1.push(time);
    }
}

struct Rig {
    net: Arc<Fake>,
    clock: Arc<FakeClock>,
    client: Client,
    dir: tempfile::TempDir,
    key: FileKey,
}

impl Rig {
    fn new() -> Rig {
        Rig::with(Policy::default(), Auth::default())
    }

    fn with(policy: Policy, auth: Auth) -> Rig {
        let (net, clock) = (Arc::new(Fake::default()), Arc::new(FakeClock::default()));
        let client = Client::new(net.clone(), clock.clone(), policy, auth, Arc::new(Unwatched));
        let name = SafeName::new("Foo.pdb").unwrap();
        let key = FileKey { kind: FileKind::Pdb, folder: name.clone(), file: name, id: ID.into() };
        Rig { net, clock, client, dir: tempfile::tempdir().unwrap(), key }
    }

    /// A file is good when it starts with `good`.
    fn fetch(&self, path: &str, fresh: bool) -> Fetched<Vec<u8>> {
        self.fetch_until(path, fresh, &|| false)
    }

    fn fetch_until(&self, path: &str, fresh: bool, stop: &(dyn Fn() -> bool + Sync)) -> Fetched<Vec<u8>> {
        let open = |p: &Path, _: &Path, _: &FileKey| {
            let bytes = fs::read(p).map_err(|e| e.to_string())?;
            if bytes.starts_with(b"good") { Ok(bytes) } else { Err("made for another build".to_owned()) }
        };
        let cache = self.dir.path().join("default");
        let keys = [self.key.clone()];
        let wanted = Wanted { keys: &keys, image: "Foo.dll", open: &open, cache: Some(&cache), fresh, stop };
        let path = path.replace("DIR", &self.dir.path().to_string_lossy());
        self.client.find(&SymbolPath::parse(&path).candidates(Some(&cache)), &wanted)
    }

    fn said<T>(&self, fetched: &Fetched<T>) -> Vec<String> {
        let dir = self.dir.path().to_string_lossy().into_owned();
        let text = |a: &Attempt| format!("{}: {}", a.place, a.outcome).replace(&dir, "DIR");
        fetched.attempts.iter().map(text).collect()
    }

    fn has(&self, file: &str) -> bool {
        self.dir.path().join(file).is_file()
    }

    /// No temporary file may be left whatever happened.
    fn is_clean(&self, store: &str) -> bool {
        fs::read_dir(self.dir.path().join(store).join(".dumpscope/tmp")).is_ok_and(|d| d.count() == 0)
    }
}

fn url(rest: &str) -> String {
    format!("https://s.example/sym/{rest}")
}

#[test]
fn a_hit_is_copied_to_every_store_on_the_left() {
    let rig = Rig::new();
    rig.net.on(&url(&format!("Foo.pdb/{ID}/Foo.pdb")), &[ok(b"good pdb")]);
    let got = rig.fetch("srv*DIR/a*DIR/b*https://s.example/sym", false);
    assert_eq!(
        rig.said(&got),
        ["DIR/a: not there", "DIR/b: not there", "https://s.example/sym: downloaded, 8 bytes"]
    );
    let place = format!("Foo.pdb/{ID}/Foo.pdb");
    let found = got.found.unwrap();
    // Opened once: as it came, before it was copied further.
    assert_eq!((found.path, found.file), (rig.dir.path().join("b").join(&place), b"good pdb".to_vec()));
    assert!(rig.has(&format!("a/{place}")) && rig.is_clean("a") && rig.is_clean("b"));
    assert_eq!(rig.net.asked().len(), 1);
    let again = rig.fetch("srv*DIR/a*DIR/b*https://s.example/sym", false);
    assert_eq!(rig.said(&again), [format!("DIR/a/{place}: found")]);
    assert!(rig.net.asked().is_empty());
}

#[test]
fn the_default_store_and_cache_elements() {
    let rig = Rig::new();
    let place = format!("Foo.pdb/{ID}/Foo.pdb");
    rig.net.on(&url(&place), &[ok(b"good")]);
    assert!(rig.fetch("srv*https://s.example/sym", false).found.is_some());
    assert!(rig.has(&format!("default/{place}")));
    let rig = Rig::new();
    fs::create_dir_all(rig.dir.path().join("plain")).unwrap();
    fs::write(rig.dir.path().join("plain/foo.pdb"), b"good").unwrap();
    let got = rig.fetch("cache*DIR/c;DIR/plain", false);
    assert_eq!(got.found.unwrap().path, rig.dir.path().join("c").join(&place));
}

#[test]
fn missing_is_remembered_by_cause_and_fresh_asks_again() {
    let rig = Rig::new();
    let path = "srv*DIR/a*https://s.example/sym";
    let got = rig.fetch(path, false);
    assert_eq!(rig.said(&got)[1], "https://s.example/sym: not there");
    let asked = rig.net.asked();
    let relative: Vec<_> = asked.iter().map(|u| u.trim_start_matches("https://s.example/sym/")).collect();
    let low = ID.to_ascii_lowercase();
    assert_eq!(
        relative,
        [
            format!("Foo.pdb/{ID}/Foo.pdb"),
            format!("Foo.pdb/{ID}/Foo.pd_"),
            format!("foo.pdb/{ID}/foo.pdb"),
            format!("foo.pdb/{low}/foo.pdb"),
            format!("Foo.pdb/{ID}/msfz0/Foo.pdb"),
            format!("Foo.pdb/{ID}/file.ptr"),
            "index2.txt".to_owned(),
        ]
    );
    let got = rig.fetch(path, false);
    let again = "(remembered; `.reload` or `dumpscope symbols fetch` asks again)";
    assert_eq!(rig.said(&got)[1], format!("https://s.example/sym: not there, 0 seconds ago {again}"));
    assert!(rig.net.asked().is_empty());
    assert!(rig.fetch(path, true).found.is_none());
    assert_eq!(rig.net.asked().len(), 6);
    rig.clock.sleep(Duration::from_secs(24 * 3600), &|| false);
    rig.fetch(path, false);
    assert_eq!(rig.net.asked().len(), 6);
}

#[test]
fn two_tier_servers_are_noticed() {
    let rig = Rig::new();
    rig.net.on(&url("index2.txt"), &[ok(b"x")]);
    rig.net.on(&url(&format!("Fo/Foo.pdb/{ID}/Foo.pdb")), &[ok(b"good")]);
    assert!(rig.fetch("srv*DIR/a*https://s.example/sym", false).found.is_some());
    rig.net.asked();
    fs::remove_dir_all(rig.dir.path().join("a")).unwrap();
    assert!(rig.fetch("srv*DIR/a*https://s.example/sym", false).found.is_some());
    assert_eq!(rig.net.asked().len(), 1);
}

#[test]
fn wrong_and_empty_files_are_rejected_and_remembered() {
    for (body, said) in
        [(&b"bad"[..], "rejected: made for another build"), (b"", "rejected: the server sent an empty file")]
    {
        let rig = Rig::new();
        rig.net.on(&url(&format!("Foo.pdb/{ID}/Foo.pdb")), &[ok(body)]);
        let got = rig.fetch("srv*DIR/a*https://s.example/sym", false);
        assert_eq!(rig.said(&got)[1], format!("https://s.example/sym: {said}"));
        assert!(!rig.has(&format!("a/Foo.pdb/{ID}/Foo.pdb")) && rig.is_clean("a"));
        let got = rig.fetch("srv*DIR/a*https://s.example/sym", false);
        assert!(rig.said(&got)[1].contains("rejected: ") && rig.said(&got)[1].contains("0 seconds ago (rem"));
    }
}

#[test]
fn passing_failures_are_tried_again_with_growing_pauses() {
    let rig = Rig::new();
    let place = format!("Foo.pdb/{ID}/Foo.pdb");
    let mut later = status(429);
    later.head.retry_after = Some(7);
    rig.net.on(&url(&place), &[later, status(503), ok(b"good")]);
    assert!(rig.fetch("srv*DIR/a*https://s.example/sym", false).found.is_some());
    assert_eq!(rig.clock.0.lock().unwrap().1, [Duration::from_secs(7), Duration::from_secs(1)]);
    // A longer pause than a person waits for ends the tries.
    let rig = Rig::new();
    let mut later = status(429);
    later.head.retry_after = Some(3600);
    rig.net.on(&url(&place), &[later]);
    let got = rig.fetch("srv*DIR/a*https://s.example/sym", false);
    assert_eq!(
        rig.said(&got)[1],
        "https://s.example/sym: failed: HTTP 429, the server wants 3600 s without requests"
    );
    assert_eq!(rig.net.asked().len(), 1);
}

#[test]
fn a_broken_transfer_goes_on_or_starts_again() {
    let place = format!("Foo.pdb/{ID}/Foo.pdb");
    let broken = |validator: Option<&str>| Answer {
        head: Head { status: 200, validator: validator.map(str::to_owned), ..Head::default() },
        body: b"good".to_vec(),
        breaks: Some(TransportError::Broken("reset".into())),
    };
    let rest = |start| Answer {
        head: Head { status: 206, range_start: Some(start), ..Head::default() },
        body: b" pdb".to_vec(),
        breaks: None,
    };
    let rig = Rig::new();
    rig.net.on(&url(&place), &[broken(Some("\"v1\"")), rest(4)]);
    let got = rig.fetch("srv*DIR/a*https://s.example/sym", false);
    assert_eq!(got.found.unwrap().file, b"good pdb");
    assert!(rig.net.asked()[1].ends_with(" from 4 if \"v1\""));
    // Resumed at another place: not believed, asked again from the start.
    let rig = Rig::new();
    rig.net.on(&url(&place), &[broken(Some("\"v1\"")), rest(2), ok(b"good new")]);
    let got = rig.fetch("srv*DIR/a*https://s.example/sym", false);
    assert_eq!(got.found.unwrap().file, b"good new");
    // Without a validator the file may have changed: from the start.
    let rig = Rig::new();
    rig.net.on(&url(&place), &[broken(None), ok(b"good new")]);
    let got = rig.fetch("srv*DIR/a*https://s.example/sym", false);
    assert_eq!(got.found.unwrap().file, b"good new");
    assert!(!rig.net.asked()[1].contains("from"));
}

/// What a server says to files that are asked for one after the other, and how often it was asked.
fn said_one_after_the_other(rig: &mut Rig, answers: &[Answer]) -> (Vec<String>, usize) {
    let mut said = Vec::new();
    for (n, answer) in answers.iter().enumerate() {
        rig.key.id = format!("{n:033X}");
        rig.net.on(&url(&format!("Foo.pdb/{}/Foo.pdb", rig.key.id)), std::slice::from_ref(answer));
        let got = rig.fetch("srv*DIR/a*https://s.example/sym", false);
        said.push(rig.said(&got)[1].clone());
    }
    (said, rig.net.asked().len())
}

#[test]
fn a_host_that_never_answered_is_asked_once() {
    let mut rig = Rig::new();
    let (said, asked) = said_one_after_the_other(&mut rig, &[dead(), dead()]);
    assert_eq!(
        said,
        [
            "https://s.example/sym: failed: cannot connect: refused",
            "https://s.example/sym: not asked: the server does not answer; asked again in 300 s"
        ]
    );
    assert_eq!(asked, 1);
    assert!(rig.clock.0.lock().unwrap().1.is_empty(), "nobody waits for it");
    rig.client.forgive();
    rig.key.id = ID.into();
    rig.net.on(&url(&format!("Foo.pdb/{ID}/Foo.pdb")), &[ok(b"good")]);
    assert!(rig.fetch("srv*DIR/a*https://s.example/sym", false).found.is_some());
}

#[test]
fn a_host_that_dies_is_left_alone_after_some_failures() {
    let policy = Policy { tries: 2, breaker_failures: 2, breaker_pause: 60, ..Policy::default() };
    let mut rig = Rig::with(policy, Auth::default());
    let (said, _) = said_one_after_the_other(&mut rig, &[ok(b"good"), dead(), dead(), dead()]);
    assert_eq!(said[1], "https://s.example/sym: failed: cannot connect: refused (2 tries)");
    assert_eq!(said[2], said[1]);
    assert_eq!(said[3], "https://s.example/sym: not asked: the server does not answer; asked again in 60 s");
}

#[test]
fn redirects_keep_to_https_and_drop_credentials_for_other_hosts() {
    let to = |target: &str| {
        let mut a = status(302);
        a.head.location = Some(target.into());
        a
    };
    let place = format!("Foo.pdb/{ID}/Foo.pdb");
    let mut auth = Auth::default();
    auth.add_headers("https://s.example/\n  Authorization: Bearer x\n").unwrap();
    let rig = Rig::with(Policy::default(), auth);
    rig.net.on(&url(&place), &[to("https://cdn.example/blob?sig=1")]);
    rig.net.on("https://cdn.example/blob?sig=1", &[ok(b"good")]);
    assert!(rig.fetch("srv*DIR/a*https://s.example/sym", false).found.is_some());
    let asked = rig.net.asked();
    assert!(asked[0].ends_with(" +Authorization") && !asked[1].contains('+'), "{asked:?}");
    for (target, said) in [
        ("http://s.example/x", "a redirect from https to http is not followed"),
        ("file:///etc/passwd", "a redirect to file: is not followed"),
        (url(&place).as_str(), "more than 5 redirects"),
    ] {
        let rig = Rig::new();
        rig.net.on(&url(&place), &[to(target)]);
        let got = rig.fetch("srv*DIR/a*https://s.example/sym", false);
        assert_eq!(rig.said(&got)[1], format!("https://s.example/sym: refused: {said}"));
    }
}

#[test]
fn limits_on_size() {
    let place = format!("Foo.pdb/{ID}/Foo.pdb");
    let rig = Rig::with(Policy { max_download: 6, ..Policy::default() }, Auth::default());
    rig.net.on(&url(&place), &[ok(b"good and endless")]);
    let got = rig.fetch("srv*DIR/a*https://s.example/sym", false);
    assert_eq!(rig.said(&got)[1], "https://s.example/sym: rejected: larger than 6 bytes");
    let mut long = ok(b"good");
    long.head.length = Some(1 << 40);
    rig.net.on(&url(&place), &[long]);
    let got = rig.fetch("srv*DIR/b*https://s.example/sym", false);
    assert_eq!(rig.said(&got)[1], "https://s.example/sym: rejected: larger than 6 bytes");
}

#[test]
fn cabinets_are_expanded_and_bounded() {
    let mut builder = cab::CabinetBuilder::new();
    builder.add_folder(cab::CompressionType::MsZip).add_file("..\\..\\evil");
    let mut writer = builder.build(std::io::Cursor::new(Vec::new())).unwrap();
    while let Some(mut w) = writer.next_file().unwrap() {
        let mut text = b"good ".to_vec();
        text.resize(100_000, 0);
        std::io::Write::write_all(&mut w, &text).unwrap();
    }
    let packed = writer.finish().unwrap().into_inner();
    let place = format!("Foo.pdb/{ID}/Foo.pd_");
    let rig = Rig::new();
    rig.net.on(&url(&place), &[ok(&packed)]);
    let got = rig.fetch("srv*DIR/a*https://s.example/sym", false);
    assert_eq!(rig.said(&got)[1], "https://s.example/sym: downloaded, 100000 bytes");
    assert!(rig.has(&format!("a/Foo.pdb/{ID}/Foo.pdb")) && rig.is_clean("a"));
    let rig = Rig::with(Policy { max_unpacked: 50_000, ..Policy::default() }, Auth::default());
    rig.net.on(&url(&place), &[ok(&packed)]);
    let got = rig.fetch("srv*DIR/a*https://s.example/sym", false);
    assert!(rig.said(&got)[1].ends_with("rejected: the CAB expands to more than 50000 bytes"));
    // A local store may hold packed files too.
    let rig = Rig::new();
    let dir = rig.dir.path().join(format!("l/Foo.pdb/{ID}"));
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("Foo.pd_"), &packed).unwrap();
    let got = rig.fetch("srv*DIR/a*DIR/l", false);
    assert_eq!(got.found.unwrap().path, rig.dir.path().join(format!("a/Foo.pdb/{ID}/Foo.pdb")));
}

#[test]
fn pointers_stay_inside_their_store() {
    let rig = Rig::new();
    let dir = rig.dir.path().join(format!("l/Foo.pdb/{ID}"));
    fs::create_dir_all(&dir).unwrap();
    fs::write(rig.dir.path().join("outside.pdb"), b"good").unwrap();
    fs::write(rig.dir.path().join("l/inside.pdb"), b"good").unwrap();
    fs::write(dir.join("file.ptr"), "PATH:../outside.pdb").unwrap();
    let got = rig.fetch("srv*DIR/l", false);
    assert!(got.found.is_none() && rig.said(&got)[0].contains("leads out of the store"));
    fs::write(dir.join("file.ptr"), "PATH:inside.pdb\r\n").unwrap();
    assert!(rig.fetch("srv*DIR/l", false).found.is_some());
    fs::write(dir.join("file.ptr"), "MSG: excluded\u{1b}[0m").unwrap();
    let got = rig.fetch("srv*DIR/l", false);
    assert!(rig.said(&got)[0].ends_with("file.ptr says: excluded\\x1b[0m"));
}

#[test]
fn offline_and_unc_say_so() {
    let rig = Rig::new();
    let (policy, auth) = (Policy::default(), Auth::default());
    let client = Client::new(Arc::new(NoTransport), rig.clock.clone(), policy, auth, Arc::new(Unwatched));
    let rig = Rig { client, ..rig };
    let got = rig.fetch("srv*DIR/a*https://s.example/sym;\\\\server\\share;srv*ftp://x", false);
    let said = rig.said(&got);
    assert_eq!(said[1], "https://s.example/sym: not asked: offline");
    assert!(said[2].contains("on Windows only") && said[3].contains("not an http or https URL"));
    // Offline is no answer of the server: nothing is remembered.
    let got = rig.fetch("srv*DIR/a*https://s.example/sym", false);
    assert_eq!(rig.said(&got)[1], "https://s.example/sym: not asked: offline");
}

#[test]
fn events_come_in_order_with_one_end() {
    #[derive(Debug, Default)]
    struct Seen(Mutex<Vec<String>>);
    impl Watch for Seen {
        fn event(&self, event: &Event<'_>) {
            let text = match event {
                Event::Started { url, .. } => format!("start {url}"),
                Event::Progress { done, .. } => format!("{done}"),
                Event::Ended { outcome, .. } => format!("end {outcome}"),
            };
            self.0.lock().unwrap().push(text);
        }
    }
    let rig = Rig::new();
    rig.net.on(&url(&format!("Foo.pdb/{ID}/Foo.pdb")), &[ok(b"good pdb")]);
    let path = SymbolPath::parse("srv*https://u:p@s.example/sym");
    let seen = Arc::new(Seen::default());
    let (policy, auth) = (Policy::default(), Auth::default());
    let client = Client::new(rig.net.clone(), rig.clock.clone(), policy, auth, seen.clone());
    rig.net.on(&url(&format!("Foo.pdb/{ID}/Foo.pdb")).replace("//", "//u:p@"), &[ok(b"good pdb")]);
    let (cache, keys) = (rig.dir.path().join("d"), [rig.key.clone()]);
    let wanted = Wanted {
        keys: &keys,
        image: "x",
        open: &|_: &Path, _: &Path, _: &FileKey| Ok(()),
        cache: Some(&cache),
        fresh: false,
        stop: &|| false,
    };
    client.find(&path.candidates(Some(&cache)), &wanted);
    assert_eq!(
        *seen.0.lock().unwrap(),
        ["start https://***@s.example/sym", "4", "8", "end downloaded, 8 bytes"]
    );
}

#[test]
fn a_receiver_that_stops_ends_the_transfer() {
    struct Stop;
    impl Receiver for Stop {
        fn head(&mut self, _: &Head) -> ControlFlow<()> {
            ControlFlow::Continue(())
        }
        fn data(&mut self, _: &[u8]) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    let net = Fake::default();
    net.on("https://s.example/", &[ok(b"x")]);
    let request = Request {
        url: StoreUrl::parse("https://s.example/").unwrap(),
        headers: Vec::new(),
        resume: None,
        public_only: false,
        connect: Duration::ZERO,
        stall: Duration::ZERO,
        total: Duration::ZERO,
    };
    assert_eq!(net.get(&request, &Unwatched, &mut Stop), Err(TransportError::Stopped));
}
