//! Output of commands as text.

use crate::command::CommandError;
use crate::doc::{RenderCx, Report, Sink};
use crate::run::run_captured;
use crate::session::Session;
use std::ops::ControlFlow;

/// Most text that is kept, bytes.
const MAX_TEXT: usize = 16 << 20;

#[derive(Default)]
struct Capture {
    text: String,
    /// A command gave an error.
    failed: bool,
}

impl Sink for Capture {
    fn report(&mut self, report: &dyn Report, cx: &RenderCx) -> ControlFlow<()> {
        self.failed |= report.kind() == "error";
        report.lines(cx, &mut |line| {
            if self.text.len() < MAX_TEXT {
                self.text.push_str(line.to_text().trim_end());
                self.text.push('\n');
            }
        });
        ControlFlow::Continue(())
    }
}

/// Runs commands and gives what they print, errors included.
pub(super) fn output_of(session: &mut Session, commands: &str) -> Result<String, CommandError> {
    let mut sink = Capture::default();
    match run_captured(session, commands, &mut sink) {
        Ok(()) | Err(CommandError::Reported) => Ok(sink.text),
        Err(e) => Err(e),
    }
}

/// As [`output_of`]; nothing when a command failed.
pub(super) fn output_without_errors(session: &mut Session, commands: &str) -> Result<String, CommandError> {
    let mut sink = Capture::default();
    match run_captured(session, commands, &mut sink) {
        Ok(()) | Err(CommandError::Reported) if sink.failed => Ok(String::new()),
        Ok(()) | Err(CommandError::Reported) => Ok(sink.text),
        Err(e) => Err(e),
    }
}
