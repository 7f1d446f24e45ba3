//! Annotations of GitHub Actions: workflow commands on stdout.

use super::words::{incident_advice, kind_and_confidence};
use super::{RowWriter, Tail};
use crate::document::{DumpRow, Severity};
use dumpscope_core::base::text::escape;
use std::io::{self, Write};

/// One annotation for each dump and each incident.
pub(super) struct Github<W: Write> {
    out: W,
}

impl<W: Write> Github<W> {
    pub(super) fn new(out: W) -> Github<W> {
        Github { out }
    }
}

/// A message: `%` and line breaks are escaped, so that nothing in it starts a command of its own.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property: also what separates properties.
fn property(text: &str) -> String {
    data(&escape(text)).replace(':', "%3A").replace(',', "%2C")
}

impl<W: Write> RowWriter for Github<W> {
    fn row(&mut self, row: &DumpRow) -> io::Result<()> {
        let file = property(&row.path);
        if let Some(e) = &row.error {
            let message = data(&escape(&e.message));
            return writeln!(self.out, "::error file={file},title=Dump cannot be analyzed::{message}");
        }
        let Some(v) = &row.verdict else { return Ok(()) };
        let level = match v.kind.row().severity {
            Severity::Note => "notice",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        let title = kind_and_confidence(v);
        let mut message = escape(&v.summary).into_owned();
        for e in &v.evidence {
            message.push_str(&format!("\n- {}", escape(e)));
        }
        if let Some(advice) = &v.advice {
            message.push_str(&format!("\nNext: {}", escape(advice)));
        }
        writeln!(self.out, "::{level} file={file},title={}::{}", property(&title), data(&message))
    }

    fn end(&mut self, tail: &Tail) -> io::Result<()> {
        for incident in tail.incidents() {
            let file = incident.paths.first().map(|p| format!("file={},", property(p))).unwrap_or_default();
            let title = property(&format!("Incident ({})", incident.confidence.name()));
            let mut message = escape(&incident.root_cause).into_owned();
            for link in &incident.chain {
                let (who, says) = (link.who(), &link.waits_for);
                let sure = link.confidence.name();
                message.push_str(&format!("\n- {}: {} ({sure})", escape(&who), escape(says)));
                for e in link.reached_by.iter().chain(&link.evidence) {
                    message.push_str(&format!("\n  - {}", escape(e)));
                }
            }
            for text in &incident.also_found {
                message.push_str(&format!("\nAlso in {}", escape(text)));
            }
            if let Some(advice) = incident_advice(incident) {
                message.push_str(&format!("\nNext: {}", escape(&advice)));
            }
            writeln!(self.out, "::error {file}title={title}::{}", data(&message))?;
        }
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_starts_a_command() {
        assert_eq!(data("a%0A\r\n::error::x"), "a%250A%0D%0A::error::x");
        assert_eq!(property("C:\\a,b"), "C%3A\\a%2Cb");
        assert_eq!(property("a\nb"), "a\\x0ab");
    }
}
