//! What expressions may ask of the world.

use super::error::ExprError;
use dumpscope_core::Machine;

/// Why a symbol has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolMiss {
    /// No such symbol or module.
    NotFound,
    /// Several symbols at different addresses have the name.
    Ambiguous,
}

/// Why a register has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterMiss {
    /// The machine has no register of that name.
    NoSuch,
    /// There is one, but its value is not known here (volatile, in a caller's frame; no context).
    Unknown,
}

/// Registers, symbols and memory as an expression sees them.
pub trait Env {
    /// The machine whose pointers and registers count.
    fn machine(&self) -> Machine;

    /// Default number base: 16, 10 or 8.
    fn radix(&self) -> u32 {
        16
    }

    /// True when errors are placed and worded as today's engine does it.
    fn modern(&self) -> bool {
        false
    }

    /// A register by name without `@`, any letter case, and its width in bits (64, 32, 16, 8).
    ///
    /// # Errors
    /// No such register, or not known.
    fn register(&self, name: &str) -> Result<(u64, u32), RegisterMiss>;

    /// A pseudo-register by name without `$`, lower case. `None`: no such one. `Err`: no value here.
    fn pseudo(&self, name: &str) -> Option<Result<u64, RegisterMiss>>;

    /// Address of `module!name`, or of `name` in any module.
    ///
    /// # Errors
    /// Not found, or ambiguous.
    fn symbol(&self, module: Option<&str>, name: &str) -> Result<u64, SymbolMiss>;

    /// The lines that tell which symbols an ambiguous name matched.
    fn matches(&self, module: Option<&str>, name: &str) -> Vec<String> {
        let _ = (module, name);
        Vec::new()
    }

    /// A local variable of the selected frame: its address, as for every symbol in MASM, or its value when it is in a
    /// register. `None`: no such variable; `Some(None)`: it is nowhere at this place in the code.
    #[allow(clippy::option_option, reason = "no variable, no place, a place: three outcomes")]
    fn local(&self, name: &str) -> Option<Option<u64>> {
        let _ = name;
        None
    }

    /// Address of a source line (`` `module!file:line` ``).
    fn source_line(&self, module: Option<&str>, file: &str, line: u32) -> Option<u64> {
        let _ = (module, file, line);
        None
    }

    /// Base of a segment register's segment (`fs:`, `gs:`; 0 for flat ones).
    fn segment(&self, name: &str) -> Option<u64> {
        let _ = name;
        None
    }

    /// Reads memory; gives how many bytes from the start were known.
    fn read(&self, va: u64, buf: &mut [u8]) -> usize;

    /// Value of a C++ expression (`@@c++(...)`). `None`: there is no C++ evaluator. `Err`: what is wrong where in `text`.
    fn cpp(&self, text: &str) -> Option<Result<u64, ExprError>> {
        let _ = text;
        None
    }
}
