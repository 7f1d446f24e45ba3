//! `.reload` and `ld`: symbols are looked for again, or now.

use super::note;
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, Message, RenderCx, Role, Sink, Span};
use crate::expr::wildcard_match;
use crate::fmt;
use crate::session::{Layout, Session};
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
           `/u` only forgets, `/l` lists the modules. `/i /n /s /d /o /w /unl` are accepted. In the modern layout a module is \
           named by its file, with the extension.",
    examples: &[
        (".reload", "Looks again for everything when it is needed"),
        (".reload /f", "Loads the symbols of all modules now"),
        (".reload /f /v ntdll.dll", "Those of one module, with the reason when there are none"),
        (".reload /u ntdll", "Forgets those of one module"),
    ],
    needs: &[Needs::Modules],
    run: reload,
    outside: true,
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
    let modern = session.sel.layout == Layout::Modern;
    loop {
        let at = args.pos();
        let Some(switch) = args.switch() else { break };
        match switch {
            "f" => now = true,
            "u" => forget = true,
            "v" => explain = true,
            "user" if modern => {
                return session.emit(sink, &Message(vec![Line::plain(".reload /user is kernel-only")]));
            }
            "l" if modern => return summary(session, sink),
            "i" | "n" | "s" | "d" | "o" | "w" | "unl" | "user" => {}
            // `/fi`, as people glue them.
            "fi" | "if" => now = true,
            _ => return Err(CommandError::caret(at, "Syntax error")),
        }
    }
    let word = args.word();
    args.end()?;
    let chosen = match word {
        Some(word) if modern && !word.contains(['*', '?', '=']) => by_file(session, word, forget)?,
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
        loaded_list: word.is_none() && !forget && !modern,
        problems,
    };
    session.emit(sink, &report)
}

/// Today's engine knows modules by their files alone here.
fn by_file(session: &Session, word: &str, forget: bool) -> Result<Vec<usize>, CommandError> {
    let symbols = &session.target.symbols;
    let named = |i: &usize| {
        symbols
            .modules()
            .get(*i)
            .is_some_and(|m| m.file_name.eq_ignore_ascii_case(word) || m.path.eq_ignore_ascii_case(word))
    };
    let found: Vec<usize> = (0..symbols.modules().len()).filter(named).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let meant = symbols.modules_named_in(word, session.sel.machine);
    let note = match meant.first().and_then(|i| symbols.modules().get(*i)) {
        Some(m) => format!("The file of this module is {}.", escape(&m.file_name)),
        None => "lm f lists the modules of the dump with their files.".to_owned(),
    };
    let word = escape(word);
    if forget {
        return Err(CommandError::noted(format!("Unable to find module '{word}'"), note));
    }
    let base = fmt::addr(dumpscope_core::Va(0), session.sel.machine.is_64());
    let text = format!(
        "\n\"{word}\" was not found in the image list.\n\
         Debugger will attempt to load \"{word}\" at given base {base}.\n\n\
         Please provide the full image name, including the extension (i.e. kernel32.dll)\n\
         for more reliable results.Base address and size overrides can be given as\n\
         .reload <image.ext>=<base>,<size>.\n\
         Unable to add module at {base}"
    );
    Err(CommandError::noted(text, note))
}

/// `/l`: what is loaded, as the engine lists it.
fn summary(session: &Session, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let wide = session.sel.machine.is_64();
    let width = fmt::addr_width(wide);
    let mut lines = vec![
        Line::plain("System Image Summary"),
        Line::plain(format!(
            "{:<width$} Code Size      Data Size      Image Name        Creation Time",
            "Base",
            width = width + 2
        )),
    ];
    let mut modules: Vec<_> = session.target.symbols.modules().iter().collect();
    modules.sort_by_key(|m| m.base);
    for m in modules {
        let name = escape(&m.file_name);
        lines.push(
            Line::plain(format!("{}      0 (   0 k)     0 (  0 k) ", fmt::addr(m.base, wide)))
                .text(format!("{name:>12}  {}", fmt::time_stamp(m.timestamp))),
        );
    }
    let unloaded = session.dump().unloaded().value().map_or(&[][..], Vec::as_slice);
    if !unloaded.is_empty() {
        lines.push(Line::new());
        lines.push(Line::plain("Unloaded modules:"));
    }
    for u in unloaded {
        let (start, end) = (u.base, u.base.offset(u.size.into()));
        let range = format!("{} {}   ", fmt::addr(start, wide), fmt::addr(end, wide));
        lines.push(Line::plain(range).span(Span::untrusted(Role::Module, &u.name)));
    }
    session.emit(sink, &Message(lines))?;
    session.emit(sink, &Message(DRIVERS.lines().map(Line::plain).collect()))
}

/// What the engine says below its list.
const DRIVERS: &str = "\
****************************************************************************

  The !drivers command is no longer supported.

  Please use the 'lm t n' command.
  Consult the debugger documentation for the supported 'lm' command options.

  The WinDbg \"Modules\" window can also be used to display timestamps.
  The \"Modules\" window supports sorting on name or timestamp values

****************************************************************************";

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
    let modern = session.sel.layout == Layout::Modern;
    let chosen = modules(session, word).map_err(|e| match modern {
        true => {
            let text = format!("No modules matched '{}'", escape(word));
            CommandError::noted(text, "lm lists the modules of the dump.")
        }
        false => e,
    })?;
    let symbols = &session.target.symbols;
    let known: Vec<bool> = chosen.iter().map(|&i| symbols.state(i) != SymbolState::Deferred).collect();
    symbols.load_now(&chosen, &|| session.cancel.is_cancelled());
    if session.cancel.is_cancelled() {
        return Err(CommandError::Stopped);
    }
    let row = |(&i, &known): (&usize, &bool)| {
        let module = symbols.modules().get(i)?;
        let outcome = match symbols.state(i) {
            _ if modern && known => "already_loaded",
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
