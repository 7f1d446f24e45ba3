//! `!heap`: which heaps there are and which memory is theirs.
//!
//! From the PEB's list of heaps and the regions that name their heap (see `regions`). Blocks inside are not walked: their
//! headers are encoded and their layout changes with builds.

use super::regions::{HeapKind, Map, Usage};
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::commands::missing;
use crate::doc::{Answer, Line, Link, RenderCx, Role, Sink, Span};
use crate::fmt::{self, Hex};
use crate::session::Session;
use dumpscope_core::Va;
use serde::Serialize;
use std::collections::BTreeMap;

pub(crate) const HEAP: Command = Command {
    name: "!heap",
    group: "memory",
    syntax: "!heap [-s] | -a [heap] | -x address",
    summary: "Lists the heaps, their sizes and regions",
    help: "Without options the heaps of the PEB's list. `-s`: how much memory each has reserved and in use. `-a`: the regions of a \
           heap (its number in the list or its address), or of all. `-x`: the heap and the region that an address lies in.\n\n\
           Blocks inside a heap are not walked, so `-stat`, `-flt`, `-p` and `-l` are refused. `s` finds bytes, \
           `!dumpheap -stat` counts .NET objects.",
    examples: &[
        ("!heap", "The heaps"),
        ("!heap -s", "Their sizes"),
        ("!heap -a 0", "The regions of the first heap"),
        ("!heap -x @$csp", "In which heap an address lies, if in any"),
    ],
    needs: &[Needs::Memory, Needs::MemoryInfo],
    run,
    ..Command::BASE
};

/// Switches of WinDbg's that need the blocks.
const OF_BLOCKS: &[&str] = &["stat", "flt", "p", "l", "i", "h", "b", "v", "srch", "t", "k", "triage"];

