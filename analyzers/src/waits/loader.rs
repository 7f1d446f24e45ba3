//! Waits for the loader: who holds it.
//!
//! Up to Windows 8.1 that is one critical section, which the PEB names. From Windows 10 on the first thing that is
//! waited for is an event, and an event has no owner: three things name it, the TEB flag of the thread that loads,
//! the owner of the loader's critical section (held while entry points run), and the one thread that is in an entry
//! point. What two of them say is certain.
//!
//! Source: `docs/reference/process-blocks.md#teb` and `docs/reference/locks.md#loader` (measured flags; public
//! descriptions of the loader).

use super::dll_main::initializing;
use super::loading;
use crate::model::{Confidence, CriticalSection, DllMain, Kind, Locks, ThreadFacts, Wait};
use crate::text::thread_words;
use crate::{Cancel, Target};
use dumpscope_core::base::text::escape;
use dumpscope_core::model::{LoaderData, SAME_TEB_LOAD_OWNER, SAME_TEB_LOADER_WORKER};
use dumpscope_core::{Machine, Tid, Va};
use std::collections::BTreeSet;

/// Most threads whose TEBs are read.
const MAX_TEBS: usize = 16_384;

/// What the process says about who holds the loader.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    /// Threads with the flag `LoadOwner`.
    flagged: Vec<Tid>,
    /// The same, sorted.
    flags: BTreeSet<Tid>,
    /// Threads with the flag `LoaderWorker` that do not wait for work: they map images for the one that loads.
    workers: Vec<Tid>,
    /// Threads with `WaitingOnLoaderLock`.
    waiting: BTreeSet<Tid>,
    /// The loader's critical section and its owner.
    lock: Option<(Va, Tid)>,
    /// Threads in an entry point.
    inside: Vec<Tid>,
}

impl Holders {
    pub(crate) fn gather(
        target: &Target,
        machine: Machine,
        threads: &[ThreadFacts],
        locks: &Locks,
    ) -> Holders {
        let mut out = Holders::default();
        let ten = target.dump.os_version().0 >= 10;
        for t in threads.iter().take(MAX_TEBS) {
            let Some(teb) = target.dump.read_teb(t.index, machine).filter(|t| t.is_valid()) else { continue };
            let flags = teb.same_teb_flags.filter(|_| ten).unwrap_or(0);
            if flags & SAME_TEB_LOAD_OWNER != 0 {
                out.flagged.push(t.tid);
                out.flags.insert(t.tid);
            }
            let idle = t.activity.as_ref().is_some_and(|a| a.idle);
            if flags & SAME_TEB_LOADER_WORKER != 0 && !idle {
                out.workers.push(t.tid);
            }
            if teb.waiting_on_loader_lock == Some(1) {
                out.waiting.insert(t.tid);
            }
        }
        let named = target.dump.read_peb(machine).and_then(|p| p.loader_lock);
        let lock = named.and_then(|at| locks.at(at)).map(|l| &l.section);
        out.lock = lock.and_then(|s| Some((s.address, s.owner_tid()?)));
        let sure = |d: &DllMain| d.confidence >= Confidence::Strong;
        out.inside =
            threads.iter().filter(|t| t.dll_main.as_ref().is_some_and(sure)).map(|t| t.tid).collect();
        out
    }

    /// Completes a wait of kind [`Kind::LoaderLock`] whose lock is not known.
    pub(super) fn fill(&self, target: &Target, machine: Machine, tid: Tid, wait: &mut Wait) {
        if wait.kind != Kind::LoaderLock || wait.address.is_some() {
            return;
        }
        if self.waiting.contains(&tid) && self.by_teb(target, machine, tid, wait) {
            return;
        }
        if self.flags.contains(&tid) {
            // This thread owns the loader and waits for the loader's worker threads.
            wait.evidence.push("its TEB says that it owns the loader itself".into());
            wait.sentence = match self.workers.as_slice() {
                [worker] if *worker != tid => {
                    wait.suspect = Some(*worker);
                    wait.evidence.push(format!(
                        "thread {:x} is the only worker of the loader that is at work, as its TEB says",
                        worker.0
                    ));
                    format!("waits for the loader's worker, {}", thread_words(target, *worker))
                }
                _ => "waits for the loader's workers".into(),
            };
            return;
        }
        self.by_owner(target, tid, wait);
    }

