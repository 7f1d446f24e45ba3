//! The version resource (`VS_VERSION_INFO`) of an image in memory.
//!
//! Layout: PE/COFF specification (resource directory) and verrsrc.h: blocks of `wLength`, `wValueLength`, `wType`, a
//! UTF-16 key, padding to 4 bytes, a value, padding, child blocks. The same in all builds and bitnesses.

use super::{PeHeaders, directory};
use dumpscope_core::{ReadMemory, Va};

/// `RT_VERSION`.
const RT_VERSION: u32 = 16;
/// Largest resource that is read, bytes. Real ones have about 1000.
const MAX_SIZE: u32 = 64 * 1024;
/// Most entries of a resource directory that are looked at.
const MAX_ENTRIES: u32 = 4096;
/// Most blocks of all levels.
const MAX_BLOCKS: usize = 1024;
/// Most strings kept.
const MAX_STRINGS: usize = 64;

/// What the resource says. Texts are untrusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionResource {
    /// The 13 words of `VS_FIXEDFILEINFO`, when its signature is right.
    pub fixed: Option<[u32; 13]>,
    /// Language and code page pairs.
    pub translations: Vec<(u16, u16)>,
    /// Key and text, in the file's order.
    pub strings: Vec<(String, String)>,
}

impl VersionResource {
    /// The text of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.strings.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }
}

/// Reads the version resource of the image at `base`. `None` when there is none or it is not in the dump.
#[must_use]
pub fn version_resource(mem: &dyn ReadMemory, base: Va, headers: &PeHeaders) -> Option<VersionResource> {
    let root = headers.directory(directory::RESOURCE)?.rva.va(base);
    // Type, name, language: the first name and language count.
    let names = child(mem, root, root, |id| id == RT_VERSION)?;
    let languages = child(mem, root, names?, |_| true)??;
    let entry = leaf(mem, root, languages)?;
    let rva = mem.u32(entry)?;
    let size = mem.u32(entry.offset(4))?.min(MAX_SIZE);
    let mut raw = vec![0u8; usize::try_from(size).ok()?];
    let got = mem.read_at(base.offset(rva.into()), &mut raw).got;
    raw.truncate(got);
    parse(&raw)
}

/// Entries of a resource directory: named ones first, then those with ids. Gives (id, offset word).
fn entries(mem: &dyn ReadMemory, dir: Va) -> Option<Vec<(u32, u32)>> {
    let named = u32::from(mem.u16(dir.offset(12))?);
    let ids = u32::from(mem.u16(dir.offset(14))?);
    let count = named.saturating_add(ids).min(MAX_ENTRIES);
    let at = |i: u32| dir.offset(16).offset(u64::from(i) * 8);
    Some((0..count).map_while(|i| Some((mem.u32(at(i))?, mem.u32(at(i).offset(4))?))).collect())
}

/// The subdirectory of the first entry that fits; `Some(None)` when the entry is no directory.
fn child(mem: &dyn ReadMemory, root: Va, dir: Va, fits: impl Fn(u32) -> bool) -> Option<Option<Va>> {
    let (_, offset) = entries(mem, dir)?.into_iter().find(|(id, _)| fits(*id))?;
    Some((offset & 0x8000_0000 != 0).then(|| root.offset((offset & 0x7fff_ffff).into())))
}

/// The first data entry of a directory.
fn leaf(mem: &dyn ReadMemory, root: Va, dir: Va) -> Option<Va> {
    let (_, offset) = entries(mem, dir)?.into_iter().next()?;
    (offset & 0x8000_0000 == 0).then(|| root.offset(offset.into()))
}

/// One block.
struct Block<'a> {
    key: String,
    /// `wValueLength`: bytes, or characters for text.
    value_len: usize,
    /// From the value to the end of the block.
    body: &'a [u8],
    /// Distance of the body from the start of the block, for the alignment of what follows the value.
    body_at: usize,
}

fn u16_at(b: &[u8], at: usize) -> Option<u16> {
    b.get(at..)?.first_chunk::<2>().map(|c| u16::from_le_bytes(*c))
}

fn u32_at(b: &[u8], at: usize) -> Option<u32> {
    b.get(at..)?.first_chunk::<4>().map(|c| u32::from_le_bytes(*c))
}

fn align4(n: usize) -> usize {
    n.saturating_add(3) & !3
}

/// The block at the start of `raw` and its length.
fn block(raw: &[u8]) -> Option<(Block<'_>, usize)> {
    let len = usize::from(u16_at(raw, 0)?);
    let value_len = usize::from(u16_at(raw, 2)?);
    if len < 6 {
        return None;
    }
    // A resource that is cut off still gives its first strings.
    let own = raw.get(..len.min(raw.len()))?;
    let units = own.get(6..)?.as_chunks::<2>().0;
    let end = units.iter().position(|u| *u == [0, 0])?;
    let key: Vec<u16> = units.get(..end)?.iter().map(|u| u16::from_le_bytes(*u)).collect();
    let body_at = align4(6 + (end + 1) * 2);
    let body = own.get(body_at..).unwrap_or(&[]);
    Some((Block { key: String::from_utf16_lossy(&key), value_len, body, body_at }, len))
}

