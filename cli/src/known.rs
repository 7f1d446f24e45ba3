//! `dumpscope known check FILE`, and the file of `triage --known`.

use crate::Exit;
use crate::args::KnownCommand;
use crate::console::Console;
use crate::output::read_table;
use anyhow::Context;
use dumpscope_engine::known::KnownIssues;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// Reads a file of known issues; gives its text, too.
pub(crate) fn read(path: &Path) -> anyhow::Result<(Arc<KnownIssues>, String)> {
    let text = read_table(path).with_context(|| format!("reading {}", path.display()))?;
    let known = KnownIssues::parse(&text).with_context(|| format!("in {}", path.display()))?;
    Ok((Arc::new(known), text))
}

pub(crate) fn run(command: &KnownCommand, console: &Console) -> anyhow::Result<Exit> {
    let KnownCommand::Check { file } = command;
    let (known, _) = read(file)?;
    let (count, failed) = known.check();
    let mut out = console.out();
    for text in &failed {
        writeln!(out, "FAILED {text}")?;
    }
    writeln!(out, "{} issues, {count} tests, {} failed", known.len(), failed.len())?;
    out.flush()?;
    Ok(if failed.is_empty() { Exit::Done } else { Exit::BadDump })
}
