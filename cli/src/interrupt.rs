//! Ctrl+C: asks the work to stop, and ends the program when it does not, or when it is pressed once more. While an answer is
//! written nothing but that ends it: half a document helps nobody, and who reads slowly gets all of it.

use dumpscope_analyzers::Cancel;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the work may take to stop by itself.
const PATIENCE: Duration = Duration::from_millis(300);

/// What is being written now.
static WRITING: AtomicU64 = AtomicU64::new(0);
/// What was begun to be written since the program started.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// An answer that is being written, until this is dropped.
#[derive(Debug)]
pub(crate) struct Writing(());

impl Writing {
    /// From now on.
    pub(crate) fn begin() -> Writing {
        WRITTEN.fetch_add(1, Ordering::SeqCst);
        WRITING.fetch_add(1, Ordering::SeqCst);
        Writing(())
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        WRITING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A place for answers: who reads them may be slow.
#[derive(Debug)]
pub(crate) struct Answers<W: Write>(pub(crate) W);

impl<W: Write> Write for Answers<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _writing = Writing::begin();
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        let _writing = Writing::begin();
        self.0.flush()
    }
}

/// A request that Ctrl+C (and a polite end from outside) sets.
pub(crate) fn on_interrupt() -> Cancel {
    let cancel = Cancel::default();
    let shared = cancel.clone();
    // A second handler, or a system without signals: then Ctrl+C simply ends the program.
    let _ = ctrlc::set_handler(move || {
        if shared.is_cancelled() {
            std::process::exit(crate::Exit::Interrupted as i32);
        }
        shared.cancel();
        let _ = std::thread::Builder::new().spawn(|| {
            loop {
                let written = WRITTEN.load(Ordering::SeqCst);
                std::thread::sleep(PATIENCE);
                // Between two parts of an answer nothing is written for a moment, too.
                if WRITING.load(Ordering::SeqCst) == 0 && WRITTEN.load(Ordering::SeqCst) == written {
                    leave("stopped", crate::Exit::Interrupted);
                }
            }
        });
    });
    cancel
}

/// Ends the program when work that has a time limit does not stop by itself.
pub(crate) fn end_after(limit: Duration) {
    let _ = std::thread::Builder::new().spawn(move || {
        std::thread::sleep(limit);
        leave("the time budget was used up (--budget)", crate::Exit::BadDump);
    });
}

/// Leaves at once. What was printed and not yet written is lost: who holds it does not answer.
fn leave(why: &str, exit: crate::Exit) {
    let _ = writeln!(std::io::stderr(), "dumpscope: {why}");
    std::process::exit(exit as i32);
}
