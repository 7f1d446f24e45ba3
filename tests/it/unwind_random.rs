//! The unwinder over random images, tables, code and stacks: no panic, every walk ends within its limits.
//!
//! The numbers come from a fixed seed, so that a failure is found again.

use dumpscope_core::base::{Provenance, Read};
use dumpscope_core::{Machine, ReadMemory, Reg, RegSet, Va};
use dumpscope_symbols::unwind::{DynamicFunction, FrameData, UnwindContext, UnwindRule, walk};
use dumpscope_symbols::{EndReason, Limits, Trust};

const BASE: u64 = 0x40_0000;
const IMAGE: usize = 0x8000;
const STACK: u64 = 0x10_0000;
const STACK_SIZE: usize = 0x1000;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// An image and a stack; reads past their ends stop there.
struct Memory {
    image: Vec<u8>,
    stack: Vec<u8>,
}

impl ReadMemory for Memory {
    fn read_at(&self, va: Va, buf: &mut [u8]) -> Read {
        fn part(va: Va, start: u64, bytes: &[u8]) -> Option<&[u8]> {
            let at = usize::try_from(va.0.checked_sub(start)?).ok()?;
            bytes.get(at..).filter(|b| !b.is_empty())
        }
        let bytes = part(va, BASE, &self.image).or_else(|| part(va, STACK, &self.stack)).unwrap_or_default();
        let got = bytes.len().min(buf.len());
        buf[..got].copy_from_slice(&bytes[..got]);
        Read { got, provenance: Provenance::Dump }
    }

    fn next_readable(&self, _va: Va) -> Option<Va> {
        None
    }
}

struct Context {
    data: Option<FrameData>,
    dynamic: Option<UnwindRule>,
}

impl UnwindContext for Context {
    fn module_at(&self, va: Va) -> Option<(Va, u32)> {
        (va.0 >= BASE && va.0 < BASE + IMAGE as u64).then_some((Va(BASE), IMAGE as u32))
    }

    fn frame_data(&self, _va: Va) -> Option<FrameData> {
        self.data.clone()
    }

