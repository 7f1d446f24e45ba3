//! Ctrl+C: asks the work to stop, and ends the program when it does not, or when it is pressed once more.

use dumpscope_analyzers::Cancel;
use std::io::Write;
use std::time::Duration;

/// What the work may take to stop by itself.
const PATIENCE: Duration = Duration::from_millis(300);

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
            std::thread::sleep(PATIENCE);
            leave("stopped", crate::Exit::Interrupted);
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
