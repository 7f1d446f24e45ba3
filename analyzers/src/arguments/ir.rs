//! What an instruction does to registers and stack, as far as following a value needs it: the same form for all
//! machines, so that one data flow serves them all.

/// A register: the number of its full-width form in `dumpscope_core::base`'s numbering.
pub(super) type RegNo = u8;

/// An address as an instruction computes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mem {
    /// Base register.
    pub(super) base: Option<RegNo>,
    /// Displacement, or the whole address without a base.
    pub(super) disp: i64,
    /// Something more is added (a scaled index, a segment base): where it lies is not known.
    pub(super) fuzzy: bool,
}

/// A value as an instruction computes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Val {
    /// The low bytes of a register plus a constant.
    Reg(RegNo, i64),
    /// A constant.
    Const(u64),
    /// The first register minus the second.
    Minus(RegNo, RegNo),
    /// The register rounded down to a multiple of the size: how stack frames are aligned.
    Aligned(RegNo, u16),
    /// An address, not what lies there.
    Addr(Mem),
    /// Memory.
    Load(Mem),
    /// Something else.
    Unknown,
}

/// What an instruction changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// `reg` gets a value of which the low `bytes` count. With `rest_zero` the bytes above are zero, else they are
    /// not followed.
    Set {
        /// Where to.
        reg: RegNo,
        /// What.
        val: Val,
        /// How many low bytes of it.
        bytes: u8,
        /// The bytes above become zero.
        rest_zero: bool,
    },
    /// `bytes` bytes of memory get a value.
    Store {
        /// Where to.
        at: Mem,
        /// What.
        val: Val,
        /// How many bytes.
        bytes: u16,
    },
    /// A value goes on the stack.
    Push(Val),
    /// The top of the stack goes into a register.
    Pop(RegNo),
    /// The stack pointer takes the frame pointer's value, then the frame pointer is popped.
    Leave,
}

/// Where the processor goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// The next instruction.
    Next,
    /// Elsewhere.
    Jump(u64),
    /// Elsewhere or the next instruction.
    Branch(u64),
    /// Where a register or memory says.
    Indirect(Val),
    /// A call; then the next instruction.
    Call(Callee),
    /// Back to the caller, after removing so many bytes of arguments.
    Return(u16),
    /// A system call: volatile registers are lost.
    System,
    /// Nowhere: a breakpoint, an invalid instruction.
    Stop,
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Callee {
    /// This address.
    Direct(u64),
    /// What a register or memory says.
    Through(Val),
}

/// An instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Insn {
    /// Its address.
    pub(super) at: u64,
    /// Its bytes.
    pub(super) len: u8,
    /// What it changes, in order.
    pub(super) effects: Vec<Effect>,
    /// Registers whose value it uses, by number; saving one on the stack is no use.
    pub(super) reads: u64,
    /// Where it leads.
    pub(super) flow: Flow,
}

impl Insn {
    /// The address after it.
    pub(super) fn next(&self) -> u64 {
        self.at.wrapping_add(u64::from(self.len))
    }
}

/// Calling convention and register roles of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Abi {
    /// Bytes of a register and of a stack word.
    pub(super) word: u8,
    /// The stack pointer.
    pub(super) sp: RegNo,
    /// The frame pointer.
    pub(super) fp: RegNo,
    /// Registers that take arguments, in order. x86: ecx and edx, for this- and fastcall.
    pub(super) args: &'static [RegNo],
    /// Registers that a call may change.
    pub(super) volatile: &'static [RegNo],
    /// Registers that a function gives back as they were, without the frame pointer.
    pub(super) kept: &'static [RegNo],
    /// Number of registers that are followed.
    pub(super) count: u8,
    /// From the stack pointer at entry to the first argument on the stack.
    pub(super) first_stack_arg: i32,
    /// Bytes above the stack pointer at a call that belong to the callee: the home slots.
    pub(super) home: i32,
    /// A call puts the return address on the stack.
    pub(super) pushes_return: bool,
}

/// x86, Windows: the common conventions; `ecx` and `edx` carry arguments in some of them.
const X86: Abi = Abi {
    word: 4,
    sp: 4,
    fp: 5,
    args: &[1, 2],
    volatile: &[0, 1, 2],
    kept: &[3, 6, 7],
    count: 8,
    first_stack_arg: 4,
    home: 0,
    pushes_return: true,
};

/// x64, Windows ("x64 calling convention" of the Microsoft documentation).
const AMD64: Abi = Abi {
    word: 8,
    sp: 4,
    fp: 5,
    args: &[1, 2, 8, 9],
    volatile: &[0, 1, 2, 8, 9, 10, 11],
    kept: &[3, 6, 7, 12, 13, 14, 15],
    count: 16,
    first_stack_arg: 0x28,
    home: 0x20,
    pushes_return: true,
};

/// ARM64, Windows ("Overview of ARM64 ABI conventions"). x18 is the TEB: never changed.
const ARM64: Abi = Abi {
    word: 8,
    sp: 31,
    fp: 29,
    args: &[0, 1, 2, 3, 4, 5, 6, 7],
    volatile: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 30],
    kept: &[19, 20, 21, 22, 23, 24, 25, 26, 27, 28],
    count: 32,
    first_stack_arg: 0,
    home: 0,
    pushes_return: false,
};

impl Abi {
    /// The convention of a machine; `None` for machines whose code is not understood.
    pub(super) fn of(machine: dumpscope_core::Machine) -> Option<&'static Abi> {
        match machine {
            dumpscope_core::Machine::X86 => Some(&X86),
            dumpscope_core::Machine::Amd64 => Some(&AMD64),
            dumpscope_core::Machine::Arm64 => Some(&ARM64),
            dumpscope_core::Machine::Other(_) => None,
        }
    }

    /// A value cut to the machine's width.
    pub(super) fn wrap(&self, value: u64) -> u64 {
        if self.word == 4 { value & 0xffff_ffff } else { value }
    }
}
