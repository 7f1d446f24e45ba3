use super::super::testing::{TestContext, TestMemory};
use super::super::*;
use dumpscope_core::base::amd64;
use dumpscope_core::{Machine, Reg, RegSet, Va};

const BASE: u64 = 0x7ff6_0000_0000;
const SIZE: u32 = 0x1_0000;
const CODE: u64 = BASE + 0x1000;
const STACK: u64 = 0x10_0000;
const BOUNDS: Option<(Va, Va)> = Some((Va(STACK), Va(STACK + 0x1000)));

/// An image with functions of 0x100 bytes, one after the other, each with the given unwind info.
fn image(infos: &[&[u8]]) -> (TestMemory, TestContext) {
    let mut mem = TestMemory::default();
    mem.put_image(BASE, 0x8664, (0x1000, 0x4000), (0x8000, infos.len() as u32 * 12));
    mem.put(CODE, &[0x90; 0x4000]);
    for (i, info) in infos.iter().enumerate() {
        let i = i as u32;
        let at = BASE + 0x8000 + u64::from(i) * 12;
        let begin = 0x1000 + i * 0x100;
        mem.put32(at, begin);
        mem.put32(at + 4, begin + 0x100);
        mem.put32(at + 8, 0xa000 + i * 0x100);
        mem.put(BASE + 0xa000 + u64::from(i) * 0x100, info);
    }
    mem.put(STACK, &[0; 0x1000]);
    (mem, TestContext { modules: vec![(BASE, SIZE)], ..TestContext::default() })
}

/// Puts a call in front of function `i`'s middle; gives the return address.
fn call_in(mem: &mut TestMemory, i: u64) -> u64 {
    let at = CODE + i * 0x100 + 0x80;
    mem.put(at - 5, &[0xe8, 0, 0, 0, 0]);
    at
}

fn context(ip: u64, sp: u64) -> RegSet {
    let mut regs = RegSet::new(Machine::Amd64);
    (0..16).for_each(|r| regs.set(Reg(r), 0x1111 * u64::from(r)));
    regs.set(amd64::RIP, ip);
    regs.set(amd64::RSP, sp);
    regs
}

fn walk_it(mem: &TestMemory, context: &TestContext, regs: &RegSet) -> Walk {
    walk(regs, mem, context, BOUNDS, &Limits::default())
}

/// push rbx; push rsi; sub rsp, 28h: prologue of 6 bytes.
const PUSHES: &[u8] = &[1, 6, 3, 0, 6, 0x42, 2, 0x60, 1, 0x30];
/// sub rsp, 28h
const ALLOC: &[u8] = &[1, 4, 1, 0, 4, 0x42];

#[test]
fn non_volatile_registers_come_from_their_slots() {
    let (mut mem, cx) = image(&[PUSHES, ALLOC]);
    let ret = call_in(&mut mem, 1);
    mem.put64(STACK + 0x28, 0x5151);
    mem.put64(STACK + 0x30, 0xb0b0);
    mem.put64(STACK + 0x38, ret);
    let w = walk_it(&mem, &cx, &context(CODE + 0x50, STACK));
    assert_eq!(w.end, EndReason::Complete);
    assert_eq!(w.frames.len(), 2);
    let (f0, f1) = (&w.frames[0], &w.frames[1]);
    assert_eq!((f0.trust, f0.return_address, f0.sp, f0.exact_ip), (Trust::Context, Va(ret), Va(STACK), true));
    assert_eq!((f1.trust, f1.ip, f1.sp, f1.exact_ip), (Trust::Cfi, Va(ret), Va(STACK + 0x40), false));
    assert_eq!(f1.regs.get(amd64::RBX), Some(0xb0b0));
    assert_eq!(f1.regs.get(amd64::RSI), Some(0x5151));
    assert_eq!(f1.regs.get(amd64::R15), Some(0x1111 * 15), "untouched non-volatile registers go through");
    assert_eq!(f1.regs.get(amd64::RCX), None, "volatile registers are dropped");
    assert_eq!(f1.saved_at, [(amd64::RSI, Va(STACK + 0x28)), (amd64::RBX, Va(STACK + 0x30))]);
    assert_eq!(f1.return_address, Va(0));
}

