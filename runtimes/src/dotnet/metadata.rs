//! ECMA-335 metadata: names and signatures of an assembly.
//!
//! Layout: ECMA-335, partition II, chapters 22 to 24. A reader of our own because the metadata lies in the dump, as a
//! block without its file, and only a few columns of it are wanted.

use super::mem::{Sparse, u16_at, u32_at};
use std::sync::OnceLock;

/// Tables of the format, by number.
pub(super) mod table {
    pub(crate) const MODULE: usize = 0x00;
    pub(crate) const TYPE_REF: usize = 0x01;
    pub(crate) const TYPE_DEF: usize = 0x02;
    pub(crate) const FIELD: usize = 0x04;
    pub(crate) const METHOD: usize = 0x06;
    pub(crate) const PARAM: usize = 0x08;
    pub(crate) const STAND_ALONE_SIG: usize = 0x11;
    pub(crate) const TYPE_SPEC: usize = 0x1b;
    pub(crate) const ASSEMBLY: usize = 0x20;
    pub(crate) const NESTED: usize = 0x29;
    pub(crate) const GENERIC_PARAM: usize = 0x2a;
}

/// Tables that the header can name.
const TABLES: usize = 64;
/// Longest name, bytes.
const MAX_NAME: usize = 4096;
/// Deepest nesting of types.
const MAX_NESTING: usize = 32;

