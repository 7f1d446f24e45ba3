//! `dv`: parameters and local variables of the selected frame.

use super::radix::in_radix;
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::commands::args::with_hints;
use crate::commands::modules::x::sort;
use crate::commands::stack::report::UNAVAILABLE;
use crate::commands::stack::source_name;
use crate::doc::{Answer, Line, Link, Message, RenderCx, Role, Sink, Span};
use crate::expr::{TypeSet, wildcard_match};
use crate::fmt::{self, Hex};
use crate::lang::Cursor;
use crate::session::{Layout, Session};
use dumpscope_analyzers::Scope;
use dumpscope_analyzers::arguments::recover_all;
use dumpscope_analyzers::model::{ArgPlace, Argument, Value};
use dumpscope_core::base::text::escape;
use dumpscope_core::{RegSet, Va};
use dumpscope_symbols::provider::variable::{Location, Place, Variable};
use dumpscope_symbols::types::{cpp_name, size_of};
use dumpscope_symbols::{SymbolSource, Trust};
use serde::Serialize;

pub(crate) const DV: Command = Command {
    name: "dv",
    group: "types",
    syntax: "dv [/f address] [/t] [/i] [/v | /V] [/a /A /n /N /z /Z] [pattern]",
    summary: "Shows parameters and local variables",
    help: "Those of the frame that `.frame` selected. `/t` adds types, `/i` tells parameters from locals, `/v` adds \
           where a value is (address or register), `/V` also how the code reaches it. `/a`, `/n` and `/z` sort by \
           address, name and size, capitals the other way round. `/f` lists those of the function at an address. A \
           pattern with `*` and `?` limits the list.\n\n\
           Needs a PDB with private symbols; in a function of Windows its parameters come from the Win32 table. What the compiler kept nowhere at this place is `<value unavailable>`; \
           a parameter then shows what the function was called with, where that could be recovered, with its source as \
           in `.args`.",
    examples: &[
        ("dv", "Names and values"),
        ("dv /t /v", "With types and places"),
        (".frame 1; dv /i", "The caller's, with their kind"),
    ],
    needs: &[Needs::Threads, Needs::Memory],
    run,
    ..Command::BASE
};

/// One variable.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Row {
    /// Untrusted.
    name: String,
    /// Untrusted.
    #[serde(rename = "type")]
    ty: String,
    /// `param`, `local` or `static`.
    kind: &'static str,
    /// Untrusted; null when not known.
    value: Option<String>,
    /// For values in memory.
    address: Option<Hex>,
    /// For values in a register: its name.
    register: Option<&'static str>,
    /// How the code reaches a value in memory: `@ebp+0x08`.
    through: Option<String>,
    size: Option<u64>,
    /// How an argument was found that no symbol file places; else null.
    source: Option<&'static str>,
    /// How sure; null without a value.
    confidence: Option<&'static str>,
    /// Why there is no value.
    note: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Options {
    types: bool,
    kinds: bool,
    places: bool,
    through: bool,
    /// `a`, `n` or `z`, and falling for capitals.
    order: Option<(char, bool)>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct LocalsReport {
    /// Number of the frame in `k`.
    frame: u32,
    /// Where the variables came from.
    source: &'static str,
    variables: Vec<Row>,
    #[serde(skip)]
    options: Options,
    #[serde(skip)]
    wide: bool,
    #[serde(skip)]
    modern: bool,
}

impl Answer for LocalsReport {
    const KIND: &'static str = "locals";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        self.variables.iter().for_each(|r| emit(self.line(r)));
    }
}

impl LocalsReport {
    fn line(&self, row: &Row) -> Line {
        let o = self.options;
        let mut line = Line::new();
        if o.kinds {
            line = line.role(
                Role::Dim,
                match row.kind {
                    "param" => "prv param  ",
                    "static" => "prv global ",
                    _ => "prv local  ",
                },
            );
        }
        if o.places {
            line = self.place(line, row);
        }
        if o.types {
            line = line.span(Span::untrusted(Role::Type, &row.ty)).text(" ");
        }
        let name = if o.types { row.name.clone() } else { format!("{:>15}", row.name) };
        line = line.span(Span::untrusted(Role::Symbol, &name)).text(" = ");
        match &row.value {
            Some(value) => line.span(Span::untrusted(Role::Value, value)),
            None => line.role(Role::Dim, UNAVAILABLE),
        }
    }

