//! Where fields lie, by version of Ruby and size of a pointer.
//!
//! Heads of structures (frames, instruction sequences, strings, arrays) hold no types whose size differs between
//! systems: one table for all. Tails (thread, VM, ractor, fiber) differ on Windows: seen in cross-built 3.1.2 (x64,
//! x86) and 3.3.8 (x64), their DWARF is the source. Heads of other versions: the crate rbspy-ruby-structs (2.4 to
//! 4.0, Linux); their tails are measured, see `threads`. All offsets are bytes.

use super::recognise::Version;

/// How the lines of an instruction sequence are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lines {
    /// Sorted pairs of position and line; offsets in the body of the table and its size.
    Pairs { table: u64, size: u64 },
    /// A succinct index of positions; offset in the body, bytes of an entry.
    Succinct { info: u64, entry: u64 },
    /// Where the size lies is not known.
    Unknown,
}

/// Where the length of a string lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StringForm {
    /// Embedded ones have it in their flags.
    InFlags,
    /// 32 bits behind the header (`long` of Windows); text of embedded ones at this offset.
    Field { embedded: u64 },
}

/// Fields whose place depends on the system; `None` where it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    pub(super) ec_thread: u64,
    pub(super) ec_fiber: u64,
    pub(super) thread_vm: u64,
    pub(super) thread_ec: u64,
    pub(super) fiber_ec: Option<u64>,
    pub(super) thread_status: Option<u64>,
    pub(super) thread_locking: Option<u64>,
    pub(super) thread_keeping: Option<u64>,
    pub(super) thread_name: Option<u64>,
    pub(super) root_fiber: Option<u64>,
    pub(super) fiber_prev: Option<u64>,
    pub(super) vm: Option<VmTail>,
}

/// Fields of the VM and its main ractor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct VmTail {
    pub(super) main_ractor: u64,
    pub(super) main_thread: u64,
    pub(super) program_name: u64,
    pub(super) lock: u64,
    pub(super) running: u64,
}

/// Where everything lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Bytes of a pointer.
    pub(super) word: u64,
    /// Bytes of a control frame.
    pub(super) frame: u64,
    /// The location record in the body of an instruction sequence.
    pub(super) location: u64,
    /// The label in a location.
    pub(super) label: u64,
    pub(super) lines: Lines,
    pub(super) string: StringForm,
    /// Bits of the flags that count the items of an embedded array.
    pub(super) array_mask: u64,
    /// Backtraces give frames of Ruby's own library the place of their caller, and quote names otherwise (3.4).
    pub(super) hides_library: bool,
    /// The execution context is a part of the thread (2.4).
    pub(super) context_in_thread: bool,
    /// The tail that was seen on Windows.
    pub(super) tail: Option<Tail>,
}

impl Layout {
    /// The layout of a version; `None` for one that is not known.
    pub(super) fn of(version: Version, word: u64) -> Option<Layout> {
        let wide = word == 8;
        // Words of a control frame.
        let frame = match version.pair() {
            (2, 4 | 5) => 6,
            (2, 6 | 7) | (3, 0 | 3..=5) | (4, 0) => 7,
            (3, 1 | 2) => 8,
            _ => return None,
        };
        // In the body: 8 bytes, the code, 32 bytes of counts, two pointers; then the location.
        let location = 40 + 3 * word;
        let info = |node_and_ranges| location + node_and_ranges;
        let lines = match version.pair() {
            (2, 4) if wide => Lines::Pairs { table: 104, size: 192 },
            (2, 4 | 5) => Lines::Unknown,
            (2, 6 | 7) | (3, 0) => Lines::Succinct { info: info(if wide { 56 } else { 36 }), entry: 8 },
            (3, 1) => Lines::Succinct { info: info(if wide { 56 } else { 36 }), entry: 12 },
            _ => Lines::Succinct { info: info(if wide { 48 } else { 36 }), entry: 12 },
        };
        let string = match version.pair() {
            (2, _) | (3, 0 | 1) => StringForm::InFlags,
            (3, 2) => StringForm::Field { embedded: 2 * word + 4 },
            _ => StringForm::Field { embedded: 3 * word },
        };
        let tail = match (version.pair(), word) {
            ((3, 1), 8) => Some(TAIL_31),
            ((3, 1), 4) => Some(TAIL_31_X86),
            ((3, 3), 8) => Some(TAIL_33),
            _ => None,
        };
        Some(Layout {
            word,
            frame: frame * word,
            location,
            label: if version.pair() == (2, 4) { 3 * word } else { 2 * word },
            lines,
            string,
            array_mask: if version.pair() >= (3, 2) { 0x7f } else { 3 },
            hides_library: version.pair() >= (3, 4),
            context_in_thread: version.pair() == (2, 4),
            tail,
        })
    }
}

const TAIL_31: Tail = Tail {
    ec_thread: 56,
    ec_fiber: 48,
    thread_vm: 32,
    thread_ec: 40,
    fiber_ec: Some(80),
    thread_status: Some(88),
    thread_locking: Some(208),
    thread_keeping: Some(216),
    thread_name: Some(296),
    root_fiber: Some(272),
    fiber_prev: Some(600),
    vm: Some(VmTail { main_ractor: 32, main_thread: 40, program_name: 656, lock: 272, running: 280 }),
};

const TAIL_31_X86: Tail = Tail {
    ec_thread: 32,
    ec_fiber: 28,
    thread_vm: 16,
    thread_ec: 20,
    fiber_ec: Some(44),
    thread_status: Some(44),
    thread_locking: Some(112),
    thread_keeping: Some(116),
    thread_name: Some(156),
    root_fiber: Some(144),
    fiber_prev: Some(236),
    vm: Some(VmTail { main_ractor: 20, main_thread: 24, program_name: 360, lock: 172, running: 176 }),
};

const TAIL_33: Tail = Tail {
    thread_ec: 48,
    thread_status: Some(104),
    thread_locking: Some(216),
    thread_keeping: Some(224),
    thread_name: Some(304),
    root_fiber: Some(280),
    vm: Some(VmTail { main_ractor: 32, main_thread: 40, program_name: 808, lock: 272, running: 280 }),
    ..TAIL_31
};
