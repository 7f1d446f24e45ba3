//! `!dlls`: modules as the loader knows them.

use super::address;
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::commands::missing;
use crate::doc::{Answer, Line, RenderCx, Role, Sink, Span};
use crate::fmt::Hex;
use crate::session::Session;
use dumpscope_core::Va;
use dumpscope_core::base::text::escape;
use dumpscope_core::model::{LdrEntry, LoaderData};
use serde::Serialize;

pub(crate) const DLLS: Command = Command {
    name: "!dlls",
    group: "modules",
    syntax: "!dlls [-i | -l | -m] [-c address] [entry | base]",
    summary: "Shows the loader's entry of each module",
    help: "In load order (`-l`, the default), memory order (`-m`) or initialization order (`-i`). `-c` shows the module that \
           holds an address; an entry's address or a base shows that one.",
    examples: &[
        ("!dlls", "All modules, in load order"),
        ("!dlls -i", "In the order in which their DllMain ran"),
        ("!dlls -c @$ip", "The module that holds the instruction pointer"),
    ],
    needs: &[Needs::Memory],
    run,
    ..Command::BASE
};

const FLAGS: &[(u32, &str)] = &[
    (0x2, "LDRP_STATIC_LINK"),
    (0x4, "LDRP_IMAGE_DLL"),
    (0x1000, "LDRP_LOAD_IN_PROGRESS"),
    (0x2000, "LDRP_UNLOAD_IN_PROGRESS"),
    (0x4000, "LDRP_ENTRY_PROCESSED"),
    (0x8000, "LDRP_ENTRY_INSERTED"),
    (0x1_0000, "LDRP_CURRENT_LOAD"),
    (0x4_0000, "LDRP_DONT_CALL_FOR_THREADS"),
    (0x8_0000, "LDRP_PROCESS_ATTACH_CALLED"),
    (0x10_0000, "LDRP_PROCESS_ATTACH_FAILED"),
    (0x20_0000, "LDRP_IMAGE_NOT_AT_BASE"),
    (0x40_0000, "LDRP_COR_IMAGE"),
    (0x80_0000, "LDRP_COR_OWNS_UNMAP"),
    (0x1000_0000, "LDRP_REDIRECTED"),
];

#[derive(Clone, Debug, PartialEq, Serialize)]
struct DllRow {
    entry: Hex,
    path: Option<String>,
    base: Hex,
    entry_point: Hex,
    size: u32,
    flags: Option<Hex>,
    flag_names: Vec<&'static str>,
    tls_index: Option<u16>,
    load_count: Option<u32>,
    timestamp: Option<Hex>,
    /// `LDR_DDAG_STATE`, Windows 8 and later.
    ddag_state: Option<i32>,
}

impl DllRow {
    fn new(e: &LdrEntry) -> DllRow {
        let flags = e.flags.unwrap_or(0);
        DllRow {
            entry: e.address.into(),
            path: e.full_name.as_deref().map(|n| escape(n).into_owned()),
            base: e.base.into(),
            entry_point: e.entry_point.into(),
            size: e.size,
            flags: e.flags.map(Hex::from),
            flag_names: FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|&(_, n)| n).collect(),
            tls_index: e.tls_index,
            load_count: e.ddag_load_count.or(e.load_count.map(u32::from)),
            timestamp: e.timestamp.map(Hex::from),
            ddag_state: e.ddag_state,
        }
    }

    fn lines(&self, wide: bool, emit: &mut dyn FnMut(Line)) {
        let hex = |n: u64, digits: usize| format!("0x{n:0digits$x}");
        let digits = if wide { 16 } else { 8 };
        let path = self.path.as_deref().unwrap_or("< Name not readable >");
        emit(
            Line::plain("0x")
                .span(address(Some(Va(self.entry.0)), wide))
                .text(": ")
                .span(Span::untrusted(Role::Text, path)),
        );
        emit(Line::plain(format!(
            "      Base   {}  EntryPoint  {}  Size        {}",
            hex(self.base.0, digits),
            hex(self.entry_point.0, digits),
            hex(self.size.into(), 8)
        )));
        emit(Line::plain(format!(
            "      Flags  {}  TlsIndex    {}  LoadCount   {}",
            hex(self.flags.unwrap_or_default().0, 8),
            hex(self.tls_index.unwrap_or(0).into(), 8),
            hex(self.load_count.unwrap_or(0).into(), 8)
        )));
        for name in &self.flag_names {
            emit(Line::plain(format!("             {name}")));
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct DllsReport {
    modules: Vec<DllRow>,
    warnings: Vec<String>,
    #[serde(skip)]
    containing: Option<Va>,
    #[serde(skip)]
    wide: bool,
}

impl Answer for DllsReport {
    const KIND: &'static str = "loader_modules";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        if let Some(at) = self.containing {
            emit(Line::plain(format!("Dump dll containing {:#x}:", at.0)));
            emit(Line::new());
        }
        for (i, row) in self.modules.iter().enumerate() {
            if i > 0 {
                emit(Line::new());
            }
            row.lines(self.wide, emit);
        }
        for warning in &self.warnings {
            emit(Line::new().role(Role::Note, "note: ").span(Span::untrusted(Role::Note, warning)));
        }
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let mut order = 'l';
    let mut containing = None;
    loop {
        let at = args.pos();
        match args.switch() {
            Some("i") => order = 'i',
            Some("l") => order = 'l',
            Some("m") => order = 'm',
            Some("c") => containing = Some(args.address(session)?),
            // Headers, sections, version: `!dh` and `lmv` show them.
            Some("f" | "s" | "a" | "v") => {}
            Some(_) => return Err(CommandError::caret(at, "Syntax error")),
            None => break,
        }
    }
    let one = args.opt_address(session)?;
    args.end()?;
    let machine = session.sel.machine;
    let Some(ldr) = session.dump().loader(machine) else {
        return Err(missing::process_data("Unable to read the loader's module list (PEB.Ldr)"));
    };
    let entries = in_order(&ldr, order);
    let holds = |e: &&LdrEntry, va: Va| va.distance_from(e.base).is_some_and(|d| d < u64::from(e.size));
    let chosen: Vec<DllRow> = entries
        .into_iter()
        .filter(|e| containing.is_none_or(|va| holds(e, va)))
        .filter(|e| one.is_none_or(|va| e.address == va || e.base == va))
        .map(DllRow::new)
        .collect();
    if chosen.is_empty() && (containing.is_some() || one.is_some()) {
        let at = containing.or(one).unwrap_or_default();
        return Err(CommandError::message(format!("No DLL found at {:#x}", at.0)));
    }
    let warnings = ldr.warnings.iter().map(|w| escape(w).into_owned()).collect();
    session.emit(sink, &DllsReport { modules: chosen, warnings, containing, wide: machine.is_64() })
}

fn in_order(ldr: &LoaderData, order: char) -> Vec<&LdrEntry> {
    match order {
        'i' => ldr.init_order.iter().filter_map(|&i| ldr.entries.get(i)).collect(),
        'm' => ldr.memory_order.iter().filter_map(|&i| ldr.entries.get(i)).collect(),
        _ => ldr.entries.iter().collect(),
    }
}
