//! `dt`: layouts of types and the values of an object.

mod dv;
mod find;

pub(crate) use dv::DV;

use crate::command::{Command, CommandError, Extent, Glued, Invocation, Needs};
use crate::doc::{Line, RenderCx, Report, Role, Sink, Span};
use crate::fmt::{self, Hex};
use crate::lang::Args;
use crate::session::Session;
use dumpscope_core::{ReadMemory, Va};
use dumpscope_symbols::types::{
    self, Data, Row, RowKind, TypeId, TypeProvider, UNREADABLE, ValueCx, dt_name, dt_value, size_of,
};
use find::Found;
use serde::Serialize;

/// Deepest nesting that `-r` shows.
const MAX_NESTING: u32 = 9;
/// Most rows of one answer.
const MAX_ROWS: usize = 4096;

pub(crate) const DT: Command = Command {
    name: "dt",
    aliases: &[],
    glued: Glued::Nothing,
    extent: Extent::Semicolon,
    group: "types",
    syntax: "dt [-r[n]] [-v] [module!]type [field ...] [address]",
    summary: "Shows a type's layout, or an object's values",
    help: "`-r1` opens nested structures one level deep, `-v` adds sizes. A field name, or a prefix with a \
           point behind it, limits the rows. Without types in a PDB the thread and process blocks, the loader's lists and critical sections are known all the same; the answer says so.",
    examples: &[
        ("dt _RTL_CRITICAL_SECTION", "Layout of a critical section"),
        ("dt _TEB @$teb LastErrorValue", "The thread's last error"),
    ],
    needs: &[Needs::Memory],
    run,
};

/// One row of the answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct DtRow {
    /// 0 for the type's own members.
    depth: u32,
    /// Bytes from the start; null for static members.
    offset: Option<Hex>,
    /// Static members: their address, null without one.
    address: Option<Hex>,
    /// False for a static member without storage: its value is what lies at the module's base.
    storage: bool,
    /// Untrusted.
    name: String,
    /// Untrusted.
    #[serde(rename = "type")]
    ty: String,
    /// Untrusted; null without an object.
    value: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct DtReport {
    module: Option<String>,
    name: String,
    size: Option<u64>,
    /// Where the layout came from.
    source: String,
    /// Sizes of all definitions with the name, when there are several.
    ambiguous: Vec<u64>,
    address: Option<Hex>,
    rows: Vec<DtRow>,
    #[serde(skip)]
    wide: bool,
    #[serde(skip)]
    verbose: bool,
    #[serde(skip)]
    built_in: bool,
}

impl Report for DtReport {
    fn kind(&self) -> &'static str {
        "type"
    }

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let full = match &self.module {
            Some(m) => format!("{m}!{}", self.name),
            None => self.name.clone(),
        };
        if !self.ambiguous.is_empty() {
            emit(Line::plain(format!("Ambiguous matches found for {} (dumping largest sized):", self.name)));
            for size in &self.ambiguous {
                emit(Line::plain(format!("    {full} {{0x{size:03x} bytes}}")));
            }
        }
        if self.verbose {
            let size = self.size.map_or("size not known".to_owned(), |s| format!("0x{s:x} bytes"));
            emit(
                Line::new().span(Span::untrusted(
                    Role::Type,
                    &format!("{full}, {} elements, {size}", self.rows.len()),
                )),
            );
        }
        for r in &self.rows {
            let place = match (r.offset, r.address) {
                (Some(o), _) => format!("+0x{:03x}", o.0),
                (None, Some(a)) => format!("={}", fmt::addr(Va(a.0), self.wide)),
                (None, None) => "=".to_owned(),
            };
            let indent = "   ".repeat(usize::try_from(r.depth).unwrap_or(0).saturating_add(1));
            let table = r.name == "__VFN_table" && r.value.is_some();
            let name = if table { r.name.clone() } else { format!("{:<16}", r.name) };
            emit(
                Line::new()
                    .text(indent)
                    .role(Role::Address, place)
                    .text(" ")
                    .span(Span::untrusted(Role::Label, &name))
                    .text(" : ")
                    .span(Span::untrusted(Role::Value, r.value.as_deref().unwrap_or(&r.ty))),
            );
        }
        if self.built_in {
            emit(
                Line::new().role(Role::Note, format!("note: {}; no symbol file has this type", self.source)),
            );
        }
    }

    fn json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// What is shown, and how deep.
struct Fill<'a> {
    cx: &'a ValueCx<'a>,
    types: &'a dyn TypeProvider,
    found: &'a Found,
    session: &'a Session,
    object: Option<Va>,
    nesting: u32,
    rows: Vec<DtRow>,
}

