//! Writes the file; its form is described in `win32/src/format.rs`, beside the reader.

use crate::blocks::{BLOCK, Block, Blocks, deflate, prints};
use crate::bytes::{signed, u16, u32, varint};
use crate::constants::{family_members, plain_constants, typed_members};
use crate::layout::{Layouts, Size};
use crate::model::{BASES, Count, Field, Function, Kind, Model, Param, Ty, Type, Value};
use crate::words::Words;
use std::collections::{BTreeMap, BTreeSet};

const MAGIC: &[u8; 8] = b"DSWIN32\x01";
/// Enumerations with more members keep them in blocks of their own, by value.
const BIG: usize = 96;
/// Records of the type index between two entries of its group table.
const GROUP: usize = 16;
const WORD_GROUP: usize = 32;
/// Most parameters and fields that have a number: two bytes name them.
const PARTS: usize = (1 << 12) - 1;

struct Writer<'a> {
    model: &'a Model,
    words: Words,
    /// Numbers of types by key without architecture: the first of those of the name.
    ids: BTreeMap<&'a str, usize>,
    dlls: BTreeMap<String, usize>,
    namespaces: BTreeMap<&'a str, usize>,
    guids: BTreeMap<[u8; 16], usize>,
    guid_place: BTreeMap<[u8; 16], usize>,
    keys: Vec<u8>,
    /// Parameters and fields that are used several times, encoded, with their numbers.
    parts: BTreeMap<Vec<u8>, usize>,
}

fn plain(key: &str) -> &str {
    key.split('|').next().unwrap_or("")
}

pub fn write(model: &Model) -> Vec<u8> {
    let words = Words::choose(names(model).into_iter());
    // Types by how often they are used, so that common ones have short numbers; those of one name together.
    let uses = uses(model);
    let mut by_key: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (n, t) in model.types.iter().enumerate() {
        by_key.entry(plain(&t.key)).or_default().push(n);
    }
    let mut keys: Vec<&str> = by_key.keys().copied().collect();
    keys.sort_by_key(|k| (std::cmp::Reverse(uses.get(k).copied().unwrap_or(0)), *k));
    let mut order: Vec<usize> = Vec::new();
    let mut ids = BTreeMap::new();
    for k in keys {
        ids.insert(k, order.len());
        order.extend(&by_key[k]);
    }
    let dlls: BTreeSet<String> = model.functions.iter().map(|f| f.dll.to_ascii_lowercase()).collect();
    let spaces: BTreeSet<&str> = model
        .types
        .iter()
        .map(|t| t.namespace.as_str())
        .chain(model.functions.iter().map(|f| f.namespace.as_str()))
        .chain(model.constants.iter().map(|c| c.namespace.as_str()))
        .collect();
    let mut writer = Writer {
        model,
        words,
        ids,
        dlls: dlls.into_iter().zip(0..).collect(),
        namespaces: spaces.into_iter().zip(0..).collect(),
        guids: BTreeMap::new(),
        guid_place: BTreeMap::new(),
        keys: Vec::new(),
        parts: BTreeMap::new(),
    };
    writer.collect_guids();
    writer.collect_parts();
    writer.file(&order)
}

/// Every use of every name.
fn names(model: &Model) -> Vec<&str> {
    let mut out = Vec::new();
    fn function<'a>(f: &'a Function, out: &mut Vec<&'a str>) {
        out.push(f.name.as_str());
        out.extend(f.params.iter().map(|p| p.name.as_str()));
    }
    for t in &model.types {
        out.push(t.name.as_str());
        match &t.kind {
            Kind::Struct { fields, .. } => {
                for f in fields {
                    out.push(f.name.as_str());
                    out.extend(f.bits.iter().map(|b| b.0.as_str()));
                }
            }
            Kind::Enum { members, .. } => out.extend(members.iter().map(|m| m.0.as_str())),
            Kind::Interface { methods, .. } => methods.iter().for_each(|m| function(m, &mut out)),
            Kind::Callback(f) => function(f, &mut out),
            Kind::Alias { .. } | Kind::Class { .. } => {}
        }
    }
    model.functions.iter().for_each(|f| function(f, &mut out));
    for c in &model.constants {
        out.push(c.name.as_str());
        if let Value::Text(t) = &c.value {
            out.push(t);
        }
    }
    out
}

