//! From facts to the document's rows. Text from the dump is escaped here.

use super::bounds::Bounds;
use crate::document::{
    AnnotationRow, Arch, ArgRow, BitFlipRow, BlameRow, CapabilityRow, ComCallRow, DllMainRow, DumpFileRow,
    DumpKindName, ExceptionRow, FindingRow, FrameRow, HandlesRow, IncomingCallRow, Infinite, LockRow,
    ProcessRow, SourceRow, SystemRow, ThreadRow, Timeout, TrustName, WaitRow,
};
use crate::fmt::{Hex, rfc3339};
use dumpscope_analyzers::annotations::{Annotation, linux_command_line};
use dumpscope_analyzers::arguments::{add_hints, recover_all};
use dumpscope_analyzers::capabilities::Capability;
use dumpscope_analyzers::handles_summary::HandleSummary;
use dumpscope_analyzers::model::{
    self, Argument, BitFlip, DllMain, ExceptionFacts, Finding, FlipGrade, Kind, Lock, LockSource, OwnerState,
    SlimLock, Stack, StackFrame, ThreadFacts, Wait,
};
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::base::text::escape;
use dumpscope_core::model::DumpKind;
use dumpscope_core::stream::{StreamInfo, stream_info};
use dumpscope_core::{Machine, RegSet, Warning};
use dumpscope_symbols::{Trust, UnwindIssue};
use std::collections::BTreeMap;

/// 100 ns units in a millisecond.
const MS: u64 = 10_000;

fn text(s: &str) -> String {
    escape(s).into_owned()
}

pub(super) fn warning(w: &Warning) -> String {
    match w.offset {
        Some(at) => text(&format!("{} at file offset {:#x}: {}", w.place, at.0, w.text)),
        None => text(&format!("{}: {}", w.place, w.text)),
    }
}

pub(crate) fn process(target: &Target) -> ProcessRow {
    let dump = &target.dump;
    let native = dump.machine();
    let parameters = dump.parameters(target.process_machine()).or_else(|| dump.parameters(native));
    let image_path = parameters.as_ref().and_then(|p| p.image_path.clone()).filter(|p| !p.is_empty());
    // Windows lists the program first; without the process parameters that is the next best answer.
    let first_module = dump.modules().first().map(|m| m.path.clone());
    let program = image_path.or(first_module);
    let leaf = |p: &String| p.rsplit(['\\', '/']).next().map(str::to_owned);
    ProcessRow {
        pid: dump.pid().map(|p| p.0).or_else(|| target.foreign()?.pid),
        name: program.as_ref().and_then(leaf).as_deref().map(text),
        image_path: program.as_deref().map(text),
        command_line: parameters
            .and_then(|p| p.command_line)
            .or_else(|| linux_command_line(target))
            .as_deref()
            .map(text),
    }
}

pub(crate) fn system(target: &Target) -> SystemRow {
    let arch = match target.process_machine() {
        Machine::X86 => Arch::X86,
        Machine::Amd64 => Arch::X64,
        Machine::Arm64 => Arch::Arm64,
        Machine::Other(_) => Arch::Other,
    };
    let info = target.dump.system().value();
    SystemRow {
        os: info.map(|s| os_name(s.platform_id)),
        version: info.filter(|s| s.major != 0).map(|s| format!("{}.{}", s.major, s.minor)),
        build: info.map(|s| s.build).filter(|&b| b != 0),
        arch,
        cpus: info.map(|s| u32::from(s.processors)).filter(|&n| n != 0),
        wow64: target.dump.is_wow64(),
    }
}

/// `MINIDUMP_SYSTEM_INFO.PlatformId`; the values from 0x8000 on are Breakpad's.
fn os_name(platform_id: u32) -> String {
    let name = match platform_id {
        0..=2 => "Windows",
        3 => "Windows CE",
        0x8000 => "Unix",
        0x8101 => "macOS",
        0x8102 => "iOS",
        0x8201 => "Linux",
        0x8202 => "Solaris",
        0x8203 => "Android",
        0x8204 => "PlayStation 3",
        0x8205 => "NaCl",
        0x8206 => "Fuchsia",
        other => return format!("platform {other:#x}"),
    };
    name.into()
}

pub(super) fn dump_file(target: &Target) -> DumpFileRow {
    let dump = &target.dump;
    DumpFileRow {
        kind: match dump.kind() {
            DumpKind::Full => DumpKindName::Full,
            DumpKind::Partial => DumpKindName::Partial,
            DumpKind::Mini => DumpKindName::Mini,
        },
        size: dump.file_size(),
        time: Some(dump.time()).filter(|&t| t != 0).map(rfc3339),
        // Type 0 is an unused entry of the directory.
        streams: dump
            .directory()
            .iter()
            .filter(|d| d.stream_type != 0)
            .map(|d| stream_name(d.stream_type))
            .collect(),
    }
}

