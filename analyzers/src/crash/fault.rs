//! The fault, read from the instruction: what it wanted of which memory, by which registers.

use super::access_x86::{Decoded, Wanted, decode, faulted};
use super::bits::bit_flips;
use super::looks::{is_canonical, look};
use super::region::region_words;
use crate::Target;
use crate::crash_codes::{ACCESS_VIOLATION, IN_PAGE_ERROR, access_of};
use crate::model::{Access, Fault, FaultKind, Look, Operand};
use dumpscope_core::base::text::escape;
use dumpscope_core::stream::exception::ExceptionRecord;
use dumpscope_core::{Machine, Reg, RegSet, Va};
use iced_x86::{Mnemonic, Register};

/// Registers where the exception was raised, of the process's own machine.
pub(crate) fn fault_registers(target: &Target, record: &ExceptionRecord) -> Option<RegSet> {
    let context = target.dump.exception_context()?;
    if context.machine == target.process_machine() {
        return Some(context.regs);
    }
    // WOW64: 32-bit code in the native context.
    let narrow = record.address.0 <= 0xffff_ffff && context.regs.ip() == Some(record.address);
    if context.machine != Machine::Amd64 || !narrow {
        return None;
    }
    let mut regs = RegSet::new(Machine::X86);
    for n in 0..8 {
        if let Some(v) = context.regs.get(Reg(n)) {
            regs.set(Reg(n), v & 0xffff_ffff);
        }
    }
    regs.set(RegSet::ip_reg(Machine::X86), record.address.0);
    Some(regs)
}

/// Windows says `ffffffffffffffff` and "read" where the processor gave no address (a general protection fault).
const NO_ADDRESS: u64 = u64::MAX;

/// Explains a fault of Windows. `regs`: registers where it happened, when they are known.
pub(crate) fn fault(target: &Target, record: &ExceptionRecord, regs: Option<&RegSet>) -> Option<Fault> {
    let machine = regs.map_or(target.process_machine(), RegSet::machine);
    let (access, wanted) = access_of(record);
    let recorded = wanted.map(|w| if machine.is_64() { w.0 } else { w.0 & 0xffff_ffff });
    let kind = match record.code {
        ACCESS_VIOLATION | IN_PAGE_ERROR => FaultKind::Access,
        0xc000_0094 => FaultKind::DivideByZero,
        0xc000_0095 => FaultKind::DivideOverflow,
        0xc000_0096 => FaultKind::Privileged,
        0xc000_001d => FaultKind::NoInstruction,
        0x8000_0003 => FaultKind::Breakpoint,
        0x8000_0002 => FaultKind::Misaligned,
        _ => return None,
    };
    let unsure = machine == Machine::Amd64 && recorded == Some(NO_ADDRESS) && access == Some(Access::Read);
    Some(examine(target, regs, record.address, kind, access, recorded, unsure))
}

/// Explains a memory fault of another system. `exact`: the reported address is the one that was wanted.
pub(crate) fn foreign_fault(target: &Target, regs: &RegSet, reported: Option<u64>) -> Option<Fault> {
    let ip = regs.ip()?;
    Some(examine(target, Some(regs), ip, FaultKind::Access, None, reported, reported.is_none()))
}

/// `unsure`: the processor told no address.
fn examine(
    target: &Target,
    regs: Option<&RegSet>,
    at: Va,
    kind: FaultKind,
    access: Option<Access>,
    recorded: Option<u64>,
    unsure: bool,
) -> Fault {
    let mut out = Fault {
        kind,
        instruction: None,
        access,
        size: None,
        target: recorded.map(Va),
        computed: false,
        base: None,
        index: None,
        displacement: 0,
        through_memory: false,
        operands: Vec::new(),
        look: None,
        region: None,
        bit_flips: Vec::new(),
    };
    let machine = regs.map_or(target.process_machine(), RegSet::machine);
    let fetch = kind == FaultKind::Access && recorded == Some(at.0) && access != Some(Access::Write);
    if fetch {
        out.kind = FaultKind::Fetch;
        out.access = Some(Access::Execute);
    } else if let Some(regs) = regs.filter(|_| matches!(machine, Machine::X86 | Machine::Amd64)) {
        let segment = |r: Register| segment_base(target, machine, r);
        target.map_image(at);
        if let Some(d) = decode(target.dump.memory().as_ref(), regs, at, &segment) {
            out.instruction = Some(escape(&d.text).into_owned());
            by_instruction(&mut out, &d, regs, recorded, unsure);
        }
    } else if let Some(regs) = regs.filter(|_| machine == Machine::Arm64) {
        target.map_image(at);
        if let Some(w) = crate::arguments::arm64_access(target, regs, at, recorded) {
            out.access = out.access.or(Some(if w.writes { Access::Write } else { Access::Read }));
            out.size = Some(w.size);
            (out.base, out.displacement) = (Some(w.base), w.displacement);
            out.operands.extend(operand(regs, w.base));
        }
    }
    if matches!(out.kind, FaultKind::Access | FaultKind::Fetch | FaultKind::Misaligned)
        && let Some(wanted) = out.target
    {
        out.look = look(wanted.0, machine);
        out.region = region_words(target, wanted, out.access);
        if let Some(regs) = regs {
            out.bit_flips = bit_flips(target, regs, &out);
        }
    }
    out
}

