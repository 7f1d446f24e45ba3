//! `RTL_USER_PROCESS_PARAMETERS`, for both bitnesses.

use crate::base::{Machine, ReadMemory, Va};
use crate::bytes::utf16_text;
use crate::layout::ParametersLayout;

/// Largest environment that is read, bytes.
const MAX_ENVIRONMENT: u64 = 1 << 20;
/// `RTL_USER_PROC_PARAMS_NORMALIZED`: the strings are pointers.
const NORMALIZED: u32 = 1;

/// `RTL_USER_PROCESS_PARAMETERS`, decoded. Texts are untrusted; `None` means unreadable.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessParameters {
    /// Address of the block.
    pub address: Va,
    /// Full path of the program.
    pub image_path: Option<String>,
    /// Command line.
    pub command_line: Option<String>,
    /// Where its text lies, and bytes.
    pub command_line_at: Option<(Va, u16)>,
    /// Current directory.
    pub current_directory: Option<String>,
    /// DLL search path.
    pub dll_path: Option<String>,
    /// Window title.
    pub window_title: Option<String>,
    /// Desktop (`WinSta0\Default`).
    pub desktop: Option<String>,
    /// Standard input, output and error handles.
    pub standard_handles: [Option<u64>; 3],
    /// Address of the environment block.
    pub environment_address: Va,
    /// `NAME=value` strings in their order.
    pub environment: Vec<String>,
}

impl ProcessParameters {
    /// Reads the block at `address`, laid out for `machine`. `None` when not even its flags are readable.
    #[must_use]
    pub fn read<M: ReadMemory>(memory: &M, address: Va, machine: Machine) -> Option<ProcessParameters> {
        let l = ParametersLayout::of(machine.is_64());
        let flags = memory.u32(address.offset(l.flags))?;
        let text = |at: u64| string(memory, address, at, machine, flags & NORMALIZED != 0);
        let handle = |at: u64| memory.ptr(address.offset(at), machine).map(|v| v.0);
        let environment_address = memory.ptr(address.offset(l.environment), machine).unwrap_or_default();
        // Before Vista the block ends where EnvironmentSize would lie.
        let has_size =
            memory.u32(address.offset(l.length)).is_some_and(|n| u64::from(n) > l.environment_size);
        let size = if has_size { memory.ptr(address.offset(l.environment_size), machine) } else { None };
        Some(ProcessParameters {
            address,
            image_path: text(l.image_path),
            command_line: text(l.command_line),
            command_line_at: placed(memory, address, l.command_line, machine, flags & NORMALIZED != 0),
            current_directory: text(l.current_directory),
            dll_path: text(l.dll_path),
            window_title: text(l.window_title),
            desktop: text(l.desktop_info),
            standard_handles: [handle(l.standard_input), handle(l.standard_output), handle(l.standard_error)],
            environment_address,
            environment: environment(memory, environment_address, size.map(|s| s.0)),
        })
    }

    /// The value of an environment variable, its name in any letter case.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.iter().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// A `UNICODE_STRING` of the block. Before the loader normalized the block, `Buffer` is an offset in it.
fn string<M: ReadMemory>(
    memory: &M,
    block: Va,
    at: u64,
    machine: Machine,
    normalized: bool,
) -> Option<String> {
    let va = block.offset(at);
    if normalized {
        return memory.unicode_string(va, machine);
    }
    let len = memory.u16(va)?;
    let buffer = memory.ptr(va.offset(if machine.is_64() { 8 } else { 4 }), machine)?;
    let mut raw = vec![0u8; usize::from(len)];
    (memory.read_at(block.offset(buffer.0), &mut raw).got == raw.len()).then(|| utf16_text(&raw))
}

/// Where the text of a `UNICODE_STRING` of the block lies, and its bytes.
fn placed<M: ReadMemory>(
    memory: &M,
    block: Va,
    at: u64,
    machine: Machine,
    normalized: bool,
) -> Option<(Va, u16)> {
    let va = block.offset(at);
    let buffer = memory.ptr(va.offset(if machine.is_64() { 8 } else { 4 }), machine)?;
    Some((if normalized { buffer } else { block.offset(buffer.0) }, memory.u16(va)?))
}

/// Strings up to an empty one, at most `size` bytes where that is known and sensible.
fn environment<M: ReadMemory>(memory: &M, address: Va, size: Option<u64>) -> Vec<String> {
    if address.is_null() {
        return Vec::new();
    }
    let limit = size.filter(|s| (2..=MAX_ENVIRONMENT).contains(s)).unwrap_or(MAX_ENVIRONMENT);
    let mut units: Vec<u16> = Vec::new();
    let mut chunk = [0u8; 4096];
    let mut done = 0u64;
    // Read in pieces: without a size the end is found by looking, and 1 MiB is rarely there.
    while done < limit && !ends_with_empty(&units) {
        let want = usize::try_from(limit.saturating_sub(done)).unwrap_or(usize::MAX).min(chunk.len());
        let Some(buf) = chunk.get_mut(..want) else { break };
        let at = address.offset(done);
        // A page is looked at, and only its texts are needed.
        let got = memory.scan_at(at, buf).got;
        let before = units.len();
        let part = chunk.get(..got).unwrap_or_default();
        let (pairs, _) = part.as_chunks::<2>();
        for pair in pairs {
            units.push(u16::from_le_bytes(*pair));
            if ends_with_empty(&units) {
                break;
            }
        }
        done = done.saturating_add(got as u64);
        if got < want && !ends_with_empty(&units) {
            // The rest is missing, which has to be noted as well.
            memory.touch(at, want);
            break;
        }
        memory.touch(at, units.len().saturating_sub(before).saturating_mul(2));
        if got < want {
            break;
        }
    }
    let strings = units.split(|u| *u == 0).take_while(|s| !s.is_empty());
    strings.map(String::from_utf16_lossy).collect()
}

fn ends_with_empty(units: &[u16]) -> bool {
    units.ends_with(&[0, 0]) || units == [0]
}
