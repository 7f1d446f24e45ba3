//! `!jstack`: all Java threads in the layout of the JDK's own `jstack`.

use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, RenderCx, Role, Sink};
use crate::fmt::Hex;
use crate::session::Session;
use dumpscope_analyzers::runaway::{ThreadTimes, thread_times};
use dumpscope_analyzers::stacks::thread_stack;
use dumpscope_core::base::text::escape;
use dumpscope_core::{Tid, Va};
use dumpscope_runtimes::jvm::{JvmBlocked, JvmBlocker, JvmItem, JvmThread};
use dumpscope_runtimes::{Reader, Walked};
use dumpscope_symbols::{Frame, Limits};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(crate) const JSTACK: Command = Command {
    name: "!jstack",
    group: "java",
    syntax: "!jstack [-l]",
    summary: "Shows all Java threads with their stacks and locks, as the JDK's jstack does",
    help: "Threads, states, frames and monitors in jstack's layout, deadlocks at the end. Class initializers that wait for each \
           other are told too (jstack does not see them). Virtual threads that do not run follow behind. `-l`: locks of \
           java.util.concurrent that each thread owns; the heap is searched for them.",
    examples: &[("!jstack", "All Java threads"), ("!jstack -l", "With the locks that they own")],
    needs: &[Needs::Threads, Needs::Memory],
    run,
    ..Command::BASE
};

#[derive(Clone, Debug, Serialize)]
struct Item {
    /// The line without its tab.
    text: String,
    lock: bool,
}

#[derive(Clone, Debug, Serialize)]
struct ThreadBlock {
    head: String,
    name: String,
    tid: Option<u32>,
    address: Hex,
    state: String,
    carries: Option<u64>,
    items: Vec<Item>,
    /// With `-l`.
    synchronizers: Option<Vec<String>>,
}

#[derive(Clone, Debug, Serialize)]
struct Member {
    name: String,
    waits: String,
    held_by: String,
}

/// Threads that wait for each other.
#[derive(Clone, Debug, Serialize)]
struct Circle {
    members: Vec<Member>,
    /// jstack does not tell of it.
    class_init: bool,
}

#[derive(Clone, Debug, Serialize)]
struct Report {
    vm: String,
    threads: Vec<ThreadBlock>,
    virtual_threads: Vec<ThreadBlock>,
    deadlocks: Vec<Circle>,
}

fn block(t: &ThreadBlock, emit: &mut dyn FnMut(Line)) {
    emit(Line::new().role(Role::Thread, t.head.clone()));
    if !t.state.is_empty() {
        emit(Line::plain(format!("   java.lang.Thread.State: {}", t.state)));
    }
    if let Some(number) = t.carries {
        emit(Line::plain(format!("   Carrying virtual thread #{number}")));
    }
    items(&t.items, emit);
    if let Some(all) = &t.synchronizers {
        emit(Line::new());
        emit(Line::plain("   Locked ownable synchronizers:"));
        if all.is_empty() {
            emit(Line::plain("\t- None"));
        }
        all.iter().for_each(|s| emit(Line::plain(format!("\t- {s}"))));
    }
    emit(Line::new());
}

fn items(all: &[Item], emit: &mut dyn FnMut(Line)) {
    for item in all {
        let role = if item.lock { Role::Dim } else { Role::Symbol };
        emit(Line::plain("\t").role(role, item.text.clone()));
    }
}

impl Answer for Report {
    const KIND: &'static str = "jstack";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::new().role(Role::Heading, format!("Full thread dump {}:", self.vm)));
        emit(Line::new());
        self.threads.iter().for_each(|t| block(t, emit));
        if !self.virtual_threads.is_empty() {
            emit(Line::new().role(Role::Dim, "Virtual threads (jstack does not list them):"));
            emit(Line::new());
            self.virtual_threads.iter().for_each(|t| block(t, emit));
        }
        for circle in &self.deadlocks {
            emit(Line::new());
            emit(Line::new().role(Role::Error, "Found one Java-level deadlock:"));
            emit(Line::plain("============================="));
            for m in &circle.members {
                emit(Line::plain(format!("\"{}\":", m.name)));
                emit(Line::plain(format!("  {},", m.waits)));
                emit(Line::plain(format!("  which is {}", m.held_by)));
                emit(Line::new());
            }
            if circle.class_init {
                emit(Line::new().role(Role::Dim, "(jstack does not report waits for class initializers)"));
                emit(Line::new());
            }
            emit(Line::plain("Java stack information for the threads listed above:"));
            emit(Line::plain("==================================================="));
            for m in &circle.members {
                emit(Line::plain(format!("\"{}\":", m.name)));
                if let Some(t) = self.threads.iter().find(|t| t.name == m.name) {
                    items(&t.items, emit);
                }
            }
            emit(Line::new());
        }
        match self.deadlocks.len() {
            0 => {}
            1 => emit(Line::plain("Found 1 deadlock.")),
            n => emit(Line::plain(format!("Found {n} deadlocks."))),
        }
    }
}