    /// `WaitingOnLoaderLock`: it waits for the critical section that the PEB names.
    fn by_teb(&self, target: &Target, machine: Machine, tid: Tid, wait: &mut Wait) -> bool {
        let Some((at, owner)) = self.lock.filter(|(_, owner)| *owner != tid) else { return false };
        let memory = target.dump.memory().as_ref();
        if CriticalSection::read(memory, at, machine).is_none_or(|s| s.waiters() == 0) {
            return false;
        }
        wait.address = Some(at);
        wait.owner_tid = Some(owner);
        wait.confidence = Confidence::Strong;
        wait.object = Some(target.symbols.format(at, machine).unwrap_or_else(|| format!("{:x}", at.0)));
        wait.evidence.push(format!(
            "its TEB says that it waits for the loader lock, which is at {:x} and has waiting threads",
            at.0
        ));
        let who = thread_words(target, owner);
        wait.sentence = format!("waits for the loader lock at {:x}, which {who} holds", at.0);
        true
    }

    /// The loader's event has no owner: up to three things say who has to set it.
    fn by_owner(&self, target: &Target, tid: Tid, wait: &mut Wait) {
        let only = |all: &[Tid]| {
            let mut others = all.iter().copied().filter(|t| *t != tid);
            others.next().filter(|_| others.next().is_none())
        };
        let mut says: Vec<(Tid, &str)> = Vec::new();
        says.extend(only(&self.flagged).map(|t| (t, "its TEB has the flag LoadOwner")));
        let alive = |t: &Tid| target.dump.thread_by_tid(*t).is_some() && *t != tid;
        says.extend(self.lock.map(|l| l.1).filter(alive).map(|t| (t, "it owns the loader lock")));
        says.extend(only(&self.inside).map(|t| (t, "its stack is in an entry point")));
        let Some(&(first, _)) = says.first() else { return };
        for (who, what) in &says {
            wait.evidence.push(format!("thread {:x} holds the loader: {what}", who.0));
        }
        let agree = says.iter().all(|(t, _)| *t == first);
        let flagged = only(&self.flagged).is_some();
        wait.confidence = match (agree, says.len()) {
            (true, 2..) => Confidence::Proven,
            (true, _) => Confidence::Strong,
            // The flag belongs to the event that is waited for; the other signs are about locks that are taken after it.
            (false, _) if flagged => Confidence::Strong,
            (false, _) => {
                wait.confidence = Confidence::Guess;
                wait.suspect = Some(first);
                return;
            }
        };
        wait.owner_tid = Some(first);
        wait.sentence = format!("waits for the loader, which {} owns", thread_words(target, first));
    }

    /// What runs inside of the loader's critical section. Escaped.
    pub(crate) fn note(&self, threads: &[ThreadFacts]) -> Option<String> {
        let (at, owner) = self.lock?;
        let d = threads.iter().find(|t| t.tid == owner)?.dll_main.as_ref()?;
        let words = d.words();
        let words = escape(&words);
        Some(format!("{:x} is the loader lock: its owner, thread {:x}, runs {words}", at.0, owner.0))
    }

    /// What a thread with the flag does with the loader, when it is in no entry point. Untrusted.
    pub(crate) fn loads(&self, target: &Target, t: &ThreadFacts, cancel: &Cancel) -> Option<String> {
        let idle = t.dll_main.is_some() || !self.flags.contains(&t.tid);
        if idle { None } else { loading::words(target, t.stack.as_ref()?, cancel) }
    }

    /// Where the stack does not show the entry point: the thread that owns the loader has a frame in the one DLL
    /// that is being initialized.
    pub(crate) fn by_data(&self, target: &Target, loader: &LoaderData, t: &ThreadFacts) -> Option<DllMain> {
        let entry = initializing(loader)?;
        let owns = self.flagged == [t.tid] || self.lock.is_some_and(|l| l.1 == t.tid);
        let frames = &t.stack.as_ref()?.frames;
        let modules = target.symbols.modules();
        let of_entry = |m: usize| modules.get(m).filter(|m| m.base == entry.base);
        let module = frames.iter().filter_map(|f| f.module).find_map(of_entry).filter(|_| owns)?;
        Some(DllMain {
            module: module.file_name.clone(),
            base: module.base,
            reason: None,
            tls: false,
            confidence: Confidence::Strong,
            evidence: vec![format!(
                "it owns the loader, and its stack goes through {}, the one DLL that is being initialized",
                module.file_name
            )],
        })
    }
}
