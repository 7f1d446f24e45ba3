//! The JSON document of `exec --format json`: an array of
//! `{ "command", "thread"?, "report", "data", "text"? }`: the command's text without its thread prefix, the thread's
//! number when the command ran for a selected one, the kind of report, its data.

use super::{Guarded, write_indented};
use crate::doc::{RenderCx, Report, Sink};
use dumpscope_core::ThreadIdx;
use serde_json::{Value, json};
use std::io::{self, Write};
use std::ops::ControlFlow;

/// One report of `exec --format json`, for the schema.
#[derive(Clone, Debug, serde::Serialize, schemars::JsonSchema)]
#[schemars(title = "dumpscope exec entry")]
struct ExecEntry {
    /// The command's text without its thread prefix.
    command: String,
    /// The thread's number when the command ran for a selected one.
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<u32>,
    /// Kind of report: what `data` holds.
    report: String,
    /// The report's data. Fields may be added, they are not renamed.
    data: Value,
}

/// The JSON Schema (2020-12) of `exec --format json`, with keys in a fixed order.
#[must_use]
pub fn exec_schema() -> Value {
    crate::document::schema_of::<Vec<ExecEntry>>("urn:dumpscope:exec:1")
}

/// What the following reports answer.
#[derive(Debug, Default)]
struct Asked {
    command: String,
    thread: Option<ThreadIdx>,
}

impl Asked {
    fn set(&mut self, text: &str, thread: Option<ThreadIdx>) {
        text.clone_into(&mut self.command);
        self.thread = thread;
    }

    fn entry(&self, report: &dyn Report) -> Value {
        let mut entry = json!({ "command": self.command });
        if let Some(fields) = entry.as_object_mut() {
            if let Some(ThreadIdx(index)) = self.thread {
                fields.insert("thread".into(), json!(index));
            }
            fields.insert("report".into(), json!(report.kind()));
            fields.insert("data".into(), report.json());
        }
        entry
    }
}

/// Collects reports as one value.
#[derive(Debug, Default)]
pub struct JsonSink {
    entries: Vec<Value>,
    asked: Asked,
    text: bool,
}

impl JsonSink {
    /// An empty document; with `text` each entry also has the text rendering.
    #[must_use]
    pub fn new(text: bool) -> JsonSink {
        JsonSink { text, ..JsonSink::default() }
    }

    /// The document.
    #[must_use]
    pub fn into_value(self) -> Value {
        Value::Array(self.entries)
    }
}

impl Sink for JsonSink {
    fn command(&mut self, text: &str, thread: Option<ThreadIdx>) {
        self.asked.set(text, thread);
    }

    fn report(&mut self, report: &dyn Report, cx: &RenderCx) -> ControlFlow<()> {
        let mut entry = self.asked.entry(report);
        if let Some(fields) = entry.as_object_mut().filter(|_| self.text) {
            let mut text = String::new();
            report.lines(cx, &mut |line| {
                text.push_str(line.to_text().trim_end());
                text.push('\n');
            });
            fields.insert("text".into(), json!(text));
        }
        self.entries.push(entry);
        ControlFlow::Continue(())
    }
}

/// Writes the same document, each report as it comes: a command over all threads never has more than one thread's
/// answer in memory.
#[derive(Debug)]
pub struct JsonWriter<W: Write> {
    out: Guarded<W>,
    asked: Asked,
    any: bool,
    error: Option<io::Error>,
}

impl<W: Write> JsonWriter<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> JsonWriter<W> {
        JsonWriter { out: Guarded::json(out), asked: Asked::default(), any: false, error: None }
    }

    fn entry(&mut self, report: &dyn Report) -> io::Result<()> {
        self.out.write_all(if self.any { b",\n  " } else { b"[\n  " })?;
        self.any = true;
        write_indented(&mut self.out, &self.asked.entry(report), "  ")
    }

    /// Ends the document and flushes.
    ///
    /// # Errors
    /// The first error in writing (a closed pipe, a full disk).
    pub fn finish(mut self) -> io::Result<()> {
        if let Some(e) = self.error.take() {
            return Err(e);
        }
        self.out.write_all(if self.any { b"\n]\n" } else { b"[]\n" })?;
        self.out.flush()
    }
}

impl<W: Write> Sink for JsonWriter<W> {
    fn command(&mut self, text: &str, thread: Option<ThreadIdx>) {
        self.asked.set(text, thread);
    }

    fn report(&mut self, report: &dyn Report, _: &RenderCx) -> ControlFlow<()> {
        match self.entry(report) {
            Ok(()) => ControlFlow::Continue(()),
            Err(e) => {
                self.error = Some(e);
                ControlFlow::Break(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doc::Message;
    use crate::session::Layout;

    #[test]
    fn what_is_written_is_what_would_be_collected() {
        let cx = RenderCx { layout: Layout::Classic, wide: true };
        for count in 0..3u32 {
            let mut bytes = Vec::new();
            let (mut all, mut written) = (JsonSink::new(false), JsonWriter::new(&mut bytes));
            for n in 0..count {
                for sink in [&mut all as &mut dyn Sink, &mut written] {
                    sink.command("k", (n > 0).then_some(ThreadIdx(n)));
                    assert!(sink.report(&Message::default(), &cx).is_continue());
                }
            }
            let mut text = serde_json::to_string_pretty(&all.into_value()).unwrap();
            text.push('\n');
            written.finish().unwrap();
            assert_eq!(String::from_utf8(bytes).unwrap(), text);
        }
    }
}