    fn dynamic_rule(&self, _va: Va) -> Option<UnwindRule> {
        self.dynamic
    }
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// A header that leads to the exception directory at 0x2000 and a code section; everything else is random, and
/// the table is sorted often enough to be found.
fn image(random: &mut Random, machine: Machine) -> Vec<u8> {
    let mut image: Vec<u8> = (0..IMAGE).map(|_| random.next() as u8).collect();
    let (pe_machine, magic) = match machine {
        Machine::X86 => (0x14cu16, 0x10bu16),
        Machine::Arm64 => (0xaa64, 0x20b),
        _ => (0x8664, 0x20b),
    };
    put(&mut image, 0, b"MZ");
    put(&mut image, 0x3c, &0x80u32.to_le_bytes());
    put(&mut image, 0x80, b"PE\0\0");
    put(&mut image, 0x84, &pe_machine.to_le_bytes());
    put(&mut image, 0x86, &3u16.to_le_bytes());
    put(&mut image, 0x94, &0xf0u16.to_le_bytes());
    put(&mut image, 0x98, &magic.to_le_bytes());
    let count = 0x98 + if machine == Machine::X86 { 92 } else { 108 };
    put(&mut image, count, &16u32.to_le_bytes());
    put(&mut image, count + 28, &0x2000u32.to_le_bytes());
    put(&mut image, count + 32, &0x800u32.to_le_bytes());
    let sections = 0x98 + 0xf0;
    for (i, (name, rva, flags)) in [
        (*b".text\0\0\0", 0x1000u32, 0x6000_0020u32),
        (*b".eh_fram", 0x4000, 0x4000_0040),
        (*b"/4\0\0\0\0\0\0", 0x6000, 0x4000_0040),
    ]
    .into_iter()
    .enumerate()
    {
        put(&mut image, sections + i * 40, &name);
        put(&mut image, sections + i * 40 + 8, &0x1000u32.to_le_bytes());
        put(&mut image, sections + i * 40 + 12, &rva.to_le_bytes());
        put(&mut image, sections + i * 40 + 36, &flags.to_le_bytes());
    }
    let width = if machine == Machine::Arm64 { 8 } else { 12 };
    for i in 0..0x800 / width {
        let begin = 0x1000 + (i as u32) * 0x20;
        put(&mut image, 0x2000 + i * width, &begin.to_le_bytes());
        if width == 12 {
            let at = 0x3000 + (random.below(0x1000) as u32 & !3);
            put(&mut image, 0x2000 + i * 12 + 4, &(begin + 0x20).to_le_bytes());
            put(&mut image, 0x2000 + i * 12 + 8, &at.to_le_bytes());
            // A version that is read; small counts half of the time.
            let flags = [1u8, 2, 0x21, 0x22][random.below(4) as usize];
            image[at as usize] = flags;
            if random.one_in(2) {
                image[at as usize + 2] &= 7;
            }
        } else if random.one_in(2) {
            let at = 0x3000 + (random.below(0x1000) as u32 & !3);
            put(&mut image, 0x2000 + i * 8 + 4, &at.to_le_bytes());
            let head = (random.next() as u32 & !0x000f_ffff) | 8;
            put(&mut image, at as usize, &head.to_le_bytes());
        }
    }
    // Every sixteenth byte of the code follows a call.
    for at in (0x1010..0x2000).step_by(16) {
        match machine {
            Machine::Arm64 => put(&mut image, at - 4, &0x9400_0010u32.to_le_bytes()),
            _ => put(&mut image, at - 2, &[0xff, 0xd0]),
        }
    }
    // A CIE and FDEs with random rules.
    if random.one_in(2) {
        put(
            &mut image,
            0x4000,
            &[0x14, 0, 0, 0, 0, 0, 0, 0, 1, b'z', b'R', 0, 1, 0x7c, 8, 1, 0x1b, 0x0c, 4, 4, 0x88, 1, 0, 0],
        );
        let mut at = 0x4018usize;
        for i in 0..40u32 {
            put(&mut image, at, &0x24u32.to_le_bytes());
            put(&mut image, at + 4, &(at as u32 + 4 - 0x4000).to_le_bytes());
            let start = (0x1000 + i * 0x20).wrapping_sub(at as u32 + 8);
            put(&mut image, at + 8, &start.to_le_bytes());
            put(&mut image, at + 12, &0x20u32.to_le_bytes());
            image[at + 16] = 0;
            if random.one_in(2) {
                put(&mut image, at + 17, &[0x0e, random.next() as u8 & 0x7c]);
            }
            at += 0x28;
        }
    }
    image
}

fn stack(random: &mut Random, word: usize) -> Vec<u8> {
    let mut stack = vec![0u8; STACK_SIZE];
    for at in (0..STACK_SIZE).step_by(word) {
        let value = match random.below(5) {
            0 => BASE + 0x1000 + (random.below(0x1000) & !15),
            1 => STACK + (random.below(STACK_SIZE as u64) & !7),
            2 => random.next(),
            3 => BASE + random.below(IMAGE as u64),
            _ => random.below(64),
        };
        put(&mut stack, at, &value.to_le_bytes()[..word]);
    }
    stack
}

fn program(random: &mut Random) -> String {
    let words = [
        "$T0",
        "$ebp",
        "$esp",
        "$eip",
        "=",
        "+",
        "-",
        "*",
        "/",
        "%",
        "@",
        "^",
        "4",
        "8",
        "-4",
        ".raSearch",
        ".cfa:",
        ".ra:",
        "$rsp",
        "sp",
        "x29:",
        "$rbx:",
        ".cfa",
        ".cbLocals",
        "99999999999999999999",
        "0",
    ];
    (0..random.below(24))
        .map(|_| words[random.below(words.len() as u64) as usize])
        .collect::<Vec<_>>()
        .join(" ")
}

fn frame_data(random: &mut Random) -> Option<FrameData> {
    let size = |r: &mut Random| if r.one_in(4) { r.next() as u32 } else { r.below(64) as u32 };
    let start = dumpscope_core::Rva(random.below(0x2000) as u32);
    Some(match random.below(6) {
        0 => FrameData::Fpo {
            start,
            size: size(random),
            params: size(random),
            locals: size(random),
            saved_regs: size(random),
            prologue: 0,
            uses_bp: random.one_in(2),
        },
        1 if random.one_in(2) => FrameData::Program {
            start,
            size: 16,
            params: 0,
            locals: size(random),
            saved_regs: 0,
            program: "$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + =".into(),
        },
        1 => FrameData::Program {
            start,
            size: size(random),
            params: size(random),
            locals: size(random),
            saved_regs: size(random),
            program: program(random),
        },
        2 => FrameData::Cfi { rules: program(random) },
        3 => FrameData::Cfi { rules: ".cfa: $rsp 16 + .ra: .cfa 8 - ^ $rbx: .cfa 16 - ^".into() },
        _ => return None,
    })
}

fn run(machine: Machine, seed: u64, cases: u32) {
    let mut random = Random(seed);
    let mut frames = 0;
    let mut by_data = 0;
    let mut memory = Memory { image: image(&mut random, machine), stack: Vec::new() };
    for case in 0..cases {
        if case % 8 == 0 {
            memory.image = image(&mut random, machine);
            if random.one_in(6) {
                memory.image.truncate(random.below(IMAGE as u64) as usize);
            }
        }
        memory.stack = stack(&mut random, machine.ptr_size());
        let mut regs = RegSet::new(machine);
        for reg in 0..33 {
            let value = match random.below(4) {
                0 => random.next(),
                1 => BASE + random.below(IMAGE as u64),
                _ => STACK + (random.below(STACK_SIZE as u64) & !7),
            };
            if !random.one_in(8) {
                regs.set(Reg(reg), value);
            }
        }
        let ip = if random.one_in(10) { random.next() } else { BASE + 0x1000 + (random.below(0x1000) & !3) };
        regs.set(RegSet::ip_reg(machine), ip);
        let sp = if random.one_in(20) { random.next() } else { STACK + (random.below(0x400) & !7) };
        regs.set(RegSet::sp_reg(machine), sp);
        let context = Context {
            data: frame_data(&mut random),
            dynamic: random.one_in(8).then(|| match random.below(6) {
                0 => UnwindRule::FrameSize { bytes: random.next() as u32 },
                1 => UnwindRule::FrameSize { bytes: (random.below(0x100) * 8) as u32 },
                2 => UnwindRule::FramePointer { caller_sp: Some(random.next() as u32) },
                3 => UnwindRule::Leaf,
                _ => UnwindRule::Codes(DynamicFunction {
                    base: Va(BASE),
                    begin: dumpscope_core::Rva(random.next() as u32),
                    end: dumpscope_core::Rva(random.next() as u32),
                    unwind_info: dumpscope_core::Rva(random.next() as u32),
                }),
            }),
        };
        let limits = Limits { frames: 64, counted: 0, chain: 8, scan_bytes: 512 };
        let bounds = (!random.one_in(4)).then_some((Va(STACK), Va(STACK + STACK_SIZE as u64)));
        let walked = walk(&regs, &memory, &context, bounds, &limits);
        assert!(!walked.frames.is_empty() && walked.frames.len() <= limits.frames);
        assert!(walked.end != EndReason::Cancelled);
        for pair in walked.frames.windows(2) {
            assert_eq!(pair[0].return_address, pair[1].ip);
            assert!(pair[1].sp > pair[0].sp || machine == Machine::Arm64, "case {case}: {pair:?}");
        }
        frames += walked.frames.len();
        by_data += walked.frames.iter().filter(|f| f.trust == Trust::Cfi).count();
    }
    // Random bytes that never get past the first check would test nothing.
    assert!(
        frames > cases as usize * 2 && by_data > cases as usize / 5,
        "{frames} frames, {by_data} by data"
    );
}

#[test]
fn random_x64() {
    run(Machine::Amd64, 0x1234_5678_9abc_def1, 1500);
}

#[test]
fn random_x86() {
    run(Machine::X86, 0x0fed_cba9_8765_4321, 1500);
}

#[test]
fn random_arm64() {
    run(Machine::Arm64, 0x7777_1111_3333_5555, 1500);
}
