//! A thread that waits for another process.

use crate::triage::{Confidence, Facts, Finding, FindingKind};
use crate::waits::Kind;

pub(super) fn run(facts: &Facts<'_>) -> Vec<Finding> {
    let own = facts.target.dump.pid();
    let mut out = Vec::new();
    for thread in &facts.threads {
        let Some(wait) = thread.wait.as_ref().filter(|w| w.confidence >= Confidence::Strong) else {
            continue;
        };
        let Some(pid) = wait.owner_pid.filter(|p| own.is_some_and(|o| o != *p)) else { continue };
        let mut finding = Finding::new(
            FindingKind::BlockedOnProcess,
            wait.confidence,
            format!("thread {:x} {}", thread.tid.0, wait.sentence),
        );
        finding.tid = Some(thread.tid);
        finding.tids = vec![thread.tid];
        finding.server_pid = Some(pid);
        finding.owner_tid = if wait.kind == Kind::ComCall { None } else { wait.owner_tid };
        finding.evidence.clone_from(&wait.evidence);
        finding.advice = Some(format!(
            "write a dump of process {:x}, too, while it hangs (procdump -ma {}): it tells the rest",
            pid.0, pid.0
        ));
        out.push(finding);
    }
    out
}
