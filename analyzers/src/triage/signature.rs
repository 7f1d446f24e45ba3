//! A short text that is equal for dumps of the same cause.
//!
//! Crashes: the exception and the frames that count, in Socorro's manner; which ones count is data
//! (`data/signatures.toml`). Hangs: `hang:<class>|<waiter frame>|<owner frame>`.

use crate::facts::Case;
use crate::model::{Finding, FindingKind, StackFrame, ThreadFacts};
use dumpscope_core::Tid;
use dumpscope_core::base::text::escape;
use dumpscope_core::base::{CodeView, ModuleInfo};
use dumpscope_runtimes::ScriptException;
use dumpscope_symbols::Trust;
use serde::Deserialize;
use std::sync::OnceLock;

const LISTS: &str = include_str!("../../data/signatures.toml");

/// Calls through a null pointer lead below here.
const NULL_AREA: u64 = 0x1_0000;

/// Most frames in a signature: a recursion through prefix functions must end.
const FRAMES: usize = 8;

/// Frames without a name are cut to this many: their offsets differ from build to build.
const UNNAMED: usize = 3;

/// Which frames count.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lists {
    version: u32,
    irrelevant: Vec<String>,
    prefix: Vec<String>,
}

fn lists() -> &'static Lists {
    static ROWS: OnceLock<Lists> = OnceLock::new();
    // A test reads the file: it cannot be wrong in a program that was tested.
    ROWS.get_or_init(|| toml::from_str(LISTS).unwrap_or_default())
}

fn is_in(list: &[String], name: &str) -> bool {
    list.iter().any(|p| p.strip_suffix('*').map_or_else(|| p == name, |head| name.starts_with(head)))
}

/// A signature and how it came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The text. Holds no unsafe characters.
    pub text: String,
    /// The same without names of functions, which need symbols: modules and the offsets in them. Crashes only.
    pub raw: Option<String>,
    /// Version of the rules and lists: texts of different versions cannot be compared.
    pub version: u32,
    /// What each step did, one sentence each.
    pub trace: Vec<String>,
}

/// The signature of a verdict; `None` when nothing stable is known.
#[must_use]
pub fn signature(facts: &Case<'_>, verdict: &Finding) -> Option<Signature> {
    let mut trace = Vec::new();
    let parts = match verdict.kind {
        FindingKind::Crash => crash(facts, &mut trace)?,
        FindingKind::Idle | FindingKind::Unknown => return None,
        _ => hang(facts, verdict, &mut trace)?,
    };
    let raw = (verdict.kind == FindingKind::Crash).then(|| raw(facts)).flatten();
    let text = escape(&parts.join("|")).into_owned();
    let trace = trace.iter().map(|t| escape(t).into_owned()).collect();
    Some(Signature { text, raw, version: lists().version, trace })
}

/// `module!function`, or `module+0xoffset` where there is no name: that stays equal between processes.
fn frame_name(facts: &Case<'_>, frame: &StackFrame) -> String {
    let machine = frame.frame.regs.machine();
    let of_image = frame.module.map(|i| facts.target.symbols.name_in(i, machine));
    let module = if frame.managed { frame.assembly.as_deref() } else { of_image };
    let other = crate::text::in_module(facts.target, frame);
    match (module, frame.function.as_ref().filter(|_| other.is_none())) {
        (Some(m), None) if other.is_some() => format!("{m}+0x{:x}", other.unwrap_or_default()),
        (Some(m), Some(f)) => format!("{m}!{f}"),
        (Some(m), None) => format!("{m}+0x{:x}", frame.displacement),
        (None, Some(f)) => f.clone(),
        (None, None) => match facts.target.unloaded_at(frame.frame.ip) {
            Some((m, d)) => format!("{m}+0x{d:x}"),
            // Addresses differ from run to run, but for null.
            None if frame.frame.ip.0 < NULL_AREA => "null".into(),
            None => "?".into(),
        },
    }
}

