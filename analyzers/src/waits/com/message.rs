//! The message object of an outgoing call (`CMessageCall`), found from the caller's stack.

use super::layout::{Layout, layouts};
use super::library::in_library;
use super::objects::oxid;
use super::tls::is_id;
use crate::Target;
use crate::model::{Message, Stack, StackFrame};
use dumpscope_core::base::Guid;
use dumpscope_core::{Machine, Pid, ReadMemory, Tid, Va};
use std::collections::BTreeSet;

/// Most stack bytes that are searched for pointers.
pub(in crate::waits) const MAX_SPAN: u64 = 0x4000;

/// Largest `_callcat` (`tagCALLCATEGORY`).
const MAX_CATEGORY: u32 = 6;

/// Largest method number that is believed.
pub(super) const MAX_METHOD: u32 = 0x1000;

/// The message objects that the frames of a COM call point at, most convincing first: one whose event is among
/// `handles`, then the others in address order. `frames`: how many of the innermost frames belong to the call.
pub(super) fn messages(
    target: &Target,
    machine: Machine,
    stack: &Stack,
    frames: usize,
    handles: Option<&[u64]>,
) -> Vec<Message> {
    let layouts = layouts(target, machine);
    if layouts.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<Message> = Vec::new();
    for at in pointers(target, machine, stack, frames) {
        let hit = layouts.iter().find_map(|l| read(target, machine, at, l));
        found.extend(hit);
    }
    let waited = |m: &Message| m.event.is_some_and(|e| handles.is_some_and(|h| h.contains(&e)));
    found.sort_by_key(|m| (!waited(m), m.address));
    found
}

/// Reads the object at `at`; `None` when it can be none.
fn read(target: &Target, machine: Machine, at: Va, l: &Layout) -> Option<Message> {
    let memory = target.dump.memory();
    let word = |o: u64| memory.u32(at.offset(o));
    let guid = |o: u64| memory.bytes::<16>(at.offset(o)).map(|b| Guid::from_bytes(&b));
    // The object begins with its table of functions, in the COM library.
    let table = memory.ptr(at, machine)?;
    if !in_library(target, table) || !(1..=MAX_CATEGORY).contains(&word(l.category)?) {
        return None;
    }
    let ipid = guid(l.ipid)?;
    let is_id = |id: &u32| is_id(*id);
    let entry = l.oxid.and_then(|o| memory.ptr(at.offset(o), machine)).filter(|e| e.0 > 0xffff);
    let entry = entry.and_then(|e| oxid(target, machine, e).map(|(pid, tid)| (e, pid, tid)));
    let pid = l.pid.and_then(word).filter(is_id).or(entry.map(|e| e.1.0));
    let tid = l.tid.and_then(word).filter(is_id).or(entry.and_then(|e| e.2).map(|t| t.0));
    // The IPID's second word is the low half of the server's process id: both are of this object.
    if u32::from(ipid.data2) != pid? & 0xffff {
        return None;
    }
    let method = match l.method {
        Some((o, 2)) => memory.u16(at.offset(o)).map(u32::from),
        Some((o, _)) => word(o),
        None => None,
    };
    if method.is_some_and(|m| m > MAX_METHOD) {
        return None;
    }
    let none = |g: &Guid| *g != Guid::default();
    Some(Message {
        address: at,
        event: l.event.and_then(|o| Some(memory.ptr(at.offset(o), machine)?.0)).filter(|e| *e != 0),
        ipid,
        iid: l.iid.and_then(guid).filter(none),
        causality: l.causality.and_then(guid).filter(none),
        pid: pid.map(Pid),
        tid: tid.map(Tid),
        method,
        oxid: entry,
        layout: l.source,
    })
}

/// Pointers in the registers and on the stack of the innermost frames.
pub(in crate::waits) fn pointers(
    target: &Target,
    machine: Machine,
    stack: &Stack,
    count: usize,
) -> BTreeSet<Va> {
    let frames: Vec<&StackFrame> = stack.physical().take(count).collect();
    let mut out = crate::waits::section::pointers(target, machine, &frames, 0);
    let p = machine.ptr_size() as u64;
    let (Some(low), Some(last)) = (frames.first().map(|f| f.frame.sp), frames.last()) else { return out };
    // Arguments of the outermost of these frames lie above its return address.
    let high = last.frame.frame_base.offset(0x40);
    let span = high.distance_from(low).unwrap_or(0).min(MAX_SPAN);
    let memory = target.dump.memory();
    let words = (0..span / p).filter_map(|n| memory.ptr(low.offset(n.wrapping_mul(p)), machine));
    out.extend(words.filter(|w| w.0 > 0xffff && w.0.is_multiple_of(p)));
    for f in &frames {
        let regs = dumpscope_core::RegSet::names(machine).len();
        let values = (0..regs).filter_map(|n| f.frame.regs.get(dumpscope_core::Reg(u8::try_from(n).ok()?)));
        out.extend(values.filter(|v| *v > 0xffff && v.is_multiple_of(p)).map(Va));
    }
    out
}
