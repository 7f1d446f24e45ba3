//! Incidents of hand-written digests.

use super::*;
use crate::model::{FindingKind, OwnerState};

fn digest(pid: u32, name: &str, computer: &str, time: u32) -> Digest {
    Digest {
        pid: Some(Pid(pid)),
        process: Some(name.into()),
        machine: MachineId {
            computer: Some(computer.into()),
            build: Some(19045),
            boot: Some(5_000_000),
            ntdll: Some((1, 2, dumpscope_core::Va(0x7ff9_5000_0000))),
        },
        time: Some(time),
        started: Some(time - 100),
        all_threads: true,
        ..Digest::default()
    }
}

fn thread(d: &mut Digest, tid: u32, sentence: &str, owner: Option<(u32, OwnerState)>) {
    let w = ThreadWait {
        sentence: sentence.into(),
        owner: owner.map(|o| Tid(o.0)),
        state: owner.map_or(OwnerState::Unknown, |o| o.1),
        confidence: Some(Confidence::Proven),
        evidence: vec![format!("what the wait of {tid:x} rests on")],
        named: None,
        rpc: None,
        passing: false,
    };
    d.threads.insert(Tid(tid), w);
}

fn waits(d: &mut Digest, tid: u32, pid: u32, server: Option<u32>) {
    d.cross.push(CrossWait {
        tid: Tid(tid),
        pid: Pid(pid),
        server: server.map(Tid),
        wanted: Wanted::Answer,
        causality: None,
        confidence: Confidence::Proven,
        is_main: d.cross.is_empty(),
    });
    thread(d, tid, &format!("waits for the answer to a COM call that process {pid:x} serves"), None);
}

fn orphan(d: &mut Digest, tid: u32, owner: u32) {
    let sentence =
        format!("waits for the critical section at 1000, which thread {owner:x} held when it ended");
    thread(d, tid, &sentence, Some((owner, OwnerState::Missing)));
    let mut f = Finding::new(FindingKind::OrphanedLock, Confidence::Proven, "orphan");
    (f.tid, f.owner_tid) = (Some(Tid(tid)), Some(Tid(owner)));
    f.tids = vec![Tid(tid)];
    d.findings.push(f);
}

fn serves(d: &mut Digest, tid: u32, client: Option<u32>, client_tid: Option<u32>) {
    d.serving.push(Serving {
        tid: Tid(tid),
        client: client.map(Pid),
        client_tid: client_tid.map(Tid),
        confidence: Confidence::Proven,
        causality: None,
        rpc: None,
        through: Some("NdrStubCall2".into()),
    });
}

fn steps(i: &Incident) -> Vec<(u32, u32)> {
    i.chain.iter().map(|l| (l.pid.unwrap().0, l.tid.map_or(0, |t| t.0))).collect()
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
        assert_eq!(steps(&found[0]), [(0x20, 0x24), (0x30, 0x34)]);
        assert!(
            found[0].root_cause.contains("thread 34 of b.exe") && found[0].root_cause.contains("thread 38")
        );
        assert!(found[0].missing_dumps.is_empty());
        assert_eq!(found[0].confidence, Confidence::Strong, "which thread serves the call is not proven");
        assert_eq!(order[found[0].dumps[0]].pid, Some(Pid(0x20)), "the symptom first");
        let why = &found[0].chain[1].reached_by;
        assert!(why[0].contains("nothing in the dump says which thread serves the call"), "{why:?}");
        assert!(why.iter().any(|e| e == "both dumps are of computer PC1"), "{why:?}");
        assert!(why.iter().any(|e| e == "they were written 2 s apart"), "{why:?}");
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
    // The name is the same, but not the boot: machines made from one image, or one machine before and after.
    let mut other_boot = digest(0x30, "b.exe", "PC1", 1_000_000);
    other_boot.machine.boot = Some(9_000_000_000_000);
    let mut other_place = digest(0x30, "b.exe", "PC1", 1_000_000);
    other_place.machine.ntdll = Some((1, 2, dumpscope_core::Va(0x7ff9_6000_0000)));
    for other in [other_machine, other_build, other_time, other_boot, other_place] {
        assert_eq!(incidents(&[a.clone(), other]), []);
    }
    let mut nameless = digest(0x30, "b.exe", "PC1", 1_000_000);
    nameless.machine = MachineId { build: Some(19045), ..MachineId::default() };
    orphan(&mut nameless, 0x34, 0x38);
    let found = incidents(&[a, nameless]);
    assert_eq!(found[0].confidence, Confidence::Guess, "nothing says that it is the same machine");
    let why = &found[0].chain[1].reached_by;
    assert!(why.iter().any(|e| e.contains("nothing says that both dumps are of one machine")), "{why:?}");
}

