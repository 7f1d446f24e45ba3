//! `dt` in the layout of today's engine: how its line is read, and in which order its parts are printed.

use super::dt::{Link, with_cx};
use super::fields::Field;
use super::find::{Found, module_name};
use super::layout::{Layout, base_type};
use super::looks::Looks;
use super::rows::{MAX_ROWS, verbose};
use super::subject::{self, Object, Subject};
use super::wild::{self, Wanted};
use crate::command::{CommandError, Invocation};
use crate::doc::{Answer, Line, RenderCx, Role, Sink, Span};
use crate::expr::{ErrorKind, ExprError, TypeSet};
use crate::fmt::{self, Hex};
use crate::session::Session;
use dumpscope_analyzers::scope::Stored;
use dumpscope_core::base::text::escape;
use dumpscope_core::{ReadMemory, Va};
use dumpscope_symbols::types::{Data, Type, TypeId, bare};
use serde::Serialize;

/// Levels that `-r` without a number opens.
const NESTING: u32 = 2;
/// Objects that `-a` without a number shows.
const OBJECTS: u64 = 5;
/// Most objects of a list that `-l` follows.
const MAX_LIST: usize = 1024;
/// The width of names without fields.
const WIDTH: usize = 16;
const NOT_FOUND: &str = "Cannot find specified field members.";

const USAGE: &[&str] = &[
    "dt - dump symbolic type information.",
    "dt [[-ny] [<mod-name>!]<name>[*]] [[-ny] <field>]* [<address>] ",
    "   [-l <list-field>] [-abcdehioprstv]",
    "",
    "Use \".hh dtx\" or open debugger.chm in the debuggers directory to get",
    "detailed documentation on this command.",
    "",
];

/// A command, read.
#[derive(Default)]
struct Request {
    looks: Looks,
    wanted: Wanted,
    name: Option<String>,
    /// `-y` before the name.
    prefix: bool,
    fields: Vec<Field>,
    /// What is shown of the path of `-l`.
    path: Option<Field>,
    width: Option<usize>,
    address: Option<Va>,
    list: Option<String>,
    /// `-a` before the name.
    objects: Option<u64>,
}

/// What `dt` printed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct TypeLines {
    module: Option<String>,
    /// Untrusted.
    name: String,
    address: Option<Hex>,
    /// The last address whose memory is not in the dump.
    unread: Option<Hex>,
    /// Untrusted.
    lines: Vec<String>,
    cut: bool,
    /// Fields were asked for that are not there.
    #[serde(skip)]
    lost: bool,
    /// What stands before the error then: the number of `type[3]`.
    #[serde(skip)]
    before: String,
}

impl Answer for TypeLines {
    const KIND: &'static str = "type";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for line in &self.lines {
            emit(row(line));
        }
        if self.cut {
            let text = format!("note: only the first {MAX_ROWS} rows are shown");
            emit(Line::new().role(Role::Note, text));
        }
    }
}

/// A row with its offset, name and value told apart.
pub(super) fn row(text: &str) -> Line {
    let parts = text.split_once(" : ").filter(|(place, _)| place.trim_start().starts_with(['+', '=']));
    let Some((place, value)) = parts else { return Line(vec![plain(Role::Value, text)]) };
    let split = place.find(['+', '=']).and_then(|start| Some(start + place.get(start..)?.find(' ')?));
    let (offset, name) = place.split_at_checked(split.unwrap_or(0)).unwrap_or(("", place));
    let line = Line(vec![plain(Role::Address, offset), plain(Role::Label, name)]);
    line.text(" : ").span(plain(Role::Value, value))
}

/// Text whose tabs are layout of ours.
fn plain(role: Role, text: &str) -> Span {
    match text.strip_prefix('\t') {
        Some(rest) => Span::new(role, format!("\t{}", escape(rest))),
        None => Span::untrusted(role, text),
    }
}

