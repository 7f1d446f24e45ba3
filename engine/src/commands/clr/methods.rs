//! `!dumpmd`, `!ip2md`, `!name2ee`: methods, and what has a name.

use super::{clr, dotnet, needed, safe};
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, Link, RenderCx, Role, Sink, Span};
use crate::fmt::Hex;
use crate::session::Session;
use dumpscope_core::Va;
use dumpscope_runtimes::Reader;
use dumpscope_runtimes::clr::{ClrMethodInfo, Jitted, Named};
use serde::Serialize;
use std::sync::Arc;

pub(crate) const DUMPMD: Command = Command {
    name: "!dumpmd",
    group: "dotnet",
    syntax: "!dumpmd MD",
    summary: "Shows a .NET method by its record (MethodDesc)",
    help: "`!dumpmt -md` lists such records, `!name2ee` finds them by name, `!ip2md` by an address in the code. All bodies of code that \
           are kept are shown with the tier that made them.",
    examples: &[("!dumpmd 681bafd8", "The method")],
    needs: &[Needs::Memory],
    run: run_method,
    ..Command::BASE
};

pub(crate) const IP2MD: Command = Command {
    name: "!ip2md",
    group: "dotnet",
    syntax: "!ip2md address",
    summary: "Shows the .NET method whose code holds an address",
    help: "Works for code that was made when it first ran and for code made ahead of time, and for the stubs that lead to it.",
    examples: &[("!ip2md @$ip", "The method at the instruction pointer")],
    needs: &[Needs::Memory],
    run: run_address,
    ..Command::BASE
};

pub(crate) const NAME2EE: Command = Command {
    name: "!name2ee",
    group: "dotnet",
    syntax: "!name2ee module name",
    summary: "Finds a .NET type or method by name",
    help: "The module's file name or `*`, then the type or method with its namespace: `Lab.Program.Transfer`, `Lab.T+Nested`. Also as \
           `module!name`.",
    examples: &[("!name2ee *!System.String", "A type in any module")],
    needs: &[Needs::Memory],
    run: run_name,
    ..Command::BASE
};

#[derive(Clone, Debug, Serialize)]
struct BodyLine {
    code: Hex,
    tier: &'static str,
    version: Hex,
}

#[derive(Clone, Debug, Serialize)]
struct MethodReport {
    record: Hex,
    /// Asked for by an address.
    by_address: bool,
    name: String,
    class: Hex,
    type_record: Hex,
    token: Hex,
    module: Hex,
    jitted: bool,
    code: Hex,
    il: Hex,
    bodies: Vec<BodyLine>,
    source: Option<(String, u32)>,
}

/// A link that runs a command on a record.
fn record(at: Hex, command: &str) -> Span {
    Span::new(Role::Address, format!("{:016x}", at.0)).link(Link::Run(format!("{command} {:x}", at.0)))
}

impl Answer for MethodReport {
    const KIND: &'static str = "clr_method";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        if self.by_address {
            emit(Line::plain("MethodDesc:   ").span(record(self.record, "!dumpmd")));
        }
        emit(Line::plain("Method Name:          ").role(Role::Symbol, self.name.clone()));
        emit(Line::plain("Class:                ").span(record(self.class, "!dumpclass")));
        emit(Line::plain("MethodTable:          ").span(record(self.type_record, "!dumpmt")));
        emit(Line::plain(format!("mdToken:              {:016X}", self.token.0)));
        emit(Line::plain("Module:               ").span(record(self.module, "!dumpmodule")));
        emit(Line::plain(format!("IsJitted:             {}", if self.jitted { "yes" } else { "no" })));
        let none = Hex(u64::MAX);
        let code = if self.code.0 == 0 { none } else { self.code };
        emit(Line::plain("Current CodeAddr:     ").span(record(code, "!u")));
        emit(Line::plain("Version History:"));
        emit(Line::plain("  ILCodeVersion:      0000000000000000"));
        emit(Line::plain("  ReJIT ID:           0"));
        emit(Line::plain(format!("  IL Addr:            {:016x}", self.il.0)));
        for b in &self.bodies {
            emit(
                Line::plain("     CodeAddr:           ")
                    .span(record(b.code, "!u"))
                    .text(format!("  ({})", b.tier)),
            );
            emit(Line::plain(format!("     NativeCodeVersion:  {:016x}", b.version.0)));
        }
        if let Some((file, line)) = &self.source {
            emit(Line::plain("Source file:  ").role(Role::Source, format!("{file} @ {line}")));
        }
    }
}

fn method_report(m: &ClrMethodInfo, by_address: bool, source: Option<(String, u32)>) -> MethodReport {
    MethodReport {
        record: m.record.into(),
        by_address,
        name: safe(&m.name),
        class: m.class.into(),
        type_record: m.type_record.into(),
        token: Hex(m.token.into()),
        module: m.module.into(),
        jitted: m.jitted != Jitted::None,
        code: m.code.into(),
        il: m.il.into(),
        bodies: m
            .bodies
            .iter()
            .map(|b| BodyLine { code: b.start.into(), tier: b.tier, version: b.version.into() })
            .collect(),
        source,
    }
}

