//! Parameters and local variables: where they live at an address.

use crate::types::TypeId;
use dumpscope_core::{Machine, Reg, RegSet, Rva, Va};

/// A parameter or local variable that is in scope at an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Name. Untrusted.
    pub name: String,
    /// Type, of the same source's types.
    pub ty: TypeId,
    /// True for parameters.
    pub is_param: bool,
    /// `None` for the function itself; else the index of the inlined call in the list of
    /// [`crate::SymbolProvider::inlines`] for the same address that it belongs to.
    pub site: Option<usize>,
    /// Where it lives at the address that was asked for: several for a variable in pieces, none when the
    /// compiler kept it nowhere at that address.
    pub homes: Vec<Home>,
}

/// A place of a variable or of a piece of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    /// The place.
    pub place: Place,
    /// For a piece of an aggregate: its offset in bytes.
    pub part: Option<u32>,
}

/// A place, as the symbol file tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// In a register, or in a part of one.
    Register(RegPart),
    /// In memory at a register's value plus an offset.
    Relative(Reg, i32),
    /// In memory, relative to the x86 virtual frame pointer.
    Frame(i32),
    /// In the module's data.
    Static(Rva),
    /// Somewhere that dumpscope cannot read (a vector register, an unknown record); why.
    Unreadable(&'static str),
}

/// A register or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegPart {
    /// The full register.
    pub reg: Reg,
    /// Bytes used.
    pub bytes: u8,
    /// Lowest bit used: 8 for `ah`.
    pub shift: u8,
    /// Name of the part, as the processor's manual writes it.
    pub name: &'static str,
}

/// Registers of a frame, for finding variables.
#[derive(Clone, Copy, Debug)]
pub struct FrameRegs<'a> {
    /// Registers in the frame; volatile ones are unknown in callers.
    pub regs: &'a RegSet,
    /// x86: the virtual frame pointer, see [`crate::unwind::virtual_frame`].
    pub virtual_frame: Option<Va>,
    /// Load address of the module that holds the frame's code.
    pub module_base: Va,
}

/// Where a variable is in a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In memory; the place that led there, for `dv /V`.
    Memory(Va, Place),
    /// In a register whose value is known: the value's low bytes.
    Register(RegPart, u64),
    /// In pieces: offset in the variable, and where.
    Pieces(Vec<(u32, Location)>),
    /// Not available; why.
    Unavailable(&'static str),
}

impl Variable {
    /// Finds the variable in a frame. What is not known is said, never guessed.
    #[must_use]
    pub fn locate(&self, frame: &FrameRegs<'_>) -> Location {
        // A variable can be in several places at once, the best one listed first. Of those the first whose
        // registers are known counts.
        let mut whole = self.homes.iter().filter(|h| h.part.is_none()).map(|h| h.place.locate(frame));
        if let Some(first) = whole.next() {
            if !matches!(first, Location::Unavailable(_)) {
                return first;
            }
            return whole.find(|l| !matches!(l, Location::Unavailable(_))).unwrap_or(first);
        }
        if self.homes.is_empty() {
            return Location::Unavailable("optimized away at this address");
        }
        let pieces =
            self.homes.iter().map(|h| (h.part.unwrap_or(0), h.place.locate(frame))).collect::<Vec<_>>();
        if pieces.iter().all(|(_, l)| matches!(l, Location::Unavailable(_))) {
            return Location::Unavailable("its registers are not known in this frame");
        }
        Location::Pieces(pieces)
    }
}

