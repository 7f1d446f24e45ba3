//! Comparisons of hand-written snapshots.

use super::snapshot::WaitKey;
use super::*;
use crate::model::FindingKind;
use crate::model::{Finding, Kind};

fn thread(tid: u32, cpu_ms: u64, frames: &[u64]) -> ThreadSnapshot {
    ThreadSnapshot {
        tid: Tid(tid),
        name: None,
        cpu: Some(cpu_ms * MS),
        sp: Some(Va(0x1000)),
        frames: frames.iter().map(|f| (Va(*f), format!("app!f{f:x}"))).collect(),
        wait: None,
        does: "is in app!f".into(),
        idle: false,
        running: Some(true),
        is_writer: false,
        is_main: tid == 4,
    }
}

fn waits(mut t: ThreadSnapshot, handle: u64) -> ThreadSnapshot {
    t.wait = Some(WaitKey {
        kind: Kind::Event,
        address: None,
        handles: Some(vec![handle]),
        owner: None,
        limit: None,
    });
    t.running = Some(false);
    t.does = format!("waits for the event {handle:x}");
    t
}

fn idle(mut t: ThreadSnapshot) -> ThreadSnapshot {
    t = waits(t, 0x10);
    t.idle = true;
    t
}

fn dump(time: u32, threads: Vec<ThreadSnapshot>) -> Snapshot {
    Snapshot { pid: Some(Pid(8)), started: Some(100), time, threads, ..Snapshot::default() }
}

fn states(c: &Comparison) -> Vec<(u32, State)> {
    let mut v: Vec<(u32, State)> = c.threads.iter().map(|t| (t.tid.0, t.state)).collect();
    v.sort_by_key(|t| t.0);
    v
}

#[test]
fn states_of_threads() {
    let a = dump(
        1000,
        vec![
            waits(thread(4, 50, &[1, 2, 3]), 0x44),
            thread(8, 1000, &[7, 2, 3]),
            waits(thread(12, 10, &[1, 5]), 0x50),
            idle(thread(16, 1, &[9])),
            waits(thread(20, 1, &[9]), 4),
        ],
    );
    let b = dump(
        1010,
        vec![
            waits(thread(4, 60, &[1, 2, 3]), 0x44),
            thread(8, 10_500, &[8, 2, 3]),
            waits(thread(12, 900, &[1, 6]), 0x50),
            idle(thread(16, 1, &[9])),
            waits(thread(24, 0, &[9]), 4),
        ],
    );
    // The order of the input does not matter.
    for dumps in [[a.clone(), b.clone()], [b.clone(), a.clone()]] {
        let c = compare(&dumps).unwrap();
        assert_eq!(
            states(&c),
            [
                (4, State::Stuck),
                (8, State::Spinning),
                (12, State::Moving),
                (16, State::Idle),
                (20, State::Gone),
                (24, State::New)
            ]
        );
        assert_eq!((c.seconds, c.progress, c.tid), (10, Progress::Spinning, Some(Tid(8))));
        assert!(c.summary.contains("app!f2"), "the innermost common frame: {}", c.summary);
    }
}

#[test]
fn hang_or_slow() {
    let stuck = |time| dump(time, vec![waits(thread(4, 50, &[1, 2]), 0x44), idle(thread(8, 0, &[3]))]);
    let c = compare(&[stuck(10), stuck(15), stuck(20)]).unwrap();
    assert_eq!((c.progress, c.tid), (Progress::Hang, Some(Tid(4))));
    let mut moved = stuck(20);
    moved.threads[0].frames[0].0 = Va(0x77);
    let c = compare(&[stuck(10), stuck(15), moved]).unwrap();
    assert_eq!(c.progress, Progress::Slow);
    // The same stack and the same wait, but much CPU time: it went on in between.
    let mut burned = stuck(20);
    burned.threads[0].cpu = Some(4000 * MS);
    let c = compare(&[stuck(10), burned.clone()]).unwrap();
    assert_eq!((c.progress, c.confidence), (Progress::Slow, Confidence::Guess));
    // A wait that gives up between the dumps is another one of the same kind in the last.
    let mut timed = [stuck(10), stuck(20)];
    for d in &mut timed {
        d.threads[0].wait.as_mut().unwrap().limit = Some(5000);
    }
    let c = compare(&timed).unwrap();
    assert_eq!((c.progress, c.confidence), (Progress::Slow, Confidence::Guess));
    // Times are whole seconds: 9.1 s may lie between 10 and 20.
    for d in &mut timed {
        d.threads[0].wait.as_mut().unwrap().limit = Some(9500);
    }
    assert_eq!(compare(&timed).unwrap().progress, Progress::Hang);
    // Nothing is wrong in any dump: two of them are no hang.
    let mut calm = [stuck(10), stuck(20)];
    calm.iter_mut().for_each(|d| d.quiet = true);
    assert_eq!(compare(&calm).unwrap().progress, Progress::Idle);
    // Another wait at another place: it moved.
    burned.threads[0].wait.as_mut().unwrap().handles = Some(vec![0x48]);
    assert_eq!(compare(&[stuck(10), burned]).unwrap().progress, Progress::Slow);
    let quiet = |time| dump(time, vec![idle(thread(4, 1, &[3])), idle(thread(8, 1, &[3]))]);
    assert_eq!(compare(&[quiet(1), quiet(9)]).unwrap().progress, Progress::Idle);
}

