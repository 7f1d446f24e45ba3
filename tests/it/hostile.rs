//! Hostile dumps: open and every command, as text and as JSON: no panic, no hang, no control characters.

use dumpscope_analyzers::Target;
use dumpscope_core::model::Dump;
use dumpscope_engine::{COMMANDS, JsonSink, Session, TextSink, run_line};
use dumpscope_fixtures::hostile::{self, Hostile};
use dumpscope_symbols::SymbolConfig;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// More than any command takes on a small dump (milliseconds), even unoptimized on a busy machine. Beyond it the
/// command does not end in practice: that is what these tests look for, not speed.
const LIMIT: Duration = Duration::from_secs(10);

/// Lines besides the commands' own examples: those that touch most of a dump.
const LINES: &[&str] = &[
    "~",
    "~*",
    "~*k",
    "~*kb",
    "~*kv",
    "~*r",
    "~0s",
    "~1k",
    ".ecxr",
    "k",
    "lm",
    "lmv",
    "!handle",
    "!handle 0 ff",
    "!teb",
    "!peb",
    "!locks",
    "!address",
    "!uniqstack",
    ".effmach x86",
    "~*k",
    "!wow64exts.info",
    "!teb",
    "!peb",
    ".effmach amd64",
    ".exr -1",
    "vertarget",
    ".dumpdebug",
    "!analyze -v",
    "x *!*",
    "ln @$ip",
    "u @$ip",
    "dps @$csp L20",
];

fn lines() -> Vec<String> {
    let examples = COMMANDS.iter().flat_map(|c| c.examples.iter().map(|(line, _)| (*line).to_owned()));
    LINES.iter().map(|l| (*l).to_owned()).chain(examples).collect()
}

/// True for characters that must not reach a terminal.
fn forbidden(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}')
}

fn session(bytes: Vec<u8>) -> Option<Session> {
    let dump = Dump::from_bytes(bytes).ok()?;
    let config = SymbolConfig { offline: true, ..SymbolConfig::default() };
    Some(Session::new("hostile.dmp".into(), Arc::new(Target::new(dump, config))))
}

/// Everything that is wrong with how a dump was handled.
fn complaints(case: &Hostile, lines: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    let name = case.name;
    let start = Instant::now();
    let Some(mut text_session) = session(case.bytes.clone()) else { return wrong };
    let mut json_session = session(case.bytes.clone()).unwrap();
    if start.elapsed() > LIMIT {
        wrong.push(format!("{name}: opening took {:?}", start.elapsed()));
    }
    for line in lines.iter().filter(|l| !l.trim_start().starts_with(".log") && l.trim() != "q") {
        let start = Instant::now();
        let mut out = Vec::new();
        run_line(&mut text_session, line, &mut TextSink::new(&mut out, false));
        let mut json = JsonSink::new(false);
        run_line(&mut json_session, line, &mut json);
        let json = json.into_value().to_string();
        let took = start.elapsed();
        let out = String::from_utf8(out).unwrap();
        if out.contains("failed inside dumpscope") || json.contains("failed inside dumpscope") {
            wrong.push(format!("{name}: {line}: {}", out.trim()));
        }
        if took > LIMIT {
            wrong.push(format!("{name}: {line} took {took:?}"));
        }
        if let Some(c) = out.chars().find(|c| forbidden(*c)) {
            let at = out.lines().find(|l| l.contains(c)).unwrap_or_default();
            wrong.push(format!("{name}: {line} prints {c:?} in {at:?}"));
        }
    }
    wrong
}

#[test]
fn no_panic_no_hang_no_control_characters() {
    let lines = Arc::new(lines());
    let mut wrong = Vec::new();
    let of_dumps: Vec<String> = lines.iter().filter(|l| !dumpscope_tests::asks_no_dump(l)).cloned().collect();
    let of_dumps = Arc::new(of_dumps);
    for (nth, case) in hostile::all().into_iter().enumerate() {
        let (send, receive) = mpsc::channel();
        let (name, lines) = (case.name, if nth == 0 { lines.clone() } else { of_dumps.clone() });
        std::thread::spawn(move || {
            let result = std::panic::catch_unwind(|| complaints(&case, &lines));
            let _ = send
                .send(result.unwrap_or_else(|_| vec![format!("{}: panic outside of commands", case.name)]));
        });
        match receive.recv_timeout(Duration::from_secs(300)) {
            Ok(found) => wrong.extend(found),
            Err(_) => wrong.push(format!("{name}: hangs")),
        }
    }
    assert!(wrong.is_empty(), "{} complaints\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn output_does_not_depend_on_the_run() {
    // Hash order and thread timing must not show: every command twice, in two sessions.
    let lines = lines();
    for bytes in
        [dumpscope_fixtures::small::x64().0.bytes(), dumpscope_fixtures::article::ruby_wow64().0.bytes()]
    {
        let run = || {
            let mut s = session(bytes.clone()).unwrap();
            let mut out = Vec::new();
            for line in lines.iter().filter(|l| !l.trim_start().starts_with(".log")) {
                run_line(&mut s, line, &mut TextSink::new(&mut out, false));
            }
            String::from_utf8(out).unwrap()
        };
        assert_eq!(run(), run());
    }
}

/// A small generator of test positions: the same on every run.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n.max(1)
    }
}

