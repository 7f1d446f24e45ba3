//! The x86 virtual frame pointer, from which the debug information of optimized code counts.

use super::postfix::{Evaluator, Value};
use super::step::Env;
use super::{FrameData, Limits, UnwindContext};
use dumpscope_core::base::x86;
use dumpscope_core::{Machine, ReadMemory, RegSet, Va};

/// A program needs no modules.
struct NoModules;

impl UnwindContext for NoModules {
    fn module_at(&self, _va: Va) -> Option<(Va, u32)> {
        None
    }
}

/// The virtual frame pointer (`$T0` of the frame data's program) in a frame with these registers, whose return
/// address lies at `return_slot`. Without a program it is `return_slot` itself.
///
/// `None` when the program fails or `return_slot` is not known where it is needed.
#[must_use]
pub fn virtual_frame(
    data: Option<&FrameData>,
    regs: &RegSet,
    return_slot: Option<Va>,
    mem: &dyn ReadMemory,
) -> Option<Va> {
    let Some(FrameData::Program { params, locals, saved_regs, program, .. }) = data else {
        return return_slot;
    };
    let limits = Limits::default();
    let env = Env::new(mem, &NoModules, None, &limits);
    let mut evaluator = Evaluator::new(&env, Machine::X86);
    let registers =
        [(x86::EBP, "$ebp"), (x86::EBX, "$ebx"), (x86::ESI, "$esi"), (x86::EDI, "$edi"), (x86::ESP, "$esp")];
    for (reg, name) in registers {
        if let Some(bits) = regs.get(reg) {
            evaluator.set(name, Value::plain(bits));
        }
    }
    for (name, value) in [(".cbParams", params), (".cbLocals", locals), (".cbSavedRegs", saved_regs)] {
        evaluator.set(name, Value::plain((*value).into()));
    }
    if let Some(slot) = return_slot {
        evaluator.set(".raSearch", Value::plain(slot.0));
        evaluator.set(".raSearchStart", Value::plain(slot.0));
    }
    evaluator.run(program)?;
    evaluator.get("$T0").map(|v| Va(v.bits))
}

#[cfg(test)]
mod tests {
    use super::super::testing::TestMemory;
    use super::*;
    use dumpscope_core::Rva;

    fn frame(program: &str) -> Option<Va> {
        let mut mem = TestMemory::default();
        for at in (0x1000..0x1100).step_by(4) {
            mem.put32(at, 0x40_0000);
        }
        let mut regs = RegSet::new(Machine::X86);
        regs.set(x86::EBP, 0x1080);
        let data = FrameData::Program {
            start: Rva(0),
            size: 1,
            params: 8,
            locals: 0,
            saved_regs: 4,
            program: program.to_owned(),
        };
        virtual_frame(Some(&data), &regs, Some(Va(0x1084)), &mem)
    }

    #[test]
    fn programs_place_it() {
        assert_eq!(frame("$T0 .raSearch = $eip $T0 ^ = $esp $T0 4 + ="), Some(Va(0x1084)));
        assert_eq!(frame("$T0 $ebp = $eip $T0 4 + ^ = $ebp $T0 ^ = $esp $T0 8 + ="), Some(Va(0x1080)));
        // A frame aligned to eight bytes.
        let aligned = "$T1 .raSearch = $T0 $T1 4 - 8 @ = $ebp $T1 4 - ^ = $eip $T1 ^ = $esp $T1 4 + =";
        assert_eq!(frame(aligned), Some(Va(0x1080)));
        assert_eq!(frame("$T0 $ecx ="), None);
        assert_eq!(frame("$eip $ebp ^ ="), None);
    }

    #[test]
    fn without_a_program_it_is_where_the_return_address_is() {
        let mem = TestMemory::default();
        let regs = RegSet::new(Machine::X86);
        assert_eq!(virtual_frame(None, &regs, Some(Va(0x1084)), &mem), Some(Va(0x1084)));
        assert_eq!(virtual_frame(None, &regs, None, &mem), None);
    }
}
