//! `!peb`.

use super::{address, views};
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::commands::missing;
use crate::doc::{Answer, Line, RenderCx, Role, Sink, Span};
use crate::fmt::{self, Hex};
use crate::session::Session;
use dumpscope_core::base::text::escape;
use dumpscope_core::model::{LoaderData, Peb, ProcessParameters};
use dumpscope_core::{Machine, Va};
use serde::Serialize;

pub(crate) const PEB: Command = Command {
    name: "!peb",
    group: "process",
    syntax: "!peb [address]",
    summary: "Shows the process environment block: modules, command line, environment",
    help: "A 32-bit process in a 64-bit dump has two: both are shown. With an address the PEB there is shown.",
    examples: &[("!peb", "Command line, modules as the loader knows them, environment")],
    needs: &[Needs::Memory],
    run,
    ..Command::BASE
};

/// A module of the loader's list.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct LoadedRow {
    base: Hex,
    timestamp: Option<Hex>,
    path: Option<String>,
}

/// A PEB as JSON; what is not in the dump is null.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct PebBlock {
    machine: &'static str,
    address: Hex,
    inherited_address_space: Option<bool>,
    read_image_file_exec_options: Option<bool>,
    being_debugged: Option<bool>,
    image_base: Option<Hex>,
    nt_global_flag: Option<Hex>,
    nt_global_flag2: Option<Hex>,
    ldr: Option<Hex>,
    ldr_initialized: Option<bool>,
    /// First and last link of the load, memory and initialization order lists.
    ldr_lists: Option<[Option<(Hex, Hex)>; 3]>,
    modules: Option<Vec<LoadedRow>>,
    sub_system_data: Option<Hex>,
    process_heap: Option<Hex>,
    process_parameters: Option<Hex>,
    current_directory: Option<String>,
    window_title: Option<String>,
    image_file: Option<String>,
    command_line: Option<String>,
    dll_path: Option<String>,
    environment_address: Option<Hex>,
    environment: Option<Vec<String>>,
    warnings: Vec<String>,
    #[serde(skip)]
    title: &'static str,
    #[serde(skip)]
    wide: bool,
}

impl PebBlock {
    fn new(
        title: &'static str,
        peb: &Peb,
        ldr: Option<&LoaderData>,
        params: Option<&ProcessParameters>,
    ) -> PebBlock {
        let hex = |va: Option<Va>| va.map(Hex::from);
        let text = |s: &Option<String>| s.as_deref().map(|s| escape(s).into_owned());
        let mut out = PebBlock {
            machine: peb.machine.json_name(),
            address: peb.address.into(),
            inherited_address_space: peb.inherited_address_space,
            read_image_file_exec_options: peb.read_image_file_exec_options,
            being_debugged: peb.being_debugged,
            image_base: hex(peb.image_base),
            nt_global_flag: peb.nt_global_flag.map(Hex::from),
            nt_global_flag2: peb.nt_global_flag2.map(Hex::from),
            ldr: hex(peb.ldr),
            sub_system_data: hex(peb.sub_system_data),
            process_heap: hex(peb.process_heap),
            process_parameters: hex(peb.process_parameters),
            title,
            wide: peb.machine.is_64(),
            ..PebBlock::default()
        };
        if let Some(ldr) = ldr {
            out.ldr_initialized = ldr.initialized;
            out.ldr_lists = Some(ldr.heads.map(|h| h.map(|(a, b)| (a.into(), b.into()))));
            // WinDbg lists memory order.
            let in_order = ldr.memory_order.iter().filter_map(|&i| ldr.entries.get(i));
            let row = |e: &dumpscope_core::model::LdrEntry| LoadedRow {
                base: e.base.into(),
                timestamp: e.timestamp.map(Hex::from),
                path: text(&e.full_name),
            };
            out.modules = Some(in_order.map(row).collect());
            out.warnings = ldr.warnings.iter().map(|w| escape(w).into_owned()).collect();
        }
        if let Some(p) = params {
            out.current_directory = text(&p.current_directory);
            out.window_title = text(&p.window_title);
            out.image_file = text(&p.image_path);
            out.command_line = text(&p.command_line);
            out.dll_path = text(&p.dll_path);
            out.environment_address = Some(p.environment_address.into());
            out.environment = Some(p.environment.iter().map(|e| escape(e).into_owned()).collect());
        }
        out
    }

