//! `!locks`, `!critsec`, `!cs`: critical sections.

use super::missing;
use crate::batch::rows;
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Line, Link, Message, Part, RenderCx, Report, Role, Sink, Span};
use crate::fmt;
use crate::render::TextSink;
use crate::run::run_captured;
use crate::session::{Layout, Session};
use dumpscope_analyzers::locks::{find_locks, lock_of, locks_between};
use dumpscope_analyzers::model::{CriticalSection, DebugBlock, Lock, LockSource, Locks, OwnerState};
use dumpscope_core::base::text::escape;
use dumpscope_core::model::DumpKind;
use dumpscope_core::{ThreadIdx, Va};

pub(crate) const LOCKS: Command = Command {
    name: "!locks",
    group: "locks",
    syntax: "!locks [-v] [-o]",
    summary: "Shows critical sections that threads hold",
    help: "Looks at ntdll's list of critical sections, the locks of the PEB, the writable data of all modules, heap \
           memory and what waiting threads point at. LockCount is the number of threads that wait. `-v` shows free ones too, and says of \
           each held one whether its owner still exists, who waits for it and how it was found. `-o` shows only entries of \
           the list whose critical section is not there.",
    examples: &[("!locks", "Held critical sections"), ("!locks -v", "All of them, with their owners")],
    needs: &[Needs::Memory],
    run: run_locks,
    ..Command::BASE
};

pub(crate) const CRITSEC: Command = Command {
    name: "!critsec",
    group: "locks",
    syntax: "!critsec address",
    summary: "Shows one critical section",
    help: "The layout is that of `!locks`.",
    examples: &[("!critsec @$peb", "The critical section at an address")],
    needs: &[Needs::Memory],
    run: run_critsec,
    ..Command::BASE
};

pub(crate) const CS: Command = Command {
    name: "!cs",
    group: "locks",
    syntax: "!cs [-s] [-l] [-o] [address | start end | -d debuginfo]",
    summary: "Shows critical sections with all their fields",
    help: "Without an address all that were found; with one that one; with two all between them; `-d` that of a debug \
           block. `-l` shows only held ones, `-o` adds the owner's stack, `-s` says whether the stack of the initialization \
           was recorded (gflags +ust). The tree of `-t` needs Application Verifier's data, which is not read.",
    examples: &[("!cs -l", "Held critical sections"), ("!cs -l -o", "With the owners' stacks")],
    needs: &[Needs::Memory],
    run: run_cs,
    ..Command::BASE
};

/// One section with what the texts need.
struct Row {
    lock: Lock,
    /// `module!name+offset`, `module+offset` or `+offset`.
    place: String,
    /// The same with `0x` offsets, as `!cs` writes it.
    place_cs: String,
    json: serde_json::Value,
    /// Number and stack of the owner, for `!cs -o`.
    owner_stack: Option<(Option<u32>, Vec<String>)>,
    /// What is known of the stack of its initialization, for `!cs -s`.
    creator: Option<String>,
}

fn value(text: String) -> Span {
    Span::new(Role::Value, text)
}

impl Row {
    fn new(session: &Session, lock: &Lock) -> Row {
        let at = lock.section.address;
        let symbols = &session.target.symbols;
        let resolved = symbols.resolve(at);
        let machine = session.sel.machine;
        let module = resolved.as_ref().map(|r| symbols.name_in(r.module, machine));
        let symbol = resolved.as_ref().and_then(|r| r.symbol.as_ref()).map(|s| s.name.clone());
        let offset = resolved.as_ref().map_or(at.0 & 0xffff_ffff, |r| r.displacement_in(machine));
        let name = match (module, symbol) {
            (Some(m), Some(s)) => format!("{m}!{s}"),
            (Some(m), None) => m.to_owned(),
            _ => String::new(),
        };
        let name = escape(&name).into_owned();
        let json = serde_json::to_value(rows::lock(&session.target, lock)).unwrap_or_default();
        let place_cs =
            if name.is_empty() { format!("+0x{offset:X}") } else { format!("{name}+0x{offset:x}") };
        Row {
            lock: lock.clone(),
            place: format!("{name}+{offset:x}"),
            place_cs,
            json,
            owner_stack: None,
            creator: None,
        }
    }

