//! Which module is a HotSpot VM.

use crate::{Process, Recognised};

/// The export that every HotSpot has.
const EXPORT: &str = "gHotSpotVMStructs";
/// File name of the VM.
const FILE_NAME: &str = "jvm.dll";

/// True for the VM's own file.
pub(super) fn is_file(name: &str) -> bool {
    name.eq_ignore_ascii_case(FILE_NAME)
}

/// Modules of the process that are a HotSpot VM.
pub(super) fn recognise(process: &Process) -> Vec<Recognised> {
    let all = 0..process.modules.len();
    let found: Vec<_> = all
        .filter(|m| process.export(*m, EXPORT).is_some())
        .map(|module| Recognised { module, by_name: false })
        .collect();
    if !found.is_empty() {
        return found;
    }
    let named = |(_, m): &(usize, &dumpscope_core::ModuleInfo)| is_file(&m.file_name);
    let all = process.modules.iter().enumerate().filter(named);
    all.filter(|(i, _)| process.headers(*i).is_none())
        .map(|(module, _)| Recognised { module, by_name: true })
        .collect()
}
