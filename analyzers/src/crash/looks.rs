//! What a number looks like: fill patterns of allocators, text, places where no program has memory.
//!
//! Source of the patterns: documentation and open sources of the debug CRT, the Windows debug heap and page heap
//! ("Debug heap" and "GFlags and PageHeap" of the Microsoft documentation), jemalloc, PartitionAlloc, WebKit.

use crate::model::{Look, Pattern, PatternKind};
use dumpscope_core::Machine;

impl PatternKind {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            PatternKind::Uninitialised => "uninitialised memory",
            PatternKind::Freed => "freed memory",
            PatternKind::Guard => "bytes around a heap block",
            PatternKind::Mark => "a mark",
        }
    }
}

const fn pattern(value: u32, kind: PatternKind, text: &'static str) -> Pattern {
    Pattern { value, kind, text }
}

/// All known patterns.
pub const PATTERNS: &[Pattern] = &[
    pattern(0xcdcd_cdcd, PatternKind::Uninitialised, "the debug CRT's fill of new heap memory"),
    pattern(0xcccc_cccc, PatternKind::Uninitialised, "the compiler's fill of new stack memory (/RTC)"),
    pattern(0xbaad_f00d, PatternKind::Uninitialised, "the debug heap's fill of new memory"),
    pattern(0xe0e0_e0e0, PatternKind::Uninitialised, "light page heap's fill of new memory"),
    pattern(0xc0c0_c0c0, PatternKind::Uninitialised, "page heap's fill of new memory"),
    pattern(0xe4e4_e4e4, PatternKind::Uninitialised, "jemalloc's fill of new memory"),
    pattern(0xa5a5_a5a5, PatternKind::Uninitialised, "jemalloc's fill of new memory"),
    pattern(0xbebe_bebe, PatternKind::Uninitialised, "AddressSanitizer's fill of new memory"),
    pattern(0xaaaa_aaaa, PatternKind::Uninitialised, "a fill of undefined memory"),
    pattern(0xdddd_dddd, PatternKind::Freed, "the debug CRT's fill of freed heap memory"),
    pattern(0xfeee_feee, PatternKind::Freed, "the debug heap's fill of freed memory"),
    pattern(0xf0f0_f0f0, PatternKind::Freed, "page heap's fill of freed memory"),
    pattern(0xe5e5_e5e5, PatternKind::Freed, "jemalloc's fill of freed memory"),
    pattern(0x5a5a_5a5a, PatternKind::Freed, "jemalloc's fill of freed memory"),
    pattern(0xefef_efef, PatternKind::Freed, "PartitionAlloc's fill of freed memory"),
    pattern(0xfdfd_fdfd, PatternKind::Guard, "the debug CRT's bytes around a heap block"),
    pattern(0xabab_abab, PatternKind::Guard, "the debug heap's bytes behind a block"),
    pattern(0xd0d0_d0d0, PatternKind::Guard, "page heap's bytes behind a block"),
    pattern(0xfefe_fefe, PatternKind::Mark, "the debug CRT's fill behind copied strings"),
    pattern(0xdead_beef, PatternKind::Mark, "DEADBEEF"),
    pattern(0xdead_dead, PatternKind::Mark, "DEADDEAD"),
    pattern(0xbbad_beef, PatternKind::Mark, "WebKit's deliberate crash"),
    pattern(0xf0de_a7ff, PatternKind::Freed, "Firefox's poison"),
];

/// Addresses below are never mapped by Windows programs.
pub(crate) const NULL_AREA: u64 = 0x1_0000;

/// How far a member may lie behind the start of an object.
const MEMBER: u64 = 0x1_0000;

/// What `value` looks like, on a machine. `None`: like any number.
#[must_use]
pub fn look(value: u64, machine: Machine) -> Option<Look> {
    if value < NULL_AREA || near_top(value, machine) {
        return Some(Look::Null);
    }
    if let Some(p) = PATTERNS.iter().find(|p| is_near(value, p.value, machine)) {
        return Some(Look::Pattern(p));
    }
    if let Some(text) = as_text(value, machine) {
        return Some(Look::Text(text));
    }
    if machine == Machine::Amd64 && !is_canonical(value) {
        return Some(Look::NonCanonical);
    }
    (machine.is_64() && value >> 47 != 0).then_some(Look::Kernel)
}

