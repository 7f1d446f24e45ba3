//! The form of the embedded file.
//!
//! `win32-table` writes it. Numbers are little-endian. `DSWIN32` and a version byte, then for each section its offset
//! and length (32 bits each), in this order:
//!
//! | section | holds |
//! | --- | --- |
//! | word lengths, word groups, words | the words that names are put together from; groups: where every 32nd starts |
//! | part groups, parts | parameters and fields that are used often; groups: where every 16th starts |
//! | ranges | the first block of functions, type records, definitions, constants and values, and the number of blocks |
//! | directory | for each block: offset, packed and raw length (16 bits each), its first entry, how many entries are before it |
//! | keys | the names (or type and value) that blocks start with |
//! | function prints, type prints | 16 bits of each name's hash: a name that is not there costs no block |
//! | guids, guid types | sorted GUIDs and the types that have them |
//! | dll offsets, dlls, namespace offsets, namespaces | lists of texts |
//! | data | the blocks, each deflated by itself |
//!
//! A name is a list of words: 2 to 0xbf are words 0 to 189, 0xc0 and above start a number of two bytes, 1 a text with its
//! length, 0 ends it. Names of sorted lists say first how many words they share with the one before.

use crate::bytes::{Cursor, u16_at, u32_at};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::io::Read as _;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering as Order};

const MAGIC: &[u8; 8] = b"DSWIN32\x01";
/// Longest name.
const MAX_NAME: usize = 4096;
const WORD_GROUP: usize = 32;
const PART_GROUP: usize = 16;
const DIRECTORY_ENTRY: usize = 16;

#[derive(Clone, Copy)]
pub(crate) enum Section {
    WordLengths,
    WordGroups,
    Words,
    PartGroups,
    Parts,
    Ranges,
    Directory,
    Keys,
    FunctionPrints,
    TypePrints,
    Guids,
    GuidTypes,
    DllOffsets,
    Dlls,
    SpaceOffsets,
    Spaces,
    Data,
}

const SECTIONS: usize = Section::Data as usize + 1;

/// Kinds of blocks.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Functions,
    Records,
    Definitions,
    Constants,
    Values,
}

/// The table.
#[derive(Debug)]
pub struct Table {
    raw: Cow<'static, [u8]>,
    sections: [Range<usize>; SECTIONS],
    blocks: Vec<OnceLock<Box<[u8]>>>,
    /// Where the records of a block of types start: made when the block is first asked for one.
    pub(crate) starts: Vec<OnceLock<Box<[u16]>>>,
    unpacked: AtomicUsize,
    pub(crate) constant_names: OnceLock<Vec<(u32, u32, u32)>>,
}

/// A name that is being read, with the ends of its words.
#[derive(Debug, Default)]
pub(crate) struct Name {
    pub(crate) text: String,
    ends: Vec<usize>,
}

/// A name that is looked for in a list of names of which each shares its first words with the one before: words that are
/// shared are compared once.
#[derive(Debug)]
pub(crate) struct Search<'a> {
    name: &'a [u8],
    /// How far the first words of the entry before are those of the name.
    ends: Vec<usize>,
    /// Words of the entry before.
    words: usize,
}

