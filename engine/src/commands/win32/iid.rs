//! `!iid`: an interface or class by its GUID or its name.

use super::item::Item;
use super::pattern::{Found, arch, check, is_pattern, matcher, nothing, plain};
use crate::command::{Command, CommandError, Completes, Invocation};
use crate::doc::Sink;
use crate::session::Session;
use dumpscope_core::base::Guid;
use dumpscope_win32::{TypeKind, table};

pub(crate) const IID: Command = Command {
    name: "!iid",
    group: "types",
    syntax: "!iid guid | name | pattern",
    summary: "Shows a COM interface or class by its GUID or name",
    help: "An interface is shown with its IID and all its methods in the order of its table of functions, those of its bases \
           first: the number in front is the one that COM calls are told with. A pattern with `*` lists interfaces.",
    examples: &[
        ("!iid {9556dc99-828c-11cf-a37e-00aa003240c7}", "By its GUID"),
        ("!iid IWbemServices", "By its name"),
        ("!iid IEnumWbem*", "Interfaces whose names begin so"),
    ],
    completes: Completes::Win32,
    run,
    ..Command::BASE
};

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let Some(word) = args.word() else { return Err(CommandError::message("!iid needs a GUID or a name.")) };
    args.end()?;
    let table = table();
    let machine = arch(session);
    let is_com = |kind| matches!(kind, TypeKind::Interface | TypeKind::Class);
    if let Some(guid) = Guid::parse(word) {
        let found = table.type_with_guid(&guid.to_bytes()).and_then(|id| Item::of_type(table, id, machine));
        if let Some(item) = found {
            return session.emit(sink, &Found::new(vec![item]));
        }
        let text = format!("The Win32 table has no interface or class {{{guid}}}.");
        return Err(match session.target.hints().guid_name(&guid) {
            Some(name) => CommandError::noted(text, format!("It is {name}.")),
            None => CommandError::message(text),
        });
    }
    let name = plain(word);
    let mut items: Vec<Item> = Vec::new();
    if is_pattern(name) {
        check(name)?;
        let fits = matcher(name);
        let mut names = Vec::new();
        table.each_type(&mut |_, info| {
            if is_com(info.kind) && fits(&info.name) {
                names.push((info.name.clone(), info.kind.word()));
            }
            true
        });
        names.sort_unstable();
        items.extend(names.into_iter().map(|(name, is)| Item::Name { name, is }));
    } else {
        let mut ids = table.types_of_headers(name, machine);
        if ids.is_empty() {
            table.each_type(&mut |id, info| {
                if is_com(info.kind) && info.name.eq_ignore_ascii_case(name) {
                    ids.push(id);
                }
                true
            });
        }
        ids.retain(|id| table.type_info(*id).is_some_and(|i| is_com(i.kind)));
        items.extend(ids.into_iter().filter_map(|id| Item::of_type(table, id, machine)));
    }
    if items.is_empty() {
        return Err(nothing(word));
    }
    session.emit(sink, &Found::new(items))
}
