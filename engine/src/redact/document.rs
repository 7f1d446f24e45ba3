//! Rows of the triage document without what is private.

use super::{Names, RedactLevel, Redactor, names};
use crate::document::DumpRow;
use dumpscope_analyzers::Target;
use serde_json::Value;

/// Fields that hold no text of the program's: names of code and words of this program.
const KEPT: [&str; 22] = [
    "path",
    "kind",
    "class",
    "confidence",
    "trust",
    "function",
    "module",
    "type",
    "display",
    "signature",
    "signature_raw",
    "signature_trace",
    "arch",
    "os",
    "source",
    "iid",
    "interface",
    "method",
    "question",
    "why",
    "next_time",
    "streams",
];

/// Fields with nothing but a text that the program worked on.
const FREE: [&str; 5] = ["value", "hint", "message", "text", "window"];

impl Redactor {
    /// Takes out of a row what is private.
    pub(crate) fn row(&self, row: &mut DumpRow, target: &Target) {
        let names = names(target);
        let digest = std::mem::take(&mut row.digest);
        let path = std::mem::take(&mut row.path);
        let Ok(mut value) = serde_json::to_value(&*row) else { return };
        if let Some(line) = value.pointer_mut("/process/command_line")
            && let Some(text) = line.as_str()
        {
            *line = self.command_line(text, &names).into();
        }
        self.value("", &mut value, &names);
        // It came from a row, so it is one.
        if let Ok(clean) = serde_json::from_value(value) {
            *row = clean;
        }
        row.digest = digest;
        row.path = path;
    }

    fn value(&self, field: &str, value: &mut Value, names: &Names) {
        match value {
            Value::String(text) => {
                if KEPT.contains(&field) || is_number(text) {
                    return;
                }
                let free = FREE.contains(&field);
                let new = if free && self.level == RedactLevel::Strict && text.contains(['"', '\\', '/']) {
                    self.whole("text", text)
                } else {
                    self.text(text, names, free)
                };
                if new != *text {
                    *text = new;
                }
            }
            // The elements of a list are what the list is.
            Value::Array(list) => list.iter_mut().for_each(|v| self.value(field, v, names)),
            Value::Object(fields) => fields.iter_mut().for_each(|(name, v)| self.value(name, v, names)),
            _ => {}
        }
    }
}

fn is_number(text: &str) -> bool {
    text.strip_prefix("0x").is_some_and(|d| d.chars().all(|c| c.is_ascii_hexdigit()))
}
