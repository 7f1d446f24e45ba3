//! Wait chains over the dumps of a batch.

use super::rows;
use crate::document::{DumpRow, IncidentRow, LinkRow, here};
use dumpscope_analyzers::incident::{Digest, Incident, Link, incidents};
use dumpscope_analyzers::model::Finding;
use dumpscope_core::Pid;
use dumpscope_core::base::text::escape;
use std::collections::BTreeMap;

/// Collects what is needed of each dump.
#[derive(Clone, Debug, Default)]
pub struct Incidents {
    paths: Vec<String>,
    digests: Vec<Digest>,
    /// Positions of the digests by process and time.
    seen: BTreeMap<(Option<Pid>, Option<u32>), Vec<usize>>,
}

impl Incidents {
    /// Takes a row's digest; rows of dumps that could not be analyzed have none.
    pub fn add(&mut self, row: &DumpRow) {
        if let Some(digest) = &row.digest.0 {
            // The same dump given twice, or a copy of it, is one dump.
            let same = self.seen.entry((digest.pid, digest.time)).or_default();
            if same.iter().any(|i| self.digests.get(*i).is_some_and(|d| *d == **digest)) {
                return;
            }
            same.push(self.digests.len());
            self.paths.push(row.path.clone());
            self.digests.push((**digest).clone());
        }
    }

    /// The incidents, in the order of their first dumps.
    #[must_use]
    pub fn rows(&self) -> Vec<IncidentRow> {
        incidents(&self.digests).iter().map(|i| self.row(i)).collect()
    }

    fn row(&self, i: &Incident) -> IncidentRow {
        let text = |s: &str| escape(s).into_owned();
        let finding = |(dump, f): &(usize, Finding)| {
            let mut row = rows::finding(f);
            if let Some(d) = self.digests.get(*dump) {
                row.summary = text(&format!("{}: {}", d.name(), f.summary));
            }
            row
        };
        let link = |l: &Link| LinkRow {
            path: self.paths.get(l.dump).cloned(),
            pid: l.pid.map(|p| p.0),
            tid: l.tid.map(|t| t.0),
            process: l.process.as_deref().map(text),
            waits_for: text(&l.waits_for),
            confidence: l.confidence,
            reached_by: l.reached_by.iter().map(|e| text(e)).collect(),
            evidence: l.evidence.iter().map(|e| text(e)).collect(),
        };
        let mut row = IncidentRow {
            paths: i.dumps.iter().filter_map(|d| self.paths.get(*d)).cloned().collect(),
            chain: i.chain.iter().map(link).collect(),
            closes_at: i.closes_at.and_then(|n| u32::try_from(n).ok()),
            gone_tid: i.gone.map(|t| t.0),
            also_waiting: i.also_waiting.iter().map(link).collect(),
            root_cause: text(&i.root_cause),
            missing_dumps: i.missing_dumps.iter().map(|p| p.0).collect(),
            confidence: i.confidence,
            findings: i.findings.iter().map(finding).collect(),
            also_found: self.also_found(i),
        };
        let advice: Vec<Option<String>> =
            row.findings.iter().map(|f| here(&row.chain, f.server_pid)).collect();
        for (f, here) in row.findings.iter_mut().zip(advice) {
            f.advice = here.or_else(|| f.advice.take());
        }
        row
    }

    /// What else blocks, crashes or spins in these processes and has no thread in the chain.
    fn also_found(&self, i: &Incident) -> Vec<String> {
        let apart = |(dump, f): &&(usize, Finding)| {
            let on_chain =
                |l: &Link| l.dump == *dump && l.tid.is_some_and(|t| f.tids.contains(&t) || f.tid == Some(t));
            f.kind.row().apart && !i.chain.iter().any(on_chain)
        };
        let says = |(dump, f): &(usize, Finding)| {
            let kind = f.kind.name().replace('_', " ");
            let sure = f.confidence.name();
            let name = self.digests.get(*dump).map_or_else(String::new, Digest::name);
            escape(&format!("{name}: a separate {kind} ({sure}): {}", f.summary)).into_owned()
        };
        i.findings.iter().filter(apart).map(says).collect()
    }
}
