//! CPU times of threads: who burned the processor.

use dumpscope_core::model::Dump;
use dumpscope_core::stream::thread_info::{DUMP_ERROR_THREAD, DUMP_INVALID_INFO, ThreadInfo};
use dumpscope_core::{ThreadIdx, Tid};

/// Seconds from 1601-01-01 to 1970-01-01.
const EPOCH_1601: u64 = 11_644_473_600;
/// 100 ns units in a second.
const SECOND: u64 = 10_000_000;

/// Times of one thread, in units of 100 ns. `None` is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadTimes {
    /// The debugger's thread number.
    pub index: ThreadIdx,
    /// System id.
    pub tid: Tid,
    /// CPU time in user mode.
    pub user: Option<u64>,
    /// CPU time in kernel mode.
    pub kernel: Option<u64>,
    /// From the thread's creation to the writing of the dump.
    pub elapsed: Option<u64>,
}

impl ThreadTimes {
    /// User and kernel time together.
    #[must_use]
    pub fn cpu(&self) -> Option<u64> {
        self.user?.checked_add(self.kernel?)
    }
}

/// Which time to sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// User mode time.
    User,
    /// Kernel mode time.
    Kernel,
    /// Time since creation.
    Elapsed,
}

/// Times of all threads that have some, in the thread list's order. `None` when the dump has no ThreadInfoList.
#[must_use]
pub fn thread_times(dump: &Dump) -> Option<Vec<ThreadTimes>> {
    if !dump.has_thread_info() {
        return None;
    }
    let times = |t: &dumpscope_core::model::Thread| {
        let info = t.info.as_ref()?;
        of_info(info, dump.time()).map(|(user, kernel, elapsed)| ThreadTimes {
            index: t.index,
            tid: t.tid,
            user: Some(user),
            kernel: Some(kernel),
            elapsed,
        })
    };
    Some(dump.threads().iter().filter_map(times).collect())
}

/// User, kernel and elapsed time (100 ns) of one entry for a dump written at `dump_time` (seconds since 1970 UTC).
/// `None` when the writer of the dump marked the entry as a placeholder or its times as unreadable.
#[must_use]
pub fn of_info(info: &ThreadInfo, dump_time: u32) -> Option<(u64, u64, Option<u64>)> {
    if info.dump_flags & (DUMP_ERROR_THREAD | DUMP_INVALID_INFO) != 0 {
        return None;
    }
    Some((info.user_time, info.kernel_time, elapsed(info.create_time, dump_time)))
}

/// From `create` (100 ns since 1601 UTC) to the second at which the dump was written.
fn elapsed(create: u64, dump_time: u32) -> Option<u64> {
    if create == 0 || dump_time == 0 {
        return None;
    }
    let written = (u64::from(dump_time) + EPOCH_1601) * SECOND;
    match written.checked_sub(create) {
        Some(passed) => Some(passed),
        // The header counts whole seconds: a thread of the same second may seem to be younger than the dump.
        None if create - written < SECOND => Some(0),
        // The clock was set back in between: no honest answer.
        None => None,
    }
}

/// Sorts by one of the times, largest first; threads without it last; equal ones by thread number.
pub fn sort(times: &mut [ThreadTimes], by: By) {
    let key = |t: &ThreadTimes| match by {
        By::User => t.user,
        By::Kernel => t.kernel,
        By::Elapsed => t.elapsed,
    };
    times.sort_by(|a, b| key(b).cmp(&key(a)).then(a.index.cmp(&b.index)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use dumpscope_core::Va;

    fn info(create: u64, flags: u32) -> ThreadInfo {
        ThreadInfo {
            tid: Tid(1),
            dump_flags: flags,
            dump_error: 0,
            exit_status: 0x103,
            create_time: create,
            exit_time: 0,
            kernel_time: 20,
            user_time: 10,
            start_address: Va(0),
            affinity: 1,
        }
    }

    #[test]
    fn elapsed_counts_from_creation_to_the_dump() {
        let base = EPOCH_1601 * SECOND;
        let at = |create| of_info(&info(create, 0), 100).map(|(_, _, e)| e);
        assert_eq!(at(base + 40 * SECOND), Some(Some(60 * SECOND)));
        assert_eq!(at(base + 100 * SECOND + 5), Some(Some(0)));
        assert_eq!(at(base + 200 * SECOND), Some(None));
        assert_eq!(at(0), Some(None));
    }

    #[test]
    fn unreadable_times_are_not_zero() {
        assert_eq!(of_info(&info(0, DUMP_INVALID_INFO), 100), None);
        assert_eq!(of_info(&info(0, DUMP_ERROR_THREAD), 100), None);
    }

    #[test]
    fn largest_first_then_by_number() {
        let t = |i, user| ThreadTimes { index: ThreadIdx(i), tid: Tid(i), user, kernel: None, elapsed: None };
        let mut all = [t(0, Some(1)), t(1, None), t(2, Some(5)), t(3, Some(1))];
        sort(&mut all, By::User);
        assert_eq!(all.map(|t| t.index.0), [2, 0, 3, 1]);
    }
}
