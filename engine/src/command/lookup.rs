//! From a command's text to its entry in the table.

use super::{COMMANDS, Command, CommandError, Glued};

/// A command found for a text.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The table's entry.
    pub command: &'static Command,
    /// The name as typed, with glued flags, without an extension prefix.
    pub name: &'a str,
    /// What follows.
    pub args: &'a str,
}

/// Extension DLLs whose commands are built in; `!ntsdexts.locks` is `!locks`.
pub(crate) const EXTENSIONS: &[&str] =
    &["exts", "ext", "ntsdexts", "uext", "wow64exts", "dbghelp", "analyze", "sos"];

/// Finds the command at the start of `text` (no blanks before it): the longest name that fits, first in the letter
/// case as typed, then in any.
#[must_use]
pub fn find(text: &str) -> Option<Found<'_>> {
    exact(text, false).or_else(|| without_extension(text)).or_else(|| exact(text, true))
}

/// Commands whose sign is glued to their name.
const SIGNED: &[&str] = &[".outmask", ".symopt"];

/// The command that today's engine sees at the start of `text`: also one whose argument follows without a blank
/// (`xapp!main` is `x app!main`). `Err`: what it says of a name that must end with a blank.
pub(crate) fn engine_find(text: &str) -> Option<Result<Found<'_>, CommandError>> {
    let spaced = |found: &Found<'_>| {
        // `u` and its kin want a blank.
        let name = found.name;
        let code = name.starts_with('u') && name.chars().all(char::is_alphabetic);
        (code && !found.args.is_empty() && !found.args.starts_with([' ', '\t', ';']))
            .then(|| CommandError::caret(name.len(), "Missing whitespace after u"))
    };
    // `sx…` are the event filters, no search.
    if text.get(..2).is_some_and(|t| t.eq_ignore_ascii_case("sx")) {
        return None;
    }
    // The name of a command with a point may hold signs (`.exr-1` is none), and ends before a digit (`.frame1`).
    if text.starts_with('.') {
        let word = text.find([' ', '\t', ';']).unwrap_or(text.len());
        let letters = text.get(1..).and_then(|t| t.find(|c: char| !c.is_ascii_alphabetic() && c != '_'));
        let len = letters.map_or(text.len(), |l| l + 1);
        match text.get(len..).and_then(|t| t.chars().next()) {
            Some('-') if len < word && !SIGNED.contains(&text.get(..len)?) => return None,
            Some(c) if c.is_ascii_digit() => {
                let command = COMMANDS.iter().find(|c| names(c).any(|n| Some(n) == text.get(..len)));
                return command.and_then(|c| found(c, text, len)).map(Ok);
            }
            _ => {}
        }
    }
    if let Some(mut found) = find(text) {
        // `R` is `r`, unless there is an `R`.
        if let Some(name) = names(found.command).find(|n| n.eq_ignore_ascii_case(found.name)) {
            found.name = name;
        }
        return Some(spaced(&found).map_or(Ok(found), Err));
    }
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let short = |n: &&str| n.chars().all(|c| c.is_ascii_alphabetic()) && n.len() <= 3;
    let (command, len) = COMMANDS
        .iter()
        .flat_map(|c| names(c).filter(short).map(move |n| (*c, n)))
        .filter(|(_, n)| text.get(..n.len()).is_some_and(|head| head == *n))
        .map(|(c, n)| (c, n.len()))
        .max_by_key(|(_, len)| *len)?;
    let name = text.get(..len)?;
    // Commands of our own that are words are none here.
    if !matches!(text.get(..1)?, "d" | "k" | "l" | "s" | "u" | "x" | "n" | "r" | "z" | "j") || name == "lm" {
        return None;
    }
    let found = found(command, text, len)?;
    Some(spaced(&found).map_or(Ok(found), Err))
}

/// `!ext.name`: the table may hold the whole name; else the extension is taken off.
fn without_extension(text: &str) -> Option<Found<'_>> {
    let rest = text.strip_prefix('!')?;
    // The extension is the first word: a long line is not searched for a dot.
    let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_'))?;
    let (ext, tail) = (rest.get(..word)?, rest.get(word..)?.strip_prefix('.')?);
    if !EXTENSIONS.iter().any(|e| ext.eq_ignore_ascii_case(e)) {
        return None;
    }
    // The name without its prefix has no `!` in the text: look for it among names with the `!` taken off.
    COMMANDS
        .iter()
        .flat_map(|c| names(c).filter_map(move |n| Some((*c, n.strip_prefix('!')?))))
        .filter_map(|(c, n)| fits(c, n, tail, true).map(|len| (len, c)))
        .max_by_key(|(len, _)| *len)
        .and_then(|(len, command)| found(command, tail, len))
}

fn exact(text: &str, ignore_case: bool) -> Option<Found<'_>> {
    COMMANDS
        .iter()
        .flat_map(|c| names(c).map(move |n| (*c, n)))
        .filter_map(|(c, n)| fits(c, n, text, ignore_case).map(|len| (n.len(), len, c)))
        .max_by_key(|(name, len, _)| (*name, *len))
        .and_then(|(_, len, command)| found(command, text, len))
}

fn found<'a>(command: &'static Command, text: &'a str, len: usize) -> Option<Found<'a>> {
    Some(Found { command, name: text.get(..len)?, args: text.get(len..)? })
}

fn names(command: &'static Command) -> impl Iterator<Item = &'static str> {
    std::iter::once(command.name).chain(command.aliases.iter().copied())
}

/// Length of the name in `text`, with glued flags, when the text may go on as it does.
fn fits(command: &Command, name: &str, text: &str, ignore_case: bool) -> Option<usize> {
    let head = text.get(..name.len())?;
    let same = if ignore_case { head.eq_ignore_ascii_case(name) } else { head == name };
    if !same {
        return None;
    }
    let tail = text.get(name.len()..)?;
    let word_name = name.ends_with(|c: char| c.is_ascii_alphanumeric());
    let ends = |s: &str| !word_name || !s.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    match command.glued {
        Glued::Anything => Some(name.len()),
        // An extension's name ends at a blank; `!foo-x` is no `!foo`.
        Glued::Nothing if name.starts_with('!') => (tail.is_empty()
            || tail.starts_with(|c: char| c.is_whitespace() || c == ';'))
        .then_some(name.len()),
        Glued::Nothing => ends(tail).then_some(name.len()),
        Glued::Flags(flags) => {
            let len = tail.find(|c: char| !flags.contains(c)).unwrap_or(tail.len());
            let after = tail.get(len..)?;
            // A count may follow directly (`kb5`); a longer word is another command or nonsense.
            let word = after.find(|c: char| !c.is_alphanumeric()).unwrap_or(after.len());
            let digits = after.get(..word)?.chars().all(|c| c.is_ascii_digit());
            (digits && !after.get(word..)?.starts_with('_')).then_some(name.len() + len)
        }
        Glued::FlagsThenText(flags, open) => {
            let len = tail.find(|c: char| !flags.contains(c)).unwrap_or(tail.len());
            let after = tail.get(len..)?;
            let end = after.find([' ', '\t', ';', '\n', '\r']).unwrap_or(after.len());
            // Without a letter that takes a text the word must be at its end, or go on with punctuation.
            let takes = tail.get(..len)?.contains(|c| open.contains(c));
            let len = if takes { len + end } else { len };
            (takes || !after.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
                .then_some(name.len() + len)
        }
    }
}
