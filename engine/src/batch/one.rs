//! One dump: open, gather, judge.

use super::bounds::Bounds;
use super::{Observer, Progress, TriageOptions, rows};
use crate::document::{DumpRow, ErrorRow, FindingKind, Kept};
use crate::known::{KnownIssues, seen};
use dumpscope_analyzers::annotations::annotations;
use dumpscope_analyzers::facts::Case;
use dumpscope_analyzers::incident::Digest;
use dumpscope_analyzers::triage::{run_rules, signature, verdict_of};
use dumpscope_analyzers::{Cancel, Target, capabilities, handles_summary};
use dumpscope_core::OpenError;
use dumpscope_core::base::text::escape;
use dumpscope_core::model::Dump;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Instant;

/// Analyzes a dump file; never fails and never panics: an error is a row.
pub(super) fn triage_file(
    index: usize,
    path: &Path,
    options: &TriageOptions,
    observer: Observer<'_>,
) -> DumpRow {
    let name = path.to_string_lossy().into_owned();
    if options.cancel.is_cancelled() {
        return stopped(path);
    }
    observer(Progress::Begun { index });
    // The work reads the dump and writes the row: a panic leaves nothing half-changed.
    let work = AssertUnwindSafe(|| open_and_triage(index, path, &name, options, observer));
    let row = catch_unwind(work).unwrap_or_else(|_| {
        let message = "the analysis failed on this dump; this is a bug in dumpscope".into();
        DumpRow::failed(name.clone(), ErrorRow { kind: "panic".into(), message })
    });
    observer(Progress::Finished { index });
    row
}

/// The row of something that leads to no dump.
pub(super) fn nothing(named: &Path, reason: &str) -> DumpRow {
    DumpRow::failed(named.to_string_lossy(), ErrorRow { kind: "io".into(), message: reason.to_owned() })
}

pub(super) fn stopped(path: &Path) -> DumpRow {
    let error = ErrorRow { kind: "stopped".into(), message: "stopped by the user".into() };
    DumpRow::failed(path.to_string_lossy(), error)
}

fn open_and_triage(
    index: usize,
    path: &Path,
    name: &str,
    options: &TriageOptions,
    observer: Observer<'_>,
) -> DumpRow {
    let cancel = match options.budget.and_then(|b| Instant::now().checked_add(b)) {
        Some(deadline) => options.cancel.with_deadline(deadline),
        None => options.cancel.clone(),
    };
    let mut unpacking = |_, done, total| {
        observer(Progress::Unpacking { index, done, total });
        !cancel.is_cancelled()
    };
    match Dump::open_with(path, &mut unpacking) {
        Ok(dump) => {
            let target = options.target(dump);
            // No server is waited for beyond the budget.
            target.symbols.stop_when({
                let cancel = cancel.clone();
                move || cancel.is_cancelled()
            });
            let mut row = triaged(name, &target, options, &cancel);
            if cancel.is_late() {
                let text = "the time budget was used up: this is the answer so far";
                row.warnings.get_or_insert_default().push(text.into());
            }
            row
        }
        Err(_) if options.cancel.is_cancelled() => stopped(path),
        Err(OpenError::Unpack { .. }) if cancel.is_late() => {
            let message = "the time budget was used up while the dump was unpacked (--budget)".into();
            DumpRow::failed(name, ErrorRow { kind: "timeout".into(), message })
        }
        Err(e) => DumpRow::failed(name, error_row(&e)),
    }
}

/// Analyzes an open dump, with known issues.
pub(crate) fn triaged(name: &str, target: &Target, options: &TriageOptions, cancel: &Cancel) -> DumpRow {
    let mut row = triage_target(name, target, cancel);
    let known = options.known.clone().unwrap_or_else(KnownIssues::shared);
    add_known(target, &mut row, &known);
    if let Some(redactor) = &options.redact {
        redactor.row(&mut row, target);
    }
    row
}

/// What is known of an open dump without an analysis: process, system, file. The rest is null.
#[must_use]
pub fn describe_target(path: &str, target: &Target) -> DumpRow {
    DumpRow {
        process: Some(rows::process(target)),
        system: Some(rows::system(target)),
        dump: Some(rows::dump_file(target)),
        ..DumpRow::empty(path)
    }
}

