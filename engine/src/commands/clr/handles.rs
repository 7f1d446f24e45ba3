//! `!gchandles`: the collector's handles. `!finalizequeue`: objects with finalizers.

use super::table::{Counts, ObjectLine, TypeLine, gap_notes, listing};
use super::{clr, dotnet, safe};
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, RenderCx, Role, Sink};
use crate::fmt::Hex;
use crate::session::Session;
use dumpscope_core::Va;
use dumpscope_runtimes::clr::{ClrReader, HeapGaps};
use serde::Serialize;
use std::collections::BTreeMap;

pub(crate) const GCHANDLES: Command = Command {
    name: "!gchandles",
    group: "dotnet",
    syntax: "!gchandles [-stat] [-type kind]",
    summary: "Lists the handles of the .NET collector",
    help: "Strong and pinned handles keep their object alive, weak ones do not, dependent ones keep a second object (`Data`) alive as \
           long as the first lives. `-type Pinned`: only one kind; `-stat`: only the counts.",
    examples: &[("!gchandles", "All handles"), ("!gchandles -stat -type Pinned", "What is pinned")],
    needs: &[Needs::Memory],
    run: run_handles,
    ..Command::BASE
};

pub(crate) const FINALIZEQUEUE: Command = Command {
    name: "!finalizequeue",
    group: "dotnet",
    syntax: "!finalizequeue [-stat]",
    summary: "Lists .NET objects with finalizers",
    help: "Objects whose finalizer has not run. `Ready`: nothing refers to them any more, and they wait for the finalizer thread; many \
           of them mean that it is blocked or slow. `-stat`: only the counts.",
    examples: &[("!finalizequeue", "All of them"), ("!finalizequeue -stat", "Counts by type")],
    needs: &[Needs::Memory],
    run: run_finalizers,
    ..Command::BASE
};

#[derive(Clone, Debug, Serialize)]
struct HandleLine {
    handle: Hex,
    kind: &'static str,
    object: Hex,
    size: u64,
    data: Option<Hex>,
    type_name: String,
}

#[derive(Clone, Debug, Serialize)]
struct HandlesReport {
    listed: bool,
    handles: Vec<HandleLine>,
    types: Vec<TypeLine>,
    counts: Vec<(&'static str, usize)>,
}

impl Answer for HandlesReport {
    const KIND: &'static str = "clr_handles";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        if self.listed {
            emit(Line::plain("          Handle Type                  Object     Size             Data Type"));
            for h in &self.handles {
                let data = h.data.map(|d| format!("{:016X}", d.0)).unwrap_or_default();
                emit(
                    Line::plain(format!("{:016X} {:<11} ", h.handle.0, h.kind))
                        .span(super::table::object_span(format!("{:016X}", h.object.0), h.object.0))
                        .text(format!(" {:>8} {data:>16} ", h.size))
                        .role(Role::Symbol, h.type_name.clone()),
                );
            }
            emit(Line::new());
        }
        emit(Line::plain("Statistics:"));
        emit(Line::plain("              MT    Count    TotalSize Class Name"));
        for t in &self.types {
            let start = format!("{:016x} {:>8} {:>12} ", t.type_record.0, t.count, t.bytes);
            emit(Line::plain(start).role(Role::Symbol, t.name.clone()));
        }
        let total: u64 = self.types.iter().map(|t| t.count).sum();
        emit(Line::plain(format!("Total {total} objects")));
        emit(Line::new());
        emit(Line::plain("Handles:"));
        for (title, count) in &self.counts {
            emit(Line::plain(format!("    {:<22}{count}", format!("{title} Handles:"))));
        }
    }
}

/// Kinds in the order of the sums, with their titles.
const TITLES: &[(&str, &str)] = &[
    ("Strong", "Strong"),
    ("Pinned", "Pinned"),
    ("AsyncPinned", "Async Pinned"),
    ("RefCounted", "Ref Count"),
    ("WeakLong", "Weak Long"),
    ("WeakShort", "Weak Short"),
    ("WeakWinRT", "Weak WinRT"),
    ("Variable", "Variable"),
    ("SizedRef", "Sized Ref"),
    ("Dependent", "Dependent"),
    ("WeakInterior", "Weak Interior"),
    ("CrossReference", "Cross Reference"),
];

