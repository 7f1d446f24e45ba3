//! Sections and OMAP: between RVAs of the image and the section offsets that a PDB uses.

use super::bytes::Bytes;
use dumpscope_core::Rva;

/// A place in the program as the linker laid it out, before a tool rearranged it (OMAP). Sections count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct SecOff {
    pub(super) section: u16,
    pub(super) offset: u32,
}

impl SecOff {
    pub(super) fn new(section: u16, offset: u32) -> SecOff {
        SecOff { section, offset }
    }

    /// `n` bytes further in the same section; the offset stays at its largest value on overflow.
    pub(super) fn plus(self, n: u32) -> SecOff {
        SecOff { section: self.section, offset: self.offset.saturating_add(n) }
    }

    /// Bytes from `start` up to this place; `None` when it is before `start` or in another section.
    pub(super) fn since(self, start: SecOff) -> Option<u32> {
        if self.section == start.section { self.offset.checked_sub(start.offset) } else { None }
    }
}

#[derive(Clone, Copy, Debug)]
struct Section {
    rva: u32,
    size: u32,
}

/// One sorted OMAP table: from an address on, addresses move to another one; 0 means "removed".
#[derive(Debug, Default)]
struct Omap(Vec<(u32, u32)>);

impl Omap {
    fn parse(data: &[u8]) -> Omap {
        let mut table: Vec<(u32, u32)> = data
            .as_chunks::<8>()
            .0
            .iter()
            .map(|[a, b, c, d, e, f, g, h]| {
                (u32::from_le_bytes([*a, *b, *c, *d]), u32::from_le_bytes([*e, *f, *g, *h]))
            })
            .collect();
        table.sort_by_key(|e| e.0);
        Omap(table)
    }

    fn map(&self, from: u32) -> Option<u32> {
        let at = self.0.partition_point(|e| e.0 <= from).checked_sub(1)?;
        let (start, to) = *self.0.get(at)?;
        if to == 0 { None } else { to.checked_add(from.checked_sub(start)?) }
    }
}

/// Translates addresses of one PDB.
#[derive(Debug, Default)]
pub(super) struct AddressMap {
    sections: Vec<Section>,
    /// From the linker's layout to the image, and back.
    omap: Option<(Omap, Omap)>,
}

impl AddressMap {
    /// `sections` holds the section headers of the linker's layout. With OMAP, `from_src` leads from that layout
    /// to the image and `to_src` back.
    pub(super) fn new(sections: &[u8], from_src: Option<&[u8]>, to_src: Option<&[u8]>) -> AddressMap {
        let parse = |header: &[u8; 40]| {
            let mut b = Bytes::at(header, 8)?;
            let virtual_size = b.u32()?;
            let rva = b.u32()?;
            let raw_size = b.u32()?;
            Some(Section { rva, size: virtual_size.max(raw_size) })
        };
        let sections = sections.as_chunks::<40>().0.iter().filter_map(parse).collect();
        let omap = match (from_src, to_src) {
            (Some(f), Some(t)) => Some((Omap::parse(f), Omap::parse(t))),
            _ => None,
        };
        AddressMap { sections, omap }
    }

    /// True when the PDB describes a rearranged image.
    pub(super) fn has_omap(&self) -> bool {
        self.omap.is_some()
    }

    /// The RVA in the linker's layout for an RVA of the image.
    pub(super) fn to_source_rva(&self, rva: Rva) -> Option<u32> {
        match &self.omap {
            Some((_, to_src)) => to_src.map(rva.0),
            None => Some(rva.0),
        }
    }

    /// The RVA of the image for one in the linker's layout.
    pub(super) fn image_rva(&self, rva: u32) -> Option<Rva> {
        match &self.omap {
            Some((from_src, _)) => from_src.map(rva).map(Rva),
            None => Some(Rva(rva)),
        }
    }

    /// The section and offset of an RVA of the image.
    pub(super) fn place(&self, rva: Rva) -> Option<SecOff> {
        let rva = self.to_source_rva(rva)?;
        let at = self.sections.iter().position(|s| rva.checked_sub(s.rva).is_some_and(|o| o < s.size))?;
        let section = self.sections.get(at)?;
        Some(SecOff {
            section: u16::try_from(at.checked_add(1)?).ok()?,
            offset: rva.checked_sub(section.rva)?,
        })
    }

    /// The RVA in the linker's layout of a section and offset.
    pub(super) fn source_rva(&self, place: SecOff) -> Option<u32> {
        let section = self.sections.get(usize::from(place.section).checked_sub(1)?)?;
        section.rva.checked_add(place.offset)
    }

    /// The RVA of the image of a section and offset.
    pub(super) fn rva(&self, place: SecOff) -> Option<Rva> {
        self.image_rva(self.source_rva(place)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(virtual_size: u32, rva: u32, raw: u32) -> Vec<u8> {
        let mut h = vec![0u8; 8];
        [virtual_size, rva, raw].iter().for_each(|v| h.extend(v.to_le_bytes()));
        h.resize(40, 0);
        h
    }

    fn pairs(list: &[(u32, u32)]) -> Vec<u8> {
        list.iter().flat_map(|(a, b)| [a.to_le_bytes(), b.to_le_bytes()].concat()).collect()
    }

    #[test]
    fn sections_count_from_one_and_cover_their_virtual_size() {
        let headers = [header(0x1234, 0x1000, 0x1400), header(0x5000, 0x3000, 0x200)].concat();
        let map = AddressMap::new(&headers, None, None);
        assert_eq!(map.place(Rva(0x1010)), Some(SecOff::new(1, 0x10)));
        assert_eq!(map.place(Rva(0x7fff)), Some(SecOff::new(2, 0x4fff)));
        assert_eq!(map.place(Rva(0x8000)), None);
        assert_eq!(map.place(Rva(0xfff)), None);
        assert_eq!(map.rva(SecOff::new(2, 0x10)), Some(Rva(0x3010)));
        assert_eq!(map.rva(SecOff::new(0, 0x10)), None);
        assert_eq!(map.rva(SecOff::new(3, 0x10)), None);
        assert_eq!(map.rva(SecOff::new(2, u32::MAX)), None);
    }

    #[test]
    fn omap_moves_pieces_and_drops_removed_ones() {
        let headers = header(0x3000, 0x1000, 0x3000);
        let from = pairs(&[(0x1000, 0x5000), (0x1100, 0), (0x1200, 0x6000)]);
        let to = pairs(&[(0x5000, 0x1000), (0x5100, 0), (0x6000, 0x1200)]);
        let map = AddressMap::new(&headers, Some(&from), Some(&to));
        assert!(map.has_omap());
        assert_eq!(map.place(Rva(0x6010)), Some(SecOff::new(1, 0x210)));
        assert_eq!(map.place(Rva(0x5110)), None);
        assert_eq!(map.rva(SecOff::new(1, 0x10)), Some(Rva(0x5010)));
        assert_eq!(map.rva(SecOff::new(1, 0x110)), None);
    }
}