    fn lines(&self, emit: &mut dyn FnMut(Line)) {
        let addr = |value: Option<Hex>| address(value.map(|v| Va(v.0)), self.wide);
        let line =
            |label: &str, value: Span| Line::new().role(Role::Label, format!("    {label}")).span(value);
        let yes_no =
            |b: Option<bool>| Span::new(Role::Value, b.map_or("????????", |b| if b { "Yes" } else { "No" }));
        let hex = |h: Option<Hex>| {
            Span::new(Role::Value, h.map_or_else(|| "????????".into(), |h| format!("{:x}", h.0)))
        };
        emit(Line::plain(format!("{} at ", self.title)).span(addr(Some(self.address))));
        emit(line("InheritedAddressSpace:    ", yes_no(self.inherited_address_space)));
        emit(line("ReadImageFileExecOptions: ", yes_no(self.read_image_file_exec_options)));
        emit(line("BeingDebugged:            ", yes_no(self.being_debugged)));
        emit(line("ImageBaseAddress:         ", addr(self.image_base)));
        emit(line("NtGlobalFlag:             ", hex(self.nt_global_flag)));
        if self.nt_global_flag2.is_some() {
            emit(line("NtGlobalFlag2:            ", hex(self.nt_global_flag2)));
        }
        emit(line("Ldr                       ", addr(self.ldr)));
        self.modules(emit);
        emit(line("SubSystemData:     ", addr(self.sub_system_data)));
        emit(line("ProcessHeap:       ", addr(self.process_heap)));
        emit(line("ProcessParameters: ", addr(self.process_parameters)));
        let quoted = |label: &str, value: &Option<String>| {
            let value = value.as_deref().unwrap_or("< Name not readable >");
            Line::new()
                .role(Role::Label, format!("    {label}'"))
                .span(Span::untrusted(Role::Text, value))
                .text("'")
        };
        emit(quoted("CurrentDirectory:  ", &self.current_directory));
        emit(quoted("WindowTitle:  ", &self.window_title));
        emit(quoted("ImageFile:    ", &self.image_file));
        emit(quoted("CommandLine:  ", &self.command_line));
        emit(quoted("DllPath:      ", &self.dll_path));
        emit(line("Environment:  ", addr(self.environment_address)));
        for variable in self.environment.iter().flatten() {
            emit(Line::plain("        ").span(Span::untrusted(Role::Text, variable)));
        }
        for warning in &self.warnings {
            emit(Line::new().role(Role::Note, "note: ").span(Span::untrusted(Role::Note, warning)));
        }
    }

