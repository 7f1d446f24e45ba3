//! The bundled demo dump (`--demo`): a ruby.exe that waits in a COM call, built by the `fixtures` crate.

use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::model::Dump;
use dumpscope_engine::batch::triage_target;
use dumpscope_engine::document::DumpRow;
use dumpscope_symbols::SymbolConfig;

const BYTES: &[u8] = include_bytes!("../data/demo.dmp");

/// Opens it.
pub(crate) fn open() -> Result<Dump, dumpscope_core::OpenError> {
    Dump::from_bytes(BYTES.to_vec())
}

/// Its answer.
pub(crate) fn row(symbols: SymbolConfig, cancel: &Cancel) -> anyhow::Result<DumpRow> {
    let target = Target::new(open()?, symbols);
    Ok(triage_target("demo.dmp", &target, cancel))
}
