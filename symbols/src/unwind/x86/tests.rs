use super::super::testing::{TestContext, TestMemory};
use super::super::*;
use dumpscope_core::base::x86;
use dumpscope_core::{Machine, RegSet, Va};

const BASE: u64 = 0x40_0000;
const SIZE: u32 = 0x1_0000;
const CODE: u64 = BASE + 0x1000;
const STACK: u64 = 0x10_0000;
const BOUNDS: Option<(Va, Va)> = Some((Va(STACK), Va(STACK + 0x1000)));

fn image() -> (TestMemory, TestContext) {
    let mut mem = TestMemory::default();
    mem.put_image(BASE, 0x14c, (0x1000, 0x4000), (0, 0));
    mem.put(CODE, &[0x90; 0x4000]);
    mem.put(STACK, &[0; 0x1000]);
    (mem, TestContext { modules: vec![(BASE, SIZE)], ..TestContext::default() })
}

/// A module whose bytes are not in the dump.
fn no_image() -> (TestMemory, TestContext) {
    let mut mem = TestMemory::default();
    mem.put(STACK, &[0; 0x1000]);
    (mem, TestContext { modules: vec![(BASE, SIZE)], ..TestContext::default() })
}

/// Puts an indirect call in front of `offset`; gives the return address.
fn call_at(mem: &mut TestMemory, offset: u64) -> u32 {
    mem.put(CODE + offset - 2, &[0xff, 0xd0]);
    (CODE + offset) as u32
}

fn context(ip: u64, sp: u64, fp: u64) -> RegSet {
    let mut regs = RegSet::new(Machine::X86);
    for (reg, value) in [(x86::EAX, 1), (x86::EBX, 0xb0b), (x86::ESI, 0x51), (x86::EDI, 0xd1)] {
        regs.set(reg, value);
    }
    regs.set(x86::EIP, ip);
    regs.set(x86::ESP, sp);
    regs.set(x86::EBP, fp);
    regs
}

fn walk_it(mem: &TestMemory, context: &TestContext, regs: &RegSet) -> Walk {
    walk(regs, mem, context, BOUNDS, &Limits::default())
}

/// (frame base, return address, trust) of every frame.
fn rows(w: &Walk) -> Vec<(u64, u64, Trust)> {
    w.frames.iter().map(|f| (f.frame_base.0, f.return_address.0, f.trust)).collect()
}

#[test]
fn an_ebp_chain_ends_with_a_zero_return_address() {
    let (mut mem, cx) = image();
    let (a, b) = (call_at(&mut mem, 0x100), call_at(&mut mem, 0x200));
    mem.put32(STACK + 0x40, (STACK + 0x80) as u32);
    mem.put32(STACK + 0x44, a);
    mem.put32(STACK + 0x80, (STACK + 0xc0) as u32);
    mem.put32(STACK + 0x84, b);
    let w = walk_it(&mem, &cx, &context(CODE + 0x50, STACK, STACK + 0x40));
    assert_eq!(
        rows(&w),
        [
            (STACK + 0x40, a.into(), Trust::Context),
            (STACK + 0x80, b.into(), Trust::FramePointer),
            (STACK + 0xc0, 0, Trust::FramePointer),
        ]
    );
    assert_eq!(w.end, EndReason::Complete);
    assert_eq!(w.frames[1].sp, Va(STACK + 0x48));
    assert_eq!(w.frames[1].regs.get(x86::EBX), None, "nobody knows where it was saved");
    assert_eq!(w.frames[1].saved_at, [(x86::EBP, Va(STACK + 0x40))]);
}