#[test]
fn one_sign_of_the_machine_is_not_enough_for_a_proof() {
    let mut a = digest(0x20, "a.exe", "PC1", 1000);
    waits(&mut a, 0x24, 0x30, Some(0x34));
    let mut b = digest(0x30, "b.exe", "PC1", 1000);
    orphan(&mut b, 0x34, 0x38);
    assert_eq!(incidents(&[a.clone(), b.clone()])[0].confidence, Confidence::Proven);
    (b.machine.boot, b.machine.ntdll) = (None, None);
    assert_eq!(incidents(&[a.clone(), b.clone()])[0].confidence, Confidence::Strong, "only the name");
    // Half a second is how far a clock is set now and then; half a minute is neither.
    for (boot, sure) in [(10_000_000, Confidence::Proven), (305_000_000, Confidence::Strong)] {
        b.machine.boot = Some(boot);
        assert_eq!(incidents(&[a.clone(), b.clone()])[0].confidence, sure, "{boot}");
    }
}

#[test]
fn who_answers_is_what_proves_most() {
    let mut a = digest(0x20, "a.exe", "PC1", 1000);
    waits(&mut a, 0x24, 0x30, None);
    let mut b = digest(0x30, "b.exe", "PC1", 1001);
    for tid in [0x40, 0x44, 0x48, 0x4c] {
        thread(&mut b, tid, "waits for the event 58", None);
    }
    orphan(&mut b, 0x34, 0x38);
    let answer = |a: &Digest, b: &Digest| {
        let found = incidents(&[a.clone(), b.clone()]);
        (steps(&found[0])[1].1, found[0].confidence, found[0].chain[1].reached_by[0].clone())
    };
    // 5. What is blocked.
    assert_eq!(answer(&a, &b).0, 0x34);
    // 4. What serves a call of somebody; of two it cannot be said which.
    serves(&mut b, 0x40, None, None);
    let (tid, sure, why) = answer(&a, &b);
    assert_eq!((tid, sure), (0x40, Confidence::Strong));
    assert!(why.contains("NdrStubCall2") && why.contains("nothing in the dump says"), "{why}");
    serves(&mut b, 0x44, None, None);
    let (_, sure, why) = answer(&a, &b);
    assert!(sure == Confidence::Guess && why.ends_with("others that do: 44"), "{why}");
    // 3. What names the caller; another thread of the caller is not the caller.
    serves(&mut b, 0x48, Some(0x20), Some(0x28));
    assert_eq!(answer(&a, &b).1, Confidence::Guess);
    serves(&mut b, 0x48, Some(0x20), None);
    assert_eq!((answer(&a, &b).0, answer(&a, &b).1), (0x48, Confidence::Strong));
    // 2. What names the calling thread.
    serves(&mut b, 0x4c, Some(0x20), Some(0x24));
    assert_eq!((answer(&a, &b).0, answer(&a, &b).1), (0x4c, Confidence::Proven));
    // 1. The id of the call in both dumps, then the caller's own data.
    let id = dumpscope_core::base::Guid { data1: 7, ..Default::default() };
    a.cross[0].causality = Some(id);
    b.serving[0].causality = Some(id);
    let (tid, sure, why) = answer(&a, &b);
    assert_eq!((tid, sure), (0x40, Confidence::Proven));
    assert!(why.contains("causality id {00000007-"), "{why}");
    a.cross[0].server = Some(Tid(0x44));
    let (tid, sure, why) = answer(&a, &b);
    assert_eq!((tid, sure), (0x44, Confidence::Proven));
    assert_eq!(why, "the data of thread 24 of a.exe (20) name thread 44 as the one that has to act");
}

#[test]
fn two_blocked_threads_of_one_kind_are_a_guess() {
    let mut a = digest(0x20, "a.exe", "PC1", 1000);
    waits(&mut a, 0x24, 0x30, None);
    let mut b = digest(0x30, "b.exe", "PC1", 1001);
    orphan(&mut b, 0x34, 0x38);
    orphan(&mut b, 0x3c, 0x38);
    let found = incidents(&[a, b]);
    assert_eq!(found[0].confidence, Confidence::Guess);
    assert!(
        found[0].chain[1].reached_by[0].ends_with("blocked, too: 3c"),
        "{:?}",
        found[0].chain[1].reached_by
    );
}

