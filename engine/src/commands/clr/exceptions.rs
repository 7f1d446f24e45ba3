//! `!pe`: an exception object.

use super::heap::each_object;
use super::table::gap_notes;
use super::{clr, dotnet, safe};
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, Link, RenderCx, Role, Sink, Span};
use crate::fmt::Hex;
use crate::session::Session;
use dumpscope_analyzers::runtimes::add_line;
use dumpscope_core::Va;
use dumpscope_core::base::windbg_module_name;
use dumpscope_runtimes::clr::HeapObject;
use dumpscope_runtimes::{ScriptException, ScriptFrame};
use serde::Serialize;
use std::collections::BTreeMap;

pub(crate) const PE: Command = Command {
    name: "!pe",
    aliases: &["!printexception"],
    group: "dotnet",
    syntax: "!pe [-nested] [address]",
    summary: "Shows a .NET exception: type, message, inner exception, stack",
    help: "Without an address the one that the current thread threw last. `-nested`: also those that the thread handles.",
    examples: &[("!pe", "The current thread's exception"), ("!pe -nested", "With nested ones")],
    needs: &[Needs::Memory],
    run,
    ..Command::BASE
};

pub(crate) const DUMPEXCEPTIONS: Command = Command {
    name: "!dumpexceptions",
    group: "dotnet",
    syntax: "!dumpexceptions [-type text]",
    summary: "Lists the .NET exceptions on the heap",
    help: "Also those that were caught or never thrown: no crash follows from one. Three of them are made when the runtime starts. \
           `-type`: only types whose name has this text. `!pe` with the address shows all of one.",
    examples: &[
        ("!dumpexceptions", "All of them"),
        ("!dumpexceptions -type Timeout", "Time limits that ran out"),
    ],
    needs: &[Needs::Memory],
    run: run_list,
    ..Command::BASE
};

/// Most exceptions that are listed.
const MAX_LISTED: usize = 10_000;
/// Deepest inheritance.
const MAX_PARENTS: usize = 32;

#[derive(Clone, Debug, Serialize)]
struct ExceptionLine {
    address: Hex,
    type_record: Hex,
    type_name: String,
    message: Option<String>,
    /// The method that threw it.
    thrown_in: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct ExceptionsReport {
    exceptions: Vec<ExceptionLine>,
    notes: Vec<String>,
}

impl Answer for ExceptionsReport {
    const KIND: &'static str = "clr_exceptions";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::plain("         Address      MethodTable Message Name"));
        for e in &self.exceptions {
            let address = format!("{:012x}", e.address.0);
            let run = format!("!pe {:x}", e.address.0);
            emit(
                Line::plain(" ".repeat(16_usize.saturating_sub(address.len())))
                    .span(Span::new(Role::Address, address).link(Link::Run(run)))
                    .text(format!(" {:>16} ", format!("{:012x}", e.type_record.0)))
                    .role(Role::Symbol, e.type_name.clone()),
            );
            emit(Line::plain(format!("        Message: {}", e.message.as_deref().unwrap_or("<null>"))));
            if let Some(method) = &e.thrown_in {
                emit(Line::plain(format!("        StackFrame: {method}")));
            }
        }
        emit(Line::new());
        emit(Line::plain(format!("    Total: {} objects", self.exceptions.len())));
        for note in &self.notes {
            emit(Line::new().role(Role::Dim, note.clone()));
        }
    }
}

fn run_list(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut cursor = inv.cursor();
    let wanted = match cursor.eat("-type") {
        true => Some(cursor.word().ok_or_else(|| cursor.syntax_error())?.to_owned()),
        false => None,
    };
    cursor.end()?;
    let reader = dotnet(session)?;
    let clr = clr(&reader)?;
    let is_exception = |mt: Va| {
        let mut next = Some(mt);
        for _ in 0..MAX_PARENTS {
            let Some(t) = next.and_then(|mt| clr.type_info(mt)) else { return false };
            if t.name == "System.Exception" {
                return true;
            }
            next = Some(t.parent).filter(|p| !p.is_null());
        }
        false
    };
    let mut kinds: BTreeMap<Va, bool> = BTreeMap::new();
    let mut found = Vec::new();
    let gaps = each_object(session, sink, clr, &mut |o| {
        let named = || clr.type_name(o.type_record).unwrap_or_default();
        let fits =
            || is_exception(o.type_record) && wanted.as_ref().is_none_or(|w| named().contains(w.as_str()));
        if !o.free && *kinds.entry(o.type_record).or_insert_with(fits) {
            found.push(o);
        }
        found.len() < MAX_LISTED
    });
    let line = |o: &HeapObject| {
        let e = reader.exception_at(o.address)?;
        Some(ExceptionLine {
            address: o.address.into(),
            type_record: o.type_record.into(),
            type_name: safe(&e.type_name),
            message: e.message.as_deref().map(safe),
            thrown_in: e.frames.first().map(|f| safe(&f.full)),
        })
    };
    let exceptions = found.iter().filter_map(line).collect();
    session.emit(sink, &ExceptionsReport { exceptions, notes: gap_notes(gaps) })
}

