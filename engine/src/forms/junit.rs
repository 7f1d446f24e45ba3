//! JUnit XML: a test for each dump.

use super::html::escaped;
use super::lines::{TextOptions, dump_lines, incident_lines};
use super::words::kind_and_confidence;
use super::{FailOn, FormatOptions, RowWriter, Tail};
use crate::document::{DumpRow, FindingRow, Severity};
use std::fmt::Write as _;
use std::io::{self, Write};

/// One `testsuite`. Its counts stand before its tests: the tests wait in memory, a few kilobytes each.
pub(super) struct Junit<W: Write> {
    out: W,
    fail_on: FailOn,
    cases: String,
    tests: u64,
    failures: u64,
    errors: u64,
}

impl<W: Write> Junit<W> {
    pub(super) fn new(out: W, options: &FormatOptions) -> Junit<W> {
        let fail_on = options.fail_on.clone();
        Junit { out, fail_on, cases: String::new(), tests: 0, failures: 0, errors: 0 }
    }

    fn failure<'a>(&self, row: &'a DumpRow) -> Option<&'a FindingRow> {
        if self.fail_on.kinds.is_empty() {
            return row.verdict.as_ref().filter(|v| v.kind.row().severity != Severity::Note);
        }
        self.fail_on.first(row)
    }
}

/// The answer as text, line by line.
fn body(row: &DumpRow) -> String {
    let mut out = String::new();
    dump_lines(row, &TextOptions::default(), &mut |line| {
        out.push_str(&escaped(line.to_text().trim_end()));
        out.push('\n');
    });
    out
}

impl<W: Write> RowWriter for Junit<W> {
    fn row(&mut self, row: &DumpRow) -> io::Result<()> {
        self.tests = self.tests.saturating_add(1);
        let name = escaped(&row.path);
        let process = row.process.as_ref().and_then(|p| p.name.clone());
        let class = escaped(&process.unwrap_or_else(|| "dumpscope".into()));
        let _ = write!(self.cases, "    <testcase name=\"{name}\" classname=\"{class}\"");
        if let Some(e) = &row.error {
            self.errors = self.errors.saturating_add(1);
            let _ = write!(
                self.cases,
                ">\n      <error type=\"{}\" message=\"{}\"/>\n    </testcase>\n",
                escaped(&e.kind),
                escaped(&e.message)
            );
            return Ok(());
        }
        match self.failure(row) {
            Some(f) => {
                let message = format!("{}: {}", kind_and_confidence(f), f.summary);
                let (kind, message, body) = (f.kind.name(), escaped(&message), body(row));
                self.failures = self.failures.saturating_add(1);
                let _ = write!(
                    self.cases,
                    ">\n      <failure type=\"{kind}\" message=\"{message}\">{body}</failure>\n    </testcase>\n"
                );
            }
            None => self.cases.push_str("/>\n"),
        }
        Ok(())
    }

    fn end(&mut self, tail: &Tail) -> io::Result<()> {
        let (tests, failures, errors) = (self.tests, self.failures, self.errors);
        // What is said of several dumps is no test of its own.
        let mut said = String::new();
        for incident in tail.incidents() {
            incident_lines(incident, &TextOptions::default(), &mut |line| {
                said.push_str(&escaped(line.to_text().trim_end()));
                said.push('\n');
            });
        }
        if !said.is_empty() {
            said = format!("    <system-out>{said}</system-out>\n");
        }
        let counts = format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\"");
        write!(
            self.out,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"dumpscope\" {counts}>\n  \
             <testsuite name=\"dumps\" {counts} skipped=\"0\">\n{}{said}  </testsuite>\n</testsuites>\n",
            self.cases
        )?;
        self.out.flush()
    }
}