impl Place {
    fn locate(self, frame: &FrameRegs<'_>) -> Location {
        let wide = frame.regs.machine().is_64();
        let at = |base: u64, offset: i32| {
            let va = base.wrapping_add_signed(offset.into());
            Location::Memory(Va(if wide { va } else { va & 0xffff_ffff }), self)
        };
        match self {
            Place::Register(part) => match frame.regs.get(part.reg) {
                Some(value) => Location::Register(part, part.of(value)),
                None => Location::Unavailable("its register is not known in this frame"),
            },
            Place::Relative(reg, offset) => match frame.regs.get(reg) {
                Some(base) => at(base, offset),
                None => Location::Unavailable("its base register is not known in this frame"),
            },
            Place::Frame(offset) => match frame.virtual_frame {
                Some(slot) => at(slot.0, offset),
                None => Location::Unavailable("the frame's place is not known"),
            },
            Place::Static(rva) => Location::Memory(rva.va(frame.module_base), self),
            Place::Unreadable(why) => Location::Unavailable(why),
        }
    }
}

impl RegPart {
    /// The part's value, out of the full register's.
    #[must_use]
    pub fn of(self, value: u64) -> u64 {
        let value = value.checked_shr(self.shift.into()).unwrap_or(0);
        match self.bytes {
            bytes @ 0..8 => value & !(u64::MAX << (u32::from(bytes) * 8)),
            _ => value,
        }
    }

    /// A register by its CodeView number.
    ///
    /// Numbers: `CV_HREG_e` of microsoft-pdb's `cvconst.h` (MIT).
    #[must_use]
    pub fn from_codeview(machine: Machine, number: u16) -> Option<RegPart> {
        let part = |i: u16, bytes, shift, names: &[&'static str]| {
            let name = *names.get(usize::from(i))?;
            Some(RegPart { reg: Reg(u8::try_from(i).ok()?), bytes, shift, name })
        };
        match machine {
            Machine::X86 | Machine::Amd64 => match number {
                1..=4 => part(number.checked_sub(1)?, 1, 0, &["al", "cl", "dl", "bl"]),
                5..=8 => part(number.checked_sub(5)?, 1, 8, &["ah", "ch", "dh", "bh"]),
                9..=16 => {
                    part(number.checked_sub(9)?, 2, 0, &["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"])
                }
                17..=24 => part(
                    number.checked_sub(17)?,
                    4,
                    0,
                    &["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"],
                ),
                _ if machine == Machine::Amd64 => amd64(number),
                _ => None,
            },
            Machine::Arm64 => match number {
                10..=40 => {
                    let i = number.checked_sub(10)?;
                    Some(RegPart {
                        reg: Reg(u8::try_from(i).ok()?),
                        bytes: 4,
                        shift: 0,
                        name: ARM64_W.get(usize::from(i))?,
                    })
                }
                50..=81 => {
                    let i = number.checked_sub(50)?;
                    let name = RegSet::names(machine).get(usize::from(i))?;
                    Some(RegPart { reg: Reg(u8::try_from(i).ok()?), bytes: 8, shift: 0, name })
                }
                _ => None,
            },
            Machine::Other(_) => None,
        }
    }
}

const ARM64_W: [&str; 31] = [
    "w0", "w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8", "w9", "w10", "w11", "w12", "w13", "w14", "w15",
    "w16", "w17", "w18", "w19", "w20", "w21", "w22", "w23", "w24", "w25", "w26", "w27", "w28", "w29", "w30",
];