/// The shapes of system-call stubs (`windows-structures.md` 2.3): in all of them the caller's frame is the ebp
/// frame, and frame 0 has nothing but its return address.
#[test]
fn system_call_stubs() {
    let stubs: [(&str, &[u8], u64, u64); 3] = [
        ("WOW64 on Windows 10", &[0xb8, 4, 0, 0, 0, 0xba, 0, 0, 0, 0, 0xff, 0xd2, 0xc2, 0x0c, 0], 12, 0),
        ("WOW64 on Windows 8", &[0xb8, 4, 0, 0, 0, 0x64, 0xff, 0x15, 0xc0, 0, 0, 0, 0xc2, 0x0c, 0], 12, 0),
        (
            "WOW64 on Windows 7",
            &[
                0xb8, 4, 0, 0, 0, 0x8d, 0x54, 0x24, 4, 0x64, 0xff, 0x15, 0xc0, 0, 0, 0, 0x83, 0xc4, 4, 0xc2,
                0x0c, 0,
            ],
            16,
            4,
        ),
    ];
    for (name, code, at, skip) in stubs {
        let (mut mem, cx) = image();
        let (a, b) = (call_at(&mut mem, 0x100), call_at(&mut mem, 0x200));
        mem.put(CODE + 0x800, code);
        let top = STACK + 0x20;
        // On Windows 7 a copy of the ip is on top: it is no return address.
        mem.put32(top, (CODE + 0x800 + at) as u32);
        mem.put32(top + skip, a);
        mem.put32(STACK + 0x80, 0);
        mem.put32(STACK + 0x84, b);
        let w = walk_it(&mem, &cx, &context(CODE + 0x800 + at, top, STACK + 0x80));
        assert_eq!(
            rows(&w)[..2],
            [(top + skip - 4, a.into(), Trust::Context), (STACK + 0x80, b.into(), Trust::FramePointer)],
            "{name}"
        );
        let f1 = &w.frames[1];
        assert_eq!((f1.regs.get(x86::EBX), f1.regs.get(x86::EAX)), (Some(0xb0b), None), "{name}");
    }
}

#[test]
fn ki_fast_system_call_ret_shows_the_stub_as_a_frame() {
    let (mut mem, cx) = image();
    mem.put(CODE + 0x900, &[0x8b, 0xd4, 0x0f, 0x34, 0xc3]);
    // NtWaitForSingleObject: mov eax; mov edx; call [edx]; ret 0ch
    mem.put(CODE + 0x800, &[0xb8, 4, 0, 0, 0, 0xba, 0, 3, 0xfe, 0x7f, 0xff, 0x12, 0xc2, 0x0c, 0]);
    let (stub, a, b) = ((CODE + 0x80c) as u32, call_at(&mut mem, 0x100), call_at(&mut mem, 0x200));
    mem.put32(STACK + 0x20, stub);
    mem.put32(STACK + 0x24, a);
    mem.put32(STACK + 0x80, 0);
    mem.put32(STACK + 0x84, b);
    let w = walk_it(&mem, &cx, &context(CODE + 0x904, STACK + 0x20, STACK + 0x80));
    assert_eq!(
        rows(&w)[..3],
        [
            (STACK + 0x1c, stub.into(), Trust::Context),
            (STACK + 0x20, a.into(), Trust::FramePointer),
            (STACK + 0x80, b.into(), Trust::FramePointer),
        ]
    );
}

#[test]
fn prologues_and_epilogues_in_frame_0() {
    let code: &[u8] = &[0x55, 0x8b, 0xec, 0x83, 0xec, 0x10, 0x90, 0x90, 0x5f, 0x5e, 0xc9, 0xc2, 8, 0];
    for (offset, sp, fp, slot) in [
        (0u64, 0x44u64, 0x80u64, 0x44u64),
        (1, 0x40, 0x80, 0x44),
        (3, 0x40, 0x40, 0x44),
        (8, 0x28, 0x40, 0x44),
        (10, 0x30, 0x40, 0x44),
        (11, 0x44, 0x80, 0x44),
    ] {
        let (mut mem, cx) = image();
        mem.put(CODE + 0x800, code);
        let (a, b) = (call_at(&mut mem, 0x100), call_at(&mut mem, 0x200));
        mem.put32(STACK + 0x40, (STACK + 0x80) as u32);
        mem.put32(STACK + 0x44, a);
        mem.put32(STACK + 0x80, 0);
        mem.put32(STACK + 0x84, b);
        let w = walk_it(&mem, &cx, &context(CODE + 0x800 + offset, STACK + sp, STACK + fp));
        let expected =
            [(STACK + slot - 4, a.into(), Trust::Context), (STACK + 0x80, b.into(), Trust::FramePointer)];
        assert_eq!(rows(&w)[..2], expected, "offset {offset}");
    }
}

