//! What the loader and the end of the process add to a finding, whatever it is: a thread that waits inside of
//! `DllMain` keeps all others from loading, starting and ending, and `ExitProcess` leaves nobody who could act.

use super::graph::edge;
use crate::facts::Case;
use crate::model::{Confidence, DllMain, Finding, FindingKind, Kind, OwnerState, ThreadFacts};
use dumpscope_core::base::text::escape;

/// Most threads of a finding that are looked at.
const MAX_THREADS: usize = 64;

/// What to do instead of waiting in `DllMain`.
const NOT_THERE: &str = "do not wait, start threads that you wait for, or load DLLs in DllMain: move this into a function that the \
                         program calls later";

/// Adds evidence and advice.
pub(in crate::triage) fn add(facts: &Case<'_>, finding: &mut Finding) {
    if matches!(finding.kind, FindingKind::Idle | FindingKind::Unknown) {
        return;
    }
    let concerned = concerned(facts, finding);
    let mut evidence = Vec::new();
    for (t, d) in &concerned {
        evidence.push(format!(
            "thread {:x} runs {}: {}",
            t.tid.0,
            escape(&d.words()),
            escape(&d.evidence.join("; "))
        ));
    }
    if let Some(advice) = in_dll_main(facts, finding, &concerned) {
        finding.advice = Some(advice);
    }
    if let Some(exit) = &facts.exit {
        evidence.extend(exit.evidence.iter().cloned());
        if let Some(advice) = at_exit(facts, finding) {
            finding.advice = Some(advice);
        }
    }
    finding.evidence.extend(evidence);
}

/// Threads of the finding that are in an entry point.
fn concerned<'a>(facts: &'a Case<'_>, finding: &Finding) -> Vec<(&'a ThreadFacts, &'a DllMain)> {
    let tids = finding.tids.iter().chain(&finding.tid).chain(&finding.owner_tid).take(MAX_THREADS);
    let mut seen = Vec::new();
    for tid in tids {
        let Some(t) = facts.thread(*tid) else { continue };
        let Some(d) = t.dll_main.as_ref() else { continue };
        if !seen.iter().any(|(s, _): &(&ThreadFacts, _)| s.tid == t.tid) {
            seen.push((t, d));
        }
    }
    seen
}

/// Advice when a thread that the others wait for waits itself inside of `DllMain`.
fn in_dll_main(
    facts: &Case<'_>,
    finding: &Finding,
    concerned: &[(&ThreadFacts, &DllMain)],
) -> Option<String> {
    let sure = |d: &DllMain| d.confidence >= Confidence::Strong;
    match finding.kind {
        FindingKind::Deadlock => {
            let (t, d, e) = concerned.iter().find_map(|(t, d)| Some((t, d, edge(facts, t)?)))?;
            let other = facts.thread(e.to)?;
            let waits = other.wait.as_ref().map_or("waits too", |w| w.sentence.as_str());
            let waits = escape(waits);
            Some(format!(
                "{} in thread {:x} waits for thread {:x}, which {waits}: {NOT_THERE}",
                escape(&d.words()),
                t.tid.0,
                other.tid.0
            ))
        }
        FindingKind::LockContention | FindingKind::Waiting | FindingKind::BlockedOnProcess => {
            let (t, d) =
                concerned.iter().find(|(t, d)| Some(t.tid) == finding.tid && t.wait.is_some() && sure(d))?;
            let behind = facts.threads.iter().filter(|o| {
                let w = o.wait.as_ref().filter(|w| w.kind == Kind::LoaderLock);
                w.is_some_and(|w| w.owner_tid == Some(t.tid))
            });
            let behind = match behind.count() {
                0 => "everything that loads a DLL, starts or ends a thread will wait behind it".into(),
                1 => "one thread waits for the loader behind it".into(),
                n => format!("{n} threads wait for the loader behind it"),
            };
            Some(format!("{} waits, and {behind}: {NOT_THERE}", escape(&d.words())))
        }
        _ => None,
    }
}

/// Advice when the process ends.
fn at_exit(facts: &Case<'_>, finding: &Finding) -> Option<String> {
    let exit = facts.exit.as_ref()?;
    match finding.kind {
        FindingKind::OrphanedLock if exit.others_ended => {
            let owner = finding.owner_tid?;
            let gone = crate::thread_state::thread_state(facts.target, owner) == OwnerState::Missing;
            gone.then(|| {
                format!(
                    "ExitProcess ended thread {:x} while it held this lock: stop and join such threads before the process \
                     exits, and take no locks of theirs in DllMain (process detach), destructors of globals or atexit",
                    owner.0
                )
            })
        }
        FindingKind::Waiting if exit.others_ended && finding.tid == Some(exit.tid) => Some(format!(
            "ExitProcess ended all other threads before thread {:x} began to wait, so nobody is left who could end this wait: \
             do such work before the process exits, not in DllMain (process detach), destructors of globals or atexit",
            exit.tid.0
        )),
        _ => None,
    }
}
