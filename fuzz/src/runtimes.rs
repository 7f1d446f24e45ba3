//! Language runtimes in a memory in which every pointer leads somewhere.

use dumpscope_core::base::{Provenance, Read};
use dumpscope_core::{Machine, ModuleInfo, ReadMemory, Reg, RegSet, Tid, Va};
use dumpscope_runtimes::{NativeThread, Process, Reader, Walked, find};
use dumpscope_symbols::unwind::{UnwindContext, UnwindRule, walk};
use dumpscope_symbols::{Frame, Limits};
use std::sync::Arc;

/// Where the runtime's image lies; all of the memory is behind it.
const BASE: u64 = 0x1_0000;
/// Bytes of the image.
const IMAGE: usize = 0x1000;
/// Bytes of the memory.
const SIZE: u64 = 1 << 20;

/// The image, then the input again and again.
struct Everywhere {
    image: Vec<u8>,
    input: Vec<u8>,
}

impl ReadMemory for Everywhere {
    fn read_at(&self, va: Va, buf: &mut [u8]) -> Read {
        let mut got = 0;
        for (i, slot) in buf.iter_mut().enumerate() {
            let Some(at) = va.0.wrapping_add(i as u64).checked_sub(BASE).filter(|at| *at < SIZE) else {
                break;
            };
            let at = at as usize;
            *slot = match self.image.get(at) {
                Some(byte) => *byte,
                None if self.input.is_empty() => 0,
                None => self.input[(at - self.image.len()) % self.input.len()],
            };
            got += 1;
        }
        Read { got, provenance: Provenance::Dump }
    }

    fn next_readable(&self, va: Va) -> Option<Va> {
        (va.0 < BASE + SIZE).then_some(Va(va.0.max(BASE)))
    }
}

/// A PE image that exports the names by which .NET is recognised.
fn image() -> Vec<u8> {
    let mut out = vec![0u8; IMAGE];
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(0x3c, &0x80u32.to_le_bytes());
    put(0x80, b"PE\0\0");
    put(0x84, &0x8664u16.to_le_bytes());
    put(0x94, &0xf0u16.to_le_bytes());
    put(0x98, &0x20bu16.to_le_bytes());
    put(0x98 + 56, &(SIZE as u32).to_le_bytes());
    put(0x98 + 108, &16u32.to_le_bytes());
    // Export directory at 0x200: one table of two names, sorted.
    put(0x98 + 112, &0x200u32.to_le_bytes());
    put(0x98 + 116, &0x40u32.to_le_bytes());
    for (at, value) in [(20, 2u32), (24, 2), (28, 0x300), (32, 0x310), (36, 0x320)] {
        put(0x200 + at, &value.to_le_bytes());
    }
    put(0x300, &0x1000u32.to_le_bytes());
    put(0x304, &0x2000u32.to_le_bytes());
    put(0x310, &0x400u32.to_le_bytes());
    put(0x314, &0x440u32.to_le_bytes());
    put(0x320, &[0, 0, 1, 0]);
    put(0x400, b"DotNetRuntimeContractDescriptor\0");
    put(0x440, b"g_dacTable\0");
    out
}

struct Context<'a>(&'a [Arc<dyn Reader>]);

impl UnwindContext for Context<'_> {
    fn module_at(&self, _va: Va) -> Option<(Va, u32)> {
        None
    }

    fn dynamic_rule(&self, va: Va) -> Option<UnwindRule> {
        self.0.iter().find_map(|r| r.code()?.rule_at(va))
    }
}

