//! Critical sections in the writable data of modules.

use super::section::CriticalSection;
use crate::{Cancel, Target};
use dumpscope_core::{Machine, ReadMemory, Va};
use dumpscope_symbols::image::PeHeaders;

/// `IMAGE_SCN_MEM_WRITE`.
const WRITABLE: u32 = 0x8000_0000;

/// Most bytes that are looked at, over all modules.
const MAX_BYTES: u64 = 256 << 20;

/// Most sections that are kept.
const MAX_FOUND: usize = 1 << 16;

/// Bytes looked at in one go.
const CHUNK: u64 = 1 << 16;

/// All plausible sections in the modules' writable data, by address: those whose debug block points back, and held
/// ones without a debug block whose owner `is_thread` knows. Returns them and whether everything was looked at.
pub(super) fn module_data(
    target: &Target,
    machine: Machine,
    upwards: bool,
    is_thread: &dyn Fn(u64) -> bool,
    cancel: &Cancel,
) -> (Vec<CriticalSection>, bool) {
    let memory = target.dump.memory();
    let mut found = Vec::new();
    let mut left = MAX_BYTES;
    for module in target.dump.modules() {
        let Ok(headers) = PeHeaders::read(memory.as_ref(), module.base) else { continue };
        if headers.machine.is_64() != machine.is_64() {
            continue;
        }
        for section in headers.sections.iter().filter(|s| s.characteristics & WRITABLE != 0) {
            let size = u64::from(section.mapped_size().min(module.size));
            if cancel.is_cancelled() || size > left || found.len() >= MAX_FOUND {
                return (found, false);
            }
            left = left.saturating_sub(size);
            let start = section.rva.va(module.base);
            let mut done = 0;
            while done < size {
                let n = CHUNK.min(size.saturating_sub(done));
                chunk(target, machine, start.offset(done), n, upwards, is_thread, &mut found);
                done = done.saturating_add(n);
            }
        }
    }
    found.sort_by_key(|s| s.address);
    found.dedup_by_key(|s| s.address);
    (found, true)
}

/// As [`module_data`], between two addresses.
pub(super) fn range(
    target: &Target,
    machine: Machine,
    (start, end): (Va, Va),
    upwards: bool,
    is_thread: &dyn Fn(u64) -> bool,
) -> Vec<CriticalSection> {
    let mut found = Vec::new();
    let p = machine.ptr_size() as u64;
    // Sections are aligned to pointers.
    let Some(first) = start.0.checked_next_multiple_of(p) else { return found };
    let mut at = Va(first);
    let stop = end.min(start.offset(MAX_BYTES));
    while at < stop && found.len() < MAX_FOUND {
        let Some(next) = target.dump.memory().next_readable(at) else { break };
        at = Va((next.0 / p).wrapping_mul(p)).max(at);
        let n = CHUNK.min(stop.distance_from(at).unwrap_or(0));
        if n == 0 {
            break;
        }
        chunk(target, machine, at, n, upwards, is_thread, &mut found);
        let Some(after) = at.checked_add(n) else { break };
        at = after;
    }
    found
}

/// Looks at the aligned addresses of `size` bytes at `start`; a section may end behind them.
fn chunk(
    target: &Target,
    machine: Machine,
    start: Va,
    size: u64,
    upwards: bool,
    is_thread: &dyn Fn(u64) -> bool,
    found: &mut Vec<CriticalSection>,
) {
    let memory = target.dump.memory().as_ref();
    let p = machine.ptr_size();
    let Ok(len) = usize::try_from(size.saturating_add(16)) else { return };
    let mut bytes = vec![0u8; len];
    let got = memory.read_at(start, &mut bytes).got;
    let Some(bytes) = bytes.get(..got) else { return };
    let word = |at: usize| {
        let raw = bytes.get(at..at.checked_add(4)?)?;
        Some(i32::from_le_bytes(raw.try_into().ok()?))
    };
    for at in (0..usize::try_from(size).unwrap_or(0)).step_by(p) {
        // Cheap tests on the bytes at hand first: most words are nothing like a section.
        let (Some(info), Some(count), Some(recursion)) =
            (word(at), word(at.saturating_add(p)), word(at.saturating_add(p).saturating_add(4)))
        else {
            return;
        };
        let free = count == -1 && recursion == 0;
        if info == 0 || !(free || (1..=0x1_0000).contains(&recursion)) {
            continue;
        }
        let Some(s) = CriticalSection::read(memory, start.offset(at as u64), machine) else { continue };
        let sure = s.points_back() || (s.is_locked() && is_thread(s.owner));
        if sure && s.is_plausible(machine, upwards) && found.len() < MAX_FOUND {
            found.push(s);
        }
    }
}
