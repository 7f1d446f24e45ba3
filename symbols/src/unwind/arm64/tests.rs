use super::super::testing::{TestContext, TestMemory};
use super::super::*;
use dumpscope_core::base::arm64;
use dumpscope_core::{Machine, Reg, RegSet, Va};

const BASE: u64 = 0x1_4000_0000;
const CODE: u64 = BASE + 0x1000;
const STACK: u64 = 0x10_0000;
const BOUNDS: Option<(Va, Va)> = Some((Va(STACK), Va(STACK + 0x2000)));
const RETURN: u64 = CODE + 0x204;

/// What the four functions below do, instruction by instruction.
#[derive(Clone, Copy)]
enum Do {
    Sp(i64),
    Store(Reg, u64),
    Load(Reg, u64),
    Fp(u64),
    SpFromFp(u64),
    Call,
    Nop,
    Ret,
}
use Do::{Call, Fp, Load, Nop, Ret, Sp, SpFromFp, Store};

const FP: Reg = arm64::FP;
const LR: Reg = arm64::LR;

fn x(n: u8) -> Reg {
    Reg(n)
}

/// `.xdata` and `.pdata` as LLVM's assembler made them from the instructions (`.seh_*` directives).
const XDATA: &[u32] = &[0x2040_000d, 0x01c0_0007, 0x4404_e215, 0xe2e4_26e6, 0x26e6_4404, 0xe3e3_e3e4];
const PDATA: &[(u32, u32)] = &[(0, 0x9000), (0x34, 0x0363_0029), (0x5c, 0x01a0_0019), (0x74, 0x0223_0021)];

/// Function starts and instructions (each a list of effects).
fn functions() -> Vec<(u64, Vec<Vec<Do>>)> {
    let pair = |a: Reg, b: Reg, at: u64| vec![Store(a, at), Store(b, at + 8)];
    let unpair = |a: Reg, b: Reg, at: u64| vec![Load(a, at), Load(b, at + 8)];
    let push = |n: i64, mut then: Vec<Do>| {
        then.insert(0, Sp(-n));
        then
    };
    let pop = |mut first: Vec<Do>, n: i64| {
        first.push(Sp(n));
        first
    };
    vec![
        (
            0,
            vec![
                push(0x30, pair(x(19), x(20), 0)),
                pair(x(21), x(22), 0x10),
                pair(FP, LR, 0x20),
                vec![Fp(0x20)],
                vec![Sp(-0x150)],
                vec![Call],
                vec![Nop],
                vec![SpFromFp(0x20)],
                unpair(FP, LR, 0x20),
                unpair(x(21), x(22), 0x10),
                pop(unpair(x(19), x(20), 0), 0x30),
                vec![Ret],
            ],
        ),
        (
            0x34,
            vec![
                push(0x20, pair(x(19), x(20), 0)),
                vec![Store(x(21), 0x10)],
                push(0x40, pair(FP, LR, 0)),
                vec![Fp(0)],
                vec![Call],
                vec![Nop],
                pop(unpair(FP, LR, 0), 0x40),
                vec![Load(x(21), 0x10)],
                pop(unpair(x(19), x(20), 0), 0x20),
                vec![Ret],
            ],
        ),
        (
            0x5c,
            vec![
                push(0x10, vec![Store(LR, 0)]),
                vec![Sp(-0x20)],
                vec![Call],
                vec![Sp(0x20)],
                pop(vec![Load(LR, 0)], 0x10),
                vec![Ret],
            ],
        ),
        (
            0x74,
            vec![
                push(0x20, pair(x(19), x(20), 0)),
                pair(x(21), LR, 0x10),
                vec![Sp(-0x20)],
                vec![Call],
                vec![Sp(0x20)],
                unpair(x(21), LR, 0x10),
                pop(unpair(x(19), x(20), 0), 0x20),
                vec![Ret],
            ],
        ),
    ]
}

fn image() -> (TestMemory, TestContext) {
    let mut mem = TestMemory::default();
    mem.put_image(BASE, 0xaa64, (0x1000, 0x4000), (0x8000, PDATA.len() as u32 * 8));
    for (i, (begin, data)) in PDATA.iter().enumerate() {
        mem.put32(BASE + 0x8000 + i as u64 * 8, begin + 0x1000);
        mem.put32(BASE + 0x8004 + i as u64 * 8, *data);
    }
    XDATA.iter().enumerate().for_each(|(i, w)| mem.put32(BASE + 0x9000 + i as u64 * 4, *w));
    // The caller: a `bl` before the return address.
    mem.put32(RETURN - 4, 0x9400_0010);
    mem.put(STACK, &[0; 0x2000]);
    (mem, TestContext { modules: vec![(BASE, 0x1_0000)], ..TestContext::default() })
}

fn context(ip: u64, sp: u64, lr: u64) -> RegSet {
    let mut regs = RegSet::new(Machine::Arm64);
    (0..29).for_each(|n| regs.set(Reg(n), 0x1000 + u64::from(n)));
    regs.set(arm64::PC, ip);
    regs.set(arm64::SP, sp);
    regs.set(arm64::FP, 0xf1f1);
    regs.set(arm64::LR, lr);
    regs
}

