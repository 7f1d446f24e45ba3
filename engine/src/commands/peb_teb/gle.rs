//! `!gle` and `!error`: error codes in words.

use crate::command::{Command, CommandError, Invocation, Needs};
use crate::commands::missing;
use crate::doc::{Answer, Line, RenderCx, Report, Role, Sink, Span};
use crate::fmt::Hex;
use crate::session::Session;
use crate::tables::{hresult, ntstatus, win32};
use dumpscope_core::ThreadIdx;
use serde::Serialize;

pub(crate) const GLE: Command = Command {
    name: "!gle",
    group: "threads",
    syntax: "!gle [-all]",
    summary: "Shows a thread's last error and last status",
    help: "What `GetLastError` would give on the current thread, and the last NTSTATUS. `-all` shows every thread's.",
    examples: &[("!gle", "The current thread's last error"), ("!gle -all", "Every thread's")],
    needs: &[Needs::Threads, Needs::Memory],
    run: run_gle,
    ..Command::BASE
};

pub(crate) const ERROR: Command = Command {
    name: "!error",
    group: "process",
    syntax: "!error value [flags]",
    summary: "Says what an error code means",
    help: "A value of 0x80000000 and more is an HRESULT when it is a known one, else an NTSTATUS; smaller ones are Win32 \
           errors. With flag 1 the value is an NTSTATUS in any case.",
    examples: &[
        ("!error 2", "A Win32 error"),
        ("!error c0000005", "An NTSTATUS"),
        ("!error 102 1", "A small value as an NTSTATUS"),
        ("!error 80070005", "An HRESULT"),
    ],
    run: run_error,
    ..Command::BASE
};

/// A code with its meaning.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Code {
    /// `Win32`, `NTSTATUS` or `HRESULT`.
    system: &'static str,
    code: Hex,
    /// Null when it is not in the table.
    text: Option<&'static str>,
}

impl Code {
    /// A Win32 error, or an HRESULT or NTSTATUS when it looks like one. A value that could be both is an HRESULT, as in
    /// WinDbg: `80000003` is `E_INVALIDARG` of old.
    pub(crate) fn any(code: u32) -> Code {
        let hresult = code & 0x8000_0000 != 0 && hresult::message(code).is_some();
        let win32 = code & 0x8000_0000 == 0 && (code >> 28 != 4 || win32::message(code).is_some());
        // The severities of an NTSTATUS: 4 information, 8 warning, c error.
        let status = code >> 28 == 0xc || ntstatus::message(code).is_some();
        if !hresult && !win32 && status { Code::status(code) } else { Code::win32(code) }
    }

    /// A Win32 error, or an HRESULT when it looks like one.
    pub(crate) fn win32(code: u32) -> Code {
        if code & 0x8000_0000 != 0 {
            return Code { system: "HRESULT", code: code.into(), text: hresult::message(code) };
        }
        Code { system: "Win32", code: code.into(), text: win32::message(code) }
    }

    /// An NTSTATUS.
    pub(crate) fn status(code: u32) -> Code {
        Code { system: "NTSTATUS", code: code.into(), text: ntstatus::message(code) }
    }

