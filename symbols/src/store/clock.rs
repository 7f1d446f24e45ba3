//! Time, injected so that tests need not wait.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the policies know of time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Seconds since 1970 UTC.
    fn now(&self) -> u64;
    /// Waits; returns early when `stop` says so.
    fn sleep(&self, time: Duration, stop: &dyn Fn() -> bool);
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
    }

    fn sleep(&self, time: Duration, stop: &dyn Fn() -> bool) {
        let mut left = time;
        while !left.is_zero() && !stop() {
            let step = left.min(Duration::from_millis(50));
            std::thread::sleep(step);
            left = left.saturating_sub(step);
        }
    }
}
