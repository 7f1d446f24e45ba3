//! Source files: `.srcpath .srcfix .open ls lsa lsf lsc`.
//!
//! Files come from folders that the user names. What a symbol file calls a source file is untrusted: only its last parts,
//! without `..` and the like, are looked for in these folders.

mod find;

use crate::command::{Command, CommandError, Extent, Invocation};
use crate::doc::{Line, Message, Role, Sink, Span};
use crate::lang::Cursor;
use crate::session::{Layout, Session};
use dumpscope_core::Va;
use dumpscope_core::base::text::escape;

pub(crate) const SRCPATH: Command = Command {
    name: ".srcpath",
    aliases: &[".srcpath+", ".lsrcpath", ".lsrcpath+", ".srcfix", ".srcfix+", ".lsrcfix", ".lsrcfix+"],
    // `;` separates the folders.
    extent: Extent::Line,
    group: "symbols",
    syntax: ".srcpath[+] [folders] | .srcfix",
    summary: "Shows or sets where source files are looked for",
    help: "Folders, separated by `;`. `.srcpath+` adds to them, `.srcpath \"\"` empties the path. A file of which symbols tell is \
           looked for by its last parts: `D:\\\\build\\\\app\\\\src\\\\a.cpp` as `app/src/a.cpp`, `src/a.cpp` and `a.cpp` below each folder. \
           Source servers (`SRV*`, which `.srcfix` names) are not asked.",
    examples: &[(".srcpath", "The path"), (".srcpath+ /builds/app/src", "Adds a folder")],
    run: path,
    outside: true,
    ..Command::BASE
};

pub(crate) const LS: Command = Command {
    name: "ls",
    aliases: &["lsa", "lsf", "lsc", "lse", "lsp"],
    group: "code",
    syntax: "ls [first][,count] | lsa address[,first][,count] | lsf file | lsc",
    summary: "Shows lines of source files",
    help: "`lsa` shows the source around an address, `>` marks its line (10 lines; `lsa .,1,5` five lines from the first one on). \
           `lsf` takes a file, `ls` goes on in it or starts at a line, `lsc` says which file and line that is. Files are \
           looked for along `.srcpath`; lines come from the modules' symbols.",
    examples: &[("lsa @$ip", "The source around the current instruction"), ("lsc", "Which file is shown")],
    run: list,
    outside: true,
    ..Command::BASE
};

pub(crate) const OPEN: Command = Command {
    name: ".open",
    group: "code",
    syntax: ".open file | .open -a address",
    summary: "Takes a source file and shows its beginning, or the place of an address",
    help: "As `lsf` and `ls`, or `lsa` with `-a`: looked for along `.srcpath`.",
    examples: &[(".open -a @$ip", "The source of the current instruction")],
    run: open,
    outside: true,
    ..Command::BASE
};

/// Lines that are shown at once.
const LINES: u32 = 10;
/// Most lines that may be asked for.
const MAX_LINES: u64 = 10_000;

fn say(session: &Session, sink: &mut dyn Sink, text: &str) -> Result<(), CommandError> {
    session.emit(sink, &Message(vec![Line(vec![Span::untrusted(Role::Plain, text)])]))
}

fn path(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let typed = inv.cursor().take_rest();
    let fix = inv.name.contains("fix");
    if fix || !typed.is_empty() {
        let typed = if fix { "SRV*" } else { typed.trim_matches('"').trim() };
        let path = &mut session.language.source_path;
        if inv.name.ends_with('+') {
            if !path.is_empty() && !path.ends_with(';') {
                path.push(';');
            }
            path.push_str(typed);
        } else {
            typed.clone_into(path);
        }
    }
    let path = session.language.source_path.clone();
    let shown = if path.is_empty() { "<empty>" } else { &path };
    if path.split(';').any(|p| p.get(..3).is_some_and(|p| p.eq_ignore_ascii_case("srv"))) {
        sink.note("source servers are not asked: name folders with .srcpath.");
    }
    say(session, sink, &format!("Source search path is: {shown}"))
}

/// Nothing to show and no path that could change it: today's engine has its own words.
fn untouched(session: &Session) -> bool {
    session.sel.layout == Layout::Modern
        && session.language.source_path.is_empty()
        && session.language.source_file.is_none()
}