#[test]
fn known_bytes_that_are_no_call_go_on_to_a_scan() {
    let (mut mem, cx) = image();
    let a = call_at(&mut mem, 0x100);
    mem.put32(STACK + 0x40, (STACK + 0x80) as u32);
    mem.put32(STACK + 0x44, (CODE + 0x300) as u32);
    mem.put32(STACK + 0x60, a);
    let w = walk_it(&mem, &cx, &context(CODE + 0x50, STACK, STACK + 0x40));
    assert_eq!(rows(&w)[..2], [(STACK + 0x5c, a.into(), Trust::Context), (STACK + 0x64, 0, Trust::Scan)]);
}

#[test]
fn unknown_bytes_lower_the_trust() {
    let (mut mem, cx) = no_image();
    mem.put32(STACK + 0x40, (STACK + 0x80) as u32);
    mem.put32(STACK + 0x44, (CODE + 0x300) as u32);
    let w = walk_it(&mem, &cx, &context(CODE + 0x50, STACK, STACK + 0x40));
    assert_eq!(
        rows(&w),
        [(STACK + 0x40, CODE + 0x300, Trust::Context), (STACK + 0x80, 0, Trust::FramePointerUnverified)]
    );
}

#[test]
fn a_stub_without_code_is_known_by_its_start() {
    let (mut mem, mut cx) = no_image();
    mem.put32(STACK, (CODE + 0x100) as u32);
    mem.put32(STACK + 0x84, (CODE + 0x200) as u32);
    let regs = context(CODE + 0x80c, STACK, STACK + 0x80);
    let without = walk_it(&mem, &cx, &regs);
    assert_eq!(without.frames[0].frame_base, Va(STACK + 0x80));
    cx.starts.push(CODE + 0x800);
    let w = walk_it(&mem, &cx, &regs);
    assert_eq!(
        rows(&w)[..2],
        [
            (STACK - 4, CODE + 0x100, Trust::Context),
            (STACK + 0x80, CODE + 0x200, Trust::FramePointerUnverified)
        ]
    );
}

#[test]
fn a_scan_prefers_calls_that_lead_here() {
    let (mut mem, cx) = image();
    // A stale return address behind a direct call to a function above the ip, then the real one.
    let stale = CODE + 0x400;
    mem.put(stale - 5, &[0xe8]);
    mem.put32(stale - 4, 0x1000);
    let real = CODE + 0x500;
    mem.put(real - 5, &[0xe8]);
    mem.put32(real - 4, (CODE + 0x40).wrapping_sub(real) as u32);
    mem.put32(STACK + 0x10, stale as u32);
    mem.put32(STACK + 0x20, real as u32);
    let w = walk_it(&mem, &cx, &context(CODE + 0x50, STACK, 0));
    assert_eq!((w.frames[1].ip, w.frames[1].trust), (Va(real), Trust::Scan));
}

#[test]
fn a_chain_that_skips_a_frame_is_noticed() {
    let (mut mem, mut cx) = image();
    // main calls outer (ebp frame), outer calls inner (no frame of its own): ebp is still outer's.
    let call = |mem: &mut TestMemory, at: u64, target: u64| {
        mem.put(at - 5, &[0xe8]);
        mem.put32(at - 4, target.wrapping_sub(at) as u32);
        at as u32
    };
    let (inner, outer) = (CODE + 0x3000, CODE + 0x200);
    cx.starts.push(inner);
    let into_main = call(&mut mem, CODE + 0x100, outer);
    let into_outer = call(&mut mem, CODE + 0x280, inner);
    mem.put32(STACK + 0x30, into_outer);
    mem.put32(STACK + 0x84, into_main);
    let w = walk_it(&mem, &cx, &context(inner + 0x20, STACK + 0x20, STACK + 0x80));
    assert_eq!(
        rows(&w)[..2],
        [(STACK + 0x2c, into_outer.into(), Trust::Context), (STACK + 0x80, into_main.into(), Trust::Scan)]
    );
    assert_eq!(w.frames[2].trust, Trust::FramePointer);
    // Without such a call the chain is the best that there is.
    mem.put32(STACK + 0x30, 0);
    let w = walk_it(&mem, &cx, &context(inner + 0x20, STACK + 0x20, STACK + 0x80));
    assert_eq!((w.frames[1].ip.0, w.frames[1].trust), (into_main.into(), Trust::FramePointer));
}

