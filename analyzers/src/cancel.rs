//! Asking long work to stop: by a person, or by a deadline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A request to stop, shared between who works and who waits. Clones share the request.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    flag: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl Cancel {
    /// Asks to stop.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }

    /// The same request with a deadline of its own: it stops when somebody asks, or when the time has come. The
    /// original is not stopped by the deadline.
    #[must_use]
    pub fn with_deadline(&self, deadline: Instant) -> Cancel {
        let deadline = self.deadline.map_or(deadline, |d| d.min(deadline));
        Cancel { flag: self.flag.clone(), deadline: Some(deadline) }
    }

    /// True when somebody asked to stop or the deadline has passed.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.flag.load(Ordering::Relaxed) || self.is_late()
    }

    /// True when the deadline has passed.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.deadline.is_some_and(|d| Instant::now() >= d)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_stops_only_its_own_work() {
        let all = Cancel::default();
        let one = all.with_deadline(Instant::now());
        assert!(one.is_cancelled() && one.is_late());
        assert!(!all.is_cancelled());
        all.cancel();
        assert!(all.is_cancelled() && !all.is_late());
    }

    #[test]
    fn a_request_reaches_clones_and_deadlined_copies() {
        let all = Cancel::default();
        let later = all.with_deadline(Instant::now() + std::time::Duration::from_secs(3600));
        assert!(!later.is_cancelled());
        all.clone().cancel();
        assert!(later.is_cancelled() && !later.is_late());
    }
}