/// How often each key is used as a type.
fn uses(model: &Model) -> BTreeMap<&str, usize> {
    let mut out = BTreeMap::new();
    fn ty<'a>(t: &'a Ty, out: &mut BTreeMap<&'a str, usize>, by: usize) {
        match t {
            Ty::Named(k) => *out.entry(plain(k)).or_default() += by,
            Ty::Pointer(t) | Ty::Array(t, _) => ty(t, out, by),
            Ty::Base(_) => {}
        }
    }
    fn function<'a>(f: &'a Function, out: &mut BTreeMap<&'a str, usize>, by: usize) {
        ty(&f.ret, out, by);
        f.params.iter().for_each(|p| ty(&p.ty, out, by));
    }
    for t in &model.types {
        match &t.kind {
            Kind::Struct { fields, .. } => fields.iter().for_each(|f| ty(&f.ty, &mut out, 1)),
            Kind::Interface { methods, .. } => methods.iter().for_each(|m| function(m, &mut out, 1)),
            Kind::Callback(f) => function(f, &mut out, 1),
            Kind::Alias { to, .. } => ty(to, &mut out, 1),
            Kind::Enum { .. } | Kind::Class { .. } => {}
        }
    }
    // Functions are what stacks show.
    model.functions.iter().for_each(|f| function(f, &mut out, 3));
    out
}

impl<'m> Writer<'m> {
    fn collect_guids(&mut self) {
        for t in &self.model.types {
            let guid = match &t.kind {
                Kind::Interface { iid: Some(id), .. } | Kind::Class { id } => *id,
                _ => continue,
            };
            let id = self.ids[plain(&t.key)];
            self.guids.entry(guid).or_insert(id);
        }
        self.guid_place = self.guids.keys().copied().zip(0..).collect();
    }

    /// Chooses the parameters and fields that get a number.
    fn collect_parts(&mut self) {
        let mut counts: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        let mut add = |part: Vec<u8>| *counts.entry(part).or_default() += 1;
        let model = self.model;
        for t in &model.types {
            match &t.kind {
                Kind::Struct { fields, .. } => fields.iter().for_each(|f| add(self.field(f))),
                Kind::Interface { methods, .. } => {
                    methods.iter().flat_map(|m| &m.params).for_each(|p| add(self.param(p)));
                }
                Kind::Callback(f) => f.params.iter().for_each(|p| add(self.param(p))),
                _ => {}
            }
        }
        model.functions.iter().flat_map(|f| &f.params).for_each(|p| add(self.param(p)));
        let mut list: Vec<(Vec<u8>, usize)> =
            counts.into_iter().filter(|(p, n)| n * (p.len() - 2) > 2 * p.len()).collect();
        list.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        list.truncate(PARTS);
        self.parts = list.into_iter().map(|(p, _)| p).zip(1..).collect();
    }

    /// A part by its number, or as it is.
    fn part(&self, part: &[u8], out: &mut Vec<u8>) {
        match self.parts.get(part) {
            Some(n) => varint(*n as u64, out),
            None => {
                out.push(0);
                out.extend_from_slice(part);
            }
        }
    }

    fn param(&self, p: &Param) -> Vec<u8> {
        let mut out = Vec::new();
        self.words.name(&p.name, &mut out);
        self.ty(&p.ty, &mut out);
        let values = p.values.as_deref().and_then(|v| self.named_id(v));
        let flags = if values.is_none() { p.flags & !crate::model::flag::ENUM } else { p.flags };
        varint(flags.into(), &mut out);
        match p.count {
            Some(Count::Elements(n)) => varint(u64::from(n) << 2, &mut out),
            Some(Count::ElementsOf(n)) => varint(u64::from(n) << 2 | 1, &mut out),
            Some(Count::BytesOf(n)) => varint(u64::from(n) << 2 | 2, &mut out),
            None => {}
        }
        if let Some(id) = values {
            varint(id as u64, &mut out);
        }
        out
    }

    fn field(&self, f: &Field) -> Vec<u8> {
        let mut out = Vec::new();
        self.words.name(&f.name, &mut out);
        self.ty(&f.ty, &mut out);
        varint(f.bits.len() as u64, &mut out);
        for (name, pos, len) in &f.bits {
            self.words.name(name, &mut out);
            varint((*pos).into(), &mut out);
            varint((*len).into(), &mut out);
        }
        out
    }

