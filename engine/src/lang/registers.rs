//! Register names: parts of registers, flags and segments as well as whole ones.

use crate::expr::RegisterMiss;
use dumpscope_core::context::Context;
use dumpscope_core::{Machine, Reg, RegSet};

/// Flags of EFLAGS by WinDbg's register names, with bit and width.
const FLAGS: &[(&str, u32, u32)] = &[
    ("cf", 0, 1),
    ("pf", 2, 1),
    ("af", 4, 1),
    ("zf", 6, 1),
    ("sf", 7, 1),
    ("tf", 8, 1),
    ("if", 9, 1),
    ("df", 10, 1),
    ("of", 11, 1),
    ("iopl", 12, 2),
    ("nt", 14, 1),
    ("rf", 16, 1),
    ("vm", 17, 1),
    ("ac", 18, 1),
    ("vif", 19, 1),
    ("vip", 20, 1),
];

/// Segment registers in the order of [`Context::segments`].
pub const SEGMENTS: [&str; 6] = ["cs", "ds", "es", "fs", "gs", "ss"];
/// Debug registers in the order of [`Context::debug`].
pub const DEBUG: [&str; 6] = ["dr0", "dr1", "dr2", "dr3", "dr6", "dr7"];

/// A register by name (any letter case, no `@`): its value and width in bits. `regs` are those of the selected
/// frame, `context` that of frame 0 (`None` in callers: flags and segments are not known there).
///
/// # Errors
/// No such register, or its value is not known.
pub fn lookup(name: &str, regs: &RegSet, context: Option<&Context>) -> Result<(u64, u32), RegisterMiss> {
    let name = name.to_ascii_lowercase();
    let machine = regs.machine();
    let wide = if machine.is_64() { 64 } else { 32 };
    if let Some(reg) = RegSet::by_name(machine, &name) {
        return regs.get(reg).map(|v| (v, wide)).ok_or(RegisterMiss::Unknown);
    }
    if let Some((reg, shift, bits)) = part(machine, &name) {
        let value = regs.get(reg).ok_or(RegisterMiss::Unknown)?;
        let mask = u64::MAX >> (64 - bits);
        return Ok((value >> shift & mask, bits));
    }
    let of_context = |f: &dyn Fn(&Context) -> Option<u64>, bits: u32| {
        context.and_then(f).map(|v| (v, bits)).ok_or(RegisterMiss::Unknown)
    };
    if machine == Machine::Arm64 {
        return match name.as_str() {
            "psr" | "cpsr" => of_context(&|c| Some(c.eflags.into()), 32),
            _ => Err(RegisterMiss::NoSuch),
        };
    }
    if matches!(name.as_str(), "efl" | "eflags" | "fl" | "flags") {
        return of_context(&|c| Some(c.eflags.into()), 32);
    }
    if let Some((_, bit, width)) = FLAGS.iter().find(|(n, _, _)| *n == name) {
        return of_context(&|c| Some(u64::from((c.eflags >> bit) & ((1 << width) - 1))), *width);
    }
    if let Some(i) = SEGMENTS.iter().position(|n| *n == name) {
        return of_context(&|c| c.segments.get(i).map(|v| u64::from(*v)), 16);
    }
    if let Some(i) = DEBUG.iter().position(|n| *n == name) {
        return of_context(&|c| c.debug.get(i).copied(), wide);
    }
    Err(RegisterMiss::NoSuch)
}

/// The register that a name (lower case) means, or is a part of, with the shift and the width of the part.
pub(crate) fn place(machine: Machine, name: &str) -> Option<(Reg, u32, u32)> {
    match RegSet::by_name(machine, name) {
        Some(reg) => Some((reg, 0, if machine.is_64() { 64 } else { 32 })),
        None => part(machine, name),
    }
}

/// Which bits of which register a part's name means: register, shift, width.
fn part(machine: Machine, name: &str) -> Option<(Reg, u32, u32)> {
    match machine {
        Machine::Arm64 => {
            let n: u8 = name.strip_prefix('w')?.parse().ok()?;
            (n <= 30).then_some((Reg(n), 0, 32))
        }
        Machine::X86 => {
            legacy_part(name).filter(|(_, shift, bits)| *bits < 32 && (*bits == 16 || part_ok(name, *shift)))
        }
        Machine::Amd64 | Machine::Other(_) => {
            if let Some(rest) = name.strip_prefix('r') {
                let digits = rest.trim_end_matches(|c: char| c.is_ascii_alphabetic());
                let n: u8 = digits.parse().ok()?;
                let bits = match rest.get(digits.len()..)? {
                    "d" => 32,
                    "w" => 16,
                    "b" | "l" => 8,
                    _ => return None,
                };
                return (8..=15).contains(&n).then_some((Reg(n), 0, bits));
            }
            legacy_part(name)
        }
    }
}

/// x86 has no `sil`, `dil`, `bpl`, `spl`.
fn part_ok(name: &str, shift: u32) -> bool {
    shift == 8 || matches!(name, "al" | "cl" | "dl" | "bl")
}

fn legacy_part(name: &str) -> Option<(Reg, u32, u32)> {
    const WORDS: [&str; 8] = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"];
    const LOW: [&str; 8] = ["al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"];
    const HIGH: [&str; 4] = ["ah", "ch", "dh", "bh"];
    let number = |list: &[&str], name: &str| {
        list.iter().position(|n| *n == name).and_then(|i| u8::try_from(i).ok()).map(Reg)
    };
    if let Some(reg) = number(&WORDS, name) {
        return Some((reg, 0, 16));
    }
    if let Some(reg) = number(&LOW, name) {
        return Some((reg, 0, 8));
    }
    if let Some(reg) = number(&HIGH, name) {
        return Some((reg, 8, 8));
    }
    if name == "eip" {
        return Some((Reg(16), 0, 32));
    }
    if name == "ip" {
        return None;
    }
    number(&WORDS, name.strip_prefix('e')?).map(|reg| (reg, 0, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_registers() {
        let mut regs = RegSet::new(Machine::Amd64);
        regs.set(Reg(0), 0x1122_3344_5566_7788);
        regs.set(Reg(8), 0x8070_6050_4030_2010);
        let get = |n: &str| lookup(n, &regs, None);
        assert_eq!(get("rax"), Ok((0x1122_3344_5566_7788, 64)));
        assert_eq!(get("EAX"), Ok((0x5566_7788, 32)));
        assert_eq!(get("ax"), Ok((0x7788, 16)));
        assert_eq!(get("ah"), Ok((0x77, 8)));
        assert_eq!(get("r8d"), Ok((0x4030_2010, 32)));
        assert_eq!(get("r8b"), Ok((0x10, 8)));
        assert_eq!(get("rbx"), Err(RegisterMiss::Unknown));
        assert_eq!(get("efl"), Err(RegisterMiss::Unknown));
        assert_eq!(get("foo"), Err(RegisterMiss::NoSuch));
        assert_eq!(get("r16d"), Err(RegisterMiss::NoSuch));
    }

    #[test]
    fn x86_has_no_new_byte_registers() {
        let mut regs = RegSet::new(Machine::X86);
        (0..9).for_each(|n| regs.set(Reg(n), 0x1234_5678));
        assert_eq!(lookup("sil", &regs, None), Err(RegisterMiss::NoSuch));
        assert_eq!(lookup("si", &regs, None), Ok((0x5678, 16)));
        assert_eq!(lookup("eax", &regs, None), Ok((0x1234_5678, 32)));
        assert_eq!(lookup("rax", &regs, None), Err(RegisterMiss::NoSuch));
    }
}
