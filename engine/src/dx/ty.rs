//! Types as `dx` sees them: those of a symbol file, and pointers to and arrays of them that an expression made.

use super::ast::Wrap;
use crate::expr::TypeSet;
use dumpscope_symbols::types::{
    Base, BaseKind, MAX_DEPTH, PointerKind, Type, TypeId, TypeProvider, bare, size_of,
};

/// Longest name that is built, in bytes.
const MAX_NAME: usize = 4096;

/// A type.
#[derive(Clone, Debug)]
pub(crate) struct DxType {
    pub(crate) set: TypeSet,
    pub(crate) id: TypeId,
    /// What is made of it, innermost first.
    pub(crate) wraps: Vec<Wrap>,
}

/// What a type is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Void,
    Bool(u64),
    /// Bytes; whether it is signed.
    Int(u64, bool),
    /// A character with its letter shown: bytes.
    Char(u64),
    Float(u64),
    /// Its id; whether the integer is signed.
    Enum(TypeId, bool),
    /// Integer type, lowest bit, bits.
    Bits(TypeId, u8, u8),
    Pointer(DxType),
    Reference(DxType),
    /// A pointer to a member: bytes.
    Member(u64),
    Array(DxType, u64),
    /// Id and name. Untrusted.
    Udt(TypeId, String),
    Function,
    Other,
}

impl DxType {
    pub(crate) fn new(set: TypeSet, id: TypeId) -> DxType {
        DxType { set, id, wraps: Vec::new() }
    }

    pub(crate) fn types(&self) -> &dyn TypeProvider {
        self.set.types()
    }

    /// The same source's type `id`.
    pub(crate) fn with(&self, id: TypeId) -> DxType {
        DxType::new(self.set.clone(), id)
    }

    pub(crate) fn wrapped(&self, wrap: Wrap) -> DxType {
        let mut out = self.clone();
        out.wraps.push(wrap);
        out
    }

    fn inner(&self) -> DxType {
        let mut out = self.clone();
        out.wraps.pop();
        out
    }

    pub(crate) fn kind(&self) -> Kind {
        match self.wraps.last() {
            Some(Wrap::Pointer) => return Kind::Pointer(self.inner()),
            Some(Wrap::Reference) => return Kind::Reference(self.inner()),
            Some(Wrap::Array(n)) => return Kind::Array(self.inner(), *n),
            None => {}
        }
        let types = self.types();
        let (id, t) = bare(types, self.id);
        match t {
            Type::Base(Base { kind, size, .. }) => {
                let size = u64::from(size);
                match kind {
                    BaseKind::Void => Kind::Void,
                    BaseKind::Bool => Kind::Bool(size),
                    BaseKind::Char | BaseKind::WChar => Kind::Char(size),
                    BaseKind::UChar | BaseKind::UInt => Kind::Int(size, false),
                    BaseKind::Int => Kind::Int(size, true),
                    BaseKind::Float => Kind::Float(size),
                    BaseKind::Other => Kind::Other,
                }
            }
            Type::Pointer { to, kind: PointerKind::Pointer, .. } => Kind::Pointer(self.with(to)),
            Type::Pointer { to, kind: PointerKind::Reference, .. } => Kind::Reference(self.with(to)),
            Type::Pointer { size, kind: PointerKind::Member, .. } => Kind::Member(size.into()),
            Type::Array { element, count, .. } => Kind::Array(self.with(element), count),
            Type::BitField { of, pos, len } => Kind::Bits(of, pos, len),
            Type::Function { .. } => Kind::Function,
            Type::Udt { name, .. } => Kind::Udt(id, name),
            Type::Enum { underlying, .. } => {
                let signed = matches!(
                    bare(types, underlying).1,
                    Type::Base(Base { kind: BaseKind::Int | BaseKind::Char, .. })
                );
                Kind::Enum(id, signed)
            }
            _ => Kind::Other,
        }
    }

    /// Bytes, when known.
    pub(crate) fn size(&self) -> Option<u64> {
        match self.wraps.last() {
            Some(Wrap::Pointer | Wrap::Reference) => Some(self.types().pointer_bytes().into()),
            Some(Wrap::Array(n)) => self.inner().size()?.checked_mul(*n),
            None => size_of(self.types(), self.id),
        }
    }

    /// True for characters, the elements of texts: `Some(wide)`.
    pub(crate) fn character(&self) -> Option<bool> {
        match self.kind() {
            Kind::Char(1) => Some(false),
            Kind::Char(2) => Some(true),
            _ => None,
        }
    }

