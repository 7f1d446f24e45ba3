use super::wire::Said;
use super::*;
use crate::batch::{TriageOptions, triage, triage_target};
use crate::document::DumpRow;
use crate::redact::{RedactLevel, Redactor};
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::model::Dump;
use dumpscope_symbols::SymbolConfig;

#[test]
fn rows_and_what_incidents_need_come_through_the_pipe_as_they_were() {
    let (mut short, mut long) = (0, 0);
    for scenario in dumpscope_fixtures::scenarios::all() {
        let dump = Dump::from_bytes(scenario.dump.bytes()).unwrap();
        let row = triage_target("a.dmp", &Target::new(dump, SymbolConfig::default()), &Cancel::default());
        let mut line = Vec::new();
        Said::row(row.clone()).write(&mut line).unwrap();
        assert_eq!(line.iter().position(|b| *b == b'\n'), Some(line.len() - 1));
        // Names of fields would make it as long again.
        short += line.len();
        long += serde_json::to_vec(&row).unwrap().len();
        let Said::Row { row: back, digest } = serde_json::from_slice(&line).unwrap() else {
            panic!("{}: no row", scenario.name)
        };
        let back: DumpRow = super::wire::whole(*back, digest);
        assert_eq!(back, row, "{}", scenario.name);
        assert_eq!(back.digest.0, row.digest.0, "{}", scenario.name);
    }
    assert!(short < long, "{short} bytes instead of {long}");
}

#[test]
fn a_budget_of_three_seconds_ends_within_four() {
    let three = Duration::from_secs(3);
    assert!(three + grace(three) < Duration::from_millis(3950));
}

#[test]
fn lines_have_an_end() {
    let mut from = &b"one\ntwo\nlonger than allowed\n"[..];
    assert_eq!(super::process::line(&mut from, 10).as_deref(), Some(&b"one"[..]));
    assert_eq!(super::process::line(&mut from, 10).as_deref(), Some(&b"two"[..]));
    assert_eq!(super::process::line(&mut from, 10), None);
}

#[test]
fn who_does_not_serve_starts_no_workers() {
    // The tests are such a program.
    assert!(Workers::this_program().is_err());
}

#[test]
fn what_is_redacted_is_done_by_no_worker() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.dmp");
    std::fs::write(&path, dumpscope_fixtures::small::x64_crash().0.bytes()).unwrap();
    let answer = |redact| {
        // A program that is not there cannot be started, which the row says.
        let workers = Some(Workers::new(folder.path().join("nothing"), []));
        let options = TriageOptions { redact, workers, ..TriageOptions::default() };
        let row = triage(std::slice::from_ref(&path), &options, &|_| {}).dumps.remove(0);
        row.warnings.unwrap().iter().any(|w| w.contains("no worker process"))
    };
    assert!(answer(None));
    let redactor = Redactor::new(RedactLevel::Standard, None, None).unwrap();
    assert!(!answer(Some(redactor)));
}
