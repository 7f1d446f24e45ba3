//! The offsets in `SOleTlsData` that the COM library's export `CoGetCallState` tells, read out of its code.
//!
//! `CoGetCallState(type, ULONG *offset)` is how wait chain traversal finds them (public `wct.h`): type 0 is the
//! outgoing call, 1 the incoming one, 2 the activation (`docs/reference/com.md#thread-data`). The function is
//! followed for each of them, a few instructions, with the numbers that it is called with.

use super::emulate::follow;
use super::library;
use crate::Target;
use dumpscope_core::{Machine, Va};
use dumpscope_symbols::SymbolState;
use dumpscope_symbols::image::{ExportTable, PeHeaders};

/// The export.
const NAME: &str = "CoGetCallState";

/// Largest offset that is believed: the structure has some 0x300 bytes.
const MAX_OFFSET: u64 = 0x800;

/// What the code tells, bytes from the start of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offsets {
    pub outgoing: u64,
    pub incoming: u64,
    pub activation: u64,
}

/// Reads the code, when the dump or an image file has it.
pub(super) fn read(target: &Target, machine: Machine) -> Option<Offsets> {
    library::modules(target, machine).into_iter().find_map(|m| in_module(target, machine, m))
}

fn in_module(target: &Target, machine: Machine, index: usize) -> Option<Offsets> {
    let module = target.symbols.modules().get(index)?;
    // Image files are looked for when the stacks needed the library.
    if target.symbols.state(index) != SymbolState::Deferred {
        target.map_image(module.base.offset(0x1000));
    }
    let memory = target.dump.memory().as_ref();
    let headers = PeHeaders::read(memory, module.base).ok()?;
    let exports = ExportTable::read(memory, module.base, &headers).ok()?;
    let entry = exports.entries.iter().find(|e| e.named && e.name == NAME)?.rva.va(module.base);
    let inside = |at: Va| module.contains(at);
    let offset = |kind| follow(memory, machine, entry, kind, &inside).filter(|o| *o <= MAX_OFFSET);
    let out = Offsets { outgoing: offset(0)?, incoming: offset(1)?, activation: offset(2)? };
    let distinct = out.outgoing != out.incoming && out.incoming != out.activation;
    let aligned = [out.outgoing, out.incoming, out.activation].iter().all(|o| o.is_multiple_of(4) && *o > 0);
    (distinct && aligned && out.outgoing != out.activation).then_some(out)
}