pub(super) fn run(
    session: &mut Session,
    call: &Invocation<'_>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let mut request = Request { looks: Looks { width: WIDTH, ..Looks::default() }, ..Request::default() };
    if let Err(error) = read(session, call, &mut request) {
        return match error {
            Failure::Usage(letter, at) => {
                let mut lines = vec![format!("Unknown argument -{letter}")];
                lines.extend(USAGE.iter().map(|l| (*l).to_owned()));
                session.emit(sink, &TypeLines { lines, ..TypeLines::default() })?;
                Err(CommandError::Expr(ExprError::new(ErrorKind::ExtraCharacter, at)))
            }
            Failure::Error(error) => Err(error),
        };
    }
    if let Some(width) = request.width {
        request.looks.width = width;
    }
    let Some(mut name) = request.name.clone() else {
        let Some(va) = request.address else { return Err(CommandError::message(USAGE.join("\n"))) };
        let object = subject::at(session, va).ok_or_else(|| missing(&format!("at address {:x}", va.0)))?;
        let heading = vec![object.name.clone()];
        return of_object(session, &object, &request, heading, sink);
    };
    let wanted = Wanted { verbose: request.looks.verbose, ..request.wanted };
    let mut heading = Vec::new();
    if request.prefix {
        match wild::first(session, &format!("{name}*"), wanted) {
            Some(first) => name = first,
            None => return Err(missing(&name)),
        }
        heading.push(name.clone());
    } else if is_pattern(&name) {
        return wild::list(session, &name, wanted, sink).map(|_| ());
    }
    session.language.last_type = Some(name.clone());
    let (plain_name, count) = subject::subscript(&name);
    match find(session, plain_name) {
        Some(Subject::Type(found)) => {
            if heading.is_empty() && !name.contains('!') && found.set.module().is_some() {
                let module = module_name(session, &found.set).unwrap_or_default();
                heading.push(format!("{module}!{}", found.name));
            }
            of_type(session, &found, count, &request, heading, sink)
        }
        Some(Subject::Object(object)) => {
            heading.extend(object.heading.clone());
            if heading.is_empty() && !name.contains('!') {
                let module = module_name(session, &object.set).unwrap_or_default();
                heading.push(format!("{module}!{}", object.name));
            }
            of_object(session, &object, &request, heading, sink)
        }
        None => Err(missing(&name)),
    }
}

fn missing(name: &str) -> CommandError {
    CommandError::message(format!("Symbol {} not found.", escape(name)))
}

fn find(session: &Session, name: &str) -> Option<Subject> {
    let bracketed = name.strip_prefix('(').and_then(|n| n.strip_suffix(')'));
    let name = bracketed.unwrap_or(name);
    if let Some(id) = base_type(name) {
        let set = TypeSet::built_in(session.sel.machine, None);
        return Some(Subject::Type(Found { set, id, name: name.to_owned(), sizes: Vec::new() }));
    }
    match subject::engine_subject(session, name)? {
        // Types of our own are no part of the engine's answer, but better than none for what only we know.
        Subject::Type(found) if found.set.is_built_in() && !name.contains('!') && !name.starts_with('_') => {
            None
        }
        other => Some(other),
    }
}

enum Failure {
    Usage(char, usize),
    Error(CommandError),
}

impl From<CommandError> for Failure {
    fn from(error: CommandError) -> Failure {
        Failure::Error(error)
    }
}

/// Length of the word at the start of a text: blanks inside brackets, quotes and template arguments belong to it.
fn word_len(text: &str) -> usize {
    let mut depth = 0usize;
    let mut last = ' ';
    for (i, c) in text.char_indices() {
        match c {
            '(' | '[' | '<' => depth = depth.saturating_add(1),
            '>' if last == '-' => {}
            ')' | ']' | '>' => depth = depth.saturating_sub(1),
            _ if depth == 0 && c.is_whitespace() => return i,
            _ => {}
        }
        last = c;
    }
    text.len()
}

/// True for a word that is read as an address, whatever stands before it: it begins with a digit, `@`, `poi(` or `@@`, or
/// is a number.
fn is_address(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit() || c == '@')
        || word.get(..4).is_some_and(|w| w.eq_ignore_ascii_case("poi("))
        || word.chars().all(|c| c.is_ascii_hexdigit() || c == '`')
}

