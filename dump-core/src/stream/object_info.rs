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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Machine;
    use crate::stream::DirectoryEntry;

    /// A file of 16 bytes and the given records, each {next, type, payload}.
    fn chain(records: &[(u32, u32, &[u8])], is_64: bool) -> (Vec<ObjectInfo>, Vec<String>) {
        let mut file = vec![0u8; 16];
        for &(next, info_type, payload) in records {
            for v in [next, info_type, payload.len() as u32] {
                file.extend(v.to_le_bytes());
            }
            file.extend(payload);
        }
        let entry = DirectoryEntry { stream_type: 12, size: 0, offset: FileOff(0) };
        let cx = StreamCx::new("HandleDataStream", &file, entry, Machine::Amd64);
        let out = read_chain(&cx, 16, is_64);
        (out, cx.done(()).warnings().iter().map(|w| w.text.clone()).collect())
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|w| w.to_le_bytes()).collect()
    }

    #[test]
    fn a_mutant_and_its_owner_in_both_bitnesses() {
        let state = words(&[0xffff_ffff, 0x0100]);
        let owner = Some(ObjectInfo::MutantOwner { pid: Pid(0x110), tid: Tid(0x118) });
        let mutant = ObjectInfo::Mutant { current_count: -1, owned_by_caller: false, abandoned: true };
        for (is_64, raw) in [(false, words(&[0x110, 0x118])), (true, words(&[0x110, 0, 0x118, 0]))] {
            // The target's own size, and the other one: a payload tells its bitness by its size.
            for target in [is_64, !is_64] {
                let (got, warnings) = chain(&[(36, 2, &state), (0, 3, &raw)], target);
                assert_eq!((got.first(), got.get(1)), (Some(&mutant), owner.as_ref()), "{is_64} {target}");
                assert!(warnings.is_empty());
            }
        }
    }

    #[test]
    fn processes_threads_and_sections() {
        let basic = words(&[0x103, 0x7ffd_f000, 3, 8, 0x20, 0x10]);
        let (got, _) = chain(&[(0, 4, &basic)], false);
        let ObjectInfo::Process { peb, pid, parent, flags: None, base_priority: 8, .. } = got[0] else {
            panic!()
        };
        assert_eq!((peb, pid, parent), (Va(0x7ffd_f000), Pid(0x20), Pid(0x10)));
        let extended = words(&[64, 0, 0x103, 0, 0x1000, 0, 3, 0, 8, 0, 0x20, 0, 0x10, 0, 2, 0]);
        let (got, _) = chain(&[(0, 5, &extended)], true);
        assert!(matches!(got[0], ObjectInfo::Process { pid: Pid(0x20), flags: Some(2), .. }), "{got:?}");
        let thread = words(&[0x103, 0, 0x2000, 0, 0x20, 0, 0x24, 0, 3, 0, 9, 8]);
        let (got, _) = chain(&[(0, 1, &thread)], true);
        assert!(matches!(got[0], ObjectInfo::Thread { teb: Va(0x2000), tid: Tid(0x24), priority: 9, .. }));
        let (got, _) = chain(&[(0, 7, &words(&[0, 0x800_0000, 0x1000, 0]))], false);
        assert_eq!(got[0], ObjectInfo::Section { attributes: 0x800_0000, size: 0x1000 });
    }

    #[test]
    fn short_and_unknown_records() {
        let (got, _) = chain(&[(0, 3, &[0; 7])], true);
        assert_eq!(got, [ObjectInfo::Unknown { info_type: 3, size: 7 }]);
        let (got, _) = chain(&[(0, 99, &[0; 4])], true);
        assert_eq!(got, [ObjectInfo::Unknown { info_type: 99, size: 4 }]);
        let (got, _) = chain(&[(0, 0, &[])], true);
        assert!(got.is_empty());
    }

    #[test]
    fn loops_end() {
        let event = words(&[1, 1]);
        let (got, warnings) = chain(&[(16, 6, &event)], true);
        assert_eq!(got, [ObjectInfo::Event { manual_reset: false, signalled: true }]);
        assert_eq!(warnings, ["a handle's object information chain is a loop"]);
        let long: Vec<(u32, u32, &[u8])> =
            (0..40).map(|i| (16 + 20 * (i + 1), 6, event.as_slice())).collect();
        let (got, warnings) = chain(&long, true);
        assert_eq!((got.len(), warnings.len()), (MAX_CHAIN, 1));
        let (got, warnings) = chain(&[(0xffff_ff00, 6, &event)], true);
        assert_eq!((got.len(), warnings.len()), (1, 1), "the next record lies outside the file");
    }
}
