//! From a walked stack to its report.

use super::flags::{KFlags, Params};
use super::report::{Param, Row, Site, Source, StackReport};
use crate::batch::rows;
use crate::commands::args::with_hints;
use crate::fmt::{self, Hex};
use crate::session::{Layout, Session};
use dumpscope_analyzers::model::Argument;
use dumpscope_analyzers::{Scope, Stack, StackFrame};
use dumpscope_core::base::text::escape;
use dumpscope_core::{Machine, ReadMemory, ThreadIdx};
use dumpscope_symbols::types::{Type, bare};
use dumpscope_symbols::unwind::FrameData;
use dumpscope_symbols::{EndReason, SymbolSource, Trust};

/// The JSON name of a symbol source.
pub(crate) fn source_name(source: SymbolSource) -> &'static str {
    match source {
        SymbolSource::PrivatePdb => "private_pdb",
        SymbolSource::PublicPdb => "public_pdb",
        SymbolSource::Breakpad => "breakpad",
        SymbolSource::Dwarf => "dwarf",
        SymbolSource::Coff => "coff",
        SymbolSource::Exports => "exports",
    }
}

/// The report of a stack: at most `limit` rows (inlined calls count, as in WinDbg).
pub(crate) fn stack_report(
    session: &Session,
    stack: &Stack,
    thread: Option<ThreadIdx>,
    flags: KFlags,
    limit: usize,
) -> StackReport {
    let mut frames: Vec<Row> =
        (0..stack.frames.len().min(limit)).filter_map(|i| row(session, stack, i, flags)).collect();
    // Once for all rows: a stack may have tens of thousands.
    for (at, warning) in stack.warnings() {
        if let Some(row) = frames.get_mut(at) {
            row.warning.get_or_insert(warning.text());
        }
    }
    if flags.args || flags.params != Params::None {
        // Where there is a symbol file, and in the modern layout, parameters are what WinDbg shows: none without private symbols.
        let add = flags.params != Params::None && session.sel.layout == Layout::Classic;
        for (row, found) in frames.iter_mut().zip(with_hints(session, stack)) {
            add_arguments(row, &found);
            if add && row.parameters.is_none() && !row.inline && row.symbol_source == Some("exports") {
                row.parameters = named(&found);
            }
        }
    }
    let added = super::languages::added(session, stack, thread);
    for (at, source) in added.sources {
        if let Some(row) = frames.get_mut(at) {
            row.source.get_or_insert(source);
        }
    }
    let tid = thread.and_then(|t| session.dump().thread(t)).map(|t| t.tid.0);
    let wide = stack.machine.is_64();
    let cut = frames.len() < stack.frames.len();
    let (end, note) = end_words(&stack.end, wide);
    let mut notes: Vec<String> = scanned(&frames).into_iter().collect();
    notes.extend(note.filter(|_| !cut));
    notes.extend(added.notes);
    StackReport {
        thread: thread.map(|t| t.0),
        tid,
        machine: stack.machine.json_name(),
        frames,
        end: if cut { "frame limit".into() } else { end },
        notes,
        script: added.rows,
        set_context: session.sel.context.is_some(),
        wide,
        flags,
    }
}

/// One row of a stack.
pub(crate) fn row(session: &Session, stack: &Stack, index: usize, flags: KFlags) -> Option<Row> {
    let f = stack.frames.get(index)?;
    let inline = f.trust == Trust::Inline;
    // Today's engine looks up the line of the return address itself, not of the call before it.
    let at_return = session.sel.layout == Layout::Modern && index > 0 && !inline && !f.managed;
    let line = match at_return.then(|| session.target.symbols.line(f.frame.ip)).flatten() {
        Some(line) if f.line.is_some() => Some(line),
        _ => f.line.clone(),
    };
    Some(Row {
        number: u32::try_from(index).unwrap_or(u32::MAX),
        site: site(session, stack.machine, f),
        sp: f.frame.sp.into(),
        frame_base: f.frame.frame_base.into(),
        return_address: f.frame.return_address.into(),
        stack_words: if flags.args && !inline { stack_words(session, stack, index) } else { Vec::new() },
        args: None,
        parameters: if flags.params == Params::None { None } else { parameters(session, stack, index) },
        source: line.as_ref().map(|l| Source { file: escape(&l.file).into_owned(), line: l.line }),
        inline,
        trust: rows::trust(f.trust),
        issue: rows::issue(f),
        symbol_source: f.source.map(source_name),
        fpo: if flags.verbose && !inline { fpo(session, stack.machine, f) } else { None },
        convention: if flags.verbose { convention(session, stack.machine, f) } else { None },
        warning: None,
    })
}

