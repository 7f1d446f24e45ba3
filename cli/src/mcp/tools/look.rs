//! `threads`, `stack`, `waits`, `locks`: rows of the triage document, page by page.

use super::verdict::frame;
use crate::mcp::answer::{page, quoted, quoted_or_null, word};
use crate::mcp::call::{Answered, Call};
use dumpscope_engine::document::{ArgRow, FrameRow, LockRow, ScriptFrameRow, ThreadRow, WaitRow};
use serde_json::{Value, json};

pub(super) fn threads(call: &Call) -> Answered {
    let opened = call.dump()?;
    let row = opened.row(&call.cancel);
    let all = row.threads.as_deref().unwrap_or_default();
    Ok(json!({ "dump": opened.id, "threads": page(all, call.wanted(), thread) }))
}

fn thread(t: &ThreadRow) -> Value {
    json!({
        "thread": t.index,
        "thread_id": t.tid,
        "name": quoted_or_null(t.name.as_deref()),
        "does": quoted_or_null(t.activity.as_deref()),
        "waits_for": t.wait.as_ref().map(|w| word(w.kind)),
        "cpu_ms": t.user_ms.and_then(|u| u.checked_add(t.kernel_ms?)),
        "elapsed_ms": t.elapsed_ms,
        "frames": t.frames.as_ref().map(Vec::len),
    })
}

pub(super) fn stack(call: &Call) -> Answered {
    let opened = call.dump()?;
    let row = opened.row(&call.cancel);
    let index = call.number("thread");
    let thread = row.threads.iter().flatten().find(|t| Some(u64::from(t.index)) == index);
    let thread = thread.ok_or("this dump has no thread of this index; `threads` lists them")?;
    let wanted = call.wanted();
    let none = |what: &str| format!("this thread has no {what}");
    let frames = match call.text("which").unwrap_or("frames") {
        "script" => {
            let frames = thread.script_frames.as_ref().ok_or_else(|| none("frames of a runtime"))?;
            page(frames, wanted, script_frame)
        }
        which => {
            let frames = if which == "native" { &thread.native_frames } else { &thread.frames };
            let frames = frames.as_ref().ok_or_else(|| none("such frames"))?;
            let numbered: Vec<(usize, &FrameRow)> = frames.iter().enumerate().collect();
            page(&numbered, wanted, |(n, f)| one_frame(*n, f))
        }
    };
    Ok(json!({
        "dump": opened.id,
        "thread": thread.index,
        "thread_id": thread.tid,
        "does": quoted_or_null(thread.activity.as_deref()),
        "frames": frames,
    }))
}

fn one_frame(n: usize, f: &FrameRow) -> Value {
    let source = f.source.as_ref().map(|s| quoted(&format!("{}:{}", s.file, s.line)));
    let known = |a: &&ArgRow| a.value.is_some() || a.hint.is_some();
    json!({
        "frame": n,
        "at": quoted(&frame(f)),
        "source": source,
        "inline": f.inline,
        "found_by": word(f.trust),
        "doubt": quoted_or_null(f.issue.as_deref()),
        "args": f.args.iter().flatten().filter(known).take(12).map(arg).collect::<Vec<_>>(),
    })
}

fn arg(a: &ArgRow) -> Value {
    json!({
        "name": quoted_or_null(a.name.as_deref()),
        "value": word(a.value),
        "confidence": word(a.confidence),
        "means": quoted_or_null(a.hint.as_deref()),
    })
}

fn script_frame(f: &ScriptFrameRow) -> Value {
    let at = match (&f.file, f.line) {
        (Some(file), Some(line)) => Some(format!("{file}:{line}")),
        (file, _) => file.clone(),
    };
    json!({ "at": quoted(&f.display), "source": quoted_or_null(at.as_deref()) })
}

pub(super) fn waits(call: &Call) -> Answered {
    let opened = call.dump()?;
    let row = opened.row(&call.cancel);
    let all: Vec<(&ThreadRow, &WaitRow)> =
        row.threads.iter().flatten().filter_map(|t| Some((t, t.wait.as_ref()?))).collect();
    Ok(json!({ "dump": opened.id, "waits": page(&all, call.wanted(), |(t, w)| wait(t, w)) }))
}

fn wait(t: &ThreadRow, w: &WaitRow) -> Value {
    json!({
        "thread": t.index,
        "thread_id": t.tid,
        "kind": word(w.kind),
        "object": quoted_or_null(w.object.as_deref()),
        "address": word(w.address),
        "handles": word(&w.handles),
        "timeout_ms": word(&w.timeout_ms),
        "owner_thread_id": w.owner_tid,
        "owner_pid": w.owner_pid,
        "confidence": word(w.confidence),
        "does": quoted_or_null(t.activity.as_deref()),
    })
}

pub(super) fn locks(call: &Call) -> Answered {
    let opened = call.dump()?;
    let row = opened.row(&call.cancel);
    let Some(all) = row.locks.as_deref() else {
        let why = "none was seen, and the dump lacks the memory to say that there is none";
        return Ok(json!({ "dump": opened.id, "locks": null, "why": why }));
    };
    Ok(json!({ "dump": opened.id, "locks": page(all, call.wanted(), lock) }))
}

pub(super) fn lock(l: &LockRow) -> Value {
    json!({
        "address": word(l.address),
        "kind": word(l.kind),
        "name": quoted_or_null(l.symbol.as_deref()),
        "owner_thread_id": l.owner_tid,
        "owner": word(l.owner),
        "recursion": l.recursion,
        "waiting_thread_ids": l.waiters,
        "found_by": quoted(&l.source),
    })
}
