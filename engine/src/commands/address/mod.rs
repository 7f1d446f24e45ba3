//! `!address` and `!vprot`.

pub(crate) mod heap;
mod list;
mod regions;
mod summary;
pub(crate) mod vadump;

use super::missing;
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, Link, RenderCx, Report, Role, Sink, Span};
use crate::fmt::{self, Hex};
use crate::session::Session;
use crate::tables::memory::{protect_name, state_name, type_name};
use dumpscope_core::base::Provenance;
use dumpscope_core::base::text::escape;
use dumpscope_core::{Machine, ReadMemory, Va};
use regions::{Map, Usage, Used};
use serde::Serialize;
use summary::SummaryReport;

pub(crate) const ADDRESS: Command = Command {
    name: "!address",
    group: "memory",
    syntax: "!address [address] | -summary | [-f:filters] [-c:\"command\"] [-o:csv|tsv|1]",
    summary: "Shows what an address, or the whole address space, is used for",
    help: "An address: its region, protection and use. `-summary`: sums by use, type, state and protection. Without \
           arguments: all regions.\n\n\
           Filters after `-f:`, comma-separated: states (`MEM_COMMIT`, `MEM_RESERVE`, `MEM_FREE`), types (`MEM_IMAGE`, \
           `MEM_MAPPED`, `MEM_PRIVATE`), protections (`PAGE_READWRITE`, …) and uses (`Image`, `Stack`, `Heap`, `TEB`, `PEB`, \
           `Free`, `VAR`). Filters of one class are alternatives, classes must all fit. `-c:\"…\"` runs a command for each \
           region: %1 is its start, %2 its end, %3 its size. `-o:csv` and `-o:tsv` write tables, `-o:1` addresses only.",
    examples: &[
        ("!address @$csp", "What the stack pointer points to"),
        ("!address -summary", "Sums"),
        ("!address", "All regions"),
        ("!address -f:Stack", "All stacks"),
        ("!address -f:MEM_COMMIT,PAGE_EXECUTE_READWRITE -o:1", "Addresses of writable code"),
    ],
    needs: &[Needs::MemoryInfo],
    run: run_address,
    ..Command::BASE
};

pub(crate) const VPROT: Command = Command {
    name: "!vprot",
    group: "memory",
    syntax: "!vprot [address]",
    summary: "Shows the protection of an address",
    help: "As `VirtualQuery` would tell it. Without an address: the current instruction.",
    examples: &[("!vprot", "The current instruction"), ("!vprot @$csp", "The stack")],
    needs: &[Needs::MemoryInfo],
    run: run_vprot,
    ..Command::BASE
};

/// A region as JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct RegionJson {
    usage: &'static str,
    base: Hex,
    end: Hex,
    size: u64,
    /// Null: the dump does not say.
    state: Option<&'static str>,
    protect: Option<String>,
    #[serde(rename = "type")]
    kind: Option<&'static str>,
    allocation_base: Option<Hex>,
    allocation_protect: Option<String>,
    /// `[~3; 720.38fc]` and the like. Untrusted.
    details: Option<String>,
}

impl RegionJson {
    fn new(map: &Map<'_>, used: &Used, wow64: bool) -> RegionJson {
        let r = &used.region;
        let name = |n: &'static str| (!n.is_empty()).then_some(n);
        let text = |n: String| (!n.is_empty()).then_some(n);
        RegionJson {
            usage: used.usage.name(wow64),
            base: r.base.into(),
            end: r.base.offset(r.size).into(),
            size: r.size,
            state: name(state_name(r.state)),
            protect: text(protect_name(r.protect)),
            kind: name(type_name(r.kind)),
            allocation_base: map.from_stream.then(|| r.allocation_base.into()),
            allocation_protect: text(protect_name(r.allocation_protect)),
            details: text(map.details(used)),
        }
    }
}

/// `!address ADDR`.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct AddressReport {
    address: Hex,
    #[serde(flatten)]
    region: RegionJson,
    /// Untrusted.
    module: Option<String>,
    /// Untrusted.
    image_path: Option<String>,
    /// `dump`, `image_file` or null.
    content: Option<&'static str>,
    /// Bytes that are readable from the address to the end of the region.
    content_length: u64,
    #[serde(skip)]
    more: Vec<String>,
    #[serde(skip)]
    raw: RawRegion,
    #[serde(skip)]
    wide: bool,
    #[serde(skip)]
    from_stream: bool,
}

/// The numbers of a region.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct RawRegion {
    state: u32,
    protect: u32,
    kind: u32,
    allocation_protect: u32,
}

