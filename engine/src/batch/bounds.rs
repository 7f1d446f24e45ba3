//! How much of a dump's stacks a document tells: no dump makes one that nobody can read, or takes hours for arguments.

use dumpscope_analyzers::model::{Stack, ThreadFacts};
use std::borrow::Cow;

/// Frames of all threads together that are told whatever their threads.
const ALL_TOLD: usize = 16_384;
/// Innermost frames of each thread that are told where there are more.
const FEW: usize = 64;
/// Beyond so many frames of all threads each further thread tells its innermost ones alone.
const MOST_TOLD: usize = 131_072;
/// How many these are.
const FEWEST: usize = 4;
/// Frames whose arguments are looked for.
const WITH_ARGUMENTS: usize = 32_768;

/// What may still be told.
#[derive(Debug)]
pub(super) struct Bounds {
    all: usize,
    /// Most frames of one stack.
    each: usize,
    told: usize,
    left_out: usize,
    without_arguments: usize,
}

impl Bounds {
    /// For these threads.
    pub(super) fn of(threads: &[ThreadFacts]) -> Bounds {
        let stacks = threads.iter().flat_map(|t| [&t.stack, &t.native_stack]).flatten();
        let all: usize = stacks.map(|s| s.frames.len()).sum();
        Bounds::for_frames(all, threads.len())
    }

    fn for_frames(all: usize, threads: usize) -> Bounds {
        let share = ALL_TOLD.checked_div(threads).unwrap_or(ALL_TOLD);
        let each = if all <= ALL_TOLD { usize::MAX } else { share.max(FEW) };
        Bounds { all, each, told: 0, left_out: 0, without_arguments: 0 }
    }

    /// What is told of a stack, and whether with arguments. `whole`: the stack that the verdict is about.
    pub(super) fn cut<'a>(&mut self, stack: &'a Stack, whole: bool) -> (Cow<'a, Stack>, bool) {
        let most = match (whole, self.told >= MOST_TOLD) {
            (true, _) => usize::MAX,
            (false, true) => FEWEST,
            (false, false) => self.each,
        };
        let told = stack.frames.len().min(most);
        let arguments = whole || self.told < WITH_ARGUMENTS;
        self.told = self.told.saturating_add(told);
        self.left_out = self.left_out.saturating_add(stack.frames.len().saturating_sub(told));
        if !arguments {
            self.without_arguments = self.without_arguments.saturating_add(told);
        }
        let stack = if told == stack.frames.len() {
            Cow::Borrowed(stack)
        } else {
            let frames = stack.frames.iter().take(told).cloned().collect();
            Cow::Owned(Stack {
                machine: stack.machine,
                frames,
                end: stack.end.clone(),
                overflow: stack.overflow,
            })
        };
        (stack, arguments)
    }

    /// What was left out.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut out = Vec::new();
        if self.left_out > 0 {
            let (left, all) = (self.left_out, self.all);
            out.push(format!(
                "the stacks have {all} frames: the {left} outermost ones of long stacks are left out here"
            ));
        }
        if self.without_arguments > 0 {
            let frames = self.without_arguments;
            out.push(format!("the arguments of {frames} frames were not looked for: there are too many"));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dumpscope_core::model::Dump;
    use dumpscope_symbols::SymbolConfig;

    #[test]
    fn what_is_told_has_a_bound_whatever_the_number_of_stacks() {
        let dump = Dump::from_bytes(dumpscope_fixtures::small::x64_crash().0.bytes()).unwrap();
        let target = dumpscope_analyzers::Target::new(dump, SymbolConfig::default());
        let facts = target.facts(&dumpscope_analyzers::Cancel::default());
        let mut stack = facts.threads.iter().find_map(|t| t.stack.clone()).unwrap();
        let frame = stack.frames.first().unwrap().clone();
        stack.frames = vec![frame; 1000];
        for (threads, most) in [(10, 10_000), (100, 16_384), (2_000, 131_072), (3_000, 150_000)] {
            let mut bounds = Bounds::for_frames(threads * 1000, threads);
            let told: usize = (0..threads).map(|_| bounds.cut(&stack, false).0.frames.len()).sum();
            assert!(told <= most, "{threads} threads: {told}");
            assert!(told >= threads * FEWEST);
            assert_eq!(bounds.warnings().is_empty(), threads == 10);
            assert_eq!(bounds.cut(&stack, true).0.frames.len(), 1000);
        }
    }
}
