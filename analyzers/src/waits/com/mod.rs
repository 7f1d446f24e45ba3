//! COM calls: whom an outgoing one waits for, who made an incoming one.
//!
//! Two roads that check each other: the thread's COM data (`tls`) and the message object of the call on its stack
//! (`message`).

mod agree;
mod call_state;
mod channel;
mod emulate;
mod incoming;
mod layout;
mod library;
mod message;
mod method;
mod objects;
mod tls;

pub(crate) use agree::agree;
pub(crate) use channel::served;
pub(super) use message::{MAX_SPAN, pointers};

use crate::Target;
use crate::model::{
    Argument, ComCall, ComThread, Confidence, Kind, LayoutSource, Message, Stack, StackFrame, ThreadFacts,
    Wait, WaitKind,
};
use crate::text::thread_words;
use dumpscope_core::base::Guid;
use dumpscope_core::{Machine, Pid, Tid};
use message::messages;

/// Innermost frames in which COM is looked for.
const DEPTH: usize = 16;

/// Reads the COM data of all threads.
pub(crate) fn read_threads(target: &Target, machine: Machine, threads: &mut [ThreadFacts]) {
    let has_data = |t: &ThreadFacts| {
        let teb = target.dump.read_teb(t.index, machine);
        teb.and_then(|t| t.reserved_for_ole).is_some_and(|d| !d.is_null())
    };
    if !threads.iter().any(has_data) {
        return; // most processes of servers
    }
    let layouts = tls::layouts(target, machine);
    for t in threads {
        t.com = tls::read(target, machine, t.tid, t.stack.as_ref(), &layouts).map(Box::new);
    }
}

/// Frames of a stack that belong to the call: those before the first one of the program.
fn plumbing(target: &Target, stack: &Stack) -> usize {
    let frames: Vec<&StackFrame> = stack.physical().take(DEPTH).collect();
    let module = |f: &&StackFrame| f.module.and_then(|m| target.symbols.modules().get(m));
    let system = |f: &&StackFrame| module(f).is_some_and(|m| target.patterns().is_system_file(&m.file_name));
    frames.iter().position(|f| !system(f)).unwrap_or(frames.len())
}

/// True when the COM library itself waits for handles, so that a living call's event is one of them: further in, RPC
/// waits for handles of its own.
fn waits_itself(target: &Target, stack: &Stack, inner: usize) -> bool {
    let files = stack.physical().take(inner).filter_map(|f| target.symbols.modules().get(f.module?));
    let mut known = files.map(|m| m.file_name.as_str()).filter_map(|name| {
        if library::is_library(name) {
            Some(true)
        } else {
            name.eq_ignore_ascii_case("rpcrt4.dll").then_some(false)
        }
    });
    known.next() == Some(true)
}

/// The outgoing call that a waiting thread is in; `None` when it is in none.
pub(super) fn call(
    target: &Target,
    machine: Machine,
    data: Option<&ComThread>,
    stack: &Stack,
    named: WaitKind,
    handles: Option<&[u64]>,
) -> Option<ComCall> {
    let inner = plumbing(target, stack);
    let com = |module: usize| {
        target.symbols.modules().get(module).is_some_and(|m| library::is_library(&m.file_name))
    };
    let in_com = named == WaitKind::ComCall || stack.physical().take(inner).filter_map(|f| f.module).any(com);
    if !in_com {
        return None;
    }
    let outgoing = data.and_then(|d| d.outgoing);
    let activation = data.and_then(|d| d.activation).filter(|_| outgoing.is_none());
    // One frame more: the program's code passes the object in its own registers.
    let mut found = messages(target, machine, stack, inner.saturating_add(1), handles);
    let is_waited = |m: &Message| m.event.is_some_and(|e| handles.is_some_and(|h| h.contains(&e)));
    let agrees = |m: &Message| {
        outgoing.is_some_and(|o| m.pid == Some(o.pid) && o.tid.zip(m.tid).is_none_or(|(a, b)| a == b))
    };
    // The layout of another build is believed only when something else confirms it.
    found.retain(|m| m.layout != LayoutSource::Neighbour || is_waited(m) || agrees(m));
    let waited = found.iter().find(|m| is_waited(m)).copied();
    // What is neither waited for nor agrees with the other source may be an old object.
    let mut message = waited
        .or_else(|| found.iter().find(|m| agrees(m)).copied())
        .or_else(|| found.first().copied().filter(|_| outgoing.is_none() && activation.is_none()));
    let mut endpoint = None;
    if outgoing.is_none() && message.is_none() && activation.is_none() {
        // A library that keeps its calls otherwise.
        let (by_channel, to) = channel::find(target, machine, stack, inner.saturating_add(1))?;
        (message, endpoint) = (Some(by_channel), to);
    }
    let other_event = |m: &Message| m.event.is_some_and(|e| handles.is_some_and(|h| !h.contains(&e)));
    let stale = message.as_ref().is_some_and(other_event) && waits_itself(target, stack, inner);
    let what = |m: &Message| (m.ipid, m.iid, m.method);
    let other = |m: &Message| message.as_ref().is_some_and(|c| what(c) != what(m));
    let several = waited.is_none() && found.iter().filter(|m| outgoing.is_none() || agrees(m)).any(other);
    if (several || stale)
        && let Some(m) = &mut message
    {
        (m.iid, m.method, m.causality) = (None, None, None);
    }
    let from_message = message.and_then(|m| m.pid);
    let differ = |a: Option<Pid>, b: Option<Pid>| a.zip(b).is_some_and(|(a, b)| a != b);
    let conflict = differ(outgoing.map(|o| o.pid), from_message);
    let table = target.hints();
    let name = |g: Guid| table.guid_name(&g).map(|n| n.into_owned());
    let callee = data.and_then(|d| d.callee).map(|c| c.0);
    let by_data = outgoing.and_then(|o| o.tid).filter(|_| !conflict);
    Some(ComCall {
        pid: outgoing.map(|o| o.pid).filter(|_| !conflict).or(from_message),
        tid: by_data
            .or_else(|| message.filter(|_| !stale).and_then(|m| m.tid))
            .or(callee.filter(|_| !conflict)),
        outgoing,
        interface: message.and_then(|m| m.iid).and_then(name),
        message,
        waited: waited.is_some(),
        stale,
        several,
        class: activation.and_then(name),
        activation,
        conflict,
        endpoint,
        method: message.and_then(|m| method::called(target, machine, stack, &m.iid?, m.method?)),
    })
}