#[test]
fn handles_that_come_and_go_and_files_that_are_cut() {
    let handles =
        |all: &[(u64, &str)]| Some(all.iter().map(|(v, t)| (*v, ((*t).to_owned(), String::new()))).collect());
    let mut dumps = [dump(10, vec![idle(thread(4, 1, &[3]))]), dump(20, vec![idle(thread(4, 1, &[3]))])];
    dumps[0].handles = handles(&[(4, "Event"), (8, "Event"), (0xc, "File")]);
    // 8 is another object now.
    dumps[1].handles = handles(&[(4, "Event"), (8, "File"), (0xc, "File"), (0x10, "Key"), (0x14, "Key")]);
    dumps[1].warnings = vec!["the file is cut off".into()];
    let c = compare(&dumps).unwrap();
    assert_eq!(c.handles, [Some(3), Some(5)]);
    let types: Vec<(&str, &[u64])> = c.handle_types.iter().map(|(t, n)| (t.as_str(), n.as_slice())).collect();
    assert_eq!(types, [("Event", &[2, 1][..]), ("File", &[1, 2]), ("Key", &[0, 2])]);
    assert_eq!(c.opened_closed, Some((3, 1)));
    assert_eq!(c.warnings, [(1, "the file is cut off".to_owned())]);
    dumps[0].handles = None;
    let c = compare(&dumps).unwrap();
    assert_eq!((c.handles, c.handle_types, c.opened_closed), (vec![None, Some(5)], vec![], None));
}

#[test]
fn without_times_the_stack_is_a_guess() {
    let without = |time| {
        let mut d = dump(time, vec![waits(thread(4, 0, &[1, 2]), 0x44)]);
        d.threads[0].cpu = None;
        d
    };
    let c = compare(&[without(1), without(9)]).unwrap();
    assert_eq!((c.progress, c.confidence), (Progress::Hang, Confidence::Guess));
}

#[test]
fn a_circle_of_waits_with_limits_that_began_anew() {
    let shot = |time| {
        let mut d = dump(time, vec![waits(thread(4, 0, &[1, 2]), 0x44), waits(thread(8, 0, &[1, 2]), 0x48)]);
        for (t, owner) in d.threads.iter_mut().zip([8, 4]) {
            let wait = t.wait.as_mut().unwrap();
            (wait.limit, wait.owner) = (Some(4000), Some(Tid(owner)));
        }
        let mut f = Finding::new(FindingKind::Deadlock, Confidence::Guess, "threads 4, 8 wait in a circle");
        (f.class, f.tid, f.tids) =
            (crate::model::FindingClass::TimedDeadlock, Some(Tid(4)), vec![Tid(4), Tid(8)]);
        d.lasting = vec![f];
        d
    };
    let c = compare(&[shot(10), shot(20)]).unwrap();
    assert_eq!((c.progress, c.tid, c.confidence), (Progress::Hang, Some(Tid(4)), Confidence::Strong));
    assert!(c.summary.contains("began anew"), "{}", c.summary);
    // They may be the first waits still.
    for late in [13, 14] {
        assert_eq!(compare(&[shot(10), shot(late)]).unwrap().confidence, Confidence::Guess);
    }
    // One of them waits for another object now, or for a thread outside of the circle.
    let mut other = shot(20);
    other.threads[0].wait.as_mut().unwrap().handles = Some(vec![0x50]);
    assert!(!compare(&[shot(10), other]).unwrap().summary.contains("began anew"));
    let mut outside = [shot(10), shot(20)];
    outside.iter_mut().for_each(|d| d.threads[0].wait.as_mut().unwrap().owner = Some(Tid(12)));
    assert!(!compare(&outside).unwrap().summary.contains("began anew"));
}