impl Answer for AddressReport {
    const KIND: &'static str = "address";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        const ABSENT: &str = "<info not present at the target>";
        let label = |name: &str| Line::new().role(Role::Label, format!("{name:<24}"));
        let at = |va: Hex| fmt::addr_span(Va(va.0), self.wide);
        emit(Line::new());
        emit(label("Usage:").text(self.region.usage));
        emit(label("Base Address:").span(at(self.region.base)));
        emit(label("End Address:").span(at(self.region.end)));
        emit(label("Region Size:").text(format!(
            "{} ({})",
            fmt::addr(Va(self.region.size), self.wide),
            fmt::size_unit(self.region.size)
        )));
        let coded = |name: &str, code: u32, words: Option<&str>| match words {
            Some(words) => label(name).text(format!("{code:08x}          {words}")),
            None if self.from_stream && code != 0 => label(name).text(format!("{code:08x}")),
            None => label(name).text(ABSENT),
        };
        emit(coded("State:", self.raw.state, self.region.state));
        emit(coded("Protect:", self.raw.protect, self.region.protect.as_deref()));
        emit(coded("Type:", self.raw.kind, self.region.kind));
        emit(match self.region.allocation_base {
            Some(base) => label("Allocation Base:").span(at(base)),
            None => label("Allocation Base:").text(ABSENT),
        });
        emit(coded(
            "Allocation Protect:",
            self.raw.allocation_protect,
            self.region.allocation_protect.as_deref(),
        ));
        if let Some(path) = &self.image_path {
            emit(label("Image Path:").span(Span::untrusted(Role::Text, path)));
            let name = self.module.as_deref().unwrap_or("");
            emit(label("Module Name:").span(Span::untrusted(Role::Module, name)));
            emit(label("Loaded Image Name:"));
            emit(label("Mapped Image Name:"));
        }
        for more in &self.more {
            emit(label("More info:").span(Span::untrusted(Role::Plain, more).link(Link::Run(more.clone()))));
        }
        emit(Line::new());
        let source = match self.content {
            Some("dump") => "1 (target)",
            Some(_) => "2 (mapped)",
            None => "0 (invalid)",
        };
        let mut line = Line::plain(format!("Content source: {source}"));
        if self.content.is_some() {
            line = line.text(format!(", length: {:x}", self.content_length));
        }
        emit(line);
        if !self.from_stream {
            emit(Line::new().role(Role::Note, format!("note: {}", missing::MEMORY_INFO)));
        }
    }
}

fn run_address(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let first = args.peek();
    if first.eq_ignore_ascii_case("-summary") || first.eq_ignore_ascii_case("/summary") {
        args.word();
        args.end()?;
        return summarize(session, sink);
    }
    if args.is_empty() || first.starts_with(['-', '/']) && first.contains(':') {
        let options = list::Options::parse(&mut args)?;
        return list::run(session, &options, sink);
    }
    if matches!(first, "-?" | "/?") {
        return Err(CommandError::message(
            "!address [address] | -summary | -f:F1,F2 [-c:\"command\"] [-o:csv|tsv|1]",
        ));
    }
    let address = args.address(session)?;
    args.end()?;
    one(session, address, sink)
}

fn summarize(session: &Session, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let map = Map::new(session);
    let regions = map.regions();
    let wide = session.dump().machine().is_64();
    let mut report = SummaryReport::new(&regions, session.dump().is_wow64(), wide);
    if !map.from_stream {
        report.notes.push(missing::MEMORY_INFO.into());
    }
    session.emit(sink, &report)
}

fn one(session: &Session, address: Va, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let map = Map::new(session);
    let dump = session.dump();
    let Some(used) = map.at(address) else {
        let at = fmt::addr(address, session.render_cx().wide);
        let note = if map.from_stream {
            "The memory information does not list this address."
        } else {
            missing::MEMORY_INFO
        };
        return Err(CommandError::noted(
            format!("Address {at} could not be mapped in any available regions"),
            note,
        ));
    };
    let module = match &used.usage {
        Usage::Image(Some(index)) => {
            session.target.symbols.modules().get(*index).map(|m| (m, session.module_name(*index)))
        }
        _ => None,
    };
    let r = &used.region;
    let (content, content_length) = content(session, address, r.base.offset(r.size));
    let mut more = Vec::new();
    if let Some((m, name)) = &module {
        more.push(format!("lmv m {name}"));
        more.push(format!("!lmi {name}"));
        more.push(format!("ln {:#x}", address.0));
        more.push(format!("!dh {:#x}", m.base.0));
    }
    match &used.usage {
        Usage::Stack(thread, _) => more.push(format!("~{}k", thread.0)),
        Usage::Teb(thread, _) => more.push(format!("~{}e !teb", thread.0)),
        Usage::Peb(_) => more.push("!peb".into()),
        Usage::Heap(_, heap, _) => {
            more.push(format!("!heap {:#x}", heap.0));
            more.push(format!("!heap -p -a {:#x}", address.0));
        }
        _ => {}
    }
    let report = AddressReport {
        address: address.into(),
        region: RegionJson::new(&map, &used, dump.is_wow64()),
        image_path: module.as_ref().map(|(m, _)| escape(&m.path).into_owned()),
        module: module.map(|(_, name)| name),
        content,
        content_length,
        more,
        raw: RawRegion {
            state: r.state,
            protect: r.protect,
            kind: r.kind,
            allocation_protect: r.allocation_protect,
        },
        wide: session.render_cx().wide || r.base.0 > u64::from(u32::MAX),
        from_stream: map.from_stream,
    };
    session.emit(sink, &report)
}

