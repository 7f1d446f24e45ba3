//! What was not found, remembered on disk by cause: a missing file is asked for again after a day, a server
//! failure after minutes.

use super::create;
use std::fmt;
use std::path::{Path, PathBuf};

/// Why a file is not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The server does not have it.
    Missing,
    /// The server refused (401, 403).
    Denied,
    /// What came was empty, broken or belongs to another build.
    Wrong,
    /// The server failed or did not answer.
    Failure,
}

/// Causes, their words in the file, and how long they are believed, in seconds.
const CAUSES: &[(Cause, &str, u64)] = &[
    (Cause::Missing, "missing", 24 * 3600),
    (Cause::Denied, "denied", 3600),
    (Cause::Wrong, "wrong", 24 * 3600),
    (Cause::Failure, "failure", 300),
];

impl Cause {
    /// Seconds for which it is believed.
    #[must_use]
    pub fn lifetime(self) -> u64 {
        CAUSES.iter().find(|c| c.0 == self).map_or(0, |c| c.2)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CAUSES.iter().find(|c| c.0 == *self).map_or("?", |c| c.1))
    }
}

/// A remembered failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// Why.
    pub cause: Cause,
    /// Seconds ago.
    pub age: u64,
    /// What was said then.
    pub text: String,
}

/// What the server did, how long ago, and how it is asked again.
impl fmt::Display for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.cause {
            Cause::Missing => "not there",
            Cause::Denied => "refused",
            Cause::Wrong => "rejected",
            Cause::Failure => "failed",
        })?;
        if !self.text.is_empty() {
            write!(f, ": {}", self.text)?;
        }
        let (count, unit) = match self.age {
            s @ ..120 => (s, "second"),
            s @ ..7200 => (s / 60, "minute"),
            s => (s / 3600, "hour"),
        };
        let plural = if count == 1 { "" } else { "s" };
        write!(
            f,
            ", {count} {unit}{plural} ago (remembered; `.reload` or `dumpscope symbols fetch` asks again)"
        )
    }
}

/// Longest record that is read back, bytes.
const MAX_RECORD: u64 = 4096;

fn file(cache: &Path, what: &str) -> PathBuf {
    create::private_dir(cache).join("missing").join(create::hashed(what))
}

/// Reads what is remembered of `what` (server and file) and still believed at `now`.
#[must_use]
pub(super) fn recall(cache: &Path, what: &str, now: u64) -> Option<Remembered> {
    let path = file(cache, what);
    if std::fs::metadata(&path).ok()?.len() > MAX_RECORD {
        return None;
    }
    let record = std::fs::read_to_string(path).ok()?;
    let mut parts = record.splitn(4, '\n');
    let (cause, at, whose, text) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    // Two names may share a hash; the record tells whose it is.
    if whose != what {
        return None;
    }
    let cause = CAUSES.iter().find(|c| c.1 == cause)?.0;
    let at: u64 = at.parse().ok()?;
    let fresh = now >= at && now.saturating_sub(at) < cause.lifetime();
    fresh.then(|| Remembered { cause, age: now.saturating_sub(at), text: text.to_owned() })
}

/// Remembers a failure. A cache that cannot be written is no error: it is only asked again.
pub(super) fn remember(cache: &Path, what: &str, cause: Cause, now: u64, text: &str) {
    let text: String = text.chars().take(500).collect();
    let record = format!("{cause}\n{now}\n{what}\n{text}");
    let _ = create::write_whole(cache, &file(cache, what), record.as_bytes());
}

/// Forgets it (`.reload /f`, `symbols fetch`).
pub(super) fn forget(cache: &Path, what: &str) {
    let _ = std::fs::remove_file(file(cache, what));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_have_lifetimes() {
        let dir = tempfile::tempdir().unwrap();
        let what = "https://s/ a.pdb/1";
        assert_eq!(recall(dir.path(), what, 10), None);
        for (cause, _, life) in CAUSES {
            remember(dir.path(), what, *cause, 1000, "said so");
            let got = recall(dir.path(), what, 1000 + life - 1).unwrap();
            assert_eq!(got, Remembered { cause: *cause, age: life - 1, text: "said so".into() });
            assert_eq!(recall(dir.path(), what, 1000 + life), None);
            // A clock that was set back is not believed.
            assert_eq!(recall(dir.path(), what, 999), None);
        }
        remember(dir.path(), what, Cause::Missing, 1000, "x");
        assert_eq!(recall(dir.path(), "another", 1000), None);
        forget(dir.path(), what);
        assert_eq!(recall(dir.path(), what, 1000), None);
    }
}
