//! What the dumps of a batch say together changes what to do about each.

use super::{DumpRow, IncidentRow, LinkRow};

/// What to do about a wait for a process whose dump is in the chain; `None` when it is not.
pub(crate) fn here(chain: &[LinkRow], server: Option<u32>) -> Option<String> {
    let pid = server.filter(|p| chain.iter().any(|l| l.pid == Some(*p)))?;
    let last = chain.last()?;
    Some(format!("the dump of process {pid:x} is here, too: the incident ends at {}", last.who()))
}

/// What the dumps say together changes what to do about each: nobody needs a dump that is there.
pub fn settle(dumps: &mut [DumpRow], incidents: &[IncidentRow]) {
    for i in incidents.iter().filter(|i| i.paths.len() > 1) {
        for row in dumps.iter_mut().filter(|r| i.paths.contains(&r.path)) {
            for f in row.findings.iter_mut().flatten().chain(row.verdict.as_mut()) {
                f.advice = here(&i.chain, f.server_pid).or_else(|| f.advice.take());
            }
        }
    }
}
