//! The thread list as a report.

use crate::doc::{Answer, Line, Link, Part, RenderCx, Report, Role, Span};
use crate::fmt::{self, Hex};
use crate::session::Layout;
use dumpscope_core::{ThreadIdx, Va};
use serde::Serialize;

/// One thread.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ThreadRow {
    /// The debugger's number.
    pub(crate) index: u32,
    /// Process id; null when the dump does not say.
    pub(crate) pid: Option<u32>,
    /// System thread id.
    pub(crate) tid: u32,
    /// The selected one.
    pub(crate) current: bool,
    /// The one of the exception (or, without one, the first).
    pub(crate) event: bool,
    /// Suspend count.
    pub(crate) suspend: i32,
    /// Address of the TEB in the effective machine's view.
    pub(crate) teb: Option<Hex>,
    /// Name given by the program. Untrusted.
    pub(crate) name: Option<String>,
    /// Priority.
    pub(crate) priority: i32,
    /// Priority class.
    pub(crate) priority_class: u32,
    /// Affinity mask; null without thread information.
    pub(crate) affinity: Option<Hex>,
    /// Start address; null without thread information.
    pub(crate) start: Option<Hex>,
    /// `module!function+0x…` of the start address. Untrusted.
    pub(crate) start_symbol: Option<String>,
}

impl ThreadRow {
    /// `.  0  Id: 90c.734 Suspend: 0 Teb: 7ffdd000 Unfrozen "name"`.
    pub(crate) fn status(&self, wide: bool) -> Line {
        // The selected one wins over the event's.
        let mark = match (self.current, self.event) {
            (true, _) => ".",
            (_, true) => "#",
            _ => " ",
        };
        let number =
            Span::new(Role::Thread, format!("{:>3}", self.index)).link(Link::Thread(ThreadIdx(self.index)));
        let mut line = Line::new()
            .text(mark)
            .span(number)
            .text("  Id: ")
            .role(Role::Thread, format!("{:x}.{:x}", self.pid.unwrap_or(0), self.tid))
            .text(" ")
            .span(Span::new(Role::Plain, format!("Suspend: {} Teb: ", self.suspend)).part(Part::State))
            .span(fmt::addr_span(Va(self.teb.unwrap_or_default().0), wide))
            .text(" Unfrozen");
        if let Some(name) = &self.name {
            line = line.text(" \"").span(Span::untrusted(Role::Text, name)).text("\"");
        }
        line
    }

    /// The lines that `~.` and `~*` add.
    pub(crate) fn details(&self, wide: bool, modern: bool, emit: &mut dyn FnMut(Line)) {
        if let Some(start) = self.start {
            let start = Va(start.0);
            let mut line = Line::new().text("      Start: ");
            line = match &self.start_symbol {
                Some(name) => line
                    .span(Span::untrusted(Role::Symbol, name).link(Link::Goto(start)))
                    .text(" (")
                    .span(fmt::addr_span(start, wide))
                    .text(")"),
                None => line.span(fmt::addr_span(start, wide)),
            };
            emit(line);
        }
        let mut text = format!("      Priority: {}", self.priority);
        if self.priority_class != 0 || !modern {
            text.push_str(&format!("  Priority class: {}", self.priority_class));
        }
        if let Some(affinity) = self.affinity {
            text.push_str(&format!("  Affinity: {:x}", affinity.0));
        }
        emit(Line::plain(text));
    }
}

/// The answer of `~`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ThreadsReport {
    /// In the debugger's order.
    pub(crate) threads: Vec<ThreadRow>,
    /// With start address and priority (`~*`, `~.`, `~3`).
    #[serde(skip)]
    pub(crate) details: bool,
    /// 64-bit view.
    #[serde(skip)]
    pub(crate) wide: bool,
}

impl Answer for ThreadsReport {
    const KIND: &'static str = "threads";

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for row in &self.threads {
            emit(row.status(self.wide));
            if self.details {
                row.details(self.wide, cx.layout == Layout::Modern, emit);
            }
        }
    }
}

/// The empty line and the status line that `~*k` puts before each thread's stack.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ThreadHeader {
    pub(crate) row: ThreadRow,
    pub(crate) wide: bool,
    /// With the lines of `~*` (`!uniqstack`).
    pub(crate) details: bool,
}

impl Report for ThreadHeader {
    fn kind(&self) -> &'static str {
        "thread"
    }

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::new());
        emit(self.row.status(self.wide));
        if self.details {
            self.row.details(self.wide, cx.layout == Layout::Modern, emit);
        }
    }

    fn json(&self) -> serde_json::Value {
        serde_json::to_value(&self.row).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(index: u32, tid: u32, teb: u64) -> ThreadRow {
        ThreadRow {
            index,
            pid: Some(0x1dd0),
            tid,
            current: index == 0,
            event: index == 0,
            suspend: 0,
            teb: Some(Hex(teb)),
            name: None,
            priority: 0,
            priority_class: 32,
            affinity: None,
            start: None,
            start_symbol: None,
        }
    }

    fn text(report: &dyn Report) -> Vec<String> {
        let mut out = vec![];
        report.lines(&RenderCx { layout: Layout::Classic, wide: false }, &mut |l| out.push(l.to_text()));
        out
    }

    #[test]
    fn article_list() {
        let threads = vec![
            row(0, 0x9b4, 0x7f3b_e000),
            row(1, 0x2c64, 0x7f3b_b000),
            row(2, 0x3148, 0x7f28_9000),
            row(3, 0x293c, 0x7f28_f000),
        ];
        assert_eq!(
            text(&ThreadsReport { threads, details: false, wide: false }),
            [
                ".  0  Id: 1dd0.9b4 Suspend: 0 Teb: 7f3be000 Unfrozen",
                "   1  Id: 1dd0.2c64 Suspend: 0 Teb: 7f3bb000 Unfrozen",
                "   2  Id: 1dd0.3148 Suspend: 0 Teb: 7f289000 Unfrozen",
                "   3  Id: 1dd0.293c Suspend: 0 Teb: 7f28f000 Unfrozen",
            ]
        );
    }

    #[test]
    fn details_names_and_marks() {
        let mut r = row(1, 0x31fc, 0x4e_3b1b_e000);
        r.event = true;
        r.suspend = -1;
        r.name = Some("wor\u{7}ker".into());
        r.start = Some(Hex(0x7ff6_1e22_5050));
        r.start_symbol = Some("app!wmainCRTStartup".into());
        r.affinity = Some(Hex(0xff_ffff));
        assert_eq!(
            text(&ThreadsReport { threads: vec![r.clone()], details: true, wide: true }),
            [
                "#  1  Id: 1dd0.31fc Suspend: -1 Teb: 0000004e`3b1be000 Unfrozen \"wor\\x07ker\"",
                "      Start: app!wmainCRTStartup (00007ff6`1e225050)",
                "      Priority: 0  Priority class: 32  Affinity: ffffff",
            ]
        );
        assert_eq!(text(&ThreadHeader { row: r.clone(), wide: true, details: false })[0], "");
        let json = ThreadsReport { threads: vec![r], details: false, wide: true }.json();
        assert_eq!(json["threads"][0]["teb"], "0x4e3b1be000");
        assert_eq!(json["threads"][0]["tid"], 0x31fc);
    }
}
