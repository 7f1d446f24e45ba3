//! Calls inside the process, seen from both ends: the caller's wait, and the thread that says whom it serves.

use super::sentence;
use crate::Target;
use crate::model::{Confidence, Kind, ThreadFacts};
use dumpscope_core::Tid;
use dumpscope_core::base::Guid;
use std::collections::BTreeMap;

/// A thread that serves a call of another thread of the process.
struct Server {
    tid: Tid,
    client: Tid,
    causality: Option<Guid>,
    /// Name of the interface that is called.
    interface: Option<String>,
    confidence: Confidence,
    /// The thread that it waits for itself.
    waits_for: Option<Tid>,
}

/// Compares what callers wait for with what the threads of the process serve. A server that waits for its client
/// calls back: the client's newest call is another one.
pub(crate) fn agree(target: &Target, threads: &mut [ThreadFacts]) {
    let Some(own) = target.dump.pid() else { return };
    let server = |t: &ThreadFacts| {
        let incoming = t.com.as_ref()?.incoming.as_ref().filter(|i| i.pid == own)?;
        Some(Server {
            tid: t.tid,
            client: incoming.tid?,
            causality: incoming.causality,
            interface: incoming.interface.clone(),
            confidence: incoming.confidence,
            waits_for: t.wait.as_ref().filter(|w| w.kind == Kind::ComCall).and_then(|w| w.owner_tid),
        })
    };
    let mut servers: BTreeMap<Tid, Vec<Server>> = BTreeMap::new();
    for s in threads.iter().filter_map(server) {
        servers.entry(s.client).or_default().push(s);
    }
    for t in threads.iter_mut() {
        let causality = t.com.as_ref().and_then(|c| c.causality);
        let Some(wait) = t.wait.as_mut() else { continue };
        let Some(call) = wait.com.as_mut().filter(|c| c.pid == Some(own)) else { continue };
        let same = |a: Option<Guid>, b: Option<Guid>| a.zip(b).is_none_or(|(a, b)| a == b);
        let of_client = servers
            .get(&t.tid)
            .into_iter()
            .flatten()
            .filter(|s| s.tid != t.tid && s.waits_for != Some(t.tid) && same(s.causality, causality));
        let found: Vec<&Server> = of_client.filter(|s| call.tid.is_none_or(|tid| tid == s.tid)).collect();
        let [server] = found.as_slice() else { continue };
        wait.evidence
            .push(format!("thread {:x} says that it serves a call of thread {:x}", server.tid.0, t.tid.0));
        if causality.is_some() && server.causality == causality {
            wait.evidence.push("both are part of the same chain of calls".into());
        }
        if call.tid.is_some() || server.confidence == Confidence::Proven {
            // Two ends of one call, each in its own memory.
            wait.confidence = if call.conflict { wait.confidence } else { Confidence::Proven };
        }
        call.tid = Some(server.tid);
        if call.message.is_none() || call.stale {
            call.interface = call.interface.take().or_else(|| server.interface.clone());
        }
        wait.owner_tid = Some(server.tid);
        wait.sentence = sentence(target, call);
    }
}
