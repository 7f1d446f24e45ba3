//! A short text that is equal for dumps of the same cause.
//!
//! First form: the exception's name and the first named frames of the thread that crashed.

use super::{Facts, Finding, FindingKind};
use dumpscope_core::base::text::escape;
use dumpscope_symbols::Trust;

/// Frames in a crash signature.
const FRAMES: usize = 3;

/// The signature of a verdict; `None` when nothing stable is known.
#[must_use]
pub fn signature(facts: &Facts<'_>, verdict: &Finding) -> Option<String> {
    if verdict.kind != FindingKind::Crash {
        return None;
    }
    let exception = facts.exception.as_ref()?;
    let code = exception.name.clone().unwrap_or_else(|| format!("{:08x}", exception.code));
    let mut out = format!("crash:{code}");
    let thread = facts.thread(exception.tid)?;
    let stack = thread.stack.as_ref().or(thread.native_stack.as_ref());
    // What a scan finds differs from run to run.
    let sure = stack.iter().flat_map(|s| &s.frames).take_while(|f| f.trust != Trust::Scan);
    for frame in sure.take(FRAMES) {
        let module = frame.module.and_then(|i| facts.target.symbols.modules().get(i));
        out.push('|');
        match (module, &frame.function) {
            (Some(m), Some(f)) => out.push_str(&format!("{}!{f}", m.name)),
            // Without a name the offset in the module is what stays equal between processes.
            (Some(m), None) => out.push_str(&format!("{}+0x{:x}", m.name, frame.displacement)),
            (None, Some(f)) => out.push_str(f),
            (None, None) => out.push('?'),
        }
    }
    Some(escape(&out).into_owned())
}
