//! `ln`: the nearest symbols.

use crate::command::{Command, CommandError, Invocation, Needs};
use crate::commands::types::symbol_type;
use crate::doc::{Answer, Line, Link, Message, RenderCx, Role, Sink, Span};
use crate::fmt::{self, Hex};
use crate::session::{Layout, Session};
use dumpscope_core::base::text::escape;
use dumpscope_core::{Rva, Va};
use dumpscope_symbols::{Symbol, SymbolKind, SymbolSource, wrapped};
use serde::Serialize;

pub(crate) const LN: Command = Command {
    name: "ln",
    group: "modules",
    syntax: "ln [/D] address",
    summary: "Shows the symbols nearest to an address",
    help: "The one at or below it, and the next one above. Without an address: the current instruction.",
    examples: &[("ln @$ip", "What is at the instruction pointer"), ("ln", "The same")],
    needs: &[Needs::Modules],
    run,
    ..Command::BASE
};

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Near {
    address: Hex,
    /// `module!name`. Untrusted.
    name: String,
    displacement: Hex,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct NearReport {
    address: Hex,
    below: Option<Near>,
    above: Option<Near>,
    /// Names that start exactly here, with what is known of their type.
    exact: Vec<String>,
    /// Source file. Untrusted.
    file: Option<String>,
    line: Option<u32>,
    #[serde(skip)]
    at_start: bool,
    #[serde(skip)]
    line_displacement: u32,
    #[serde(skip)]
    wide: bool,
}

impl Answer for NearReport {
    const KIND: &'static str = "nearest_symbols";

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let Some(below) = &self.below else { return };
        let mut row = Line::new();
        if let (Some(file), Some(line)) = (&self.file, self.line) {
            let mut source = Line::new().span(Span::untrusted(Role::Source, file)).text(format!("({line})"));
            if self.line_displacement != 0 {
                source = source.text(format!("+0x{:x}", self.line_displacement));
            }
            match cx.layout {
                Layout::Classic => emit(source),
                Layout::Modern => {
                    row =
                        row.text(" [").span(Span::untrusted(Role::Source, file)).text(format!(" @ {line}] "));
                }
            }
        }
        let at = |va: Hex| fmt::addr_span(Va(va.0), self.wide);
        row = row
            .text("(")
            .span(at(below.address))
            .text(")   ")
            .span(Span::untrusted(Role::Symbol, &below.name).link(Link::Goto(Va(below.address.0))));
        if below.displacement.0 != 0 {
            row = row.text(format!("+0x{:x}", below.displacement.0));
        }
        if let Some(above) = &self.above {
            row = row
                .text("   |  (")
                .span(at(above.address))
                .text(")   ")
                .span(Span::untrusted(Role::Symbol, &above.name).link(Link::Goto(Va(above.address.0))));
        }
        emit(row);
        if !self.exact.is_empty() || (cx.layout == Layout::Modern && self.at_start) {
            emit(Line::plain("Exact matches:"));
            for name in &self.exact {
                emit(Line::plain("    ").span(Span::untrusted(Role::Symbol, name)));
            }
        }
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let at = args.pos();
    let switch = args.switch();
    let modern = session.sel.layout == Layout::Modern;
    match switch {
        Some("D") if modern => {
            let lines = ["Browse module", "Set bu breakpoint", ""].map(Line::plain);
            session.emit(sink, &Message(lines.to_vec()))?;
        }
        Some(_) if modern => return Err(CommandError::caret(at + 1, "Syntax error")),
        _ => {}
    }
    let address = match args.opt_address(session)? {
        Some(address) => address,
        None => session.frame_regs().and_then(|r| r.ip()).unwrap_or_default(),
    };
    args.end()?;
    let symbols = &session.target.symbols;
    let Some(mut resolved) = symbols.resolve(address) else {
        return session.emit(sink, &empty(session, address));
    };
    let Some(module) = symbols.modules().get(resolved.module) else {
        return session.emit(sink, &empty(session, address));
    };
    if modern && resolved.symbol.is_none() {
        // The engine does not mind where the function below ends.
        resolved.symbol = below(session, resolved.module, address.rva(module.base));
    }
    let prefix = symbols.name_in(resolved.module, session.sel.machine);
    let near = |s: &Symbol| {
        let start = s.rva.va(module.base);
        Near {
            address: start.into(),
            name: escape(&format!("{prefix}!{}", s.name)).into_owned(),
            displacement: Hex(wrapped(address.0.wrapping_sub(start.0), session.sel.machine)),
        }
    };
    let below = resolved.symbol.as_ref().map(near).or_else(|| {
        Some(Near {
            address: module.base.into(),
            name: escape(prefix).into_owned(),
            displacement: Hex(resolved.displacement),
        })
    });
    let above = symbols.next_after(address).map(|s| Near { displacement: Hex(0), ..near(&s) });
    let at_start = resolved.displacement == 0;
    let exact = resolved.symbol.iter().filter(|_| at_start).filter_map(|s| {
        let name = escape(&format!("{prefix}!{}", s.name)).into_owned();
        let known = symbol_type(session, resolved.module, s);
        let public = matches!(s.source, SymbolSource::PrivatePdb | SymbolSource::PublicPdb);
        Some(match (known.parameters, known.ty, s.kind) {
            (Some(parameters), ..) => format!("{name} {parameters}"),
            (None, Some(_), _) => format!("{name} = {}", known.value.as_deref().unwrap_or("????")),
            // Of public symbols today's engine has only the heading.
            _ if session.sel.layout == Layout::Modern && public => return None,
            (.., SymbolKind::Data) => format!("{name} = <no type information>"),
            _ => format!("{name} (<no parameter info>)"),
        })
    });
    let line = symbols.line(address).filter(|_| !modern || session.sel.lines);
    if modern && resolved.symbol.is_none() {
        // The engine knows no module's base as a symbol.
        return session.emit(sink, &empty(session, address));
    }
    let report = NearReport {
        address: address.into(),
        below,
        above,
        exact: exact.collect(),
        at_start,
        file: line.as_ref().map(|l| escape(&l.file).into_owned()),
        line: line.as_ref().map(|l| l.line),
        line_displacement: line.map_or(0, |l| l.displacement),
        wide: session.render_cx().wide,
    };
    session.emit(sink, &report)
}

/// The last symbol of a symbol file that begins at or below an address.
fn below(session: &Session, module: usize, rva: Option<Rva>) -> Option<Symbol> {
    let rva = rva?;
    let mut found: Option<Symbol> = None;
    let providers = session.target.symbols.providers(module);
    providers.iter().find(|p| p.types().is_some())?.each(&mut |s| {
        if s.kind == SymbolKind::Function && s.rva <= rva && found.as_ref().is_none_or(|f| f.rva < s.rva) {
            found = Some(s.clone());
        }
        !session.cancel.is_cancelled()
    });
    // What is far from it is no code of that function.
    found.filter(|f| rva.0.wrapping_sub(f.rva.0) < 0x1000)
}

/// No symbol: WinDbg prints nothing.
fn empty(session: &Session, address: Va) -> NearReport {
    NearReport {
        address: address.into(),
        below: None,
        above: None,
        exact: Vec::new(),
        at_start: false,
        file: None,
        line: None,
        line_displacement: 0,
        wide: session.render_cx().wide,
    }
}
