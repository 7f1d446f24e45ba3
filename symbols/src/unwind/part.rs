//! Where functions start and end, as unwind data says.

use super::UnwindCache;
use super::{arm64, x64};
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

/// The piece that holds `va`, from the unwind data of the image of `size` bytes at `base`. x64 and ARM64; `None` when
/// there is none for `va`, it cannot be read, or it does not tell which function the piece belongs to.
#[must_use]
pub fn function_part(
    mem: &dyn ReadMemory,
    cache: &UnwindCache,
    (base, size): (Va, u32),
    va: Va,
) -> Option<FunctionPart> {
    let image = cache.image(mem, base, size)?;
    let rva = va.rva(base)?;
    let (begin, end, entry) = match image.machine {
        Machine::Amd64 => x64::part(mem, &image, rva)?,
        Machine::Arm64 => arm64::part(mem, &image, rva)?,
        _ => return None,
    };
    Some(FunctionPart { begin: begin.va(base), end: end.va(base), entry: entry.va(base) })
}