fn read(session: &Session, call: &Invocation<'_>, request: &mut Request) -> Result<(), Failure> {
    let mut args = call.cursor();
    let mut literal = false;
    let mut prefix = false;
    while !args.is_empty() {
        let at = args.pos();
        let raw = args.raw();
        let word = raw.get(..word_len(raw)).unwrap_or(raw);
        if word.starts_with('-') && word.len() > 1 {
            args.advance(word.len());
            let number = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>();
            let mut rest = word.get(1..).unwrap_or("");
            while let Some(c) = rest.chars().next() {
                rest = rest.get(c.len_utf8()..).unwrap_or("");
                let digits = if matches!(c, 'r' | 'a') { number(rest) } else { String::new() };
                rest = rest.get(digits.len()..).unwrap_or("");
                let count: Option<u64> = digits.parse().ok();
                match c {
                    'r' => {
                        request.looks.nesting =
                            count.map_or(NESTING, |n| u32::try_from(n).unwrap_or(NESTING).min(9));
                    }
                    'b' => request.looks.blocks = true,
                    'v' => request.looks.verbose = true,
                    'a' if request.name.is_none() => request.objects = Some(count.unwrap_or(OBJECTS)),
                    'a' => request.looks.elements = Some(count.unwrap_or(u64::MAX)),
                    'c' => request.looks.compact = true,
                    'o' => request.looks.no_offsets = true,
                    'i' => request.looks.flat = true,
                    't' => request.wanted.types_only = true,
                    'd' | 'e' | 'p' | 'x' => {}
                    'n' => literal = true,
                    'y' => prefix = true,
                    's' => request.wanted.size = Some(args.word_expr(session)?),
                    'l' if request.name.is_some() => {
                        let raw = args.raw().trim_start();
                        let field = raw.get(..word_len(raw)).unwrap_or("").to_owned();
                        args.word();
                        request.path = field
                            .split_once('.')
                            .and_then(|(first, _)| Some(Field { link: true, ..Field::parse(first, false)? }));
                        request.list = Some(field);
                    }
                    'l' => {}
                    other => return Err(Failure::Usage(other, at)),
                }
            }
            continue;
        }
        args.advance(word.len());
        if !literal && !prefix && request.address.is_none() && is_address(word) {
            let (value, used) = session.eval(word).map_err(|e| quoted(e, word))?;
            if word.get(used..).is_some_and(|rest| !rest.trim().is_empty()) {
                return Err(CommandError::Expr(ExprError::new(ErrorKind::ExtraCharacter, at + used)).into());
            }
            request.address = Some(session.address(value));
            continue;
        }
        if request.name.is_none() {
            request.name = Some(word.to_owned());
            request.prefix = prefix;
        } else {
            if word.ends_with("->") {
                let text = format!("Couldn't resolve error at '{}'", escape(word));
                return Err(CommandError::message(text).into());
            }
            let width = word.trim_end_matches('*').chars().count();
            request.width = Some(request.width.unwrap_or(0).max(width));
            // A word that cannot be a field selects nothing.
            let nothing = || Field { parts: Vec::new(), expand: 0, link: false };
            request.fields.push(Field::parse(word, prefix).unwrap_or_else(nothing));
        }
        (literal, prefix) = (false, false);
    }
    Ok(())
}

/// An error of a word, which alone is quoted.
fn quoted(error: ExprError, word: &str) -> CommandError {
    CommandError::message(error.engine_message(word))
}

fn of_type(
    session: &Session,
    found: &Found,
    count: Option<u64>,
    request: &Request,
    heading: Vec<String>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let set = &found.set;
    let address = request.address.filter(|va| !va.is_null());
    if let (Some(list), Some(start)) = (&request.list, address) {
        return follow(session, found, list, start, request, sink);
    }
    if let (Some(objects), Some(start)) = (request.objects, address) {
        return each(session, set, found.id, count, (start, objects), request, sink);
    }
    let report = lines(session, set, found.id, address, count, request, heading);
    finish(session, &report, sink)
}

