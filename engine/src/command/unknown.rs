//! What is said of a command that there is not.

use super::{COMMANDS, CommandError, EXTENSIONS, Other, OtherKind, nearest, other};

/// The name at the start of a command's text: a word of letters, or of letters behind `!` or `.`; `!ext.name` as well.
fn name_of(text: &str) -> &str {
    let head = text.get(..text.find(char::is_whitespace).unwrap_or(text.len())).unwrap_or(text);
    let start = usize::from(head.starts_with(['!', '.']));
    let tail = head.get(start..).unwrap_or("");
    let extra = |c: char| !(c.is_alphanumeric() || c == '_' || (head.starts_with('!') && c == '.'));
    let len = tail.find(extra).unwrap_or(tail.len());
    if len == 0 { head } else { head.get(..start + len).unwrap_or(head) }
}

/// `!heap` of `!ext.heap`, when the table has not the whole name.
fn bare(name: &str) -> &str {
    let known = |dll: &str| EXTENSIONS.iter().any(|e| e.eq_ignore_ascii_case(dll));
    let at = name
        .strip_prefix('!')
        .and_then(|n| n.split_once('.'))
        .filter(|(dll, _)| known(dll) && other(name).is_none());
    // The `!` of the prefix is not before the name: entries are looked up with one.
    match at.and_then(|(_, export)| super::others::extension(export)) {
        Some(entry) => entry.name,
        None => name,
    }
}

/// WinDbg's command at the start of `text` that is not built in, with its name as typed.
pub(crate) fn known_other(text: &str) -> Option<(&str, &'static Other)> {
    let name = name_of(text.trim_start());
    other(bare(name)).map(|o| (name, o))
}

/// The answer to a command that there is not.
pub(crate) fn unknown(text: &str) -> CommandError {
    let name = name_of(text);
    let have = |instead: &str| {
        if instead.is_empty() { String::new() } else { format!(" Did you mean {instead}?") }
    };
    if let Some(other) = other(bare(name)) {
        return match other.kind {
            OtherKind::Live => CommandError::caret(0, "No runnable debuggees error"),
            OtherKind::Managed => CommandError::noted(
                format!("No export {} found", name.trim_start_matches('!')),
                other.line(name),
            ),
            OtherKind::Open => CommandError::noted(
                other.line(name),
                "Open the other dump with `dumpscope FILE` or `dumpscope exec FILE`.",
            ),
            _ => CommandError::message(other.line(name)),
        };
    }
    let near = nearest(name).map(have).unwrap_or_default();
    if let Some(export) = name.strip_prefix('!') {
        let shown = dumpscope_core::base::text::escape(export);
        if let Some((dll, _)) = export.split_once('.') {
            let known = EXTENSIONS.iter().any(|e| e.eq_ignore_ascii_case(dll));
            if !known {
                return CommandError::noted(
                    format!(
                        "The call to LoadLibrary({dll}) failed, Win32 error 0n2\n    \
                         \"The system cannot find the file specified.\""
                    ),
                    format!("Extensions cannot be loaded; {} commands are built in.{near}", COMMANDS.len()),
                );
            }
        }
        return CommandError::noted(
            format!("No export {shown} found"),
            format!(
                "There is no such command here.{near}{}",
                if near.is_empty() { " .help lists all." } else { "" }
            ),
        );
    }
    let shown = dumpscope_core::base::text::escape(name).into_owned();
    let near = if near.is_empty() { " .help lists all commands.".to_owned() } else { near };
    CommandError::message(format!("There is no command '{shown}'.{near}"))
}
