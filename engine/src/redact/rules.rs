//! The rules: patterns of what is private, by kind.

use regex::Regex;
use serde::Deserialize;
use std::ops::Range;

const BUILT_IN: &str = include_str!("../../data/redact.toml");

/// Most rules of a file.
const MAX_RULES: usize = 1000;

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// The file is no TOML of this form.
    #[error("{0}")]
    Format(String),
    /// A pattern is none.
    #[error("the pattern of {kind}: {why}")]
    Pattern {
        /// The rule's kind.
        kind: String,
        /// What is wrong.
        why: String,
    },
    /// The system has no random numbers for a key.
    #[error("no random numbers for a key")]
    NoRandom,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rule: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    kind: String,
    pattern: String,
}

/// Compiled rules, in the order in which they are tried.
#[derive(Debug)]
pub(super) struct Rules(Vec<(String, Regex)>);

impl Rules {
    /// A user's rules, then the built-in ones.
    pub(super) fn new(more: Option<&str>) -> Result<Rules, RulesError> {
        let mut out = Vec::new();
        for text in more.into_iter().chain([BUILT_IN]) {
            let file: File = toml::from_str(text).map_err(|e| RulesError::Format(e.to_string()))?;
            for row in file.rule.into_iter().take(MAX_RULES) {
                // Linear in the text, whatever the pattern; its size is bounded by the crate.
                let regex = Regex::new(&row.pattern)
                    .map_err(|e| RulesError::Pattern { kind: row.kind.clone(), why: e.to_string() })?;
                out.push((row.kind, regex));
            }
        }
        Ok(Rules(out))
    }

    /// Hands out what rules find: the group `v` of the pattern, else the whole match.
    pub(super) fn find(&self, text: &str, found: &mut dyn FnMut(Range<usize>, &str)) {
        for (kind, regex) in &self.0 {
            for hit in regex.captures_iter(text) {
                if let Some(part) = hit.name("v").or_else(|| hit.get(0)) {
                    found(part.range(), kind);
                }
            }
        }
    }
}
