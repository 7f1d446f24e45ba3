//! Whom an outgoing COM call waits for, from the thread's COM data (`TEB.ReservedForOle`).
//!
//! Source: shared reference, section 5.1 (`SOleTlsData`, Windows 7 to 11).

mod layout;
mod message;

pub use message::Message;
pub(super) use message::pointers;

use super::{Kind, Wait, thread_words};
use crate::Target;
use crate::arguments::HintTable;
use crate::stacks::{Stack, StackFrame};
use crate::triage::{Confidence, WaitKind};
use dumpscope_core::base::Guid;
use dumpscope_core::{Machine, Pid, ReadMemory, Tid, Va};
use message::messages;

/// Innermost frames in which COM is looked for.
const DEPTH: usize = 16;

/// Where an outgoing call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// `SOleTlsData` of the thread.
    pub data: Va,
    /// Serving process.
    pub pid: Pid,
    /// Serving thread; `None` when any thread of the process may serve it.
    pub tid: Option<Tid>,
}

/// Who called a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// `SOleTlsData` of the thread.
    pub data: Va,
    /// The calling process.
    pub pid: Pid,
}

/// The COM data of a thread (`TEB.ReservedForOle`) and the offset of `outgoingCallData` in them. The block is
/// believed only when it names the TEB's own slot.
fn com_data(target: &Target, thread: Tid, machine: Machine) -> Option<(Va, u64)> {
    let build = target.dump.system().value()?.build;
    // Windows 10 1809 dropped a field before these.
    let late = build >= 17763;
    let (slot_at, offset, in_teb) = match (machine, late) {
        (Machine::Amd64, false) => (0x20, 0x1ac, 0x1758),
        (Machine::Amd64, true) => (0x20, 0x1a4, 0x1758),
        (Machine::X86, false) => (0x14, 0x100, 0xf80),
        (Machine::X86, true) => (0x14, 0xfc, 0xf80),
        _ => return None,
    };
    let index = target.dump.thread_by_tid(thread)?.index;
    let teb = target.dump.read_teb(index, machine)?;
    let data = teb.reserved_for_ole.filter(|d| !d.is_null())?;
    let named = target.dump.memory().ptr(data.offset(slot_at), machine)?;
    (named == teb.address.offset(in_teb)).then_some((data, offset))
}

/// True for what can be a process or thread id. All bits set: no call.
fn is_id(id: u32) -> bool {
    id != 0 && id < 1 << 28 && id.is_multiple_of(4)
}

/// The outgoing call of a thread, when its COM data hold one.
#[must_use]
pub fn outgoing_call(target: &Target, thread: Tid, machine: Machine) -> Option<Outgoing> {
    let (data, offset) = com_data(target, thread, machine)?;
    let memory = target.dump.memory();
    let pid = memory.u32(data.offset(offset))?;
    let tid = memory.u32(data.offset(offset).offset(4))?;
    // 0 or the own id with a thread: a call into another apartment of this process.
    let tid = Some(tid).filter(|&t| is_id(t)).map(Tid);
    let pid = match pid {
        0 => target.dump.pid().filter(|_| tid.is_some())?,
        id if is_id(id) => Pid(id),
        _ => return None,
    };
    Some(Outgoing { data, pid, tid })
}

/// The process whose call a thread serves, when its COM data say so.
#[must_use]
pub fn incoming_call(target: &Target, thread: Tid, machine: Machine) -> Option<Incoming> {
    let (data, offset) = com_data(target, thread, machine)?;
    let pid = target.dump.memory().u32(data.offset(offset).offset(8))?;
    is_id(pid).then_some(Incoming { data, pid: Pid(pid) })
}

/// The activation that a thread waits for (`CoCreateInstance` and its kin): the class.
#[must_use]
pub fn activation(target: &Target, thread: Tid, machine: Machine) -> Option<Guid> {
    let (data, offset) = com_data(target, thread, machine)?;
    let bytes: [u8; 16] = target.dump.memory().bytes(data.offset(offset).offset(0xc))?;
    // Nothing is in progress: all bits clear or set.
    let some = bytes.iter().any(|b| *b != 0) && bytes.iter().any(|b| *b != 0xff);
    some.then(|| Guid::from_bytes(&bytes))
}

/// What kind of apartment a thread is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apartment {
    /// Single-threaded.
    Single,
    /// Multithreaded.
    Multi,
    /// It has COM data but entered none.
    None,
}

impl Apartment {
    /// `STA`, `MTA` or `none`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Apartment::Single => "STA",
            Apartment::Multi => "MTA",
            Apartment::None => "none",
        }
    }
}

/// The apartment of a thread; `None` without COM data.
#[must_use]
pub fn apartment(target: &Target, thread: Tid, machine: Machine) -> Option<Apartment> {
    // OLETLS_APARTMENTTHREADED, OLETLS_MULTITHREADED
    const STA: u32 = 0x80;
    const MTA: u32 = 0x100;
    let (data, _) = com_data(target, thread, machine)?;
    let flags = target.dump.memory().u32(data.offset(if machine.is_64() { 0x14 } else { 0xc }))?;
    Some(match flags {
        f if f & STA != 0 => Apartment::Single,
        f if f & MTA != 0 => Apartment::Multi,
        _ => Apartment::None,
    })
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
    tid: Tid,
    stack: &Stack,
    named: WaitKind,
    handles: Option<&[u64]>,
) -> Option<ComCall> {
    let inner = plumbing(target, stack);
    let com = |module: usize| {
        let module = target.symbols.modules().get(module);
        module
            .is_some_and(|m| ["combase.dll", "ole32.dll"].iter().any(|n| m.file_name.eq_ignore_ascii_case(n)))
    };
    let in_com = named == WaitKind::ComCall || stack.physical().take(inner).filter_map(|f| f.module).any(com);
    if !in_com {
        return None;
    }
    let outgoing = outgoing_call(target, tid, machine);
    let activation = activation(target, tid, machine).filter(|_| outgoing.is_none());
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
pub(super) fn fill(target: &Target, call: ComCall, wait: &mut Wait) {
    wait.kind = Kind::ComCall;
    let handles = wait.handles.clone();
    let waited = call.message.and_then(|m| m.event).filter(|e| handles.is_some_and(|h| h.contains(e)));
    if let Some(out) = call.outgoing {
        let thread = out.tid.map(|t| format!(", thread {:x},", t.0)).unwrap_or_default();
        wait.evidence.push(format!(
            "the thread's COM data at {:x} name process {:x}{thread} as the server of its outgoing call",
            out.data.0, out.pid.0
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
