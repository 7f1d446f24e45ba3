//! `uf`: a whole function, by its branches.

use super::instruction::{Instruction, Target, decode, named};
use super::{CodeReport, Row, bounds, default_start};
use crate::command::{CommandError, Invocation};
use crate::doc::Sink;
use crate::session::Session;
use dumpscope_core::{Machine, Va};
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
    let (mut calls_only, mut count) = (false, false);
    while args.peek().starts_with('/') {
        let at = args.pos();
        match args.switch().map(|s| s.get(..1).unwrap_or("")) {
            Some("c") => calls_only = true,
            Some("i") => count = true,
            Some("o" | "m" | "D" | "O") => {}
            _ => return Err(CommandError::caret(at, "Syntax error")),
        }
    }
    let address = match args.opt_address(session)? {
        Some(va) => va,
        None => default_start(session)?,
    };
    args.end()?;
    let start = bounds::function_start(session, address).unwrap_or(address);
    let function = follow(session, start)?;
    if function.instructions.is_empty() {
        return Err(CommandError::caret(inv.name.len(), "Memory access error"));
    }
    let mut report = CodeReport::new();
    if function.incomplete {
        report.rows.push(Row::Text("Flow analysis was incomplete, some code may be missing".into()));
    }
    if count {
        report.rows.push(Row::Text(format!("{} instructions scanned", function.instructions.len())));
    }
    if calls_only {
        calls(session, start, &function, &mut report)
    } else {
        blocks(session, function, &mut report)
    }
    session.emit(sink, &report)
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

fn blocks(session: &Session, function: Function, report: &mut CodeReport) {
    let mut last_end = None;
    for (va, instruction) in function.instructions {
        if last_end != Some(va) || function.leaders.contains(&va) {
            if last_end.is_some() {
                report.rows.push(Row::Blank);
            }
            report.block(session, va);
        }
        last_end = Some(instruction.end());
        report.rows.push(Row::Instruction(instruction));
    }
}

fn calls(session: &Session, start: Va, function: &Function, report: &mut CodeReport) {
    let wide = session.sel.machine.is_64();
    report.rows.push(Row::Text(named(&session.target, start, wide)));
    for (va, instruction) in &function.instructions {
        let Target::Call(to) = instruction.target else { continue };
        report.rows.push(Row::Text(format!("  {}:", named(&session.target, *va, wide))));
        let to = match to {
            Some(to) => named(&session.target, to, wide),
            None => {
                let text = instruction.to_text();
                text.split_once(char::is_whitespace).map_or("", |(_, t)| t.trim_start()).to_owned()
            }
        };
        report.rows.push(Row::Text(format!("    call to {to}")));
    }
}
