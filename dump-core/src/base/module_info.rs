//! What is known of a loaded module before any symbol is read.

use super::{Machine, Va};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A GUID in its memory form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Guid {
    /// First 32 bits.
    pub data1: u32,
    /// Next 16 bits.
    pub data2: u16,
    /// Next 16 bits.
    pub data3: u16,
    /// Last 8 bytes.
    pub data4: [u8; 8],
}

impl Guid {
    /// Decodes the 16 bytes as they lie in memory.
    #[must_use]
    pub fn from_bytes(b: &[u8; 16]) -> Guid {
        let [a0, a1, a2, a3, b0, b1, c0, c1, data4 @ ..] = *b;
        Guid {
            data1: u32::from_le_bytes([a0, a1, a2, a3]),
            data2: u16::from_le_bytes([b0, b1]),
            data3: u16::from_le_bytes([c0, c1]),
            data4,
        }
    }

    /// The 16 bytes as they lie in memory.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 16] {
        let [a0, a1, a2, a3] = self.data1.to_le_bytes();
        let ([b0, b1], [c0, c1]) = (self.data2.to_le_bytes(), self.data3.to_le_bytes());
        let [d0, d1, d2, d3, d4, d5, d6, d7] = self.data4;
        [a0, a1, a2, a3, b0, b1, c0, c1, d0, d1, d2, d3, d4, d5, d6, d7]
    }

    /// Reads `423ec01e-2e35-11d2-b604-00104b703efd`, with or without braces.
    #[must_use]
    pub fn parse(text: &str) -> Option<Guid> {
        let text = text.trim().trim_start_matches('{').trim_end_matches('}');
        let mut parts = text.split('-');
        let mut next = |len: usize| {
            let part = parts.next().filter(|p| p.len() == len && p.bytes().all(|b| b.is_ascii_hexdigit()))?;
            u64::from_str_radix(part, 16).ok()
        };
        let (a, b, c, d, e) = (next(8)?, next(4)?, next(4)?, next(4)?, next(12)?);
        let [_, _, _, _, _, _, d0, d1] = d.to_be_bytes();
        let [_, _, e0, e1, e2, e3, e4, e5] = e.to_be_bytes();
        parts.next().is_none().then_some(Guid {
            data1: u32::try_from(a).ok()?,
            data2: u16::try_from(b).ok()?,
            data3: u16::try_from(c).ok()?,
            data4: [d0, d1, e0, e1, e2, e3, e4, e5],
        })
    }
}

/// `423ec01e-2e35-11d2-b604-00104b703efd`, without braces.
impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, rest @ ..] = self.data4;
        write!(f, "{:08x}-{:04x}-{:04x}-{a:02x}{b:02x}-", self.data1, self.data2, self.data3)?;
        rest.iter().try_for_each(|x| write!(f, "{x:02x}"))
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

/// The CodeView record of a module: which symbol file was made with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeView {
    /// `RSDS`: PDB 7.0.
    Pdb70 {
        /// The PDB's GUID.
        guid: Guid,
        /// The PDB's age.
        age: u32,
        /// Path of the PDB as the linker wrote it (untrusted).
        path: String,
    },
    /// `NB10`: PDB 2.0.
    Pdb20 {
        /// Signature (a time stamp).
        signature: u32,
        /// The PDB's age.
        age: u32,
        /// Path of the PDB as the linker wrote it (untrusted).
        path: String,
    },
    /// `LEpB` or a raw ELF build id.
    Elf {
        /// The build id's bytes.
        build_id: Vec<u8>,
    },
    /// Something else; the bytes are kept out, only the signature is told.
    Unknown {
        /// The first four bytes.
        signature: [u8; 4],
    },
}

/// `VS_FIXEDFILEINFO` of the module stream; absent (`None`) when its signature is not 0xFEEF04BD.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FileVersion {
    /// File version, four parts, most significant first.
    pub file: [u16; 4],
    /// Product version, four parts.
    pub product: [u16; 4],
    /// `dwFileFlags`.
    pub flags: u32,
    /// `dwFileFlagsMask`.
    pub flags_mask: u32,
    /// `dwFileOS`.
    pub os: u32,
    /// `dwFileType`.
    pub file_type: u32,
    /// `dwFileSubtype`.
    pub file_subtype: u32,
    /// `dwFileDateMS` and `dwFileDateLS`.
    pub date: (u32, u32),
}

/// One loaded module.
#[derive(Clone, Debug, PartialEq)]
pub struct ModuleInfo {
    /// WinDbg's name: file name without extension, `_` for characters that are illegal in expressions, with
    /// `_BASE` added when an earlier module has the same name.
    pub name: String,
    /// Last part of the path, with extension.
    pub file_name: String,
    /// Full path as the dump has it (untrusted, never used as a path of this machine).
    pub path: String,
    /// Load address.
    pub base: Va,
    /// `SizeOfImage`, bytes.
    pub size: u32,
    /// `TimeDateStamp` of the PE header.
    pub timestamp: u32,
    /// `CheckSum` of the PE header.
    pub checksum: u32,
    /// Which PDB belongs to it.
    pub codeview: Option<CodeView>,
    /// Fixed version information.
    pub version: Option<FileVersion>,
    /// Architecture from the image header in memory, when that is readable.
    pub machine: Option<Machine>,
}

impl ModuleInfo {
    /// True when `va` lies in the image.
    #[must_use]
    pub fn contains(&self, va: Va) -> bool {
        va.distance_from(self.base).is_some_and(|d| d < u64::from(self.size))
    }

    /// First address after the image.
    #[must_use]
    pub fn end(&self) -> Va {
        self.base.offset(u64::from(self.size))
    }
}

/// WinDbg's module name for a file name: last path part without its extension, characters that are illegal in
/// expressions replaced by `_` (`msvcrt-ruby200.dll` gives `msvcrt_ruby200`).
#[must_use]
pub fn windbg_module_name(path: &str) -> String {
    let leaf = path.rsplit(['\\', '/']).next().unwrap_or(path);
    let stem = leaf.rsplit_once('.').map_or(leaf, |(s, _)| if s.is_empty() { leaf } else { s });
    stem.chars()
        .map(|c| if c.is_alphanumeric() || c == '_' || c == '.' { c } else { '_' })
        .map(|c| if c == '.' { '_' } else { c })
        .collect()
}
