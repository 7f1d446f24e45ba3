//! `!clrthreads`, `!syncblk`, `!eeversion`.

use super::{dotnet, number, safe};
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, Link, RenderCx, Role, Sink, Span};
use crate::fmt::Hex;
use crate::session::Session;
use dumpscope_core::model::Teb;
use dumpscope_core::{ReadMemory, ThreadIdx, Tid};
use dumpscope_runtimes::clr::{ClrReader, ClrThread, SyncBlock};
use serde::Serialize;

pub(crate) const CLRTHREADS: Command = Command {
    name: "!clrthreads",
    aliases: &["!threads"],
    group: "dotnet",
    syntax: "!clrthreads",
    summary: "Lists the threads of the .NET runtime",
    help: "Number of the debugger, id of the runtime, id of the system, address, state bits, mode, allocation context, domain, \
           locks, apartment, and the exception that the thread threw last. `XXXX`: the thread has ended, its object lives.",
    examples: &[("!clrthreads", "All managed threads")],
    needs: &[Needs::Threads, Needs::Memory],
    run: run_threads,
    ..Command::BASE
};

pub(crate) const SYNCBLK: Command = Command {
    name: "!syncblk",
    group: "dotnet",
    syntax: "!syncblk [-all]",
    summary: "Lists monitors of .NET objects that are held",
    help: "A held monitor counts 1, each thread that waits for it 2. `-all`: also those that nobody holds.",
    examples: &[("!syncblk", "Held monitors"), ("!syncblk -all", "All sync blocks")],
    needs: &[Needs::Threads, Needs::Memory],
    run: run_syncblk,
    ..Command::BASE
};

pub(crate) const EEVERSION: Command = Command {
    name: "!eeversion",
    group: "dotnet",
    syntax: "!eeversion",
    summary: "Shows the version of the .NET runtime",
    help: "The file version of the runtime's module, and which garbage collector it uses.",
    examples: &[("!eeversion", "The version")],
    needs: &[Needs::Modules],
    run: run_eeversion,
    ..Command::BASE
};

#[derive(Clone, Debug, Serialize)]
struct ThreadLine {
    index: Option<u32>,
    id: u64,
    tid: u32,
    address: Hex,
    state: Hex,
    cooperative: bool,
    allocation: (Hex, Hex),
    domain: Hex,
    apartment: &'static str,
    notes: String,
}

#[derive(Clone, Debug, Serialize)]
struct ThreadsReport {
    count: u32,
    unstarted: u32,
    background: u32,
    pending: u32,
    dead: u32,
    threads: Vec<ThreadLine>,
}

impl Answer for ThreadsReport {
    const KIND: &'static str = "clr_threads";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for (name, n) in [
            ("ThreadCount:     ", self.count),
            ("UnstartedThread: ", self.unstarted),
            ("BackgroundThread:", self.background),
            ("PendingThread:   ", self.pending),
            ("DeadThread:      ", self.dead),
        ] {
            emit(Line::plain(format!("{name} {n}")));
        }
        emit(Line::plain("Hosted Runtime:   no"));
        emit(Line::plain(format!("{:108}{}", "", "Lock  ")));
        emit(Line::plain(
            " DBG   ID     OSID ThreadOBJ           State GC Mode     GC Alloc Context                  Domain           Count Apt Exception",
        ));
        for t in &self.threads {
            let mode = if t.cooperative { "Cooperative" } else { "Preemptive " };
            let index = match t.index {
                Some(i) => Span::new(Role::Thread, format!("{i:>4}")).link(Link::Thread(ThreadIdx(i))),
                None => Span::new(Role::Dim, "XXXX"),
            };
            let (from, to) = t.allocation;
            emit(Line::new().span(index).text(format!(
                " {:>4} {:>8x} {:016X} {:>8x} {mode} {:016X}:{:016X} {:016X} -00001 {} {}",
                t.id, t.tid, t.address.0, t.state.0, from.0, to.0, t.domain.0, t.apartment, t.notes
            )));
        }
    }
}

/// COM's word on a thread's apartment: flags at offset 0x14 of what `ReservedForOle` in its TEB points to.
fn apartment(session: &Session, tid: u32) -> Option<&'static str> {
    let dump = session.dump();
    let index = dump.thread_by_tid(Tid(tid)).filter(|_| tid != 0)?.index;
    let teb = Teb::read(&**dump.memory(), dump.teb(index, dump.machine())?, dump.machine());
    let flags = dump.memory().u32(teb.reserved_for_ole.filter(|o| !o.is_null())?.offset(0x14))?;
    Some(match flags {
        f if f & 0x80 != 0 => "STA",
        f if f & 0x100 != 0 => "MTA",
        f if f & 0x800 != 0 => "NTA",
        _ => "Ukn",
    })
}