/// Calls `f` for each block that lies one after the other in `raw`; blocks start at multiples of 4 from `at`.
fn blocks<'a>(raw: &'a [u8], budget: &mut usize, mut f: impl FnMut(&Block<'a>, &mut usize)) {
    let mut pos = 0;
    while let Some((block, len)) = raw.get(pos..).and_then(block) {
        if *budget == 0 {
            return;
        }
        *budget -= 1;
        f(&block, budget);
        pos = align4(pos.saturating_add(len));
    }
}

fn text(raw: &[u8], chars: usize) -> String {
    let units = raw.as_chunks::<2>().0;
    let units: Vec<u16> =
        units.iter().take(chars).map(|u| u16::from_le_bytes(*u)).take_while(|u| *u != 0).collect();
    String::from_utf16_lossy(&units)
}

fn parse(raw: &[u8]) -> Option<VersionResource> {
    let (root, _) = block(raw)?;
    if root.key != "VS_VERSION_INFO" {
        return None;
    }
    let mut out = VersionResource::default();
    if root.value_len >= 52 && u32_at(root.body, 0) == Some(0xfeef_04bd) {
        let mut words = [0; 13];
        for (i, word) in words.iter_mut().enumerate() {
            *word = u32_at(root.body, i * 4)?;
        }
        out.fixed = Some(words);
    }
    let children = align4(root.body_at + root.value_len).saturating_sub(root.body_at);
    let mut budget = MAX_BLOCKS;
    blocks(root.body.get(children..).unwrap_or(&[]), &mut budget, |info, budget| match info.key.as_str() {
        "StringFileInfo" => {
            // Only the first table: the others say the same in other languages.
            let mut first = true;
            blocks(info.body, budget, |table, budget| {
                if !std::mem::take(&mut first) {
                    return;
                }
                blocks(table.body, budget, |s, _| {
                    if out.strings.len() < MAX_STRINGS {
                        out.strings.push((s.key.clone(), text(s.body, s.value_len)));
                    }
                });
            });
        }
        "VarFileInfo" => blocks(info.body, budget, |var, _| {
            if var.key == "Translation" {
                let pairs = var.body.get(..var.value_len.min(var.body.len())).unwrap_or(&[]);
                for [a, b, c, d] in pairs.as_chunks::<4>().0.iter().take(MAX_STRINGS) {
                    out.translations.push((u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d])));
                }
            }
        }),
        _ => {}
    });
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(s: &str) -> Vec<u8> {
        s.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
    }

    fn pad(b: &mut Vec<u8>) {
        while !b.len().is_multiple_of(4) {
            b.push(0);
        }
    }

    fn make(key: &str, value: &[u8], value_len: usize, text: bool, children: &[Vec<u8>]) -> Vec<u8> {
        let mut b = vec![0u8; 6];
        b.extend(wide(key));
        pad(&mut b);
        b.extend(value);
        for child in children {
            pad(&mut b);
            b.extend(child);
        }
        let len = b.len() as u16;
        b[..2].copy_from_slice(&len.to_le_bytes());
        b[2..4].copy_from_slice(&(value_len as u16).to_le_bytes());
        b[4] = u8::from(text);
        b
    }

    fn string(key: &str, value: &str) -> Vec<u8> {
        make(key, &wide(value), value.len() + 1, true, &[])
    }

    fn sample() -> Vec<u8> {
        let mut fixed = vec![0u8; 52];
        fixed[..4].copy_from_slice(&0xfeef_04bdu32.to_le_bytes());
        fixed[8..12].copy_from_slice(&0x000a_0000u32.to_le_bytes());
        let table =
            make("040904b0", &[], 0, true, &[string("CompanyName", "Me"), string("FileVersion", "1.2.3")]);
        let strings = make("StringFileInfo", &[], 0, true, &[table]);
        let translation = make("Translation", &[0x09, 0x04, 0xb0, 0x04], 4, false, &[]);
        let var = make("VarFileInfo", &[], 0, true, &[translation]);
        make("VS_VERSION_INFO", &fixed, 52, false, &[strings, var])
    }

    #[test]
    fn a_whole_resource() {
        let v = parse(&sample()).unwrap();
        assert_eq!(v.fixed.unwrap()[2], 0x000a_0000);
        assert_eq!(v.get("CompanyName"), Some("Me"));
        assert_eq!(v.get("FileVersion"), Some("1.2.3"));
        assert_eq!(v.translations, [(0x409, 0x4b0)]);
    }

    #[test]
    fn every_truncation_and_every_byte_changed() {
        let raw = sample();
        for n in 0..raw.len() {
            let _ = parse(&raw[..n]);
            for value in [0, 1, 0xff] {
                let mut broken = raw.clone();
                broken[n] = value;
                let _ = parse(&broken);
            }
        }
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&vec![0xff; 70_000]), None);
    }
}
