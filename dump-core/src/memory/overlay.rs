//! Image files of this machine, laid where the dump has no bytes.

use crate::base::{Rva, Va};
use std::sync::Arc;

/// A part of an image file: a header or a section, as the loader would map it.
#[derive(Clone, Debug)]
pub struct ImageSection {
    /// Where it starts in the image.
    pub rva: Rva,
    /// Its bytes (relocated by the caller when that matters).
    pub bytes: Arc<[u8]>,
}

/// One part at its address.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) start: u64,
    /// Exclusive.
    pub(crate) end: u64,
    pub(crate) bytes: Arc<[u8]>,
}

impl Part {
    /// The bytes at `from..to`, which must lie in the part.
    pub(crate) fn slice(&self, from: u64, to: u64) -> Option<&[u8]> {
        let a = usize::try_from(from.checked_sub(self.start)?).ok()?;
        let b = usize::try_from(to.checked_sub(self.start)?).ok()?;
        self.bytes.get(a..b)
    }
}

/// Parts sorted by address, disjoint: a part that overlaps an earlier one is not taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overlay {
    parts: Vec<Part>,
}

impl Overlay {
    /// Adds a section; false when it overlaps another one, is empty or goes beyond the address space.
    pub(crate) fn add(&mut self, base: Va, section: &ImageSection) -> bool {
        let start = base.0.checked_add(section.rva.0.into());
        let end = start.and_then(|s| s.checked_add(section.bytes.len() as u64));
        let (Some(start), Some(end)) = (start, end) else { return false };
        let at = self.parts.partition_point(|p| p.end <= start);
        let free = self.parts.get(at).is_none_or(|next| end <= next.start);
        if start == end || !free {
            return false;
        }
        self.parts.insert(at, Part { start, end, bytes: Arc::clone(&section.bytes) });
        true
    }

    /// The part that holds `va`, or the next one after it.
    pub(crate) fn at_or_after(&self, va: u64) -> Option<&Part> {
        self.parts.get(self.parts.partition_point(|p| p.end <= va))
    }

    /// All parts in address order.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }
}