    fn file(&mut self, order: &[usize]) -> Vec<u8> {
        let functions = self.functions();
        let types = self.types(order);
        let constants = self.constants();
        let values = self.values(order);
        let prints = prints(functions.1.iter().map(String::as_str));
        let (index, type_prints) = self.index(order);
        let (part_groups, parts) = self.part_sections();
        let (lens, word_groups, text) = self.word_sections();
        let (mut guids, mut refs) = (Vec::new(), Vec::new());
        for (g, r) in &self.guids {
            guids.extend_from_slice(g);
            u16(*r, &mut refs);
        }
        let list = |names: Vec<&str>| {
            let (mut offsets, mut text) = (Vec::new(), Vec::new());
            for n in names {
                u16(text.len(), &mut offsets);
                text.extend_from_slice(n.as_bytes());
            }
            u16(text.len(), &mut offsets);
            (offsets, text)
        };
        let (dll_offsets, dlls) = list(self.dlls.keys().map(String::as_str).collect());
        let (space_offsets, spaces) = list(self.namespaces.keys().copied().collect());
        let (mut directory, mut ranges, mut data) = (Vec::new(), Vec::new(), Vec::new());
        let mut total = 0;
        let mut raw = 0;
        for blocks in [&functions.0, &index, &types, &constants, &values] {
            let mut size = 0;
            u32(total, &mut ranges);
            for b in blocks {
                let packed = deflate(&b.data);
                u32(data.len(), &mut directory);
                u16(packed.len(), &mut directory);
                u16(b.data.len(), &mut directory);
                u32(b.first, &mut directory);
                u32(b.ordinal, &mut directory);
                data.extend(&packed);
                size += packed.len();
                raw += b.data.len();
            }
            total += blocks.len();
            eprintln!("  {} blocks, {size} bytes", blocks.len());
        }
        u32(total, &mut ranges);
        let sections = [
            lens,
            word_groups,
            text,
            part_groups,
            parts,
            ranges,
            directory,
            std::mem::take(&mut self.keys),
            prints,
            type_prints,
            guids,
            refs,
            dll_offsets,
            dlls,
            space_offsets,
            spaces,
            data,
        ];
        let mut out = MAGIC.to_vec();
        let mut at = 8 + sections.len() * 8;
        for s in &sections {
            u32(at, &mut out);
            u32(s.len(), &mut out);
            at += s.len();
        }
        for (n, s) in sections.iter().enumerate() {
            eprintln!("  section {n}: {}", s.len());
            out.extend(s);
        }
        eprintln!(
            "  raw {raw}, {} words, {} types, {} functions",
            self.words.all.len(),
            order.len(),
            functions.1.len()
        );
        out
    }

    /// Where every 16th of the numbered parameters and fields starts, and all of them.
    fn part_sections(&self) -> (Vec<u8>, Vec<u8>) {
        let mut list: Vec<(&Vec<u8>, usize)> = self.parts.iter().map(|(p, n)| (p, *n)).collect();
        list.sort_by_key(|(_, n)| *n);
        let (mut groups, mut out) = (Vec::new(), Vec::new());
        for (n, (part, _)) in list.into_iter().enumerate() {
            if n % GROUP == 0 {
                u32(out.len(), &mut groups);
            }
            out.push(part.len() as u8);
            out.extend(part);
        }
        (groups, out)
    }

