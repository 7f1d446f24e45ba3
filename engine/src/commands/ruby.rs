//! `!rubystack`: every Ruby thread's backtrace as Ruby prints it, locks behind.

use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, RenderCx, Role, Sink};
use crate::fmt::Hex;
use crate::session::Session;
use dumpscope_core::base::text::escape;
use dumpscope_runtimes::{Reader, ScriptFrame, ScriptLock, ScriptThread, Walked};
use serde::Serialize;
use std::sync::Arc;

pub(crate) const RUBYSTACK: Command = Command {
    name: "!rubystack",
    group: "ruby",
    syntax: "!rubystack",
    summary: "Shows the Ruby backtraces of all threads, and Ruby's locks",
    help: "Each thread as `Thread#inspect` and `Thread#backtrace` show it, with what it waits for; fibers that do not run; then \
           mutexes and the global lock, with who has them and who waits. `!script` shows the current thread alone.",
    examples: &[("!rubystack", "All Ruby threads")],
    needs: &[Needs::Threads, Needs::Memory],
    run,
    ..Command::BASE
};

#[derive(Clone, Debug, Serialize)]
struct ThreadLines {
    address: Hex,
    object: Hex,
    tid: Option<u32>,
    name: Option<String>,
    state: Vec<&'static str>,
    wait: Option<String>,
    frames: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct LockLine {
    address: Hex,
    kind: &'static str,
    owner: Option<String>,
    waiting: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Report {
    version: String,
    how: String,
    threads: Vec<ThreadLines>,
    locks: Vec<LockLine>,
    /// 64-bit addresses.
    #[serde(skip)]
    wide: bool,
}

/// A state as `Thread#inspect` writes it.
fn inspected(state: &str) -> &str {
    match state {
        "runnable" => "run",
        other => other,
    }
}

impl Answer for Report {
    const KIND: &'static str = "ruby_stacks";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::plain(format!("ruby {}", self.version)).role(Role::Dim, format!("  ({})", self.how)));
        let width = if self.wide { 16 } else { 8 };
        for t in &self.threads {
            let main = if t.state.contains(&"main") { " main" } else { "" };
            let state: Vec<&str> =
                t.state.iter().filter(|s| !matches!(**s, "main" | "fiber")).map(|s| inspected(s)).collect();
            let what = if t.state.contains(&"fiber") { "Fiber" } else { "Thread" };
            let name = t.name.as_deref().map(|n| format!("@{n}")).unwrap_or_default();
            let tid = t.tid.map(|t| format!(" native={t:x}")).unwrap_or_default();
            let object = t.object.0;
            emit(Line::plain(format!("#<{what}:0x{object:0width$x}{name} {}>{tid}{main}", state.join(" "))));
            for frame in &t.frames {
                emit(Line::plain("  ").role(Role::Symbol, frame.clone()));
            }
            if let Some(wait) = &t.wait {
                emit(Line::new().role(Role::Dim, format!("  {wait}")));
            }
        }
        for l in &self.locks {
            let owner = l.owner.as_deref().map_or_else(|| "free".to_owned(), |o| format!("held by {o}"));
            let waiting = match l.waiting.as_slice() {
                [] => String::new(),
                all => format!(", {} waiting: {}", all.len(), all.join(", ")),
            };
            let address = l.address.0;
            emit(Line::plain(format!("{} 0x{address:0width$x}: {owner}{waiting}", l.kind)));
        }
    }
}

/// The Ruby that can be read; an error that says why there is none.
fn ruby(session: &Session) -> Result<Arc<dyn Reader>, CommandError> {
    super::readable(session, "Ruby", "ruby.exe, or any process that has loaded Ruby's DLL")
}

fn safe(text: &str) -> String {
    escape(text).into_owned()
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    inv.cursor().end()?;
    let reader = ruby(session)?;
    let facts = session.target.facts(&session.cancel);
    let frames = |t: &ScriptThread| -> Vec<ScriptFrame> {
        match t.tid {
            Some(tid) => reader.frames(Walked { tid, frames: &[] }),
            None => reader.frames_at(t.address),
        }
    };
    let thread = |t: &ScriptThread| ThreadLines {
        address: t.address.into(),
        object: Hex(t.id),
        tid: t.tid.map(|t| t.0),
        name: t.name.as_deref().map(safe),
        state: t.state.iter().copied().filter(|s| *s != "unmounted").collect(),
        wait: t.tid.and_then(|t| facts.thread(t)?.wait.as_ref()).map(|w| safe(&w.sentence)),
        frames: frames(t).iter().map(|f| safe(&f.full)).collect(),
    };
    let lock = |l: &ScriptLock| LockLine {
        address: l.address.into(),
        kind: l.kind.word(),
        owner: l.owners.first().map(|o| safe(&facts.script.owner_words(o))),
        waiting: facts.script.waiters(l.address).iter().map(|t| safe(&facts.script.words(*t))).collect(),
    };
    let runtime = reader.runtime();
    let report = Report {
        version: safe(runtime.version.as_deref().unwrap_or("?")),
        how: safe(&runtime.how),
        threads: reader.threads().iter().map(thread).collect(),
        locks: reader.locks(&[]).iter().map(lock).collect(),
        wide: session.sel.machine.is_64(),
    };
    session.emit(sink, &report)
}
