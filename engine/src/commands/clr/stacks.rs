//! `!clrstack`: managed and explicit frames, as .NET's debugger extension prints them. `!script`: method frames of
//! any runtime.

use super::{dotnet, machine_stacks, number, safe, walked};
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, RenderCx, Role, Sink};
use crate::fmt::Hex;
use crate::session::Session;
use dumpscope_analyzers::runtimes::add_line;
use dumpscope_core::Tid;
use dumpscope_runtimes::clr::StackItem;
use serde::Serialize;

pub(crate) const CLRSTACK: Command = Command {
    name: "!clrstack",
    group: "dotnet",
    syntax: "!clrstack [-all]",
    summary: "Shows the managed stack of a thread",
    help: "Managed methods and the runtime's own explicit frames, as `clrstack` of .NET's debugger extension. `-all`: of all \
           threads of the runtime. `!script` shows the methods alone, `k` everything.",
    examples: &[
        ("!clrstack", "Managed stack of the current thread"),
        ("!clrstack -all", "Of all managed threads"),
    ],
    needs: &[Needs::Threads, Needs::Memory],
    run: run_clrstack,
    ..Command::BASE
};

pub(crate) const SCRIPT: Command = Command {
    name: "!script",
    group: "dotnet",
    syntax: "!script",
    summary: "Shows the methods of the program's language on a thread's stack",
    help: "For .NET and every other runtime that is read: the methods as the user wrote them, with file and line where they are \
           known. `~*e !script` shows all threads.",
    examples: &[("!script", "Methods of the current thread"), ("~*e !script", "Of all threads")],
    needs: &[Needs::Threads],
    run: run_script,
    ..Command::BASE
};

#[derive(Clone, Debug, Serialize)]
struct StackLine {
    sp: Hex,
    ip: Hex,
    /// Kind of an explicit frame.
    explicit: Option<String>,
    method: Option<String>,
    source: Option<(String, u32)>,
}

#[derive(Clone, Debug, Serialize)]
struct ThreadStack {
    tid: u32,
    index: Option<u32>,
    frames: Vec<StackLine>,
}

#[derive(Clone, Debug, Serialize)]
struct ClrStackReport {
    threads: Vec<ThreadStack>,
    all: bool,
}

impl Answer for ClrStackReport {
    const KIND: &'static str = "clr_stack";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for t in &self.threads {
            let index = t.index.filter(|_| !self.all).map(|i| format!(" ({i})")).unwrap_or_default();
            emit(Line::plain(format!("OS Thread Id: 0x{:x}{index}", t.tid)));
            emit(Line::plain("        Child SP               IP Call Site"));
            for f in &t.frames {
                let method = f.method.clone().unwrap_or_default();
                let line = match &f.explicit {
                    Some(kind) => Line::plain(format!("{:016X} {:016x} ", f.sp.0, f.ip.0))
                        .role(Role::Dim, format!("[{kind}: {:016x}] ", f.sp.0))
                        .text(method),
                    None => {
                        let at = f.source.as_ref().map(|(file, line)| format!(" [{file} @ {line}]"));
                        Line::plain(format!("{:016X} {:016X} ", f.sp.0, f.ip.0))
                            .role(Role::Symbol, method)
                            .text(at.unwrap_or_default())
                    }
                };
                emit(line);
            }
        }
    }
}

fn stack_line(item: &StackItem) -> StackLine {
    let frame = item.frame.as_ref();
    let method = frame.map(|f| safe(&f.full)).or_else(|| item.method.as_deref().map(safe));
    StackLine {
        sp: item.sp.into(),
        ip: item.ip.into(),
        explicit: item.kind.as_deref().map(safe),
        method,
        source: frame.and_then(|f| Some((safe(f.file.as_deref()?), f.line?))),
    }
}

fn current(session: &Session) -> Option<Tid> {
    let index = session.sel.thread?;
    session.dump().threads().iter().find(|t| t.index == index).map(|t| t.tid)
}

