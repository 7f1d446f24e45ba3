//! `dt module!pattern*`: types and variables by pattern.

use crate::command::CommandError;
use crate::doc::{Answer, Line, Link, RenderCx, Role, Sink, Span};
use crate::expr::{MAX_PATTERN, wildcard_match};
use crate::fmt::{self, Hex};
use crate::session::{Layout, Session};
use dumpscope_core::Va;
use dumpscope_core::base::text::escape;
use dumpscope_symbols::SymbolKind;
use dumpscope_symbols::types::size_of;
use serde::Serialize;
use std::collections::BTreeMap;

/// Most names of one answer.
const MAX_NAMES: usize = 1 << 16;

/// What is listed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted {
    /// `-t`: no variables and functions.
    pub(super) types_only: bool,
    /// `-s`: of this size.
    pub(super) size: Option<u64>,
    pub(super) verbose: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Match {
    /// Null for types.
    address: Option<Hex>,
    /// `module!name`. Untrusted.
    name: String,
    size: Option<u64>,
    #[serde(skip)]
    function: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Matches {
    pattern: String,
    matches: Vec<Match>,
    /// There are more.
    cut: bool,
    #[serde(skip)]
    wide: bool,
    #[serde(skip)]
    verbose: bool,
}

impl Answer for Matches {
    const KIND: &'static str = "type_names";

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        if cx.layout == Layout::Modern {
            return self.engine_lines(emit);
        }
        let width = fmt::addr_width(self.wide);
        if self.verbose {
            emit(Line::new().span(Span::untrusted(
                Role::Heading,
                &format!("Enumerating symbols matching {}", self.pattern),
            )));
            emit(Line::new().role(Role::Heading, format!("{:<width$} {:>4} Symbol", "Address", "Size")));
        }
        for m in &self.matches {
            let mut line = match m.address {
                Some(a) => Line::new().span(fmt::addr_span(Va(a.0), self.wide)),
                None => Line::plain(" ".repeat(width)),
            };
            line = if self.verbose {
                line.text(format!(" {:>4x} ", m.size.unwrap_or(0)))
            } else {
                line.text("  ")
            };
            let mut name =
                Span::untrusted(if m.address.is_some() { Role::Symbol } else { Role::Type }, &m.name);
            if m.address.is_none() && !m.name.contains([';', '"', ' ']) {
                name = name.link(Link::Run(format!("dt {}", m.name)));
            }
            emit(line.span(name));
        }
        if self.cut {
            emit(Line::new().role(Role::Note, format!("note: only the first {MAX_NAMES} names are shown")));
        }
    }
}

impl Matches {
    /// In the columns of today's engine.
    fn engine_lines(&self, emit: &mut dyn FnMut(Line)) {
        let width = if self.wide { 16 } else { 8 };
        if self.verbose {
            let title = format!("Enumerating symbols matching {}", self.pattern);
            emit(Line::new().span(Span::untrusted(Role::Heading, &title)));
            emit(Line::new().role(Role::Heading, "Address   Size Symbol"));
        }
        for m in &self.matches {
            let size = m.size.unwrap_or(0);
            let before = match (m.address, self.verbose) {
                (Some(a), true) => format!("{:0width$x}   {size:03x} ", a.0),
                (Some(a), false) => format!("{:0width$x}  ", a.0),
                (None, true) => format!("{:11}{size:03x} ", ""),
                (None, false) => " ".repeat(10),
            };
            let role = if m.address.is_some() { Role::Symbol } else { Role::Type };
            emit(Line::plain(before).span(Span::untrusted(role, &m.name)));
        }
        if self.cut {
            emit(Line::new().role(Role::Note, format!("note: only the first {MAX_NAMES} names are shown")));
        }
    }
}