fn run(session: &mut Session, call: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = call.cursor();
    let (mut nesting, mut verbose) = (0, false);
    while let Some(switch) = args.switch() {
        match switch {
            "v" => verbose = true,
            "n" => break,
            _ => match switch.strip_prefix('r').or_else(|| switch.strip_prefix('b')) {
                Some("") => nesting = MAX_NESTING,
                Some(n) => nesting = n.parse::<u32>().unwrap_or(1).min(MAX_NESTING),
                None => return Err(CommandError::message(format!("dt does not know the option -{switch}"))),
            },
        }
    }
    // The address may stand before the name.
    let mut object = None;
    if args.peek().starts_with("0x") || args.peek().starts_with(|c: char| c.is_ascii_digit()) {
        object = Some(word_address(&mut args, session)?);
    }
    let Some(name) = args.word() else { return Err(CommandError::message("dt needs the name of a type")) };
    let found = find::find(session, name)
        .ok_or_else(|| CommandError::message(format!("Symbol {name} not found.")))?;
    let types = found.types();
    let all = types::rows(types, found.id);
    let mut fields: Vec<&str> = Vec::new();
    while !args.is_empty() {
        let word = args.peek();
        let prefix = word.trim_end_matches('.');
        let is_field = |r: &Row| if prefix == word { r.name == word } else { r.name.starts_with(prefix) };
        if all.iter().any(is_field) {
            fields.push(word);
            args.word();
        } else if object.is_none() {
            object = Some(word_address(&mut args, session)?);
        } else {
            return Err(CommandError::message("Cannot find specified field members."));
        }
    }
    let machine = session.sel.machine;
    let symbol = |va: Va| {
        let r = session.target.symbols.resolve(va)?;
        let module = session.target.symbols.modules().get(r.module)?;
        Some(format!("{}!{}+{:x}", module.name, r.symbol?.name, r.displacement))
    };
    let mem: &dyn ReadMemory = &**session.target.dump.memory();
    let cx = ValueCx { types, mem, machine, symbol: &symbol };
    let shown: Vec<Row> = all
        .into_iter()
        .filter(|r| {
            fields.is_empty()
                || fields.iter().any(|f| match f.trim_end_matches('.') {
                    p if p.len() == f.len() => r.name == *f,
                    p => r.name.starts_with(p),
                })
        })
        .collect();
    let mut fill = Fill { cx: &cx, types, found: &found, session, object, nesting, rows: Vec::new() };
    fill.add(&shown, 0, 0);
    let rows = fill.rows;
    let report = DtReport {
        module: found.module_name(session),
        name: found.name.clone(),
        size: size_of(types, found.id),
        source: types.type_source().to_string(),
        ambiguous: found.sizes.clone(),
        address: object.map(|va| Hex(va.0)),
        rows,
        wide: machine.is_64(),
        verbose,
        built_in: found.is_built_in(),
    };
    session.emit(sink, &report)
}

fn word_address(args: &mut Args<'_>, session: &Session) -> Result<Va, CommandError> {
    Ok(session.address(args.word_expr(session)?))
}

impl Fill<'_> {
    fn add(&mut self, rows: &[Row], base: u64, depth: u32) {
        for r in rows {
            if self.rows.len() >= MAX_ROWS {
                return;
            }
            let mut row = DtRow {
                depth,
                offset: None,
                address: None,
                storage: true,
                name: r.name.clone(),
                ty: if r.ty == TypeId::NONE { "Ptr Void".to_owned() } else { dt_name(self.types, r.ty) },
                value: None,
            };
            match r.kind {
                RowKind::Field(at) | RowKind::FunctionTable(at) => {
                    let at = base.saturating_add(at);
                    row.offset = Some(Hex(at));
                    row.value = self.object.map(|o| match r.kind {
                        RowKind::FunctionTable(_) => {
                            types::table_pointer(self.cx, Data::Memory(o.offset(at)))
                        }
                        _ => dt_value(self.cx, r.ty, Data::Memory(o.offset(at))),
                    });
                    self.rows.push(row);
                    if depth < self.nesting
                        && matches!(types::bare(self.types, r.ty).1, types::Type::Udt { .. })
                    {
                        let inner = types::rows(self.types, r.ty);
                        self.add(&inner, at, depth.saturating_add(1));
                    }
                }
                RowKind::Static => {
                    let (va, storage) = self.found.static_member(self.session, &r.owner, &r.name);
                    row.address = va.map(|v| Hex(v.0));
                    row.storage = storage;
                    row.value = self.object.and(va).map(|va| dt_value(self.cx, r.ty, Data::Memory(va)));
                    self.rows.push(row);
                }
                RowKind::VirtualBase(..) => {
                    row.value = self.object.map(|_| UNREADABLE.to_owned());
                    self.rows.push(row);
                }
            }
        }
    }
}
