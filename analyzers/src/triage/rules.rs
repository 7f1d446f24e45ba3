//! The rule table. A rule reads the facts and returns findings; it never changes anything.

mod crash;

use super::{Facts, Finding};

/// One rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Stable name, for messages.
    pub code: &'static str,
    /// What it looks for, one line.
    pub about: &'static str,
    /// Looks.
    pub run: fn(&Facts<'_>) -> Vec<Finding>,
}

/// All rules.
pub const RULES: &[Rule] =
    &[Rule { code: "crash", about: "an exception that ended the process", run: crash::run }];
