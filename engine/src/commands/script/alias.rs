//! `as aS al ad`: aliases.

use super::BASE;
use super::capture::output_of;
use crate::command::{Command, CommandError, Extent, Invocation};
use crate::doc::{Line, RenderCx, Report, Role, Sink, Span};
use crate::lang::Cursor;
use crate::session::{Layout, Session};
use dumpscope_core::ReadMemory;
use serde_json::json;

/// Longest text read from the target for an alias, characters.
const MAX_TEXT: usize = 4096;

const HELP: &str = "The name then stands for the text wherever it is a word of its own or written `${name}`. `/ma` `/mu` take the \
ANSI or UTF-16 text at an address, `/msa` `/msu` that of a counted string, `/x` the value of an expression, \
`/c` what commands print, `/f` a file. `aS` ends at the next `;`, `as` at the end of the line.";

pub(crate) const AS_LINE: Command = Command {
    name: "as",
    extent: Extent::Line,
    syntax: "as name text | as /ma|/mu|/msa|/msu|/x name address | as /c name commands | as /f name \"file\"",
    summary: "Makes an alias of the rest of the line",
    help: HELP,
    examples: &[
        ("as frames kn 20", "frames is now `kn 20`"),
        ("as /x here @$ip", "here is the instruction pointer"),
    ],
    run: make,
    ..BASE
};

pub(crate) const AS: Command = Command {
    name: "aS",
    extent: Extent::Semicolon,
    syntax: "aS name text",
    summary: "Makes an alias of the text up to the next `;`",
    help: HELP,
    examples: &[("aS word hello; .block { .echo ${word} }", "Prints `hello`")],
    run: make,
    ..BASE
};

pub(crate) const AL: Command = Command {
    name: "al",
    extent: Extent::Semicolon,
    syntax: "al",
    summary: "Lists the aliases",
    help: "Shows the names and texts of all aliases that `as` and `aS` made.",
    examples: &[("al", "All aliases")],
    run: |session, inv, sink| {
        inv.cursor().end()?;
        // Today's engine does not list its fixed names, `$u0` to `$u9`.
        let fixed = |name: &str| session.sel.layout == Layout::Modern && name.starts_with("$u");
        let made = session.language.aliases.iter().filter(|(name, _)| !fixed(name));
        let list = made.map(|(a, b)| (a.clone(), b.clone())).collect();
        session.emit(sink, &Aliases(list))
    },
    ..BASE
};

pub(crate) const AD: Command = Command {
    name: "ad",
    extent: Extent::LineToday,
    syntax: "ad [/q] name | ad *",
    summary: "Deletes an alias, or all",
    help: "`ad *` deletes all aliases. `/q` says nothing when there is no such alias.",
    examples: &[("ad *", "Deletes all")],
    run: delete,
    ..BASE
};

struct Aliases(Vec<(String, String)>);

impl Report for Aliases {
    fn kind(&self) -> &'static str {
        "aliases"
    }

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        if self.0.is_empty() {
            return emit(Line::plain("No aliases"));
        }
        // Today's engine has blanks at the ends.
        let blank = if cx.layout == Layout::Modern { " " } else { "" };
        emit(Line::new().role(Role::Heading, format!("  Alias            Value{blank}{blank}")));
        emit(Line::new().role(Role::Heading, format!(" -------          -------{blank}")));
        for (name, value) in &self.0 {
            let name = Span::untrusted(Role::Symbol, &format!(" {name:<16} "));
            emit(Line(vec![name, Span::untrusted(Role::Plain, value), Span::new(Role::Plain, blank)]));
        }
    }

    fn json(&self) -> serde_json::Value {
        json!({ "aliases": self.0.iter().map(|(n, v)| json!({ "name": n, "text": v })).collect::<Vec<_>>() })
    }
}

fn delete(session: &mut Session, inv: &Invocation<'_>, _: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let quiet = args.eat("/q");
    let at = args.pos();
    if session.sel.layout == Layout::Modern {
        // The name goes on to a blank, a semicolon included.
        let word = args.word().unwrap_or("");
        let end = at + word.trim_end_matches(';').len();
        let name = word.trim_end_matches(';');
        // `${/v:name}` is the name.
        let inner = name.strip_prefix("${/v:").and_then(|n| n.strip_suffix('}'));
        let name = inner.unwrap_or(word);
        let known = match name {
            "" => return Err(CommandError::caret(at, "Syntax error")),
            "*" => !std::mem::take(&mut session.language.aliases).is_empty(),
            name => {
                let whole = inv.text.get(at..).unwrap_or("");
                (inner.is_some() || !whole.contains(';')) && session.language.aliases.remove(name).is_some()
            }
        };
        return if known || quiet {
            Ok(())
        } else {
            Err(CommandError::caret(end, "No information found error"))
        };
    }
    match args.word() {
        Some("*") => session.language.aliases.clear(),
        Some(name) => {
            if session.language.aliases.remove(name).is_none() && !quiet {
                let name = dumpscope_core::base::text::escape(name);
                return Err(CommandError::message(format!("There is no alias '{name}'.")));
            }
        }
        None => return Err(CommandError::caret(at, "Syntax error")),
    }
    args.end()
}

