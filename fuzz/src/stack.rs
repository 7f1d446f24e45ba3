//! The unwinder over hostile memory: stack, code, image headers and unwind data are all the fuzzer's.

use dumpscope_core::base::{Provenance, Read};
use dumpscope_core::{Machine, ReadMemory, Reg, RegSet, Va};
use dumpscope_symbols::unwind::{FrameData, UnwindContext, walk};
use dumpscope_symbols::{Limits, SymbolManager};

/// Where the bytes lie in the process.
const BASE: u64 = 0x10_0000;
/// Bytes in front that choose machine and registers.
const HEAD: usize = 64;

#[derive(Debug)]
struct Memory(Vec<u8>);

impl ReadMemory for Memory {
    fn read_at(&self, va: Va, buf: &mut [u8]) -> Read {
        let start = va.distance_from(Va(BASE)).and_then(|d| usize::try_from(d).ok());
        let known = start.and_then(|s| self.0.get(s..)).unwrap_or_default();
        let got = known.len().min(buf.len());
        buf[..got].copy_from_slice(&known[..got]);
        Read { got, provenance: Provenance::Dump }
    }

    fn next_readable(&self, va: Va) -> Option<Va> {
        let first = Va(BASE.max(va.0));
        (first.0 < BASE + self.0.len() as u64).then_some(first)
    }
}

struct Modules {
    size: u32,
    rules: Option<FrameData>,
}

impl UnwindContext for Modules {
    fn module_at(&self, va: Va) -> Option<(Va, u32)> {
        va.distance_from(Va(BASE)).filter(|d| *d < u64::from(self.size)).map(|_| (Va(BASE), self.size))
    }

    fn frame_data(&self, _: Va) -> Option<FrameData> {
        self.rules.clone()
    }
}

/// Walks a stack. The first bytes are the machine and the registers, the rest is memory in which one module lies.
pub fn unwind(data: &[u8]) {
    let Some((head, memory)) = data.split_at_checked(HEAD) else { return };
    let machine = [Machine::X86, Machine::Amd64, Machine::Arm64][usize::from(head[0]) % 3];
    let mut regs = RegSet::new(machine);
    for (nth, pair) in head[2..].chunks_exact(2).enumerate() {
        let offset = u64::from(u16::from_le_bytes([pair[0], pair[1]]));
        regs.set(Reg(nth as u8), BASE + offset);
    }
    let (sp, ip) = (u16::from_le_bytes([head[2], head[3]]), u16::from_le_bytes([head[4], head[5]]));
    regs.set(RegSet::sp_reg(machine), BASE + u64::from(sp));
    regs.set(RegSet::ip_reg(machine), BASE + u64::from(ip));
    let rules = match head[1] % 3 {
        0 => None,
        1 => Some(FrameData::Cfi { rules: text(memory) }),
        _ => Some(FrameData::Program {
            start: dumpscope_core::Rva(0),
            size: 0x1000,
            params: u32::from(head[6]),
            locals: u32::from(head[7]),
            saved_regs: u32::from(head[8]),
            program: text(memory),
        }),
    };
    let size = u32::try_from(memory.len()).unwrap_or(u32::MAX);
    let memory = Memory(memory.to_vec());
    let bounds = (head[9] & 1 == 1).then_some((Va(BASE), Va(BASE + u64::from(size))));
    let limits = Limits { frames: 256, ..Limits::default() };
    let walk = walk(&regs, &memory, &Modules { size, rules }, bounds, &limits);
    assert!(walk.frames.len() <= limits.frames, "more frames than the limit");
    // Export tables lie in the same memory.
    let module = dumpscope_core::ModuleInfo {
        name: "fuzz".into(),
        file_name: "fuzz.dll".into(),
        path: "fuzz.dll".into(),
        base: Va(BASE),
        size,
        timestamp: 0,
        checksum: 0,
        codeview: None,
        version: None,
        machine: Some(machine),
    };
    let symbols = SymbolManager::new(vec![module], std::sync::Arc::new(memory), Default::default());
    for frame in &walk.frames {
        let _ = symbols.format(frame.ip, frame.regs.machine());
    }
}

/// The first line of the memory as text, for rules and programs.
fn text(memory: &[u8]) -> String {
    let line = memory.split(|b| *b == b'\n' || *b == 0).next().unwrap_or_default();
    String::from_utf8_lossy(&line[..line.len().min(512)]).into_owned()
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let (dump, _) = dumpscope_fixtures::small::x64();
    let bytes = dump.bytes();
    // Images of the fixture: headers, exports, unwind data.
    let images = bytes.windows(2).enumerate().filter(|(_, w)| w == b"MZ").map(|(at, _)| at);
    let mut out: Vec<Vec<u8>> = images
        .take(4)
        .map(|at| {
            let mut seed = vec![1u8; HEAD];
            seed.extend_from_slice(&bytes[at..bytes.len().min(at + 0x6000)]);
            seed
        })
        .collect();
    for rules in [".cfa: $rsp 8 + .ra: .cfa 8 - ^", "$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + ="] {
        let mut seed = vec![1u8; HEAD];
        seed[1] = if rules.starts_with('.') { 1 } else { 2 };
        seed.extend_from_slice(rules.as_bytes());
        seed.push(0);
        seed.resize(0x400, 0x10);
        out.push(seed);
    }
    out
}
