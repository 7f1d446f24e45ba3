//! Modules and symbols: `lm`, `!lmi`, `ln`, `x`, `!dh`, `!imgscan`.

pub(crate) mod chkimg;
pub(crate) mod dh;
pub(crate) mod imgscan;
pub(crate) mod lmi;
pub(crate) mod near;
mod options;
mod report;
pub(crate) mod x;

use super::missing;
use super::stack::source_name;
use crate::command::{Command, CommandError, Glued, Invocation, Needs};
use crate::doc::{Line, Message, Sink};
use crate::expr::wildcard_match;
use crate::fmt::Hex;
use crate::image::{REPRO, debug_directory};
use crate::session::{Layout, Session};
use dumpscope_core::base::text::escape;
use dumpscope_core::base::{CodeView, FileVersion};
use dumpscope_core::{ModuleInfo, ReadMemory as _, Va};
use dumpscope_symbols::SymbolState;
use dumpscope_symbols::image::{PeHeaders, VersionResource, version_resource};
use options::LmOptions;
use report::{ModuleRow, ModulesReport, PdbRow, UnloadedRow, VersionRow};

pub(crate) const LM: Command = Command {
    name: "lm",
    glued: Glued::FlagsThenText("olvec1msDuktnifpaM", "mM"),
    group: "modules",
    syntax: "lm[o][l][e][v][c][1m][sm][i|f|n|t|p] [a address] [m pattern] [M path pattern]",
    summary: "Lists modules",
    help: "Flags, glued or apart: `v` all details with version information, `m` only names that match a pattern, `M` only \
           paths that match, `a` the module at an address, `o` without the unloaded ones, `l` only those with symbols, `e` \
           only those without, `1m` names only, `sm` sorted by name, `c` sizes and checksums, `i` file names, `f` paths, `n` \
           image names, `t` time stamps (UTC).\n\n\
           Listing loads no symbols: modules that nobody asked about are `(deferred)`.",
    examples: &[
        ("lm", "All modules"),
        ("lmvm ntdll", "All details of one module"),
        ("lmDvmntdll", "The same, as WinDbg's links write it"),
        ("lmv", "All details of all modules"),
        ("lm1m", "Names only"),
        ("lmtn", "Image names and time stamps"),
        ("lmf sm", "Paths, sorted by name"),
        ("lma @$ip", "The module that holds the instruction pointer"),
        ("lm m k*", "Names that match"),
        ("lmc o", "Sizes and checksums, without unloaded modules"),
    ],
    needs: &[Needs::Modules],
    run,
    ..Command::BASE
};

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let options = LmOptions::parse(session, inv.name.get(2..).unwrap_or(""), &mut args)?;
    let symbols = &session.target.symbols;
    let mut order: Vec<usize> = (0..symbols.modules().len()).collect();
    order.sort_by_key(|&i| symbols.modules().get(i).map(|m| m.base));
    if order.is_empty() && session.dump().modules().is_empty() {
        return Err(CommandError::noted("start    end        module name", missing::MODULES));
    }
    let matches =
        |pattern: &Option<String>, text: &str| pattern.as_deref().is_none_or(|p| wildcard_match(p, text));
    let modern = session.sel.layout == Layout::Modern;
    let mut modules = Vec::new();
    for index in order {
        let Some(m) = symbols.modules().get(index) else { continue };
        // `lm m foo.dll` means the module foo, too.
        let name = symbols.name_in(index, session.sel.machine);
        let named = matches(&options.name, name) || matches(&options.name, &m.file_name);
        if !named || !matches(&options.path, &m.path) || !options.address.is_none_or(|a| m.contains(a)) {
            continue;
        }
        let row = module_row(session, index, m, options.verbose);
        let has_symbols = row.symbols == "loaded" && row.symbol_source != Some("exports");
        let problem = row.symbols == "not_found" || row.symbol_source == Some("exports");
        // For today's engine exports are symbols, too, and `l` leaves out what was never asked for.
        let lacking = if modern { row.symbols == "deferred" } else { !has_symbols };
        if (options.with_symbols && lacking) || (options.problems && !problem) {
            continue;
        }
        modules.push(row);
        if session.cancel.is_cancelled() {
            return Err(CommandError::Stopped);
        }
    }
    if options.by_name {
        modules.sort_by_key(|m| m.name.to_lowercase());
    }
    for letter in &options.unknown {
        session.emit(sink, &Message(vec![Line::plain(format!("Unknown option '{letter}'"))]))?;
    }
    let quiet = options.loaded_only
        || options.with_symbols
        || options.problems
        || (options.names_only && !modern)
        || (modern && options.address.is_some());
    let unloaded = if quiet { Vec::new() } else { unloaded_rows(session, &options) };
    let wide = session.render_cx().wide || modules.iter().any(|m| m.end.0 > u64::from(u32::MAX));
    session.emit(sink, &ModulesReport { modules, unloaded, options, wide })
}

fn unloaded_rows(session: &Session, options: &LmOptions) -> Vec<UnloadedRow> {
    let list = session.dump().unloaded().value().map_or(&[][..], Vec::as_slice);
    let chosen = list.iter().filter(|u| {
        let end = u.base.offset(u.size.into());
        // Today's engine compares with the name as the dump has it.
        options.name.as_deref().is_none_or(|p| {
            wildcard_match(p, &u.name)
                || (session.sel.layout == Layout::Classic
                    && wildcard_match(p, &dumpscope_core::base::windbg_module_name(&u.name)))
        }) && options.path.as_deref().is_none_or(|p| wildcard_match(p, &u.name))
            && options.address.is_none_or(|a| a >= u.base && a < end)
    });
    chosen
        .map(|u| UnloadedRow {
            start: u.base.into(),
            end: u.base.offset(u.size.into()).into(),
            name: escape(&u.name).into_owned(),
            timestamp: u.timestamp.into(),
            checksum: u.checksum.into(),
            size: u.size,
        })
        .collect()
}

