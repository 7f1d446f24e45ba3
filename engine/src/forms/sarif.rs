//! SARIF 2.1.0: findings as results, kinds as rules, stacks as stacks.

use super::words::{frame_name, incident_advice};
use super::{RowWriter, Tail};
use crate::document::{
    DumpRow, FindingKind, FindingRow, FrameRow, IncidentRow, LinkRow, Severity, ThreadRow,
};
use dumpscope_core::base::text::escape;
use serde_json::{Map, Value, json};
use std::io::{self, Write};

/// Frames of a stack.
const FRAMES: usize = 50;

/// The rule of what several dumps say together; it stands behind those of the kinds.
const INCIDENT: &str = "incident";

/// One run; results are written as they come.
pub(super) struct Sarif<W: Write> {
    out: W,
    begun: bool,
    results: u64,
    /// Dumps that could not be analyzed.
    notices: Vec<Value>,
}

impl<W: Write> Sarif<W> {
    pub(super) fn new(out: W) -> Sarif<W> {
        Sarif { out, begun: false, results: 0, notices: Vec::new() }
    }

    fn begin(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        let rules: Vec<Value> = FindingKind::ALL
            .iter()
            .map(|kind| {
                json!({
                    "id": *kind.name(),
                    "name": *kind.row().title,
                    "shortDescription": { "text": kind.row().about },
                    "defaultConfiguration": { "level": level(*kind) },
                })
            })
            .chain([json!({
                "id": INCIDENT,
                "name": "Incident",
                "shortDescription": { "text": "Threads of several processes wait for each other." },
                "defaultConfiguration": { "level": "error" },
            })])
            .collect();
        let driver = json!({
            "name": "dumpscope",
            "version": env!("CARGO_PKG_VERSION"),
            "semanticVersion": env!("CARGO_PKG_VERSION"),
            "rules": rules,
        });
        write!(
            self.out,
            "{{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\",\"version\":\"2.1.0\",\"runs\":[\
             {{\"tool\":{{\"driver\":{driver}}},\"columnKind\":\"unicodeCodePoints\",\"results\":["
        )
    }

    fn result(&mut self, result: &Value) -> io::Result<()> {
        let comma = if self.results == 0 { "\n" } else { ",\n" };
        self.results = self.results.saturating_add(1);
        write!(self.out, "{comma}{result}")
    }
}

