//! A thread's COM data (`SOleTlsData`, at `TEB.ReservedForOle`): its apartment, the calls that it makes and serves.
//!
//! Sources: the library's symbols; the code of its export `CoGetCallState`; else offsets by build
//! (`docs/reference/com.md#thread-data`: PDB types of Windows 7 to 11, seen in dumps of 22631). What lies between two
//! known builds is read by both layouts and believed when only one of them makes sense.

use super::library::of_type;
use super::{call_state, incoming, objects};
use crate::Target;
use crate::model::{Apartment, ComThread, LayoutSource, Outgoing, Stack};
use dumpscope_core::base::Guid;
use dumpscope_core::{Machine, Pid, ReadMemory, Tid, Va};

/// First and last build whose layout is not known by itself: it is that of one of its neighbours.
const BETWEEN: std::ops::RangeInclusive<u32> = 17763..=18363;
/// The same for 32-bit processes.
const BETWEEN_X86: std::ops::RangeInclusive<u32> = 10240..=18363;
/// Last build whose layout was seen.
const NEWEST: u32 = 22631;

/// Offsets in `SOleTlsData`, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// `ppTlsSlot`: leads back to the TEB.
    pub slot: u64,
    /// `dwFlags`.
    pub flags: u64,
    /// `dwApartmentID`.
    pub apartment: u64,
    /// `outgoingCallData`: process and thread id.
    pub outgoing: u64,
    /// `incomingCallData`: process id.
    pub incoming: u64,
    /// `outgoingActivationData`: class.
    pub activation: u64,
    /// `dwTIDCaller`.
    pub caller: Option<u64>,
    /// `LogicalThreadId`.
    pub causality: Option<u64>,
    /// `pServerCall` (Windows 10 1607 and later).
    pub server_call: Option<u64>,
    /// `pCallCtrl`.
    pub call_control: Option<u64>,
    /// `pASTAWaitContext`, later `pModernSTAWaitContext`.
    pub modern_wait: Option<u64>,
    /// How it is known.
    pub source: LayoutSource,
}

/// x64 up to 1803.
const EARLY: Layout = Layout {
    slot: 0x20,
    flags: 0x14,
    apartment: 0x10,
    outgoing: 0x1ac,
    incoming: 0x1b4,
    activation: 0x1b8,
    caller: Some(0x58),
    causality: Some(0xd8),
    server_call: Some(0x38),
    call_control: Some(0xb0),
    modern_wait: None,
    source: LayoutSource::Build,
};

/// x64 since 2004: a pointer was dropped at c0.
const LATE: Layout = Layout {
    outgoing: 0x1a4,
    incoming: 0x1ac,
    activation: 0x1b0,
    causality: Some(0xd0),
    modern_wait: Some(0x1c8),
    ..EARLY
};

/// x86 up to 8.1.
const EARLY_X86: Layout = Layout {
    slot: 0x14,
    flags: 0xc,
    apartment: 8,
    outgoing: 0x100,
    incoming: 0x108,
    activation: 0x10c,
    caller: Some(0x34),
    causality: Some(0x80),
    server_call: None,
    call_control: Some(0x68),
    modern_wait: None,
    source: LayoutSource::Build,
};

/// x86 since 2004: a pointer was dropped at 70.
const LATE_X86: Layout =
    Layout { outgoing: 0xfc, incoming: 0x104, activation: 0x108, causality: Some(0x7c), ..EARLY_X86 };

/// The layouts that may hold, the best one alone when it is certain.
pub(super) fn layouts(target: &Target, machine: Machine) -> Vec<Layout> {
    let Some(build) = target.dump.system().value().map(|s| s.build) else { return Vec::new() };
    let (early, late, between) = match machine {
        Machine::Amd64 => (EARLY, LATE, BETWEEN),
        Machine::X86 => (EARLY_X86, LATE_X86, BETWEEN_X86),
        _ => return Vec::new(),
    };
    let neighbour = |l: Layout| Layout { source: LayoutSource::Neighbour, ..l };
    let mut known = match build {
        b if between.contains(&b) => vec![neighbour(late), neighbour(early)],
        b if b > NEWEST => vec![neighbour(late)],
        b if b < *between.start() => vec![early],
        _ => vec![late],
    };
    if machine == Machine::Amd64 {
        // The one 64-bit layout of Windows 10 before 2004 that is known in full.
        for l in known.iter_mut().filter(|l| l.outgoing == early.outgoing) {
            l.modern_wait = (build == 14393).then_some(0x1d0);
            l.server_call = l.server_call.filter(|_| build >= 14393);
        }
    }
    if let Some(of_symbols) = of_symbols(target, machine) {
        return vec![of_symbols];
    }
    // Where the layout of this build is certain the code is not read.
    let certain = known.iter().all(|l| l.source == LayoutSource::Build)
        && (machine == Machine::Amd64 || build < *between.start());
    if !certain && let Some(told) = call_state::read(target, machine) {
        // The other offsets are those of the known layout with the same call offsets.
        let same = |l: &Layout| l.outgoing == told.outgoing && l.incoming == told.incoming;
        let full = known.iter().chain(&[late, early]).find(|l| same(l)).copied();
        let bare = Layout {
            caller: None,
            causality: None,
            server_call: None,
            call_control: None,
            modern_wait: None,
            ..late
        };
        let told = Layout {
            outgoing: told.outgoing,
            incoming: told.incoming,
            activation: told.activation,
            source: LayoutSource::Code,
            ..full.unwrap_or(bare)
        };
        return vec![told];
    }
    known
}

