//! Which interface, procedure and endpoint an RPC call is for, from its caller's side and from its server's.

mod endpoint;
mod message;
mod table;

use super::com::pointers;
use crate::Cancel;
use crate::Target;
use crate::arguments::recover_all;
use crate::model::{Argument, Confidence, RpcCall, Stack, StackFrame, ThreadFacts, Wait};
use dumpscope_core::base::Guid;
use dumpscope_core::{Machine, ReadMemory, Va};
use dumpscope_symbols::Trust;
use message::Message;
use std::collections::BTreeSet;
use table::{endpoint_owner, interface_of};

/// Innermost frames in which the call is looked for.
const DEPTH: usize = 16;

/// Functions whose first argument is the message, and whether it is a pointer to it that the argument points at
/// (`MIDL_STUB_MESSAGE` begins with one). Public: `rpcdcep.h`, `rpcndr.h`.
const CLIENT: [(&str, bool); 5] = [
    ("I_RpcSendReceive", false),
    ("I_RpcSend", false),
    ("NdrSendReceive", true),
    ("NdrNsSendReceive", true),
    ("NdrGetBuffer", true),
];

/// Functions that the runtime calls to serve a call; the message is their first argument (`rpcdcep.h`, `rpcndr.h`;
/// of COM's the third one, `NdrStubCall2`, not listed: COM's own data tell more).
const SERVER: [&str; 6] = [
    "NdrServerCall2",
    "NdrServerCallAll",
    "NdrServerCallNdr64",
    "NdrAsyncServerCall",
    "Ndr64AsyncServerCallAll",
    "Ndr64AsyncServerCall64",
];

/// Completes the wait with interface, procedure and endpoint, when one message is found.
pub(super) fn fill(target: &Target, machine: Machine, stack: &Stack, wait: &mut Wait) {
    let Some(call) = outgoing(target, machine, stack) else { return };
    let words = call.interface_words();
    let endpoint = call.endpoint.as_deref().map(|e| format!(", endpoint {e}")).unwrap_or_default();
    wait.object = Some(format!("{words}{endpoint}"));
    wait.confidence = wait.confidence.max(Confidence::Strong);
    let server = call.service.map(|s| format!(" that {s} serves")).unwrap_or_default();
    wait.sentence = format!("waits for the answer to an RPC call ({}{endpoint}){server}", call.words());
    wait.evidence.extend(call.evidence.iter().cloned());
    wait.rpc = Some(Box::new(call));
}

/// The endpoint that a binding is bound to, `protocol:[endpoint]`.
pub(super) fn endpoint_of(target: &Target, machine: Machine, binding: Va) -> Option<String> {
    endpoint::of_object(target, machine, binding)
}

/// How a message was found, most convincing first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Road {
    /// An argument of a function that takes it.
    Argument,
    /// It lies in the frames of the call.
    Frames,
    /// Something in the frames points at it.
    Pointer,
}

/// The call that the innermost frames make. Of the messages that are found, those of the best road must agree: an
/// old message may still be pointed at, but does not lie in a living frame.
pub(super) fn outgoing(target: &Target, machine: Machine, stack: &Stack) -> Option<RpcCall> {
    let frames: Vec<&StackFrame> = stack.physical().take(DEPTH).collect();
    let system = |f: &&StackFrame| target.patterns().is_system_file(file(target, f));
    // One frame more: the program's code passes pointers in its own registers.
    let inner = frames.iter().position(|f| !system(f)).unwrap_or(frames.len()).saturating_add(1);
    let is_rpc = |f: &&&StackFrame| file(target, f).eq_ignore_ascii_case("rpcrt4.dll");
    let last = frames.iter().take(inner).rposition(|f| is_rpc(&f))?;
    let low = frames.first()?.frame.sp;
    // Its caller's locals count: a stub's message is one of them.
    let high = frames.get(last.saturating_add(1)).or(frames.get(last))?.frame.frame_base;
    let lies = |at: Va| at >= low && at < high;
    let mut found: Vec<(Road, Va, Message, &str)> = Vec::new();
    for (at, name) in of_arguments(target, machine, stack, inner) {
        found.extend(message::read(target, machine, at).map(|m| (Road::Argument, at, m, name)));
    }
    for at in pointers(target, machine, stack, inner) {
        let road = if lies(at) { Road::Frames } else { Road::Pointer };
        found.extend(message::read(target, machine, at).map(|m| (road, at, m, "")));
    }
    let best = found.iter().map(|f| f.0).min()?;
    found.retain(|f| f.0 == best);
    let same: BTreeSet<(Guid, u32)> = found.iter().map(|f| (f.2.interface, f.2.procedure)).collect();
    let (_, at, m, name) = found.into_iter().next().filter(|_| same.len() == 1)?;
    let how = match best {
        Road::Argument => format!("the argument of {name} is the RPC message at {:x}", at.0),
        Road::Frames => format!("the RPC message at {:x} lies in the frames of the call", at.0),
        Road::Pointer => format!("the only RPC message that its frames point at is at {:x}", at.0),
    };
    let mut out = described(target, &m, format!("{how}: "));
    let own = m.endpoints.first().cloned();
    let bound = m.handle.and_then(|h| endpoint::of_call(target, machine, h));
    if let Some(e) = &own {
        out.evidence.push(format!("the client's description of the interface has the endpoint {e}"));
    }
    if let Some((at, e)) = &bound {
        out.evidence.push(format!("the call's binding at {:x} has the endpoint {e}", at.0));
    }
    out.endpoint = bound.map(|b| b.1).or(own);
    let by_endpoint = out.endpoint.as_deref().and_then(endpoint_owner);
    out.service = out.service.or(by_endpoint);
    out.confidence = if best == Road::Argument { Confidence::Proven } else { Confidence::Strong };
    Some(out)
}