fn by_instruction(out: &mut Fault, d: &Decoded, regs: &RegSet, recorded: Option<u64>, unsure: bool) {
    let machine = regs.machine();
    match out.kind {
        FaultKind::NoInstruction if is_trap(d) => out.kind = FaultKind::Trap,
        FaultKind::DivideByZero | FaultKind::DivideOverflow => {
            let by = super::access_x86::number(d.instruction.op0_register());
            out.operands.extend(by.and_then(|r| operand(regs, r)));
            if let Some(w) = d.wanted.first().filter(|_| by.is_none()) {
                (out.base, out.displacement, out.through_memory) =
                    (w.base, w.displacement, w.index.is_none());
            }
        }
        FaultKind::Access => {
            let told = recorded.filter(|_| !unsure);
            if unsure && let Some(to) = d.to.filter(|t| !is_canonical(*t)) {
                // The call, jump or return was to an impossible address.
                out.kind = FaultKind::Fetch;
                out.access = Some(Access::Execute);
                (out.target, out.computed) = (Some(Va(to)), true);
                let by = super::access_x86::number(d.instruction.op0_register());
                let memory = d.wanted.iter().find(|w| w.access == Access::Read).filter(|_| by.is_none());
                if let Some(w) = memory {
                    (out.base, out.index, out.displacement) = (w.base, w.index, w.displacement);
                    out.through_memory = true;
                }
                out.base = out.base.or(by);
                out.operands.extend(out.base.and_then(|r| operand(regs, r)));
                return;
            }
            let Some(w) = faulted(d, machine, told) else { return };
            take(out, w, regs);
            if unsure {
                (out.target, out.computed) = (Some(Va(w.at)), true);
                out.access = Some(w.access);
                if w.aligned && (machine != Machine::Amd64 || is_canonical(w.at)) {
                    out.kind = FaultKind::Misaligned;
                }
            }
        }
        FaultKind::Misaligned => {
            if let Some(w) = d.wanted.first() {
                take(out, w, regs);
                (out.target, out.computed) = (Some(Va(w.at)), true);
            }
        }
        _ => {}
    }
}

fn take(out: &mut Fault, w: &Wanted, regs: &RegSet) {
    out.access = out.access.or(Some(w.access));
    out.size = Some(w.size).filter(|s| *s > 0);
    (out.base, out.index, out.displacement) = (w.base, w.index, w.displacement);
    let of = [w.base, w.index.map(|i| i.0)];
    out.operands.extend(of.into_iter().flatten().filter_map(|r| operand(regs, r)));
}

fn operand(regs: &RegSet, reg: Reg) -> Option<Operand> {
    let machine = regs.machine();
    let value = regs.get(reg)?;
    let name = RegSet::names(machine).get(usize::from(reg.0)).copied()?;
    Some(Operand { reg, name, value, look: look(value, machine) })
}

fn is_trap(d: &Decoded) -> bool {
    matches!(d.instruction.mnemonic(), Mnemonic::Ud0 | Mnemonic::Ud1 | Mnemonic::Ud2)
}

/// The base of fs and gs: the TEB; 0 for the other segments.
fn segment_base(target: &Target, machine: Machine, register: Register) -> u64 {
    let teb = register == if machine.is_64() { Register::GS } else { Register::FS };
    let tid = target.dump.exception().value().map(|e| e.tid);
    let thread = tid.and_then(|t| target.dump.thread_by_tid(t)).filter(|_| teb);
    thread.and_then(|t| target.dump.teb(t.index, machine)).unwrap_or_default().0
}

impl Fault {
    /// What the address and the registers look like, in a few words each. Holds no unsafe characters.
    #[must_use]
    pub fn remarks(&self, machine: Machine) -> Vec<String> {
        let mut out = Vec::new();
        match (&self.look, self.kind) {
            (_, FaultKind::Misaligned) => out.push("the operand has to be a multiple of 16".into()),
            (Some(Look::Null), _) if self.target.is_some_and(|t| t.0 < super::looks::NULL_AREA) => {
                out.push("null pointer".into());
            }
            (Some(Look::Null), _) => out.push("a null pointer with a negative offset".into()),
            (Some(look), _) => out.extend(words(look)),
            (None, _) => {}
        }
        for o in &self.operands {
            if let Some(words) = o
                .look
                .as_ref()
                .filter(|l| **l != Look::Null && self.look.as_ref() != Some(*l))
                .and_then(words)
            {
                out.push(format!("{} = {}: {words}", o.name, hex(o.value, machine)));
            }
        }
        if self.look != Some(Look::Null) {
            out.extend(self.region.clone());
        }
        out
    }
}

fn hex(value: u64, machine: Machine) -> String {
    if machine.is_64() { format!("{value:016x}") } else { format!("{value:08x}") }
}

fn words(look: &Look) -> Option<String> {
    Some(match look {
        Look::Null => return None,
        Look::Pattern(p) => format!("{}, {}", p.kind.words(), p.text),
        Look::Text(t) => format!("holds the text \"{}\"", escape(t)),
        Look::NonCanonical => "not a possible address".into(),
        Look::Kernel => "an address of the kernel".into(),
    })
}