    /// The block of `!locks` and `!critsec`, behind an empty line.
    fn block(&self, wide: bool, detail: bool, emit: &mut dyn FnMut(Line)) {
        let s = &self.lock.section;
        let at = Span::new(Role::Address, fmt::addr_plain(s.address, wide)).link(Link::Goto(s.address));
        emit(Line::new());
        emit(Line::plain("CritSec ").role(Role::Symbol, &self.place).text(" at ").span(at));
        let mut field = |name: &str, value: Span| {
            emit(Line::new().role(Role::Label, format!("{name:<19}")).span(value));
        };
        if s.is_locked() {
            field("WaiterWoken", value(woken(s)));
            field("LockCount", value(format!("{}", s.waiters())));
        } else {
            field("LockCount", value("NOT LOCKED".into()));
        }
        field("RecursionCount", value(format!("{}", s.recursion)));
        field("OwningThread", value(format!("{:x}", s.owner)).part(Part::Owner(s.owner)));
        let debug = s.debug.filter(|_| s.points_back());
        field(
            "EntryCount",
            value(debug.map_or_else(|| "not recorded".into(), |d| format!("{:x}", d.entry_count))),
        );
        field(
            "ContentionCount",
            value(debug.map_or_else(|| "not recorded".into(), |d| format!("{:x}", d.contention_count))),
        );
        if s.is_locked() {
            emit(Line::new().role(Role::Warning, "*** Locked"));
        }
        if detail {
            self.detail(emit);
        }
    }

    fn detail(&self, emit: &mut dyn FnMut(Line)) {
        let s = &self.lock.section;
        if let Some(owner) = s.owner_tid() {
            let text = match self.lock.owner {
                OwnerState::Alive => format!("thread {:x} exists", owner.0),
                OwnerState::Missing => format!("thread {:x} no longer exists: orphaned", owner.0),
                OwnerState::Unknown => format!("not known whether thread {:x} exists", owner.0),
            };
            emit(Line::new().role(Role::Note, format!("Owner              {text}")));
        }
        if !self.lock.waiters.is_empty() {
            let list: Vec<String> = self.lock.waiters.iter().map(|t| format!("{:x}", t.0)).collect();
            emit(Line::new().role(Role::Note, format!("Waiting threads    {}", list.join(", "))));
        }
        if self.lock.source != LockSource::List {
            emit(Line::new().role(Role::Note, format!("Found in           {}", self.lock.source.text())));
        }
    }

    /// The block of `!cs`.
    fn block_cs(&self, wide: bool, one: bool, emit: &mut dyn FnMut(Line)) {
        let s = &self.lock.section;
        let full = |v: u64| if wide { format!("0x{v:016x}") } else { format!("0x{v:08x}") };
        let mut field = |name: &str, value: Span| {
            emit(Line::new().role(Role::Label, format!("{name:<19}= ")).span(value));
        };
        let own = format!("{} ({})", full(s.address.0), self.place_cs);
        if one {
            field("Critical section", value(own));
            field("DebugInfo", value(full(s.debug_info.0)));
        } else {
            field("DebugInfo", value(full(s.debug_info.0)));
            field("Critical section", value(own));
        }
        emit(Line::new().role(Role::Warning, if s.is_locked() { "LOCKED" } else { "NOT LOCKED" }));
        let mut field = |name: &str, value: Span| {
            emit(Line::new().role(Role::Label, format!("{name:<19}= ")).span(value));
        };
        if s.is_locked() {
            field("LockCount", value(format!("0x{:X}", s.waiters())));
            field("WaiterWoken", value(woken(s)));
            field("OwningThread", value(full(s.owner)).part(Part::Owner(s.owner)));
            field("RecursionCount", value(format!("0x{:X}", s.recursion)));
        }
        field("LockSemaphore", value(format!("0x{:X}", s.semaphore & 0xffff_ffff)));
        field("SpinCount", value(full(s.spin_count)));
        if let Some(creator) = &self.creator {
            emit(
                Line::new()
                    .role(Role::Label, format!("Stack trace for DebugInfo = {}:", full(s.debug_info.0))),
            );
            emit(Line::new().role(Role::Note, format!("\t{creator}")));
        }
        let Some((number, stack)) = &self.owner_stack else { return };
        let mut field = |name: &str, value: Span| {
            emit(Line::new().role(Role::Label, format!("{name:<19}= ")).span(value));
        };
        field("OwningThread DbgId", value(number.map_or_else(|| "not found".into(), |n| format!("~{n}s"))));
        if number.is_some() {
            emit(Line::new().role(Role::Label, "OwningThread Stack ="));
        }
        for line in stack {
            emit(Line::plain(format!("\t{line}")));
        }
    }
}

