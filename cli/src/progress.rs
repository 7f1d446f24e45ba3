//! Progress on stderr, for work that takes longer than a second and only on a terminal.

use crate::console::Console;
use dumpscope_engine::batch::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Work that is done sooner shows nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bar that appears after a while. Does nothing where stderr is no terminal.
#[derive(Debug)]
pub(crate) struct Bar {
    started: Instant,
    wanted: bool,
    template: &'static str,
    total: u64,
    bar: OnceLock<ProgressBar>,
}

impl Bar {
    /// For `total` dumps.
    pub(crate) fn dumps(total: usize, console: &Console) -> Bar {
        Bar::new("{bar:30} {pos}/{len} dumps {elapsed} {msg}", total as u64, console)
    }

    /// For the bytes of a packed file.
    pub(crate) fn bytes(console: &Console) -> Bar {
        Bar::new("{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}", 0, console)
    }

    fn new(template: &'static str, total: u64, console: &Console) -> Bar {
        Bar { started: Instant::now(), wanted: !console.is_quiet(), template, total, bar: OnceLock::new() }
    }

    /// The bar, once the work has taken long enough.
    fn shown(&self) -> Option<&ProgressBar> {
        if !self.wanted || self.started.elapsed() < PATIENCE {
            return self.bar.get();
        }
        Some(self.bar.get_or_init(|| {
            // Hidden by itself where stderr is no terminal.
            let bar = ProgressBar::with_draw_target(Some(self.total), ProgressDrawTarget::stderr());
            bar.set_style(
                ProgressStyle::with_template(self.template).unwrap_or(ProgressStyle::default_bar()),
            );
            bar
        }))
    }

    /// Takes a note of a batch.
    pub(crate) fn dump(&self, progress: &Progress, finished: u64) {
        let Some(bar) = self.shown() else { return };
        match progress {
            Progress::Unpacking { done, total, .. } => {
                let percent = done.saturating_mul(100).checked_div(*total).unwrap_or(0);
                bar.set_message(format!("unpacking {percent} %"));
            }
            Progress::Download { file, done, .. } => {
                let file = dumpscope_core::base::text::escape(file);
                bar.set_message(format!("{file}: {} KiB", done >> 10));
            }
            Progress::Finished { .. } => {
                bar.set_position(finished);
                bar.set_message("");
            }
            _ => {}
        }
    }

    /// Takes a note of some work; `total` 0: nobody knows how much it is.
    pub(crate) fn work(&self, what: &'static str, done: u64, total: u64) {
        if let Some(bar) = self.shown() {
            bar.set_length(total);
            bar.set_position(done);
            bar.set_message(what);
        }
    }

    /// Runs something that writes to stderr while the bar is out of the way.
    pub(crate) fn hide_while(&self, write: impl FnOnce()) {
        match self.bar.get() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Removes it.
    pub(crate) fn clear(&self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}
