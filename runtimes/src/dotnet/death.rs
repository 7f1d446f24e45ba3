//! `Environment.FailFast`: the thread that ends the process, with the reason that the program gave.
//!
//! 8 and 9 call the runtime directly: the thread's topmost explicit frame is a helper frame of `FailFast`. In 10 the call
//! is managed down to the runtime's entry. The reason and the exception are references on the stack of these frames.

use super::Clr;
use super::waits::is_library;
use crate::{Death, Walked};
use dumpscope_core::Va;

/// Most words of the stack that are looked at.
const MAX_WORDS: u64 = 512;
/// Managed frames, from the top, among which the call is looked for.
const DEPTH: usize = 8;

const OWNER: &str = "System.Environment";
const NAME: &str = "FailFast";

impl Clr {
    /// The thread that ends the process.
    pub(super) fn death(&self, stacks: &[Walked<'_>]) -> Option<Death> {
        stacks.iter().find_map(|stack| self.death_of(*stack))
    }

    fn death_of(&self, stack: Walked<'_>) -> Option<Death> {
        let managed = self.managed(stack.frames);
        let first = managed.first()?;
        let called = managed
            .iter()
            .take(DEPTH)
            .rposition(|m| m.method.name.starts_with(NAME) && m.method.owner() == OWNER);
        let caller_sp = |m: &super::waits::Managed| Some(stack.frames.get(m.at + 1)?.sp);
        let from = stack.frames.first()?.sp;
        let (low, high) = match called.and_then(|at| managed.get(at)) {
            Some(call) => (stack.frames.get(first.at)?.sp, caller_sp(call)?),
            None => {
                let thread = self.thread_by_tid(stack.tid).and_then(|i| self.threads().get(i))?;
                let helper = thread.frame.filter(|f| *f >= from)?;
                let end = caller_sp(first)?;
                let name = (helper < end).then(|| self.helper_name(helper)).flatten()?;
                if name.0 != OWNER || !name.1.starts_with(NAME) {
                    return None;
                }
                (helper, end)
            }
        };
        let (mut message, mut exception) = (None, None);
        // The protected reference of a helper frame first, then what lies there.
        let protected = self.helper_reference(low, stack.frames);
        let count = (high.0.checked_sub(low.0)? / 8).min(MAX_WORDS);
        let words = (0..count).filter_map(|i| self.core.deref(low.offset(i * 8)));
        for object in protected.into_iter().chain(words) {
            let Some(mt) = self.object_type(object) else { continue };
            if message.is_none() && self.is_a(mt, "System.String") {
                message = self.string(object).filter(|s| !s.is_empty());
            } else if exception.is_none() && self.is_a(mt, "System.Exception") {
                exception = self.exception(object, 0);
            }
        }
        Some(Death {
            tid: stack.tid,
            method: format!("{OWNER}.{NAME}"),
            message,
            exception,
            user_frame: managed.iter().position(|m| !is_library(&m.method)),
        })
    }

    /// The reference that a helper frame protects.
    fn helper_reference(&self, helper: Va, frames: &[dumpscope_symbols::Frame]) -> Option<Va> {
        let slot = self.core.target(helper, super::layout::Field::HelperReference)?;
        let stack = frames.first()?.sp..frames.last()?.sp.offset(0x1000);
        let near = slot.0.abs_diff(helper.0) < 0x2000 && stack.contains(&slot);
        near.then(|| self.core.deref(slot)).flatten()
    }
}
