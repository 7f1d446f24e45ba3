//! `.reload` and `ld`: symbols are looked for again, or now.

use super::note;
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, RenderCx, Role, Sink, Span};
use crate::expr::wildcard_match;
use crate::session::Session;
use dumpscope_core::base::text::escape;
use dumpscope_symbols::{SymbolSource, SymbolState};
use serde::Serialize;

pub(crate) const RELOAD: Command = Command {
    name: ".reload",
    group: "symbols",
    syntax: ".reload [/f] [/u] [/v] [module]",
    summary: "Forgets symbols, so that they are looked for again",
    help: "For all modules or those that a name or pattern fits. Servers are asked again even for what was missing a moment \
           ago. Symbols are loaded when they are next needed, with `/f` at once; then modules without a symbol file are \
           listed with what was looked for, where, and what to do (`/v`: for each of them).\n\n\
           `/u` only forgets. `/i /n /s /d /o /w /unl /user` are accepted.",
    examples: &[
        (".reload", "Looks again for everything when it is needed"),
        (".reload /f", "Loads the symbols of all modules now"),
        (".reload /f /v ntdll.dll", "Those of one module, with the reason when there are none"),
        (".reload /u ntdll", "Forgets those of one module"),
    ],
    needs: &[Needs::Modules],
    run: reload,
    ..Command::BASE
};

pub(crate) const LD: Command = Command {
    name: "ld",
    group: "symbols",
    syntax: "ld module",
    summary: "Loads the symbols of modules now",
    help: "The module is a name or a pattern; `*` means all. Symbols that are loaded stay as they are; `.reload /f` loads them \
           anew.",
    examples: &[("ld ntdll", "Loads symbols of ntdll"), ("ld *", "Loads all")],
    run: ld,
    ..Command::BASE
};

/// A module without a symbol file.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Problem {
    /// WinDbg's name. Untrusted.
    module: String,
    /// What was looked for, where, and what to do. Untrusted.
    missing: String,
    /// True when at least the export table gives names.
    exports: bool,
}

/// The answer of `.reload`.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct ReloadReport {
    /// Modules that were looked at.
    modules: usize,
    /// Names of those that `/u` forgot. Untrusted.
    unloaded: Vec<String>,
    /// After `/f`: modules without a symbol file.
    problems: Vec<Problem>,
    note: Option<String>,
    #[serde(skip)]
    explain: bool,
    #[serde(skip)]
    loaded_list: bool,
}

/// Without `/v` the reasons of so many modules are told; more would bury the list.
const EXPLAINED: usize = 3;

impl Answer for ReloadReport {
    const KIND: &'static str = "reload";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for name in &self.unloaded {
            emit(Line::plain("Unloaded ").span(Span::untrusted(Role::Module, name)));
        }
        if self.loaded_list {
            let mut left = self.modules;
            while left > 0 {
                let dots = left.min(64);
                emit(Line::plain(".".repeat(dots)));
                left = left.saturating_sub(dots);
            }
        }
        if !self.problems.is_empty() {
            emit(Line::new());
            emit(Line::plain("************* Symbol Loading Error Summary **************"));
            emit(Line::new().role(Role::Heading, format!("{:<23}Error", "Module name")));
            for p in &self.problems {
                let pad = " ".repeat(23usize.saturating_sub(p.module.chars().count()).max(1));
                let line = Line::new().span(Span::untrusted(Role::Module, &p.module)).text(pad);
                let tail = if p.exports { " (names from exports only)" } else { "" };
                emit(line.text("The system cannot find the file specified").role(Role::Dim, tail));
                if self.explain {
                    emit(note(&format!("    {}", p.missing)));
                }
            }
            emit(Line::new());
            if !self.explain {
                // One tells where all of them were looked for.
                if let Some(p) = self.problems.first() {
                    emit(note(&format!("For example: {}", p.missing)));
                    emit(note(".reload /f /v tells it of each module."));
                }
            }
            emit(Line::plain(
                "You can troubleshoot most symbol related issues by turning on symbol loading diagnostics (!sym noisy) \
                 and repeating the command that caused symbols to be loaded.",
            ));
            emit(Line::plain("You should also verify that your symbol search path (.sympath) is correct."));
        }
        if let Some(text) = &self.note {
            emit(note(text));
        }
    }
}

