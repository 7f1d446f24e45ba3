//! A process in which nothing is wrong: every thread waits for work.

use super::graph::{crashed, is_bystander, wakes_up};
use crate::facts::Case;
use crate::model::{Confidence, Finding, FindingKind};

pub(super) fn run(facts: &Case<'_>) -> Vec<Finding> {
    if crashed(facts) || facts.threads.is_empty() || facts.stopped {
        return Vec::new();
    }
    let mut wakers = 0_usize;
    let mut idle = 0_usize;
    for t in &facts.threads {
        if is_bystander(t) {
            idle = idle.saturating_add(1);
        } else if t
            .wait
            .as_ref()
            .is_some_and(|w| wakes_up(w) && w.owner_tid.is_none() && w.owner_pid.is_none())
        {
            wakers = wakers.saturating_add(1);
        } else {
            return Vec::new();
        }
    }
    let all = facts.threads.len();
    let (sure, summary) = match wakers {
        0 => (
            Confidence::Strong,
            format!("all {all} threads wait for work: nothing in the process is blocked"),
        ),
        n => {
            let wakes = if n == 1 { "one sleeps or waits" } else { "others sleep or wait" };
            let work = match idle {
                0 => String::new(),
                1 => "one of its threads waits for work, ".into(),
                n => format!("{n} of its {all} threads wait for work, "),
            };
            (
                Confidence::Guess,
                format!("nothing in the process is blocked: {work}{wakes} for a limited time"),
            )
        }
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

/// Most threads that the evidence lists.
const MAX_EVIDENCE: usize = 32;
