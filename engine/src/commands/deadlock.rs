//! `!deadlock`: threads that wait for each other in a circle, whatever they wait for.

use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, Link, RenderCx, Role, Sink, Span};
use crate::session::Session;
use dumpscope_analyzers::facts::Case;
use dumpscope_analyzers::model::{Confidence, FindingKind};
use dumpscope_analyzers::triage::run_rules;
use dumpscope_core::ThreadIdx;
use dumpscope_core::base::text::escape;
use serde::Serialize;

pub(crate) const DEADLOCK: Command = Command {
    name: "!deadlock",
    group: "locks",
    syntax: "!deadlock",
    summary: "Shows threads that wait for each other in a circle",
    help: "WinDbg's command of this name reads what Application Verifier or Driver Verifier recorded; this one follows what \
           threads wait for: critical sections, mutexes, threads, the loader, COM calls within the process. Each member of a \
           circle has its thread, what it waits for, and what that rests on.",
    examples: &[("!deadlock", "All circles")],
    needs: &[Needs::Threads, Needs::Memory],
    run,
    ..Command::BASE
};

#[derive(Clone, Debug, Serialize)]
struct Member {
    index: Option<u32>,
    tid: u32,
    waits_for: String,
    owner_tid: Option<u32>,
    evidence: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Circle {
    confidence: &'static str,
    members: Vec<Member>,
}

#[derive(Clone, Debug, Serialize)]
struct DeadlockReport {
    circles: Vec<Circle>,
    threads: usize,
}

impl Answer for DeadlockReport {
    const KIND: &'static str = "deadlock";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for (n, c) in self.circles.iter().enumerate() {
            if n > 0 {
                emit(Line::new());
            }
            let number = n.saturating_add(1);
            let head = format!("Deadlock {number}: {} threads wait for each other", c.members.len());
            emit(Line::new().role(Role::Error, head).role(Role::Dim, format!(" [{}]", c.confidence)));
            for m in &c.members {
                let index = m.index.map_or_else(|| "?".into(), |i| i.to_string());
                let mut id = Span::new(Role::Thread, format!("{index:>4}:{:<6x}", m.tid));
                if let Some(i) = m.index {
                    id = id.link(Link::Thread(ThreadIdx(i)));
                }
                emit(Line::new().span(id).text(m.waits_for.clone()));
                for e in &m.evidence {
                    emit(Line::new().role(Role::Dim, format!("             {e}")));
                }
            }
        }
        if self.circles.is_empty() {
            emit(Line::plain(format!("No circle among the waits of {} threads.", self.threads)));
        }
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    inv.cursor().end()?;
    let facts = session.target.facts(&session.cancel);
    let safe = |s: &String| escape(s).into_owned();
    let mut circles = Vec::new();
    for f in run_rules(&Case { target: &session.target, facts: &facts })
        .findings
        .iter()
        .filter(|f| f.kind == FindingKind::Deadlock)
    {
        let member = |tid: &dumpscope_core::Tid| {
            let thread = facts.thread(*tid);
            let wait = thread.and_then(|t| t.wait.as_ref());
            Member {
                index: thread.map(|t| t.index.0),
                tid: tid.0,
                waits_for: wait.map(|w| safe(&w.sentence)).unwrap_or_default(),
                owner_tid: wait.and_then(|w| w.owner_tid).map(|t| t.0),
                evidence: wait.iter().flat_map(|w| &w.evidence).map(safe).collect(),
            }
        };
        let confidence: Confidence = f.confidence;
        circles.push(Circle { confidence: confidence.name(), members: f.tids.iter().map(member).collect() });
    }
    session.emit(sink, &DeadlockReport { circles, threads: facts.threads.len() })
}
