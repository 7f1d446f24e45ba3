//! Bytes one after another, and the VM's numbers of variable length.

use dumpscope_core::{ReadMemory, Va};

/// Most bytes of one stream.
const MAX_BYTES: u32 = 1 << 20;

/// Reads on from an address.
pub(super) struct Stream<'m> {
    memory: &'m dyn ReadMemory,
    next: Va,
    chunk: [u8; 64],
    used: usize,
    filled: usize,
    left: u32,
    /// Smallest byte of a number: 1 since zero bytes end streams (JDK 20).
    low: u32,
}

impl<'m> Stream<'m> {
    pub(super) fn new(memory: &'m dyn ReadMemory, at: Va, major: u32) -> Stream<'m> {
        let low = u32::from(major >= 20);
        Stream { memory, next: at, chunk: [0; 64], used: 0, filled: 0, left: MAX_BYTES, low }
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        if self.used == self.filled {
            self.filled = self.memory.read_at(self.next, &mut self.chunk).got;
            self.next = self.next.offset(self.filled as u64);
            self.used = 0;
        }
        self.left = self.left.checked_sub(1)?;
        let byte = *self.chunk.get(..self.filled)?.get(self.used)?;
        self.used += 1;
        Some(byte)
    }

    /// UNSIGNED5: up to five bytes of 6 bits and more; one below 192 is the last.
    pub(super) fn number(&mut self) -> Option<u32> {
        let mut sum = 0u32;
        for k in 0..5 {
            let byte = u32::from(self.byte()?);
            sum = sum.wrapping_add(byte.checked_sub(self.low)?.wrapping_shl(6 * k));
            if byte < 192 {
                break;
            }
        }
        Some(sum)
    }

    /// The same with the sign in the lowest bit.
    pub(super) fn signed(&mut self) -> Option<i32> {
        let n = self.number()?;
        Some((n >> 1).cast_signed() ^ -(n & 1).cast_signed())
    }
}