fn site(session: &Session, machine: Machine, f: &StackFrame) -> Site {
    let ip = f.frame.ip;
    if f.managed {
        return Site {
            ip: ip.into(),
            module: f.assembly.as_deref().map(|a| escape(a).into_owned()),
            function: f.function.as_deref().map(|n| escape(n).into_owned()),
            displacement: Hex(f.displacement),
        };
    }
    if let Some(module) = f.module {
        return Site {
            ip: ip.into(),
            module: Some(escape(session.target.symbols.name_in(module, machine)).into_owned()),
            function: f
                .symbol
                .as_ref()
                .filter(|_| f.trust != Trust::Inline)
                .and_then(|s| crate::commands::code::export_name(session, module, s))
                .or_else(|| f.function.clone())
                .map(|n| escape(&n).into_owned()),
            displacement: Hex(f.displacement),
        };
    }
    // A frame in a module that is gone by now.
    match session.target.unloaded_at(ip) {
        Some((name, offset)) => Site {
            ip: ip.into(),
            module: Some(escape(&name).into_owned()),
            function: None,
            displacement: Hex(offset),
        },
        None => Site { ip: ip.into(), ..Site::default() },
    }
}

/// What lies where a function finds its arguments. x86: behind the return address. x64: the four home slots, which
/// start at the caller's stack pointer.
fn stack_words(session: &Session, stack: &Stack, index: usize) -> Vec<Option<Hex>> {
    let memory = session.dump().memory();
    let Some(f) = stack.frames.get(index) else { return Vec::new() };
    let (start, count) = if stack.machine == Machine::X86 {
        (Some(f.frame.frame_base.offset(8)), 3)
    } else {
        let rest = stack.frames.get(index + 1..).unwrap_or_default();
        (rest.iter().find(|c| c.trust != Trust::Inline).map(|c| c.frame.sp), 4)
    };
    let size = stack.machine.ptr_size() as u64;
    (0..count).map(|i| Some(memory.ptr(start?.offset(i * size), stack.machine)?.into())).collect()
}

/// Adds recovered arguments to a row; parameters without a value get it from them.
fn add_arguments(row: &mut Row, found: &[Argument]) {
    if row.inline {
        return;
    }
    row.args = Some(found.iter().map(rows::arg).collect());
    for param in row.parameters.iter_mut().flatten().filter(|p| p.value.is_none()) {
        let same = found.iter().find(|a| a.name.as_deref().is_some_and(|n| escape(n) == param.name));
        let Some(value) = same.and_then(|a| a.value.as_ref()) else { continue };
        let (source, confidence) = (value.source.name(), value.confidence.name());
        param.value = Some(format!("0x{:x} ({source}, {confidence})", value.bits));
        (param.bits, param.source, param.confidence) =
            (Some(Hex(value.bits)), Some(source), Some(confidence));
        param.note = None;
    }
}

/// Parameters that the tables of Windows' functions name; `None` when they name none.
fn named(found: &[Argument]) -> Option<Vec<Param>> {
    let param = |a: &Argument| {
        let row = rows::arg(a);
        let value = a.value.as_ref();
        let words = value.map(|v| format!("0x{:x} ({}, {})", v.bits, v.source.name(), v.confidence.name()));
        let hint = row.hint.map(|h| format!(" {h}")).unwrap_or_default();
        Some(Param {
            name: row.name?,
            type_name: row.type_name.unwrap_or_default(),
            value: words.map(|w| w + &hint),
            bits: row.value,
            source: value.map(|v| v.source.name()),
            confidence: value.map(|v| v.confidence.name()),
            note: None,
        })
    };
    let all: Option<Vec<Param>> = found.iter().map(param).collect();
    all.filter(|all| !all.is_empty())
}

/// Parameters from the symbol file that tells the row's variables.
fn parameters(session: &Session, stack: &Stack, index: usize) -> Option<Vec<Param>> {
    let scope = Scope::of(&session.target, stack, index)?;
    let source = source_name(scope.provider().source());
    let found = scope.parameters(&session.target)?.into_iter().map(|p| {
        let (value, note) = match p.value {
            Ok(text) => (Some(escape(&text).into_owned()), None),
            Err(why) => (None, Some(why.to_owned())),
        };
        Param {
            type_name: escape(&p.type_name).into_owned(),
            name: escape(&p.name).into_owned(),
            confidence: value.is_some().then(|| p.confidence.name()),
            source: value.is_some().then_some(source),
            value,
            bits: p.bits.map(Hex),
            note,
        }
    });
    Some(found.collect())
}

