//! A value as lines: name, value, type, and children below, as the engine lays them out.

use super::ast::Format;
use super::ty::Kind;
use super::value::{Child, Key, Label, Typed, Val};
use super::world::{Env, World};
use crate::doc::{Answer, Line, Link, RenderCx, Role, Span};
use dumpscope_core::Va;
use dumpscope_core::base::text::escape;
use serde::Serialize;

/// Most elements of one list in a listing.
pub(crate) const LIST: usize = 100;
/// Most lines of one listing.
const MAX_ROWS: usize = 20_000;
/// Width of the column of names.
const WIDTH: usize = 16;

/// What the command's options say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// `-r N`.
    pub(crate) depth: u32,
    /// `-n`: no views.
    pub(crate) raw: bool,
    /// `-g`.
    pub(crate) grid: bool,
    /// `-c N`.
    pub(crate) skip: u64,
    /// `-id N` of another process than the dump's.
    pub(crate) foreign: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { depth: 1, raw: false, grid: false, skip: 0, foreign: false }
    }
}

/// One line. Texts are escaped.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct DxRow {
    /// How deep below the expression.
    level: u32,
    /// Offset or address of a member, in brackets, as listings show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    /// Null for what a pointer leads to.
    name: Option<String>,
    value: Option<String>,
    #[serde(rename = "type")]
    ty: Option<String>,
    /// What a method does.
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<String>,
    /// What shows this row's children.
    #[serde(skip)]
    link: Option<Link>,
}

/// The answer of `dx`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct DxReport {
    pub(crate) rows: Vec<DxRow>,
}

impl Answer for DxReport {
    const KIND: &'static str = "objects";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        self.rows.iter().for_each(|row| emit(row.line()));
    }
}

impl DxRow {
    fn line(&self) -> Line {
        let mut line = Line::plain("    ".repeat(self.level as usize));
        if let Some(place) = &self.place {
            line = line.role(Role::Dim, format!("{place} "));
        }
        if let Some(name) = &self.name {
            let mut span = Span::untrusted(Role::Label, name);
            span.link.clone_from(&self.link);
            let gap = WIDTH.saturating_sub(name.chars().count());
            line = line.span(span).text(" ".repeat(gap));
            if self.value.is_some() {
                line = line.text(" : ");
            } else if self.ty.is_some() || self.about.is_some() {
                line = line.text(" ");
            }
        }
        if let Some(value) = &self.value {
            line = line.span(Span::untrusted(Role::Value, value));
            if self.ty.is_some() {
                line = line.text(" ");
            }
        }
        if let Some(ty) = &self.ty {
            line = line.text("[Type: ").span(Span::untrusted(Role::Type, ty)).text("]");
        }
        if let Some(about) = &self.about {
            line = line.text("[").span(Span::untrusted(Role::Dim, about)).text("]");
        }
        line
    }
}

fn clean(text: &str) -> String {
    escape(text).into_owned()
}

/// How a child's value is written: the numbers and the views of what it is part of, its own texts.
pub(crate) fn inherited(format: &Format, own: Option<&Format>) -> Format {
    let own = own.cloned().unwrap_or_default();
    Format {
        radix: own.radix.or(format.radix),
        text: own.text,
        count: own.count,
        count_text: None,
        raw: own.raw || format.raw,
        named: None,
    }
}

