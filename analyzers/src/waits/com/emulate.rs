//! Follows a small function of the shape `f(number, number *out)` with known arguments, and gives what it stores.
//!
//! Only what such a function is made of is known: moves, sums, comparisons, jumps. Anything else ends the walk
//! without an answer. Nothing of the dump's memory changes.

use dumpscope_core::{Machine, ReadMemory, Va};
use iced_x86::{
    ConditionCode, Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic, OpKind, Register,
};

/// Most instructions.
const MAX_STEPS: usize = 96;
/// Most stack words.
const MAX_WORDS: usize = 64;
/// Longest instruction.
const MAX_BYTES: usize = 15;
/// Where the stack is said to be, and the place for the answer: no process has them.
const STACK: u64 = 0x10_0000_0000_0000;
const OUT: u64 = 0x20_0000_0000_0000;
const STACK32: u64 = 0xf100_0000;
const OUT32: u64 = 0xf200_0000;

/// What the last arithmetic said: zero, carry, sign, overflow.
#[derive(Clone, Copy)]
struct Flags {
    zero: bool,
    carry: Option<bool>,
    sign: bool,
    overflow: Option<bool>,
}

struct Run<'a> {
    memory: &'a dyn ReadMemory,
    wide: bool,
    inside: &'a dyn Fn(Va) -> bool,
    regs: [Option<u64>; 16],
    flags: Option<Flags>,
    words: Vec<(u64, u64)>,
    out: u64,
    answer: Option<u64>,
}

/// What the function at `entry` stores for `number`; `None` when it stores nothing or does something else.
/// `inside`: where its code and constants may lie.
pub(super) fn follow(
    memory: &dyn ReadMemory,
    machine: Machine,
    entry: Va,
    number: u64,
    inside: &dyn Fn(Va) -> bool,
) -> Option<u64> {
    let wide = match machine {
        Machine::Amd64 => true,
        Machine::X86 => false,
        _ => return None,
    };
    let mut run = Run {
        memory,
        wide,
        inside,
        regs: [None; 16],
        flags: None,
        words: Vec::new(),
        out: if wide { OUT } else { OUT32 },
        answer: None,
    };
    if wide {
        run.set(Register::RCX, number)?;
        run.set(Register::RDX, OUT)?;
        run.set(Register::RSP, STACK)?;
    } else {
        run.set(Register::ESP, STACK32)?;
        // Return address, then the two arguments.
        run.words = vec![(STACK32, 0), (STACK32.wrapping_add(4), number), (STACK32.wrapping_add(8), OUT32)];
    }
    let mut at = entry;
    for _ in 0..MAX_STEPS {
        if !inside(at) {
            return None;
        }
        match run.step(at)? {
            Next::At(next) => at = next,
            Next::Done => return run.answer,
        }
    }
    None
}

enum Next {
    At(Va),
    Done,
}

fn slot(reg: Register) -> Option<usize> {
    let full = reg.full_register();
    full.is_gpr64().then(|| full.number())
}

fn mask(bytes: usize) -> u64 {
    match bytes {
        1 => 0xff,
        2 => 0xffff,
        4 => 0xffff_ffff,
        _ => u64::MAX,
    }
}

