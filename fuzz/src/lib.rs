//! What the fuzz targets do with their bytes. Nothing here may panic, hang or allocate from an unchecked count.
//!
//! The targets run under libFuzzer (`cargo fuzz run -s none TARGET`) and, without it, in the `replay` program,
//! which changes small fixtures at random or replays files.

pub mod attack;
mod commands;
mod dump;
mod expression;
pub mod replay;
mod runtimes;
mod shrink;
mod stack;
mod symbols;
mod win32;

pub use commands::command_line;
pub use dump::open_and_read_everything;
pub use expression::expression;
pub use runtimes::{runtimes, runtimes_java, runtimes_ruby};
pub use shrink::shrink;
pub use stack::unwind;
pub use symbols::{breakpad_file, demangle, packed_file, pdb_file, symbol_path};
pub use win32::win32_table;

/// A target with inputs to start from.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub run: fn(&[u8]),
    /// Inputs that reach deep.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target { name: "open_and_read_everything", run: open_and_read_everything, seeds: dump::seeds },
    Target { name: "shrink", run: shrink, seeds: dump::seeds },
    Target { name: "unwind", run: unwind, seeds: stack::seeds },
    Target { name: "runtimes", run: runtimes, seeds: runtimes::seeds },
    Target { name: "runtimes_java", run: runtimes_java, seeds: runtimes::seeds_java },
    Target { name: "runtimes_ruby", run: runtimes_ruby, seeds: runtimes::seeds_ruby },
    Target { name: "expression", run: expression, seeds: expression::seeds },
    Target { name: "command_line", run: command_line, seeds: commands::seeds },
    Target { name: "symbol_path", run: symbol_path, seeds: symbols::path_seeds },
    Target { name: "pdb_file", run: pdb_file, seeds: symbols::pdb_seeds },
    Target { name: "breakpad_file", run: breakpad_file, seeds: symbols::breakpad_seeds },
    Target { name: "packed_file", run: packed_file, seeds: symbols::packed_seeds },
    Target { name: "demangle", run: demangle, seeds: symbols::name_seeds },
    Target { name: "win32_table", run: win32_table, seeds: win32::seeds },
];
