//! Many dumps at once: workers take the next input, one place hands out the rows in the order of the inputs.

use super::worker::Lane;
use super::{Input, Observer, TriageOptions};
use crate::document::DumpRow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How far the work may be ahead of the first row that is not ready, for each worker: rows wait in memory only for
/// the slowest dump.
const AHEAD: usize = 32;

/// What the workers share.
struct Queue {
    state: Mutex<State>,
    moved: Condvar,
    /// Inputs, and how many of them may be in work or wait at once.
    count: usize,
    ahead: usize,
}

#[derive(Default)]
struct State {
    /// The next input that nobody took.
    next: usize,
    /// Rows that were handed out.
    given: usize,
    /// Nobody takes rows any more.
    closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is changed by single assignments: a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next input; waits while the work is too far ahead. `None`: there is nothing left to do.
    fn take(&self) -> Option<usize> {
        let mut state = self.lock();
        while !state.closed && state.next < self.count && state.next >= state.given.saturating_add(self.ahead)
        {
            state = self.moved.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let index = Some(state.next).filter(|n| *n < self.count && !state.closed)?;
        state.next = index.saturating_add(1);
        Some(index)
    }

    fn given(&self, rows: usize) {
        self.lock().given = rows;
        self.moved.notify_all();
    }
}

/// Lets waiting workers go, whatever ends the taking of rows.
struct Close<'a>(&'a Queue);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.moved.notify_all();
    }
}

/// Analyzes dumps and hands out their rows in the order of the inputs, on the calling thread.
pub fn triage_each(
    inputs: &[Input],
    options: &TriageOptions,
    observer: Observer<'_>,
    each: &mut dyn FnMut(DumpRow),
) {
    let work = |lane: &mut Lane, index: usize| {
        let input = inputs.get(index)?;
        let mut row = lane.row(index, input, options, observer);
        row.path_bytes = raw(input.path());
        Some(row)
    };
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = if options.jobs == 0 { processors() } else { options.jobs }.min(inputs.len());
    let alone = |each: &mut dyn FnMut(DumpRow)| {
        let mut lane = Lane::default();
        (0..inputs.len()).filter_map(|i| work(&mut lane, i)).for_each(each);
    };
    if jobs < 2 {
        alone(each);
        return;
    }
    let queue = Queue {
        state: Mutex::default(),
        moved: Condvar::new(),
        count: inputs.len(),
        ahead: jobs.saturating_mul(AHEAD),
    };
    let run = |send: Sender<(usize, DumpRow)>| {
        let mut lane = Lane::default();
        while let Some(index) = queue.take() {
            let Some(row) = work(&mut lane, index) else { break };
            if send.send((index, row)).is_err() {
                break;
            }
        }
    };
    std::thread::scope(|scope| {
        let (send, rows) = channel();
        let _close = Close(&queue);
        let mut workers = 0_usize;
        for _ in 0..jobs {
            let (run, send) = (&run, send.clone());
            let worker = std::thread::Builder::new().name("triage".into());
            let begun = worker.spawn_scoped(scope, move || run(send)).is_ok();
            workers = workers.saturating_add(usize::from(begun));
        }
        drop(send);
        if workers == 0 {
            // A system that denies threads: the dumps are done one after the other.
            alone(each);
        } else {
            in_order(&rows, &queue, each);
        }
    });
}

/// The bytes of a path that is no text, in hex: by them its file can be opened again.
fn raw(path: &Path) -> Option<String> {
    if path.to_str().is_some() {
        return None;
    }
    #[cfg(windows)]
    let bytes = std::os::windows::ffi::OsStrExt::encode_wide(path.as_os_str()).flat_map(u16::to_le_bytes);
    #[cfg(not(windows))]
    let bytes = path.as_os_str().as_encoded_bytes().iter().copied();
    Some(bytes.fold(String::new(), |text, b| text + &format!("{b:02x}")))
}

/// Hands out rows in the order of their inputs until the last worker is gone.
fn in_order(rows: &Receiver<(usize, DumpRow)>, queue: &Queue, each: &mut dyn FnMut(DumpRow)) {
    let mut early: BTreeMap<usize, DumpRow> = BTreeMap::new();
    let mut given = 0_usize;
    for (index, row) in rows {
        early.insert(index, row);
        while let Some(row) = early.remove(&given) {
            each(row);
            given = given.saturating_add(1);
        }
        queue.given(given);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn nothing(count: usize) -> Vec<Input> {
        let input = |n: usize| Input::Nothing { named: PathBuf::from(n.to_string()), reason: "no".into() };
        (0..count).map(input).collect()
    }

    #[test]
    fn rows_come_in_order_whatever_the_number_of_jobs() {
        for (count, jobs) in [(0, 2), (1, 2), (7, 1), (500, 2), (500, 9), (5, 64)] {
            let inputs = nothing(count);
            let options = TriageOptions { jobs, ..TriageOptions::default() };
            let mut names = Vec::new();
            triage_each(&inputs, &options, &|_| {}, &mut |row| names.push(row.path));
            let want: Vec<String> = (0..count).map(|n| n.to_string()).collect();
            assert_eq!(names, want, "{jobs} jobs");
        }
    }

    #[test]
    fn the_work_is_not_far_ahead_of_who_takes_the_rows() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..300).map(|n| folder.path().join(format!("{n:03}.dmp"))).collect();
        paths.iter().for_each(|p| std::fs::write(p, b"MDMP").unwrap());
        let inputs: Vec<Input> = paths.into_iter().map(Input::Dump).collect();
        let begun = AtomicUsize::new(0);
        let options = TriageOptions { jobs: 3, ..TriageOptions::default() };
        let observer = |p| {
            if matches!(p, super::super::Progress::Begun { .. }) {
                begun.fetch_add(1, Ordering::SeqCst);
            }
        };
        let mut given = 0;
        triage_each(&inputs, &options, &observer, &mut |_| {
            let ahead = begun.load(Ordering::SeqCst) - given;
            assert!(ahead <= 3 * AHEAD, "{ahead} rows in memory");
            given += 1;
        });
        assert_eq!(given, 300);
    }

    #[test]
    fn a_panic_of_who_takes_the_rows_ends_the_workers() {
        let inputs = nothing(500);
        let options = TriageOptions { jobs: 2, ..TriageOptions::default() };
        let mut given = 0;
        let each = &mut |_| {
            given += 1;
            assert!(given < 3, "on purpose");
        };
        let run = std::panic::AssertUnwindSafe(|| triage_each(&inputs, &options, &|_| {}, each));
        assert!(std::panic::catch_unwind(run).is_err());
    }
}