#[test]
fn only_the_part_of_the_prologue_that_ran_is_undone() {
    let (mut mem, cx) = image(&[PUSHES, ALLOC]);
    let ret = call_in(&mut mem, 1);
    for (offset, words) in [(0u64, 0u64), (1, 1), (2, 2)] {
        mem.put(STACK, &[0; 0x100]);
        mem.put64(STACK + words * 8, ret);
        let w = walk_it(&mem, &cx, &context(CODE + offset, STACK));
        assert_eq!((w.frames[1].ip, w.frames[1].sp.0), (Va(ret), STACK + words * 8 + 8), "offset {offset}");
    }
}

#[test]
fn epilogues_run_from_where_they_are() {
    // add rsp, 28h; pop rsi; pop rbx; ret
    let code: &[u8] = &[0x48, 0x83, 0xc4, 0x28, 0x5e, 0x5b, 0xc3];
    let (mut mem, cx) = image(&[PUSHES, ALLOC]);
    let ret = call_in(&mut mem, 1);
    mem.put(CODE + 0x60, code);
    for (offset, skip) in [(0u64, 0u64), (4, 0x28), (5, 0x30), (6, 0x38)] {
        mem.put(STACK, &[0; 0x100]);
        mem.put64(STACK + 0x38, ret);
        let w = walk_it(&mem, &cx, &context(CODE + 0x60 + offset, STACK + skip));
        assert_eq!((w.frames[1].ip, w.frames[1].sp.0), (Va(ret), STACK + 0x40), "offset {offset}");
        assert_eq!(w.frames[1].trust, Trust::Cfi);
    }
}

#[test]
fn a_jump_inside_the_function_is_no_epilogue_a_tail_call_is() {
    let (mut mem, cx) = image(&[ALLOC, ALLOC]);
    let ret = call_in(&mut mem, 1);
    // At 0x60 a jump to 0x10 bytes on: the frame is still there.
    mem.put(CODE + 0x60, &[0xeb, 0x10]);
    mem.put64(STACK + 0x28, ret);
    let w = walk_it(&mem, &cx, &context(CODE + 0x60, STACK));
    assert_eq!(w.frames[1].sp, Va(STACK + 0x30));
    // A jump to the start of function 1: the frame is gone.
    mem.put(CODE + 0x60, &[0xe9]);
    mem.put32(CODE + 0x61, 0x100 - 0x65);
    mem.put64(STACK, ret);
    let w = walk_it(&mem, &cx, &context(CODE + 0x60, STACK));
    assert_eq!(w.frames[1].sp, Va(STACK + 8));
}

#[test]
fn a_return_address_is_never_in_an_epilogue() {
    let (mut mem, cx) = image(&[ALLOC, PUSHES]);
    let ret = call_in(&mut mem, 1);
    // Behind the call in function 1 the epilogue follows at once.
    mem.put(ret, &[0x48, 0x83, 0xc4, 0x28, 0x5e, 0x5b, 0xc3]);
    mem.put64(STACK + 0x28, ret);
    mem.put64(STACK + 0x30 + 0x38, 0);
    let w = walk_it(&mem, &cx, &context(CODE + 0x40, STACK));
    assert_eq!(w.end, EndReason::Complete);
    assert_eq!(w.frames.len(), 2);
}

#[test]
fn frame_register_and_far_saves() {
    // lea rbp, [rsp+20h] at 0x10 (SET_FPREG, offset 2*16); mov [rsp+38h], rdi: SAVE_NONVOL; sub rsp, 40h; push rbp
    let info: &[u8] = &[1, 0x14, 5, 0x25, 0x14, 0x74, 7, 0, 0x10, 3, 8, 0x72, 1, 0x50];
    let (mut mem, cx) = image(&[info, ALLOC]);
    let ret = call_in(&mut mem, 1);
    let frame = STACK + 0x100;
    mem.put64(frame + 0x38, 0xd1d1);
    mem.put64(frame + 0x40, 0xbbbb);
    mem.put64(frame + 0x48, ret);
    // alloca moved rsp down; rbp stays.
    let mut regs = context(CODE + 0x50, STACK + 0x10);
    regs.set(amd64::RBP, frame + 0x20);
    let w = walk_it(&mem, &cx, &regs);
    let f1 = &w.frames[1];
    assert_eq!((f1.ip, f1.sp), (Va(ret), Va(frame + 0x50)));
    assert_eq!(f1.regs.get(amd64::RBP), Some(0xbbbb));
    assert_eq!(f1.regs.get(amd64::RDI), Some(0xd1d1));
    assert!(f1.saved_at.contains(&(amd64::RDI, Va(frame + 0x38))));
}

