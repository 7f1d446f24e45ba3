//! `!handle`.

mod report;

use super::missing;
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Line, Message, Sink};
use crate::fmt::Hex;
use crate::session::Session;
use dumpscope_analyzers::thread_state::thread_state;
use dumpscope_core::base::text::escape;
use dumpscope_core::stream::handle_data::{Handle, ObjectInfo};
use dumpscope_core::{Tid, Va};
use report::{
    EventRow, HandleRow, HandlesReport, ObjectRow, ProcessObject, SectionRow, SemaphoreRow, ThreadObject,
};
use std::collections::BTreeMap;

pub(crate) const HANDLE: Command = Command {
    name: "!handle",
    group: "handles",
    syntax: "!handle [handle [flags [type]]]",
    summary: "Shows open handles and what is known of their objects",
    help: "Without a handle, or with 0 or -1, all handles are shown. Flags add up: 1 type (the default), 2 attributes, \
           access and counts, 4 name, 8 object information (state of an event, owner of a mutex, counts of a semaphore); \
           `f` is all of them. `!handle 0 0` counts handles by type. A type limits the list (`Event`, `Mutant`, \
           `Semaphore`, `File`, `Thread`, `Process`, `Section`, `Key`; the letter case matters).",
    examples: &[
        ("!handle", "All handles"),
        ("!handle 0 0", "Counts by type"),
        ("!handle 4 f", "Everything of handle 4"),
        ("!handle 0 f Mutant", "Everything of all mutexes"),
        ("!handle -?", "Help in WinDbg's words"),
    ],
    needs: &[Needs::Handles],
    run,
    ..Command::BASE
};

/// `!handle -?`.
const USAGE: &[&str] = &[
    "!handle [<handle> [<flags> [<type>]]]",
    "   <handle> - Handle to get information about",
    "              0 or -1 means all handles",
    "   <flags>  - Output control flags",
    "              1   - Get type information (default)",
    "              2   - Get basic information",
    "              4   - Get name information",
    "              8   - Get object specific info (where available)",
    "   <type>   - Limit query to handles of the given type",
    "Displays information about open handles",
];

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    if matches!(args.peek(), "-?" | "/?") {
        return session.emit(sink, &Message(USAGE.iter().map(|l| Line::plain(*l)).collect()));
    }
    let (value, given) = match args.opt_expr(session)? {
        None => (0, false),
        Some(value) => (value, true),
    };
    let flags = args.opt_expr(session)?;
    let filter = args.take_rest();
    let flags = flags.unwrap_or(1);
    let Some(data) = session.dump().handles().value() else {
        return Err(CommandError::extension(
            "!handle",
            0x8000_4002,
            "Unable to read handle information",
            Some(missing::HANDLES),
        ));
    };
    let minus_one = if session.dump().machine().is_64() { u64::MAX } else { u64::from(u32::MAX) };
    let all = !given || value == 0 || value == u64::MAX || value == minus_one;
    let wide = session.dump().machine().is_64();
    if !all {
        // The two low bits of a handle are the program's own.
        let found = data.handles.iter().find(|h| h.value == value);
        let found = found.or_else(|| data.handles.iter().find(|h| h.value == value & !3));
        let Some(handle) = found else {
            let text = format!(
                "Handle {}\nunable to query object information",
                crate::fmt::addr_plain(Va(value), wide)
            );
            return Err(CommandError::noted(text, "The process has no such handle."));
        };
        let handles = vec![handle_row(session, handle)];
        let report =
            HandlesReport { handles, by_type: None, total: None, filter: None, note: None, flags, wide };
        return session.emit(sink, &report);
    }
    let chosen = |h: &&Handle| filter.is_empty() || h.type_name.as_deref() == Some(filter);
    let of_type: Vec<&Handle> = data.handles.iter().filter(chosen).collect();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for handle in &of_type {
        *counts.entry(handle.type_name.as_deref().unwrap_or("<unknown>")).or_default() += 1;
    }
    let mut by_type: Vec<(String, u64)> =
        counts.into_iter().map(|(name, n)| (escape(name).into_owned(), n)).collect();
    by_type.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let handles = match flags {
        0 => Vec::new(),
        _ => of_type.iter().map(|h| handle_row(session, h)).collect(),
    };
    let report = HandlesReport {
        handles,
        by_type: Some(by_type),
        total: Some(of_type.len() as u64),
        filter: (!filter.is_empty()).then(|| escape(filter).into_owned()),
        note: if of_type.is_empty() { none_note(&data.handles, filter) } else { None },
        flags,
        wide,
    };
    session.emit(sink, &report)
}