fn crash(facts: &Case<'_>, trace: &mut Vec<String>) -> Option<Vec<String>> {
    let unread = crate::facts::reporting(facts);
    if let Some(r) = unread.first() {
        trace.push(format!("thread {:x} reports an exception that cannot be read", r.thread.tid.0));
        let raised = r.raised.map(|f| frame_name(facts, f));
        return Some(std::iter::once("crash:reported".to_owned()).chain(raised).collect());
    }
    let exception = facts.fatal().or(facts.exception.as_ref());
    let of = |tid: Option<Tid>| exception.is_none_or(|e| facts.fatal().is_none() || tid == Some(e.tid));
    if let Some(death) = facts.script.death.as_ref().filter(|d| of(Some(d.tid))) {
        let user = facts.script.user_frame(death.tid).map(|f| f.display.clone());
        trace.push(format!("thread {:x} is in {}", death.tid.0, death.method));
        return Some(std::iter::once("crash:FailFast".to_owned()).chain(user).collect());
    }
    if let Some(managed) = facts.script.unhandled().filter(|e| of(e.tid)) {
        return Some(managed_crash(managed, trace));
    }
    let exception = exception?;
    let code = exception.name.clone().unwrap_or_else(|| format!("{:08x}", exception.code));
    let mut parts = vec![format!("crash:{code}")];
    if let Some((method, times)) = managed_recursion(facts, exception) {
        trace.push(format!("recursion: {method}, {times} frames"));
        parts.push(method);
        return Some(parts);
    }
    if let Some(recursion) = exception.recursion.as_ref().filter(|_| exception.is_stack_overflow()) {
        // The leaf that met the guard page differs from run to run.
        trace.push(format!("recursion: {}", recursion.words()));
        parts.extend(recursion.cycle.iter().take(FRAMES).cloned());
        return Some(parts);
    }
    let stack = facts.reported.first().and_then(|r| r.stack.as_ref()).or_else(|| facts.stack_of(exception));
    stack?;
    let mut unnamed = 0_usize;
    for frame in stack.iter().flat_map(|s| &s.frames) {
        let name = frame_name(facts, frame);
        if frame.trust == Trust::Scan {
            // What a scan finds differs from run to run.
            trace.push(format!("{name}: found by a scan of the stack, the end"));
            break;
        }
        let named = crate::text::in_module(facts.target, frame).is_none();
        let function = frame.function.as_deref().filter(|_| named).unwrap_or_default();
        if is_in(&lists().irrelevant, function) {
            trace.push(format!("{name}: irrelevant, left out"));
            continue;
        }
        parts.push(name.clone());
        if parts.len() > FRAMES {
            trace.push(format!("{name}: taken, no more than {FRAMES} frames"));
            break;
        }
        // A frame without a function name says too little alone.
        unnamed = if function.is_empty() { unnamed.saturating_add(1) } else { 0 };
        if is_in(&lists().prefix, function) {
            trace.push(format!("{name}: prefix, taken with the next one"));
        } else if function.is_empty() && unnamed < UNNAMED {
            trace.push(format!("{name}: no name, taken with the next one"));
        } else {
            trace.push(format!("{name}: taken, the end"));
            break;
        }
    }
    Some(parts)
}

/// The method of the program that filled the stack.
fn managed_recursion(facts: &Case<'_>, e: &crate::model::ExceptionFacts) -> Option<(String, usize)> {
    let frames = &facts.script.threads.get(&e.tid).filter(|_| e.is_stack_overflow())?.frames;
    super::rules::recursive(frames).map(|(method, times)| (method.to_owned(), times))
}

/// The exception's type and the innermost method of the program, as the user wrote it: names of closures and state
/// machines differ from build to build.
fn managed_crash(e: &ScriptException, trace: &mut Vec<String>) -> Vec<String> {
    let mut parts = vec![format!("crash:{}", e.type_name)];
    for frame in &e.frames {
        if frame.is_library() {
            trace.push(format!("{}: of the runtime's libraries, left out", frame.display));
            continue;
        }
        trace.push(format!("{}: taken, the end", frame.display));
        parts.push(frame.display.clone());
        break;
    }
    parts
}

/// Frames of a signature without names.
const RAW_FRAMES: usize = 3;

/// The exception and the first frames as places in modules: the system's are left out, as far as others follow.
fn raw(facts: &Case<'_>) -> Option<String> {
    let exception = facts.fatal().or(facts.exception.as_ref())?;
    let stack =
        facts.reported.first().and_then(|r| r.stack.as_ref()).or_else(|| facts.stack_of(exception))?;
    let symbols = &facts.target.symbols;
    let patterns = facts.target.patterns();
    let sure: Vec<&StackFrame> = stack.physical().take_while(|f| f.trust != Trust::Scan).collect();
    let is_own = |f: &&StackFrame| {
        let module = f.module.and_then(|m| symbols.modules().get(m));
        module.is_some_and(|m| !patterns.is_system_file(&m.file_name))
    };
    let first = sure.iter().position(is_own).unwrap_or(0);
    let place = |f: &StackFrame| match f.module.and_then(|m| symbols.modules().get(m)) {
        Some(m) => {
            let offset = f.frame.ip.distance_from(m.base).unwrap_or_default();
            format!("{}/{}+0x{offset:x}", m.file_name, debug_id(m))
        }
        None => match facts.target.unloaded_at(f.frame.ip) {
            Some((m, d)) => format!("{m}+0x{d:x}"),
            None if f.frame.ip.0 < NULL_AREA => "null".into(),
            None => "?".into(),
        },
    };
    let mut parts = vec![format!("crash:{:08x}", exception.code)];
    parts.extend(sure.iter().skip(first).take(RAW_FRAMES).map(|f| place(f)));
    Some(escape(&parts.join("|")).into_owned())
}