impl<'a> Search<'a> {
    pub(crate) fn new(name: &'a str) -> Search<'a> {
        Search { name: name.as_bytes(), ends: Vec::new(), words: 0 }
    }

    /// Reads the next entry's name: whether it is the one that is looked for.
    pub(crate) fn next(&mut self, table: &Table, cursor: &mut Cursor<'_>) -> Option<bool> {
        let same = usize::from(cursor.u8()?);
        if same > self.words {
            return None;
        }
        // A shared word that differed before does so still.
        let mut fits = same <= self.ends.len();
        self.ends.truncate(same);
        self.words = same;
        loop {
            let bytes = match cursor.u8()? {
                0 => return Some(fits && self.ends.last().copied().unwrap_or(0) == self.name.len()),
                1 => {
                    let len = cursor.u8()?;
                    Some(cursor.bytes(len.into())?)
                }
                byte @ 2..0xc0 if fits => table.word(usize::from(byte) - 2),
                2..0xc0 => None,
                byte => {
                    let low = usize::from(cursor.u8()?);
                    if fits { table.word(190 + (usize::from(byte & 0x3f) << 8 | low)) } else { None }
                }
            };
            self.words += 1;
            if fits {
                let at = self.ends.last().copied().unwrap_or(0);
                let bytes = bytes?;
                fits = self.name.get(at..).is_some_and(|rest| rest.starts_with(bytes));
                if fits {
                    self.ends.push(at + bytes.len());
                }
            }
        }
    }
}

/// A word of a name, without its letters.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Word<'a> {
    Number(u16),
    Text(&'a [u8]),
}

impl Table {
    /// Reads a table's head; blocks are unpacked when they are asked for. `None`: it is no table.
    #[must_use]
    pub fn open(raw: Cow<'static, [u8]>) -> Option<Table> {
        if raw.get(..MAGIC.len())? != MAGIC {
            return None;
        }
        let head = raw.get(MAGIC.len()..)?;
        let mut sections: [Range<usize>; SECTIONS] = std::array::from_fn(|_| 0..0);
        for (n, section) in sections.iter_mut().enumerate() {
            let at = usize::try_from(u32_at(head, n * 2)?).ok()?;
            let end = at.checked_add(usize::try_from(u32_at(head, n * 2 + 1)?).ok()?)?;
            raw.get(at..end)?;
            *section = at..end;
        }
        let mut table = Table {
            raw,
            sections,
            blocks: Vec::new(),
            starts: Vec::new(),
            unpacked: AtomicUsize::new(0),
            constant_names: OnceLock::new(),
        };
        let blocks = table.section(Section::Directory).len() / DIRECTORY_ENTRY;
        table.blocks.resize_with(blocks, OnceLock::new);
        table.starts.resize_with(table.range(Kind::Records).end, OnceLock::new);
        Some(table)
    }

    /// A table of nothing.
    pub(crate) fn empty() -> Table {
        Table {
            raw: Cow::Borrowed(&[]),
            sections: std::array::from_fn(|_| 0..0),
            blocks: Vec::new(),
            starts: Vec::new(),
            unpacked: AtomicUsize::new(0),
            constant_names: OnceLock::new(),
        }
    }

    /// Bytes that were unpacked so far.
    #[must_use]
    pub fn unpacked(&self) -> usize {
        self.unpacked.load(Order::Relaxed)
    }

    pub(crate) fn section(&self, section: Section) -> &[u8] {
        let range = self.sections.get(section as usize).cloned().unwrap_or(0..0);
        self.raw.get(range).unwrap_or_default()
    }

    /// The numbers of all blocks of a kind.
    pub(crate) fn range(&self, kind: Kind) -> Range<usize> {
        let at = |n| u32_at(self.section(Section::Ranges), n).and_then(|v| usize::try_from(v).ok());
        let n = kind as usize;
        let (from, to) = (at(n).unwrap_or(0), at(n + 1).unwrap_or(0).min(self.blocks.len()));
        from.min(to)..to
    }

    fn entry(&self, block: usize) -> Option<&[u8]> {
        let at = block.checked_mul(DIRECTORY_ENTRY)?;
        self.section(Section::Directory).get(at..at.checked_add(DIRECTORY_ENTRY)?)
    }

    /// What the directory says of a block's start: a type's number or a place in the keys.
    pub(crate) fn first(&self, block: usize) -> Option<u32> {
        u32_at(self.entry(block)?, 2)
    }

    /// How many entries of its kind are before a block.
    fn ordinal(&self, block: usize) -> Option<usize> {
        usize::try_from(u32_at(self.entry(block)?, 3)?).ok()
    }

    /// The bytes of a block.
    pub(crate) fn block(&self, block: usize) -> Option<&[u8]> {
        let slot = self.blocks.get(block)?;
        Some(slot.get_or_init(|| {
            let data = self.unpack(block).unwrap_or_default();
            self.unpacked.fetch_add(data.len(), Order::Relaxed);
            data.into_boxed_slice()
        }))
    }