fn list(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let takes_file = inv.name.eq_ignore_ascii_case("lsf") && !inv.args.trim().is_empty();
    if untouched(session) && (!takes_file || inv.args.starts_with('-')) {
        return super::refusals::source(session, inv.text.trim_end(), sink);
    }
    let mut args = inv.cursor();
    match inv.name.to_ascii_lowercase().as_str() {
        "lsa" => {
            let va = args.address(session)?;
            let (first, count) = numbers(session, &mut args)?;
            at_address(session, sink, va, first, count)
        }
        "lsf" if inv.args.starts_with('-') => {
            session.language.source_file = None;
            Ok(())
        }
        "lsf" if takes_file => take(session, args.take_rest().trim_matches('"'), sink),
        "ls" => {
            let (first, count) = if args.eat(".") { (None, None) } else { numbers_from(session, &mut args)? };
            let Some((file, next)) = session.language.source_file.clone() else {
                return Err(CommandError::noted(
                    "No current source file",
                    "lsf FILE takes one, lsa ADDR that of an address.",
                ));
            };
            show(session, sink, &file, first.unwrap_or(next), count, None)
        }
        "lsp" => say(session, sink, &format!("Source is shown on request only, {LINES} lines at once")),
        // `lsc`, `lse`, `lsf`.
        _ => match session.language.source_file.clone() {
            Some((file, next)) => say(session, sink, &format!("Current: {file}({next})")),
            None => say(session, sink, "No current source file"),
        },
    }
}

fn open(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    if args.eat("-a") || args.eat("/a") {
        let va = args.address(session)?;
        args.end()?;
        return at_address(session, sink, va, None, None);
    }
    let file = args.take_rest().trim_matches('"').to_owned();
    if file.is_empty() {
        return Err(CommandError::caret(inv.text.trim_end().len(), "Non-empty string required"));
    }
    take(session, &file, sink)?;
    match session.language.source_file.clone() {
        Some((file, _)) => show(session, sink, &file, 1, None, None),
        None => Ok(()),
    }
}

/// Makes a file that the user names the current one.
fn take(session: &mut Session, name: &str, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let (file, _) = find::named(session, name)?;
    say(session, sink, &format!("Current: {file}(1)"))?;
    session.language.source_file = Some((file, 1));
    Ok(())
}

/// `,first,count` behind an address.
fn numbers(session: &Session, args: &mut Cursor<'_>) -> Result<(Option<u32>, Option<u32>), CommandError> {
    if !args.eat_char(',') {
        args.end()?;
        return Ok((None, None));
    }
    numbers_from(session, args)
}

/// `first,count`: numbers in the default radix, each may be missing.
fn numbers_from(
    session: &Session,
    args: &mut Cursor<'_>,
) -> Result<(Option<u32>, Option<u32>), CommandError> {
    let small = |n: u64| u32::try_from(n.clamp(1, u64::from(u32::MAX))).unwrap_or(u32::MAX);
    let first = if args.is_empty() || args.raw().trim_start().starts_with(',') {
        None
    } else {
        Some(args.expr(session)?)
    };
    let count = if args.eat_char(',') { Some(args.expr(session)?.min(MAX_LINES)) } else { None };
    args.end()?;
    Ok((first.map(small), count.map(small)))
}

/// The source around an address.
fn at_address(
    session: &mut Session,
    sink: &mut dyn Sink,
    va: Va,
    first: Option<u32>,
    count: Option<u32>,
) -> Result<(), CommandError> {
    let symbols = &session.target.symbols;
    let Some(line) = symbols.line(va) else {
        let module = symbols.module_at(va).map(|m| session.module_name(m));
        let note = match module {
            Some(name) => format!(
                "The symbols of {} have no line for it; .reload /f and !sym noisy say which symbols there are.",
                escape(&name)
            ),
            None => "No module of the dump is at that address.".to_owned(),
        };
        return Err(CommandError::noted("No source information for the address", note));
    };
    let (file, _) = find::of_symbols(session, &line.file).map_err(|why| {
        CommandError::noted(format!("{}({}): the file was not found", escape(&line.file), line.line), why)
    })?;
    let from = first.unwrap_or_else(|| line.line.saturating_sub(LINES / 2).max(1));
    show(session, sink, &file, from, count, Some(line.line))
}

/// Shows lines of a file that was found, and remembers where `ls` goes on.
fn show(
    session: &mut Session,
    sink: &mut dyn Sink,
    file: &str,
    from: u32,
    count: Option<u32>,
    marked: Option<u32>,
) -> Result<(), CommandError> {
    let text = find::read(session, file).map_err(CommandError::message)?;
    let count = count.unwrap_or(LINES);
    let skip = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
    let rows = text.lines().zip(1u32..).skip(skip).take(usize::try_from(count).unwrap_or(usize::MAX));
    let mut lines: Vec<Line> = rows
        .map(|(row, n)| {
            let mark = if marked == Some(n) { '>' } else { ' ' };
            Line::plain(format!("{mark}{n:>6}: "))
                .span(Span::untrusted(Role::Text, &row.replace('\t', "    ")))
        })
        .collect();
    if lines.is_empty() {
        lines.push(Line::plain("The file has no such line."));
    }
    session.language.source_file = Some((file.to_owned(), from.saturating_add(count)));
    session.emit(sink, &Message(lines))
}
