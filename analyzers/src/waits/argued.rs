//! What the functions around a wait were called with: the same arguments that are shown for their frames.
//!
//! They are worked out at most once for a thread, and only when a wait asks for them.

use super::doing::belongs;
use crate::arguments::recover_all;
use crate::hint_table::plain_name;
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

/// Bytes of a count, a limit in milliseconds, a BOOL.
pub(super) const INT: usize = 4;

/// An argument that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Given<T = u64> {
    pub value: T,
    /// `Strong` or `Proven`.
    pub sure: Confidence,
}

impl<T> Given<T> {
    /// What the value means, as sure as the value.
    pub(super) fn with<U>(&self, value: U) -> Given<U> {
        Given { value, sure: self.sure }
    }
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

    /// Rows of functions with one of these names that call each other, innermost first: the first unbroken run of them
    /// among the frames of Windows around the wait. What lies outside of the program's own code, or of what Windows
    /// called on its own (an APC, a callback), is another wait. Names of near exports do not count.
    pub(super) fn rows_of<'s>(
        &'s self,
        names: impl Fn(&str) -> bool + 's,
    ) -> impl Iterator<Item = (usize, &'s str)> + 's {
        let named = move |(row, f): (usize, &'s StackFrame)| {
            let name = f.function.as_deref().map(plain_name).filter(|n| names(n));
            name.filter(|_| !is_far(f) && is_exact(self.target, f)).map(|name| (row, name))
        };
        let called = |f: &StackFrame| f.function.as_deref().is_some_and(|n| n.starts_with("KiUser"));
        let frames = self.stack.frames.iter().take(DEPTH);
        let own = frames.take_while(move |f| !called(f) && belongs(self.target, f)).enumerate();
        own.map(named).skip_while(Option::is_none).map_while(|found| found)
    }

    /// Bytes of an address or a handle.
    pub(super) fn ptr_size(&self) -> usize {
        self.stack.machine.ptr_size()
    }

    /// What one of these functions was called with; `None` when it is not known, or when two of them disagree. Of
    /// functions that call each other all are asked. `bytes`: how long it is.
    pub(super) fn value(&self, names: &[&str], index: usize, bytes: usize) -> Option<Given> {
        let mut out: Option<Given> = None;
        for (row, _) in self.rows_of(|n| names.contains(&n)) {
            let Some(given) = given(self.of_row(row), index, bytes) else { continue };
            match out {
                Some(o) if o.value != given.value => return None,
                Some(o) if o.sure >= given.sure => {}
                _ => out = Some(given),
            }
        }
        out
    }
}

/// An argument that is `strong` at least, with all of its bytes.
pub(super) fn given(args: &[Argument], index: usize, bytes: usize) -> Option<Given> {
    let value = args.iter().find(|a| a.index == index)?.value.as_ref()?;
    if usize::from(value.bytes) < bytes {
        return None;
    }
    let sure = value.confidence;
    (sure >= Confidence::Strong).then_some(Given { value: value.bits, sure })
}
