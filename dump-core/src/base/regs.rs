//! Integer registers of one frame, each known or unknown.

use super::{Machine, Va};

/// A register's number in its machine's numbering: see [`x86`], [`amd64`], [`arm64`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reg(pub u8);

macro_rules! registers {
    ($(#[$doc:meta])* $module:ident: $($num:literal $id:ident $name:literal,)*) => {
        $(#[$doc])*
        pub mod $module {
            use super::Reg;
            $(#[doc = $name] pub const $id: Reg = Reg($num);)*
            /// Names by number, as WinDbg writes them.
            pub const NAMES: &[&str] = &[$($name),*];
        }
    };
}

registers! {
    /// x86 registers, in the processor's encoding order.
    x86: 0 EAX "eax", 1 ECX "ecx", 2 EDX "edx", 3 EBX "ebx", 4 ESP "esp", 5 EBP "ebp", 6 ESI "esi", 7 EDI "edi",
    8 EIP "eip",
}
registers! {
    /// x64 registers, in the processor's encoding order.
    amd64: 0 RAX "rax", 1 RCX "rcx", 2 RDX "rdx", 3 RBX "rbx", 4 RSP "rsp", 5 RBP "rbp", 6 RSI "rsi", 7 RDI "rdi",
    8 R8 "r8", 9 R9 "r9", 10 R10 "r10", 11 R11 "r11", 12 R12 "r12", 13 R13 "r13", 14 R14 "r14", 15 R15 "r15",
    16 RIP "rip",
}
registers! {
    /// ARM64 registers: x0 to x28 by number, then fp, lr, sp, pc.
    arm64: 0 X0 "x0", 1 X1 "x1", 2 X2 "x2", 3 X3 "x3", 4 X4 "x4", 5 X5 "x5", 6 X6 "x6", 7 X7 "x7", 8 X8 "x8",
    9 X9 "x9", 10 X10 "x10", 11 X11 "x11", 12 X12 "x12", 13 X13 "x13", 14 X14 "x14", 15 X15 "x15", 16 X16 "x16",
    17 X17 "x17", 18 X18 "x18", 19 X19 "x19", 20 X20 "x20", 21 X21 "x21", 22 X22 "x22", 23 X23 "x23",
    24 X24 "x24", 25 X25 "x25", 26 X26 "x26", 27 X27 "x27", 28 X28 "x28", 29 FP "fp", 30 LR "lr", 31 SP "sp",
    32 PC "pc",
}

const COUNT: usize = 33;

/// Integer registers of one frame. In callers' frames volatile registers are unknown: the walk clears what it
/// cannot restore, so a value that is there was really restored (or is the dump's own, in frame 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegSet {
    machine: Machine,
    values: [u64; COUNT],
    known: u64,
}

impl RegSet {
    /// All registers unknown.
    #[must_use]
    pub fn new(machine: Machine) -> RegSet {
        RegSet { machine, values: [0; COUNT], known: 0 }
    }

    /// The architecture whose numbering counts.
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// The register's value, if known.
    #[must_use]
    pub fn get(&self, reg: Reg) -> Option<u64> {
        let value = self.values.get(usize::from(reg.0))?;
        (self.known >> reg.0 & 1 == 1).then_some(*value)
    }

    /// Sets a register; numbers that the machine does not have are ignored.
    pub fn set(&mut self, reg: Reg, value: u64) {
        if let Some(slot) = self.values.get_mut(usize::from(reg.0)) {
            *slot = if self.machine.is_64() { value } else { value & 0xffff_ffff };
            self.known |= 1 << reg.0;
        }
    }

    /// Makes a register unknown.
    pub fn clear(&mut self, reg: Reg) {
        if usize::from(reg.0) < COUNT {
            self.known &= !(1 << reg.0);
        }
    }

    /// The instruction pointer's number on `machine`.
    #[must_use]
    pub fn ip_reg(machine: Machine) -> Reg {
        match machine {
            Machine::X86 => x86::EIP,
            Machine::Arm64 => arm64::PC,
            Machine::Amd64 | Machine::Other(_) => amd64::RIP,
        }
    }

    /// The stack pointer's number on `machine`.
    #[must_use]
    pub fn sp_reg(machine: Machine) -> Reg {
        match machine {
            Machine::Arm64 => arm64::SP,
            Machine::X86 | Machine::Amd64 | Machine::Other(_) => Reg(4),
        }
    }

    /// The frame pointer's number on `machine` (ebp, rbp, fp).
    #[must_use]
    pub fn fp_reg(machine: Machine) -> Reg {
        match machine {
            Machine::Arm64 => arm64::FP,
            Machine::X86 | Machine::Amd64 | Machine::Other(_) => Reg(5),
        }
    }

    /// The instruction pointer.
    #[must_use]
    pub fn ip(&self) -> Option<Va> {
        self.get(Self::ip_reg(self.machine)).map(Va)
    }

    /// The stack pointer.
    #[must_use]
    pub fn sp(&self) -> Option<Va> {
        self.get(Self::sp_reg(self.machine)).map(Va)
    }

    /// The frame pointer.
    #[must_use]
    pub fn fp(&self) -> Option<Va> {
        self.get(Self::fp_reg(self.machine)).map(Va)
    }

    /// Names by number for `machine`, as WinDbg writes them.
    #[must_use]
    pub fn names(machine: Machine) -> &'static [&'static str] {
        match machine {
            Machine::X86 => x86::NAMES,
            Machine::Arm64 => arm64::NAMES,
            Machine::Amd64 | Machine::Other(_) => amd64::NAMES,
        }
    }

    /// The number of a full-width register by name, in any letter case.
    #[must_use]
    pub fn by_name(machine: Machine, name: &str) -> Option<Reg> {
        let at = Self::names(machine).iter().position(|n| n.eq_ignore_ascii_case(name))?;
        u8::try_from(at).ok().map(Reg)
    }
}
