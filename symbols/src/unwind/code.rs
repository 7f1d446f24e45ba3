//! Questions to code bytes: does a call end right before this address?

use dumpscope_core::{Machine, ReadMemory, Va};

/// The longest call instruction that is looked for: `FF /2` with SIB and 32-bit displacement, or a far call.
const LONGEST_CALL: usize = 7;

/// True when a call instruction ends at `va`, false when the known bytes are none; `None` when not enough bytes
/// before `va` are known to tell.
#[must_use]
pub fn after_call(mem: &dyn ReadMemory, machine: Machine, va: Va) -> Option<bool> {
    match machine {
        Machine::X86 | Machine::Amd64 => after_x86_call(mem, machine, va),
        Machine::Arm64 => mem.u32(va.back(4)).map(is_arm64_call),
        Machine::Other(_) => None,
    }
}

fn after_x86_call(mem: &dyn ReadMemory, machine: Machine, va: Va) -> Option<bool> {
    let mut buf = [0u8; LONGEST_CALL];
    // Bytes may be known only from some address on (the start of a captured range): take the longest run that
    // ends at `va`.
    let known = (2..=LONGEST_CALL).rev().find(|&n| {
        let Some(part) = buf.get_mut(..n) else { return false };
        va.0 >= n as u64 && mem.read_at(va.back(n as u64), part).got == n
    })?;
    let bytes = buf.get(..known)?;
    let back = |n: usize| known.checked_sub(n).and_then(|at| bytes.get(at..));
    let near = matches!(back(5), Some([0xe8, ..]));
    let far = machine == Machine::X86 && matches!(back(7), Some([0x9a, ..]));
    let indirect =
        (2..=LONGEST_CALL).any(|n| matches!(back(n), Some([0xff, rest @ ..]) if is_call_operand(rest)));
    if near || far || indirect {
        return Some(true);
    }
    (known == LONGEST_CALL).then_some(false)
}

/// True when `rest` is exactly the operand bytes of `FF /2`: ModRM, SIB, displacement.
fn is_call_operand(rest: &[u8]) -> bool {
    let Some((&modrm, tail)) = rest.split_first() else { return false };
    if modrm >> 3 & 7 != 2 {
        return false;
    }
    let (mode, rm) = (modrm >> 6, modrm & 7);
    let sib = mode != 3 && rm == 4;
    let displacement = match mode {
        0 if rm == 5 => 4,
        0 if sib && tail.first().is_some_and(|s| s & 7 == 5) => 4,
        1 => 1,
        2 => 4,
        _ => 0,
    };
    tail.len() == usize::from(sib) + displacement
}

/// A function is rarely longer: a direct call to an address that far below the ip did not lead there.
const MAX_FUNCTION: u64 = 0x1_0000;

/// Where a direct call goes that ends at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leads {
    /// To a function that can hold the ip.
    Here,
    /// Somewhere else.
    Elsewhere,
    /// It is no direct call, or its target is not known.
    Unknown,
}

/// Compares the target of the direct call (`E8`) that ends at `va`, jump stubs followed, with `ip`. `start`: where
/// the function of `ip` starts, if a symbol tells.
pub(crate) fn leads(mem: &dyn ReadMemory, machine: Machine, va: Va, ip: Va, start: Option<Va>) -> Leads {
    if !matches!(machine, Machine::X86 | Machine::Amd64) || mem.u8(va.back(5)) != Some(0xe8) {
        return Leads::Unknown;
    }
    let relative = |behind: Va| {
        let distance = mem.u32(behind.back(4))?.cast_signed();
        let target = behind.0.wrapping_add_signed(distance.into());
        Some(Va(if machine == Machine::X86 { target & 0xffff_ffff } else { target }))
    };
    let Some(mut target) = relative(va) else { return Leads::Unknown };
    for _ in 0..4 {
        match (mem.u8(target), mem.u8(target.offset(1))) {
            (Some(0xe9), _) => match relative(target.offset(5)) {
                Some(next) => target = next,
                None => return Leads::Unknown,
            },
            // Through an import table, or code that is not in the dump: nobody knows where to.
            (Some(0xff), Some(0x25)) | (None, _) => return Leads::Unknown,
            _ => break,
        }
    }
    if ip.distance_from(target).is_none_or(|d| d >= MAX_FUNCTION) {
        return Leads::Elsewhere;
    }
    match start {
        Some(start) if start > target => Leads::Elsewhere,
        _ => Leads::Here,
    }
}

/// `bl`, `blr`, `blraa`, `blraaz`, `blrab`, `blrabz`.
fn is_arm64_call(word: u32) -> bool {
    word & 0xfc00_0000 == 0x9400_0000
        || word & 0xffff_fc1f == 0xd63f_0000
        || word & 0xfeff_f800 == 0xd63f_0800
}

#[cfg(test)]
mod tests {
    use super::super::testing::TestMemory;
    use super::*;

    fn at_end(machine: Machine, bytes: &[u8]) -> Option<bool> {
        let mut mem = TestMemory::default();
        mem.put(0x1000, bytes);
        after_call(&mem, machine, Va(0x1000 + bytes.len() as u64))
    }

    fn padded(bytes: &[u8]) -> Vec<u8> {
        [&[0x90; 8][..], bytes].concat()
    }

    #[test]
    fn all_call_forms() {
        let calls: &[&[u8]] = &[
            &[0xe8, 1, 2, 3, 4],
            &[0xff, 0xd2],
            &[0xff, 0x12],
            &[0xff, 0x14, 0x24],
            &[0xff, 0x52, 0x10],
            &[0xff, 0x54, 0x24, 0x10],
            &[0xff, 0x15, 1, 2, 3, 4],
            &[0x64, 0xff, 0x15, 0xc0, 0, 0, 0],
            &[0xff, 0x92, 1, 2, 3, 4],
            &[0xff, 0x94, 0x24, 1, 2, 3, 4],
            &[0xff, 0x14, 0x85, 1, 2, 3, 4],
            &[0x9a, 1, 2, 3, 4, 0x33, 0],
        ];
        for call in calls {
            assert_eq!(at_end(Machine::X86, &padded(call)), Some(true), "{call:02x?}");
        }
        assert_eq!(at_end(Machine::Amd64, &padded(&[0x9a, 1, 2, 3, 4, 0x33, 0])), Some(false));
    }

    #[test]
    fn other_bytes_are_no_call() {
        for other in [&[0xff, 0xe2][..], &[0xc3, 0x90], &[0xff, 0x15, 1, 2, 3], &[0xff, 0x25, 1, 2, 3, 4]] {
            assert_eq!(at_end(Machine::X86, &padded(other)), Some(false), "{other:02x?}");
        }
    }

    #[test]
    fn unknown_bytes_are_unknown() {
        assert_eq!(at_end(Machine::X86, &[]), None);
        assert_eq!(at_end(Machine::X86, &[0x90, 0x90, 0x90, 0x90, 0x90]), None);
        assert_eq!(at_end(Machine::X86, &[0xff, 0xd0]), Some(true));
    }

    #[test]
    fn arm64_calls() {
        for (word, is_call) in
            [(0x9400_0010u32, true), (0xd63f_0100, true), (0xd73f_0a11, true), (0x1400_0010, false)]
        {
            assert_eq!(at_end(Machine::Arm64, &word.to_le_bytes()), Some(is_call), "{word:x}");
        }
    }
}
