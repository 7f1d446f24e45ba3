//! `!api`: a function, interface, method, structure, enumeration or constant by its name.

use super::item::Item;
use super::pattern::{Found, arch, check, constants, is_pattern, matcher, names, nothing, plain};
use crate::command::{Command, CommandError, Completes, Invocation};
use crate::doc::Sink;
use crate::session::Session;
use dumpscope_win32::{Arch, Table, table};

pub(crate) const API: Command = Command {
    name: "!api",
    group: "types",
    syntax: "!api name | pattern",
    summary: "Shows what the Win32 table knows of a name",
    help: "The table is Microsoft's metadata of Windows' functions, COM interfaces, structures, enumerations and constants; \
           it needs no symbols. A function is shown with its parameters, an interface with its methods in the order of its \
           table of functions, a structure with its offsets on the current machine. `Interface::Method` shows one method. A \
           pattern with `*` or `?` lists names.",
    examples: &[
        ("!api CreateFileW", "A function's parameters"),
        ("!api IWbemServices::ExecQuery", "A method's parameters"),
        ("!api GENERIC_READ", "A constant"),
        ("!api WaitFor*", "Names that begin so"),
    ],
    completes: Completes::Win32,
    run,
    ..Command::BASE
};

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let Some(word) = args.word() else {
        return Err(CommandError::message("!api needs a name or a pattern."));
    };
    args.end()?;
    let table = table();
    let name = plain(word);
    if is_pattern(name) {
        check(name)?;
        let fits = matcher(name);
        let mut items = names(table, &fits);
        items.extend(constants(table, &fits));
        if items.is_empty() {
            return Err(nothing(word));
        }
        return session.emit(sink, &Found::new(items));
    }
    let items = known(name, arch(session));
    if items.is_empty() {
        return Err(nothing(word));
    }
    session.emit(sink, &Found::new(items))
}

/// What the table knows of a name: as it is, else its other forms, else in any letter case.
fn known(name: &str, machine: Arch) -> Vec<Item> {
    let table = table();
    let mut items = exact(table, name, machine);
    if items.is_empty() {
        // Both forms of a function that takes text, and the other name of a system call.
        let other = name.strip_prefix("Zw").map(|rest| format!("Nt{rest}"));
        let forms = [format!("{name}W"), format!("{name}A")].into_iter().chain(other);
        items = forms.flat_map(|n| exact(table, &n, machine)).collect();
    }
    if items.is_empty() {
        // A structure's other names, and those of pointers to it.
        let pointed = ["LPC", "PC", "LP", "P"].iter().find_map(|p| {
            let ids = table.types_of_headers(name.strip_prefix(p)?, machine);
            (!ids.is_empty()).then_some(ids)
        });
        let own = table.types_of_headers(name, machine);
        let ids = if own.is_empty() { pointed.unwrap_or_default() } else { own };
        let fits = ids.into_iter().filter(|id| table.for_arch(*id, machine) == *id);
        items = fits.filter_map(|id| Item::of_type(table, id, machine)).collect();
    }
    if items.is_empty() {
        let mut found = names(table, &|n| n.eq_ignore_ascii_case(name));
        found.extend(constants(table, &|n| n.eq_ignore_ascii_case(name)));
        let mut all: Vec<&str> = found
            .iter()
            .filter_map(|item| match item {
                Item::Name { name, .. } => Some(name.as_str()),
                Item::Constant(c) => Some(c.name.as_str()),
                _ => None,
            })
            .collect();
        all.sort_unstable();
        all.dedup();
        items = all.into_iter().flat_map(|n| exact(table, n, machine)).collect();
    }
    items
}

/// The lines about a name for `.hh`; `None`: the table does not know it.
pub(crate) fn about(session: &Session, name: &str) -> Option<Found> {
    let items = if is_pattern(name) { Vec::new() } else { known(plain(name), arch(session)) };
    (!items.is_empty()).then(|| Found::new(items))
}

/// All that has this very name.
fn exact(table: &Table, name: &str, machine: Arch) -> Vec<Item> {
    if let Some((interface, method)) = name.split_once("::") {
        return self::method(table, interface, method);
    }
    let mut items: Vec<Item> = table.functions(name).iter().map(|f| Item::function(table, f)).collect();
    for id in table.types_named(name) {
        let fitting = table.for_arch(id, machine);
        if fitting == id {
            items.extend(Item::of_type(table, id, machine));
        }
    }
    items.extend(table.constants(name).into_iter().map(|c| Item::Constant(Item::constant(table, c))));
    items
}

fn method(table: &Table, interface: &str, name: &str) -> Vec<Item> {
    let mut out = Vec::new();
    for id in table.types_named(interface) {
        for (number, (of, m)) in table.methods(id).into_iter().enumerate() {
            if m.name.eq_ignore_ascii_case(name) {
                out.push(Item::Method {
                    name: format!("{of}::{}", m.name),
                    namespace: table.namespace_of(id).unwrap_or_default().to_owned(),
                    number,
                    returns: table.type_text(&m.signature.ret),
                    parameters: super::item::Parameter::all(table, &m.signature.params),
                });
            }
        }
    }
    out
}
