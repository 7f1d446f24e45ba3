//! The instructions of a function, found by following its branches from the entry.

use super::ir::{Effect, Flow, Insn, Val};
use super::lift_arm64;
use super::lift_x86::Lifter;
use dumpscope_core::{Machine, ReadMemory, Va};
use std::collections::{BTreeMap, BTreeSet};

/// Most instructions of one function.
pub(super) const MAX_INSNS: usize = 8192;
/// Farthest jump inside a function whose size is not known, bytes.
const MAX_REACH: u64 = 0x1_0000;
/// Most gaps that are looked into for the targets of computed jumps.
const MAX_GAPS: usize = 64;

/// A run of instructions with one way in and its ways out.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub(super) insns: Vec<Insn>,
    /// Addresses of the blocks that may follow.
    pub(super) next: Vec<u64>,
}

/// A function's code.
#[derive(Clone, Debug)]
pub(super) struct Function {
    pub(super) entry: u64,
    /// By address.
    pub(super) blocks: BTreeMap<u64, Block>,
    /// There is a computed jump: its targets are guessed.
    pub(super) computed: bool,
    /// Something was not followed: bytes that are missing or no code, or a limit.
    pub(super) cut: bool,
    /// It aligns its stack pointer: offsets depend on where the stack was.
    pub(super) aligns: bool,
    /// What its return instructions remove from the stack, when they agree.
    pub(super) pops: Option<u16>,
}

/// Where jumps of a function may lead.
pub(super) trait Bounds {
    /// Start and end of the part of the function that holds `va`; `None` when `va` is not in the function.
    fn part(&self, va: Va) -> Option<(Va, Va)>;
    /// True when a jump to `va` leaves the function (a tail call), in code without known parts.
    fn leaves(&self, va: Va) -> bool;
    /// The function's parts are known.
    fn known(&self) -> bool;
}

struct Decoder {
    x86: Option<Lifter>,
    /// Bytes read ahead.
    chunk: [u8; 256],
    chunk_at: u64,
    chunk_len: usize,
}

impl Decoder {
    fn new(machine: Machine) -> Decoder {
        let x86 = match machine {
            Machine::Arm64 => None,
            m => Some(Lifter::new(m.is_64())),
        };
        Decoder { x86, chunk: [0; 256], chunk_at: 0, chunk_len: 0 }
    }

    fn insn(&mut self, mem: &dyn ReadMemory, at: u64) -> Option<Insn> {
        let have = at.checked_sub(self.chunk_at).and_then(|d| usize::try_from(d).ok());
        let enough = |d: usize| d.saturating_add(15) <= self.chunk_len;
        let from = match have.filter(|d| enough(*d)) {
            Some(d) => d,
            None => {
                self.chunk_at = at;
                self.chunk_len = mem.read_at(Va(at), &mut self.chunk).got;
                0
            }
        };
        let bytes = self.chunk.get(from..self.chunk_len)?;
        match &mut self.x86 {
            Some(lifter) => lifter.decode(at, bytes),
            None => lift_arm64::decode(at, bytes),
        }
    }
}