fn safe(text: &str) -> String {
    escape(text).into_owned()
}

/// The VM that can be read; an error that says why there is none.
fn java(session: &Session) -> Result<Arc<dyn Reader>, CommandError> {
    super::readable(session, "Java", "java.exe, or any process that has loaded jvm.dll")
}

fn address(at: Va) -> String {
    format!("0x{:016x}", at.0)
}

fn item(item: &JvmItem) -> Item {
    match item {
        JvmItem::Frame { function, place } => {
            Item { text: format!("at {}({})", safe(function), safe(place)), lock: false }
        }
        JvmItem::Lock { verb, object: Some(object), class } => {
            Item { text: format!("- {verb} <{}> (a {})", address(*object), safe(class)), lock: true }
        }
        JvmItem::Lock { verb, object: None, class } if !class.is_empty() => {
            Item { text: format!("- {verb} {}", safe(class)), lock: true }
        }
        JvmItem::Lock { verb, .. } => {
            Item { text: format!("- {verb} <no object reference available>"), lock: true }
        }
    }
}

/// The stack of a thread that has frames of the runtime's code.
fn in_java(session: &Session, tid: Tid) -> Option<(Tid, Vec<Frame>)> {
    let index = session.dump().thread_by_tid(tid)?.index;
    let machine = session.dump().machine();
    let stack = thread_stack(&session.target, index, machine, &Limits::default(), &session.cancel)?;
    let any = stack.frames.iter().any(|f| f.managed);
    any.then(|| (tid, stack.physical().map(|f| f.frame.clone()).collect()))
}

fn head(t: &JvmThread, times: &BTreeMap<Tid, ThreadTimes>) -> String {
    let ms = |v: Option<u64>| v.map(|v| v / 10_000);
    let times = t.tid.and_then(|tid| times.get(&tid));
    let cpu = times.and_then(|f| ms(Some(f.user?.checked_add(f.kernel?)?)));
    let elapsed = times.and_then(|f| ms(f.elapsed));
    let mut out = format!("\"{}\" #{}", safe(&t.name), t.number);
    out.extend(t.tid.map(|tid| format!(" [{}]", tid.0)));
    if t.daemon {
        out.push_str(" daemon");
    }
    out.extend(t.priority.map(|p| format!(" prio={p}")));
    out.extend(cpu.map(|c| format!(" cpu={c}.00ms")));
    out.extend(elapsed.map(|e| format!(" elapsed={}.{:02}s", e / 1000, e % 1000 / 10)));
    let native = t.tid.map_or_else(|| "NA".to_owned(), |t| t.0.to_string());
    format!("{out} tid={} nid={native} {}  [{}]", address(t.address), t.does, address(t.page))
}

/// Threads that wait for each other in a circle; each circle once.
fn circles(threads: &[JvmThread]) -> Vec<Circle> {
    let by_address: BTreeMap<Va, &JvmThread> = threads.iter().map(|t| (t.address, t)).collect();
    let mut done = BTreeSet::new();
    let mut out = Vec::new();
    for start in threads {
        let mut way: Vec<(&JvmThread, &JvmBlocked, &JvmThread)> = Vec::new();
        let mut on_way = BTreeSet::new();
        let mut at = start;
        while done.insert(at.address) {
            on_way.insert(at.address);
            let Some(blocked) = &at.blocked else { break };
            let Some(next) = blocked.owner.and_then(|o| by_address.get(&o)).copied() else { break };
            way.push((at, blocked, next));
            at = next;
            if on_way.contains(&at.address) {
                let from = way.iter().position(|(t, ..)| t.address == at.address).unwrap_or(0);
                let members = way.get(from..).unwrap_or_default();
                out.push(Circle {
                    members: members.iter().map(|(t, b, o)| member(t, b, o)).collect(),
                    class_init: members.iter().any(|(_, b, _)| b.by == JvmBlocker::Class),
                });
                break;
            }
        }
    }
    out
}

