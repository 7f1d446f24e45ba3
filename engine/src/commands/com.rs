//! `!com`: COM calls of each thread.

use super::which::Which;
use crate::batch::rows;
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, Link, Message, RenderCx, Role, Sink, Span};
use crate::document::{ArgRow, ComCallRow, IncomingCallRow};
use crate::session::Session;
use dumpscope_analyzers::hint_table::HintTable;
use dumpscope_analyzers::model::{Apartment, ThreadFacts};
use dumpscope_core::ThreadIdx;
use dumpscope_core::base::text::escape;
use serde::Serialize;

pub(crate) const COM: Command = Command {
    name: "!com",
    group: "locks",
    syntax: "!com [~thread | tid]",
    summary: "Shows the COM calls of each thread: apartment, server, interface, method, client",
    help: "First the apartments with their threads, then every thread with COM data or inside a COM call: its apartment, \
           the call it makes (server process and thread, interface, method, id of the interface pointer), the call it serves \
           (client process and thread, interface), the class it activates, and what each of these rests on. A thread \
           without COM data is left out. `~1`, `~~[1c4]` or `1c4`, a thread's id, shows one thread, and so does a prefix \
           (`~1 !com`).\n\n\
           Processes and threads are in hex. The causality id is the same in the caller's and in the server's dump. \
           `proven` means two independent sources, or an object whose event the thread waits for, and none that \
           contradicts; `strong` one source, or a contradiction; `guess` an object that may be old. Such an object names \
           no interface.",
    examples: &[("!com", "All threads"), ("!com ~0", "One thread")],
    needs: &[Needs::Threads],
    run,
    ..Command::BASE
};

#[derive(Clone, Debug, Serialize)]
struct Row {
    index: u32,
    tid: u32,
    apartment: Option<&'static str>,
    apartment_id: Option<u32>,
    /// The call that it waits for.
    call: Option<ComCallRow>,
    /// Its COM data name an outgoing call: process and thread.
    outgoing: Option<(u32, Option<u32>)>,
    client_pid: Option<u32>,
    /// The call that it serves.
    incoming: Option<IncomingCallRow>,
    activates: Option<String>,
    /// Name of the class that it activates.
    class: Option<String>,
    sentence: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct ComReport {
    threads: Vec<Row>,
    /// One thread alone: its apartment is in its own line.
    #[serde(skip)]
    one: bool,
}

/// `process 30c, thread 1a4`.
fn party(pid: Option<u32>, tid: Option<u32>) -> String {
    match (pid, tid) {
        (Some(p), Some(t)) => format!("process {p:x}, thread {t:x}"),
        (Some(p), None) => format!("process {p:x}"),
        (None, _) => "not known".into(),
    }
}

/// The lines of one thread below its first one.
struct Details<'a>(&'a mut dyn FnMut(Line));

impl Details<'_> {
    fn field(&mut self, name: &str, value: String) {
        (self.0)(Line::new().role(Role::Label, format!("             {name:<11} ")).role(Role::Value, value));
    }

    fn interface(
        &mut self,
        iid: Option<&String>,
        name: Option<&String>,
        method: (Option<u32>, Option<&String>),
    ) {
        let number = method.0.map(|m| format!("method {m}"));
        let called = method.1.map(|n| format!("({n})"));
        let parts: Vec<String> =
            [name.cloned(), iid.cloned(), number, called].into_iter().flatten().collect();
        if !parts.is_empty() {
            self.field("interface", parts.join(" "));
        }
    }

    fn arguments(&mut self, args: &[ArgRow]) {
        for a in args {
            let value = a.value.map(|v| format!(" = 0x{:x}", v.0)).unwrap_or_default();
            let hint = a.hint.as_deref().map(|h| format!("  {h}")).unwrap_or_default();
            self.field("argument", format!("{}{value}{hint}", a.name.as_deref().unwrap_or("?")));
        }
    }

    fn sure(&mut self, confidence: impl Serialize, evidence: &[String]) {
        let word = serde_json::to_value(confidence).ok();
        self.field("confidence", word.and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default());
        for e in evidence {
            (self.0)(Line::new().role(Role::Dim, format!("             - {e}")));
        }
    }

    fn ids(&mut self, ipid: Option<&String>, causality: Option<&String>) {
        if let Some(i) = ipid {
            self.field("ipid", i.clone());
        }
        if let Some(c) = causality {
            self.field("causality", c.clone());
        }
    }
}

