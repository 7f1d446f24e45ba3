//! Ctrl+C: the first one asks the work to stop, the second one ends the program.

use dumpscope_analyzers::Cancel;

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
    });
    cancel
}