#[test]
fn of_several_dumps_of_a_process_the_nearest_is_taken() {
    let client = |time| {
        let mut d = digest(0x20, "a.exe", "PC1", time);
        d.started = Some(900);
        waits(&mut d, 0x24, 0x30, None);
        d
    };
    let server = |time| {
        let mut d = digest(0x30, "b.exe", "PC1", time);
        d.started = Some(900);
        orphan(&mut d, 0x34, 0x38);
        d
    };
    // Three dumps of the client, two of the server: one incident, of the two that were written closest together.
    let all = [client(1000), client(1020), client(1040), server(1025), server(1080)];
    let found = incidents(&all);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].dumps, [1, 3]);
    assert_eq!(found[0].also_waiting, []);
    // Dumps of one process alone are no incident.
    let mut own = [server(1000), server(1010)];
    assert_eq!(incidents(&own), []);
    own[1].pid = None;
    assert_eq!(incidents(&own), []);
}

#[test]
fn two_clients_of_one_server() {
    let mut a = digest(0x20, "a.exe", "PC1", 1001);
    waits(&mut a, 0x24, 0x30, None);
    let mut other = digest(0x40, "c.exe", "PC1", 1001);
    waits(&mut other, 0x44, 0x30, None);
    let mut b = digest(0x30, "b.exe", "PC1", 1001);
    orphan(&mut b, 0x34, 0x38);
    let found = incidents(&[a, other, b]);
    assert_eq!(found.len(), 1);
    assert_eq!((steps(&found[0]), found[0].dumps.clone()), (vec![(0x20, 0x24), (0x30, 0x34)], vec![0, 2, 1]));
    assert_eq!(found[0].also_waiting[0].tid, Some(Tid(0x44)));
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
    assert!(found[0].root_cause.ends_with("in a circle: 20.24 -> 30.34 -> 20.24"), "{}", found[0].root_cause);
    assert_eq!(found[0].closes_at, Some(0));
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
    let cause = &found[0].root_cause;
    assert!(cause.contains("thread 44 of c.exe (40), which should act, no longer exists"), "{cause}");
}

#[test]
fn the_chain_goes_on_where_it_can() {
    // a waits for b, b for c, and c for a process without a dump; b has another thread that waits, too.
    let mut a = digest(0x20, "a.exe", "PC1", 1000);
    let mut b = digest(0x30, "b.exe", "PC1", 1001);
    let mut c = digest(0x40, "c.exe", "PC1", 1001);
    waits(&mut a, 0x24, 0x30, Some(0x34));
    waits(&mut b, 0x38, 0x60, None);
    thread(
        &mut b,
        0x34,
        "waits for the critical section at 1000, which thread 3c holds",
        Some((0x3c, OwnerState::Alive)),
    );
    waits(&mut b, 0x3c, 0x40, Some(0x44));
    waits(&mut c, 0x44, 0x50, None);
    let found = incidents(&[c, b, a]);
    assert_eq!(found.len(), 1);
    assert_eq!(steps(&found[0]), [(0x20, 0x24), (0x30, 0x34), (0x30, 0x3c), (0x40, 0x44)]);
    assert_eq!(found[0].dumps, [2, 1, 0]);
    assert_eq!(found[0].missing_dumps, [Pid(0x50)], "process 60 would not extend this chain");
    assert_eq!(found[0].confidence, Confidence::Proven);
    assert!(found[0].chain[2].reached_by.is_empty());
}

fn object(type_name: &str, name: &str, owner: Option<(u32, u32)>) -> NamedObject {
    let owner = owner.map(|(p, t)| (Pid(p), Tid(t)));
    NamedObject { name: name.into(), type_name: type_name.into(), owner }
}

