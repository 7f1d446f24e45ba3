//! What is left out of a dump that would be too large.

use super::answers::Answers;
use super::{Level, ShrinkOptions, select};
use crate::redact::{Spans, constants};
use dumpscope_analyzers::Target;
use dumpscope_core::Va;
use dumpscope_core::model::Dump;
use dumpscope_core::write::{Plan, WriteError, measure};
use std::sync::Arc;

/// What can be left out, first what is missed least.
const ORDER: [(Less, &str); 4] = [
    (Less::Objects, "what pointers on the stacks lead to"),
    (Less::Commands, "whole stacks, and what only command lines read"),
    (Less::Images, "code and constants of images: their files have them"),
    (Less::Heaps, "all memory but stacks"),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Less {
    Objects,
    Commands,
    Images,
    Heaps,
}

/// Leaves out of the plan what is not wanted, and then so much that the new dump is not too large, if that can be.
pub(super) fn fit(
    dump: &Arc<Dump>,
    want: &Answers,
    options: &ShrinkOptions,
    plan: &mut Plan,
    left_out: &mut Vec<String>,
) -> Result<(), WriteError> {
    let mut size = measure(dump, plan)?.size;
    let mut leave = |plan: &mut Plan, size: &mut u64, memory: Vec<(Va, u64)>, what: &str| {
        // Parts of images that are not wanted stay away; without that wish none is known.
        let memory = if options.without_images { without(&memory, &want.given) } else { memory };
        let less = Plan { memory, ..plan.clone() };
        let new = measure(dump, &less)?.size;
        if new < *size {
            left_out.push(format!("{what} ({} bytes)", size.saturating_sub(new)));
            (*plan, *size) = (less, new);
        }
        Ok::<(), WriteError>(())
    };
    if options.without_images {
        let what = "headers, code and constants of images that the symbol or image path gives";
        let memory = plan.memory.clone();
        leave(plan, &mut size, memory, what)?;
    }
    let Some(most) = options.max_size.filter(|_| dump.is_windows()) else { return Ok(()) };
    for (less, what) in ORDER {
        if size <= most {
            break;
        }
        let memory = match less {
            Less::Objects if options.level < Level::Debugging => continue,
            Less::Objects => select::memory(dump, Level::Stacks, &want.read).memory,
            Less::Commands => select::memory(dump, Level::Triage, &want.needed).memory,
            Less::Images => without(&plan.memory, &constants(dump)),
            Less::Heaps => without(&select::memory(dump, Level::Triage, &[]).memory, &constants(dump)),
        };
        leave(plan, &mut size, memory, what)?;
    }
    Ok(())
}

/// Parts of images that the symbol or image path gives, by address.
pub(super) fn given(target: &Target) -> Vec<(Va, u64)> {
    let mut out = Vec::new();
    for (index, module) in target.symbols.modules().iter().enumerate() {
        let Some(image) = target.symbols.image(index) else { continue };
        let parts = image.parts(module.base).into_iter();
        out.extend(parts.map(|p| (p.rva.va(module.base), p.bytes.len() as u64)));
    }
    out
}

/// What of `all` is not in `taken`.
fn without(all: &[(Va, u64)], taken: &[(Va, u64)]) -> Vec<(Va, u64)> {
    let taken = Spans::new(taken.iter().copied());
    let mut out = Vec::new();
    for (start, len) in select::close(all.to_vec()) {
        let (mut at, end) = (start.0, start.0.saturating_add(len));
        while at < end {
            let (is_taken, border) = taken.at(at);
            let to = border.min(end);
            if !is_taken {
                out.push((Va(at), to.saturating_sub(at)));
            }
            at = to;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left() {
        let all = [(Va(0x100), 0x100), (Va(0x400), 0x10)];
        let taken = [(Va(0x180), 0x10), (Va(0), 0x110), (Va(0x1f0), 0x100)];
        assert_eq!(without(&all, &taken), [(Va(0x110), 0x70), (Va(0x190), 0x60), (Va(0x400), 0x10)]);
    }
}
