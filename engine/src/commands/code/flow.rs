//! `uf`: a whole function, by its branches.

use super::instruction::{Instruction, Piece, Target, decode, named};
use super::{CodeReport, Row, bounds, default_start};
use crate::command::{CommandError, Invocation};
use crate::doc::Sink;
use crate::session::{Layout, Session};
use dumpscope_core::base::text::escape;
use dumpscope_core::{Machine, ReadMemory, Va};
use std::collections::{BTreeMap, BTreeSet};

/// Most instructions of a function.
const MAX_INSTRUCTIONS: usize = 100_000;
/// Without names and unwind data a jump farther than this leaves the function.
const NEAR: u64 = 0x1_0000;

/// The code of a function.
struct Function {
    instructions: BTreeMap<Va, Instruction>,
    /// Where blocks begin.
    leaders: BTreeSet<Va>,
    /// Why some of it may be missing.
    incomplete: bool,
}

pub(super) fn run(
    session: &mut Session,
    inv: &Invocation<'_>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let modern = session.sel.layout == Layout::Modern;
    let (mut calls_only, mut count, mut branches, mut joined) = (false, false, false, false);
    while args.peek().starts_with('/') {
        let at = args.pos();
        match args.switch().map(|s| s.get(..1).unwrap_or("")) {
            Some("c") => calls_only = true,
            Some("i") => count = true,
            Some("D") => branches = modern,
            Some("m") => joined = modern,
            Some("o" | "O") => {}
            Some(_) if modern => return Err(CommandError::caret(at + 1, "Unknown uf option")),
            _ => return Err(CommandError::caret(at, "Syntax error")),
        }
    }
    let address = match args.opt_address(session)? {
        Some(va) => va,
        None => default_start(session)?,
    };
    if !modern {
        args.end()?;
    }
    let start = match bounds::function_start(session, address) {
        // Today's engine begins where it is told when nothing but an export tells of a function.
        Some(start) if modern && only_exported(session, address) && start != address => address,
        found => found.unwrap_or(address),
    };
    let function = follow(session, start)?;
    if function.instructions.is_empty() && modern {
        return Err(CommandError::message("No code found, aborting"));
    }
    if function.instructions.is_empty() {
        return Err(CommandError::caret(inv.name.len(), "Memory access error"));
    }
    let mut report = CodeReport::of(session);
    let scanned = function.instructions.len();
    if function.incomplete {
        report.rows.push(Row::Text("Flow analysis was incomplete, some code may be missing".into()));
    }
    if count && !(modern && calls_only) {
        report.rows.push(Row::Text(format!("{} instructions scanned", function.instructions.len())));
    }
    if calls_only {
        calls(session, start, &function, &mut report, (count && modern).then_some(scanned));
    } else {
        if modern && session.sel.lines {
            let line = |va: &Va| Some((*va, session.target.symbols.line(*va)?.line));
            report.lines = function.instructions.keys().filter_map(line).collect();
        }
        blocks(session, function, &mut report, branches, joined);
    }
    session.emit(sink, &report)?;
    if modern && !args.is_empty() {
        let text = format!("Extra character error in '{}'", escape(inv.text.trim_end()));
        return Err(CommandError::CaretText { at: args.pos() + 1, text });
    }
    Ok(())
}

/// True when the name of `va` is no more than an export.
fn only_exported(session: &Session, va: Va) -> bool {
    let found = session.target.symbols.resolve(va).and_then(|r| r.symbol);
    found.is_some_and(|s| s.source == dumpscope_symbols::SymbolSource::Exports)
}

fn follow(session: &Session, start: Va) -> Result<Function, CommandError> {
    let mut function =
        Function { instructions: BTreeMap::new(), leaders: BTreeSet::from([start]), incomplete: false };
    let mut todo = vec![start];
    while let Some(mut at) = todo.pop() {
        while !function.instructions.contains_key(&at) {
            if session.cancel.is_cancelled() {
                return Err(CommandError::Stopped);
            }
            if function.instructions.len() >= MAX_INSTRUCTIONS {
                function.incomplete = true;
                return Ok(function);
            }
            let Some(instruction) = decode(session, at).filter(|i| i.valid) else {
                function.incomplete = true;
                break;
            };
            let (target, next) = (instruction.target, instruction.end());
            // A jump through a register or a table leads to code that this does not find.
            let blind = target == Target::Away && is_jump(&instruction);
            function.instructions.insert(at, instruction);
            let mut lead = |to: Va| {
                if inside(session, start, to) && function.leaders.insert(to) {
                    todo.push(to);
                }
            };
            match target {
                Target::Next | Target::Call(_) => {}
                Target::Branch(to) => {
                    lead(to);
                    function.leaders.insert(next);
                }
                Target::Jump(to) => {
                    lead(to);
                    break;
                }
                Target::Away => {
                    function.incomplete |= blind;
                    break;
                }
            }
            at = next;
        }
    }
    Ok(function)
}

