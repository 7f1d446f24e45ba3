//! Several dumps of one process: the document and the text of their comparison.

use crate::batch::{TriageOptions, one};
use crate::doc::{Line, Role};
use crate::document::Confidence;
use dumpscope_analyzers::Target;
use dumpscope_analyzers::diff::{Comparison, DiffError, Snapshot, State, ThreadChange, compare};
use dumpscope_analyzers::facts::Case;
use dumpscope_analyzers::incident::Digest;
use dumpscope_analyzers::triage::{run_rules, verdict_of};
use dumpscope_core::base::text::escape;
use dumpscope_core::model::Dump;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The value of `schema`.
pub const DIFF_SCHEMA: &str = "dumpscope.diff/1";

/// The JSON Schema (2020-12) of the comparison, with keys in a fixed order.
#[must_use]
pub fn diff_schema() -> serde_json::Value {
    crate::document::schema_of::<DiffDocument>("urn:dumpscope:diff:1")
}

/// 100 ns units in a millisecond.
const MS: u64 = 10_000;

/// Idle threads that the text lists.
const LISTED: usize = 40;

/// Dumps of one process, compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct DiffDocument {
    /// Always `dumpscope.diff/1`.
    pub schema: String,
    /// The dumps in the order in which they were written.
    pub paths: Vec<String>,
    /// Process id.
    pub pid: Option<u32>,
    /// Seconds between the first and the last dump.
    pub seconds: u32,
    /// `hang`, `spinning`, `slow_progress`, `idle` or `unknown`.
    pub progress: String,
    /// The thread that says so.
    pub tid: Option<u32>,
    /// One sentence.
    pub summary: String,
    /// How sure.
    pub confidence: Confidence,
    /// Threads: those that matter most first.
    pub threads: Vec<DiffThreadRow>,
    /// Open handles in each dump; null without handle data.
    pub handles: Vec<Option<u64>>,
    /// Types of which not every dump has as many handles.
    pub handle_types: Vec<DiffHandleRow>,
    /// Handles of the last dump that the first one has not. Null without handle data.
    pub handles_opened: Option<u64>,
    /// Handles of the first dump that the last one has not. Null without handle data.
    pub handles_closed: Option<u64>,
    /// What the files lack, each with its path in front.
    pub warnings: Vec<String>,
}

/// Handles of one type over all dumps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct DiffHandleRow {
    /// Type; empty when it was not recorded.
    #[serde(rename = "type")]
    pub type_name: String,
    /// How many in each dump.
    pub counts: Vec<u64>,
}

/// One thread over all dumps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct DiffThreadRow {
    /// System id.
    pub tid: u32,
    /// Its name.
    pub name: Option<String>,
    /// `stuck`, `moving`, `spinning`, `idle`, `new`, `gone` or `unknown`.
    pub state: String,
    /// CPU time between the first and the last dump.
    pub cpu_ms: Option<u64>,
    /// What it does in the last dump.
    pub does: String,
    /// The innermost frame that all dumps have in common.
    pub common_frame: Option<String>,
    /// How sure.
    pub confidence: Confidence,
}

/// Why dumps could not be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiffFailure {
    /// A dump cannot be opened.
    #[error("{path}: {reason}")]
    Open {
        /// The dump, as it was given.
        path: String,
        /// Why.
        reason: String,
    },
    /// They cannot be compared.
    #[error(transparent)]
    Compare(#[from] DiffError),
}

/// What is needed of an open dump.
#[must_use]
pub fn snapshot(target: &Target, cancel: &dumpscope_analyzers::Cancel) -> Snapshot {
    let facts = target.facts(cancel);
    let facts = Case { target, facts: &facts };
    let found = run_rules(&facts).findings;
    Snapshot::of(&facts, &Digest::of(&facts, &found), &verdict_of(&facts, &found))
}

/// Compares dump files of one process, one after the other: the memory of one dump at a time is in use.
///
/// # Errors
/// A dump cannot be opened, or they are not of one process.
pub fn diff(paths: &[PathBuf], options: &TriageOptions) -> Result<DiffDocument, DiffFailure> {
    let mut snapshots = Vec::new();
    for path in paths {
        let mut go_on = |_, _, _| !options.cancel.is_cancelled();
        let dump = Dump::open_with(path, &mut go_on).map_err(|e| DiffFailure::Open {
            path: path.to_string_lossy().into_owned(),
            reason: one::reason(&e),
        })?;
        let target = options.target(dump);
        snapshots.push(snapshot(&target, &options.cancel));
    }
    let names: Vec<String> = paths.iter().map(|p| p.to_string_lossy().into_owned()).collect();
    Ok(document(&names, &compare(&snapshots)?))
}

