//! Which findings make a program end with an error, and a JUnit test fail.

use crate::document::{ConfidenceName, DumpRow, FindingKindName, FindingRow};

/// Kinds that count, from a confidence on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailOn {
    /// The kinds. Empty: none.
    pub kinds: Vec<FindingKindName>,
    /// Findings that are less sure do not count; `None`: all count.
    pub least: Option<ConfidenceName>,
}

impl FailOn {
    /// The first finding of a row (or its verdict) that counts.
    #[must_use]
    pub fn first<'a>(&self, row: &'a DumpRow) -> Option<&'a FindingRow> {
        let sure = |f: &FindingRow| self.least.is_none_or(|least| rank(f.confidence) >= rank(least));
        let mut all = row.findings.iter().flatten().chain(&row.verdict);
        all.find(|f| self.kinds.contains(&f.kind) && sure(f))
    }
}

/// Surer is greater.
fn rank(confidence: ConfidenceName) -> u8 {
    match confidence {
        ConfidenceName::Proven => 2,
        ConfidenceName::Strong => 1,
        ConfidenceName::Guess => 0,
    }
}
