//! Which interface and procedure an RPC call is for: the message that its caller passes down.
//!
//! Source: `RPC_MESSAGE` and `RPC_CLIENT_INTERFACE` of the SDK (`rpcdcep.h`; shared reference, section 6.1).

use super::Wait;
use super::com::pointers;
use crate::Target;
use crate::arguments::HintTable;
use crate::stacks::Stack;
use crate::triage::Confidence;
use dumpscope_core::base::Guid;
use dumpscope_core::{Machine, ReadMemory, Va};
use std::collections::BTreeSet;

/// Transfer syntaxes that every client interface has one of: NDR and NDR64.
const NDR: &str = "8a885d04-1ceb-11c9-9fe8-08002b104860";
const NDR64: &str = "71710533-beba-4937-8319-b5dbef9ccc36";

/// Largest procedure number that is believed.
const MAX_PROCEDURE: u32 = 0x1000;

/// Innermost frames whose pointers are looked at.
const DEPTH: usize = 14;

/// Completes the wait with interface and procedure, when exactly one message is found.
pub(super) fn fill(target: &Target, machine: Machine, stack: &Stack, wait: &mut Wait) {
    let all = pointers(target, machine, stack, DEPTH);
    let found: BTreeSet<(Guid, u32)> = all.iter().filter_map(|at| message(target, machine, *at)).collect();
    let [(interface, procedure)] = found.iter().collect::<Vec<_>>()[..] else { return };
    let table = HintTable::built_in();
    let name = table.guid_name(interface).map(|n| format!(" {n}")).unwrap_or_default();
    wait.object = Some(format!("{{{interface}}}{name}"));
    wait.confidence = wait.confidence.max(Confidence::Strong);
    wait.evidence.push(format!(
        "the only RPC message that its frames point at is for interface {{{interface}}}{name}, procedure {procedure}"
    ));
    wait.sentence = format!(
        "waits for the answer to an RPC call (interface {{{interface}}}{name}, procedure {procedure})"
    );
}

/// `RPC_MESSAGE`: its interface and procedure.
fn message(target: &Target, machine: Machine, at: Va) -> Option<(Guid, u32)> {
    let memory = target.dump.memory();
    let wide = machine.is_64();
    let (number_at, interface_at, length) = if wide { (0x1c, 0x28, 0x60) } else { (0x10, 0x18, 0x44) };
    let procedure = memory.u32(at.offset(number_at)).filter(|n| *n <= MAX_PROCEDURE)?;
    // The low bit may be a flag.
    let interface = memory.ptr(at.offset(interface_at), machine).map(|p| Va(p.0 & !1))?;
    if interface.0 <= 0xffff || memory.u32(interface)? != length {
        return None;
    }
    let guid = |o: u64| memory.bytes::<16>(interface.offset(o)).map(|b| Guid::from_bytes(&b));
    let syntax = guid(0x18)?.to_string();
    (syntax == NDR || syntax == NDR64).then_some(())?;
    Some((guid(4)?, procedure))
}