    fn unpack(&self, block: usize) -> Option<Vec<u8>> {
        let entry = self.entry(block)?;
        let at = usize::try_from(u32_at(entry, 0)?).ok()?;
        let (packed, raw) = (usize::from(u16_at(entry, 2)?), usize::from(u16_at(entry, 3)?));
        let data = self.section(Section::Data).get(at..at.checked_add(packed)?)?;
        let mut out = Vec::with_capacity(raw);
        flate2::read::DeflateDecoder::new(data).take(raw as u64).read_to_end(&mut out).ok()?;
        (out.len() == raw).then_some(out)
    }

    fn word(&self, index: usize) -> Option<&[u8]> {
        let group = index / WORD_GROUP;
        let mut at = usize::try_from(u32_at(self.section(Section::WordGroups), group)?).ok()?;
        let lengths = self.section(Section::WordLengths).get(group * WORD_GROUP..=index)?;
        let (last, before) = lengths.split_last()?;
        for len in before {
            at = at.checked_add(usize::from(*len))?;
        }
        self.section(Section::Words).get(at..at.checked_add(usize::from(*last))?)
    }

    /// Reads words to the end of a name, behind what `name` holds already.
    fn words(&self, cursor: &mut Cursor<'_>, name: &mut Name) -> Option<()> {
        loop {
            let byte = cursor.u8()?;
            let bytes = match byte {
                0 => return Some(()),
                1 => {
                    let len = cursor.u8()?;
                    cursor.bytes(len.into())?
                }
                2..0xc0 => self.word(usize::from(byte) - 2)?,
                _ => self.word(190 + (usize::from(byte & 0x3f) << 8 | usize::from(cursor.u8()?)))?,
            };
            if name.text.len() + bytes.len() > MAX_NAME {
                return None;
            }
            name.text.push_str(std::str::from_utf8(bytes).ok()?);
            name.ends.push(name.text.len());
        }
    }

    /// Reads a name.
    pub(crate) fn name(&self, cursor: &mut Cursor<'_>) -> Option<String> {
        let mut name = Name::default();
        self.words(cursor, &mut name)?;
        Some(name.text)
    }

    /// Reads the words of a name that shares its first ones with the one before, without their letters.
    pub(crate) fn words_after<'a>(cursor: &mut Cursor<'a>, words: &mut Vec<Word<'a>>) -> Option<()> {
        let same = usize::from(cursor.u8()?);
        if same > words.len() {
            return None;
        }
        words.truncate(same);
        loop {
            words.push(match cursor.u8()? {
                0 => return Some(()),
                1 => {
                    let len = cursor.u8()?;
                    Word::Text(cursor.bytes(len.into())?)
                }
                byte @ 2..0xc0 => Word::Number(u16::from(byte) - 2),
                byte => Word::Number(190 + (u16::from(byte & 0x3f) << 8 | u16::from(cursor.u8()?))),
            });
        }
    }

