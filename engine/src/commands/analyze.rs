//! `!analyze`: the verdict with WinDbg's familiar fields, then the story.

use crate::batch::rows;
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::commands::stack::report::row_addresses;
use crate::doc::{Answer, Line, RenderCx, Role, Sink};
use crate::document::FindingRow;
use crate::fmt;
use crate::render::TextSink;
use crate::run::run_captured;
use crate::session::Session;
use dumpscope_analyzers::capabilities::{WHICH_EXCEPTION, capabilities};
use dumpscope_analyzers::facts::Case;
use dumpscope_analyzers::model::{Access, ExceptionFacts, Finding, FindingKind, Kind, ThreadFacts};
use dumpscope_analyzers::text::frame_text;
use dumpscope_analyzers::triage::{run_rules, signature, verdict_of};
use dumpscope_core::base::text::escape;
use dumpscope_core::{Machine, Tid};
use dumpscope_runtimes::{ExceptionState, ScriptException, ScriptFrame};
use dumpscope_symbols::Trust;
use serde::Serialize;
use std::collections::BTreeSet;

pub(crate) const ANALYZE: Command = Command {
    name: "!analyze",
    group: "analysis",
    syntax: "!analyze [-v] [-hang] [-f]",
    summary: "Says why the process crashed or hung",
    help: "The verdict of `dumpscope triage` with WinDbg's field names, then what it rests on and what to do next. Without an \
           exception that ended the process, and with `-hang`, it looks for what blocks: DERIVED_WAIT_CHAIN lists who waits \
           for whom. `-v` shows registers, the exception record, stacks and all other findings.",
    examples: &[("!analyze -v", "The whole analysis"), ("!analyze -hang -v", "Look for what blocks")],
    needs: &[Needs::Threads],
    run,
    ..Command::BASE
};

/// Most frames of `STACK_TEXT`.
const FRAMES: usize = 64;

/// Most rows of the wait chain.
const CHAIN: usize = 64;

#[derive(Clone, Debug, Serialize)]
struct ChainRow {
    deadlock: bool,
    index: Option<u32>,
    tid: u32,
    wait_type: String,
    last: bool,
}

#[derive(Clone, Debug, Serialize)]
struct AnalyzeReport {
    hang: bool,
    verbose: bool,
    /// Name and text of each field, in order.
    fields: Vec<(String, Vec<String>)>,
    chain: Vec<ChainRow>,
    verdict: FindingRow,
    others: Vec<FindingRow>,
    cannot: Vec<String>,
    #[serde(skip)]
    pid: u32,
}

impl Answer for AnalyzeReport {
    const KIND: &'static str = "analyze";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let stars = "*".repeat(79);
        let title = if self.hang { "Hang Analysis" } else { "Exception Analysis" };
        emit(Line::new().role(Role::Heading, &stars));
        emit(Line::new().role(Role::Heading, format!("*{:77}*", "")));
        emit(Line::new().role(Role::Heading, format!("*{:24}{title:53}*", "")));
        emit(Line::new().role(Role::Heading, format!("*{:77}*", "")));
        emit(Line::new().role(Role::Heading, &stars));
        emit(Line::new());
        for (name, value) in &self.fields {
            emit(Line::new());
            field(name, value, emit);
            if name == "FAULTING_THREAD" && !self.chain.is_empty() {
                self.wait_chain(emit);
            }
        }
        emit(Line::new());
        self.story(emit);
    }
}

/// One line, or the name alone and the lines below.
fn field(name: &str, value: &[String], emit: &mut dyn FnMut(Line)) {
    match value {
        // WinDbg writes these two with one space.
        [one] if matches!(name, "MODULE_NAME" | "ERROR_CODE") => {
            emit(Line::new().role(Role::Label, format!("{name}: ")).text(one.clone()));
        }
        [one] => emit(Line::new().role(Role::Label, format!("{name}:  ")).text(one.clone())),
        many => {
            emit(Line::new().role(Role::Label, format!("{name}:")));
            many.iter().for_each(|l| emit(Line::plain(l.clone())));
        }
    }
}

