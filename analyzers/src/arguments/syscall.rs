//! Arguments of the system call that a thread is in.
//!
//! Source: measured over public dumps (`docs/reference/system-calls.md`).

use crate::Target;
use crate::hint_table::Kind;
use crate::model::{ArgPlace, ArgSource, Argument, Confidence, Evidence, Stack, StackFrame, Value};
use crate::syscalls::system_call_name;
use dumpscope_core::base::{amd64, x86};
use dumpscope_core::{Machine, ReadMemory, Va};
use dumpscope_symbols::Trust;

/// First build whose kernel leaves rcx and rdx of a waiting thread alone (Windows 10 1709).
const KEEPS_REGISTERS: u32 = 16299;
/// Most stack arguments of a system call that are read.
const MAX_ARGS: u64 = 12;

/// What is known of the arguments of the system call that a thread is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SystemCallArgs {
    /// Row of the stack whose function they are arguments of.
    pub row: usize,
    /// In order, as many as were found.
    pub args: Vec<Value>,
}

/// The arguments of the system call at the top of a stack, read where the kernel leaves them; `None` when the thread
/// is in none, or when they are not left anywhere. The code at the instruction pointer says which of the known stubs
/// it is in.
#[must_use]
pub fn system_call_args(target: &Target, stack: &Stack) -> Option<SystemCallArgs> {
    let top = stack.frames.iter().find(|f| f.trust != Trust::Inline)?;
    let name = system_call_name(target, stack.machine, top)?;
    let mut found = left(target, stack, name)?;
    // A handle that the process has is no left-over; a count or an address may look like one.
    let handle = |p: &[crate::hint_table::Parameter]| p.first().is_some_and(|p| p.kind == Kind::Handle);
    let first =
        found.args.first_mut().filter(|_| target.hints().parameters("ntdll.dll", name).is_some_and(handle));
    if let (Some(first), Some(handles)) = (first, target.dump.handles().value())
        && first.bits != 0
        && handles.handles.iter().any(|h| h.value == first.bits)
    {
        first.confidence = Confidence::Proven;
    }
    Some(found)
}

/// What is left of the arguments of a system call.
fn left(target: &Target, stack: &Stack, name: &str) -> Option<SystemCallArgs> {
    let mut physical = stack.frames.iter().enumerate().filter(|(_, f)| f.trust != Trust::Inline);
    let (row, top) = physical.next()?;
    if stack.machine == Machine::X86 {
        let (skip, row) = if name.starts_with("KiFastSystemCall") {
            // XP to 7: the stub is the caller.
            (8, physical.next()?.0)
        } else {
            (skip_x86(target, top)?, row)
        };
        return Some(SystemCallArgs { row, args: on_stack(target, top, skip)? });
    }
    if stack.machine != Machine::Amd64 || !(name.starts_with("Nt") || name.starts_with("Zw")) {
        return None;
    }
    Some(SystemCallArgs { row, args: in_registers(target, top, row)? })
}

/// x86: bytes from esp to the first argument, by the shape of the stub.
fn skip_x86(target: &Target, top: &StackFrame) -> Option<u64> {
    let code: [u8; 4] = target.dump.memory().bytes(top.frame.ip)?;
    match code {
        // ret n: the call was made by `call edx` or `call fs:[c0]` in the stub.
        [0xc2, ..] => Some(4),
        // add esp, 4: WOW64 of Windows 7.
        [0x83, 0xc4, 0x04, 0xc2] => Some(8),
        _ => None,
    }
}

fn on_stack(target: &Target, top: &StackFrame, skip: u64) -> Option<Vec<Value>> {
    let memory = target.dump.memory();
    let first = Va(top.frame.regs.get(x86::ESP)?).offset(skip);
    let code: [u8; 6] = memory.bytes(top.frame.ip)?;
    // The stub's return says how many there are.
    let count = match code {
        [0xc2, a, b, ..] | [0x83, 0xc4, _, 0xc2, a, b] => u64::from(u16::from_le_bytes([a, b]) / 4),
        _ => 6,
    };
    let word = |n: u64| {
        let at = first.offset(n.wrapping_mul(4));
        Some(Value {
            bits: memory.u32(at)?.into(),
            bytes: 4,
            source: ArgSource::StackSlot,
            confidence: Confidence::Proven,
            evidence: vec![Evidence::Memory(at), Evidence::Instruction(top.frame.ip)],
        })
    };
    Some((0..count.min(MAX_ARGS)).map_while(word).collect())
}

