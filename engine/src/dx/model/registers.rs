//! Registers of a thread, in the engine's order.

use super::{Members, Model, m};
use crate::dx::value::Val;
use crate::dx::world::World;
use crate::lang::registers::lookup;
use dumpscope_core::context::Context;
use dumpscope_core::{Machine, RegSet, ThreadIdx};

const X64: &[&str] = &[
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp", "rip", "efl", "cs", "ds", "es", "fs", "gs", "ss",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "dr0", "dr1", "dr2", "dr3", "dr6", "dr7", "exfrom",
    "exto", "brfrom", "brto", "eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d",
    "r11d", "r12d", "r13d", "r14d", "r15d", "eip", "ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8w",
    "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w", "ip", "fl", "al", "cl", "dl", "bl", "spl", "bpl",
    "sil", "dil", "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b", "ah", "ch", "dh", "bh",
    "iopl", "of", "df", "if", "tf", "sf", "zf", "af", "pf", "cf", "vip", "vif",
];

const X86: &[&str] = &[
    "eax", "ebx", "ecx", "edx", "esi", "edi", "esp", "ebp", "eip", "efl", "cs", "ds", "es", "fs", "gs", "ss",
    "dr0", "dr1", "dr2", "dr3", "dr6", "dr7", "di", "si", "bx", "dx", "cx", "ax", "bp", "ip", "fl", "sp",
    "bl", "dl", "cl", "al", "bh", "dh", "ch", "ah", "iopl", "of", "df", "if", "tf", "sf", "zf", "af", "pf",
    "cf", "vip", "vif",
];

impl World<'_> {
    pub(super) fn register_groups(&self, thread: ThreadIdx) -> Members {
        let other = || Val::Model(Model::OtherRegisters);
        let mut out = vec![
            m("User", Val::Model(Model::UserRegisters(thread))),
            m("SIMD", other()),
            m("FloatingPoint", other()),
        ];
        if self.session.sel.machine.is_64() {
            out.push(m("CET", other()));
        }
        out
    }

    fn context(&self, thread: ThreadIdx) -> Option<Context> {
        let session = self.session;
        if session.sel.thread == Some(thread) {
            return session.context();
        }
        let dump = session.dump();
        match session.sel.machine == Machine::X86 && dump.machine() != Machine::X86 {
            true => dump.wow64_context(thread),
            false => dump.context(thread),
        }
    }

    pub(super) fn user_registers(&self, thread: ThreadIdx) -> Members {
        let Some(context) = self.context(thread) else { return Vec::new() };
        let machine = context.regs.machine();
        let names: Vec<&str> = match machine {
            Machine::Amd64 => X64.to_vec(),
            Machine::X86 => X86.to_vec(),
            Machine::Arm64 | Machine::Other(_) => RegSet::names(machine).to_vec(),
        };
        let value = |name: &str| -> Option<u64> {
            let whole = |name: &str| lookup(name, &context.regs, Some(&context)).ok().map(|(v, _)| v);
            match (machine, name) {
                // Low halves that `r` has no names for.
                (Machine::Amd64, "ip") => whole("rip").map(|v| v & 0xffff),
                (Machine::X86, "ip") => whole("eip").map(|v| v & 0xffff),
                (_, "fl") => whole("efl").map(|v| v & 0xffff),
                (_, "exfrom" | "exto" | "brfrom" | "brto") => Some(0),
                _ => whole(name),
            }
        };
        names.iter().filter_map(|name| Some(m(name, Val::uint(value(name)?)))).collect()
    }
}