#[test]
fn every_instruction_of_every_function_unwinds() {
    for (start, code) in functions() {
        let (mut mem, cx) = image();
        let entry = STACK + 0x1000;
        let mut regs = context(CODE + start, entry, RETURN);
        for (i, instruction) in code.iter().enumerate() {
            regs.set(arm64::PC, CODE + start + i as u64 * 4);
            let w = walk(&regs, &mem, &cx, BOUNDS, &Limits::default());
            let f1 = &w.frames[1];
            let at = format!("function {start:#x}, instruction {i}: {w:?}");
            assert_eq!((f1.ip, f1.sp, f1.trust), (Va(RETURN), Va(entry), Trust::Cfi), "{at}");
            assert!((19..29).all(|n| f1.regs.get(Reg(n)) == Some(0x1000 + u64::from(n))), "{at}");
            assert_eq!((f1.regs.fp(), f1.regs.get(x(3))), (Some(Va(0xf1f1)), None), "{at}");
            for effect in instruction {
                let sp = regs.sp().unwrap().0;
                match *effect {
                    Sp(n) => regs.set(arm64::SP, sp.wrapping_add_signed(n)),
                    Store(reg, at) => mem.put64(sp + at, regs.get(reg).unwrap()),
                    Load(reg, at) => regs.set(reg, mem.u64(Va(sp + at)).unwrap()),
                    Fp(n) => regs.set(arm64::FP, sp + n),
                    SpFromFp(n) => regs.set(arm64::SP, regs.fp().unwrap().0 - n),
                    Call => {
                        regs.set(arm64::LR, CODE + start + i as u64 * 4 + 4);
                        // What the callee leaves behind.
                        (0..19).for_each(|n| regs.set(Reg(n), 0xbad));
                    }
                    Nop | Ret => {}
                }
            }
        }
    }
}

#[test]
fn save_slots_are_told() {
    let (mut mem, cx) = image();
    // In function 0x74 after the call.
    let sp = STACK + 0x100;
    mem.put64(sp + 0x20, 0x19);
    mem.put64(sp + 0x28, 0x20);
    mem.put64(sp + 0x30, 0x21);
    mem.put64(sp + 0x38, RETURN);
    let w = walk(&context(CODE + 0x74 + 16, sp, 0), &mem, &cx, BOUNDS, &Limits::default());
    let f1 = &w.frames[1];
    assert_eq!(f1.ip, Va(RETURN));
    assert!(f1.saved_at.contains(&(x(19), Va(sp + 0x20))), "{f1:?}");
    assert_eq!(f1.regs.get(x(19)), Some(0x19));
}

#[test]
fn leaf_functions_return_through_lr() {
    let (mem, cx) = image();
    let w = walk(&context(CODE + 0x1000, STACK, RETURN), &mem, &cx, BOUNDS, &Limits::default());
    assert_eq!((w.frames[1].ip, w.frames[1].sp, w.frames[1].trust), (Va(RETURN), Va(STACK), Trust::Cfi));
    assert_eq!(w.frames[1].issue, Some(UnwindIssue::NoUnwindData), "a caller is no leaf");
}

#[test]
fn without_images_the_frame_pointer_chain_counts() {
    let mut mem = TestMemory::default();
    mem.put(STACK, &[0; 0x2000]);
    let cx = TestContext { modules: vec![(BASE, 0x1_0000)], ..TestContext::default() };
    mem.put64(STACK + 0x40, STACK + 0x80);
    mem.put64(STACK + 0x48, CODE + 0x10);
    let mut regs = context(CODE, STACK, 0);
    regs.set(arm64::FP, STACK + 0x40);
    let w = walk(&regs, &mem, &cx, BOUNDS, &Limits::default());
    assert_eq!((w.frames[1].ip, w.frames[1].trust), (Va(CODE + 0x10), Trust::FramePointerUnverified));
    assert_eq!(w.frames[0].issue, Some(UnwindIssue::ImageMissing));
    assert_eq!((w.frames.len(), w.end), (2, EndReason::Complete));
}

#[test]
fn hostile_records_are_refused() {
    for (head, code) in [
        // Version 1; no end code; a reserved code; cut off in the middle of one; epilogue scopes without memory.
        (0x0804_0010u32, 0xe4e4_e4e4u32),
        (0x0800_0010, 0xe3e3_e3e3),
        (0x0800_0010, 0xe4e4_e4ff),
        (0x0800_0010, 0xe0e3_e3e3),
        (0x0fc0_0010, 0xe4e4_e4e4),
        (0x0000_0010, 0xffff_ffff),
    ] {
        let (mut mem, cx) = image();
        mem.put32(BASE + 0x8004, 0xfff8);
        mem.put32(BASE + 0xfff8, head);
        mem.put32(BASE + 0xfffc, code);
        let w = walk(&context(CODE + 0x20, STACK, 0), &mem, &cx, BOUNDS, &Limits::default());
        assert!(matches!(w.frames[0].issue, Some(UnwindIssue::BadUnwindData(_))), "{head:x} {code:x}: {w:?}");
    }
    // A packed record with registers that do not exist, and one whose frame is too small.
    for data in [0x29 | 15 << 16, 0x29 | 4 << 16] {
        let (mut mem, cx) = image();
        mem.put32(BASE + 0x8004, data);
        let w = walk(&context(CODE + 0x20, STACK, 0), &mem, &cx, BOUNDS, &Limits::default());
        assert!(matches!(w.frames[0].issue, Some(UnwindIssue::BadUnwindData(_))), "{data:x}: {w:?}");
    }
}
