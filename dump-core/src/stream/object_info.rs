//! The object information chain of a handle: `MINIDUMP_HANDLE_OBJECT_INFORMATION`.
//!
//! Each record is 12 bytes {NextInfoRva, InfoType, SizeOfInfo} and its payload. The payloads are the NT query
//! structures in the target's bitness; both layouts of a type have different sizes (except where they are
//! equal), so the size decides when it is not the one that the target's machine has.

use super::StreamCx;
use super::handle_data::ObjectInfo;
use crate::base::{FileOff, Pid, Tid, Va};
use crate::bytes::Cursor;

/// Records read per handle. Eight types exist, so a longer chain is damage.
const MAX_CHAIN: usize = 16;

/// Reads the chain that starts at file offset `rva` (0: none).
pub(crate) fn read_chain(cx: &StreamCx<'_>, rva: u32, target_is_64: bool) -> Vec<ObjectInfo> {
    let mut out = Vec::new();
    let mut seen: Vec<u32> = Vec::new();
    let mut at = rva;
    while at != 0 {
        let here = Some(FileOff(at.into()));
        if seen.contains(&at) {
            cx.warn(here, "a handle's object information chain is a loop");
            break;
        }
        if seen.len() >= MAX_CHAIN {
            cx.warn(here, format!("a handle's object information chain has more than {MAX_CHAIN} records"));
            break;
        }
        seen.push(at);
        let Some(raw) = cx.slice(at.into(), 12) else {
            cx.warn(here, "a handle's object information lies outside the file");
            break;
        };
        let mut c = Cursor::new(raw, FileOff(at.into()));
        let (Some(next), Some(info_type), Some(size)) = (c.u32(), c.u32(), c.u32()) else { break };
        let payload = u64::from(at).saturating_add(12);
        // Type 0 is `MiniHandleObjectInformationNone`: a record without content.
        if info_type != 0 {
            match cx.slice(payload, size.into()) {
                Some(raw) => out.push(decode(info_type, raw, target_is_64)),
                None => {
                    cx.warn(here, format!("object information of {size} bytes lies outside the file"));
                    break;
                }
            }
        }
        at = next;
    }
    out
}

/// Decodes one payload; what does not have a known type and size becomes [`ObjectInfo::Unknown`].
fn decode(info_type: u32, raw: &[u8], target_is_64: bool) -> ObjectInfo {
    let size = u32::try_from(raw.len()).unwrap_or(u32::MAX);
    let pick = |size32: usize, size64: usize| {
        let (want, other) = if target_is_64 { (size64, size32) } else { (size32, size64) };
        if raw.len() == other { Some(!target_is_64) } else { (raw.len() >= want).then_some(target_is_64) }
    };
    let c = Cursor::new(raw, FileOff(0));
    let decoded = match info_type {
        1 => pick(28, 48).and_then(|is_64| thread(c, is_64)),
        2 => mutant(c),
        3 => pick(8, 16).and_then(|is_64| mutant_owner(c, is_64)),
        4 => pick(24, 48).and_then(|is_64| process(c, is_64, false)),
        5 => pick(32, 64).and_then(|is_64| process(c, is_64, true)),
        6 => event(c),
        7 => pick(16, 24).and_then(|is_64| section(c, is_64)),
        8 => semaphore(c),
        _ => None,
    };
    decoded.unwrap_or(ObjectInfo::Unknown { info_type, size })
}

/// Ids are stored as HANDLEs; an id never needs more than 32 bits.
fn id(word: u64) -> Option<u32> {
    u32::try_from(word).ok()
}

/// `THREAD_BASIC_INFORMATION`: 28 or 48 bytes.
fn thread(mut c: Cursor<'_>, is_64: bool) -> Option<ObjectInfo> {
    let exit_status = c.u32()?;
    if is_64 {
        c.skip(4)?;
    }
    Some(ObjectInfo::Thread {
        exit_status,
        teb: Va(c.word(is_64)?),
        pid: Pid(id(c.word(is_64)?)?),
        tid: Tid(id(c.word(is_64)?)?),
        affinity: c.word(is_64)?,
        priority: c.i32()?,
        base_priority: c.i32()?,
    })
}

/// `MUTANT_BASIC_INFORMATION`: 8 bytes.
fn mutant(mut c: Cursor<'_>) -> Option<ObjectInfo> {
    let current_count = c.i32()?;
    let owned_by_caller = c.u8()? != 0;
    let abandoned = c.u8()? != 0;
    Some(ObjectInfo::Mutant { current_count, owned_by_caller, abandoned })
}

/// `MUTANT_OWNER_INFORMATION`, a `CLIENT_ID`: 8 or 16 bytes.
fn mutant_owner(mut c: Cursor<'_>, is_64: bool) -> Option<ObjectInfo> {
    Some(ObjectInfo::MutantOwner { pid: Pid(id(c.word(is_64)?)?), tid: Tid(id(c.word(is_64)?)?) })
}

/// `PROCESS_BASIC_INFORMATION` (24 or 48 bytes), or the extended form that has a size word before and flags
/// after it (32 or 64 bytes).
fn process(mut c: Cursor<'_>, is_64: bool, extended: bool) -> Option<ObjectInfo> {
    if extended {
        c.word(is_64)?;
    }
    let exit_status = c.u32()?;
    if is_64 {
        c.skip(4)?;
    }
    let peb = Va(c.word(is_64)?);
    let _affinity = c.word(is_64)?;
    let base_priority = c.i32()?;
    if is_64 {
        c.skip(4)?;
    }
    let pid = Pid(id(c.word(is_64)?)?);
    let parent = Pid(id(c.word(is_64)?)?);
    let flags = if extended { Some(c.u32()?) } else { None };
    Some(ObjectInfo::Process { exit_status, peb, base_priority, pid, parent, flags })
}

/// `EVENT_BASIC_INFORMATION`: 8 bytes; type 0 is a notification event (manual reset).
fn event(mut c: Cursor<'_>) -> Option<ObjectInfo> {
    let kind = c.u32()?;
    let state = c.u32()?;
    Some(ObjectInfo::Event { manual_reset: kind == 0, signalled: state != 0 })
}

/// `SECTION_BASIC_INFORMATION`: 16 or 24 bytes.
fn section(mut c: Cursor<'_>, is_64: bool) -> Option<ObjectInfo> {
    let _base = c.word(is_64)?;
    let attributes = c.u32()?;
    if is_64 {
        c.skip(4)?;
    }
    Some(ObjectInfo::Section { attributes, size: c.u64()? })
}

/// `SEMAPHORE_BASIC_INFORMATION`: 8 bytes.
fn semaphore(mut c: Cursor<'_>) -> Option<ObjectInfo> {
    Some(ObjectInfo::Semaphore { count: c.u32()?, limit: c.u32()? })
}
