//! Symbolic registers and stack slots, and what an instruction does to them.
//!
//! A symbol names a value: two places with the same symbol hold the same value at that point of the program. Names
//! are given at the function's entry, where a value is made (an instruction) and where paths with different values
//! meet (a block). A name always means the newest value that was made there: an older one, kept from an earlier turn
//! of a loop, loses it.

use super::ir::{Abi, Effect, Mem, RegNo, Val};
use super::names::{Root, Sym, reg_place};
use std::collections::BTreeMap;

/// Registers that are followed, on the machine with the most.
pub(super) const REGS: usize = 32;
/// Most stack slots that are followed at once.
const MAX_SLOTS: usize = 512;
/// Largest object on the stack that a pointer to its start is taken to reach, bytes.
pub(super) const REACH: i32 = 0x100;
/// Most escaped addresses that are remembered.
pub(super) const MAX_ESCAPED: usize = 64;

/// A symbol and the instruction that put it there (0: nobody did since entry).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) sym: Sym,
    pub(super) by: u64,
}

/// A followed stack slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) cell: Cell,
    /// Bytes that were written.
    pub(super) bytes: u16,
    /// It may have been an argument of a call, and that function's to write to.
    pub(super) doubtful: bool,
}

/// What a made value was read from, so that it can be read again in the dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// From a fixed address.
    Global(u64),
    /// From behind another value.
    Behind(Sym),
}

/// Registers and stack at one point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) regs: [Cell; REGS],
    /// By offset from the stack pointer at entry. A slot at or above it that is not here has its value at entry.
    pub(super) slots: BTreeMap<i32, Slot>,
    /// Offsets whose address somebody may have kept: memory there can change without being seen. Sorted.
    pub(super) escaped: Vec<i32>,
    /// Slots written since the last call: arguments of the next one are among them. Sorted.
    pub(super) fresh: Vec<i32>,
    /// Bytes that were pushed since the last call.
    pub(super) pushed: i32,
    /// The stack pointer at entry modulo 4096, when it is known.
    pub(super) residue: Option<u16>,
}

impl State {
    /// The state at the entry of a function.
    pub(super) fn entry(abi: &Abi, residue: Option<u16>) -> State {
        let mut regs = [Cell { sym: Sym::UNKNOWN, by: 0 }; REGS];
        for (n, cell) in (0u8..).zip(regs.iter_mut()).take(abi.count.into()) {
            let root = if n == abi.sp { Root::Sp } else { Root::Entry(n) };
            cell.sym = Sym::of(root);
        }
        State { regs, slots: BTreeMap::new(), escaped: Vec::new(), fresh: Vec::new(), pushed: 0, residue }
    }

    pub(super) fn reg(&self, reg: RegNo) -> Sym {
        self.regs.get(usize::from(reg)).map_or(Sym::UNKNOWN, |c| c.sym)
    }

    pub(super) fn sp(&self, abi: &Abi) -> Option<i32> {
        self.reg(abi.sp).sp_offset(abi)
    }

    pub(super) fn set(&mut self, reg: RegNo, sym: Sym, by: u64) {
        if let Some(cell) = self.regs.get_mut(usize::from(reg)) {
            *cell = Cell { sym, by };
        }
    }

    /// Takes its name from what an instruction made before, and gives it to the new value.
    fn make(&mut self, at: u64, place: i32) -> Sym {
        let root = Root::Made(at, place);
        self.forget_root(root);
        Sym::of(root)
    }

    fn forget_root(&mut self, root: Root) {
        let stale = |cell: &mut Cell| {
            if cell.sym.root == root {
                cell.sym = Sym::UNKNOWN;
            }
        };
        self.regs.iter_mut().for_each(stale);
        self.slots.values_mut().map(|s| &mut s.cell).for_each(stale);
    }

    /// An address as a symbol; `None` when something unknown is in it.
    pub(super) fn address(&self, mem: Mem, abi: &Abi) -> Option<Sym> {
        if mem.fuzzy {
            return None;
        }
        match mem.base {
            None => Some(Sym {
                root: Root::Const,
                add: abi.wrap(mem.disp.cast_unsigned()).cast_signed(),
                bytes: 8,
            }),
            Some(base) => {
                let sym = self.reg(base).plus(mem.disp, abi);
                (sym.root != Root::Unknown && sym.bytes >= abi.word).then_some(sym)
            }
        }
    }

