//! Address kinds that must not mix.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A virtual address in the dumped process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Va(pub u64);

/// An offset from the base of a loaded module.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Rva(pub u32);

/// An offset in a file (the dump, an image or a symbol file).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FileOff(pub u64);

impl Va {
    /// This address plus `n` bytes, wrapping at 2^64 as the processor does.
    #[must_use]
    pub fn offset(self, n: u64) -> Va {
        Va(self.0.wrapping_add(n))
    }

    /// This address minus `n` bytes, wrapping.
    #[must_use]
    pub fn back(self, n: u64) -> Va {
        Va(self.0.wrapping_sub(n))
    }

    /// This address plus `n` bytes, or `None` on overflow.
    #[must_use]
    pub fn checked_add(self, n: u64) -> Option<Va> {
        self.0.checked_add(n).map(Va)
    }

    /// Bytes from `base` up to this address, or `None` when this address is lower.
    #[must_use]
    pub fn distance_from(self, base: Va) -> Option<u64> {
        self.0.checked_sub(base.0)
    }

    /// The RVA of this address in a module loaded at `base`.
    #[must_use]
    pub fn rva(self, base: Va) -> Option<Rva> {
        u32::try_from(self.distance_from(base)?).ok().map(Rva)
    }

    /// True for address zero.
    #[must_use]
    pub fn is_null(self) -> bool {
        self.0 == 0
    }
}

impl Rva {
    /// The address of this RVA in a module loaded at `base`.
    #[must_use]
    pub fn va(self, base: Va) -> Va {
        base.offset(u64::from(self.0))
    }
}

impl fmt::Debug for Va {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Va({:#x})", self.0)
    }
}

impl fmt::Debug for Rva {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rva({:#x})", self.0)
    }
}

impl fmt::Debug for FileOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileOff({:#x})", self.0)
    }
}