/// The value of `WaiterWoken`. The old way of counting does not say it.
fn woken(s: &CriticalSection) -> String {
    match s.woken() {
        Some(true) => "Yes".into(),
        Some(false) => "No".into(),
        None => format!("unknown: LockCount {}{}", s.lock_count, s.counting_words()),
    }
}

/// What WinDbg does not say, behind its own lines: owners that are gone.
fn notes(rows: &[Row], emit: &mut dyn FnMut(Line)) {
    for row in rows {
        let section = &row.lock.section;
        if let (OwnerState::Missing, Some(owner)) = (row.lock.owner, section.owner_tid()) {
            let text = format!(
                "thread {:x}, the owner of {:x}, no longer exists: the lock is orphaned",
                owner.0, section.address.0
            );
            emit(Line(vec![Span::new(Role::Note, "note: "), Span::new(Role::Note, text)]));
        }
    }
}

/// What `!locks` shows.
struct LocksReport {
    rows: Vec<Row>,
    orphaned: Vec<DebugBlock>,
    scanned: usize,
    notes: Vec<String>,
    detail: bool,
    only_orphaned: bool,
}

/// Part of the memory is missing: what is not found may have been there.
fn cut_note(session: &Session) -> Option<String> {
    let missing = session.dump().missing_bytes();
    (missing > 0).then(|| {
        format!(
            "The dump file has been truncated, {missing:#x} bytes are missing: sections in them are not seen."
        )
    })
}

/// A dump without the memory of the program: that nothing was found says nothing.
fn partial_note(session: &Session, locks: &Locks) -> Option<String> {
    let partial = locks.locks.is_empty() && session.dump().kind() != DumpKind::Full;
    partial.then(|| {
        "The dump holds only part of the memory: critical sections in the rest are not seen. `procdump -ma` or `.dump /ma` \
         includes all of it (MiniDumpWithFullMemory)."
            .to_owned()
    })
}

impl Report for LocksReport {
    fn kind(&self) -> &'static str {
        "locks"
    }

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let detail = self.detail || cx.layout == Layout::Modern;
        for row in &self.rows {
            row.block(cx.wide, detail, emit);
        }
        if self.only_orphaned {
            for d in &self.orphaned {
                let at = fmt::addr_plain(d.address, cx.wide);
                let section = fmt::addr_plain(d.section, cx.wide);
                emit(Line::plain(format!("Debug info at {at} names no valid critical section ({section})")));
            }
        }
        emit(Line::new());
        for note in &self.notes {
            emit(Line::new().role(Role::Note, note));
        }
        emit(Line::plain(format!("Scanned {} critical sections", self.scanned)));
        if !detail {
            notes(&self.rows, emit);
        }
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "scanned": self.scanned,
            "locks": self.rows.iter().map(|r| r.json.clone()).collect::<Vec<_>>(),
            "orphaned_entries": self.orphaned.iter().map(|d| fmt::Hex(d.address.0)).collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }
}

/// The locks as the session's machine sees them, with waiters where they were worked out.
fn all_locks(session: &Session) -> Locks {
    let target = &session.target;
    if session.sel.machine == target.process_machine() {
        return target.facts(&session.cancel).locks.clone();
    }
    find_locks(target, session.sel.machine, &session.cancel)
}