fn level(kind: FindingKind) -> &'static str {
    match kind.row().severity {
        Severity::Note => "note",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

impl<W: Write> RowWriter for Sarif<W> {
    fn row(&mut self, row: &DumpRow) -> io::Result<()> {
        self.begin()?;
        if let Some(e) = &row.error {
            self.notices.push(json!({
                "level": "error",
                "message": { "text": message(&format!("{}: {}", escape(&row.path), escape(&e.message))) },
                "descriptor": { "id": e.kind },
                "locations": [location(&row.path)],
            }));
            return Ok(());
        }
        let found = row.findings.as_deref().unwrap_or_default();
        // A verdict that is no finding (idle, unknown) is still the answer.
        let verdict = row.verdict.iter().filter(|_| found.is_empty());
        for f in found.iter().chain(verdict) {
            self.result(&result(row, f))?;
        }
        Ok(())
    }

    fn end(&mut self, tail: &Tail) -> io::Result<()> {
        self.begin()?;
        for i in tail.incidents() {
            self.result(&incident(i))?;
        }
        // The tool did its work; dumps that it could not read are told by the notices.
        let invocation = json!({ "executionSuccessful": true, "toolExecutionNotifications": self.notices });
        write!(self.out, "\n],\"invocations\":[{invocation}]}}]}}\n")?;
        self.out.flush()
    }
}

/// A chain over several dumps: a code flow with a step for each link.
fn incident(i: &IncidentRow) -> Value {
    let mut text = escape(&i.root_cause).into_owned();
    if let Some(advice) = incident_advice(i) {
        text.push_str(&format!("\nNext: {}", escape(&advice)));
    }
    let step = |(nth, link): (usize, &LinkRow)| {
        let mut says = format!("{}: {}", escape(&link.who()), escape(&link.waits_for));
        for e in link.reached_by.iter().chain(&link.evidence) {
            says.push_str(&format!("\n- {}", escape(e)));
        }
        let mut place = Map::new();
        place.insert("message".into(), json!({ "text": message(&says) }));
        if let Some(path) = &link.path {
            place.insert("physicalLocation".into(), json!({ "artifactLocation": { "uri": uri(path) } }));
        }
        json!({
            "location": place,
            "executionOrder": nth.saturating_add(1),
            "importance": "essential",
            "properties": { "confidence": link.confidence.name(), "pid": link.pid, "tid": link.tid },
        })
    };
    let steps: Vec<Value> = i.chain.iter().enumerate().map(step).collect();
    let mut out = json!({
        "ruleId": INCIDENT,
        "ruleIndex": FindingKind::ALL.len(),
        "kind": "fail",
        "level": "error",
        "message": { "text": message(&text) },
        "locations": i.paths.iter().map(|p| location(p)).collect::<Vec<Value>>(),
        "properties": {
            "confidence": i.confidence.name(),
            "missing_dumps": i.missing_dumps,
        },
    });
    if let (Some(fields), false) = (out.as_object_mut(), steps.is_empty()) {
        fields.insert("codeFlows".into(), json!([{ "threadFlows": [{ "locations": steps }] }]));
    }
    out
}

fn result(row: &DumpRow, f: &FindingRow) -> Value {
    let mut text = escape(&f.summary).into_owned();
    for e in &f.evidence {
        text.push_str(&format!("\n- {}", escape(e)));
    }
    if let Some(advice) = &f.advice {
        text.push_str(&format!("\nNext: {}", escape(advice)));
    }
    let rule = FindingKind::ALL.iter().position(|kind| *kind == f.kind).unwrap_or_default();
    let mut properties = Map::new();
    properties.insert("confidence".into(), f.confidence.name().into());
    for (name, id) in [("tid", f.tid), ("owner_tid", f.owner_tid), ("server_pid", f.server_pid)] {
        if let Some(id) = id {
            properties.insert(name.into(), id.into());
        }
    }
    if let Some(lock) = f.lock {
        properties.insert("lock".into(), format!("{:#x}", lock.0).into());
    }
    let mut out = json!({
        "ruleId": f.kind.name(),
        "ruleIndex": rule,
        // Idle and unknown are answers, not problems.
        "kind": if level(f.kind) == "note" { "informational" } else { "fail" },
        "level": if level(f.kind) == "note" { "none" } else { level(f.kind) },
        "message": { "text": message(&text) },
        "locations": [location(&row.path)],
        "properties": properties,
    });
    let Some(fields) = out.as_object_mut() else { return out };
    if let Some(signature) = row.signature.as_deref().filter(|_| row.verdict.as_ref() == Some(f)) {
        let key = format!("dumpscopeSignature/v{}", row.signature_version.unwrap_or(1));
        fields.insert("partialFingerprints".into(), json!({ key: signature }));
    }
    let threads = row.threads.iter().flatten().filter(|t| f.tids.contains(&t.tid) || f.tid == Some(t.tid));
    let stacks: Vec<Value> = threads.take(16).filter_map(stack).collect();
    if !stacks.is_empty() {
        fields.insert("stacks".into(), stacks.into());
    }
    out
}

/// A message's text as SARIF wants plain text (3.11.6): `[` and `]` could make a link, `\` takes that from them.
fn message(text: &str) -> String {
    text.replace('\\', "\\\\").replace('[', "\\[").replace(']', "\\]")
}

/// The dump file.
fn location(path: &str) -> Value {
    json!({ "physicalLocation": { "artifactLocation": { "uri": uri(path) } } })
}

fn stack(t: &ThreadRow) -> Option<Value> {
    let frames: Vec<Value> = t.frames.as_deref()?.iter().take(FRAMES).map(|f| frame(t.tid, f)).collect();
    let activity = t.activity.as_deref().map(|a| format!(": {}", escape(a))).unwrap_or_default();
    let text = message(&format!("thread {:x}{activity}", t.tid));
    Some(json!({ "message": { "text": text }, "frames": frames }))
}

fn frame(tid: u32, f: &FrameRow) -> Value {
    let mut place = Map::new();
    let name = escape(&frame_name(f)).into_owned();
    place.insert("logicalLocations".into(), json!([{ "fullyQualifiedName": name, "kind": "function" }]));
    if let Some(s) = &f.source {
        let mut physical = json!({ "artifactLocation": { "uri": uri(&s.file) } });
        // Line 0 means that the compiler made the code itself; SARIF counts from 1.
        if let (Some(fields), true) = (physical.as_object_mut(), s.line > 0) {
            fields.insert("region".into(), json!({ "startLine": s.line }));
        }
        place.insert("physicalLocation".into(), physical);
    }
    let mut out = json!({ "location": place, "threadId": tid });
    if let (Some(module), Some(fields)) = (&f.module, out.as_object_mut()) {
        fields.insert("module".into(), escape(module).into());
    }
    out
}

/// A path as a URI: absolute ones with `file://`, others as they are, everything odd percent-encoded.
fn uri(path: &str) -> String {
    let path = path.replace('\\', "/");
    let mut out = String::with_capacity(path.len() + 8);
    let drive = path.as_bytes().get(1) == Some(&b':') && path.starts_with(|c: char| c.is_ascii_alphabetic());
    if let Some(rest) = path.strip_prefix("//") {
        out.push_str("file://");
        encode(rest, &mut out);
        return out;
    }
    if drive {
        out.push_str("file:///");
        out.extend(path.chars().take(2));
        encode(path.get(2..).unwrap_or(""), &mut out);
        return out;
    }
    if path.starts_with('/') {
        out.push_str("file://");
    }
    encode(&path, &mut out);
    out
}

fn encode(path: &str, out: &mut String) {
    for b in path.bytes() {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(b))
            }
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_makes_a_link() {
        assert_eq!(message(r"[a](b) C:\x]"), r"\[a\](b) C:\\x\]");
    }

    #[test]
    fn paths_become_uris() {
        assert_eq!(uri("a b/c.dmp"), "a%20b/c.dmp");
        assert_eq!(uri("/a:b/é"), "file:///a%3Ab/%C3%A9");
        assert_eq!(uri("C:\\x\\y.c"), "file:///C:/x/y.c");
        assert_eq!(uri("\\\\server\\share\\y"), "file://server/share/y");
        assert_eq!(uri("%2e\n"), "%252e%0A");
        assert_eq!(uri("a:b"), "file:///a:b");
    }
}
