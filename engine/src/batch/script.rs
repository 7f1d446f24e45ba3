//! From what runtimes say to the document's rows. Text from the dump is escaped here.

use crate::document::{
    BlameRow, Confidence, Kind, LockRow, OwnerState, RuntimeRow, ScriptExceptionRow, ScriptFrameRow,
    ScriptThreadRow, SourceRow, TaskRow, UnmountedRow, UnmountedWaitRow,
};
use crate::fmt::Hex;
use dumpscope_analyzers::Target;
use dumpscope_analyzers::model::{Facts, ScriptFacts, StackFrame, ThreadScript, Unmounted};
use dumpscope_core::base::text::escape;
use dumpscope_runtimes::{LockKind, ScriptException, ScriptFrame, ScriptLock, Task};

/// Most frames of an exception that a document has.
const MAX_FRAMES: usize = 200;

fn text(s: &str) -> String {
    escape(s).into_owned()
}

pub(super) fn runtimes(target: &Target, facts: &ScriptFacts) -> Vec<RuntimeRow> {
    let row = |r: &dumpscope_runtimes::Runtime| RuntimeRow {
        name: r.name.to_owned(),
        version: r.version.as_deref().map(text),
        module: text(target.symbols.name_in(r.module, target.process_machine())),
        how: text(&r.how),
        readable: r.readable,
        why: r.why.as_deref().map(text),
    };
    facts.runtimes.iter().map(row).collect()
}

pub(crate) fn frame(runtime: usize, f: &ScriptFrame) -> ScriptFrameRow {
    ScriptFrameRow {
        runtime,
        function: text(&f.function),
        display: text(&f.display),
        module: f.module.as_deref().map(text),
        file: f.file.as_deref().map(text),
        line: f.line,
        kind: f.kind.word().to_owned(),
        ip: f.ip.into(),
        sp: f.sp.into(),
    }
}

pub(super) fn frames(script: &ThreadScript) -> Vec<ScriptFrameRow> {
    script.frames.iter().map(|f| frame(script.runtime, f)).collect()
}

pub(super) fn thread(script: &ThreadScript) -> Option<ScriptThreadRow> {
    let t = script.thread.as_ref()?;
    Some(ScriptThreadRow {
        runtime: script.runtime,
        id: t.id,
        name: t.name.as_deref().map(text),
        state: t.state.iter().map(|s| (*s).to_owned()).collect(),
        holds: script.holds.iter().map(|a| Hex::from(*a)).collect(),
    })
}

/// Threads without a native one.
pub(super) fn unmounted(facts: &ScriptFacts) -> Vec<UnmountedRow> {
    let row = |u: &Unmounted| UnmountedRow {
        runtime: u.runtime,
        id: u.thread.id,
        name: u.thread.name.as_deref().map(text),
        state: u.thread.state.iter().map(|s| (*s).to_owned()).collect(),
        holds: u.holds.iter().map(|a| Hex::from(*a)).collect(),
        script_frames: u.frames.iter().map(|f| frame(u.runtime, f)).collect(),
        wait: u.wait.as_ref().map(|w| UnmountedWaitRow {
            kind: w.kind.word().to_owned(),
            object: w.object_type.as_deref().map(text),
            address: w.object.map(Hex::from),
            owner_tid: w.owner.as_ref().and_then(|o| o.tid).map(|t| t.0),
            owner_id: w.owner.as_ref().and_then(|o| o.id),
            owner_name: w.owner.as_ref().and_then(|o| o.name.as_deref()).map(text),
        }),
    };
    facts.unmounted.iter().map(row).collect()
}

pub(crate) fn exception(runtime: usize, e: &ScriptException) -> ScriptExceptionRow {
    ScriptExceptionRow {
        tid: e.tid.map(|t| t.0),
        runtime,
        type_name: text(&e.type_name),
        message: e.message.as_deref().map(text),
        hresult: e.hresult.map(|h| Hex(h.into())),
        address: e.address.into(),
        state: e.state.word().to_owned(),
        frames: e.frames.iter().take(MAX_FRAMES).map(|f| frame(runtime, f)).collect(),
        inner: e.inner.as_ref().map(|i| Box::new(exception(runtime, i))),
    }
}

/// Whose fault an exception of a runtime is, by default: the innermost method of the program that it went through.
pub(super) fn blame(facts: &Facts) -> Option<BlameRow> {
    let script = &facts.script;
    let (tid, frames) = match (&script.death, script.unhandled()) {
        (Some(death), _) => (death.tid, &script.threads.get(&death.tid)?.frames),
        (None, Some(e)) => (e.tid?, &e.frames),
        (None, None) => return None,
    };
    let user = frames.iter().find(|f| !f.is_library())?;
    let stack = facts.thread(tid)?.stack.as_ref()?;
    let own = |f: &&StackFrame| f.managed && f.function.as_deref() == Some(user.function.as_str());
    let same = stack.frames.iter().position(|f| own(&f) && f.frame.sp == user.sp);
    let row = same.or_else(|| stack.frames.iter().position(|f| own(&f)))?;
    let line = user.file.as_ref().zip(user.line);
    Some(BlameRow {
        tid: tid.0,
        frame: u32::try_from(row).ok()?,
        module: stack.frames.get(row)?.assembly.as_deref().map(text),
        function: Some(text(&user.function)),
        displacement: Some(Hex(user.displacement)),
        source: line.map(|(file, line)| SourceRow { file: text(file), line }),
        confidence: Confidence::Strong,
        chain: vec![text(&format!(
            "{} is the innermost method of the program: what it called is the runtime's",
            user.display
        ))],
    })
}

pub(super) fn task(t: &Task) -> TaskRow {
    TaskRow {
        chain: t.chain.iter().map(|c| text(c)).collect(),
        blocked_tid: t.blocked.map(|t| t.0),
        reason: text(&t.reason),
    }
}

/// A runtime's lock. The address is the object's.
pub(super) fn lock(facts: &ScriptFacts, l: &ScriptLock) -> LockRow {
    let owner = l.owners.first();
    let tid = l.owners.iter().find_map(|o| o.tid);
    LockRow {
        address: l.address.into(),
        symbol: None,
        kind: lock_kind(l.kind),
        object_type: l.object_type.as_deref().map(text),
        owner_tid: tid.map(|t| t.0),
        owner: match (owner, tid) {
            (_, Some(_)) => OwnerState::Alive,
            (Some(o), None) if facts.unmounted(o).is_some() => OwnerState::Alive,
            (Some(o), None) if o.id.is_some() => OwnerState::Missing,
            _ => OwnerState::Unknown,
        },
        recursion: Some(l.recursion.into()),
        lock_count: None,
        waiters: facts.waiters(l.address).iter().map(|t| t.0).collect(),
        source: "the runtime's own data".into(),
    }
}

fn lock_kind(kind: LockKind) -> Kind {
    match kind {
        LockKind::Monitor => Kind::Monitor,
        LockKind::DotnetLock => Kind::DotnetLock,
        LockKind::RwLockSlim => Kind::RwlockSlim,
        LockKind::SemaphoreSlim => Kind::SemaphoreSlim,
        LockKind::JavaMonitor => Kind::JavaMonitor,
        LockKind::JavaLock => Kind::JavaLock,
        LockKind::ClassInit => Kind::ClassInit,
        LockKind::RubyMutex => Kind::RubyMutex,
        LockKind::Gvl => Kind::Gvl,
    }
}
