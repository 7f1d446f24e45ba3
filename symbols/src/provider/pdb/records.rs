//! Symbol records of a PDB.
//!
//! Layouts: Microsoft's published `cvinfo.h` (microsoft-pdb, MIT) and LLVM's CodeView documents. The records with
//! length-prefixed names of compilers before 2002 are not read.

use super::address::SecOff;
use super::bytes::Bytes;

/// `S_PUB32`: the name is decorated.
pub(super) const PUB32: u16 = 0x110e;
const PROCREF: u16 = 0x1125;
const LPROCREF: u16 = 0x1127;

/// A code range with holes, of a variable's location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CodeRange {
    pub(super) start: SecOff,
    pub(super) len: u16,
    /// Offset from `start` and length of the holes.
    pub(super) gaps: Vec<(u16, u16)>,
}

impl CodeRange {
    fn parse(b: &mut Bytes<'_>) -> Option<CodeRange> {
        let offset = b.u32()?;
        let section = b.u16()?;
        let len = b.u16()?;
        let mut gaps = Vec::new();
        // Records are at most 64 KiB, so this ends.
        while let (Some(start), Some(len)) = (b.u16(), b.u16()) {
            if len != 0 {
                gaps.push((start, len));
            }
        }
        Some(CodeRange { start: SecOff { section, offset }, len, gaps })
    }

    /// True when `at` lies in the range and in no hole.
    pub(super) fn contains(&self, at: SecOff) -> bool {
        at.since(self.start).is_some_and(|d| {
            d < u32::from(self.len)
                && !self.gaps.iter().any(|&(s, l)| d.checked_sub(s.into()).is_some_and(|x| x < l.into()))
        })
    }
}

/// Where an `S_DEFRANGE*` record says that a variable lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Home {
    /// A DIA program; nobody writes them, so nobody can read them.
    Program,
    /// A register (CodeView number).
    Register(u16),
    /// Relative to the frame's local base pointer.
    Frame(i32),
    /// Relative to a register.
    Relative(u16, i32),
}

/// A symbol record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Record<'a> {
    /// The end of a scope (`S_END`, `S_PROC_ID_END`, `S_INLINESITE_END`).
    End,
    Proc {
        end: u32,
        len: u32,
        start: SecOff,
        /// Type, or with `by_id` an item of the id stream.
        ty: u32,
        by_id: bool,
        flags: u8,
        /// Where the body starts and ends, behind the prologue and before the epilogue, in bytes from the start.
        body: (u32, u32),
        name: &'a [u8],
    },
    Thunk {
        end: u32,
        start: SecOff,
        len: u16,
        name: &'a [u8],
    },
    Trampoline {
        start: SecOff,
        len: u16,
        target: SecOff,
    },
    /// A piece of a procedure that lies elsewhere.
    Separate {
        parent: u32,
        end: u32,
        start: SecOff,
        len: u32,
    },
    Block {
        end: u32,
        start: SecOff,
        len: u32,
    },
    Inline {
        end: u32,
        /// Item of the id stream.
        inlinee: u32,
        annotations: &'a [u8],
    },
    Data {
        global: bool,
        ty: u32,
        place: SecOff,
        name: &'a [u8],
    },
    Public {
        code: bool,
        place: SecOff,
        name: &'a [u8],
    },
    /// `S_PROCREF`: a procedure's record in a module.
    ProcRef {
        /// From 1.
        module: u16,
        offset: u32,
        name: &'a [u8],
    },
    Udt {
        ty: u32,
        name: &'a [u8],
    },
    /// A constant without storage.
    Constant {
        ty: u32,
        value: i128,
        name: &'a [u8],
    },
    BpRelative {
        offset: i32,
        ty: u32,
        name: &'a [u8],
    },
    RegRelative {
        offset: i32,
        ty: u32,
        register: u16,
        name: &'a [u8],
    },
    Register {
        ty: u32,
        register: u16,
        name: &'a [u8],
    },
    Local {
        ty: u32,
        flags: u16,
        name: &'a [u8],
    },
    /// One location of the local before it; `range` is `None` when it holds in the whole scope, `offset_in_parent`
    /// is set when it is a piece of an aggregate.
    DefRange {
        home: Home,
        offset_in_parent: Option<u32>,
        range: Option<CodeRange>,
    },
    FrameProc {
        frame_bytes: u32,
        saved_bytes: u32,
        flags: u32,
    },
    Compile {
        machine: u16,
    },
    Other,
}

