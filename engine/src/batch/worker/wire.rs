//! What goes through the pipes: lines of JSON, those of a worker without names of fields ([`super::short`]).

use super::Tables;
use super::short::Short;
use crate::batch::{TriageOptions, Workers};
use crate::document::{DumpRow, Kept};
use dumpscope_analyzers::incident::Digest;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::Write;
use std::time::Duration;

/// The first line to a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Setup {
    pub(super) symbol_path: String,
    pub(super) image_path: String,
    pub(super) cache: Option<OsString>,
    pub(super) offline: bool,
    pub(super) fresh: bool,
    pub(super) tables: Tables,
    pub(super) memory: Option<u64>,
    pub(super) budget: Option<Duration>,
}

impl Setup {
    pub(super) fn of(options: &TriageOptions, workers: &Workers) -> Setup {
        let symbols = &options.symbols;
        Setup {
            symbol_path: symbols.symbol_path.clone(),
            image_path: symbols.image_path.clone(),
            cache: symbols.cache.clone().map(OsString::from),
            offline: symbols.offline,
            fresh: symbols.fresh,
            tables: workers.tables.clone(),
            memory: workers.memory,
            budget: options.budget,
        }
    }
}

/// A dump to analyze. Its name may be no UTF-8.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ask {
    pub(super) path: OsString,
}

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Said {
    /// The dump was begun: its time counts from now on.
    Begun,
    /// A packed dump is being unpacked.
    Unpacking { done: u64, total: u64 },
    /// A file comes from a server.
    Download { file: String, done: u64, total: Option<u64> },
    /// The answer, and what incidents need of it.
    Row { row: Box<DumpRow>, digest: Option<Box<Digest>> },
}

impl Said {
    pub(super) fn row(mut row: DumpRow) -> Said {
        let digest = row.digest.0.take();
        Said::Row { row: Box::new(row), digest }
    }

    /// Writes the line. It is written as it comes: the memory that is left need not hold a large row once more.
    pub(super) fn write(&self, to: &mut impl Write) -> std::io::Result<()> {
        serde_json::to_writer(&mut *to, &Short(self))?;
        to.write_all(b"\n")
    }
}

/// A row with its digest again.
pub(super) fn whole(row: DumpRow, digest: Option<Box<Digest>>) -> DumpRow {
    DumpRow { digest: Kept(digest), ..row }
}
