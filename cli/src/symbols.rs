//! `dumpscope symbols fetch` and `symbols check`.

use crate::Exit;
use crate::args::{CommonArgs, SymbolsArgs, SymbolsCommand};
use crate::console::Console;
use crate::interrupt::on_interrupt;
use crate::{batch, store};
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::base::text::escape;
use dumpscope_core::model::Dump;
use dumpscope_engine::batch::files_of;
use dumpscope_symbols::locate::{Place, SymbolPath};
use dumpscope_symbols::store::open_to_others;
use dumpscope_symbols::{SymbolConfig, SymbolManager, SymbolSource, SymbolState};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

/// Runs one of them over all dumps.
pub(crate) fn run(args: &SymbolsArgs, common: &CommonArgs, console: &Console) -> anyhow::Result<Exit> {
    let (dumps, fetch) = match &args.command {
        SymbolsCommand::Fetch { dumps } => (dumps, true),
        SymbolsCommand::Check { dumps } => (dumps, false),
    };
    let cancel = on_interrupt();
    let mut config = store::config(common, &cancel, console);
    // Who asks for a download wants to know now, not what a server said yesterday.
    config.fresh = fetch;
    let mut exit = Exit::Done;
    for path in dumps.iter().flat_map(|d| files_of(d)) {
        if cancel.is_cancelled() {
            break;
        }
        let path = path.as_path();
        match Dump::open(path) {
            Ok(dump) => {
                // Who fetches wants to know that a server could not be asked or a file not be written.
                if one(path, dump, &config, fetch, &cancel, console)? && fetch {
                    exit = Exit::BadDump;
                }
            }
            Err(error) => {
                console.error(&batch::open_error(path, &error));
                exit = Exit::BadDump;
            }
        }
    }
    if cancel.is_cancelled() {
        console.error("stopped");
        return Ok(Exit::Interrupted);
    }
    Ok(exit)
}

/// Tells one dump's modules; gives whether a server failed for one of them, or its file could not be written.
fn one(
    path: &Path,
    dump: Dump,
    config: &SymbolConfig,
    fetch: bool,
    cancel: &Cancel,
    console: &Console,
) -> anyhow::Result<bool> {
    let target = Target::new(dump, config.clone());
    let symbols = &target.symbols;
    let all: Vec<usize> = (0..symbols.modules().len()).collect();
    symbols.load_now(&all, &|| cancel.is_cancelled());
    if cancel.is_cancelled() {
        return Ok(false);
    }
    let mut out = console.out();
    writeln!(out, "{}", escape(&path.to_string_lossy()))?;
    let mut counts = [0usize; 3];
    for i in 0..symbols.modules().len() {
        let kind = line(symbols, i, fetch, &mut out)?;
        if let Some(n) = counts.get_mut(kind) {
            *n = n.saturating_add(1);
        }
    }
    let [good, poor, none] = counts;
    writeln!(
        out,
        "{good} modules with symbol files, {poor} with exports or image tables only, {none} without names"
    )?;
    let count = |of: &dyn Fn(usize) -> bool| all.iter().filter(|&&i| of(i)).count();
    let failed = count(&|i| symbols.failed(i));
    if failed > 0 {
        writeln!(out, "For {failed} of them a server refused or did not answer: try again later.")?;
    }
    let unwritten = count(&|i| symbols.unwritten(i));
    if unwritten > 0 {
        writeln!(
            out,
            "For {unwritten} of them nothing could be written to the cache: see above, or name another with --cache."
        )?;
    }
    let path = SymbolPath::parse(&config.symbol_path);
    if fetch && !config.symbol_path.is_empty() && path.urls().next().is_none() {
        writeln!(out, "The symbol path names no server: there was nothing to fetch from.")?;
    }
    if config.symbol_path.is_empty() {
        writeln!(
            out,
            "No symbol path is set: -y 'srv*https://msdl.microsoft.com/download/symbols' asks Microsoft's server."
        )?;
    }
    for warning in open_stores(&path, config.cache.as_deref()) {
        writeln!(out, "{}", escape(&warning))?;
    }
    out.flush()?;
    Ok(failed > 0 || unwritten > 0)
}

/// Stores of the path, the cache among them, in which others can exchange files.
fn open_stores(path: &SymbolPath, cache: Option<&Path>) -> BTreeSet<String> {
    let stores = path.candidates(cache).into_iter().flat_map(|c| match c.place {
        Place::Store(dir) => vec![dir],
        _ => c.stores,
    });
    stores.filter_map(|dir| open_to_others(&dir)).collect()
}

/// One module: a line of the table, and for `check` (or where nothing was found) every place that was tried.
/// Gives 0 with a symbol file, 1 with names from the image only, 2 without names.
fn line(symbols: &SymbolManager, module: usize, fetch: bool, out: &mut impl Write) -> anyhow::Result<usize> {
    let Some(info) = symbols.modules().get(module) else { return Ok(2) };
    let (kind, what) = match symbols.state(module) {
        SymbolState::Loaded(source, file) => {
            let what = source_text(source);
            let kind = usize::from(source > SymbolSource::Breakpad);
            let file = if kind == 0 { file.unwrap_or_default() } else { String::new() };
            (kind, format!("{what}  {}", escape(&file)))
        }
        SymbolState::NotFound(_) | SymbolState::Deferred => (2, "no names".to_owned()),
    };
    let name = format!("{:<24}", escape(&info.file_name));
    writeln!(out, "  {}", format!("{name} {what}").trim_end())?;
    if let Some(missing) = symbols.missing(module) {
        writeln!(out, "      {missing}")?;
    }
    if !fetch {
        for tried in symbols.search_log(module) {
            writeln!(out, "      - {tried}")?;
        }
    }
    Ok(kind)
}

/// Where a module's names come from, in words.
pub(crate) const fn source_text(source: SymbolSource) -> &'static str {
    match source {
        SymbolSource::PrivatePdb => "private PDB",
        SymbolSource::PublicPdb => "public PDB",
        SymbolSource::Breakpad => "Breakpad file",
        SymbolSource::Dwarf => "DWARF of the image",
        SymbolSource::Coff => "COFF symbols of the image",
        SymbolSource::Exports => "exports only",
    }
}