/// A stream type's name without `Stream`, or its number.
fn stream_name(stream_type: u32) -> String {
    stream_info(stream_type).map_or_else(|| format!("{stream_type:#x}"), StreamInfo::short_name)
}

pub(super) fn capability(c: &Capability) -> CapabilityRow {
    CapabilityRow {
        question: c.question.into(),
        answerable: c.answerable,
        why: text(&c.why),
        next_time: c.next_time.map(|r| r.to_string()),
        tools: c.next_time.map(|r| r.tools.to_owned()),
        flags: c.next_time.map(|r| r.flags.to_owned()),
    }
}

fn bit_flip(machine: Machine, b: &BitFlip) -> BitFlipRow {
    let name = b.reg.and_then(|r| RegSet::names(machine).get(usize::from(r.0)));
    BitFlipRow {
        register: name.map(|n| (*n).to_owned()),
        bit: b.bit,
        address: b.address.into(),
        grade: match b.grade {
            FlipGrade::Likely => "likely".into(),
            FlipGrade::Possible => "possible".into(),
        },
    }
}

/// A text of the program.
pub(super) fn annotation(a: &Annotation) -> AnnotationRow {
    AnnotationRow { source: text(&a.source), key: a.key.as_deref().map(text), value: text(&a.value) }
}

/// The blamed frame of a crash.
pub(super) fn blame(target: &Target, e: &ExceptionFacts) -> Option<BlameRow> {
    let b = e.blame.as_ref()?;
    let symbols = &target.symbols;
    let found = symbols.resolve(b.site);
    let module = found.as_ref().map(|r| symbols.name_in(r.module, target.process_machine()));
    Some(BlameRow {
        tid: e.tid.0,
        frame: u32::try_from(b.row).ok()?,
        module: module.map(text),
        function: found.as_ref().and_then(|r| r.symbol.as_ref()).map(|s| text(&s.name)),
        displacement: found.as_ref().map(|r| Hex(r.displacement)),
        source: symbols.line(b.site).map(|l| SourceRow { file: text(&l.file), line: l.line }),
        confidence: b.confidence,
        chain: b.chain.clone(),
    })
}

pub(super) fn exception(machine: Machine, e: &ExceptionFacts) -> ExceptionRow {
    ExceptionRow {
        code: e.code.into(),
        name: e.name.as_deref().map(text),
        tid: e.tid.0,
        address: e.address.into(),
        access: e.access,
        target: e.target.map(Hex::from),
        computed: e.fault.as_ref().is_some_and(|f| f.computed),
        instruction: e.fault.as_ref().and_then(|f| f.instruction.clone()),
        size: e.fault.as_ref().and_then(|f| f.size),
        region: e.fault.as_ref().and_then(|f| f.region.clone()),
        bit_flips: e.fault.as_ref().map(|f| f.bit_flips.iter().map(|b| bit_flip(machine, b)).collect()),
        description: text(&e.description),
    }
}

pub(super) fn thread(
    target: &Target,
    facts: &model::Facts,
    t: &ThreadFacts,
    bounds: &mut Bounds,
    whole: bool,
    cancel: &Cancel,
) -> ThreadRow {
    let script = facts.script.threads.get(&t.tid);
    let mut frames = |s: &Stack| {
        let (s, arguments) = bounds.cut(s, whole);
        if !arguments {
            return s.frames.iter().map(|f| frame(target, s.machine, f, None)).collect::<Vec<_>>();
        }
        let mut args = recover_all(target, &s, cancel);
        add_hints(target, &s, &mut args, cancel);
        let rows = s.frames.iter().zip(args);
        rows.map(|(f, args)| frame(target, s.machine, f, Some(&args))).collect()
    };
    ThreadRow {
        index: t.index.0,
        tid: t.tid.0,
        name: t.name.as_deref().map(text),
        user_ms: t.user.map(|n| n / MS),
        kernel_ms: t.kernel.map(|n| n / MS),
        elapsed_ms: t.elapsed.map(|n| n / MS),
        activity: t.activity.as_ref().map(|a| text(&a.text)),
        frames: t.stack.as_ref().map(&mut frames),
        native_frames: t.native_stack.as_ref().map(&mut frames),
        script_frames: script.map(super::script::frames),
        script_thread: script.and_then(super::script::thread),
        wait: t.wait.as_ref().map(wait),
        dll_main: t.dll_main.as_ref().map(dll_main),
    }
}

/// The entry point that a thread is in.
pub(crate) fn dll_main(d: &DllMain) -> DllMainRow {
    DllMainRow {
        module: text(&d.module),
        base: d.base.into(),
        reason: d.reason,
        tls: d.tls,
        confidence: d.confidence,
        evidence: d.evidence.iter().map(|e| text(e)).collect(),
    }
}