fn amd64(number: u16) -> Option<RegPart> {
    const LOW: [&str; 4] = ["sil", "dil", "bpl", "spl"];
    const LOW_REG: [u8; 4] = [6, 7, 5, 4];
    const FULL: [&str; 8] = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp"];
    const FULL_REG: [u8; 8] = [0, 3, 1, 2, 6, 7, 5, 4];
    const R: [[&str; 8]; 4] = [
        ["r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"],
        ["r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b"],
        ["r8w", "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w"],
        ["r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d", "r15d"],
    ];
    let part = |reg: u8, bytes: u8, name: &'static str| RegPart { reg: Reg(reg), bytes, shift: 0, name };
    match number {
        324..=327 => {
            let i = usize::from(number.checked_sub(324)?);
            Some(part(*LOW_REG.get(i)?, 1, LOW.get(i)?))
        }
        328..=335 => {
            let i = usize::from(number.checked_sub(328)?);
            Some(part(*FULL_REG.get(i)?, 8, FULL.get(i)?))
        }
        336..=367 => {
            let i = number.checked_sub(336)?;
            let reg = u8::try_from(i % 8).ok()?.checked_add(8)?;
            let row = usize::from(i / 8);
            let bytes = *[8u8, 1, 2, 4].get(row)?;
            Some(part(reg, bytes, R.get(row)?.get(usize::from(i % 8))?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dumpscope_core::base::{amd64, x86};

    #[test]
    fn codeview_register_numbers() {
        let x86 = |n| RegPart::from_codeview(Machine::X86, n).unwrap();
        assert_eq!((x86(22).reg, x86(22).name, x86(22).bytes), (x86::EBP, "ebp", 4));
        assert_eq!((x86(6).reg, x86(6).name, x86(6).shift), (x86::ECX, "ch", 8));
        assert_eq!(x86(6).of(0x1234_5678), 0x56);
        let x64 = |n| RegPart::from_codeview(Machine::Amd64, n).unwrap();
        assert_eq!((x64(329).reg, x64(329).name), (amd64::RBX, "rbx"));
        assert_eq!((x64(335).reg, x64(336).reg, x64(343).name), (amd64::RSP, amd64::R8, "r15"));
        assert_eq!((x64(361).reg, x64(361).name, x64(361).bytes), (amd64::R9, "r9d", 4));
        assert_eq!((x64(20).reg, x64(20).name), (amd64::RBX, "ebx"));
        assert_eq!(RegPart::from_codeview(Machine::Amd64, 154), None, "xmm0");
        assert_eq!(RegPart::from_codeview(Machine::X86, 329), None);
        let arm = |n| RegPart::from_codeview(Machine::Arm64, n).unwrap().name;
        assert_eq!((arm(50), arm(79), arm(81), arm(10)), ("x0", "fp", "sp", "w0"));
    }

    #[test]
    fn a_register_that_is_not_known_gives_no_value() {
        let mut regs = RegSet::new(Machine::X86);
        let ebx = RegPart::from_codeview(Machine::X86, 20).unwrap();
        let var = |place| Variable {
            name: "v".into(),
            ty: TypeId(0x22),
            is_param: false,
            site: None,
            homes: vec![Home { place, part: None }],
        };
        let at = |v: &Variable, r: &RegSet| {
            v.locate(&FrameRegs { regs: r, virtual_frame: Some(Va(0x1000)), module_base: Va(0x40_0000) })
        };
        assert!(matches!(at(&var(Place::Register(ebx)), &regs), Location::Unavailable(_)));
        regs.set(x86::EBX, 0x1234_5678);
        assert_eq!(at(&var(Place::Register(ebx)), &regs), Location::Register(ebx, 0x1234_5678));
        let rel = Place::Relative(x86::EBX, -8);
        assert_eq!(at(&var(rel), &regs), Location::Memory(Va(0x1234_5670), rel));
        assert_eq!(at(&var(Place::Frame(4)), &regs), Location::Memory(Va(0x1004), Place::Frame(4)));
        let far = Place::Relative(x86::EBX, i32::MIN);
        assert_eq!(at(&var(far), &regs), Location::Memory(Va(0x9234_5678), far), "wraps at 4 GiB");
    }

    #[test]
    fn pieces_say_which_of_them_is_missing() {
        let mut regs = RegSet::new(Machine::Amd64);
        regs.set(amd64::RBX, 7);
        let part = |n, part| Home {
            place: Place::Register(RegPart::from_codeview(Machine::Amd64, n).unwrap()),
            part,
        };
        let v = Variable {
            name: "pair".into(),
            ty: TypeId(0x1000),
            is_param: false,
            site: None,
            homes: vec![part(329, Some(0)), part(331, Some(8))],
        };
        let frame = FrameRegs { regs: &regs, virtual_frame: None, module_base: Va(0) };
        let Location::Pieces(p) = v.locate(&frame) else { panic!() };
        assert!(matches!(&p[..], [(0, Location::Register(_, 7)), (8, Location::Unavailable(_))]));
    }
}