fn member(thread: &JvmThread, blocked: &JvmBlocked, owner: &JvmThread) -> Member {
    let class = safe(&blocked.class);
    let object = blocked.object.map(address).unwrap_or_default();
    let held = format!("held by \"{}\"", safe(&owner.name));
    let (waits, held_by) = match blocked.by {
        JvmBlocker::Monitor(monitor) => {
            (format!("waiting to lock monitor {} (object {object}, a {class})", address(monitor)), held)
        }
        JvmBlocker::Synchronizer => (format!("waiting for ownable synchronizer {object}, (a {class})"), held),
        JvmBlocker::Class => (
            format!("waiting for the initialization of class {class}"),
            format!("initialized by \"{}\"", safe(&owner.name)),
        ),
    };
    Member { name: safe(&thread.name), waits, held_by }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut cursor = inv.cursor();
    let long = cursor.eat("-l");
    cursor.end()?;
    let reader = java(session)?;
    let Some(jvm) = reader.jvm() else { return Ok(()) };
    // The VM's own anchors and the registers tell most frames; only a thread that left Java without one needs its stack.
    let first = jvm.jvm_threads(&[]);
    let without = first.iter().filter(|t| t.items.is_empty()).filter_map(|t| t.tid);
    let stacks: Vec<(Tid, Vec<Frame>)> = without.filter_map(|tid| in_java(session, tid)).collect();
    let walked: Vec<Walked<'_>> = stacks.iter().map(|(tid, frames)| Walked { tid: *tid, frames }).collect();
    let all = if walked.is_empty() { first } else { jvm.jvm_threads(&walked) };
    let times: BTreeMap<Tid, ThreadTimes> =
        thread_times(session.dump()).into_iter().flatten().map(|t| (t.tid, t)).collect();
    let owned = if long { Some(jvm.synchronizers()) } else { None };
    let of = |at: Va| {
        let words =
            |(_, object, class): &(Va, Va, String)| format!("<{}> (a {})", address(*object), safe(class));
        owned.as_ref().map(|all| all.iter().filter(|o| o.0 == at).map(words).collect())
    };
    let threads = all.iter().map(|t| ThreadBlock {
        head: head(t, &times),
        name: safe(&t.name),
        tid: t.tid.map(|t| t.0),
        address: t.address.into(),
        state: t.state.clone(),
        carries: t.carries,
        items: t.items.iter().map(item).collect(),
        synchronizers: of(t.address),
    });
    let virtuals = reader.threads().iter().filter(|t| t.state.contains(&"virtual"));
    let virtual_threads = virtuals.map(|t| ThreadBlock {
        head: format!("\"{}\" #{} virtual", safe(t.name.as_deref().unwrap_or_default()), t.id),
        name: safe(t.name.as_deref().unwrap_or_default()),
        tid: None,
        address: t.address.into(),
        state: String::new(),
        carries: None,
        items: reader.frames_at(t.address).iter().map(virtual_item).collect(),
        synchronizers: None,
    });
    let report = Report {
        vm: safe(&jvm.vm_words()),
        threads: threads.collect(),
        virtual_threads: virtual_threads.collect(),
        deadlocks: circles(&all),
    };
    session.emit(sink, &report)
}

fn virtual_item(f: &dumpscope_runtimes::ScriptFrame) -> Item {
    let place = match (f.kind, &f.file, f.line) {
        (dumpscope_runtimes::FrameKind::Native, ..) => "Native Method".to_owned(),
        (_, None, _) => "Unknown Source".to_owned(),
        (_, Some(file), Some(line)) => format!("{}:{line}", safe(file)),
        (_, Some(file), None) => safe(file),
    };
    Item { text: format!("at {}({place})", safe(&f.function)), lock: false }
}