/// The call that a thread serves: from the frames between the server's code and the thread's start.
pub(super) fn incoming(target: &Target, machine: Machine, stack: &Stack) -> Option<RpcCall> {
    let frames: Vec<&StackFrame> = stack.physical().collect();
    let serves = |f: &&StackFrame| {
        file(target, f).eq_ignore_ascii_case("rpcrt4.dll")
            && f.function.as_deref().is_some_and(|n| SERVER.contains(&n))
    };
    let row = frames.iter().position(serves)?;
    let frame = frames.get(row)?;
    let name = frame.function.as_deref().unwrap_or_default();
    let memory = target.dump.memory();
    let mut found: Vec<(Va, Message)> = Vec::new();
    if machine == Machine::X86 {
        // The argument lies above the return address.
        let at = memory.u32(frame.frame.frame_base.offset(8)).map(|a| Va(a.into()));
        found.extend(at.and_then(|at| Some((at, message::read(target, machine, at)?))));
    }
    let sure = !found.is_empty();
    if !sure {
        let p = machine.ptr_size() as u64;
        let last = frames.iter().skip(row).rfind(|f| file(target, f).eq_ignore_ascii_case("rpcrt4.dll"))?;
        let high = last.frame.frame_base.offset(0x40);
        let span = high.distance_from(frame.frame.sp).unwrap_or(0).min(super::com::MAX_SPAN);
        let slot = |n: u64| frame.frame.sp.offset(n.saturating_mul(p));
        let words = (0..span / p).filter_map(|n| memory.ptr(slot(n), machine));
        // The message may lie in these frames itself.
        let places = (0..span / p).map(slot);
        let all: BTreeSet<Va> = words.chain(places).collect();
        found.extend(all.into_iter().filter_map(|at| Some((at, message::read(target, machine, at)?))));
    }
    let same: BTreeSet<(Guid, u32)> = found.iter().map(|f| (f.1.interface, f.1.procedure)).collect();
    let (at, m) = found.into_iter().next().filter(|_| same.len() == 1)?;
    let how = if sure {
        format!("the argument of {name} is the RPC message at {:x}: ", at.0)
    } else {
        format!("the only RPC message of the frames that serve it is at {:x}: ", at.0)
    };
    Some(described(target, &m, how))
}

/// A message in words; `how` begins its evidence.
fn described(target: &Target, m: &Message, how: String) -> RpcCall {
    let known = interface_of(&m.interface.to_string());
    let name = known.map(|k| k.0.to_owned());
    let mut out = RpcCall {
        interface: m.interface,
        name: target.hints().guid_name(&m.interface).map(|n| n.into_owned()).or(name),
        procedure: m.procedure,
        endpoint: None,
        service: known.map(|k| k.1),
        confidence: Confidence::Strong,
        evidence: Vec::new(),
    };
    out.evidence.push(format!("{how}interface {}, procedure {}", out.interface_words(), m.procedure));
    out
}

fn file<'a>(target: &'a Target, frame: &StackFrame) -> &'a str {
    let module = frame.module.and_then(|m| target.symbols.modules().get(m));
    module.map_or("", |m| m.file_name.as_str())
}

/// Messages that functions of [`CLIENT`] were called with, as far as their arguments are known for certain.
fn of_arguments(target: &Target, machine: Machine, stack: &Stack, inner: usize) -> Vec<(Va, &'static str)> {
    let takes = |f: &StackFrame| {
        let name = f.function.as_deref()?;
        file(target, f).eq_ignore_ascii_case("rpcrt4.dll").then_some(())?;
        CLIENT.iter().find(|c| c.0 == name)
    };
    let rows = stack.frames.iter().take(inner.saturating_mul(2)).enumerate();
    let rows: Vec<(usize, &(&str, bool))> = rows.filter_map(|(n, f)| Some((n, takes(f)?))).collect();
    if rows.is_empty() {
        return Vec::new();
    }
    let all = recover_all(target, stack, &Cancel::default());
    let mut out = Vec::new();
    for (row, (name, behind)) in rows {
        let first: Option<&Argument> = all.get(row).and_then(|a| a.first());
        let recovered = first.and_then(|a| a.at_least(Confidence::Strong)).map(Va);
        // x86: it lies above the return address; what is not a message any more is told apart by its reader.
        let frame = stack.frames.get(row).filter(|f| machine == Machine::X86 && f.trust != Trust::Scan);
        let slot = frame.and_then(|f| target.dump.memory().u32(f.frame.frame_base.offset(8)));
        let Some(at) = recovered.or(slot.map(|s| Va(s.into()))) else { continue };
        let at = if *behind { target.dump.memory().ptr(at, machine) } else { Some(at) };
        out.extend(at.map(|at| (at, *name)));
    }
    out
}

/// Says which RPC calls the threads serve.
pub(crate) fn add_serving(target: &Target, machine: Machine, threads: &mut [ThreadFacts]) {
    for t in threads {
        // COM's data say more about COM's calls.
        let com = t.com.as_ref().is_some_and(|c| c.incoming.is_some());
        let idle = t.activity.as_ref().is_none_or(|a| a.idle);
        let Some(stack) = t.stack.as_ref().filter(|_| !com && !idle) else { continue };
        t.serves = incoming(target, machine, stack).map(Box::new);
    }
}
