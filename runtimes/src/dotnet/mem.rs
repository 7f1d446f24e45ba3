//! Reading blocks whose size the dump says.

use dumpscope_core::{ReadMemory, Va};

/// Bytes that are read at a time: a claimed size costs no memory that the dump does not fill.
const CHUNK: usize = 1 << 20;

/// Exactly `len` bytes at `va`; `None` when some are missing or it is more than `max`.
pub(super) fn block(memory: &dyn ReadMemory, va: Va, len: usize, max: usize) -> Option<Vec<u8>> {
    if len > max {
        return None;
    }
    let mut out = Vec::new();
    while out.len() < len {
        let at = out.len();
        let want = CHUNK.min(len - at);
        out.resize(at + want, 0);
        if memory.read_at(va.offset(at as u64), out.get_mut(at..)?).got < want {
            return None;
        }
    }
    Some(out)
}

/// Up to `len` bytes at `va`, as far as they are known.
pub(super) fn some(memory: &dyn ReadMemory, va: Va, len: usize) -> Vec<u8> {
    let mut out = vec![0u8; len];
    let got = memory.read_at(va, &mut out).got;
    out.truncate(got);
    out
}

/// As [`some`], for a search.
pub(super) fn scanned(memory: &dyn ReadMemory, va: Va, len: usize) -> Vec<u8> {
    let mut out = vec![0u8; len];
    let got = memory.scan_at(va, &mut out).got;
    out.truncate(got);
    out
}

/// 16 bits at `at`.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// 32 bits at `at`.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// 64 bits at `at`.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
