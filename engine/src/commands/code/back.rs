//! What stands before an address.

use super::bounds;
use super::instruction::{Instruction, decode};
use crate::session::Session;
use dumpscope_core::{Machine, Va};
use std::collections::BTreeMap;

/// Farthest start of a function that is read from there on, bytes.
const FAR: u64 = 64 * 1024;
/// Farthest start of a guessed reading, bytes.
const NEAR: u64 = 512;
/// Longest x86 instruction.
const LONGEST: u64 = 15;

/// The last `count` instructions that end at `end`, in address order.
pub(super) fn before(session: &Session, end: Va, count: usize) -> Vec<Instruction> {
    let count = count.min(FAR as usize);
    if session.sel.machine == Machine::Arm64 {
        let found = (1..=count as u64).map_while(|n| decode(session, end.back(n.saturating_mul(4))));
        let mut found: Vec<Instruction> = found.collect();
        found.reverse();
        return found;
    }
    // From the start of the function, when it is near and its code meets the address.
    let start = bounds::function_start(session, end.back(1));
    let start = start.filter(|s| end.distance_from(*s).is_some_and(|d| d > 0 && d < FAR));
    let Some((start, mut list)) = start.and_then(|s| Some((s, meets(session, s, end)?))) else {
        return guess(session, end, count);
    };
    if let Some(more) = count.checked_sub(list.len()) {
        // The function began less than `count` instructions before.
        let mut earlier = if more > 0 { guess(session, start, more) } else { Vec::new() };
        earlier.append(&mut list);
        return earlier;
    }
    list.split_off(list.len().saturating_sub(count))
}

/// False where the engine gives up: in no module, or inside an instruction of the function that holds the address.
pub(super) fn is_boundary(session: &Session, end: Va) -> bool {
    let symbols = &session.target.symbols;
    let Some(resolved) = symbols.resolve(end) else { return false };
    let inside = resolved.symbol.is_some() && resolved.displacement > 0 && resolved.displacement < FAR;
    session.sel.machine == Machine::Arm64
        || !inside
        || meets(session, end.back(resolved.displacement), end).is_some()
}

/// The instructions from `start` on, when one of them ends at `end`.
fn meets(session: &Session, start: Va, end: Va) -> Option<Vec<Instruction>> {
    let mut list = Vec::new();
    let mut at = start;
    while at < end {
        let instruction = decode(session, at).filter(|i| i.valid)?;
        at = instruction.end();
        list.push(instruction);
    }
    (at == end).then_some(list)
}

/// Reads from every address before `end` that is not too far. Wrong readings fall into step with the right one after
/// a few instructions, so the right one is the one that most starts lead to.
fn guess(session: &Session, end: Va, count: usize) -> Vec<Instruction> {
    let span = (count as u64).saturating_add(4).saturating_mul(LONGEST).min(NEAR);
    let mut votes: BTreeMap<Va, (usize, Vec<Instruction>)> = BTreeMap::new();
    let mut longest = Vec::new();
    for back in 1..=span {
        let Some(mut list) = meets(session, end.back(back), end) else { continue };
        if list.len() < count {
            if list.len() > longest.len() {
                longest = list;
            }
            continue;
        }
        let tail = list.split_off(list.len() - count);
        if let Some(first) = tail.first() {
            votes.entry(first.address).or_insert_with(|| (0, tail)).0 += 1;
        }
    }
    votes.into_values().max_by_key(|(n, _)| *n).map_or(longest, |(_, list)| list)
}
