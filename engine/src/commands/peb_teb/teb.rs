//! `!teb`.

use super::{address, field, views};
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::commands::missing;
use crate::doc::{Answer, Line, RenderCx, Role, Sink, Span};
use crate::fmt::{self, Hex};
use crate::session::Session;
use dumpscope_core::model::Teb;
use dumpscope_core::{Machine, Va};
use serde::Serialize;

pub(crate) const TEB: Command = Command {
    name: "!teb",
    group: "process",
    syntax: "!teb [address]",
    summary: "Shows the thread environment block",
    help: "Stack bounds, client id, last error. A 32-bit process in a 64-bit dump has two: both are shown. With an address \
           the TEB there is shown.",
    examples: &[("!teb", "The current thread's TEB"), ("!teb @$teb", "The TEB at an address")],
    needs: &[Needs::Memory, Needs::Threads],
    run,
    ..Command::BASE
};

/// A TEB as JSON; fields that are not in the dump are null.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct TebBlock {
    machine: &'static str,
    address: Hex,
    exception_list: Option<Hex>,
    stack_base: Option<Hex>,
    stack_limit: Option<Hex>,
    sub_system_tib: Option<Hex>,
    fiber_data: Option<Hex>,
    arbitrary_user_pointer: Option<Hex>,
    self_pointer: Option<Hex>,
    environment_pointer: Option<Hex>,
    pid: Option<u64>,
    tid: Option<u64>,
    rpc_handle: Option<Hex>,
    tls_storage: Option<Hex>,
    peb: Option<Hex>,
    last_error: Option<u32>,
    last_status: Option<Hex>,
    owned_locks: Option<u32>,
    hard_error_mode: Option<u32>,
    /// Set when the bytes do not look like a TEB.
    valid: bool,
    #[serde(skip)]
    title: &'static str,
    #[serde(skip)]
    wide: bool,
}

impl TebBlock {
    fn new(teb: &Teb, title: &'static str) -> TebBlock {
        let hex = |va: Option<Va>| va.map(Hex::from);
        TebBlock {
            machine: teb.machine.json_name(),
            address: teb.address.into(),
            exception_list: hex(teb.exception_list),
            stack_base: hex(teb.stack_base),
            stack_limit: hex(teb.stack_limit),
            sub_system_tib: hex(teb.sub_system_tib),
            fiber_data: hex(teb.fiber_data),
            arbitrary_user_pointer: hex(teb.arbitrary_user_pointer),
            self_pointer: hex(teb.self_pointer),
            environment_pointer: hex(teb.environment_pointer),
            pid: teb.process_id,
            tid: teb.thread_id,
            rpc_handle: hex(teb.active_rpc_handle),
            tls_storage: hex(teb.tls_pointer),
            peb: hex(teb.peb),
            last_error: teb.last_error,
            last_status: teb.last_status.map(Hex::from),
            owned_locks: teb.owned_critical_sections,
            hard_error_mode: teb.hard_error_mode,
            valid: teb.is_valid(),
            title,
            wide: teb.machine.is_64(),
        }
    }

