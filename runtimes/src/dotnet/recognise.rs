//! Which module is a CoreCLR, and which version.

use crate::{Process, Recognised};
use std::fmt;

/// Exports that only a CoreCLR has: the contract descriptor (9 and later), and the metrics of the collector's
/// engine and the host's record (8 and later; single-file programs export the last one from the program itself).
const EXPORTS: &[&str] = &["DotNetRuntimeContractDescriptor", "g_CLREngineMetrics", "DotNetRuntimeInfo"];
/// File name of the runtime, for images that are not readable.
const FILE_NAME: &str = "coreclr.dll";

/// True for the runtime's own file.
pub(super) fn is_file(name: &str) -> bool {
    name.eq_ignore_ascii_case(FILE_NAME)
}

/// Modules of the process that are a CoreCLR.
pub(super) fn recognise(process: &Process) -> Vec<Recognised> {
    let is_one = |m: &usize| EXPORTS.iter().any(|name| process.export(*m, name).is_some());
    let by_export = (0..process.modules.len()).filter(is_one);
    let found: Vec<_> = by_export.map(|module| Recognised { module, by_name: false }).collect();
    if !found.is_empty() {
        return found;
    }
    let named = |(_, m): &(usize, &dumpscope_core::ModuleInfo)| is_file(&m.file_name);
    let all = process.modules.iter().enumerate().filter(named);
    all.filter(|(i, _)| process.headers(*i).is_none())
        .map(|(module, _)| Recognised { module, by_name: true })
        .collect()
}

/// A runtime's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    pub(super) major: u16,
    pub(super) minor: u16,
    pub(super) patch: u16,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Offset of the version in `DotNetRuntimeInfo`: behind the signature (18 bytes), the record's own version and three
/// module identities of 24 bytes; from record version 2 on. Source: `runtimeinfo.h` of dotnet/runtime (MIT); seen in a
/// single-file program of 10.0.9.
const RUNTIME_INFO_VERSION: u64 = 96;
const SIGNATURE: &[u8] = b"DotNetRuntimeInfo\0";

/// The runtime's version: a single-file program's own record, since the version of its file is the application's; else out
/// of the module's version record, where 10.0.14 is written 10.0.1426.52326 (the third number is the patch times 100
/// and a part of the build).
pub(super) fn version(process: &Process, module: usize) -> Option<Version> {
    if let Some(told) = told(process, module) {
        return Some(told);
    }
    let info = process.modules.get(module).filter(|m| is_file(&m.file_name))?;
    let [major, minor, third, _] = info.version?.file;
    Some(Version { major, minor, patch: third / 100 })
}

fn told(process: &Process, module: usize) -> Option<Version> {
    let at = process.export(module, "DotNetRuntimeInfo")?;
    let memory = process.memory.as_ref();
    let signature = super::mem::some(memory, at, SIGNATURE.len());
    if signature != SIGNATURE || !(2..100).contains(&memory.u32(at.offset(20))?) {
        return None;
    }
    let part = |n: u64| u16::try_from(memory.u32(at.offset(RUNTIME_INFO_VERSION + n * 4))?).ok();
    Some(Version { major: part(0).filter(|m| (5..100).contains(m))?, minor: part(1)?, patch: part(2)? / 100 })
}
