//! One sentence on what a thread is doing, from the names of its innermost frames.
//!
//! The patterns are data ([`crate::patterns`]). They name the wait, not what is waited for.

use crate::Target;
use crate::model::{Activity, ExceptionFacts, Interest, Stack, StackFrame, ThreadRole};
use crate::patterns::NamedFrame;
use crate::stacks::{is_exact, may_run};
use crate::syscalls::{by_number, is_far, system_call_name};
use crate::text::frame_text;
use dumpscope_core::{Machine, ReadMemory};

/// Says what a thread does. `raised`: the exception, when this thread raised it.
pub(super) fn activity_of(
    target: &Target,
    stack: Option<&Stack>,
    raised: Option<&ExceptionFacts>,
    is_writer: bool,
) -> Option<Activity> {
    let plain = |text: String| Some(Activity { text, wait: None, idle: false, pattern: None });
    let frames = stack.map_or(&[][..], |s| &s.frames);
    let first = frames.first().map(|f| frame_text(target, f));
    if let Some(e) = raised.filter(|e| matches!(e.interest, Interest::Crash | Interest::OwnBreakpoint)) {
        let place = first.unwrap_or_else(|| format!("0x{:x}", e.address.0));
        return plain(format!("raised exception {:08x} at {place}", e.code));
    }
    if is_writer {
        return plain("wrote the dump".into());
    }
    // Windows 7 and 8.1 do not export user32's system calls: their code says what they are.
    if let Some(stack) = stack.filter(|s| is_running(target, Some(*s)) == Some(false)) {
        let patterns = target.patterns();
        if let Some(p) = patterns.wait_of(&named(target, stack)) {
            return Some(Activity {
                text: p.text.clone(),
                wait: Some(p.kind),
                idle: p.idle,
                pattern: Some(p.name.clone()),
            });
        }
    }
    first.and_then(|f| plain(format!("is in {f}")))
}

/// Frames as patterns see them. A system call without a name has the one that its number tells.
pub(crate) fn named<'a>(target: &'a Target, stack: &'a Stack) -> Vec<NamedFrame<'a>> {
    let module = |f: &StackFrame| {
        let m = target.symbols.modules().get(f.module?)?;
        // Patterns know names of files without their extension.
        Some(m.file_name.rsplit_once('.').map_or(m.file_name.as_str(), |(stem, _)| stem))
    };
    let function = |f: &'a StackFrame| {
        // The nearest export before an address may be another function's.
        f.function.as_deref().filter(|_| !is_far(f) && is_exact(target, f))
    };
    let mut out: Vec<NamedFrame<'_>> =
        stack.frames.iter().map(|f| NamedFrame { module: module(f), function: function(f) }).collect();
    if let (Some(first), Some(top)) = (out.first_mut(), stack.frames.first()) {
        first.function = first.function.or_else(|| by_number(target, stack.machine, top));
    }
    out
}

/// What a thread is there for, when that is to look after others.
pub(super) fn role_of(target: &Target, stack: Option<&Stack>, name: Option<&str>) -> Option<ThreadRole> {
    let frames = stack.map(|s| named(target, s)).unwrap_or_default();
    target.patterns().role_of(&frames, name)
}

/// Whether a thread runs: `Some(false)` when it is in a system call, `None` when that cannot be said.
pub(super) fn is_running(target: &Target, stack: Option<&Stack>) -> Option<bool> {
    let stack = stack?;
    let top = stack.physical().next()?;
    if let Some(call) = system_call_name(target, stack.machine, top) {
        // These come back at once: a loop that calls them runs.
        const SHORT: [&str; 5] = [
            "NtYieldExecution",
            "ZwYieldExecution",
            "NtQueryPerformanceCounter",
            "ZwQueryPerformanceCounter",
            "NtQuerySystemTime",
        ];
        return Some(SHORT.contains(&call));
    }
    let memory = target.dump.memory();
    target.map_image(top.frame.ip);
    let before: Option<[u8; 2]> =
        top.frame.ip.0.checked_sub(2).and_then(|at| memory.bytes(dumpscope_core::Va(at)));
    let module = top.module.and_then(|m| target.symbols.modules().get(m));
    let in_system = module.is_some_and(|m| {
        ["ntdll.dll", "win32u.dll", "wow64cpu.dll"].iter().any(|n| m.file_name.eq_ignore_ascii_case(n))
    });
    let longer: Option<[u8; 7]> =
        top.frame.ip.0.checked_sub(7).and_then(|at| memory.bytes(dumpscope_core::Va(at)));
    // Windows 7 and 8.1, 32-bit processes of a 64-bit system: call fs:[C0h].
    if stack.machine == Machine::X86 && longer == Some([0x64, 0xff, 0x15, 0xc0, 0, 0, 0]) {
        return Some(false);
    }
    let gate = match (stack.machine, before) {
        // syscall, sysenter, int 2e; the gate of 32-bit processes: call edx
        (Machine::Amd64 | Machine::X86, Some([0x0f, 0x05 | 0x34] | [0xcd, 0x2e])) => Some(true),
        (Machine::X86, Some([0xff, 0xd2])) if in_system => Some(true),
        (_, Some(_)) => Some(false),
        (_, None) => None,
    };
    match (in_system, gate) {
        (_, Some(true)) => Some(false),
        // Without a name and without code the system's own modules may be in a call.
        (true, None) => None,
        (true, Some(false)) if top.function.is_none() => None,
        // Code that a runtime made runs too: what is mapped to be run, and is no system call.
        (_, Some(false)) if is_code(target, top) => Some(true),
        _ => (module.is_some() || top.managed).then_some(true),
    }
}

/// True when the memory at a frame's instruction pointer may be run (`PAGE_EXECUTE*`).
fn is_code(target: &Target, frame: &StackFrame) -> bool {
    target.dump.region_at(frame.frame.ip).is_some_and(|r| may_run(r.protect))
}
