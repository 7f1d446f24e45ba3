//! `!lmi`: one module in detail.

use super::{module_arg, pdb_row};
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::commands::stack::source_name;
use crate::doc::{Answer, Line, RenderCx, Role, Sink, Span};
use crate::fmt::{self, Hex};
use crate::image::{REPRO, debug_directory};
use crate::session::{Layout, Session};
use crate::tables::pe;
use dumpscope_core::base::text::escape;
use dumpscope_core::{Machine, Va};
use dumpscope_symbols::SymbolState;
use dumpscope_symbols::image::PeHeaders;
use serde::Serialize;

pub(crate) const LMI: Command = Command {
    name: "!lmi",
    group: "modules",
    syntax: "!lmi module",
    summary: "Shows what is known of a module and its symbols",
    help: "The module is named by its name or an address in it. `lmvm` shows its version information.",
    examples: &[("!lmi ntdll", "One module"), ("!lmi @$ip", "The module of the current instruction")],
    needs: &[Needs::Modules],
    run,
    ..Command::BASE
};

#[derive(Clone, Debug, PartialEq, Serialize)]
struct DebugLine {
    #[serde(rename = "type")]
    kind: &'static str,
    size: u32,
    rva: Hex,
    pointer: Hex,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct ModuleInfoReport {
    name: String,
    base: Hex,
    image: String,
    machine: Option<Hex>,
    timestamp: Hex,
    reproducible: bool,
    size: Hex,
    checksum: Hex,
    characteristics: Option<Hex>,
    /// Null when the image's headers are not in the dump.
    debug: Option<Vec<DebugLine>>,
    pdb: Option<super::report::PdbRow>,
    symbols: &'static str,
    symbol_source: Option<&'static str>,
    symbol_file: Option<String>,
    /// Symbols were looked for and no symbol file was found: what was looked for, where, and what to do. Untrusted.
    missing: Option<String>,
    #[serde(skip)]
    wide: bool,
}

impl Answer for ModuleInfoReport {
    const KIND: &'static str = "module";

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let modern = cx.layout == Layout::Modern;
        let field = |label: &str| Line::new().role(Role::Label, format!("{label:>15}: "));
        emit(Line::plain("Loaded Module Info: [").span(Span::untrusted(Role::Module, &self.name)).text("] "));
        emit(field("Module").span(Span::untrusted(Role::Module, &self.name)));
        emit(field("Base Address").text(fmt::addr_plain(Va(self.base.0), self.wide)));
        emit(field("Image Name").span(Span::untrusted(Role::Text, &self.image)));
        if let Some(machine) = self.machine {
            let number = (machine.0 & 0xffff) as u16;
            emit(field("Machine Type").text(format!("{number} ({})", pe::machine_name(number))));
        }
        let stamp = (self.timestamp.0 & 0xffff_ffff) as u32;
        let time = if self.reproducible {
            "(This is a reproducible build file hash, not a true timestamp)".to_string()
        } else {
            fmt::time_stamp(stamp)
        };
        emit(field("Time Stamp").text(format!("{stamp:08x} {time}")));
        emit(field("Size").text(format!("{:x}", self.size.0)));
        emit(field("CheckSum").text(format!("{:x}", self.checksum.0)));
        if let Some(c) = self.characteristics {
            emit(field("Characteristics").text(format!("{:x} {}", c.0, if modern { " " } else { "" })));
        }
        emit(Line::plain("Debug Data Dirs: Type  Size     VA  Pointer"));
        for d in self.debug.iter().flatten() {
            let kind = if d.kind == "cv" { "CODEVIEW".to_string() } else { d.kind.to_uppercase() };
            let line = match modern {
                true => format!("{kind:>21} {:>5x}, {:>5x}, {:>7x} ", d.size, d.rva.0, d.pointer.0),
                false => format!("{kind:>21} {:>5x}, {:>6x}, {:>7x} ", d.size, d.rva.0, d.pointer.0),
            };
            match (&self.pdb, d.kind) {
                (Some(pdb), "cv") => {
                    emit(Line::plain(line).text(format!("RSDS - GUID: {}", pdb.guid)));
                    emit(
                        Line::plain(format!("               Age: {:x}, Pdb: ", pdb.age))
                            .span(Span::untrusted(Role::Text, &pdb.path)),
                    );
                }
                _ => emit(Line::plain(line)),
            }
        }
        if let (Some(pdb), None) = (&self.pdb, &self.debug) {
            // The image is not in the dump: the module stream still names the PDB.
            emit(Line::plain(format!("             CODEVIEW  [Data not mapped] RSDS - GUID: {}", pdb.guid)));
            emit(
                Line::plain(format!("               Age: {:x}, Pdb: ", pdb.age))
                    .span(Span::untrusted(Role::Text, &pdb.path)),
            );
        }
        if self.debug.is_some() {
            emit(Line::plain("     Image Type: MEMORY   - Image read successfully from loaded memory."));
        } else {
            emit(Line::plain("     Image Type: NONE     - Image headers are not in the dump."));
        }
        let (kind, words, report) = match (self.symbols, self.symbol_source) {
            ("deferred", _) => ("DEFERRED", "No error - symbol load deferred", "no symbols loaded"),
            (_, Some("private_pdb")) => {
                ("PDB", "Symbols loaded successfully.", "private symbols & lines, not source indexed")
            }
            (_, Some("public_pdb")) => {
                ("PDB", "Symbols loaded successfully.", "public symbols , not source indexed")
            }
            (_, Some("breakpad")) => ("BREAKPAD", "Symbols loaded successfully.", "functions & lines"),
            (_, Some("dwarf")) => ("DWARF", "Symbols loaded from the image file.", "functions & lines"),
            (_, Some("coff")) => ("COFF", "Symbols loaded from the image file.", "names only"),
            (_, Some("exports")) => ("EXPORT", "PDB not found", "export symbols"),
            _ => ("NONE", "PDB not found", "no symbols loaded"),
        };
        emit(Line::plain(format!("    Symbol Type: {kind:<8} - {words}")));
        if let Some(file) = &self.symbol_file {
            emit(Line::plain("                 ").span(Span::untrusted(Role::Text, file)));
        }
        emit(Line::plain(format!("    Load Report: {report}")));
        if let Some(missing) = &self.missing {
            emit(Line(vec![Span::untrusted(Role::Note, missing)]));
        }
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    if args.is_empty() && session.sel.layout == Layout::Modern {
        return Err(CommandError::message("You must specify a module"));
    }
    let index = module_arg(session, &mut args)?;
    args.end()?;
    let Some(m) = session.target.symbols.modules().get(index) else {
        return Err(CommandError::message("Module not found"));
    };
    let memory = session.dump().memory().as_ref();
    let headers = PeHeaders::read(memory, m.base).ok();
    let debug = headers.as_ref().map(|h| debug_directory(memory, m.base, h));
    let manager = &session.target.symbols;
    let (symbols, source, file, missing) = match manager.state(index) {
        SymbolState::Deferred => ("deferred", None, None, None),
        SymbolState::Loaded(source, file) => {
            ("loaded", Some(source_name(source)), file, manager.missing(index))
        }
        SymbolState::NotFound(why) => ("not_found", None, None, Some(manager.missing(index).unwrap_or(why))),
    };
    let number = |machine: Machine| match machine {
        Machine::X86 => 0x14c,
        Machine::Amd64 => 0x8664,
        Machine::Arm64 => 0xaa64,
        Machine::Other(n) => n,
    };
    let machine = headers.as_ref().map(|h| h.machine).or(m.machine);
    let report = ModuleInfoReport {
        name: session.module_name(index),
        base: m.base.into(),
        image: escape(&m.file_name).into_owned(),
        machine: machine.map(|m| Hex(number(m).into())),
        timestamp: m.timestamp.into(),
        reproducible: debug.as_ref().is_some_and(|d| d.iter().any(|e| e.kind == REPRO)),
        size: m.size.into(),
        checksum: m.checksum.into(),
        characteristics: headers.as_ref().map(|h| h.characteristics.into()),
        debug: debug.map(|d| {
            let line = |e: &crate::image::DebugEntry| DebugLine {
                kind: pe::debug_type_name(e.kind),
                size: e.size,
                rva: e.rva.into(),
                pointer: e.pointer.into(),
            };
            d.iter().map(line).collect()
        }),
        pdb: m.codeview.as_ref().and_then(pdb_row),
        symbols,
        symbol_source: source,
        symbol_file: file.map(|f| escape(&f).into_owned()),
        missing: missing.map(|m| escape(&m).into_owned()),
        wide: session.dump().machine().is_64(),
    };
    session.emit(sink, &report)
}
