//! What is kept of one dump to compare it with another of the same process.

use crate::facts::Case;
use crate::incident::{Digest, MachineId};
use crate::model::{Finding, FindingKind, Kind, ThreadFacts, Timeout};
use crate::text::frame_text;
use dumpscope_core::{Pid, Tid, Va};
use dumpscope_symbols::Trust;
use std::collections::BTreeMap;

/// Frames that are compared.
const MAX_FRAMES: usize = 256;

/// One dump.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Process id.
    pub pid: Option<Pid>,
    /// Name of the program's file. Untrusted.
    pub process: Option<String>,
    /// Which machine.
    pub machine: MachineId,
    /// When the process was created, seconds since 1970.
    pub started: Option<u32>,
    /// When the dump was written, seconds since 1970.
    pub time: u32,
    /// Threads in the dump's order.
    pub threads: Vec<ThreadSnapshot>,
    /// Kind and thread of the dump's own verdict.
    pub verdict: Option<(FindingKind, Tid)>,
    /// True when the dump's own verdict is that nothing is wrong.
    pub quiet: bool,
    /// Circles and orphaned locks: what does not end by itself, or begins anew.
    pub lasting: Vec<Finding>,
    /// Open handles: number, type and name. Untrusted. `None` without handle data.
    pub handles: Option<BTreeMap<u64, (String, String)>>,
    /// What the file lacks, one sentence each. Holds no unsafe characters.
    pub warnings: Vec<String>,
}

/// What a thread waits for, as far as it can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitKey {
    /// Kind of wait.
    pub kind: Kind,
    /// Address of the lock.
    pub address: Option<Va>,
    /// Handles.
    pub handles: Option<Vec<u64>>,
    /// Thread that owns it.
    pub owner: Option<Tid>,
    /// After how many milliseconds it gives up; `None` without a limit, or when that is not known.
    pub limit: Option<u64>,
}

/// One thread of one dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadSnapshot {
    /// System id.
    pub tid: Tid,
    /// Name given by the program. Untrusted.
    pub name: Option<String>,
    /// User and kernel time together, 100 ns.
    pub cpu: Option<u64>,
    /// Stack pointer.
    pub sp: Option<Va>,
    /// Instruction pointer and name of each physical frame that was not found by a scan. Untrusted.
    pub frames: Vec<(Va, String)>,
    /// What it waits for.
    pub wait: Option<WaitKey>,
    /// One sentence. Untrusted.
    pub does: String,
    /// Waits for work.
    pub idle: bool,
    /// Whether it runs.
    pub running: Option<bool>,
    /// It wrote the dump.
    pub is_writer: bool,
    /// The process's first thread.
    pub is_main: bool,
}

impl Snapshot {
    /// Takes what is needed of a dump. `verdict`: the dump's own.
    #[must_use]
    pub fn of(facts: &Case<'_>, digest: &Digest, verdict: &Finding) -> Snapshot {
        let dump = &facts.target.dump;
        let text = |t: &Option<String>| t.clone().unwrap_or_default();
        let open = dump.handles().value().map(|data| {
            data.handles.iter().map(|h| (h.value, (text(&h.type_name), text(&h.object_name)))).collect()
        });
        let mut warnings = Vec::new();
        if dump.missing_bytes() > 0 {
            let size = crate::text::count_bytes(dump.missing_bytes());
            warnings.push(format!("the file is cut off, {size} at its end are missing: copy it again"));
        }
        warnings.extend(crate::facts::cut_stacks(facts));
        // The verdict says what else keeps it from an answer.
        if verdict.kind == FindingKind::Unknown && (facts.stopped || dump.threads().is_empty()) {
            warnings.push(verdict.summary.clone());
        }
        Snapshot {
            pid: digest.pid,
            process: digest.process.clone(),
            machine: digest.machine.clone(),
            started: digest.started,
            time: dump.time(),
            threads: facts.threads.iter().map(|t| thread(facts, t)).collect(),
            verdict: verdict.tid.map(|t| (verdict.kind, t)),
            quiet: verdict.kind == FindingKind::Idle,
            lasting: digest.findings.iter().filter(|f| super::standing::lasts(f)).cloned().collect(),
            handles: open,
            warnings,
        }
    }

    /// The thread with a system id.
    #[must_use]
    pub fn thread(&self, tid: Tid) -> Option<&ThreadSnapshot> {
        self.threads.iter().find(|t| t.tid == tid)
    }

    /// CPU time of all threads, 100 ns.
    #[must_use]
    pub fn cpu(&self) -> u64 {
        self.threads.iter().filter_map(|t| t.cpu).fold(0, u64::saturating_add)
    }
}

fn thread(facts: &Case<'_>, t: &ThreadFacts) -> ThreadSnapshot {
    let stack = t.stack.as_ref().or(t.native_stack.as_ref());
    let sure = stack.iter().flat_map(|s| s.physical()).take_while(|f| f.trust != Trust::Scan);
    let wait = t.wait.as_ref();
    ThreadSnapshot {
        tid: t.tid,
        name: t.name.clone(),
        cpu: t.user.zip(t.kernel).map(|(u, k)| u.saturating_add(k)),
        sp: stack.and_then(|s| s.physical().next()).map(|f| f.frame.sp),
        frames: sure.take(MAX_FRAMES).map(|f| (f.frame.ip, frame_text(facts.target, f))).collect(),
        wait: wait.map(|w| WaitKey {
            kind: w.kind,
            address: w.address,
            handles: w.handles.clone(),
            owner: w.owner_tid,
            limit: match w.timeout {
                Some(Timeout::Ms(ms)) => Some(ms),
                _ => None,
            },
        }),
        does: t.activity.as_ref().map_or_else(|| "is doing something unknown".into(), |a| a.text.clone()),
        idle: t.activity.as_ref().is_some_and(|a| a.idle),
        running: t.running,
        is_writer: t.is_writer,
        is_main: t.is_main,
    }
}
