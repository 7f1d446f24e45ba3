//! `dt`: layouts of types and the values of an object.

use super::Found;
use super::fields::Field;
use super::find::module_name;
use super::report::{DtReport, EnumeratorRow, Style};
use super::rows::{Filler, MAX_ROWS, Open, elements, verbose};
use super::subject::{self, Object, Subject};
use super::wild::{self, Wanted};
use crate::command::{Command, CommandError, Completes, Invocation, Needs};
use crate::doc::{Line, Message, Role, Sink, Span};
use crate::expr::TypeSet;
use crate::fmt::{self, Hex};
use crate::lang::Cursor;
use crate::session::{Layout, Session};
use dumpscope_analyzers::scope::Stored;
use dumpscope_core::{ReadMemory, Va};
use dumpscope_symbols::types::{
    Data, Type, TypeId, ValueCx, bare, cpp_name, dt_name, dt_value, rows, size_of,
};

/// Deepest nesting that `-r` shows.
const MAX_NESTING: u32 = 9;
/// Most objects of a list that `-l` follows.
const MAX_LIST: usize = 1024;

pub(crate) const DT: Command = Command {
    name: "dt",
    group: "types",
    syntax: "dt [-r[n] -b -v -a[n] -c -o -i] [module!]name [field ...] [address] [-l field]  |  dt [-t -s size] \
             module!pattern*  |  dt address",
    summary: "Shows a type's layout, or an object's values",
    help: "The name is a local variable, a type or a global variable. `-r1` opens nested structures and pointers one level \
           deep, `-r` up to nine, `-b` opens no pointers; `-v` adds sizes and where the type came from; `-a` shows the \
           elements of arrays, `-a5` five of them. Fields limit the rows: `Ldr`, a path (`Ldr.Initialized`), an element \
           (`Slots[3]`), a pattern (`Tls*`), a prefix (`-y La`, or `La.`, which also opens it). `type[8]` is an array at the \
           address. `-l Flink` follows a list from object to object. `-n` says that the next word is a name, `-c` puts the \
           rows on one line, `-o` leaves out offsets, `-i` indents nothing.\n\n\
           A pattern with `*` lists types and variables; `-t` types only, `-s` those of a size.\n\n\
           Without types in a PDB the thread and process blocks, the loader's lists and critical sections are known all the \
           same; the answer says so.",
    examples: &[
        ("dt _RTL_CRITICAL_SECTION", "Layout of a critical section"),
        ("dt _TEB @$teb LastErrorValue", "The thread's last error"),
        ("dt -r1 _PEB @$peb Ldr", "The loader's lists, one level deep"),
        ("dt _PEB @$peb Ldr.Initialized", "A field of a nested structure"),
    ],
    needs: &[Needs::Memory],
    completes: Completes::Types,
    run,
    ..Command::BASE
};

/// A command, read.
#[derive(Default)]
struct Request {
    open: Open,
    style: Style,
    wanted: Wanted,
    name: Option<String>,
    fields: Vec<Field>,
    address: Option<Va>,
    list: Option<String>,
}

/// What the option letters just read say of the next word.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Any,
    Name,
    Prefix,
}