/// Reads all that runtimes say.
pub fn runtimes(data: &[u8]) {
    let Some((version, input)) = data.split_first() else { return };
    let major = u16::from(version % 4) + 8;
    let module = ModuleInfo {
        name: "coreclr".into(),
        file_name: "coreclr.dll".into(),
        path: "coreclr.dll".into(),
        base: Va(BASE),
        size: SIZE as u32,
        timestamp: 0,
        checksum: 0,
        codeview: None,
        version: Some(dumpscope_core::base::FileVersion { file: [major, 0, 100, 0], ..Default::default() }),
        machine: Some(Machine::Amd64),
    };
    let word = |i: usize| {
        let bytes: [u8; 8] = std::array::from_fn(|k| input.get(i * 8 + k).copied().unwrap_or(0));
        BASE + u64::from_le_bytes(bytes) % SIZE
    };
    let thread = |i: usize| {
        let mut regs = RegSet::new(Machine::Amd64);
        (0..16).for_each(|r| regs.set(Reg(r), word(i + usize::from(r)) & !7));
        regs.set(RegSet::ip_reg(Machine::Amd64), word(i + 16));
        NativeThread { tid: Tid(i as u32), teb: Va(0), regs: Some(regs) }
    };
    let memory: Arc<dyn ReadMemory> = Arc::new(Everywhere { image: image(), input: input.to_vec() });
    let threads: Vec<_> = (1..4).map(thread).collect();
    let process = Arc::new(Process::new(Arc::clone(&memory), vec![module], threads.clone(), Machine::Amd64));
    let readers = find(&process);
    let limits = Limits { frames: 64, chain: 8, scan_bytes: 256, ..Limits::default() };
    let stacks: Vec<(Tid, Vec<Frame>)> = threads
        .iter()
        .filter_map(|t| {
            Some((t.tid, walk(&t.regs?, memory.as_ref(), &Context(&readers), None, &limits).frames))
        })
        .collect();
    let walked: Vec<Walked<'_>> = stacks.iter().map(|(tid, frames)| Walked { tid: *tid, frames }).collect();
    for reader in &readers {
        let waits = reader.waits(&walked);
        let _ = (reader.threads(), reader.locks(&walked), reader.exceptions(), reader.tasks(&waits));
        let _ = (reader.pool(), reader.suspension(), reader.finalizer());
        walked.iter().for_each(|w| drop(reader.frames(*w)));
        let Some(clr) = reader.clr() else { continue };
        let _ = (clr.clr_threads(), clr.sync_blocks(), clr.heap_stat(), clr.async_chains());
        walked.iter().for_each(|w| drop(clr.stack(*w)));
        let _ = reader.exception_at(Va(word(0) & !7));
    }
}

/// Memories full of small pointers, and one with a descriptor.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut out = Vec::new();
    for version in 0..3u8 {
        let mut seed = vec![version];
        for i in 0..512u64 {
            // Pointers into the memory, small numbers, pointers with flags.
            let value = match next() % 4 {
                0 => i % 64,
                1 => (BASE + next() % SIZE) | 1,
                _ => (BASE + next() % SIZE) & !7,
            };
            seed.extend_from_slice(&value.to_le_bytes());
        }
        out.push(seed);
    }
    let json = br#"{"version":0,"types":{"Thread":{"Id":0,"LinkNext":8}},"globals":{"ThreadStore":[[1],"pointer"]},"contracts":{"ExecutionManager":2}}"#;
    let mut seed = vec![2u8];
    seed.extend_from_slice(&0x0043_4144_4343_4e44_u64.to_le_bytes());
    seed.extend_from_slice(&1u32.to_le_bytes());
    seed.extend_from_slice(&(json.len() as u32).to_le_bytes());
    seed.extend_from_slice(&(BASE + 0x1000 + 0x100).to_le_bytes());
    seed.extend_from_slice(&4u32.to_le_bytes());
    seed.extend_from_slice(&[0; 4]);
    seed.extend_from_slice(&(BASE + 0x1000 + 0x80).to_le_bytes());
    seed.resize(1 + 0x80, 0);
    (0..16u64).for_each(|i| seed.extend_from_slice(&(BASE + 0x1200 + i * 8).to_le_bytes()));
    seed.resize(1 + 0x100, 0);
    seed.extend_from_slice(json);
    out.push(seed);
    out
}
