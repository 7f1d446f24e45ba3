//! The offsets in `SOleTlsData` that the COM library's export `CoGetCallState` tells, read out of its code.
//!
//! `CoGetCallState(type, ULONG *offset)` is how wait chain traversal finds them (public `wct.h`): type 0 is the
//! outgoing call, 1 the incoming one, 2 the activation (shared reference, section 5.1).

use crate::Target;
use dumpscope_core::Machine;

/// What the code tells, bytes from the start of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offsets {
    pub outgoing: u64,
    pub incoming: u64,
    pub activation: u64,
}

pub(super) fn read(_target: &Target, _machine: Machine) -> Option<Offsets> {
    None
}
