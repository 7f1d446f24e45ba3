//! The helper that sets up frames with exception handling in 32-bit code of Microsoft's compiler.
//!
//! A function that uses it begins with `push locals; push table; call helper`. The helper returns with another stack
//! pointer than it was called with, a frame pointer, and ebx, esi and edi saved. Its code is the same in all images
//! (`_SEH_prolog4` and its relatives of the C runtime); it is told by that code.

use super::ir::Abi;
use super::names::{Root, Sym};
use super::state::{Slot, State};
use dumpscope_core::{ReadMemory, Va};

/// Largest frame that is believed, bytes.
const MAX_LOCALS: i64 = 1 << 20;

/// push handler; push fs:[0]; mov eax, [esp+10h]; mov [esp+10h], ebp; lea ebp, [esp+10h]; sub esp, eax; push ebx; push
/// esi; push edi. The first five bytes hold the handler's address.
const BEGIN: [u8; 26] = [
    0x64, 0xff, 0x35, 0, 0, 0, 0, 0x8b, 0x44, 0x24, 0x10, 0x89, 0x6c, 0x24, 0x10, 0x8d, 0x6c, 0x24, 0x10,
    0x2b, 0xe0, 0x53, 0x56, 0x57, 0xa1, 0,
];

/// True when the helper stands at `va`; then whether it keeps a cookie on top of the frame.
pub(super) fn helper_at(memory: &dyn ReadMemory, va: Va) -> Option<bool> {
    let mut code = [0u8; 48];
    let got = memory.read_at(va, &mut code).got;
    let code = code.get(..got)?;
    let body = code.strip_prefix(&[0x68]).and_then(|c| c.get(4..))?;
    let same = body.get(..BEGIN.len() - 2)? == BEGIN.get(..BEGIN.len() - 2)?;
    // mov eax, [cookie]; xor [ebp-4], eax; xor eax, ebp; push eax
    let tail = body.get(BEGIN.len() - 2..)?;
    let cookie = tail.first() == Some(&0xa1) && tail.get(5..11)? == [0x31, 0x45, 0xfc, 0x33, 0xc5, 0x50];
    same.then_some(cookie)
}

/// What a call of the helper does, at the call: the frame size and the table are the two words on top of the stack.
/// `None` when they are not known.
pub(super) fn apply(state: &mut State, at: u64, cookie: bool, abi: &Abi) -> Option<()> {
    let sp = state.sp(abi)?;
    let size = state.load_slot(sp.checked_add(4)?, 4);
    let locals = i32::try_from(size.add).ok().filter(|_| size.root == Root::Const)?;
    if !(0..=MAX_LOCALS).contains(&i64::from(locals)) {
        return None;
    }
    let frame = sp.checked_add(4)?;
    // Below the frame pointer: return address, handler, its link; then the locals and the saved registers.
    let saved = sp.checked_sub(12)?.checked_sub(locals)?;
    let new_sp = saved.checked_sub(12)?.checked_sub(if cookie { 4 } else { 0 })?;
    let words = [
        (frame, state.reg(abi.fp)),
        (saved - 4, state.reg(3)),
        (saved - 8, state.reg(6)),
        (saved - 12, state.reg(7)),
    ];
    for (offset, sym) in words {
        let cell = super::state::Cell { sym, by: at };
        state.slots.insert(offset, Slot { cell, bytes: 4, doubtful: false });
    }
    state.set(abi.fp, Sym { add: frame.into(), ..Sym::of(Root::Sp) }, at);
    state.set(abi.sp, Sym { add: new_sp.into(), ..Sym::of(Root::Sp) }, at);
    // ecx and edx are kept for the function's own arguments; eax is scratch.
    state.set(0, Sym::UNKNOWN, at);
    state.fresh.clear();
    state.pushed = 0;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::ir::{Effect, Val};
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_frame_that_the_helper_makes() {
        let abi = Abi::of(dumpscope_core::Machine::X86).unwrap();
        let mut s = State::entry(abi, None);
        let mut sources = BTreeMap::new();
        for val in [Val::Const(0x60), Val::Const(0x40_1000)] {
            s.apply(Effect::Push(val), 0x1000, abi, &mut sources);
        }
        apply(&mut s, 0x1007, true, abi).unwrap();
        // The frame pointer is where a plain `push ebp; mov ebp, esp` would have put it.
        assert_eq!(s.reg(5).sp_offset(abi), Some(-4));
        assert_eq!(s.load_slot(-4, 4).root, Root::Entry(5));
        assert_eq!(s.sp(abi), Some(-8 - 12 - 0x60 - 12 - 4));
        assert_eq!(s.load_slot(-8 - 12 - 0x60 - 4, 4).root, Root::Entry(3));
        assert_eq!(s.reg(1), Sym::of(Root::Entry(1)));
        let mut unknown = State::entry(abi, None);
        assert_eq!(apply(&mut unknown, 0x1007, true, abi), None);
    }
}