fn run_clrstack(
    session: &mut Session,
    inv: &Invocation<'_>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let mut cursor = inv.cursor();
    let all = cursor.eat("-all");
    cursor.end()?;
    let reader = dotnet(session)?;
    let Some(clr) = reader.clr() else { return Ok(()) };
    let facts = session.target.facts(&session.cancel);
    let stacks = machine_stacks(&facts);
    let walked = walked(&stacks);
    let tids: Vec<Tid> = match all {
        true => reader.threads().iter().filter_map(|t| t.tid).collect(),
        false => current(session).into_iter().collect(),
    };
    let one = |tid: Tid| {
        let stack = walked.iter().find(|w| w.tid == tid)?;
        let mut items = clr.stack(*stack);
        for frame in items.iter_mut().filter_map(|i| i.frame.as_mut()) {
            add_line(&session.target, reader.as_ref(), frame);
        }
        let frames = items.iter().map(stack_line).collect();
        Some(ThreadStack { tid: tid.0, index: number(session, tid.0), frames })
    };
    let threads: Vec<_> = tids.into_iter().filter_map(one).collect();
    session.emit(sink, &ClrStackReport { threads, all })
}

#[derive(Clone, Debug, Serialize)]
struct ScriptLine {
    function: String,
    display: String,
    module: Option<String>,
    source: Option<(String, u32)>,
    kind: &'static str,
}

#[derive(Clone, Debug, Serialize)]
struct ScriptReport {
    tid: u32,
    runtime: Option<String>,
    thread: Option<String>,
    wait: Option<String>,
    frames: Vec<ScriptLine>,
}

impl Answer for ScriptReport {
    const KIND: &'static str = "script_stack";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let Some(runtime) = &self.runtime else {
            emit(Line::plain(format!(
                "Thread {:x} runs no code of a language runtime that is read.",
                self.tid
            )));
            return;
        };
        let name = self.thread.as_deref().map(|n| format!(" {n}")).unwrap_or_default();
        emit(Line::plain(format!("Thread {:x}{name} ({runtime})", self.tid)));
        if let Some(wait) = &self.wait {
            emit(Line::new().role(Role::Dim, format!("  {wait}")));
        }
        for (n, f) in self.frames.iter().enumerate() {
            let at = f.source.as_ref().map(|(file, line)| format!(" [{file} @ {line}]")).unwrap_or_default();
            let module = f.module.as_deref().map(|m| format!("  {m}")).unwrap_or_default();
            emit(
                Line::plain(format!("{n:02} "))
                    .role(Role::Symbol, f.display.clone())
                    .text(at)
                    .role(Role::Dim, module),
            );
        }
    }
}

fn run_script(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    inv.cursor().end()?;
    let Some(tid) = current(session) else {
        return Err(CommandError::message("The debugger does not have a current thread."));
    };
    let facts = session.target.facts(&session.cancel);
    let script = facts.script.threads.get(&tid);
    let runtime = script.and_then(|s| facts.script.runtimes.get(s.runtime));
    let frame = |f: &dumpscope_runtimes::ScriptFrame| ScriptLine {
        function: safe(&f.function),
        display: safe(&f.display),
        module: f.module.as_deref().map(safe),
        source: f.file.as_deref().map(safe).zip(f.line),
        kind: f.kind.word(),
    };
    let report = ScriptReport {
        tid: tid.0,
        runtime: runtime.map(|r| format!("{} {}", r.name, safe(r.version.as_deref().unwrap_or_default()))),
        thread: script.and_then(|s| s.thread.as_ref()?.name.as_deref()).map(|n| format!("\"{}\"", safe(n))),
        wait: facts.thread(tid).and_then(|t| t.wait.as_ref()).map(|w| safe(&w.sentence)),
        frames: script.map(|s| s.frames.iter().map(frame).collect()).unwrap_or_default(),
    };
    session.emit(sink, &report)
}
