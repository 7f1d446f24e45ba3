//! `??`: evaluates a C++ expression.

use super::dt::with_cx;
use super::radix::in_radix;
use super::report::{Style, rows};
use super::rows::{DtRow, Filler, Open};
use crate::command::{Command, CommandError, Completes, Glued, Invocation};
use crate::commands::stack::report::UNAVAILABLE;
use crate::doc::{Answer, Line, RenderCx, Role, Sink, Span};
use crate::expr::cpp::{Ty, Value};
use crate::expr::{ErrorKind, ExprError};
use crate::fmt::{self, Hex};
use crate::lang::evaluate_cpp;
use crate::session::{Layout, Session};
use dumpscope_analyzers::scope::Stored;
use dumpscope_core::base::text::escape;
use dumpscope_core::{ReadMemory, Va};
use dumpscope_symbols::types::{
    Base, BaseKind, Data, Type, TypeId, bare, cpp_name, dt_value, inline_value, special_value,
};
use serde::Serialize;

pub(crate) const TYPED: Command = Command {
    name: "??",
    glued: Glued::Anything,
    group: "expressions",
    syntax: "?? expression",
    summary: "Evaluates a C++ expression",
    help: "Shows the value with its type; of a structure, or a pointer to one, the members too. Variables are those of the \
           frame that `.frame` selected, then global ones; `module!name` is always global. There are member access, `->`, \
           `[ ]`, casts (also `(module!type *)address`), `sizeof`, pointer arithmetic, comparisons, `&&`, `||` and `?:`. \
           Numbers are decimal unless they start with `0x`. Registers are `@rax`; `@$peb` and `@$teb` have types. \
           `@@masm( )` holds a MASM expression, and in MASM `@@c++( )` holds one of these.\n\n\
           Macros: `#FIELD_OFFSET(type, field)`, `#CONTAINING_RECORD(address, type, field)`, `#RTL_FIELD_SIZE(type, field)`, \
           `#RTL_CONTAINS_FIELD(pointer, size, field)`, `#RTL_NUMBER_OF(array)`.",
    examples: &[
        ("?? @$teb->LastErrorValue", "A member of a structure"),
        ("?? sizeof(_PEB_LDR_DATA)", "The size of a type"),
        ("?? (unsigned short)@$ip", "A cast"),
        ("?? @$peb->ProcessHeap; ? @@c++(@$peb->ProcessHeap) + 10", "The same value in a MASM expression"),
    ],
    completes: Completes::Types,
    run,
    ..Command::BASE
};

#[derive(Clone, Debug, PartialEq, Serialize)]
struct TypedReport {
    /// Untrusted.
    #[serde(rename = "type")]
    ty: String,
    /// Null for structures. Untrusted.
    value: Option<String>,
    /// The value as a number.
    bits: Option<Hex>,
    /// Where it lies.
    address: Option<Hex>,
    /// Lines below the value: the text that a pointer to characters leads to, the first element of an array. Untrusted.
    text: Vec<String>,
    /// Members of a structure.
    rows: Vec<DtRow>,
    /// Where the type came from.
    source: String,
    #[serde(skip)]
    wide: bool,
    #[serde(skip)]
    built_in: bool,
    /// The rows as today's engine writes them. Untrusted.
    #[serde(skip)]
    engine: Option<Vec<String>>,
}

