//! x86 frame data: FPO records and FrameData programs.
//!
//! Layouts: `FPO_DATA` of winnt.h and `FRAMEDATA` of microsoft-pdb's `cvinfo.h` (MIT).

use super::address::AddressMap;
use super::bytes::Bytes;
use super::container::StreamBytes;
use crate::unwind::FrameData;
use dumpscope_core::Rva;

const FPO_SIZE: usize = 16;
const PROGRAM_SIZE: usize = 32;
/// How many records before an address are looked at for one that covers it: records nest.
const MAX_BACK: usize = 64;

/// The two tables, each sorted by address.
#[derive(Debug, Default)]
pub(super) struct FrameTable {
    pub(super) fpo: Option<StreamBytes>,
    pub(super) programs: Option<StreamBytes>,
}

impl FrameTable {
    /// Frame data for `rva`; a program is preferred, it says more. `text` gives a string by its offset.
    pub(super) fn find(
        &self,
        map: &AddressMap,
        rva: Rva,
        text: &dyn Fn(u32) -> Option<String>,
    ) -> Option<FrameData> {
        let source = map.to_source_rva(rva)?;
        let program = || {
            let data = self.programs.as_ref()?.bytes();
            parse_program(find::<PROGRAM_SIZE>(data, source)?, map, text)
        };
        let fpo = || parse_fpo(find::<FPO_SIZE>(self.fpo.as_ref()?.bytes(), source)?, map);
        program().or_else(fpo)
    }
}

/// The record with the highest start that covers `rva`; both kinds begin with start and size.
fn find<const N: usize>(data: &[u8], rva: u32) -> Option<&[u8; N]> {
    let records = data.as_chunks::<N>().0;
    let start = |r: &[u8; N]| Bytes(r).u32().unwrap_or(u32::MAX);
    let size = |r: &[u8; N]| Bytes::at(r, 4).and_then(|mut b| b.u32()).unwrap_or(0);
    let next = records.partition_point(|r| start(r) <= rva);
    let before = records.get(..next)?;
    before.iter().rev().take(MAX_BACK).find(|r| rva.checked_sub(start(r)).is_some_and(|d| d < size(r)))
}

fn parse_program(record: &[u8], map: &AddressMap, text: &dyn Fn(u32) -> Option<String>) -> Option<FrameData> {
    let mut b = Bytes(record);
    let start = b.u32()?;
    let size = b.u32()?;
    let locals = b.u32()?;
    let params = b.u32()?;
    let _max_stack = b.u32()?;
    let program = text(b.u32()?)?;
    let _prologue = b.u16()?;
    let saved_regs = b.u16()?.into();
    Some(FrameData::Program { start: map.image_rva(start)?, size, params, locals, saved_regs, program })
}

fn parse_fpo(record: &[u8], map: &AddressMap) -> Option<FrameData> {
    let mut b = Bytes(record);
    let start = b.u32()?;
    let size = b.u32()?;
    let locals = b.u32()?.checked_mul(4)?;
    let params = u32::from(b.u16()?).checked_mul(4)?;
    let bits = u32::from(b.u16()?);
    // Frame kinds: 0 FPO, 1 trap, 2 TSS, 3 an ordinary ebp frame. Only the first says where things are.
    if bits >> 14 != 0 {
        return None;
    }
    Some(FrameData::Fpo {
        start: map.image_rva(start)?,
        size,
        params,
        locals,
        saved_regs: (bits >> 8 & 7) << 2,
        prologue: bits & 0xff,
        uses_bp: bits >> 12 & 1 != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fpo_record_in_bytes() {
        let mut r = Vec::new();
        [0x1000u32, 0x80, 3].iter().for_each(|v| r.extend(v.to_le_bytes()));
        // 2 parameters; prologue 5, 3 saved registers, ebp in use.
        [2u16, 5 | 3 << 8 | 1 << 12].iter().for_each(|v| r.extend(v.to_le_bytes()));
        assert_eq!(
            parse_fpo(&r, &AddressMap::default()),
            Some(FrameData::Fpo {
                start: Rva(0x1000),
                size: 0x80,
                params: 8,
                locals: 12,
                saved_regs: 12,
                prologue: 5,
                uses_bp: true
            })
        );
        assert!(find::<16>(&r, 0x107f).is_some() && find::<16>(&r, 0x1080).is_none());
        assert!(find::<16>(&r, 0xfff).is_none());
        // An ordinary frame gives no FPO data.
        r[15] |= 0xc0;
        assert_eq!(parse_fpo(&r, &AddressMap::default()), None);
    }
}