/// `as` and `aS` as today's engine reads them: what follows a value on the line still runs.
fn make_today(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let at = args.pos();
    let kind = if args.peek().starts_with('/') { args.switch() } else { None };
    let kinds =
        [None, Some("x"), Some("c"), Some("f"), Some("e"), Some("ma"), Some("mu"), Some("msa"), Some("msu")];
    if !kinds.contains(&kind) {
        return Err(CommandError::caret(at + 1, "Syntax error"));
    }
    let whole = inv.text.trim_end().len();
    let Some(name) = args.word().map(str::to_owned) else {
        return Err(CommandError::caret(whole, "Syntax error"));
    };
    // `${/v:name}` is the name.
    let name = match name.strip_prefix("${/v:").and_then(|n| n.strip_suffix('}')) {
        Some(inner) => inner.to_owned(),
        None => name,
    };
    let until = inv.text.len() - args.raw().len();
    let cut = |at: usize, words: &str| CommandError::Cut {
        at,
        text: format!("{words} in"),
        until,
        tail: String::new(),
    };
    let text = match kind {
        None if args.is_empty() => return Err(CommandError::caret(whole, "Syntax error")),
        None => unquote(args.take_rest()).to_owned(),
        Some("e") => return Err(cut(whole, "No information found error")),
        Some("c") if inv.name == "aS" => return Err(cut(whole, "Syntax error")),
        Some("c") => output_of(session, unquote(args.take_rest()))?.trim_end().to_owned(),
        Some("f") => super::file::read(session, unquote(args.take_rest()))?,
        Some("x") => format!("0x{:x}", args.expr(session)?),
        Some(kind) => match read_text(session, kind, &mut args)? {
            Some(text) => text,
            None => return Err(cut(inv.text.len() - args.raw().len(), "Memory access error")),
        },
    };
    session.language.aliases.insert(name, text);
    match args.rest().strip_prefix(';') {
        Some(rest) => crate::run::run_block(session, rest, sink),
        None => Ok(()),
    }
}

fn make(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    if session.sel.layout == Layout::Modern {
        return make_today(session, inv, sink);
    }
    let mut args = inv.cursor();
    let kind = if args.peek().starts_with('/') { args.switch() } else { None };
    let at = args.pos();
    let Some(name) = args.word().map(str::to_owned) else {
        return Err(CommandError::caret(at, "Syntax error"));
    };
    let missing = CommandError::caret(args.pos(), "Memory access error");
    let text = match kind {
        None => unquote(args.take_rest()).to_owned(),
        Some("x") => format!("0x{:x}", args.expr(session)?),
        Some("c") => output_of(session, unquote(args.take_rest()))?.trim_end().to_owned(),
        Some("f") => super::file::read(session, unquote(args.take_rest()))?,
        Some(kind @ ("ma" | "mu" | "msa" | "msu")) => read_text(session, kind, &mut args)?.ok_or(missing)?,
        Some(_) => return Err(CommandError::caret(at, "Syntax error")),
    };
    session.language.aliases.insert(name, text);
    Ok(())
}

fn unquote(text: &str) -> &str {
    text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text)
}

fn read_text(session: &Session, kind: &str, args: &mut Cursor<'_>) -> Result<Option<String>, CommandError> {
    let va = args.address(session)?;
    let memory = session.dump().memory();
    let machine = session.sel.machine;
    let ansi = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let text = match kind {
        "ma" => memory.c_str(va, MAX_TEXT).map(ansi),
        "mu" => memory.w_str(va, MAX_TEXT),
        "msu" => memory.unicode_string(va, machine),
        _ => (|| {
            let (length, maximum) = (memory.u16(va)?, memory.u16(va.offset(2))?);
            let buffer = memory.ptr(va.offset(machine.ptr_size() as u64), machine)?;
            let mut bytes = vec![0u8; usize::from(length)];
            (length <= maximum && memory.read_at(buffer, &mut bytes).got == bytes.len()).then(|| ansi(bytes))
        })(),
    };
    // Text of the dump becomes part of a command line: it must not bring commands of its own.
    Ok(text.map(|t| {
        t.chars()
            .map(|c| if c.is_control() || matches!(c, ';' | '"' | '{' | '}') { '.' } else { c })
            .collect()
    }))
}
