//! An exception ended the process.

use crate::annotations::annotations;
use crate::facts::Case;
use crate::model::{Confidence, ExceptionFacts, Finding, FindingKind, Interest, Stack, ThreadFacts};
use crate::text::frame_text;
use dumpscope_core::base::text::escape;
use dumpscope_runtimes::{Death, ScriptException, ScriptFrame};
use dumpscope_symbols::Trust;
use std::collections::BTreeMap;

/// Causes of an exception that the summary names.
const MAX_INNER: usize = 4;
/// Frames that the evidence quotes.
const QUOTED: usize = 3;
/// So many frames of one method make a recursion that fills a stack.
const MANY: usize = 20;

pub(super) fn run(facts: &Case<'_>) -> Vec<Finding> {
    let Some(exception) = &facts.exception else { return Vec::new() };
    let confidence = match exception.interest {
        Interest::Crash => Confidence::Proven,
        // An assertion of the program, or a debugger's user who stopped there: the dump does not say which.
        Interest::OwnBreakpoint => Confidence::Guess,
        Interest::Debugger | Interest::Hang | Interest::Harmless => return Vec::new(),
    };
    let thread = facts.thread(exception.tid);
    let mut finding = Finding::new(FindingKind::Crash, confidence, summary(facts, exception));
    finding.tid = Some(exception.tid);
    finding.tids = vec![exception.tid];
    finding.evidence = evidence(facts, exception, thread);
    finding.advice = Some(advice(facts, exception));
    vec![finding]
}

fn summary(facts: &Case<'_>, exception: &ExceptionFacts) -> String {
    if let Some(death) = facts.script.death.as_ref().filter(|d| d.tid == exception.tid) {
        return escape(&ended(facts, death)).into_owned();
    }
    if let Some(managed) = facts.script.unhandled().filter(|e| e.tid == Some(exception.tid)) {
        return escape(&unhandled(facts, managed)).into_owned();
    }
    if let Some(words) = overflow(facts, exception) {
        return escape(&words).into_owned();
    }
    let stack = facts.stack_of(exception);
    let first = stack.and_then(|s| s.frames.first());
    let place = first.map_or_else(|| format!("0x{:x}", exception.address.0), |f| frame_text(facts.target, f));
    // Where there is no code the caller is what counts.
    let caller = stack.and_then(|s| s.physical().nth(1)).filter(|c| c.trust == Trust::ReturnAddress);
    let by = caller.map_or(String::new(), |c| format!(", called from {}", frame_text(facts.target, c)));
    format!("thread {:x} crashed in {place}{by}: {}", exception.tid.0, exception.description)
}

/// A stack that methods of a runtime filled: the innermost one of the program that calls itself.
pub(super) fn overflow(facts: &Case<'_>, exception: &ExceptionFacts) -> Option<String> {
    if !exception.is_stack_overflow() {
        return None;
    }
    let frames = &facts.script.threads.get(&exception.tid)?.frames;
    let (method, times) = recursive(frames)?;
    Some(format!(
        "{} crashed: stack overflow, {method} calls itself ({times} frames of {})",
        facts.script.words(exception.tid),
        frames.len()
    ))
}

/// The method of the program that stands on a stack most often, more than once, and how often.
pub(in crate::triage) fn recursive(frames: &[ScriptFrame]) -> Option<(&str, usize)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for f in frames.iter().filter(|f| !f.is_library()) {
        *counts.entry(f.display.as_str()).or_default() += 1;
    }
    let most = counts.values().copied().max().filter(|n| *n > MANY)?;
    // Of several that call each other the innermost.
    frames.iter().map(|f| f.display.as_str()).find(|d| counts.get(d) == Some(&most)).map(|d| (d, most))
}

/// The end that the program itself called for.
pub(super) fn ended(facts: &Case<'_>, death: &Death) -> String {
    let user = facts.script.user_frame(death.tid).map(|f| format!(" in {}", f.display)).unwrap_or_default();
    let message = death.message.as_deref().map(|m| format!(": \"{m}\"")).unwrap_or_default();
    let mut out = format!(
        "{} ended the process by {}{user}{message}",
        facts.script.words(death.tid),
        death.method.strip_prefix("System.").unwrap_or(&death.method)
    );
    if let Some(e) = &death.exception {
        out.push_str(", with ");
        out.push_str(&e.type_name);
        out.extend(e.message.iter().map(|m| format!(" \"{m}\"")));
    }
    out
}

