//! Names of values.

use super::ir::{Abi, RegNo};

/// Farthest slot from the stack pointer at entry, bytes.
pub(super) const MAX_OFFSET: i64 = 1 << 20;

/// Where a value has its name from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Root {
    /// Nothing is known.
    Unknown,
    /// The number itself.
    Const,
    /// The stack pointer at entry.
    Sp,
    /// A register at entry.
    Entry(RegNo),
    /// A stack word at entry, by its offset from the stack pointer at entry.
    Stack(i32),
    /// Made by the instruction at this address, in this place.
    Made(u64, i32),
    /// Differs between the paths into the block at this address, in this place.
    Met(u64, i32),
}

/// A named value plus a constant; only the low `bytes` bytes are known to agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sym {
    pub(super) root: Root,
    pub(super) add: i64,
    pub(super) bytes: u8,
}

impl Sym {
    pub(super) const UNKNOWN: Sym = Sym { root: Root::Unknown, add: 0, bytes: 8 };

    pub(super) fn of(root: Root) -> Sym {
        Sym { root, add: 0, bytes: 8 }
    }

    pub(super) fn plus(self, by: i64, abi: &Abi) -> Sym {
        if self.root == Root::Unknown {
            return self;
        }
        let add = self.add.wrapping_add(by);
        // Offsets are compared: on a 32-bit machine they have to be cut alike.
        let narrow = abi.word == 4 && self.root != Root::Const;
        Sym { add: if narrow { sign_extend(add) } else { add }, ..self }
    }

    /// The low `bytes` of it.
    pub(super) fn low(self, bytes: u8) -> Sym {
        Sym { bytes: self.bytes.min(bytes), ..self }
    }

    /// The offset from the stack pointer at entry, when it is such an address.
    pub(super) fn sp_offset(self, abi: &Abi) -> Option<i32> {
        (self.root == Root::Sp && self.bytes >= abi.word && self.add.abs() <= MAX_OFFSET)
            .then(|| i32::try_from(self.add).ok())?
    }
}

pub(super) fn sign_extend(value: i64) -> i64 {
    i64::from((value & 0xffff_ffff) as u32 as i32)
}

/// The number of a register as a place, apart from all slots.
pub(super) fn reg_place(reg: RegNo) -> i32 {
    i32::MIN + i32::from(reg)
}
