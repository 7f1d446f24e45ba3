//! `x`: symbols by name.

use crate::command::{Command, CommandError, Invocation, Needs};
use crate::commands::stack::source_name;
use crate::commands::types::{SymbolType, symbol_type};
use crate::doc::{Answer, Line, Link, RenderCx, Role, Sink, Span};
use crate::expr::{MAX_PATTERN, wildcard_match};
use crate::fmt::{self, Hex};
use crate::session::{Layout, Session};
use dumpscope_core::base::text::escape;
use dumpscope_core::{Rva, Va};
use dumpscope_symbols::{Symbol, SymbolKind, SymbolSource, SymbolState};
use serde::Serialize;
use std::collections::HashMap;

pub(crate) const X: Command = Command {
    name: "x",
    group: "modules",
    syntax: "x [/0 /1 /2 /t /v /q /p /f /d /s size /a /A /n /N /z /Z] module!pattern",
    summary: "Finds symbols by name",
    help: "`*` and `?` are wildcards in both parts; the letter case does not matter. `/0` addresses only, `/1` names only, \
           `/2` both without types and values, `/t` with the type in front, `/v` with kind and size, `/f` functions only, \
           `/d` data only, `/s` those of a size, `/a` by address, `/n` by name, `/z` by size (capitals: falling). `x *` \
           shows the local variables.",
    examples: &[
        ("x kernel32!Base*", "Names that match"),
        ("x /n *!NtWait*", "In all modules, by name"),
        ("x /v ntdll!Nt*Close", "With kind and size"),
    ],
    needs: &[Needs::Modules],
    run,
    ..Command::BASE
};

