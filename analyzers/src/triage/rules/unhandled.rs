//! A dump without an exception stream in which a thread is handling an exception that nobody caught: the process has
//! crashed, and the dump was written while the system or a dialog reported it.

use super::graph::crashed;
use crate::crash::describe;
use crate::stacks::{Stack, StackFrame};
use crate::syscalls::is_far;
use crate::triage::{Confidence, Facts, Finding, FindingKind, ThreadFacts};
use dumpscope_core::stream::exception::ExceptionRecord;
use dumpscope_core::{Machine, ReadMemory, Va};
use dumpscope_symbols::Trust;

/// Functions that only an exception without a handler leads to.
const REPORTS: [&str; 4] = [
    "UnhandledExceptionFilter",
    "RtlpUnhandledExceptionFilter",
    "WerpReportFault",
    "RtlUnhandledExceptionFilter",
];

/// Most stack bytes that are searched for the exception's pointers.
const MAX_SPAN: u64 = 0x2000;

/// `EXCEPTION_MAXIMUM_PARAMETERS`.
const MAX_PARAMETERS: u32 = 15;

pub(super) fn run(facts: &Facts<'_>) -> Vec<Finding> {
    if crashed(facts) {
        return Vec::new();
    }
    facts.threads.iter().filter_map(|t| of_thread(facts, t)).collect()
}

fn of_thread(facts: &Facts<'_>, t: &ThreadFacts) -> Option<Finding> {
    let stack = t.stack.as_ref().or(t.native_stack.as_ref())?;
    let frames: Vec<&StackFrame> = stack.physical().collect();
    let at = frames.iter().position(|f| {
        // What a scan finds may be left over from an exception that was handled.
        f.function.as_deref().is_some_and(|n| REPORTS.contains(&n)) && !is_far(f) && f.trust != Trust::Scan
    })?;
    // A name alone is not enough: the exception itself must be there.
    let (record, from) = find_record(facts, stack, &frames, at)?;
    let what = describe(facts.target, &record);
    let mut out = Finding::new(
        FindingKind::Crash,
        Confidence::Strong,
        format!("thread {:x} crashed at 0x{:x} and is being reported: {what}", t.tid.0, record.address.0),
    );
    out.tid = Some(t.tid);
    out.tids = vec![t.tid];
    let name = frames.get(at).and_then(|f| f.function.as_deref()).unwrap_or_default();
    out.evidence.push(format!("its stack goes through {name}, where only unhandled exceptions lead to"));
    out.evidence.push(format!(
        "the pointers at {:x} lead to the exception's record (code {:08x}) and to a context with the same instruction",
        from.0, record.code
    ));
    if let Some(m) = facts.target.name_of(record.address) {
        out.evidence.push(format!("the exception was raised in {m}"));
    }
    out.advice = Some(format!(
        "look at the exception with .exr and .cxr through the pointers at {:x} (EXCEPTION_POINTERS)",
        from.0
    ));
    Some(out)
}

/// The record of `EXCEPTION_POINTERS` that lie on the stack near the reporting function, and where they lie.
fn find_record(
    facts: &Facts<'_>,
    stack: &Stack,
    frames: &[&StackFrame],
    at: usize,
) -> Option<(ExceptionRecord, Va)> {
    let memory = facts.target.dump.memory();
    let machine = stack.machine;
    let p = machine.ptr_size() as u64;
    let low = frames.first()?.frame.sp;
    let high = frames.get(at.saturating_add(4)).or(frames.last())?.frame.frame_base.offset(0x80);
    let span = high.distance_from(low)?.min(MAX_SPAN);
    let words = (0..span / p).map(|n| low.offset(n.wrapping_mul(p)));
    // Either the pair itself lies there, or a pointer to it (the function's argument).
    for slot in words {
        let pointer = memory.ptr(slot, machine).filter(|v| v.0 > 0xffff);
        for pair in [Some(slot), pointer].into_iter().flatten() {
            if let Some(record) = read_pair(facts, machine, pair) {
                return Some((record, pair));
            }
        }
    }
    None
}

/// `EXCEPTION_POINTERS`: both must be there, and say the same instruction.
fn read_pair(facts: &Facts<'_>, machine: Machine, at: Va) -> Option<ExceptionRecord> {
    let memory = facts.target.dump.memory();
    let p = machine.ptr_size() as u64;
    let record = memory.ptr(at, machine).filter(|v| v.0 > 0xffff)?;
    let context = memory.ptr(at.offset(p), machine).filter(|v| v.0 > 0xffff)?;
    let (address_at, count_at, flags_at, flag, ip_at) = match machine {
        Machine::X86 => (0xc, 0x10, 0, 0x1_0000, 0xb8),
        Machine::Amd64 => (0x10, 0x18, 0x30, 0x10_0000, 0xf8),
        _ => return None,
    };
    let code = memory.u32(record)?;
    let count = memory.u32(record.offset(count_at)).filter(|n| *n <= MAX_PARAMETERS)?;
    // Errors and warnings; programs' own codes have the same two bits.
    let address = memory.ptr(record.offset(address_at), machine).filter(|_| code >> 30 >= 2)?;
    let same = memory.u32(context.offset(flags_at))? & flag != 0
        && memory.ptr(context.offset(ip_at), machine)? == address;
    let first = record.offset(count_at).offset(if machine.is_64() { 8 } else { 4 });
    let parameter = |n: u32| Some(memory.ptr(first.offset(u64::from(n).wrapping_mul(p)), machine)?.0);
    same.then(|| ExceptionRecord {
        code,
        flags: memory.u32(record.offset(4)).unwrap_or(0),
        nested: Va(0),
        address,
        parameters: (0..count).map_while(parameter).collect(),
    })
}