fn run(session: &mut Session, call: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    if session.sel.layout == Layout::Modern {
        return super::engine_dt::run(session, call, sink);
    }
    let mut args = call.cursor();
    let mut request = Request {
        style: Style { wide: session.sel.machine.is_64(), ..Style::default() },
        ..Request::default()
    };
    let mut subject = None;
    let mut next = Next::Any;
    while !args.is_empty() {
        if args.peek().starts_with('-') && args.peek().len() > 1 {
            next = options(&mut args, session, &mut request)?;
            continue;
        }
        if request.name.is_none() {
            if next == Next::Any && request.address.is_none() && is_address(args.peek()) {
                request.address = Some(address(&mut args, session)?);
                continue;
            }
            let mut name = args.word().unwrap_or_default().to_owned();
            if name == "." {
                name = session.language.last_type.clone().unwrap_or(name);
                let line = Line::new().span(Span::untrusted(Role::Dim, &format!("Using sym {name}")));
                session.emit(sink, &Message(vec![line]))?;
            }
            let wanted = Wanted { verbose: request.style.verbose, ..request.wanted };
            if next == Next::Prefix {
                // All matches are listed, the first type among them is shown.
                match wild::list(session, &format!("{name}*"), wanted, sink)? {
                    Some(first) => name = first,
                    None => return Ok(()),
                }
            } else if name.contains(['*', '?']) {
                args.end()?;
                return wild::list(session, &name, wanted, sink).map(|_| ());
            }
            next = Next::Any;
            let (found, rest) = named(session, &name)?;
            request.fields.extend(rest);
            subject = Some(found);
            request.name = Some(name);
            continue;
        }
        let word = args.peek();
        if next != Next::Any || (!is_address(word) && is_field(subject.as_ref(), word)) {
            let field = Field::parse(word, next == Next::Prefix).ok_or_else(|| args.syntax_error())?;
            request.fields.push(field);
            args.word();
        } else if request.address.is_none() {
            request.address =
                Some(address(&mut args, session).map_err(|e| not_a_field(e, is_address(word)))?);
        } else {
            return Err(CommandError::message("Cannot find specified field members."));
        }
        next = Next::Any;
    }
    session.language.last_type.clone_from(&request.name);
    match (subject, request.address) {
        (Some(Subject::Type(found)), _) => of_type(session, found, &request, sink),
        (Some(Subject::Object(object)), _) => of_object(session, &object, &request, sink),
        (None, Some(va)) => {
            let object = subject::at(session, va).ok_or_else(|| {
                let va = fmt::addr(va, request.style.wide);
                CommandError::message(format!("Symbol not found at address {va}."))
            })?;
            of_object(session, &object, &request, sink)
        }
        (None, None) => Err(CommandError::message("dt needs the name of a type")),
    }
}

/// A word that must be an address: it starts with a digit, a register or a bracket, or calls a function.
fn is_address(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '@' | '$' | '(' | '`'))
        || word.get(..4).is_some_and(|w| w.eq_ignore_ascii_case("poi("))
}

fn not_a_field(error: CommandError, is_address: bool) -> CommandError {
    if is_address { error } else { CommandError::message("Cannot find specified field members.") }
}

