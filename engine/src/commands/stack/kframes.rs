//! `.kframes`: how many frames `k` shows.

use crate::command::{Command, CommandError, Invocation};
use crate::doc::{Line, Message, RenderCx, Report, Sink};
use crate::session::{Layout, Session};

pub(crate) const KFRAMES: Command = Command {
    name: ".kframes",
    group: "stacks",
    syntax: ".kframes [frames]",
    summary: "Sets how many frames `k` shows without a count",
    help: "The number is hexadecimal; `0n1000` is decimal. Without a number the one in force is shown.",
    examples: &[(".kframes", "Shows the limit"), (".kframes 0n256", "Sets it")],
    run,
    ..Command::BASE
};

pub(crate) const INLINE: Command = Command {
    name: ".inline",
    group: "stacks",
    syntax: ".inline [0 | 1]",
    summary: "Says whether stacks show inlined calls",
    help: "Calls that the compiler inlined are rows of their own in `k`; `.inline 0` leaves them out, `.inline 1` shows \
           them again.",
    examples: &[(".inline", "Whether they are shown"), (".inline 1", "Shows them")],
    run: run_inline,
    ..Command::BASE
};

fn run_inline(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    if let Some(on) = args.opt_expr(session)? {
        session.sel.no_inlines = on == 0;
    }
    args.end()?;
    let word = if session.sel.no_inlines { "disabled" } else { "enabled" };
    let text = format!("Include inline function queries is \"{word}\".");
    session.emit(sink, &Message(vec![Line::plain(text)]))
}

struct Limit(usize);

impl Report for Limit {
    fn kind(&self) -> &'static str {
        "kframes"
    }

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::plain(format!("Default stack trace depth is 0n{} frames", self.0)));
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({ "frames": self.0 })
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    if let Some(n) = args.opt_expr(session)? {
        args.end()?;
        if n == 0 && session.sel.layout == Layout::Modern {
            let depth = session.sel.max_frames;
            let text =
                format!("Default stack trace depth can't be set to 0. Current value is 0n{depth} frames");
            return Err(CommandError::message(text));
        }
        session.sel.max_frames = usize::try_from(n.clamp(1, super::MAX_FRAMES)).unwrap_or(256);
    }
    session.emit(sink, &Limit(session.sel.max_frames))
}
