//! What the functions around a wait were called with: the same arguments that are shown for their frames.
//!
//! They are worked out at most once for a thread, and only when a wait asks for them.

use crate::arguments::recover_all;
use crate::model::{Argument, Confidence, Stack, StackFrame};
use crate::stacks::is_exact;
use crate::syscalls::is_far;
use crate::{Cancel, Target};
use std::cell::OnceCell;

/// Innermost rows in which a function is looked for.
const DEPTH: usize = 8;

/// The arguments of a thread's frames.
pub(super) struct Argued<'a> {
    target: &'a Target,
    pub(super) stack: &'a Stack,
    rows: OnceCell<Vec<Vec<Argument>>>,
}

/// An argument that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub value: u64,
    /// `Strong` or `Proven`.
    pub sure: Confidence,
}

impl<'a> Argued<'a> {
    pub(super) fn new(target: &'a Target, stack: &'a Stack) -> Argued<'a> {
        Argued { target, stack, rows: OnceCell::new() }
    }

    /// The arguments of a row, none when the work was stopped.
    pub(super) fn of_row(&self, row: usize) -> &[Argument] {
        let rows = self.rows.get_or_init(|| recover_all(self.target, self.stack, &Cancel::default()));
        rows.get(row).map_or(&[], Vec::as_slice)
    }

    /// Rows of functions with one of these names, innermost first. Names of near exports do not count.
    pub(super) fn rows_of<'s>(
        &'s self,
        names: impl Fn(&str) -> bool + 's,
    ) -> impl Iterator<Item = (usize, &'s str)> + 's {
        let named = move |(row, f): (usize, &'s StackFrame)| {
            let name = plain(f.function.as_deref()?);
            (names(name) && !is_far(f) && is_exact(self.target, f)).then_some((row, name))
        };
        self.stack.frames.iter().enumerate().take(DEPTH).filter_map(named)
    }

    /// What one of these functions was called with; `None` when it is not known, or when two of them disagree. Of
    /// functions that call each other all are asked.
    pub(super) fn value(&self, names: &[&str], index: usize) -> Option<Given> {
        let mut out: Option<Given> = None;
        for (row, _) in self.rows_of(|n| names.contains(&n)) {
            let Some(given) = given(self.of_row(row), index) else { continue };
            match out {
                Some(o) if o.value != given.value => return None,
                Some(o) if o.sure >= given.sure => {}
                _ => out = Some(given),
            }
        }
        out
    }
}

/// An argument that is `strong` at least.
pub(super) fn given(args: &[Argument], index: usize) -> Option<Given> {
    let value = args.iter().find(|a| a.index == index)?.value.as_ref()?;
    let sure = value.confidence;
    (sure >= Confidence::Strong).then_some(Given { value: value.bits, sure })
}

/// A name without the decoration of 32-bit exports.
fn plain(name: &str) -> &str {
    name.strip_prefix('_').and_then(|f| f.split_once('@')).map_or(name, |(f, _)| f)
}
