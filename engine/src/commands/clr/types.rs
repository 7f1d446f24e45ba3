//! `!dumpmt`, `!dumpclass`: types.

use super::objects::{FieldLine, field_line, fields};
use super::{clr, dotnet, needed, safe};
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, Link, RenderCx, Role, Sink, Span};
use crate::fmt::Hex;
use crate::session::Session;
use dumpscope_core::Va;
use dumpscope_runtimes::clr::{ClrTypeInfo, Jitted, MethodRow};
use serde::Serialize;

pub(crate) const DUMPMT: Command = Command {
    name: "!dumpmt",
    group: "dotnet",
    syntax: "!dumpmt [-md] MT",
    summary: "Shows a .NET type by its record (MethodTable)",
    help: "The column MT of `!dumpheap` and `!do` has such records, `!name2ee` finds them by name. `-md`: also its methods, with how \
           their code was made: `JIT`, `PreJIT` (ahead of time), `NONE` (not yet).",
    examples: &[("!dumpmt 68246128", "The type"), ("!dumpmt -md 68246128", "With its methods")],
    needs: &[Needs::Memory],
    run: run_type,
    ..Command::BASE
};

pub(crate) const DUMPCLASS: Command = Command {
    name: "!dumpclass",
    group: "dotnet",
    syntax: "!dumpclass MT",
    summary: "Shows a .NET type's fields, with values of static ones",
    help: "Takes the type's record (MethodTable). Static fields of .NET 8, and those of threads, have no value here.",
    examples: &[("!dumpclass 68246128", "Fields of the type")],
    needs: &[Needs::Memory],
    run: run_class,
    ..Command::BASE
};

#[derive(Clone, Debug, Serialize)]
struct MethodLine {
    entry: Hex,
    record: Hex,
    jitted: &'static str,
    slot: u64,
    name: String,
}

#[derive(Clone, Debug, Serialize)]
struct TypeReport {
    record: Hex,
    parent: Hex,
    module: Hex,
    name: String,
    token: Hex,
    file: String,
    /// The object of its load context; null for the default one without an object.
    load_context: Option<Hex>,
    base_size: u64,
    element_size: u64,
    has_pointers: bool,
    method_count: u64,
    interfaces: u64,
    methods: Option<Vec<MethodLine>>,
}

/// A link that runs a command on a record.
fn record(text: String, command: &str, at: u64) -> Span {
    Span::new(Role::Address, text).link(Link::Run(format!("{command} {at:x}")))
}

impl Answer for TypeReport {
    const KIND: &'static str = "clr_type";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::plain("Parent:              ").span(record(
            format!("{:016x}", self.parent.0),
            "!dumpmt",
            self.parent.0,
        )));
        emit(Line::plain(format!("Module:              {:016X}", self.module.0)));
        emit(Line::plain("Name:                ").role(Role::Symbol, self.name.clone()));
        emit(Line::plain(format!("mdToken:             {:016X}", self.token.0)));
        emit(Line::plain(format!("File:                {}", self.file)));
        match self.load_context {
            Some(Hex(0)) => emit(Line::plain(
                "AssemblyLoadContext: Default ALC - The managed instance of this context doesn't exist yet.",
            )),
            Some(at) => emit(Line::plain(format!("AssemblyLoadContext: {:016x}", at.0))),
            None => {}
        }
        emit(Line::plain(format!("BaseSize:            0x{:x}", self.base_size)));
        if self.element_size > 0 {
            emit(Line::plain(format!("ComponentSize:       0x{:x}", self.element_size)));
        }
        emit(Line::plain(format!("Has GC Pointers:     {}", self.has_pointers)));
        emit(Line::plain(format!("Number of Methods:   {}", self.method_count)));
        emit(Line::plain(format!("Number of IFaces in IFaceMap: {}", self.interfaces)));
        let Some(methods) = &self.methods else { return };
        emit(Line::plain("--------------------------------------"));
        emit(Line::plain("MethodDesc Table"));
        emit(Line::plain("           Entry       MethodDesc    JIT Slot             Name"));
        for m in methods {
            emit(
                Line::plain(format!("{:016X} ", m.entry.0))
                    .span(record(format!("{:016X}", m.record.0), "!dumpmd", m.record.0))
                    .text(format!(" {:>6} {:016X} ", m.jitted, m.slot))
                    .role(Role::Symbol, m.name.clone()),
            );
        }
    }
}

