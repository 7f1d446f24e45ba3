//! Reading blocks whose size the dump says.

use dumpscope_core::{ReadMemory, Va};
use std::sync::Arc;

/// Bytes that are read at a time: a claimed size costs no memory that the dump does not fill.
const CHUNK: usize = 1 << 20;

/// Fewest bytes of a block whose size nothing says.
const FEWEST: usize = 256;

/// Most parts of a block with holes.
const MAX_PARTS: usize = 1 << 16;

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

/// What `decode` makes of the bytes at `va`, of which nothing says how many they are: it is given more and more of them, up to
/// `max`. Bytes behind what it needed are not noted as read.
pub(super) fn grown<T>(
    memory: &dyn ReadMemory,
    va: Va,
    max: usize,
    decode: impl Fn(&[u8]) -> Option<T>,
) -> Option<T> {
    let mut len = FEWEST.min(max);
    loop {
        let bytes = scanned(memory, va, len);
        let out = decode(&bytes);
        if out.is_some() || bytes.len() < len || len >= max {
            // When nothing was found, the first bytes say so again.
            memory.touch(va, if out.is_some() { len } else { FEWEST });
            return out;
        }
        len = len.saturating_mul(4).min(max);
    }
}

/// Bytes of a block of memory as far as the dump has them, by offset. What is asked of them is noted as read.
pub(super) struct Sparse {
    memory: Arc<dyn ReadMemory>,
    at: Va,
    /// Offset and bytes, sorted, with a hole between any two.
    parts: Vec<(usize, Vec<u8>)>,
}

impl std::fmt::Debug for Sparse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes: usize = self.parts.iter().map(|(_, bytes)| bytes.len()).sum();
        write!(f, "{bytes} bytes at {:?}", self.at)
    }
}

impl Sparse {
    /// What there is of `len` bytes at `at`; `None` when that is more than `max`.
    pub(super) fn read(memory: &Arc<dyn ReadMemory>, at: Va, len: usize, max: usize) -> Option<Sparse> {
        if len > max {
            return None;
        }
        let mut parts = Vec::new();
        let mut part: (usize, Vec<u8>) = (0, Vec::new());
        let mut done = 0usize;
        while done < len && parts.len() < MAX_PARTS {
            let want = CHUNK.min(len - done);
            let bytes = scanned(memory.as_ref(), at.offset(done as u64), want);
            done += bytes.len();
            part.1.extend(&bytes);
            if bytes.len() == want {
                continue;
            }
            let whole = std::mem::take(&mut part.1);
            if !whole.is_empty() {
                parts.push((part.0, whole));
            }
            // Over the hole.
            let next = memory.next_readable(at.offset(done as u64).offset(1));
            let next = next.and_then(|va| usize::try_from(va.distance_from(at)?).ok());
            let Some(next) = next.filter(|n| *n < len) else { break };
            (done, part.0) = (next, next);
        }
        if !part.1.is_empty() {
            parts.push(part);
        }
        Some(Sparse { memory: Arc::clone(memory), at, parts })
    }

    /// The bytes from `at` to the next hole, without a note.
    pub(super) fn peek(&self, at: usize) -> Option<&[u8]> {
        let nth = self.parts.partition_point(|(start, _)| *start <= at).checked_sub(1)?;
        let (start, bytes) = self.parts.get(nth)?;
        bytes.get(at.checked_sub(*start)?..).filter(|b| !b.is_empty())
    }

    /// The first `len` bytes at `at`.
    pub(super) fn get(&self, at: usize, len: usize) -> Option<&[u8]> {
        // Noted first: what is missing is asked for as well.
        self.memory.touch(self.at.offset(at as u64), len);
        self.peek(at)?.get(..len)
    }

    pub(super) fn u8(&self, at: usize) -> Option<u8> {
        self.get(at, 1)?.first().copied()
    }

    pub(super) fn u16(&self, at: usize) -> Option<u16> {
        u16_at(self.get(at, 2)?, 0)
    }

    pub(super) fn u32(&self, at: usize) -> Option<u32> {
        u32_at(self.get(at, 4)?, 0)
    }

    pub(super) fn u64(&self, at: usize) -> Option<u64> {
        u64_at(self.get(at, 8)?, 0)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use dumpscope_core::base::{Provenance, Read};
    use std::sync::Mutex;

    /// Bytes at 0x1000 with a hole, and what was noted.
    struct Holey(Vec<u8>, Mutex<Vec<(u64, usize)>>);

    impl ReadMemory for Holey {
        fn read_at(&self, va: Va, buf: &mut [u8]) -> Read {
            self.touch(va, buf.len());
            self.scan_at(va, buf)
        }

        fn scan_at(&self, va: Va, buf: &mut [u8]) -> Read {
            let from = usize::try_from(va.0 - 0x1000).unwrap();
            let end = if from < 0x40 { 0x40 } else { self.0.len() };
            let bytes =
                if (0x40..0x80).contains(&from) { &[] } else { self.0.get(from..end).unwrap_or_default() };
            let got = bytes.len().min(buf.len());
            buf[..got].copy_from_slice(&bytes[..got]);
            Read { got, provenance: Provenance::Dump }
        }

        fn touch(&self, va: Va, len: usize) {
            self.1.lock().unwrap().push((va.0, len));
        }

        fn next_readable(&self, va: Va) -> Option<Va> {
            Some(if (0x1040..0x1080).contains(&va.0) { Va(0x1080) } else { va })
        }
    }

    #[test]
    fn holes_have_no_bytes_and_what_is_asked_is_noted() {
        let holey = Arc::new(Holey((0..=255).collect(), Mutex::default()));
        let memory: Arc<dyn ReadMemory> = holey.clone();
        let sparse = Sparse::read(&memory, Va(0x1000), 0x100, 0x100).unwrap();
        assert!(holey.1.lock().unwrap().is_empty());
        assert_eq!(
            [sparse.u8(0x3f), sparse.u8(0x40), sparse.u8(0x7f), sparse.u8(0x80)],
            [Some(0x3f), None, None, Some(0x80)]
        );
        assert_eq!((sparse.u16(0x3f), sparse.u32(0xfc), sparse.u32(0xfd)), (None, Some(0xfffe_fdfc), None));
        assert_eq!(sparse.peek(0x30).map(<[u8]>::len), Some(0x10));
        let noted = holey.1.lock().unwrap().clone();
        assert!(noted.contains(&(0x1040, 1)) && !noted.iter().any(|(va, _)| *va == 0x1030), "{noted:x?}");
        assert!(Sparse::read(&memory, Va(0x1000), 0x101, 0x100).is_none());
        // As much as is needed, and the first bytes when nothing is enough.
        let first = |bytes: &[u8]| bytes.get(0x20).copied();
        assert_eq!(grown(memory.as_ref(), Va(0x1080), 0x80, first), Some(0xa0));
        assert_eq!(grown(memory.as_ref(), Va(0x1040), 0x80, first), None);
    }
}
