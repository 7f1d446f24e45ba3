//! The endpoint that a call is bound to, from the objects behind its handle.
//!
//! The runtime's objects differ from version to version; what does not is that a binding keeps its parts as texts, the
//! pointers to them side by side: protocol sequence, network address, endpoint (`docs/reference/rpc.md#endpoint`:
//! `DCE_BINDING`). Two known words at the right distance are believed, a text alone is not.

use crate::Target;
use dumpscope_core::{Machine, ReadMemory, Va};
use std::collections::{BTreeSet, VecDeque};

/// Protocol sequences (public: MS-RPCE).
const PROTOCOLS: [&str; 4] = ["ncalrpc", "ncacn_np", "ncacn_ip_tcp", "ncacn_http"];

/// Words of an object that are followed.
const WORDS: u64 = 48;
/// How far from the call: call, binding, association, parts of the binding.
const DEPTH: usize = 3;
/// Most objects that are looked at.
const MAX_OBJECTS: usize = 400;
/// Longest text, characters.
const MAX_TEXT: u64 = 96;

/// Where the parts of the binding are, and `protocol:[endpoint]`; `None` when there is no such place or more than
/// one endpoint.
pub(super) fn of_call(target: &Target, machine: Machine, call: Va) -> Option<(Va, String)> {
    let memory = target.dump.memory();
    let p = machine.ptr_size() as u64;
    let mut seen = BTreeSet::from([call]);
    let mut queue = VecDeque::from([(call, 0_usize)]);
    let mut found: Option<(Va, String)> = None;
    while let Some((object, depth)) = queue.pop_front() {
        for n in 0..WORDS {
            let slot = object.offset(n.saturating_mul(p));
            let Some(value) = memory.ptr(slot, machine) else { break };
            if value.0 <= 0xffff || !value.0.is_multiple_of(2) {
                continue;
            }
            let protocol = text(target, value).and_then(|t| PROTOCOLS.iter().find(|k| **k == t));
            if let Some(protocol) = protocol {
                let endpoint = memory.ptr(slot.offset(p.saturating_mul(2)), machine);
                let Some(endpoint) = endpoint.and_then(|e| text(target, e)) else { continue };
                let bound = format!("{protocol}:[{endpoint}]");
                if found.as_ref().is_some_and(|f| f.1 != bound) {
                    return None;
                }
                found = found.or(Some((slot, bound)));
                continue;
            }
            // Objects lie on the heap: not in modules, and aligned.
            let object = value.0.is_multiple_of(p) && target.dump.module_at(value).is_none();
            if object && depth < DEPTH && seen.len() < MAX_OBJECTS && seen.insert(value) {
                queue.push_back((value, depth.saturating_add(1)));
            }
        }
    }
    found
}

/// The endpoint that an object itself names, not one that it leads to.
pub(super) fn of_object(target: &Target, machine: Machine, object: Va) -> Option<String> {
    let memory = target.dump.memory();
    let p = machine.ptr_size() as u64;
    (0..WORDS).find_map(|n| {
        let slot = object.offset(n.saturating_mul(p));
        let protocol = text(target, memory.ptr(slot, machine).filter(|v| v.0 > 0xffff)?)?;
        let protocol = PROTOCOLS.iter().find(|k| **k == protocol)?;
        let endpoint = memory.ptr(slot.offset(p.saturating_mul(2)), machine).filter(|v| v.0 > 0xffff)?;
        Some(format!("{protocol}:[{}]", text(target, endpoint)?))
    })
}

/// Printable ASCII, in UTF-16 or (Wine) in bytes.
fn text(target: &Target, at: Va) -> Option<String> {
    wide(target, at).or_else(|| narrow(target, at))
}

fn narrow(target: &Target, at: Va) -> Option<String> {
    let mut out = String::new();
    for n in 0..MAX_TEXT {
        match target.dump.memory().u8(at.offset(n))? {
            0 => return (!out.is_empty()).then_some(out),
            c @ 0x20..=0x7e => out.push(char::from(c)),
            _ => return None,
        }
    }
    None
}

/// UTF-16 text of printable ASCII.
fn wide(target: &Target, at: Va) -> Option<String> {
    let mut out = String::new();
    for n in 0..MAX_TEXT {
        match target.dump.memory().u16(at.offset(n.saturating_mul(2)))? {
            0 => return (!out.is_empty()).then_some(out),
            c @ 0x20..=0x7e => out.push(char::from(u8::try_from(c).ok()?)),
            _ => return None,
        }
    }
    None
}
