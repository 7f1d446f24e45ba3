//! `!tls`: thread-local storage slots.

use super::address;
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::commands::missing;
use crate::doc::{Answer, Line, RenderCx, Role, Sink};
use crate::fmt::Hex;
use crate::session::Session;
use dumpscope_core::model::Teb;
use dumpscope_core::{ReadMemory, Va};
use serde::Serialize;

pub(crate) const TLS: Command = Command {
    name: "!tls",
    group: "threads",
    syntax: "!tls slot [teb]",
    summary: "Shows slots of a thread's local storage",
    help: "Slots of `TlsAlloc`. -1 shows all that are not 0. The current thread's, or that of the TEB at an address.",
    examples: &[("!tls -1", "All slots in use"), ("!tls 1", "Slot 1")],
    needs: &[Needs::Threads, Needs::Memory],
    run,
    ..Command::BASE
};

/// Slots in the TEB; 1024 more lie behind `TlsExpansionSlots`.
const DIRECT: u64 = 64;
const EXPANSION: u64 = 1024;

#[derive(Clone, Debug, PartialEq, Serialize)]
struct Slot {
    slot: u64,
    /// Null when the slot's memory is not in the dump.
    value: Option<Hex>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct TlsReport {
    slots: Vec<Slot>,
    #[serde(skip)]
    wide: bool,
}

impl Answer for TlsReport {
    const KIND: &'static str = "tls";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for slot in &self.slots {
            let value = address(slot.value.map(|v| Va(v.0)), self.wide);
            emit(Line::new().role(Role::Label, format!("{:#06x} : ", slot.slot)).span(value));
        }
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let at = args.pos();
    let slot = args.expr(session)?;
    let given = args.opt_address(session)?;
    args.end()?;
    let machine = session.sel.machine;
    let memory = session.dump().memory();
    let teb = match given {
        Some(teb) => Some(Teb::read(memory.as_ref(), teb, machine)),
        None => session.sel.thread.and_then(|t| session.dump().read_teb(t, machine)),
    };
    let Some(teb) = teb.filter(|t| t.self_pointer.is_some()) else {
        return Err(missing::process_data("error InitTypeRead( TEB )..."));
    };
    let size = machine.ptr_size() as u64;
    let value = |n: u64| {
        let address = if n < DIRECT {
            teb.tls_slots.offset(n.wrapping_mul(size))
        } else {
            let block = teb.tls_expansion_slots.filter(|b| !b.is_null())?;
            block.offset(n.saturating_sub(DIRECT).wrapping_mul(size))
        };
        memory.ptr(address, machine).map(Hex::from)
    };
    let all = slot == u64::MAX || slot == u64::from(u32::MAX);
    let slots = if all {
        (0..DIRECT + EXPANSION)
            .map(|n| Slot { slot: n, value: value(n) })
            .filter(|s| s.value.is_some_and(|v| v.0 != 0))
            .collect()
    } else if slot < DIRECT + EXPANSION {
        vec![Slot { slot, value: value(slot) }]
    } else {
        return Err(CommandError::caret(at, "Range error"));
    };
    session.emit(sink, &TlsReport { slots, wide: machine.is_64() })
}