/// Completes the wait with the call's destination.
pub(super) fn fill(target: &Target, data: Option<&ComThread>, stack: &Stack, call: ComCall, wait: &mut Wait) {
    wait.kind = Kind::ComCall;
    if let (Some(data), Some(out)) = (data, call.outgoing) {
        let thread = out.tid.map(|t| format!(", thread {:x},", t.0)).unwrap_or_default();
        wait.evidence.push(format!(
            "the thread's COM data at {:x} ({}) name process {:x}{thread} as the server of its outgoing call",
            data.data.0,
            data.layout.words(),
            out.pid.0
        ));
    }
    if let Some(m) = &call.message {
        wait.evidence.push(message_words(m));
        if let Some(endpoint) = &call.endpoint {
            wait.evidence.push(format!("the call's binding has the endpoint {endpoint}"));
        }
        if let Some((at, pid, tid)) = m.oxid {
            let thread = tid.map(|t| format!(", thread {:x}", t.0)).unwrap_or_default();
            wait.evidence.push(format!("its OXID entry at {:x} names process {:x}{thread}", at.0, pid.0));
        }
        if let Some(e) = m.event.filter(|_| call.waited) {
            wait.evidence.push(format!("the object's event {e:x} is the handle that the thread waits for"));
        }
        if let Some(e) = m.event.filter(|_| call.stale) {
            wait.evidence.push(format!(
                "the thread does not wait for the object's event {e:x}: the object may be of an earlier call"
            ));
        }
        match data {
            None if m.layout == LayoutSource::Hook => {}
            None => wait.evidence.push(
                "the thread's COM data could not be read: the message object alone names the server".into(),
            ),
            Some(data) if denied(data, &call) => wait.evidence.push(format!(
                "the thread's COM data at {:x} ({}) name no outgoing call: either they or the object are old",
                data.data.0,
                data.layout.words()
            )),
            Some(_) => {}
        }
    }
    if call.several {
        wait.evidence.push(
            "other message objects on its stack differ: which interface is called is not certain".into(),
        );
    }
    let callee = data.and_then(|d| d.callee);
    if let Some((tid, at)) = callee {
        wait.evidence.push(format!("its apartment's wait at {:x} is for thread {:x}", at.0, tid.0));
    }
    if let (Some(data), Some(class)) = (data, call.activation) {
        wait.evidence.push(format!(
            "the thread's COM data at {:x} ({}) hold the activation of class {{{class}}}",
            data.data.0,
            data.layout.words()
        ));
    }
    if let Some(m) = call.method.as_ref().filter(|m| m.parameters.iter().any(|a| a.hint.is_some())) {
        let told = |a: &Argument| Some(format!("{} {}", a.name.as_deref()?, a.hint.as_ref()?.text));
        let list: Vec<String> = m.parameters.iter().filter_map(told).collect();
        wait.evidence.push(format!("the call's arguments: {}", list.join(", ")));
    }
    wait.confidence = confidence(data, &call);
    let says = |t: Option<Tid>| t.is_some_and(|t| call.tid.is_some_and(|c| c != t));
    let live = call.message.filter(|_| !call.stale);
    let (message, oxid) = (live.and_then(|m| m.tid), live.and_then(|m| m.oxid));
    if says(callee.map(|c| c.0)) || says(message) || says(oxid.and_then(|o| o.2)) {
        wait.confidence = wait.confidence.min(Confidence::Strong);
        wait.evidence.push("the sources name different threads: one of them is old".into());
    }
    if oxid.is_some_and(|o| call.pid.is_some_and(|p| p != o.1)) {
        wait.confidence = wait.confidence.min(Confidence::Strong);
        wait.evidence.push("the OXID entry names another process: it is old".into());
    }
    if call.conflict {
        wait.evidence.push("the sources name different servers: one of them is old".into());
    }
    // An activation is an RPC call too: its message tells more.
    if call.activation.is_some()
        && let Some(rpc) = super::rpc::outgoing(target, stack.machine, stack)
    {
        wait.evidence.extend(rpc.evidence.iter().cloned());
        wait.rpc = Some(Box::new(rpc));
    }
    wait.owner_pid = call.pid;
    wait.owner_tid = call.tid;
    wait.sentence = sentence(target, &call);
    wait.object = match call.activation {
        Some(class) if call.pid.is_none() => Some(class_words(&call, class)),
        _ => call.interface.clone(),
    };
    wait.com = Some(Box::new(call));
}