    /// `(Win32) 0x2 (2) - The system cannot find the file specified.`
    fn line(&self, label: &str) -> Line {
        let code = self.code.0;
        // As C's `%#x`: no prefix for 0. Only an NTSTATUS has no decimal form behind it.
        let hex = if code == 0 { "0".to_string() } else { format!("{code:#x}") };
        let number = match self.system {
            "NTSTATUS" => hex,
            _ => format!("{hex} ({code})"),
        };
        Line::new()
            .role(Role::Label, format!("{label}: "))
            .text(format!("({}) ", self.system))
            .role(Role::Value, number)
            .text(format!(" - {}", self.text.unwrap_or("<Unable to get error code text>")))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct LastErrors {
    thread: u32,
    last_error: Option<Code>,
    last_status: Option<Code>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct GleReport {
    threads: Vec<LastErrors>,
    #[serde(skip)]
    all: bool,
}

impl Answer for GleReport {
    const KIND: &'static str = "last_error";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for (i, t) in self.threads.iter().enumerate() {
            if self.all {
                if i > 0 {
                    emit(Line::new());
                }
                emit(Line::plain(format!("Last error for thread {:X}:", t.thread)));
            }
            let unreadable = |what: &str| {
                Line::new().span(Span::new(
                    Role::Error,
                    format!("Unable to read {what}, the TEB is not in the dump"),
                ))
            };
            emit(
                t.last_error.as_ref().map_or_else(|| unreadable("last error"), |c| c.line("LastErrorValue")),
            );
            emit(
                t.last_status
                    .as_ref()
                    .map_or_else(|| unreadable("last status"), |c| c.line("LastStatusValue")),
            );
        }
    }
}

fn last_errors(session: &Session, thread: ThreadIdx) -> Option<LastErrors> {
    // The program's own view: a 32-bit process keeps its last error in the 32-bit TEB.
    let machine = session.target.process_machine();
    let teb = session.dump().read_teb(thread, machine)?;
    Some(LastErrors {
        thread: thread.0,
        last_error: teb.last_error.map(Code::win32),
        last_status: teb.last_status.map(Code::status),
    })
}

fn run_gle(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let all = args.eat("-all") || args.eat("/all");
    args.end()?;
    let threads: Vec<LastErrors> = if all {
        session.dump().threads().iter().filter_map(|t| last_errors(session, t.index)).collect()
    } else {
        session.sel.thread.and_then(|t| last_errors(session, t)).into_iter().collect()
    };
    if threads.is_empty() {
        return Err(missing::process_data("Unable to read the current thread's last error"));
    }
    session.emit(sink, &GleReport { threads, all })
}

/// The answer of `!error`.
struct ErrorCode(Code);

impl Report for ErrorCode {
    fn kind(&self) -> &'static str {
        "error_code"
    }

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(self.0.line("Error code"));
    }

    fn json(&self) -> serde_json::Value {
        serde_json::to_value(&self.0).unwrap_or_default()
    }
}

fn run_error(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let value = args.expr(session)?;
    let flags = args.opt_expr(session)?.unwrap_or(0);
    args.end()?;
    let code = (value & 0xffff_ffff) as u32;
    let code = if flags & 1 != 0 { Code::status(code) } else { Code::any(code) };
    session.emit(sink, &ErrorCode(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let text = |c: Code| c.line("Error code").to_text();
        assert_eq!(
            text(Code::win32(2)),
            "Error code: (Win32) 0x2 (2) - The system cannot find the file specified."
        );
        assert_eq!(text(Code::win32(0)), "Error code: (Win32) 0 (0) - The operation completed successfully.");
        assert_eq!(
            text(Code::status(0xc000_0005)),
            "Error code: (NTSTATUS) 0xc0000005 - The instruction at 0x%p referenced memory at 0x%p. The memory could not be %s."
        );
        for (code, system) in [
            (5, "Win32"),
            (0x102, "Win32"),
            (0x4001_0005, "NTSTATUS"),
            (0x8000_0003, "HRESULT"),
            (0x8007_0005, "HRESULT"),
            (0xc000_0005, "NTSTATUS"),
            (0xc000_0374, "NTSTATUS"),
            (0xe06d_7363, "HRESULT"),
        ] {
            assert_eq!(Code::any(code).system, system, "{code:x}");
        }
        assert_eq!(
            text(Code::win32(0x8000_4002)),
            "Error code: (HRESULT) 0x80004002 (2147500034) - No such interface supported"
        );
        assert_eq!(
            text(Code::win32(0x123_4567)),
            "Error code: (Win32) 0x1234567 (19088743) - <Unable to get error code text>"
        );
    }
}
