//! Which thread runs a DLL's entry point (`DllMain`) or TLS callback, called by the loader: such a thread holds the
//! loader, and everything that loads a DLL, starts a thread or ends one waits behind it.
//!
//! Evidence, each for itself: the function's name or its caller's; that the function is the image's entry point or
//! one of its TLS callbacks; its arguments (the DLL's own base, and a reason); the loader's own data.
//!
//! Source: `DllMain`'s contract and the PE format's TLS directory (Microsoft's documentation), the loader's
//! functions on public stacks of Windows 7 to 11 (`docs/reference/process-blocks.md#loader-entries` and
//! `docs/reference/locks.md#loader`).

use crate::Cancel;
use crate::Target;
use crate::arguments::{part_at, recover_all};
use crate::model::{Confidence, DllMain, Reason, Stack, StackFrame};
use dumpscope_core::model::{DDAG_INITIALIZING, LdrEntry, LoaderData};
use dumpscope_core::{Machine, ReadMemory, Va};
use dumpscope_symbols::image::PeHeaders;
use dumpscope_symbols::{SymbolSource, Trust};
use iced_x86::{Decoder, DecoderOptions, FlowControl, OpKind};

/// Frames that are looked at.
const DEPTH: usize = 256;

/// Bytes behind an export that still count as its function.
const MAX_EXPORT: u64 = 0x800;

/// x86: bytes behind the entry point in which its code is expected.
const NEAR_ENTRY: u64 = 0x400;

/// Bytes of an entry point in which the jump to the function behind it is looked for.
const ENTRY_CODE: usize = 0xc0;

/// Most TLS callbacks of an image.
const MAX_CALLBACKS: u64 = 32;

/// Index of the TLS directory in the optional header.
const TLS_DIRECTORY: usize = 9;

/// `LDR_DATA_TABLE_ENTRY.Flags`: load in progress, `DllMain` was called for process attach.
const LOAD_IN_PROGRESS: u32 = 0x1000;
const ATTACH_CALLED: u32 = 0x8_0000;

/// Functions of the loader that call entry points and TLS callbacks themselves (Windows, then Wine).
const CALLERS: [&str; 8] = [
    "LdrpCallInitRoutine",
    "LdrxCallInitRoutine",
    "LdrpCallInitRoutineInternal",
    "LdrpCallTlsInitializers",
    "LdrpCallInitRoutineForTls",
    "call_dll_entry_point",
    "MODULE_InitDLL",
    "call_tls_callbacks",
];

/// Functions of ntdll in which threads start.
const STARTS: [&str; 3] = ["RtlUserThreadStart", "_RtlUserThreadStart", "__RtlUserThreadStart"];

/// What entry points are called, and what the compilers' own ones lead to.
const ENTRIES: [&str; 9] = [
    "DllMain",
    "_DllMainCRTStartup",
    "__DllMainCRTStartup",
    "DllMainCRTStartup",
    "dllmain_dispatch",
    "dllmain_crt_dispatch",
    "dllmain_crt_process_attach",
    "_CRT_INIT",
    "DllEntryPoint",
];

/// Functions of the loader that say why an entry point is called.
const REASONS: [(&str, Reason); 13] = [
    ("LdrShutdownProcess", Reason::ProcessDetach),
    ("RtlExitUserProcess", Reason::ProcessDetach),
    ("LdrShutdownThread", Reason::ThreadDetach),
    ("RtlExitUserThread", Reason::ThreadDetach),
    ("LdrpInitializeThread", Reason::ThreadAttach),
    ("LdrpInitializeNode", Reason::ProcessAttach),
    ("LdrpRunInitializeRoutines", Reason::ProcessAttach),
    ("LdrpInitializeProcess", Reason::ProcessAttach),
    ("LdrLoadDll", Reason::ProcessAttach),
    ("process_attach", Reason::ProcessAttach),
    ("LdrpProcessDetachNode", Reason::ProcessDetach),
    ("LdrpUnloadNode", Reason::ProcessDetach),
    ("LdrUnloadDll", Reason::ProcessDetach),
];

/// The innermost entry point that the loader called and that has not returned. `loader`: the loader's data as the
/// stack's machine has them.
pub(crate) fn dll_main(
    target: &Target,
    stack: &Stack,
    loader: Option<&LoaderData>,
    cancel: &Cancel,
) -> Option<DllMain> {
    let rows: Vec<(usize, &StackFrame)> =
        stack.frames.iter().enumerate().filter(|(_, f)| f.trust != Trust::Inline).take(DEPTH).collect();
    (1..rows.len()).find_map(|n| {
        let called = Called::new(target, stack.machine, &rows, n, loader)?;
        called.judge(stack, cancel)
    })
}

/// A function of a DLL that ntdll called.
struct Called<'a> {
    target: &'a Target,
    machine: Machine,
    /// The frame's row in the stack.
    row: usize,
    frame: &'a StackFrame,
    caller: &'a StackFrame,
    /// The frames further out.
    outer: &'a [(usize, &'a StackFrame)],
    /// The named entry function between this frame and the innermost, if any.
    inner_name: Option<&'a str>,
    module: &'a dumpscope_core::ModuleInfo,
    entry: Option<&'a LdrEntry>,
}

