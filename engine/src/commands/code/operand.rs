//! What an instruction reads or writes: `ds:00000000`00000000=????????`, `[br=1]`.

use super::instruction::{Instruction, named};
use super::x86;
use crate::fmt;
use crate::session::Session;
use dumpscope_core::context::Context;
use dumpscope_core::{Machine, ReadMemory, Va};
use iced_x86::{
    ConditionCode, FlowControl, Instruction as Iced, InstructionInfoFactory, OpAccess, OpKind, Register,
};

/// The text behind an instruction that is about to run with this context. `None` when there is nothing to say.
pub(crate) fn effective(session: &Session, instruction: &Instruction, context: &Context) -> Option<String> {
    if !instruction.valid || !matches!(context.machine, Machine::X86 | Machine::Amd64) {
        return None;
    }
    let iced = x86::raw(instruction.address, &instruction.bytes, context.machine.is_64());
    if iced.flow_control() == FlowControl::ConditionalBranch {
        return taken(&iced, context.eflags).map(|t| format!("[br={}]", u8::from(t)));
    }
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(&iced);
    let mut parts = Vec::new();
    for n in 0..iced.op_count() {
        let access = info.op_access(n);
        let is_memory = !matches!(
            iced.op_kind(n),
            OpKind::Register
                | OpKind::NearBranch16
                | OpKind::NearBranch32
                | OpKind::NearBranch64
                | OpKind::FarBranch16
                | OpKind::FarBranch32
                | OpKind::Immediate8
                | OpKind::Immediate8_2nd
                | OpKind::Immediate16
                | OpKind::Immediate32
                | OpKind::Immediate64
                | OpKind::Immediate8to16
                | OpKind::Immediate8to32
                | OpKind::Immediate8to64
                | OpKind::Immediate32to64
        );
        if is_memory && !matches!(access, OpAccess::NoMemAccess | OpAccess::None) {
            parts.extend(operand(session, &iced, n, context));
        }
    }
    (!parts.is_empty()).then(|| parts.join(" "))
}

fn operand(session: &Session, iced: &Iced, n: u32, context: &Context) -> Option<String> {
    let offset = iced.virtual_address(n, 0, |reg, _, _| register(reg, context))?;
    let wide = context.machine.is_64();
    let offset = Va(if wide { offset } else { offset & 0xffff_ffff });
    let segment = if matches!(iced.op_kind(n), OpKind::MemoryESDI | OpKind::MemoryESEDI | OpKind::MemoryESRDI)
    {
        Register::ES
    } else {
        iced.memory_segment()
    };
    let base = match segment {
        Register::FS | Register::GS => {
            let teb = session.dump().teb(session.sel.thread?, session.sel.machine);
            let own = if wide { Register::GS } else { Register::FS };
            teb.filter(|_| segment == own).map(|t| t.0)
        }
        _ => Some(0),
    };
    let size = iced.memory_size().size();
    let mut buf = [0u8; 64];
    let part = buf.get_mut(..size).filter(|p| !p.is_empty())?;
    let at = base.map(|b| offset.offset(b));
    let known = at.is_some_and(|va| session.dump().memory().read_at(va, part).got == size);
    let value =
        if known { part.iter().rev().map(|b| format!("{b:02x}")).collect() } else { "??".repeat(size) };
    // The target of an indirect call or jump is named.
    let indirect = matches!(iced.flow_control(), FlowControl::IndirectCall | FlowControl::IndirectBranch);
    let value = match (indirect && known).then(|| u64::from_str_radix(&value, 16).ok()).flatten() {
        Some(to) => format!("{{{}}}", named(&session.target, Va(to), wide)),
        None => value,
    };
    let (name, selector) = match segment {
        Register::CS => ("cs", context.segments[0]),
        Register::ES => ("es", context.segments[2]),
        Register::FS => ("fs", context.segments[3]),
        Register::GS => ("gs", context.segments[4]),
        Register::SS => ("ss", context.segments[5]),
        _ => ("ds", context.segments[1]),
    };
    let address = fmt::addr(offset, wide);
    // 64-bit segments are flat: WinDbg leaves the selector out, except for fs and gs.
    Some(match (wide, segment) {
        (true, Register::FS | Register::GS) | (false, _) => {
            format!("{name}:{selector:04x}:{address}={value}")
        }
        (true, _) => format!("{name}:{address}={value}"),
    })
}

fn register(reg: Register, context: &Context) -> Option<u64> {
    if reg.is_segment_register() {
        // Addresses are shown as offsets in their segment.
        return Some(0);
    }
    let name = format!("{reg:?}").to_ascii_lowercase();
    crate::lang::registers::lookup(&name, &context.regs, Some(context)).ok().map(|(v, _)| v)
}

/// Whether a conditional jump is taken.
fn taken(iced: &Iced, flags: u32) -> Option<bool> {
    let bit = |n: u32| flags >> n & 1 == 1;
    let (cf, pf, zf, sf, of) = (bit(0), bit(2), bit(6), bit(7), bit(11));
    Some(match iced.condition_code() {
        ConditionCode::None => return None,
        ConditionCode::o => of,
        ConditionCode::no => !of,
        ConditionCode::b => cf,
        ConditionCode::ae => !cf,
        ConditionCode::e => zf,
        ConditionCode::ne => !zf,
        ConditionCode::be => cf || zf,
        ConditionCode::a => !cf && !zf,
        ConditionCode::s => sf,
        ConditionCode::ns => !sf,
        ConditionCode::p => pf,
        ConditionCode::np => !pf,
        ConditionCode::l => sf != of,
        ConditionCode::ge => sf == of,
        ConditionCode::le => zf || sf != of,
        ConditionCode::g => !zf && sf == of,
    })
}