impl<'a> Record<'a> {
    /// Decodes a record's content; what is unknown or too short is [`Record::Other`].
    pub(super) fn decode(kind: u16, data: &'a [u8]) -> Record<'a> {
        Record::try_decode(kind, Bytes(data)).unwrap_or(Record::Other)
    }

    /// The record's name, when records of its kind have one.
    pub(super) fn name(&self) -> Option<&'a [u8]> {
        match *self {
            Record::Proc { name, .. }
            | Record::Thunk { name, .. }
            | Record::Data { name, .. }
            | Record::Public { name, .. }
            | Record::ProcRef { name, .. }
            | Record::Constant { name, .. }
            | Record::Udt { name, .. } => Some(name),
            _ => None,
        }
    }

    fn try_decode(kind: u16, mut b: Bytes<'a>) -> Option<Record<'a>> {
        Some(match kind {
            0x0006 | 0x114f | 0x114e => Record::End,
            0x110f | 0x1110 | 0x1146 | 0x1147 | 0x1155 | 0x1156 => {
                let _parent = b.u32()?;
                let end = b.u32()?;
                let _next = b.u32()?;
                let len = b.u32()?;
                let body = (b.u32()?, b.u32()?);
                let ty = b.u32()?;
                let start = place(&mut b)?;
                let flags = b.u8()?;
                let by_id = matches!(kind, 0x1146 | 0x1147 | 0x1156);
                Record::Proc { end, len, start, ty, by_id, flags, body, name: b.c_str() }
            }
            0x1102 => {
                let _parent = b.u32()?;
                let end = b.u32()?;
                let _next = b.u32()?;
                let start = place(&mut b)?;
                let len = b.u16()?;
                let _ordinal = b.u8()?;
                Record::Thunk { end, start, len, name: b.c_str() }
            }
            0x112c => {
                let _kind = b.u16()?;
                let len = b.u16()?;
                let thunk = b.u32()?;
                let target = b.u32()?;
                let start = SecOff::new(b.u16()?, thunk);
                Record::Trampoline { start, len, target: SecOff::new(b.u16()?, target) }
            }
            0x1132 => {
                let parent = b.u32()?;
                let end = b.u32()?;
                let len = b.u32()?;
                let _flags = b.u32()?;
                let offset = b.u32()?;
                let _parent_offset = b.u32()?;
                Record::Separate { parent, end, start: SecOff::new(b.u16()?, offset), len }
            }
            0x1103 => {
                let _parent = b.u32()?;
                let end = b.u32()?;
                let len = b.u32()?;
                Record::Block { end, start: place(&mut b)?, len }
            }
            0x114d | 0x115d => {
                let _parent = b.u32()?;
                let end = b.u32()?;
                let inlinee = b.u32()?;
                if kind == 0x115d {
                    let _invocations = b.u32()?;
                }
                Record::Inline { end, inlinee, annotations: b.0 }
            }
            0x110c | 0x110d => {
                let ty = b.u32()?;
                let place = place(&mut b)?;
                Record::Data { global: kind == 0x110d, ty, place, name: b.c_str() }
            }
            PUB32 => {
                let flags = b.u32()?;
                let place = place(&mut b)?;
                Record::Public { code: flags & 3 != 0, place, name: b.c_str() }
            }
            PROCREF | LPROCREF => {
                let _sum = b.u32()?;
                let offset = b.u32()?;
                let module = b.u16()?;
                Record::ProcRef { module, offset, name: b.c_str() }
            }
            0x1107 => {
                let ty = b.u32()?;
                let value = super::leaf::numeric(&mut b)?.0;
                Record::Constant { ty, value, name: b.c_str() }
            }
            0x1108 => Record::Udt { ty: b.u32()?, name: b.c_str() },
            0x110b => Record::BpRelative { offset: b.i32()?, ty: b.u32()?, name: b.c_str() },
            0x1111 => {
                let offset = b.i32()?;
                let ty = b.u32()?;
                Record::RegRelative { offset, ty, register: b.u16()?, name: b.c_str() }
            }
            0x1106 => Record::Register { ty: b.u32()?, register: b.u16()?, name: b.c_str() },
            0x113e => Record::Local { ty: b.u32()?, flags: b.u16()?, name: b.c_str() },
            0x1153 => {
                let ty = b.u32()?;
                let _file = b.u32()?;
                Record::Local { ty, flags: b.u16()?, name: b.c_str() }
            }
            0x113f..=0x1145 => return def_range(kind, b),
            0x1012 => {
                let frame_bytes = b.u32()?;
                let _padding = (b.u32()?, b.u32()?);
                let saved_bytes = b.u32()?;
                let _handler = (b.u32()?, b.u16()?);
                Record::FrameProc { frame_bytes, saved_bytes, flags: b.u32()? }
            }
            0x113c => {
                let _flags = b.u32()?;
                Record::Compile { machine: b.u16()? }
            }
            _ => Record::Other,
        })
    }
}

fn place(b: &mut Bytes<'_>) -> Option<SecOff> {
    let offset = b.u32()?;
    Some(SecOff { section: b.u16()?, offset })
}

fn def_range<'a>(kind: u16, mut b: Bytes<'a>) -> Option<Record<'a>> {
    let b = &mut b;
    let (home, offset_in_parent, has_range) = match kind {
        0x113f => {
            let _program = b.u32()?;
            (Home::Program, None, true)
        }
        0x1140 => {
            let _program = b.u32()?;
            (Home::Program, Some(b.u32()?), true)
        }
        0x1141 => {
            let register = b.u16()?;
            let _may_have_no_name = b.u16()?;
            (Home::Register(register), None, true)
        }
        0x1142 => (Home::Frame(b.i32()?), None, true),
        0x1143 => {
            let register = b.u16()?;
            let _may_have_no_name = b.u16()?;
            (Home::Register(register), Some(b.u32()? & 0xfff), true)
        }
        0x1144 => (Home::Frame(b.i32()?), None, false),
        _ => {
            let register = b.u16()?;
            let bits = b.u16()?;
            let offset = b.i32()?;
            // Bit 0: the rest of an aggregate is elsewhere; bits 4 to 15: offset of this piece in it.
            let part = if bits & 1 != 0 { Some(u32::from(bits >> 4)) } else { None };
            (Home::Relative(register, offset), part, true)
        }
    };
    let range = if has_range { Some(CodeRange::parse(b)?) } else { None };
    Some(Record::DefRange { home, offset_in_parent, range })
}

