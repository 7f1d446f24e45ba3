//! What a thread that owns the loader does with it, when it is in no entry point: which DLL it loads.
//!
//! Source: the documented prototype of `LdrLoadDll` (its third argument is a `UNICODE_STRING` with the name).

use super::dll_main::{is_ntdll, name};
use crate::arguments::recover_all;
use crate::model::{Confidence, Stack, StackFrame};
use crate::{Cancel, Target};
use dumpscope_core::{Machine, ReadMemory, Va};
use dumpscope_symbols::Trust;

/// Frames that are looked at.
const DEPTH: usize = 64;

/// Longest name that is shown, characters.
const MAX_NAME: usize = 260;

/// Functions in which a thread has the loader, and what it does there.
const DOES: [(&str, &str); 4] = [
    ("LdrLoadDll", "loads a DLL"),
    ("LdrUnloadDll", "unloads a DLL"),
    ("LdrShutdownThread", "ends"),
    ("LdrInitializeThunk", "is being started by the loader"),
];

/// What it does, as in `loads "plugin.dll"`; `None` when its stack does not say. Untrusted.
pub(super) fn words(target: &Target, stack: &Stack, cancel: &Cancel) -> Option<String> {
    let sure = stack.frames.iter().enumerate().take(DEPTH).take_while(|(_, f)| f.trust != Trust::Scan);
    let inside = sure.filter(|(_, f)| is_ntdll(target, f));
    let (row, frame, function, does) =
        inside.filter_map(|(row, f)| Some((row, f, name(target, f)?))).find_map(|(row, f, function)| {
            let (_, does) = DOES.iter().find(|(n, _)| *n == function)?;
            Some((row, f, function, *does))
        })?;
    let dll = if function == "LdrLoadDll" { loaded(target, stack, row, frame, cancel) } else { None };
    Some(dll.map_or_else(|| does.to_owned(), |dll| format!("loads \"{dll}\"")))
}

/// The name that `LdrLoadDll` was called with.
fn loaded(target: &Target, stack: &Stack, row: usize, frame: &StackFrame, cancel: &Cancel) -> Option<String> {
    let memory = target.dump.memory();
    let at = if stack.machine == Machine::X86 {
        Va(memory.u32(frame.frame.frame_base.offset(0x10))?.into())
    } else {
        let all = recover_all(target, stack, cancel);
        Va(all.get(row)?.get(2)?.at_least(Confidence::Strong)?)
    };
    let text = memory.unicode_string(at, stack.machine)?;
    (!text.is_empty()).then(|| text.chars().take(MAX_NAME).collect())
}
