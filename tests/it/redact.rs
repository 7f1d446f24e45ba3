//! Secrets in a dump, and which of them are left after `--redact`: the recall is printed.

use dumpscope_engine::batch::{TriageOptions, triage};
use dumpscope_engine::redact::{RedactLevel, Redactor};
use dumpscope_engine::shrink::{ShrinkOptions, shrink};
use dumpscope_fixtures::dump::Cpu;
use dumpscope_fixtures::world::{World, frame};

/// A generator of numbers that is the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    fn of(&mut self, alphabet: &str, len: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        (0..len).map(|_| letters[self.next(letters.len() as u64) as usize]).collect()
    }
}

const LOWER: &str = "abcdefghijkmnopqrstuvwxyz";
const ALL: &str = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
const HEX: &str = "0123456789abcdef";
const DIGITS: &str = "123456789";

/// A secret of one of 20 kinds, and the text in which it stands.
fn secret(kind: usize, r: &mut Random) -> (String, String) {
    let s = |secret: String, text: &str| (secret.clone(), text.replace("{}", &secret));
    match kind {
        0 => s(r.of(ALL, 12), "password={}"),
        1 => s(format!("eyJ{}.{}.{}", r.of(ALL, 20), r.of(ALL, 30), r.of(ALL, 20)), "{}"),
        2 => s(format!("AKIA{}", r.of("ABCDEFGHJKLMNPQRSTUVWXYZ234567", 16)), "aws {} ok"),
        3 => s(format!("ghp_{}", r.of(ALL, 36)), "{}"),
        4 => s(format!("{}.{}@{}.com", r.of(LOWER, 5), r.of(LOWER, 7), r.of(LOWER, 8)), "mail to {} now"),
        5 => s(
            format!("{}.{}.{}.{}", 11 + r.next(200), 1 + r.next(250), 1 + r.next(250), 1 + r.next(250)),
            "peer {}:443",
        ),
        6 => s(
            format!(
                "2001:db8:{}:{}::{}",
                r.of("123456789abcdef", 4),
                r.of("123456789abcdef", 4),
                r.of("123456789abcdef", 4)
            ),
            "listen {} up",
        ),
        7 => s((0..6).map(|_| r.of(HEX, 2)).collect::<Vec<_>>().join(":"), "mac {} found"),
        8 => s(r.of(LOWER, 9), r"C:\Users\{}\AppData\Local\x.txt"),
        9 => s(
            format!("S-1-5-21-{}-{}-{}-1001", r.of(DIGITS, 9), r.of(DIGITS, 10), r.of(DIGITS, 9)),
            "owner {}",
        ),
        10 => s(r.of(ALL, 24), "https://api.example.com/v1/get?api_key={}&x=1"),
        11 => s(r.of(ALL, 14), "Data Source=db;User Id=app;Password={};Encrypt=true"),
        12 => s(format!("4{}", r.of(DIGITS, 15)), "card {} paid"),
        13 => s(format!("DE{}{}", r.of(DIGITS, 2), r.of(DIGITS, 18)), "iban {}"),
        14 => s(r.of(HEX, 40), "session {}"),
        15 => s(format!("{}==", r.of(ALL, 42)), "AccountKey={}"),
        16 => s(r.of(ALL, 64), "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----"),
        17 => s(r.of(ALL, 30), "Authorization: Bearer {}"),
        18 => s(r.of(LOWER, 10), r" \\{}\share\folder"),
        _ => s(r.of(ALL, 10), "ftp://backup:{}@files.example.com/x"),
    }
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Where a secret is left: the file has it as bytes or as UTF-16.
fn is_in(file: &[u8], secret: &str) -> bool {
    let finder = |needle: &[u8]| memchr_find(file, needle);
    finder(secret.as_bytes()) || finder(&utf16(secret))
}

fn memchr_find(file: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else { return false };
    file.windows(needle.len()).any(|w| w[0] == *first && w == needle)
}

#[test]
fn a_thousand_secrets() {
    const HEAP: u64 = 0x2a0_1000_0000;
    let mut r = Random(20_261_128);
    let mut w = World::new(Cpu::X64, 19045, 0x1a2c, r"C:\app\demo.exe");
    w.thread(
        0x1b04,
        &[
            frame("ntdll!NtWaitForSingleObject").args(&[0x1c4, 0, 0]),
            frame("KERNELBASE!WaitForSingleObjectEx+0x8e").args(&[0x1c4, 0xffff_ffff, 0]),
            frame("demo!main+0x5a").args(&[1, 0x59_0100]),
            frame("kernel32!BaseThreadInitThunk+0x14"),
            frame("ntdll!RtlUserThreadStart+0x21"),
        ],
    );
    // Room for a long command line and a large environment.
    w.heap = dumpscope_fixtures::process::Arena::commit(&mut w.dump.space, 0x1d0_7000_0000, 0x10_0000);
    let mut secrets: Vec<(usize, &str, String)> = Vec::new();
    let (mut heap, mut command, mut environment) = (Vec::new(), String::new(), Vec::new());
    for n in 0..1000 {
        let kind = n % 20;
        let (secret, text) = secret(kind, &mut r);
        let place = match (n / 20) % 5 {
            0 if kind != 16 => {
                command.push_str(&format!(" --opt{n} \"{text}\""));
                "command line"
            }
            1 => {
                environment.push(format!("VAR{n}={}", text.replace('\n', " ")));
                "environment"
            }
            2 => {
                heap.extend(text.bytes().chain([0; 3]));
                "heap, ASCII"
            }
            3 => {
                heap.resize(heap.len().next_multiple_of(2), 0);
                heap.extend(utf16(&text).into_iter().chain([0; 4]));
                "heap, UTF-16"
            }
            _ => {
                // Names of files and of handles: streams.
                let handle = dumpscope_fixtures::dump::Handle::new(0x1000 + 4 * n as u64, "File", vec![]);
                w.dump.handles.get_or_insert_default().push(handle.named(&text.replace('\n', " ")));
                "handle's name"
            }
        };
        secrets.push((kind, place, secret));
    }
    w.parameters.command_line.push_str(&command);
    w.parameters.environment.extend(environment);
    w.parameters.environment.push("USERPROFILE=C:\\Users\\margarethe".into());
    w.parameters.window_title = "margarethe - notes".into();
    w.dump.space.commit(HEAP, 0x2_0000);
    assert!(heap.len() < 0x2_0000);
    w.dump.space.write(HEAP, &heap);
    let (dump, _) = w.finish();
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.dmp"), folder.path().join("new.dmp"));
    std::fs::write(&old, dump.bytes()).unwrap();
    let redactor = Redactor::new(RedactLevel::Standard, Some(b"a key"), None).unwrap();
    let options = ShrinkOptions {
        also: vec![format!("db {HEAP:x} L20000"), "!peb".into()],
        redact: Some(redactor.clone()),
        ..ShrinkOptions::default()
    };
    let done = shrink(&old, &new, &options, &|_| {}).unwrap();
    assert_eq!(done.differences, [""; 0]);
    let (before, after) = (std::fs::read(&old).unwrap(), std::fs::read(&new).unwrap());
    let report = TriageOptions { redact: Some(redactor), ..TriageOptions::default() };
    let report = serde_json::to_vec(&triage(&[old, new], &report, &|_| {})).unwrap();
    let mut left = Vec::new();
    for (kind, place, secret) in &secrets {
        assert!(is_in(&before, secret), "{secret}");
        if is_in(&after, secret) || is_in(&report, secret) {
            left.push(format!("kind {kind}, {place}: {secret}"));
        }
    }
    let recall = 1.0 - left.len() as f64 / secrets.len() as f64;
    println!("secrets: {}, left: {}, recall {:.2} %", secrets.len(), left.len(), recall * 100.0);
    assert!(recall >= 0.995, "{left:#?}");
    assert!(!is_in(&after, "margarethe") && !is_in(&report, "margarethe"));
    assert!(is_in(&after, "REDACTED"), "the comment says it");
}

/// What two dumps say together holds names of both: the program of one is called as the user who ran it.
#[test]
fn incidents_have_no_names() {
    let all = dumpscope_fixtures::scenarios::several();
    let case = all.into_iter().find(|c| c.name == "COM server thread named by the caller").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut named = 0;
    let mut paths = Vec::new();
    for (n, (_, dump)) in case.dumps.iter().enumerate() {
        let mut bytes = dump.bytes();
        let (old, new) = (utf16("USERNAME=tester"), utf16("USERNAME=client"));
        let places: Vec<usize> =
            bytes.windows(old.len()).enumerate().filter(|(_, w)| **w == old).map(|(at, _)| at).collect();
        // The server's user is another one: the name comes from the client's dump alone.
        for at in places.into_iter().filter(|_| n == 0) {
            bytes[at..at + new.len()].copy_from_slice(&new);
            named += 1;
        }
        let path = folder.path().join(format!("{n}.dmp"));
        std::fs::write(&path, bytes).unwrap();
        paths.push(path);
    }
    assert!(named > 0, "no environment in the client's dump");
    let answer = |redact: Option<Redactor>, jobs: usize| {
        let options = TriageOptions { redact, jobs, ..TriageOptions::default() };
        triage(&paths, &options, &|_| {})
    };
    let plain = answer(None, 1);
    let said = serde_json::to_string(&plain.incidents).unwrap();
    assert!(said.contains("client.exe"), "{said}");
    for level in [RedactLevel::Standard, RedactLevel::Strict] {
        // Rules of the user's reach incidents, too.
        let rules = "[[rule]]\nkind = \"program\"\npattern = 'middle\\.exe'\n";
        let redactor = Redactor::new(level, Some(b"a key"), Some(rules)).unwrap();
        let document = answer(Some(redactor), 2);
        let incidents = document.incidents.as_ref().unwrap();
        assert_eq!((incidents.len(), &incidents[0].paths), (1, &plain.incidents.as_ref().unwrap()[0].paths));
        let said = serde_json::to_string(incidents).unwrap();
        assert!(!said.contains("client") && !said.contains("middle.exe"), "{said}");
        assert!(said.contains("user-") && said.contains("program-"), "{said}");
        // What is copied from incidents into rows.
        let advice = document.dumps.iter().flat_map(|d| d.findings.iter().flatten().chain(&d.verdict));
        let advice: Vec<&String> = advice.filter_map(|f| f.advice.as_ref()).collect();
        assert!(advice.iter().any(|a| a.contains("is here, too")), "{advice:?}");
        assert!(!advice.iter().any(|a| a.contains("client") || a.contains("middle.exe")), "{advice:?}");
    }
}
