//! Types of fields, parameters and elements: from signatures to loaded types.
//!
//! Signatures: ECMA-335, partition II, 23.2. A type that nobody has loaded has no record: then only its kind is known.

use super::Clr;
use super::metadata::compressed;
use super::metadata::table;
use dumpscope_core::Va;

/// Deepest type, most type arguments of one.
const MAX_DEPTH: usize = 12;
const MAX_ARGUMENTS: u32 = 64;

/// A type as a signature says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SignatureType {
    /// `ELEMENT_TYPE_*`, with enumerations and structures 0x11.
    pub(super) element: u8,
    /// Its record; `None` when it is not loaded.
    pub(super) record: Option<Va>,
    /// Its name in brackets, where there is one.
    name: Option<String>,
}

impl SignatureType {
    fn plain(element: u8, record: Option<Va>) -> SignatureType {
        SignatureType { element, record, name: None }
    }
}

/// Where a signature stands: its module, and the arguments of its type.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) module: Va,
    pub(super) of_type: &'a [Va],
    pub(super) of_method: &'a [Va],
}

/// Names of element types in tables of fields and arrays.
pub(super) fn element_word(element: u8) -> &'static str {
    match element {
        0x01 => "VOID",
        0x02 => "BOOLEAN",
        0x03 => "CHAR",
        0x04 => "I1",
        0x05 => "U1",
        0x06 => "I2",
        0x07 => "U2",
        0x08 => "I4",
        0x09 => "U4",
        0x0a => "I8",
        0x0b => "U8",
        0x0c => "R4",
        0x0d => "R8",
        0x0e => "STRING",
        0x0f => "PTR",
        0x10 => "BYREF",
        0x11 => "VALUETYPE",
        0x12 => "CLASS",
        0x13 => "VAR",
        0x14 => "ARRAY",
        0x15 => "GENERICINST",
        0x16 => "TYPEDBYREF",
        0x18 => "I",
        0x19 => "U",
        0x1b => "FNPTR",
        0x1c => "OBJECT",
        0x1d => "SZARRAY",
        0x1e => "MVAR",
        _ => "UNKNOWN",
    }
}

/// Bytes of a value of an element type; 8 for references and what is not known.
pub(super) fn element_size(element: u8) -> u64 {
    match element {
        0x02 | 0x04 | 0x05 => 1,
        0x03 | 0x06 | 0x07 => 2,
        0x08 | 0x09 | 0x0c => 4,
        _ => 8,
    }
}

/// A signature that is being read.
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    /// Types that may still be read: arguments can be nested.
    pub(super) budget: u32,
}

impl Reader<'_> {
    pub(super) fn number(&mut self) -> Option<u32> {
        let (value, len) = compressed(self.bytes.get(self.at..)?)?;
        self.at = self.at.checked_add(len)?;
        Some(value)
    }
}

impl Clr {
    /// The type of a field by its row.
    pub(super) fn field_type(&self, scope: Scope<'_>, row: u32) -> Option<SignatureType> {
        let module = self.module(scope.module);
        let bytes = module.metadata(&self.core)?.blob(table::FIELD, row, 2)?;
        let mut reader = Reader { bytes, at: 1, budget: 200 };
        (bytes.first()? & 0xf == 6).then(|| self.signature_type(&mut reader, scope, 0)).flatten()
    }

