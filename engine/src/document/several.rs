//! What several dumps say together: buckets, and wait chains over processes.

use super::FindingRow;
use super::rows::dto;
use dumpscope_analyzers::model::Confidence;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

dto! {
    /// Dumps with one signature.
    pub struct BucketRow {
        /// The signature.
        pub signature: String,
        /// How many.
        pub count: u64,
        /// Which.
        pub paths: Vec<String>,
    }

    /// A wait chain over several dumps.
    pub struct IncidentRow {
        /// The dumps in it.
        pub paths: Vec<String>,
        /// From the symptom to the cause.
        pub chain: Vec<LinkRow>,
        /// The link, from 0, that the last one waits for, when they wait for each other in a circle.
        pub closes_at: Option<u32>,
        /// A thread that no longer exists and that the last link waits for.
        pub gone_tid: Option<u32>,
        /// Other threads that wait for one of these processes.
        pub also_waiting: Vec<LinkRow>,
        /// One sentence.
        pub root_cause: String,
        /// Processes whose dump would extend the chain.
        pub missing_dumps: Vec<u32>,
        /// How sure.
        pub confidence: Confidence,
        /// Findings over all dumps.
        pub findings: Vec<FindingRow>,
        /// What else is wrong in these processes and not part of the chain, one sentence each.
        pub also_found: Vec<String>,
    }

    /// A link of a wait chain.
    pub struct LinkRow {
        /// The dump that says it.
        pub path: Option<String>,
        /// Process.
        pub pid: Option<u32>,
        /// Thread.
        pub tid: Option<u32>,
        /// Process name.
        pub process: Option<String>,
        /// One sentence.
        pub waits_for: String,
        /// How sure this link is: that this thread comes next, and that it waits for what comes after it.
        pub confidence: Confidence,
        /// Why this thread comes after the one before it. Empty within one process.
        pub reached_by: Vec<String>,
        /// What its wait rests on.
        pub evidence: Vec<String>,
    }
}

impl LinkRow {
    /// `ruby.exe 20, thread 24`: who waits.
    #[must_use]
    pub fn who(&self) -> String {
        let process = self.process.as_deref().unwrap_or("process");
        let pid = self.pid.map(|p| format!(" {p:x}")).unwrap_or_default();
        let tid = self.tid.map(|t| format!(", thread {t:x}")).unwrap_or_default();
        format!("{process}{pid}{tid}")
    }
}
