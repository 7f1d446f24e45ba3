//! `.if .elsif .else .for .while .do .break .continue .block .catch .leave`.

use super::{BASE, turns};
use crate::command::{Command, CommandError, Extent, Invocation, Jump};
use crate::doc::Sink;
use crate::expr::ExprError;
use crate::lang::{expand, take_group};
use crate::run::run_block;
use crate::session::{Layout, Session};

pub(crate) const IF: Command = Command {
    name: ".if",
    syntax: ".if (condition) { commands } [.elsif (condition) { commands }]… [.else { commands }]",
    summary: "Runs commands if an expression is not 0",
    help: "The conditions are MASM expressions. The braces are needed. `.else` may stand on a line of its own.",
    examples: &[(".if (@$ptrsize == 8) { .echo 64 } .else { .echo 32 }", "Tells the width of pointers")],
    run: run_if,
    ..BASE
};

pub(crate) const ELSE: Command = Command {
    name: ".else",
    aliases: &[".elsif"],
    syntax: ".if (condition) { commands } .elsif (condition) { commands } .else { commands }",
    summary: "Belongs to .if",
    help: "`.else` and `.elsif` stand behind the block of an `.if`; alone they are an error.",
    examples: &[(".else { k }", "An error: there is no .if before it")],
    run: |session, inv, _| {
        // Today's engine points behind the name.
        let at = if session.sel.layout == Layout::Modern { inv.name.len() } else { 0 };
        Err(CommandError::caret(at, "Syntax error"))
    },
    ..BASE
};

pub(crate) const FOR: Command = Command {
    name: ".for",
    syntax: ".for (commands; condition; commands) { commands }",
    summary: "Runs commands while an expression is not 0, counting",
    help: "As in C: the first commands run once, the condition is looked at before each turn, the last commands run \
           after each turn. `.break` ends the loop, `.continue` goes on with the next turn.",
    examples: &[(".for (r $t0 = 0; @$t0 < 3; r $t0 = @$t0 + 1) { ? @$t0 }", "0, 1, 2")],
    run: run_for,
    ..BASE
};

pub(crate) const WHILE: Command = Command {
    name: ".while",
    syntax: ".while (condition) { commands }",
    summary: "Runs commands while an expression is not 0",
    help: "The condition is looked at before each turn. `.break` ends the loop, `.continue` goes on with the next turn.",
    examples: &[("r $t0 = 2; .while (@$t0) { ? @$t0; r $t0 = @$t0 - 1 }", "2, 1")],
    run: run_while,
    ..BASE
};

pub(crate) const DO: Command = Command {
    name: ".do",
    syntax: ".do { commands } (condition)",
    summary: "Runs commands once, and again while an expression is not 0",
    help: "The condition is looked at after each turn. `.break` ends the loop, `.continue` goes on with the condition.",
    examples: &[(".do { .echo once } (0)", "One turn")],
    run: run_do,
    ..BASE
};

pub(crate) const BREAK: Command = Command {
    name: ".break",
    extent: Extent::Semicolon,
    syntax: ".break",
    summary: "Leaves the innermost loop",
    help: "Belongs into the block of a loop.",
    examples: &[(".while (1) { .break }", "Leaves at once")],
    run: |_, _, _| Err(CommandError::Jump(Jump::Break)),
    ..BASE
};

pub(crate) const CONTINUE: Command = Command {
    name: ".continue",
    extent: Extent::Semicolon,
    syntax: ".continue",
    summary: "Goes on with the next turn of the innermost loop",
    help: "Belongs into the block of a loop.",
    examples: &[(".do { .continue; .echo never } (0)", "Skips the rest of the block")],
    run: |_, _, _| Err(CommandError::Jump(Jump::Continue)),
    ..BASE
};

pub(crate) const BLOCK: Command = Command {
    name: ".block",
    syntax: ".block { commands }",
    summary: "Runs commands in a block of their own",
    help: "Aliases are replaced when a block begins: commands that use an alias made earlier on the same line need a \
           block.",
    examples: &[("aS word hello; .block { .echo ${word} }", "Prints `hello`")],
    run: |session, inv, sink| {
        let (body, _) = block(inv, inv.args)?;
        match run_block(session, body, sink) {
            Err(CommandError::Jump(Jump::Leave)) => Ok(()),
            other => other,
        }
    },
    ..BASE
};

pub(crate) const CATCH: Command = Command {
    name: ".catch",
    syntax: ".catch { commands }",
    summary: "Runs commands; an error ends only this block",
    help: "An error in a command ends the line and all blocks around it. With `.catch` what follows its block still \
           runs. `.leave` leaves the block.",
    examples: &[(".catch { ? nothing!here; .echo never }; .echo after", "An error, then `after`")],
    run: |session, inv, sink| {
        let (body, _) = block(inv, inv.args)?;
        match run_block(session, body, sink) {
            Err(CommandError::Reported | CommandError::Jump(Jump::Leave)) => Ok(()),
            other => other,
        }
    },
    ..BASE
};

pub(crate) const LEAVE: Command = Command {
    name: ".leave",
    extent: Extent::Semicolon,
    syntax: ".leave",
    summary: "Leaves a .catch or .block",
    help: "What follows the block runs next.",
    examples: &[(".catch { .leave; .echo never }", "Leaves at once")],
    run: |_, _, _| Err(CommandError::Jump(Jump::Leave)),
    ..BASE
};