impl AnalyzeReport {
    fn wait_chain(&self, emit: &mut dyn FnMut(Line)) {
        emit(Line::new());
        emit(Line::new().role(Role::Label, "DERIVED_WAIT_CHAIN:"));
        emit(Line::new());
        emit(Line::plain("Dl Eid Cid     WaitType"));
        emit(Line::plain("-- --- ------- --------------------------"));
        for r in &self.chain {
            let mark = if r.deadlock { 'x' } else { ' ' };
            let index = r.index.map_or_else(|| "?".into(), |i| i.to_string());
            let arrow = if r.last { "" } else { "    -->" };
            emit(Line::plain(format!(
                "{mark}  {index:<3} {:x}.{:x} {}{arrow}",
                self.pid, r.tid, r.wait_type
            )));
        }
        let commands: String =
            self.chain.iter().filter_map(|r| r.index).map(|i| format!("~{i}s;k;;")).collect();
        emit(Line::new());
        emit(Line::new().role(Role::Label, "WAIT_CHAIN_COMMAND:  ").text(commands));
        if let Some(last) = self.chain.last() {
            emit(Line::new());
            emit(Line::new().role(Role::Label, "BLOCKING_THREAD:  ").text(format!("{:08x}", last.tid)));
        }
    }

    fn story(&self, emit: &mut dyn FnMut(Line)) {
        let finding = |f: &FindingRow, detail: bool, emit: &mut dyn FnMut(Line)| {
            let kind = serde_json::to_value(f.kind).ok();
            let kind = kind.and_then(|k| k.as_str().map(str::to_uppercase)).unwrap_or_default();
            let sure = serde_json::to_value(f.confidence).ok();
            let sure = sure.and_then(|k| k.as_str().map(str::to_owned)).unwrap_or_default();
            emit(
                Line::new()
                    .role(Role::Error, format!("{} ({sure}): ", kind.replace('_', " ")))
                    .text(f.summary.clone()),
            );
            if detail {
                f.evidence.iter().for_each(|e| emit(Line::plain(format!("  - {e}"))));
            }
            if let Some(a) = &f.advice {
                emit(Line::new().role(Role::Note, format!("  Next: {a}")));
            }
        };
        finding(&self.verdict, true, emit);
        for f in &self.others {
            emit(Line::new());
            finding(f, self.verbose, emit);
        }
        if !self.cannot.is_empty() {
            emit(Line::new());
            emit(Line::new().role(Role::Dim, "This dump cannot answer:"));
            self.cannot.iter().for_each(|c| emit(Line::new().role(Role::Dim, format!("  - {c}"))));
        }
        emit(Line::new());
        emit(Line::new().role(Role::Label, "Followup:     ").text("MachineOwner"));
        emit(Line::plain("---------"));
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let (mut verbose, mut hang) = (false, false);
    while let Some(switch) = args.switch() {
        match switch {
            "hang" => hang = true,
            "f" => {}
            // `-v` and `-v99`: WinDbg's levels make no difference here.
            s if s
                .strip_prefix('v')
                .is_some_and(|n| n.len() <= 2 && n.bytes().all(|b| b.is_ascii_digit())) =>
            {
                verbose = true;
            }
            _ => return Err(args.syntax_error()),
        }
    }
    args.end()?;
    let target = session.target.clone();
    let facts = target.facts(&session.cancel);
    let facts = Case { target: &target, facts: &facts };
    let found = run_rules(&facts).findings;
    let is_crash = |f: &&Finding| f.kind == FindingKind::Crash;
    let crash = found.iter().find(is_crash).filter(|_| !hang);
    let asked: Vec<Finding> =
        if hang { found.iter().filter(|f| !is_crash(f)).cloned().collect() } else { found.clone() };
    let verdict = verdict_of(&facts, &asked);
    let mut fields = Vec::new();
    match (crash, facts.fatal().or(facts.exception.as_ref())) {
        (Some(f), Some(e)) => crash_fields(session, &facts, f, e, verbose, &mut fields),
        _ => hang_fields(session, &facts, &verdict, verbose, &mut fields),
    }
    if crash.is_none()
        && let Some(e) = &facts.exception
    {
        fields.push(("RECORDED_EXCEPTION".into(), vec![escape(&e.description).into_owned()]));
    }
    system_fields(&facts, &mut fields);
    let cannot = capabilities(&target);
    let told = |question: &str| crash.is_some() && question == WHICH_EXCEPTION;
    let cannot = cannot.iter().filter(|c| !c.answerable && verbose && !told(c.question));
    let report = AnalyzeReport {
        hang: crash.is_none(),
        verbose,
        fields,
        chain: if crash.is_none() { chain(&facts, &verdict) } else { Vec::new() },
        others: asked.iter().skip(1).filter(|_| verbose).map(rows::finding).collect(),
        verdict: rows::finding(&verdict),
        cannot: cannot.map(|c| escape(&format!("{} ({})", c.question, c.why)).into_owned()).collect(),
        pid: target.dump.pid().map_or(0, |p| p.0),
    };
    session.emit(sink, &report)
}

/// What a command prints in a copy of the session.
fn captured(session: &Session, text: &str) -> Vec<String> {
    let mut copy = session.clone();
    let mut bytes = Vec::new();
    // What cannot be shown is left out: the analysis says elsewhere what the dump lacks.
    let done = run_captured(&mut copy, text, &mut TextSink::new(&mut bytes, false));
    if done.is_err() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    text.lines().map(|l| l.trim_end().to_owned()).filter(|l| !l.is_empty()).collect()
}

fn one(name: &str, value: impl Into<String>) -> (String, Vec<String>) {
    (name.into(), vec![value.into()])
}

fn crash_fields(
    session: &Session,
    facts: &Case<'_>,
    finding: &Finding,
    e: &ExceptionFacts,
    verbose: bool,
    out: &mut Vec<(String, Vec<String>)>,
) {
    let wide = facts.target.process_machine().is_64();
    if verbose {
        let (select, show) = (select_context(facts), show_record(facts));
        let mut context = captured(session, &select);
        context.push("Resetting default scope".into());
        out.push(("CONTEXT".into(), std::iter::once(format!("  ({select})")).chain(context).collect()));
        let record = captured(session, &show);
        out.push(("EXCEPTION_RECORD".into(), std::iter::once(format!("  ({show})")).chain(record).collect()));
    }
    process_name(facts, out);
    if let Some(wanted) = e.target {
        let name = match e.access {
            Some(Access::Write) => "WRITE_ADDRESS",
            Some(Access::Execute) => "EXECUTE_ADDRESS",
            _ => "READ_ADDRESS",
        };
        out.push(one(name, fmt::addr_plain(wanted, wide)));
    }
    let text = crate::tables::ntstatus::message(e.code).map(str::to_owned).or_else(|| e.name.clone());
    let text = text.unwrap_or_else(|| "<Unable to get error code text>".into());
    out.push(one("ERROR_CODE", format!("(NTSTATUS) 0x{:x} - {}", e.code, escape(&text))));
    out.push(one("EXCEPTION_CODE_STR", format!("{:x}", e.code)));
    let recorded = || facts.target.dump.exception().value().map(|r| &r.record);
    let record = facts.reported.first().map(|r| &r.record).or_else(recorded);
    for (i, p) in record.iter().flat_map(|r| &r.parameters).take(2).enumerate() {
        let text = if wide { format!("{p:016x}") } else { format!("{p:08x}") };
        out.push(one(&format!("EXCEPTION_PARAMETER{}", i.saturating_add(1)), text));
    }
    out.push(one("FAULTING_THREAD", format!("{:08x}", e.tid.0)));
    if let Some(blame) = &e.blame {
        let head = format!("({})", blame.confidence.name());
        let lines = std::iter::once(head).chain(blame.chain.iter().map(|c| format!("  {c}")));
        out.push(("BLAME".into(), lines.collect()));
    }
    let thread = finding.tid.and_then(|t| facts.thread(t));
    script_fields(session, facts, e.tid, verbose, out);
    thread_fields(facts, thread, verbose, true, out);
    out.push(one("FAILURE_BUCKET_ID", bucket(facts, finding)));
}

fn hang_fields(
    session: &Session,
    facts: &Case<'_>,
    verdict: &Finding,
    verbose: bool,
    out: &mut Vec<(String, Vec<String>)>,
) {
    process_name(facts, out);
    let class = match verdict.kind {
        FindingKind::Deadlock => "APPLICATION_HANG_DEADLOCK",
        FindingKind::OrphanedLock => "APPLICATION_HANG_OrphanedCriticalSection",
        FindingKind::LockContention => "APPLICATION_HANG_CONTENTION",
        FindingKind::BlockedOnProcess => "APPLICATION_HANG_BlockedOn_Process",
        FindingKind::BusyLoop => "APPLICATION_HANG_BusyHang",
        FindingKind::Idle => "NO_HANG",
        _ => "APPLICATION_HANG",
    };
    out.push(one("ERROR_CODE", "(HRESULT) 0xcfffffff - <Unable to get error code text>"));
    out.push(one("EXCEPTION_CODE_STR", "cfffffff"));
    if let Some(tid) = verdict.tid {
        out.push(one("FAULTING_THREAD", format!("{:08x}", tid.0)));
    }
    out.push(one("BUGCHECK_STR", "HANG"));
    out.push(one("PRIMARY_PROBLEM_CLASS", class));
    out.push(one("DEFAULT_BUCKET_ID", class));
    let thread = verdict.tid.and_then(|t| facts.thread(t));
    if let Some(tid) = verdict.tid {
        script_fields(session, facts, tid, verbose, out);
    }
    thread_fields(facts, thread, verbose, false, out);
    if verbose && let Some(lock) = verdict.lock {
        let text = captured(session, &format!("!critsec 0x{:x}", lock.0));
        if !text.is_empty() {
            out.push(("BLOCKING_LOCK".into(), text));
        }
    }
    out.push(one("FAILURE_BUCKET_ID", bucket(facts, verdict)));
}

fn process_name(facts: &Case<'_>, out: &mut Vec<(String, Vec<String>)>) {
    if let Some(name) = rows::process(facts.target).name {
        out.push(one("PROCESS_NAME", name));
    }
}

/// What a language runtime knows of the thread: the exception that it handles, and its methods.
fn script_fields(
    session: &Session,
    facts: &Case<'_>,
    tid: Tid,
    verbose: bool,
    out: &mut Vec<(String, Vec<String>)>,
) {
    let of = |e: &&ScriptException| {
        e.tid == Some(tid) && matches!(e.state, ExceptionState::Unhandled | ExceptionState::Handling)
    };
    let exception = facts.script.exceptions.iter().map(|(_, e)| e).find(of);
    if let Some(e) = exception {
        let message = e.message.as_deref().map(|m| format!(": {m}")).unwrap_or_default();
        let words = escape(&format!("{}{message}", e.type_name)).into_owned();
        let details =
            if verbose { captured(session, &format!("!pe -nested {:x}", e.address.0)) } else { Vec::new() };
        out.push(("MANAGED_EXCEPTION".into(), std::iter::once(words).chain(details).collect()));
    }
    let Some(script) = facts.script.threads.get(&tid).filter(|s| verbose && !s.frames.is_empty()) else {
        return;
    };
    let row = |f: &ScriptFrame| {
        let line =
            f.file.as_ref().zip(f.line).map(|(file, line)| format!(" [{file} @ {line}]")).unwrap_or_default();
        let name = if f.full.is_empty() { &f.display } else { &f.full };
        escape(&format!("{:016x} {:016x} {name}{line}", f.sp.0, f.ip.0)).into_owned()
    };
    out.push(("MANAGED_STACK".into(), script.frames.iter().take(FRAMES).map(row).collect()));
}

/// Stack, source line and symbol of the thread that the verdict is about.
fn thread_fields(
    facts: &Case<'_>,
    thread: Option<&ThreadFacts>,
    verbose: bool,
    is_crash: bool,
    out: &mut Vec<(String, Vec<String>)>,
) {
    let Some(thread) = thread else { return };
    let own = || thread.stack.as_ref().or(thread.native_stack.as_ref());
    let reported = facts.reported.iter().filter(|_| is_crash).find(|r| r.exception.tid == thread.tid);
    let Some(stack) = reported.and_then(|r| r.stack.as_ref()).or_else(own) else { return };
    let wide = stack.machine.is_64();
    if verbose {
        let row = |f: &dumpscope_analyzers::StackFrame| {
            let inline = f.trust == Trust::Inline;
            let (base, ret) = row_addresses(wide, inline, f.frame.frame_base, f.frame.return_address);
            format!("{base} {ret} {}", frame_text(facts.target, f))
        };
        out.push(("STACK_TEXT".into(), stack.frames.iter().take(FRAMES).map(row).collect()));
    }
    // A crash is told by where it happened, a hang by the program's own code that waits.
    let patterns = facts.target.patterns();
    let system = |f: &dumpscope_analyzers::StackFrame| {
        let m = f.module.and_then(|m| facts.target.symbols.modules().get(m));
        m.is_some_and(|m| patterns.is_system_file(&m.file_name))
    };
    let script = facts.script.threads.get(&thread.tid).map_or(&[][..], |s| &s.frames);
    let user = script.iter().find(|f| !f.is_library()).filter(|_| reported.is_none());
    let of_user = |u: &ScriptFrame| stack.frames.iter().find(|f| f.managed && f.frame.sp == u.sp);
    let own = user
        .and_then(of_user)
        .or_else(|| stack.frames.iter().find(|f| is_crash || !system(f)))
        .or_else(|| stack.frames.first());
    let Some(frame) = own else { return };
    if let Some(line) = &frame.line {
        let file = escape(&line.file).into_owned();
        out.push(one("FAULTING_SOURCE_LINE", file.clone()));
        out.push(one("FAULTING_SOURCE_FILE", file));
        out.push(one("FAULTING_SOURCE_LINE_NUMBER", line.line.to_string()));
    }
    let module = frame.module.and_then(|m| facts.target.symbols.modules().get(m));
    let machine = frame.frame.regs.machine();
    let name = frame.module.map_or("unknown", |m| facts.target.symbols.name_in(m, machine));
    let name = if frame.managed { frame.assembly.as_deref().unwrap_or(name) } else { name };
    let name = escape(name).into_owned();
    let offset = dumpscope_symbols::wrapped(frame.displacement, machine);
    let symbol = match &frame.function {
        Some(f) => format!("{name}!{}+{offset:x}", escape(f)),
        None => format!("{name}+{offset:x}"),
    };
    out.push(one("SYMBOL_NAME", symbol));
    out.push(one("MODULE_NAME", name));
    if let Some(m) = module {
        out.push(one("IMAGE_NAME", escape(&m.file_name).into_owned()));
    }
    let context = if is_crash { format!("{} ; ", select_context(facts)) } else { String::new() };
    out.push(one("STACK_COMMAND", format!("~{}s; {context}kb", thread.index.0)));
}

/// The commands that select the context of the exception.
fn select_context(facts: &Case<'_>) -> String {
    let Some(r) = facts.reported.first() else { return ".ecxr".into() };
    // A 64-bit dump of a 32-bit process begins in the 64-bit view.
    let view = if facts.target.dump.is_wow64() { ".effmach x86; " } else { "" };
    format!("{view}.cxr {:x}", r.context_at.0)
}

/// The command that shows the record of the exception.
fn show_record(facts: &Case<'_>) -> String {
    let Some(r) = facts.reported.first() else { return ".exr -1".into() };
    let view = if facts.target.dump.is_wow64() { ".effmach x86; " } else { "" };
    format!("{view}.exr {:x}", r.record_at.0)
}

/// Ours: WinDbg's names of buckets depend on its own lists.
fn bucket(facts: &Case<'_>, finding: &Finding) -> String {
    signature(facts, finding).map_or_else(|| "unknown".into(), |s| s.text)
}

fn system_fields(facts: &Case<'_>, out: &mut Vec<(String, Vec<String>)>) {
    let row = rows::system(facts.target);
    if let (Some(version), Some(build)) = (row.version, row.build) {
        out.push(one("OS_VERSION", format!("{version}.{build}")));
    }
    let platform = match facts.target.process_machine() {
        Machine::X86 => "x86",
        Machine::Amd64 => "x64",
        Machine::Arm64 => "arm64",
        Machine::Other(_) => "other",
    };
    out.push(one("OSPLATFORM_TYPE", platform));
}

/// Who waits for whom, from the thread that shows the hang to the one that causes it.
fn chain(facts: &Case<'_>, verdict: &Finding) -> Vec<ChainRow> {
    let start = match verdict.kind {
        FindingKind::LockContention => verdict.tids.first().copied(),
        FindingKind::Idle | FindingKind::Unknown => None,
        _ => verdict.tid,
    };
    let own = facts.target.dump.pid();
    let members: BTreeSet<Tid> = match verdict.kind {
        FindingKind::Deadlock => verdict.tids.iter().copied().collect(),
        _ => BTreeSet::new(),
    };
    let mut out = Vec::new();
    let mut seen = BTreeSet::new();
    let mut at = start;
    while let Some(tid) = at.filter(|t| seen.insert(*t) && seen.len() <= CHAIN) {
        let thread = facts.thread(tid);
        let wait = thread.and_then(|t| t.wait.as_ref());
        let wait_type = match (thread, wait.map(|w| w.kind)) {
            (None, _) => "the thread no longer exists".to_owned(),
            (_, None) => "Unknown".into(),
            (_, Some(k)) => wait_type(k).into(),
        };
        let inside = wait.is_none_or(|w| w.owner_pid.is_none_or(|p| own.is_none_or(|o| o == p)));
        out.push(ChainRow {
            deadlock: members.contains(&tid),
            index: thread.map(|t| t.index.0),
            tid: tid.0,
            wait_type,
            last: true,
        });
        at = wait.and_then(|w| w.owner_tid).filter(|_| inside);
    }
    // A circle goes on from its last member to its first.
    let circle = at.is_some();
    let n = out.len();
    for (i, r) in out.iter_mut().enumerate() {
        r.last = !circle && i.saturating_add(1) == n;
    }
    out
}

fn wait_type(kind: Kind) -> &'static str {
    match kind {
        Kind::CriticalSection => "Critical Section",
        Kind::LoaderLock => "Loader Lock",
        Kind::Mutex => "Mutex",
        Kind::Thread => "Thread",
        Kind::Process => "Process",
        Kind::ComCall => "COM",
        Kind::RpcCall => "ALPC",
        Kind::MessageQueue => "SendMessage",
        Kind::SrwLock => "SRW Lock",
        Kind::ConditionVariable => "Condition Variable",
        Kind::Event => "Event",
        Kind::Semaphore => "Semaphore",
        Kind::Socket => "SocketIo",
        _ => "Unknown",
    }
}
