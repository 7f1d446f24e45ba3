//! The published investigation, command by command: the output equals the transcripts of `shared/article`.
//!
//! Trailing blanks, `*** ERROR` lines and the prompt's number do not count, nor do our own `note:` lines behind
//! WinDbg's.

use dumpscope_analyzers::Target;
use dumpscope_core::Machine;
use dumpscope_core::model::Dump;
use dumpscope_engine::{LineStatus, RenderCx, Report, Session, Sink, TextSink, run_line};
use dumpscope_fixtures::symfile::{SymFile, write_folder};
use dumpscope_fixtures::{article, dump};
use dumpscope_symbols::SymbolConfig;
use std::ops::ControlFlow;
use std::sync::Arc;
use tempfile::TempDir;

/// An open fixture with its symbol folder.
pub(crate) struct Opened {
    pub(crate) session: Session,
    _symbols: TempDir,
}

/// Opens a fixture with its symbol files.
pub(crate) fn session_with_symbols(fixture: (dump::Dump, Vec<SymFile>)) -> Opened {
    open(fixture)
}

fn open((dump, symbols): (dump::Dump, Vec<SymFile>)) -> Opened {
    let folder = tempfile::tempdir().unwrap();
    write_folder(folder.path(), &symbols).unwrap();
    let config = SymbolConfig {
        symbol_path: folder.path().display().to_string(),
        offline: true,
        ..SymbolConfig::default()
    };
    let dump = Dump::from_bytes(dump.bytes()).unwrap();
    let session = Session::new("article.dmp".into(), Arc::new(Target::new(dump, config)));
    Opened { session, _symbols: folder }
}

impl Opened {
    /// What a command prints, without trailing blanks.
    fn run(&mut self, line: &str) -> Vec<String> {
        let mut text = Vec::new();
        let status = run_line(&mut self.session, line, &mut TextSink::new(&mut text, false));
        let text = String::from_utf8(text).unwrap();
        assert_eq!(status, LineStatus::Done, "{line}: {text}");
        text.lines().map(|l| l.trim_end().to_owned()).collect()
    }
}

/// Command and expected lines of a transcript; `None` when `shared/` is not there.
fn transcript(name: &str) -> Option<(String, Vec<String>)> {
    let Some(shared) = dumpscope_tests::shared() else {
        assert!(std::env::var_os("DUMPSCOPE_REQUIRE_SHARED").is_none(), "shared/ is missing");
        eprintln!("skipped {name}: no shared/ beside the checkout");
        return None;
    };
    let text = std::fs::read_to_string(shared.join("article").join(name)).unwrap();
    let mut lines = text.lines();
    let (_, command) = lines.next().unwrap().split_once("> ").unwrap();
    let rest = lines.filter(|l| !l.starts_with("*** ERROR")).map(|l| l.trim_end().to_owned());
    Some((command.to_owned(), rest.collect()))
}

fn same(actual: &[String], expected: &[String], what: &str) {
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert_eq!(a, e, "{what}, line {}\n--- whole output\n{}", i + 1, actual.join("\n"));
    }
    assert_eq!(actual.len(), expected.len(), "{what}: number of lines\n{}", actual.join("\n"));
}

/// Compares a transcript's output with what `run` prints for its command.
pub(crate) fn replay_with(run: &mut dyn FnMut(&str) -> Vec<String>, name: &str) {
    if let Some((command, expected)) = transcript(name) {
        let mut printed = run(&command);
        printed.retain(|l| !l.starts_with("note: "));
        same(&printed, &expected, name);
    }
}

fn replay(opened: &mut Opened, name: &str) {
    replay_with(&mut |line| opened.run(line), name);
}

#[test]
fn ruby_thread_times() {
    let mut o = open(article::ruby_x86());
    replay(&mut o, "01-runaway.txt");
    replay(&mut o, "02-runaway-7.txt");
}

#[test]
fn ruby_stacks() {
    let mut o = open(article::ruby_x86());
    replay(&mut o, "03-all-k.txt");
    replay(&mut o, "04-kb.txt");
}

#[test]
fn ruby_memory() {
    let mut o = open(article::ruby_x86());
    replay(&mut o, "05-dc-class-name.txt");
    replay(&mut o, "06-dc-method-name.txt");
    replay(&mut o, "09-dd.txt");
}

#[test]
fn ruby_handle() {
    replay(&mut open(article::ruby_x86()), "10-handle.txt");
}

#[test]
fn wmi_thread_list() {
    replay(&mut open(article::wmiprvse_x86()), "14-threads.txt");
}

