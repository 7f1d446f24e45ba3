//! Objects, types, methods and assemblies in detail.

use crate::Walked;
use dumpscope_core::Va;

/// A value in a field or an element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClrValue {
    /// A whole number.
    Number(i128),
    /// A UTF-16 unit.
    Char(u16),
    /// A number with a fraction.
    Float(f64),
    /// An object, a pointer, or where a structure lies.
    Address(Va),
}

/// A field of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct ClrField {
    /// Its type's record; null when that is not loaded or not known.
    pub type_record: Va,
    /// Row of the field in metadata with the table's number: `04000003`.
    pub token: u32,
    /// Bytes behind the object's first word.
    pub offset: u64,
    /// Its type.
    pub type_name: String,
    /// A structure or number, not a reference.
    pub is_value: bool,
    /// `instance`, `static`, `TLstatic`.
    pub attribute: &'static str,
    /// What is in it.
    pub value: Option<ClrValue>,
    /// Its name.
    pub name: String,
}

/// What an array says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClrArray {
    /// Dimensions.
    pub rank: usize,
    /// Elements.
    pub count: u64,
    /// Lower bound and length of each dimension; empty for a plain array.
    pub bounds: Vec<(i32, u32)>,
    /// `CLASS`, `VALUETYPE`, `I4`, …
    pub element_kind: &'static str,
    /// The elements' type.
    pub element_type: Va,
    /// Bytes of an element.
    pub element_size: u64,
    /// First element.
    pub data: Va,
}

/// An object with its fields.
#[derive(Clone, Debug, PartialEq)]
pub struct ClrObject {
    /// Its address.
    pub address: Va,
    /// Its type's record.
    pub type_record: Va,
    /// Its class record.
    pub class: Va,
    /// Its type, as [`ClrTypeInfo::name`].
    pub type_name: String,
    /// Its bytes.
    pub size: u64,
    /// The file of its type.
    pub file: String,
    /// Free space.
    pub free: bool,
    /// The text of a string.
    pub text: Option<String>,
    /// For arrays.
    pub array: Option<ClrArray>,
    /// Fields, those of the outermost base type first.
    pub fields: Vec<ClrField>,
}

/// How a method's code was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitted {
    /// Not yet.
    None,
    /// When it first ran.
    Jit,
    /// Ahead of time.
    PreJit,
}

impl Jitted {
    /// The word in tables of methods.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Jitted::None => "NONE",
            Jitted::Jit => "JIT",
            Jitted::PreJit => "PreJIT",
        }
    }
}

/// A row of a type's table of methods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodRow {
    /// Where calls enter; null when it cannot be told.
    pub entry: Va,
    /// Its record.
    pub record: Va,
    /// How its code was made.
    pub jitted: Jitted,
    /// Its slot.
    pub slot: u64,
    /// The method with its arguments.
    pub name: String,
}

/// A type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClrTypeInfo {
    /// Its record.
    pub record: Va,
    /// Its class record.
    pub class: Va,
    /// The type that it derives from; null for none.
    pub parent: Va,
    /// Its module's record.
    pub module: Va,
    /// As metadata names it, with arguments in brackets: ``A.B`1[[C, Assembly]]``.
    pub name: String,
    /// Row in metadata with the table's number: `02000004`.
    pub token: u32,
    /// The file of its module.
    pub file: String,
    /// The object of the context that loaded it; null when that has none yet, `None` when the runtime does not say it.
    pub load_context: Option<Va>,
    /// Bytes of an object, without elements.
    pub base_size: u64,
    /// Bytes of an element of an array or string; 0 for others.
    pub element_size: u64,
    /// Its objects refer to others.
    pub has_pointers: bool,
    /// Methods: slots of virtual ones, and others.
    pub method_count: u64,
    /// Interfaces.
    pub interfaces: u64,
    /// Slots of virtual methods.
    pub virtuals: u64,
}

/// A body of a method's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodCode {
    /// Where it starts.
    pub start: Va,
    /// `QuickJitted`, `Optimized Tier 1`, …
    pub tier: &'static str,
    /// Its record; null for the first body.
    pub version: Va,
}

/// A method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClrMethodInfo {
    /// Its record.
    pub record: Va,
    /// With arguments.
    pub name: String,
    /// Its type's record.
    pub type_record: Va,
    /// Its class: the record of the type that shares its code.
    pub class: Va,
    /// Its module's record.
    pub module: Va,
    /// Row in metadata with the table's number; 0 for methods made at run time.
    pub token: u32,
    /// The code that runs when it is called; null for none yet.
    pub code: Va,
    /// How that was made.
    pub jitted: Jitted,
    /// Its IL; null for none.
    pub il: Va,
    /// All bodies.
    pub bodies: Vec<MethodCode>,
}

/// A module of the runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClrModule {
    /// Its record.
    pub record: Va,
    /// The record of its assembly; null when it cannot be told.
    pub assembly: Va,
    /// Path of its file.
    pub path: String,
    /// Its image; null for one made at run time.
    pub base: Va,
    /// Bytes of the image.
    pub size: u64,
    /// Its metadata; null when it is not in the dump.
    pub metadata: Va,
    /// The assembly's name.
    pub name: String,
}

/// What has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A type: row with the table's number, record (null: not loaded), name.
    Type(u32, Va, String),
    /// A method: row with the table's number, record (null: not loaded), name, code (null: none yet).
    Method(u32, Va, String, Va),
}

/// A parameter or local variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// The name of a parameter; `None` for locals, whose names are in the PDB.
    pub name: Option<String>,
    /// Where it lies: `0x2008fb10`, `CLR reg`; `None` when nothing says it.
    pub place: Option<String>,
    /// The place's address, when it is in memory.
    pub at: Option<Va>,
    /// Its value.
    pub value: Option<u64>,
}

/// Parameters and locals of a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrameVariables {
    /// `this` first.
    pub parameters: Vec<Variable>,
    /// In the order of the method's signature.
    pub locals: Vec<Variable>,
}

/// Questions about objects, types, methods and assemblies.
pub trait ClrDetails {
    /// An object with its fields.
    fn object(&self, address: Va) -> Option<ClrObject>;

    /// A structure at an address, by its type.
    fn value(&self, type_record: Va, address: Va) -> Option<ClrObject>;

    /// Elements of an array as values, from `from`, at most `most`.
    fn array_elements(&self, array: &ClrArray, from: u64, most: u64) -> Vec<ClrValue>;

    /// A type.
    fn type_info(&self, type_record: Va) -> Option<ClrTypeInfo>;

    /// A type's table of methods, inherited virtual ones too.
    fn type_methods(&self, type_record: Va) -> Vec<MethodRow>;

    /// Static fields of a type, and its instance fields without values.
    fn type_fields(&self, type_record: Va) -> Vec<ClrField>;

    /// A method by its record.
    fn method_info(&self, record: Va) -> Option<ClrMethodInfo>;

    /// The method whose code holds an address: record, start of the code.
    fn method_at(&self, address: Va) -> Option<(Va, Va)>;

    /// The end of the piece of code that starts at a method's start.
    fn code_end(&self, start: Va) -> Option<Va>;

    /// Loaded modules, in the order in which they were loaded.
    fn clr_modules(&self) -> Vec<ClrModule>;

    /// Types and methods of a module by name: `N.Type`, `N.Type.Method`; `Type+Nested`.
    fn find_name(&self, module: Va, name: &str) -> Vec<Named>;

    /// Parameters and locals of the frame at an index of a thread's machine frames.
    fn variables(&self, stack: Walked<'_>, frame: usize) -> FrameVariables;
}