    /// The address or register, and for `/V` the way there.
    fn place(&self, line: Line, row: &Row) -> Line {
        let width = if self.modern { 17 } else { fmt::addr_width(self.wide) };
        match (row.address, row.register) {
            (Some(a), _) => {
                let va = Va(a.0);
                let line = line.span(Span::new(Role::Address, fmt::addr(va, self.wide)).link(Link::Goto(va)));
                // The engine pads the distance, not the register before it.
                let pad = |text: &str| match (self.modern, text.rfind(['+', '-'])) {
                    (true, Some(sign)) => {
                        let (before, distance) = text.split_at(sign);
                        format!("{before}{distance:<14}")
                    }
                    _ => format!("{text} "),
                };
                match row.through.as_ref().filter(|_| self.options.through) {
                    Some(through) => {
                        let gap =
                            if self.modern { 18usize.saturating_sub(fmt::addr_width(self.wide)) } else { 1 };
                        line.text(" ".repeat(gap)).role(Role::Register, pad(through))
                    }
                    None if self.modern => {
                        line.text(" ".repeat(18usize.saturating_sub(fmt::addr_width(self.wide))))
                    }
                    None => line.text(" "),
                }
            }
            (None, Some(register)) => {
                let field = format!("{:<width$} ", format!("@{register}"));
                let text = if self.options.through { format!("{field}{field}") } else { field };
                line.role(Role::Register, text)
            }
            (None, None) => {
                let field = format!("{:<width$} ", "<unavailable>");
                let text = if self.options.through { format!("{field}{field}") } else { field };
                line.role(Role::Dim, text)
            }
        }
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let modern = session.sel.layout == Layout::Modern;
    let (options, function, unknown) = options(&mut args, session)?;
    for letter in unknown {
        session.emit(sink, &Message(vec![Line::plain(format!("Unknown option '{letter}'"))]))?;
    }
    let pattern = args.word().map(str::to_owned);
    if !modern {
        args.end()?;
    }
    let scope = match function {
        Some(va) => Scope::of_function(&session.target, va),
        None => session.scope(),
    };
    let Some(scope) = scope else {
        let found = if function.is_none() { by_table(session, pattern.as_deref()) } else { Vec::new() };
        let told = |r: &Row| format!("{} = {}", r.name, r.value.as_deref().unwrap_or(UNAVAILABLE));
        let list: Vec<String> = found.iter().map(told).collect();
        return Err(match no_locals(session) {
            CommandError::Message { text, note } if !list.is_empty() => {
                let before = note.map(|n| format!("{n} ")).unwrap_or_default();
                let note = format!("{before}Parameters from the Win32 table: {}", list.join("; "));
                CommandError::Message { text, note: Some(note) }
            }
            other => other,
        });
    };
    let shown = |v: &&Variable| {
        pattern.as_deref().is_none_or(|p| wildcard_match(p, &v.name) || v.name.eq_ignore_ascii_case(p))
    };
    let mut rows: Vec<Row> = scope.variables.iter().filter(shown).map(|v| row(session, &scope, v)).collect();
    // Of a function that was only named (`/f`) nobody knows a call.
    if function.is_none() && rows.iter().any(without_value) {
        add_recovered(session, &mut rows);
    }
    match options.order {
        Some(('a', falling)) => sort(&mut rows, falling, |r| (r.address.is_none(), r.address)),
        Some(('n', falling)) => sort(&mut rows, falling, |r| r.name.to_lowercase()),
        Some(('z', falling)) => sort(&mut rows, falling, |r| r.size.unwrap_or(0)),
        _ => {}
    }
    let report = LocalsReport {
        frame: session.sel.frame,
        source: source_name(scope.provider().source()),
        variables: rows,
        options,
        wide: session.sel.machine.is_64(),
        modern,
    };
    session.emit(sink, &report)?;
    if modern { args.end() } else { Ok(()) }
}

/// `x` without a module: the variables of the frame that a pattern fits.
pub(crate) fn list_locals(
    session: &Session,
    pattern: &str,
    verbose: bool,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let Some(scope) = session.scope() else { return Ok(()) };
    let wide = session.sel.machine.is_64();
    let width = fmt::addr_width(true);
    let mut lines = Vec::new();
    for v in scope.variables.iter().filter(|v| wildcard_match(pattern, &v.name)) {
        let row = row(session, &scope, v);
        let place = match (row.address, row.register) {
            (Some(a), _) => format!("{:<width$} ", fmt::addr(Va(a.0), wide)),
            (None, Some(register)) => format!("{:<width$} ", format!("@{register}")),
            (None, None) => format!("{:<width$} ", "<unavailable>"),
        };
        let mut line = Line::new();
        if verbose {
            line = line.text(if row.kind == "param" { "prv param  " } else { "prv local  " });
        }
        line = line.text(place);
        if verbose {
            line = line.text(format!("{:>4x} ", row.size.unwrap_or(0)));
        }
        let value = row.value.as_deref().unwrap_or(UNAVAILABLE);
        lines.push(
            line.span(Span::untrusted(Role::Symbol, &row.name))
                .text(" = ")
                .span(Span::untrusted(Role::Value, value)),
        );
    }
    session.emit(sink, &Message(lines))
}

fn without_value(row: &Row) -> bool {
    row.kind == "param" && row.value.is_none()
}

/// The arguments of the selected frame, when the tables of Windows' functions name them.
fn by_table(session: &Session, pattern: Option<&str>) -> Vec<Row> {
    let frame = session.sel.frame as usize;
    let Some(stack) = session.stack(Some(session.sel.max_frames.max(frame.saturating_add(2)))) else {
        return Vec::new();
    };
    // Where there is a symbol file WinDbg's own message stays.
    if stack.frames.get(frame).and_then(|f| f.source) != Some(SymbolSource::Exports) {
        return Vec::new();
    }
    let found = with_hints(session, &stack).into_iter().nth(frame).unwrap_or_default();
    let row = |a: &Argument| {
        let name = a.name.as_deref()?;
        let value = a.value.as_ref();
        let hint = a.hint.as_ref().map(|h| format!(" {}", escape(&h.text))).unwrap_or_default();
        let words =
            |v: &Value| format!("0x{:x} ({}, {}){hint}", v.bits, v.source.name(), v.confidence.name());
        let register = match a.place {
            ArgPlace::Register(reg) => RegSet::names(stack.machine).get(usize::from(reg.0)).copied(),
            _ => None,
        };
        Some(Row {
            name: escape(name).into_owned(),
            ty: a.type_text.as_deref().map(|t| escape(t).into_owned()).unwrap_or_default(),
            kind: "param",
            value: value.map(words),
            address: None,
            register,
            through: None,
            size: None,
            source: value.map(|v| v.source.name()),
            confidence: value.map(|v| v.confidence.name()),
            note: None,
        })
    };
    let fits = |r: &Row| pattern.is_none_or(|p| wildcard_match(p, &r.name) || r.name.eq_ignore_ascii_case(p));
    found.iter().filter_map(row).filter(fits).collect()
}

/// Parameters whose place nobody tells get what the function was called with, and how that was found.
fn add_recovered(session: &Session, rows: &mut [Row]) {
    let frame = session.sel.frame as usize;
    // As many rows as `.args` walks: inner frames and callers hold the values.
    let Some(stack) = session.stack(Some(session.sel.max_frames.max(frame.saturating_add(2)))) else {
        return;
    };
    // An inlined call has no arguments of its own.
    if stack.frames.get(frame).is_none_or(|f| f.trust == Trust::Inline) {
        return;
    }
    let recovered = recover_all(&session.target, &stack, &session.cancel);
    let Some(found) = recovered.get(frame) else { return };
    for row in rows.iter_mut().filter(|r| without_value(r)) {
        let mut same = found.iter().filter(|a| a.name.as_deref().is_some_and(|n| escape(n) == row.name));
        // Two of one name: nobody knows which is meant.
        let (Some(argument), None) = (same.next(), same.next()) else { continue };
        let Some(value) = &argument.value else { continue };
        let (source, confidence) = (value.source.name(), value.confidence.name());
        row.value = Some(format!("0x{:x} ({source}, {confidence})", value.bits));
        (row.source, row.confidence, row.note) = (Some(source), Some(confidence), None);
    }
}

fn options(
    args: &mut Cursor<'_>,
    session: &Session,
) -> Result<(Options, Option<Va>, Vec<char>), CommandError> {
    let (mut o, mut function, mut unknown) = (Options::default(), None, Vec::new());
    let modern = session.sel.layout == Layout::Modern;
    while args.peek().starts_with('/') {
        let at = args.pos();
        let word = args.word().unwrap_or("");
        for (i, c) in word.char_indices().skip(1) {
            match c {
                't' => o.types = true,
                'i' => o.kinds = true,
                'v' => o.places = true,
                'V' => (o.places, o.through) = (true, true),
                'a' | 'n' | 'z' => o.order = Some((c, false)),
                'A' | 'N' | 'Z' => o.order = Some((c.to_ascii_lowercase(), true)),
                // Links: every sink gets them.
                'D' | 'd' => {}
                'f' if word.len() == 2 => function = Some(session.address(args.word_expr(session)?)),
                // Today's engine tells of them and goes on.
                _ if modern => unknown.push(c),
                _ => return Err(CommandError::caret(at + i, "Syntax error")),
            }
        }
    }
    Ok((o, function, unknown))
}

fn row(session: &Session, scope: &Scope, v: &Variable) -> Row {
    let location = scope.locate(v);
    let read = scope.value(&session.target, v);
    let modern = session.sel.layout == Layout::Modern;
    let digits = if session.sel.machine.is_64() || modern { 4 } else { 2 };
    let (address, through) = match location {
        Location::Memory(va, place) => {
            let distance = |offset: i64| {
                let sign = if offset < 0 { '-' } else { '+' };
                format!("{sign}0x{:0digits$x}", offset.unsigned_abs())
            };
            let through = match place {
                Place::Frame(offset) if modern => {
                    let offset = i64::from(offset);
                    let start = session.address(va.0.wrapping_sub_signed(offset));
                    Some(format!("<virtual frame {:x}>{}", start.0, distance(offset)))
                }
                place => scope
                    .base_register(place)
                    .map(|(name, offset)| format!("@{name}{}", distance(offset.into()))),
            };
            (Some(va.into()), through)
        }
        _ => (None, None),
    };
    let register = match location {
        Location::Register(part, _) => Some(part.name),
        Location::Pieces(ref pieces) => pieces.iter().find_map(|(_, l)| match l {
            Location::Register(part, _) => Some(part.name),
            _ => None,
        }),
        _ => None,
    };
    let is_static = matches!(v.homes.first().map(|h| h.place), Some(Place::Static(_)));
    let types = scope.types();
    let view = scope.stored(v).ok().and_then(|place| {
        let set = TypeSet::of(scope.provider(), session.sel.machine, scope.module);
        crate::natvis::variable_text(session, set, v.ty, &place)
    });
    let (value, note) = match view.map_or(read, Ok) {
        Ok(text) => {
            let text = types.map_or(text.clone(), |t| in_radix(session, t, v.ty, text));
            (Some(escape(&text).into_owned()), None)
        }
        Err(why) => (None, Some(why.to_owned())),
    };
    Row {
        name: escape(&v.name).into_owned(),
        ty: types.map_or_else(String::new, |t| escape(&cpp_name(t, v.ty)).into_owned()),
        kind: if v.is_param {
            "param"
        } else if is_static {
            "static"
        } else {
            "local"
        },
        confidence: value.is_some().then(|| scope.confidence().name()),
        value,
        address,
        register,
        through,
        size: types.and_then(|t| size_of(t, v.ty)),
        source: None,
        note,
    }
}

/// WinDbg's words for a frame whose variables nobody tells, and which symbol file would.
fn no_locals_text(session: &Session) -> String {
    let error = match session.sel.layout {
        Layout::Classic => "HRESULT 0x80004005",
        Layout::Modern => "Win32 error 0n318",
    };
    format!(
        "Unable to enumerate locals, {error}\nPrivate symbols (symbols.pri) are required for \
                locals.\nType \".hh dbgerr005\" for details."
    )
}

fn no_locals(session: &Session) -> CommandError {
    let text = no_locals_text(session);
    let frame = session.sel.frame as usize;
    let stack = session.stack(Some(frame.saturating_add(2)));
    let module = stack.and_then(|s| s.frames.get(frame)?.module);
    match module.and_then(|m| session.target.symbols.missing(m)) {
        Some(missing) => CommandError::noted(text, missing),
        None if module.is_some() => {
            CommandError::noted(text, "The symbol file tells nothing of this function's variables.")
        }
        None => CommandError::noted(text, "The frame is in no module."),
    }
}
