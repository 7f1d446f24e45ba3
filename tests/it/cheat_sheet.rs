//! What people type first: the command lines of public cheat sheets, and what is to be answered.

use crate::core_common::shared_or_skip;
use crate::windbg_suite::Files;
use dumpscope_analyzers::Target;
use dumpscope_core::model::Dump;
use dumpscope_engine::{LineStatus, Session, TextSink, run_line};
use dumpscope_symbols::SymbolConfig;
use std::sync::Arc;

const LINES: &str = include_str!("cheat_sheet.txt");

#[test]
fn lines_of_cheat_sheets_are_answered() {
    let Some(shared) = shared_or_skip("windbg").filter(|s| s.join("windbg").is_dir()) else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("script"), ".echo from script\n").unwrap();
    let windbg = shared.join("windbg");
    let config = SymbolConfig {
        symbol_path: windbg.join("symbols/app-x64").display().to_string(),
        image_path: windbg.join("images/app-x64").display().to_string(),
        offline: true,
        ..SymbolConfig::default()
    };
    let dump = windbg.join("dumps/app-x64.dmp");
    let target = Arc::new(Target::new(Dump::open(&dump).unwrap(), config));
    let mut session = Session::new(dump.display().to_string(), target);
    session.host = Some(Arc::new(Files));
    let (mut works, mut refused, mut wrong) = (0, 0, Vec::new());
    for row in LINES.lines().filter(|l| l.starts_with(['+', '-'])) {
        // A line of `dx` may hold the arrow, too: the last one counts.
        let (line, expected) = row[2..].rsplit_once(" => ").unwrap();
        let line = line
            .replace("SHARED", &shared.display().to_string())
            .replace("TMP", &folder.path().display().to_string());
        let mut out = Vec::new();
        let status = run_line(&mut session, &line, &mut TextSink::new(&mut out, false));
        let text = String::from_utf8(out).unwrap();
        let right = match expected {
            "<nothing>" => text.trim().is_empty(),
            _ => text.contains(expected),
        };
        let kind = if row.starts_with('+') { LineStatus::Done } else { LineStatus::Failed };
        match kind {
            LineStatus::Done => works += 1,
            _ => refused += 1,
        }
        if !right || status != kind {
            wrong.push(format!("{row}\n  {status:?}:\n{text}"));
        }
    }
    println!("{works} lines work, {refused} are refused with a reason");
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), works + refused, wrong.join("\n"));
    assert!(works >= 180 && works + refused >= 200);
}
