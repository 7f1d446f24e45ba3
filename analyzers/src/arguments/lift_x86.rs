//! x86 and x64 instructions in the data flow's form.
//!
//! What moves values is spelled out; of the rest `iced-x86` tells which registers and memory change, and these
//! become unknown.

use super::ir::{Callee, Effect, Flow, Insn, Mem, RegNo, Val};
use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess,
    OpKind, Register,
};

/// Largest alignment of a stack frame, bytes.
const MAX_ALIGN: u64 = 4096;

/// Decodes instructions of one bitness.
pub(super) struct Lifter {
    wide: bool,
    info: InstructionInfoFactory,
}

impl Lifter {
    pub(super) fn new(wide: bool) -> Lifter {
        Lifter { wide, info: InstructionInfoFactory::new() }
    }

    /// The instruction at the head of `bytes`; `None` when the bytes are none.
    pub(super) fn decode(&mut self, at: u64, bytes: &[u8]) -> Option<Insn> {
        let bits = if self.wide { 64 } else { 32 };
        let iced = Decoder::with_ip(bits, bytes, at, DecoderOptions::NONE).decode();
        if iced.is_invalid() {
            return None;
        }
        let mut insn = Insn {
            at,
            len: u8::try_from(iced.len()).ok()?,
            effects: Vec::new(),
            reads: 0,
            flow: flow(&iced),
        };
        let special = self.special(&iced, &mut insn.effects);
        let info = self.info.info(&iced);
        let is_push = iced.mnemonic() == Mnemonic::Push;
        for used in info.used_registers() {
            let Some(reg) = gpr(used.register()) else { continue };
            let read = matches!(
                used.access(),
                OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite
            );
            if read && !is_push && !is_zeroing(&iced) {
                insn.reads |= 1 << reg;
            }
        }
        if special {
            return Some(insn);
        }
        // Calls and returns move the stack pointer themselves.
        let moves_sp = matches!(insn.flow, Flow::Call(_) | Flow::Return(_));
        for memory in info.used_memory() {
            if !writes(memory.access()) || moves_sp {
                continue;
            }
            let size = memory.memory_size().size();
            let at = Mem {
                base: gpr(memory.base()),
                disp: memory.displacement().cast_signed(),
                fuzzy: memory.index() != Register::None
                    || is_segment(memory.segment())
                    || iced.has_rep_prefix()
                    || iced.has_repne_prefix()
                    || (memory.base() != Register::None && gpr(memory.base()).is_none()),
            };
            let at = if memory.base() == Register::RIP { Mem { base: None, fuzzy: false, ..at } } else { at };
            let bytes = u16::try_from(size).unwrap_or(u16::MAX);
            insn.effects.push(Effect::Store { at, val: Val::Unknown, bytes });
        }
        for used in info.used_registers() {
            let Some(reg) = gpr(used.register()).filter(|_| writes(used.access())) else { continue };
            if moves_sp && reg == 4 {
                continue;
            }
            insn.effects.push(Effect::Set { reg, val: Val::Unknown, bytes: 8, rest_zero: false });
        }
        Some(insn)
    }