    /// The letters of words.
    pub(crate) fn spelled(&self, words: &[Word<'_>]) -> Option<String> {
        let mut out = String::new();
        for word in words {
            let bytes = match word {
                Word::Number(n) => self.word((*n).into())?,
                Word::Text(text) => text,
            };
            if out.len() + bytes.len() > MAX_NAME {
                return None;
            }
            out.push_str(std::str::from_utf8(bytes).ok()?);
        }
        Some(out)
    }

    /// Which entries of a block of functions may have a name: by their prints, from 0.
    pub(crate) fn candidates(&self, block: usize, name: &str) -> Vec<usize> {
        let prints = self.section(Section::FunctionPrints);
        let end = self.range(Kind::Functions).end;
        let to = if block + 1 < end { self.ordinal(block + 1) } else { Some(prints.len() / 2) };
        let (Some(from), Some(to)) = (self.ordinal(block), to) else { return Vec::new() };
        let wanted = print(name).to_le_bytes();
        let here = prints.get(from.saturating_mul(2)..to.saturating_mul(2)).unwrap_or_default();
        here.as_chunks::<2>().0.iter().enumerate().filter(|(_, p)| **p == wanted).map(|(n, _)| n).collect()
    }

    /// True when the name at the cursor has these letters.
    pub(crate) fn spells(&self, cursor: &mut Cursor<'_>, name: &str) -> bool {
        let mut rest = name.as_bytes();
        let mut word = || {
            Some(match cursor.u8()? {
                0 => None,
                1 => {
                    let len = cursor.u8()?;
                    Some(cursor.bytes(len.into())?)
                }
                byte @ 2..0xc0 => Some(self.word(usize::from(byte) - 2)?),
                byte => {
                    let low = usize::from(cursor.u8()?);
                    Some(self.word(190 + (usize::from(byte & 0x3f) << 8 | low))?)
                }
            })
        };
        loop {
            match word() {
                Some(None) => return rest.is_empty(),
                Some(Some(bytes)) => match rest.strip_prefix(bytes) {
                    Some(after) => rest = after,
                    None => return false,
                },
                None => return false,
            }
        }
    }

    /// Steps over a name.
    pub(crate) fn skip_name(cursor: &mut Cursor<'_>) -> Option<()> {
        loop {
            match cursor.u8()? {
                0 => return Some(()),
                1 => {
                    let len = cursor.u8()?;
                    cursor.bytes(len.into())?;
                }
                2..0xc0 => {}
                _ => {
                    cursor.u8()?;
                }
            }
        }
    }

    /// Reads a name that shares its first words with the one before.
    pub(crate) fn name_after(&self, cursor: &mut Cursor<'_>, name: &mut Name) -> Option<()> {
        let same = usize::from(cursor.u8()?);
        if same > name.ends.len() {
            return None;
        }
        name.ends.truncate(same);
        name.text.truncate(name.ends.last().copied().unwrap_or(0));
        self.words(cursor, name)
    }

    /// A parameter or field that is used often.
    pub(crate) fn part(&self, index: usize) -> Option<Cursor<'_>> {
        let at = usize::try_from(u32_at(self.section(Section::PartGroups), index / PART_GROUP)?).ok()?;
        let mut cursor = Cursor::new(self.section(Section::Parts).get(at..)?);
        for _ in 0..index % PART_GROUP {
            let len = cursor.u8()?;
            cursor.bytes(len.into())?;
        }
        let len = cursor.u8()?;
        cursor.bytes(len.into()).map(Cursor::new)
    }

    /// A text of a list.
    pub(crate) fn text(&self, offsets: Section, texts: Section, index: u64) -> Option<&str> {
        let index = usize::try_from(index).ok()?;
        let at = |n| u16_at(self.section(offsets), n).map(usize::from);
        std::str::from_utf8(self.section(texts).get(at(index)?..at(index.checked_add(1)?)?)?).ok()
    }

    /// Blocks of a sorted kind that may hold a name.
    pub(crate) fn blocks_of(&self, kind: Kind, name: &str) -> Range<usize> {
        let range = self.range(kind);
        let before = |block: usize| {
            let first = self.key(block).unwrap_or_default();
            first.as_str().cmp(name)
        };
        let from = partition(range.clone(), |b| before(b) == Ordering::Less);
        // Few blocks start with the same name.
        let mut to = from;
        while to < range.end && before(to) == Ordering::Equal {
            to += 1;
        }
        from.saturating_sub(1).max(range.start)..to
    }

    fn key(&self, block: usize) -> Option<String> {
        let mut cursor = self.key_at(block)?;
        self.name(&mut cursor)
    }

    pub(crate) fn key_at(&self, block: usize) -> Option<Cursor<'_>> {
        let at = usize::try_from(self.first(block)?).ok()?;
        self.section(Section::Keys).get(at..).map(Cursor::new)
    }
}

/// The first number of a range for which `before` is false; it is true for all smaller ones.
pub(crate) fn partition(range: Range<usize>, before: impl Fn(usize) -> bool) -> usize {
    let (mut from, mut to) = (range.start, range.end);
    while from < to {
        let middle = from + (to - from) / 2;
        if before(middle) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    from
}

/// 32 bits of a name: FNV-1a.
pub(crate) fn hash(name: &str) -> u32 {
    name.bytes().fold(0x811c_9dc5, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193))
}

/// 16 bits of a name.
pub(crate) fn print(name: &str) -> u16 {
    let [a, b, c, d] = hash(name).to_le_bytes();
    u16::from_le_bytes([a ^ c, b ^ d])
}
