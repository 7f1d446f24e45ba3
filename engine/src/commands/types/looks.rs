//! How the lines of `dt` look in the engine's layout.

/// How the lines look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Looks {
    /// `-r`: levels of nested structures and pointers that are opened.
    pub(crate) nesting: u32,
    /// `-b`: everything nested is opened, no pointer, elements of arrays one by one.
    pub(crate) blocks: bool,
    /// `-v`.
    pub(crate) verbose: bool,
    /// `-a` before a field: elements of arrays, at most so many.
    pub(crate) elements: Option<u64>,
    /// `-c`.
    pub(crate) compact: bool,
    /// `-o`.
    pub(crate) no_offsets: bool,
    /// `-i`.
    pub(crate) flat: bool,
    /// Width of names.
    pub(crate) width: usize,
}