impl<'a> Called<'a> {
    /// `rows[n]` is the frame that called.
    fn new(
        target: &'a Target,
        machine: Machine,
        rows: &'a [(usize, &'a StackFrame)],
        n: usize,
        loader: Option<&'a LoaderData>,
    ) -> Option<Called<'a>> {
        let (row, frame) = *rows.get(n.checked_sub(1)?)?;
        let (_, caller) = *rows.get(n)?;
        if !is_ntdll(target, caller) || is_ntdll(target, frame) {
            return None;
        }
        let module = target.symbols.modules().get(frame.module?)?;
        let inner = rows.get(..n)?.iter().rev().take_while(|(_, f)| f.module == frame.module);
        let inner_name = inner.filter_map(|(_, f)| name(target, f)).find(|f| ENTRIES.contains(f));
        let entry = loader.and_then(|l| l.entries.iter().find(|e| e.base == module.base));
        let outer = rows.get(n..)?;
        Some(Called { target, machine, row, frame, caller, outer, inner_name, module, entry })
    }

    /// True when the caller is ntdll's start of a thread: what it calls is the thread's function.
    fn starts_thread(&self) -> bool {
        name(self.target, self.caller).is_some_and(|f| STARTS.contains(&f))
    }

    /// True when the caller is the outermost frame or next to it.
    fn is_outermost(&self) -> bool {
        self.outer.len() <= 2
    }

    fn judge(&self, stack: &Stack, cancel: &Cancel) -> Option<DllMain> {
        let by_name = name(self.target, self.caller).filter(|f| CALLERS.contains(f));
        let named = by_name.is_some() || self.inner_name.is_some();
        let mut code = self.code();
        let is_x86 = self.machine == Machine::X86;
        if self.starts_thread() {
            return None;
        }
        if !named && code.is_none() && !is_x86 {
            return None;
        }
        let given = self.given(stack, cancel);
        // Code near the entry point need not be the entry point. What the outermost frames call is rather where the
        // thread starts, whatever else it may be to its image.
        if (is_x86 || self.is_outermost()) && !named && given.is_none() {
            code = None;
        }
        if !named && code.is_none() && given.is_none() {
            return None;
        }
        let mut evidence = Vec::new();
        if let Some(f) = by_name {
            evidence.push(format!("ntdll!{f}, which calls entry points, called it"));
        }
        if let Some(f) = self.inner_name {
            evidence.push(format!("its stack goes through {}!{f}", self.module.name));
        }
        match code {
            Some((Code::Entry, at)) => evidence.push(format!(
                "the function at {:x} that ntdll called is the entry point of {}",
                at.0, self.module.file_name
            )),
            Some((Code::Tls, at)) => evidence.push(format!(
                "the function at {:x} that ntdll called is a TLS callback of {}",
                at.0, self.module.file_name
            )),
            None => {}
        }
        if let Some(reason) = given {
            evidence.push(format!(
                "it was called with the DLL's base {:x} and the reason {}",
                self.module.base.0,
                reason.text()
            ));
        }
        let initializing = self.entry.is_some_and(is_initializing);
        if initializing {
            evidence
                .push(format!("the loader's data say that {} is being initialized", self.module.file_name));
        }
        // Names of the loader's callers and names in the DLL are one source; code, arguments and the loader's data
        // are others.
        let sources = [named, code.is_some(), given.is_some(), initializing];
        let sure = match sources.iter().filter(|s| **s).count() {
            0 | 1 => Confidence::Strong,
            _ => Confidence::Proven,
        };
        let doubtful = [self.frame, self.caller].iter().map(|f| f.trust).max();
        let confidence = match doubtful {
            Some(Trust::Scan) => Confidence::Guess,
            Some(Trust::FramePointerUnverified | Trust::ReturnAddress) => sure.min(Confidence::Strong),
            _ => sure,
        };
        let reason = given.or_else(|| self.reason_by_callers());
        let tls = matches!(code, Some((Code::Tls, _)))
            || (code.is_none() && by_name.is_some_and(|f| f.to_ascii_lowercase().contains("tls")));
        Some(DllMain {
            module: self.module.file_name.clone(),
            base: self.module.base,
            reason,
            tls,
            confidence,
            evidence,
        })
    }

    /// Whether the frame's function is the image's entry point or one of its TLS callbacks, and where it starts.
    fn code(&self) -> Option<(Code, Va)> {
        let at = self.frame.frame.lookup_ip();
        self.target.map_image(at);
        let memory = self.target.dump.memory().as_ref();
        let headers = PeHeaders::read(memory, self.module.base).ok();
        let of_header = headers.as_ref().map(|h| h.entry.va(self.module.base));
        let entry = self.entry.map(|e| e.entry_point).or(of_header).filter(|e| self.module.contains(*e));
        let start = match self.machine {
            Machine::X86 => None,
            _ => Some(part_at(self.target, at)?.entry),
        };
        // The program's own entry point is not the loader's to call.
        let is_program = self.target.dump.program_base() == Some(self.module.base);
        if let Some(entry) = entry.filter(|_| !is_program) {
            let is_entry = match start {
                Some(start) => leads_to(self.target, entry, start),
                None => at.distance_from(entry).is_some_and(|d| d < NEAR_ENTRY),
            };
            if is_entry {
                return Some((Code::Entry, start.unwrap_or(entry)));
            }
        }
        let start = start?;
        tls_callbacks(self.target, self.machine, self.module.base, &headers?)
            .into_iter()
            .any(|c| leads_to(self.target, c, start))
            .then_some((Code::Tls, start))
    }

    /// The reason that it was called with, when its first argument is the DLL's own base.
    fn given(&self, stack: &Stack, cancel: &Cancel) -> Option<Reason> {
        if self.machine == Machine::X86 {
            // Above the return address: hinstDLL, fdwReason, lpvReserved.
            let memory = self.target.dump.memory();
            let word = |n: u64| memory.u32(self.frame.frame.frame_base.offset(n)).map(u64::from);
            return (word(8)? == self.module.base.0).then(|| word(12)).flatten().and_then(Reason::of);
        }
        let all = recover_all(self.target, stack, cancel);
        let args = all.get(self.row)?;
        let arg = |n: usize| args.get(n).and_then(|a| a.at_least(Confidence::Strong));
        (arg(0)? == self.module.base.0).then(|| arg(1)).flatten().and_then(|r| Reason::of(r & 0xffff_ffff))
    }

    /// Why, as the loader's functions further out tell it.
    fn reason_by_callers(&self) -> Option<Reason> {
        let loader = self.outer.iter().take_while(|(_, f)| is_ntdll(self.target, f));
        loader
            .filter_map(|(_, f)| name(self.target, f))
            .find_map(|f| REASONS.iter().find(|(n, _)| *n == f).map(|(_, r)| *r))
    }
}