/// Lists what matches `pattern` (`module!name`, wildcards in both); gives the first type.
pub(super) fn list(
    session: &Session,
    pattern: &str,
    wanted: Wanted,
    sink: &mut dyn Sink,
) -> Result<Option<String>, CommandError> {
    if pattern.len() > MAX_PATTERN {
        let text =
            format!("The pattern is too long: names are looked for with at most {MAX_PATTERN} characters.");
        return Err(CommandError::message(text));
    }
    let symbols = &session.target.symbols;
    let machine = session.sel.machine;
    let (module, name) = pattern.split_once('!').unwrap_or(("*", pattern));
    let all = 0..symbols.modules().len();
    let modules: Vec<usize> = if module.contains(['*', '?']) {
        all.filter(|&i| wildcard_match(module, symbols.name_in(i, machine))).collect()
    } else {
        symbols.modules_named_in(module, machine)
    };
    if modules.is_empty() {
        return Err(CommandError::message(format!("Symbol {pattern} not found.")));
    }
    let mut matches = Vec::new();
    for (done, &index) in modules.iter().enumerate() {
        if session.cancel.is_cancelled() {
            return Err(CommandError::Stopped);
        }
        if modules.len() > 1 {
            sink.progress("symbols", done as u64, modules.len() as u64);
        }
        in_module(session, index, name, wanted, &mut matches);
    }
    if session.sel.layout == Layout::Modern {
        matches.sort_by_cached_key(|m: &Match| {
            let plain = m.name.split_once('!').map_or(m.name.as_str(), |(_, n)| n);
            let order = crate::commands::modules::x::engine_order(m.function, plain);
            (m.address.is_some(), order)
        });
    }
    let cut = matches.len() >= MAX_NAMES;
    let (wide, verbose) = (machine.is_64(), wanted.verbose);
    let first = matches.iter().find(|m| m.address.is_none()).map(|m| m.name.clone());
    session.emit(sink, &Matches { pattern: escape(pattern).into_owned(), matches, cut, wide, verbose })?;
    Ok(first)
}

/// The first type that matches `pattern` (`module!name*`).
pub(super) fn first(session: &Session, pattern: &str, wanted: Wanted) -> Option<String> {
    let symbols = &session.target.symbols;
    let (module, name) = pattern.split_once('!').unwrap_or(("*", pattern));
    let modules = match module {
        "*" => (0..symbols.modules().len()).collect(),
        module => symbols.modules_named_in(module, session.sel.machine),
    };
    let mut matches = Vec::new();
    for index in modules {
        in_module(session, index, name, Wanted { types_only: true, ..wanted }, &mut matches);
    }
    matches.into_iter().next().map(|m: Match| m.name)
}

fn in_module(session: &Session, index: usize, pattern: &str, wanted: Wanted, out: &mut Vec<Match>) {
    let symbols = &session.target.symbols;
    let Some(module) = symbols.modules().get(index) else { return };
    let prefix = symbols.name_in(index, session.sel.machine);
    let fits = |size: Option<u64>| wanted.size.is_none_or(|s| size == Some(s));
    let full = |name: &str| escape(&format!("{prefix}!{name}")).into_owned();
    let providers = symbols.providers(index);
    let mut names: BTreeMap<String, Option<u64>> = BTreeMap::new();
    let room = MAX_NAMES.saturating_sub(out.len());
    for types in providers.iter().filter_map(|p| p.types()) {
        types.each_type(&mut |id, name| {
            if wildcard_match(pattern, name) {
                let size = size_of(types, id);
                if fits(size) {
                    names.insert(name.to_owned(), size);
                }
            }
            names.len() < room && !session.cancel.is_cancelled()
        });
    }
    out.extend(names.into_iter().map(|(name, size)| Match {
        address: None,
        name: full(&name),
        size,
        function: false,
    }));
    if wanted.types_only {
        return;
    }
    // Exports say nothing of types: only symbol files count, the best one.
    let Some(provider) = providers.iter().find(|p| p.types().is_some()) else { return };
    let modern = session.sel.layout == Layout::Modern;
    provider.each(&mut |s| {
        // What a name is costs more than whether it fits.
        if s.kind == SymbolKind::Placeholder || !wildcard_match(pattern, &s.name) {
            return !session.cancel.is_cancelled();
        }
        let mut size = s.size.map(u64::from);
        if modern && s.kind == SymbolKind::Data {
            // A variable is as large as its type; what has none is no match of today's engine.
            let Some(id) = provider.data_type(s.rva) else { return true };
            size = provider.types().and_then(|t| size_of(t, id));
        } else if modern && provider.function_type(s.rva).is_none() {
            return true;
        }
        if fits(size) {
            let function = s.kind == SymbolKind::Function;
            let address = Some(s.rva.va(module.base).into());
            out.push(Match { address, name: full(&s.name), size, function });
        }
        out.len() < MAX_NAMES && !session.cancel.is_cancelled()
    });
}