/// Opens and asks for what every stream holds; complaints as in [`complaints`].
fn quick(name: &'static str, bytes: Vec<u8>) -> Vec<String> {
    let lines = ["~*", "~*kb 30", "lm", "!handle 0 f", "!peb", "~*r", ".exr -1"].map(str::to_owned);
    complaints(&Hostile { name, bytes }, &lines)
}

#[test]
fn truncated_dumps() {
    let mut wrong = Vec::new();
    let mut random = Lcg(1);
    for (name, dump) in [
        ("ruby x86", dumpscope_fixtures::article::ruby_x86().0),
        ("ruby wow64", dumpscope_fixtures::article::ruby_wow64().0),
        ("wmiprvse x86", dumpscope_fixtures::article::wmiprvse_x86().0),
    ] {
        let built = dump.build();
        let len = built.bytes.len();
        let mut cuts: Vec<usize> = built.labels.values().copied().collect();
        cuts.extend(cuts.clone().into_iter().map(|c| c + 1));
        cuts.extend((0..60).map(|_| random.below(len)));
        cuts.sort_unstable();
        cuts.dedup();
        for cut in cuts.into_iter().filter(|c| *c < len) {
            wrong.extend(quick(name, built.bytes[..cut].to_vec()));
        }
    }
    assert!(wrong.is_empty(), "{} complaints\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn flipped_bytes() {
    let mut wrong = Vec::new();
    let mut random = Lcg(7);
    for (name, dump) in
        [("small x86", dumpscope_fixtures::small::x86().0), ("small x64", dumpscope_fixtures::small::x64().0)]
    {
        let built = dump.build();
        let streams = built.at("memory64.0");
        for i in 0..300 {
            let mut bytes = built.bytes.clone();
            for _ in 0..8 {
                // Two of three flips hit the streams, the others the process's memory.
                let at = if i % 3 == 0 { random.below(bytes.len()) } else { random.below(streams) };
                bytes[at] = random.below(256) as u8;
            }
            wrong.extend(quick(name, bytes));
        }
    }
    assert!(wrong.is_empty(), "{} complaints\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn module_names_do_not_lead_out_of_the_symbol_folder() {
    use dumpscope_fixtures::{dump::Cv, small, symfile};
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("symbols");
    std::fs::create_dir_all(&inside).unwrap();
    let (dump, symbols) = small::x64();
    let main = symbols.iter().find(|s| s.debug_file == "demo.pdb").unwrap();
    // The right symbol file, but beside the symbol folder.
    let outside = symfile::SymFile { debug_file: "demo.pdb".into(), ..main.clone() };
    symfile::write_folder(&folder.path().join("outside"), &[outside]).unwrap();
    for name in [
        r"..\outside\demo.pdb",
        "../outside/demo.pdb",
        &folder.path().join("outside/demo.pdb").display().to_string(),
        r"..\outside\demo.pdb\..\demo.pdb",
    ] {
        let mut dump = dump.clone();
        let module = dump.modules.iter_mut().find(|m| m.path.ends_with("demo.exe")).unwrap();
        let Cv::Rsds(_, _, path) = &mut module.cv else { unreachable!() };
        *path = name.to_owned();
        let config = SymbolConfig {
            symbol_path: inside.display().to_string(),
            offline: true,
            ..SymbolConfig::default()
        };
        let dump = Dump::from_bytes(dump.bytes()).unwrap();
        let mut s = Session::new("x.dmp".into(), Arc::new(Target::new(dump, config)));
        let mut out = Vec::new();
        run_line(&mut s, "~*k", &mut TextSink::new(&mut out, false));
        let out = String::from_utf8(out).unwrap();
        assert!(!out.contains("wait_for_worker"), "{name}\n{out}");
        assert!(out.contains("demo+0x"), "{name}\n{out}");
    }
}