/// `-a`: objects that lie one behind the other, each with a heading.
fn each(
    session: &Session,
    set: &TypeSet,
    id: TypeId,
    count: Option<u64>,
    (start, objects): (Va, u64),
    request: &Request,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let size = dumpscope_symbols::types::size_of(set.types(), id).unwrap_or(0);
    let step = size.saturating_mul(count.unwrap_or(1));
    for i in 0..objects.min(MAX_ROWS as u64) {
        let at = start.offset(step.wrapping_mul(i));
        let wide = session.sel.machine.is_64();
        let heading = vec![format!("[{i}] @ {} ", fmt::addr(at, wide)), "-".repeat(45)];
        let mut report = lines(session, set, id, Some(at), count, request, heading);
        report.lines.push(String::new());
        session.emit(sink, &report)?;
    }
    Ok(())
}

/// True for a name that stands for several: a star inside of template arguments is a pointer.
fn is_pattern(name: &str) -> bool {
    let mut depth = 0usize;
    name.chars().any(|c| {
        match c {
            '<' => depth = depth.saturating_add(1),
            '>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && matches!(c, '*' | '?')
    })
}

/// The report, and the error behind it when fields were not found.
fn finish(session: &Session, report: &TypeLines, sink: &mut dyn Sink) -> Result<(), CommandError> {
    session.emit(sink, report)?;
    match (report.lost, report.address) {
        (false, _) => Ok(()),
        // The engine reads the object before it looks for the fields.
        (true, Some(va)) if report.lines.is_empty() && session.dump().memory().u8(Va(va.0)).is_none() => {
            Err(CommandError::message(read_error(session, Va(va.0))))
        }
        (true, _) => Err(CommandError::message(format!("{}{NOT_FOUND}", report.before))),
    }
}

/// The lines of an object or a type.
fn lines(
    session: &Session,
    set: &TypeSet,
    id: TypeId,
    address: Option<Va>,
    count: Option<u64>,
    request: &Request,
    mut heading: Vec<String>,
) -> TypeLines {
    if request.looks.verbose {
        heading.push(verbose(set.types(), id));
    }
    let data = address.map(Stored::Memory);
    let data = data.as_ref().map(Stored::data);
    let mut report = shown(session, set, request, heading, address, |layout, fields| match (count, data) {
        (Some(count), Some(data)) => layout.array(id, count, data, fields),
        (Some(count), None) => layout.numbered(id, count, None, fields),
        _ => layout.object(id, data, fields),
    });
    if let Some(count) = count.filter(|_| report.lines.is_empty()) {
        report.before = format!("[{count}] ");
    }
    report
}

fn shown(
    session: &Session,
    set: &TypeSet,
    request: &Request,
    heading: Vec<String>,
    address: Option<Va>,
    fill: impl FnOnce(&mut Layout<'_>, &[&Field]),
) -> TypeLines {
    let mut out = TypeLines {
        module: module_name(session, set).map(str::to_owned),
        address: address.map(Hex::from),
        lines: heading,
        ..TypeLines::default()
    };
    let fields: Vec<&Field> = request.fields.iter().chain(&request.path).collect();
    with_cx(session, set, |cx| {
        let mut looks = request.looks.clone();
        if !fields.is_empty() {
            // With fields only their points open anything.
            looks.nesting = 0;
            looks.blocks = false;
        }
        let mut layout = Layout::new(cx, set, session, &looks);
        fill(&mut layout, &fields);
        if looks.compact && !layout.lines.is_empty() {
            let last = layout.lines.pop().unwrap_or_default();
            layout.lines.push(last.trim_end().to_owned());
            layout.lines.push("  ".to_owned());
        }
        out.lines.append(&mut layout.lines);
        out.cut = layout.cut;
        out.unread = layout.unread.map(Hex::from);
        if let Some(va) = layout.unread {
            out.lines.push(read_error(session, va));
        }
        out.lost = layout.unread.is_none() && !fields.is_empty() && (layout.found == 0 || layout.broken);
    });
    out
}

/// The engine's word for memory that the dump has not.
fn read_error(session: &Session, va: Va) -> String {
    let width = if session.sel.machine.is_64() { 16 } else { 8 };
    format!("Memory read error {:0width$x}", va.0)
}

/// `-l field`: the objects of a list.
fn follow(
    session: &Session,
    found: &Found,
    list: &str,
    start: Va,
    request: &Request,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let link = Link::find(&found.set, found.id, list);
    let (mut at, mut seen) = (start, Vec::new());
    loop {
        if session.cancel.is_cancelled() {
            return Err(CommandError::Stopped);
        }
        seen.push(at);
        let wide = session.sel.machine.is_64();
        let heading = vec![format!("{list} at 0x{}", fmt::addr(at, wide)), "-".repeat(45)];
        let mut report = lines(session, &found.set, found.id, Some(at), None, request, heading);
        report.lines.push(String::new());
        session.emit(sink, &report)?;
        let Some(link) = &link else { return Ok(()) };
        let machine = session.sel.machine;
        let next = session.dump().memory().ptr(at.offset(link.at), machine).filter(|v| !v.is_null());
        let Some(next) = next.map(|v| v.back(link.back)) else { return Ok(()) };
        // The ring's head is no object of the list.
        if seen.contains(&next) || seen.len() >= MAX_LIST || closes(session, start, next, link) {
            return Ok(());
        }
        at = next;
    }
}

/// True when the object behind `next` is the first one: what lies between them is the list's head.
fn closes(session: &Session, start: Va, next: Va, link: &Link) -> bool {
    let after = session.dump().memory().ptr(next.offset(link.at), session.sel.machine);
    after.map(|v| v.back(link.back)) == Some(start)
}

/// A variable or function.
fn of_object(
    session: &Session,
    object: &Object,
    request: &Request,
    mut heading: Vec<String>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let set = &object.set;
    let types = set.types();
    let place = match &object.place {
        Ok(Stored::Memory(va)) => Some(*va),
        _ => None,
    };
    if let Type::Function { .. } = bare(types, object.id).1 {
        let report = shown(session, set, request, heading, place, |layout, _| {
            layout.function(&format!("{}  ", object.name), " ", object.id);
        });
        return session.emit(sink, &report);
    }
    let (_, index) = subject::subscript(request.name.as_deref().unwrap_or(""));
    if let (Some(objects), Some(start), None, Type::Array { element, count, .. }) =
        (request.objects, place, index, bare(types, object.id).1)
    {
        // Without a number all elements are shown.
        let most = if objects == OBJECTS { count } else { objects.min(count) };
        return each(session, set, element, None, (start, most), request, sink);
    }
    let stored = match (&object.place, index) {
        (Err(why), _) => {
            heading.push(format!("<value unavailable> ({why})"));
            let report = TypeLines { lines: heading, ..TypeLines::default() };
            return session.emit(sink, &report);
        }
        (Ok(stored), None) => (object.id, stored.clone()),
        (Ok(_), Some(index)) => {
            let mut copy = Object {
                set: object.set.clone(),
                id: object.id,
                name: object.name.clone(),
                place: object.place.clone(),
                heading: None,
            };
            subject::element(session, &mut copy, index).ok_or_else(|| missing(&object.name))?;
            let place = copy.place.map_err(CommandError::message)?;
            (copy.id, place)
        }
    };
    let (id, stored) = stored;
    if request.looks.verbose {
        if let (Some(va), None) = (place, &object.heading) {
            let width = if session.sel.machine.is_64() { 16 } else { 8 };
            heading.push(format!("Got address {:0width$x} for symbol", va.0));
        }
        heading.push(verbose(types, id));
    }
    let data: Data<'_> = stored.data();
    let report = shown(session, set, request, heading, place, |layout, fields| match index {
        Some(index) => layout.numbered(id, index, Some(data), fields),
        None => layout.object(id, Some(data), fields),
    });
    finish(session, &report, sink)
}