fn is_jump(instruction: &Instruction) -> bool {
    let text = instruction.to_text();
    // An import stub (`jmp dword ptr [...]`) is complete: it is a tail call.
    let through_memory = text.contains(" ptr [") && instruction.bytes.len() >= 6 && !text.contains('*');
    (text.starts_with("jmp") && !through_memory) || text.starts_with("br ")
}

/// True when a jump to `to` stays in the function that starts at `start`.
fn inside(session: &Session, start: Va, to: Va) -> bool {
    if session.sel.machine == Machine::Amd64
        && let Some((begin, _)) = bounds::part(session, to)
    {
        return bounds::function_start(session, begin) == Some(start);
    }
    let symbols = &session.target.symbols;
    let of = |va: Va| {
        let r = symbols.resolve(va)?;
        r.symbol?;
        Some(va.back(r.displacement))
    };
    match (of(start), of(to)) {
        (Some(a), Some(b)) => a == b,
        _ => to.0.abs_diff(start.0) < NEAR,
    }
}

/// `branches`: with a word behind branches (`/D`). `joined`: what begins behind a conditional branch is no block of its
/// own (`/m`).
fn blocks(session: &Session, function: Function, report: &mut CodeReport, branches: bool, joined: bool) {
    let mut last_end = None;
    let targets: BTreeSet<Va> = function
        .instructions
        .values()
        .filter_map(|i| match i.target {
            Target::Jump(to) | Target::Branch(to) => Some(to),
            Target::Next | Target::Away | Target::Call(_) => None,
        })
        .collect();
    for (va, mut instruction) in function.instructions {
        if branches && matches!(instruction.target, Target::Jump(_) | Target::Branch(_)) {
            instruction.text.push((Piece::Other, "  Branch".to_owned()));
        }
        let leads = function.leaders.contains(&va) && (!joined || targets.contains(&va));
        if last_end != Some(va) || leads {
            if last_end.is_some() {
                report.rows.push(Row::Blank);
            }
            report.block(session, va);
        }
        last_end = Some(instruction.end());
        report.rows.push(Row::Instruction(instruction));
    }
}

fn calls(session: &Session, start: Va, function: &Function, report: &mut CodeReport, counted: Option<usize>) {
    let wide = session.sel.machine.is_64();
    let modern = session.sel.layout == Layout::Modern;
    let named = |target: &dumpscope_analyzers::Target, va: Va, wide: bool| {
        let line = target.symbols.line(va).filter(|_| modern && session.sel.lines);
        let source = line.map_or(String::new(), |l| format!(" [{} @ {}]", l.file, l.line));
        named(target, va, wide) + &source
    };
    let counted = counted.map_or(String::new(), |n| format!(", {n} instructions"));
    report.rows.push(Row::Text(named(&session.target, start, wide) + &counted));
    for (va, instruction) in &function.instructions {
        let Target::Call(to) = instruction.target else { continue };
        report.rows.push(Row::Text(format!("  {}:", named(&session.target, *va, wide))));
        let to = match to {
            Some(to) => named(&session.target, to, wide),
            // Today's engine looks where the word of an import leads.
            None if modern && let Some(to) = imported(session, instruction) => {
                named(&session.target, to, wide)
            }
            None => {
                let text = instruction.to_text();
                text.split_once(char::is_whitespace).map_or("", |(_, t)| t.trim_start()).to_owned()
            }
        };
        report.rows.push(Row::Text(format!("    call to {to}")));
    }
}

/// Where a call through a word in memory goes.
fn imported(session: &Session, instruction: &Instruction) -> Option<Va> {
    let machine = session.sel.machine;
    let word = match machine {
        Machine::X86 => super::x86::word_at(instruction.address, &instruction.bytes, false)?,
        Machine::Amd64 => super::x86::word_at(instruction.address, &instruction.bytes, true)?,
        Machine::Arm64 | Machine::Other(_) => return None,
    };
    session.dump().memory().ptr(word, machine)
}