fn run_method(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut cursor = inv.cursor();
    let md = needed(session, &mut cursor, "MD")?;
    cursor.end()?;
    let reader = dotnet(session)?;
    let Some(method) = clr(&reader)?.method_info(md) else {
        return Err(CommandError::message(format!("{:016x} is not a MethodDesc", md.0)));
    };
    session.emit(sink, &method_report(&method, false, None))
}

/// File and line of an address in a method's code.
fn source(session: &Session, reader: &Arc<dyn Reader>, at: Va) -> Option<(String, u32)> {
    let mut frame = clr(reader).ok()?.frame_at(at)?;
    dumpscope_analyzers::runtimes::add_line(&session.target, reader.as_ref(), &mut frame);
    Some((safe(frame.file.as_deref()?), frame.line?))
}

fn run_address(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut cursor = inv.cursor();
    let at = needed(session, &mut cursor, "address")?;
    cursor.end()?;
    let reader = dotnet(session)?;
    let clr = clr(&reader)?;
    let Some((md, _)) = clr.method_at(at) else {
        return Err(CommandError::message(format!(
            "Failed to request MethodData, not in JIT code range.\nIP: {:016x}",
            at.0
        )));
    };
    let Some(method) = clr.method_info(md) else {
        return Err(CommandError::noted(
            format!("{:016x} is not a MethodDesc", md.0),
            "A method made at run time has no type: `!script` and `!clrstack` show its name.",
        ));
    };
    let source = source(session, &reader, at);
    session.emit(sink, &method_report(&method, true, source))
}

#[derive(Clone, Debug, Serialize)]
struct NameLine {
    /// `type` or `method`.
    kind: &'static str,
    token: Hex,
    record: Hex,
    name: String,
    code: Option<Hex>,
}

#[derive(Clone, Debug, Serialize)]
struct ModuleNames {
    module: Hex,
    assembly: String,
    names: Vec<NameLine>,
}

#[derive(Clone, Debug, Serialize)]
struct NamesReport {
    modules: Vec<ModuleNames>,
    /// Modules without the name, when all were asked.
    without: Option<usize>,
}

impl Answer for NamesReport {
    const KIND: &'static str = "clr_names";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for m in &self.modules {
            emit(Line::plain("Module:      ").span(record(m.module, "!dumpmodule")));
            emit(Line::plain(format!("Assembly:    {}", m.assembly)));
            for (i, n) in m.names.iter().enumerate() {
                if i > 0 {
                    emit(Line::plain("-----------------------"));
                }
                emit(Line::plain(format!("Token:       {:016x}", n.token.0)));
                let (title, command) = if n.kind == "type" {
                    ("MethodTable: ", "!dumpmt")
                } else {
                    ("MethodDesc:  ", "!dumpmd")
                };
                if n.record.0 == 0 {
                    let not = "<not loaded yet>";
                    emit(Line::plain(format!("{title}{not}")));
                } else {
                    emit(Line::plain(title).span(record(n.record, command)));
                }
                emit(Line::plain("Name:        ").role(Role::Symbol, n.name.clone()));
                match n.code {
                    Some(Hex(0)) => emit(Line::plain("Not JITTED yet.")),
                    Some(code) => emit(Line::plain("JITTED Code Address: ").span(record(code, "!u"))),
                    None => {}
                }
            }
            if self.without.is_some() {
                emit(Line::plain("--------------------------------------"));
            }
        }
        if let Some(n) = self.without {
            emit(Line::new());
            emit(Line::plain(format!("Scanned {n} modules which had no matches.")));
        }
    }
}

fn name_line(n: &Named) -> NameLine {
    match n {
        Named::Type(token, record, name) => NameLine {
            kind: "type",
            token: Hex((*token).into()),
            record: (*record).into(),
            name: safe(name),
            code: None,
        },
        Named::Method(token, record, name, code) => NameLine {
            kind: "method",
            token: Hex((*token).into()),
            record: (*record).into(),
            name: safe(name),
            code: Some((*code).into()),
        },
    }
}

fn run_name(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut cursor = inv.cursor();
    let Some(first) = cursor.word() else {
        return Err(CommandError::message("Required argument missing: module name."));
    };
    let (file, name) = match first.split_once('!') {
        Some((file, name)) => (file, name),
        None => match cursor.word() {
            Some(name) => (first, name),
            None => return Err(CommandError::message("Required argument missing: name.")),
        },
    };
    cursor.end()?;
    let reader = dotnet(session)?;
    let clr = clr(&reader)?;
    let any = file == "*";
    let mut modules = Vec::new();
    let mut without = 0;
    for m in clr.clr_modules() {
        let own = m.path.rsplit(['\\', '/']).next().unwrap_or_default();
        let stem = own.rsplit_once('.').map_or(own, |(stem, _)| stem);
        if !any && !own.eq_ignore_ascii_case(file) && !stem.eq_ignore_ascii_case(file) {
            continue;
        }
        let names = clr.find_name(m.record, name);
        if any && names.is_empty() {
            without += 1;
            continue;
        }
        let names = names.iter().map(name_line).collect();
        modules.push(ModuleNames { module: m.record.into(), assembly: safe(own), names });
    }
    if !any && modules.is_empty() {
        return Err(CommandError::message(format!("Module {} is not loaded", safe(file))));
    }
    session.emit(sink, &NamesReport { modules, without: any.then_some(without) })
}