/// True when the COM data can be read and know of no call.
fn denied(data: &ComThread, call: &ComCall) -> bool {
    data.layout != LayoutSource::Neighbour && call.outgoing.is_none() && call.activation.is_none()
}

/// Certain is what a live object says (the thread waits for its event) or what two sources say that do not depend
/// on each other. A message object may be old; the COM data are of now, but one word of memory. An object whose event
/// is known and not waited for is no source, and nothing is certain when the sources contradict each other.
fn confidence(data: Option<&ComThread>, call: &ComCall) -> Confidence {
    let live = call.message.filter(|m| m.layout != LayoutSource::Neighbour && !call.stale);
    let waited = call.waited && live.is_some();
    if call.conflict {
        return if waited { Confidence::Strong } else { Confidence::Guess };
    }
    if data.is_some_and(|d| denied(d, call)) {
        return if call.waited { Confidence::Strong } else { Confidence::Guess };
    }
    let by_data = call.outgoing.is_some() && data.is_some_and(|d| d.layout != LayoutSource::Neighbour);
    let by_message = live.is_some_and(|m| m.pid.is_some());
    let callee = data.and_then(|d| d.callee).map(|c| c.0);
    let by_loop = callee.is_some() && callee == call.outgoing.and_then(|o| o.tid);
    if waited || (by_data && (by_message || by_loop)) {
        return Confidence::Proven;
    }
    // Only the pid of an object that is perhaps old.
    let old = call.stale && call.outgoing.is_none();
    if old { Confidence::Guess } else { Confidence::Strong }
}

fn message_words(m: &Message) -> String {
    let pid = m.pid.map(|p| format!("server process {:x}", p.0));
    let iid = m.iid.map(|g| format!("interface {{{g}}}"));
    let method = m.method.map(|n| format!("method {n}"));
    let pointer = (m.ipid != Guid::default()).then(|| format!("interface pointer {{{}}}", m.ipid));
    let parts: Vec<String> = [pid, pointer, iid, method].into_iter().flatten().collect();
    format!("the message object at {:x} ({}) says: {}", m.address.0, m.layout.words(), parts.join(", "))
}

/// `WbemLocator {4590f811-...}`.
fn class_words(call: &ComCall, class: Guid) -> String {
    format!("{} {{{class}}}", call.class.as_deref().unwrap_or("")).trim_start().to_owned()
}

fn sentence(target: &Target, call: &ComCall) -> String {
    let what = match (&call.interface, call.message.and_then(|m| m.method)) {
        (Some(i), Some(m)) => match call.method.as_ref().filter(|m| m.by_table) {
            Some(method) => format!("a COM call ({i}::{}, method {m})", method.name),
            None => format!("a COM call ({i}, method {m})"),
        },
        (Some(i), None) => format!("a COM call ({i})"),
        _ => "a COM call".into(),
    };
    let own = target.dump.pid().is_some() && target.dump.pid() == call.pid;
    match (call.pid, call.tid) {
        (None, _) => match call.activation {
            Some(class) => format!(
                "waits for the activation of the COM class {}, which the services RpcSs and DcomLaunch carry out",
                class_words(call, class)
            ),
            None => format!("waits for the answer to {what}"),
        },
        (Some(_), Some(t)) if own => {
            format!("waits for the answer to {what} that {} serves", thread_words(target, t))
        }
        (Some(_), None) if own => format!("waits for the answer to {what} into its own process"),
        (Some(p), Some(t)) => {
            format!("waits for the answer to {what} that thread {:x} of process {:x} serves", t.0, p.0)
        }
        (Some(p), None) => format!("waits for the answer to {what} that process {:x} serves", p.0),
    }
}
