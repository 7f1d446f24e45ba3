//! A process in which nothing is wrong: every thread waits for work.

use super::graph::{crashed, cycles, edge, is_bystander, wakes_up};
use super::witness::{Witnesses, is_known};
use crate::facts::Case;
use crate::model::{Confidence, Finding, FindingKind, Kind, ThreadFacts};
use dumpscope_runtimes::WaitKind;

pub(super) fn run(facts: &Case<'_>) -> Vec<Finding> {
    // A process that ends has no work to wait for.
    if crashed(facts) || facts.threads.is_empty() || facts.stopped || facts.exit.is_some() {
        return Vec::new();
    }
    if !cycles(facts).is_empty() {
        return Vec::new();
    }
    // What a runtime knows of its own troubles refutes it.
    if !super::runtime::run(facts).is_empty() {
        return Vec::new();
    }
    let witnesses = Witnesses::of(facts);
    let mut idle = 0_usize;
    for t in &facts.threads {
        if witnesses.of_thread(facts, t).is_some() {
            return Vec::new();
        }
        if is_bystander(t) {
            idle = idle.saturating_add(1);
        } else if !is_harmless(facts, t) {
            return Vec::new();
        }
    }
    let all = facts.threads.len();
    let others = all.saturating_sub(idle);
    let limited = |t: &&ThreadFacts| !is_bystander(t) && t.wait.as_ref().is_some_and(wakes_up);
    let wakers = facts.threads.iter().filter(limited).count();
    let (sure, summary) = if let Some(t) =
        facts.threads.iter().find(|t| others == 0 && takes_itself(facts, t))
    {
        let text = format!(
            "nothing in the process is known to be blocked: all {all} threads wait for work, the main thread {:x} for \
             what another one has to give it",
            t.tid.0
        );
        (Confidence::Guess, text)
    } else if others == 0 {
        (Confidence::Strong, format!("all {all} threads wait for work: nothing in the process is blocked"))
    } else {
        let work = match idle {
            0 => String::new(),
            1 => "one of its threads waits for work, ".into(),
            n => format!("{n} of its {all} threads wait for work, "),
        };
        let rest = match (others.saturating_sub(wakers), wakers) {
            (0, 1) => "one sleeps or waits for a limited time".into(),
            (0, _) => "others sleep or wait for a limited time".into(),
            (1, 0) => "one waits for something that nothing says is late".into(),
            (_, 0) => "others wait for something that nothing says is late".to_owned(),
            (_, _) => "others sleep, or wait for something that nothing says is late".into(),
        };
        (Confidence::Guess, format!("nothing in the process is known to be blocked: {work}{rest}"))
    };
    let mut out = Finding::new(FindingKind::Idle, sure, summary);
    for t in &facts.threads {
        let does = t.activity.as_ref().map_or("is doing something unknown", |a| a.text.as_str());
        out.evidence.push(format!("thread {:x} {does}", t.tid.0));
        if out.evidence.len() >= MAX_EVIDENCE {
            break;
        }
    }
    out.advice = Some(
        "if the program did not answer, the work was lost before it came here: look at the process that should have sent it, or write the dump while it hangs"
            .into(),
    );
    vec![out]
}

/// True for a main thread that takes from a queue in the program's own code: no pool waits so for its work, and what it
/// takes may be an answer that never comes.
fn takes_itself(facts: &Case<'_>, t: &ThreadFacts) -> bool {
    let wait = facts.script.threads.get(&t.tid).and_then(|s| s.wait.as_ref()).filter(|_| t.is_main);
    wait.is_some_and(|w| w.kind == WaitKind::Idle && w.object.is_some() && w.user_frame.is_some())
}

/// True for a wait that says nothing of a fault: nobody is known to hold what is waited for, or it is the end of another
/// thread.
fn is_harmless(facts: &Case<'_>, t: &ThreadFacts) -> bool {
    let Some(w) = t.wait.as_ref() else { return false };
    if w.kind == Kind::Thread {
        return edge(facts, t).is_some() || w.owner_tid.is_none();
    }
    w.owner_tid.is_none() && w.owner_pid.is_none() && (wakes_up(w) || is_known(facts, t, w))
}

/// Most threads that the evidence lists.
const MAX_EVIDENCE: usize = 32;
