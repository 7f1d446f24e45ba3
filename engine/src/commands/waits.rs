//! `!waits`: what each thread waits for, and whom.

use super::which::Which;
use crate::batch::rows;
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, Link, RenderCx, Role, Sink, Span};
use crate::lang::Cursor;
use crate::session::Session;
use dumpscope_analyzers::model::{Confidence, Kind, ThreadFacts};
use dumpscope_core::ThreadIdx;
use dumpscope_core::base::text::escape;
use serde::Serialize;

pub(crate) const WAITS: Command = Command {
    name: "!waits",
    group: "locks",
    syntax: "!waits [-v] [~thread | tid]",
    summary: "Shows what each thread waits for, and whom",
    help: "One line for each thread: its number and id, what it does, and in brackets how sure that is (`proven`, `strong`, \
           `guess`). `-v` adds what it rests on. `~1`, `~~[1c4]` or `1c4`, a thread's id, shows one thread, and so does a \
           prefix (`~1 !waits`). Locks that no thread is named as the owner of follow, with all threads that wait for them.",
    examples: &[
        ("!waits", "All threads"),
        ("!waits -v", "With what it rests on"),
        ("!waits ~0", "One thread"),
        ("~0 !waits -v", "The same, with what it rests on"),
    ],
    needs: &[Needs::Threads],
    run,
    ..Command::BASE
};

#[derive(Clone, Debug, Serialize)]
struct WaitLine {
    index: u32,
    tid: u32,
    activity: Option<String>,
    wait: Option<crate::document::WaitRow>,
    dll_main: Option<crate::document::DllMainRow>,
    evidence: Vec<String>,
    #[serde(skip)]
    sure: Option<&'static str>,
}

/// A lock that does not name its owner.
#[derive(Clone, Debug, Serialize)]
struct Group {
    address: crate::fmt::Hex,
    name: Option<String>,
    kind: &'static str,
    owner_tid: Option<u32>,
    waiters: Vec<u32>,
}

#[derive(Clone, Debug, Serialize)]
struct WaitsReport {
    threads: Vec<WaitLine>,
    groups: Vec<Group>,
    #[serde(skip)]
    detail: bool,
}

impl Answer for WaitsReport {
    const KIND: &'static str = "waits";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for t in &self.threads {
            let id = Span::new(Role::Thread, format!("{:>4}:{:<6x}", t.index, t.tid));
            let does = t.activity.as_deref().unwrap_or("is doing something unknown");
            let sure = t.sure.map(|s| format!(" [{s}]")).unwrap_or_default();
            emit(
                Line::new().span(id.link(Link::Thread(ThreadIdx(t.index)))).text(does).role(Role::Dim, sure),
            );
            for e in t.evidence.iter().filter(|_| self.detail) {
                emit(Line::new().role(Role::Dim, format!("             {e}")));
            }
        }
        for g in &self.groups {
            let name = g.name.as_ref().map(|n| format!(" ({n})")).unwrap_or_default();
            let list: Vec<String> = g.waiters.iter().map(|t| format!("{t:x}")).collect();
            let n = g.waiters.len();
            emit(Line::plain(format!(
                "{n} threads wait for {} at {:x}{name}: {}",
                g.kind,
                g.address.0,
                list.join(", ")
            )));
        }
    }
}

/// How sure what is said of a thread is: the least sure part counts.
fn sure(t: &ThreadFacts) -> Option<&'static str> {
    let parts = t.wait.iter().map(|w| w.confidence).chain(t.dll_main.iter().map(|d| d.confidence));
    parts.min().map(Confidence::name)
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let mut detail = false;
    let mut switches = |args: &mut Cursor<'_>| {
        while let Some(switch) = args.switch() {
            if switch != "v" {
                return Err(args.syntax_error());
            }
            detail = true;
        }
        Ok(())
    };
    switches(&mut args)?;
    let which = Which::of(session, inv, &mut args)?;
    switches(&mut args)?;
    args.end()?;
    let Some(only) = which.only() else { return Ok(()) };
    let facts = session.target.facts(&session.cancel);
    let safe = |s: &String| escape(s).into_owned();
    let threads = facts
        .threads
        .iter()
        .filter(|t| only.is_none_or(|i| i == t.index))
        .map(|t| WaitLine {
            index: t.index.0,
            tid: t.tid.0,
            activity: t.activity.as_ref().map(|a| safe(&a.text)),
            wait: t.wait.as_ref().map(rows::wait),
            dll_main: t.dll_main.as_ref().map(rows::dll_main),
            evidence: t
                .dll_main
                .iter()
                .flat_map(|d| &d.evidence)
                .chain(t.wait.iter().flat_map(|w| &w.evidence))
                .map(safe)
                .collect(),
            sure: sure(t),
        })
        .collect();
    // One thread alone is told by its own line.
    let several = facts.locks.slim.iter().filter(|l| l.waiters.len() > 1 && only.is_none());
    let groups = several
        .map(|l| Group {
            address: l.address.into(),
            name: session
                .target
                .symbols
                .format(l.address, session.target.process_machine())
                .as_ref()
                .map(safe),
            kind: group_kind(l.kind),
            owner_tid: l.owner.map(|t| t.0),
            waiters: l.waiters.iter().map(|t| t.0).collect(),
        })
        .collect();
    session.emit(sink, &WaitsReport { threads, groups, detail })
}

fn group_kind(kind: Kind) -> &'static str {
    match kind {
        Kind::SrwLock => "the slim reader-writer lock",
        Kind::ConditionVariable => "the condition variable",
        Kind::Address => "the value",
        _ => "the one-time initialization or keyed event",
    }
}