/// `thread 118 "worker" crashed: unhandled Type "message" in Method, caused by Type "message"`.
pub(super) fn unhandled(facts: &Case<'_>, e: &ScriptException) -> String {
    let words = |e: &ScriptException| match &e.message {
        Some(message) => format!("{} \"{message}\"", e.type_name),
        None => e.type_name.clone(),
    };
    let who = e.tid.map_or_else(|| "a thread".to_owned(), |t| facts.script.words(t));
    let frame = e.frames.iter().find(|f| !f.is_library()).or(e.frames.first());
    let place = frame.map(|f| format!(" in {}", f.display)).unwrap_or_default();
    let mut out = format!("{who} crashed: unhandled {}{place}", words(e));
    let mut inner = e.inner.as_deref();
    for _ in 0..MAX_INNER {
        let Some(cause) = inner else { break };
        out.push_str(&format!(", caused by {}", words(cause)));
        inner = cause.inner.as_deref();
    }
    out
}

fn evidence(facts: &Case<'_>, exception: &ExceptionFacts, thread: Option<&ThreadFacts>) -> Vec<String> {
    let mut out = vec![format!(
        "the exception stream holds code {:08x} at 0x{:x} in thread {:x}",
        exception.code, exception.address.0, exception.tid.0
    )];
    if exception.interest == Interest::OwnBreakpoint {
        out.push(
            "the instruction there is a breakpoint of the program itself, not one that a debugger set".into(),
        );
    }
    if let Some(managed) = facts.script.unhandled().filter(|e| e.tid == Some(exception.tid)) {
        let hresult = managed.hresult.map(|h| format!(", HRESULT {h:08x}")).unwrap_or_default();
        out.push(format!(
            "the runtime's record of the thread has the exception object at {:x}{hresult}",
            managed.address.0
        ));
        let frames: Vec<&str> = managed.frames.iter().take(QUOTED).map(|f| f.display.as_str()).collect();
        if !frames.is_empty() {
            out.push(escape(&format!("it was thrown in {}", frames.join(", called from "))).into_owned());
        }
    }
    out.extend(blamed(exception));
    out.extend(said(facts));
    if thread.is_none() {
        out.push(
            "that thread is not in the thread list: its stack is read from the exception's own registers"
                .into(),
        );
    }
    out.extend(quote(facts, facts.stack_of(exception)));
    out
}

/// Most texts of the program that the evidence quotes.
const TEXTS: usize = 8;

/// What the program itself said about its end.
pub(super) fn said(facts: &Case<'_>) -> Vec<String> {
    let all = annotations(facts.target);
    let few = all.len() <= TEXTS;
    let causes = all.iter().filter(|a| few || a.is_cause()).take(TEXTS);
    causes.map(|a| format!("the program said ({})", escape(&a.text()))).collect()
}

/// Which frame produced the bad value, and the way from there.
pub(super) fn blamed(exception: &ExceptionFacts) -> Vec<String> {
    let Some(blame) = &exception.blame else { return Vec::new() };
    let grade = blame.confidence.name();
    blame.chain.iter().map(|step| format!("blame ({grade}): {step}")).collect()
}

/// The innermost frames, as far as they are sure.
pub(super) fn quote(facts: &Case<'_>, stack: Option<&Stack>) -> Option<String> {
    let sure = stack?.frames.iter().take_while(|f| f.trust != Trust::Scan);
    let quoted: Vec<String> = sure.take(QUOTED).map(|f| frame_text(facts.target, f)).collect();
    (!quoted.is_empty()).then(|| format!("its stack from the exception: {}", quoted.join(", called from ")))
}

fn advice(facts: &Case<'_>, exception: &ExceptionFacts) -> String {
    let first = facts.stack_of(exception).and_then(|s| s.frames.first());
    match first {
        Some(f) if f.function.is_none() => match f.module.and_then(|i| facts.target.symbols.modules().get(i))
        {
            Some(m) => format!(
                "give the symbols of {} with -y to see the function and line",
                dumpscope_core::base::text::escape(&m.file_name)
            ),
            None => match facts.target.unloaded_at(f.frame.ip) {
                Some((module, _)) => format!(
                    "{} was unloaded while its code was still called: look at the caller, and at who frees the module",
                    dumpscope_core::base::text::escape(&module)
                ),
                None => "the instruction pointer is in no module: look at the frame that called it".into(),
            },
        },
        _ => "look at the faulting instruction and its operands (.ecxr; r; u; k)".into(),
    }
}
