//! Lines, prefixes, errors, JSON: the command language over a small built dump.

use dumpscope_analyzers::Target;
use dumpscope_core::model::Dump;
use dumpscope_engine::command::{COMMANDS, CommandError};
use dumpscope_engine::{JsonSink, LineStatus, Session, TextSink, run_line};
use dumpscope_fixtures::small;
use dumpscope_symbols::SymbolConfig;
use proptest::prelude::*;
use std::sync::Arc;

pub(crate) fn session(wide: bool) -> Session {
    let (dump, _) = if wide { small::x64() } else { small::x86() };
    let config = SymbolConfig { offline: true, ..SymbolConfig::default() };
    let dump = Dump::from_bytes(dump.bytes()).unwrap();
    Session::new("small.dmp".into(), Arc::new(Target::new(dump, config)))
}

/// What a line prints, without trailing blanks, and how it ended.
pub(crate) fn run(session: &mut Session, line: &str) -> (String, LineStatus) {
    let mut text = Vec::new();
    let status = run_line(session, line, &mut TextSink::new(&mut text, false));
    let text = String::from_utf8(text).unwrap();
    (text.lines().map(|l| l.trim_end().to_owned() + "\n").collect(), status)
}

#[track_caller]
fn check(session: &mut Session, line: &str, expected: &str) {
    assert_eq!(run(session, line).0, expected, "{line}");
}

#[test]
fn commands_of_a_line_run_in_order() {
    let mut s = session(true);
    check(&mut s, ".echo a; .echo b", "a\nb\n");
    check(&mut s, ".echo \"a; b\"; .echo c", "a; b\nc\n");
    check(&mut s, "* .echo a; .echo b", "");
    check(&mut s, "$$ .echo a; .echo b", "b\n");
    check(&mut s, ".echo a\n.echo b", "a\nb\n");
    check(&mut s, " ; ;; ", "");
    assert_eq!(run(&mut s, "q; .echo a"), (String::new(), LineStatus::Quit));
    check(&mut s, ".printf \"%d-\", 0n1; .printf \"%d\\n\", 2; .echo x", "1-2\nx\n");
}

#[test]
fn a_line_sees_the_aliases_of_the_lines_before_it() {
    let mut s = session(true);
    check(&mut s, "as foo 5\n.echo ${foo}", "5\n");
    check(&mut s, "as foo 6\n\nas bar foo\n.echo ${foo} ${bar}; .echo x", "6 foo\nx\n");
    // On one line it stays as it was typed, as in WinDbg.
    check(&mut s, "ad *\naS foo 7; .echo ${foo}\n.echo ${foo}", "${foo}\n7\n");
}

#[test]
fn errors_say_what_to_type() {
    let mut s = session(true);
    check(&mut s, "!locks -z", "Syntax error at ''\nnote: usage: !locks [-v] [-o]\n");
    check(&mut s, "!critsec", "Numeric expression missing from ''\nnote: usage: !critsec address\n");
    assert!(run(&mut s, "dt -h").0.contains("usage: dt "));
    assert!(run(&mut s, "kz").0.contains("Did you mean k?"));
    assert!(run(&mut s, ".opendump x").0.contains("dumpscope FILE"));
    assert!(run(&mut s, "!waits 0").0.contains("the thread with number 0 is ~0"));
    assert!(run(&mut s, "!findstack NoSuchName").0.contains("no stack has"));
}

#[test]
fn errors_stand_below_what_is_wrong() {
    let mut s = session(true);
    let prompt = s.prompt();
    assert_eq!(prompt, "0:000> ");
    check(
        &mut s,
        "g",
        "       ^ No runnable debuggees error in 'g'\nnote: g needs a running process; a dump does not run.\n",
    );
    check(
        &mut s,
        ".echo a; g",
        "a\n                ^ No runnable debuggees error in 'g'\nnote: g needs a running process; a dump does not run.\n",
    );
    check(&mut s, "? nothing!here + 1", "Couldn't resolve error at 'nothing!here + 1'\n");
    check(&mut s, "dd 0 L90000000", "Range error at 'L90000000'\n");
    for wide in [false, true] {
        let mut s = session(wide);
        for command in ["d", "da", "db", "dd", "dq", "du", "dps", "u", "uu"] {
            for count in ["ffffffffffffffff", "100000001"] {
                let line = format!("{command} 1000 L?{count}");
                check(&mut s, &line, &format!("Range error at 'L?{count}'\n"));
            }
        }
        // A search ends at the last address.
        assert_eq!(run(&mut s, "s -d 1000 L?ffffffffffffffff 5a5a1234").1, LineStatus::Done);
    }
    check(&mut s, "? 1/0", "Operand error at '/0'\n");
    check(&mut s, "? @zzz", "Bad register error at '@zzz'\n");
    check(&mut s, "? poi(0)", "Memory access error at 'poi(0)'\n");
    // The error ends its line, not the lines after it; missing commands do not end it.
    check(&mut s, "? 1/0; .echo a\n.echo b", "Operand error at '/0'\nb\n");
    assert!(run(&mut s, "!foo; .echo a").0.ends_with("a\n"));
    assert_eq!(run(&mut s, "? 1/0").1, LineStatus::Failed);
}