/// Why no handle is shown: none is recorded, or the type has another spelling.
fn none_note(handles: &[Handle], filter: &str) -> Option<String> {
    if handles.is_empty() {
        return Some("The dump has a list of handles, but it is empty: its writer recorded none.".into());
    }
    let types = handles.iter().filter_map(|h| h.type_name.as_deref());
    let like = types.into_iter().find(|t| t.eq_ignore_ascii_case(filter))?;
    Some(format!("The letter case matters: there are handles of type {}.", escape(like)))
}

fn handle_row(session: &Session, h: &Handle) -> HandleRow {
    HandleRow {
        handle: Hex(h.value),
        type_name: h.type_name.as_deref().map(|n| escape(n).into_owned()),
        name: h.object_name.as_deref().filter(|n| !n.is_empty()).map(|n| escape(n).into_owned()),
        attributes: h.attributes.into(),
        granted_access: h.granted_access.into(),
        handle_count: h.handle_count,
        pointer_count: h.pointer_count,
        object: object_row(session, &h.info),
    }
}

/// `STILL_ACTIVE`.
const RUNNING: u32 = 0x103;

fn object_row(session: &Session, info: &[ObjectInfo]) -> Option<ObjectRow> {
    let dump = session.dump();
    let ended = |status: u32| (status != RUNNING).then(|| Hex::from(status));
    let mut out = ObjectRow::default();
    for record in info {
        match record {
            ObjectInfo::Event { manual_reset, signalled } => {
                out.event = Some(EventRow { manual_reset: *manual_reset, signalled: *signalled });
            }
            ObjectInfo::Mutant { current_count, abandoned, .. } => {
                let row = out.mutant.get_or_insert_default();
                row.count = Some(*current_count);
                row.abandoned = Some(*abandoned);
            }
            ObjectInfo::MutantOwner { pid, tid } if tid.0 != 0 => {
                let row = out.mutant.get_or_insert_default();
                (row.owner_pid, row.owner_tid) = (Some(pid.0), Some(tid.0));
                if dump.pid() == Some(*pid) {
                    row.owner = Some(thread_state(&session.target, *tid).name());
                }
            }
            ObjectInfo::MutantOwner { .. } => {
                out.mutant.get_or_insert_default();
            }
            ObjectInfo::Semaphore { count, limit } => {
                out.semaphore = Some(SemaphoreRow { count: *count, limit: *limit });
            }
            ObjectInfo::Thread { exit_status, pid, tid, priority, base_priority, .. } => {
                let start = if dump.pid() == Some(*pid) { start_of(session, *tid) } else { None };
                out.thread = Some(ThreadObject {
                    pid: pid.0,
                    tid: tid.0,
                    priority: *priority,
                    base_priority: *base_priority,
                    exit_status: ended(*exit_status),
                    start: start.map(Hex::from),
                    start_symbol: start.and_then(|va| session.name_of(va)).map(|s| escape(&s).into_owned()),
                });
            }
            ObjectInfo::Process { exit_status, base_priority, pid, parent, .. } => {
                out.process = Some(ProcessObject {
                    pid: pid.0,
                    parent_pid: parent.0,
                    base_priority: *base_priority,
                    exit_status: ended(*exit_status),
                });
            }
            ObjectInfo::Section { attributes, size } => {
                out.section = Some(SectionRow { size: *size, attributes: Hex::from(*attributes) });
            }
            _ => {}
        }
    }
    (out != ObjectRow::default()).then_some(out)
}

fn start_of(session: &Session, tid: Tid) -> Option<Va> {
    let info = session.dump().thread_by_tid(tid)?.info.as_ref()?;
    Some(info.start_address).filter(|a| !a.is_null())
}