impl World<'_> {
    /// Evaluates a text and lists what it is.
    ///
    /// # Errors
    /// The engine's words, to stand behind `Error: `.
    pub(crate) fn listing(&self, text: &str, options: &Options) -> Result<DxReport, String> {
        let (val, format) = self.evaluate(text, &Env::default())?;
        if let Val::Failed(why) = val {
            return Err(why);
        }
        let mut rows = Vec::new();
        // The view's text stands at the top whatever the format.
        let shown = Format { raw: false, ..format.clone() };
        let value = self.text(&val, &shown, 0)?;
        rows.push(DxRow {
            name: Some(clean(text)),
            value: value.as_deref().map(clean),
            ty: self.type_name(&val, !format.raw).as_deref().map(clean),
            ..DxRow::default()
        });
        let format = Format { raw: format.raw || options.raw, ..format };
        self.below(&val, &format, options.skip, 1, options.depth, &path(text), &mut rows);
        Ok(DxReport { rows })
    }

    /// The children of a value as rows.
    #[allow(clippy::too_many_arguments, reason = "one walk, with where it is and what it knows")]
    fn below(
        &self,
        val: &Val,
        format: &Format,
        skip: u64,
        level: u32,
        depth: u32,
        path: &str,
        rows: &mut Vec<DxRow>,
    ) {
        if level > depth {
            return;
        }
        let most = LIST.saturating_add(1);
        let mut children = self.children(val, format, skip, most);
        let asked = format.count.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
        let counted = children.iter().filter(|c| c.item).count();
        let longer = match val {
            Val::Typed(typed) => match typed.ty.kind() {
                Kind::Array(_, total) => format.count.is_some_and(|n| n < total),
                Kind::Udt(..) => counted > asked,
                _ => false,
            },
            _ => false,
        };
        let keep = asked.min(LIST);
        let cut = counted > keep;
        if cut {
            let mut seen = 0;
            children.retain(|c| {
                seen += usize::from(c.item);
                !c.item || seen <= keep
            });
        }
        for child in children {
            if rows.len() >= MAX_ROWS || self.spent() {
                return;
            }
            self.child(&child, format, level, depth, path, rows);
        }
        if longer || cut {
            let ty = self.type_name(val, false);
            rows.push(DxRow {
                level,
                name: Some("[...]".into()),
                ty: ty.as_deref().map(clean),
                ..DxRow::default()
            });
        }
    }

    fn child(
        &self,
        child: &Child,
        format: &Format,
        level: u32,
        depth: u32,
        path: &str,
        rows: &mut Vec<DxRow>,
    ) {
        if matches!(child.val, Val::Absent) && child.text.is_none() {
            return;
        }
        let format = inherited(format, child.format.as_ref());
        let mut row = DxRow { level, ..DxRow::default() };
        let mut inner = String::new();
        match &child.label {
            Label::None => {}
            Label::Name(name) => {
                inner = format!("{path}.{name}");
                row.name = Some(clean(name));
            }
            Label::Key(key) => {
                let name = World::key_text(key, &format);
                inner = format!("{path}{name}");
                row.name = Some(clean(&name));
            }
            Label::Field(at, bits, name) => {
                row.place = Some(match bits {
                    Some((high, low)) => format!("[+0x{at:03x} ({high:>2}:{low:>2})]"),
                    None => format!("[+0x{at:03x}]"),
                });
                inner = format!("{path}.{name}");
                row.name = Some(clean(name));
            }
            Label::Static(va, name) => {
                row.place = Some(format!("[=0x{va:x}]"));
                row.name = Some(clean(name));
            }
        }
        if let Val::Method(about) = child.val {
            row.about = Some(about.to_owned());
            rows.push(row);
            return;
        }
        match &child.text {
            Some(text) => row.value = Some(clean(text)),
            None if child.closed => row.ty = self.type_name(&child.val, false).as_deref().map(clean),
            None => match self.text(&child.val, &format, 0) {
                Ok(text) => {
                    row.value = text.as_deref().map(clean);
                    row.ty = self.type_name(&child.val, false).as_deref().map(clean);
                }
                Err(why) => {
                    row.value = Some(clean(&why));
                    rows.push(row);
                    return;
                }
            },
        }
        if matches!(child.val, Val::Failed(_)) {
            rows.push(row);
            return;
        }
        row.link = self.opening(&child.val, &inner);
        rows.push(row);
        if !child.closed {
            self.below(&child.val, &format, 0, level.saturating_add(1), depth, &inner, rows);
        }
    }

    /// The command that opens a row.
    fn opening(&self, val: &Val, path: &str) -> Option<Link> {
        match val {
            Val::Typed(typed) => self.typed_link(typed),
            Val::Model(_) | Val::Object(_) | Val::List(_) if !path.is_empty() && !path.contains(';') => {
                Some(Link::Run(format!("dx {path}")))
            }
            _ => None,
        }
    }

    fn typed_link(&self, typed: &Typed) -> Option<Link> {
        match typed.ty.kind() {
            Kind::Udt(..) | Kind::Array(..) => {
                let va = typed.address()?;
                let module =
                    self.session.target.symbols.name_in(typed.ty.set.module()?, self.session.sel.machine);
                let name = typed.ty.name();
                let safe = |c: char| c.is_ascii_alphanumeric() || "_:<>,* []".contains(c);
                (typed.ty.wraps.is_empty()
                    && name.chars().all(safe)
                    && !matches!(typed.ty.kind(), Kind::Array(..)))
                .then(|| Link::Run(format!("dx *({module}!{name}*)0x{va:x}")))
            }
            Kind::Pointer(_) => self.target(typed).ok().filter(|va| *va != 0).map(|va| Link::Goto(Va(va))),
            _ => None,
        }
    }
}

/// An expression as the start of a path.
fn path(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_@$.![]\"".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("({text})") }
}

/// A row's name without its value, for grids.
pub(crate) fn key_name(label: &Label, format: &Format) -> String {
    match label {
        Label::None => String::new(),
        Label::Name(name) | Label::Field(_, _, name) | Label::Static(_, name) => name.clone(),
        Label::Key(key @ (Key::Int(_) | Key::UInt(_) | Key::Text(_) | Key::Name(_))) => {
            World::key_text(key, format)
        }
    }
}
