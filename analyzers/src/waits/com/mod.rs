//! COM calls: whom an outgoing one waits for, who made an incoming one.
//!
//! Two roads that check each other: the thread's COM data (`tls`) and the message object of the call on its stack
//! (`message`).

mod agree;
mod call_state;
mod incoming;
mod layout;
mod library;
mod message;
mod objects;
mod tls;

pub(super) use agree::agree;
pub use incoming::Incoming;
pub use message::Message;
pub(super) use message::pointers;
pub use tls::{Apartment, ComThread, LayoutSource, Outgoing};

use super::{Kind, Wait, thread_words};
use crate::Target;
use crate::arguments::HintTable;
use crate::stacks::{Stack, StackFrame};
use crate::triage::{Confidence, ThreadFacts, WaitKind};
use dumpscope_core::base::Guid;
use dumpscope_core::{Machine, Pid, Tid};
use message::messages;

/// Innermost frames in which COM is looked for.
const DEPTH: usize = 16;

/// Reads the COM data of all threads.
pub(super) fn read_threads(target: &Target, machine: Machine, threads: &mut [ThreadFacts]) {
    let layouts = tls::layouts(target, machine);
    for t in threads {
        t.com = tls::read(target, machine, t.tid, t.stack.as_ref(), &layouts).map(Box::new);
    }
}

/// An outgoing COM call: what its sources say together.
#[derive(Clone, Debug, PartialEq)]
pub struct ComCall {
    /// The serving process.
    pub pid: Option<Pid>,
    /// The serving thread; `None` when any thread may serve it.
    pub tid: Option<Tid>,
    /// What the thread's COM data say.
    pub outgoing: Option<Outgoing>,
    /// The message object.
    pub message: Option<Message>,
    /// Name of the interface, when it is a known one.
    pub interface: Option<String>,
    /// The class that is being activated.
    pub activation: Option<Guid>,
    /// True when the sources name different servers.
    pub conflict: bool,
}

/// Frames of a stack that belong to the call: those before the first one of the program.
fn plumbing(target: &Target, stack: &Stack) -> usize {
    let frames: Vec<&StackFrame> = stack.physical().take(DEPTH).collect();
    let module = |f: &&StackFrame| f.module.and_then(|m| target.symbols.modules().get(m));
    let system = |f: &&StackFrame| module(f).is_some_and(|m| target.patterns().is_system_file(&m.file_name));
    frames.iter().position(|f| !system(f)).unwrap_or(frames.len())
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
    let found = messages(target, machine, stack, inner.saturating_add(1), handles);
    let waited = |m: &Message| m.event.is_some_and(|e| handles.is_some_and(|h| h.contains(&e)));
    let agrees = |m: &&Message| outgoing.is_none_or(|o| m.pid == Some(o.pid));
    // What is neither waited for nor agrees with the other source may be an old object.
    let message = found
        .iter()
        .find(|m| waited(m))
        .or_else(|| found.iter().find(agrees))
        .or_else(|| found.first().filter(|_| outgoing.is_none()))
        .copied();
    if outgoing.is_none() && message.is_none() && activation.is_none() {
        return None;
    }
    let from_message = message.and_then(|m| m.pid);
    let conflict = matches!((outgoing, from_message), (Some(o), Some(p)) if o.pid != p);
    let interface =
        message.and_then(|m| m.iid).and_then(|g| HintTable::built_in().guid_name(&g).map(str::to_owned));
    Some(ComCall {
        pid: outgoing.map(|o| o.pid).filter(|_| !conflict).or(from_message),
        tid: outgoing.and_then(|o| o.tid).filter(|_| !conflict).or_else(|| message.and_then(|m| m.tid)),
        outgoing,
        message,
        interface,
        activation,
        conflict,
    })
}

/// Completes the wait with the call's destination.
pub(super) fn fill(target: &Target, data: Option<&ComThread>, call: ComCall, wait: &mut Wait) {
    wait.kind = Kind::ComCall;
    let handles = wait.handles.clone();
    let waited = call.message.and_then(|m| m.event).filter(|e| handles.is_some_and(|h| h.contains(e)));
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
        if let Some(e) = waited {
            wait.evidence.push(format!("the object's event {e:x} is the handle that the thread waits for"));
        }
    }
    if let Some(class) = call.activation {
        wait.evidence.push(format!("the thread's COM data hold the activation of class {{{class}}}"));
    }
    let both = call.outgoing.is_some() && call.message.is_some_and(|m| m.pid.is_some());
    wait.confidence = match (call.conflict, waited, both) {
        (true, Some(_), _) => Confidence::Strong,
        (true, None, _) => Confidence::Guess,
        (false, Some(_), _) | (false, None, true) => Confidence::Proven,
        (false, None, false) => Confidence::Strong,
    };
    if call.conflict {
        wait.evidence.push("the sources name different servers: one of them is old".into());
    }
    wait.owner_pid = call.pid;
    wait.owner_tid = call.tid;
    wait.sentence = sentence(target, &call);
    wait.object = call.interface.clone();
    wait.com = Some(Box::new(call));
}

fn message_words(m: &Message) -> String {
    let pid = m.pid.map(|p| format!("server process {:x}", p.0));
    let iid = m.iid.map(|g| format!("interface {{{g}}}"));
    let method = m.method.map(|n| format!("method {n}"));
    let parts: Vec<String> =
        [pid, Some(format!("interface pointer {{{}}}", m.ipid)), iid, method].into_iter().flatten().collect();
    let how = if m.from_symbols { "by the library's symbols" } else { "by the layout of this build" };
    format!("the message object at {:x} ({how}) says: {}", m.address.0, parts.join(", "))
}

fn sentence(target: &Target, call: &ComCall) -> String {
    let what = match (&call.interface, call.message.and_then(|m| m.method)) {
        (Some(i), Some(m)) => format!("a COM call ({i}, method {m})"),
        (Some(i), None) => format!("a COM call ({i})"),
        _ => "a COM call".into(),
    };
    let own = target.dump.pid().is_some() && target.dump.pid() == call.pid;
    match (call.pid, call.tid) {
        (None, _) => match call.activation {
            Some(class) => format!("waits for the activation of the COM class {{{class}}}"),
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