fn reload(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let (mut now, mut forget, mut explain) = (false, false, false);
    loop {
        let at = args.pos();
        let Some(switch) = args.switch() else { break };
        match switch {
            "f" => now = true,
            "u" => forget = true,
            "v" => explain = true,
            "i" | "n" | "s" | "d" | "o" | "w" | "unl" | "user" => {}
            // `/fi`, as people glue them.
            "fi" | "if" => now = true,
            _ => return Err(CommandError::caret(at, "Syntax error")),
        }
    }
    let word = args.word();
    args.end()?;
    let chosen = match word {
        // `module=base,size,stamp` names a module that the dump lists anyway.
        Some(word) => modules(session, word.split('=').next().unwrap_or(word))?,
        None => (0..session.target.symbols.modules().len()).collect(),
    };
    session.language.told.retain(|i| !chosen.contains(i));
    let symbols = &session.target.symbols;
    symbols.look_again(&chosen);
    if now && !forget {
        symbols.load_now(&chosen, &|| session.cancel.is_cancelled());
        if session.cancel.is_cancelled() {
            return Err(CommandError::Stopped);
        }
    }
    let problems: Vec<Problem> = if now && !forget { problems(session, &chosen) } else { Vec::new() };
    let report = ReloadReport {
        modules: chosen.len(),
        unloaded: if forget && word.is_some() {
            chosen.iter().map(|&i| session.module_name(i)).collect()
        } else {
            Vec::new()
        },
        explain: explain || problems.len() <= EXPLAINED,
        note: super::offline_note(&symbols.config()),
        loaded_list: word.is_none() && !forget,
        problems,
    };
    session.emit(sink, &report)
}

fn problems(session: &Session, modules: &[usize]) -> Vec<Problem> {
    let symbols = &session.target.symbols;
    let problem = |&i: &usize| {
        let missing = symbols.missing(i)?;
        let exports = matches!(symbols.state(i), SymbolState::Loaded(SymbolSource::Exports, _));
        Some(Problem { module: session.module_name(i), missing, exports })
    };
    modules.iter().filter_map(problem).collect()
}

/// The modules that a name, a file name or a pattern fits.
fn modules(session: &Session, word: &str) -> Result<Vec<usize>, CommandError> {
    let symbols = &session.target.symbols;
    let exact = symbols.modules_named_in(word, session.sel.machine);
    if !exact.is_empty() {
        return Ok(exact);
    }
    let fits = |i: &usize| {
        symbols.modules().get(*i).is_some_and(|m| {
            wildcard_match(word, symbols.name_in(*i, session.sel.machine))
                || wildcard_match(word, &m.file_name)
        })
    };
    let found: Vec<usize> = (0..symbols.modules().len()).filter(fits).collect();
    if found.is_empty() {
        let text = format!("\"{}\" was not found in the image list.", escape(word));
        return Err(CommandError::noted(text, "lm lists the modules of the dump."));
    }
    Ok(found)
}

/// What `ld` did with a module.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct LoadRow {
    /// WinDbg's name. Untrusted.
    module: String,
    /// File name. Untrusted.
    image: String,
    /// `loaded`, `already_loaded`, `exports` or `not_found`.
    outcome: &'static str,
    /// Why there is no symbol file. Untrusted.
    missing: Option<String>,
}

/// The answer of `ld`.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct LoadReport {
    modules: Vec<LoadRow>,
}

impl Answer for LoadReport {
    const KIND: &'static str = "load";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for row in &self.modules {
            let module = || Span::untrusted(Role::Module, &row.module);
            let image = || Span::untrusted(Role::Module, &row.image);
            emit(match row.outcome {
                "loaded" => Line::plain("Symbols loaded for ").span(module()),
                "already_loaded" => Line::plain("Symbols already loaded for ").span(module()),
                "exports" => {
                    let text = "*** ERROR: Symbol file could not be found.  Defaulted to export symbols for ";
                    Line::new().role(Role::Error, text).span(image()).text(" - ")
                }
                _ => {
                    let text = "*** ERROR: Module load completed but symbols could not be loaded for ";
                    Line::new().role(Role::Error, text).span(image())
                }
            });
            if let Some(missing) = &row.missing {
                emit(note(&format!("    {missing}")));
            }
        }
    }
}

fn ld(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let Some(word) = args.word() else { return Err(args.syntax_error()) };
    // `/f` as in WinDbg: a file to load from, which the symbol path names here.
    args.end()?;
    let chosen = modules(session, word)?;
    let symbols = &session.target.symbols;
    let known: Vec<bool> = chosen.iter().map(|&i| symbols.state(i) != SymbolState::Deferred).collect();
    symbols.load_now(&chosen, &|| session.cancel.is_cancelled());
    if session.cancel.is_cancelled() {
        return Err(CommandError::Stopped);
    }
    let row = |(&i, &known): (&usize, &bool)| {
        let module = symbols.modules().get(i)?;
        let outcome = match symbols.state(i) {
            SymbolState::NotFound(_) | SymbolState::Deferred => "not_found",
            SymbolState::Loaded(SymbolSource::Exports, _) => "exports",
            SymbolState::Loaded(..) if known => "already_loaded",
            SymbolState::Loaded(..) => "loaded",
        };
        Some(LoadRow {
            module: session.module_name(i),
            image: escape(&module.file_name).into_owned(),
            outcome,
            missing: symbols.missing(i),
        })
    };
    let modules = chosen.iter().zip(&known).filter_map(row).collect();
    session.emit(sink, &LoadReport { modules })
}
