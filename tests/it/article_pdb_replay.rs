//! The published investigation with PDBs: the output equals the transcripts of `shared/article`, parameters,
//! objects and split functions included.

use crate::article_replay::replay_with;
use dumpscope_analyzers::Target;
use dumpscope_core::model::Dump;
use dumpscope_engine::{JsonSink, LineStatus, Session, TextSink, run_line};
use dumpscope_fixtures::symfile::SymFile;
use dumpscope_fixtures::{article, dump};
use dumpscope_symbols::SymbolConfig;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the PDBs are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/pdb")
}

/// Opens a fixture with the PDBs as its only symbols.
fn open(fixture: (dump::Dump, Vec<SymFile>)) -> Session {
    open_with(fixture, &folder())
}

/// Opens a fixture with the PDBs of a folder.
pub(crate) fn open_with((dump, _): (dump::Dump, Vec<SymFile>), folder: &Path) -> Session {
    let config =
        SymbolConfig { symbol_path: folder.display().to_string(), offline: true, ..SymbolConfig::default() };
    let dump = Dump::from_bytes(dump.bytes()).unwrap();
    Session::new("article.dmp".into(), Arc::new(Target::new(dump, config)))
}

/// What a command prints, without trailing blanks.
fn run(session: &mut Session, line: &str) -> Vec<String> {
    let mut text = Vec::new();
    let status = run_line(session, line, &mut TextSink::new(&mut text, false));
    let text = String::from_utf8(text).unwrap();
    assert_eq!(status, LineStatus::Done, "{line}: {text}");
    text.lines().map(|l| l.trim_end().to_owned()).collect()
}

fn replay_all(session: &mut Session, names: &[&str]) {
    for name in names {
        replay_with(&mut |line| run(session, line), name);
    }
}

#[test]
fn stacks_with_lines_and_inlined_calls() {
    replay_all(&mut open(article::ruby_x86()), &["03-all-k.txt", "04-kb.txt"]);
}

#[test]
fn parameters() {
    replay_all(&mut open(article::ruby_x86()), &["07-kP.txt"]);
}

#[test]
fn an_object_of_a_class() {
    replay_all(&mut open(article::ruby_x86()), &["08-dt-cmessagecall.txt"]);
}

/// Functions in several pieces and an inlined call whose first range lies behind the instruction: what symbol
/// files of Breakpad cannot say, PDBs do.
#[test]
fn split_functions() {
    let mut s = open(article::wmiprvse_x86());
    replay_all(&mut s, &["11-orphan-kb.txt", "12-critsec.txt", "13-locks.txt", "14-threads.txt"]);
}

/// What needs no symbols, or exports only, is the same with PDBs.
#[test]
fn the_other_transcripts() {
    let names = [
        "01-runaway.txt",
        "02-runaway-7.txt",
        "05-dc-class-name.txt",
        "06-dc-method-name.txt",
        "09-dd.txt",
        "10-handle.txt",
    ];
    replay_all(&mut open(article::ruby_x86()), &names);
}

/// The 64-bit dump of the same process: the PDBs serve its 32-bit modules.
#[test]
fn stacks_of_the_wow64_dump() {
    let mut plain = open(article::ruby_x86());
    let mut wide = open(article::ruby_wow64());
    run(&mut wide, ".effmach x86");
    for line in ["~0kP", "dt CMessageCall 0x00505170"] {
        assert_eq!(run(&mut wide, line), run(&mut plain, line), "{line}");
    }
}

/// The text shows what lies at the module's base, as WinDbg does; the document says that this is no storage.
#[test]
fn a_static_member_without_storage() {
    let mut sink = JsonSink::new(false);
    run_line(&mut open(article::ruby_x86()), "dt CMessageCall 0x00505170", &mut sink);
    let value = sink.into_value();
    let rows = value[0]["data"]["rows"].as_array().unwrap();
    let row = |name: &str| rows.iter().find(|r| r["name"] == name).unwrap();
    assert_eq!(row("Kind")["storage"], false);
    assert_eq!(row("Kind")["address"], "0x76ef0000");
    assert_eq!(row("s_uCurrentCallTraceId")["storage"], true);
    assert_eq!(row("s_uCurrentCallTraceId")["address"], "0x7703e09c");
    assert_eq!(value[0]["data"]["ambiguous"].as_array().map(Vec::len), Some(2));
}

/// Variables: `this`, locals that were optimized away, and what the transcripts do not show.
#[test]
fn variables_of_a_frame() {
    let mut s = open(article::ruby_x86());
    let of = |s: &mut Session, frame: u32| run(s, &format!(".frame {frame:x}; dv /t /v")).split_off(1);
    assert_eq!(
        of(&mut s, 6),
        [
            "0028ecd0 class CMessageCall * pCall = 0x00505170",
            "0028ecb8 struct _GUID * rmoid = 0x00509fb4 {70622196-bea4-9302-ac70-cabc069d1e23}",
            "<unavailable> long hr = <value unavailable>",
        ]
    );
    assert_eq!(
        of(&mut s, 8)[..2],
        [
            "0028ee14 class CRpcChannelBuffer * this = 0x005c9c54",
            "0028ee18 struct tagRPCOLEMESSAGE * pMessage = 0x0028ef84",
        ]
    );
}
