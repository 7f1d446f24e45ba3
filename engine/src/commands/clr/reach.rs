//! `!gcroot`: who keeps an object alive. `!objsize`: what an object keeps alive.

use super::table::{Counts, ObjectLine, TypeLine, gap_notes, listing, object_span};
use super::{clr, dotnet, machine_stacks, needed, safe, walked};
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, RenderCx, Role, Sink};
use crate::fmt::Hex;
use crate::session::Session;
use dumpscope_analyzers::text::grouped;
use dumpscope_core::Va;
use dumpscope_runtimes::clr::{ClrReader, RootPath, RootPlace};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Most objects that `!objsize` counts, and that it lists.
const MAX_REACHED: usize = 1 << 22;
/// Most references of one object that are followed.
const MAX_REFERENCES: usize = 1 << 20;
/// Objects between two looks at whether to stop.
const STEP: usize = 1 << 14;

pub(crate) const GCROOT: Command = Command {
    name: "!gcroot",
    group: "dotnet",
    syntax: "!gcroot address",
    summary: "Shows who keeps a .NET object alive",
    help: "Roots from which references lead to the object, each with a shortest way: live slots of methods' frames, handles, \
           objects that wait for the finalizer. Static fields and what threads own hang on handles. Costs a walk of the heap.",
    examples: &[("!gcroot 7fe7e6009038", "Roots of the object")],
    needs: &[Needs::Memory],
    run: run_gcroot,
    ..Command::BASE
};

pub(crate) const OBJSIZE: Command = Command {
    name: "!objsize",
    group: "dotnet",
    syntax: "!objsize [-stat] address",
    summary: "Counts what a .NET object keeps alive",
    help: "The object, and everything that references lead to from it, with the counts by type. Others may keep these objects alive, \
           too. `-stat`: only the counts.",
    examples: &[("!objsize -stat 7fe7e6009038", "Counts by type")],
    needs: &[Needs::Memory],
    run: run_objsize,
    ..Command::BASE
};

#[derive(Clone, Debug, Serialize)]
struct Step {
    object: Hex,
    type_name: String,
}

#[derive(Clone, Debug, Serialize)]
struct RootLine {
    /// `stack`, `handle`, `finalizer`.
    kind: &'static str,
    tid: Option<u32>,
    sp: Option<Hex>,
    ip: Option<Hex>,
    method: Option<String>,
    /// `rbp-38`, or the kind of a handle.
    slot: String,
    at: Hex,
    path: Vec<Step>,
}

#[derive(Clone, Debug, Serialize)]
struct RootsReport {
    roots: Vec<RootLine>,
    notes: Vec<String>,
}

impl Answer for RootsReport {
    const KIND: &'static str = "clr_roots";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let mut head = None;
        let mut frame = None;
        for r in &self.roots {
            let title = match r.kind {
                "stack" => format!("Thread {:x}:", r.tid.unwrap_or(0)),
                "handle" => "HandleTable:".to_owned(),
                _ => "Finalizer Queue:".to_owned(),
            };
            if head.as_ref() != Some(&title) {
                emit(Line::plain(title.clone()));
                (head, frame) = (Some(title), None);
            }
            match (r.sp, r.ip) {
                (Some(sp), Some(ip)) => {
                    let place = (sp.0, ip.0);
                    if frame != Some(place) {
                        let method = r.method.clone().unwrap_or_default();
                        emit(Line::plain(format!("    {:x} {:x} ", sp.0, ip.0)).role(Role::Symbol, method));
                        frame = Some(place);
                    }
                    let at = if r.at.0 == 0 { String::new() } else { format!(" {:016x}", r.at.0) };
                    emit(Line::plain(format!("        {}:{at}", r.slot)));
                }
                _ => emit(Line::plain(format!("    {:016x} ({})", r.at.0, r.slot))),
            }
            for step in &r.path {
                emit(
                    Line::plain("          -> ")
                        .span(object_span(format!("{:012x}", step.object.0), step.object.0))
                        .text("     ")
                        .role(Role::Symbol, step.type_name.clone())
                        .text(" "),
                );
            }
            emit(Line::new());
        }
        emit(Line::plain(format!("Found {} unique roots.", self.roots.len())));
        for note in &self.notes {
            emit(Line::new().role(Role::Dim, note.clone()));
        }
    }
}