#[test]
fn what_there_is_not_is_answered_politely() {
    let mut s = session(true);
    assert!(run(&mut s, "!dumpstack").0.starts_with("No export dumpstack found\n"));
    assert!(
        run(&mut s, "!psscor.foo").0.starts_with("The call to LoadLibrary(psscor) failed, Win32 error 0n2\n")
    );
    assert!(run(&mut s, "ed @rsp 0").0.contains("a dump cannot be changed"));
    assert!(run(&mut s, ".fomrats 1").0.contains(".formats"));
    assert_eq!(run(&mut s, "zzzzzzzzzz").0.lines().count(), 1);
    // Control characters of the command do not reach the terminal.
    assert!(!run(&mut s, "\u{1b}[31mx").0.contains('\u{1b}'));
}

#[test]
fn long_lines_and_nested_thread_prefixes_end() {
    let mut s = session(true);
    let (text, status) = run(&mut s, &"~*e ".repeat(250_000));
    assert_eq!((text.as_str(), status), ("~e is nested too deeply.\n", LineStatus::Failed));
    let count = s.dump().threads().len();
    assert_eq!(run(&mut s, "~*e ~*e .echo x").0.lines().count(), count * count);
    let (text, _) = run(&mut s, &format!("~*e {}", ".echo x;".repeat(20_000)));
    assert_eq!(text.lines().count(), 20_000 * count);
}

#[test]
fn thread_prefixes_select() {
    let mut s = session(true);
    let count = s.dump().threads().len();
    assert!(count > 1, "the fixture has several threads");
    let (text, status) = run(&mut s, "~*e ? @$dtid; .echo x");
    assert_eq!((text.matches("x\n").count(), status), (count, LineStatus::Done));
    assert_eq!(s.sel.thread.unwrap().0, 0, "the selection stays");
    let tid = s.dump().threads()[1].tid.0;
    let value = |text: String| text.split(" = ").nth(1).unwrap().trim().to_owned();
    for line in ["~1e ? @$tid", "~[1]e ? @$tid", "~[1-0]e ? @$tid"] {
        assert_eq!(value(run(&mut s, line).0), format!("00000000`{tid:08x}"), "{line}");
    }
    assert_eq!(run(&mut s, &format!("~~[{tid:x}]s")).1, LineStatus::Done);
    assert_eq!(s.prompt(), "0:001> ");
    assert_eq!(run(&mut s, "~.e ? @$dtid").0, "Evaluate expression: 1 = 00000000`00000001\n");
    check(&mut s, "~99s", "          ^ Illegal thread error in '~99s'\n");
    check(&mut s, "~[zz]s", "Couldn't resolve error at 'zz]s'\n");
    assert_eq!(run(&mut s, "~0s").1, LineStatus::Done);
    assert!(run(&mut s, "~1f").0.contains("cannot be frozen"));
}

#[test]
fn numbers_and_their_forms() {
    let mut s = session(true);
    check(&mut s, "? 1228", "Evaluate expression: 4648 = 00000000`00001228\n");
    check(&mut s, "? -1", "Evaluate expression: -1 = ffffffff`ffffffff\n");
    check(
        &mut s,
        "n 10; ? 10; n 16",
        "base is 10\nEvaluate expression: 10 = 00000000`0000000a\nbase is 16\n",
    );
    check(&mut s, "r $t0 = 5; ? @$t0 * 2", "Evaluate expression: 10 = 00000000`0000000a\n");
    check(&mut s, "r $t3", "$t3=0000000000000000\n");
    let (text, _) = run(&mut s, ".formats 00007ff6`0f621a40");
    let expected = "Evaluate expression:
  Hex:     00007ff6`0f621a40
  Decimal: 140694796769856
  Octal:   0000003777301730415100
  Binary:  00000000 00000000 01111111 11110110 00001111 01100010 00011010 01000000
  Chars:   .....b.@
  Time:    Tue Jun 12 20:11:19.676 1601 (UTC + 0:00)
  Float:   low 1.11477e-029 high 4.59037e-041
  Double:  6.95125e-310
";
    assert_eq!(text, expected);
    let mut s = session(false);
    check(&mut s, "? -1", "Evaluate expression: -1 = ffffffff\n");
    check(&mut s, "? ffffffff + 1", "Evaluate expression: 4294967296 = 00000001`00000000\n");
}

