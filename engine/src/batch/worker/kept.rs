//! A [`Digest`] as it goes through the pipe: ids and addresses are plain numbers there.

use dumpscope_analyzers::incident::{CrossWait, Digest, MachineId, NamedObject, Serving, ThreadWait, Wanted};
use dumpscope_analyzers::model::{Confidence, Finding, FindingClass, FindingKind, OwnerState};
use dumpscope_core::base::Guid;
use dumpscope_core::{Pid, Tid, Va};
use serde::{Deserialize, Serialize};

type Bytes = [u8; 16];

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeptDigest {
    pid: Option<u32>,
    process: Option<String>,
    computer: Option<String>,
    build: Option<u32>,
    boot: Option<u64>,
    ntdll: Option<(u32, u32, u64)>,
    time: Option<u32>,
    started: Option<u32>,
    cross: Vec<Cross>,
    threads: Vec<Thread>,
    main: Option<u32>,
    all_threads: bool,
    serving: Vec<Serves>,
    objects: Vec<Object>,
    findings: Vec<Found>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Cross {
    tid: u32,
    pid: u32,
    server: Option<u32>,
    wanted: Wanted,
    causality: Option<Bytes>,
    confidence: Confidence,
    is_main: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Thread {
    tid: u32,
    sentence: String,
    owner: Option<u32>,
    state: OwnerState,
    confidence: Option<Confidence>,
    evidence: Vec<String>,
    named: Option<(String, String)>,
    rpc: Option<(Bytes, u32)>,
    passing: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Serves {
    tid: u32,
    client: Option<u32>,
    client_tid: Option<u32>,
    confidence: Confidence,
    causality: Option<Bytes>,
    rpc: Option<(Bytes, u32)>,
    through: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Object {
    name: String,
    type_name: String,
    owner: Option<(u32, u32)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Found {
    kind: FindingKind,
    class: FindingClass,
    summary: String,
    tid: Option<u32>,
    tids: Vec<u32>,
    lock: Option<u64>,
    owner_tid: Option<u32>,
    server_pid: Option<u32>,
    confidence: Confidence,
    evidence: Vec<String>,
    advice: Option<String>,
}

fn number(tid: Option<Tid>) -> Option<u32> {
    tid.map(|t| t.0)
}

fn process(pid: Option<Pid>) -> Option<u32> {
    pid.map(|p| p.0)
}

fn bytes(guid: Option<Guid>) -> Option<Bytes> {
    guid.map(|g| g.to_bytes())
}

fn guid(bytes: Option<Bytes>) -> Option<Guid> {
    bytes.map(|b| Guid::from_bytes(&b))
}

fn call(rpc: Option<(Guid, u32)>) -> Option<(Bytes, u32)> {
    rpc.map(|(g, n)| (g.to_bytes(), n))
}

fn call_of(rpc: Option<(Bytes, u32)>) -> Option<(Guid, u32)> {
    rpc.map(|(b, n)| (Guid::from_bytes(&b), n))
}

impl From<Digest> for KeptDigest {
    // Every field is named: one that is added and not carried does not compile.
    fn from(d: Digest) -> KeptDigest {
        let Digest {
            pid,
            process: name,
            machine,
            time,
            started,
            cross,
            threads,
            main,
            all_threads,
            serving,
            objects,
            findings,
        } = d;
        let MachineId { computer, build, boot, ntdll } = machine;
        let thread = |(tid, w): (Tid, ThreadWait)| {
            let ThreadWait { sentence, owner, state, confidence, evidence, named, rpc, passing } = w;
            let (tid, owner, rpc) = (tid.0, number(owner), call(rpc));
            Thread { tid, sentence, owner, state, confidence, evidence, named, rpc, passing }
        };
        KeptDigest {
            pid: process(pid),
            process: name,
            computer,
            build,
            boot,
            ntdll: ntdll.map(|(time, size, base)| (time, size, base.0)),
            time,
            started,
            cross: cross.into_iter().map(Cross::from).collect(),
            threads: threads.into_iter().map(thread).collect(),
            main: number(main),
            all_threads,
            serving: serving.into_iter().map(Serves::from).collect(),
            objects: objects.into_iter().map(Object::from).collect(),
            findings: findings.into_iter().map(Found::from).collect(),
        }
    }
}

impl From<KeptDigest> for Digest {
    fn from(k: KeptDigest) -> Digest {
        let thread = |t: Thread| {
            let Thread { tid, sentence, owner, state, confidence, evidence, named, rpc, passing } = t;
            let (owner, rpc) = (owner.map(Tid), call_of(rpc));
            (Tid(tid), ThreadWait { sentence, owner, state, confidence, evidence, named, rpc, passing })
        };
        Digest {
            pid: k.pid.map(Pid),
            process: k.process,
            machine: MachineId {
                computer: k.computer,
                build: k.build,
                boot: k.boot,
                ntdll: k.ntdll.map(|(time, size, base)| (time, size, Va(base))),
            },
            time: k.time,
            started: k.started,
            cross: k.cross.into_iter().map(CrossWait::from).collect(),
            threads: k.threads.into_iter().map(thread).collect(),
            main: k.main.map(Tid),
            all_threads: k.all_threads,
            serving: k.serving.into_iter().map(Serving::from).collect(),
            objects: k.objects.into_iter().map(NamedObject::from).collect(),
            findings: k.findings.into_iter().map(Finding::from).collect(),
        }
    }
}

impl From<CrossWait> for Cross {
    fn from(c: CrossWait) -> Cross {
        let CrossWait { tid, pid, server, wanted, causality, confidence, is_main } = c;
        let (tid, pid, server, causality) = (tid.0, pid.0, number(server), bytes(causality));
        Cross { tid, pid, server, wanted, causality, confidence, is_main }
    }
}

impl From<Cross> for CrossWait {
    fn from(c: Cross) -> CrossWait {
        let Cross { tid, pid, server, wanted, causality, confidence, is_main } = c;
        let (tid, pid, server, causality) = (Tid(tid), Pid(pid), server.map(Tid), guid(causality));
        CrossWait { tid, pid, server, wanted, causality, confidence, is_main }
    }
}

impl From<Serving> for Serves {
    fn from(s: Serving) -> Serves {
        let Serving { tid, client, client_tid, confidence, causality, rpc, through } = s;
        let (tid, client, client_tid) = (tid.0, process(client), number(client_tid));
        Serves { tid, client, client_tid, confidence, causality: bytes(causality), rpc: call(rpc), through }
    }
}

impl From<Serves> for Serving {
    fn from(s: Serves) -> Serving {
        let Serves { tid, client, client_tid, confidence, causality, rpc, through } = s;
        let (tid, client, client_tid) = (Tid(tid), client.map(Pid), client_tid.map(Tid));
        let (causality, rpc) = (guid(causality), call_of(rpc));
        Serving { tid, client, client_tid, confidence, causality, rpc, through }
    }
}

impl From<NamedObject> for Object {
    fn from(o: NamedObject) -> Object {
        let NamedObject { name, type_name, owner } = o;
        Object { name, type_name, owner: owner.map(|(p, t)| (p.0, t.0)) }
    }
}

impl From<Object> for NamedObject {
    fn from(o: Object) -> NamedObject {
        let Object { name, type_name, owner } = o;
        NamedObject { name, type_name, owner: owner.map(|(p, t)| (Pid(p), Tid(t))) }
    }
}

impl From<Finding> for Found {
    fn from(f: Finding) -> Found {
        let Finding {
            kind,
            class,
            summary,
            tid,
            tids,
            lock,
            owner_tid,
            server_pid,
            confidence,
            evidence,
            advice,
        } = f;
        let tids = tids.into_iter().map(|t| t.0).collect();
        let (tid, lock, owner_tid) = (number(tid), lock.map(|a| a.0), number(owner_tid));
        let server_pid = process(server_pid);
        Found { kind, class, summary, tid, tids, lock, owner_tid, server_pid, confidence, evidence, advice }
    }
}

impl From<Found> for Finding {
    fn from(f: Found) -> Finding {
        let Found {
            kind,
            class,
            summary,
            tid,
            tids,
            lock,
            owner_tid,
            server_pid,
            confidence,
            evidence,
            advice,
        } = f;
        let tids = tids.into_iter().map(Tid).collect();
        let (tid, lock, owner_tid) = (tid.map(Tid), lock.map(Va), owner_tid.map(Tid));
        let server_pid = server_pid.map(Pid);
        Finding { kind, class, summary, tid, tids, lock, owner_tid, server_pid, confidence, evidence, advice }
    }
}
