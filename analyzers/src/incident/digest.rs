//! What is kept of one dump to compare it with others.

use crate::locks::{Owner, thread_state};
use crate::patterns::ThreadRole;
use crate::triage::{Confidence, Facts, Finding};
use crate::waits::Kind;
use dumpscope_core::model::ProcessParameters;
use dumpscope_core::{Pid, Tid};
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

/// Which machine a dump is of, as far as it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineId {
    /// `COMPUTERNAME`, upper case. Untrusted.
    pub computer: Option<String>,
    /// Build of Windows.
    pub build: Option<u32>,
}

impl MachineId {
    /// Whether two dumps are of one machine: `None` when something contradicts it, a guess when nothing says it.
    #[must_use]
    pub fn same(&self, other: &MachineId) -> Option<Confidence> {
        let differ = |a: Option<u32>, b: Option<u32>| a.zip(b).is_some_and(|(a, b)| a != b);
        if differ(self.build, other.build) {
            return None;
        }
        match (&self.computer, &other.computer) {
            (Some(a), Some(b)) if a == b => Some(Confidence::Proven),
            (Some(_), Some(_)) => None,
            _ => Some(Confidence::Guess),
        }
    }
}

/// A thread that waits for another process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrossWait {
    /// The thread.
    pub tid: Tid,
    /// The process that it waits for.
    pub pid: Pid,
    /// The thread that serves it, when known.
    pub server: Option<Tid>,
    /// One sentence without a full stop. Untrusted.
    pub sentence: String,
    /// How sure.
    pub confidence: Confidence,
    /// True for the process's first thread.
    pub is_main: bool,
}

/// What a thread waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadWait {
    /// What it does, one sentence without a full stop. Untrusted.
    pub sentence: String,
    /// The thread of the same process that it waits for.
    pub owner: Option<Tid>,
    /// Whether that thread exists.
    pub state: Owner,
    /// How sure; `None` for a thread that does not wait.
    pub confidence: Option<Confidence>,
}

/// A thread that serves a call of another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serving {
    /// The thread.
    pub tid: Tid,
    /// The calling process, when known.
    pub client: Option<Pid>,
}

/// An object with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedObject {
    /// Name. Untrusted.
    pub name: String,
    /// Type. Untrusted.
    pub type_name: String,
    /// A thread that waits for it and for nothing else.
    pub waited_by: Option<Tid>,
}

/// What is kept of one dump.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    pub fn of(facts: &Facts<'_>, findings: &[Finding]) -> Digest {
        let target = facts.target;
        let dump = &target.dump;
        let parameters: Option<ProcessParameters> =
            dump.parameters(target.process_machine()).or_else(|| dump.parameters(dump.machine()));
        let path = parameters.as_ref().and_then(|p| p.image_path.clone()).filter(|p| !p.is_empty());
        let path = path.or_else(|| dump.modules().first().map(|m| m.path.clone()));
        let computer = parameters.as_ref().and_then(|p| p.variable("COMPUTERNAME"));
        let system = dump.system().value();
        let mut out = Digest {
            pid: dump.pid(),
            process: path.and_then(|p| p.rsplit(['\\', '/']).next().map(str::to_owned)),
            machine: MachineId {
                computer: computer.filter(|c| !c.is_empty()).map(str::to_uppercase),
                build: system.map(|s| s.build).filter(|b| *b != 0),
            },
            time: Some(dump.time()).filter(|t| *t != 0),
            started: dump.misc().value().and_then(|m| m.create_time).filter(|t| *t != 0),
            findings: findings.to_vec(),
            ..Digest::default()
        };
        for t in &facts.threads {
            out.thread(facts, t);
        }
        out.named_objects(facts);
        out
    }

    fn thread(&mut self, facts: &Facts<'_>, t: &crate::triage::ThreadFacts) {
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
                sentence: sentence.clone(),
                confidence: w.confidence,
                is_main: t.is_main,
            });
        }
        let owner = wait.and_then(|w| w.owner_tid).filter(|_| outside.is_none());
        self.threads.insert(
            t.tid,
            ThreadWait {
                sentence,
                owner,
                state: owner.map_or(Owner::Unknown, |o| thread_state(target, o)),
                confidence: wait.map(|w| w.confidence),
            },
        );
        let client = t.com.as_ref().and_then(|c| c.incoming.as_ref()).map(|i| i.pid);
        let client = client.filter(|c| own != Some(*c));
        let frames = t.stack.as_ref().map_or(&[][..], |s| &s.frames);
        let serves = frames.iter().filter_map(|f| f.function.as_deref()).any(|f| SERVES.contains(&f));
        if (client.is_some() || serves) && t.role != Some(ThreadRole::DumpWriter) {
            self.serving.push(Serving { tid: t.tid, client });
        }
    }

    fn named_objects(&mut self, facts: &Facts<'_>) {
        let Some(data) = facts.target.dump.handles().value() else { return };
        for h in &data.handles {
            let (Some(name), Some(type_name)) = (&h.object_name, &h.type_name) else { continue };
            if name.is_empty() || !matches!(type_name.as_str(), "Event" | "Mutant" | "Semaphore" | "Timer") {
                continue;
            }
            let waits = |t: &&crate::triage::ThreadFacts| {
                let w = t.wait.as_ref();
                w.is_some_and(|w| {
                    w.handles.as_deref() == Some(&[h.value])
                        && matches!(w.kind, Kind::Event | Kind::Mutex | Kind::Semaphore | Kind::Timer)
                        && w.owner_tid.is_none()
                })
            };
            self.objects.push(NamedObject {
                name: name.clone(),
                type_name: type_name.clone(),
                waited_by: facts.threads.iter().find(waits).map(|t| t.tid),
            });
            if self.objects.len() >= MAX_OBJECTS {
                return;
            }
        }
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
