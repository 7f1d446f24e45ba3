//! `!com`: COM calls of each thread.

use crate::command::{Command, CommandError, Extent, Glued, Invocation, Needs};
use crate::doc::{Line, Link, Message, RenderCx, Report, Role, Sink, Span};
use crate::json::ComCallRow;
use crate::session::Session;
use crate::triage::rows;
use dumpscope_analyzers::triage::Facts;
use dumpscope_analyzers::waits::{activation, apartment, incoming_call, outgoing_call};
use dumpscope_core::ThreadIdx;
use dumpscope_core::base::text::escape;
use dumpscope_symbols::Limits;
use serde::Serialize;

pub(crate) const COM: Command = Command {
    name: "!com",
    aliases: &[],
    glued: Glued::Nothing,
    extent: Extent::Semicolon,
    group: "locks",
    syntax: "!com",
    summary: "Shows the COM calls of each thread: apartment, server, interface, method, client",
    help: "For every thread with COM data or inside a COM call: its apartment, the call it makes (server process and thread, \
           interface pointer id, interface, method), the client it serves, the class it activates, and what each of these \
           rests on. A thread without COM data is left out.",
    examples: &[("!com", "All threads")],
    needs: &[Needs::Threads],
    run,
};

#[derive(Clone, Debug, Serialize)]
struct Row {
    index: u32,
    tid: u32,
    apartment: Option<&'static str>,
    /// The call that it waits for.
    call: Option<ComCallRow>,
    /// Its COM data name an outgoing call: process and thread.
    outgoing: Option<(u32, Option<u32>)>,
    client_pid: Option<u32>,
    activates: Option<String>,
    sentence: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct ComReport {
    threads: Vec<Row>,
}

impl Report for ComReport {
    fn kind(&self) -> &'static str {
        "com"
    }

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for t in &self.threads {
            let id = Span::new(Role::Thread, format!("{:>4}:{:<6x}", t.index, t.tid));
            let apartment = t.apartment.unwrap_or("-");
            let does = t.sentence.as_deref().unwrap_or("no call");
            emit(
                Line::new()
                    .span(id.link(Link::Thread(ThreadIdx(t.index))))
                    .text(format!("{apartment:5}{does}")),
            );
            let mut field = |name: &str, value: String| {
                emit(
                    Line::new()
                        .role(Role::Label, format!("             {name:<11}"))
                        .role(Role::Value, value),
                );
            };
            if let Some(c) = &t.call {
                let server = match (c.server_pid, c.server_tid) {
                    (Some(p), Some(t)) => format!("process {p:x}, thread {t:x}"),
                    (Some(p), None) => format!("process {p:x}"),
                    _ => "not known".into(),
                };
                field("server", server);
                if let Some(i) = &c.ipid {
                    field("ipid", i.clone());
                }
                if let Some(i) = &c.iid {
                    field(
                        "interface",
                        format!("{i} {}", c.interface.as_deref().unwrap_or("")).trim_end().into(),
                    );
                }
                if let Some(m) = c.method {
                    field("method", m.to_string());
                }
                let sure = serde_json::to_value(c.confidence).ok();
                field("confidence", sure.and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default());
                for e in &c.evidence {
                    emit(Line::new().role(Role::Dim, format!("             - {e}")));
                }
            } else if let Some((pid, tid)) = t.outgoing {
                let thread = tid.map(|t| format!(", thread {t:x}")).unwrap_or_default();
                field(
                    "server",
                    format!("process {pid:x}{thread} (by its COM data; it waits for something else)"),
                );
            }
            let mut field = |name: &str, value: String| {
                emit(
                    Line::new()
                        .role(Role::Label, format!("             {name:<11}"))
                        .role(Role::Value, value),
                );
            };
            if let Some(pid) = t.client_pid {
                field("client", format!("process {pid:x}"));
            }
            if let Some(class) = &t.activates {
                field("activates", class.clone());
            }
        }
    }

    fn json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    inv.cursor().end()?;
    let target = session.target.clone();
    let facts = Facts::gather(&target, &Limits::default(), &session.cancel);
    let machine = target.process_machine();
    let mut threads = Vec::new();
    for t in &facts.threads {
        let apartment = apartment(&target, t.tid, machine);
        let call = rows::com_call(t);
        if apartment.is_none() && call.is_none() {
            continue;
        }
        threads.push(Row {
            index: t.index.0,
            tid: t.tid.0,
            apartment: apartment.map(|a| a.name()),
            outgoing: outgoing_call(&target, t.tid, machine).map(|o| (o.pid.0, o.tid.map(|t| t.0))),
            client_pid: incoming_call(&target, t.tid, machine).map(|i| i.pid.0),
            activates: activation(&target, t.tid, machine).map(|g| format!("{{{g}}}")),
            sentence: t.activity.as_ref().map(|a| escape(&a.text).into_owned()),
            call,
        });
    }
    if threads.is_empty() {
        let text = Line::plain("No thread has COM data, and none is in a COM call.");
        return session.emit(sink, &Message(vec![text]));
    }
    session.emit(sink, &ComReport { threads })
}