fn run_locks(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let (mut verbose, mut orphaned) = (false, false);
    while let Some(switch) = args.switch() {
        match switch {
            "v" => verbose = true,
            "o" => orphaned = true,
            _ => return Err(args.syntax_error()),
        }
    }
    args.end()?;
    let locks = all_locks(session);
    let partial = partial_note(session, &locks);
    let shown = |l: &&Lock| !orphaned && (verbose || l.section.is_locked());
    let report = LocksReport {
        rows: locks.locks.iter().filter(shown).map(|l| Row::new(session, l)).collect(),
        scanned: locks.locks.len(),
        orphaned: locks.orphaned,
        notes: cut_note(session).into_iter().chain(partial).chain(locks.notes).collect(),
        detail: verbose,
        only_orphaned: orphaned,
    };
    session.emit(sink, &report)
}

/// What `!critsec` and `!cs` show.
struct SectionsReport {
    rows: Vec<Row>,
    cs: bool,
    one: bool,
}

impl Report for SectionsReport {
    fn kind(&self) -> &'static str {
        "critical_sections"
    }

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for row in &self.rows {
            if self.cs {
                emit(Line::plain("-----------------------------------------"));
                row.block_cs(cx.wide, self.one, emit);
            } else {
                row.block(cx.wide, cx.layout == Layout::Modern, emit);
            }
        }
        if self.cs || cx.layout != Layout::Modern {
            notes(&self.rows, emit);
        }
    }

    fn json(&self) -> serde_json::Value {
        serde_json::Value::Array(self.rows.iter().map(|r| r.json.clone()).collect())
    }
}

/// Reads the section that the user names; what is no section is said in WinDbg's words.
fn read(session: &Session, at: Va) -> Result<Lock, CommandError> {
    let machine = session.sel.machine;
    let shown = fmt::addr_plain(at, machine.is_64());
    let Some(s) = CriticalSection::read(session.dump().memory().as_ref(), at, machine) else {
        return Err(CommandError::noted(
            format!("Unable to read the critical section at {shown}"),
            missing::MEMORY,
        ));
    };
    if s.debug.is_some() && !s.points_back() {
        let text = format!("DebugInfo for CritSec at {shown} does not point back to the critical section");
        return Err(CommandError::noted(text, "NOT an initialized critical section."));
    }
    if s.debug.is_none() && !s.is_plausible(machine, true) {
        return Err(CommandError::message(format!(
            "CritSec at {shown}: NOT an initialized critical section."
        )));
    }
    Ok(lock_of(&session.target, s, LockSource::Waiter))
}

fn run_critsec(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let at = args.address(session)?;
    args.end()?;
    let lock = read(session, at)?;
    session.emit(sink, &SectionsReport { rows: vec![Row::new(session, &lock)], cs: false, one: true })
}

/// `!cs -?`.
const USAGE: &[&str] = &[
    "!cs [-s] [-l] [-o]                - all critical sections that were found",
    "!cs [-s] [-o] <address>           - the critical section at an address",
    "!cs [-s] [-l] [-o] <start> <end>  - critical sections between two addresses",
    "!cs [-s] [-o] -d <address>        - the critical section of a debug block",
    "   -l  only held ones",
    "   -o  the owner's stack too",
    "   -s  whether the stack of the initialization was recorded",
];