/// Everything `lm` can show of a module. `details` also reads the image's headers and version resource.
fn module_row(session: &Session, index: usize, m: &ModuleInfo, details: bool) -> ModuleRow {
    let text = |s: &str| escape(s).into_owned();
    let (symbols, source, file) = match session.target.symbols.state(index) {
        SymbolState::Deferred => ("deferred", None, None),
        SymbolState::Loaded(source, file) => ("loaded", Some(source_name(source)), file),
        SymbolState::NotFound(why) => ("not_found", None, Some(why)),
    };
    let memory = session.dump().memory().as_ref();
    let headers = if details { PeHeaders::read(memory, m.base).ok() } else { None };
    let reproducible = headers.as_ref().and_then(|h| {
        let entries = debug_directory(memory, m.base, h);
        (!entries.is_empty()).then(|| entries.iter().any(|e| e.kind == REPRO))
    });
    let resource = headers.as_ref().and_then(|h| version_resource(memory, m.base, h));
    ModuleRow {
        name: session.module_name(index),
        start: m.base.into(),
        end: m.end().into(),
        image: text(&m.file_name),
        path: text(&m.path),
        machine: m.machine.map(dumpscope_core::Machine::json_name),
        timestamp: m.timestamp.into(),
        reproducible,
        checksum: m.checksum.into(),
        size: m.size,
        symbols,
        symbol_source: source,
        symbol_file: file.map(|f| text(&f)),
        pdb: m.codeview.as_ref().and_then(pdb_row),
        in_memory: memory.u16(m.base) == Some(0x5a4d),
        version: if details { version_row(m.version.as_ref(), resource.as_ref()) } else { None },
        index,
    }
}

fn pdb_row(codeview: &CodeView) -> Option<PdbRow> {
    match codeview {
        CodeView::Pdb70 { guid, age, path } => Some(PdbRow {
            path: escape(path).into_owned(),
            guid: format!("{{{}}}", guid.to_string().to_uppercase()),
            age: *age,
        }),
        CodeView::Pdb20 { signature, age, path } => {
            Some(PdbRow { path: escape(path).into_owned(), guid: format!("{signature:08X}"), age: *age })
        }
        _ => None,
    }
}

/// Texts that `lmv` shows, in its order.
const STRINGS: [&str; 12] = [
    "CompanyName",
    "ProductName",
    "InternalName",
    "OriginalFilename",
    "ProductVersion",
    "FileVersion",
    "PrivateBuild",
    "SpecialBuild",
    "FileDescription",
    "LegalCopyright",
    "LegalTrademarks",
    "Comments",
];

fn version_row(stream: Option<&FileVersion>, resource: Option<&VersionResource>) -> Option<VersionRow> {
    let fixed = stream.copied().or_else(|| resource?.fixed.map(from_words));
    if fixed.is_none() && resource.is_none() {
        return None;
    }
    let parts = |p: [u16; 4]| format!("{}.{}.{}.{}", p[0], p[1], p[2], p[3]);
    let strings = resource.map(|r| {
        let text = |key: &'static str| Some((key, escape(r.get(key)?.trim_end()).into_owned()));
        STRINGS.into_iter().filter_map(text).collect()
    });
    Some(VersionRow {
        file: fixed.map(|f| parts(f.file)),
        product: fixed.map(|f| parts(f.product)),
        flags: fixed.map(|f| (f.flags.into(), f.flags_mask.into())),
        os: fixed.map(|f| f.os.into()),
        file_type: fixed.map(|f| (f.file_type, f.file_subtype)),
        date: fixed.map(|f| (Hex::from(f.date.0), Hex::from(f.date.1))),
        translations: resource.map_or_else(Vec::new, |r| {
            r.translations.iter().map(|(lang, page)| format!("{lang:04x}.{page:04x}")).collect()
        }),
        strings,
    })
}

/// `VS_FIXEDFILEINFO` from its 13 words.
fn from_words(words: [u32; 13]) -> FileVersion {
    let [
        _,
        _,
        file_high,
        file_low,
        product_high,
        product_low,
        mask,
        flags,
        os,
        kind,
        subtype,
        date_high,
        date_low,
    ] = words;
    let parts = |high: u32, low: u32| {
        [(high >> 16) as u16, (high & 0xffff) as u16, (low >> 16) as u16, (low & 0xffff) as u16]
    };
    FileVersion {
        file: parts(file_high, file_low),
        product: parts(product_high, product_low),
        flags,
        flags_mask: mask,
        os,
        file_type: kind,
        file_subtype: subtype,
        date: (date_high, date_low),
    }
}

/// The module that an argument names: by WinDbg's name, file name or an address in it.
fn module_arg(session: &Session, args: &mut crate::lang::Cursor<'_>) -> Result<usize, CommandError> {
    let word = args.peek().to_string();
    let machine = session.sel.machine;
    if let Some(index) = session.target.symbols.modules_named_in(&word, machine).first() {
        args.word();
        return Ok(*index);
    }
    let not_found = || CommandError::message(format!("{} not found", escape(&word)));
    let value: Va = args.address(session).map_err(|_| not_found())?;
    session.target.symbols.module_at(value).ok_or_else(not_found)
}
