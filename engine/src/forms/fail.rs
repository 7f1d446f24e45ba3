//! Which findings make a program end with an error, and a JUnit test fail.

use crate::document::{Confidence, DumpRow, FindingKind, FindingRow};

/// Kinds that count, from a confidence on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailOn {
    /// The kinds. Empty: none.
    pub kinds: Vec<FindingKind>,
    /// Findings that are less sure do not count; `None`: all count.
    pub least: Option<Confidence>,
}

impl FailOn {
    /// The first finding of a row (or its verdict) that counts.
    #[must_use]
    pub fn first<'a>(&self, row: &'a DumpRow) -> Option<&'a FindingRow> {
        let sure = |f: &FindingRow| self.least.is_none_or(|least| f.confidence >= least);
        let mut all = row.findings.iter().flatten().chain(&row.verdict);
        all.find(|f| self.kinds.contains(&f.kind) && sure(f))
    }
}
