//! The memory trait: partial reads with provenance.

use super::{Guid, Machine, Va};

/// Where bytes came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Provenance {
    /// The dump itself.
    Dump,
    /// An image file on this machine, mapped where the dump has no memory.
    Image,
}

/// Outcome of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// Bytes filled from the start of the buffer.
    pub got: usize,
    /// `Image` when any of them came from an image file.
    pub provenance: Provenance,
}

/// Longest string that [`ReadMemory`]'s helpers return, in bytes.
pub const MAX_STRING: usize = 64 * 1024;

/// Memory of the dumped process.
///
/// Implementations fill as much of the buffer as is known from its start, across adjacent ranges, and stop at
/// the first missing byte. The helpers return `None` when not every byte is known.
pub trait ReadMemory: Send + Sync {
    /// Fills `buf` from `va` on; [`Read::got`] says how far.
    fn read_at(&self, va: Va, buf: &mut [u8]) -> Read;

    /// As [`ReadMemory::read_at`], for searches over much memory: that a byte was looked at does not say that an answer
    /// needs it. What a search finds is read again, or told with [`ReadMemory::touch`].
    fn scan_at(&self, va: Va, buf: &mut [u8]) -> Read {
        self.read_at(va, buf)
    }

    /// An answer needs `len` bytes at `va`.
    fn touch(&self, _va: Va, _len: usize) {}

    /// The first address at or after `va` that has a byte, if any: lets searches skip holes.
    fn next_readable(&self, va: Va) -> Option<Va>;

    /// Reads exactly `N` bytes.
    fn bytes<const N: usize>(&self, va: Va) -> Option<[u8; N]>
    where
        Self: Sized,
    {
        read_array(self, va)
    }

    /// Reads a byte.
    fn u8(&self, va: Va) -> Option<u8> {
        read_array::<1, Self>(self, va).map(|b| b[0])
    }

    /// Reads 16 bits.
    fn u16(&self, va: Va) -> Option<u16> {
        read_array(self, va).map(u16::from_le_bytes)
    }

    /// Reads 32 bits.
    fn u32(&self, va: Va) -> Option<u32> {
        read_array(self, va).map(u32::from_le_bytes)
    }

    /// Reads 64 bits.
    fn u64(&self, va: Va) -> Option<u64> {
        read_array(self, va).map(u64::from_le_bytes)
    }

    /// Reads a pointer of the machine's size, zero-extended.
    fn ptr(&self, va: Va, machine: Machine) -> Option<Va> {
        if machine.is_64() { self.u64(va).map(Va) } else { self.u32(va).map(|v| Va(v.into())) }
    }

    /// Reads a GUID.
    fn guid(&self, va: Va) -> Option<Guid> {
        read_array(self, va).map(|b| Guid::from_bytes(&b))
    }

    /// Reads up to `max` bytes (at most [`MAX_STRING`]) before a NUL. `None` when nothing is readable.
    fn c_str(&self, va: Va, max: usize) -> Option<Vec<u8>> {
        let max = max.min(MAX_STRING);
        let mut out = Vec::new();
        let mut chunk = [0u8; 256];
        while out.len() < max {
            let want = chunk.len().min(max.saturating_sub(out.len()));
            let at = va.offset(out.len() as u64);
            let got = self.scan_at(at, chunk.get_mut(..want)?).got;
            let part = chunk.get(..got)?;
            let nul = part.iter().position(|&b| b == 0);
            self.touch(at, nul.map_or(want, |n| n.saturating_add(1)));
            if let Some(nul) = nul {
                out.extend_from_slice(part.get(..nul)?);
                return Some(out);
            }
            out.extend_from_slice(part);
            if got < want {
                return if out.is_empty() { None } else { Some(out) };
            }
        }
        Some(out)
    }

    /// Reads up to `max` UTF-16 units (at most [`MAX_STRING`] / 2) before a NUL. `None` when nothing is readable.
    fn w_str(&self, va: Va, max: usize) -> Option<String> {
        let max = max.min(MAX_STRING / 2);
        let mut units = Vec::new();
        let mut chunk = [0u8; 512];
        while units.len() < max {
            let want = chunk.len().min(max.saturating_sub(units.len()).saturating_mul(2));
            let at = va.offset((units.len() as u64).wrapping_mul(2));
            let got = self.scan_at(at, chunk.get_mut(..want)?).got;
            let (pairs, _) = chunk.get(..got)?.as_chunks::<2>();
            let used = pairs
                .iter()
                .position(|p| *p == [0, 0])
                .map_or(want, |n| n.saturating_mul(2).saturating_add(2));
            self.touch(at, used);
            for pair in pairs {
                match u16::from_le_bytes(*pair) {
                    0 => return Some(String::from_utf16_lossy(&units)),
                    unit => units.push(unit),
                }
            }
            if got < want {
                break;
            }
        }
        (!units.is_empty() || max == 0).then(|| String::from_utf16_lossy(&units))
    }

    /// Reads the text of a `UNICODE_STRING` at `va`. `None` when header or text is not readable, or when
    /// `Length` is odd or larger than `MaximumLength`.
    fn unicode_string(&self, va: Va, machine: Machine) -> Option<String> {
        let len = self.u16(va)?;
        let max = self.u16(va.offset(2))?;
        if len > max || len % 2 != 0 {
            return None;
        }
        let buffer = self.ptr(va.offset(if machine.is_64() { 8 } else { 4 }), machine)?;
        if len == 0 {
            return Some(String::new());
        }
        let mut raw = vec![0u8; usize::from(len)];
        if self.read_at(buffer, &mut raw).got < raw.len() {
            return None;
        }
        let units: Vec<u16> = raw.as_chunks::<2>().0.iter().map(|c| u16::from_le_bytes(*c)).collect();
        Some(String::from_utf16_lossy(&units))
    }
}

fn read_array<const N: usize, M: ReadMemory + ?Sized>(mem: &M, va: Va) -> Option<[u8; N]> {
    let mut buf = [0u8; N];
    (mem.read_at(va, &mut buf).got == N).then_some(buf)
}
