//! Secrets in a dump, and which of them are left after `--redact`: the recall is printed.

use dumpscope_engine::batch::{TriageOptions, triage};
use dumpscope_engine::redact::{RedactLevel, Redactor};
use dumpscope_engine::shrink::{ShrinkError, ShrinkOptions, shrink};
use dumpscope_fixtures::context::X64;
use dumpscope_fixtures::dump::{
    Cpu, Cv, Dump, Exception, Handle, MemoryForm, Misc, Module, Thread, Unloaded,
};
use dumpscope_fixtures::image::Image;
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
    memchr::memmem::find(file, needle).is_some()
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

const STACK: u64 = 0x10_0000;
const OTHER_STACK: u64 = 0x20_0000;
const TEB: u64 = 0x30_0000;
const PEB: u64 = 0x31_0000;

/// What `MiniDumpNormal` makes: stacks from the stack pointer on, the blocks that name the user; a thread without context.
fn ordinary() -> Dump {
    let mut d = Dump::new(Cpu::X64, 19045);
    d.memory = MemoryForm::List;
    d.memory_info = false;
    d.space.commit(STACK, 0x6000);
    d.space.commit(OTHER_STACK, 0x800);
    for va in [TEB, TEB + 0x1000, PEB, PEB + 0x1000] {
        d.space.commit(va, 0x1000);
    }
    let context = X64 { rip: 0x7ff6_0000_1000, rsp: STACK, ..X64::default() }.bytes();
    d.threads = vec![
        Thread { tid: 1, teb: TEB, stack: (STACK, 0x6000), context, ..Thread::default() },
        Thread { tid: 2, stack: (OTHER_STACK, 0x800), ..Thread::default() },
    ];
    for (at, word) in [(0x8, STACK + 0x6000), (0x10, STACK), (0x30, TEB), (0x60, PEB)] {
        d.space.put64(TEB + at, word);
    }
    let (parameters, environment) = (PEB + 0x800, PEB + 0x1000);
    d.space.put64(PEB + 0x20, parameters);
    // Length, flags: its addresses are addresses.
    d.space.put32(parameters + 4, 0x400);
    d.space.put32(parameters + 8, 1);
    d.space.put64(parameters + 0x80, environment);
    d.space.write(environment, &utf16("USERNAME=Bob\0COMPUTERNAME=margrets-pc\0\0"));
    d
}

/// Shrinks with `--redact` and gives the new file.
fn redacted(dump: &Dump) -> Vec<u8> {
    redacted_with(dump, &[])
}

/// The same with what these command lines read.
fn redacted_with(dump: &Dump, also: &[String]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.dmp"), folder.path().join("new.dmp"));
    std::fs::write(&old, dump.bytes()).unwrap();
    let redact = Some(Redactor::new(RedactLevel::Standard, Some(b"a key"), None).unwrap());
    let options = ShrinkOptions { redact, also: also.to_vec(), ..ShrinkOptions::default() };
    shrink(&old, &new, &options, &|_| {}).unwrap();
    std::fs::read(&new).unwrap()
}

