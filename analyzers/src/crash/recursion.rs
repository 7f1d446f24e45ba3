//! Endless recursion: which functions call each other, how deep, and from where.

use crate::model::{Recursion, Stack};
use crate::stacks::{depth, stack_bounds};
use crate::text::grouped;
use crate::{Cancel, Target};
use dumpscope_core::base::text::escape;
use dumpscope_core::{Tid, Va};
use dumpscope_symbols::{EndReason, Trust};
use std::collections::BTreeMap;

/// Longest cycle that is looked for, functions.
const MAX_PERIOD: usize = 64;
/// Fewest frames that are called a recursion.
const FEWEST: usize = 64;
/// Of so many frames one has to belong to the recursion.
const SHARE: usize = 2;

/// The recursion in the stack of a thread, `None` when there is none that fills it.
#[must_use]
pub fn recursion(target: &Target, tid: Tid, stack: &Stack, cancel: &Cancel) -> Option<Recursion> {
    if target.foreign().is_some() {
        return None;
    }
    let first = &stack.frames.first()?.frame;
    let thread = target.dump.thread_by_tid(tid);
    let bounds = thread.and_then(|t| stack_bounds(target, t.index, stack.machine, first.sp));
    let all = depth(target, &first.regs, bounds.map(|b| (b.low, b.high)), cancel);
    if all.calls.len() < FEWEST {
        return None;
    }
    let mut names: BTreeMap<Va, usize> = BTreeMap::new();
    let mut functions: Vec<String> = Vec::new();
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    let sequence: Vec<usize> = all
        .calls
        .iter()
        .map(|call| {
            *names.entry(*call).or_insert_with(|| {
                let name = function_name(target, *call);
                *numbers.entry(name.clone()).or_insert_with(|| {
                    functions.push(name);
                    functions.len() - 1
                })
            })
        })
        .collect();
    let found = cycle(&sequence)?;
    // The frames say callees first.
    let mut members: Vec<String> =
        found.members.iter().rev().filter_map(|n| functions.get(*n).cloned()).collect();
    let first = members.iter().enumerate().min_by(|a, b| a.1.cmp(b.1)).map_or(0, |(n, _)| n);
    members.rotate_left(first);
    let entered = sequence.get(found.end).and_then(|n| functions.get(*n));
    // Beyond the first doubtful frame nobody knows.
    let sure = all.outermost.iter().all(|f| f.trust != Trust::Scan);
    Some(Recursion {
        cycle: members.iter().map(|m| escape(m).into_owned()).collect(),
        frames: found.frames,
        depth: all.calls.len(),
        complete: all.end == EndReason::Complete,
        entered_from: entered.filter(|_| sure).map(|n| escape(n).into_owned()),
    })
}

/// `module!function`, or the module and the place in it.
fn function_name(target: &Target, call: Va) -> String {
    let symbols = &target.symbols;
    let Some(r) = symbols.resolve(call) else {
        return target.name_of(call).unwrap_or_else(|| format!("0x{:x}", call.0));
    };
    let module = symbols.name_in(r.module, target.process_machine());
    match r.symbol {
        Some(s) => format!("{module}!{}", s.name),
        None => format!("{module}+0x{:x}", r.displacement),
    }
}

struct Cycle {
    /// Functions of one round, callees first.
    members: Vec<usize>,
    /// Frames of these functions in the run.
    frames: usize,
    /// Index of the first frame behind the run.
    end: usize,
}

/// The longest run in which the sequence repeats itself with the smallest period; when rounds differ, the function
/// that is there most often.
fn cycle(sequence: &[usize]) -> Option<Cycle> {
    let mut best: Option<(usize, usize, usize)> = None;
    for period in 1..=MAX_PERIOD.min(sequence.len() / 2) {
        let (mut run, mut longest, mut end) = (0, 0, 0);
        for (n, (a, b)) in sequence.iter().zip(sequence.iter().skip(period)).enumerate() {
            run = if a == b { run + 1 } else { 0 };
            if run > longest {
                (longest, end) = (run, n + 1 + period);
            }
        }
        if longest > 0 && best.is_none_or(|(l, _, _)| longest > l + l / 16) {
            best = Some((longest, period, end));
        }
    }
    if let Some((longest, period, end)) = best
        && longest + period >= sequence.len() / SHARE
    {
        let start = end - longest - period;
        let members = sequence.get(start..start + period)?.to_vec();
        return Some(Cycle { members, frames: longest + period, end });
    }
    // A tree is walked, or a grammar: no two rounds are equal.
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    sequence.iter().for_each(|n| *counts.entry(*n).or_default() += 1);
    let (most, count) = counts.into_iter().max_by_key(|(n, c)| (*c, usize::MAX - n))?;
    let end = sequence.iter().rposition(|n| *n == most)? + 1;
    (count >= FEWEST && end >= sequence.len() / SHARE).then(|| Cycle {
        members: vec![most],
        frames: count,
        end,
    })
}

impl Recursion {
    /// One clause: who calls whom, how deep, from where.
    #[must_use]
    pub fn words(&self) -> String {
        let who = match self.cycle.as_slice() {
            [one] => format!("{one} calls itself"),
            many => {
                let shown: Vec<&str> = many.iter().take(4).map(String::as_str).collect();
                let more =
                    if many.len() > 4 { format!(" and {} more", many.len() - 4) } else { String::new() };
                format!("{}{more} call each other", shown.join(", "))
            }
        };
        let cut = if self.complete { "" } else { ", counted so far" };
        let from = self.entered_from.as_ref().map_or(String::new(), |f| format!(", entered from {f}"));
        format!("{who}, {} frames deep{cut}{from}", grouped(self.frames as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(head: &[usize], round: &[usize], times: usize, tail: &[usize]) -> Vec<usize> {
        let mut out = head.to_vec();
        (0..times).for_each(|_| out.extend(round));
        out.extend(tail);
        out
    }

    #[test]
    fn rounds_are_found() {
        let c = cycle(&sequence(&[9, 8], &[1], 1000, &[7, 6])).unwrap();
        assert_eq!((c.members, c.frames, c.end), (vec![1], 1000, 1002));
        let c = cycle(&sequence(&[9], &[1, 2, 3], 100, &[7])).unwrap();
        assert_eq!((c.members.len(), c.frames, c.end), (3, 300, 301));
        // The leaf may be in the middle of a round.
        let c = cycle(&sequence(&[9, 3], &[1, 2, 3], 100, &[7])).unwrap();
        assert_eq!((c.members.len(), c.frames), (3, 301));
        assert!(cycle(&(0..200).collect::<Vec<_>>()).is_none());
    }

    #[test]
    fn a_tree_is_no_cycle_but_has_a_function() {
        let mut tree = Vec::new();
        for n in 0..400 {
            tree.push(1);
            tree.extend(std::iter::repeat_n(2, ((n * 40_503) >> 7) % 5));
        }
        let c = cycle(&tree).unwrap();
        assert_eq!(c.members.len(), 1);
    }

    #[test]
    fn thousands() {
        assert_eq!(grouped(29985), "29,985");
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(1_000_000), "1,000,000");
    }
}
