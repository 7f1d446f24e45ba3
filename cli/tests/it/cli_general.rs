//! Help, wrong usage, schema, completions, manual page, colours, closed pipes.

use crate::{Dumps, args, dumpscope, run};
use std::process::Stdio;

#[test]
fn help_tells_examples_and_exit_codes() {
    let help = args(&["--help"]);
    assert_eq!(help.code, 0);
    for text in ["Examples:", "Exit codes:", "_NT_SYMBOL_PATH", "triage", "exec", "NO_COLOR"] {
        assert!(help.out.contains(text), "{text}");
    }
    for sub in ["exec", "triage"] {
        assert!(args(&[sub, "--help"]).out.contains("Examples:"), "{sub}");
    }
}

#[test]
fn wrong_usage_is_two() {
    let none = args::<&str>(&[]);
    assert_eq!((none.code, none.out.as_str()), (2, ""));
    assert!(none.err.contains("Usage:"));
    assert_eq!(args(&["--no-such-option"]).code, 2);
    assert_eq!(args(&["exec", "x.dmp"]).code, 2);
    assert_eq!(args(&["triage"]).code, 2);
    assert_eq!(args(&["triage", "x", "--fail-on", "flood"]).code, 2);
    assert_eq!(args(&["-q"]).code, 2);
}

#[test]
fn dumps_that_cannot_be_compared_are_told_in_one_line() {
    let missing = args(&["diff", "a.dmp", "b.dmp"]);
    assert_eq!(
        (missing.code, missing.out.as_str(), missing.err.lines().count()),
        (1, "", 1),
        "{}",
        missing.err
    );
    assert_eq!(args(&["diff", "a.dmp"]).code, 2, "two at least");
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, dump: dumpscope_fixtures::dump::Dump| {
        let path = folder.path().join(name);
        std::fs::write(&path, dump.bytes()).unwrap();
        path.display().to_string()
    };
    let ruby = write("ruby.dmp", dumpscope_fixtures::article::ruby_x86().0);
    let wmi = write("wmi.dmp", dumpscope_fixtures::article::wmiprvse_x86().0);
    let other = args(&["diff", &ruby, &wmi]);
    assert_eq!((other.code, other.err.lines().count()), (2, 1), "{}", other.err);
    assert!(other.err.contains("different processes"), "{}", other.err);
    // The same dump twice: nothing can have moved.
    let same = args(&["diff", &ruby, &ruby]);
    assert_eq!((same.code, same.out.as_str()), (2, ""), "{}", same.err);
    // Five seconds later.
    let mut bytes = std::fs::read(&ruby).unwrap();
    bytes[20] = bytes[20].wrapping_add(5);
    let later = folder.path().join("later.dmp");
    std::fs::write(&later, bytes).unwrap();
    let later = later.display().to_string();
    let text = args(&["diff", &ruby, &later]);
    assert!(text.code == 0 && text.out.starts_with("HANG"), "{}{}", text.out, text.err);
    let json: serde_json::Value =
        serde_json::from_str(&args(&["diff", "--format", "json", &ruby, &later]).out).unwrap();
    assert_eq!((json["schema"].as_str(), json["tid"].as_u64()), (Some("dumpscope.diff/1"), Some(0x734)));
}

#[test]
fn a_file_of_patterns_changes_sentences() {
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("a.dmp").display().to_string();
    std::fs::write(&dump, dumpscope_fixtures::article::wmiprvse_x86().0.bytes()).unwrap();
    let own = folder.path().join("own.toml").display().to_string();
    std::fs::write(
        &own,
        "[[wait]]\nname = 'pool_worker'\nfunctions = ['NtWaitForWorkViaWorkerFactory']\nkind = 'worker_idle'\ntext = 'dreams'\nidle = true\n",
    )
    .unwrap();
    assert!(args(&["triage", "--patterns", &own, &dump]).out.contains("dreams"));
    std::fs::write(&own, "[[wait]]\nnonsense = 1\n").unwrap();
    let bad = args(&["triage", "--patterns", &own, &dump]);
    assert_eq!(bad.code, 2);
    assert!(bad.err.contains("own.toml"), "{}", bad.err);
}

#[test]
fn a_file_of_hints_tells_what_arguments_mean() {
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("a.dmp").display().to_string();
    std::fs::write(&dump, dumpscope_fixtures::article::ruby_x86().0.bytes()).unwrap();
    let own = folder.path().join("own.toml").display().to_string();
    let table =
        "[[group]]\nmodules = ['ntdll']\n[group.functions]\nNtWaitForMultipleObjects = ['HowMany: number']\n";
    std::fs::write(&own, table).unwrap();
    let line = ["exec", "--hints", &own, &dump, "-c", "~0s; .args 0"];
    let run = args(&line);
    assert!(run.out.contains("HowMany"), "{}{}", run.out, run.err);
    std::fs::write(&own, "[[group]]\nnonsense = 1\n").unwrap();
    let bad = args(&line);
    assert!(bad.code != 0 && bad.err.contains("own.toml"), "{} {}", bad.code, bad.err);
}

#[test]
fn schema_completions_and_manual() {
    let schema: serde_json::Value = serde_json::from_str(&args(&["schema"]).out).unwrap();
    assert!(jsonschema::meta::is_valid(&schema));
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(args(&["completions", shell]).out.contains("dumpscope"), "{shell}");
    }
    let man = args(&["man"]);
    assert!(man.out.contains(".TH dumpscope") && man.out.contains("DUMPSCOPE TRIAGE"));
}

#[test]
fn colours_only_when_wanted() {
    let dumps = Dumps::new();
    let path = dumps.crash();
    let show = |color: &str| run(dumpscope().arg(&path).args(["--color", color])).out;
    // Stdout is no terminal here.
    assert!(!show("auto").contains('\x1b'));
    assert!(!show("never").contains('\x1b'));
    let colored = show("always");
    assert!(colored.contains("\x1b["));
    let plain: String = {
        let mut rest = colored.as_str();
        let mut out = String::new();
        while let Some((before, after)) = rest.split_once("\x1b[") {
            out.push_str(before);
            rest = after.split_once('m').unwrap().1;
        }
        out + rest
    };
    assert_eq!(plain, show("never"));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let dumps = Dumps::new();
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_dumpscope"))
        .args(["exec", "-f"])
        .arg(commands(&dumps))
        .arg(dumps.crash())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

/// A script that prints more than a pipe holds.
fn commands(dumps: &Dumps) -> std::path::PathBuf {
    let path = dumps.path().join("script.txt");
    std::fs::write(&path, ".echo some text that fills the pipe of a reader that has gone\n".repeat(5000))
        .unwrap();
    path
}