/// Analyzes an open dump; `path` is what the row shows. When `cancel` stops the work the row holds what was found
/// so far, with a warning.
pub fn triage_target(path: &str, target: &Target, cancel: &Cancel) -> DumpRow {
    let facts = target.facts(cancel);
    let facts = Case { target, facts: &facts };
    let found = run_rules(&facts);
    let verdict = verdict_of(&facts, &found.findings);
    let signature = signature(&facts, &verdict);
    // Where memory is missing an empty list would say "looked, found none".
    let complete = capabilities::has_heap(target);
    let mut warnings: Vec<String> = Vec::new();
    if target.dump.missing_bytes() > 0 {
        let missing = target.dump.missing_bytes();
        warnings
            .push(format!("the dump file has been truncated, {missing:#x} bytes are missing: copy it again"));
    }
    warnings.extend(target.dump.warnings().iter().map(rows::warning));
    warnings.extend(found.warnings);
    if facts.stopped {
        let (done, all) = (facts.threads.len(), target.dump.threads().len());
        warnings.push(format!("stopped after {done} of {all} threads"));
    }
    let mut threads = Vec::with_capacity(facts.threads.len());
    let mut whole = facts.threads.len();
    let mut bounds = Bounds::of(&facts.threads);
    let blame =
        facts.fatal().and_then(|e| rows::blame(target, e)).or_else(|| super::script::blame(facts.facts));
    // What points into a stack must find its frame; who is to blame may be on another thread than the exception.
    let exception_tid = facts.fatal().or(facts.exception.as_ref()).map(|e| e.tid);
    let blame_tid = blame.as_ref().map(|b| b.tid);
    for t in &facts.threads {
        let is_whole = exception_tid == Some(t.tid) || blame_tid == Some(t.tid.0);
        threads.push(rows::thread(target, facts.facts, t, &mut bounds, is_whole, cancel));
        if cancel.is_cancelled() {
            whole = whole.min(threads.len().saturating_sub(1));
        }
    }
    if whole < facts.threads.len() && !facts.stopped {
        let all = facts.threads.len();
        warnings.push(format!(
            "stopped after {whole} of {all} threads: the arguments of the others are not told"
        ));
    }
    warnings.extend(bounds.warnings());
    let script = &facts.script;
    DumpRow {
        warnings: Some(warnings),
        process: Some(rows::process(target)),
        system: Some(rows::system(target)),
        dump: Some(rows::dump_file(target)),
        capabilities: Some(capabilities::capabilities(target).iter().map(rows::capability).collect()),
        exception: facts
            .fatal()
            .or(facts.exception.as_ref())
            .map(|e| rows::exception(target.process_machine(), e)),
        annotations: Some(annotations(target).iter().map(rows::annotation).collect()),
        blame,
        threads: Some(threads),
        locks: known(
            facts
                .locks
                .held()
                .map(|l| rows::lock(target, l))
                .chain(facts.locks.slim.iter().map(|l| rows::slim_lock(target, l)))
                .chain(script.locks.iter().map(|(_, l)| super::script::lock(script, l)))
                .collect(),
            complete,
        ),
        com_calls: known(facts.threads.iter().filter_map(rows::com_call).collect(), complete),
        incoming_calls: known(facts.threads.iter().filter_map(rows::incoming_call).collect(), complete),
        handles: handles_summary::summarize(&target.dump).as_ref().map(rows::handles),
        signature: signature.as_ref().map(|s| s.text.clone()),
        signature_raw: signature.as_ref().and_then(|s| s.raw.clone()),
        signature_version: signature.as_ref().map(|s| s.version),
        signature_trace: signature.map(|s| s.trace),
        runtimes: Some(super::script::runtimes(target, script)),
        script_exceptions: Some(
            script.exceptions.iter().map(|(r, e)| super::script::exception(*r, e)).collect(),
        ),
        script_threads: Some(super::script::unmounted(script)),
        tasks: Some(script.tasks.iter().map(super::script::task).collect()),
        findings: Some(found.findings.iter().map(rows::finding).collect()),
        verdict: Some(rows::finding(&verdict)),
        digest: Kept(Some(Box::new(Digest::of(&facts, &found.findings)))),
        ..DumpRow::empty(path)
    }
}

/// Adds the known issues that match, as the first evidence of the verdict too.
fn add_known(target: &Target, row: &mut DumpRow, known: &KnownIssues) {
    let found = known.find(&seen(target, row));
    if let Some(verdict) = row.verdict.as_mut().filter(|v| v.kind == FindingKind::Crash) {
        let words = found.iter().map(|k| {
            let more = [k.text.as_deref(), k.link.as_deref()].into_iter().flatten();
            let fixed = k.fixed_in.as_ref().map(|f| format!("fixed in {f}"));
            let parts: Vec<&str> = more.chain(fixed.as_deref()).collect();
            let text = format!("known issue: {}: {}", k.title, parts.join(" "));
            escape(text.trim_end_matches([':', ' '])).into_owned()
        });
        verdict.evidence.splice(0..0, words.collect::<Vec<_>>());
    }
    row.known = Some(found);
}

/// A list, or null when it is empty because the dump could not tell.
fn known<T>(list: Vec<T>, complete: bool) -> Option<Vec<T>> {
    (complete || !list.is_empty()).then_some(list)
}

fn error_row(error: &OpenError) -> ErrorRow {
    let kind = match error {
        OpenError::Io { .. } => "io",
        OpenError::NotAMinidump(_) => "not_a_minidump",
        OpenError::Truncated { .. } => "truncated",
        OpenError::Unpack { .. } => "unpack",
        _ => "format",
    };
    ErrorRow { kind: kind.into(), message: escape(&reason(error)).into_owned() }
}

/// Why a dump cannot be opened, without its path: who shows it has that already.
pub(crate) fn reason(error: &OpenError) -> String {
    match error {
        OpenError::Io { source, .. } => source.to_string(),
        OpenError::Unpack { reason, .. } => format!("cannot unpack: {reason}"),
        other => other.to_string(),
    }
}
