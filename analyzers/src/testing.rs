//! Facts that tests make by hand.

use crate::Target;
use crate::model::{Confidence, Facts, Kind, Stack, StackFrame, ThreadFacts, Timeout, Wait};
use dumpscope_core::model::Dump;
use dumpscope_core::{Machine, RegSet, ThreadIdx, Tid, Va};
use dumpscope_symbols::{EndReason, Frame, SymbolConfig, Trust};

/// A minidump with a header and no stream.
pub(crate) fn empty_target() -> Option<Target> {
    let mut bytes = b"MDMP".to_vec();
    bytes.extend_from_slice(&0xa793u32.to_le_bytes());
    bytes.extend_from_slice(&0u32.to_le_bytes());
    bytes.extend_from_slice(&32u32.to_le_bytes());
    bytes.resize(32, 0);
    let dump = Dump::from_bytes(bytes).ok()?;
    Some(Target::new(dump, SymbolConfig::default()))
}

pub(crate) fn thread(tid: u32) -> ThreadFacts {
    ThreadFacts {
        index: ThreadIdx(0),
        tid: Tid(tid),
        name: None,
        user: None,
        kernel: None,
        elapsed: None,
        is_writer: false,
        role: None,
        is_main: false,
        running: None,
        stack: None,
        native_stack: None,
        com: None,
        serves: None,
        wait: None,
        dll_main: None,
        activity: None,
    }
}

pub(crate) fn wait(kind: Kind, owner: u32) -> Wait {
    Wait {
        kind,
        object: None,
        address: None,
        handles: None,
        timeout: Some(Timeout::Infinite),
        wait_all: None,
        owner_tid: Some(Tid(owner)),
        owner_pid: None,
        suspect: None,
        com: None,
        rpc: None,
        confidence: Confidence::Proven,
        evidence: Vec::new(),
        sentence: "waits".into(),
    }
}

pub(crate) fn facts(threads: Vec<ThreadFacts>) -> Facts {
    let places = threads.iter().enumerate().map(|(i, t)| (t.tid, i)).collect();
    Facts { threads, places, ..Facts::default() }
}

/// A frame of x64 inside of a module (by its index) and a function.
pub(crate) fn frame(module: Option<usize>, function: &str) -> StackFrame {
    let frame = Frame {
        ip: Va(0x1000),
        sp: Va(0x2000),
        frame_base: Va(0x2000),
        return_address: Va(0),
        regs: RegSet::new(Machine::Amd64),
        saved_at: Vec::new(),
        trust: Trust::Cfi,
        issue: None,
        exact_ip: false,
    };
    StackFrame {
        frame,
        trust: Trust::Cfi,
        module,
        function: Some(function.into()),
        assembly: None,
        managed: false,
        source: None,
        symbol: None,
        displacement: 0x10,
        line: None,
        has_unwind_info: true,
    }
}

pub(crate) fn stack(frames: Vec<StackFrame>) -> Stack {
    Stack { machine: Machine::Amd64, frames, end: EndReason::Complete, overflow: false }
}