    /// Spelled-out instructions; false when this is none.
    fn special(&self, i: &Instruction, out: &mut Vec<Effect>) -> bool {
        let width = if self.wide { 8 } else { 4 };
        match i.mnemonic() {
            Mnemonic::Nop | Mnemonic::Endbr32 | Mnemonic::Endbr64 | Mnemonic::Cmp | Mnemonic::Test => true,
            Mnemonic::Mov => self.mov(i, out),
            Mnemonic::Movzx | Mnemonic::Movsx | Mnemonic::Movsxd => {
                let (Some((reg, _)), Some(bytes)) = (target(i), source_bytes(i)) else { return false };
                let Some(val) = self.source(i, 1) else { return false };
                let rest_zero = i.mnemonic() == Mnemonic::Movzx;
                out.push(Effect::Set { reg, val, bytes, rest_zero });
                true
            }
            Mnemonic::Lea => {
                let Some((reg, bytes)) = target(i) else { return false };
                let mem = mem(i);
                let val = if mem.fuzzy { Val::Unknown } else { Val::Addr(mem) };
                out.push(Effect::Set { reg, val, bytes, rest_zero: bytes == 4 && self.wide });
                true
            }
            Mnemonic::Push => {
                let val = match i.op0_kind() {
                    OpKind::Register => match gpr(i.op0_register()) {
                        Some(reg) if i.op0_register().size() == width => Val::Reg(reg, 0),
                        _ => return false,
                    },
                    OpKind::Memory if i.memory_size().size() == width => Val::Load(mem(i)),
                    OpKind::Memory => return false,
                    // push imm16 with an operand size prefix moves the stack pointer by two.
                    _ if i.stack_pointer_increment() == -(width as i32) => Val::Const(i.immediate(0)),
                    _ => return false,
                };
                out.push(Effect::Push(val));
                true
            }
            Mnemonic::Pop => match (i.op0_kind(), gpr(i.op0_register())) {
                (OpKind::Register, Some(reg)) if i.op0_register().size() == width => {
                    out.push(Effect::Pop(reg));
                    true
                }
                _ => false,
            },
            Mnemonic::Leave => {
                out.push(Effect::Leave);
                true
            }
            Mnemonic::Add | Mnemonic::Sub => {
                let Some((reg, bytes)) = target(i) else { return false };
                let zero = bytes == 4 && self.wide;
                // sub r, r clears it.
                if i.mnemonic() == Mnemonic::Sub && is_zeroing(i) {
                    out.push(Effect::Set { reg, val: Val::Const(0), bytes, rest_zero: zero });
                    return true;
                }
                if i.mnemonic() == Mnemonic::Sub && bytes == width as u8 && i.op1_kind() == OpKind::Register {
                    let Some(by) = gpr(i.op1_register()) else { return false };
                    out.push(Effect::Set { reg, val: Val::Minus(reg, by), bytes, rest_zero: zero });
                    return true;
                }
                let Some(by) = immediate(i, 1).filter(|_| bytes >= 4) else { return false };
                let by = if i.mnemonic() == Mnemonic::Sub { by.wrapping_neg() } else { by };
                out.push(Effect::Set { reg, val: Val::Reg(reg, by), bytes, rest_zero: zero });
                true
            }
            Mnemonic::Inc | Mnemonic::Dec => {
                let Some((reg, bytes)) = target(i).filter(|t| t.1 >= 4) else { return false };
                let by = if i.mnemonic() == Mnemonic::Inc { 1 } else { -1 };
                out.push(Effect::Set {
                    reg,
                    val: Val::Reg(reg, by),
                    bytes,
                    rest_zero: bytes == 4 && self.wide,
                });
                true
            }
            Mnemonic::Xor | Mnemonic::Or | Mnemonic::And => {
                let Some((reg, bytes)) = target(i).filter(|t| t.1 >= 4) else { return false };
                if i.mnemonic() == Mnemonic::And
                    && reg == 4
                    && let Some(size) = immediate(i, 1).map(|n| i64::from(n as i32).unsigned_abs())
                    && size.is_power_of_two()
                    && size <= MAX_ALIGN
                {
                    let val = Val::Aligned(reg, size as u16);
                    out.push(Effect::Set { reg, val, bytes, rest_zero: false });
                    return true;
                }
                let value = match (i.mnemonic(), immediate(i, 1)) {
                    (Mnemonic::Xor, _) if is_zeroing(i) => 0,
                    (Mnemonic::Or, Some(-1)) => u64::MAX,
                    (Mnemonic::And, Some(0)) => 0,
                    _ => return false,
                };
                let val = Val::Const(if bytes == 4 { value & 0xffff_ffff } else { value });
                out.push(Effect::Set { reg, val, bytes, rest_zero: bytes == 4 && self.wide });
                true
            }
            _ => false,
        }
    }