fn method_line(m: &MethodRow) -> MethodLine {
    MethodLine {
        entry: m.entry.into(),
        record: m.record.into(),
        jitted: Jitted::word(m.jitted),
        slot: m.slot,
        name: safe(&m.name),
    }
}

fn invalid(mt: Va) -> CommandError {
    CommandError::message(format!("{:016x} is not a MethodTable", mt.0))
}

fn run_type(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut cursor = inv.cursor();
    let with_methods = cursor.eat("-md");
    let mt = needed(session, &mut cursor, "MT")?;
    cursor.end()?;
    let reader = dotnet(session)?;
    let clr = clr(&reader)?;
    let t = clr.type_info(mt).ok_or_else(|| invalid(mt))?;
    let methods = with_methods.then(|| clr.type_methods(mt).iter().map(method_line).collect::<Vec<_>>());
    session.emit(
        sink,
        &TypeReport {
            record: t.record.into(),
            parent: t.parent.into(),
            module: t.module.into(),
            name: safe(&t.name),
            token: Hex(t.token.into()),
            file: safe(&t.file),
            load_context: t.load_context.map(Hex::from),
            base_size: t.base_size,
            element_size: t.element_size,
            has_pointers: t.has_pointers,
            method_count: t.method_count,
            interfaces: t.interfaces,
            methods,
        },
    )
}

#[derive(Clone, Debug, Serialize)]
struct ClassReport {
    name: String,
    token: Hex,
    file: String,
    parent: Hex,
    module: Hex,
    record: Hex,
    virtuals: u64,
    methods: u64,
    instance: usize,
    statics: usize,
    fields: Vec<FieldLine>,
}

impl Answer for ClassReport {
    const KIND: &'static str = "clr_class";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::plain("Class Name:      ").role(Role::Symbol, self.name.clone()));
        emit(Line::plain(format!("mdToken:         {:016X}", self.token.0)));
        emit(Line::plain(format!("File:            {}", self.file)));
        emit(Line::plain(format!("Parent Class:    {:016x}", self.parent.0)));
        emit(Line::plain(format!("Module:          {:016x}", self.module.0)));
        emit(Line::plain(format!("Method Table:    {:016x}", self.record.0)));
        emit(Line::plain(format!("Vtable Slots:    {:x}", self.virtuals)));
        emit(Line::plain(format!("Total Method Slots:  {:x}", self.methods)));
        emit(Line::plain(format!("NumInstanceFields:   {:x}", self.instance)));
        emit(Line::plain(format!("NumStaticFields:     {:x}", self.statics)));
        if !self.fields.is_empty() {
            fields(&self.fields, emit);
        }
    }
}

fn class_report(t: &ClrTypeInfo, fields: Vec<FieldLine>, instance: usize) -> ClassReport {
    ClassReport {
        name: safe(&t.name),
        token: Hex(t.token.into()),
        file: safe(&t.file),
        parent: t.parent.into(),
        module: t.module.into(),
        record: t.record.into(),
        virtuals: t.virtuals,
        methods: t.method_count,
        instance,
        statics: fields.len().saturating_sub(instance),
        fields,
    }
}

fn run_class(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut cursor = inv.cursor();
    let mt = needed(session, &mut cursor, "MT")?;
    cursor.end()?;
    let reader = dotnet(session)?;
    let clr = clr(&reader)?;
    let t = clr.type_info(mt).ok_or_else(|| invalid(mt))?;
    let all = clr.type_fields(mt);
    let instance = all.iter().filter(|f| f.attribute == "instance").count();
    session.emit(sink, &class_report(&t, all.iter().map(field_line).collect(), instance))
}
