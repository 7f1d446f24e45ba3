//! The README and `docs` show what the program really prints and has. `DUMPSCOPE_UPDATE=1 cargo test -p dumpscope
//! readme` writes them anew.

use crate::args;
use dumpscope_engine::COMMANDS;
use dumpscope_engine::command::{OtherKind, find, others};
use std::fmt::Write;
use std::path::PathBuf;

/// Replaces (or compares) what stands between two markers of a file.
fn check(file: &str, marker: &str, want: &str) -> Option<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
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
    Some(format!("{file} is not current ({marker}): run DUMPSCOPE_UPDATE=1 cargo test -p dumpscope readme"))
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

/// WinDbg's commands that are not here: why, and what comes nearest.
fn missing() -> String {
    const KINDS: &[(OtherKind, &str)] = &[
        (OtherKind::Live, "need a process that runs"),
        (OtherKind::Write, "change memory or registers; a dump stays as it is"),
        (OtherKind::Kernel, "are for kernel dumps"),
        (OtherKind::Managed, "of SOS, not built in"),
        (OtherKind::Missing, "not built in"),
        (OtherKind::Open, "open another dump: `dumpscope FILE`"),
    ];
    let mut out = String::from("| commands | nearest here |\n| --- | --- |\n");
    for (kind, why) in KINDS {
        writeln!(out, "| **{why}** | |").unwrap();
        let rows: Vec<_> = others().iter().filter(|o| o.kind == *kind && find(o.name).is_none()).collect();
        let mut nearest: Vec<&str> = rows.iter().map(|o| o.instead).collect();
        nearest.sort_unstable();
        nearest.dedup();
        for near in nearest {
            let names: Vec<String> =
                rows.iter().filter(|o| o.instead == near).map(|o| format!("`{}`", o.name)).collect();
            let near =
                if near.is_empty() { String::new() } else { format!("`{}`", near.replace('|', "\\|")) };
            writeln!(out, "| {} | {near} |", names.join(" ")).unwrap();
        }
    }
    assert!(others().iter().all(|o| KINDS.iter().any(|k| k.0 == o.kind)));
    out
}

/// The tools of `dumpscope mcp`, as it lists them.
fn tools() -> String {
    let mut out = String::from("| tool | what it answers |\n| --- | --- |\n");
    for tool in crate::mcp::tools().as_array().unwrap() {
        let text = |name: &str| tool[name].as_str().unwrap();
        writeln!(out, "| `{}` | {} |", text("name"), text("description")).unwrap();
    }
    out
}

#[test]
fn the_readme_is_current() {
    // One test: some parts are in one file.
    let screen = format!("```\n{}```\n", args(&["--demo"]).out);
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/data/demo.dmp");
    let commands = "!runaway; ~1k";
    let printed = args(&["exec", demo, "-c", commands]).out;
    let transcript: String = printed.lines().map(|l| l.trim_end().to_owned() + "\n").collect();
    let exec = format!("```\n$ dumpscope exec cli/data/demo.dmp -c \"{commands}\"\n{transcript}```\n");
    let keys = dumpscope_tui::keymap::markdown();
    let parts = [
        check("README.md", "screen", &screen),
        check("README.md", "exec", &exec),
        check("docs/keys.md", "keys", &keys),
        check("docs/commands.md", "commands", &table()),
        check("docs/windbg.md", "others", &missing()),
        check("docs/mcp.md", "tools", &tools()),
    ];
    let stale: Vec<String> = parts.into_iter().flatten().collect();
    assert!(stale.is_empty(), "{stale:?}");
}
