//! `!runaway` and `.ttime`: times of threads.

use super::missing;
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, Link, RenderCx, Role, Sink, Span};
use crate::fmt;
use crate::session::{Layout, Session};
use dumpscope_analyzers::runaway::{By, ThreadTimes, sort, thread_times};
use dumpscope_core::ThreadIdx;
use serde::Serialize;

pub(crate) const RUNAWAY: Command = Command {
    name: "!runaway",
    group: "threads",
    syntax: "!runaway [flags]",
    summary: "Shows how much processor time each thread used",
    help: "Flags add up: 1 user mode time (the default), 2 kernel mode time, 4 time since the thread was created. The \
           thread with the most time comes first. Much time says that a thread worked, not that it works now: look at its \
           stack.",
    examples: &[("!runaway", "User mode times"), ("!runaway 7", "User, kernel and elapsed times")],
    needs: &[Needs::ThreadTimes],
    run: run_runaway,
    ..Command::BASE
};

pub(crate) const TTIME: Command = Command {
    name: ".ttime",
    group: "threads",
    syntax: ".ttime",
    summary: "Shows when the current thread was created and how much processor time it used",
    help: "The time of creation is shown in the time zone of the dump's machine.",
    examples: &[(".ttime", "The current thread's times"), ("~0 .ttime", "Thread 0's times")],
    needs: &[Needs::ThreadTimes],
    run: run_ttime,
    ..Command::BASE
};

/// A thread's time in 100 ns and milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct TimeRow {
    index: u32,
    tid: u32,
    ms: Option<u64>,
    #[serde(skip)]
    ticks: Option<u64>,
}

/// One of the three tables.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Section {
    /// `user`, `kernel` or `elapsed`.
    time: &'static str,
    #[serde(skip)]
    title: &'static str,
    threads: Vec<TimeRow>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct RunawayReport {
    sections: Vec<Section>,
}

impl RunawayReport {
    fn new(times: &[ThreadTimes], flags: u64) -> RunawayReport {
        type Pick = fn(&ThreadTimes) -> Option<u64>;
        let kinds: [(u64, &str, &str, By, Pick); 3] = [
            (1, "user", " User Mode Time", By::User, |t| t.user),
            (2, "kernel", " Kernel Mode Time", By::Kernel, |t| t.kernel),
            (4, "elapsed", " Elapsed Time", By::Elapsed, |t| t.elapsed),
        ];
        let sections =
            kinds.into_iter().filter(|(bit, ..)| flags & bit != 0).map(|(_, time, title, by, pick)| {
                let mut sorted = times.to_vec();
                sort(&mut sorted, by);
                let row = |t: &ThreadTimes| {
                    let ticks = pick(t);
                    TimeRow { index: t.index.0, tid: t.tid.0, ms: ticks.map(|t| t / 10_000), ticks }
                };
                Section { time, title, threads: sorted.iter().map(row).collect() }
            });
        RunawayReport { sections: sections.collect() }
    }
}

impl Answer for RunawayReport {
    const KIND: &'static str = "runaway";

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let width = if cx.layout == Layout::Modern { 5 } else { 4 };
        for section in &self.sections {
            emit(Line::new().role(Role::Heading, section.title));
            emit(Line::new().role(Role::Heading, "  Thread       Time"));
            for row in &section.threads {
                let thread = Span::new(Role::Thread, format!("{:>width$}:{:x}", row.index, row.tid));
                // The time starts in column 15 in both layouts.
                let pad = 15usize.saturating_sub(thread.text.len()).max(1);
                let time = row.ticks.map_or_else(|| "not known".into(), fmt::duration);
                emit(
                    Line::new()
                        .span(thread.link(Link::Thread(ThreadIdx(row.index))))
                        .text(" ".repeat(pad))
                        .role(Role::Value, time),
                );
            }
        }
    }
}

fn run_runaway(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let flags = args.opt_expr(session)?.unwrap_or(1);
    args.end()?;
    let Some(times) = thread_times(session.dump()) else {
        return Err(CommandError::extension(
            "!runaway",
            0x8000_4002,
            "Unable to get thread times - dumps may not have time information",
            Some(missing::THREAD_TIMES),
        ));
    };
    session.emit(sink, &RunawayReport::new(&times, flags))
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct TtimeReport {
    index: u32,
    tid: u32,
    /// As WinDbg writes it.
    created: String,
    kernel_ms: u64,
    user_ms: u64,
    #[serde(skip)]
    kernel: u64,
    #[serde(skip)]
    user: u64,
}

impl Answer for TtimeReport {
    const KIND: &'static str = "thread_time";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::plain(format!("Created: {}", self.created)));
        emit(Line::plain(format!("Kernel:  {}", fmt::duration(self.kernel))));
        emit(Line::plain(format!("User:    {}", fmt::duration(self.user))));
    }
}

fn run_ttime(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    inv.cursor().end()?;
    let dump = session.dump();
    let thread = session.sel.thread.and_then(|t| dump.thread(t));
    let Some(thread) = thread else {
        return Err(CommandError::caret(0, "Illegal thread error"));
    };
    let readable = |info: &&dumpscope_core::stream::thread_info::ThreadInfo| {
        dumpscope_analyzers::runaway::of_info(info, dump.time()).is_some()
    };
    let Some(info) = thread.info.as_ref().filter(readable) else {
        return Err(CommandError::noted("Unable to get thread times, 0x80004002", missing::THREAD_TIMES));
    };
    let report = TtimeReport {
        index: thread.index.0,
        tid: thread.tid.0,
        created: fmt::time_zone(info.create_time, super::target_info::utc_bias(session)),
        kernel_ms: info.kernel_time / 10_000,
        user_ms: info.user_time / 10_000,
        kernel: info.kernel_time,
        user: info.user_time,
    };
    session.emit(sink, &report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dumpscope_core::Tid;

    fn times() -> Vec<ThreadTimes> {
        let t = |i, tid, user, kernel, elapsed| ThreadTimes {
            index: ThreadIdx(i),
            tid: Tid(tid),
            user: Some(user),
            kernel: Some(kernel),
            elapsed,
        };
        vec![
            t(1, 0x94, 780_000, 310_000, Some(107_334_120_000)),
            t(0, 0x734, 12_118_430_000, 7_994_370_000, Some(107_334_430_000)),
        ]
    }

    fn text(flags: u64, layout: Layout) -> String {
        let mut out = String::new();
        let cx = RenderCx { layout, wide: false };
        RunawayReport::new(&times(), flags).lines(&cx, &mut |l| out.push_str(&(l.to_text() + "\n")));
        out
    }

    #[test]
    fn article() {
        assert_eq!(
            text(7, Layout::Classic),
            " User Mode Time\n  Thread       Time\n   0:734       0 days 0:20:11.843\n   1:94        0 days 0:00:00.078\n \
             Kernel Mode Time\n  Thread       Time\n   0:734       0 days 0:13:19.437\n   1:94        0 days 0:00:00.031\n \
             Elapsed Time\n  Thread       Time\n   0:734       0 days 2:58:53.443\n   1:94        0 days 2:58:53.412\n"
        );
    }

    #[test]
    fn modern_and_unknown() {
        assert!(text(1, Layout::Modern).contains("\n    0:734      0 days 0:20:11.843\n"));
        assert_eq!(text(0, Layout::Classic), "");
        let mut unknown = times();
        unknown[0].elapsed = None;
        let json = crate::doc::Report::json(&RunawayReport::new(&unknown, 4));
        assert_eq!(json["sections"][0]["threads"][1]["ms"], serde_json::Value::Null);
    }
}
