//! A dump without an exception stream in which a thread is handling an exception that nobody caught: the process has
//! crashed, and the dump was written while the system or a dialog reported it.

use crate::facts::{Case, Reporting, reporting};
use crate::model::{Confidence, Finding, FindingKind, Reported};
use crate::text::frame_text;
use dumpscope_core::base::text::escape;

pub(super) fn run(facts: &Case<'_>) -> Vec<Finding> {
    let read = facts.reported.iter().map(|r| of(facts, r));
    let mut out: Vec<Finding> = read.chain(reporting(facts).iter().map(|r| unread(facts, r))).collect();
    if facts.fatal().is_none() && out.is_empty() {
        out.extend(by_itself(facts));
    }
    out
}

/// The runtime ends the process, and no exception is recorded: the dump is its own.
fn by_itself(facts: &Case<'_>) -> Option<Finding> {
    let (tid, summary, exception) = match (&facts.script.death, facts.script.unhandled()) {
        (Some(death), _) => (death.tid, super::crash::ended(facts, death), death.exception.as_ref()),
        (None, Some(e)) => (e.tid?, super::crash::unhandled(facts, e), Some(e)),
        (None, None) => return None,
    };
    let mut out = Finding::new(FindingKind::Crash, Confidence::Strong, escape(&summary).into_owned());
    out.tid = Some(tid);
    out.tids = vec![tid];
    if let Some(death) = &facts.script.death {
        out.evidence.push(format!("the thread is in {}: it does not come back from there", death.method));
    } else {
        out.evidence.push("the thread waits in the runtime for the program that writes its dump".into());
    }
    if let Some(e) = exception {
        let hresult = e.hresult.map(|h| format!(", HRESULT {h:08x}")).unwrap_or_default();
        out.evidence.push(format!("the exception object is at {:x}{hresult}", e.address.0));
    }
    out.evidence.extend(super::crash::quote(facts, facts.thread(tid).and_then(|t| t.stack.as_ref())));
    out.advice = Some("look at the exception and the stack: !pe; !clrstack".into());
    Some(out)
}

/// An exception is being reported, and the dump does not hold what it was.
fn unread(facts: &Case<'_>, r: &Reporting<'_>) -> Finding {
    let tid = r.thread.tid;
    let place = r.raised.map(|f| frame_text(facts.target, f));
    let place = place.map(|p| format!(" in {p}")).unwrap_or_default();
    let mut out = Finding::new(
        FindingKind::Crash,
        Confidence::Strong,
        format!(
            "thread {:x} crashed{place} and is being reported; the dump does not hold the exception itself",
            tid.0
        ),
    );
    out.tid = Some(tid);
    out.tids = vec![tid];
    out.evidence
        .push(format!("its stack goes through {}, where only unhandled exceptions lead to", r.through));
    out.evidence.extend(super::crash::quote(facts, r.thread.stack.as_ref()));
    out.advice = Some(
        "write the next dump with the memory of the stacks and what they point at (procdump -ma), or let Windows Error Reporting \
         write it (LocalDumps): then the exception is in it"
            .into(),
    );
    out
}

fn of(facts: &Case<'_>, r: &Reported) -> Finding {
    let tid = r.exception.tid;
    let managed = facts.script.user_frame(tid).map(|f| format!(" in {}", f.display)).unwrap_or_default();
    let overflow = super::crash::overflow(facts, &r.exception);
    let plain = || {
        format!(
            "{} crashed{managed} at 0x{:x} and is being reported: {}",
            facts.script.words(tid),
            r.exception.address.0,
            r.exception.description
        )
    };
    let summary = escape(&overflow.unwrap_or_else(plain)).into_owned();
    let mut out = Finding::new(FindingKind::Crash, Confidence::Strong, summary);
    out.tid = Some(tid);
    out.tids = vec![tid];
    out.evidence
        .push(format!("its stack goes through {}, where only unhandled exceptions lead to", r.through));
    out.evidence.push(format!(
        "the pointers at {:x} lead to the exception's record (code {:08x}) and to a context with the same instruction",
        r.pointers.0, r.exception.code
    ));
    if let Some(m) = facts.target.name_of(r.exception.address) {
        out.evidence.push(format!("the exception was raised in {m}"));
    }
    out.evidence.extend(super::crash::quote(facts, r.stack.as_ref()));
    // A 64-bit dump of a 32-bit process begins in the 64-bit view.
    let view = if facts.target.dump.is_wow64() { ".effmach x86; " } else { "" };
    out.advice = Some(format!(
        "look at the exception and its stack: {view}.exr {:x}; .cxr {:x}; k",
        r.record_at.0, r.context_at.0
    ));
    out
}
