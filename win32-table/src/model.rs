//! What the metadata says, without its form.

/// Numbers of the built-in types; the reader has the same (`win32/src/ty.rs`).
pub const BASES: &[&str] = &[
    "void", "bool", "u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64", "usize", "isize",
    "char16", "Guid",
];

/// A type where it is used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ty {
    /// Index in `BASES`.
    Base(u8),
    /// Key of a type.
    Named(String),
    Pointer(Box<Ty>),
    Array(Box<Ty>, u32),
}

impl Ty {
    pub fn base(name: &str) -> Ty {
        Ty::Base(BASES.iter().position(|b| *b == name).expect("a built-in type") as u8)
    }
}

/// Bits of a parameter's attributes; the reader has the same (`win32/src/function.rs`).
pub mod flag {
    pub const IN: u32 = 1;
    pub const OUT: u32 = 2;
    pub const OPTIONAL: u32 = 4;
    pub const RESERVED: u32 = 8;
    pub const CONST: u32 = 0x10;
    pub const RETVAL: u32 = 0x20;
    pub const COM_OUT: u32 = 0x40;
    /// Another parameter (or a number) says how many elements or bytes it points to.
    pub const COUNTED: u32 = 0x80;
    /// An enumeration is told beside the type.
    pub const ENUM: u32 = 0x100;
    /// Text without a zero at its end.
    pub const NO_ZERO: u32 = 0x200;
}

/// How long what a parameter points to is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Count {
    /// So many elements.
    Elements(u32),
    /// The parameter with this index counts elements.
    ElementsOf(u32),
    /// The parameter with this index counts bytes.
    BytesOf(u32),
}

#[derive(Clone, Debug)]
pub struct Param {
    pub name: String,
    pub ty: Ty,
    pub flags: u32,
    pub count: Option<Count>,
    pub values: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Function {
    pub name: String,
    /// The DLL, as the metadata spells it; empty for methods and callbacks.
    pub dll: String,
    pub namespace: String,
    /// Bits 1 x86, 2 x64, 4 ARM64.
    pub arch: u8,
    pub cdecl: bool,
    pub variadic: bool,
    pub last_error: bool,
    pub ret: Ty,
    pub params: Vec<Param>,
}

#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub ty: Ty,
    /// Name, lowest bit, number of bits.
    pub bits: Vec<(String, u32, u32)>,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Struct { union: bool, packing: u32, size: u32, fields: Vec<Field> },
    Enum { underlying: u8, flags: bool, members: Vec<(String, i64)> },
    Interface { iid: Option<[u8; 16]>, base: Option<Ty>, methods: Vec<Function> },
    Callback(Box<Function>),
    Alias { to: Ty, handle: bool },
    Class { id: [u8; 16] },
}

#[derive(Clone, Debug)]
pub struct Type {
    /// Namespace and name, those of nested types behind their outer ones; with an architecture where there are
    /// several of one name.
    pub key: String,
    pub name: String,
    pub namespace: String,
    pub arch: u8,
    pub kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Int(i64),
    Float(f64),
    Text(String),
    Guid([u8; 16]),
}

#[derive(Clone, Debug)]
pub struct Constant {
    pub name: String,
    pub namespace: String,
    pub ty: Ty,
    pub value: Value,
}

#[derive(Debug, Default)]
pub struct Model {
    pub types: Vec<Type>,
    pub functions: Vec<Function>,
    pub constants: Vec<Constant>,
}

/// Calls `f` with the keys of all types that a type is made of.
pub fn each_name_in(ty: &Ty, f: &mut dyn FnMut(&str)) {
    match ty {
        Ty::Named(k) => f(k),
        Ty::Pointer(t) | Ty::Array(t, _) => each_name_in(t, f),
        Ty::Base(_) => {}
    }
}

pub fn each_name_of(function: &Function, f: &mut dyn FnMut(&str)) {
    each_name_in(&function.ret, f);
    function.params.iter().for_each(|p| each_name_in(&p.ty, f));
}

pub fn each_name(kind: &Kind, f: &mut dyn FnMut(&str)) {
    match kind {
        Kind::Struct { fields, .. } => fields.iter().for_each(|x| each_name_in(&x.ty, f)),
        Kind::Interface { base, methods, .. } => {
            base.iter().for_each(|b| each_name_in(b, f));
            methods.iter().for_each(|m| each_name_of(m, f));
        }
        Kind::Callback(function) => each_name_of(function, f),
        Kind::Alias { to, .. } => each_name_in(to, f),
        Kind::Enum { .. } | Kind::Class { .. } => {}
    }
}
