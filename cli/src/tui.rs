//! `dumpscope DUMP...` on a terminal.

use crate::Exit;
use crate::args::{CommonArgs, LayoutArg, OpenArgs};
use crate::console::Console;
use crate::demo;
use crate::host::Files;
use crate::store;
use dumpscope_engine::Layout;
use std::io::{self, IsTerminal};
use std::sync::Arc;

/// True when somebody sits there: stdin and stdout are terminals, and the terminal can place its cursor.
pub(crate) fn is_possible() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
    // mintty of Git Bash is a pair of pipes to a Windows program: it looks like a terminal and takes no console calls.
    let pipes = cfg!(windows) && std::env::var_os("TERM_PROGRAM").is_some_and(|t| t == "mintty");
    io::stdin().is_terminal() && io::stdout().is_terminal() && !dumb && !pipes
}

/// Runs it until the user leaves.
pub(crate) fn run(open: &OpenArgs, common: &CommonArgs, console: &Console) -> anyhow::Result<Exit> {
    let options = dumpscope_tui::Options {
        dumps: open.dumps.clone(),
        demo: open.demo,
        demo_dump: demo::open,
        symbols: Box::new(|watch| store::config_for(common, console, watch)),
        layout: match common.layout {
            LayoutArg::Classic => Layout::Classic,
            LayoutArg::Modern => Layout::Modern,
        },
        host: Arc::new(Files::default()),
        color: console.color(),
        on_start: Box::new(|stopper| {
            // Ctrl+C is a key there; this is for a polite end from outside.
            let _ = ctrlc::set_handler(move || stopper.stop());
        }),
    };
    dumpscope_tui::run(options)?;
    Ok(Exit::Done)
}
