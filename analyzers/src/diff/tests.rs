//! Comparisons of hand-written snapshots.

use super::snapshot::WaitKey;
use super::*;
use crate::waits::Kind;
use dumpscope_core::Va;

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
    t.wait = Some(WaitKey { kind: Kind::Event, address: None, handles: Some(vec![handle]), owner: None });
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
    // The same stack, but it worked in between: it came back to the same wait.
    let mut came_back = stuck(20);
    came_back.threads[0].cpu = Some(4000 * MS);
    assert_eq!(compare(&[stuck(10), came_back]).unwrap().progress, Progress::Slow);
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