#[test]
fn stacks_of_ordinary_minidumps() {
    let texts: [(u64, Vec<u8>); 9] = [
        (STACK, utf16("sesame of the first word")),
        (STACK + 0x100, b"sesame in narrow letters".to_vec()),
        (STACK + 0x208, "\u{43f}\u{430}\u{440}\u{43e}\u{43b}\u{44c} mine".into()),
        (STACK + 0x300, utf16("\u{6771}\u{4eac}\u{30bf}\u{30ef}\u{30fc}")),
        (STACK + 0x400, utf16("\u{643}\u{644}\u{645}\u{629} \u{627}\u{644}\u{633}\u{631}")),
        // Behind what the smallest level keeps itself.
        (STACK + 0x5800, utf16("sesame far away")),
        (STACK + 0x5fe8, b"sesame at the very end".to_vec()),
        (OTHER_STACK, b"sesame without context".to_vec()),
        (OTHER_STACK + 0x7c0, utf16("wide sesame of it")),
    ];
    // Too short for texts; beside other bytes; in another letter case.
    let names: [(u64, Vec<u8>); 5] = [
        (STACK + 0x700, b"\x01bob\x02".to_vec()),
        (STACK + 0x740, utf16("\u{1}BoB\0")),
        (STACK + 0x780, b"\x7fq7MARGRETS-PC9\x01".to_vec()),
        (OTHER_STACK + 0x100, utf16("\0bob\0")),
        (OTHER_STACK + 0x201, utf16("Margrets-PC")),
    ];
    let mut d = ordinary();
    for (at, bytes) in texts.iter().chain(&names) {
        d.space.write(*at, bytes);
    }
    // A return address and small numbers stay.
    let words = [0x7ff6_1234_5678u64, 0x1c4, 0xffff_ffff];
    for (n, word) in (0u64..).zip(words) {
        d.space.put64(STACK + 0x600 + 8 * n, word);
    }
    let after = redacted(&d);
    for (at, bytes) in texts.iter().chain(&names) {
        assert!(!memchr_find(&after, bytes), "{at:x}: {}", String::from_utf8_lossy(bytes));
    }
    for name in ["bob", "BoB", "Bob", "MARGRETS-PC", "Margrets-PC", "margrets-pc", "sesame"] {
        assert!(!is_in(&after, name), "{name}");
    }
    let kept: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    assert!(memchr_find(&after, &kept));
}

#[test]
fn paths_of_symbol_files() {
    let mut d = ordinary();
    let misc = |wide: bool, path: &str| {
        let text = if wide { utf16(path) } else { path.as_bytes().to_vec() };
        [&1u32.to_le_bytes()[..], &0x110u32.to_le_bytes(), &u32::from(wide).to_le_bytes(), &text].concat()
    };
    let records = [
        Cv::Rsds([7; 16], 1, r"C:\Users\quentin\a.pdb".into()),
        Cv::Nb10(1, 2, r"C:\Users\quentin\b.pdb".into()),
        Cv::Raw(misc(false, r"C:\Users\quentin\c.dbg")),
        Cv::Raw(misc(true, r"C:\Users\quentin\d.dbg")),
    ];
    for (n, cv) in (0u64..).zip(records) {
        let path = format!(r"C:\app\{n}.dll");
        let base = 0x7ff6_0000_0000 + (n << 20);
        d.modules.push(Module { base, size: 0x1000, checksum: 0, timestamp: 0, path, version: None, cv });
    }
    assert!(is_in(&d.bytes(), "quentin"));
    let after = redacted(&d);
    assert!(!is_in(&after, "quentin"));
    assert!(is_in(&after, r"\a.pdb") && is_in(&after, r"\b.pdb") && is_in(&after, r"\d.dbg"));
}

#[test]
fn too_much_text_is_refused_and_strict_is_for_reports() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.dmp"), folder.path().join("new.dmp"));
    let mut d = ordinary();
    let record = [b"RSDS".as_slice(), &[b'x'; 65 << 20]].concat();
    let base = 0x7ff6_0000_0000;
    let (path, cv) = (r"C:\app\a.dll".into(), Cv::Raw(record));
    d.modules.push(Module { base, size: 0x1000, checksum: 0, timestamp: 0, path, version: None, cv });
    std::fs::write(&old, d.bytes()).unwrap();
    for (level, why) in [(RedactLevel::Standard, "too much text"), (RedactLevel::Strict, "is for reports")] {
        let redact = Some(Redactor::new(level, Some(b"a key"), None).unwrap());
        let options = ShrinkOptions { redact, ..ShrinkOptions::default() };
        let error = shrink(&old, &new, &options, &|_| {}).unwrap_err();
        assert!(matches!(error, ShrinkError::Redact(_)) && error.to_string().contains(why), "{error}");
        assert!(!new.exists());
    }
}

