//! `verdict` and `evidence`: findings as sentences with ids, and what a sentence rests on.
//!
//! `v` is the verdict, `f1` the first finding, `v.1` and `f1.1` their first evidence.

use crate::mcp::answer::{quoted, quoted_or_null, word};
use crate::mcp::call::{Answered, Call, Refused};
use dumpscope_engine::document::{DumpRow, FindingRow, FrameRow, ThreadRow};
use serde_json::{Value, json};

/// Findings beside the verdict that are told.
const MAX_FINDINGS: usize = 12;
/// Evidence of one finding that is told.
const MAX_EVIDENCE: usize = 12;
/// Frames that evidence shows.
const TOP: usize = 6;

/// Numbered from 1.
fn numbered<T>(all: &[T]) -> impl Iterator<Item = (usize, &T)> {
    (1usize..).zip(all)
}

pub(super) fn verdict(call: &Call) -> Answered {
    let opened = call.dump()?;
    let row = opened.row(&call.cancel);
    let verdict = row.verdict.as_ref().ok_or("this dump has no verdict")?;
    let all = row.findings.as_deref().unwrap_or_default();
    // The verdict is the first finding, or one of its own.
    let others = numbered(all).filter(|(_, f)| *f != verdict).take(MAX_FINDINGS);
    let cannot = row.capabilities.iter().flatten().filter(|c| !c.answerable);
    Ok(json!({
        "dump": opened.id,
        "kind": word(verdict.kind),
        "class": word(verdict.class),
        "confidence": word(verdict.confidence),
        "thread_id": verdict.tid,
        "sentences": sentences("v", verdict),
        "advice": quoted_or_null(verdict.advice.as_deref()),
        "other_findings": others.map(|(n, f)| brief(&format!("f{n}"), f)).collect::<Vec<_>>(),
        "exception": row.exception.as_ref().map(|e| json!({ "thread_id": e.tid, "code": word(e.code), "description": quoted(&e.description) })),
        "signature": quoted_or_null(row.signature.as_deref()),
        "cannot_answer": cannot.map(|c| json!({ "question": c.question, "next_time": c.next_time })).collect::<Vec<_>>(),
        "warnings": row.warnings.iter().flatten().take(MAX_EVIDENCE).map(|w| quoted(w)).collect::<Vec<_>>(),
        "stopped": call.cancel.is_cancelled(),
    }))
}

/// The summary and then its evidence, each with its id; the summary names what it rests on.
fn sentences(id: &str, finding: &FindingRow) -> Vec<Value> {
    let evidence: Vec<(usize, &String)> = numbered(&finding.evidence).take(MAX_EVIDENCE).collect();
    let ids: Vec<String> = evidence.iter().map(|(n, _)| format!("{id}.{n}")).collect();
    let mut out = vec![json!({ "id": id, "text": quoted(&finding.summary), "rests_on": ids })];
    out.extend(evidence.iter().map(|(n, e)| json!({ "id": format!("{id}.{n}"), "text": quoted(e) })));
    out
}

fn brief(id: &str, finding: &FindingRow) -> Value {
    json!({
        "id": id, "kind": word(finding.kind), "confidence": word(finding.confidence), "text": quoted(&finding.summary),
    })
}

pub(super) fn evidence(call: &Call) -> Answered {
    let opened = call.dump()?;
    let row = opened.row(&call.cancel);
    let id = call.text("id").unwrap_or("");
    let (finding, place) = find(&row, id).ok_or_else(|| {
        Refused::from("there is no sentence of this id; `verdict` gives the ids (v, v.1, f2, f2.3)")
    })?;
    let head = id.split('.').next().unwrap_or(id);
    let sentence = match place {
        None => &finding.summary,
        Some(place) => finding.evidence.get(place).ok_or("this finding has less evidence")?,
    };
    let lock = row.locks.iter().flatten().find(|l| Some(l.address) == finding.lock);
    let mut tids = finding.tids.clone();
    tids.extend(finding.tid);
    tids.sort_unstable();
    tids.dedup();
    let threads: Vec<&ThreadRow> =
        row.threads.iter().flatten().filter(|t| tids.contains(&t.tid)).take(4).collect();
    let look: Vec<String> = threads.iter().map(|t| format!("~{}k", t.index)).collect();
    Ok(json!({
        "dump": opened.id,
        "id": id,
        "text": quoted(sentence),
        "finding": brief(head, finding),
        "sentences": sentences(head, finding),
        "thread_ids": tids,
        "owner_thread_id": finding.owner_tid,
        "server_pid": finding.server_pid,
        "threads": threads.iter().map(|t| thread(t)).collect::<Vec<_>>(),
        "lock": lock.map(super::look::lock),
        "look_with_run": look,
    }))
}

/// A thread with the top of its stack.
fn thread(t: &ThreadRow) -> Value {
    let frames: Vec<Value> = t.frames.iter().flatten().take(TOP).map(|f| quoted(&frame(f))).collect();
    json!({
        "thread": t.index, "thread_id": t.tid, "name": quoted_or_null(t.name.as_deref()),
        "does": quoted_or_null(t.activity.as_deref()), "top_frames": frames,
    })
}

/// `module!function+0x12`.
pub(super) fn frame(f: &FrameRow) -> String {
    let name = match (&f.module, &f.function) {
        (Some(module), Some(function)) => format!("{module}!{function}"),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => format!("{:#x}", f.ip.0),
    };
    match f.displacement {
        Some(d) if d.0 != 0 => format!("{name}+{:#x}", d.0),
        _ => name,
    }
}

/// A finding by its id, and which of its evidence is meant, from 0.
fn find<'a>(row: &'a DumpRow, id: &str) -> Option<(&'a FindingRow, Option<usize>)> {
    let (head, place) = match id.split_once('.') {
        Some((head, place)) => (head, Some(place.parse::<usize>().ok()?.checked_sub(1)?)),
        None => (id, None),
    };
    let finding = match head {
        "v" => row.verdict.as_ref()?,
        _ => {
            let n: usize = head.strip_prefix('f')?.parse().ok()?;
            row.findings.as_ref()?.get(n.checked_sub(1)?)?
        }
    };
    Some((finding, place))
}