/// A small negative number: null minus an offset.
fn near_top(value: u64, machine: Machine) -> bool {
    let top = if machine.is_64() { u64::MAX } else { 0xffff_ffff };
    top.wrapping_sub(value) < 0x1000
}

/// True when an x64 processor with 48-bit addresses can use it.
#[must_use]
pub fn is_canonical(value: u64) -> bool {
    let top = value.cast_signed() >> 47;
    top == 0 || top == -1
}

/// True when `value` is the pattern, or an object's member behind it.
fn is_near(value: u64, pattern: u32, machine: Machine) -> bool {
    let narrow = u64::from(pattern);
    let near = |p: u64| value.wrapping_sub(p) < MEMBER || p.wrapping_sub(value) < 0x100;
    if machine.is_64() { near(narrow << 32 | narrow) || near(narrow) } else { near(narrow) }
}

/// Fewest letters that are taken for text: fewer are too often a number.
const MIN_TEXT: usize = 4;

/// The bytes of a pointer as text: ASCII, or UTF-16 letters of it.
fn as_text(value: u64, machine: Machine) -> Option<String> {
    let bytes = value.to_le_bytes();
    let bytes = bytes.get(..machine.ptr_size())?;
    let wide =
        bytes.as_chunks::<2>().0.iter().map(|c| (c[1] == 0).then_some(c[0])).collect::<Option<Vec<u8>>>();
    let shown = |b: &[u8]| {
        let text: String = b.iter().take_while(|b| **b != 0).map(|b| char::from(*b)).collect();
        let rest_is_zero = b.iter().skip(text.len()).all(|b| *b == 0);
        let letters = text.bytes().filter(u8::is_ascii_alphanumeric).count();
        let printable = text.bytes().all(|b| (b' '..=b'~').contains(&b) || b"\t\r\n".contains(&b));
        (printable && rest_is_zero && text.len() >= MIN_TEXT && letters * 2 >= text.len()).then_some(text)
    };
    // Eight letters, or all of a 32-bit pointer: addresses below 47 bits have two zero bytes and are rarely text.
    let whole = |t: &String| t.len() == bytes.len() || machine.is_64() && t.len() > 6;
    shown(bytes).filter(whole).or_else(|| wide.and_then(|w| shown(&w)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern_of(value: u64, machine: Machine) -> Option<u32> {
        match look(value, machine) {
            Some(Look::Pattern(p)) => Some(p.value),
            _ => None,
        }
    }

    #[test]
    fn patterns_with_and_without_offset() {
        assert_eq!(pattern_of(0xfeee_feee_feee_ff06, Machine::Amd64), Some(0xfeee_feee));
        assert_eq!(pattern_of(0xcdcd_cdcd, Machine::X86), Some(0xcdcd_cdcd));
        assert_eq!(pattern_of(0xdddd_ddf1, Machine::X86), Some(0xdddd_dddd));
        assert_eq!(pattern_of(0xdead_beef, Machine::Amd64), Some(0xdead_beef));
        assert_eq!(pattern_of(0x7ff6_1234_0000, Machine::Amd64), None);
        for (n, p) in PATTERNS.iter().enumerate() {
            assert!(PATTERNS.iter().skip(n + 1).all(|o| o.value != p.value), "{:x}", p.value);
        }
    }

    #[test]
    fn text_and_places() {
        assert_eq!(
            look(u64::from_le_bytes(*b"InvokeSt"), Machine::Amd64),
            Some(Look::Text("InvokeSt".into()))
        );
        assert_eq!(look(0x6f6f_7266, Machine::X86), Some(Look::Text("froo".into())));
        assert_eq!(look(0x0061_0062_0063_0064, Machine::Amd64), Some(Look::Text("dcba".into())));
        assert_eq!(look(0x7ff6_4142_4344, Machine::Amd64), None);
        assert_eq!(look(0x1234_5678_9abc_def0, Machine::Amd64), Some(Look::NonCanonical));
        assert_eq!(look(0xffff_8000_0000_1000, Machine::Amd64), Some(Look::Kernel));
        assert_eq!(look(0x18, Machine::Amd64), Some(Look::Null));
        assert_eq!(look(0xffff_fff8, Machine::X86), Some(Look::Null));
    }
}