#[test]
fn other_processes_are_refused() {
    let a = dump(10, vec![]);
    assert_eq!(compare(std::slice::from_ref(&a)), Err(DiffError::TooFew));
    assert_eq!(compare(&[a.clone(), a.clone()]), Err(DiffError::OneMoment));
    assert_eq!(compare(&[a.clone(), dump(20, vec![]), dump(20, vec![])]), Err(DiffError::OneMoment));
    let mut b = dump(20, vec![]);
    b.started = Some(900);
    assert!(compare(&[a.clone(), b.clone()]).is_err());
    b = dump(20, vec![]);
    b.pid = Some(Pid(12));
    let told = compare(&[a, b]).unwrap_err().to_string();
    assert!(told.contains("process ids 8 and c"), "{told}");
}

#[test]
fn what_never_ends_outweighs_cpu_time() {
    let found = |kind, tids: &[u32], summary: &str| {
        let mut f = Finding::new(kind, Confidence::Proven, summary);
        f.tids = tids.iter().copied().map(Tid).collect();
        (f.tid, f.lock, f.owner_tid) = (f.tids.first().copied(), Some(Va(0x1000)), Some(Tid(0x99)));
        f
    };
    let circle =
        |tids: &[u32]| found(FindingKind::Deadlock, tids, "threads 4, 8 wait for each other in a circle");
    let orphan =
        |tids: &[u32]| found(FindingKind::OrphanedLock, tids, "thread c waits for a lock of thread 99");
    let shot = |time, cpu| {
        let mut d = dump(
            time,
            vec![
                waits(thread(4, cpu, &[1, 2]), 0x44),
                waits(thread(8, cpu, &[1, 2]), 0x48),
                waits(thread(12, 0, &[1, 2]), 0x4c),
            ],
        );
        d.verdict = Some((FindingKind::Deadlock, Tid(4)));
        d.lasting = vec![circle(&[4, 8]), orphan(&[12])];
        d
    };
    let (a, mut b) = (shot(10, 0), shot(15, 5000));
    // A wait that is tried again has other inner frames.
    b.threads[1].frames.insert(0, (Va(9), "app!again".into()));
    let c = compare(&[a.clone(), b.clone()]).unwrap();
    assert_eq!((c.progress, c.tid, c.confidence), (Progress::Hang, Some(Tid(4)), Confidence::Proven));
    assert_eq!(states(&c), [(4, State::Stuck), (8, State::Stuck), (12, State::Stuck)]);
    assert_eq!(
        c.summary,
        "in both dumps threads 4, 8 wait for each other in a circle; thread c waits for a lock of thread 99"
    );
    // Of another owner it is another orphan, and a circle of others another circle.
    b.lasting = vec![circle(&[4, 12]), orphan(&[12])];
    b.lasting[1].owner_tid = Some(Tid(0x9d));
    let c = compare(&[a, b]).unwrap();
    assert!(!c.summary.contains("circle"), "{}", c.summary);
}

#[test]
fn a_stack_that_was_walked_less_deep_is_the_same() {
    let deep = |n: u64, change: u64| {
        let frames: Vec<u64> = (1..=n).map(|f| if f == change { 99 } else { f }).collect();
        waits(thread(4, 0, &frames), 0x44)
    };
    let innermost = INNERMOST as u64;
    let of = |a, b| states(&compare(&[dump(10, vec![a]), dump(20, vec![b])]).unwrap())[0].1;
    assert_eq!(of(deep(innermost * 2, 0), deep(innermost, 0)), State::Stuck);
    assert_eq!(of(deep(innermost, 0), deep(innermost * 2, 0)), State::Stuck);
    assert_ne!(of(deep(innermost * 2, 2), deep(innermost, 0)), State::Stuck);
    // A short stack was not cut: it is another one.
    assert_ne!(of(deep(5, 0), deep(4, 0)), State::Stuck);
}
