//! Incidents of hand-written digests.

use super::*;
use crate::locks::Owner;
use crate::triage::FindingKind;

fn digest(pid: u32, name: &str, computer: &str, time: u32) -> Digest {
    Digest {
        pid: Some(Pid(pid)),
        process: Some(name.into()),
        machine: MachineId { computer: Some(computer.into()), build: Some(19045) },
        time: Some(time),
        started: Some(time - 100),
        ..Digest::default()
    }
}

fn waits(d: &mut Digest, tid: u32, pid: u32, server: Option<u32>) {
    let sentence = format!("waits for the answer to a COM call that process {pid:x} serves");
    d.cross.push(CrossWait {
        tid: Tid(tid),
        pid: Pid(pid),
        server: server.map(Tid),
        sentence: sentence.clone(),
        confidence: Confidence::Proven,
        is_main: d.cross.is_empty(),
    });
    let w = ThreadWait { sentence, owner: None, state: Owner::Unknown, confidence: Some(Confidence::Proven) };
    d.threads.insert(Tid(tid), w);
}

fn orphan(d: &mut Digest, tid: u32, owner: u32) {
    let sentence =
        format!("waits for the critical section at 1000, which thread {owner:x} held when it ended");
    d.threads.insert(
        Tid(tid),
        ThreadWait {
            sentence,
            owner: Some(Tid(owner)),
            state: Owner::Missing,
            confidence: Some(Confidence::Proven),
        },
    );
    let mut f = Finding::new(FindingKind::OrphanedLock, Confidence::Proven, "orphan");
    (f.tid, f.owner_tid) = (Some(Tid(tid)), Some(Tid(owner)));
    d.findings.push(f);
}

#[test]
fn one_machine_one_moment_one_chain() {
    let mut a = digest(0x20, "a.exe", "PC1", 1000);
    let mut b = digest(0x30, "b.exe", "PC1", 1002);
    waits(&mut a, 0x24, 0x30, None);
    orphan(&mut b, 0x34, 0x38);
    for order in [vec![a.clone(), b.clone()], vec![b, a]] {
        let found = incidents(&order);
        assert_eq!(found.len(), 1);
        let steps: Vec<(u32, u32)> =
            found[0].chain.iter().map(|l| (l.pid.unwrap().0, l.tid.unwrap().0)).collect();
        assert_eq!(steps, [(0x20, 0x24), (0x30, 0x34)]);
        assert!(
            found[0].root_cause.contains("thread 34 of b.exe") && found[0].root_cause.contains("thread 38")
        );
        assert!(found[0].missing_dumps.is_empty());
        assert_eq!(found[0].confidence, Confidence::Strong, "which thread serves the call is not proven");
        assert_eq!(order[found[0].dumps[0]].pid, Some(Pid(0x20)), "the symptom first");
    }
}

#[test]
fn other_machines_and_other_times_are_no_incident() {
    let mut a = digest(0x20, "a.exe", "PC1", 1_000_000);
    waits(&mut a, 0x24, 0x30, None);
    let mut other_machine = digest(0x30, "b.exe", "PC2", 1_000_000);
    orphan(&mut other_machine, 0x34, 0x38);
    let mut other_build = digest(0x30, "b.exe", "PC1", 1_000_000);
    other_build.machine.build = Some(9600);
    let other_time = digest(0x30, "b.exe", "PC1", 1_900_000);
    for other in [other_machine, other_build, other_time] {
        assert_eq!(incidents(&[a.clone(), other]), []);
    }
    let mut nameless = digest(0x30, "b.exe", "PC1", 1_000_000);
    nameless.machine.computer = None;
    orphan(&mut nameless, 0x34, 0x38);
    let found = incidents(&[a, nameless]);
    assert_eq!(found[0].confidence, Confidence::Guess, "nothing says that it is the same machine");
}

#[test]
fn a_missing_dump_is_named() {
    let mut a = digest(0x20, "a.exe", "PC1", 1000);
    waits(&mut a, 0x24, 0x30, None);
    let mut unrelated = digest(0x40, "c.exe", "PC1", 1000);
    orphan(&mut unrelated, 0x44, 0x48);
    let found = incidents(&[a, unrelated]);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].dumps.clone(), found[0].missing_dumps.clone()), (vec![0], vec![Pid(0x30)]));
    assert!(found[0].root_cause.contains("whose dump is missing"), "{}", found[0].root_cause);
}

#[test]
fn processes_that_wait_for_each_other() {
    let mut a = digest(0x20, "a.exe", "PC1", 1000);
    let mut b = digest(0x30, "b.exe", "PC1", 1001);
    waits(&mut a, 0x24, 0x30, Some(0x34));
    waits(&mut b, 0x34, 0x20, Some(0x24));
    let found = incidents(&[a, b]);
    assert_eq!(found.len(), 1);
    assert!(found[0].root_cause.contains("20.24 -> 30.34"), "{}", found[0].root_cause);
    assert_eq!(found[0].confidence, Confidence::Proven);
}

#[test]
fn three_processes_and_a_thread_that_is_gone() {
    let mut a = digest(0x20, "a.exe", "PC1", 1000);
    let mut b = digest(0x30, "b.exe", "PC1", 1001);
    let c = digest(0x40, "c.exe", "PC1", 1001);
    waits(&mut a, 0x24, 0x30, Some(0x34));
    waits(&mut b, 0x34, 0x40, Some(0x44));
    let found = incidents(&[a, b, c]);
    assert_eq!(found[0].dumps, [0, 1, 2]);
    assert!(found[0].root_cause.contains("thread 44 of c.exe (40), which should answer, no longer exists"));
}

#[test]
fn a_named_object_that_one_other_process_has_open_is_a_guess() {
    let mut a = digest(0x20, "a.exe", "PC1", 1000);
    let mut b = digest(0x30, "b.exe", "PC1", 1001);
    let object = |waited_by| NamedObject {
        name: r"\BaseNamedObjects\ready".into(),
        type_name: "Event".into(),
        waited_by,
    };
    let w = ThreadWait {
        sentence: "waits for the event 58 \"ready\"".into(),
        owner: None,
        state: Owner::Unknown,
        confidence: Some(Confidence::Proven),
    };
    a.threads.insert(Tid(0x24), w);
    a.objects.push(object(Some(Tid(0x24))));
    b.objects.push(object(None));
    orphan(&mut b, 0x34, 0x38);
    let found = incidents(&[a.clone(), b.clone()]);
    assert_eq!((found.len(), found[0].confidence), (1, Confidence::Guess));
    let mut c = digest(0x40, "c.exe", "PC1", 1001);
    c.objects.push(object(None));
    assert_eq!(incidents(&[a, b, c]), [], "two processes have it: neither is named");
}