fn run_handles(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut cursor = inv.cursor();
    let (mut stat, mut kind) = (false, None);
    while !cursor.is_empty() {
        if cursor.eat("-stat") {
            stat = true;
        } else if cursor.eat("-type") {
            kind = Some(cursor.word().ok_or_else(|| cursor.syntax_error())?.to_owned());
        } else {
            return Err(cursor.syntax_error());
        }
    }
    let reader = dotnet(session)?;
    let clr = clr(&reader)?;
    let mut all = clr.handles();
    all.retain(|h| kind.as_deref().is_none_or(|k| k.eq_ignore_ascii_case(h.kind)));
    let mut names: BTreeMap<Va, String> = BTreeMap::new();
    let mut counts: BTreeMap<Va, (u64, u64)> = BTreeMap::new();
    let mut handles = Vec::new();
    for h in &all {
        // A handle may outlive its object while a collection runs.
        let object = clr.object_at(h.object);
        let type_record = object.map_or(Va(0), |o| o.type_record);
        let size = object.map_or(0, |o| o.size);
        let name = names.entry(type_record).or_insert_with(|| bracketed(clr, type_record));
        let row = counts.entry(type_record).or_default();
        row.0 += 1;
        row.1 = row.1.saturating_add(size);
        handles.push(HandleLine {
            handle: h.address.into(),
            kind: h.kind,
            object: h.object.into(),
            size,
            data: (h.kind == "Dependent").then(|| h.secondary.into()),
            type_name: name.clone(),
        });
    }
    let row = |(mt, (count, bytes)): (Va, (u64, u64))| TypeLine {
        type_record: mt.into(),
        count,
        bytes,
        name: names.get(&mt).cloned().unwrap_or_default(),
    };
    let mut types: Vec<_> = counts.into_iter().map(row).collect();
    types.sort_by(|a, b| (a.bytes, b.type_record.0).cmp(&(b.bytes, a.type_record.0)));
    let count = |kind: &str| all.iter().filter(|h| h.kind == kind).count();
    let counts: Vec<_> =
        TITLES.iter().map(|(kind, title)| (*title, count(kind))).filter(|(_, n)| *n > 0).collect();
    if stat {
        handles.clear();
    }
    session.emit(sink, &HandlesReport { listed: !stat, handles, types, counts })
}

/// A type's name as metadata writes it.
fn bracketed(clr: &dyn ClrReader, mt: Va) -> String {
    clr.type_info(mt).map_or_else(|| "<unknown>".to_owned(), |t| safe(&t.name))
}

#[derive(Clone, Debug, Serialize)]
struct QueueLine {
    generations: Vec<(Hex, Hex)>,
    ready: (Hex, Hex),
}

#[derive(Clone, Debug, Serialize)]
struct FinalizeReport {
    queues: Vec<QueueLine>,
    listed: bool,
    objects: Vec<ObjectLine>,
    types: Vec<TypeLine>,
    notes: Vec<String>,
}

fn entries(from: Hex, to: Hex) -> u64 {
    to.0.saturating_sub(from.0) / 8
}

impl Answer for FinalizeReport {
    const KIND: &'static str = "clr_finalizers";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for (n, q) in self.queues.iter().enumerate() {
            emit(Line::plain("----------------------------------"));
            emit(Line::new());
            emit(Line::plain(format!("Heap {n}")));
            for (g, (from, to)) in q.generations.iter().enumerate() {
                let count = entries(*from, *to);
                emit(Line::plain(format!("generation {g} has {count} objects ({:x}->{:x})", from.0, to.0)));
            }
            let (from, to) = q.ready;
            let count = entries(from, to);
            emit(Line::plain(format!("Ready for finalization {count} objects ({:x}->{:x})", from.0, to.0)));
        }
        emit(Line::plain("------------------------------"));
        emit(Line::plain(
            "Statistics for all finalizable objects (including all objects ready for finalization):",
        ));
        listing(self.listed.then_some(&self.objects[..]), &self.types, &self.notes, emit);
    }
}

fn run_finalizers(
    session: &mut Session,
    inv: &Invocation<'_>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let mut cursor = inv.cursor();
    let stat = cursor.eat("-stat");
    cursor.end()?;
    let reader = dotnet(session)?;
    let clr = clr(&reader)?;
    let queues = clr.finalizer_queues();
    let mut counts = Counts::default();
    let mut objects = Vec::new();
    for o in queues.iter().flat_map(|q| &q.objects).filter_map(|o| clr.object_at(*o)) {
        counts.add(&o);
        objects.push(ObjectLine::from(o));
    }
    let mut notes = gap_notes(HeapGaps::default());
    if queues.is_empty() {
        notes.push(
            if clr.is_server() {
                "The server collector's lists are not read."
            } else {
                "The list is not in the dump, or this build has another layout."
            }
            .to_owned(),
        );
    }
    let pair = |(a, b): (Va, Va)| (Hex::from(a), Hex::from(b));
    let queue = |q: &dumpscope_runtimes::clr::FinalizerQueue| QueueLine {
        generations: q.generations.iter().copied().map(pair).collect(),
        ready: pair(q.ready),
    };
    if stat {
        objects.clear();
    }
    let report = FinalizeReport {
        queues: queues.iter().map(queue).collect(),
        listed: !stat,
        objects,
        types: counts.rows(clr),
        notes,
    };
    session.emit(sink, &report)
}
