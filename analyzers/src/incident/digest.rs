//! What is kept of one dump to compare it with others.

use super::MachineId;
use crate::facts::Case;
use crate::model::{Confidence, Finding, Kind, OwnerState, ThreadFacts, ThreadRole};
use crate::thread_state::thread_state;
use dumpscope_core::base::Guid;
use dumpscope_core::model::ProcessParameters;
use dumpscope_core::stream::handle_data::{Handle, ObjectInfo};
use dumpscope_core::{Parsed, Pid, Tid};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most named objects that are kept.
const MAX_OBJECTS: usize = 4096;

/// Functions through which COM and RPC call into a server's code; the first ones are exports.
const SERVES: [&str; 12] = [
    "NdrStubCall2",
    "NdrStubCall3",
    "CStdStubBuffer_Invoke",
    "NdrServerCall2",
    "NdrServerCallAll",
    "NdrAsyncServerCall",
    "ComInvokeWithLockAndIPID",
    "ThreadInvoke",
    "SyncStubInvoke",
    "SyncServerCall::StubInvoke",
    "AppInvoke",
    "DispatchToStubInCNoAvrf",
];

/// What a wait for another process wants of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wanted {
    /// The answer to a call.
    Answer,
    /// An object that one of its threads owns.
    Object,
    /// Its end, or that of one of its threads.
    End,
}

impl Wanted {
    fn of(kind: Kind) -> Wanted {
        match kind {
            Kind::Process | Kind::Thread => Wanted::End,
            Kind::ComCall | Kind::RpcCall | Kind::MessageQueue => Wanted::Answer,
            _ => Wanted::Object,
        }
    }
}

/// A thread that waits for another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrossWait {
    /// The thread.
    pub tid: Tid,
    /// The process that it waits for.
    pub pid: Pid,
    /// The thread that has to act, when known.
    pub server: Option<Tid>,
    /// What it wants.
    pub wanted: Wanted,
    /// The id that a call and everything that is done for it share, over all processes.
    pub causality: Option<Guid>,
    /// How sure.
    pub confidence: Confidence,
    /// True for the process's first thread.
    pub is_main: bool,
}

/// What a thread waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadWait {
    /// What it does, one sentence without a full stop. Untrusted.
    pub sentence: String,
    /// The thread of the same process that it waits for.
    pub owner: Option<Tid>,
    /// Whether that thread exists.
    pub state: OwnerState,
    /// How sure; `None` for a thread that does not wait.
    pub confidence: Option<Confidence>,
    /// What its wait rests on, one sentence each; empty when it waits for nobody in particular. Untrusted.
    pub evidence: Vec<String>,
    /// Type and name of the object that it waits for or calls, where that has a name. Untrusted.
    pub named: Option<(String, String)>,
    /// Interface and procedure of the RPC call that it waits for.
    pub rpc: Option<(Guid, u32)>,
    /// It waits for an interpreter's global lock, which changes hands all the time: no symptom by itself.
    pub passing: bool,
}

/// A thread that serves a call of another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// The thread.
    pub tid: Tid,
    /// The calling process, when known.
    pub client: Option<Pid>,
    /// The calling thread, when known.
    pub client_tid: Option<Tid>,
    /// How sure process and thread are.
    pub confidence: Confidence,
    /// The id of the call, as in [`CrossWait::causality`].
    pub causality: Option<Guid>,
    /// Interface and procedure of the RPC call.
    pub rpc: Option<(Guid, u32)>,
    /// The function through which the call came in, when the stack shows it. Untrusted.
    pub through: Option<String>,
}

/// An object with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedObject {
    /// Name. Untrusted.
    pub name: String,
    /// Type. Untrusted.
    pub type_name: String,
    /// Who owns it, by the handle data.
    pub owner: Option<(Pid, Tid)>,
}

