//! `STACK CFI` rules (Breakpad symbol files), for every machine.
//!
//! `.cfa: $rsp 8 + .ra: .cfa -8 + ^ $rbx: .cfa -16 + ^`: registers without a rule keep their value.

use super::Frame;
use super::postfix::{Evaluator, Value};
use super::step::{Cursor, Env};
use dumpscope_core::{Machine, Reg, RegSet, Va};

/// A caller's registers. Volatile ones are left as they are.
pub(crate) struct Done {
    pub(crate) cursor: Cursor,
    /// Where the return address was read from, when that was memory.
    pub(crate) return_slot: Option<Va>,
}

/// Most rules of one record.
const MAX_RULES: usize = 64;

/// Applies `rules` to `frame`. `None` when they are damaged or need what is not known.
pub(crate) fn apply(env: &Env<'_>, frame: &Frame, rules: &str) -> Option<Done> {
    let machine = frame.regs.machine();
    let mut evaluator = Evaluator::new(env, machine);
    for (number, name) in (0u8..).zip(RegSet::names(machine)) {
        if let Some(bits) = frame.regs.get(Reg(number)) {
            evaluator.set(name, Value::plain(bits));
            evaluator.set(&format!("${name}"), Value::plain(bits));
            if let Some(alias) = alias(machine, name) {
                evaluator.set(alias, Value::plain(bits));
            }
        }
    }
    let rules = split(rules)?;
    let rule = |name: &str| rules.iter().find(|(n, _)| *n == name).map(|(_, e)| e.as_str());
    let cfa = evaluator.expression(rule(".cfa")?)?;
    evaluator.set(".cfa", cfa);
    let ra = evaluator.expression(rule(".ra")?)?;
    let mut cursor = Cursor::of(frame);
    for (name, expression) in &rules {
        let Some(reg) = register(machine, name) else { continue };
        match evaluator.expression(expression) {
            Some(Value { bits, slot: Some(slot) }) => cursor.restored(reg, bits, slot),
            Some(Value { bits, slot: None }) => {
                cursor.forget(reg);
                cursor.regs.set(reg, bits);
            }
            None => cursor.forget(reg),
        }
    }
    let sp = RegSet::names(machine).get(usize::from(RegSet::sp_reg(machine).0)).copied().unwrap_or("sp");
    if rule(sp).is_none() && rule(&format!("${sp}")).is_none() {
        cursor.set_sp(Va(cfa.bits));
    }
    cursor.set_ip(Va(ra.bits));
    Some(Done { cursor, return_slot: ra.slot })
}

/// Splits `name: expression name: expression`.
fn split(rules: &str) -> Option<Vec<(&str, String)>> {
    let mut out: Vec<(&str, String)> = Vec::new();
    for token in rules.split_ascii_whitespace() {
        if let Some(name) = token.strip_suffix(':') {
            if out.len() >= MAX_RULES {
                return None;
            }
            out.push((name, String::new()));
        } else {
            let (_, expression) = out.last_mut()?;
            expression.push_str(token);
            expression.push(' ');
        }
    }
    Some(out)
}

/// Breakpad's names for ARM64 registers that WinDbg calls otherwise.
fn alias(machine: Machine, name: &str) -> Option<&'static str> {
    match (machine, name) {
        (Machine::Arm64, "fp") => Some("x29"),
        (Machine::Arm64, "lr") => Some("x30"),
        _ => None,
    }
}

fn register(machine: Machine, name: &str) -> Option<Reg> {
    let plain = match (machine, name) {
        (Machine::Arm64, "x29") => "fp",
        (Machine::Arm64, "x30") => "lr",
        _ => name.strip_prefix('$').unwrap_or(name),
    };
    RegSet::by_name(machine, plain)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{TestContext, TestMemory};
    use super::super::{EndReason, FrameData, Limits, Trust, walk};
    use dumpscope_core::base::{amd64, arm64};
    use dumpscope_core::{Machine, RegSet, Va};

    #[test]
    fn rules_for_x64() {
        let mut mem = TestMemory::default();
        mem.put(0x10_0000, &[0; 0x100]);
        mem.put64(0x10_0008, 0xb0b0);
        mem.put64(0x10_0010, 0x40_0100);
        let rules = ".cfa: $rsp 24 + .ra: .cfa -8 + ^ $rbx: .cfa -16 + ^".to_owned();
        let cx = TestContext {
            modules: vec![(0x40_0000, 0x1000)],
            frame_data: vec![(0x40_0000..0x40_0080, FrameData::Cfi { rules })],
            ..TestContext::default()
        };
        let mut regs = RegSet::new(Machine::Amd64);
        regs.set(amd64::RIP, 0x40_0010);
        regs.set(amd64::RSP, 0x10_0000);
        regs.set(amd64::R12, 12);
        regs.set(amd64::RCX, 1);
        let w = walk(&regs, &mem, &cx, Some((Va(0x10_0000), Va(0x10_0100))), &Limits::default());
        let f1 = &w.frames[1];
        assert_eq!((f1.ip, f1.sp, f1.trust), (Va(0x40_0100), Va(0x10_0018), Trust::Cfi));
        assert_eq!(f1.regs.get(amd64::RBX), Some(0xb0b0));
        assert_eq!(f1.saved_at, [(amd64::RBX, Va(0x10_0008))]);
        assert_eq!((f1.regs.get(amd64::R12), f1.regs.get(amd64::RCX)), (Some(12), None));
        assert_eq!(w.end, EndReason::NoCaller);
    }

    #[test]
    fn rules_for_arm64_return_through_lr() {
        let mut mem = TestMemory::default();
        mem.put(0x10_0000, &[0; 0x100]);
        let rules = ".cfa: sp 0 + .ra: x30".to_owned();
        let cx = TestContext {
            modules: vec![(0x40_0000, 0x1000)],
            frame_data: vec![(0x40_0000..0x40_0080, FrameData::Cfi { rules })],
            ..TestContext::default()
        };
        let mut regs = RegSet::new(Machine::Arm64);
        regs.set(arm64::PC, 0x40_0010);
        regs.set(arm64::SP, 0x10_0000);
        regs.set(arm64::LR, 0x40_0100);
        let w = walk(&regs, &mem, &cx, Some((Va(0x10_0000), Va(0x10_0100))), &Limits::default());
        assert_eq!((w.frames[1].ip, w.frames[1].trust), (Va(0x40_0100), Trust::Cfi));
    }
}
