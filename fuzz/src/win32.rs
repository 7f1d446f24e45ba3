//! The reader of the Win32 table, over damaged tables: the embedded one with some of its bytes changed as the input says.

use dumpscope_win32::{Arch, Table, Ty};
use std::borrow::Cow;

const WHOLE: &[u8] = include_bytes!("../../win32/data/win32.bin");
/// Most changes of one input.
const MAX_CHANGES: usize = 256;
/// Types that are asked for.
const TYPES: u32 = 64;

/// Six bytes of the input are a change: a place and what is laid over it; the first two bytes choose what is asked.
pub fn win32_table(data: &[u8]) {
    let Some((head, changes)) = data.split_first_chunk::<2>() else { return };
    let mut raw = WHOLE.to_vec();
    for c in changes.as_chunks::<6>().0.iter().take(MAX_CHANGES) {
        let [a, b, c, d, value, mode] = *c;
        let mut at = u32::from_le_bytes([a, b, c, d]) as usize % raw.len();
        // The head, the directory and the texts are small: most changes go there.
        if mode & 3 != 0 {
            at %= 0x3_0000;
        }
        if let Some(byte) = raw.get_mut(at) {
            *byte = value;
        }
    }
    let Some(table) = Table::open(Cow::Owned(raw)) else { return };
    let from = u32::from(u16::from_le_bytes(*head));
    for name in ["CreateFileW", "NtClose", "WSAConnect", "zzz"] {
        let _ = table.functions(name);
    }
    for id in (from..from + TYPES).map(dumpscope_win32::TypeId) {
        let _ = (table.definition(id), table.namespace_of(id), table.methods(id), table.members(id));
        for arch in [Arch::X86, Arch::X64, Arch::Arm64] {
            let _ =
                (table.layout(id, arch), table.flat_layout(id, arch), table.size_of(&Ty::Named(id), arch));
        }
        let _ = (table.type_text(&Ty::Named(id)), table.value_text(id, from.into()));
        let _ = table.names_of(id, from.into());
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    (0..4u8).map(|n| vec![n, n, 8 + n, n, 0, 0, 0xff, 1, 0, n, 1, 0, n, 1]).collect()
}