/// What is kept of one dump.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// Process id.
    pub pid: Option<Pid>,
    /// Name of the program's file. Untrusted.
    pub process: Option<String>,
    /// Which machine.
    pub machine: MachineId,
    /// When the dump was written, seconds since 1970.
    pub time: Option<u32>,
    /// When the process was created, seconds since 1970.
    pub started: Option<u32>,
    /// Threads that wait for other processes, in thread order.
    pub cross: Vec<CrossWait>,
    /// All threads.
    pub threads: BTreeMap<Tid, ThreadWait>,
    /// The process's first thread.
    pub main: Option<Tid>,
    /// True when the dump's list holds all threads: one that is not in it does not exist.
    pub all_threads: bool,
    /// Threads that serve calls of other processes.
    pub serving: Vec<Serving>,
    /// Named objects that can be waited for.
    pub objects: Vec<NamedObject>,
    /// What was found, worst first.
    pub findings: Vec<Finding>,
}

impl Digest {
    /// Takes what is needed of a dump.
    #[must_use]
    pub fn of(facts: &Case<'_>, findings: &[Finding]) -> Digest {
        let target = facts.target;
        let dump = &target.dump;
        let parameters: Option<ProcessParameters> =
            dump.parameters(target.process_machine()).or_else(|| dump.parameters(dump.machine()));
        let path = parameters.as_ref().and_then(|p| p.image_path.clone()).filter(|p| !p.is_empty());
        let path = path.or_else(|| dump.modules().first().map(|m| m.path.clone()));
        let mut out = Digest {
            pid: dump.pid(),
            process: path.and_then(|p| p.rsplit(['\\', '/']).next().map(str::to_owned)),
            machine: MachineId::of(target, parameters.as_ref()),
            time: Some(dump.time()).filter(|t| *t != 0),
            started: dump.misc().value().and_then(|m| m.create_time).filter(|t| *t != 0),
            main: facts.threads.iter().find(|t| t.is_main).map(|t| t.tid),
            all_threads: !facts.stopped
                && matches!(dump.thread_list(), Parsed::Fine(list) if !list.is_empty()),
            findings: findings.to_vec(),
            ..Digest::default()
        };
        for t in &facts.threads {
            out.thread(facts, t);
        }
        out.named_objects(facts);
        out
    }

    fn thread(&mut self, facts: &Case<'_>, t: &ThreadFacts) {
        let target = facts.target;
        let own = target.dump.pid();
        let sentence =
            t.activity.as_ref().map_or_else(|| "is doing something unknown".into(), |a| a.text.clone());
        let wait = t.wait.as_ref();
        let outside = wait.and_then(|w| w.owner_pid).filter(|p| own.is_some_and(|o| o != *p));
        if let (Some(w), Some(pid)) = (wait, outside) {
            self.cross.push(CrossWait {
                tid: t.tid,
                pid,
                server: w.owner_tid,
                wanted: Wanted::of(w.kind),
                causality: t
                    .com
                    .as_ref()
                    .and_then(|c| c.causality)
                    .or_else(|| w.com.as_ref()?.message?.causality),
                confidence: w.confidence,
                is_main: t.is_main,
            });
        }
        let owner = wait.and_then(|w| w.owner_tid).filter(|_| outside.is_none());
        let named = wait.filter(|_| owner.is_none() && outside.is_none()).and_then(|w| named(facts, w));
        let matters = owner.is_some() || outside.is_some() || named.is_some();
        self.threads.insert(
            t.tid,
            ThreadWait {
                sentence,
                owner,
                state: owner.map_or(OwnerState::Unknown, |o| thread_state(target, o)),
                confidence: wait.map(|w| w.confidence),
                evidence: wait.filter(|_| matters).map(|w| w.evidence.clone()).unwrap_or_default(),
                named,
                rpc: wait.and_then(|w| w.rpc.as_ref()).map(|r| (r.interface, r.procedure)),
                passing: wait.is_some_and(|w| w.kind == Kind::Gvl),
            },
        );
        // A call from another thread of this process is no matter between dumps.
        let incoming = t.com.as_ref().and_then(|c| c.incoming.as_ref()).filter(|i| own != Some(i.pid));
        let frames = t.stack.as_ref().map_or(&[][..], |s| &s.frames);
        let through = frames.iter().filter_map(|f| f.function.as_deref()).find(|f| SERVES.contains(f));
        let chain = || crate::waits::com::served(target, t.stack.as_ref()?);
        let rpc = t.serves.as_ref().map(|r| (r.interface, r.procedure));
        if (incoming.is_some() || rpc.is_some() || through.is_some())
            && t.role != Some(ThreadRole::DumpWriter)
        {
            self.serving.push(Serving {
                tid: t.tid,
                client: incoming.map(|i| i.pid),
                client_tid: incoming.and_then(|i| i.tid),
                confidence: incoming.map_or(Confidence::Guess, |i| i.confidence),
                causality: incoming
                    .and_then(|i| i.causality)
                    .or_else(|| t.com.as_ref()?.causality)
                    .or_else(chain),
                rpc,
                through: through.map(str::to_owned),
            });
        }
    }

