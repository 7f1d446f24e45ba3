//! Waits for handles: what the object is and who owns it.

use crate::Target;
use crate::model::{Confidence, Kind, Stack, Timeout, Wait};
use crate::text::thread_words;
use dumpscope_core::base::amd64;
use dumpscope_core::base::text::escape;
use dumpscope_core::stream::handle_data::{Handle, ObjectInfo};
use dumpscope_core::{Machine, Tid};

/// Completes a wait whose handles are known.
pub(super) fn fill(target: &Target, tid: Tid, wait: &mut Wait) {
    let Some(handles) = wait.handles.clone() else { return };
    let limit = match wait.timeout {
        Some(Timeout::Ms(ms)) => format!(" for at most {ms} ms"),
        _ => String::new(),
    };
    let &[value] = handles.as_slice() else {
        let list: Vec<String> = handles.iter().map(|h| format!("{h:x}")).collect();
        let which = match wait.wait_all {
            Some(true) => "all of ",
            Some(false) => "any of ",
            None => "",
        };
        wait.sentence =
            format!("waits for {which}{} objects (handles {}){limit}", handles.len(), list.join(", "));
        if wait.wait_all == Some(true) {
            all_of(target, tid, &handles, wait);
        }
        return;
    };
    let data = target.dump.handles().value();
    let handle = data.and_then(|d| d.handles.iter().find(|h| h.value == value));
    let Some(handle) = handle else {
        wait.sentence = format!("waits for the object of handle {value:x}{limit}");
        return;
    };
    let type_name = handle.type_name.as_deref().unwrap_or("object");
    wait.kind = kind(type_name);
    wait.object = handle.object_name.clone();
    wait.evidence.push(format!("handle {value:x} is of type {type_name}"));
    let name = handle.object_name.as_deref().filter(|n| !n.is_empty());
    let name = name.map(|n| format!(" \"{n}\"")).unwrap_or_default();
    let what = escape(&type_name.to_ascii_lowercase()).into_owned();
    wait.sentence = format!("waits for the {what} {value:x}{name}{limit}");
    owner(target, handle, wait);
}

/// Most objects of a wait for all whose owners are looked up (`MAXIMUM_WAIT_OBJECTS`).
const MAX_ALL: usize = 64;

/// A wait for all objects: who owns one of them has to act, whatever becomes of the others.
fn all_of(target: &Target, waiter: Tid, handles: &[u64], wait: &mut Wait) {
    let Some(data) = target.dump.handles().value() else { return };
    for value in handles.iter().take(MAX_ALL) {
        let Some(handle) = data.handles.iter().find(|h| h.value == *value) else { continue };
        let mutant = handle.type_name.as_deref().is_some_and(|t| kind(t) == Kind::Mutex);
        let owned = handle
            .info
            .iter()
            .any(|i| matches!(i, ObjectInfo::MutantOwner { tid, .. } if tid.0 != 0 && *tid != waiter));
        if !mutant || !owned {
            continue;
        }
        let several = (wait.kind, wait.sentence.clone());
        wait.kind = Kind::Mutex;
        owner(target, handle, wait);
        wait.evidence
            .push(format!("handle {value:x} is of type Mutant, and it waits for all of its objects"));
        wait.kind = several.0;
        if let (Some(tid), true) =
            (wait.owner_tid, wait.owner_pid.is_none_or(|p| target.dump.pid() == Some(p)))
        {
            wait.sentence = format!("{}; {} owns the mutex {value:x}", several.1, thread_words(target, tid));
        }
        return;
    }
}

/// Completes a wait for I/O: which file, and whether it is a socket.
pub(super) fn fill_file(target: &Target, wait: &mut Wait) {
    let Some(&[value]) = wait.handles.as_deref() else { return };
    let data = target.dump.handles().value();
    let Some(handle) = data.and_then(|d| d.handles.iter().find(|h| h.value == value)) else { return };
    let Some(name) = handle.object_name.as_deref().filter(|n| !n.is_empty()) else { return };
    wait.evidence.push(format!("handle {value:x} is \"{name}\""));
    wait.object = Some(name.to_owned());
    // The driver behind sockets.
    if name.to_ascii_lowercase().starts_with(r"\device\afd") {
        wait.kind = Kind::Socket;
        wait.sentence = format!("waits for the network (socket {value:x})");
    } else if wait.kind == Kind::FileIo {
        wait.sentence = format!("{} on \"{name}\"", wait.sentence);
    }
}

