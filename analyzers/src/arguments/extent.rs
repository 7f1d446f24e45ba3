//! Which code belongs to a function.

use super::code::Bounds;
use crate::Target;
use dumpscope_core::{Machine, Va};
use dumpscope_symbols::unwind::{FunctionPart, function_part};
use std::cell::Cell;

/// The function that starts at an entry.
pub(super) struct Extent<'a> {
    target: &'a Target,
    entry: Va,
    /// Unwind data tell its parts.
    known: bool,
    /// The part that was asked for last.
    last: Cell<Option<(Va, Va)>>,
}

/// The piece of a function that holds `va`, where unwind data tell it.
pub(crate) fn part_at(target: &Target, va: Va) -> Option<FunctionPart> {
    let module = target.symbols.modules().get(target.symbols.module_at(va)?)?;
    target.map_image(va);
    let memory = target.dump.memory().as_ref();
    function_part(memory, &target.unwind, (module.base, module.size), va)
}

impl<'a> Extent<'a> {
    pub(super) fn new(target: &'a Target, machine: Machine, entry: Va) -> Extent<'a> {
        target.map_image(entry);
        let part = (machine != Machine::X86).then(|| part_at(target, entry)).flatten();
        Extent { target, entry, known: part.is_some_and(|p| p.begin == entry), last: Cell::new(None) }
    }
}

impl Bounds for Extent<'_> {
    fn part(&self, va: Va) -> Option<(Va, Va)> {
        if let Some((begin, end)) = self.last.get().filter(|(b, e)| va >= *b && va < *e) {
            return Some((begin, end));
        }
        let part = part_at(self.target, va).filter(|p| p.entry == self.entry)?;
        self.last.set(Some((part.begin, part.end)));
        Some((part.begin, part.end))
    }

    fn leaves(&self, va: Va) -> bool {
        if va == self.entry {
            return false;
        }
        let symbols = &self.target.symbols;
        symbols.module_at(va) != symbols.module_at(self.entry)
            || symbols.resolve(va).is_some_and(|r| r.symbol.is_some() && r.displacement == 0)
    }

    fn known(&self) -> bool {
        self.known
    }
}