/// The document of a comparison; `paths` in the order of the input.
#[must_use]
pub fn document(paths: &[String], c: &Comparison) -> DiffDocument {
    let text = |s: &str| escape(s).into_owned();
    let thread = |t: &ThreadChange| DiffThreadRow {
        tid: t.tid.0,
        name: t.name.as_deref().map(text),
        state: t.state.name().into(),
        cpu_ms: t.cpu.map(|c| c / MS),
        does: text(&t.does),
        common_frame: t.common.as_deref().map(text),
        confidence: t.confidence,
    };
    DiffDocument {
        schema: DIFF_SCHEMA.into(),
        paths: c.order.iter().filter_map(|i| paths.get(*i)).cloned().collect(),
        pid: c.pid.map(|p| p.0),
        seconds: c.seconds,
        progress: c.progress.name().into(),
        tid: c.tid.map(|t| t.0),
        summary: text(&c.summary),
        confidence: c.confidence,
        threads: c.threads.iter().map(thread).collect(),
        handles: c.handles.clone(),
        handle_types: c
            .handle_types
            .iter()
            .map(|(t, counts)| DiffHandleRow { type_name: text(t), counts: counts.clone() })
            .collect(),
        handles_opened: c.opened_closed.map(|h| h.0),
        handles_closed: c.opened_closed.map(|h| h.1),
        warnings: c
            .warnings
            .iter()
            .map(|(i, w)| format!("{}: {w}", paths.get(*i).map_or("", String::as_str)))
            .map(|w| text(&w))
            .collect(),
    }
}

/// The text form.
pub fn diff_lines(d: &DiffDocument, emit: &mut dyn FnMut(Line)) {
    let sure = d.confidence.name();
    let head = d.progress.replace('_', " ").to_uppercase();
    emit(Line::new().role(Role::Error, format!("{head} ({sure}): ")).text(&d.summary));
    emit(Line::new());
    for path in &d.paths {
        emit(Line::new().role(Role::Dim, format!("  {}", escape(path))));
    }
    let pid = d.pid.map(|p| format!("pid {p:x}, ")).unwrap_or_default();
    emit(Line::plain(format!("  {pid}{} dumps in {} s", d.paths.len(), d.seconds)));
    let counts: Vec<String> = d.handles.iter().map(|h| h.map_or("?".into(), |n| n.to_string())).collect();
    if d.handles.iter().any(Option::is_some) {
        let changed = match (d.handles_opened, d.handles_closed) {
            (Some(new), Some(gone)) if new > 0 || gone > 0 => format!(" ({new} new, {gone} gone)"),
            _ => String::new(),
        };
        emit(Line::plain(format!("  handles: {}{changed}", counts.join(" -> "))));
    }
    for h in &d.handle_types {
        let name = if h.type_name.is_empty() { "without a type" } else { &h.type_name };
        let counts: Vec<String> = h.counts.iter().map(u64::to_string).collect();
        emit(Line::plain(format!("    {name}: {}", counts.join(" -> "))));
    }
    for w in &d.warnings {
        emit(Line::new().role(Role::Warning, format!("  warning: {w}")));
    }
    emit(Line::new());
    let idle = State::Idle.name();
    let mut hidden = 0_usize;
    for (n, t) in d.threads.iter().enumerate() {
        if n >= LISTED && t.state == idle {
            hidden = hidden.saturating_add(1);
            continue;
        }
        let name = t.name.as_ref().map(|n| format!(" \"{n}\"")).unwrap_or_default();
        let cpu = t.cpu_ms.map(|c| format!(", {c} ms CPU")).unwrap_or_default();
        let role = if t.state == idle { Role::Dim } else { Role::Plain };
        emit(
            Line::new()
                .role(Role::Label, format!("  {:8} ", t.state))
                .role(Role::Thread, format!("{:x}{name}", t.tid))
                .role(role, format!(" {}{cpu}", t.does)),
        );
        if let (Some(frame), true) = (&t.common_frame, t.state == "moving" || t.state == "spinning") {
            emit(Line::new().role(Role::Dim, format!("           all dumps have {frame} in common")));
        }
    }
    if hidden > 0 {
        emit(Line::new().role(Role::Dim, format!("  and {hidden} more idle threads")));
    }
}
