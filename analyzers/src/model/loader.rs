//! What the loader runs, and the end of the process.

use super::Confidence;
use super::words::words;
use dumpscope_core::{Tid, Va};

/// An entry point or TLS callback that a thread is in.
#[derive(Clone, Debug, PartialEq)]
pub struct DllMain {
    /// File name of the DLL. Untrusted.
    pub module: String,
    /// Its base.
    pub base: Va,
    /// Why it was called; `None` when not known.
    pub reason: Option<Reason>,
    /// True for a TLS callback instead of the entry point.
    pub tls: bool,
    /// How sure it is.
    pub confidence: Confidence,
    /// What it rests on, one sentence each. Untrusted.
    pub evidence: Vec<String>,
}

impl DllMain {
    /// `DllMain of plugin.dll (process attach)`. Untrusted.
    #[must_use]
    pub fn words(&self) -> String {
        let what = if self.tls { "a TLS callback" } else { "DllMain" };
        let reason = self.reason.map(|r| format!(" ({})", r.text())).unwrap_or_default();
        format!("{what} of {}{reason}", self.module)
    }
}

words! {
    /// Why the loader calls a DLL's entry point (`fdwReason`).
    Reason as "DllReasonName" {
        /// The DLL was loaded.
        ProcessAttach "process_attach",
        /// The DLL is unloaded, or the process ends.
        ProcessDetach "process_detach",
        /// A thread starts.
        ThreadAttach "thread_attach",
        /// A thread ends.
        ThreadDetach "thread_detach",
    }
}

impl Reason {
    /// The reason with this number in `DllMain`'s contract.
    pub(crate) fn of(value: u64) -> Option<Reason> {
        Some(match value {
            0 => Reason::ProcessDetach,
            1 => Reason::ProcessAttach,
            2 => Reason::ThreadAttach,
            3 => Reason::ThreadDetach,
            _ => return None,
        })
    }

    /// In words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Reason::ProcessDetach => "process detach",
            Reason::ProcessAttach => "process attach",
            Reason::ThreadAttach => "thread attach",
            Reason::ThreadDetach => "thread detach",
        }
    }
}

/// A process that ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessExit {
    /// The thread that ends it.
    pub tid: Tid,
    /// True when the other threads were ended already.
    pub others_ended: bool,
    /// How sure it is.
    pub confidence: Confidence,
    /// What it rests on, one sentence each.
    pub evidence: Vec<String>,
}