#[derive(Clone, Debug, PartialEq, Serialize)]
struct SymbolRow {
    address: Hex,
    /// WinDbg's module name.
    module: String,
    /// Untrusted.
    name: String,
    kind: &'static str,
    size: Option<u64>,
    /// Type of a variable; what a function returns. Untrusted.
    #[serde(rename = "type")]
    ty: Option<String>,
    /// Types of a function's parameters. Untrusted.
    parameters: Option<String>,
    /// Value of a variable. Untrusted.
    value: Option<String>,
    source: &'static str,
    #[serde(skip)]
    private: bool,
    /// Where today's engine lists it.
    #[serde(skip)]
    order: (u32, usize, String),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Options {
    address_only: bool,
    name_only: bool,
    no_type: bool,
    types: bool,
    verbose: bool,
    /// Only symbols of this size.
    size: Option<u64>,
    quoted: bool,
    no_space: bool,
    /// Today's engine.
    modern: bool,
    functions: bool,
    data: bool,
    /// `D`: the letters that a click begins with are written out. Links themselves every sink gets.
    letters: bool,
    /// `a`, `n` or `z`, and falling for capitals.
    order: Option<(char, bool)>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct SymbolsReport {
    symbols: Vec<SymbolRow>,
    #[serde(skip)]
    options: Options,
    #[serde(skip)]
    wide: bool,
}

impl Answer for SymbolsReport {
    const KIND: &'static str = "symbols";

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let o = self.options;
        if o.letters {
            let letters: String = ('A'..='Z').flat_map(|c| [' ', c]).collect();
            emit(Line::plain(letters));
            emit(Line::new());
        }
        for row in &self.symbols {
            let va = Va(row.address.0);
            let quote = if o.quoted { "@!\"" } else { "" };
            let name = [
                Span::new(Role::Plain, quote),
                Span::untrusted(Role::Module, &row.module),
                Span::new(Role::Plain, "!"),
                Span::untrusted(Role::Symbol, &row.name).link(Link::Goto(va)),
                Span::new(Role::Plain, if o.quoted { "\"" } else { "" }),
            ];
            let mut line = Line::new();
            if o.address_only {
                let blank = if cx.layout == Layout::Modern { self.blank() } else { String::new() };
                emit(line.span(fmt::addr_span(va, self.wide)).text(blank));
                continue;
            }
            if !o.name_only {
                if o.verbose {
                    let class = match row.kind {
                        "function" => "func",
                        "data" => "global",
                        _ => "unknown",
                    };
                    let access = if row.private { "prv" } else { "pub" };
                    line = line.text(format!("{access} {class:<7}"));
                }
                line = line.span(fmt::addr_span(va, self.wide));
                let pad = 17usize.saturating_sub(fmt::addr_width(self.wide)) + 1;
                line = line.text(" ".repeat(pad));
                if o.verbose {
                    line = line.text(format!("{:>4x} ", row.size.unwrap_or(0)));
                }
            }
            if o.types && !o.name_only && !o.no_type {
                let ty = row.ty.as_deref().unwrap_or("<NoType>");
                line = line.span(Span::untrusted(Role::Type, ty)).text(" ");
            }
            for span in name {
                line = line.span(span);
            }
            if !o.name_only && !o.no_type {
                line = type_and_value(line, row, o);
            }
            emit(line);
        }
    }
}

impl SymbolsReport {
    /// What stands behind an address.
    fn blank(&self) -> String {
        " ".repeat(17usize.saturating_sub(fmt::addr_width(self.wide)) + 1)
    }
}

/// The place of a name in the hash table of a PDB's global symbols: today's engine lists them in this order.
fn bucket(name: &str) -> u32 {
    let (words, rest) = name.as_bytes().as_chunks::<4>();
    let mut hash = words.iter().fold(0, |hash, word| hash ^ u32::from_le_bytes(*word));
    let (halves, rest) = rest.as_chunks::<2>();
    hash = halves.iter().fold(hash, |hash, half| hash ^ u32::from(u16::from_le_bytes(*half)));
    hash = rest.iter().fold(hash, |hash, byte| hash ^ u32::from(*byte));
    hash |= 0x2020_2020;
    hash ^= hash >> 11;
    (hash ^ hash >> 16) % 4096
}

/// A name's place in that table: in one bucket short names come first, then the alphabet counts.
fn hashed(name: &str) -> (u32, usize, String) {
    (bucket(name), name.len(), name.to_ascii_lowercase())
}

/// The order of today's engine: data, then functions, then what only the public symbols tell.
fn rank(private: bool, is_function: bool) -> u8 {
    match (private, is_function) {
        (true, false) => 0,
        (true, true) => 1,
        (false, _) => 2,
    }
}

/// Where the engine lists a symbol that a symbol file has a type of.
pub(crate) fn engine_order(is_function: bool, name: &str) -> (u8, (u32, usize, String)) {
    (rank(true, is_function), hashed(name))
}

/// ` = value` of a variable, the parameters of a function.
fn type_and_value(line: Line, row: &SymbolRow, o: Options) -> Line {
    let gap = if o.no_space { "" } else { " " };
    match (&row.parameters, &row.ty, &row.value) {
        (Some(parameters), ..) => line.text(gap).span(Span::untrusted(Role::Type, parameters)),
        (None, Some(_), Some(value)) => line.text(" = ").span(Span::untrusted(Role::Value, value)),
        (None, Some(_), None) => line.text(" = ").role(Role::Dim, "????"),
        _ if row.kind == "data" && !(row.source == "exports" && o.modern) => {
            line.text(" = <no type information>")
        }
        _ if row.source == "exports" && o.modern => line.text(format!("{gap}(<no parameter info>)")),
        _ => line.text(format!("{gap}(")).span(Span::untrusted(Role::Symbol, &row.name)).text(")"),
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let options = options(&mut args, session)?;
    let modern = session.sel.layout == Layout::Modern;
    let at = args.pos();
    let mut pattern = args.take_rest().to_string();
    if modern {
        // Of several patterns the last counts; blanks behind `!` do not.
        pattern = pattern.replace("! ", "!");
        pattern = pattern.split_whitespace().next_back().unwrap_or("").to_owned();
    }
    // Without a pattern, and behind `$!`, locals are meant.
    if modern && (pattern.is_empty() || pattern.starts_with("$!")) {
        let locals = pattern.strip_prefix("$!").filter(|p| !p.is_empty()).unwrap_or("*").to_owned();
        return crate::commands::types::list_locals(session, &locals, options.verbose, sink);
    }
    if pattern.is_empty() {
        return Err(CommandError::caret(at, "Syntax error"));
    }
    if pattern.len() > MAX_PATTERN {
        let text =
            format!("The pattern is too long: names are looked for with at most {MAX_PATTERN} characters.");
        return Err(CommandError::message(text));
    }
    let (module, name) = match pattern.split_once('!') {
        Some((module, name)) => (module.trim(), name.trim()),
        None if modern => {
            let locals = pattern.strip_prefix("$!").unwrap_or(&pattern);
            return crate::commands::types::list_locals(session, locals, options.verbose, sink);
        }
        None if pattern == "*" => {
            // Locals of the current scope: `dv` shows them.
            return crate::run::run_block(session, "dv /t /v", sink);
        }
        None => ("*", pattern.as_str()),
    };
    let wild = module.contains(['*', '?', '[', '#', '+']);
    let machine = session.sel.machine;
    let symbols = &session.target.symbols;
    let modules: Vec<usize> = if wild {
        let fits = |&i: &usize| wildcard_match(module, symbols.name_in(i, machine));
        (0..symbols.modules().len()).filter(fits).collect()
    } else {
        symbols.modules_named_in(module, machine)
    };
    if modules.is_empty() {
        // The caret stands behind the module's name, as WinDbg's does.
        let text = inv.text.trim_end();
        let end = at + module.len() + usize::from(modern);
        let shown = text.get(..at + module.len()).unwrap_or(text);
        return Err(CommandError::CaretText {
            at: end,
            text: format!("Couldn't resolve '{}'", escape(shown)),
        });
    }
    let mut rows = Vec::new();
    for (done, &index) in modules.iter().enumerate() {
        if session.cancel.is_cancelled() {
            return Err(CommandError::Stopped);
        }
        if modules.len() > 1 {
            sink.progress("symbols", done as u64, modules.len() as u64);
        }
        find(session, index, name, options, &mut rows);
    }
    if modern {
        // The engine's order also counts among equals.
        sort(&mut rows, false, |r| {
            let typed = r.parameters.is_some() || r.ty.is_some();
            if r.source == "exports" {
                return (0, (u32::try_from(r.address.0 & 0xffff_ffff).unwrap_or(0), 0, String::new()));
            }
            (rank(typed, r.parameters.is_some()), r.order.clone())
        });
    }
    match options.order {
        Some(('a', falling)) => sort(&mut rows, falling, |r| r.address.0),
        Some(('n', falling)) => sort(&mut rows, falling, |r| r.name.to_lowercase()),
        Some(('z', falling)) => sort(&mut rows, falling, |r| r.size.unwrap_or(0)),
        _ => {}
    }
    if modern {
        for row in &mut rows {
            // Sorted lists come without the functions' types.
            let function = row.kind == "function" && row.source != "exports";
            if options.order.is_some() && (row.parameters.is_some() || (function && options.functions)) {
                row.parameters = Some(if options.functions { "()" } else { "(void)" }.to_owned());
            }
            if let Some(value) = row.value.as_mut().filter(|v| v.starts_with('{') && v.ends_with('}')) {
                *value = value.to_uppercase();
            }
        }
    }
    let wide = session.render_cx().wide;
    session.emit(sink, &SymbolsReport { symbols: rows, options, wide })
}

/// The engine's lines for the symbols that an ambiguous name matched.
pub(crate) fn matched_lines(session: &Session, module: Option<&str>, name: &str) -> Vec<String> {
    let symbols = &session.target.symbols;
    let machine = session.sel.machine;
    let modules: Vec<usize> = match module {
        Some(module) => symbols.modules_named_in(module, machine),
        None => (0..symbols.modules().len()).filter(|&i| symbols.state(i) != SymbolState::Deferred).collect(),
    };
    let mut rows = Vec::new();
    for module in modules {
        find(session, module, name, Options::default(), &mut rows);
    }
    let report = SymbolsReport { symbols: rows, options: Options::default(), wide: machine.is_64() };
    let mut lines = Vec::new();
    report.lines(&session.render_cx(), &mut |line| lines.push(format!("Matched: {}", line.to_text())));
    lines
}

/// Sorts by a key that may be made for it.
pub(crate) fn sort<T, K: Ord>(rows: &mut [T], falling: bool, key: impl Fn(&T) -> K) {
    // What is equal keeps its order in both directions.
    if falling {
        rows.sort_by_cached_key(|r| std::cmp::Reverse(key(r)));
    } else {
        rows.sort_by_cached_key(key);
    }
}

fn options(args: &mut crate::lang::Cursor<'_>, session: &Session) -> Result<Options, CommandError> {
    let mut o = Options { modern: session.sel.layout == Layout::Modern, ..Options::default() };
    while args.peek().starts_with('/') {
        let at = args.pos();
        for (i, c) in args.word().unwrap_or("").char_indices().skip(1) {
            match c {
                '0' => o.address_only = true,
                '1' => o.name_only = true,
                '2' => o.no_type = true,
                'v' => o.verbose = true,
                'q' => o.quoted = true,
                'p' => o.no_space = true,
                'f' => o.functions = true,
                'd' => o.data = true,
                'a' | 'n' | 'z' => o.order = Some((c, false)),
                'A' | 'N' | 'Z' => o.order = Some((c.to_ascii_lowercase(), true)),
                't' => o.types = true,
                's' => o.size = Some(args.word_expr(session)?),
                'D' => o.letters = o.modern,
                '/' => {}
                _ => return Err(CommandError::caret(at + i, "Syntax error")),
            }
        }
    }
    Ok(o)
}

/// Symbols of a module whose name matches. What several sources say of one address is one symbol: the best one's.
fn find(session: &Session, index: usize, pattern: &str, o: Options, rows: &mut Vec<SymbolRow>) {
    let symbols = &session.target.symbols;
    let Some(module) = symbols.modules().get(index) else { return };
    let name = escape(symbols.name_in(index, session.sel.machine)).into_owned();
    // A leading `_` matches any number of underscores.
    let underscores = pattern.starts_with('_');
    let pattern = if underscores { pattern.trim_start_matches('_') } else { pattern };
    let modern = session.sel.layout == Layout::Modern;
    let mut best: HashMap<Rva, SymbolSource> = HashMap::new();
    let mut found: Vec<Symbol> = Vec::new();
    for provider in symbols.providers(index).iter() {
        provider.each(&mut |s| {
            if s.kind == SymbolKind::Placeholder {
                return true;
            }
            // A better source's name for the address stands, whether it matches or not.
            if *best.entry(s.rva).or_insert(s.source) != s.source {
                return true;
            }
            let text = if underscores { s.name.trim_start_matches('_') } else { &s.name };
            let kind = match s.kind {
                SymbolKind::Function => !o.data || o.functions,
                SymbolKind::Data => !o.functions || o.data,
                _ => true,
            };
            // The engine passes over the compiler's names of texts.
            let literal = modern && s.decorated.as_ref().is_some_and(|d| d.starts_with("??_C@"));
            if kind && !literal && wildcard_match(pattern, text) {
                found.push(s.clone());
            }
            !session.cancel.is_cancelled()
        });
    }
    found.sort_by(|a, b| a.rva.cmp(&b.rva).then_with(|| a.name.cmp(&b.name)));
    found.dedup_by(|a, b| a.rva == b.rva && a.name == b.name);
    let wants_types = modern || !(o.address_only || o.name_only || o.no_type) || o.size.is_some();
    let row = |s: Symbol| {
        let known = if wants_types { symbol_type(session, index, &s) } else { SymbolType::default() };
        let size = s.size.map(u64::from).or(known.size);
        let row = symbol_row(&s, s.rva.va(module.base), &name, known, size);
        o.size.is_none_or(|wanted| size == Some(wanted)).then_some(row)
    };
    for s in found {
        if session.cancel.is_cancelled() {
            return;
        }
        rows.extend(row(s));
    }
}

fn symbol_row(s: &Symbol, va: Va, module: &str, known: SymbolType, size: Option<u64>) -> SymbolRow {
    SymbolRow {
        address: va.into(),
        module: module.to_owned(),
        name: escape(&s.name).into_owned(),
        kind: match s.kind {
            SymbolKind::Function => "function",
            SymbolKind::Data => "data",
            _ => "unknown",
        },
        order: hashed(s.decorated.as_deref().unwrap_or(&s.name)),
        size,
        ty: known.ty,
        parameters: known.parameters,
        value: known.value,
        source: source_name(s.source),
        private: matches!(s.source, SymbolSource::PrivatePdb | SymbolSource::Breakpad | SymbolSource::Dwarf),
    }
}