impl Run<'_> {
    fn get(&self, reg: Register) -> Option<u64> {
        let value = self.regs.get(slot(reg)?).copied().flatten()?;
        match reg {
            Register::AH | Register::BH | Register::CH | Register::DH => None,
            _ => Some(value & mask(reg.size())),
        }
    }

    /// A write of four bytes clears the upper half; smaller ones are not followed.
    fn set(&mut self, reg: Register, value: impl Into<Option<u64>>) -> Option<()> {
        let value = if reg.size() >= 4 { value.into().map(|v| v & mask(reg.size())) } else { None };
        *self.regs.get_mut(slot(reg)?)? = value;
        Some(())
    }

    fn address(&self, i: &Instruction) -> Option<u64> {
        let part = |reg: Register| match reg {
            Register::None | Register::RIP | Register::EIP => Some(0),
            _ => self.get(reg),
        };
        // For addresses relative to the instruction pointer the displacement is the target.
        let index = part(i.memory_index())?.wrapping_mul(i.memory_index_scale().into());
        let sum = part(i.memory_base())?.wrapping_add(index).wrapping_add(i.memory_displacement64());
        Some(sum & mask(if self.wide { 8 } else { 4 }))
    }

    fn load(&self, at: u64, bytes: usize) -> Option<u64> {
        if let Some((_, v)) = self.words.iter().rev().find(|(a, _)| *a == at) {
            return Some(v & mask(bytes));
        }
        if !(self.inside)(Va(at)) {
            return None;
        }
        match bytes {
            1 => self.memory.u8(Va(at)).map(u64::from),
            2 => self.memory.u16(Va(at)).map(u64::from),
            4 => self.memory.u32(Va(at)).map(u64::from),
            8 => self.memory.u64(Va(at)),
            _ => None,
        }
    }

    fn store(&mut self, at: u64, value: Option<u64>) -> Option<()> {
        if at == self.out {
            // Functions first store 0 as the result, and the value later.
            self.answer = Some(value? & 0xffff_ffff).filter(|v| *v != 0);
            return Some(());
        }
        if self.words.len() >= MAX_WORDS {
            return None;
        }
        match value {
            Some(v) => self.words.push((at, v)),
            None => self.words.retain(|(a, _)| *a != at),
        }
        Some(())
    }

    /// Size of an operand, bytes.
    fn size(&self, i: &Instruction, op: u32) -> usize {
        match i.op_kind(op) {
            OpKind::Register => i.op_register(op).size(),
            OpKind::Memory => i.memory_size().size(),
            _ => i.op0_register().size().max(1),
        }
    }

    fn value(&self, i: &Instruction, op: u32) -> Option<u64> {
        match i.op_kind(op) {
            OpKind::Register => self.get(i.op_register(op)),
            OpKind::Memory => self.load(self.address(i)?, self.size(i, op)),
            OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64 => {
                Some(i.near_branch_target())
            }
            _ => i.try_immediate(op).ok(),
        }
    }

    fn write(&mut self, i: &Instruction, value: Option<u64>) -> Option<()> {
        match i.op0_kind() {
            OpKind::Register => self.set(i.op0_register(), value),
            OpKind::Memory => {
                let at = self.address(i)?;
                self.store(at, value)
            }
            _ => None,
        }
    }

    /// The difference `a - b` in the flags.
    fn compare(&mut self, a: Option<u64>, b: Option<u64>, bytes: usize) -> Option<u64> {
        let m = mask(bytes);
        let (Some(a), Some(b)) = (a.map(|a| a & m), b.map(|b| b & m)) else {
            self.flags = None;
            return None;
        };
        let r = a.wrapping_sub(b) & m;
        let top = m ^ (m >> 1);
        let overflow = ((a ^ b) & (a ^ r)) & top != 0;
        self.flags =
            Some(Flags { zero: r == 0, carry: Some(a < b), sign: r & top != 0, overflow: Some(overflow) });
        Some(r)
    }

    fn logic(&mut self, r: Option<u64>, bytes: usize) -> Option<u64> {
        let m = mask(bytes);
        let top = m ^ (m >> 1);
        let r = r.map(|r| r & m);
        self.flags =
            r.map(|r| Flags { zero: r == 0, carry: Some(false), sign: r & top != 0, overflow: Some(false) });
        r
    }

    fn holds(&self, condition: ConditionCode) -> Option<bool> {
        let f = self.flags?;
        let less = f.overflow.map(|o| f.sign != o);
        match condition {
            ConditionCode::e => Some(f.zero),
            ConditionCode::ne => Some(!f.zero),
            ConditionCode::b => f.carry,
            ConditionCode::ae => f.carry.map(|c| !c),
            ConditionCode::be => f.carry.map(|c| c || f.zero),
            ConditionCode::a => f.carry.map(|c| !c && !f.zero),
            ConditionCode::s => Some(f.sign),
            ConditionCode::ns => Some(!f.sign),
            ConditionCode::l => less,
            ConditionCode::ge => less.map(|l| !l),
            ConditionCode::le => less.map(|l| l || f.zero),
            ConditionCode::g => less.map(|l| !l && !f.zero),
            _ => None,
        }
    }

    fn step(&mut self, at: Va) -> Option<Next> {
        let mut bytes = [0_u8; MAX_BYTES];
        let got = self.memory.read_at(at, &mut bytes).got;
        let bits = if self.wide { 64 } else { 32 };
        let i = Decoder::with_ip(bits, bytes.get(..got)?, at.0, DecoderOptions::NONE).decode();
        if i.is_invalid() {
            return None;
        }
        let next = Next::At(Va(i.next_ip()));
        match i.flow_control() {
            FlowControl::Next => {}
            FlowControl::UnconditionalBranch => return Some(Next::At(Va(i.near_branch_target()))),
            FlowControl::IndirectBranch => return Some(Next::At(Va(self.value(&i, 0)?))),
            FlowControl::ConditionalBranch => {
                let taken = self.holds(i.condition_code())?;
                return Some(if taken { Next::At(Va(i.near_branch_target())) } else { next });
            }
            FlowControl::Return => return Some(Next::Done),
            _ => return None,
        }
        self.effect(&i)?;
        Some(next)
    }

    fn effect(&mut self, i: &Instruction) -> Option<()> {
        let size = self.size(i, 0);
        let word: u64 = if self.wide { 8 } else { 4 };
        let sp = if self.wide { Register::RSP } else { Register::ESP };
        let bp = if self.wide { Register::RBP } else { Register::EBP };
        match i.mnemonic() {
            Mnemonic::Nop | Mnemonic::Endbr64 | Mnemonic::Endbr32 => {}
            Mnemonic::Mov | Mnemonic::Movzx => {
                let v = self.value(i, 1);
                self.write(i, v)?;
            }
            Mnemonic::Movsxd | Mnemonic::Movsx => {
                let from = self.size(i, 1);
                let m = mask(from);
                let top = m ^ (m >> 1);
                let v = self.value(i, 1).map(|v| if v & top != 0 { v | !m } else { v });
                self.write(i, v)?;
            }
            Mnemonic::Lea => {
                let v = self.address(i);
                self.write(i, v)?;
            }
            Mnemonic::Cmp => {
                let (a, b) = (self.value(i, 0), self.value(i, 1));
                self.compare(a, b, size);
            }
            Mnemonic::Sub => {
                let (a, b) = (self.value(i, 0), self.value(i, 1));
                let same = i.op0_kind() == OpKind::Register && i.op1_kind() == OpKind::Register;
                let zero = same && i.op0_register() == i.op1_register();
                let r = if zero { self.logic(Some(0), size) } else { self.compare(a, b, size) };
                self.write(i, r)?;
            }
            Mnemonic::Dec => {
                let a = self.value(i, 0);
                let carry = self.flags.and_then(|f| f.carry);
                let r = self.compare(a, Some(1), size);
                // It leaves the carry alone.
                self.flags = self.flags.map(|f| Flags { carry, ..f });
                self.write(i, r)?;
            }
            Mnemonic::Add | Mnemonic::Inc => {
                let b = if i.mnemonic() == Mnemonic::Inc { Some(1) } else { self.value(i, 1) };
                let r = self.value(i, 0).zip(b).map(|(a, b)| a.wrapping_add(b));
                let r = self.logic(r, size);
                // Carry and overflow of a sum are not followed.
                self.flags = self.flags.map(|f| Flags { carry: None, overflow: None, ..f });
                self.write(i, r)?;
            }
            Mnemonic::Test | Mnemonic::And => {
                let r = self.value(i, 0).zip(self.value(i, 1)).map(|(a, b)| a & b);
                let r = self.logic(r, size);
                if i.mnemonic() == Mnemonic::And {
                    self.write(i, r)?;
                }
            }
            Mnemonic::Xor => {
                let same = i.op0_kind() == OpKind::Register && i.op1_kind() == OpKind::Register;
                let zero = same && i.op0_register() == i.op1_register();
                let r = self.value(i, 0).zip(self.value(i, 1)).map(|(a, b)| a ^ b);
                let r = self.logic(if zero { Some(0) } else { r }, size);
                self.write(i, r)?;
            }
            Mnemonic::Or => {
                let r = self.value(i, 0).zip(self.value(i, 1)).map(|(a, b)| a | b);
                let r = self.logic(r, size);
                self.write(i, r)?;
            }
            Mnemonic::Push => {
                let v = self.value(i, 0);
                let top = self.get(sp)?.wrapping_sub(word);
                self.set(sp, top)?;
                self.store(top, v)?;
            }
            Mnemonic::Pop => {
                let top = self.get(sp)?;
                let v = self.load(top, if self.wide { 8 } else { 4 });
                self.set(sp, top.wrapping_add(word))?;
                self.write(i, v)?;
            }
            Mnemonic::Leave => {
                let base = self.get(bp)?;
                let v = self.load(base, if self.wide { 8 } else { 4 });
                self.set(bp, v)?;
                self.set(sp, base.wrapping_add(word))?;
            }
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dumpscope_core::base::{Provenance, Read};

    struct Code(&'static [u8]);

    impl ReadMemory for Code {
        fn read_at(&self, va: Va, buf: &mut [u8]) -> Read {
            let from = usize::try_from(va.0.saturating_sub(0x1000)).unwrap().min(self.0.len());
            let got = buf.len().min(self.0.len() - from);
            buf[..got].copy_from_slice(&self.0[from..from + got]);
            Read { got, provenance: Provenance::Dump }
        }

        fn next_readable(&self, _va: Va) -> Option<Va> {
            None
        }
    }

    fn all(machine: Machine, code: &'static [u8]) -> [Option<u64>; 4] {
        let memory = Code(code);
        let inside = |va: Va| (0x1000..0x1000 + code.len() as u64).contains(&va.0);
        [0, 1, 2, 3].map(|n| follow(&memory, machine, Va(0x1000), n, &inside))
    }

    #[test]
    fn a_chain_of_comparisons() {
        // test ecx,ecx / je +0x13 / sub ecx,1 / je +6 / cmp ecx,1 / jne end / mov [rdx],1b0 ...
        const X64: &[u8] = &[
            0x85, 0xc9, 0x74, 0x1d, // test ecx,ecx; je 1021
            0x83, 0xe9, 0x01, 0x74, 0x0f, // sub ecx,1; je 1018
            0x83, 0xf9, 0x01, 0x75, 0x1c, // cmp ecx,1; jne 102a
            0xc7, 0x02, 0xb0, 0x01, 0, 0, // mov dword ptr [rdx],1b0
            0x33, 0xc0, 0xc3, 0xcc, // xor eax,eax; ret
            0xc7, 0x02, 0xac, 0x01, 0, 0, 0x33, 0xc0, 0xc3, // 1018: mov dword ptr [rdx],1ac
            0xc7, 0x02, 0xa4, 0x01, 0, 0, 0x33, 0xc0, 0xc3, // 1021: mov dword ptr [rdx],1a4
            0xb8, 0x57, 0, 0x07, 0x80, 0xc3, // 102a: mov eax,80070057; ret
        ];
        assert_eq!(all(Machine::Amd64, X64), [Some(0x1a4), Some(0x1ac), Some(0x1b0), None]);
    }

    #[test]
    fn a_frame_on_the_stack() {
        const X86: &[u8] = &[
            0x8b, 0xff, 0x55, 0x8b, 0xec, // mov edi,edi; push ebp; mov ebp,esp
            0x8b, 0x45, 0x08, 0x8b, 0x4d, 0x0c, // mov eax,[ebp+8]; mov ecx,[ebp+0c]
            0x48, 0x74, 0x0f, // dec eax; je 101d
            0x48, 0x74, 0x14, // dec eax; je 1025
            0x40, 0x40, 0x75, 0x16, // inc eax; inc eax; jne 102b
            0xc7, 0x01, 0x00, 0x01, 0, 0, 0xeb, 0x0e, // mov dword ptr [ecx],100; jmp 102b
            0xc7, 0x01, 0x08, 0x01, 0, 0, 0xeb, 0x06, // 101d: mov dword ptr [ecx],108; jmp 102b
            0xc7, 0x01, 0x0c, 0x01, 0, 0, // 1025: mov dword ptr [ecx],10c
            0x33, 0xc0, 0x5d, 0xc2, 0x08, 0x00, // 102b: xor eax,eax; pop ebp; ret 8
        ];
        assert_eq!(all(Machine::X86, X86), [Some(0x100), Some(0x108), Some(0x10c), None]);
    }

    #[test]
    fn what_is_not_known_gives_no_answer() {
        // call, a jump to itself, a condition of an unknown register, a store to an unknown place
        assert_eq!(all(Machine::Amd64, &[0xe8, 0, 0, 0, 0, 0xc3])[0], None);
        assert_eq!(all(Machine::Amd64, &[0xeb, 0xfe])[0], None);
        assert_eq!(all(Machine::Amd64, &[0x85, 0xdb, 0x74, 0x00, 0xc3])[0], None);
        assert_eq!(all(Machine::Amd64, &[0xc7, 0x00, 1, 0, 0, 0, 0xc3])[0], None);
        assert_eq!(all(Machine::Arm64, &[0xc3])[0], None);
        assert_eq!(all(Machine::Amd64, &[])[0], None);
    }

    #[test]
    fn a_table_in_the_image() {
        // cmp ecx,2; ja end; mov eax,ecx; lea r8,[rip+..]; mov eax,[r8+rax*4]; mov [rdx],eax; xor eax,eax; ret
        const CODE: &[u8] = &[
            0x83, 0xf9, 0x02, 0x77, 0x0f, // cmp ecx,2; ja 1014
            0x8b, 0xc1, // mov eax,ecx
            0x4c, 0x8d, 0x05, 0x07, 0, 0, 0, // lea r8,[1015]
            0x41, 0x8b, 0x04, 0x80, // mov eax,[r8+rax*4]
            0x89, 0x02, // mov [rdx],eax
            0xc3, // 1014
            0xa4, 0x01, 0, 0, 0xac, 0x01, 0, 0, 0xb0, 0x01, 0, 0,
        ];
        assert_eq!(all(Machine::Amd64, CODE), [Some(0x1a4), Some(0x1ac), Some(0x1b0), None]);
    }
}