/// Width of a column.
#[derive(Clone, Copy)]
enum Column {
    Fixed(usize),
    Text,
    Guid,
    Blob,
    /// Row of a table.
    Row(usize),
    /// Row of one of several tables, with a tag of so many bits.
    Coded(u32, &'static [usize]),
}

use Column::{Blob, Coded, Fixed, Guid, Row, Text};

const TYPE_DEF_OR_REF: Column = Coded(2, &[0x02, 0x01, 0x1b]);
const HAS_CONSTANT: Column = Coded(2, &[0x04, 0x08, 0x17]);
const HAS_ATTRIBUTE: Column = Coded(
    5,
    &[
        0x06, 0x04, 0x01, 0x02, 0x08, 0x09, 0x0a, 0x00, 0x0e, 0x17, 0x14, 0x11, 0x1a, 0x1b, 0x20, 0x23, 0x26,
        0x27, 0x28, 0x2a, 0x2c, 0x2b,
    ],
);
const HAS_MARSHAL: Column = Coded(1, &[0x04, 0x08]);
const HAS_SECURITY: Column = Coded(2, &[0x02, 0x06, 0x20]);
const MEMBER_PARENT: Column = Coded(3, &[0x02, 0x01, 0x1a, 0x06, 0x1b]);
const HAS_SEMANTICS: Column = Coded(1, &[0x14, 0x17]);
const METHOD_DEF_OR_REF: Column = Coded(1, &[0x06, 0x0a]);
const MEMBER_FORWARDED: Column = Coded(1, &[0x04, 0x06]);
const IMPLEMENTATION: Column = Coded(2, &[0x26, 0x23, 0x27]);
const ATTRIBUTE_TYPE: Column = Coded(3, &[0x06, 0x0a]);
const RESOLUTION_SCOPE: Column = Coded(2, &[0x00, 0x1a, 0x23, 0x01]);
const TYPE_OR_METHOD: Column = Coded(1, &[0x02, 0x06]);
const TWO: Column = Fixed(2);
const FOUR: Column = Fixed(4);

/// Columns of the tables, by number.
const SCHEMA: &[&[Column]] = &[
    &[TWO, Text, Guid, Guid, Guid],
    &[RESOLUTION_SCOPE, Text, Text],
    &[FOUR, Text, Text, TYPE_DEF_OR_REF, Row(0x04), Row(0x06)],
    &[Row(0x04)],
    &[TWO, Text, Blob],
    &[Row(0x06)],
    &[FOUR, TWO, TWO, Text, Blob, Row(0x08)],
    &[Row(0x08)],
    &[TWO, TWO, Text],
    &[Row(0x02), TYPE_DEF_OR_REF],
    &[MEMBER_PARENT, Text, Blob],
    &[TWO, HAS_CONSTANT, Blob],
    &[HAS_ATTRIBUTE, ATTRIBUTE_TYPE, Blob],
    &[HAS_MARSHAL, Blob],
    &[TWO, HAS_SECURITY, Blob],
    &[TWO, FOUR, Row(0x02)],
    &[FOUR, Row(0x04)],
    &[Blob],
    &[Row(0x02), Row(0x14)],
    &[Row(0x14)],
    &[TWO, Text, TYPE_DEF_OR_REF],
    &[Row(0x02), Row(0x17)],
    &[Row(0x17)],
    &[TWO, Text, Blob],
    &[TWO, Row(0x06), HAS_SEMANTICS],
    &[Row(0x02), METHOD_DEF_OR_REF, METHOD_DEF_OR_REF],
    &[Text],
    &[Blob],
    &[TWO, MEMBER_FORWARDED, Text, Row(0x1a)],
    &[FOUR, Row(0x04)],
    &[FOUR, FOUR],
    &[FOUR],
    &[FOUR, TWO, TWO, TWO, TWO, FOUR, Blob, Text, Text],
    &[FOUR],
    &[FOUR, FOUR, FOUR],
    &[TWO, TWO, TWO, TWO, FOUR, Blob, Text, Text, Blob],
    &[FOUR, Row(0x23)],
    &[FOUR, FOUR, FOUR, Row(0x23)],
    &[FOUR, Text, Blob],
    &[FOUR, FOUR, Text, Text, IMPLEMENTATION],
    &[FOUR, FOUR, Text, IMPLEMENTATION],
    &[Row(0x02), Row(0x02)],
    &[TWO, TWO, TYPE_OR_METHOD, Text],
    &[METHOD_DEF_OR_REF, Blob],
    &[Row(0x2a), TYPE_DEF_OR_REF],
];

/// Where a table's rows lie.
#[derive(Clone, Debug, Default)]
struct Table {
    rows: u32,
    start: usize,
    /// Bytes of a row.
    width: usize,
    /// Offset and bytes of each column.
    columns: Vec<(usize, usize)>,
}

/// The metadata of one assembly.
#[derive(Debug)]
pub(super) struct Metadata {
    bytes: Sparse,
    strings: usize,
    blobs: usize,
    tables: Vec<Table>,
    /// (nested, enclosing), sorted.
    nested: OnceLock<Vec<(u32, u32)>>,
}

impl Metadata {
    /// Parses a metadata block. Parts of it may be missing: what leads there has no answer.
    pub(super) fn parse(bytes: Sparse) -> Option<Metadata> {
        if bytes.u32(0)? != 0x424a_5342 {
            return None;
        }
        let version = usize::try_from(bytes.u32(12)?).ok()?;
        let mut at = version.checked_add(16)?;
        let streams = bytes.u16(at.checked_add(2)?)?;
        at = at.checked_add(4)?;
        let (mut tables_at, mut strings, mut blobs) = (None, None, None);
        for _ in 0..streams.min(16) {
            let offset = usize::try_from(bytes.u32(at)?).ok()?;
            let name_at = at.checked_add(8)?;
            let name: Vec<u8> =
                bytes.peek(name_at)?.iter().copied().take(32).take_while(|b| *b != 0).collect();
            bytes.get(name_at, name.len().saturating_add(1))?;
            match name.as_slice() {
                b"#~" | b"#-" => tables_at = Some(offset),
                b"#Strings" => strings = Some(offset),
                b"#Blob" => blobs = Some(offset),
                _ => {}
            }
            at = name_at.checked_add((name.len() + 1).next_multiple_of(4))?;
        }
        let start = tables_at?;
        let heaps = bytes.u8(start.checked_add(6)?)?;
        let valid = bytes.u64(start.checked_add(8)?)?;
        let mut at = start.checked_add(24)?;
        let mut rows = [0u32; TABLES];
        for (i, slot) in rows.iter_mut().enumerate() {
            if valid >> i & 1 == 1 {
                *slot = bytes.u32(at)?;
                at = at.checked_add(4)?;
            }
        }
        if heaps & 0x40 != 0 {
            at = at.checked_add(4)?;
        }
        let tables = Self::tables(&rows, heaps, at)?;
        // Without it a nested type would look like one that is not.
        if let Some(t) = tables.get(table::NESTED).filter(|t| t.rows > 0) {
            bytes.get(t.start, usize::try_from(t.rows).ok()?.checked_mul(t.width)?)?;
        }
        Some(Metadata {
            strings: strings?,
            blobs: blobs.unwrap_or(usize::MAX),
            bytes,
            tables,
            nested: OnceLock::new(),
        })
    }