fn run_cs(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    if matches!(args.peek(), "-?" | "/?") {
        return session.emit(sink, &Message(USAGE.iter().map(|l| Line::plain(*l)).collect()));
    }
    let (mut locked, mut stacks, mut of_debug, mut creators) = (false, false, false, false);
    while let Some(switch) = args.switch() {
        match switch {
            "l" => locked = true,
            "o" => stacks = true,
            "d" => of_debug = true,
            "s" => creators = true,
            "t" => return Err(no_tree(session)),
            _ => return Err(args.syntax_error()),
        }
    }
    let first = args.opt_address(session)?;
    let second = args.opt_address(session)?;
    args.end()?;
    let machine = session.sel.machine;
    let (locks, one) = match (first, second) {
        (None, _) if of_debug => return Err(args.syntax_error()),
        (None, _) => (all_locks(session).locks, false),
        (Some(at), None) if of_debug => {
            let block = DebugBlock::read(session.dump().memory().as_ref(), at, machine);
            let Some(block) = block else {
                return Err(CommandError::noted("Unable to read the debug block", missing::MEMORY));
            };
            (vec![read(session, block.section)?], true)
        }
        (Some(at), None) => (vec![read(session, at)?], true),
        (Some(start), Some(end)) => (locks_between(&session.target, machine, start, end), false),
    };
    let mut rows: Vec<Row> =
        locks.iter().filter(|l| !locked || l.section.is_locked()).map(|l| Row::new(session, l)).collect();
    if stacks {
        for row in rows.iter_mut().filter(|r| r.lock.section.is_locked()) {
            row.owner_stack = Some(owner_stack(session, &row.lock));
        }
    }
    if creators {
        let wine = session.target.is_wine();
        for row in &mut rows {
            // Wine records no stacks; it keeps a name where the index's high half would be.
            let debug = row.lock.section.debug.filter(|_| !wine && row.lock.section.points_back());
            let index = debug.map(|d| d.creator_trace);
            row.creator = Some(creator(session, index));
            if let Some(fields) = row.json.as_object_mut() {
                fields.insert("creator_backtrace_index".into(), index.into());
            }
        }
    }
    session.emit(sink, &SectionsReport { rows, cs: true, one })
}

/// `NtGlobalFlag`: Application Verifier watches the process.
const FLG_APPLICATION_VERIFIER: u32 = 0x100;

/// `NtGlobalFlag`: ntdll records the stacks of initializations.
const FLG_USER_STACK_TRACE_DB: u32 = 0x1000;

/// What the PEB says of a flag that was to be set before the process started.
fn global_flag(session: &Session, flag: u32) -> Option<bool> {
    let peb = session.dump().read_peb(session.sel.machine)?;
    Some(peb.nt_global_flag? & flag != 0)
}

/// The stack of a section's initialization: as far as a debug block leads.
fn creator(session: &Session, index: Option<u32>) -> String {
    if session.target.is_wine() {
        return "No stack trace saved: Wine, under which this process ran, has no stack trace database."
            .into();
    }
    let name = rows::process(&session.target).name.unwrap_or_else(|| "program.exe".into());
    match (index, global_flag(session, FLG_USER_STACK_TRACE_DB)) {
        (Some(n @ 1..), _) => format!(
            "entry {n:x} of ntdll's stack trace database (CreatorBackTraceIndex), which dumpscope does not read"
        ),
        (_, Some(true)) => {
            "No stack trace saved: this section has no entry in ntdll's stack trace database.".into()
        }
        (_, flag) => {
            let off = if flag == Some(false) {
                " was off for this process"
            } else {
                " is not known to have been on"
            };
            format!(
                "No stack trace saved: the stack trace database{off}. `gflags /i {name} +ust` turns it on before the start."
            )
        }
    }
}

/// `!cs -t`.
fn no_tree(session: &Session) -> CommandError {
    let verifier = match global_flag(session, FLG_APPLICATION_VERIFIER) {
        Some(true) => "It was on for this process, but its tables are not read.",
        Some(false) => "It was off for this process.",
        None => "The dump does not say whether it was on.",
    };
    CommandError::noted(
        "The tree of critical sections (-t) is kept by Application Verifier (Locks) alone",
        format!(
            "{verifier} `!waits` shows who waits for whom, `!deadlock` the circles, `!cs -l -o` held ones with stacks."
        ),
    )
}

/// The owner's number and stack, one line for each frame.
fn owner_stack(session: &Session, lock: &Lock) -> (Option<u32>, Vec<String>) {
    let owner = lock.section.owner_tid().and_then(|t| session.dump().thread_by_tid(t));
    let Some(ThreadIdx(number)) = owner.map(|t| t.index) else { return (None, Vec::new()) };
    // As `kv` prints it, in a copy: the selection stays as it is.
    let mut copy = session.clone();
    copy.sel.select_thread(ThreadIdx(number));
    let mut bytes = Vec::new();
    let done = run_captured(&mut copy, "kv", &mut TextSink::new(&mut bytes, false));
    let text = if done.is_ok() { String::from_utf8_lossy(&bytes).into_owned() } else { String::new() };
    (Some(number), text.lines().map(|l| l.trim_end().to_owned()).collect())
}