/// Decodes a function from its entry on. `None` when not even the first instruction can be decoded.
pub(super) fn decode(
    mem: &dyn ReadMemory,
    machine: Machine,
    entry: Va,
    bounds: &dyn Bounds,
) -> Option<Function> {
    let mut decoder = Decoder::new(machine);
    let mut all: BTreeMap<u64, Insn> = BTreeMap::new();
    let mut leaders = BTreeSet::from([entry.0]);
    let mut work = vec![entry.0];
    let mut f = Function {
        entry: entry.0,
        blocks: BTreeMap::new(),
        computed: false,
        cut: false,
        aligns: false,
        pops: None,
    };
    let mut jumps: BTreeSet<u64> = BTreeSet::new();
    let mut pops: BTreeSet<u16> = BTreeSet::new();
    let inside = |from: u64, to: u64, jump: bool| {
        if bounds.known() {
            return bounds.part(Va(to)).is_some();
        }
        let far = to.abs_diff(from) > MAX_REACH;
        !(far || jump && bounds.leaves(Va(to)))
    };
    let mut guessed: BTreeSet<u64> = BTreeSet::new();
    let mut gaps = 0;
    loop {
        while let Some(start) = work.pop() {
            let mut at = start;
            while !all.contains_key(&at) {
                if all.len() >= MAX_INSNS {
                    f.cut = true;
                    break;
                }
                if !inside(start, at, false) {
                    break;
                }
                let Some(insn) = decoder.insn(mem, at) else {
                    // The guessed target holds no code: the guess was wrong.
                    f.cut |= !guessed.contains(&start);
                    break;
                };
                let (flow, next) = (insn.flow, insn.next());
                all.insert(at, insn);
                match flow {
                    Flow::Jump(to) => {
                        if inside(at, to, true) && leaders.insert(to) {
                            work.push(to);
                        }
                        break;
                    }
                    Flow::Branch(to) => {
                        if inside(at, to, false) && leaders.insert(to) {
                            work.push(to);
                        }
                        if leaders.insert(next) {
                            work.push(next);
                        }
                        break;
                    }
                    Flow::Indirect(_) => {
                        f.computed = true;
                        jumps.insert(at);
                        break;
                    }
                    Flow::Return(n) => {
                        pops.insert(n);
                        break;
                    }
                    Flow::Stop => break,
                    Flow::Next | Flow::Call(_) | Flow::System => at = next,
                }
            }
        }
        // Computed jumps lead to code that nothing else leads to: what lies behind an unconditional end.
        if jumps.is_empty() || gaps >= MAX_GAPS || !bounds.known() {
            break;
        }
        let Some(gap) = first_gap(mem, &all, bounds, &guessed) else { break };
        gaps += 1;
        guessed.insert(gap);
        if leaders.insert(gap) {
            work.push(gap);
        }
    }
    f.cut |= jumps.is_empty() == f.computed || f.computed && !bounds.known() || gaps >= MAX_GAPS;
    f.pops = if pops.len() == 1 { pops.first().copied() } else { None };
    let aligns = |e: &Effect| matches!(e, Effect::Set { val: Val::Aligned(..), .. });
    f.aligns = all.values().any(|i| i.effects.iter().any(aligns));
    form_blocks(&mut f, all, &leaders, &guessed);
    (!f.blocks.is_empty()).then_some(f)
}

/// The first address behind a decoded instruction that is in the function and was not decoded; padding is skipped.
fn first_gap(
    mem: &dyn ReadMemory,
    all: &BTreeMap<u64, Insn>,
    bounds: &dyn Bounds,
    known: &BTreeSet<u64>,
) -> Option<u64> {
    for insn in all.values() {
        let mut at = insn.next();
        for _ in 0..16 {
            // int 3 and nop between parts.
            match mem.u8_at(at) {
                Some(0xcc | 0x90) if !all.contains_key(&at) => at = at.wrapping_add(1),
                _ => break,
            }
        }
        if !all.contains_key(&at) && !known.contains(&at) && bounds.part(Va(at)).is_some() {
            return Some(at);
        }
    }
    None
}

/// A byte through the trait object.
trait ByteAt {
    fn u8_at(&self, at: u64) -> Option<u8>;
}

impl ByteAt for dyn ReadMemory + '_ {
    fn u8_at(&self, at: u64) -> Option<u8> {
        let mut b = [0u8];
        (self.read_at(Va(at), &mut b).got == 1).then(|| b.first().copied())?
    }
}

fn form_blocks(f: &mut Function, all: BTreeMap<u64, Insn>, leaders: &BTreeSet<u64>, guessed: &BTreeSet<u64>) {
    for &leader in leaders {
        let mut insns = Vec::new();
        let mut next = Vec::new();
        let mut at = leader;
        while let Some(insn) = all.get(&at) {
            at = insn.next();
            insns.push(insn.clone());
            match insn.flow {
                Flow::Next | Flow::Call(_) | Flow::System if leaders.contains(&at) => {
                    next.push(at);
                    break;
                }
                Flow::Next | Flow::Call(_) | Flow::System => {}
                Flow::Jump(to) => {
                    next.push(to);
                    break;
                }
                Flow::Branch(to) => {
                    next.extend([at, to]);
                    break;
                }
                Flow::Indirect(_) => {
                    next.extend(guessed.iter().copied());
                    break;
                }
                Flow::Return(_) | Flow::Stop => break,
            }
        }
        if !insns.is_empty() {
            f.blocks.insert(leader, Block { insns, next });
        }
    }
    let starts: BTreeSet<u64> = f.blocks.keys().copied().collect();
    for block in f.blocks.values_mut() {
        block.next.retain(|n| starts.contains(n));
    }
}