/// Reads one word of an expression; blanks inside brackets belong to it.
fn address(args: &mut Cursor<'_>, session: &Session) -> Result<Va, CommandError> {
    let at = args.pos();
    let text = args.raw();
    let mut depth = 0usize;
    let end = text.find(|c: char| {
        match c {
            '(' | '[' => depth = depth.saturating_add(1),
            ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && c.is_whitespace()
    });
    let word = text.get(..end.unwrap_or(text.len())).unwrap_or(text);
    let (value, used) = session.eval(word).map_err(|e| CommandError::Expr(e.shifted(at)))?;
    if word.get(used..).is_some_and(|rest| !rest.trim().is_empty()) {
        args.advance(used);
        return Err(args.syntax_error());
    }
    args.advance(word.len());
    Ok(session.address(value))
}

fn options(args: &mut Cursor<'_>, session: &Session, request: &mut Request) -> Result<Next, CommandError> {
    let at = args.pos();
    let word = args.word().unwrap_or("");
    let mut next = Next::Any;
    let mut chars = word.char_indices().skip(1).peekable();
    while let Some((i, c)) = chars.next() {
        let mut number = None;
        if matches!(c, 'r' | 'a') {
            while let Some((_, d)) = chars.next_if(|(_, d)| d.is_ascii_digit()) {
                let digit = d.to_digit(10).unwrap_or(0);
                number = Some(number.unwrap_or(0u32).saturating_mul(10).saturating_add(digit));
            }
        }
        match c {
            'r' => {
                request.open.nesting = number.unwrap_or(MAX_NESTING).min(MAX_NESTING);
                request.open.follow = true;
            }
            'b' => {
                request.open.nesting = MAX_NESTING;
                request.open.follow = false;
            }
            'v' | 'd' => (request.open.verbose, request.style.verbose) = (true, true),
            'a' => request.open.elements = Some(number.map_or(MAX_ROWS as u64, u64::from)),
            'c' => request.style.compact = true,
            'o' => request.style.no_offsets = true,
            'i' => request.style.flat = true,
            't' => request.wanted.types_only = true,
            // Types are enumerated all the same; the classic name of the option.
            'e' => {}
            'n' => next = Next::Name,
            'y' => next = Next::Prefix,
            's' => request.wanted.size = Some(args.word_expr(session)?),
            'l' => {
                let field = args.word().ok_or_else(|| args.syntax_error())?;
                request.list = Some(field.to_owned());
            }
            'p' => {
                let text = "dt -p needs a kernel dump: a process has no physical addresses.";
                return Err(CommandError::message(text));
            }
            _ => return Err(CommandError::caret(at.saturating_add(i), "Syntax error")),
        }
    }
    Ok(next)
}

/// What a name means, and the fields that a path behind it selects (`var.field`).
fn named(session: &Session, text: &str) -> Result<(Subject, Option<Field>), CommandError> {
    let (name, _) = subject::subscript(text);
    if let Some(found) = subject::subject(session, name) {
        return Ok((found, None));
    }
    let path = text.replace("->", ".");
    // `a::b` and `module!a` hold no point, so the first one starts the path.
    if let Some((first, rest)) = path.split_once('.')
        && let Some(found) = subject::subject(session, subject::subscript(first).0)
        && let Some(field) = Field::parse(rest, false)
    {
        return Ok((found, Some(field)));
    }
    let text = format!("Symbol {text} not found.");
    let module = name.split_once('!').map(|(m, _)| m);
    let modules = module.map(|m| session.target.symbols.modules_named_in(m, session.sel.machine));
    let missing = modules.and_then(|m| session.target.symbols.missing(*m.first()?));
    Err(match missing {
        Some(missing) => CommandError::noted(text, missing),
        None => CommandError::message(text),
    })
}

fn is_field(subject: Option<&Subject>, word: &str) -> bool {
    let (set, id) = match subject {
        Some(Subject::Type(found)) => (&found.set, found.id),
        Some(Subject::Object(object)) => (&object.set, object.id),
        None => return false,
    };
    let Some(id) = subject::aggregate(set, id) else { return false };
    let Some(field) = Field::parse(word, false) else { return false };
    rows(set.types(), id).iter().any(|r| field.selects(0, &r.name))
}

/// A type, perhaps with an object of it at an address.
fn of_type(
    session: &Session,
    found: Found,
    request: &Request,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let (_, count) = subject::subscript(request.name.as_deref().unwrap_or(""));
    let place = request.address.map(Stored::Memory);
    if let (Some(count), Some(va)) = (count, request.address) {
        return array(session, &found, count, va, request, sink);
    }
    let Some(list) = request.list.as_deref() else {
        let data = place.as_ref().map(Stored::data);
        let report = report(session, &found.set, found.id, data, request, Vec::new())?;
        return session.emit(sink, &DtReport { ambiguous: found.sizes, name: found.name, ..report });
    };
    let start = request
        .address
        .ok_or_else(|| CommandError::message("dt -l needs the address of the first object"))?;
    follow(session, &found, list, start, request, sink)
}

/// `type[n]` at an address: each element.
fn array(
    session: &Session,
    found: &Found,
    count: u64,
    va: Va,
    request: &Request,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let types = found.set.types();
    let each = size_of(types, found.id).unwrap_or(0);
    let mut list = (0..count.min(MAX_ROWS as u64)).peekable();
    if subject::aggregate(&found.set, found.id).is_none() {
        let values = with_cx(session, &found.set, |cx| elements(cx, found.id, count, Data::Memory(va)));
        let lines =
            values.iter().map(|v| Line::plain("    ").span(Span::untrusted(Role::Value, v))).collect();
        return session.emit(sink, &Message(lines));
    }
    while let Some(i) = list.next() {
        let at = va.offset(each.wrapping_mul(i));
        let heading = format!("[{i}] @ {}", fmt::addr(at, request.style.wide));
        let last = list.peek().is_none();
        let stored = Stored::Memory(at);
        let report = report(session, &found.set, found.id, Some(stored.data()), request, vec![heading])?;
        let built_in = report.built_in && last;
        session.emit(sink, &DtReport { name: found.name.clone(), built_in, ..report })?;
    }
    Ok(())
}

/// `-l field`: the objects of a list. The field's pointer leads to the next object, or to the same link inside it.
fn follow(
    session: &Session,
    found: &Found,
    list: &str,
    start: Va,
    request: &Request,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let missing = || CommandError::message("Cannot find specified field members.");
    let link = Link::find(&found.set, found.id, list).ok_or_else(missing)?;
    let (mut at, mut seen) = (start, Vec::new());
    loop {
        if session.cancel.is_cancelled() {
            return Err(CommandError::Stopped);
        }
        seen.push(at);
        let stored = Stored::Memory(at);
        let heading = vec![format!("{list} at 0x{}", fmt::addr(at, request.style.wide)), "-".repeat(45)];
        let report = report(session, &found.set, found.id, Some(stored.data()), request, heading)?;
        session.emit(sink, &DtReport { name: found.name.clone(), built_in: false, ..report })?;
        session.emit(sink, &Message(vec![Line::new()]))?;
        let machine = session.sel.machine;
        let Some(value) = session.dump().memory().ptr(at.offset(link.at), machine) else { return Ok(()) };
        if value.is_null() {
            return Ok(());
        }
        at = value.back(link.back);
        if seen.contains(&at) || seen.len() >= MAX_LIST {
            if seen.len() >= MAX_LIST {
                let text = format!("note: only the first {MAX_LIST} objects are shown");
                session.emit(sink, &Message(vec![Line::new().role(Role::Note, text)]))?;
            }
            return Ok(());
        }
    }
}

/// The pointer that leads from one object of a list to the next.
pub(super) struct Link {
    /// Offset of the pointer.
    pub(super) at: u64,
    /// What its value exceeds the next object's address by.
    pub(super) back: u64,
}

impl Link {
    pub(super) fn find(set: &TypeSet, id: TypeId, path: &str) -> Option<Link> {
        let types = set.types();
        let field = Field::parse(path, false)?;
        let (mut id, outer) = (id, bare(types, id).0);
        let (mut at, mut parent) = (0u64, 0u64);
        let mut pointee = TypeId::NONE;
        for (i, _) in field.parts.iter().enumerate() {
            let all = rows(types, id);
            let row = all.iter().find(|r| field.selects(i, &r.name))?;
            let dumpscope_symbols::types::RowKind::Field(offset) = row.kind else { return None };
            parent = at;
            at = at.checked_add(offset)?;
            id = row.ty;
            pointee = match bare(types, row.ty).1 {
                Type::Pointer { to, .. } => bare(types, to).0,
                _ => TypeId::NONE,
            };
        }
        let back = if pointee == outer { 0 } else { parent };
        (pointee != TypeId::NONE).then_some(Link { at, back })
    }
}

/// A variable: its value, and the rows of the structure that it is or points to.
fn of_object(
    session: &Session,
    object: &Object,
    request: &Request,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let mut element = None;
    if let (_, Some(index)) = subject::subscript(request.name.as_deref().unwrap_or("")) {
        let mut copy = Object {
            set: object.set.clone(),
            id: object.id,
            name: object.name.clone(),
            place: object.place.clone(),
            heading: None,
        };
        subject::element(session, &mut copy, index)
            .ok_or_else(|| CommandError::message("Memory read error: the element cannot be reached"))?;
        element = Some(copy);
    }
    let object = element.as_ref().unwrap_or(object);
    let headings: Vec<String> = object.heading.iter().cloned().collect();
    if let Type::Function { .. } = bare(object.set.types(), object.id).1 {
        let mut report = report(session, &object.set, object.id, None, request, headings)?;
        report.value = Some(cpp_name(object.set.types(), object.id));
        return session.emit(sink, &DtReport { name: object.name.clone(), ..report });
    }
    match &object.place {
        Ok(stored) => {
            let stored = request.address.map_or_else(|| stored.clone(), Stored::Memory);
            let report = report(session, &object.set, object.id, Some(stored.data()), request, headings)?;
            session.emit(sink, &DtReport { name: object.name.clone(), ..report })
        }
        Err(why) => {
            let mut report = report(session, &object.set, object.id, None, request, headings)?;
            report.value = Some(format!("<value unavailable> ({why})"));
            report.rows.clear();
            session.emit(sink, &DtReport { name: object.name.clone(), ..report })
        }
    }
}

/// Runs `f` with what values need.
pub(crate) fn with_cx<T>(session: &Session, set: &TypeSet, f: impl FnOnce(&ValueCx<'_>) -> T) -> T {
    let symbol = |va: Va| {
        let r = session.target.symbols.resolve(va)?;
        let module = session.target.symbols.name_in(r.module, session.sel.machine);
        let offset = r.displacement_in(session.sel.machine);
        Some(format!("{module}!{}+{offset:x}", r.symbol?.name))
    };
    let mem: &dyn ReadMemory = &**session.target.dump.memory();
    f(&ValueCx { types: set.types(), mem, machine: session.sel.machine, symbol: &symbol })
}

/// The report of a type or an object, without its name.
fn report(
    session: &Session,
    set: &TypeSet,
    id: TypeId,
    data: Option<Data<'_>>,
    request: &Request,
    headings: Vec<String>,
) -> Result<DtReport, CommandError> {
    let types = set.types();
    let (bare_id, t) = bare(types, id);
    let mut out = DtReport {
        module: module_name(session, set).map(str::to_owned),
        size: size_of(types, id),
        source: types.type_source().to_string(),
        headings,
        style: request.style,
        built_in: set.is_built_in(),
        address: match data {
            Some(Data::Memory(va)) => Some(Hex(va.0)),
            _ => None,
        },
        ..DtReport::default()
    };
    if request.style.verbose {
        out.headings.push(verbose(types, id));
    }
    let fields: Vec<&Field> = request.fields.iter().collect();
    let fill = |id: TypeId, data: Option<Data<'_>>, out: &mut DtReport| {
        with_cx(session, set, |cx| {
            let mut filler = Filler::new(cx, set, session, request.open);
            filler.aggregate(id, data, &fields);
            out.unread = filler.unread.map(Hex::from);
            out.cut = filler.cut;
            out.rows = filler.rows;
        });
    };
    match (t, data) {
        (Type::Udt { .. }, _) => fill(bare_id, data, &mut out),
        (Type::Enum { .. }, None) => {
            let list = types.enumerators(bare_id).into_iter();
            out.enumerators = list
                .filter_map(|e| Some(EnumeratorRow { name: e.name, value: i64::try_from(e.value).ok()? }))
                .collect();
        }
        (Type::Pointer { to, size, .. }, Some(data)) => {
            let text = with_cx(session, set, |cx| dt_value(cx, id, data));
            let target = with_cx(session, set, |cx| cx.unsigned(data, size.into()));
            let inner = subject::aggregate(set, id).filter(|_| matches!(bare(types, to).1, Type::Udt { .. }));
            match (inner, target.and_then(|v| u64::try_from(v).ok()).filter(|v| *v != 0)) {
                (Some(inner), Some(va)) => {
                    out.value = Some(format!("0x{} ", fmt::addr(Va(va), request.style.wide)));
                    fill(inner, Some(Data::Memory(Va(va))), &mut out);
                }
                _ => out.value = Some(text),
            }
        }
        (_, Some(data)) => {
            out.value = Some(with_cx(session, set, |cx| dt_value(cx, id, data)));
            if let (Type::Array { element, count, .. }, Some(most)) =
                (bare(types, id).1, request.open.elements)
            {
                let list = with_cx(session, set, |cx| elements(cx, element, count.min(most), data));
                out.value = Some(dt_name(types, id));
                out.headings.extend(list.iter().map(|e| format!("    {e}")));
            }
        }
        (_, None) => {
            if !request.style.verbose {
                out.value = Some(dt_name(types, id));
            }
        }
    }
    if !fields.is_empty() && out.rows.is_empty() && !out.cut {
        return Err(CommandError::message("Cannot find specified field members."));
    }
    Ok(out)
}
