//! What a function was called with, and the reason to believe it.
//!
//! On x86 most arguments lie on the stack. On x64 and ARM64 they went in registers that are long overwritten: they
//! are found again where the function's code put them (its prologue), or where the caller's code took them from (the
//! instructions before the call). Both come from one data flow over all paths to the point where the frame stands.
//! Every value says where it comes from and how sure it is; what is not known stays unknown.

#![warn(clippy::indexing_slicing)]

mod arm64_access;
mod code;
mod extent;
mod flow;
mod frames;
mod hints;
mod ir;
mod layout;
mod lift_arm64;
mod lift_x86;
mod meet;
mod names;
mod seh;
mod signature;
mod starts;
mod state;
mod syscall;
mod trace;
mod values;

use crate::model::Argument;
pub(crate) use arm64_access::arm64_access;
pub(crate) use extent::part_at;
pub use hints::add_hints;
pub(crate) use hints::{is_windows, method_arguments, with_hints_of};
pub(crate) use layout::code_frame;
pub use syscall::{SystemCallArgs, system_call_args};
pub(crate) use trace::{Name, Place, Trace, Tracer, What, Writer};

use crate::model::Stack;
use crate::{Cancel, Target};

/// The arguments of one row of a stack (an inlined call has none of its own: empty). For several rows use
/// [`recover_all`]: it does the work once.
#[must_use]
pub fn recover(target: &Target, stack: &Stack, row: usize, cancel: &Cancel) -> Vec<Argument> {
    recover_all(target, stack, cancel).into_iter().nth(row).unwrap_or_default()
}

/// The arguments of all rows of a stack, by row. Stops early, with empty lists for the rest, when asked to.
#[must_use]
pub fn recover_all(target: &Target, stack: &Stack, cancel: &Cancel) -> Vec<Vec<Argument>> {
    frames::recover(target, stack, cancel)
}
