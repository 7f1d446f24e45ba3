//! `~`: threads.

pub(crate) mod report;
mod verbs;

use crate::command::{Command, CommandError, Glued, Invocation, Needs, SelKind};
use crate::doc::Sink;
use crate::fmt::Hex;
use crate::session::{Layout, Session};
use dumpscope_core::ThreadIdx;
use dumpscope_core::base::text::escape;
use dumpscope_core::model::Thread;
use report::{ThreadHeader, ThreadRow, ThreadsReport};

pub(crate) use verbs::{Verb, show_instruction, verb};

pub(crate) const THREADS: Command = Command {
    name: "~",
    glued: Glued::Anything,
    group: "threads",
    syntax: "~ | ~* | ~. | ~# | ~N | ~[expr] | ~~[tid] | ~N s | ~threads command | ~threads e commands",
    summary: "Lists threads, selects one, runs a command for threads",
    help: "`~` lists all threads, one line each: the debugger's number, process and thread id (hexadecimal), suspend count, \
           TEB, name. `.` marks the current thread, `#` the one of the exception.\n\n\
           `~*`, `~.` (current), `~#` (of the exception), `~N` (number N, decimal), `~[expr]` and `~~[tid]` (system id, \
           hexadecimal) also show start address and priority. Followed by a command they run it for these threads: `~*k`, \
           `~2r`. `~2s` makes a thread current. `~*e k; r` runs several commands for each thread.",
    examples: &[
        ("~", "Lists all threads"),
        ("~*", "Also with start address and priority"),
        ("~.", "The current thread"),
        ("~#", "The thread of the exception"),
        ("~0", "Thread number 0"),
        ("~0s", "Makes thread 0 current"),
        ("~*e ? @$tid", "Runs commands for each thread"),
    ],
    needs: &[Needs::Threads],
    run,
    ..Command::BASE
};

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let Some(sel) = inv.threads else {
        return Err(CommandError::caret(0, "Illegal thread error"));
    };
    let dump = session.dump();
    let threads = sel
        .threads
        .iter()
        .filter_map(|idx| dump.thread(*idx))
        .map(|t| thread_row(session, t, session.sel.thread))
        .collect::<Vec<_>>();
    if threads.is_empty() {
        return Err(CommandError::noted(
            "WARNING: The debugger does not have a current process or thread\nWARNING: Many commands will not work",
            "The dump has no threads.",
        ));
    }
    let details = sel.kind != SelKind::List;
    session.emit(sink, &ThreadsReport { threads, details, wide: session.render_cx().wide })
}

/// Everything `~` can show of a thread; `current` is the one with the `.`.
pub(crate) fn thread_row(session: &Session, t: &Thread, current: Option<ThreadIdx>) -> ThreadRow {
    let start = t.info.as_ref().map(|i| i.start_address).filter(|a| !a.is_null());
    ThreadRow {
        index: t.index.0,
        pid: session.dump().pid().map(|p| p.0),
        tid: t.tid.0,
        current: current == Some(t.index),
        event: session.event_thread() == Some(t.index),
        suspend: t.raw.suspend_count.cast_signed(),
        teb: (!t.raw.teb.is_null()).then(|| t.raw.teb.into()),
        name: t.name.as_deref().map(|n| escape(n).into_owned()),
        priority: t.raw.priority.cast_signed(),
        priority_class: t.raw.priority_class,
        affinity: t.info.as_ref().map(|i| Hex(i.affinity)),
        start: start.map(Hex::from),
        start_symbol: start.and_then(|a| session.name_of(a)).map(|n| escape(&n).into_owned()),
    }
}

/// For `~*k`: the empty line and the status line before the selected thread's output.
pub(crate) fn emit_header(
    session: &Session,
    inv: &Invocation<'_>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let Some(sel) = inv.threads.filter(|_| inv.wants_thread_header()) else { return Ok(()) };
    let Some(thread) = session.sel.thread.and_then(|t| session.dump().thread(t)) else {
        return Ok(());
    };
    // Today's engine marks the thread that it comes from: of all threads only the first can be that one.
    let modern = session.sel.layout == Layout::Modern && sel.kind == SelKind::All;
    let first = session.dump().threads().first().map(|t| t.index);
    let home = if modern && sel.home != first { None } else { sel.home };
    let row = thread_row(session, thread, home);
    session.emit(sink, &ThreadHeader { row, wide: session.render_cx().wide, details: false })
}
