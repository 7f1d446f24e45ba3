//! `!sym`: whether commands tell how symbols were looked for.

use super::{note, say};
use crate::command::{Command, CommandError, Invocation};
use crate::doc::{Line, Role, Sink, Span};
use crate::session::Session;
use dumpscope_symbols::{SymbolSource, SymbolState};

pub(crate) const SYM: Command = Command {
    name: "!sym",
    group: "symbols",
    syntax: "!sym [noisy | quiet | prompts | prompts off]",
    summary: "Sets whether commands tell how symbols were looked for",
    help: "After `!sym noisy` each command that loads symbols tells every place that was tried and what was found there. \
           `prompts` is accepted: nothing ever asks for a password.",
    examples: &[("!sym", "Shows the mode"), ("!sym noisy; .reload /f; !sym quiet", "Tells all places tried")],
    run,
    ..Command::BASE
};

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let at = args.pos();
    let before = match args.word() {
        None => "!sym <noisy/quiet - prompts/prompts off> - ",
        Some("noisy") => {
            session.sel.noisy = true;
            // What is loaded already is old.
            let _ = news(session);
            ""
        }
        Some("quiet") => {
            session.sel.noisy = false;
            ""
        }
        Some("prompts") => {
            args.eat("off");
            ""
        }
        Some(_) => return Err(CommandError::caret(at, "Syntax error")),
    };
    args.end()?;
    let mode = if session.sel.noisy { "noisy" } else { "quiet" };
    say(session, sink, vec![Line::plain(format!("{before}{mode} mode - symbol prompts on"))])
}

/// Tells, in noisy mode, how the symbols that were loaded since the last command were looked for.
pub(crate) fn tell_loaded(session: &mut Session, sink: &mut dyn Sink) -> Result<(), CommandError> {
    if !session.sel.noisy {
        return Ok(());
    }
    let mut lines = Vec::new();
    for module in news(session) {
        tell(session, module, &mut lines);
    }
    say(session, sink, lines)
}

/// Modules whose symbols were loaded since this was last asked.
fn news(session: &mut Session) -> Vec<usize> {
    let mut news = Vec::new();
    for module in 0..session.target.symbols.modules().len() {
        let told = &mut session.language.told;
        if session.target.symbols.state(module) == SymbolState::Deferred {
            told.remove(&module);
        } else if told.insert(module) {
            news.push(module);
        }
    }
    news
}

/// Every place tried for a module, and the outcome, in DbgHelp's words where it has some.
fn tell(session: &Session, module: usize, lines: &mut Vec<Line>) {
    let symbols = &session.target.symbols;
    let name = session.module_name(module);
    let line = |text: &str| Line(vec![Span::untrusted(Role::Dim, text)]);
    for tried in symbols.search_log(module) {
        lines.push(line(&format!("DBGHELP: {tried}")));
    }
    let what = match symbols.state(module) {
        SymbolState::Loaded(source, _) => match source {
            SymbolSource::PrivatePdb => "private symbols & lines",
            SymbolSource::PublicPdb => "public symbols",
            SymbolSource::Breakpad => "Breakpad symbols & lines",
            SymbolSource::Dwarf => "DWARF symbols & lines",
            SymbolSource::Coff => "COFF symbols",
            SymbolSource::Exports => "export symbols",
        },
        SymbolState::NotFound(_) => "no symbols loaded",
        SymbolState::Deferred => return,
    };
    lines.push(line(&format!("DBGHELP: {} - {what}", name)));
    if let SymbolState::Loaded(_, Some(file)) = symbols.state(module) {
        lines.push(line(&format!("        {file}")));
    }
    if let Some(missing) = symbols.missing(module) {
        lines.push(note(&format!("        {missing}")));
    }
}
