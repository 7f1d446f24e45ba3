//! Words that several analyses use.

use crate::Target;
use crate::model::StackFrame;
use dumpscope_core::Tid;
use dumpscope_core::base::text::escape;

/// `module!function+0x12`, `module+0x12` or the bare address, without unsafe characters.
#[must_use]
pub fn frame_text(target: &Target, frame: &StackFrame) -> String {
    let machine = frame.frame.regs.machine();
    let module = frame.module.map(|i| target.symbols.name_in(i, machine));
    // The nearest export before an address names another function, as a rule.
    let (function, displacement) = match in_module(target, frame) {
        Some(offset) => (None, offset),
        None => (frame.function.as_deref(), frame.displacement),
    };
    let offset = match dumpscope_symbols::wrapped(displacement, machine) {
        0 => String::new(),
        d => format!("+0x{d:x}"),
    };
    let module = if frame.managed { frame.assembly.as_deref() } else { module };
    let text = match (module, function) {
        (Some(m), Some(f)) => format!("{m}!{f}{offset}"),
        (None, Some(f)) => format!("{f}{offset}"),
        (Some(m), None) => format!("{m}{offset}"),
        (None, None) => match target.unloaded_at(frame.frame.ip) {
            Some((m, d)) => format!("{m}+0x{d:x}"),
            None => format!("0x{:x}", frame.frame.ip.0),
        },
    };
    escape(&text).into_owned()
}

/// Where a frame stands in its module, when its name is that of an export which ends before it.
pub(crate) fn in_module(target: &Target, frame: &StackFrame) -> Option<u64> {
    if crate::stacks::is_exact(target, frame) {
        return None;
    }
    let module = target.symbols.modules().get(frame.module?)?;
    frame.frame.ip.distance_from(module.base)
}

/// A thread's id as in `thread 118`, with what is known of it.
pub(crate) fn thread_words(target: &Target, tid: Tid) -> String {
    match target.dump.thread_by_tid(tid) {
        Some(t) => format!("thread {:x} (number {})", tid.0, t.index.0),
        None => format!("thread {:x}", tid.0),
    }
}

/// A number with its digits in groups: `13,776`.
#[must_use]
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `23 MB`, `512 bytes`.
pub(crate) fn count_bytes(n: u64) -> String {
    match n {
        0..1024 => format!("{n} bytes"),
        1024..0x10_0000 => format!("{} kB", n >> 10),
        _ => format!("{} MB", n >> 20),
    }
}
