//! Names of values: enumerations, flags, codes, messages and other constants.

use crate::bytes::Cursor;
use crate::format::{Kind, Name, Search, Table, hash, partition};
use crate::function::ty;
use crate::ty::{Ty, TypeId};
use crate::types::{Definition, TypeKind};

/// Of several names of one code the one that starts so is meant.
const PREFERRED: &[(&str, &str)] = &[("HRESULT", "E_"), ("NTSTATUS", "STATUS_"), ("WIN32_ERROR", "ERROR_")];

/// The names are in the type's own definition.
const NO_BLOCK: u32 = u32::MAX;
/// The name belongs to no type.
const NO_TYPE: TypeId = TypeId(u32::MAX);

/// What a constant is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// A number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// A text.
    Text(String),
    /// A GUID, as it lies in memory.
    Guid([u8; 16]),
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Name.
    pub name: String,
    /// The enumeration, family of messages or type of codes that it belongs to.
    pub of: Option<TypeId>,
    /// Its type, when it belongs to none.
    pub ty: Option<Ty>,
    /// Value.
    pub value: Value,
}

impl Table {
    /// The names and values of an enumeration, a family of messages (`WM`) or a type of codes (`HRESULT`).
    #[must_use]
    pub fn members(&self, id: TypeId) -> Vec<(String, i64)> {
        match self.type_info(id) {
            Some(info) if info.by_value => {
                let mut out = Vec::new();
                for block in self.value_blocks(id, i64::MIN, i64::MAX) {
                    self.each_value(block, &mut |value, name| out.push((name.to_owned(), value)));
                }
                out
            }
            Some(info) if info.kind == TypeKind::Enum => match self.definition(id) {
                Some(Definition::Enum { members, .. }) => members,
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// The names of one value of an enumeration, a family of messages or a type of codes.
    #[must_use]
    pub fn names_of(&self, id: TypeId, value: i64) -> Vec<String> {
        let Some(info) = self.type_info(id) else { return Vec::new() };
        if !info.by_value {
            return self.members(id).into_iter().filter(|(_, v)| *v == value).map(|(n, _)| n).collect();
        }
        let mut out = Vec::new();
        for block in self.value_blocks(id, value, value) {
            self.with_value(block, value, &mut out);
        }
        out
    }

    /// The names of one value in a block; those of other values are stepped over.
    fn with_value(&self, block: usize, wanted: i64, out: &mut Vec<String>) -> Option<()> {
        let mut key = self.key_at(block)?;
        key.small()?;
        let mut value = key.signed()?;
        let mut cursor = Cursor::new(self.block(block)?);
        let mut words = Vec::new();
        while !cursor.is_empty() {
            value = value.wrapping_add(cursor.signed()?);
            Table::words_after(&mut cursor, &mut words)?;
            if value == wanted {
                out.push(self.spelled(&words)?);
            } else if value > wanted {
                break; // they are sorted
            }
        }
        Some(())
    }

    /// A value in words: a name, flags (`A|B|0x10`); `None` when no name fits.
    #[must_use]
    pub fn value_text(&self, id: TypeId, value: u64) -> Option<String> {
        let width = |v: i64| v.cast_unsigned() & u64::from(u32::MAX);
        let wanted = value & u64::from(u32::MAX);
        let signed = i64::from(u32::try_from(wanted).ok()?.cast_signed());
        let info = self.type_info(id)?;
        if info.by_value {
            let direct = self.names_of(id, signed);
            let all = if direct.is_empty() { self.names_of(id, i64::try_from(wanted).ok()?) } else { direct };
            let prefix = PREFERRED.iter().find(|(of, _)| *of == info.name).map_or("", |(_, p)| p);
            let best = all.iter().position(|n| n.starts_with(prefix)).unwrap_or(0);
            return all.into_iter().nth(best);
        }
        // Values first: most names are not asked for.
        let (flags, values) = self.enum_values(id)?;
        if let Some(n) = values.iter().position(|v| width(*v) == wanted) {
            return self.enum_names(id, &[n]).pop();
        }
        if !flags || wanted == 0 {
            return None;
        }
        // The widest ones first, so that `GENERIC_READ_WRITE`-like ones are not told by their parts.
        let mut list: Vec<(usize, u64)> = values.iter().map(|v| width(*v)).enumerate().collect();
        list.retain(|(_, v)| *v != 0 && v & wanted == *v);
        list.sort_by_key(|(_, v)| std::cmp::Reverse(v.count_ones()));
        let (mut left, mut picked) = (wanted, Vec::new());
        for (n, v) in list {
            if v & left == v {
                picked.push((v, n));
                left &= !v;
            }
        }
        if picked.is_empty() {
            return None;
        }
        picked.sort_by_key(|(v, _)| *v);
        let mut text = self.enum_names(id, &picked.iter().map(|(_, n)| *n).collect::<Vec<_>>());
        if left != 0 {
            text.push(format!("0x{left:x}"));
        }
        Some(text.join("|"))
    }

    /// Blocks with the values of a type between two (both included).
    fn value_blocks(&self, id: TypeId, from: i64, to: i64) -> std::ops::Range<usize> {
        let range = self.range(Kind::Values);
        let key = |block: usize| {
            let mut cursor = self.key_at(block)?;
            Some((cursor.small()?, cursor.signed()?))
        };
        let first = partition(range.clone(), |b| key(b).is_some_and(|k| k < (id.0, from)));
        let end = partition(range.clone(), |b| key(b).is_some_and(|k| k <= (id.0, to)));
        // The block before may be of this type too and end with such values.
        let before =
            first.checked_sub(1).filter(|b| *b >= range.start && key(*b).is_some_and(|k| k.0 == id.0));
        before.unwrap_or(first)..end
    }

    fn each_value(&self, block: usize, f: &mut dyn FnMut(i64, &str)) -> Option<()> {
        let mut key = self.key_at(block)?;
        key.small()?;
        let mut value = key.signed()?;
        let mut cursor = Cursor::new(self.block(block)?);
        let mut name = Name::default();
        while !cursor.is_empty() {
            value = value.wrapping_add(cursor.signed()?);
            self.name_after(&mut cursor, &mut name)?;
            f(value, &name.text);
        }
        Some(())
    }

    /// The constants of a name.
    #[must_use]
    pub fn constants(&self, name: &str) -> Vec<Constant> {
        let mut out = Vec::new();
        let wanted = hash(name);
        let index = self.name_index();
        let from = index.partition_point(|(h, ..)| *h < wanted);
        for (_, id, block) in index.iter().skip(from).take_while(|(h, ..)| *h == wanted) {
            let block = usize::try_from(*block).ok().filter(|_| *block != NO_BLOCK);
            let mut values = Vec::new();
            let of = TypeId(*id);
            let _ = match block {
                Some(block) if of == NO_TYPE => self.constants_in_block(block, name, &mut out),
                Some(block) => self.values_in_block(block, name, &mut values),
                None => self.values_in_enum(of, name, &mut values),
            };
            let constant = |value| Constant { name: name.to_owned(), of: Some(of), ty: None, value };
            out.extend(values.into_iter().map(|v| constant(Value::Int(v))));
        }
        // Those that belong to no type first.
        out.sort_by_key(|c| c.of.is_some());
        out
    }

    /// The constants of a name in a block of those that belong to no type.
    fn constants_in_block(&self, block: usize, name: &str, out: &mut Vec<Constant>) -> Option<()> {
        let mut cursor = Cursor::new(self.block(block)?);
        let mut search = Search::new(name);
        while !cursor.is_empty() {
            let found = search.next(self, &mut cursor)?;
            let body = cursor.part()?;
            if found {
                out.extend(constant(self, name, body));
            }
        }
        Some(())
    }

    /// The values of a name in a block; other names are stepped over by their words.
    fn values_in_block(&self, block: usize, name: &str, out: &mut Vec<i64>) -> Option<()> {
        let mut key = self.key_at(block)?;
        key.small()?;
        let mut value = key.signed()?;
        let mut cursor = Cursor::new(self.block(block)?);
        let mut search = Search::new(name);
        while !cursor.is_empty() {
            value = value.wrapping_add(cursor.signed()?);
            if search.next(self, &mut cursor)? {
                out.push(value);
            }
        }
        Some(())
    }

    /// As before, in an enumeration's own definition.
    fn values_in_enum(&self, id: TypeId, name: &str, out: &mut Vec<i64>) -> Option<()> {
        let (_, count, mut body) = self.enum_body(id)?;
        let (mut value, mut search) = (-1i64, Search::new(name));
        for _ in 0..count {
            let found = search.next(self, &mut body)?;
            value = value.wrapping_add(body.signed()?).wrapping_add(1);
            if found {
                out.push(value);
            }
        }
        Some(())
    }

    /// Calls `f` with every constant until it gives false: those that belong to no type first.
    pub fn each_constant(&self, f: &mut dyn FnMut(&Constant) -> bool) {
        let mut on = true;
        for block in self.range(Kind::Constants) {
            self.each_in(block, &mut |name, body| {
                on = on && constant(self, name, body).is_none_or(|c| f(&c));
                on
            });
        }
        for id in self.with_members() {
            for (name, value) in self.members(id) {
                on = on && f(&Constant { name, of: Some(id), ty: None, value: Value::Int(value) });
                if !on {
                    return;
                }
            }
        }
    }

    fn with_members(&self) -> Vec<TypeId> {
        let mut out = Vec::new();
        self.each_type(&mut |id, info| {
            if info.by_value || info.kind == TypeKind::Enum {
                out.push(id);
            }
            true
        });
        out
    }

    /// Hashes of all names of constants with their types and blocks: made when first asked for.
    fn name_index(&self) -> &[(u32, u32, u32)] {
        self.constant_names.get_or_init(|| {
            let mut out = Vec::new();
            for block in self.range(Kind::Constants) {
                let number = u32::try_from(block).unwrap_or(NO_BLOCK);
                self.each_in(block, &mut |name, _| {
                    out.push((hash(name), NO_TYPE.0, number));
                    true
                });
            }
            for id in self.with_members() {
                if !self.type_info(id).is_some_and(|i| i.by_value) {
                    out.extend(self.members(id).iter().map(|(name, _)| (hash(name), id.0, NO_BLOCK)));
                    continue;
                }
                for block in self.value_blocks(id, i64::MIN, i64::MAX) {
                    let number = u32::try_from(block).unwrap_or(NO_BLOCK);
                    self.each_value(block, &mut |_, name| out.push((hash(name), id.0, number)));
                }
            }
            out.sort_unstable();
            out.dedup();
            out
        })
    }
}

fn constant(table: &Table, name: &str, mut body: Cursor<'_>) -> Option<Constant> {
    body.varint()?;
    let ty = ty(&mut body, 0)?;
    let value = match body.u8()? {
        0 => Value::Int(body.signed()?),
        1 => Value::Float(f64::from_le_bytes(*body.bytes(8)?.first_chunk()?)),
        2 => Value::Text(table.name(&mut body)?),
        3 => Value::Guid(*body.bytes(16)?.first_chunk()?),
        _ => return None,
    };
    Some(Constant { name: name.to_owned(), of: None, ty: Some(ty), value })
}
