//! The JSON document of `exec --format json`.

use crate::doc::{RenderCx, Report, Sink};
use dumpscope_core::ThreadIdx;
use serde_json::{Value, json};
use std::ops::ControlFlow;

/// Collects reports as an array of `{ "command", "thread"?, "report", "data", "text"? }`: the command's text without
/// its thread prefix, the thread's number when the command ran for a selected one, the kind of report, its data.
#[derive(Debug, Default)]
pub struct JsonSink {
    entries: Vec<Value>,
    command: String,
    thread: Option<ThreadIdx>,
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
        text.clone_into(&mut self.command);
        self.thread = thread;
    }

    fn report(&mut self, report: &dyn Report, cx: &RenderCx) -> ControlFlow<()> {
        let mut entry = json!({ "command": self.command });
        if let Some(fields) = entry.as_object_mut() {
            if let Some(ThreadIdx(index)) = self.thread {
                fields.insert("thread".into(), json!(index));
            }
            fields.insert("report".into(), json!(report.kind()));
            fields.insert("data".into(), report.json());
            if self.text {
                let mut text = String::new();
                report.lines(cx, &mut |line| {
                    text.push_str(line.to_text().trim_end());
                    text.push('\n');
                });
                fields.insert("text".into(), json!(text));
            }
        }
        self.entries.push(entry);
        ControlFlow::Continue(())
    }
}