/// Where the bytes at `va` come from, and how many follow up to `end` without a hole.
fn content(session: &Session, va: Va, end: Va) -> (Option<&'static str>, u64) {
    let memory = session.dump().memory();
    let mut byte = [0u8];
    let first = memory.read_at(va, &mut byte);
    if first.got == 0 {
        return (None, 0);
    }
    if first.provenance == Provenance::Image {
        let images = memory.image_ranges();
        let part = images.iter().find(|p| va.distance_from(p.start).is_some_and(|d| d < p.size));
        let stop = part.map_or(va.offset(1), |p| p.start.offset(p.size)).min(end);
        return (Some("image_file"), stop.distance_from(va).unwrap_or(0));
    }
    // Captured ranges may follow one another: join them.
    let mut at = va;
    while at < end {
        let rest = memory.rest_of_range(at).len() as u64;
        if rest == 0 {
            break;
        }
        match at.checked_add(rest) {
            Some(next) => at = next,
            None => break,
        }
    }
    (Some("dump"), at.min(end).distance_from(va).unwrap_or(0))
}

/// `!vprot`.
struct Protection {
    region: RegionJson,
    raw: RawRegion,
    wide: bool,
}

impl Report for Protection {
    fn kind(&self) -> &'static str {
        "protection"
    }

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let label = |name: &str| Line::new().role(Role::Label, format!("{name:<19}"));
        let plain = |va: Hex| {
            Span::new(Role::Address, fmt::addr_plain(Va(va.0), self.wide)).link(Link::Goto(Va(va.0)))
        };
        let coded =
            |name: &str, code: u32, words: &str| label(name).text(format!("{code:08x}  {words}").trim_end());
        emit(label("BaseAddress:").span(plain(self.region.base)));
        let free = self.raw.state == regions::FREE;
        if let Some(base) = self.region.allocation_base.filter(|_| !free) {
            emit(label("AllocationBase:").span(plain(base)));
            let words = protect_name(self.raw.allocation_protect);
            emit(coded("AllocationProtect:", self.raw.allocation_protect, &words));
        }
        emit(label("RegionSize:").text(fmt::addr_plain(Va(self.region.size), self.wide)));
        emit(coded("State:", self.raw.state, state_name(self.raw.state)));
        if self.raw.protect != 0 {
            emit(coded("Protect:", self.raw.protect, &protect_name(self.raw.protect)));
        }
        if self.raw.kind != 0 {
            emit(coded("Type:", self.raw.kind, type_name(self.raw.kind)));
        }
    }

    fn json(&self) -> serde_json::Value {
        serde_json::to_value(&self.region).unwrap_or_default()
    }
}

fn run_vprot(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let address = match args.opt_address(session)? {
        Some(address) => address,
        None => session.frame_regs().and_then(|r| r.ip()).unwrap_or_default(),
    };
    args.end()?;
    let map = Map::new(session);
    let found = if map.from_stream { map.at(address) } else { None };
    let Some(used) = found else {
        let note = if map.from_stream {
            "The memory information does not list this address."
        } else {
            missing::MEMORY_INFO
        };
        return Err(CommandError::noted("!vprot: VirtualQuery failed, error = 0x57", note));
    };
    let r = &used.region;
    let raw = RawRegion {
        state: r.state,
        protect: r.protect,
        kind: r.kind,
        allocation_protect: r.allocation_protect,
    };
    let region = RegionJson::new(&map, &used, session.dump().is_wow64());
    let wide = session.sel.machine != Machine::X86 || r.base.0 > u64::from(u32::MAX);
    session.emit(sink, &Protection { region, raw, wide })
}
