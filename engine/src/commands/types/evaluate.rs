//! `??`: evaluates a C++ expression.

use super::dt::with_cx;
use super::report::{Style, rows};
use super::rows::{DtRow, Filler, Open};
use crate::command::{Command, CommandError, Completes, Glued, Invocation};
use crate::commands::stack::report::UNAVAILABLE;
use crate::doc::{Answer, Line, RenderCx, Role, Sink, Span};
use crate::expr::cpp::Value;
use crate::fmt::{self, Hex};
use crate::lang::evaluate_cpp;
use crate::session::Session;
use dumpscope_core::base::text::escape;
use dumpscope_core::{ReadMemory, Va};
use dumpscope_symbols::types::{Base, BaseKind, Data, Type, TypeId, bare, dt_value, inline_value};
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
    /// The text that a pointer or array of characters holds, quoted. Untrusted.
    text: Option<String>,
    /// Members of a structure.
    rows: Vec<DtRow>,
    /// Where the type came from.
    source: String,
    #[serde(skip)]
    wide: bool,
    #[serde(skip)]
    built_in: bool,
}

impl Answer for TypedReport {
    const KIND: &'static str = "typed_value";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let mut line = Line::new().span(Span::untrusted(Role::Type, &self.ty));
        if let Some(value) = &self.value {
            line = line.text(" ").span(Span::untrusted(Role::Value, value));
        }
        emit(line);
        if let Some(text) = &self.text {
            emit(Line::plain(" ").span(Span::untrusted(Role::Text, text)));
        }
        rows(&self.rows, Style { wide: self.wide, ..Style::default() }, emit);
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
    let value = evaluate_cpp(session, text).map_err(|e| CommandError::Expr(e.shifted(at)))?;
    let report = report(session, &value, text)?;
    if let Some(bits) = report.bits {
        session.language.last_expr = bits.0;
    }
    session.emit(sink, &report)
}

fn report(session: &Session, value: &Value, text: &str) -> Result<TypedReport, CommandError> {
    let memory: &dyn ReadMemory = &**session.dump().memory();
    let wide = session.sel.machine.is_64();
    let set = &value.ty.set;
    let types = set.types();
    let mut out = TypedReport {
        ty: escape(&value.ty.name()).into_owned(),
        value: None,
        bits: None,
        address: value.address().map(Hex::from),
        text: None,
        rows: Vec::new(),
        source: types.type_source().to_string(),
        wide,
        built_in: false,
    };
    let members = |id, data: Data<'_>, out: &mut TypedReport| {
        with_cx(session, set, |cx| {
            let mut filler = Filler::new(cx, set, session, Open::default());
            filler.aggregate(id, Some(data), &[]);
            out.rows = filler.rows;
        });
        out.built_in = set.is_built_in();
    };
    if let Some((id, Type::Udt { .. })) = value.ty.bare() {
        members(id, value.data(), &mut out);
        return Ok(out);
    }
    let shown = escape(text.trim()).into_owned();
    if value.ty.stars == 0 && value.ty.id == TypeId::VOID {
        // An export or a public symbol.
        let at = value.address().map_or(String::new(), |va| format!(" ({})", fmt::addr(va, wide)));
        let note = format!("Only the symbol's address{at} is known: `? {shown}` or `?? &{shown}` shows it.");
        return Err(CommandError::noted(format!("Type information missing error for {shown}"), note));
    }
    out.bits = value.number(memory).map(Hex);
    if let Some((_, Type::Function { .. })) = value.ty.bare() {
        out.value = value.address().map(|va| format!("0x{}", fmt::addr(va, wide)));
        return Ok(out);
    }
    if let Some(va) = value.address().filter(|_| value.is_missing(memory)) {
        let note = format!("The memory at {} is not in the dump.", fmt::addr(va, wide));
        return Err(CommandError::noted(format!("Memory access error at '{shown}'"), note));
    }
    let target = value.ty.pointee().or_else(|| value.ty.element().map(|(t, _)| t));
    let Some(target) = target else {
        out.value = Some(simple(session, value));
        return Ok(out);
    };
    let Some(va) = out.bits.map(|b| Va(b.0)) else {
        out.value = Some(UNAVAILABLE.to_owned());
        return Ok(out);
    };
    out.value = Some(format!("0x{}", fmt::addr(va, wide)));
    match target.bare() {
        Some((id, Type::Udt { .. })) if value.ty.element().is_none() && !va.is_null() => {
            members(id, Data::Memory(va), &mut out);
        }
        Some((_, Type::Base(Base { kind: BaseKind::Char | BaseKind::UChar | BaseKind::WChar, .. })))
            if !va.is_null() =>
        {
            out.text = text_of(session, value, va);
        }
        _ => {}
    }
    Ok(out)
}

/// The text of a pointer to characters, or of an array of them.
fn text_of(session: &Session, value: &Value, va: Va) -> Option<String> {
    let set = &value.ty.set;
    // `dt` writes the text last, in quotes.
    let shown = if value.ty.stars > 0 {
        let pointee = value.ty.pointee()?;
        let wide = matches!(pointee.bare(), Some((_, Type::Base(Base { kind: BaseKind::WChar, .. }))));
        with_cx(session, set, |cx| cx.text(va, wide))?
    } else {
        with_cx(session, set, |cx| dt_value(cx, value.ty.id, value.data()))
    };
    let start = shown.find('"')?;
    shown.get(start..).map(|t| escape(t).into_owned())
}

/// A number, enumeration or the like.
fn simple(session: &Session, value: &Value) -> String {
    let set = &value.ty.set;
    let data = value.data();
    let is_char = matches!(
        bare(set.types(), value.ty.id).1,
        Type::Base(Base { kind: BaseKind::Char | BaseKind::UChar, .. })
    );
    let text = with_cx(session, set, |cx| {
        if is_char { Some(dt_value(cx, value.ty.id, data)) } else { inline_value(cx, value.ty.id, data) }
    });
    escape(&text.unwrap_or_else(|| UNAVAILABLE.to_owned())).into_owned()
}