    /// The name as the engine writes it: `char * [3]`, `my::Arr<short,4>`, `int __cdecl(int,char * *)`. Untrusted.
    pub(crate) fn name(&self) -> String {
        let (mut before, mut after) = parts(self.types(), self.id, 0);
        for wrap in &self.wraps {
            match wrap {
                Wrap::Pointer => star(&mut before, &mut after, "*"),
                Wrap::Reference => star(&mut before, &mut after, "&"),
                Wrap::Array(n) => after = format!("[{n}]{after}"),
            }
        }
        joined(&before, &after)
    }
}

fn star(before: &mut String, after: &mut String, mark: &str) {
    if after.starts_with('[') {
        before.push_str(&format!(" ({mark}"));
        after.insert(0, ')');
    } else {
        before.push_str(&format!(" {mark}"));
    }
}

fn joined(before: &str, after: &str) -> String {
    let gap = if after.starts_with('[') { " " } else { "" };
    let mut out = format!("{before}{gap}{after}");
    if out.len() > MAX_NAME {
        let end = (0..=MAX_NAME).rev().find(|i| out.is_char_boundary(*i)).unwrap_or(0);
        out.truncate(end);
        out.push_str("...");
    }
    out
}

fn name_of(types: &dyn TypeProvider, id: TypeId, depth: usize) -> String {
    let (before, after) = parts(types, id, depth);
    joined(&before, &after)
}

fn convention(call: u8) -> &'static str {
    match call {
        0 => "__cdecl",
        4 => "__fastcall",
        7 => "__stdcall",
        _ => "",
    }
}

fn parameters(types: &dyn TypeProvider, params: &[TypeId], depth: usize) -> String {
    let mut out = String::from("(");
    for (i, p) in params.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        if out.len() > MAX_NAME {
            out.push_str("...");
            break;
        }
        match *p {
            TypeId::NONE => out.push_str("..."),
            p => out.push_str(&name_of(types, p, depth)),
        }
    }
    out.push(')');
    out
}

/// A declaration without a name: what stands before it and behind it.
fn parts(types: &dyn TypeProvider, id: TypeId, depth: usize) -> (String, String) {
    if depth >= MAX_DEPTH {
        return ("...".into(), String::new());
    }
    let depth = depth + 1;
    let cut = |text: String| if text.len() > MAX_NAME { "...".to_owned() } else { text };
    match types.get_type(id) {
        Type::Base(b) => {
            let name = match b.cpp {
                "int64" => "__int64",
                "unsigned int64" => "unsigned __int64",
                other => other,
            };
            (name.into(), String::new())
        }
        Type::Modified(to) | Type::BitField { of: to, .. } => parts(types, to, depth),
        Type::Pointer { to, kind, .. } => {
            if let (_, Type::Function { ret, params, this, call }) = bare(types, to) {
                let class = match kind {
                    PointerKind::Member => this.map(|t| class_of(types, t)),
                    _ => None,
                };
                let mark = match class {
                    Some(class) => format!("{class}::*"),
                    None => "*".into(),
                };
                let convention = convention(call);
                let gap = if convention.is_empty() || !mark.contains("::") { "" } else { " " };
                let before = format!("{} ({convention}{gap}{mark}", name_of(types, ret, depth));
                return (cut(before), format!("){}", parameters(types, &params, depth)));
            }
            let (mut before, mut after) = parts(types, to, depth);
            let mark = match kind {
                PointerKind::Pointer => "*",
                PointerKind::Reference => "&",
                PointerKind::Member => "::*",
            };
            star(&mut before, &mut after, mark);
            (cut(before), after)
        }
        Type::Array { element, count, .. } => {
            let (before, after) = parts(types, element, depth);
            (cut(before), cut(format!("[{count}]{after}")))
        }
        Type::Function { ret, params, call, .. } => {
            let before = format!("{} {}", name_of(types, ret, depth), convention(call));
            (cut(before), parameters(types, &params, depth))
        }
        Type::Udt { name, .. } | Type::Enum { name, .. } => (cut(name), String::new()),
        Type::FunctionTable(_) => ("void *".into(), String::new()),
        _ => ("<unknown>".into(), String::new()),
    }
}

/// The class that a `this` pointer is of.
fn class_of(types: &dyn TypeProvider, this: TypeId) -> String {
    match bare(types, this).1 {
        Type::Pointer { to, .. } => match bare(types, to).1 {
            Type::Udt { name, .. } => name,
            _ => String::new(),
        },
        Type::Udt { name, .. } => name,
        _ => String::new(),
    }
}