/// An argument as documents have it.
pub(crate) fn arg(a: &Argument) -> ArgRow {
    let value = a.value.as_ref();
    ArgRow {
        index: None,
        name: a.name.as_deref().map(text),
        type_name: a.type_text.as_deref().map(text),
        value: value.map(|v| Hex(v.bits)),
        source: value.map(|v| v.source.name().to_owned()),
        confidence: value.map(|v| v.confidence),
        hint: a.hint.as_ref().map(|h| text(&h.text)),
    }
}

/// An argument of which something is known, with its place.
fn told((nth, a): (usize, &Argument)) -> Option<ArgRow> {
    let row = arg(a);
    let unknown = row.name.is_none() && row.type_name.is_none() && row.value.is_none() && row.hint.is_none();
    (!unknown).then(|| ArgRow { index: u32::try_from(nth).ok(), ..row })
}

fn frame(target: &Target, machine: Machine, f: &StackFrame, args: Option<&[Argument]>) -> FrameRow {
    let gone = target.unloaded_at(f.frame.ip).filter(|_| f.module.is_none() && f.function.is_none());
    let of_image =
        f.module.map(|i| target.symbols.name_in(i, machine)).or(gone.as_ref().map(|g| g.0.as_str()));
    let module = if f.managed { f.assembly.as_deref() } else { of_image };
    let known = f.function.is_some() || module.is_some();
    let displacement = gone.as_ref().map_or(f.displacement, |g| g.1);
    FrameRow {
        ip: f.frame.ip.into(),
        sp: f.frame.sp.into(),
        module: module.map(text),
        function: f.function.as_deref().map(text),
        symbol_exact: f.function.as_ref().map(|_| dumpscope_analyzers::stacks::is_exact(target, f)),
        // Inlined calls may start behind the instruction: the difference wraps in the process's width.
        displacement: known.then_some(Hex(dumpscope_symbols::wrapped(displacement, machine))),
        source: f.line.as_ref().map(|l| SourceRow { file: text(&l.file), line: l.line }),
        inline: f.trust == Trust::Inline,
        trust: trust(f.trust),
        issue: issue(f),
        args: args.map(|args| args.iter().enumerate().filter_map(told).collect()),
    }
}

/// The document's word for how a frame was found.
pub(crate) fn trust(trust: Trust) -> TrustName {
    match trust {
        Trust::Context => TrustName::Context,
        Trust::Cfi => TrustName::Cfi,
        Trust::FramePointer | Trust::FramePointerUnverified => TrustName::FramePointer,
        Trust::ReturnAddress => TrustName::ReturnAddress,
        Trust::Scan => TrustName::Scan,
        Trust::Inline => TrustName::Inline,
    }
}

/// Why a frame is doubtful, in words.
pub(crate) fn issue(f: &StackFrame) -> Option<String> {
    if f.trust == Trust::Inline {
        return None; // the frame that it was inlined into says it
    }
    let words = match &f.frame.issue {
        None if f.trust == Trust::FramePointerUnverified => {
            "the code before the return address is not in the dump".into()
        }
        None => return None,
        Some(UnwindIssue::NotInModule) => "the instruction pointer is in no module".into(),
        Some(UnwindIssue::BadUnwindData(why)) => format!("bad unwind data: {why}"),
        Some(UnwindIssue::NoUnwindData) => "no unwind data".into(),
        Some(UnwindIssue::NotAfterCall) => "the code before the return address is no call".into(),
        Some(UnwindIssue::OutsideStack) => "the stack pointer is outside the stack".into(),
        Some(UnwindIssue::Limit(what)) => format!("limit reached: {what}"),
        Some(_) => "doubtful".into(),
    };
    Some(text(&words))
}

/// What a thread waits for.
pub(crate) fn wait(w: &Wait) -> WaitRow {
    WaitRow {
        kind: w.kind,
        object: w.object.as_deref().map(text),
        handles: w.handles.as_ref().map(|h| h.iter().map(|v| Hex(*v)).collect()),
        timeout_ms: w.timeout.map(|t| match t {
            model::Timeout::Infinite => Timeout::Infinite(Infinite::Infinite),
            model::Timeout::Ms(ms) => Timeout::Ms(ms),
        }),
        wait_all: w.wait_all,
        address: w.address.map(|a| Hex(a.0)),
        owner_tid: w.owner_tid.map(|t| t.0),
        owner_pid: w.owner_pid.map(|p| p.0),
        confidence: w.confidence,
    }
}

