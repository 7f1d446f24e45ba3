//! ModuleListStream (4). The value is a list of [`ModuleInfo`].

use super::{Stream, StreamCx, count, id};
use crate::base::{CodeView, FileOff, FileVersion, Guid, ModuleInfo, Va, windbg_module_name};
use crate::bytes::{Cursor, c_text};
use crate::error::Parsed;
use std::collections::HashSet;

/// `MINIDUMP_MODULE`: 108 bytes.
const ENTRY: usize = 108;
/// `VS_FIXEDFILEINFO.dwSignature`.
const VERSION_SIGNATURE: u32 = 0xfeef_04bd;
/// Longest CodeView record that is read; paths end at 32 KiB.
const MAX_CODEVIEW: u32 = 0x1_0000;

pub(crate) struct ModuleListStream;

impl Stream for ModuleListStream {
    const NUMBER: u32 = id::MODULE_LIST;
    const NAME: &'static str = "ModuleListStream";
    const ABOUT: &'static str = "loaded modules with version and PDB";
    type Value = Vec<ModuleInfo>;

    /// Parses the stream as it is: an image may be listed twice (64-bit writers list a WOW64 process's program for
    /// each loader), and names are not made unique. `machine` needs the image headers in memory and is not filled.
    fn parse(cx: StreamCx<'_>) -> Parsed<Self::Value> {
        let modules = cx.counted_entries(ENTRY, |raw| entry(&cx, raw));
        cx.done(modules)
    }

    fn summary(v: &Self::Value) -> String {
        count(v.len(), "module")
    }
}

fn entry(cx: &StreamCx<'_>, raw: &[u8]) -> Option<ModuleInfo> {
    let mut c = Cursor::new(raw, FileOff(0));
    let base = cx.va(c.u64()?);
    let size = c.u32()?;
    let checksum = c.u32()?;
    let timestamp = c.u32()?;
    let name_rva = c.u32()?;
    let version = file_version(&mut c)?;
    let (cv_size, cv_rva) = (c.u32()?, c.u32()?);
    let path = cx.string_or_warn(name_rva.into(), "a module's name").unwrap_or_default();
    Some(ModuleInfo {
        size,
        checksum,
        timestamp,
        version,
        codeview: codeview(cx, cv_size, cv_rva),
        ..named(base, path)
    })
}

/// A module of which only address and path are known.
pub(crate) fn named(base: Va, path: String) -> ModuleInfo {
    ModuleInfo {
        name: windbg_module_name(&path),
        file_name: path.rsplit(['\\', '/']).next().unwrap_or(&path).to_owned(),
        path,
        base,
        size: 0,
        timestamp: 0,
        checksum: 0,
        codeview: None,
        version: None,
        machine: None,
    }
}

fn file_version(c: &mut Cursor<'_>) -> Option<Option<FileVersion>> {
    let mut words = [0u32; 13];
    for w in &mut words {
        *w = c.u32()?;
    }
    let [
        signature,
        _,
        file_ms,
        file_ls,
        product_ms,
        product_ls,
        flags_mask,
        flags,
        os,
        file_type,
        subtype,
        date_ms,
        date_ls,
    ] = words;
    let four = |ms: u32, ls: u32| [(ms >> 16) as u16, ms as u16, (ls >> 16) as u16, ls as u16];
    Some((signature == VERSION_SIGNATURE).then(|| FileVersion {
        file: four(file_ms, file_ls),
        product: four(product_ms, product_ls),
        flags,
        flags_mask,
        os,
        file_type,
        file_subtype: subtype,
        date: (date_ms, date_ls),
    }))
}

fn codeview(cx: &StreamCx<'_>, size: u32, rva: u32) -> Option<CodeView> {
    if size == 0 || rva == 0 {
        return None;
    }
    let raw = match cx.slice(rva.into(), size.min(MAX_CODEVIEW).into()) {
        Some(raw) if size <= MAX_CODEVIEW => raw,
        _ => {
            cx.warn(
                Some(FileOff(rva.into())),
                "a module's CodeView record lies outside the file or is too long",
            );
            return None;
        }
    };
    cx.charge(raw.len())?;
    decode_codeview(raw)
}

/// Decodes a CodeView record: `RSDS` (PDB 7.0), `NB10` (PDB 2.0), `LEpB` (Breakpad, the word 0x4270454c: an ELF build id).
pub(crate) fn decode_codeview(raw: &[u8]) -> Option<CodeView> {
    let mut c = Cursor::new(raw, FileOff(0));
    let signature = c.array::<4>()?;
    let unknown = Some(CodeView::Unknown { signature });
    match &signature {
        b"RSDS" => {
            let (Some(guid), Some(age)) = (c.array::<16>(), c.u32()) else { return unknown };
            let path = c_text(c.take(c.left())?);
            Some(CodeView::Pdb70 { guid: Guid::from_bytes(&guid), age, path })
        }
        b"NB10" => {
            let (Some(_offset), Some(signature), Some(age)) = (c.u32(), c.u32(), c.u32()) else {
                return unknown;
            };
            Some(CodeView::Pdb20 { signature, age, path: c_text(c.take(c.left())?) })
        }
        b"LEpB" => Some(CodeView::Elf { build_id: c.take(c.left())?.to_vec() }),
        _ => unknown,
    }
}

/// Gives WinDbg's names: a name that an earlier module has gets `_` and the base address in hex.
#[derive(Debug, Default)]
pub(crate) struct NameSet(HashSet<String>);

impl NameSet {
    /// `name`, or `name_BASE` when it is taken in any letter case.
    pub(crate) fn unique(&mut self, name: String, base: Va) -> String {
        if self.0.insert(name.to_lowercase()) {
            return name;
        }
        let longer = format!("{name}_{:x}", base.0);
        self.0.insert(longer.to_lowercase());
        longer
    }
}