    /// What lies in `bytes` bytes of a slot.
    pub(super) fn load_slot(&self, offset: i32, bytes: u8) -> Sym {
        if let Some(slot) = self.slots.get(&offset) {
            let known = u8::try_from(slot.bytes.min(8)).unwrap_or(8);
            return slot.cell.sym.low(known).low(bytes);
        }
        // It may be a part of another slot.
        if self.overlapping(offset, u16::from(bytes)).next().is_some() {
            return Sym::UNKNOWN;
        }
        if offset >= 0 { Sym { bytes, ..Sym::of(Root::Stack(offset)) } } else { Sym::UNKNOWN }
    }

    /// Offsets of slots that share bytes with `offset..offset + bytes`.
    fn overlapping(&self, offset: i32, bytes: u16) -> impl Iterator<Item = i32> + '_ {
        let end = offset.saturating_add(bytes.into());
        // No slot is wider than a vector register, but calls kill wide areas by hand.
        self.slots
            .range(offset.saturating_sub(64)..end)
            .filter(move |(o, s)| o.saturating_add(s.bytes.into()) > offset)
            .map(|(o, _)| *o)
    }

    fn store_slot(&mut self, offset: i32, sym: Sym, bytes: u16, by: u64) {
        let over: Vec<i32> = self.overlapping(offset, bytes).collect();
        for o in over {
            if o != offset {
                // What is left of it is not followed; at entry slots that must not look untouched.
                if let Some(slot) = self.slots.get_mut(&o) {
                    slot.cell = Cell { sym: Sym::UNKNOWN, by };
                }
            }
        }
        if self.slots.len() >= MAX_SLOTS && !self.slots.contains_key(&offset) {
            // Too many to follow: forget the lowest, which is the innermost scratch; those of the caller stay.
            self.slots.pop_first();
        }
        let bytes = bytes.clamp(1, 64);
        let known = u8::try_from(bytes.min(8)).unwrap_or(8);
        let cell = Cell { sym: sym.low(known), by };
        self.slots.insert(offset, Slot { cell, bytes, doubtful: false });
        if let Err(at) = self.fresh.binary_search(&offset)
            && self.fresh.len() < MAX_ESCAPED
        {
            self.fresh.insert(at, offset);
        }
    }

    /// Notes that somebody may keep the address.
    pub(super) fn escape(&mut self, sym: Sym, abi: &Abi) {
        let Some(offset) = sym.sp_offset(abi) else { return };
        if let Err(at) = self.escaped.binary_search(&offset)
            && self.escaped.len() < MAX_ESCAPED
        {
            self.escaped.insert(at, offset);
        }
    }

    /// The value that an instruction at `at` computes for `place`.
    pub(super) fn value(
        &mut self,
        val: Val,
        bytes: u8,
        (at, place): (u64, i32),
        abi: &Abi,
        sources: &mut BTreeMap<u64, Source>,
    ) -> Sym {
        match val {
            Val::Const(n) => Sym { root: Root::Const, add: n.cast_signed(), bytes: 8 },
            Val::Reg(reg, add) => {
                let sym = self.reg(reg);
                if sym.root == Root::Unknown {
                    return self.make(at, place);
                }
                sym.plus(add, abi).low(bytes)
            }
            Val::Aligned(reg, size) => {
                let sym = self.reg(reg);
                let (Root::Sp, Some(rest), true) = (sym.root, self.residue, size.is_power_of_two()) else {
                    return self.make(at, place);
                };
                // Where the stack pointer was at entry, modulo a page, is enough.
                let over = i64::from(rest).wrapping_add(sym.add) & (i64::from(size) - 1);
                sym.plus(over.wrapping_neg(), abi)
            }
            Val::Minus(reg, by) => {
                let (sym, by) = (self.reg(reg), self.reg(by));
                if by.root != Root::Const || sym.root == Root::Unknown {
                    return self.make(at, place);
                }
                sym.plus(by.add.wrapping_neg(), abi).low(bytes)
            }
            Val::Addr(mem) => match self.address(mem, abi) {
                Some(sym) => sym.low(bytes),
                None => self.make(at, place),
            },
            Val::Load(mem) => {
                let address = self.address(mem, abi);
                if let Some(offset) = address.and_then(|a| a.sp_offset(abi)) {
                    let sym = self.load_slot(offset, bytes);
                    if sym.root != Root::Unknown {
                        return sym;
                    }
                    return self.make(at, place);
                }
                let source = address.and_then(|a| match a.root {
                    Root::Const => Some(Source::Global(abi.wrap(a.add.cast_unsigned()))),
                    Root::Sp | Root::Unknown => None,
                    _ => Some(Source::Behind(a)),
                });
                let made = self.make(at, place);
                // `mov rax, [rax]` overwrites the pointer that the value was read through: its source is lost.
                match source {
                    Some(Source::Behind(s)) if s.root == made.root => {
                        sources.remove(&at);
                    }
                    Some(source) => {
                        sources.insert(at, source);
                    }
                    None => {}
                }
                made.low(bytes)
            }
            Val::Unknown => self.make(at, place),
        }
    }

    /// Carries out one effect of the instruction at `at`.
    pub(super) fn apply(&mut self, effect: Effect, at: u64, abi: &Abi, sources: &mut BTreeMap<u64, Source>) {
        let word = abi.word;
        match effect {
            Effect::Set { reg, val, bytes, rest_zero } => {
                let sym = self.value(val, bytes, (at, reg_place(reg)), abi, sources);
                let sym = match sym.root {
                    // All bytes of a constant are known, when those above are zero or it fills the register.
                    Root::Const if bytes >= word || rest_zero => {
                        let n = sym.add.cast_unsigned();
                        let n = if bytes < 8 { n & !(u64::MAX << (u32::from(bytes) * 8)) } else { n };
                        Sym { add: abi.wrap(n).cast_signed(), ..sym }
                    }
                    _ => sym.low(bytes),
                };
                self.set(reg, sym, at);
            }
            Effect::Store { at: mem, val, bytes } => {
                let address = self.address(mem, abi);
                let narrow = u8::try_from(bytes.min(8)).unwrap_or(8);
                let offset = address.and_then(|a| a.sp_offset(abi));
                let place = offset.unwrap_or(i32::MAX);
                let sym = self.value(val, narrow, (at, place), abi, sources);
                match offset {
                    // In a slot of its own it is not out of hand yet: see `call`.
                    Some(offset) if offset < 0 => self.store_slot(offset, sym, bytes, at),
                    Some(offset) => {
                        self.escape(sym, abi);
                        self.store_slot(offset, sym, bytes, at);
                    }
                    None => {
                        self.escape(sym, abi);
                        // An array on the stack: its neighbours above may be meant.
                        if let Some(base) = mem.base.filter(|_| mem.fuzzy) {
                            self.escape(self.reg(base).plus(mem.disp, abi), abi);
                        }
                    }
                }
            }
            Effect::Push(val) => {
                let next = self.reg(abi.sp).plus(-i64::from(word), abi);
                let offset = next.sp_offset(abi);
                let sym = self.value(val, word, (at, offset.unwrap_or(i32::MAX)), abi, sources);
                let sym = if sym.root == Root::Const {
                    Sym { add: abi.wrap(sym.add.cast_unsigned()).cast_signed(), ..sym }
                } else {
                    sym
                };
                self.set(abi.sp, next, at);
                self.pushed = self.pushed.saturating_add(word.into());
                if offset.is_none() {
                    self.escape(sym, abi);
                }
                if let Some(offset) = offset {
                    self.store_slot(offset, sym, word.into(), at);
                }
            }
            Effect::Pop(reg) => {
                let offset = self.sp(abi);
                let mut sym = offset.map_or(Sym::UNKNOWN, |o| self.load_slot(o, word));
                if sym.root == Root::Unknown {
                    sym = self.make(at, reg_place(reg));
                }
                let next = self.reg(abi.sp).plus(i64::from(word), abi);
                self.pushed = self.pushed.saturating_sub(word.into()).max(0);
                self.set(abi.sp, next, at);
                self.set(reg, sym, at);
            }
            Effect::Leave => {
                self.set(abi.sp, self.reg(abi.fp), at);
                self.apply(Effect::Pop(abi.fp), at, abi, sources);
            }
        }
    }

    /// What a call at `at` does: volatile registers and the callee's part of the stack are lost; `popped` bytes of
    /// arguments are removed. `kept` registers survive all the same.
    pub(super) fn call(&mut self, at: u64, popped: i32, kept: &[RegNo], abi: &Abi) {
        for &reg in abi.args {
            let sym = self.reg(reg);
            self.escape(sym, abi);
        }
        for &reg in abi.volatile.iter().filter(|r| !kept.contains(r)) {
            let sym = self.make(at, reg_place(reg));
            self.set(reg, sym, at);
        }
        if let Some(sp) = self.sp(abi) {
            // Below the stack pointer nothing lasts; the home slots are the callee's.
            let lost_to = sp.saturating_add(abi.home).max(sp.saturating_add(popped));
            // Arguments on the stack are the callee's too: words in a row, written since the last call. Locals may
            // follow them without a gap, and few functions write to their arguments.
            let end = self.row_of_words(lost_to, abi);
            // Addresses in the callee's words, or in an object whose own address is out of hand, get out of hand.
            let escaped = self.escaped.clone();
            let near = |o: i32| escaped.iter().any(|e| *e <= o && o - *e < REACH);
            let passed: Vec<Sym> = self
                .slots
                .range(sp..)
                .filter(|(o, s)| s.cell.sym.root == Root::Sp && (**o < end || near(**o)))
                .map(|(_, s)| s.cell.sym)
                .collect();
            passed.into_iter().for_each(|s| self.escape(s, abi));
            // What was there at entry (an outgoing tail) is not touched by this.
            self.slots.range_mut(lost_to..end.max(lost_to)).for_each(|(_, s)| s.doubtful = true);
            let lost: Vec<i32> = self.slots.range(..lost_to).map(|(o, _)| *o).collect();
            for offset in lost {
                if offset < 0 {
                    self.slots.remove(&offset);
                } else if let Some(slot) = self.slots.get_mut(&offset) {
                    slot.cell = Cell { sym: Sym::UNKNOWN, by: at };
                }
            }
            let next = self.reg(abi.sp).plus(popped.into(), abi);
            self.set(abi.sp, next, at);
        }
        self.fresh.clear();
        self.pushed = 0;
    }

    /// The end of the words in a row from `from` on that were written since the last call.
    pub(super) fn row_of_words(&self, from: i32, abi: &Abi) -> i32 {
        let mut end = from;
        while self.fresh.binary_search(&end).is_ok() {
            end = end.saturating_add(abi.word.into());
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: u64 = 0x1000;

    fn abi() -> &'static Abi {
        Abi::of(dumpscope_core::Machine::Amd64).unwrap()
    }

    fn run(state: &mut State, effects: &[Effect]) {
        let mut sources = BTreeMap::new();
        for (n, effect) in (0u64..).zip(effects) {
            state.apply(*effect, AT + n, abi(), &mut sources);
        }
    }

    fn set(reg: RegNo, val: Val, bytes: u8) -> Effect {
        Effect::Set { reg, val, bytes, rest_zero: bytes == 4 }
    }

    fn slot(disp: i64) -> Mem {
        Mem { base: Some(4), disp, fuzzy: false }
    }

    #[test]
    fn saved_registers_are_found_again() {
        let mut s = State::entry(abi(), None);
        // push rbx; sub rsp, 20; mov rbx, rcx; mov [rsp+38], edx; mov esi, r8d
        run(
            &mut s,
            &[
                Effect::Push(Val::Reg(3, 0)),
                set(4, Val::Reg(4, -0x20), 8),
                set(3, Val::Reg(1, 0), 8),
                Effect::Store { at: slot(0x38), val: Val::Reg(2, 0), bytes: 4 },
                set(6, Val::Reg(8, 0), 4),
            ],
        );
        assert_eq!(s.sp(abi()), Some(-0x28));
        assert_eq!(s.reg(3), Sym::of(Root::Entry(1)));
        assert_eq!(s.reg(6), Sym { root: Root::Entry(8), add: 0, bytes: 4 });
        assert_eq!(s.load_slot(-8, 8).root, Root::Entry(3));
        assert_eq!(s.load_slot(0x10, 8), Sym { root: Root::Entry(2), add: 0, bytes: 4 });
        s.call(AT + 0x10, 0, &[], abi());
        assert_eq!(s.reg(3), Sym::of(Root::Entry(1)), "a call keeps rbx");
        assert_eq!(s.reg(1).root, Root::Made(AT + 0x10, reg_place(1)), "and makes a new rcx");
        assert_eq!(s.load_slot(0x10, 8).root, Root::Entry(2), "the home slots are the function's own");
    }

    #[test]
    fn a_slot_written_in_part_is_not_what_it_was() {
        let mut s = State::entry(abi(), None);
        let store = |disp, bytes| Effect::Store { at: slot(disp), val: Val::Unknown, bytes };
        run(&mut s, &[store(0x2c, 4)]);
        assert_eq!(s.load_slot(0x28, 8), Sym::UNKNOWN);
        assert_eq!(s.load_slot(0x30, 8).root, Root::Stack(0x30));
        run(&mut s, &[Effect::Store { at: slot(0x10), val: Val::Reg(1, 0), bytes: 8 }, store(0x14, 1)]);
        assert_eq!(s.load_slot(0x10, 8), Sym::UNKNOWN);
    }

    #[test]
    fn paths_that_differ_make_a_new_name_and_equal_ones_none() {
        let (mut a, mut b) = (State::entry(abi(), None), State::entry(abi(), None));
        run(&mut a, &[set(3, Val::Reg(1, 0), 8), set(6, Val::Const(1), 8)]);
        run(&mut b, &[set(3, Val::Reg(1, 0), 8), set(6, Val::Const(2), 8)]);
        assert!(a.meet(&b, 0x2000));
        assert_eq!(a.reg(3), Sym::of(Root::Entry(1)));
        assert_eq!(a.reg(6), Sym::of(Root::Met(0x2000, reg_place(6))));
        assert!(!a.meet(&b, 0x2000), "a second time changes nothing");
    }

    #[test]
    fn an_older_value_of_a_loop_loses_its_name() {
        let mut s = State::entry(abi(), None);
        // rbx = new; rsi = rbx; rbx = new again: rsi has the value of the turn before.
        let make = set(3, Val::Unknown, 8);
        let mut sources = BTreeMap::new();
        s.apply(make, AT, abi(), &mut sources);
        s.apply(set(6, Val::Reg(3, 0), 8), AT + 1, abi(), &mut sources);
        assert_eq!(s.reg(6), s.reg(3));
        s.apply(make, AT, abi(), &mut sources);
        assert_eq!(s.reg(6), Sym::UNKNOWN);
        // The same through a loop's head: a copy of what met there is older than what meets there next.
        let mut head = State::entry(abi(), None);
        let mut first = State::entry(abi(), None);
        run(&mut first, &[set(3, Val::Const(1), 8)]);
        head.meet(&first, 0x3000);
        let mut back = head.clone();
        run(&mut back, &[set(6, Val::Reg(3, 0), 8), set(3, Val::Unknown, 8)]);
        head.meet(&back, 0x3000);
        assert_eq!(head.reg(6), Sym::of(Root::Met(0x3000, reg_place(6))));
    }

    #[test]
    fn addresses_escape_when_they_are_handed_out() {
        let mut s = State::entry(abi(), None);
        // lea rax, [rsp+8]; mov [rsp-40], rax: still in hand. Then in rcx at a call.
        run(
            &mut s,
            &[
                set(0, Val::Addr(slot(8)), 8),
                Effect::Store { at: slot(-0x40), val: Val::Reg(0, 0), bytes: 8 },
            ],
        );
        assert!(s.escaped.is_empty());
        run(&mut s, &[set(4, Val::Reg(4, -0x80), 8), set(1, Val::Reg(0, 0), 8)]);
        s.call(AT + 0x10, 0, &[], abi());
        assert_eq!(s.escaped, [8]);
    }

    #[test]
    fn aligned_frames_need_the_stack_pointer() {
        let aligned = set(4, Val::Aligned(4, 64), 8);
        let mut s = State::entry(abi(), Some(0x7f8));
        run(&mut s, &[set(4, Val::Reg(4, -0x10), 8), aligned]);
        assert_eq!(s.sp(abi()), Some(-0x38), "7e8 rounded down is 7c0");
        let mut s = State::entry(abi(), None);
        run(&mut s, &[aligned]);
        assert_eq!(s.sp(abi()), None);
    }
}
