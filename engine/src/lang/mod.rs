//! The command language: how lines are cut into commands, prefixes and arguments.

mod alias;
mod blocks;
mod cpp;
mod cursor;
mod env;
pub mod numbers;
mod prefix;
pub mod registers;
mod split;

pub use alias::{expand, expand_today};
pub use blocks::{block_command_end, take_group};
pub(crate) use cpp::{evaluate as evaluate_cpp, prefix as cpp_prefix};
pub use cursor::{Cursor, Range};
pub use env::SessionEnv;
pub use prefix::{Selector, ThreadPrefix, thread_prefix};
pub use split::{command_end, commands_of, line_end};

use dumpscope_core::Va;
use std::collections::{BTreeMap, BTreeSet};

/// What the language remembers between commands.
#[derive(Clone, Debug, Default)]
pub struct Language {
    /// `$t0` to `$t19`.
    pub temporaries: [u64; 20],
    /// Temporaries that `r?` gave a C++ type.
    pub typed: BTreeMap<usize, crate::expr::cpp::Value>,
    /// `$p`: the last value that a `d` command showed.
    pub last_value: u64,
    /// `$exp`: the last expression's value.
    pub last_expr: u64,
    /// Where `d` without an address goes on.
    pub next_data: Option<Va>,
    /// Where `u` without an address goes on.
    pub next_code: Option<Va>,
    /// Which `d` command `d` alone repeats.
    pub last_d: Option<String>,
    /// The name that the last `dt` was given, for `dt .`.
    pub last_type: Option<String>,
    /// Hits that `s -[s]` saved, for `s -[r]`.
    pub saved_hits: Vec<Va>,
    /// Aliases by name (`as`).
    pub aliases: BTreeMap<String, String>,
    /// `@$extret`: the element that `!list` is at.
    pub last_return: u64,
    /// Modules of which `!sym noisy` told how their symbols were looked for.
    pub told: BTreeSet<usize>,
    /// Whether `k` told that there is a 32-bit stack, too.
    pub told_guest: bool,
    /// Nesting of blocks and scripts.
    pub depth: u32,
    /// Scripts that the line has read.
    pub scripts: u32,
    /// `.symopt`: WinDbg's symbol options, once they were set.
    pub symbol_options: Option<u64>,
    /// Variables of `dx` (`@$name`).
    pub(crate) objects: BTreeMap<String, crate::dx::Val>,
    /// NatVis views in use.
    pub(crate) views: std::sync::Arc<crate::natvis::Views>,
    /// `.srcpath`: folders with source files, separated by `;`.
    pub source_path: String,
    /// The source file that `ls` lists: its path and the line that comes next.
    pub source_file: Option<(String, u32)>,
    /// `.asm`: which of WinDbg's options for code are set.
    pub asm_options: u32,
    /// The context in force is one that `r` changed.
    pub assigned: bool,
    /// `.enable_long_status`, `.force_radix_output`: 32-bit numbers with a sign are shown in the default radix.
    pub radix_numbers: bool,
    /// `.outmask`: kinds of output that are left out, as WinDbg's bits (2: errors).
    pub masked: u32,
    /// `.prompt_allow`: what differs from WinDbg's first setting, a bit for each word.
    pub prompt_words: u8,
}
