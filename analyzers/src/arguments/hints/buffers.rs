//! Stream buffers of C runtimes: what a program has printed lies there, and is no hint to what it is doing.

use crate::Target;
use dumpscope_core::{Machine, ModuleInfo, ReadMemory, Va};
use dumpscope_symbols::image::PeHeaders;

/// Most bytes of one module's data that are searched.
const MAX_DATA: u32 = 1 << 20;
/// Most modules that are searched.
const MAX_MODULES: usize = 8;
/// Most buffers that are remembered.
const MAX_BUFFERS: usize = 256;
/// Largest buffer that is believed, bytes.
const MAX_BUFFER: u64 = 1 << 20;

/// Where the buffers are: start and end, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::arguments) struct Buffers(Vec<(Va, Va)>);

impl Buffers {
    /// True when `va` lies in one.
    pub(super) fn hold(&self, va: Va) -> bool {
        self.0.iter().any(|(from, to)| va >= *from && va < *to)
    }

    /// Looks for stream structures in the data of C runtimes and of the program itself (which may have one linked
    /// in).
    pub(in crate::arguments) fn find(target: &Target) -> Buffers {
        let is_runtime = |m: &&ModuleInfo| {
            let name = m.file_name.to_ascii_lowercase();
            ["msvcr", "msvcrt", "ucrtbase", "crtdll"].iter().any(|p| name.starts_with(p))
        };
        let modules = target.symbols.modules();
        let mut out = Vec::new();
        for module in modules.iter().filter(is_runtime).chain(modules.first()).take(MAX_MODULES) {
            search(target, module, &mut out);
        }
        out.sort_unstable();
        out.dedup();
        Buffers(out)
    }
}

fn search(target: &Target, module: &ModuleInfo, out: &mut Vec<(Va, Va)>) {
    let memory = target.dump.memory();
    let Ok(headers) = PeHeaders::read(memory.as_ref(), module.base) else { return };
    let machine = headers.machine;
    // Data that can be written.
    for section in headers.sections.iter().filter(|s| s.characteristics & 0x8000_0000 != 0) {
        let size = section.mapped_size().min(MAX_DATA);
        let mut data = vec![0u8; usize::try_from(size).unwrap_or(0)];
        let got = memory.read_at(section.rva.va(module.base), &mut data).got;
        data.truncate(got);
        let step = machine.ptr_size();
        let mut at = 0;
        while let Some(rest) = data.get(at..).filter(|r| r.len() >= 48) {
            if out.len() >= MAX_BUFFERS {
                return;
            }
            if let Some(found) = [old(rest, machine), new(rest, machine)].into_iter().flatten().next() {
                out.push(found);
            }
            at += step;
        }
    }
}

/// A stream of msvcrt (`_iobuf` of the Windows SDK's old `stdio.h`): ptr, cnt, base, flag, file, charbuf, bufsiz,
/// tmpfname.
fn old(raw: &[u8], machine: Machine) -> Option<(Va, Va)> {
    let p = machine.ptr_size();
    let ptr = pointer(raw, 0, machine)?;
    let count = word(raw, p)?;
    // The next pointer is aligned.
    let base = pointer(raw, 2 * p, machine)?;
    let rest = 3 * p;
    stream(ptr, base, count, (word(raw, rest)?, word(raw, rest + 4)?, word(raw, rest + 12)?))
}

/// A stream of the universal C runtime (`__crt_stdio_stream_data` of the Windows SDK's `corecrt_internal_stdio.h`):
/// ptr, base, cnt, flags, file, charbuf, bufsiz, tmpfname.
fn new(raw: &[u8], machine: Machine) -> Option<(Va, Va)> {
    let p = machine.ptr_size();
    let (ptr, base) = (pointer(raw, 0, machine)?, pointer(raw, p, machine)?);
    let rest = 2 * p;
    stream(ptr, base, word(raw, rest)?, (word(raw, rest + 4)?, word(raw, rest + 8)?, word(raw, rest + 16)?))
}

/// The buffer, when the words fit a stream: the position lies in it, the count and the file number are small.
fn stream(ptr: Va, base: Va, count: u32, (flags, file, size): (u32, u32, u32)) -> Option<(Va, Va)> {
    let used = ptr.distance_from(base)?;
    let size = u64::from(size);
    let fits = base.0 >= 0x1_0000
        && (2..=MAX_BUFFER).contains(&size)
        && used <= size
        && count.cast_signed().unsigned_abs() <= u32::try_from(MAX_BUFFER).unwrap_or(u32::MAX)
        && flags != 0
        && flags < 0x10_0000
        && file < 0x1_0000;
    fits.then(|| (base, base.offset(size)))
}

fn word(raw: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*raw.get(at..)?.first_chunk()?))
}

fn pointer(raw: &[u8], at: usize, machine: Machine) -> Option<Va> {
    let bytes = raw.get(at..)?;
    if machine.is_64() {
        return Some(Va(u64::from_le_bytes(*bytes.first_chunk()?)));
    }
    Some(Va(u32::from_le_bytes(*bytes.first_chunk()?).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_on_both_machines() {
        let mut raw = [0u8; 64];
        let mut put = |at: usize, value: u32| raw[at..at + 4].copy_from_slice(&value.to_le_bytes());
        // x86 msvcrt: ptr, cnt, base, flag, file, charbuf, bufsiz
        for (n, value) in [0x30_0010, 0xff0, 0x30_0000, 0x10a, 1, 0, 0x1000].into_iter().enumerate() {
            put(n * 4, value);
        }
        let buffer = Some((Va(0x30_0000), Va(0x30_1000)));
        assert_eq!((old(&raw, Machine::X86), new(&raw, Machine::X86)), (buffer, None));
        // x86 ucrt: ptr, base, cnt, flags, file, charbuf, bufsiz
        let mut raw = [0u8; 64];
        let mut put = |at: usize, value: u32| raw[at..at + 4].copy_from_slice(&value.to_le_bytes());
        for (n, value) in [0x30_0010, 0x30_0000, 0xff0, 0x2046, 1, 0, 0x1000].into_iter().enumerate() {
            put(n * 4, value);
        }
        assert_eq!(new(&raw, Machine::X86), buffer);
        // x64 msvcrt: the count is padded to a pointer.
        let mut raw = [0u8; 64];
        let mut put = |at: usize, value: u32| raw[at..at + 4].copy_from_slice(&value.to_le_bytes());
        for (at, value) in [(0, 0x30_0010), (8, 0xff0), (16, 0x30_0000), (24, 0x10a), (28, 1), (36, 0x1000)] {
            put(at, value);
        }
        assert_eq!(old(&raw, Machine::Amd64), buffer);
        assert_eq!(old(&[0; 64], Machine::Amd64), None);
    }
}