    fn tables(rows: &[u32; TABLES], heaps: u8, at: usize) -> Option<Vec<Table>> {
        let count = |t: usize| rows.get(t).copied().unwrap_or(0);
        let heap = |bit: u8| if heaps & bit != 0 { 4 } else { 2 };
        let width = |column: &Column| match column {
            Fixed(n) => *n,
            Text => heap(1),
            Guid => heap(2),
            Blob => heap(4),
            Row(t) => {
                if count(*t) > 0xffff {
                    4
                } else {
                    2
                }
            }
            Coded(bits, of) => {
                let most = of.iter().map(|t| count(*t)).max().unwrap_or(0);
                if most >= 1 << (16 - bits) { 4 } else { 2 }
            }
        };
        let mut start = at;
        let mut tables = Vec::new();
        for (i, schema) in SCHEMA.iter().enumerate() {
            let mut columns = Vec::new();
            let mut offset = 0usize;
            for column in *schema {
                let bytes = width(column);
                columns.push((offset, bytes));
                offset += bytes;
            }
            let rows = count(i);
            tables.push(Table { rows, start, width: offset, columns });
            start = start.checked_add(usize::try_from(rows).ok()?.checked_mul(offset)?)?;
        }
        Some(tables)
    }

    /// Rows of a table.
    pub(super) fn rows(&self, table: usize) -> u32 {
        self.tables.get(table).map_or(0, |t| t.rows)
    }

    /// A column of a row, numbered from 1.
    pub(super) fn column(&self, table: usize, row: u32, column: usize) -> Option<u32> {
        let (at, bytes) = self.place(table, row, column)?;
        if bytes == 4 { self.bytes.u32(at) } else { self.bytes.u16(at).map(u32::from) }
    }

    /// Where a column of a row lies, and its bytes.
    fn place(&self, table: usize, row: u32, column: usize) -> Option<(usize, usize)> {
        let t = self.tables.get(table)?;
        if row == 0 || row > t.rows {
            return None;
        }
        let (offset, bytes) = *t.columns.get(column)?;
        let skip = usize::try_from(row - 1).ok()?.checked_mul(t.width)?;
        Some((t.start.checked_add(skip)?.checked_add(offset)?, bytes))
    }

    fn text(&self, offset: u32) -> Option<String> {
        let at = self.strings.checked_add(usize::try_from(offset).ok()?)?;
        let found = self.bytes.peek(at).and_then(|b| b.iter().take(MAX_NAME).position(|b| *b == 0));
        let text = self.bytes.get(at, found.map_or(1, |end| end.saturating_add(1)))?;
        Some(String::from_utf8_lossy(text.get(..found?)?).into_owned())
    }

    /// The text in a column.
    pub(super) fn name(&self, table: usize, row: u32, column: usize) -> Option<String> {
        self.text(self.column(table, row, column)?)
    }

    /// The blob in a column.
    pub(super) fn blob(&self, table: usize, row: u32, column: usize) -> Option<&[u8]> {
        let offset = usize::try_from(self.column(table, row, column)?).ok()?;
        let at = self.blobs.checked_add(offset)?;
        self.bytes.u8(at)?;
        let (len, skip) = compressed(self.bytes.peek(at)?)?;
        let len = usize::try_from(len).ok()?;
        self.bytes.get(at, skip.checked_add(len)?)?.get(skip..)
    }

    /// Types that a type encloses.
    pub(super) fn inner_types(&self, row: u32) -> Vec<u32> {
        let pair = |i| Some((self.column(table::NESTED, i, 0)?, self.column(table::NESTED, i, 1)?));
        let all = (1..=self.rows(table::NESTED)).map_while(pair);
        all.filter(|(_, outer)| *outer == row).map(|(inner, _)| inner).collect()
    }

    /// The type that encloses a nested one.
    fn enclosing(&self, row: u32) -> Option<u32> {
        let nested = self.nested.get_or_init(|| {
            let pair = |i| Some((self.column(table::NESTED, i, 0)?, self.column(table::NESTED, i, 1)?));
            let mut all: Vec<_> = (1..=self.rows(table::NESTED)).map_while(pair).collect();
            all.sort_unstable();
            all
        });
        let at = nested.binary_search_by_key(&row, |(inner, _)| *inner).ok()?;
        Some(nested.get(at)?.1)
    }

