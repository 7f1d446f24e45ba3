//! `!waits`: what each thread waits for, and whom.

use crate::command::{Command, CommandError, Extent, Glued, Invocation, Needs};
use crate::doc::{Line, Link, RenderCx, Report, Role, Sink, Span};
use crate::session::Session;
use crate::triage::rows;
use dumpscope_analyzers::triage::{Confidence, Facts, ThreadFacts};
use dumpscope_analyzers::waits::Kind;
use dumpscope_core::base::text::escape;
use dumpscope_core::{ThreadIdx, Tid};
use dumpscope_symbols::Limits;
use serde::Serialize;

pub(crate) const WAITS: Command = Command {
    name: "!waits",
    aliases: &[],
    glued: Glued::Nothing,
    extent: Extent::Semicolon,
    group: "locks",
    syntax: "!waits [~thread | tid]",
    summary: "Shows what each thread waits for, and whom",
    help: "One line for each thread: its number and id, what it does, and in brackets how sure that is (`proven`, `strong`, \
           `guess`); `~1`, `~~[1c4]` or `1c4`, a thread's id, shows one thread. The lines below say what it rests on. Locks \
           that no thread is named as the owner of follow, with all threads that wait for them.",
    examples: &[("!waits", "All threads"), ("!waits ~0", "One thread")],
    needs: &[Needs::Threads],
    run,
};

#[derive(Clone, Debug, Serialize)]
struct WaitLine {
    index: u32,
    tid: u32,
    activity: Option<String>,
    wait: Option<crate::json::WaitRow>,
    dll_main: Option<crate::json::DllMainRow>,
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
}

impl Report for WaitsReport {
    fn kind(&self) -> &'static str {
        "waits"
    }

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for t in &self.threads {
            let id = Span::new(Role::Thread, format!("{:>4}:{:<6x}", t.index, t.tid));
            let does = t.activity.as_deref().unwrap_or("is doing something unknown");
            let sure = t.sure.map(|s| format!(" [{s}]")).unwrap_or_default();
            emit(
                Line::new().span(id.link(Link::Thread(ThreadIdx(t.index)))).text(does).role(Role::Dim, sure),
            );
            for e in &t.evidence {
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

    fn json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// How sure what is said of a thread is: the least sure part counts.
fn sure(t: &ThreadFacts) -> Option<&'static str> {
    let parts = t.wait.iter().map(|w| w.confidence).chain(t.dll_main.iter().map(|d| d.confidence));
    parts.min().map(Confidence::name)
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let only = match args.word() {
        None => None,
        Some(word) => {
            let id = word.strip_prefix("~~[").and_then(|w| w.strip_suffix(']'));
            // A bare word is an id, in hex as everywhere.
            let bare = word.chars().all(|c| c.is_ascii_hexdigit()) || word.starts_with("0x");
            let id = id.or_else(|| bare.then(|| word.strip_prefix("0x").unwrap_or(word)));
            let tid = id.and_then(|t| u32::from_str_radix(t, 16).ok()).map(Tid);
            let index = word.strip_prefix('~').and_then(|n| n.parse().ok()).map(ThreadIdx);
            let by_tid = tid.and_then(|t| session.dump().thread_by_tid(t)).map(|t| t.index);
            let found = by_tid.or(index).filter(|i| session.dump().threads().iter().any(|t| t.index == *i));
            match found {
                Some(i) => Some(i),
                None if id.is_some() || index.is_some() => {
                    let text = format!("There is no thread {}", escape(word));
                    let note = format!(
                        "A bare number is a thread's id, in hex; the thread with number {word} is ~{word}."
                    );
                    let number = bare && word.chars().all(|c| c.is_ascii_digit());
                    return Err(if number {
                        CommandError::noted(text, note)
                    } else {
                        CommandError::message(text)
                    });
                }
                None => return Err(args.syntax_error()),
            }
        }
    };
    args.end()?;
    let facts = Facts::gather(&session.target, &Limits::default(), &session.cancel);
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
    session.emit(sink, &WaitsReport { threads, groups })
}

fn group_kind(kind: Kind) -> &'static str {
    match kind {
        Kind::SrwLock => "the slim reader-writer lock",
        Kind::ConditionVariable => "the condition variable",
        Kind::Address => "the value",
        _ => "the one-time initialization or keyed event",
    }
}
