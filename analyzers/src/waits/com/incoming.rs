//! Who called a thread.

use super::library::is_library;
use super::message::MAX_SPAN;
use super::objects::{Served, served, server_calls};
use super::tls::{Layout, is_id};
use crate::Target;
use crate::model::{ComThread, Confidence, Incoming, LayoutSource, Stack, StackFrame};
use dumpscope_core::{Machine, Pid, ReadMemory, Tid, Va};
use std::collections::BTreeSet;

/// Completes what `incomingCallData` say: `pid` is the client.
pub(super) fn read(
    target: &Target,
    machine: Machine,
    layout: &Layout,
    thread: &ComThread,
    pid: Pid,
    stack: Option<&Stack>,
) -> Incoming {
    let memory = target.dump.memory();
    let mut out = Incoming {
        pid,
        tid: None,
        ipid: None,
        iid: None,
        interface: None,
        causality: thread.causality,
        confidence: Confidence::Strong,
        evidence: vec![format!(
            "the thread's COM data at {:x} ({}) name process {:x} as the client whose call it serves",
            thread.data.0,
            layout.source.words(),
            pid.0
        )],
    };
    // An id of this process is one of its threads.
    let own = target.dump.pid() == Some(pid);
    let believable = |t: &Tid| !own || target.dump.thread_by_tid(*t).is_some();
    let call = layout.server_call.and_then(|o| memory.ptr(thread.data.offset(o), machine));
    let call = call.filter(|c| c.0 > 0xffff);
    let mut entry: Option<Served> = None;
    if let Some(at) = call {
        let layouts = server_calls(target, machine);
        let found: Vec<_> = layouts
            .iter()
            .filter_map(|l| Some((l, l.read(target, machine, at, pid)?)))
            .filter(|(_, (t, _))| believable(t))
            .collect();
        if let [(l, (tid, served))] = found.as_slice() {
            (out.tid, entry) = (Some(*tid), *served);
            // Process id in two places, one of them the object of this very call.
            let sure = l.certain && layout.source != LayoutSource::Neighbour;
            out.confidence = if sure { Confidence::Proven } else { Confidence::Strong };
            out.evidence
                .push(format!("its server call at {:x} names the same process and thread {:x}", at.0, tid.0));
        }
    }
    let caller = layout.caller.and_then(|o| memory.u32(thread.data.offset(o))).filter(|t| is_id(*t)).map(Tid);
    match (out.tid, caller.filter(believable)) {
        (Some(tid), Some(caller)) if tid == caller => {
            out.confidence = Confidence::Proven;
            out.evidence.push(format!("the caller's thread id in its COM data is {:x} too", caller.0));
        }
        // It may be the caller of an earlier call.
        (None, Some(caller)) => {
            out.tid = Some(caller);
            out.evidence.push(format!("the caller's thread id in its COM data is {:x}", caller.0));
        }
        _ => {}
    }
    if let Some(served) = entry.or_else(|| on_stack(target, machine, stack?)) {
        (out.ipid, out.iid) = (Some(served.ipid), Some(served.iid));
        let name = target.hints().guid_name(&served.iid).map(|n| n.into_owned());
        let words = name.as_deref().map(|n| format!(" {n}")).unwrap_or_default();
        let whose = if entry.is_some() { "the call's" } else { "the only" };
        let where_ = if entry.is_some() { "" } else { " of this process on its stack" };
        out.evidence.push(format!(
            "{whose} interface pointer entry{where_}, at {:x}: {{{}}}, interface {{{}}}{words}",
            served.address.0, served.ipid, served.iid
        ));
        out.interface = name;
    }
    out
}

/// The only served interface pointer that the frames between the server's code and the thread's start point at.
fn on_stack(target: &Target, machine: Machine, stack: &Stack) -> Option<Served> {
    let frames: Vec<&StackFrame> = stack.physical().collect();
    let file = |f: &StackFrame| {
        let module = f.module.and_then(|m| target.symbols.modules().get(m));
        module.map_or("", |m| m.file_name.as_str())
    };
    // The server's own code is called by COM: what lies further in are its own calls.
    let own = frames.iter().position(|f| !target.patterns().is_system_file(file(f)))?;
    let invokes = |f: &StackFrame| is_library(file(f)) || file(f).eq_ignore_ascii_case("rpcrt4.dll");
    let first = frames.iter().skip(own).position(|f| invokes(f))?.saturating_add(own);
    let low = frames.get(first)?.frame.sp;
    let last = frames.iter().skip(first).rfind(|f| invokes(f))?;
    let p = machine.ptr_size() as u64;
    // Arguments lie above the return address.
    let span = last.frame.frame_base.offset(0x60).distance_from(low).unwrap_or(0).min(MAX_SPAN);
    let memory = target.dump.memory();
    let words = (0..span / p).filter_map(|n| memory.ptr(low.offset(n.saturating_mul(p)), machine));
    let pointers: BTreeSet<Va> = words.filter(|w| w.0 > 0xffff && w.0.is_multiple_of(p)).collect();
    let mut found = pointers.into_iter().filter_map(|at| served(target, machine, at));
    let one = found.next()?;
    found.all(|o| o.ipid == one.ipid).then_some(one)
}