#[test]
fn the_owner_of_a_named_mutex_is_in_the_other_dump() {
    let name = r"\BaseNamedObjects\guard";
    let mut a = digest(0x20, "a.exe", "PC1", 1000);
    thread(&mut a, 0x24, "waits for the mutant 58 \"guard\"", None);
    a.threads.get_mut(&Tid(0x24)).unwrap().named = Some(("Mutant".into(), name.into()));
    a.objects.push(object("Mutant", name, None));
    let mut b = digest(0x30, "b.exe", "PC1", 1001);
    b.objects.push(object("Mutant", name, Some((0x30, 0x34))));
    thread(&mut b, 0x34, "sleeps", None);
    let mut c = digest(0x40, "c.exe", "PC1", 1001);
    c.objects.push(object("Mutant", name, Some((0x30, 0x34))));
    let found = incidents(&[a.clone(), b.clone(), c.clone()]);
    assert_eq!(steps(&found[0]), [(0x20, 0x24), (0x30, 0x34)]);
    assert_eq!(found[0].confidence, Confidence::Proven);
    let why = &found[0].chain[1].reached_by;
    assert!(why.iter().any(|e| e.contains("name its thread 34 as owner of the mutant")), "{why:?}");
    // Of another machine it is another mutex.
    b.machine.computer = Some("PC2".into());
    assert_eq!(incidents(&[a, b]), []);
}

#[test]
fn a_local_rpc_call_goes_to_who_has_the_port() {
    let port = r"\RPC Control\inventory";
    let call = (dumpscope_core::base::Guid { data1: 7, ..Default::default() }, 4);
    let mut a = digest(0x20, "a.exe", "PC1", 1000);
    thread(&mut a, 0x24, "waits for the answer to an RPC call", None);
    let wait = a.threads.get_mut(&Tid(0x24)).unwrap();
    (wait.named, wait.rpc) = (Some(("ALPC Port".into(), port.into())), Some(call));
    let mut b = digest(0x30, "b.exe", "PC1", 1001);
    b.objects.push(object("ALPC Port", port, None));
    orphan(&mut b, 0x34, 0x38);
    thread(&mut b, 0x3c, "waits for the event 58", None);
    let found = incidents(&[a.clone(), b.clone()]);
    assert_eq!((steps(&found[0])[1], found[0].confidence), ((0x30, 0x34), Confidence::Strong));
    serves(&mut b, 0x40, None, None);
    serves(&mut b, 0x3c, None, None);
    b.serving[1].rpc = Some(call);
    let found = incidents(&[a, b]);
    assert_eq!((steps(&found[0])[1], found[0].confidence), ((0x30, 0x3c), Confidence::Strong));
    let why = &found[0].chain[1].reached_by;
    assert!(why[0].contains("serves a call of the same interface {00000007-"), "{why:?}");
    assert!(why.iter().any(|e| e.contains("the only process here that has the alpc port")), "{why:?}");
}

#[test]
fn the_end_of_a_process() {
    let mut a = digest(0x20, "a.exe", "PC1", 1000);
    waits(&mut a, 0x24, 0x30, None);
    a.cross[0].wanted = Wanted::End;
    let mut b = digest(0x30, "b.exe", "PC1", 1001);
    b.main = Some(Tid(0x34));
    thread(&mut b, 0x34, "sleeps", None);
    let found = incidents(&[a, b]);
    assert_eq!(steps(&found[0]), [(0x20, 0x24), (0x30, 0x34)]);
    assert_eq!(found[0].confidence, Confidence::Guess);
}

#[test]
fn a_named_object_that_one_other_process_has_open_is_a_guess() {
    let mut a = digest(0x20, "a.exe", "PC1", 1000);
    let mut b = digest(0x30, "b.exe", "PC1", 1001);
    let name = r"\BaseNamedObjects\ready";
    thread(&mut a, 0x24, "waits for the event 58 \"ready\"", None);
    a.threads.get_mut(&Tid(0x24)).unwrap().named = Some(("Event".into(), name.into()));
    a.objects.push(object("Event", name, None));
    b.objects.push(object("Event", name, None));
    orphan(&mut b, 0x34, 0x38);
    assert_eq!(incidents(&[a.clone(), b.clone()]), [], "nothing says that this wait matters");
    let mut f = Finding::new(FindingKind::Waiting, Confidence::Guess, "waits");
    f.tid = Some(Tid(0x24));
    a.findings.push(f);
    let found = incidents(&[a.clone(), b.clone()]);
    assert_eq!((found.len(), found[0].confidence), (1, Confidence::Guess));
    let why = &found[0].chain[1].reached_by;
    assert!(why.iter().any(|e| e.contains("the only other process here that has the event")), "{why:?}");
    let mut c = digest(0x40, "c.exe", "PC1", 1001);
    c.objects.push(object("Event", name, None));
    assert_eq!(incidents(&[a, b, c]), [], "two processes have it: neither is named");
}
