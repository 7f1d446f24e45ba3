//! The published investigation with PDBs: the output equals the transcripts of `shared/article`, parameters,
//! objects and split functions included.

use crate::article_replay::replay_with;
use dumpscope_analyzers::Target;
use dumpscope_core::model::Dump;
use dumpscope_engine::{LineStatus, Session, TextSink, run_line};
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
fn open((dump, _): (dump::Dump, Vec<SymFile>)) -> Session {
    let config = SymbolConfig {
        symbol_path: folder().display().to_string(),
        offline: true,
        ..SymbolConfig::default()
    };
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
