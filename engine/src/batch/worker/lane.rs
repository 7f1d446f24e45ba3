//! One of a batch's lanes: takes dumps one after the other, in a worker where there are some.

use super::process::{NoRow, Process};
use super::wire::Said;
use crate::batch::{Input, Observer, Progress, TriageOptions, one};
use crate::document::{DumpRow, ErrorRow};
use dumpscope_core::base::text::escape;
use std::path::Path;

/// A lane and its worker.
#[derive(Debug, Default)]
pub(in crate::batch) struct Lane {
    process: Option<Process>,
}

impl Lane {
    /// The row of an input.
    pub(in crate::batch) fn row(
        &mut self,
        index: usize,
        input: &Input,
        options: &TriageOptions,
        observer: Observer<'_>,
    ) -> DumpRow {
        let path = match input {
            Input::Nothing { named, reason } => return one::nothing(named, reason),
            Input::Dump(path) => path,
        };
        // Pseudonyms are one table, and what is taken out is counted: a worker does not know the redactor.
        if options.workers.is_none() || options.redact.is_some() {
            return one::triage_file(index, path, options, observer);
        }
        if options.cancel.is_cancelled() {
            return one::stopped(path);
        }
        observer(Progress::Begun { index });
        let row = self.by_worker(index, path, options, observer);
        observer(Progress::Finished { index });
        row
    }

    fn by_worker(
        &mut self,
        index: usize,
        path: &Path,
        options: &TriageOptions,
        observer: Observer<'_>,
    ) -> DumpRow {
        let observe = |said: &Said| match said {
            Said::Unpacking { done, total } => {
                observer(Progress::Unpacking { index, done: *done, total: *total });
            }
            Said::Download { file, done, total } => {
                observer(Progress::Download { index, file: file.clone(), done: *done, total: *total });
            }
            Said::Begun | Said::Row { .. } => {}
        };
        let mut lost = None::<String>;
        // A dump is tried once more in a fresh worker: what ended the first may have come from outside.
        for _ in 0..2 {
            let mut process = match (self.process.take().map_or_else(|| start(options), Ok), &lost) {
                (Ok(process), _) => process,
                (Err(why), None) => return without_worker(&why, path, options),
                // What ended a worker would end this process, too.
                (Err(why), Some(how)) => {
                    let text = format!(
                        "the analysis of this dump {how}, and no other worker process could be started ({why})"
                    );
                    return failed(path, "signal", text);
                }
            };
            match process.ask(path, options, &observe) {
                Ok(row) => {
                    self.process = Some(process);
                    return row;
                }
                Err(NoRow::Stopped) => return one::stopped(path),
                Err(NoRow::Late) => return failed(path, "timeout", late(options)),
                Err(NoRow::Memory) => return failed(path, "memory", memory(options)),
                Err(NoRow::Lost(how)) => lost = Some(how),
            }
        }
        let how = lost.unwrap_or_default();
        let text = format!("the analysis of this dump {how}, twice; this is a bug in dumpscope");
        failed(path, "signal", text)
    }
}

fn start(options: &TriageOptions) -> std::io::Result<Process> {
    match &options.workers {
        Some(workers) => Process::start(options, workers),
        None => Err(std::io::ErrorKind::NotFound.into()),
    }
}

/// A system that denies processes: the dump is analyzed here, and the row says so.
fn without_worker(why: &std::io::Error, path: &Path, options: &TriageOptions) -> DumpRow {
    let mut row = one::triage_file(0, path, options, &|_| {});
    let text = format!("no worker process could be started ({why}): this dump was analyzed without limits");
    if row.error.is_none() {
        row.warnings.get_or_insert_default().push(escape(&text).into_owned());
    }
    row
}

fn failed(path: &Path, kind: &str, text: String) -> DumpRow {
    let error = ErrorRow { kind: kind.into(), message: escape(&text).into_owned() };
    DumpRow::failed(path.to_string_lossy(), error)
}

fn late(options: &TriageOptions) -> String {
    match options.budget {
        Some(budget) => format!("no answer in {} s and a little more (--budget)", budget.as_secs_f64()),
        // Without a budget there is a limit for the start alone.
        None => "the worker process did not begin".into(),
    }
}

fn memory(options: &TriageOptions) -> String {
    match options.workers.as_ref().and_then(|w| w.memory) {
        Some(bytes) => format!("the analysis wanted more than {} MiB of memory (--memory)", bytes >> 20),
        None => "the analysis wanted more memory than the system gives".into(),
    }
}