#[test]
fn chained_info_undoes_the_parent_too() {
    // Function 0 saves rsi at [rsp+30h] and is chained to function 1 (push rbx; sub rsp, 40h).
    let mut child = vec![1 | 4 << 3, 5, 2, 0, 5, 0x64, 6, 0];
    child.extend([0x1100u32, 0x1200, 0xa100].iter().flat_map(|v| v.to_le_bytes()));
    let parent: &[u8] = &[1, 5, 2, 0, 5, 0x72, 1, 0x30];
    let (mut mem, cx) = image(&[&child, parent, ALLOC]);
    let ret = call_in(&mut mem, 2);
    mem.put64(STACK + 0x30, 0x5151);
    mem.put64(STACK + 0x40, 0xb0b0);
    mem.put64(STACK + 0x48, ret);
    let w = walk_it(&mem, &cx, &context(CODE + 0x50, STACK));
    let f1 = &w.frames[1];
    assert_eq!((f1.ip, f1.trust), (Va(ret), Trust::Cfi));
    assert_eq!((f1.regs.get(amd64::RSI), f1.regs.get(amd64::RBX)), (Some(0x5151), Some(0xb0b0)));
}

#[test]
fn a_chain_that_comes_back_ends_with_an_issue() {
    let mut child = vec![1 | 4 << 3, 0, 0, 0];
    child.extend([0x1000u32, 0x1100, 0xa000].iter().flat_map(|v| v.to_le_bytes()));
    let (mem, cx) = image(&[&child]);
    let w = walk_it(&mem, &cx, &context(CODE + 0x50, STACK));
    assert_eq!(w.frames.len(), 1);
    assert!(matches!(&w.frames[0].issue, Some(UnwindIssue::BadUnwindData(t)) if t.contains("loop")));
}

#[test]
fn hostile_infos_are_refused() {
    let far: &[u8] = &[1, 0, 2, 0, 0, 0x21];
    let cut: &[u8] = &[1, 0, 1, 0, 0, 0x01];
    let op: &[u8] = &[1, 0, 1, 0, 0, 0x0f];
    let version: &[u8] = &[3, 0, 0, 0];
    let register: &[u8] = &[1, 0, 1, 0, 0, 3];
    let count: &[u8] = &[1, 0, 255, 0];
    for info in [far, cut, op, version, register, count] {
        let (mem, cx) = image(&[info]);
        let w = walk_it(&mem, &cx, &context(CODE + 0x50, STACK));
        assert!(matches!(w.frames[0].issue, Some(UnwindIssue::BadUnwindData(_))), "{info:?}: {w:?}");
    }
}

#[test]
fn a_machine_frame_gives_the_interrupted_instruction() {
    // PUSH_MACHFRAME without error code, then an allocation of 8 bytes.
    let info: &[u8] = &[1, 4, 2, 0, 4, 2, 0, 10];
    let (mut mem, cx) = image(&[info, ALLOC]);
    mem.put64(STACK + 8, CODE + 0x150);
    mem.put64(STACK + 8 + 24, STACK + 0x200);
    let w = walk_it(&mem, &cx, &context(CODE + 0x50, STACK));
    let f1 = &w.frames[1];
    assert_eq!((f1.ip, f1.sp, f1.exact_ip), (Va(CODE + 0x150), Va(STACK + 0x200), true));
    assert_eq!(f1.lookup_ip(), f1.ip);
}

