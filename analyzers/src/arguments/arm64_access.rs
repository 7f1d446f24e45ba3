//! What an ARM64 instruction wants of memory, by registers: for the analysis of faults.

use super::ir::{Effect, Mem, Val};
use super::lift_arm64::decode;
use crate::Target;
use dumpscope_core::{ReadMemory, Reg, RegSet, Va};

/// An access to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arm64Access {
    pub(crate) base: Reg,
    pub(crate) displacement: i64,
    pub(crate) size: u32,
    pub(crate) writes: bool,
}

/// The access of the instruction at `at` that `wanted` lies in. Without a base register alone (an index is added)
/// there is none.
pub(crate) fn arm64_access(
    target: &Target,
    regs: &RegSet,
    at: Va,
    wanted: Option<u64>,
) -> Option<Arm64Access> {
    let mut bytes = [0u8; 4];
    let got = target.dump.memory().read_at(at, &mut bytes).got;
    let insn = decode(at.0, bytes.get(..got)?)?;
    let of = |mem: &Mem, size: u32, writes: bool| {
        let base = Reg(mem.base.filter(|_| !mem.fuzzy)?);
        let address = regs.get(base)?.wrapping_add_signed(mem.disp);
        let hit = wanted.is_none_or(|w| w.wrapping_sub(address) < u64::from(size.max(1)));
        hit.then_some(Arm64Access { base, displacement: mem.disp, size, writes })
    };
    insn.effects.iter().find_map(|e| match e {
        Effect::Set { val: Val::Load(mem), bytes, .. } => of(mem, u32::from(*bytes), false),
        Effect::Store { at, bytes, .. } => of(at, u32::from(*bytes), true),
        _ => None,
    })
}