/// Rows that a symbol file without split functions cannot name: their call site is not compared.
const SPLIT: [&str; 4] = [
    "ntdll!RtlpEnterCriticalSectionContended+0xa0",
    "combase!DefaultInvokeInApartment+0xffffffe8",
    "combase!ThreadInvoke+0x694",
    "rpcrt4!LRPC_ADDRESS::ProcessIO+0x481",
];

#[test]
fn wmi_orphan_stack() {
    let mut o = open(article::wmiprvse_x86());
    let Some((command, expected)) = transcript("11-orphan-kb.txt") else { return };
    let mut actual = o.run(&command);
    let mut wanted = Vec::new();
    for line in &expected {
        let Some(split) = SPLIT.iter().find(|s| line.contains(**s)) else {
            wanted.push(line.clone());
            continue;
        };
        if line.starts_with("(Inline)") {
            continue;
        }
        let columns = &line[..line.find(split).unwrap()];
        wanted.push(columns.to_owned());
        if let Some(row) = actual.iter_mut().find(|a| a.starts_with(columns)) {
            row.truncate(columns.len());
        }
    }
    same(&actual, &wanted, "11-orphan-kb.txt");
}

#[test]
fn wow64_before_the_switch() {
    replay(&mut open(article::ruby_wow64()), "15-wow64-k-before-switch.txt");
}

#[test]
fn wow64_after_the_switch_the_stack_is_the_32_bit_dumps() {
    let mut plain = open(article::ruby_x86());
    let expected = plain.run("~0k");
    if let Some((_, all)) = transcript("03-all-k.txt") {
        let first: Vec<String> = all.iter().skip(2).take_while(|l| !l.is_empty()).cloned().collect();
        same(&expected, &first, "~0k of the 32-bit dump");
    }
    let mut wide = open(article::ruby_wow64());
    wide.session.sel.machine = Machine::X86;
    same(&wide.run("~0k"), &expected, "machine set directly");
    for switch in [".effmach x86", "!wow64exts.sw"] {
        let mut wide = open(article::ruby_wow64());
        wide.run(switch);
        same(&wide.run("~0k"), &expected, switch);
    }
}

/// Takes the notes beside the output.
#[derive(Default)]
struct Notes(Vec<String>);

impl Sink for Notes {
    fn report(&mut self, _: &dyn Report, _: &RenderCx) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn note(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }
}

#[test]
fn the_64_bit_stack_tells_once_of_the_other() {
    let notes = |opened: &mut Opened, lines: &[&str]| {
        let mut notes = Notes::default();
        for line in lines {
            run_line(&mut opened.session, line, &mut notes);
        }
        notes.0
    };
    let told = notes(&mut open(article::ruby_wow64()), &["~*k", "k"]);
    assert!(matches!(told.as_slice(), [one] if one.contains("!sw")), "{told:?}");
    assert_eq!(notes(&mut open(article::ruby_wow64()), &["!sw", "k"]), [""; 0]);
    assert_eq!(notes(&mut open(article::ruby_x86()), &["k"]), [""; 0]);
}

#[test]
fn all_commands_call_the_two_ntdlls_alike() {
    for (view, own, other) in [("x86", "ntdll", "ntdll_7ff"), ("amd64", "ntdll_77", "ntdll")] {
        let mut o = open(article::ruby_wow64());
        o.run(".effmach x86");
        let stack = o.run("~0k");
        let ip = o.run("r eip").join("").split('=').nth(1).unwrap().trim().to_owned();
        assert!(stack.iter().any(|l| l.contains(" ntdll!NtWaitForMultipleObjects")), "{stack:?}");
        o.run(&format!(".effmach {view}"));
        for command in ["ln", "u", "lm a", "!address", ".printf \"%y\",", "!lmi"] {
            let text = o.run(&format!("{command} {ip}")).join("\n");
            let named = text.contains(own) && (own != "ntdll" || !text.contains("ntdll_"));
            assert!(named, "{view} {command}: {text}");
        }
        let list = o.run("lm m ntdll*").join("\n");
        assert!(list.contains(&format!(" {own}")) && list.contains(&format!(" {other}")), "{list}");
    }
}

#[test]
fn wmi_critical_sections() {
    let mut o = open(article::wmiprvse_x86());
    replay(&mut o, "12-critsec.txt");
    replay(&mut o, "13-locks.txt");
    // WinDbg does not say that the owner is gone; a line behind its output does.
    let note = "note: thread 2f84, the owner of 366e260, no longer exists: the lock is orphaned";
    for command in ["!critsec 0366e260", "!locks", "!cs -l", "!cs -o 0366e260"] {
        assert_eq!(o.run(command).last().map(String::as_str), Some(note), "{command}");
    }
}