#[test]
fn fpo_data_counts_from_the_stack_pointer() {
    let (mut mem, mut cx) = no_image();
    let fpo = |start: u32, params, locals, saved_regs, uses_bp| FrameData::Fpo {
        start: Rva(start),
        size: 0x100,
        params,
        locals,
        saved_regs,
        prologue: 0,
        uses_bp,
    };
    cx.frame_data.push((CODE..CODE + 0x100, fpo(0x1000, 8, 0x10, 4, false)));
    cx.frame_data.push((CODE + 0x100..CODE + 0x200, fpo(0x1100, 0, 0x20, 8, true)));
    mem.put32(STACK + 0x14, (CODE + 0x150) as u32);
    // The second function pushed 8 bytes of parameters, then has 0x20 of locals and two saved registers.
    let slot = STACK + 0x18 + 8 + 0x28;
    mem.put32(slot, (CODE + 0x300) as u32);
    mem.put32(slot - 0x20 - 8, (STACK + 0x200) as u32);
    let w = walk_it(&mem, &cx, &context(CODE + 0x50, STACK, 0x1234));
    assert_eq!(
        rows(&w)[..3],
        [
            (STACK + 0x10, CODE + 0x150, Trust::Context),
            (slot - 4, CODE + 0x300, Trust::Cfi),
            (STACK + 0x200, 0, Trust::Cfi),
        ]
    );
    assert_eq!(w.frames[1].regs.get(x86::EBP), Some(0x1234));
    assert_eq!(w.frames[2].regs.get(x86::EBP), Some(STACK + 0x200));
    // At the function's first instruction nothing is pushed yet.
    mem.put32(STACK, (CODE + 0x150) as u32);
    let w = walk_it(&mem, &cx, &context(CODE, STACK, 0x1234));
    assert_eq!(w.frames[0].frame_base, Va(STACK - 4));
}

#[test]
fn programs_restore_what_they_say() {
    let (mut mem, mut cx) = no_image();
    let program = "$T0 $ebp = $eip $T0 4 + ^ = $ebp $T0 ^ = $esp $T0 8 + = $ebx $T0 8 - ^ =".to_owned();
    let data =
        FrameData::Program { start: Rva(0x1000), size: 0x100, params: 4, locals: 8, saved_regs: 4, program };
    cx.frame_data.push((CODE..CODE + 0x100, data));
    mem.put32(STACK + 0x40, (STACK + 0x80) as u32);
    mem.put32(STACK + 0x44, (CODE + 0x300) as u32);
    mem.put32(STACK + 0x38, 0x77);
    let w = walk_it(&mem, &cx, &context(CODE + 0x50, STACK, STACK + 0x40));
    let f1 = &w.frames[1];
    assert_eq!((f1.ip, f1.sp, f1.trust), (Va(CODE + 0x300), Va(STACK + 0x48), Trust::Cfi));
    assert_eq!(f1.regs.get(x86::EBX), Some(0x77));
    assert!(f1.saved_at.contains(&(x86::EBX, Va(STACK + 0x38))));
    assert!(f1.saved_at.contains(&(x86::EBP, Va(STACK + 0x40))));
}

#[test]
fn ra_search_finds_the_return_address() {
    let (mut mem, mut cx) = no_image();
    let program = "$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + =".to_owned();
    let data =
        FrameData::Program { start: Rva(0x1000), size: 0x100, params: 0, locals: 8, saved_regs: 0, program };
    cx.frame_data.push((CODE..CODE + 0x100, data));
    mem.put32(STACK + 8, 0x99);
    mem.put32(STACK + 0x10, (CODE + 0x300) as u32);
    let w = walk_it(&mem, &cx, &context(CODE + 0x50, STACK, 0x1234));
    assert_eq!((w.frames[1].ip, w.frames[1].trust), (Va(CODE + 0x300), Trust::Scan));
}

