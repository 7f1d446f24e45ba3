//! Every command of the engine's table works from the TUI's command window.

use crate::tui_common::Tui;
use dumpscope_engine::COMMANDS;
use dumpscope_fixtures::{article, small};

fn all(mut tui: Tui) {
    for command in COMMANDS {
        // Opens a file; the TUI has no host here.
        for (example, _) in command.examples {
            let before = tui.state.transcript.len() + tui.state.transcript.dropped;
            tui.line(example);
            let after = tui.state.transcript.len() + tui.state.transcript.dropped;
            assert!(after > before, "{example}: not even its prompt");
            assert!(!tui.state.is_busy(), "{example}: still busy");
            tui.screen();
        }
    }
    let text = tui.transcript();
    assert!(!text.contains("failed inside dumpscope"), "{text}");
    let foreign = text.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(foreign, None);
}

#[test]
fn every_command_from_the_command_window() {
    all(Tui::with(150, 44, "", small::x64_crash()));
    all(Tui::with(80, 24, "", article::ruby_wow64()));
}

#[test]
fn quitting_is_a_command_too() {
    let mut tui = Tui::with(80, 24, "", small::x64());
    tui.line("q");
    assert!(tui.quit);
}
