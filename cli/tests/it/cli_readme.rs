//! The README shows what the program really prints and has. `DUMPSCOPE_UPDATE=1 cargo test -p dumpscope readme`
//! writes it anew.

use crate::args;
use dumpscope_engine::COMMANDS;
use std::fmt::Write;
use std::path::PathBuf;

/// Replaces (or compares) what stands between two markers.
fn check(marker: &str, want: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let text = std::fs::read_to_string(&path).unwrap().replace("\r\n", "\n");
    let (open, close) = (format!("<!-- {marker} -->\n"), format!("<!-- /{marker} -->"));
    let (before, rest) = text.split_once(&open).unwrap();
    let (have, after) = rest.split_once(&close).unwrap();
    if have == want {
        return None;
    }
    if std::env::var_os("DUMPSCOPE_UPDATE").is_some() {
        std::fs::write(&path, format!("{before}{open}{want}{close}{after}")).unwrap();
        return None;
    }
    Some(format!(
        "README.md is not current ({marker}): run DUMPSCOPE_UPDATE=1 cargo test -p dumpscope readme"
    ))
}

/// The commands by group, in the order of their names.
fn table() -> String {
    let mut commands: Vec<_> = COMMANDS.iter().collect();
    commands.sort_by_key(|c| (c.group, c.name));
    let mut out = String::from("| command | what it does |\n| --- | --- |\n");
    let mut group = "";
    for command in commands {
        if command.group != group {
            group = command.group;
            writeln!(out, "| **{group}** | |").unwrap();
        }
        let names: Vec<String> = [command.name]
            .iter()
            .chain(command.aliases)
            .map(|n| format!("`{}`", n.replace('|', "\\|")))
            .collect();
        writeln!(out, "| {} | {} |", names.join(" "), command.summary.replace('|', "\\|")).unwrap();
    }
    out
}

#[test]
fn the_readme_is_current() {
    // One test: all parts are in one file.
    let screen = format!("```\n{}```\n", args(&["--demo"]).out);
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/data/demo.dmp");
    let commands = "!runaway; ~1k";
    let printed = args(&["exec", demo, "-c", commands]).out;
    let transcript: String = printed.lines().map(|l| l.trim_end().to_owned() + "\n").collect();
    let exec = format!("```\n$ dumpscope exec fixtures/data/demo.dmp -c \"{commands}\"\n{transcript}```\n");
    let keys = dumpscope_tui::keymap::markdown();
    let parts =
        [check("screen", &screen), check("exec", &exec), check("keys", &keys), check("commands", &table())];
    let stale: Vec<String> = parts.into_iter().flatten().collect();
    assert!(stale.is_empty(), "{stale:?}");
}
