//! What an x86 or x64 instruction wanted of memory, with the values of its registers.

use super::looks::is_canonical;
use crate::model::Access;
use dumpscope_core::{Machine, ReadMemory, Reg, RegSet, Va};
use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Formatter, Instruction, InstructionInfoFactory, MasmFormatter,
    Mnemonic, OpAccess, Register, UsedMemory,
};

/// One access to memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The address.
    pub(super) at: u64,
    pub(super) access: Access,
    /// Bytes.
    pub(super) size: u32,
    /// Base register, by number, when it has one.
    pub(super) base: Option<Reg>,
    /// Index register and its factor.
    pub(super) index: Option<(Reg, u8)>,
    pub(super) displacement: i64,
    /// An address that has to be a multiple of its size.
    pub(super) aligned: bool,
}

/// A decoded instruction.
pub(super) struct Decoded {
    pub(super) instruction: Instruction,
    pub(super) text: String,
    /// Its accesses in the order in which the processor makes them, as far as the registers are known.
    pub(super) wanted: Vec<Wanted>,
    /// Where it goes on, when that is not a constant: the operand of a call or jump, the return address.
    pub(super) to: Option<u64>,
}

/// Decodes the instruction at `at` with these registers.
pub(super) fn decode(
    mem: &dyn ReadMemory,
    regs: &RegSet,
    at: Va,
    segment: &dyn Fn(Register) -> u64,
) -> Option<Decoded> {
    let wide = regs.machine().is_64();
    let mut bytes = [0u8; 16];
    let got = mem.read_at(at, &mut bytes).got;
    let bytes = bytes.get(..got)?;
    let instruction =
        Decoder::with_ip(if wide { 64 } else { 32 }, bytes, at.0, DecoderOptions::NONE).decode();
    if instruction.is_invalid() {
        return None;
    }
    let mut text = String::new();
    let mut formatter = MasmFormatter::new();
    formatter.options_mut().set_rip_relative_addresses(false);
    formatter.format(&instruction, &mut text);
    let value = |register: Register| match register {
        Register::ES | Register::CS | Register::SS | Register::DS => Some(0),
        Register::FS | Register::GS => Some(segment(register)),
        Register::RIP => Some(instruction.next_ip()),
        Register::EIP => Some(instruction.next_ip() & 0xffff_ffff),
        _ => {
            let full = regs.get(number(register)?)?;
            Some(match register.size() {
                8 => full,
                4 => full & 0xffff_ffff,
                _ => full & 0xffff,
            })
        }
    };
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(&instruction);
    let wanted = info.used_memory().iter().filter_map(|m| wanted(m, &instruction, wide, &value)).collect();
    let ptr = |at: u64| mem.ptr(Va(at), regs.machine()).map(|v| v.0);
    let to = match instruction.flow_control() {
        FlowControl::Return => ptr(regs.sp()?.0),
        FlowControl::IndirectCall | FlowControl::IndirectBranch => match instruction.op0_kind() {
            iced_x86::OpKind::Register => value(instruction.op0_register()),
            _ => instruction.virtual_address(0, 0, |r, _, _| value(r)).and_then(|a| ptr(narrow(a, wide))),
        },
        _ => None,
    };
    Some(Decoded { instruction, text, wanted, to })
}

fn narrow(address: u64, wide: bool) -> u64 {
    if wide { address } else { address & 0xffff_ffff }
}

fn wanted(
    used: &UsedMemory,
    instruction: &Instruction,
    wide: bool,
    value: &dyn Fn(Register) -> Option<u64>,
) -> Option<Wanted> {
    let access = match used.access() {
        OpAccess::Read | OpAccess::CondRead => Access::Read,
        OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite => {
            Access::Write
        }
        _ => return None,
    };
    let at = used.virtual_address(0, |r, _, _| value(r))?;
    let size = used.memory_size().size() as u32;
    Some(Wanted {
        at: narrow(at, wide),
        access,
        size,
        base: number(used.base()),
        index: number(used.index()).map(|r| (r, u8::try_from(used.scale()).unwrap_or(1))),
        displacement: if wide {
            used.displacement().cast_signed()
        } else {
            i64::from(used.displacement() as u32 as i32)
        },
        aligned: needs_alignment(instruction) && size >= 16,
    })
}

/// Instructions of SSE that fault on an address that is no multiple of 16, with any operand or with all but a few.
fn needs_alignment(i: &Instruction) -> bool {
    use Mnemonic as M;
    let legacy = i.encoding() == iced_x86::EncodingKind::Legacy;
    let moves = matches!(
        i.mnemonic(),
        M::Movaps
            | M::Movapd
            | M::Movdqa
            | M::Movntps
            | M::Movntpd
            | M::Movntdq
            | M::Movntdqa
            | M::Vmovaps
            | M::Vmovapd
            | M::Vmovdqa
            | M::Vmovntps
            | M::Vmovntpd
            | M::Vmovntdq
            | M::Fxsave
            | M::Fxrstor
            | M::Fxsave64
            | M::Fxrstor64
            | M::Cmpxchg16b
    );
    let unaligned = matches!(i.mnemonic(), M::Movups | M::Movupd | M::Movdqu | M::Lddqu);
    let sse = i.op_count() > 0
        && (0..i.op_count()).any(|n| i.op_kind(n) == iced_x86::OpKind::Register && i.op_register(n).is_xmm());
    moves || (legacy && sse && !unaligned)
}

/// The number of a general register in its full width.
pub(super) fn number(register: Register) -> Option<Reg> {
    if !register.is_gpr() {
        return None;
    }
    let full = register.full_register();
    Some(Reg(u8::try_from(full as usize - Register::RAX as usize).ok()?))
}

/// Of the accesses the one that faulted: `recorded` lies in it, or (when the processor gave no address) it is the one
/// that no processor can do.
pub(super) fn faulted(decoded: &Decoded, machine: Machine, recorded: Option<u64>) -> Option<&Wanted> {
    let string = decoded.instruction.is_string_instruction() && decoded.instruction.has_rep_prefix()
        || decoded.instruction.has_repne_prefix();
    if let Some(at) = recorded {
        let holds = |w: &&Wanted| {
            at.wrapping_sub(w.at) < u64::from(w.size.max(1)) || string && at.wrapping_sub(w.at) < 0x1000
        };
        return decoded.wanted.iter().find(holds);
    }
    let impossible = |w: &&Wanted| machine == Machine::Amd64 && !is_canonical(w.at);
    let crooked = |w: &&Wanted| w.aligned && !w.at.is_multiple_of(16);
    decoded.wanted.iter().find(impossible).or_else(|| decoded.wanted.iter().find(crooked))
}
