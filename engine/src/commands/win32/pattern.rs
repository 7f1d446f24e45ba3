//! Lists by pattern.

use super::item::{Item, ValueItem};
use crate::command::CommandError;
use crate::doc::{Answer, Line, RenderCx, Role};
use crate::expr::{MAX_PATTERN, wildcard_match};
use crate::session::Session;
use dumpscope_core::Machine;
use dumpscope_core::base::text::escape;
use dumpscope_win32::{Arch, Table};
use serde::Serialize;

/// Most rows of one answer.
pub(super) const MAX_ROWS: usize = 4096;

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Found {
    items: Vec<Item>,
    /// There are more.
    pub(super) cut: bool,
}

impl Answer for Found {
    const KIND: &'static str = "win32";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for (n, item) in self.items.iter().enumerate() {
            if n > 0 && !matches!(item, Item::Constant(_) | Item::Name { .. }) {
                emit(Line::new());
            }
            item.lines(emit);
        }
        if self.cut {
            emit(Line::new().role(Role::Note, format!("note: only the first {MAX_ROWS} names are shown")));
        }
    }
}

impl Found {
    pub(super) fn new(mut items: Vec<Item>) -> Found {
        let cut = items.len() > MAX_ROWS;
        items.truncate(MAX_ROWS);
        Found { items, cut }
    }
}

/// The machine whose layouts are asked for.
pub(super) fn arch(session: &Session) -> Arch {
    match session.sel.machine {
        Machine::X86 => Arch::X86,
        Machine::Arm64 => Arch::Arm64,
        _ => Arch::X64,
    }
}

/// The word without `module!` in front.
pub(super) fn plain(word: &str) -> &str {
    word.rsplit_once('!').map_or(word, |(_, name)| name)
}

pub(super) fn is_pattern(word: &str) -> bool {
    word.contains(['*', '?'])
}

pub(super) fn check(pattern: &str) -> Result<(), CommandError> {
    if pattern.len() <= MAX_PATTERN {
        return Ok(());
    }
    let text =
        format!("The pattern is too long: names are looked for with at most {MAX_PATTERN} characters.");
    Err(CommandError::message(text))
}

pub(super) fn nothing(word: &str) -> CommandError {
    CommandError::message(format!("The Win32 table has no {}.", escape(word)))
}

/// Names of functions and types that fit; in what order they are found.
pub(super) fn names(table: &Table, fits: &dyn Fn(&str) -> bool) -> Vec<Item> {
    let mut out = Vec::new();
    table.each_function(&mut |name| {
        if fits(name) {
            out.push(Item::Name { name: name.to_owned(), is: "function" });
        }
        out.len() <= MAX_ROWS
    });
    let mut types = Vec::new();
    table.each_type(&mut |_, info| {
        if info.outer.is_none() && fits(&info.name) {
            types.push((info.name.clone(), info.kind.word()));
        }
        true
    });
    types.sort_unstable();
    types.dedup();
    out.extend(types.into_iter().map(|(name, is)| Item::Name { name, is }));
    out
}

/// Names of functions and types (`types`: of structures, enumerations and interfaces only) that begin with a text in any
/// letter case, with what they are: at most `most`.
#[must_use]
pub fn win32_names(start: &str, types: bool, most: usize) -> Vec<(String, String)> {
    let folded = start.to_ascii_lowercase();
    let begins = |n: &str| n.get(..folded.len()).is_some_and(|n| n.eq_ignore_ascii_case(&folded));
    let mut out = Vec::new();
    if folded.is_empty() {
        return out;
    }
    for item in names(dumpscope_win32::table(), &begins) {
        if let Item::Name { name, is } = item
            && !(types && matches!(is, "function" | "callback"))
        {
            out.push((name, is.to_owned()));
        }
    }
    out.sort();
    out.truncate(most);
    out
}

/// Constants that fit.
pub(super) fn constants(table: &Table, fits: &dyn Fn(&str) -> bool) -> Vec<Item> {
    constants_of(table, fits, &|_| true)
}

/// The same, of those that are asked for.
pub(super) fn constants_of(
    table: &Table,
    fits: &dyn Fn(&str) -> bool,
    wanted: &dyn Fn(&ValueItem) -> bool,
) -> Vec<Item> {
    let mut out = Vec::new();
    table.each_constant(&mut |c| {
        if fits(&c.name) {
            let item = Item::constant(table, c.clone());
            if wanted(&item) {
                out.push(Item::Constant(item));
            }
        }
        out.len() <= MAX_ROWS
    });
    out
}

pub(super) fn matcher(pattern: &str) -> impl Fn(&str) -> bool + '_ {
    move |name: &str| wildcard_match(pattern, name)
}