/// What a function is to its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Entry,
    Tls,
}

/// The one DLL that the loader's data call being initialized.
pub(super) fn initializing(loader: &LoaderData) -> Option<&LdrEntry> {
    let mut all = loader.entries.iter().filter(|e| is_initializing(e));
    all.next().filter(|_| all.next().is_none())
}

/// Windows 8 and later have a state; before, a load that is in progress and whose entry point was not noted yet.
fn is_initializing(entry: &LdrEntry) -> bool {
    match entry.ddag_state {
        Some(state) => state == DDAG_INITIALIZING,
        None => entry.flags.is_some_and(|f| f & LOAD_IN_PROGRESS != 0 && f & ATTACH_CALLED == 0),
    }
}

pub(super) fn is_ntdll(target: &Target, frame: &StackFrame) -> bool {
    let module = frame.module.and_then(|m| target.symbols.modules().get(m));
    module.is_some_and(|m| m.file_name.eq_ignore_ascii_case("ntdll.dll"))
}

/// The frame's function, unless it is only the nearest export before some other function.
pub(super) fn name<'a>(target: &Target, frame: &'a StackFrame) -> Option<&'a str> {
    let function = frame.function.as_deref()?;
    if frame.source != Some(SymbolSource::Exports) {
        return Some(function);
    }
    let start = frame.frame.ip.back(frame.displacement);
    let right = match part_at(target, frame.frame.lookup_ip()) {
        Some(part) => part.entry == start,
        None => frame.displacement <= MAX_EXPORT,
    };
    right.then_some(function)
}

/// True when `entry` is `start`, or its code jumps there as its last act: compilers' entry points do.
fn leads_to(target: &Target, entry: Va, start: Va) -> bool {
    if entry == start {
        return true;
    }
    target.map_image(entry);
    let mut bytes = [0_u8; ENTRY_CODE];
    let got = target.dump.memory().read_at(entry, &mut bytes).got;
    let code = bytes.get(..got).unwrap_or_default();
    let bits = if target.process_machine() == Machine::X86 { 32 } else { 64 };
    for i in &mut Decoder::with_ip(bits, code, entry.0, DecoderOptions::NONE) {
        if i.is_invalid() {
            return false;
        }
        let near = matches!(i.op0_kind(), OpKind::NearBranch32 | OpKind::NearBranch64);
        match i.flow_control() {
            FlowControl::UnconditionalBranch if near && i.near_branch_target() == start.0 => return true,
            FlowControl::Return | FlowControl::Interrupt => return false,
            _ => {}
        }
    }
    false
}

/// `IMAGE_TLS_DIRECTORY.AddressOfCallBacks`: pointers up to a null.
fn tls_callbacks(target: &Target, machine: Machine, base: Va, headers: &PeHeaders) -> Vec<Va> {
    let memory = target.dump.memory();
    let p = machine.ptr_size() as u64;
    let Some(directory) = headers.directory(TLS_DIRECTORY) else { return Vec::new() };
    let at = directory.rva.va(base).offset(p.wrapping_mul(3));
    let Some(list) = memory.ptr(at, machine).filter(|l| !l.is_null()) else { return Vec::new() };
    (0..MAX_CALLBACKS)
        .map_while(|n| memory.ptr(list.offset(n.wrapping_mul(p)), machine).filter(|c| !c.is_null()))
        .collect()
}
