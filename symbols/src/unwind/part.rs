//! Where functions start and end, as unwind data says.

use super::UnwindCache;
use super::x64;
use dumpscope_core::{Machine, ReadMemory, Va};

/// A piece of a function that lies in one place. Optimizers move rarely used code away from the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionPart {
    /// First byte of the piece.
    pub begin: Va,
    /// First byte after it.
    pub end: Va,
    /// First byte of the function that it belongs to: where calls enter it.
    pub entry: Va,
}

/// The piece that holds `va`, from the unwind data of the image of `size` bytes at `base`. x64 only; `None` when
/// there is none for `va` or it cannot be read.
#[must_use]
pub fn function_part(
    mem: &dyn ReadMemory,
    cache: &UnwindCache,
    (base, size): (Va, u32),
    va: Va,
) -> Option<FunctionPart> {
    let image = cache.image(mem, base, size)?;
    if image.machine != Machine::Amd64 {
        return None;
    }
    let (begin, end, entry) = x64::part(mem, &image, va.rva(base)?)?;
    Some(FunctionPart { begin: begin.va(base), end: end.va(base), entry: entry.va(base) })
}
