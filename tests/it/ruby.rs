//! Ruby through the program: `!rubystack` against Ruby's own backtraces, verdicts, the article's case.

use crate::lang_session::run;
use dumpscope_analyzers::Target;
use dumpscope_core::model::Dump;
use dumpscope_engine::Session;
use dumpscope_engine::batch::{TriageOptions, triage};
use dumpscope_engine::document::{Confidence, Document, FindingKind, Kind};
use dumpscope_symbols::SymbolConfig;
use std::path::PathBuf;
use std::sync::Arc;

fn config() -> SymbolConfig {
    SymbolConfig { offline: true, ..SymbolConfig::default() }
}

fn folder(test: &str) -> Option<PathBuf> {
    crate::core_common::shared_or_skip(test).map(|s| s.join("ruby"))
}

fn batch(paths: &[PathBuf]) -> Document {
    triage(paths, &TriageOptions { symbols: config(), jobs: 2, ..TriageOptions::default() }, &|_| {})
}

/// Backtraces by the thread's system id, from a truth (decimal ids) or from `!rubystack` (hexadecimal).
fn backtraces(text: &str, radix: u32) -> Vec<(u32, Vec<String>)> {
    let mut out: Vec<(u32, Vec<String>)> = Vec::new();
    for line in text.lines() {
        if let Some((_, id)) = line.split_once(" native=").filter(|_| !line.starts_with(' ')) {
            let id = u32::from_str_radix(id.split(' ').next().unwrap(), radix).unwrap();
            out.push((id, Vec::new()));
        } else if let (Some(frame), Some(last)) = (line.strip_prefix("  "), out.last_mut())
            && frame.contains(":in `")
        {
            last.1.push(frame.to_owned());
        }
    }
    out.sort();
    out
}

#[test]
fn rubystack_prints_rubys_own_backtraces() {
    let Some(folder) = folder("rubystack_prints_rubys_own_backtraces") else { return };
    let (mut lines, mut right) = (0, 0);
    for name in ["ruby31s-deadlock", "ruby31s-ole", "ruby31x86s-ole"] {
        let dump = Dump::open(&folder.join(format!("{name}-trim.dmp.zst"))).unwrap();
        let mut session = Session::new(name.into(), Arc::new(Target::new(dump, config())));
        let truth = backtraces(&std::fs::read_to_string(folder.join(format!("{name}.txt"))).unwrap(), 10);
        let (text, _) = run(&mut session, "!rubystack");
        let got = backtraces(&text, 16);
        for (id, wanted) in &truth {
            let mine = got.iter().find(|(i, _)| i == id).map_or(&[][..], |(_, f)| f);
            lines += wanted.len();
            right += wanted.iter().zip(mine).filter(|(a, b)| a == b).count();
        }
        assert_eq!(got, truth, "{name}");
        // The machine frames tell the place of each run of the interpreter.
        let (stack, _) = run(&mut session, "~0s;k");
        assert!(stack.contains("Ruby's frames stand above the run"), "{stack}");
    }
    eprintln!("lines of !rubystack: precision and recall {right} of {lines}");
}

#[test]
fn the_mutex_deadlock_names_both_threads() {
    let Some(folder) = folder("the_mutex_deadlock_names_both_threads") else { return };
    let document = batch(&[folder.join("ruby31s-deadlock-trim.dmp.zst")]);
    let v = document.dumps[0].verdict.as_ref().unwrap();
    assert_eq!((v.kind, v.confidence), (FindingKind::Deadlock, Confidence::Proven), "{}", v.summary);
    assert_eq!(v.tids, [36, 280]);
    assert!(
        v.summary.contains("\"deadlock-peer\"") && v.summary.contains("ohai_plugin.rb:41"),
        "{}",
        v.summary
    );
}

#[test]
fn the_com_case_names_the_ruby_line_and_what_the_server_waits_for() {
    let Some(folder) = folder("the_com_case_names_the_ruby_line") else { return };
    let client = folder.join("ruby31s-ole-trim.dmp.zst");
    let document = batch(&[client, folder.join("ruby31s-ole-server.dmp.zst")]);
    let row = document.dumps.iter().find(|d| d.path.contains("trim")).unwrap();
    let v = row.verdict.as_ref().unwrap();
    assert_eq!(v.kind, FindingKind::BlockedOnProcess, "{}", v.summary);
    assert_eq!((v.tid, v.server_pid), (Some(0x24), Some(0x11c)));
    for words in
        ["in each, called by instances_of (", "ohai_plugin.rb:11)", "chef_client.rb:90", "IEnumVARIANT::Next"]
    {
        assert!(v.summary.contains(words), "no {words} in {}", v.summary);
    }
    // The timer's sleep is over: it waits for the lock that the main thread keeps in its call.
    let timer = row.threads.iter().flatten().find(|t| t.name.as_deref() == Some("splay-timer")).unwrap();
    let wait = timer.wait.as_ref().unwrap();
    assert_eq!((wait.kind, wait.owner_tid), (Kind::Gvl, Some(0x24)));
    let incidents = document.incidents.as_ref().unwrap();
    let chain: Vec<_> = incidents[0].chain.iter().map(|l| (l.pid.unwrap(), l.tid.unwrap())).collect();
    assert_eq!(chain, [(0x20, 0x24), (0x11c, 0x134)]);
    assert!(incidents[0].root_cause.contains("lab-wmi-provider"), "{}", incidents[0].root_cause);
    assert_ne!(incidents[0].confidence, Confidence::Guess);
}