/// What tells one build of a module from another: of its symbols, else of its header.
fn debug_id(m: &ModuleInfo) -> String {
    match &m.codeview {
        Some(CodeView::Pdb70 { guid, age, .. }) => {
            format!("{}{age:x}", guid.to_string().replace(['-', '{', '}'], "").to_ascii_uppercase())
        }
        Some(CodeView::Pdb20 { signature, age, .. }) => format!("{signature:08X}{age:x}"),
        Some(CodeView::Elf { build_id }) => build_id.iter().map(|b| format!("{b:02x}")).collect(),
        _ => format!("{:08X}{:x}", m.timestamp, m.size),
    }
}

fn hang(facts: &Case<'_>, verdict: &Finding, trace: &mut Vec<String>) -> Option<Vec<String>> {
    let mut parts = vec![format!("hang:{}", verdict.class.name())];
    let mut of = |tid: Tid, what: &str| {
        let managed = facts.script.user_frame(tid).map(|f| f.display.clone());
        let name = managed.or_else(|| facts.thread(tid).and_then(|t| own_frame(facts, t)));
        let text = name.unwrap_or_else(|| "-".into());
        trace.push(format!("{what} {:x}: first frame that is not the system's: {text}", tid.0));
        text
    };
    match verdict.kind {
        FindingKind::Deadlock => {
            let mut members: Vec<String> = verdict.tids.iter().map(|t| of(*t, "member")).collect();
            // Which thread comes first differs from run to run.
            members.sort();
            parts.extend(members.into_iter().take(FRAMES));
        }
        FindingKind::OrphanedLock => {
            parts.push(of(verdict.tid?, "waiter"));
            parts.push("gone".into());
        }
        FindingKind::LockContention => {
            let owner = verdict.owner_tid.or(verdict.tid)?;
            let waiter = verdict.tids.iter().find(|t| **t != owner).copied()?;
            parts.push(of(waiter, "waiter"));
            parts.push(of(owner, "owner"));
        }
        FindingKind::BlockedOnProcess => {
            parts.push(of(verdict.tid?, "waiter"));
            let wait = facts.thread(verdict.tid?).and_then(|t| t.wait.as_ref());
            let com = wait.and_then(|w| w.com.as_ref());
            // Process ids differ from run to run; the interface that is called does not.
            let what = com.and_then(|c| {
                let iid = c.message.as_ref()?.iid?;
                Some(c.interface.clone().unwrap_or_else(|| iid.to_string()))
            });
            parts.push(what.or_else(|| wait.map(|w| w.kind.name().to_owned()))?);
        }
        _ => {
            parts.push(of(verdict.tid?, "thread"));
            let wait = facts.thread(verdict.tid?).and_then(|t| t.wait.as_ref());
            parts.push(wait.map_or_else(|| "running".to_owned(), |w| w.kind.name().to_owned()));
        }
    }
    Some(parts)
}

/// The innermost frame of a stack that is not the system's; the innermost at all when there is none.
fn own_frame(facts: &Case<'_>, thread: &ThreadFacts) -> Option<String> {
    let stack = thread.stack.as_ref().or(thread.native_stack.as_ref())?;
    let patterns = facts.target.patterns();
    let system = |f: &&StackFrame| {
        let module = f.module.and_then(|m| facts.target.symbols.modules().get(m));
        module.is_some_and(|m| patterns.is_system_file(&m.file_name))
    };
    let sure = || stack.frames.iter().take_while(|f| f.trust != Trust::Scan);
    sure().find(|f| !system(f)).or_else(|| sure().next()).map(|f| frame_name(facts, f))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_right() {
        let read: Lists = toml::from_str(LISTS).unwrap();
        assert!(read.version > 0 && read.irrelevant.len() > 20 && read.prefix.len() > 20);
        // A function cannot be both.
        for name in read.prefix.iter().filter(|n| !n.ends_with('*')) {
            assert!(!is_in(&read.irrelevant, name), "{name}");
        }
        assert!(read.prefix.iter().chain(&read.irrelevant).all(|n| n.trim_end_matches('*').len() > 1));
    }

    #[test]
    fn stars_stand_for_any_rest() {
        let list = ["Rtlp*".to_owned(), "free".to_owned()];
        assert!(is_in(&list, "RtlpFoo") && is_in(&list, "free"));
        assert!(!is_in(&list, "free_all") && !is_in(&list, "Rtl") && !is_in(&list, ""));
    }
}
