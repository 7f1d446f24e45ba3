//! `dumpscope worker`: a child of `triage`, which has it analyze one dump after the other.

use crate::Exit;
use crate::store;
use dumpscope_engine::batch::{Progressed, Tables, Workers, own_path, serve};
use dumpscope_symbols::store::{Event, Watch};
use std::ffi::OsStr;
use std::sync::Arc;

/// The command by which this program knows that it is a worker.
const COMMAND: &str = "worker";

/// How this program starts its workers; `None` where the system does not say where the program is.
pub(crate) fn workers(tables: Tables, memory: Option<u64>) -> Option<Workers> {
    let mut workers = Workers::new(own_path().ok()?, [COMMAND.into()]);
    workers.tables = tables;
    if let Some(mib) = memory {
        workers.memory = Some(mib << 20);
    }
    Some(workers)
}

/// True when this program was started as [`workers`] says. Other spellings of the command are clap's.
pub(crate) fn is_asked() -> bool {
    std::env::args_os().skip(1).eq([OsStr::new(COMMAND)])
}

/// Works until stdin ends.
pub(crate) fn run() -> Exit {
    let mut complete = |symbols: &mut dumpscope_symbols::SymbolConfig, told: Progressed| {
        // What is wrong with the files of credentials was told by who started this.
        symbols.store =
            Some(Arc::new(store::client(symbols.offline, &mut |_| {}, Arc::new(Downloads { told }))));
    };
    match serve(&mut complete) {
        0 => Exit::Done,
        1 => Exit::BadDump,
        _ => Exit::Usage,
    }
}

/// Passes on how far downloads are.
struct Downloads {
    told: Progressed,
}

impl std::fmt::Debug for Downloads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Downloads")
    }
}

impl Watch for Downloads {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Started { file, .. } => (self.told)(file, 0, None),
            Event::Progress { file, done, total } => (self.told)(file, *done, *total),
            Event::Ended { .. } => {}
        }
    }
}