fn syntax_error(inv: &Invocation<'_>, rest: &str) -> CommandError {
    CommandError::caret(inv.text.len().saturating_sub(rest.trim_start().len()), "Syntax error")
}

/// The `{…}` at the start of `text` (a tail of the command).
fn block<'a>(inv: &Invocation<'_>, text: &'a str) -> Result<(&'a str, &'a str), CommandError> {
    take_group(text, '{').ok_or_else(|| match text.trim_start().strip_prefix('{') {
        // An open block: the engine points behind its brace.
        Some(inside) => CommandError::caret(inv.text.len().saturating_sub(inside.len()), "Syntax error"),
        None => syntax_error(inv, text),
    })
}

/// Where a part of the command's text begins.
fn offset(inv: &Invocation<'_>, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(inv.text.as_ptr() as usize)
}

/// The condition before a block: in parentheses, or as today's engine reads it up to the brace.
fn test<'a>(
    session: &Session,
    inv: &Invocation<'_>,
    text: &'a str,
) -> Result<(&'a str, &'a str), CommandError> {
    let open = text.trim_start();
    if session.sel.layout == Layout::Classic || open.starts_with('(') {
        return condition(inv, text);
    }
    let end = open.find('{').unwrap_or(open.len());
    Ok((open.get(..end).unwrap_or(open), open.get(end..).unwrap_or("")))
}

/// The `(…)` at the start of `text`.
fn condition<'a>(inv: &Invocation<'_>, text: &'a str) -> Result<(&'a str, &'a str), CommandError> {
    take_group(text, '(').ok_or_else(|| syntax_error(inv, text))
}

/// Whether a condition (a part of the command's text) holds.
fn holds(session: &Session, inv: &Invocation<'_>, condition: &str) -> Result<bool, CommandError> {
    // Aliases may change from turn to turn.
    let text = expand(condition, &session.language.aliases);
    let modern = session.sel.layout == Layout::Modern;
    let fail = |e: ExprError| match text == condition {
        true => CommandError::Expr(e.shifted(offset(inv, condition))),
        false if modern => CommandError::message(e.engine_message(&text)),
        false => CommandError::message(e.message(&text)),
    };
    let (value, end) = session.eval(&text).map_err(fail)?;
    if text.get(end..).is_some_and(|t| !t.trim().is_empty()) {
        return Err(fail(ExprError::new(crate::expr::ErrorKind::ExtraCharacter, end)));
    }
    Ok(value != 0)
}

fn run_if(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut rest = inv.args;
    loop {
        let (test, after) = test(session, inv, rest)?;
        // Today's engine looks at the condition before it misses the block.
        let early = session.sel.layout == Layout::Modern && holds(session, inv, test)?;
        let (body, after) = block(inv, after)?;
        if early || (session.sel.layout == Layout::Classic && holds(session, inv, test)?) {
            return run_block(session, body, sink);
        }
        let next = after.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
        let word = next.get(..next.find(|c: char| !(c.is_alphanumeric() || c == '.')).unwrap_or(next.len()));
        match word.map(str::to_ascii_lowercase).as_deref() {
            Some(".elsif") => rest = next.get(".elsif".len()..).unwrap_or(""),
            Some(".else") => {
                let (body, _) = block(inv, next.get(".else".len()..).unwrap_or(""))?;
                return run_block(session, body, sink);
            }
            _ => return Ok(()),
        }
    }
}

/// One turn; false when the loop ends.
fn turn(session: &mut Session, body: &str, sink: &mut dyn Sink) -> Result<bool, CommandError> {
    if session.cancel.is_cancelled() {
        return Err(CommandError::Stopped);
    }
    match run_block(session, body, sink) {
        Ok(()) | Err(CommandError::Jump(Jump::Continue)) => Ok(true),
        Err(CommandError::Jump(Jump::Break)) => Ok(false),
        Err(e) => Err(e),
    }
}

fn run_for(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let (head, rest) = condition(inv, inv.args)?;
    let (body, _) = block(inv, rest)?;
    let mut parts = head.splitn(3, ';');
    let (Some(first), Some(test), Some(step)) = (parts.next(), parts.next(), parts.next()) else {
        if session.sel.layout == Layout::Modern {
            return Err(CommandError::caret(offset(inv, head) + head.len(), "Syntax error"));
        }
        return Err(syntax_error(inv, inv.args));
    };
    run_block(session, first, sink)?;
    let mut n = 0;
    while holds(session, inv, test)? {
        turns(n)?;
        n += 1;
        if !turn(session, body, sink)? {
            break;
        }
        run_block(session, step, sink)?;
    }
    Ok(())
}

fn run_while(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let (test, rest) = test(session, inv, inv.args)?;
    let (body, _) = block(inv, rest)?;
    let mut n = 0;
    while holds(session, inv, test)? {
        turns(n)?;
        n += 1;
        if !turn(session, body, sink)? {
            break;
        }
    }
    Ok(())
}

fn run_do(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let (body, rest) = block(inv, inv.args)?;
    let modern = session.sel.layout == Layout::Modern;
    let (test, _) = if modern { (rest.trim_start(), "") } else { condition(inv, rest)? };
    let mut n = 0;
    loop {
        turns(n)?;
        n += 1;
        if !turn(session, body, sink)? || !holds(session, inv, test)? {
            return Ok(());
        }
    }
}
