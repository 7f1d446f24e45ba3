//! Sizes and alignments, by the rules of Microsoft's compiler.

use crate::model::{Kind, Model, Ty};
use std::collections::BTreeMap;

/// Bytes of a type and what its address is a multiple of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    pub bytes: u64,
    pub align: u64,
}

/// Alignments that headers ask for (`DECLSPEC_ALIGN`) and the metadata has no word for: `winnt.h` and
/// `WinHvPlatformDefs.h` of the Windows SDK. The numbers: on 32 and on 64 bits; 0: none of its own.
const ASKED: &[(&str, u64, u64)] = &[
    ("Windows.Win32.System.Diagnostics.Debug.M128A", 16, 16),
    ("Windows.Win32.System.Diagnostics.Debug.XSAVE_FORMAT|1", 16, 0),
    ("Windows.Win32.System.Diagnostics.Debug.XSAVE_FORMAT|6", 0, 16),
    ("Windows.Win32.System.Diagnostics.Debug.CONTEXT|2", 0, 16),
    ("Windows.Win32.System.Diagnostics.Debug.CONTEXT|4", 0, 16),
    ("Windows.Win32.System.Diagnostics.Debug.ARM64_NT_CONTEXT", 16, 16),
    ("Windows.Win32.System.Kernel.SLIST_HEADER|2", 0, 16),
    ("Windows.Win32.System.Kernel.SLIST_HEADER|4", 0, 16),
    ("Windows.Win32.System.Kernel.SLIST_ENTRY", 0, 16),
    ("Windows.Win32.System.Memory.MEMORY_BASIC_INFORMATION64", 16, 16),
    ("Windows.Win32.System.Hypervisor.WHV_UINT128", 16, 16),
    ("Windows.Win32.System.Hypervisor.WHV_REGISTER_VALUE", 16, 16),
];

pub struct Layouts<'a> {
    model: &'a Model,
    /// By key without architecture: the types of this name.
    by_key: BTreeMap<&'a str, Vec<usize>>,
    pub is_64: bool,
    known: BTreeMap<usize, Option<Size>>,
    depth: usize,
}

impl<'a> Layouts<'a> {
    pub fn new(model: &'a Model, is_64: bool) -> Layouts<'a> {
        let mut by_key: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (n, t) in model.types.iter().enumerate() {
            by_key.entry(t.key.split('|').next().unwrap_or("")).or_default().push(n);
        }
        Layouts { model, by_key, is_64, known: BTreeMap::new(), depth: 0 }
    }

    /// The size of a type of the model, for a machine of its own.
    pub fn of(&mut self, index: usize) -> Option<Size> {
        if let Some(known) = self.known.get(&index) {
            return *known;
        }
        if self.depth > 32 {
            return None;
        }
        self.depth += 1;
        let out = self.compute(index);
        self.depth -= 1;
        self.known.insert(index, out);
        out
    }

    fn pointer(&self) -> Size {
        let bytes = if self.is_64 { 8 } else { 4 };
        Size { bytes, align: bytes }
    }

    fn compute(&mut self, index: usize) -> Option<Size> {
        let t = &self.model.types[index];
        let (union, packing, size, fields) = match &t.kind {
            Kind::Struct { union, packing, size, fields } => (*union, *packing, *size, fields),
            Kind::Enum { underlying, .. } => return self.ty(&Ty::Base(*underlying), t.arch),
            Kind::Interface { .. } | Kind::Callback(_) => return Some(self.pointer()),
            Kind::Alias { to, .. } => return self.ty(to, t.arch),
            Kind::Class { .. } => return None,
        };
        let (mut at, mut align, mut largest) = (0u64, 1u64, 0u64);
        for f in fields {
            let s = self.ty(&f.ty, t.arch)?;
            let a = if packing == 0 { s.align } else { s.align.min(packing.into()) };
            align = align.max(a);
            largest = largest.max(s.bytes);
            at = at.next_multiple_of(a) + s.bytes;
        }
        let asked = ASKED.iter().find(|(k, ..)| *k == t.key);
        if let Some((_, narrow, wide)) = asked {
            align = align.max(if self.is_64 { *wide } else { *narrow });
        }
        let bytes = if union { largest } else { at };
        let bytes = bytes.next_multiple_of(align).max(size.into());
        Some(Size { bytes, align })
    }

    fn ty(&mut self, ty: &Ty, arch: u8) -> Option<Size> {
        let same = |bytes| Some(Size { bytes, align: bytes });
        match ty {
            Ty::Base(b) => match crate::model::BASES[usize::from(*b)] {
                "void" => None,
                "bool" | "u8" | "i8" => same(1),
                "u16" | "i16" | "char16" => same(2),
                "u32" | "i32" | "f32" => same(4),
                "u64" | "i64" | "f64" => same(8),
                "Guid" => Some(Size { bytes: 16, align: 4 }),
                _ => Some(self.pointer()),
            },
            Ty::Pointer(_) => Some(self.pointer()),
            Ty::Array(inner, n) => {
                let s = self.ty(inner, arch)?;
                Some(Size { bytes: s.bytes * u64::from(*n), align: s.align })
            }
            Ty::Named(key) => {
                let index = self.variant(key, arch)?;
                self.of(index)
            }
        }
    }

    /// The type of this name for a machine: of several the one that is for it.
    fn variant(&self, key: &str, arch: u8) -> Option<usize> {
        let all = self.by_key.get(key.split('|').next()?)?;
        let width = if self.is_64 { 6 } else { 1 };
        let fits = |mask: u8| {
            move |i: &&usize| {
                let t = &self.model.types[**i];
                t.arch & mask != 0
            }
        };
        let exact = arch & width;
        all.iter().find(fits(exact)).or_else(|| all.iter().find(fits(width))).or(all.first()).copied()
    }
}