fn thread_line(session: &Session, t: &ClrThread) -> ThreadLine {
    let apartment = apartment(session, t.os_id).unwrap_or("Ukn");
    let mut notes = String::new();
    if t.finalizer {
        notes.push_str("(Finalizer) ");
    }
    if t.suspending {
        notes.push_str("(GC) ");
    }
    if t.state & 0x0100_0000 != 0 && !t.finalizer {
        notes.push_str("(Threadpool Worker) ");
    }
    if let Some((name, object, nested)) = &t.exception {
        let nested = if *nested { " (nested exceptions)" } else { "" };
        notes.push_str(&format!("{} {:016x}{nested}", safe(name), object.0));
    }
    ThreadLine {
        index: number(session, t.os_id).filter(|_| t.os_id != 0 && t.state & 0x800 == 0),
        id: t.id,
        tid: t.os_id,
        address: t.address.into(),
        state: Hex(t.state.into()),
        cooperative: t.cooperative,
        allocation: (t.allocation.0.into(), t.allocation.1.into()),
        domain: t.domain.into(),
        apartment,
        notes,
    }
}

fn run_threads(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    inv.cursor().end()?;
    let reader = dotnet(session)?;
    let Some(clr) = reader.clr() else { return Ok(()) };
    let all = clr.clr_threads();
    let threads = all.rows.iter().map(|t| thread_line(session, t)).collect();
    let report = ThreadsReport {
        count: all.count,
        unstarted: all.unstarted,
        background: all.background,
        pending: all.pending,
        dead: all.dead,
        threads,
    };
    session.emit(sink, &report)
}

#[derive(Clone, Debug, Serialize)]
struct BlockLine {
    index: u64,
    address: Hex,
    held: u64,
    recursion: u32,
    owner: Option<Hex>,
    owner_tid: Option<u32>,
    owner_index: Option<u32>,
    object: Hex,
    object_type: String,
}

#[derive(Clone, Debug, Serialize)]
struct BlocksReport {
    blocks: Vec<BlockLine>,
    total: usize,
}

impl Answer for BlocksReport {
    const KIND: &'static str = "sync_blocks";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::plain(
            "Index         SyncBlock MonitorHeld Recursion Owning Thread Info          SyncBlock Owner",
        ));
        for b in &self.blocks {
            let owner = match (b.owner, b.owner_tid) {
                (Some(owner), Some(tid)) => {
                    let index = b.owner_index.map_or_else(|| "XXX".to_owned(), |i| i.to_string());
                    format!("{:016X} {tid:x} {index:>3}  ", owner.0)
                }
                _ => format!("{:016X}     none   ", 0),
            };
            emit(Line::plain(format!(
                "{:>5} {:016X} {:>12} {:>9} {owner} {:016x} {}",
                b.index, b.address.0, b.held, b.recursion, b.object.0, b.object_type
            )));
        }
        emit(Line::plain("-----------------------------"));
        emit(Line::plain(format!("Total           {}", self.total)));
        for name in ["CCW            ", "RCW            ", "ComClassFactory", "Free           "] {
            emit(Line::plain(format!("{name} 0")));
        }
    }
}

fn block_line(session: &Session, b: &SyncBlock) -> BlockLine {
    BlockLine {
        index: b.index,
        address: b.address.into(),
        held: u64::from(b.held) + 2 * u64::from(b.waiting),
        recursion: b.recursion,
        owner: b.owner.map(|(record, _)| record.into()),
        owner_tid: b.owner.map(|(_, tid)| tid),
        owner_index: b.owner.and_then(|(_, tid)| number(session, tid)),
        object: b.object.into(),
        object_type: safe(&b.object_type),
    }
}

fn run_syncblk(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut cursor = inv.cursor();
    let all = cursor.eat("-all");
    cursor.end()?;
    let reader = dotnet(session)?;
    let Some(clr) = reader.clr() else { return Ok(()) };
    let blocks = clr.sync_blocks();
    let shown = blocks.iter().filter(|b| all || b.held);
    let report =
        BlocksReport { blocks: shown.map(|b| block_line(session, b)).collect(), total: blocks.len() };
    session.emit(sink, &report)
}

#[derive(Clone, Debug, Serialize)]
struct VersionReport {
    version: String,
    server: bool,
    how: String,
}

impl Answer for VersionReport {
    const KIND: &'static str = "ee_version";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::plain(format!("{} free", self.version)));
        emit(Line::plain(if self.server { "Server mode" } else { "Workstation mode" }));
        emit(Line::new().role(Role::Dim, format!("Read without a debugger extension ({})", self.how)));
    }
}

fn run_eeversion(
    session: &mut Session,
    inv: &Invocation<'_>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    inv.cursor().end()?;
    let reader = dotnet(session)?;
    let runtime = reader.runtime();
    let file = session.dump().modules().get(runtime.module).and_then(|m| m.version).map(|v| v.file);
    let version = match file {
        Some([a, b, c, d]) => format!("{a}.{b}.{c}.{d}"),
        None => runtime.version.clone().unwrap_or_else(|| "?".to_owned()),
    };
    let server = reader.clr().is_some_and(ClrReader::is_server);
    session.emit(sink, &VersionReport { version, server, how: safe(&runtime.how) })
}
