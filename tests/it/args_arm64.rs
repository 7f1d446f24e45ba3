//! Arguments on ARM64: code as clang-19 made it (-O1), registers and stack as that code leaves them.
//!
//! ```c
//! long long inner(long long a, int b, long long c) { leaf(); return a * 3 + b + c; }
//! long long outer(long long a, long long b) { long long r = inner(b + 1, 5, a); return r + a * b; }
//! ```

use dumpscope_analyzers::arguments::recover_all;
use dumpscope_analyzers::model::{ArgSource, Confidence};
use dumpscope_analyzers::stacks::thread_stack;
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::model::Dump;
use dumpscope_core::{Machine, ThreadIdx};
use dumpscope_fixtures::context::Arm64;
use dumpscope_fixtures::dump::{Cpu, Dump as Builder, Thread};
use dumpscope_fixtures::image::Image;
use dumpscope_symbols::{Limits, SymbolConfig};

const INNER: [u32; 15] = [
    0xa9bd_53f3,
    0xf900_0bf5,
    0xa901_fbfd,
    0x9100_63fd,
    0xaa02_03f3,
    0x2a01_03f4,
    0xaa00_03f5,
    0x9400_0000,
    0x8b15_06a8,
    0x8b34_c108,
    0x8b13_0100,
    0xa941_fbfd,
    0xf940_0bf5,
    0xa8c3_53f3,
    0xd65f_03c0,
];
const OUTER: [u32; 13] = [
    0xa9be_53f3,
    0xa901_7bfd,
    0x9100_43fd,
    0xaa00_03f4,
    0xaa01_03f3,
    0x9100_0420,
    0x5280_00a1,
    0xaa14_03e2,
    0x9400_0000,
    0x9b14_0260,
    0xa941_7bfd,
    0xa8c2_53f3,
    0xd65f_03c0,
];

const BASE: u64 = 0x7ff6_0000_0000;
const STACK: u64 = 0x10_0000;
const A: u64 = 0x1122_3344_5566_7788;
const B: u64 = 0x0a0b_0c0d_0e0f_1011;

#[test]
fn both_directions() {
    let mut image = Image::new(Cpu::Arm64, BASE, r"C:\app\demo.exe");
    image.text_size = 0x1000;
    let mut code: Vec<u32> = INNER.iter().chain(&OUTER).copied().collect();
    // bl inner, from outer+0x20.
    code[15 + 8] = 0x9400_0000 | ((INNER.len() as u32 + 8).wrapping_neg() & 0x03ff_ffff);
    let bytes: Vec<u8> = code.iter().flat_map(|w| w.to_le_bytes()).collect();
    image.put_code(0x1000, &bytes);
    image.exports = vec![("outer".into(), 0x1000 + 15 * 4)];
    let mut dump = Builder::new(Cpu::Arm64, 22631);
    image.map(&mut dump.space);
    dump.modules.push(image.module());
    // outer: 0x20 bytes below its caller; inner: 0x30 below that.
    let outer_sp = STACK + 0x800;
    let inner_sp = outer_sp - 0x30;
    dump.space.commit(STACK, 0x1000);
    let words = [
        // inner saved outer's x19 (b), x20 (a), x21, fp, lr.
        (inner_sp, B),
        (inner_sp + 8, A),
        (inner_sp + 0x10, 0x2121),
        (inner_sp + 0x18, outer_sp + 0x10),
        (inner_sp + 0x20, BASE + 0x1000 + (15 + 9) * 4),
        (outer_sp, 0x1919),
        (outer_sp + 8, 0x2020),
        (outer_sp + 0x10, 0),
        (outer_sp + 0x18, 0),
    ];
    for (at, value) in words {
        dump.space.put64(at, value);
    }
    let mut regs = Arm64 { fp: inner_sp + 0x18, lr: 0, sp: inner_sp, pc: BASE + 0x1020, ..Arm64::default() };
    // inner keeps c in x19, b in w20, a in x21.
    (regs.x0_to_x28[19], regs.x0_to_x28[20], regs.x0_to_x28[21]) = (A, 5, B + 1);
    let thread = Thread { tid: 0x10, stack: (STACK, 0x1000), context: regs.bytes(), ..Thread::default() };
    dump.threads.push(thread);
    let target = Target::new(Dump::from_bytes(dump.bytes()).unwrap(), SymbolConfig::default());
    let cancel = Cancel::default();
    let stack = thread_stack(&target, ThreadIdx(0), Machine::Arm64, &Limits::default(), &cancel).unwrap();
    assert_eq!(stack.frames.len(), 2, "{:x?}", stack.frames);
    let args = recover_all(&target, &stack, &cancel);
    let values = |row: usize| -> Vec<_> {
        args[row]
            .iter()
            .map(|a| (a.at_least(Confidence::Strong), a.value.as_ref().map(|v| v.bytes)))
            .collect()
    };
    assert_eq!(values(1), [(Some(A), Some(8)), (Some(B), Some(8))], "{:x?}", args[1]);
    // The 5 is a whole register in the caller, and its low half in the function.
    assert_eq!(values(0), [(Some(B + 1), Some(8)), (Some(5), Some(8)), (Some(A), Some(8))], "{:x?}", args[0]);
    assert_eq!(args[0][1].value.as_ref().map(|v| v.source), Some(ArgSource::Constant));
}