    fn mov(&self, i: &Instruction, out: &mut Vec<Effect>) -> bool {
        let Some(val) = self.source(i, 1) else { return false };
        match i.op0_kind() {
            OpKind::Register => {
                let Some((reg, bytes)) = target(i) else { return false };
                out.push(Effect::Set { reg, val, bytes, rest_zero: bytes == 4 && self.wide });
                true
            }
            OpKind::Memory => {
                let bytes = u16::try_from(i.memory_size().size()).unwrap_or(u16::MAX);
                out.push(Effect::Store { at: mem(i), val, bytes });
                true
            }
            _ => false,
        }
    }

    /// The value of an operand that is read.
    fn source(&self, i: &Instruction, op: u32) -> Option<Val> {
        Some(match i.op_kind(op) {
            OpKind::Register => {
                let register = i.op_register(op);
                // ah to bh are not the low bytes of their register.
                if matches!(register, Register::AH | Register::BH | Register::CH | Register::DH) {
                    return None;
                }
                Val::Reg(gpr(register)?, 0)
            }
            OpKind::Memory => Val::Load(mem(i)),
            _ => Val::Const(i.try_immediate(op).ok()?),
        })
    }
}

fn writes(access: OpAccess) -> bool {
    matches!(access, OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite)
}

fn is_segment(segment: Register) -> bool {
    matches!(segment, Register::FS | Register::GS)
}

/// A general register's number, of any part of it.
fn gpr(register: Register) -> Option<RegNo> {
    if !register.is_gpr() {
        return None;
    }
    u8::try_from(register.full_register().number()).ok()
}

/// The register that the first operand names, and its bytes; not for the high byte registers.
fn target(i: &Instruction) -> Option<(RegNo, u8)> {
    let register = i.op0_register();
    if i.op0_kind() != OpKind::Register
        || matches!(register, Register::AH | Register::BH | Register::CH | Register::DH)
    {
        return None;
    }
    Some((gpr(register)?, u8::try_from(register.size()).ok()?))
}

/// `xor r, r` and `sub r, r`: they read nothing.
fn is_zeroing(i: &Instruction) -> bool {
    matches!(i.mnemonic(), Mnemonic::Xor | Mnemonic::Sub)
        && i.op0_kind() == OpKind::Register
        && i.op1_kind() == OpKind::Register
        && i.op0_register() == i.op1_register()
}

fn immediate(i: &Instruction, op: u32) -> Option<i64> {
    match i.op_kind(op) {
        OpKind::Register | OpKind::Memory => None,
        _ => i.try_immediate(op).ok().map(u64::cast_signed),
    }
}

/// Bytes of the second operand.
fn source_bytes(i: &Instruction) -> Option<u8> {
    let size = match i.op1_kind() {
        OpKind::Register => i.op1_register().size(),
        OpKind::Memory => i.memory_size().size(),
        _ => return None,
    };
    u8::try_from(size).ok()
}

/// The memory operand.
fn mem(i: &Instruction) -> Mem {
    if i.is_ip_rel_memory_operand() {
        return Mem { base: None, disp: i.ip_rel_memory_address().cast_signed(), fuzzy: false };
    }
    let base = i.memory_base();
    Mem {
        base: gpr(base),
        disp: i.memory_displacement64().cast_signed(),
        fuzzy: i.memory_index() != Register::None
            || is_segment(i.memory_segment())
            || (base != Register::None && gpr(base).is_none()),
    }
}

/// What a jump or call through a register or memory takes its target from.
fn through(i: &Instruction) -> Val {
    match i.op0_kind() {
        OpKind::Register => gpr(i.op0_register()).map_or(Val::Unknown, |r| Val::Reg(r, 0)),
        OpKind::Memory => Val::Load(mem(i)),
        _ => Val::Unknown,
    }
}

