//! Standard output and standard error.

use crate::args::{ColorArg, CommonArgs};
use crate::interrupt::Answers;
use dumpscope_engine::Guarded;
use std::io::{self, BufWriter, IsTerminal, Write};

/// Where the program's words go.
#[derive(Debug)]
pub(crate) struct Console {
    color: bool,
    quiet: bool,
    /// The program's own name in front of its messages.
    name: &'static str,
}

impl Console {
    pub(crate) fn new(common: &CommonArgs) -> Console {
        let color = match common.color {
            ColorArg::Always => true,
            ColorArg::Never => false,
            ColorArg::Auto => io::stdout().is_terminal() && terminal_wants_color(),
        };
        if color {
            // Old Windows consoles interpret colours only when asked to; where that fails they show the codes.
            let _ = anstyle_query::windows::enable_ansi_colors();
        }
        Console { color, quiet: common.quiet, name: "dumpscope" }
    }

    /// Whether stdout gets colours.
    pub(crate) fn color(&self) -> bool {
        self.color
    }

    /// True without notes and progress.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Standard output, buffered: flush it, and treat an error of that as one of writing.
    pub(crate) fn out(&self) -> BufWriter<Answers<io::StdoutLock<'static>>> {
        BufWriter::with_capacity(64 * 1024, Answers(io::stdout().lock()))
    }

    /// One line on stderr, unless notes are unwanted.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.error(&format!("note: {text}"));
        }
    }

    /// One line on stderr.
    pub(crate) fn error(&self, text: &str) {
        // Nothing can be told when stderr itself is closed.
        let _ = writeln!(io::stderr(), "{}: {}", self.name, one_line(text));
    }
}

/// A message is one line, and a path in it cannot send control sequences.
fn one_line(text: &str) -> String {
    let text = dumpscope_core::base::text::escape(&text.replace(['\n', '\r'], " ")).into_owned();
    // Build servers read stderr, too.
    let mut out = Vec::new();
    let written = Guarded::inside(&mut out).write_all(text.as_bytes());
    match written {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        Err(_) => String::new(),
    }
}

/// `NO_COLOR` (any value but the empty one) and dumb terminals: see no-color.org.
fn terminal_wants_color() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|t| t != "dumb")
}

/// True when an error is, at its root, a reader that went away.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|e| e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_one_harmless_line() {
        assert_eq!(one_line("a\nb\u{1b}[31m"), "a b\\x1b[31m");
        assert_eq!(one_line("##vso[task.x].dmp"), "##vso\\x5btask.x].dmp");
    }

    #[test]
    fn broken_pipes_are_found_below_other_errors() {
        let pipe = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("writing");
        assert!(is_broken_pipe(&pipe));
        assert!(!is_broken_pipe(&anyhow::anyhow!("no")));
    }
}
