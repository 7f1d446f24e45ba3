//! A circuit breaker per server (scheme, host, port): a server that fails again and again is left alone for a while, so that fifty
//! modules do not each wait for the same dead server. One that never answered is left alone at once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// State of all hosts.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    hosts: Mutex<BTreeMap<String, Host>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Host {
    failures: u32,
    open_until: u64,
    /// It has answered in this run.
    answered: bool,
}

impl Breaker {
    /// Seconds that `host` must still be left alone, or `None` when it may be asked.
    pub(super) fn closed_for(&self, host: &str, now: u64) -> Option<u64> {
        let hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.get(host).map(|h| h.open_until.saturating_sub(now)).filter(|s| *s > 0)
    }

    /// An answer came (any status that is no server failure).
    pub(super) fn success(&self, host: &str) {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.insert(host.to_owned(), Host { answered: true, ..Host::default() });
    }

    /// True when an answer came since the start or the last [`Breaker::reset`].
    pub(super) fn has_answered(&self, host: &str) -> bool {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).get(host).is_some_and(|h| h.answered)
    }

    /// Every host may be asked again.
    pub(super) fn reset(&self) {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// No answer after all tries; after `limit` of them in a row the host is left alone for `pause` seconds.
    pub(super) fn failure(&self, host: &str, now: u64, limit: u32, pause: u64) {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = hosts.entry(host.to_owned()).or_default();
        entry.failures = entry.failures.saturating_add(1);
        if entry.failures >= limit {
            entry.open_until = now.saturating_add(pause);
            entry.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_after_the_limit_and_closes_with_time() {
        let b = Breaker::default();
        for _ in 0..2 {
            b.failure("h", 100, 3, 60);
        }
        assert_eq!(b.closed_for("h", 100), None);
        b.failure("h", 100, 3, 60);
        assert_eq!(b.closed_for("h", 100), Some(60));
        assert_eq!(b.closed_for("other", 100), None);
        assert_eq!(b.closed_for("h", 160), None);
        b.failure("h", 161, 3, 60);
        b.success("h");
        b.failure("h", 162, 3, 60);
        b.failure("h", 162, 3, 60);
        assert_eq!(b.closed_for("h", 163), None);
        b.failure("h", 162, 1, 60);
        b.reset();
        assert_eq!(b.closed_for("h", 163), None);
    }
}