impl Row {
    fn of(hints: &HintTable, t: &ThreadFacts) -> Option<Row> {
        let data = t.com.as_ref();
        let call = rows::com_call(t);
        if data.is_none() && call.is_none() {
            return None;
        }
        let activation = data.and_then(|d| d.activation);
        let incoming = rows::incoming_call(t);
        Some(Row {
            index: t.index.0,
            tid: t.tid.0,
            apartment: data.map(|d| d.apartment.name()),
            apartment_id: data.map(|d| d.apartment_id),
            outgoing: data.and_then(|d| d.outgoing).map(|o| (o.pid.0, o.tid.map(|t| t.0))),
            client_pid: incoming.as_ref().map(|i| i.client_pid),
            incoming,
            activates: activation.map(|g| format!("{{{g}}}")),
            class: activation.and_then(|g| hints.guid_name(&g).map(|n| n.into_owned())),
            sentence: t.activity.as_ref().map(|a| escape(&a.text).into_owned()),
            call,
        })
    }

    fn lines(&self, emit: &mut dyn FnMut(Line)) {
        let id = Span::new(Role::Thread, format!("{:>4}:{:<6x}", self.index, self.tid));
        let apartment = self.apartment.unwrap_or("-");
        let does = self.sentence.as_deref().unwrap_or("no call");
        emit(
            Line::new()
                .span(id.link(Link::Thread(ThreadIdx(self.index))))
                .text(format!("{apartment:5}{does}")),
        );
        let mut to = Details(emit);
        if let Some(c) = &self.call {
            if c.server_pid.is_some() || self.activates.is_none() {
                to.field("server", party(c.server_pid, c.server_tid));
            }
            to.interface(c.iid.as_ref(), c.interface.as_ref(), (c.method, c.method_name.as_ref()));
            to.arguments(c.args.as_deref().unwrap_or_default());
            to.ids(c.ipid.as_ref(), c.causality.as_ref());
            to.sure(c.confidence, &c.evidence);
        } else if let Some((pid, tid)) = self.outgoing {
            let server = party(Some(pid), tid);
            to.field("server", format!("{server} (by its COM data; it waits for something else)"));
        }
        if let Some(i) = &self.incoming {
            to.field("client", party(Some(i.client_pid), i.client_tid));
            to.interface(i.iid.as_ref(), i.interface.as_ref(), (None, None));
            to.ids(i.ipid.as_ref(), i.causality.as_ref());
            to.sure(i.confidence, &i.evidence);
        }
        if let Some(class) = &self.activates {
            to.field("activates", format!("{} {class}", self.class.as_deref().unwrap_or("")).trim().into());
        }
    }
}

impl ComReport {
    /// One line for the apartments: `Apartments: STA 734 (thread 0); MTA (threads 1, 4)`.
    fn apartments(&self) -> Option<String> {
        let of = |a: Apartment| self.threads.iter().filter(move |t| t.apartment == Some(a.name()));
        let single = [Apartment::Single, Apartment::App].into_iter().flat_map(|a| {
            of(a).map(move |t| {
                let id = t.apartment_id.filter(|i| *i != 0).map(|i| format!(" {i:x}")).unwrap_or_default();
                format!("{}{id} (thread {})", a.name(), t.index)
            })
        });
        let mut parts: Vec<String> = single.collect();
        let multi: Vec<String> = of(Apartment::Multi).map(|t| t.index.to_string()).collect();
        match multi.len() {
            0 => {}
            1 => parts.push(format!("MTA (thread {})", multi.concat())),
            _ => parts.push(format!("MTA (threads {})", multi.join(", "))),
        }
        (!parts.is_empty()).then(|| format!("Apartments: {}", parts.join("; ")))
    }
}

impl Answer for ComReport {
    const KIND: &'static str = "com";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        if let Some(text) = self.apartments().filter(|_| !self.one) {
            emit(Line::plain(text));
        }
        for t in &self.threads {
            t.lines(emit);
        }
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let which = Which::of(session, inv, &mut args)?;
    args.end()?;
    let Some(only) = which.only() else { return Ok(()) };
    let target = session.target.clone();
    let facts = target.facts(&session.cancel);
    let shown = facts.threads.iter().filter(|t| only.is_none_or(|i| i == t.index));
    let threads: Vec<Row> = shown.filter_map(|t| Row::of(target.hints(), t)).collect();
    if threads.is_empty() {
        let text = match only {
            Some(ThreadIdx(n)) => format!("Thread {n} has no COM data, and is in no COM call."),
            None => "No thread has COM data, and none is in a COM call.".into(),
        };
        return session.emit(sink, &Message(vec![Line::plain(text)]));
    }
    session.emit(sink, &ComReport { threads, one: only.is_some() })
}