/// `SOleTlsData` as the library's symbols define it.
fn of_symbols(target: &Target, machine: Machine) -> Option<Layout> {
    of_type(target, machine, &["tagSOleTlsData", "SOleTlsData"], |f| {
        Some(Layout {
            slot: f.offset("ppTlsSlot")?,
            flags: f.offset("dwFlags")?,
            apartment: f.offset("dwApartmentID")?,
            outgoing: f.inner("outgoingCallData", "dwServerPID").or_else(|| f.offset("outgoingCallData"))?,
            incoming: f.inner("incomingCallData", "dwClientPID").or_else(|| f.offset("incomingCallData"))?,
            activation: f.offset("outgoingActivationData")?,
            caller: f.offset("dwTIDCaller"),
            causality: f.offset("LogicalThreadId"),
            server_call: f.offset("pServerCall"),
            call_control: f.offset("pCallCtrl"),
            modern_wait: f.offset("pModernSTAWaitContext").or_else(|| f.offset("pASTAWaitContext")),
            source: LayoutSource::Symbols,
        })
    })
}

/// True for what can be a process or thread id.
pub(super) fn is_id(id: u32) -> bool {
    id != 0 && id < 1 << 28 && id.is_multiple_of(4)
}

/// The words of one layout.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Words {
    outgoing: Option<Outgoing>,
    client: Option<Pid>,
    activation: Option<Guid>,
}

fn words(target: &Target, data: Va, l: &Layout) -> Option<Words> {
    let memory = target.dump.memory();
    let word = |o: u64| memory.u32(data.offset(o));
    let (pid, tid, client) = (word(l.outgoing)?, word(l.outgoing.saturating_add(4))?, word(l.incoming)?);
    // Zero and all bits set mean that there is no call.
    let plausible = |v: u32| v == 0 || v == u32::MAX || is_id(v);
    if ![pid, tid, client].into_iter().all(plausible) {
        return None;
    }
    let tid = Some(tid).filter(|&t| is_id(t)).map(Tid);
    let own = target.dump.pid();
    let outgoing = match pid {
        // Process 0 and a thread: the call goes to another apartment of this process.
        0 => own.filter(|_| tid.is_some()).map(|pid| Outgoing { pid, tid }),
        id if is_id(id) => Some(Outgoing { pid: Pid(id), tid }),
        _ => None,
    };
    // A call into this process names one of its threads, or the layout is wrong.
    let inside = outgoing.is_some_and(|o| own == Some(o.pid));
    let gone = |t: Tid| target.dump.thread_by_tid(t).is_none();
    if inside && l.source == LayoutSource::Neighbour && tid.is_some_and(gone) {
        return None;
    }
    let bytes: [u8; 16] = memory.bytes(data.offset(l.activation))?;
    // No class id begins with eight zero or ff bytes: nothing is being activated.
    let empty = |v: u8| bytes.iter().take(8).all(|b| *b == v);
    let some = !empty(0) && !empty(0xff);
    Some(Words {
        outgoing,
        client: is_id(client).then_some(Pid(client)),
        activation: some.then(|| Guid::from_bytes(&bytes)),
    })
}

/// The COM data of a thread. The block is believed only when it names the TEB's own slot.
pub(super) fn read(
    target: &Target,
    machine: Machine,
    thread: Tid,
    stack: Option<&Stack>,
    layouts: &[Layout],
) -> Option<ComThread> {
    let index = target.dump.thread_by_tid(thread)?.index;
    let teb = target.dump.read_teb(index, machine)?;
    let data = teb.reserved_for_ole.filter(|d| !d.is_null())?;
    let memory = target.dump.memory();
    let in_teb = if machine.is_64() { 0x1758 } else { 0xf80 };
    let slot = |l: &Layout| memory.ptr(data.offset(l.slot), machine) == Some(teb.address.offset(in_teb));
    let mut found: Vec<(Layout, Words)> =
        layouts.iter().filter(|l| slot(l)).filter_map(|l| Some((*l, words(target, data, l)?))).collect();
    if found.len() > 1 {
        // Of two layouts, the one that sees a call; none when both do and see different ones.
        let busy = |w: &Words| w.outgoing.is_some() || w.client.is_some() || w.activation.is_some();
        let (with, without): (Vec<_>, Vec<_>) = found.into_iter().partition(|(_, w)| busy(w));
        found = if with.is_empty() { without } else { with };
        if found.len() > 1 && found.iter().any(|(_, w)| busy(w)) {
            return None;
        }
    }
    let (layout, words) = found.into_iter().next()?;
    let apartment = apartment(memory.u32(data.offset(layout.flags))?);
    let apartment_id = memory.u32(data.offset(layout.apartment))?;
    let busy = words.outgoing.is_some() || words.client.is_some();
    let causality = layout
        .causality
        .filter(|_| busy)
        .and_then(|o| memory.bytes::<16>(data.offset(o)))
        .map(|b| Guid::from_bytes(&b))
        .filter(|g| *g != Guid::default());
    let mut out = ComThread {
        data,
        layout: layout.source,
        apartment,
        apartment_id,
        outgoing: words.outgoing,
        incoming: None,
        activation: words.activation,
        causality,
        callee: None,
    };
    if let Some(pid) = words.client {
        out.incoming = Some(incoming::read(target, machine, &layout, &out, pid, stack));
    }
    out.callee = objects::callee(target, machine, &layout, &out);
    Some(out)
}

fn apartment(flags: u32) -> Apartment {
    // OLETLS_APARTMENTTHREADED, OLETLS_MULTITHREADED, OLETLS_APPLICATION_STA
    const STA: u32 = 0x80;
    const MTA: u32 = 0x100;
    const ASTA: u32 = 0x40_0000;
    match flags {
        f if f & STA != 0 && f & ASTA != 0 => Apartment::App,
        f if f & STA != 0 => Apartment::Single,
        f if f & MTA != 0 => Apartment::Multi,
        _ => Apartment::None,
    }
}