    fn lines(&self, emit: &mut dyn FnMut(Line)) {
        const WIDTH: usize = 22;
        let at = Va(self.address.0);
        emit(Line::plain(format!("{} at ", self.title)).span(address(Some(at), self.wide)));
        let addr =
            |label: &str, value: Option<Hex>| field(label, WIDTH, address(value.map(|v| Va(v.0)), self.wide));
        let number = |label: &str, value: Option<String>| {
            field(label, WIDTH, Span::new(Role::Value, value.unwrap_or_else(|| "????????".into())))
        };
        emit(addr("ExceptionList:", self.exception_list));
        emit(addr("StackBase:", self.stack_base));
        emit(addr("StackLimit:", self.stack_limit));
        emit(addr("SubSystemTib:", self.sub_system_tib));
        emit(addr("FiberData:", self.fiber_data));
        emit(addr("ArbitraryUserPointer:", self.arbitrary_user_pointer));
        emit(addr("Self:", self.self_pointer));
        emit(addr("EnvironmentPointer:", self.environment_pointer));
        let id = |n: Option<u64>| fmt::addr_plain(Va(n.unwrap_or(0)), self.wide);
        emit(number("ClientId:", Some(format!("{} . {}", id(self.pid), id(self.tid)))));
        emit(addr("RpcHandle:", self.rpc_handle));
        emit(addr("Tls Storage:", self.tls_storage));
        emit(addr("PEB Address:", self.peb));
        emit(number("LastErrorValue:", self.last_error.map(|n| n.to_string())));
        emit(number("LastStatusValue:", self.last_status.map(|n| format!("{:x}", n.0))));
        emit(number("Count Owned Locks:", self.owned_locks.map(|n| n.to_string())));
        emit(number("HardErrorMode:", self.hard_error_mode.map(|n| n.to_string())));
        if !self.valid {
            emit(Line::new().role(Role::Note, "note: Self is not the block's own address: this is no TEB"));
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct TebReport {
    blocks: Vec<TebBlock>,
}

impl Answer for TebReport {
    const KIND: &'static str = "teb";

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
    let blocks = match given {
        Some(at) => {
            let teb = Teb::read(dump.memory().as_ref(), at, session.sel.machine);
            teb.self_pointer.is_some().then(|| TebBlock::new(&teb, "TEB")).into_iter().collect()
        }
        None => {
            let Some(thread) = session.sel.thread else {
                return Err(CommandError::caret(0, "Illegal thread error"));
            };
            let wow64 = dump.is_wow64();
            let title = |m: Machine| match (wow64, m) {
                (true, Machine::X86) => "Wow64 TEB32",
                (true, _) => "Wow64 TEB",
                (false, _) => "TEB",
            };
            let read = |m: Machine| Some(TebBlock::new(&dump.read_teb(thread, m)?, title(m)));
            views(session).into_iter().filter_map(read).collect::<Vec<_>>()
        }
    };
    if blocks.is_empty() {
        return Err(missing::process_data("error InitTypeRead( TEB )..."));
    }
    session.emit(sink, &TebReport { blocks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_of_the_reference() {
        let block = TebBlock {
            machine: "x64",
            address: Hex(0xc6_4b95_d000),
            exception_list: Some(Hex(0)),
            stack_base: Some(Hex(0xc6_4ba8_0000)),
            stack_limit: Some(Hex(0xc6_4ba6_f000)),
            sub_system_tib: Some(Hex(0)),
            fiber_data: Some(Hex(0x1e00)),
            arbitrary_user_pointer: Some(Hex(0)),
            self_pointer: Some(Hex(0xc6_4b95_d000)),
            environment_pointer: None,
            pid: Some(0x3bbc),
            tid: Some(0x4ba0),
            rpc_handle: Some(Hex(0)),
            tls_storage: Some(Hex(0x279_5724_3530)),
            peb: Some(Hex(0xc6_4b95_c000)),
            last_error: Some(997),
            last_status: Some(Hex(0xc000_0034)),
            owned_locks: Some(0),
            hard_error_mode: Some(0),
            valid: true,
            title: "TEB",
            wide: true,
        };
        let mut out = vec![];
        block.lines(&mut |l| out.push(l.to_text()));
        assert_eq!(out[0], "TEB at 000000c64b95d000");
        assert_eq!(out[1], "    ExceptionList:        0000000000000000");
        assert_eq!(out[6], "    ArbitraryUserPointer: 0000000000000000");
        assert_eq!(out[8], "    EnvironmentPointer:   ????????????????");
        assert_eq!(out[9], "    ClientId:             0000000000003bbc . 0000000000004ba0");
        assert_eq!(out[13], "    LastErrorValue:       997");
        assert_eq!(out[14], "    LastStatusValue:      c0000034");
        assert_eq!(out.len(), 17);
    }
}