impl Answer for TypedReport {
    const KIND: &'static str = "typed_value";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let mut line = Line::new().span(Span::untrusted(Role::Type, &self.ty));
        if let Some(value) = &self.value {
            line = line.text(" ").span(Span::untrusted(Role::Value, value));
        }
        emit(line);
        for text in &self.text {
            // The parameters of a function stand behind a tab.
            let (indent, text) = match text.strip_prefix('\t') {
                Some(rest) => ("\t", rest),
                None => ("", text.as_str()),
            };
            emit(Line::plain(indent).span(Span::untrusted(Role::Text, text)));
        }
        match &self.engine {
            Some(lines) => lines.iter().for_each(|line| emit(super::engine_dt::row(line))),
            None => rows(&self.rows, Style { wide: self.wide, ..Style::default() }, emit),
        }
        if self.built_in {
            let text = format!("note: {}; no symbol file has this type", self.source);
            emit(Line::new().role(Role::Note, text));
        }
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let at = args.pos();
    let text = args.take_rest();
    let (value, end) = evaluate_cpp(session, text).map_err(|e| CommandError::Expr(e.shifted(at)))?;
    let left = text.get(end..).is_some_and(|rest| !rest.trim().is_empty());
    if left && session.sel.layout == Layout::Classic {
        return Err(CommandError::Expr(ExprError::new(ErrorKind::Syntax, at + end)));
    }
    let report = report(session, &value, text, at)?;
    if let Some(bits) = report.bits {
        session.language.last_expr = bits.0;
    }
    session.emit(sink, &report)?;
    match left {
        true => Err(CommandError::Expr(ExprError::new(ErrorKind::ExtraCharacter, at + end))),
        false => Ok(()),
    }
}

fn report(session: &Session, value: &Value, text: &str, at: usize) -> Result<TypedReport, CommandError> {
    let memory: &dyn ReadMemory = &**session.dump().memory();
    let wide = session.sel.machine.is_64();
    let set = &value.ty.set;
    let types = set.types();
    let mut out = TypedReport {
        ty: escape(&value.ty.name()).into_owned(),
        value: None,
        bits: None,
        address: value.address().map(Hex::from),
        text: Vec::new(),
        rows: Vec::new(),
        source: types.type_source().to_string(),
        wide,
        built_in: false,
        engine: None,
    };
    if let Some((id, Type::Udt { .. })) = value.ty.bare() {
        members(session, value, id, Some(value.data()).filter(|_| value.address() != Some(Va(0))), &mut out);
        return Ok(out);
    }
    let shown = escape(text.trim()).into_owned();
    if value.ty.stars == 0 && value.ty.id == TypeId::VOID {
        // An export or a public symbol.
        let plain = shown.rsplit('!').next().unwrap_or_default();
        let place = value.address().map_or(String::new(), |va| format!(" ({})", fmt::addr(va, wide)));
        let note =
            format!("Only the symbol's address{place} is known: `? {shown}` or `?? &{shown}` shows it.");
        if session.sel.layout == Layout::Modern {
            let mut error = ExprError::new(ErrorKind::CouldntResolve, at);
            error.before = vec![format!("Type information missing error for {plain}")];
            error.note = Some(note);
            return Err(error.into());
        }
        return Err(CommandError::noted(format!("Type information missing error for {shown}"), note));
    }
    out.bits = value.number(memory).map(Hex);
    if let Some((_, Type::Function { ret, params, .. })) = value.ty.bare() {
        out.value = value.address().map(|va| format!("0x{}", fmt::addr(va, wide)));
        let name = value.address().and_then(|va| with_cx(session, set, |cx| (cx.symbol)(va)));
        out.text.push(format!(" {}  {}(", cpp_name(types, ret), name.unwrap_or_default()));
        for (i, p) in params.iter().enumerate() {
            let end = if i + 1 == params.len() { ")" } else { ", " };
            out.text.push(format!("\t{}{end}", cpp_name(types, *p).replace(" *", "*")));
        }
        return Ok(out);
    }
    let missing = value.address().filter(|_| value.is_missing(memory) && value.ty.element().is_none());
    if let Some(va) = missing {
        let note = format!("The memory at {} is not in the dump.", fmt::addr(va, wide));
        if session.sel.layout == Layout::Modern {
            let mut error = ExprError::new(ErrorKind::Memory, at + text.trim_end().len());
            error.note = Some(note);
            return Err(error.into());
        }
        return Err(CommandError::noted(format!("Memory access error at '{shown}'"), note));
    }
    if let (Some((element, _)), Some(va)) = (value.ty.element(), value.address()) {
        out.value = Some(format!("0x{}", fmt::addr(va, wide)));
        match element.bare() {
            Some((id, Type::Udt { .. })) => members(session, value, id, Some(Data::Memory(va)), &mut out),
            _ => {
                let first = with_cx(session, set, |cx| dt_value(cx, element.id, Data::Memory(va)));
                let first = in_radix(session, types, element.id, first);
                let text = first.ends_with('"');
                out.text.push(escape(&first).into_owned());
                if text {
                    out.text.push(String::new());
                }
            }
        }
        return Ok(out);
    }
    let Some(target) = value.ty.pointee().or_else(|| function_pointer(value)) else {
        out.value = Some(simple(session, value));
        return Ok(out);
    };
    let Some(va) = out.bits.map(|b| Va(b.0)) else {
        out.value = Some(UNAVAILABLE.to_owned());
        return Ok(out);
    };
    out.value = Some(format!("0x{}", fmt::addr(va, wide)));
    match target.bare() {
        Some((id, Type::Udt { .. })) if !va.is_null() => {
            let to = Value { ty: target.clone(), place: Stored::Memory(va) };
            members(session, &to, id, Some(Data::Memory(va)), &mut out);
        }
        Some((id, Type::Udt { .. })) => {
            let to = Value { ty: target.clone(), place: Stored::Memory(va) };
            members(session, &to, id, None, &mut out);
        }
        Some((_, Type::Base(Base { kind, .. }))) if is_text(kind) => {
            let text = match va.is_null() {
                true => "\"\"".to_owned(),
                false => {
                    let read = with_cx(session, set, |cx| cx.text(va, kind == BaseKind::WChar));
                    let address = format!("0x{}", fmt::addr(va, wide));
                    read.unwrap_or_else(|| format!("\"--- memory read error at address {address} ---\""))
                }
            };
            out.text.push(format!(" {}", escape(&text)));
        }
        _ => {}
    }
    Ok(out)
}

