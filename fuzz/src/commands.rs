//! The command window: any text on a small dump.

use dumpscope_analyzers::Target;
use dumpscope_core::model::Dump;
use dumpscope_engine::doc::{RenderCx, Report};
use dumpscope_engine::{COMMANDS, Session, Sink, run_line};
use dumpscope_symbols::SymbolConfig;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

/// Renders every report in both forms and keeps nothing. Gives up after some output: loops of scripts are work.
pub(crate) struct Nothing {
    pub(crate) left: u32,
}

impl Sink for Nothing {
    fn report(&mut self, report: &dyn Report, cx: &RenderCx) -> ControlFlow<()> {
        let mut left = self.left;
        report.lines(cx, &mut |line| {
            left = left.saturating_sub(1);
            let text = line.to_text();
            assert!(
                !text.chars().any(|c| c != '\t' && dumpscope_core::base::text::is_unsafe(c)),
                "unsafe character in {text:?}"
            );
        });
        let _ = serde_json::to_string(&report.json());
        self.left = left;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn session(wide: bool) -> Option<Session> {
    static TARGETS: [OnceLock<Option<Arc<Target>>>; 2] = [OnceLock::new(), OnceLock::new()];
    let target = TARGETS[usize::from(wide)].get_or_init(|| {
        let (dump, _) =
            if wide { dumpscope_fixtures::small::x64_crash() } else { dumpscope_fixtures::small::x86() };
        let dump = Dump::from_bytes(dump.bytes()).ok()?;
        Some(Arc::new(Target::new(dump, SymbolConfig::default())))
    });
    Some(Session::new("fuzz.dmp".into(), target.clone()?))
}

/// Runs the bytes as a command line, on a 64-bit dump when the first byte is odd.
pub fn command_line(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let Some(mut session) = session(first & 1 == 1) else { return };
    // `.while (1)` is a loop that the user asked for, and stops.
    let soon = std::time::Instant::now() + std::time::Duration::from_millis(200);
    session.cancel = dumpscope_analyzers::Cancel::default().with_deadline(soon);
    let text = String::from_utf8_lossy(rest);
    run_line(&mut session, &text, &mut Nothing { left: 20_000 });
}

/// The examples of all commands.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for command in COMMANDS {
        for (example, _) in command.examples {
            for first in [b'0', b'1'] {
                out.push([&[first], example.as_bytes()].concat());
            }
        }
    }
    out
}