/// Iterates over the records of a symbol stream; ends at the first record that does not fit.
#[derive(Clone, Debug)]
pub(super) struct Records<'a> {
    data: &'a [u8],
    at: usize,
}

/// A raw record: its offset in the stream, its kind and its content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw<'a> {
    pub(super) offset: u32,
    pub(super) kind: u16,
    pub(super) data: &'a [u8],
}

impl<'a> Raw<'a> {
    pub(super) fn decode(&self) -> Record<'a> {
        Record::decode(self.kind, self.data)
    }
}

impl<'a> Records<'a> {
    /// Records of `data` from byte `at` on.
    pub(super) fn new(data: &'a [u8], at: usize) -> Records<'a> {
        Records { data, at }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        let mut b = Bytes::at(self.data, self.at)?;
        let len = usize::from(b.u16()?);
        let data = b.take(len)?;
        let mut content = Bytes(data);
        let kind = content.u16()?;
        let offset = u32::try_from(self.at).ok()?;
        self.at = self.at.checked_add(len)?.checked_add(2)?;
        Some(Raw { offset, kind, data: content.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iterates_and_stops_at_a_record_that_does_not_fit() {
        let data = [2, 0, 6, 0, 4, 0, 0x3c, 0x11, 1, 2, 9, 0, 1];
        let all: Vec<_> = Records::new(&data, 0).map(|r| (r.offset, r.kind, r.data.len())).collect();
        assert_eq!(all, [(0, 6, 0), (4, 0x113c, 2)]);
        // A record shorter than its own kind cannot be passed.
        assert_eq!(Records::new(&[1, 0, 6], 0).count(), 0);
    }

    #[test]
    fn a_short_record_is_other() {
        assert_eq!(Record::decode(0x1110, &[0; 20]), Record::Other);
        assert_eq!(Record::decode(0x9999, &[]), Record::Other);
    }

    #[test]
    fn def_range_with_a_hole() {
        let mut data = vec![17, 0, 0, 0];
        data.extend(0x100u32.to_le_bytes());
        data.extend([1, 0, 0x20, 0, 4, 0, 2, 0]);
        let Record::DefRange { home, range: Some(range), .. } = Record::decode(0x1141, &data) else {
            panic!()
        };
        assert_eq!(home, Home::Register(17));
        let at = |o| range.contains(SecOff::new(1, o));
        assert!(at(0x103) && !at(0x104) && !at(0x105) && at(0x106) && at(0x11f) && !at(0x120) && !at(0xff));
        assert!(!range.contains(SecOff::new(2, 0x103)));
    }
}