    /// The type at the reader's position.
    pub(super) fn signature_type(
        &self,
        reader: &mut Reader<'_>,
        scope: Scope<'_>,
        depth: usize,
    ) -> Option<SignatureType> {
        reader.budget = reader.budget.checked_sub(1)?;
        if depth > MAX_DEPTH {
            return None;
        }
        let element = u8::try_from(reader.number()?).ok()?;
        let inner = |clr: &Clr, reader: &mut Reader<'_>| clr.signature_type(reader, scope, depth + 1);
        Some(match element {
            0x01..=0x0e | 0x16 | 0x18 | 0x19 | 0x1c => {
                SignatureType::plain(element, self.primitive_type(element))
            }
            0x0f | 0x10 => {
                inner(self, reader)?;
                SignatureType::plain(element, None)
            }
            0x11 | 0x12 => SignatureType::plain(element, self.type_of_token(scope.module, reader.number()?)),
            0x13 => self.argument(scope.of_type, reader.number()?, element),
            0x1e => self.argument(scope.of_method, reader.number()?, element),
            0x1d => {
                let of = inner(self, reader)?;
                let name = self.signature_name(&of).map(|n| format!("{n}[]"));
                SignatureType { element, record: self.record_of(name.as_deref()), name }
            }
            0x14 => {
                let of = inner(self, reader)?;
                let rank = reader.number()?.clamp(1, 32);
                for _ in 0..2 {
                    for _ in 0..reader.number()?.min(MAX_ARGUMENTS) {
                        reader.number()?;
                    }
                }
                let commas = ",".repeat(usize::try_from(rank).ok()?.saturating_sub(1));
                let name = self.signature_name(&of).map(|n| format!("{n}[{commas}]"));
                SignatureType { element, record: self.record_of(name.as_deref()), name }
            }
            0x15 => {
                let kind = u8::try_from(reader.number()?).ok()?;
                let token = reader.number()?;
                let count = reader.number()?.min(MAX_ARGUMENTS);
                let arguments: Option<Vec<_>> = (0..count).map(|_| inner(self, reader)).collect();
                let name = self.generic_name(scope.module, token, &arguments?);
                SignatureType { element: kind, record: self.record_of(name.as_deref()), name }
            }
            0x1b => {
                let convention = reader.number()?;
                if convention & 0x10 != 0 {
                    reader.number()?;
                }
                for _ in 0..=reader.number()?.min(MAX_ARGUMENTS) {
                    inner(self, reader)?;
                }
                SignatureType::plain(element, None)
            }
            0x1f | 0x20 => {
                reader.number()?;
                inner(self, reader)?
            }
            0x41 | 0x45 => inner(self, reader)?,
            _ => return None,
        })
    }

    fn record_of(&self, name: Option<&str>) -> Option<Va> {
        self.constructed_type(name?)
    }

    /// The type of a TypeDefOrRef.
    fn type_of_token(&self, module: Va, coded: u32) -> Option<Va> {
        match coded & 3 {
            0 => self.type_of_row(module, coded >> 2),
            1 => self.type_of_reference(module, coded >> 2),
            _ => None,
        }
    }

    /// A type argument: its record, and the kind of element that it is.
    fn argument(&self, of: &[Va], n: u32, element: u8) -> SignatureType {
        let record = usize::try_from(n).ok().and_then(|n| of.get(n)).copied();
        match record.filter(|r| r.0 & 2 == 0) {
            Some(mt) => SignatureType::plain(self.element_of(mt), Some(mt)),
            None => SignatureType::plain(element, None),
        }
    }

    /// The kind of element that values of a type are.
    pub(super) fn element_of(&self, mt: Va) -> u8 {
        if self.is_array(mt) {
            return if self.rank(mt) == 1 { 0x1d } else { 0x14 };
        }
        let known = (0x02..=0x1c).find(|e| self.primitive_type(*e) == Some(mt));
        match known {
            Some(element) => element,
            None if self.is_value_type(mt) => 0x11,
            None => 0x12,
        }
    }

    /// True for structures, numbers and enumerations: bits of the flags say the category.
    pub(super) fn is_value_type(&self, mt: Va) -> bool {
        self.type_flags(mt).is_some_and(|f| f & 0x000c_0000 == 0x0004_0000)
    }

    fn signature_name(&self, of: &SignatureType) -> Option<String> {
        of.name.clone().or_else(|| self.bracket_name(of.record?))
    }

    fn generic_name(&self, module: Va, coded: u32, arguments: &[SignatureType]) -> Option<String> {
        let metadata_of = self.module(module);
        let metadata = metadata_of.metadata(&self.core)?;
        let parts = match coded & 3 {
            0 => metadata.type_def(coded >> 2),
            1 => metadata.type_ref(coded >> 2),
            _ => return None,
        };
        let argument = |a: &SignatureType| {
            let name = self.signature_name(a)?;
            Some(match a.record.and_then(|r| self.assembly_of(r)) {
                Some(assembly) => format!("[{name}, {assembly}]"),
                None => format!("[{name}]"),
            })
        };
        let arguments: Option<Vec<_>> = arguments.iter().map(argument).collect();
        Some(format!("{}[{}]", parts.join("+"), arguments?.join(",")))
    }
}
