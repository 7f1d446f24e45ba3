//! Known issues: patterns over a crash, and what is known about it.
//!
//! A file is TOML: a list of `[[issue]]` with `title`, and any of `text`, `link`, `fixed_in`; what it needs to match
//! (all that are given): `signature`, `code`, `module` with `version`, `frames`, `annotation`; and `[[issue.test]]`
//! with a made-up crash and whether it `matches`. In patterns `*` stands for any rest or middle.

use crate::document::{DumpRow, KnownRow};
use dumpscope_analyzers::Target;
use serde::Deserialize;
use std::sync::{Arc, OnceLock};
use thiserror::Error;

const BUILT_IN: &str = include_str!("../data/known.toml");

/// Most issues of a file.
const MAX_ISSUES: usize = 10_000;

/// Why a file is refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KnownError {
    /// It is no such TOML.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// An issue says nothing that a crash could match.
    #[error("issue \"{0}\" has no pattern: give signature, code, module, frames or annotation")]
    NoPattern(String),
    /// A version is no comparison.
    #[error("issue \"{0}\": version \"{1}\" is no comparison: write <1.2.3.4, <=, =, >= or >")]
    Version(String, String),
    /// Too many issues.
    #[error("more than {MAX_ISSUES} issues")]
    TooMany,
}