/// x64: from Windows 10 1709 on the first two arguments survive in rcx and rdx. Believed only when rax still has
/// the call's number, which the stub's code tells. Wine's stubs look the same and its registers mean nothing.
fn in_registers(target: &Target, top: &StackFrame, row: usize) -> Option<Vec<Value>> {
    let regs = &top.frame.regs;
    if target.is_wine() || target.dump.system().value()?.build < KEEPS_REGISTERS {
        return None;
    }
    // mov r10, rcx; mov eax, imm32; ...; syscall
    let code: [u8; 0x14] = target.dump.memory().bytes(top.frame.ip.back(0x14))?;
    let number = match code {
        [0x4c, 0x8b, 0xd1, 0xb8, a, b, c, d, .., 0x0f, 0x05] => u32::from_le_bytes([a, b, c, d]),
        _ => return None,
    };
    if regs.get(amd64::RAX)? != u64::from(number) {
        return None;
    }
    let value = |reg| {
        Some(Value {
            bits: regs.get(reg)?,
            bytes: 8,
            source: ArgSource::SyscallRegister,
            confidence: Confidence::Strong,
            evidence: vec![Evidence::Register(row, reg), Evidence::Instruction(top.frame.ip)],
        })
    };
    [amd64::RCX, amd64::RDX].into_iter().map(value).collect()
}

/// True when two values agree in the bytes that both have.
fn is_same(a: &Value, b: &Value) -> bool {
    let bits = u32::from(a.bytes.min(b.bytes)).saturating_mul(8);
    let mask = u64::MAX.checked_shr(64_u32.saturating_sub(bits)).unwrap_or(0);
    (a.bits ^ b.bits) & mask == 0
}

/// Adds what the system call left to the arguments of its row. Two sources that agree make it certain.
pub(super) fn improve(target: &Target, stack: &Stack, rows: &mut [Vec<Argument>]) {
    let Some(found) = system_call_args(target, stack) else { return };
    let Some(args) = rows.get_mut(found.row) else { return };
    for (index, value) in found.args.into_iter().enumerate() {
        let place = match value.evidence.first() {
            Some(Evidence::Register(_, reg)) => ArgPlace::Register(*reg),
            _ => ArgPlace::Stack(i32::try_from(index).unwrap_or(0).saturating_mul(4).saturating_add(4)),
        };
        let count = args.len();
        match args.get_mut(index) {
            Some(arg) => match &mut arg.value {
                Some(known) if is_same(known, &value) => {
                    known.confidence = known.confidence.max(value.confidence);
                    // A left-over may be 0 as well.
                    let tells = known.bits != 0 && known.source != value.source;
                    if known.confidence == Confidence::Strong && tells {
                        known.confidence = Confidence::Proven;
                    }
                }
                // What the code proves stands; a register is only measured to survive.
                Some(known) if known.confidence == Confidence::Proven => {}
                // Two that disagree prove nothing.
                Some(known)
                    if known.confidence == Confidence::Strong && value.confidence == Confidence::Strong =>
                {
                    known.confidence = Confidence::Guess;
                }
                other => *other = Some(value),
            },
            None if count == index => args.push(Argument {
                index,
                place,
                name: None,
                type_text: None,
                value: Some(value),
                overwritten: false,
                hint: None,
                leads_to: None,
            }),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_two_lengths() {
        let value = |bits, bytes| Value {
            bits,
            bytes,
            source: ArgSource::SyscallRegister,
            confidence: Confidence::Strong,
            evidence: Vec::new(),
        };
        assert!(is_same(&value(1, 1), &value(0x7ff6_0001_0001, 8)));
        assert!(!is_same(&value(2, 1), &value(0x7ff6_0001_0001, 8)));
        assert!(is_same(&value(u64::MAX, 8), &value(u64::MAX, 8)));
        assert!(!is_same(&value(1, 8), &value((1 << 63) | 1, 8)));
    }
}
