//! What a symbol file can answer, behind one trait.

mod breakpad;
mod coff;
mod dwarf;
mod exports;
pub(crate) mod merged;
pub mod pdb;
pub mod portable;
mod ranges;
mod table;
pub mod variable;

pub use breakpad::{Breakpad, BreakpadError};
pub use coff::Coff;
pub use dwarf::Dwarf;
pub use exports::Exports;

use crate::types::{TypeId, TypeProvider};
use dumpscope_core::Rva;
use std::fmt;

/// Where a name, a line or a type came from; better sources first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SymbolSource {
    /// A PDB with private symbols.
    PrivatePdb,
    /// A PDB with public symbols only.
    PublicPdb,
    /// A Breakpad `.sym` file.
    Breakpad,
    /// DWARF of the image.
    Dwarf,
    /// The COFF symbol table of the image.
    Coff,
    /// The export table of the image.
    Exports,
}

/// What a symbol is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SymbolKind {
    /// Code.
    Function,
    /// Data.
    Data,
    /// A hole that belongs to no named symbol (a section contribution without a name). [`SymbolProvider::lookup`]
    /// returns it, with an empty name, so that callers stop and say "no name" instead of asking a lesser source,
    /// which would credit the code to a neighbour.
    Placeholder,
    /// Not told (exports do not say).
    Unknown,
}

/// A named address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Start.
    pub rva: Rva,
    /// Bytes; `None` when the source does not say.
    pub size: Option<u32>,
    /// Undecorated name without parameters, as WinDbg shows it in stacks. Untrusted.
    pub name: String,
    /// The name as the file has it, when that differs. Untrusted.
    pub decorated: Option<String>,
    /// What it is.
    pub kind: SymbolKind,
    /// Where it came from.
    pub source: SymbolSource,
}

/// A source position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLine {
    /// File path as the symbol file has it. Untrusted.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Bytes from the line's first instruction to the address that was asked for.
    pub displacement: u32,
    /// Where it came from.
    pub source: SymbolSource,
}

/// An inlined call that covers an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InlineSite {
    /// Undecorated name of the inlined function. Untrusted.
    pub name: String,
    /// Where the address lies inside the inlined function's source.
    pub line: Option<SourceLine>,
    /// Start of the first code range of the inlined call.
    pub start: Rva,
    /// Where it came from.
    pub source: SymbolSource,
}

/// A symbol file (or table) of one module. All addresses are RVAs of that module.
pub trait SymbolProvider: Send + Sync + fmt::Debug {
    /// Its rank and name.
    fn source(&self) -> SymbolSource;

    /// For `lm`: the file it was read from (path on this machine), when it is one.
    fn file(&self) -> Option<&str> {
        None
    }

    /// The symbol that holds `rva`: the nearest one at or below it whose size, when known, covers it.
    fn lookup(&self, rva: Rva) -> Option<Symbol>;

    /// The first symbol above `rva` (for `ln`).
    fn next_after(&self, rva: Rva) -> Option<Symbol>;

    /// Symbols with exactly this name (any letter case when `ignore_case`).
    fn by_name(&self, name: &str, ignore_case: bool) -> Vec<Symbol>;

    /// Calls `f` for every symbol in address order until it returns false.
    fn each(&self, f: &mut dyn FnMut(&Symbol) -> bool);

    /// Source line of `rva`, in the outermost function (not an inlined one).
    fn line(&self, rva: Rva) -> Option<SourceLine> {
        let _ = rva;
        None
    }

    /// Where the code of a source line starts: of `line`, or of the next line that has code. `file` is the end of a
    /// path, in any letter case.
    fn line_address(&self, file: &str, line: u32) -> Option<Rva> {
        let _ = (file, line);
        None
    }

    /// Inlined calls that cover `rva`, innermost first. The `line` of a site is the position inside that inlined
    /// function; [`SymbolProvider::line`] then is the position of the call in the real function.
    fn inlines(&self, rva: Rva) -> Vec<InlineSite> {
        let _ = rva;
        Vec::new()
    }

    /// Parameters and local variables in scope at `rva`, parameters in the order of the declaration; `None` when
    /// the source tells nothing of the function's variables. Their types are those of [`SymbolProvider::types`].
    fn variables(&self, rva: Rva) -> Option<Vec<variable::Variable>> {
        let _ = rva;
        None
    }

    /// The type of the function that holds `rva`.
    fn function_type(&self, rva: Rva) -> Option<TypeId> {
        let _ = rva;
        None
    }

    /// The type of the variable at exactly `rva`.
    fn data_type(&self, rva: Rva) -> Option<TypeId> {
        let _ = rva;
        None
    }

    /// Type and value of the constant with exactly this name (`Class::limit`), of those that have no storage.
    fn constant(&self, name: &str) -> Option<(TypeId, i128)> {
        let _ = name;
        None
    }

    /// The source's types, when it has any.
    fn types(&self) -> Option<&dyn TypeProvider> {
        None
    }

    /// x86: bytes of parameters on the stack of the function at `rva`, when the source says.
    fn param_bytes(&self, rva: Rva) -> Option<u32> {
        let _ = rva;
        None
    }

    /// x86 frame data for `rva` (FPO, FrameData program, STACK WIN, STACK CFI).
    fn frame_data(&self, rva: Rva) -> Option<crate::unwind::FrameData> {
        let _ = rva;
        None
    }
}
