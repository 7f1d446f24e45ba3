//! Whom an outgoing COM call waits for, from the thread's COM data (`TEB.ReservedForOle`).
//!
//! Source: shared reference, section 5.1 (`SOleTlsData`, Windows 7 to 11).

use super::{Kind, Wait, thread_words};
use crate::Target;
use crate::stacks::Stack;
use crate::triage::{Confidence, WaitKind};
use dumpscope_core::{Machine, Pid, ReadMemory, Tid, Va};

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

/// True when a stack is in a COM call: by the names of its frames, or because it waits below the COM library.
pub(super) fn is_in_com(target: &Target, stack: &Stack, wait: WaitKind) -> bool {
    let com = |module: usize| {
        let module = target.symbols.modules().get(module);
        module
            .is_some_and(|m| ["combase.dll", "ole32.dll"].iter().any(|n| m.file_name.eq_ignore_ascii_case(n)))
    };
    wait == WaitKind::ComCall || stack.physical().take(DEPTH).filter_map(|f| f.module).any(com)
}

/// Completes the wait with the call's destination.
pub(super) fn fill(target: &Target, out: Outgoing, wait: &mut Wait) {
    wait.kind = Kind::ComCall;
    wait.owner_pid = Some(out.pid);
    wait.owner_tid = out.tid;
    wait.confidence = Confidence::Strong;
    wait.evidence.push(format!(
        "the thread's COM data at {:x} name process {:x} as the server of its outgoing call",
        out.data.0, out.pid.0
    ));
    let own = target.dump.pid() == Some(out.pid);
    wait.sentence = match (own, out.tid) {
        (true, Some(t)) => {
            format!("waits for the answer to a COM call that {} serves", thread_words(target, t))
        }
        (true, None) => "waits for the answer to a COM call into its own process".into(),
        (false, Some(t)) => {
            format!(
                "waits for the answer to a COM call that thread {:x} of process {:x} serves",
                t.0, out.pid.0
            )
        }
        (false, None) => format!("waits for the answer to a COM call that process {:x} serves", out.pid.0),
    };
}
