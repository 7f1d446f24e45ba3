//! Waits for handles: what the object is and who owns it.

use super::{Kind, Timeout, Wait, thread_words};
use crate::Target;
use crate::triage::Confidence;
use dumpscope_core::base::text::escape;
use dumpscope_core::stream::handle_data::{Handle, ObjectInfo};

/// Completes a wait whose handles are known.
pub(super) fn fill(target: &Target, wait: &mut Wait) {
    let Some(handles) = wait.handles.clone() else { return };
    let limit = match wait.timeout {
        Some(Timeout::Ms(ms)) => format!(" for at most {ms} ms"),
        _ => String::new(),
    };
    let &[value] = handles.as_slice() else {
        let list: Vec<String> = handles.iter().map(|h| format!("{h:x}")).collect();
        wait.sentence = format!("waits for {} objects (handles {}){limit}", handles.len(), list.join(", "));
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
