//! Takes out of texts what is private: names, addresses, values of command lines, tokens, keys.
//!
//! What is taken out becomes a pseudonym (`user-3f9a1c`), a keyed hash: the same key gives the same pseudonym, so what belongs
//! together stays together. Rules are data (`data/redact.toml`; a user's file is tried first). No rule finds every secret: what
//! is not needed should not be in a dump at all, see [`crate::shrink`].

mod bytes;
mod document;
mod dump;
mod entropy;
mod names;
mod rules;
mod runs;
mod spans;

pub(crate) use dump::{NotRedacted, Redaction, constants};
pub(crate) use names::{Names, names, names_of};
pub use rules::RulesError;
pub(crate) use spans::Spans;

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use rules::Rules;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// How much is taken out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum RedactLevel {
    /// What rules find.
    #[default]
    Standard,
    /// In reports all texts that the program worked on: values of arguments, names of handles, annotations. A dump cannot be
    /// made smaller in this way.
    Strict,
}

/// Rules and a key. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Redactor {
    level: RedactLevel,
    key: hmac::Key,
    rules: Arc<Rules>,
    counts: Arc<Mutex<Counts>>,
    /// Names of all dumps so far: what is said of several dumps together may hold those of each.
    seen: Arc<Mutex<BTreeSet<(&'static str, String)>>>,
}

/// What was taken out: kind and how often.
pub(crate) type Counts = BTreeMap<String, u64>;

impl Redactor {
    /// A redactor with a key of the user's (any bytes), or a fresh one.
    ///
    /// # Errors
    /// The rules cannot be read, or the system has no random numbers.
    pub fn new(
        level: RedactLevel,
        key: Option<&[u8]>,
        more_rules: Option<&str>,
    ) -> Result<Redactor, RulesError> {
        let mut fresh = [0u8; 32];
        let key = match key {
            Some(key) => key,
            None => {
                SystemRandom::new().fill(&mut fresh).map_err(|_| RulesError::NoRandom)?;
                &fresh
            }
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        let rules = Arc::new(Rules::new(more_rules)?);
        Ok(Redactor { level, key, rules, counts: Arc::default(), seen: Arc::default() })
    }

    /// What was taken out: kind and how often, by kind.
    #[must_use]
    pub fn counts(&self) -> Vec<(String, u64)> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(kind, n)| (kind.clone(), *n)).collect()
    }

    /// The level.
    pub(crate) fn level(&self) -> RedactLevel {
        self.level
    }

    /// What was counted so far.
    pub(crate) fn counted(&self) -> Counts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts from there on: what came since then is done anew.
    pub(crate) fn set_counted(&self, counts: &Counts) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts.clone();
    }

    fn count(&self, kind: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let n = counts.entry(kind.to_owned()).or_insert(0);
        *n = n.saturating_add(1);
    }

    /// Keeps a dump's names for what is said of several dumps.
    fn saw(&self, names: &Names) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).extend(names.iter().cloned());
    }

    /// The names of all dumps so far.
    fn seen(&self) -> Names {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// `user-3f9a1c`.
    fn pseudonym(&self, kind: &str, text: &str) -> String {
        let tag = hmac::sign(&self.key, format!("{kind}\0{}", text.to_lowercase()).as_bytes());
        let hex: String = tag.as_ref().iter().take(3).map(|b| format!("{b:02x}")).collect();
        format!("{kind}-{hex}")
    }

    /// What is private in a text: where and of which kind, in order, disjoint. `free`: the text is the program's, so that
    /// tokens that only look random count too.
    fn find(&self, text: &str, names: &Names, free: bool) -> Vec<(Range<usize>, String)> {
        // By start: of what is disjoint only the last one before the end can overlap.
        let mut found: BTreeMap<usize, (usize, String)> = BTreeMap::new();
        let mut add = |range: Range<usize>, kind: &str| {
            let before = found.range(..range.end).next_back();
            if !range.is_empty() && before.is_none_or(|(_, (end, _))| *end <= range.start) {
                found.insert(range.start, (range.end, kind.to_owned()));
            }
        };
        self.rules.find(text, &mut add);
        names.in_text(text, &mut add);
        if free {
            entropy::find(text, &mut |range| add(range, "token"));
        }
        found.into_iter().map(|(start, (end, kind))| (start..end, kind)).collect()
    }

    /// The text without what is private.
    pub(crate) fn text(&self, text: &str, names: &Names, free: bool) -> String {
        let mut out = String::new();
        let mut at = 0;
        for (range, kind) in self.find(text, names, free) {
            let (Some(before), Some(old)) = (text.get(at..range.start), text.get(range.clone())) else {
                continue;
            };
            self.count(&kind);
            out.push_str(before);
            out.push_str(&self.pseudonym(&kind, old));
            at = range.end;
        }
        out.push_str(text.get(at..).unwrap_or_default());
        out
    }

    /// A command line: its program and the names of its options stay.
    pub(crate) fn command_line(&self, text: &str, names: &Names) -> String {
        let mut out = String::new();
        for (n, word) in arguments(text).into_iter().enumerate() {
            if n > 0 {
                out.push(' ');
            }
            let is_option = word.starts_with('-') || word.starts_with('/');
            let value = match word.find(['=', ':']).filter(|_| is_option) {
                _ if n == 0 => 0,
                Some(at) => at.saturating_add(1),
                None if is_option => word.len(),
                None => 0,
            };
            let (kept, secret) = word.split_at_checked(value).unwrap_or((word, ""));
            if n == 0 {
                out.push_str(&self.text(word, names, false));
            } else {
                out.push_str(&self.text(kept, names, false));
                if !secret.is_empty() {
                    self.count("argument");
                    out.push_str(&self.pseudonym("argument", secret));
                }
            }
        }
        out
    }

    /// A text of which nothing may stay.
    pub(crate) fn whole(&self, kind: &str, text: &str) -> String {
        self.count(kind);
        self.pseudonym(kind, text)
    }
}

/// The words of a command line, with their quotes.
fn arguments(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut start, mut quoted) = (0, false);
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && (!quoted || at == text.len()) => {
                out.extend(text.get(start..at).filter(|w| !w.is_empty()));
                start = at.saturating_add(c.len_utf8());
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor() -> Redactor {
        Redactor::new(RedactLevel::Standard, Some(b"key"), None).unwrap()
    }

    #[test]
    fn names_become_pseudonyms_that_stay_the_same() {
        let r = redactor();
        let names = Names::of("user", "Bob");
        let text = r.text(r"bob's C:\Work\BOB\x, bobby", &names, false);
        let p = r.pseudonym("user", "bob");
        assert_eq!(text, format!(r"{p}'s C:\Work\{p}\x, bobby"));
        assert_eq!(p, redactor().pseudonym("user", "BOB"));
        let other = Redactor::new(RedactLevel::Standard, None, None).unwrap();
        assert_ne!(other.pseudonym("user", "bob"), p);
        assert_eq!(r.counts(), [("user".to_owned(), 2)]);
    }

    #[test]
    fn command_lines_keep_program_and_options() {
        let r = redactor();
        let text = r.command_line(r#""C:\a b\x.exe" --user=me -v "two words" /p:1"#, &Names::default());
        let p = |t: &str| r.pseudonym("argument", t);
        let want = format!(r#""C:\a b\x.exe" --user={} -v {} /p:{}"#, p("me"), p(r#""two words""#), p("1"));
        assert_eq!(text, want);
    }
}
