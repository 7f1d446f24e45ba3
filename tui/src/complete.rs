//! Completion of the word at the cursor, and help for the command that is being typed.

use dumpscope_engine::command::{self, Command, Completes};
use dumpscope_engine::lang::thread_prefix;
use dumpscope_engine::{COMMANDS, Session};
use std::collections::BTreeSet;

/// Most candidates that are offered.
pub const MAX: usize = 200;
/// Most symbols that are looked at.
const MAX_SCAN: usize = 2_000_000;

/// What could stand in place of the end of the line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    /// Characters before the cursor that a candidate replaces.
    pub replaces: usize,
    /// Text and what it is, in order.
    pub items: Vec<(String, String)>,
}

/// The command that the cursor is in: the text since the last `;`, without a thread prefix.
fn current(before: &str) -> &str {
    let text = before.rsplit(';').next().unwrap_or("").trim_start();
    match thread_prefix(text) {
        Some(p) => text.get(p.len..).unwrap_or("").trim_start(),
        None => text,
    }
}

/// The command that is being typed, when its name is complete.
#[must_use]
pub fn command_at(before: &str) -> Option<&'static Command> {
    command::find(current(before)).map(|f| f.command)
}

/// Candidates for the end of `before`. Symbols and types need their module's symbols, which may take long: call it
/// from a worker. `history`: past lines, oldest first.
#[must_use]
pub fn complete(session: Option<&Session>, before: &str, history: &[String]) -> Candidates {
    let text = current(before);
    let starts =
        |c: char| c.is_whitespace() || matches!(c, '(' | '+' | '-' | '*' | '/' | '=' | ',' | '"' | '&');
    let found = command::find(text).filter(|f| f.args.starts_with(char::is_whitespace));
    let Some(found) = found else {
        // Past lines complete a whole line only.
        return names(text, before, history);
    };
    let word = found.args.rsplit(starts).next().unwrap_or("");
    let completes = found.command.completes;
    let is_type = completes == Completes::Types && !word.starts_with('-');
    let mut out = Candidates { replaces: word.chars().count(), items: Vec::new() };
    if completes == Completes::Commands {
        let all = COMMANDS.iter().map(|c| (c.name.to_owned(), c.summary.to_owned()));
        out.items = all.filter(|(n, _)| n.starts_with(word)).collect();
    } else if completes == Completes::Win32 {
        out.items = dumpscope_engine::win32_names(word, false, MAX);
    } else if let Some(session) = session {
        out.items = match word.split_once('!') {
            Some(("win32", name)) if is_type => {
                let found = dumpscope_engine::win32_names(name, true, MAX);
                found.into_iter().map(|(n, what)| (format!("win32!{n}"), what)).collect()
            }
            Some((module, name)) => in_module(session, module, name, is_type),
            None => modules(session, word),
        };
    }
    out.items.truncate(MAX);
    out
}

fn names(text: &str, before: &str, history: &[String]) -> Candidates {
    let folded = text.to_ascii_lowercase();
    let mut items: Vec<(String, String)> = Vec::new();
    for c in COMMANDS {
        for name in std::iter::once(&c.name).chain(c.aliases) {
            if name.to_ascii_lowercase().starts_with(&folded) {
                items.push(((*name).to_owned(), c.summary.to_owned()));
            }
        }
    }
    items.sort();
    if text.len() == before.trim_start().len() && !text.is_empty() {
        let past = history.iter().rev().filter(|l| l.starts_with(text) && l.len() > text.len()).take(8);
        items.extend(past.map(|l| (l.clone(), "typed before".to_owned())));
    }
    items.truncate(MAX);
    Candidates { replaces: text.chars().count(), items }
}

