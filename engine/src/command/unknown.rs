//! What is said of a command that there is not.

use super::{COMMANDS, CommandError, EXTENSIONS, OtherKind, find, nearest, other};

/// The answer to a command that there is not.
pub(crate) fn unknown(text: &str) -> CommandError {
    let head = text.get(..text.find(char::is_whitespace).unwrap_or(text.len())).unwrap_or(text);
    // A word of letters, or of letters behind `!` or `.`; `!ext.name` as well.
    let start = usize::from(head.starts_with(['!', '.']));
    let tail = head.get(start..).unwrap_or("");
    let extra = |c: char| !(c.is_alphanumeric() || c == '_' || (head.starts_with('!') && c == '.'));
    let len = tail.find(extra).unwrap_or(tail.len());
    let name = if len == 0 { head } else { head.get(..start + len).unwrap_or(head) };
    let have = |instead: &str| {
        if instead.is_empty() { String::new() } else { format!(" The nearest command here is {instead}.") }
    };
    if let Some(other) = other(name) {
        let near = have(if find(other.instead).is_some() { other.instead } else { "" });
        return match other.kind {
            OtherKind::Live => CommandError::caret(0, "No runnable debuggees error"),
            OtherKind::Write => {
                CommandError::message(format!("{name} writes; a dump cannot be changed.{near}"))
            }
            OtherKind::Kernel => {
                CommandError::message(format!("{name} is for kernel dumps; this is a user dump.{near}"))
            }
            OtherKind::Managed => CommandError::noted(
                format!("No export {} found", name.trim_start_matches('!')),
                format!("{name} belongs to SOS (.NET), which is not built in.{near}"),
            ),
            OtherKind::Missing => CommandError::message(format!("{name} is not built in.{near}")),
            OtherKind::Open => CommandError::noted(
                format!("{name} is not built in: a session has one dump."),
                "Open the other dump with `dumpscope FILE` or `dumpscope exec FILE`.",
            ),
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