/// x64: the handle that `WaitForSingleObjectEx` keeps in a register over the system call, where the call's own
/// arguments are lost: rdi in Windows 7 to 11 23H2, rbx in 11 24H2 (measured,
/// `docs/reference/system-calls.md#registers-of-a-waiting-thread`). Believed when one of them alone is an open handle
/// of something that can be waited for.
pub(super) fn kept_handle(target: &Target, stack: &Stack) -> Option<(u64, &'static str)> {
    let mut frames = stack.physical();
    let regs = &frames.next().filter(|_| stack.machine == Machine::Amd64)?.frame.regs;
    if frames.next()?.function.as_deref() != Some("WaitForSingleObjectEx") {
        return None;
    }
    let data = target.dump.handles().value()?;
    let waitable = |value: u64| {
        let handle = data.handles.iter().find(|h| h.value == value);
        handle
            .and_then(|h| h.type_name.as_deref())
            .is_some_and(|t| !matches!(kind(t), Kind::Other | Kind::WorkerIdle))
    };
    let held = |reg| regs.get(reg).filter(|v| waitable(*v));
    match (held(amd64::RDI), held(amd64::RBX)) {
        (Some(h), None) => Some((h, "rdi")),
        (None, Some(h)) => Some((h, "rbx")),
        (Some(a), Some(b)) if a == b => Some((a, "rdi")),
        _ => None,
    }
}

fn kind(type_name: &str) -> Kind {
    match type_name {
        "Event" => Kind::Event,
        "Mutant" => Kind::Mutex,
        "Semaphore" => Kind::Semaphore,
        "Thread" => Kind::Thread,
        "Process" => Kind::Process,
        "Timer" | "IRTimer" => Kind::Timer,
        "IoCompletion" => Kind::IoCompletion,
        "TpWorkerFactory" => Kind::WorkerIdle,
        "File" => Kind::FileIo,
        _ => Kind::Other,
    }
}

fn owner(target: &Target, handle: &Handle, wait: &mut Wait) {
    let own = target.dump.pid();
    for info in &handle.info {
        match info {
            ObjectInfo::MutantOwner { pid, tid } if wait.kind == Kind::Mutex && tid.0 != 0 => {
                wait.confidence = Confidence::Proven;
                wait.owner_pid = Some(*pid);
                wait.owner_tid = Some(*tid);
                let whose = if own.is_none_or(|p| p == *pid) {
                    thread_words(target, *tid)
                } else {
                    format!("thread {:x} of process {:x}", tid.0, pid.0)
                };
                wait.evidence.push(format!("the handle data name {whose} as its owner"));
                wait.sentence = format!("{}, which {whose} owns", wait.sentence);
            }
            ObjectInfo::Thread { pid, tid, .. } if wait.kind == Kind::Thread && tid.0 != 0 => {
                wait.confidence = Confidence::Proven;
                wait.owner_pid = Some(*pid);
                wait.owner_tid = Some(*tid);
                wait.evidence.push(format!("the handle data say that it is thread {:x}", tid.0));
                wait.sentence = format!("{}: the end of {}", wait.sentence, thread_words(target, *tid));
            }
            ObjectInfo::Process { pid, .. } if wait.kind == Kind::Process && pid.0 != 0 => {
                wait.confidence = Confidence::Proven;
                wait.owner_pid = Some(*pid);
                wait.evidence.push(format!("the handle data say that it is process {:x}", pid.0));
                wait.sentence = format!("{}: the end of process {:x}", wait.sentence, pid.0);
            }
            _ => {}
        }
    }
}