impl Function {
    /// The block and the index in it of the instruction that `test` accepts, the first by address.
    pub(super) fn find(&self, test: impl Fn(&Insn) -> bool) -> Option<(u64, usize)> {
        self.blocks.iter().find_map(|(start, b)| Some((*start, b.insns.iter().position(&test)?)))
    }

    /// Number of instructions.
    pub(super) fn insn_count(&self) -> usize {
        self.blocks.values().map(|b| b.insns.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dumpscope_core::base::{Provenance, Read};

    const BASE: u64 = 0x1_0000;

    struct Memory(Vec<u8>);

    impl ReadMemory for Memory {
        fn read_at(&self, va: Va, buf: &mut [u8]) -> Read {
            let from =
                va.0.checked_sub(BASE)
                    .and_then(|d| self.0.get(usize::try_from(d).ok()?..))
                    .unwrap_or_default();
            let got = from.len().min(buf.len());
            buf[..got].copy_from_slice(&from[..got]);
            Read { got, provenance: Provenance::Dump }
        }

        fn next_readable(&self, va: Va) -> Option<Va> {
            Some(va)
        }
    }

    /// One function as large as the memory.
    struct Whole(u64, bool);

    impl Bounds for Whole {
        fn part(&self, va: Va) -> Option<(Va, Va)> {
            let inside = va.0 >= BASE && va.0 < BASE + self.0;
            inside.then_some((Va(BASE), Va(BASE + self.0)))
        }
        fn leaves(&self, _: Va) -> bool {
            false
        }
        fn known(&self) -> bool {
            self.1
        }
    }

    fn function(code: &[u8], known: bool) -> Function {
        let bounds = Whole(code.len() as u64, known);
        decode(&Memory(code.to_vec()), Machine::Amd64, Va(BASE), &bounds).unwrap()
    }

    #[test]
    fn blocks_of_a_branch() {
        // test ecx, ecx; je +2; xor eax, eax; ret
        let f = function(&[0x85, 0xc9, 0x74, 0x02, 0x33, 0xc0, 0xc3], true);
        assert_eq!(f.blocks.len(), 3);
        assert_eq!(f.blocks[&BASE].next, [BASE + 4, BASE + 6]);
        assert_eq!((f.pops, f.cut, f.computed), (Some(0), false, false));
    }

    #[test]
    fn what_lies_behind_a_computed_jump_may_be_its_target() {
        // jmp rax; int 3; ret
        let f = function(&[0xff, 0xe0, 0xcc, 0xc3], true);
        assert!(f.computed && f.blocks[&BASE].next.contains(&(BASE + 3)));
    }

    /// Code made to keep a decoder busy.
    #[test]
    fn hostile_code_ends() {
        let size = 0x4_0000;
        // Jumps into the middle of each other, at every byte.
        let overlapping: Vec<u8> = [0x74, 0xff, 0xc0, 0xeb].into_iter().cycle().take(size).collect();
        // A prologue without end, and one of conditional jumps to everywhere.
        let endless = vec![0x50; size];
        let branches: Vec<u8> =
            (0..size).map(|n| if n % 2 == 0 { 0x75 } else { (n * 37 % 251) as u8 }).collect();
        let computed: Vec<u8> = [0xff, 0xe0, 0xc3, 0xff, 0xe1].into_iter().cycle().take(size).collect();
        for code in [overlapping, endless, branches, computed] {
            for known in [true, false] {
                let f = function(&code, known);
                assert!(f.insn_count() <= 2 * MAX_INSNS, "{}", f.insn_count());
            }
        }
        assert!(function(&vec![0x50; size], true).cut, "the limit is told");
    }
}
