//! Tests of rules on facts that are made by hand.

use super::*;
use crate::Target;
use crate::model::{Confidence, Facts, FindingKind, Kind, ThreadScript, Timeout, Unmounted, Wait};
use crate::testing::{empty_target, facts, frame, stack, thread, wait};
use dumpscope_core::{Tid, Va};
use dumpscope_runtimes::{
    DetachedWait, LockKind, LockOwner, Proof, Runtime, ScriptFrame, ScriptLock, ScriptThread, ScriptWait,
    WaitKind,
};
use dumpscope_symbols::SymbolSource;

fn found(run: fn(&Case<'_>) -> Vec<Finding>, target: &Target, facts: &Facts) -> Vec<Finding> {
    run(&Case { target, facts })
}

fn only(all: Vec<Finding>) -> Finding {
    assert_eq!(all.len(), 1, "{all:?}");
    all.into_iter().next().unwrap()
}

fn script_thread(id: u64, name: &str) -> ScriptThread {
    ScriptThread {
        address: Va(id << 8),
        tid: None,
        id,
        name: Some(name.into()),
        state: Vec::new(),
        alive: true,
        carrier: None,
    }
}

/// A virtual thread that waits for a lock of another one, or of a native one.
fn unmounted(id: u64, owner: LockOwner, endless: bool) -> Unmounted {
    let wait = DetachedWait {
        thread: Va(id << 8),
        kind: WaitKind::ScriptLock,
        object: Some(Va(0x1000 + id)),
        object_type: None,
        owner: Some(owner),
        endless,
        method: "lock".into(),
    };
    Unmounted {
        runtime: 0,
        thread: script_thread(id, "v"),
        frames: Vec::new(),
        holds: Vec::new(),
        wait: Some(wait),
    }
}

fn virtual_owner(id: u64) -> LockOwner {
    LockOwner { tid: None, id: Some(id), name: None }
}

fn native_owner(tid: u32) -> LockOwner {
    LockOwner { tid: Some(Tid(tid)), id: None, name: None }
}

#[test]
fn a_circle_is_as_sure_as_its_least_sure_wait() {
    let target = empty_target().unwrap();
    let circle = |endless| {
        let mut f = facts(Vec::new());
        f.script.unmounted =
            vec![unmounted(1, virtual_owner(2), true), unmounted(2, virtual_owner(1), endless)];
        let only = only(found(detached::run, &target, &f));
        (only.kind, only.confidence)
    };
    assert_eq!(circle(true), (FindingKind::Deadlock, Confidence::Proven));
    assert_eq!(circle(false), (FindingKind::Deadlock, Confidence::Guess));
    let with_native = |change: fn(&mut Wait)| {
        let mut native = thread(4);
        // The owner is another virtual thread: the lock says so.
        let mut w = wait(Kind::ScriptLock, 0);
        (w.owner_tid, w.address) = (None, Some(Va(0x2000)));
        change(&mut w);
        native.wait = Some(w);
        let mut f = facts(vec![native]);
        f.script.unmounted = vec![unmounted(1, native_owner(4), true)];
        let lock = ScriptLock {
            address: Va(0x2000),
            object_type: None,
            kind: LockKind::JavaLock,
            owners: vec![virtual_owner(1)],
            recursion: 1,
            waiting: 1,
        };
        f.script.locks = vec![(0, lock)];
        let all = found(detached::run, &target, &f);
        all.iter().find(|f| f.kind == FindingKind::Deadlock).map(|f| f.confidence)
    };
    assert_eq!(with_native(|_| {}), Some(Confidence::Proven));
    assert_eq!(with_native(|w| w.confidence = Confidence::Strong), Some(Confidence::Strong));
    assert_eq!(with_native(|w| w.timeout = None), Some(Confidence::Strong));
    assert_eq!(with_native(|w| w.timeout = Some(Timeout::Ms(9000))), Some(Confidence::Guess));
}

#[test]
fn who_gives_up_is_not_blocked_for_certain() {
    let target = empty_target().unwrap();
    for (endless, sure) in [(true, Confidence::Proven), (false, Confidence::Guess)] {
        let mut f = facts(vec![thread(4)]);
        f.script.unmounted = vec![unmounted(1, native_owner(4), endless)];
        let lock = ScriptLock {
            address: Va(0x1001),
            object_type: None,
            kind: LockKind::JavaLock,
            owners: vec![native_owner(4)],
            recursion: 1,
            waiting: 1,
        };
        f.script.locks = vec![(0, lock)];
        let only = only(found(detached::run, &target, &f));
        assert_eq!((only.kind, only.confidence), (FindingKind::LockContention, sure));
    }
}

fn runtime() -> Runtime {
    Runtime { name: "Java", version: None, module: 0, how: String::new(), readable: true, why: None }
}

fn script(tid: u32, kind: Option<WaitKind>, name: &str, methods: &[&str]) -> (Tid, ThreadScript) {
    let frame = |m: &&str| ScriptFrame {
        function: (*m).to_owned(),
        display: (*m).to_owned(),
        ..ScriptFrame::default()
    };
    let wait = kind.map(|kind| ScriptWait {
        tid: Tid(tid),
        kind,
        object: Some(Va(0x5000)),
        object_type: Some("java.util.concurrent.FutureTask".into()),
        proof: Proof::Record,
        target: None,
        endless: true,
        serves: false,
        method: "park".into(),
        user_frame: Some(0),
    });
    let thread = Some(ScriptThread { tid: Some(Tid(tid)), ..script_thread(tid.into(), name) });
    let frames = methods.iter().map(frame).collect();
    (Tid(tid), ThreadScript { runtime: 0, thread, frames, wait, holds: Vec::new() })
}

#[test]
fn an_exhausted_pool_whose_work_another_pool_may_do() {
    const WORKER: &str = "java.util.concurrent.ThreadPoolExecutor.runWorker";
    let target = empty_target().unwrap();
    let with = |other: Option<WaitKind>| {
        let mut f = facts(vec![thread(4), thread(8)]);
        f.script.runtimes = vec![runtime()];
        f.script.threads = [
            script(4, Some(WaitKind::Task), "pool-1-thread-1", &["Main.get", WORKER]),
            script(8, other, "other-1", &["Main.other", WORKER]),
        ]
        .into();
        let all = found(runtime::run, &target, &f);
        let of = |f: &&Finding| f.tids == [Tid(4)];
        all.iter().find(of).map(|f| f.confidence)
    };
    assert_eq!(with(Some(WaitKind::Idle)), Some(Confidence::Strong));
    // It may be on its way to the work that the other one waits for.
    for busy in [None, Some(WaitKind::Sleep), Some(WaitKind::Io)] {
        assert_eq!(with(busy), Some(Confidence::Guess), "{busy:?}");
    }
}

#[test]
fn a_main_thread_that_takes_from_a_queue_itself() {
    use crate::model::Activity;
    let target = empty_target().unwrap();
    let with = |own: bool, main: bool| {
        let mut t = thread(4);
        t.is_main = main;
        let activity = Activity { text: "waits for work".into(), wait: None, idle: true, pattern: None };
        t.activity = Some(activity);
        let mut f = facts(vec![t]);
        let (tid, mut one) = script(4, Some(WaitKind::Idle), "main", &["Main.run"]);
        one.wait.as_mut().unwrap().user_frame = own.then_some(0);
        f.script.threads = [(tid, one)].into();
        let only = only(found(idle::run, &target, &f));
        (only.kind, only.confidence)
    };
    assert_eq!(with(true, true), (FindingKind::Idle, Confidence::Guess));
    assert_eq!(with(false, true), (FindingKind::Idle, Confidence::Strong));
    assert_eq!(with(true, false), (FindingKind::Idle, Confidence::Strong));
}

#[test]
fn a_name_far_before_the_top_is_no_call_that_gives_way() {
    let target = empty_target().unwrap();
    let with = |displacement| {
        let mut top = frame(None, "NtYieldExecution");
        (top.source, top.displacement) = (Some(SymbolSource::Exports), displacement);
        let mut t = thread(4);
        t.stack = Some(stack(vec![top]));
        (t.user, t.kernel, t.elapsed) = (Some(1), Some(1), Some(1000));
        found(busy::run, &target, &facts(vec![t])).len()
    };
    assert_eq!(with(0x14), 1);
    assert_eq!(with(0x5000), 0);
}