/// x86 frame data as `kv` shows it: `[params,locals,saved registers]` in words, or `[Non-Fpo]`.
fn fpo(session: &Session, machine: Machine, f: &StackFrame) -> Option<String> {
    if machine != Machine::X86 || f.source? >= SymbolSource::Coff {
        return None;
    }
    let modern = session.sel.layout == Layout::Modern;
    let base = f.module.and_then(|m| session.target.symbols.modules().get(m)).map(|m| m.base);
    if modern && base.and_then(|b| session.dump().memory().u16(b)).is_none() {
        // The engine looks for frame data in images that it has.
        return None;
    }
    Some(match session.target.symbols.frame_data(f.frame.lookup_ip()) {
        // To the engine a program that finds the frame is none of the old records.
        Some(FrameData::Program { .. }) if modern => "[Non-Fpo]".into(),
        Some(FrameData::Fpo { params, locals, saved_regs, uses_bp, .. }) => {
            let bp = if uses_bp { "[Uses EBP] " } else { "" };
            format!("{bp}[{},{},{}]", params / 4, locals / 4, saved_regs / 4)
        }
        Some(FrameData::Program { params, locals, saved_regs, .. }) => {
            format!("[{},{},{}]", params / 4, locals / 4, saved_regs / 4)
        }
        // Only a PDB says by its silence that a function keeps ebp as its frame pointer.
        None if matches!(f.source?, SymbolSource::PrivatePdb | SymbolSource::PublicPdb) => "[Non-Fpo]".into(),
        Some(FrameData::Cfi { .. }) | None => return None,
    })
}

/// The calling convention as `kv` shows it in 32-bit stacks where private symbols tell it.
fn convention(session: &Session, machine: Machine, f: &StackFrame) -> Option<&'static str> {
    let private = f.source == Some(SymbolSource::PrivatePdb);
    if machine != Machine::X86 || !private || session.sel.layout != Layout::Modern {
        return None;
    }
    let symbols = &session.target.symbols;
    let module = f.module?;
    let rva = match &f.symbol {
        Some(symbol) => symbol.rva,
        // Of an inlined function there may be a copy of its own.
        None => match symbols.by_name(Some(module), f.function.as_deref()?).into_iter().next() {
            Some((_, symbol)) => symbol.rva,
            None => return Some("cdecl"),
        },
    };
    let providers = symbols.providers(module);
    let call = providers.iter().find_map(|p| {
        let types = p.types()?;
        let id = p.function_type(rva)?;
        match bare(types, id).1 {
            Type::Function { call, .. } => Some(call),
            _ => None,
        }
    })?;
    Some(match call {
        0 | 1 => "cdecl",
        2 | 3 => "pascal",
        4 | 5 => "fastcall",
        7 | 8 => "stdcall",
        9 | 10 => "syscall",
        11 => "thiscall",
        _ => return None,
    })
}

/// Which rows were found by scanning.
fn scanned(frames: &[Row]) -> Option<String> {
    const SHOWN: usize = 8;
    let numbers: Vec<String> = frames
        .iter()
        .filter(|r| r.trust == rows::trust(Trust::Scan))
        .map(|r| format!("{:02x}", r.number))
        .collect();
    let list = numbers.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match numbers.len() {
        0 => None,
        1 => Some(format!("frame {list} was found by scanning the stack")),
        n if n > SHOWN => Some(format!("{n} frames were found by scanning the stack, the first: {list}")),
        _ => Some(format!("frames {list} were found by scanning the stack")),
    }
}

/// Why a walk ended, and a note when it ended too early.
fn end_words(end: &EndReason, wide: bool) -> (String, Option<String>) {
    let note = |text: String| (text.clone(), Some(format!("the stack ends here: {text}")));
    match end {
        EndReason::Complete => ("complete".into(), None),
        EndReason::FrameLimit => ("frame limit".into(), None),
        EndReason::MissingMemory(va) => {
            note(format!("memory at {} is not in the dump", fmt::addr(*va, wide)))
        }
        EndReason::OutsideStack(va) => {
            note(format!("the next frame would be outside the stack, at {}", fmt::addr(*va, wide)))
        }
        EndReason::NoProgress => note("the stack pointer does not move on".into()),
        EndReason::NoCaller => note("no plausible caller was found".into()),
        EndReason::Cancelled => note("stopped".into()),
        _ => note("the walk could not go on".into()),
    }
}