#[test]
fn json_is_an_array_of_answers() {
    let mut s = session(true);
    let mut sink = JsonSink::new(true);
    run_line(&mut s, "? 10; ~*e ? @$dtid; g", &mut sink);
    let document = sink.into_value();
    let entries = document.as_array().unwrap();
    assert_eq!(entries[0]["command"], "? 10");
    assert_eq!(entries[0]["report"], "evaluation");
    assert_eq!(entries[0]["data"]["value"], "0x10");
    assert_eq!(entries[0]["text"], "Evaluate expression: 16 = 00000000`00000010\n");
    assert_eq!(entries.last().unwrap()["report"], "error");
    assert_eq!(entries.last().unwrap()["data"]["message"], "^ No runnable debuggees error in 'g'");
}

#[test]
fn scripts_branch_and_loop() {
    let mut s = session(true);
    check(&mut s, ".if (@$ptrsize == 8) { .echo 64 } .else { .echo 32 }; .echo x", "64\nx\n");
    check(&mut s, ".if (0) { .echo a } .elsif (1) { .echo b } .else { .echo c }", "b\n");
    check(&mut s, ".for (r $t0 = 0; @$t0 < 3; r $t0 = @$t0 + 1) { .printf \"%d \", @$t0 }", "0 1 2\n");
    check(
        &mut s,
        "r $t0 = 3; .while (1) { r $t0 = @$t0 - 1; .if (@$t0 == 0) { .break } ; .echo t }",
        "t\nt\n",
    );
    check(&mut s, ".do { .continue; .echo never } (0); .echo end", "end\n");
    check(&mut s, ".foreach /pS 2 /ps 1 (x { .echo 1 2 3 4 5 6 }) { .echo <${x}> x }", "<3> 3\n<5> 5\n");
    check(&mut s, ".foreach /s (w \"a b\") { .echo w }", "a\nb\n");
    check(&mut s, ".catch { ? 1/0; .echo never }; .echo after", "Operand error at '/0'\nafter\n");
    check(
        &mut s,
        ".block { .block { ? 1/0 } ; .echo never }; .echo never\n.echo line",
        "Operand error at '/0'\nline\n",
    );
    check(&mut s, "aS word hello; .block { .echo word ${word}! }; ad word", "hello hello!\n");
    check(&mut s, "al", "No aliases\n");
    assert!(run(&mut s, ".shell rm -rf /").0.starts_with(".shell is refused"));
    assert!(run(&mut s, ".break").0.contains("no block"));
    assert!(run(&mut s, ".if (1").0.contains("Syntax error"));
    assert_eq!(run(&mut s, &".block {".repeat(100)).1, LineStatus::Failed);
    let deep = format!("{}{}", ".block {".repeat(100), "}".repeat(100));
    assert!(run(&mut s, &deep).0.contains("too deeply"));
}

#[test]
fn a_session_without_a_host_writes_nothing() {
    let mut s = session(true);
    assert!(run(&mut s, ".logopen /nowhere/x.log").0.contains("not available"));
    assert!(matches!(CommandError::message("x"), CommandError::Message { .. }));
}

#[test]
fn every_example_answers_in_text_and_json() {
    for wide in [false, true] {
        let mut s = session(wide);
        for command in COMMANDS {
            for (line, _) in command.examples {
                let (text, _) = run(&mut s, line);
                assert!(!text.contains("failed inside dumpscope"), "{line}: {text}");
                let mut sink = JsonSink::new(false);
                run_line(&mut s, line, &mut sink);
                assert!(sink.into_value().is_array());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Nothing that can be typed makes a command fail inside.
    #[test]
    fn any_line_is_answered(line in "[ -~]{0,40}", pick in 0usize..1000, tail in "[ -~]{0,20}") {
        let mut s = session(pick % 2 == 0);
        let name = COMMANDS[pick % COMMANDS.len()].name;
        for line in [line.clone(), format!("{name} {tail}"), format!("~*{name}{tail}"), format!("? {tail}")] {
            let (text, _) = run(&mut s, &line);
            prop_assert!(!text.contains("failed inside dumpscope"), "{}: {}", line, text);
        }
    }

    /// Brackets around an expression, and blanks before them, do not change what it is.
    #[test]
    fn brackets_do_not_change_an_expression(text in "[-+*/()a-f0-9$&|^<>= xhn]{1,24}") {
        let s = session(true);
        let value = |text: &str| s.eval(text).ok().filter(|(_, end)| *end == text.len()).map(|(value, _)| value);
        if let Some(plain) = value(&text) {
            prop_assert_eq!(value(&format!("  ({text})")), Some(plain), "{}", text);
        }
    }
}