/// A critical section; those that nobody holds are left out of the document.
pub(crate) fn lock(target: &Target, l: &Lock) -> LockRow {
    let s = &l.section;
    LockRow {
        address: s.address.into(),
        symbol: target.name_of(s.address).as_deref().map(text),
        kind: Kind::CriticalSection,
        object_type: None,
        owner_tid: s.owner_tid().map(|t| t.0),
        owner: l.owner,
        recursion: Some(s.recursion.into()),
        lock_count: Some(s.lock_count.into()),
        waiters: l.waiters.iter().map(|t| t.0).collect(),
        source: l.source.text().into(),
    }
}

/// A lock that does not say who holds it.
pub(crate) fn slim_lock(target: &Target, l: &SlimLock) -> LockRow {
    LockRow {
        address: l.address.into(),
        symbol: target.name_of(l.address).as_deref().map(text),
        kind: l.kind,
        object_type: None,
        owner_tid: l.owner.map(|t| t.0),
        // Only a thread that is there can be one's owner.
        owner: if l.owner.is_some() { OwnerState::Alive } else { OwnerState::Unknown },
        recursion: None,
        lock_count: None,
        waiters: l.waiters.iter().map(|t| t.0).collect(),
        source: LockSource::Waiter.text().into(),
    }
}

/// Outgoing COM calls, as far as the threads' waits tell.
pub(crate) fn com_call(t: &ThreadFacts) -> Option<ComCallRow> {
    let w = t.wait.as_ref().filter(|w| w.kind == Kind::ComCall)?;
    let call = w.com.as_ref()?;
    let message = call.message.as_ref();
    let causality = message.and_then(|m| m.causality).or_else(|| t.com.as_ref()?.causality);
    Some(ComCallRow {
        tid: t.tid.0,
        server_pid: call.pid.map(|p| p.0),
        server_tid: call.tid.map(|t| t.0),
        // An object that may be of an earlier call says nothing of this one's interface.
        ipid: message.filter(|_| !call.stale && !call.several).map(|m| format!("{{{}}}", m.ipid)),
        iid: message.and_then(|m| m.iid).map(|g| format!("{{{g}}}")),
        interface: call.interface.as_deref().map(text),
        method: message.and_then(|m| m.method),
        method_name: call.method.as_ref().map(|m| text(&m.name)),
        args: call.method.as_ref().map(|m| m.parameters.iter().map(|a| method_arg(a, m.by_table)).collect()),
        causality: causality.map(|g| format!("{{{g}}}")),
        class: call.activation.map(|g| format!("{{{g}}}")),
        confidence: w.confidence,
        evidence: w.evidence.iter().map(|e| text(e)).collect(),
    })
}

/// A parameter of a method, with who named it as its source.
fn method_arg(a: &Argument, by_table: bool) -> ArgRow {
    let source = if by_table { "win32_table" } else { "protocol_documents" };
    ArgRow { source: Some(source.to_owned()), ..arg(a) }
}

/// The COM call that a thread serves.
pub(crate) fn incoming_call(t: &ThreadFacts) -> Option<IncomingCallRow> {
    let i = t.com.as_ref()?.incoming.as_ref()?;
    let guid = |g: Option<dumpscope_core::base::Guid>| g.map(|g| format!("{{{g}}}"));
    Some(IncomingCallRow {
        tid: t.tid.0,
        client_pid: i.pid.0,
        client_tid: i.tid.map(|t| t.0),
        ipid: guid(i.ipid),
        iid: guid(i.iid),
        interface: i.interface.as_deref().map(text),
        causality: guid(i.causality),
        confidence: i.confidence,
        evidence: i.evidence.iter().map(|e| text(e)).collect(),
    })
}

pub(super) fn handles(h: &HandleSummary) -> HandlesRow {
    let mut by_type = BTreeMap::new();
    for (name, n) in &h.by_type {
        // Two names may become equal by escaping.
        *by_type.entry(text(name)).or_default() += n;
    }
    HandlesRow { total: h.total, by_type }
}

pub(crate) fn finding(f: &Finding) -> FindingRow {
    FindingRow {
        kind: f.kind,
        class: f.class,
        summary: text(&f.summary),
        tid: f.tid.map(|t| t.0),
        tids: f.tids.iter().map(|t| t.0).collect(),
        lock: f.lock.map(Hex::from),
        owner_tid: f.owner_tid.map(|t| t.0),
        server_pid: f.server_pid.map(|p| p.0),
        confidence: f.confidence,
        evidence: f.evidence.iter().map(|e| text(e)).collect(),
        advice: f.advice.as_deref().map(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_names() {
        assert_eq!(stream_name(3), "ThreadList");
        assert_eq!(stream_name(9), "Memory64List");
        assert_eq!(stream_name(24), "ThreadNames");
        assert_eq!(stream_name(25), "0x19");
        assert_eq!(stream_name(0x4767_0009), "LinuxMaps");
        assert_eq!(stream_name(u32::MAX), "0xffffffff");
    }
}