#[derive(Clone, Debug, Serialize)]
struct FrameLine {
    sp: Hex,
    ip: Hex,
    function: String,
    source: Option<(String, u32)>,
}

#[derive(Clone, Debug, Serialize)]
struct ExceptionPart {
    address: Hex,
    type_name: String,
    message: Option<String>,
    inner: Option<(String, Hex)>,
    frames: Vec<FrameLine>,
    hresult: Option<Hex>,
}

#[derive(Clone, Debug, Serialize)]
struct ExceptionReport {
    exceptions: Vec<ExceptionPart>,
    /// Others that the thread handles and that were not asked for.
    nested: bool,
}

impl Answer for ExceptionReport {
    const KIND: &'static str = "clr_exception";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        if self.exceptions.is_empty() {
            emit(Line::plain("There is no current managed exception on this thread"));
        }
        for (n, e) in self.exceptions.iter().enumerate() {
            if n > 0 {
                emit(Line::new());
                emit(Line::plain(format!("Nested exception {:-<61}", "")));
            }
            emit(Line::plain(format!("Exception object: {:016x}", e.address.0)));
            emit(Line::plain(format!("Exception type:   {}", e.type_name)));
            emit(Line::plain(format!("Message:          {}", e.message.as_deref().unwrap_or("<none>"))));
            let inner = e.inner.as_ref().map_or_else(
                || "<none>".to_owned(),
                |(name, at)| format!("{name}, Use printexception {:016X} to see more.", at.0),
            );
            emit(Line::plain(format!("InnerException:   {inner}")));
            if e.frames.is_empty() {
                emit(Line::plain("StackTrace (generated):"));
                emit(Line::plain("<none>"));
            } else {
                emit(Line::plain("StackTrace (generated):"));
                emit(Line::plain("    SP               IP               Function"));
            }
            for f in &e.frames {
                let at = f.source.as_ref().map(|(file, line)| format!(" [{file} @ {line}]"));
                emit(Line::plain(format!(
                    "    {:016X} {:016X} {}{}",
                    f.sp.0,
                    f.ip.0,
                    f.function,
                    at.unwrap_or_default()
                )));
            }
            emit(Line::new());
            emit(Line::plain("StackTraceString: <none>"));
            emit(Line::plain(format!("HResult: {:x}", e.hresult.map_or(0, |h| h.0))));
        }
        if self.nested {
            emit(Line::plain("There are nested exceptions on this thread. Run with -nested for details"));
        }
    }
}

fn frame(f: &ScriptFrame) -> FrameLine {
    let file = f.module.as_deref().unwrap_or_default();
    // The assembly's name as it is, without the file's extension.
    let module = file.strip_suffix(".dll").or_else(|| file.strip_suffix(".exe")).unwrap_or(file);
    let module = if module.is_empty() { windbg_module_name(file) } else { module.to_owned() };
    FrameLine {
        sp: f.sp.into(),
        ip: f.ip.into(),
        function: safe(&format!("{module}!{}+0x{:x}", f.full, f.displacement)),
        source: f.file.as_deref().map(safe).zip(f.line),
    }
}

fn part(e: &ScriptException) -> ExceptionPart {
    ExceptionPart {
        address: e.address.into(),
        type_name: safe(&e.type_name),
        message: e.message.as_deref().map(safe),
        inner: e.inner.as_ref().map(|i| (safe(&i.type_name), i.address.into())),
        frames: e.frames.iter().map(frame).collect(),
        hresult: e.hresult.map(|h| Hex(h.into())),
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut cursor = inv.cursor();
    let nested = cursor.eat("-nested");
    let address = cursor.opt_address(session)?;
    cursor.end()?;
    let reader = dotnet(session)?;
    if let Some(at) = address {
        let Some(mut e) = reader.exception_at(at) else {
            return Err(CommandError::message(format!("{:x} is not a valid exception object", at.0)));
        };
        e.frames.iter_mut().for_each(|f| add_line(&session.target, reader.as_ref(), f));
        return session.emit(sink, &ExceptionReport { exceptions: vec![part(&e)], nested: false });
    }
    let tid = session
        .sel
        .thread
        .and_then(|i| session.dump().threads().iter().find(|t| t.index == i))
        .map(|t| t.tid);
    let mut all: Vec<_> = reader.exceptions().into_iter().filter(|e| tid.is_some() && e.tid == tid).collect();
    for frame in all.iter_mut().flat_map(|e| &mut e.frames) {
        add_line(&session.target, reader.as_ref(), frame);
    }
    let shown = if nested { all.len() } else { 1 };
    let exceptions = all.iter().take(shown).map(part).collect();
    session.emit(sink, &ExceptionReport { exceptions, nested: !nested && all.len() > 1 })
}