fn root_line(clr: &dyn ClrReader, names: &mut BTreeMap<Va, String>, root: &RootPath) -> RootLine {
    let mut name = |va: Va| {
        let Some(o) = clr.object_at(va) else { return "?".to_owned() };
        let found = || clr.type_name(o.type_record).map_or_else(|| "?".to_owned(), |n| safe(&n));
        names.entry(o.type_record).or_insert_with(found).clone()
    };
    let path = root.path.iter().map(|o| Step { object: (*o).into(), type_name: name(*o) }).collect();
    let line = |kind: &'static str, slot: String, at: Va| RootLine {
        kind,
        tid: None,
        sp: None,
        ip: None,
        method: None,
        slot,
        at: at.into(),
        path,
    };
    match &root.place {
        RootPlace::Stack { tid, sp, ip, method, slot, at } => RootLine {
            tid: Some(*tid),
            sp: Some((*sp).into()),
            ip: Some((*ip).into()),
            method: Some(safe(method)),
            ..line("stack", safe(slot), *at)
        },
        RootPlace::Handle { at, kind } => {
            let kind = match *kind {
                "Strong" => "strong handle",
                "Pinned" => "pinned handle",
                "AsyncPinned" => "async pinned handle",
                "RefCounted" => "ref counted handle",
                "SizedRef" => "sized ref handle",
                other => other,
            };
            line("handle", kind.to_owned(), *at)
        }
        RootPlace::Finalizer { at } => line("finalizer", "finalizer root".to_owned(), *at),
    }
}

/// The object at the address that the user named.
fn object(clr: &dyn ClrReader, at: Va) -> Result<Va, CommandError> {
    match clr.object_at(at).filter(|o| !o.free) {
        Some(o) => Ok(o.address),
        None => Err(CommandError::message(format!("{:x} is not a valid object", at.0))),
    }
}

fn run_gcroot(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut cursor = inv.cursor();
    let at = needed(session, &mut cursor, "address")?;
    cursor.end()?;
    let reader = dotnet(session)?;
    let clr = clr(&reader)?;
    let at = object(clr, at)?;
    let facts = session.target.facts(&session.cancel);
    let stacks = machine_stacks(&facts);
    let rooted = clr.rooted(at, &walked(&stacks), &mut |done, total| {
        sink.progress("heap", done, total);
        !session.cancel.is_cancelled()
    });
    let mut names = BTreeMap::new();
    let roots = rooted.paths.iter().map(|p| root_line(clr, &mut names, p)).collect();
    let mut notes = gap_notes(rooted.gaps);
    if rooted.bounded {
        notes.push("The search was stopped or came to its bounds: there may be more roots.".to_owned());
    }
    session.emit(sink, &RootsReport { roots, notes })
}

#[derive(Clone, Debug, Serialize)]
struct SizeReport {
    address: Hex,
    type_name: String,
    listed: bool,
    objects: Vec<ObjectLine>,
    types: Vec<TypeLine>,
    notes: Vec<String>,
}

impl Answer for SizeReport {
    const KIND: &'static str = "clr_object_size";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::plain(format!(
            "Objects which {:x} ({}) transitively keep alive:",
            self.address.0, self.type_name
        )));
        emit(Line::new());
        listing(self.listed.then_some(&self.objects[..]), &self.types, &self.notes, emit);
    }
}

fn run_objsize(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut cursor = inv.cursor();
    let stat = cursor.eat("-stat");
    let at = needed(session, &mut cursor, "address")?;
    cursor.end()?;
    let reader = dotnet(session)?;
    let clr = clr(&reader)?;
    let at = object(clr, at)?;
    let mut dependent: BTreeMap<Va, Vec<Va>> = BTreeMap::new();
    for h in clr.handles().into_iter().filter(|h| !h.secondary.is_null()) {
        dependent.entry(h.object).or_default().push(h.secondary);
    }
    let mut seen = BTreeSet::from([at]);
    let mut waiting = VecDeque::from([at]);
    let mut counts = Counts::default();
    let mut objects = Vec::new();
    let (mut reached, mut cut) = (0usize, false);
    while let Some(next) = waiting.pop_front() {
        let Some(o) = clr.object_at(next) else { continue };
        reached += 1;
        if reached.is_multiple_of(STEP) {
            sink.progress("objects", reached as u64, 0);
            if session.cancel.is_cancelled() {
                cut = true;
                break;
            }
        }
        counts.add(&o);
        if !stat {
            objects.push(ObjectLine::from(o));
        }
        let more = dependent.get(&next).cloned().unwrap_or_default();
        for target in clr.references(next, MAX_REFERENCES).into_iter().chain(more) {
            if seen.len() >= MAX_REACHED {
                cut = true;
            } else if seen.insert(target) {
                waiting.push_back(target);
            }
        }
    }
    let mut notes = Vec::new();
    if cut {
        notes.push(format!("Stopped after {} objects: there are more.", grouped(reached as u64)));
    }
    let type_name = clr.object_at(at).and_then(|o| clr.type_name(o.type_record)).unwrap_or_default();
    let report = SizeReport {
        address: at.into(),
        type_name: safe(&type_name),
        listed: !stat,
        objects,
        types: counts.rows(clr),
        notes,
    };
    session.emit(sink, &report)
}
