//! Addresses that one changed bit makes good: the mark of bad memory hardware.
//!
//! The idea and what speaks for and against it: rust-minidump's `bit_flips`.

use super::looks::{is_canonical, look};
use crate::Target;
use crate::model::{Access, BitFlip, Fault, FlipGrade, Look};
use dumpscope_core::{Machine, ReadMemory, Reg, RegSet, Va};

/// Most flips that are told.
const MAX_FLIPS: usize = 4;
/// How near another register's value speaks for a flip.
const NEAR: u64 = 0x1000;

/// Flips that make the wanted address good. Only 64-bit addresses: there a random number is rarely a good one.
pub(super) fn bit_flips(target: &Target, regs: &RegSet, fault: &Fault) -> Vec<BitFlip> {
    let machine = regs.machine();
    let Some(wanted) = fault.target.filter(|_| machine == Machine::Amd64) else { return Vec::new() };
    // Patterns and text tell another story; small numbers are null pointers far more often.
    let told = |v: u64| matches!(look(v, machine), Some(Look::Pattern(_) | Look::Text(_) | Look::Null));
    if told(wanted.0) || fault.operands.iter().any(|o| told(o.value)) {
        return Vec::new();
    }
    let mut out = Vec::new();
    for bit in 0..64u8 {
        let address = Va(wanted.0 ^ 1 << bit);
        if !is_good(target, address, fault.access) {
            continue;
        }
        let near = (0..16).map(Reg).filter(|r| Some(*r) != fault.base && *r != RegSet::sp_reg(machine));
        let near = near.filter_map(|r| regs.get(r)).any(|v| v.abs_diff(address.0) < NEAR);
        let grade = if near && (!is_canonical(wanted.0) || bit >= 32) {
            FlipGrade::Likely
        } else {
            FlipGrade::Possible
        };
        let reg = fault
            .operands
            .first()
            .filter(|o| fault.index.is_none() && Some(o.reg) == fault.base)
            .map(|o| o.reg);
        out.push(BitFlip { reg, bit, address, grade });
    }
    out.sort_by(|a, b| b.grade.cmp(&a.grade).then(b.bit.cmp(&a.bit)));
    out.truncate(MAX_FLIPS);
    out
}

fn is_good(target: &Target, va: Va, access: Option<Access>) -> bool {
    if va.0 < super::looks::NULL_AREA || va.0 >> 47 != 0 {
        return false;
    }
    match target.dump.region_at(va) {
        Some(r) => {
            let protect = r.protect & 0xff;
            let usable = r.state == 0x1000 && protect > 1 && r.protect & 0x100 == 0;
            usable
                && match access {
                    Some(Access::Write) => matches!(protect, 4 | 8 | 0x40 | 0x80),
                    Some(Access::Execute) => crate::stacks::may_run(protect),
                    _ => true,
                }
        }
        // Without a list of regions only what the dump holds is known.
        None => {
            target.dump.memory_info().value().is_none_or(Vec::is_empty)
                && target.dump.memory().u8(va).is_some()
        }
    }
}
