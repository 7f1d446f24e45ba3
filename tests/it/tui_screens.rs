//! Whole screens of the TUI. Rewritten with `INSTA_UPDATE=always`.

use crate::tui_common::{From, Tui};
use dumpscope_fixtures::{article, hostile, scenarios, small};
use dumpscope_tui::panes::PaneKind;
use std::sync::Mutex;

#[test]
fn large() {
    let mut tui = Tui::with(150, 44, "", small::x64_crash());
    tui.line("k; r");
    insta::assert_snapshot!(tui.screen());
}

#[test]
fn compact() {
    let mut tui = Tui::with(80, 24, "", article::ruby_x86());
    tui.line("!runaway 7");
    tui.keys(&["alt+6"]);
    insta::assert_snapshot!(tui.screen());
}

#[test]
fn huge_wow64() {
    let mut tui = Tui::with(220, 60, "", article::ruby_wow64());
    tui.keys(&["f8", "alt+4"]);
    insta::assert_snapshot!(tui.screen());
}

#[test]
fn tiny_screens_do_not_break() {
    let mut tui = Tui::with(80, 24, "", small::x86());
    for (w, h) in [(40, 10), (20, 5), (11, 4), (5, 3), (3, 2), (1, 1)] {
        tui.send(dumpscope_tui::msg::Msg::Resize(w, h));
        tui.terminal.backend_mut().resize(w, h);
        for keys in [&["ctrl+p"][..], &["esc"], &["alt+5", "a"], &["esc", "?"], &["esc"], &["alt+1", "tab"]] {
            tui.keys(keys);
            tui.screen();
        }
    }
    tui.send(dumpscope_tui::msg::Msg::Resize(40, 10));
    tui.terminal.backend_mut().resize(40, 10);
    insta::assert_snapshot!(tui.screen());
}

#[test]
fn no_symbols_ascii_and_no_colours() {
    let mut tui = Tui::new(120, 36, "theme = \"none\"\nascii = true\n");
    tui.open("nosym.dmp", From::Bytes(article::ruby_x86().0.bytes()));
    tui.keys(&["alt+8"]);
    let screen = tui.screen();
    let beyond = screen.chars().find(|c| !c.is_ascii());
    assert_eq!(beyond, None);
    insta::assert_snapshot!(screen);
    let buffer = tui.terminal.backend().buffer();
    let colored = buffer
        .content()
        .iter()
        .find(|c| c.fg != ratatui::style::Color::Reset || c.bg != ratatui::style::Color::Reset);
    assert!(colored.is_none(), "{colored:?}");
}

#[test]
fn deadlock_graph() {
    let all = scenarios::all();
    let deadlock = all.iter().find(|s| s.truth.kind == "deadlock" && s.truth.cycle.len() >= 2).unwrap();
    let mut tui = Tui::with(110, 40, "", (deadlock.dump.clone(), deadlock.symbols.clone()));
    tui.keys(&["alt+w", "f11"]);
    insta::assert_snapshot!(tui.screen());
}

#[test]
fn the_graph_says_that_an_owner_no_longer_exists() {
    let all = scenarios::all();
    let orphan = all.iter().find(|s| s.name == "orphaned lock (10, x64)").unwrap();
    let mut tui = Tui::with(110, 40, "", (orphan.dump.clone(), orphan.symbols.clone()));
    tui.keys(&["alt+w", "f11"]);
    let screen = tui.screen();
    assert!(screen.contains("thread id 2f84, which no longer exists"), "{screen}");
}

#[test]
fn two_dumps_of_one_incident() {
    let Some(shared) = crate::core_common::shared_or_skip("two_dumps_of_one_incident") else { return };
    let mut tui = Tui::new(110, 40, "");
    for (name, file) in [("ruby.dmp", "ruby-x86.dmp.zst"), ("wmiprvse.dmp", "wmiprvse-x64.dmp.zst")] {
        let dump = dumpscope_core::model::Dump::open(&shared.join("lab").join(file)).unwrap();
        tui.open(name, From::Open(Mutex::new(Some(Box::new(dump)))));
    }
    tui.keys(&["alt+2", "f11"]);
    let screen = tui.screen();
    assert!(screen.contains("11c") && screen.contains("118"), "{screen}");
    insta::assert_snapshot!(screen);
}

#[test]
fn long_lines_go_on_below_themselves() {
    let mut tui = Tui::with(60, 24, "", article::ruby_x86());
    tui.keys(&["alt+6", "f11"]);
    assert!(tui.screen().contains('›'), "lines are cut off");
    tui.keys(&["w"]);
    let screen = tui.screen();
    assert!(!screen.contains('›'), "{screen}");
    insta::assert_snapshot!(screen);
    // All of it can be reached, page by page.
    let last = tui.state.doc(PaneKind::Stack).unwrap().len() - 1;
    for _ in 0..40 {
        tui.keys(&["pgdn"]);
    }
    assert_eq!(tui.state.doc(PaneKind::Stack).unwrap().cursor, last);
    tui.keys(&["g"]);
    assert_eq!(tui.screen(), screen);
}

#[test]
fn palette_help_and_candidates() {
    let mut tui = Tui::with(100, 30, "", small::x64());
    tui.keys(&["ctrl+p"]);
    tui.text("stack");
    insta::assert_snapshot!("palette", tui.screen());
    tui.keys(&["esc"]);
    tui.text("!t");
    tui.keys(&["tab"]);
    insta::assert_snapshot!("candidates", tui.screen());
}

#[test]
fn errors() {
    let mut tui = Tui::new(80, 24, "");
    tui.open("broken.dmp", From::Bytes(b"MDMPnot really".to_vec()));
    insta::assert_snapshot!("not_a_dump", tui.screen());
    let mut tui = Tui::with(80, 24, "", small::x64());
    tui.line("dd zzz!nothing");
    tui.line("!nosuch");
    insta::assert_snapshot!("bad_commands", tui.screen());
}

#[test]
fn start_screen() {
    let mut tui = Tui::new(80, 24, "");
    tui.state.recent = vec!["/dumps/app.dmp".into(), "/dumps/\u{1b}[31mevil.dmp".into()];
    tui.keys(&["down"]);
    insta::assert_snapshot!(tui.screen());
}

#[test]
fn hostile_dumps_send_nothing_to_the_terminal() {
    for case in hostile::all() {
        let mut tui = Tui::new(100, 30, "");
        tui.open(case.name, From::Bytes(case.bytes));
        for keys in [&["alt+9"][..], &["alt+6"], &["alt+8"], &["alt+0"], &["alt+w"], &["alt+7"], &["alt+2"]] {
            tui.keys(keys);
            let screen = tui.screen();
            let control = screen
                .chars()
                .find(|c| (c.is_control() && *c != '\n') || matches!(c, '\u{202a}'..='\u{202e}'));
            assert_eq!(control, None, "{}: {screen}", case.name);
        }
    }
}