    fn word_sections(&self) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        let (mut lens, mut groups, mut text) = (Vec::new(), Vec::new(), Vec::new());
        for (n, w) in self.words.all.iter().enumerate() {
            if n % WORD_GROUP == 0 {
                u32(text.len(), &mut groups);
            }
            lens.push(w.len() as u8);
            text.extend_from_slice(w.as_bytes());
        }
        (lens, groups, text)
    }

    /// The records of all types, and a hash of each one's name.
    fn index(&self, order: &[usize]) -> (Vec<Block>, Vec<u8>) {
        let mut narrow = Layouts::new(self.model, false);
        let mut wide = Layouts::new(self.model, true);
        let mut blocks = Blocks::default();
        for (id, n) in order.iter().enumerate() {
            let t = &self.model.types[*n];
            blocks.starts_anew();
            let mut out = Vec::new();
            let outer =
                t.key.split('|').next().and_then(|k| k.rsplit_once('.')).and_then(|(k, _)| self.ids.get(k));
            let name = if outer.is_some() { t.name.rsplit('.').next().unwrap_or("") } else { &t.name };
            self.words.name(name, &mut out);
            // Kind in the low bits; 8: there is a byte of machines behind it; 0x10: values are in blocks of their own;
            // 0x20: nested, the number of the outer type is behind it.
            let kind = match &t.kind {
                Kind::Struct { union: false, .. } => 0,
                Kind::Struct { union: true, .. } => 1,
                Kind::Enum { .. } => 2,
                Kind::Interface { .. } => 3,
                Kind::Callback(_) => 4,
                Kind::Alias { .. } => 5,
                Kind::Class { .. } => 6,
            };
            let big = !self.of_values(t).is_empty();
            out.push(kind | u8::from(t.arch != 7) << 3 | u8::from(big) << 4 | u8::from(outer.is_some()) << 5);
            if t.arch != 7 {
                out.push(t.arch);
            }
            if let Some(outer) = outer {
                varint(*outer as u64, &mut out);
            }
            if matches!(t.kind, Kind::Struct { .. }) {
                let (a, b) = (narrow.of(*n).unwrap_or_default(), wide.of(*n).unwrap_or_default());
                size(a, &mut out);
                size(b, &mut out);
            }
            blocks.push(&out, id);
        }
        let names = order.iter().map(|n| self.model.types[*n].name.as_str());
        (blocks.done(), prints(names))
    }

    fn ty(&self, t: &Ty, out: &mut Vec<u8>) {
        let id = |t: &Ty| match t {
            Ty::Base(b) => Some(u64::from(*b)),
            Ty::Named(k) => {
                let id = self.ids.get(plain(k)).unwrap_or_else(|| panic!("type {k} is not there"));
                Some(BASES.len() as u64 + *id as u64)
            }
            _ => None,
        };
        match t {
            Ty::Pointer(to) => match (&**to, id(to)) {
                (_, Some(id)) => varint(id << 2 | 1, out),
                (Ty::Pointer(inner), _) if id(inner).is_some() => {
                    varint(id(inner).unwrap_or(0) << 2 | 2, out)
                }
                (inner, _) => {
                    varint(1 << 2 | 3, out);
                    self.ty(inner, out);
                }
            },
            Ty::Array(inner, n) => {
                varint(3, out);
                varint((*n).into(), out);
                self.ty(inner, out);
            }
            other => varint(id(other).unwrap_or(0) << 2, out),
        }
    }

    fn named_id(&self, name: &str) -> Option<usize> {
        self.ids.iter().find(|(k, _)| k.rsplit('.').next() == Some(name)).map(|(_, id)| *id)
    }

    /// What a function takes and returns.
    fn signature(&self, f: &Function, out: &mut Vec<u8>) {
        self.ty(&f.ret, out);
        varint(f.params.len() as u64, out);
        for p in &f.params {
            self.part(&self.param(p), out);
        }
    }

    fn functions(&mut self) -> (Vec<Block>, Vec<String>) {
        let mut list: Vec<&Function> = self.model.functions.iter().collect();
        list.sort_by(|a, b| {
            let key = |f: &Function| (f.name.clone(), std::cmp::Reverse(f.arch.count_ones()), f.arch);
            key(a).cmp(&key(b))
        });
        let mut blocks = Blocks::default();
        for f in &list {
            let key = self.keys.len();
            let (fresh, mut body) = (blocks.starts_anew(), Vec::new());
            if fresh {
                self.words.name(&f.name, &mut self.keys);
            }
            let mut rest = Vec::new();
            varint(self.dlls[&f.dll.to_ascii_lowercase()] as u64, &mut rest);
            varint(self.namespaces[f.namespace.as_str()] as u64, &mut rest);
            rest.push(
                f.arch | u8::from(f.cdecl) << 3 | u8::from(f.variadic) << 4 | u8::from(f.last_error) << 5,
            );
            self.signature(f, &mut rest);
            self.words.after(&mut blocks.previous, &f.name, &mut body);
            varint(rest.len() as u64, &mut body);
            body.extend(rest);
            blocks.push(&body, key);
        }
        (blocks.done(), list.iter().map(|f| f.name.clone()).collect())
    }

    fn types(&mut self, order: &[usize]) -> Vec<Block> {
        let mut blocks = Blocks { limit: 2 * BLOCK, ..Blocks::default() };
        for (id, n) in order.iter().enumerate() {
            blocks.starts_anew();
            let t = &self.model.types[*n];
            let mut body = Vec::new();
            varint(self.namespaces[t.namespace.as_str()] as u64, &mut body);
            self.definition(t, &mut body);
            let mut entry = Vec::new();
            varint(body.len() as u64, &mut entry);
            entry.extend(body);
            blocks.push(&entry, id);
        }
        blocks.done()
    }

    fn definition(&self, t: &Type, out: &mut Vec<u8>) {
        let guid = |g: &[u8; 16]| self.guid_place[g] as u64;
        match &t.kind {
            Kind::Struct { packing, fields, .. } => {
                varint((*packing).into(), out);
                varint(fields.len() as u64, out);
                for f in fields {
                    self.part(&self.field(f), out);
                }
            }
            Kind::Enum { underlying, flags, members } => {
                out.push(*underlying);
                out.push(u8::from(*flags));
                let members = if members.len() > BIG { &[][..] } else { members };
                varint(members.len() as u64, out);
                let (mut previous, mut last) = (Vec::new(), -1i64);
                for (name, value) in members {
                    self.words.after(&mut previous, name, out);
                    signed(value.wrapping_sub(last).wrapping_sub(1), out);
                    last = *value;
                }
            }
            Kind::Interface { iid, base, methods } => {
                varint(iid.as_ref().map_or(0, |g| guid(g) + 1), out);
                match base {
                    Some(base) => self.ty(base, out),
                    None => varint(0, out),
                }
                varint(methods.len() as u64, out);
                for m in methods {
                    self.words.name(&m.name, out);
                    self.signature(m, out);
                }
            }
            Kind::Callback(f) => self.signature(f, out),
            Kind::Alias { to, handle } => {
                self.ty(to, out);
                out.push(u8::from(*handle));
            }
            Kind::Class { id } => varint(guid(id), out),
        }
    }

    /// Constants that are not kept with a type.
    fn constants(&mut self) -> Vec<Block> {
        let mut blocks = Blocks::default();
        for c in plain_constants(self.model) {
            let key = self.keys.len();
            if blocks.starts_anew() {
                self.words.name(&c.name, &mut self.keys);
            }
            let mut body = Vec::new();
            self.words.after(&mut blocks.previous, &c.name, &mut body);
            let mut rest = Vec::new();
            varint(self.namespaces[c.namespace.as_str()] as u64, &mut rest);
            self.ty(&c.ty, &mut rest);
            match &c.value {
                Value::Int(v) => {
                    rest.push(0);
                    signed(*v, &mut rest);
                }
                Value::Float(v) => {
                    rest.push(1);
                    rest.extend(v.to_le_bytes());
                }
                Value::Text(t) => {
                    rest.push(2);
                    self.words.name(t, &mut rest);
                }
                Value::Guid(g) => {
                    rest.push(3);
                    rest.extend(g);
                }
            }
            varint(rest.len() as u64, &mut body);
            body.extend(rest);
            blocks.push(&body, key);
        }
        blocks.done()
    }

    /// Values that are kept by value, of one type.
    fn of_values(&self, t: &'m Type) -> Vec<(i64, &'m str)> {
        let mut out: Vec<(i64, &'m str)> = match &t.kind {
            Kind::Enum { members, .. } if members.len() > BIG => {
                members.iter().map(|(n, v)| (*v, n.as_str())).collect()
            }
            Kind::Enum { .. } if t.namespace.is_empty() => family_members(self.model, &t.name),
            Kind::Alias { .. } => typed_members(self.model, &t.key),
            _ => return Vec::new(),
        };
        out.sort_unstable();
        out
    }

    fn values(&mut self, order: &[usize]) -> Vec<Block> {
        let mut blocks = Blocks::default();
        for (id, n) in order.iter().enumerate() {
            let members: Vec<(i64, String)> =
                self.of_values(&self.model.types[*n]).into_iter().map(|(v, n)| (v, n.to_owned())).collect();
            if members.is_empty() {
                continue;
            }
            blocks.cut();
            let mut last = 0i64;
            for (value, name) in members {
                let key = self.keys.len();
                if blocks.starts_anew() {
                    varint(id as u64, &mut self.keys);
                    signed(value, &mut self.keys);
                    last = value;
                }
                let mut body = Vec::new();
                signed(value.wrapping_sub(last), &mut body);
                self.words.after(&mut blocks.previous, &name, &mut body);
                last = value;
                blocks.push(&body, key);
            }
        }
        blocks.done()
    }
}

fn size(s: Size, out: &mut Vec<u8>) {
    varint(s.bytes << 3 | u64::from(s.align.max(1).trailing_zeros()), out);
}
