//! `!clrmodules`, `!dumpdomain`, `!dumpassembly`, `!dumpmodule`: what is loaded.

use super::{clr, dotnet, needed, safe};
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, Link, RenderCx, Role, Sink, Span};
use crate::fmt::Hex;
use crate::session::Session;
use dumpscope_runtimes::clr::ClrModule;
use serde::Serialize;

pub(crate) const CLRMODULES: Command = Command {
    name: "!clrmodules",
    group: "dotnet",
    syntax: "!clrmodules",
    summary: "Lists the modules of the .NET runtime",
    help: "Base, bytes and file of each module with managed code, in the order in which they were loaded.",
    examples: &[("!clrmodules", "All modules")],
    needs: &[Needs::Memory],
    run: run_modules,
    ..Command::BASE
};

pub(crate) const DUMPDOMAIN: Command = Command {
    name: "!dumpdomain",
    group: "dotnet",
    syntax: "!dumpdomain",
    summary: "Shows the .NET application domain with its assemblies and modules",
    help: "Each assembly's record with its modules. The domain's own heaps are not shown.",
    examples: &[("!dumpdomain", "The domain")],
    needs: &[Needs::Memory],
    run: run_domain,
    ..Command::BASE
};

pub(crate) const DUMPASSEMBLY: Command = Command {
    name: "!dumpassembly",
    group: "dotnet",
    syntax: "!dumpassembly address",
    summary: "Shows a .NET assembly by its record",
    help: "`!dumpdomain` lists the records.",
    examples: &[("!dumpassembly 115e430", "The assembly")],
    needs: &[Needs::Memory],
    run: run_assembly,
    ..Command::BASE
};

pub(crate) const DUMPMODULE: Command = Command {
    name: "!dumpmodule",
    group: "dotnet",
    syntax: "!dumpmodule address",
    summary: "Shows a .NET module by its record",
    help: "`!dumpdomain`, `!dumpmt` and `!name2ee` show such records.",
    examples: &[("!dumpmodule 681b8b20", "The module")],
    needs: &[Needs::Memory],
    run: run_module,
    ..Command::BASE
};

#[derive(Clone, Debug, Serialize)]
struct ModuleLine {
    record: Hex,
    assembly: Hex,
    base: Hex,
    size: u64,
    metadata: Hex,
    path: String,
    name: String,
}

fn line(m: &ClrModule) -> ModuleLine {
    ModuleLine {
        record: m.record.into(),
        assembly: m.assembly.into(),
        base: m.base.into(),
        size: m.size,
        metadata: m.metadata.into(),
        path: safe(&m.path),
        name: safe(&m.name),
    }
}

fn record(at: Hex, command: &str) -> Span {
    Span::new(Role::Address, format!("{:016x}", at.0)).link(Link::Run(format!("{command} {:x}", at.0)))
}

#[derive(Clone, Debug, Serialize)]
struct ModulesReport {
    modules: Vec<ModuleLine>,
}

impl Answer for ModulesReport {
    const KIND: &'static str = "clr_modules";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for m in &self.modules {
            emit(Line::plain(format!("{:016X} {:08X} {}", m.base.0, m.size, m.path)));
        }
    }
}

#[derive(Clone, Debug, Serialize)]
struct DomainReport {
    domain: Hex,
    modules: Vec<ModuleLine>,
}

fn assembly(m: &ModuleLine, emit: &mut dyn FnMut(Line)) {
    emit(
        Line::plain("Assembly:           ")
            .span(record(m.assembly, "!dumpassembly"))
            .text(format!(" [{}]", m.path)),
    );
    emit(Line::plain("  Module"));
    emit(Line::plain("  ").span(record(m.record, "!dumpmodule")).text(format!("    {}", m.path)));
    emit(Line::new());
}

impl Answer for DomainReport {
    const KIND: &'static str = "clr_domain";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::plain("--------------------------------------"));
        emit(Line::plain(format!("Domain 1:           {:016x}", self.domain.0)));
        self.modules.iter().for_each(|m| assembly(m, emit));
    }
}

#[derive(Clone, Debug, Serialize)]
struct AssemblyReport {
    assembly: Hex,
    name: String,
    modules: Vec<ModuleLine>,
}

impl Answer for AssemblyReport {
    const KIND: &'static str = "clr_assembly";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::plain(format!("Name:               {}", self.name)));
        self.modules.iter().for_each(|m| assembly(m, emit));
    }
}

#[derive(Clone, Debug, Serialize)]
struct ModuleReport {
    module: ModuleLine,
}

impl Answer for ModuleReport {
    const KIND: &'static str = "clr_module";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let m = &self.module;
        emit(Line::plain("Name:                    ").role(Role::Symbol, m.path.clone()));
        emit(Line::plain("Assembly:                ").span(record(m.assembly, "!dumpassembly")));
        emit(Line::plain(format!("BaseAddress:             {:016X}", m.base.0)));
        emit(Line::plain(format!("Size:                    {:X} bytes", m.size)));
        emit(Line::plain(format!("MetaData start address:  {:016X}", m.metadata.0)));
    }
}

fn modules(session: &Session) -> Result<Vec<ModuleLine>, CommandError> {
    let reader = dotnet(session)?;
    let all: Vec<_> = clr(&reader)?.clr_modules().iter().map(line).collect();
    if all.is_empty() {
        return Err(CommandError::noted(
            "The list of assemblies cannot be read.",
            "It is not in the dump, or this build has another layout.",
        ));
    }
    Ok(all)
}

fn run_modules(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    inv.cursor().end()?;
    let modules = modules(session)?;
    session.emit(sink, &ModulesReport { modules })
}

fn run_domain(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    inv.cursor().end()?;
    let modules = modules(session)?;
    let reader = dotnet(session)?;
    let domain = clr(&reader)?.clr_threads().rows.first().map_or(Hex(0), |t| t.domain.into());
    session.emit(sink, &DomainReport { domain, modules })
}

fn run_assembly(
    session: &mut Session,
    inv: &Invocation<'_>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let mut cursor = inv.cursor();
    let at = needed(session, &mut cursor, "address")?;
    cursor.end()?;
    let modules: Vec<_> = modules(session)?.into_iter().filter(|m| m.assembly.0 == at.0).collect();
    let Some(name) = modules.first().map(|m| m.name.clone()) else {
        return Err(CommandError::message(format!("{:016x} is not an Assembly", at.0)));
    };
    session.emit(sink, &AssemblyReport { assembly: at.into(), name, modules })
}

fn run_module(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut cursor = inv.cursor();
    let at = needed(session, &mut cursor, "address")?;
    cursor.end()?;
    let Some(module) = modules(session)?.into_iter().find(|m| m.record.0 == at.0) else {
        return Err(CommandError::message(format!("{:016x} is not a Module", at.0)));
    };
    session.emit(sink, &ModuleReport { module })
}
