//! `!clrstack`: managed and explicit frames, as .NET's debugger extension prints them. `!script`: method frames of
//! any runtime.

use super::{clr, current, dotnet, frames_of, number, safe};
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, RenderCx, Role, Sink};
use crate::fmt::Hex;
use crate::session::Session;
use dumpscope_analyzers::runtimes::add_line;
use dumpscope_core::Tid;
use dumpscope_runtimes::Walked;
use dumpscope_runtimes::clr::{StackItem, Variable};
use serde::Serialize;

pub(crate) const CLRSTACK: Command = Command {
    name: "!clrstack",
    group: "dotnet",
    syntax: "!clrstack [-all] [-a] [-p] [-l] [-f]",
    summary: "Shows the managed stack of a thread",
    help: "Managed methods and the runtime's own explicit frames, as `clrstack` of .NET's debugger extension. `-all`: of all \
           threads of the runtime. `-p`: parameters, `-l`: locals, `-a`: both; `<no data>` where the compiler does not say where they \
           are. `-f`: the file and the distance in the code. `!script` shows the methods alone, `k` everything.",
    examples: &[
        ("!clrstack", "Managed stack of the current thread"),
        ("!clrstack -a", "With parameters and locals"),
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
    /// The file of the method, and bytes from the start of its code.
    module: Option<String>,
    displacement: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Vec<VariableLine>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    locals: Option<Vec<VariableLine>>,
}

#[derive(Clone, Debug, Serialize)]
struct VariableLine {
    name: Option<String>,
    /// An address or `<CLR reg>`; `None` when it cannot be found.
    place: Option<String>,
    value: Option<Hex>,
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
    /// With file and distance.
    full: bool,
}

impl Answer for ClrStackReport {
    const KIND: &'static str = "clr_stack";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for t in &self.threads {
            let index = t.index.filter(|_| !self.all).map(|i| format!(" ({i})")).unwrap_or_default();
            emit(Line::plain(format!("OS Thread Id: 0x{:x}{index}", t.tid)));
            emit(Line::plain("        Child SP               IP Call Site"));
            for f in &t.frames {
                emit(frame_line(f, self.full));
                variables("PARAMETERS", f.parameters.as_deref().unwrap_or_default(), emit);
                variables("LOCALS", f.locals.as_deref().unwrap_or_default(), emit);
                if f.parameters.is_some() || f.locals.is_some() {
                    emit(Line::new());
                }
            }
        }
    }
}

fn frame_line(f: &StackLine, full: bool) -> Line {
    let method = f.method.clone().unwrap_or_default();
    let Some(kind) = &f.explicit else {
        let at = f.source.as_ref().map(|(file, line)| format!(" [{file} @ {line}]"));
        let start = Line::plain(format!("{:016X} {:016X} ", f.sp.0, f.ip.0));
        let line = match f.module.as_deref().filter(|_| full) {
            Some(module) => start
                .text(format!("{module}!"))
                .role(Role::Symbol, method)
                .text(format!(" + {}", f.displacement)),
            None => start.role(Role::Symbol, method),
        };
        return line.text(at.unwrap_or_default());
    };
    let ip = if full { " ".repeat(16) } else { format!("{:016x}", f.ip.0) };
    Line::plain(format!("{:016X} {ip} ", f.sp.0))
        .role(Role::Dim, format!("[{kind}: {:016x}] ", f.sp.0))
        .text(method)
}

fn variables(title: &str, rows: &[VariableLine], emit: &mut dyn FnMut(Line)) {
    if rows.is_empty() {
        return;
    }
    emit(Line::plain(format!("    {title}:")));
    for v in rows {
        let value = v.value.map(|v| format!("0x{:016x}", v.0));
        let text = match (&v.name, &v.place, value) {
            (Some(name), Some(place), Some(value)) => format!("{name} ({place}) = {value}"),
            (Some(name), ..) => format!("{name} = <no data>"),
            (None, Some(place), Some(value)) => format!("{place} = {value}"),
            (None, ..) => "<no data>".to_owned(),
        };
        emit(Line::plain(format!("        {text}")));
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
        module: frame.and_then(|f| f.module.as_deref()).map(safe),
        displacement: frame.map_or(0, |f| f.displacement),
        parameters: None,
        locals: None,
    }
}

fn variable_lines(all: &[Variable]) -> Vec<VariableLine> {
    let line = |v: &Variable| VariableLine {
        name: v.name.as_deref().map(safe),
        place: v.place.clone(),
        value: v.value.map(Hex),
    };
    all.iter().map(line).collect()
}

fn run_clrstack(
    session: &mut Session,
    inv: &Invocation<'_>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let mut cursor = inv.cursor();
    let (mut all, mut full, mut parameters, mut locals) = (false, false, false, false);
    while !cursor.is_empty() {
        match cursor.word() {
            Some("-all") => all = true,
            Some("-a") => (parameters, locals) = (true, true),
            Some("-p") => parameters = true,
            Some("-l") => locals = true,
            Some("-f") => full = true,
            _ => return Err(cursor.syntax_error()),
        }
    }
    let reader = dotnet(session)?;
    let clr = clr(&reader)?;
    let tids: Vec<Tid> = match all {
        true => reader.threads().iter().filter_map(|t| t.tid).collect(),
        false => current(session).into_iter().collect(),
    };
    let one = |tid: Tid| {
        let frames = frames_of(session, tid)?;
        let stack = Walked { tid, frames: &frames };
        let mut items = clr.stack(stack);
        for frame in items.iter_mut().filter_map(|i| i.frame.as_mut()) {
            add_line(&session.target, reader.as_ref(), frame);
        }
        let line = |item: &StackItem| {
            let mut line = stack_line(item);
            if let Some(at) = item.machine.filter(|_| parameters || locals) {
                let found = clr.variables(stack, at);
                line.parameters = parameters.then(|| variable_lines(&found.parameters));
                line.locals = locals.then(|| variable_lines(&found.locals));
            }
            line
        };
        let frames = items.iter().map(line).collect();
        Some(ThreadStack { tid: tid.0, index: number(session, tid.0), frames })
    };
    let threads: Vec<_> = tids.into_iter().filter_map(one).collect();
    session.emit(sink, &ClrStackReport { threads, all, full })
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