/// A file of known issues.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownIssues {
    #[serde(default)]
    issue: Vec<Issue>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Issue {
    title: String,
    text: Option<String>,
    link: Option<String>,
    fixed_in: Option<String>,
    #[serde(flatten)]
    pattern: Pattern,
    #[serde(default)]
    test: Vec<Test>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Pattern {
    /// Pattern of the signature.
    signature: Option<String>,
    /// Exception code in hex, or its name.
    code: Option<String>,
    /// Pattern of the file name of a module that is loaded.
    module: Option<String>,
    /// Comparison with that module's version.
    version: Option<String>,
    /// Patterns of `module!function`, in this order on the crashed stack, others between them.
    #[serde(default)]
    frames: Vec<String>,
    /// Pattern of an annotation's text.
    annotation: Option<String>,
}

/// What patterns are compared with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seen {
    /// The signature.
    pub signature: String,
    /// Code in hex without `0x`.
    pub code: String,
    /// Its name.
    pub code_name: String,
    /// File name and version of the modules.
    pub modules: Vec<(String, String)>,
    /// `module!function` of the crashed thread, innermost first.
    pub frames: Vec<String>,
    /// Texts of the program.
    pub annotations: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct Test {
    matches: bool,
    #[serde(flatten)]
    seen: Seen,
}

impl KnownIssues {
    /// The issues that come with the program.
    #[must_use]
    pub fn built_in() -> KnownIssues {
        // A test reads the file: it cannot be wrong in a program that was tested.
        KnownIssues::parse(BUILT_IN).unwrap_or_default()
    }

    /// The same, read once.
    pub(crate) fn shared() -> Arc<KnownIssues> {
        static ISSUES: OnceLock<Arc<KnownIssues>> = OnceLock::new();
        ISSUES.get_or_init(|| Arc::new(KnownIssues::built_in())).clone()
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// When it is no such file, or an issue could match nothing.
    pub fn parse(text: &str) -> Result<KnownIssues, KnownError> {
        let out: KnownIssues = toml::from_str(text)?;
        if out.issue.len() > MAX_ISSUES {
            return Err(KnownError::TooMany);
        }
        for issue in &out.issue {
            let p = &issue.pattern;
            let some = [&p.signature, &p.code, &p.module, &p.annotation];
            if some.iter().all(|s| s.is_none()) && p.frames.is_empty() {
                return Err(KnownError::NoPattern(issue.title.clone()));
            }
            if let Some(v) = p.version.as_ref().filter(|v| comparison(v).is_none()) {
                return Err(KnownError::Version(issue.title.clone(), v.clone()));
            }
        }
        Ok(out)
    }

    /// Number of issues.
    #[must_use]
    pub fn len(&self) -> usize {
        self.issue.len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.issue.is_empty()
    }

    /// What is known of a crash, in the file's order.
    #[must_use]
    pub fn find(&self, seen: &Seen) -> Vec<KnownRow> {
        let row = |i: &Issue| KnownRow {
            title: i.title.clone(),
            text: i.text.clone(),
            link: i.link.clone(),
            fixed_in: i.fixed_in.clone(),
        };
        self.issue.iter().filter(|i| i.pattern.matches(seen)).map(row).collect()
    }

    /// Runs the file's own tests: how many there are, and a sentence for each that fails.
    #[must_use]
    pub fn check(&self) -> (usize, Vec<String>) {
        let mut count = 0_usize;
        let mut failed = Vec::new();
        for issue in &self.issue {
            for (n, test) in (1_usize..).zip(&issue.test) {
                count = count.saturating_add(1);
                if issue.pattern.matches(&test.seen) != test.matches {
                    let found = if test.matches { "does not match" } else { "matches" };
                    failed.push(format!("\"{}\": test {n} {found}", issue.title));
                }
            }
        }
        (count, failed)
    }
}

impl Pattern {
    fn matches(&self, seen: &Seen) -> bool {
        let is = |pattern: &Option<String>, text: &str| pattern.as_ref().is_none_or(|p| fits(p, text));
        let code = |c: &String| {
            let plain = c.trim_start_matches("0x");
            plain.eq_ignore_ascii_case(&seen.code) || fits(c, &seen.code_name)
        };
        let module = |m: &String| {
            let version = |v: &str| self.version.as_deref().is_none_or(|c| compares(c, v));
            seen.modules.iter().any(|(name, v)| fits(m, name) && version(v))
        };
        let mut frames = seen.frames.iter();
        is(&self.signature, &seen.signature)
            && self.code.as_ref().is_none_or(code)
            && self.module.as_ref().is_none_or(module)
            && self.frames.iter().all(|p| frames.any(|f| fits(p, f)))
            && self.annotation.as_ref().is_none_or(|p| seen.annotations.iter().any(|a| fits(p, a)))
    }
}

/// True when `text` is what `pattern` says; `*` stands for anything. Case counts not.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = rest.get(at.saturating_add(part.len())..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// An operator and the numbers behind it.
fn comparison(text: &str) -> Option<(&str, Vec<u64>)> {
    let text = text.trim();
    let operator = ["<=", ">=", "<", ">", "="].into_iter().find(|o| text.starts_with(o))?;
    Some((operator, numbers(text.strip_prefix(operator)?)?))
}

fn numbers(text: &str) -> Option<Vec<u64>> {
    text.trim().split('.').map(|n| n.parse().ok()).collect()
}

fn compares(comparison_text: &str, version: &str) -> bool {
    let (Some((operator, wanted)), Some(found)) = (comparison(comparison_text), numbers(version)) else {
        return false;
    };
    let length = wanted.len().max(found.len());
    let padded = |v: &[u64]| (0..length).map(|n| v.get(n).copied().unwrap_or(0)).collect::<Vec<_>>();
    let order = padded(&found).cmp(&padded(&wanted));
    match operator {
        "<=" => order.is_le(),
        ">=" => order.is_ge(),
        "<" => order.is_lt(),
        ">" => order.is_gt(),
        _ => order.is_eq(),
    }
}

/// What a dump's row has to compare.
pub(crate) fn seen(target: &Target, row: &DumpRow) -> Seen {
    let exception = row.exception.as_ref();
    let thread = row.threads.iter().flatten().find(|t| exception.is_some_and(|e| e.tid == t.tid));
    let frames = thread.and_then(|t| t.frames.as_ref()).into_iter().flatten();
    let name = |f: &crate::document::FrameRow| match (&f.module, &f.function) {
        (Some(m), Some(n)) => Some(format!("{m}!{n}")),
        (Some(m), None) => Some(m.clone()),
        (None, n) => n.clone(),
    };
    let version = |m: &dumpscope_core::base::ModuleInfo| {
        m.version.as_ref().map_or(String::new(), |v| {
            let [a, b, c, d] = v.file;
            format!("{a}.{b}.{c}.{d}")
        })
    };
    Seen {
        signature: row.signature.clone().unwrap_or_default(),
        code: exception.map_or(String::new(), |e| format!("{:08x}", e.code.0)),
        code_name: exception.and_then(|e| e.name.clone()).unwrap_or_default(),
        modules: target.dump.modules().iter().map(|m| (m.file_name.clone(), version(m))).collect(),
        frames: frames.filter_map(name).collect(),
        annotations: row.annotations.iter().flatten().map(|a| a.value.clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_file_passes_its_tests() {
        let known = KnownIssues::parse(BUILT_IN).unwrap();
        let (count, failed) = known.check();
        assert!(count >= known.len() && known.len() >= 3, "{count}");
        assert_eq!(failed, Vec::<String>::new());
    }

    #[test]
    fn patterns() {
        assert!(fits("app!*::go", "app!Tpl<void *>::go") && fits("*", "") && fits("a*c*e", "abcde"));
        assert!(!fits("app!go", "app!gone") && !fits("a*c*f", "abcde") && fits("NTDLL!*", "ntdll!x"));
        assert!(compares("<2.0", "1.9.9.9") && !compares("<2.0", "2.0.0.0") && compares("=2", "2.0.0.0"));
        assert!(compares(">=10.0.19041", "10.0.19041.1") && !compares("<2", ""));
    }

    #[test]
    fn files_that_match_nothing_are_refused() {
        assert!(matches!(KnownIssues::parse("[[issue]]\ntitle = 'x'"), Err(KnownError::NoPattern(_))));
        let version = "[[issue]]\ntitle = 'x'\nmodule = 'a.dll'\nversion = '2'";
        assert!(matches!(KnownIssues::parse(version), Err(KnownError::Version(..))));
        assert!(matches!(KnownIssues::parse("title = 1"), Err(KnownError::Toml(_))));
    }
}