    fn named_objects(&mut self, facts: &Case<'_>) {
        let Some(data) = facts.target.dump.handles().value() else { return };
        for h in data.handles.iter() {
            let Some((type_name, name)) = object_name(h) else { continue };
            let owner = h.info.iter().find_map(|i| match i {
                ObjectInfo::MutantOwner { pid, tid } if tid.0 != 0 => Some((*pid, *tid)),
                _ => None,
            });
            self.objects.push(NamedObject { name, type_name, owner });
            if self.objects.len() >= MAX_OBJECTS {
                return;
            }
        }
    }

    /// The thread that a named object belongs to, when it is one of this process.
    #[must_use]
    pub fn owner_of(&self, type_name: &str, name: &str) -> Option<Tid> {
        let same = self.objects.iter().filter(|o| o.type_name == type_name && o.name == name);
        let (pid, tid) = same.filter_map(|o| o.owner).next()?;
        (Some(pid) == self.pid).then_some(tid)
    }

    /// From when to when the process is known to have lived, seconds since 1970.
    #[must_use]
    pub fn lifetime(&self) -> Option<(u32, u32)> {
        let to = self.time?;
        Some((self.started.filter(|s| *s <= to).unwrap_or(to), to))
    }

    /// `ruby.exe (20)`. Untrusted.
    #[must_use]
    pub fn name(&self) -> String {
        match (&self.process, self.pid) {
            (Some(n), Some(p)) => format!("{n} ({:x})", p.0),
            (Some(n), None) => n.clone(),
            (None, Some(p)) => format!("process {:x}", p.0),
            (None, None) => "a process".into(),
        }
    }
}

/// Type and folder of the ports to which local RPC calls go.
pub(super) const PORT: (&str, &str) = ("ALPC Port", r"\RPC Control\");

/// Type and name of an object that processes share to wait for one another, or of a port that a server opened.
fn object_name(h: &Handle) -> Option<(String, String)> {
    let (name, type_name) = (h.object_name.as_ref()?, h.type_name.as_ref()?);
    let shared = matches!(type_name.as_str(), "Event" | "Mutant" | "Semaphore" | "Timer");
    let shared = shared || type_name == PORT.0 && name.starts_with(PORT.1);
    (shared && !name.is_empty()).then(|| (type_name.clone(), name.clone()))
}

/// Type and name of the one object that a thread waits for, or of the port that its local RPC call goes to.
fn named(facts: &Case<'_>, wait: &crate::model::Wait) -> Option<(String, String)> {
    if let Some(endpoint) = wait.rpc.as_ref().and_then(|r| r.endpoint.as_deref()) {
        let local = endpoint.strip_prefix("ncalrpc:[")?.strip_suffix(']')?;
        return Some((PORT.0.to_owned(), format!("{}{local}", PORT.1)));
    }
    let &[value] = wait.handles.as_deref()? else { return None };
    if !matches!(wait.kind, Kind::Event | Kind::Mutex | Kind::Semaphore | Kind::Timer) {
        return None;
    }
    let data = facts.target.dump.handles().value()?;
    object_name(data.handles.iter().find(|h| h.value == value)?)
}