fn is_text(kind: BaseKind) -> bool {
    matches!(kind, BaseKind::Char | BaseKind::UChar | BaseKind::WChar)
}

/// What a pointer that cannot be followed points to: members of classes.
fn function_pointer(value: &Value) -> Option<Ty> {
    match value.ty.bare()?.1 {
        Type::Pointer { .. } => Some(Ty { id: TypeId::NONE, alias: None, ..value.ty.clone() }),
        _ => None,
    }
}

/// The rows of a structure, and what it is shown as when it is a well-known one.
fn members(session: &Session, value: &Value, id: TypeId, data: Option<Data<'_>>, out: &mut TypedReport) {
    let set = &value.ty.set;
    with_cx(session, set, |cx| {
        if let Some(special) = data.and_then(|data| special_value(cx, id, data)) {
            out.text.push(format!(" {}", escape(&special)));
        }
        let mut filler = Filler::new(cx, set, session, Open::default());
        filler.aggregate(id, data, &[]);
        out.rows = filler.rows;
        if session.sel.layout == Layout::Modern {
            let looks = super::looks::Looks { width: 16, ..Default::default() };
            let mut layout = super::layout::Layout::new(cx, set, session, &looks);
            layout.members(id, data);
            out.engine = Some(layout.lines);
        }
    });
    out.built_in = set.is_built_in();
}

/// A number, enumeration or the like.
fn simple(session: &Session, value: &Value) -> String {
    let set = &value.ty.set;
    let data = value.data();
    let text = with_cx(session, set, |cx| match bare(set.types(), value.ty.id).1 {
        Type::Base(Base { kind: BaseKind::UChar, .. }) => {
            let byte = cx.unsigned(data, 1)?;
            let shown = u8::try_from(byte).ok().filter(|b| (b' '..=b'~').contains(b)).map(char::from);
            Some(format!("0x{byte:02x} '{}'", shown.map(String::from).unwrap_or_default()))
        }
        _ => inline_value(cx, value.ty.id, data),
    });
    let text = text.map(|t| in_radix(session, set.types(), value.ty.id, t));
    escape(&text.unwrap_or_else(|| UNAVAILABLE.to_owned())).into_owned()
}
