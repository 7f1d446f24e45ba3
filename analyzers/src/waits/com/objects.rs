//! Objects of the COM library that name processes, threads and interfaces: `OXIDEntry`, `IPIDEntry`, `ServerCall`,
//! the modal loop of a single-threaded apartment.
//!
//! Sources: `docs/reference/com.md#thread-data` and `docs/reference/com.md#entries` (PDB types of 8.1, 1607, 2004 and
//! 11; a published tool). `IPIDEntry` of 32-bit processes follows from the 64-bit one by the size of its pointers.
//! Every object is believed only when words of it that do not depend on each other agree.

use super::library::of_type;
use super::tls::{Layout, is_id};
use crate::Target;
use crate::model::{Apartment, ComThread};
use dumpscope_core::base::Guid;
use dumpscope_core::{Machine, Pid, ReadMemory, Tid, Va};

/// The first build with the later `OXIDEntry` (2004).
const LATE_OXID: u32 = 19041;

fn build(target: &Target) -> u32 {
    target.dump.system().value().map_or(0, |s| s.build)
}

fn guid(target: &Target, at: Va) -> Option<Guid> {
    let g = Guid::from_bytes(&target.dump.memory().bytes::<16>(at)?);
    (g != Guid::default()).then_some(g)
}

/// `OXIDEntry`: the process and thread that serve an apartment's objects.
pub(super) fn oxid(target: &Target, machine: Machine, at: Va) -> Option<(Pid, Option<Tid>)> {
    let by_symbols = of_type(target, machine, &["OXIDEntry"], |f| {
        let pid = f.offset("_dwPid").or_else(|| f.offset("dwPid"));
        let tid = f.offset("_dwTid").or_else(|| f.offset("dwTid"));
        let info = |n| f.inner("_oxidInfo", n).or_else(|| f.inner("m_oxidInfo", n));
        Some((pid.or_else(|| info("dwPid"))?, tid.or_else(|| info("dwTid"))?))
    });
    let by_build = match (machine, build(target) >= LATE_OXID) {
        (Machine::Amd64, true) => Some((0x1c, 0x18)),
        (Machine::Amd64, false) => Some((0x10, 0x14)),
        (Machine::X86, false) => Some((8, 0xc)),
        _ => None,
    };
    let (pid, tid) = by_symbols.or(by_build)?;
    let memory = target.dump.memory();
    let pid = memory.u32(at.offset(pid)).filter(|p| is_id(*p))?;
    let tid = memory.u32(at.offset(tid)).filter(|t| is_id(*t));
    Some((Pid(pid), tid.map(Tid)))
}

/// An interface pointer that this process serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Served {
    /// The entry.
    pub address: Va,
    /// Interface pointer id.
    pub ipid: Guid,
    /// Interface.
    pub iid: Guid,
}

/// `IPIDEntry` of an object of this process: its id holds the process's own id, and so does its OXID entry.
pub(super) fn served(target: &Target, machine: Machine, at: Va) -> Option<Served> {
    let (oxid_at, ipid_at, iid_at) = match machine {
        Machine::Amd64 => (0x28, 0x30, 0x40),
        Machine::X86 => (0x1c, 0x20, 0x30),
        _ => return None,
    };
    let own = target.dump.pid()?;
    let ipid = guid(target, at.offset(ipid_at)).filter(|g| u32::from(g.data2) == own.0 & 0xffff)?;
    let iid = guid(target, at.offset(iid_at))?;
    let entry = target.dump.memory().ptr(at.offset(oxid_at), machine).filter(|e| e.0 > 0xffff)?;
    let (pid, _) = oxid(target, machine, entry)?;
    (pid == own).then_some(Served { address: at, ipid, iid })
}

/// Offsets in `ServerCall`: client process, client thread, pointer to the `IPIDEntry`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ServerCall {
    pid: u64,
    tid: u64,
    entry: Option<u64>,
    /// False: it is another build's.
    pub certain: bool,
}

/// Lowest and highest build, and the layout (64-bit).
const SERVER_CALLS: [(u32, u32, ServerCall); 3] = [
    (22000, 22631, ServerCall { pid: 0x94, tid: 0x98, entry: Some(0xa8), certain: true }),
    (19041, 19045, ServerCall { pid: 0x84, tid: 0x88, entry: Some(0x98), certain: true }),
    (14393, 14393, ServerCall { pid: 0x70, tid: 0x74, entry: Some(0x68), certain: true }),
];

/// The layouts that may hold: the one of the symbols or the build, else all.
pub(super) fn server_calls(target: &Target, machine: Machine) -> Vec<ServerCall> {
    let symbols = of_type(target, machine, &["ServerCall", "CServerCall"], |f| {
        Some(ServerCall {
            pid: f.offset("_dwClientPid")?,
            tid: f.offset("_dwClientTid")?,
            entry: f.offset("_pIPIDEntry"),
            certain: true,
        })
    });
    if let Some(s) = symbols {
        return vec![s];
    }
    let build = build(target);
    if machine != Machine::Amd64 {
        return Vec::new();
    }
    match SERVER_CALLS.iter().find(|(from, to, _)| (*from..=*to).contains(&build)) {
        Some(s) => vec![s.2],
        None => SERVER_CALLS.iter().map(|s| ServerCall { certain: false, ..s.2 }).collect(),
    }
}

impl ServerCall {
    /// The client's thread and the interface pointer it called, when the object names that client process.
    pub(super) fn read(
        &self,
        target: &Target,
        machine: Machine,
        at: Va,
        client: Pid,
    ) -> Option<(Tid, Option<Served>)> {
        let memory = target.dump.memory();
        let tid = memory.u32(at.offset(self.tid)).filter(|t| is_id(*t))?;
        (memory.u32(at.offset(self.pid))? == client.0).then_some(())?;
        let entry = self.entry.and_then(|o| memory.ptr(at.offset(o), machine)).filter(|e| e.0 > 0xffff);
        Some((Tid(tid), entry.and_then(|e| served(target, machine, e))))
    }
}

/// The thread that a single-threaded apartment's modal loop waits for: by `CCliModalLoop` when it belongs to the
/// chain of calls that the thread is in, or by the wait of an app's apartment.
pub(super) fn callee(
    target: &Target,
    machine: Machine,
    layout: &Layout,
    thread: &ComThread,
) -> Option<(Tid, Va)> {
    thread.outgoing?;
    if machine != Machine::Amd64 || !matches!(thread.apartment, Apartment::Single | Apartment::App) {
        return None;
    }
    let memory = target.dump.memory();
    let pointer = |at: Va| memory.ptr(at, machine).filter(|p| p.0 > 0xffff);
    let id = |at: Va| memory.u32(at).filter(|t| is_id(*t)).map(Tid);
    if thread.apartment == Apartment::App {
        let wait = pointer(thread.data.offset(layout.modern_wait?))?;
        return Some((id(wait.offset(0x14))?, wait));
    }
    let control = pointer(thread.data.offset(layout.call_control?))?;
    // `_pTopCML`: 8 since 2004, 10 up to 1607; `_lid` tells which. The loop: `_dwTIDCallee` 38, `_lid` 40.
    [8, 0x10].into_iter().find_map(|o| {
        let top = pointer(control.offset(o))?;
        let chain = guid(target, top.offset(0x40))?;
        (Some(chain) == thread.causality).then_some(())?;
        Some((id(top.offset(0x38))?, top))
    })
}