#[test]
fn odd_places() {
    const MARK: &str = "zq7-odd";
    let word = |n: u8| u64::from_le_bytes([b'z', b'q', b'7', b'-', b'o', b'd', b'd', b'0' + n]);
    let mut d = ordinary();
    let rule =
        |place: &str| format!("{place} of BOB, password={MARK}-{place}; mail zq7-odd@corp.example.com");
    d.comment_ansi = Some(rule("comment").into_bytes());
    d.comment_wide = Some(rule("wide comment"));
    for (stream, place) in
        [(0x1_0000, "user stream"), (0x1_2345, "other"), (19, "token"), (0x7777, "unknown")]
    {
        d.raw.push((stream, [MARK.as_bytes(), place.as_bytes(), &utf16(MARK)].concat()));
    }
    // Behind the numbers of a stream.
    d.raw.push((21, [&[0u8; 64][..], MARK.as_bytes(), b"-21"].concat()));
    let name = format!(r"C:\Users\{MARK}\app.dll");
    d.unloaded.push(Unloaded { base: 0x5000_0000, size: 0x1000, checksum: 0, timestamp: 0, name });
    d.modules.push(Module {
        base: 0x7ff6_0000_0000,
        size: 0x1000,
        checksum: 0,
        timestamp: 0,
        path: r"C:\work\Bob\app.dll".into(),
        version: None,
        cv: Cv::None,
    });
    let mut misc = Misc::process(4711, 0x6500_0000);
    misc.build_string = rule("build");
    misc.dbg_build_string = r"\Users\bob\x".into();
    d.misc = Some(misc);
    d.handles =
        Some(vec![Handle::new(4, "File", vec![]).named(&rule("handle")), Handle::new(8, "BOB", vec![])]);
    // Registers hold what was copied last: general ones, and the wide ones.
    let mut context = X64 { rip: 0x7ff6_0000_1000, rsp: STACK, ..X64::default() }.bytes();
    context[0xd8..0xe0].copy_from_slice(&word(1).to_le_bytes());
    context[0x1a0..0x1b0].copy_from_slice(b"\x01zq7-odd-xmm0-ab");
    context[0x1c1..0x1cf].copy_from_slice(&utf16(MARK));
    context[0x200..0x203].copy_from_slice(b"bob");
    d.threads[0].context = context.clone();
    d.threads[0].name = Some(rule("thread"));
    d.exception = Some(Exception {
        tid: 1,
        code: 0xe000_0001,
        flags: 1,
        record: 0,
        address: 0x7ff6_0000_1000,
        parameters: vec![word(2), word(3), u64::from_le_bytes(*b"\0\0bob\0\0\0")],
        context,
    });
    let before = d.bytes();
    let after = redacted(&d);
    let count = |file: &[u8]| {
        let low = file.to_ascii_lowercase();
        let finds = |needle: &[u8]| low.windows(needle.len()).filter(|w| *w == needle).count();
        [MARK, "bob"].iter().map(|t| finds(t.as_bytes()) + finds(&utf16(t))).sum::<usize>()
    };
    println!("in odd places: {} before, {} after", count(&before), count(&after));
    assert!(count(&before) >= 30, "{}", count(&before));
    assert_eq!(count(&after), 0);
    // What says where the program was stays.
    assert!(memchr_find(&after, &0x7ff6_0000_1000u64.to_le_bytes()));
}

#[test]
fn constants_of_images_stay_but_for_paths_of_users() {
    let base = 0x7ff6_0000_0000u64;
    let mut image = Image::new(Cpu::X64, base, r"C:\app\a.exe");
    // Names of functions and what a runtime tells of itself look like tokens and servers.
    let stays = "server=Lab.Program; g_Zx81kQp02LmTtY77aBcD";
    image.put_code(0x1200, stays.as_bytes());
    image.put_code(0x1300, br"C:\Users\quentin\x.txt");
    image.put_code(0x1400, br"D:\work\margrets-pc\x.pdb");
    let data = base + u64::from(image.layout().data);
    let mut d = ordinary();
    d.modules.push(image.module());
    image.map(&mut d.space);
    d.space.write(data + 0x100, b"a text in writable data");
    let also = [format!("db {:x} L400", base + 0x1100), format!("db {data:x} L200")];
    let after = redacted_with(&d, &also);
    assert!(is_in(&after, stays));
    for gone in ["quentin", "margrets", "writable"] {
        assert!(is_in(&d.bytes(), gone) && !is_in(&after, gone), "{gone}");
    }
}
