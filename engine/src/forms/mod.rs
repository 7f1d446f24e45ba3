//! The forms in which verdicts are written: text, JSON, Markdown, HTML, SARIF, JUnit, GitHub annotations.
//!
//! A [`RowWriter`] takes rows as they come, so that a batch of thousands needs the memory of one; what is said of all
//! dumps together comes at the end ([`Tail`]). Every form escapes what comes from a dump by its own rules.
//!
//! ```
//! use dumpscope_engine::forms::{Format, FormatOptions, Tail, writer};
//! let mut page = Vec::new();
//! let mut w = writer(Format::Html, Box::new(&mut page), &FormatOptions::default());
//! # let rows: Vec<dumpscope_engine::document::DumpRow> = Vec::new();
//! for row in &rows {
//!     w.row(row)?;
//! }
//! w.end(&Tail::default())?;
//! # drop(w);
//! # assert!(page.starts_with(b"<!DOCTYPE html>"));
//! # Ok::<(), std::io::Error>(())
//! ```

mod fail;
mod github;
mod held;
mod html;
mod json;
mod junit;
mod lines;
mod markdown;
mod sarif;
mod svg;
mod text;
pub(crate) mod words;

pub use fail::FailOn;
pub use lines::{
    TextOptions, bucket_lines, dump_lines, extension_lines, incident_lines, summary_lines, summary_of,
};
pub use markdown::{Issue, issue};
pub use svg::svg;

use crate::document::{BucketRow, DumpRow, IncidentRow};
use crate::render::Guarded;
use std::io::{self, Write};

/// A form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON document, `dumpscope.triage/1`.
    Json,
    /// One JSON object for each dump and line.
    Jsonl,
    /// Markdown as GitHub reads it.
    Markdown,
    /// One self-contained page without scripts.
    Html,
    /// SARIF 2.1.0.
    Sarif,
    /// JUnit XML.
    Junit,
    /// Workflow commands of GitHub Actions.
    Github,
}

/// How to write.
#[derive(Clone, Debug, Default)]
pub struct FormatOptions {
    /// Text: with colours.
    pub color: bool,
    /// Every thread with its whole stack, all warnings.
    pub verbose: bool,
    /// JUnit: what counts as a failed test. Empty: every verdict but `idle` and `unknown`.
    pub fail_on: FailOn,
}

/// What is said of all dumps together.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    /// Dumps of the same cause.
    pub buckets: Vec<BucketRow>,
    /// Wait chains over several dumps; `None`: not looked for.
    pub incidents: Option<Vec<IncidentRow>>,
}

impl Tail {
    /// The incidents over two dumps and more. What one dump alone says of another process, its verdict says.
    fn incidents(&self) -> impl Iterator<Item = &IncidentRow> {
        self.incidents.iter().flatten().filter(|i| i.paths.len() > 1)
    }

    /// Single dumps that another one would extend.
    fn extensible(&self) -> impl Iterator<Item = &IncidentRow> {
        self.incidents.iter().flatten().filter(|i| i.paths.len() == 1 && !i.missing_dumps.is_empty())
    }
}

/// Writes rows as they come.
pub trait RowWriter {
    /// A dump's row.
    ///
    /// # Errors
    /// What the system said of the output.
    fn row(&mut self, row: &DumpRow) -> io::Result<()>;

    /// The end of the batch: call it once, after the last row.
    ///
    /// # Errors
    /// What the system said of the output.
    fn end(&mut self, tail: &Tail) -> io::Result<()>;
}

/// The writer for a form.
#[must_use]
pub fn writer<'a>(
    format: Format,
    out: Box<dyn Write + 'a>,
    options: &FormatOptions,
) -> Box<dyn RowWriter + 'a> {
    let out: Box<dyn Write + 'a> = match format {
        // Its lines are commands.
        Format::Github => Box::new(Guarded::inside(out)),
        Format::Json | Format::Jsonl | Format::Sarif => Box::new(Guarded::json(out)),
        Format::Text | Format::Markdown | Format::Html | Format::Junit => Box::new(Guarded::new(out)),
    };
    let inner: Box<dyn RowWriter + 'a> = match format {
        Format::Text => Box::new(text::Text::new(out, options)),
        Format::Json => Box::new(json::Json::new(out)),
        // Its rows are written as they come.
        Format::Jsonl => return Box::new(json::Jsonl::new(out)),
        Format::Markdown => Box::new(markdown::Markdown::new(out, options)),
        Format::Html => Box::new(html::Html::new(out, options)),
        Format::Sarif => Box::new(sarif::Sarif::new(out)),
        Format::Junit => Box::new(junit::Junit::new(out, options)),
        Format::Github => Box::new(github::Github::new(out)),
    };
    Box::new(held::Held::new(inner))
}

#[cfg(test)]
mod tests;