    /// Simple names of a type and those around it, outermost first; the namespace is in the first.
    pub(super) fn type_def(&self, row: u32) -> Vec<String> {
        self.nest(table::TYPE_DEF, row, |row| self.enclosing(row))
    }

    /// The row of a type by the simple names of it and those around it, outermost first, with the namespace.
    pub(super) fn find_type(&self, parts: &[&str]) -> Option<u32> {
        let last = *parts.last()?;
        let simple = if parts.len() > 1 { last } else { last.rsplit('.').next().unwrap_or(last) };
        (1..=self.rows(table::TYPE_DEF))
            .filter(|row| self.is_named(*row, simple))
            .find(|row| self.type_def(*row).iter().map(String::as_str).eq(parts.iter().copied()))
    }

    /// True when a type has this simple name, compared without a copy. For a search: nothing is noted as read.
    fn is_named(&self, row: u32, simple: &str) -> bool {
        let bytes = || {
            let (at, width) = self.place(table::TYPE_DEF, row, 1)?;
            let raw = self.bytes.peek(at)?;
            let offset = if width == 4 { u32_at(raw, 0)? } else { u16_at(raw, 0)?.into() };
            self.bytes.peek(self.strings.checked_add(usize::try_from(offset).ok()?)?)
        };
        bytes().is_some_and(|b| b.starts_with(simple.as_bytes()) && b.get(simple.len()) == Some(&0))
    }

    /// The same for a reference to a type.
    pub(super) fn type_ref(&self, row: u32) -> Vec<String> {
        self.nest(table::TYPE_REF, row, |row| {
            // ResolutionScope with tag 3: another reference.
            self.column(table::TYPE_REF, row, 0).filter(|scope| scope & 3 == 3).map(|scope| scope >> 2)
        })
    }

    fn nest(&self, table: usize, row: u32, outer: impl Fn(u32) -> Option<u32>) -> Vec<String> {
        let mut names = Vec::new();
        let mut next = Some(row);
        while let Some(row) = next.filter(|_| names.len() < MAX_NESTING) {
            // A part of a name would be another name.
            let (Some(name), Some(space)) = (self.name(table, row, 1), self.name(table, row, 2)) else {
                return Vec::new();
            };
            names.push(if space.is_empty() { name } else { format!("{space}.{name}") });
            next = outer(row);
        }
        names.reverse();
        names
    }

    /// A method's name.
    pub(super) fn method(&self, row: u32) -> Option<String> {
        self.name(table::METHOD, row, 3)
    }

    /// A method's signature.
    pub(super) fn method_signature(&self, row: u32) -> Option<&[u8]> {
        self.blob(table::METHOD, row, 4)
    }

    /// The type that has a method: the last one whose list begins at it or before.
    pub(super) fn method_owner(&self, method: u32) -> Option<u32> {
        let (mut low, mut high) = (1u32, self.rows(table::TYPE_DEF).checked_add(1)?);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.column(table::TYPE_DEF, middle, 5)? <= method { low = middle + 1 } else { high = middle }
        }
        low.checked_sub(1).filter(|row| *row > 0)
    }

    /// A field's name.
    pub(super) fn field(&self, row: u32) -> Option<String> {
        self.name(table::FIELD, row, 1)
    }

    /// The assembly's name; empty for a module without one.
    pub(super) fn assembly(&self) -> String {
        self.name(table::ASSEMBLY, 1, 7).unwrap_or_default()
    }

    /// The module's file name.
    pub(super) fn module(&self) -> Option<String> {
        self.name(table::MODULE, 1, 1)
    }
}

/// A compressed unsigned number and the bytes that it takes.
pub(super) fn compressed(bytes: &[u8]) -> Option<(u32, usize)> {
    let first = u32::from(*bytes.first()?);
    let byte = |i: usize| bytes.get(i).map(|b| u32::from(*b));
    if first & 0x80 == 0 {
        Some((first, 1))
    } else if first & 0x40 == 0 {
        Some(((first & 0x3f) << 8 | byte(1)?, 2))
    } else {
        Some(((first & 0x1f) << 24 | byte(1)? << 16 | byte(2)? << 8 | byte(3)?, 4))
    }
}