#[test]
fn dwarf_of_the_image() {
    let (mut mem, cx) = image();
    // The section's name is cut to eight bytes.
    let section = BASE + 0x80 + 24 + 0xf0 + 40;
    mem.put(BASE + 0x86, &[2, 0]);
    mem.put(section, b".eh_fram");
    mem.put32(section + 8, 0x100);
    mem.put32(section + 12, 0x6000);
    mem.put32(section + 36, 0x4000_0040);
    let eh = BASE + 0x6000;
    mem.put(eh, &[0; 0x100]);
    // CIE: "zR", code 1, data -4, return address 8, pcrel sdata4; cfa = esp + 4, eip at cfa - 4.
    mem.put32(eh, 0x14);
    mem.put(eh + 8, &[1, b'z', b'R', 0, 1, 0x7c, 8, 1, 0x1b, 0x0c, 4, 4, 0x88, 1, 0, 0]);
    // FDE for 0x100 bytes of code: cfa = esp + 0x20, ebx at cfa - 8.
    let fde = eh + 0x18;
    mem.put32(fde, 0x14);
    mem.put32(fde + 4, 0x1c);
    mem.put32(fde + 8, CODE.wrapping_sub(fde + 8) as u32);
    mem.put32(fde + 12, 0x100);
    mem.put(fde + 16, &[0, 0x0e, 0x20, 0x83, 2, 0, 0, 0]);
    let a = call_at(&mut mem, 0x200);
    mem.put32(STACK + 0x18, 0x77);
    mem.put32(STACK + 0x1c, a);
    let w = walk_it(&mem, &cx, &context(CODE + 0x50, STACK, 0x1234));
    let f1 = &w.frames[1];
    assert_eq!((f1.ip, f1.sp, f1.trust), (Va(a.into()), Va(STACK + 0x20), Trust::Cfi));
    assert_eq!((f1.regs.get(x86::EBX), f1.regs.get(x86::EBP)), (Some(0x77), Some(0x1234)));
    assert_eq!(f1.saved_at, [(x86::EBX, Va(STACK + 0x18))]);
}

#[test]
fn loops_end() {
    let (mut mem, cx) = image();
    let a = call_at(&mut mem, 0x100);
    // An ebp that points to itself.
    mem.put32(STACK + 0x40, (STACK + 0x40) as u32);
    mem.put32(STACK + 0x44, a);
    let w = walk_it(&mem, &cx, &context(CODE + 0x50, STACK, STACK + 0x40));
    assert!(w.frames.len() <= 3, "{w:?}");
}

#[test]
fn the_words_of_the_article_give_its_rows() {
    // shared/article/11: the last four rows and the stub, without any code bytes.
    let (mut mem, mut cx) = no_image();
    let ret = |n: u64| (CODE + n) as u32;
    let chain = [(0x78u64, 0xa0u64, 0x10u64), (0xa0, 0xa8, 0x20), (0xa8, 0xc4, 0x30), (0xc4, 0, 0)];
    for (at, next, r) in chain {
        mem.put32(STACK + at, if next == 0 { 0 } else { (STACK + next) as u32 });
        mem.put32(STACK + at + 4, if r == 0 { 0 } else { ret(r) });
    }
    mem.put32(STACK + 8, ret(8));
    cx.starts.push(CODE + 0x800);
    let w = walk_it(&mem, &cx, &context(CODE + 0x80c, STACK + 8, STACK + 0x78));
    let bases: Vec<u64> = w.frames.iter().map(|f| f.frame_base.0 - STACK).collect();
    assert_eq!(bases, [4, 0x78, 0xa0, 0xa8, 0xc4]);
    assert_eq!(w.frames[4].return_address, Va(0));
    assert_eq!(w.end, EndReason::Complete);
}
