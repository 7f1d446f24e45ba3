//! Rows of the triage document without what is private.

use super::{Names, RedactLevel, Redactor, names};
use crate::document::{DumpRow, ErrorRow, IncidentRow};
use dumpscope_analyzers::Target;
use serde::Serialize;
use serde::de::DeserializeOwned;
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
        self.saw(&names);
        let digest = std::mem::take(&mut row.digest);
        let path = std::mem::take(&mut row.path);
        let clean = self.clean(&*row, &names, &|value| {
            if let Some(line) = value.pointer_mut("/process/command_line")
                && let Some(text) = line.as_str()
            {
                *line = self.command_line(text, &names).into();
            }
        });
        *row = match clean {
            Some(clean) => DumpRow { digest, path, ..clean },
            // Nothing that may be private goes out: not the row, and not what incidents would say of it.
            None => DumpRow::failed(path, not_redacted()),
        };
    }

    /// Takes out of incidents what is private, with the names of all dumps so far. Digests are joined as they are, so
    /// that incidents are found in spite of pseudonyms: this comes after that, and before
    /// [`settle`](crate::document::settle), which copies from incidents.
    pub fn incidents(&self, rows: &mut Vec<IncidentRow>) {
        let names = self.seen();
        rows.retain_mut(|row| {
            // By its paths an incident is known to belong to rows; rows show them, too.
            let paths = std::mem::take(&mut row.paths);
            let clean = self.clean::<IncidentRow>(row, &names, &|_| {});
            let is_clean = clean.is_some();
            if let Some(clean) = clean {
                *row = IncidentRow { paths, ..clean };
            }
            is_clean
        });
    }

    /// The row without what is private; `None` when it cannot be told.
    fn clean<Row: Serialize + DeserializeOwned>(
        &self,
        row: &Row,
        names: &Names,
        first: &dyn Fn(&mut Value),
    ) -> Option<Row> {
        let mut value = serde_json::to_value(row).ok()?;
        first(&mut value);
        self.value("", &mut value, names);
        serde_json::from_value(value).ok()
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

fn not_redacted() -> ErrorRow {
    let message = "what is private could not be taken out of this row; this is a bug in dumpscope".into();
    ErrorRow { kind: "panic".into(), message }
}

fn is_number(text: &str) -> bool {
    text.strip_prefix("0x").is_some_and(|d| d.chars().all(|c| c.is_ascii_hexdigit()))
}