    fn modules(&self, emit: &mut dyn FnMut(Line)) {
        let Some(lists) = self.ldr_lists else {
            emit(Line::new().role(Role::Error, "    *** unable to read Ldr table"));
            return;
        };
        let initialized = if self.ldr_initialized == Some(true) { "Yes" } else { "No" };
        emit(Line::plain(format!("    Ldr.Initialized:          {initialized}")));
        let [load, memory, init] = lists;
        let lists = [
            ("    Ldr.InInitializationOrderModuleList: ", init),
            ("    Ldr.InLoadOrderModuleList:           ", load),
            ("    Ldr.InMemoryOrderModuleList:         ", memory),
        ];
        for (label, ends) in lists {
            let mut line = Line::new().role(Role::Label, label);
            let (first, last) = ends.map_or((None, None), |(a, b)| (Some(Va(a.0)), Some(Va(b.0))));
            line = line.span(address(first, self.wide)).text(" . ").span(address(last, self.wide));
            emit(line);
        }
        let width = if self.wide { 24 } else { 16 };
        emit(
            Line::new()
                .role(Role::Heading, format!("{:>width$} TimeStamp                     Module", "Base")),
        );
        for row in self.modules.iter().flatten() {
            let stamp = row.timestamp.map_or(0, |t| (t.0 & 0xffff_ffff) as u32);
            // `Thu Oct 18 04:03:41 2084` without the day's name.
            let time = fmt::time_stamp(stamp);
            let time = time.split_once(' ').map_or("", |(_, t)| t);
            let base = Va(row.base.0);
            let pad = width.saturating_sub(format!("{:x}", base.0).len());
            emit(
                Line::plain(" ".repeat(pad))
                    .span(
                        Span::new(Role::Address, format!("{:x}", base.0)).link(crate::doc::Link::Goto(base)),
                    )
                    .text(format!(" {stamp:08x} {time} "))
                    .span(Span::untrusted(
                        Role::Text,
                        row.path.as_deref().unwrap_or("< Name not readable >"),
                    )),
            );
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct PebReport {
    blocks: Vec<PebBlock>,
}

impl Answer for PebReport {
    const KIND: &'static str = "peb";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for (i, block) in self.blocks.iter().enumerate() {
            if i > 0 {
                emit(Line::new());
            }
            block.lines(emit);
        }
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let given = args.opt_address(session)?;
    args.end()?;
    let dump = session.dump();
    let memory = dump.memory().as_ref();
    let build = dump.system().value().map_or(0, |s| s.build);
    let at = |address: Va, machine: Machine, title: &'static str| {
        let peb = Peb::read(memory, address, machine, build);
        peb.image_base?;
        let readable = |va: Option<Va>| va.filter(|va| !va.is_null());
        let ldr = readable(peb.ldr).map(|a| LoaderData::read(memory, a, machine, dump.os_version()));
        let ldr = ldr.filter(|l| l.initialized.is_some());
        let params =
            readable(peb.process_parameters).and_then(|a| ProcessParameters::read(memory, a, machine));
        Some(PebBlock::new(title, &peb, ldr.as_ref(), params.as_ref()))
    };
    let blocks: Vec<PebBlock> = match given {
        Some(address) => at(address, session.sel.machine, "PEB").into_iter().collect(),
        None => {
            let title = |m: Machine| match (dump.is_wow64(), m) {
                (true, Machine::X86) => "Wow64 PEB32",
                (true, _) => "Wow64 PEB",
                (false, _) => "PEB",
            };
            views(session).into_iter().filter_map(|m| at(dump.peb(m)?, m, title(m))).collect()
        }
    };
    if blocks.is_empty() {
        let wide = session.render_cx().wide;
        let Some(address) = given.or_else(|| dump.peb(dump.machine())) else {
            return Err(missing::process_data(
                "error 3 InitTypeRead( nt!_PEB ): its address stands in the TEBs, which are not in the dump",
            ));
        };
        let at = fmt::addr_plain(address, wide);
        return Err(missing::process_data(format!("error 3 InitTypeRead( nt!_PEB at {at})")));
    }
    session.emit(sink, &PebReport { blocks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_of_the_reference() {
        let block = PebBlock {
            machine: "x64",
            address: Hex(0x79_616d_b000),
            being_debugged: Some(false),
            inherited_address_space: Some(false),
            read_image_file_exec_options: Some(false),
            image_base: Some(Hex(0x7ff7_f0d4_0000)),
            nt_global_flag: Some(Hex(0)),
            ldr: Some(Hex(0x7ffb_1be1_c4c0)),
            ldr_initialized: Some(true),
            ldr_lists: Some([Some((Hex(1), Hex(2))), None, Some((Hex(5), Hex(6)))]),
            modules: Some(vec![LoadedRow {
                base: Hex(0x7ff7_f0d4_0000),
                timestamp: Some(Hex(0xd7ee_190d)),
                path: Some(r"C:\Windows\system32\cmd.exe".into()),
            }]),
            command_line: Some("\"cmd.exe\" /c x".into()),
            environment: Some(vec!["A=b\u{1b}".into()]),
            title: "PEB",
            wide: true,
            ..PebBlock::default()
        };
        let mut out = vec![];
        block.lines(&mut |l| out.push(l.to_text()));
        let text = out.join("\n");
        assert!(text.starts_with("PEB at 00000079616db000\n    InheritedAddressSpace:    No\n"));
        assert!(text.contains(
            "    Ldr.InInitializationOrderModuleList: 0000000000000005 . 0000000000000006\n    \
             Ldr.InLoadOrderModuleList:           0000000000000001 . 0000000000000002\n"
        ));
        assert!(text.contains(
            "                    Base TimeStamp                     Module\n            7ff7f0d40000 d7ee190d Oct 18 "
        ));
        assert!(
            text.contains(
                "    CommandLine:  '\"cmd.exe\" /c x'\n    DllPath:      '< Name not readable >'\n"
            )
        );
        assert!(text.ends_with("        A=b\\x1b"));
    }
}