#[test]
fn leaf_functions_need_a_table_and_a_plausible_return_address() {
    let (mut mem, cx) = image(&[ALLOC]);
    let ret = call_in(&mut mem, 0);
    // 0x2000 is code behind every function of the table.
    let leaf = BASE + 0x2000;
    mem.put64(STACK, ret);
    let w = walk_it(&mem, &cx, &context(leaf, STACK));
    assert_eq!((w.frames[1].ip, w.frames[1].trust), (Va(ret), Trust::Cfi));
    assert_eq!(w.frames[0].issue, None);
    // The word on top is no return address: not a leaf, and what a scan finds says so.
    mem.put64(STACK, 0x1234_5678);
    mem.put64(STACK + 0x18, ret);
    let w = walk_it(&mem, &cx, &context(leaf, STACK));
    assert_eq!((w.frames[1].ip, w.frames[1].trust), (Va(ret), Trust::Scan));
    assert_eq!(w.frames[0].issue, Some(UnwindIssue::NoUnwindData));
}

#[test]
fn a_call_through_null_finds_its_caller() {
    let (mut mem, cx) = image(&[ALLOC]);
    let ret = call_in(&mut mem, 0);
    mem.put64(STACK, ret);
    let w = walk_it(&mem, &cx, &context(0, STACK));
    assert_eq!(w.frames[0].issue, Some(UnwindIssue::NotInModule));
    assert_eq!((w.frames[1].ip, w.frames[1].trust), (Va(ret), Trust::ReturnAddress));
    assert_eq!(w.frames[1].regs.get(amd64::RBX), Some(0x3333));
    assert_eq!(w.end, EndReason::Complete);
}

#[test]
fn an_intact_chain_leads_through_code_that_nobody_knows() {
    let (mut mem, cx) = image(&[ALLOC]);
    let ret = call_in(&mut mem, 0);
    let (jit1, jit2) = (0x2_0000_0010u64, 0x2_0000_0050u64);
    mem.put64(STACK + 0x28, jit1);
    mem.put64(STACK + 0x80, STACK + 0xc0);
    mem.put64(STACK + 0x88, jit2);
    mem.put64(STACK + 0xc0, 0);
    mem.put64(STACK + 0xc8, ret);
    let mut regs = context(CODE + 0x50, STACK);
    regs.set(amd64::RBP, STACK + 0x80);
    let w = walk_it(&mem, &cx, &regs);
    let found: Vec<_> = w.frames.iter().take(4).map(|f| (f.ip.0, f.trust)).collect();
    assert_eq!(
        found,
        [
            (CODE + 0x50, Trust::Context),
            (jit1, Trust::Cfi),
            (jit2, Trust::FramePointerUnverified),
            (ret, Trust::FramePointer)
        ]
    );
    // A chain that leads nowhere is none.
    mem.put64(STACK + 0xc8, 0x99);
    let w = walk_it(&mem, &cx, &regs);
    assert!(w.frames.iter().all(|f| f.ip.0 != jit2), "{w:?}");
}

#[test]
fn deep_stacks_are_counted_without_their_frames() {
    let (mut mem, cx) = image(&[&[1, 0, 0, 0]]);
    let ret = call_in(&mut mem, 0);
    (0..0x200).for_each(|i| mem.put64(STACK + i * 8, ret));
    let limits = Limits { frames: 20, counted: 10_000, ..Limits::default() };
    let w = walk(&context(CODE, STACK), &mem, &cx, BOUNDS, &limits);
    let cut = w.cut.unwrap();
    assert_eq!(w.frames.len() + cut.omitted.len() + cut.tail.len(), 0x201);
    assert_eq!(w.end, EndReason::MissingMemory(Va(STACK + 0x1000)));
    let limits = Limits { frames: 20, counted: 100, ..Limits::default() };
    let w = walk(&context(CODE, STACK), &mem, &cx, BOUNDS, &limits);
    let cut = w.cut.unwrap();
    assert_eq!((w.frames.len() + cut.omitted.len() + cut.tail.len(), w.end), (120, EndReason::FrameLimit));
}