fn flow(i: &Instruction) -> Flow {
    let near = matches!(i.op0_kind(), OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64)
        .then(|| i.near_branch_target());
    match i.flow_control() {
        FlowControl::UnconditionalBranch => near.map_or(Flow::Indirect(through(i)), Flow::Jump),
        FlowControl::ConditionalBranch | FlowControl::XbeginXabortXend => {
            near.map_or(Flow::Stop, Flow::Branch)
        }
        FlowControl::IndirectBranch => Flow::Indirect(through(i)),
        FlowControl::Return => {
            let popped = if i.op0_kind() == OpKind::Immediate16 { i.immediate16() } else { 0 };
            Flow::Return(popped)
        }
        FlowControl::Call if matches!(i.code(), Code::Syscall | Code::Sysenter) => Flow::System,
        FlowControl::Call => near.map_or(Flow::System, |n| Flow::Call(Callee::Direct(n))),
        FlowControl::IndirectCall => Flow::Call(Callee::Through(through(i))),
        FlowControl::Exception => Flow::Stop,
        // int 3 ends code; int 2eh and the like are system calls.
        FlowControl::Interrupt => match i.mnemonic() {
            Mnemonic::Int3 | Mnemonic::Int1 => Flow::Stop,
            // __fastfail does not come back.
            Mnemonic::Int if i.immediate8() == 0x29 => Flow::Stop,
            _ => Flow::System,
        },
        FlowControl::Next => Flow::Next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lift(wide: bool, bytes: &[u8]) -> Insn {
        Lifter::new(wide).decode(0x1000, bytes).unwrap()
    }

    #[test]
    fn moves() {
        // mov rbx, rcx
        let i = lift(true, &[0x48, 0x8b, 0xd9]);
        assert_eq!(i.effects, [Effect::Set { reg: 3, val: Val::Reg(1, 0), bytes: 8, rest_zero: false }]);
        assert_eq!(i.reads, 1 << 1);
        // mov ebx, ecx clears the upper half; mov [rsp+8], rcx
        let i = lift(true, &[0x8b, 0xd9]);
        assert_eq!(i.effects, [Effect::Set { reg: 3, val: Val::Reg(1, 0), bytes: 4, rest_zero: true }]);
        let i = lift(true, &[0x48, 0x89, 0x4c, 0x24, 0x08]);
        let at = Mem { base: Some(4), disp: 8, fuzzy: false };
        assert_eq!(i.effects, [Effect::Store { at, val: Val::Reg(1, 0), bytes: 8 }]);
        // xor ecx, ecx reads nothing
        let i = lift(true, &[0x33, 0xc9]);
        assert_eq!(
            (i.reads, &i.effects[..]),
            (0, &[Effect::Set { reg: 1, val: Val::Const(0), bytes: 4, rest_zero: true }][..])
        );
    }

    #[test]
    fn others_make_unknown() {
        // imul ebx, ecx
        let i = lift(true, &[0x0f, 0xaf, 0xd9]);
        assert_eq!(i.effects, [Effect::Set { reg: 3, val: Val::Unknown, bytes: 8, rest_zero: false }]);
        // add [rsp+8], ecx
        let i = lift(true, &[0x01, 0x4c, 0x24, 0x08]);
        let at = Mem { base: Some(4), disp: 8, fuzzy: false };
        assert_eq!(i.effects, [Effect::Store { at, val: Val::Unknown, bytes: 4 }]);
        // mov bh, cl is not the low byte of anything
        let i = lift(true, &[0x8a, 0xf9]);
        assert_eq!(i.effects, [Effect::Set { reg: 3, val: Val::Unknown, bytes: 8, rest_zero: false }]);
    }

    #[test]
    fn flows() {
        assert_eq!(lift(true, &[0xe8, 0, 1, 0, 0]).flow, Flow::Call(Callee::Direct(0x1105)));
        assert_eq!(lift(false, &[0xc2, 8, 0]).flow, Flow::Return(8));
        assert_eq!(lift(true, &[0x0f, 0x05]).flow, Flow::System);
        assert_eq!(lift(true, &[0xcc]).flow, Flow::Stop);
        assert_eq!(lift(true, &[0xff, 0xe0]).flow, Flow::Indirect(Val::Reg(0, 0)));
        assert!(lift(true, &[0xe8, 0, 1, 0, 0]).effects.is_empty(), "calls are the data flow's own matter");
        assert!(Lifter::new(true).decode(0, &[0x06]).is_none());
    }
}
