//! `!dso`: objects that a thread's stack names.

use super::table::object_span;
use super::{clr, current, dotnet, safe};
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, RenderCx, Role, Sink};
use crate::fmt::Hex;
use crate::session::Session;
use dumpscope_core::{ReadMemory, Reg, Va};
use serde::Serialize;
use std::collections::BTreeMap;

/// Most bytes of a stack that are looked through.
const MAX_STACK: u64 = 16 << 20;

/// Registers by the processor's numbers.
const REGISTERS: [(&str, u8); 16] = [
    ("rax", 0),
    ("rbx", 3),
    ("rcx", 1),
    ("rdx", 2),
    ("rsi", 6),
    ("rdi", 7),
    ("rbp", 5),
    ("rsp", 4),
    ("r8", 8),
    ("r9", 9),
    ("r10", 10),
    ("r11", 11),
    ("r12", 12),
    ("r13", 13),
    ("r14", 14),
    ("r15", 15),
];

pub(crate) const DSO: Command = Command {
    name: "!dso",
    aliases: &["!dumpstackobjects"],
    group: "dotnet",
    syntax: "!dso",
    summary: "Lists the .NET objects that the current thread's stack names",
    help: "Every word of the stack, and every register, that is the address of an object on the heap. Words may be left over from \
           calls that have ended; `!gcroot` and `!clrstack -a` show what is alive.",
    examples: &[("!dso", "Objects of the current thread"), ("~*e !dso", "Of all threads")],
    needs: &[Needs::Threads, Needs::Memory],
    run,
    ..Command::BASE
};

#[derive(Clone, Debug, Serialize)]
struct ObjectOnStack {
    /// Register or stack address.
    place: String,
    object: Hex,
    type_name: String,
}

#[derive(Clone, Debug, Serialize)]
struct StackObjectsReport {
    tid: u32,
    index: Option<u32>,
    objects: Vec<ObjectOnStack>,
}

impl Answer for StackObjectsReport {
    const KIND: &'static str = "clr_stack_objects";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let index = self.index.map(|i| format!(" ({i})")).unwrap_or_default();
        emit(Line::plain(format!("OS Thread Id: 0x{:x}{index}", self.tid)));
        emit(Line::plain("          SP/REG           Object Name"));
        for o in &self.objects {
            let object = format!("{:012x}", o.object.0);
            emit(
                Line::plain(format!("{:>16} ", o.place))
                    .text(" ".repeat(16_usize.saturating_sub(object.len())))
                    .span(object_span(object, o.object.0))
                    .text(" ")
                    .role(Role::Symbol, o.type_name.clone()),
            );
        }
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    inv.cursor().end()?;
    let Some(tid) = current(session) else {
        return Err(CommandError::message("The debugger does not have a current thread."));
    };
    let reader = dotnet(session)?;
    let clr = clr(&reader)?;
    let mut regions: Vec<(Va, Va)> =
        clr.segments().iter().filter(|s| s.start < s.end).map(|s| (s.start, s.end)).collect();
    regions.sort_unstable();
    let on_heap = |va: Va| {
        let at = regions.partition_point(|(start, _)| *start <= va);
        at.checked_sub(1).and_then(|i| regions.get(i)).is_some_and(|(_, end)| va < *end)
    };
    let mut names: BTreeMap<Va, Option<String>> = BTreeMap::new();
    let mut name_of = |va: Va| -> Option<String> {
        if va.0 & 7 != 0 || !on_heap(va) {
            return None;
        }
        let object = clr.object_at(va).filter(|o| !o.free)?;
        names
            .entry(object.type_record)
            .or_insert_with(|| clr.type_name(object.type_record).map(|n| safe(&n)))
            .clone()
    };
    let mut objects = Vec::new();
    let mut add = |place: String, va: Va| {
        if let Some(type_name) = name_of(va) {
            objects.push(ObjectOnStack { place, object: va.into(), type_name });
        }
    };
    let context = session.context();
    for (name, reg) in REGISTERS {
        if let Some(value) = context.as_ref().and_then(|c| c.regs.get(Reg(reg))) {
            add(name.to_owned(), Va(value));
        }
    }
    if let Some((low, high)) = session.stack_bounds() {
        let from = context.as_ref().map_or(low, |c| c.sp()).max(low);
        let len = high.0.saturating_sub(from.0).min(MAX_STACK);
        let mut bytes = vec![0u8; usize::try_from(len).unwrap_or(0)];
        let got = session.dump().memory().read_at(from, &mut bytes).got;
        bytes.truncate(got);
        for (i, word) in (0u64..).zip(bytes.as_chunks::<8>().0) {
            let at = from.offset(i * 8);
            add(format!("{:012x}", at.0), Va(u64::from_le_bytes(*word)));
        }
    }
    let index = session.sel.thread.map(|t| t.0);
    session.emit(sink, &StackObjectsReport { tid: tid.0, index, objects })
}