fn modules(session: &Session, word: &str) -> Vec<(String, String)> {
    let folded = word.to_lowercase();
    let symbols = &session.target.symbols;
    let names: BTreeSet<String> = (0..symbols.modules().len())
        .map(|i| symbols.name_in(i, session.sel.machine))
        .filter(|n| n.to_lowercase().starts_with(&folded))
        .map(|n| format!("{n}!"))
        .collect();
    names.into_iter().map(|n| (n, "module".to_owned())).collect()
}

fn in_module(session: &Session, module: &str, name: &str, types: bool) -> Vec<(String, String)> {
    let symbols = &session.target.symbols;
    let folded = name.to_lowercase();
    let mut found: BTreeSet<(String, &'static str)> = BTreeSet::new();
    let mut seen = 0usize;
    for index in symbols.modules_named_in(module, session.sel.machine) {
        for provider in symbols.providers(index).iter() {
            if types {
                let Some(types) = provider.types() else { continue };
                types.each_type(&mut |_, n| {
                    seen = seen.saturating_add(1);
                    if n.to_lowercase().starts_with(&folded) {
                        found.insert((n.to_owned(), "type"));
                    }
                    found.len() < MAX * 8 && seen < MAX_SCAN && !session.cancel.is_cancelled()
                });
                continue;
            }
            provider.each(&mut |s| {
                seen = seen.saturating_add(1);
                if s.name.to_lowercase().starts_with(&folded) {
                    found.insert((s.name.to_string(), "symbol"));
                }
                found.len() < MAX * 8 && seen < MAX_SCAN && !session.cancel.is_cancelled()
            });
        }
    }
    let found = found.into_iter().map(|(n, what)| (format!("{module}!{n}"), what.to_owned()));
    // Names of a dump's symbol files are untrusted; one that a prompt cannot show is not offered.
    found.filter(|(n, _)| !n.contains(|c: char| c.is_control() || c.is_whitespace())).collect()
}

/// What all candidates begin with.
#[must_use]
pub fn common(items: &[(String, String)]) -> String {
    let mut items = items.iter().map(|(t, _)| t.as_str());
    let Some(first) = items.next() else { return String::new() };
    let mut len = first.len();
    for other in items {
        let same = first.char_indices().zip(other.chars()).find(|((_, a), b)| a != b).map(|((i, _), _)| i);
        len = len.min(same.unwrap_or(first.len().min(other.len())));
    }
    first.get(..len).unwrap_or("").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_past_lines() {
        let history = ["!runaway 7".to_owned(), "k".to_owned()];
        let c = complete(None, "!run", &history);
        assert_eq!(c.replaces, 4);
        let texts: Vec<&str> = c.items.iter().map(|(t, _)| t.as_str()).collect();
        assert_eq!(texts, ["!runaway", "!runaway 7"]);
        let c = complete(None, "k; ~*!tea", &history);
        assert_eq!((c.replaces, c.items.len()), (4, 0));
        let c = complete(None, "k; ~*!te", &history);
        assert_eq!((c.replaces, c.items[0].0.as_str()), (3, "!teb"));
    }

    #[test]
    fn names_of_windows() {
        let c = complete(None, "!api CreateFileM", &[]);
        assert!(c.items.iter().any(|(n, what)| n == "CreateFileMappingW" && what == "function"), "{c:?}");
        assert!(complete(None, "!iid iwbemserv", &[]).items.iter().any(|(n, _)| n == "IWbemServices"));
    }

    #[test]
    fn the_command_being_typed() {
        assert_eq!(command_at("~*k").map(|c| c.name), Some("k"));
        assert_eq!(command_at("k; !handle 4 f").map(|c| c.name), Some("!handle"));
        assert!(command_at("").is_none());
    }

    #[test]
    fn common_starts() {
        let items = |t: &[&str]| t.iter().map(|t| ((*t).to_owned(), String::new())).collect::<Vec<_>>();
        assert_eq!(common(&items(&["dt", "dta", "dtb"])), "dt");
        assert_eq!(common(&items(&["äb", "äc"])), "ä");
        assert_eq!(common(&[]), "");
    }
}
