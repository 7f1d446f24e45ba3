//! What commands print on the dumps that `fixtures` builds, in both layouts. Rewritten with `INSTA_UPDATE=always`.

use dumpscope_analyzers::Target;
use dumpscope_core::model::Dump;
use dumpscope_engine::{Layout, Session, TextSink, run_line};
use dumpscope_fixtures::symfile::{SymFile, write_folder};
use dumpscope_fixtures::{article, dump, small};
use dumpscope_symbols::SymbolConfig;
use std::sync::Arc;

/// A transcript of commands, prompts included, without trailing blanks.
fn transcript((dump, symbols): (dump::Dump, Vec<SymFile>), layout: Layout, lines: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    write_folder(folder.path(), &symbols).unwrap();
    let config = SymbolConfig {
        symbol_path: folder.path().display().to_string(),
        offline: true,
        ..SymbolConfig::default()
    };
    let dump = Dump::from_bytes(dump.bytes()).unwrap();
    let mut session = Session::new("fixture.dmp".into(), Arc::new(Target::new(dump, config)));
    session.sel.layout = layout;
    let mut out = String::new();
    for line in lines {
        out.push_str(&format!("{}{line}\n", session.prompt()));
        let mut text = Vec::new();
        run_line(&mut session, line, &mut TextSink::new(&mut text, false));
        for line in String::from_utf8(text).unwrap().lines() {
            // The symbol folder has another name each time.
            let line = line.replace(&folder.path().display().to_string(), "SYMBOLS");
            out.push_str(line.trim_end());
            out.push('\n');
        }
    }
    out
}

const PROCESS: [&str; 14] = [
    "~",
    "~*",
    "!runaway 7",
    ".ttime",
    "vertarget",
    "|",
    "||",
    "!teb",
    "!peb",
    "!gle",
    "!handle",
    "!handle 0 f",
    "lm",
    ".lastevent",
];

#[test]
fn ruby_process() {
    insta::assert_snapshot!(transcript(article::ruby_x86(), Layout::Classic, &PROCESS));
}

#[test]
fn ruby_modern() {
    let lines = ["k 4", "kb 4", "kv 4", "kn 3", "kc 3", "kf 3", "!handle 260 f", "!runaway", "lmvm combase"];
    insta::assert_snapshot!(transcript(article::ruby_x86(), Layout::Modern, &lines));
}

#[test]
fn ruby_wow64() {
    let lines =
        ["!teb", ".effmach", "!sw", "k 3", "!wow64exts.info", "!sw", "lm", "!address @$csp", ".effmach foo"];
    insta::assert_snapshot!(transcript(article::ruby_wow64(), Layout::Classic, &lines));
}

#[test]
fn wmi_frames() {
    let lines = [
        "~3s",
        ".frame 4",
        ".f+",
        ".f-",
        ".frame 60",
        "!findstack signdrv",
        "k = 0385e064 3",
        "~9s",
        "!uniqstack",
    ];
    insta::assert_snapshot!(transcript(article::wmiprvse_x86(), Layout::Classic, &lines));
}

#[test]
fn small_x64_crash() {
    let lines = [
        ".lastevent",
        ".exr -1",
        ".ecxr",
        "k",
        ".cxr",
        "k",
        "ln @$ip",
        "!address -summary",
        "!address @$ip",
        "!vprot",
        ".dumpdebug",
        "!handle",
        "!runaway",
        "!error 80070005",
    ];
    insta::assert_snapshot!(transcript(small::x64_crash(), Layout::Modern, &lines));
}
