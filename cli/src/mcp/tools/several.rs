//! `incident` and `diff`: what several open dumps say together.

use crate::mcp::answer::{page, quoted, quoted_or_null, word};
use crate::mcp::call::{Answered, Call};
use dumpscope_analyzers::diff::compare;
use dumpscope_engine::batch::Incidents;
use dumpscope_engine::diff::{document, snapshot};
use dumpscope_engine::document::{IncidentRow, LinkRow};
use serde_json::{Value, json};

pub(super) fn incident(call: &Call) -> Answered {
    let dumps = call.dumps()?;
    if dumps.is_empty() {
        return Err("no dump is open: `open_dump` opens one".into());
    }
    let mut incidents = Incidents::default();
    for opened in &dumps {
        incidents.add(&opened.row(&call.cancel));
    }
    let rows = incidents.rows();
    let ids: Vec<&str> = dumps.iter().map(|o| o.id.as_str()).collect();
    Ok(
        json!({ "dumps": ids, "incidents": rows.iter().map(one).collect::<Vec<_>>(), "stopped": call.cancel.is_cancelled() }),
    )
}

fn one(row: &IncidentRow) -> Value {
    json!({
        "paths": row.paths,
        "root_cause": quoted(&row.root_cause),
        "confidence": word(row.confidence),
        "chain": row.chain.iter().take(20).map(link).collect::<Vec<_>>(),
        "closes_at": row.closes_at,
        "missing_dumps_of_pids": row.missing_dumps,
        "also_waiting": row.also_waiting.iter().take(10).map(|l| quoted(&format!("{} {}", l.who(), l.waits_for))).collect::<Vec<_>>(),
        "also_found": row.also_found.iter().take(10).map(|t| quoted(t)).collect::<Vec<_>>(),
    })
}

fn link(l: &LinkRow) -> Value {
    let texts = |all: &[String]| all.iter().take(6).map(|t| quoted(t)).collect::<Vec<_>>();
    json!({
        "path": l.path, "pid": l.pid, "thread_id": l.tid, "process": quoted_or_null(l.process.as_deref()),
        "text": quoted(&l.waits_for), "confidence": word(l.confidence),
        "reached_by": texts(&l.reached_by), "evidence": texts(&l.evidence),
    })
}

pub(super) fn diff(call: &Call) -> Answered {
    let dumps = call.dumps()?;
    if dumps.len() < 2 {
        return Err("two open dumps of one process are needed: `open_dump` opens them".into());
    }
    let snapshots: Vec<_> = dumps.iter().map(|o| snapshot(&o.target, &call.cancel)).collect();
    if call.cancel.is_cancelled() {
        return Err("stopped before all dumps were looked at".into());
    }
    let paths: Vec<String> = dumps.iter().map(|o| o.path.clone()).collect();
    let compared = compare(&snapshots).map_err(|e| e.to_string())?;
    let d = document(&paths, &compared);
    let thread = |t: &dumpscope_engine::diff::DiffThreadRow| {
        json!({
            "thread_id": t.tid, "name": quoted_or_null(t.name.as_deref()), "state": t.state, "cpu_ms": t.cpu_ms,
            "does": quoted(&t.does), "common_frame": quoted_or_null(t.common_frame.as_deref()),
            "confidence": word(t.confidence),
        })
    };
    Ok(json!({
        "paths": d.paths,
        "pid": d.pid,
        "seconds": d.seconds,
        "progress": d.progress,
        "confidence": word(d.confidence),
        "thread_id": d.tid,
        "text": quoted(&d.summary),
        "threads": page(&d.threads, call.wanted(), thread),
        "warnings": d.warnings.iter().take(10).map(|w| quoted(w)).collect::<Vec<_>>(),
    }))
}