/// A piece of memory that belongs to a heap.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Region {
    start: Hex,
    end: Hex,
    /// In use; else reserved only.
    committed: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Row {
    /// Place in the PEB's list; null for a heap that is not in it.
    index: Option<usize>,
    address: Hex,
    /// `NT Heap`, `Segment Heap`, null when its memory is not in the dump.
    kind: Option<&'static str>,
    /// A 32-bit heap of a 64-bit dump, or the other way round.
    bits: u8,
    reserved: u64,
    committed: u64,
    regions: Vec<Region>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Form {
    List,
    Sizes,
    Regions,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct HeapReport {
    form: Form,
    heaps: Vec<Row>,
    /// The dump has no memory information: sizes are those of the memory that it holds.
    from_captured: bool,
    #[serde(skip)]
    wide: bool,
}

impl Answer for HeapReport {
    const KIND: &'static str = "heaps";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let at = |va: u64| fmt::addr_plain(Va(va), self.wide);
        let width = fmt::addr_plain(Va(0), self.wide).len();
        match self.form {
            Form::List => {
                emit(Line::plain(format!("{:>8}  {:<width$}  NT/Segment Heap", "Index", "Address")))
            }
            Form::Sizes => emit(Line::plain(format!(
                "{:<width$}  {:>12}  {:>12}  {:>7}  Kind",
                "Heap", "Reserve (k)", "Commit (k)", "Regions"
            ))),
            Form::Regions => {}
        }
        for row in &self.heaps {
            let link = Span::new(Role::Address, at(row.address.0))
                .link(Link::Run(format!("!heap -a 0x{:x}", row.address.0)));
            let kind = row.kind.unwrap_or("not in the dump");
            let index = row.index.map_or_else(|| "-".to_owned(), |i| i.to_string());
            match self.form {
                Form::List => emit(Line::plain(format!("{index:>8}  ")).span(link).text(format!("  {kind}"))),
                Form::Sizes => emit(Line::new().span(link).text(format!(
                    "  {:>12}  {:>12}  {:>7}  {kind}",
                    row.reserved / 1024,
                    row.committed / 1024,
                    row.regions.len()
                ))),
                Form::Regions => {
                    emit(
                        Line::plain(format!("Index {index:>3}  Address "))
                            .span(link)
                            .text(format!("  {kind}")),
                    );
                    for r in &row.regions {
                        let state = if r.committed { "committed" } else { "reserved" };
                        let size = fmt::size_unit(r.end.0.saturating_sub(r.start.0));
                        emit(Line::plain(format!(
                            "    {} - {}  {state}  ({})",
                            at(r.start.0),
                            at(r.end.0),
                            size.trim()
                        )));
                    }
                }
            }
        }
        if self.from_captured {
            emit(Line::new().role(
                Role::Note,
                "note: sizes are those of the memory in the dump: it has no memory information.",
            ));
        }
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let at = args.pos();
    match args.switch() {
        None if args.is_empty() => show(session, sink, Form::List, None),
        None => {
            let which = args.expr(session)?;
            args.end()?;
            show(session, sink, Form::Regions, Some(which).filter(|w| *w != 0))
        }
        Some("s") => {
            args.take_rest();
            show(session, sink, Form::Sizes, None)
        }
        Some("a" | "m" | "f") => {
            let which = if args.is_empty() || args.eat("*") { None } else { Some(args.expr(session)?) };
            args.end()?;
            show(session, sink, Form::Regions, which)
        }
        Some("x") => {
            while args.switch().is_some() {}
            let va = args.address(session)?;
            args.end()?;
            of_address(session, sink, va)
        }
        Some(word) if OF_BLOCKS.contains(&word) => Err(CommandError::noted(
            format!("!heap -{word} needs the blocks inside the heaps, which are not walked here."),
            "`!heap -s` shows the heaps' sizes, `!heap -x ADDR` which heap an address lies in, `!address -summary` where the \
             memory is.",
        )),
        Some(_) => Err(CommandError::caret(at, "Syntax error")),
    }
}

/// The heaps in the order of the PEB's list, then those that only regions name.
fn heaps(session: &Session) -> (Vec<Row>, bool) {
    let map = Map::new(session);
    let mut rows: BTreeMap<(bool, usize, u64), Row> = BTreeMap::new();
    let row = |index: Option<usize>, address: Va, machine: dumpscope_core::Machine| Row {
        index,
        address: address.into(),
        kind: map.heap_kind(address, machine).map(HeapKind::words),
        bits: if machine.is_64() { 64 } else { 32 },
        reserved: 0,
        committed: 0,
        regions: Vec::new(),
    };
    let machine = session.target.process_machine();
    for (i, heap) in session.dump().read_peb(machine).map_or(Vec::new(), |p| p.heaps).into_iter().enumerate()
    {
        rows.entry((false, i, heap.0)).or_insert_with(|| row(Some(i), heap, machine));
    }
    for used in map.regions() {
        let Usage::Heap(index, address, of) = used.usage else { continue };
        let index = index.filter(|_| of == machine);
        let key = (index.is_none(), index.unwrap_or(0), address.0);
        let row = rows.entry(key).or_insert_with(|| row(index, address, of));
        let r = used.region;
        let committed = r.state == 0x1000 || !map.from_stream;
        row.reserved = row.reserved.saturating_add(r.size);
        row.committed = row.committed.saturating_add(if committed { r.size } else { 0 });
        row.regions.push(Region { start: r.base.into(), end: r.base.offset(r.size).into(), committed });
    }
    (rows.into_values().collect(), !map.from_stream)
}

fn show(session: &Session, sink: &mut dyn Sink, form: Form, which: Option<u64>) -> Result<(), CommandError> {
    let (mut heaps, from_captured) = heaps(session);
    if heaps.is_empty() {
        return Err(missing::process_data(
            "The heaps are not known: the PEB's list of them is not in the dump",
        ));
    }
    if let Some(which) = which {
        let found = |r: &Row| r.address.0 == which || r.index.is_some_and(|i| i as u64 == which);
        heaps.retain(found);
        if heaps.is_empty() {
            return Err(CommandError::noted(
                format!("There is no heap {which:x}."),
                "`!heap` lists the heaps.",
            ));
        }
    }
    let wide =
        session.target.process_machine().is_64() || heaps.iter().any(|h| h.address.0 > u64::from(u32::MAX));
    session.emit(sink, &HeapReport { form, heaps, from_captured: from_captured && form != Form::List, wide })
}

fn of_address(session: &Session, sink: &mut dyn Sink, va: Va) -> Result<(), CommandError> {
    let (mut heaps, _) = heaps(session);
    for heap in &mut heaps {
        heap.regions.retain(|r| va.0 >= r.start.0 && va.0 < r.end.0);
    }
    heaps.retain(|h| !h.regions.is_empty());
    let wide = session.target.process_machine().is_64() || va.0 > u64::from(u32::MAX);
    if heaps.is_empty() {
        return Err(CommandError::noted(
            format!("{} is in no heap.", fmt::addr(va, wide)),
            "`!address ADDR` says what the address is.",
        ));
    }
    session.emit(sink, &HeapReport { form: Form::Regions, heaps, from_captured: false, wide })
}