#[test]
fn without_images_nothing_is_called_unwind_data() {
    let mut mem = TestMemory::default();
    mem.put(STACK, &[0; 0x1000]);
    let cx = TestContext { modules: vec![(BASE, SIZE)], ..TestContext::default() };
    // A frame pointer chain of one link, then a word that may be a return address.
    mem.put64(STACK + 0x40, STACK + 0x80);
    mem.put64(STACK + 0x48, CODE + 0x10);
    mem.put64(STACK + 0x80, 0);
    mem.put64(STACK + 0x88, 0);
    let mut regs = context(CODE, STACK);
    regs.set(amd64::RBP, STACK + 0x40);
    let w = walk_it(&mem, &cx, &regs);
    assert_eq!(
        w.frames.iter().map(|f| f.trust).collect::<Vec<_>>(),
        [Trust::Context, Trust::FramePointerUnverified]
    );
    assert_eq!(w.end, EndReason::Complete);
    regs.clear(amd64::RBP);
    mem.put64(STACK + 0x10, CODE + 0x30);
    mem.put64(STACK + 0x18, CODE + 0x20);
    let w = walk_it(&mem, &cx, &regs);
    assert_eq!((w.frames[1].ip, w.frames[1].trust), (Va(CODE + 0x20), Trust::Scan));
}

#[test]
fn dynamic_functions_unwind_by_their_own_data() {
    let (mut mem, mut cx) = image(&[ALLOC]);
    let ret = call_in(&mut mem, 0);
    let heap = 0x2_0000_0000u64;
    mem.put(heap, PUSHES);
    mem.put(heap + 0x1000, &[0x90; 0x100]);
    cx.dynamic.push(DynamicFunction {
        base: Va(heap),
        begin: Rva(0x1000),
        end: Rva(0x1100),
        unwind_info: Rva(0),
    });
    mem.put64(STACK + 0x38, ret);
    let w = walk_it(&mem, &cx, &context(heap + 0x1050, STACK));
    assert_eq!((w.frames[1].ip, w.frames[1].trust), (Va(ret), Trust::Cfi));
}

#[test]
fn version_2_records_tell_epilogues_apart() {
    // One epilogue of 3 bytes at the end; ALLOC_SMALL.
    let info: &[u8] = &[2, 4, 3, 0, 3, 0x16, 0, 6, 4, 0x42];
    let (mut mem, cx) = image(&[info, ALLOC]);
    let ret = call_in(&mut mem, 1);
    // What looks like an epilogue in the middle is none.
    mem.put(CODE + 0x60, &[0x5b, 0xc3]);
    mem.put64(STACK + 0x28, ret);
    let w = walk_it(&mem, &cx, &context(CODE + 0x60, STACK));
    assert_eq!(w.frames[1].sp, Va(STACK + 0x30));
    mem.put(CODE + 0xfd, &[0x5b, 0x90, 0xc3]);
    mem.put(CODE + 0xff, &[0xc3]);
    mem.put64(STACK, ret);
    let w = walk_it(&mem, &cx, &context(CODE + 0xff, STACK));
    assert_eq!(w.frames[1].sp, Va(STACK + 8));
}

#[test]
fn walks_are_bounded() {
    // A function without prologue whose return address leads to itself: every word of the stack.
    let (mut mem, cx) = image(&[&[1, 0, 0, 0]]);
    let ret = call_in(&mut mem, 0);
    (0..0x200).for_each(|i| mem.put64(STACK + i * 8, ret));
    let w = walk(&context(CODE, STACK), &mem, &cx, BOUNDS, &Limits { frames: 20, ..Limits::default() });
    assert_eq!((w.frames.len(), w.end), (20, EndReason::FrameLimit));
    let w = walk(&context(CODE, STACK), &mem, &cx, BOUNDS, &Limits::default());
    assert_eq!(w.end, EndReason::MissingMemory(Va(STACK + 0x1000)));
}

#[test]
fn a_stack_pointer_outside_the_bounds_is_said() {
    let (mut mem, cx) = image(&[ALLOC]);
    mem.put(0x50_0000, &[0; 0x100]);
    let w = walk_it(&mem, &cx, &context(CODE + 0x50, 0x50_0000));
    assert_eq!(w.frames[0].issue, Some(UnwindIssue::OutsideStack));
    assert_eq!(w.end, EndReason::Complete);
}
