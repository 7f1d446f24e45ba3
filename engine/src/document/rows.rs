//! The triage document, `dumpscope.triage/1`.
//!
//! Names and meanings are a contract: fields may be added, never renamed or removed without a new version.

use super::script::{RuntimeRow, ScriptExceptionRow, TaskRow, UnmountedRow};
use super::several::{BucketRow, IncidentRow};
use super::threads::{ArgRow, SourceRow, ThreadRow};
use crate::fmt::Hex;
use dumpscope_analyzers::model::{Access, Confidence, FindingClass, FindingKind, Kind, OwnerState};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The value of `schema`.
pub const SCHEMA: &str = "dumpscope.triage/1";
/// The schema's own id.
pub(super) const SCHEMA_ID: &str = "urn:dumpscope:triage:1";

// Fields may be added: who matches or makes a row elsewhere must not depend on all of them.
macro_rules! dto {
    ($($item:item)*) => {
        $(#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)] #[non_exhaustive] $item)*
    };
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident),* $(,)? })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
            #[serde(rename_all = "snake_case")]
            #[non_exhaustive]
            pub enum $name { $($(#[$vdoc])* $variant),* }
        )*
    };
}

pub(super) use {dto, names};

dto! {
    /// Verdicts on dumps.
    #[schemars(title = "dumpscope triage document")]
    pub struct Document {
        /// Always `dumpscope.triage/1`.
        #[schemars(extend("const" = SCHEMA))]
        pub schema: String,
        /// One row for each dump, in the order in which they were given.
        pub dumps: Vec<DumpRow>,
        /// Dumps with equal signatures, most first. Dumps without a signature are in none.
        pub buckets: Vec<BucketRow>,
        /// Wait chains over several dumps. Null: not looked for.
        pub incidents: Option<Vec<IncidentRow>>,
    }

    /// One dump. An error row has `path` and `error`, the rest is null.
    pub struct DumpRow {
        /// As it was given.
        pub path: String,
        /// The path's bytes in hex (on Windows UTF-16) where it is no text and `path` therefore leads to no file.
        pub path_bytes: Option<String>,
        /// Why the dump could not be analyzed.
        pub error: Option<ErrorRow>,
        /// What was wrong or incomplete without preventing an answer.
        pub warnings: Option<Vec<String>>,
        /// The process.
        pub process: Option<ProcessRow>,
        /// The machine.
        pub system: Option<SystemRow>,
        /// The file.
        pub dump: Option<DumpFileRow>,
        /// What this dump can and cannot answer.
        pub capabilities: Option<Vec<CapabilityRow>>,
        /// The recorded exception.
        pub exception: Option<ExceptionRow>,
        /// Threads, in the dump's order.
        pub threads: Option<Vec<ThreadRow>>,
        /// Locks that threads hold or wait for. Null: none was seen, and the dump lacks the memory to say that there is none.
        pub locks: Option<Vec<LockRow>>,
        /// Open handles. Null: the dump has no handle data.
        pub handles: Option<HandlesRow>,
        /// Outgoing COM calls. Null: none was seen, and the dump lacks the memory to say that there is none.
        pub com_calls: Option<Vec<ComCallRow>>,
        /// COM calls that threads serve. Null: none was seen, and the dump lacks the memory to say that there is none.
        pub incoming_calls: Option<Vec<IncomingCallRow>>,
        /// Language runtimes. Null: not looked for.
        pub runtimes: Option<Vec<RuntimeRow>>,
        /// Exceptions of runtimes' threads: those being handled or unhandled, and the last thrown.
        pub script_exceptions: Option<Vec<ScriptExceptionRow>>,
        /// Threads of runtimes without a native thread.
        pub script_threads: Option<Vec<UnmountedRow>>,
        /// Unfinished asynchronous work that threads wait for.
        pub tasks: Option<Vec<TaskRow>>,
        /// Findings, worst first.
        pub findings: Option<Vec<FindingRow>>,
        /// The first finding, or one of kind `idle` or `unknown`.
        pub verdict: Option<FindingRow>,
        /// What the program, its crash handler or the dump's writer said. Untrusted.
        pub annotations: Option<Vec<AnnotationRow>>,
        /// The frame that produced the bad value of a crash. Null: not known, or no such crash.
        pub blame: Option<BlameRow>,
        /// Known issues that match, in their file's order.
        pub known: Option<Vec<KnownRow>>,
        /// Equal for dumps of the same cause. Null: nothing stable is known.
        pub signature: Option<String>,
        /// The same without names of functions: equal whatever symbols were there. Null: no crash, or nothing is known.
        pub signature_raw: Option<String>,
        /// Version of the signature's rules: only signatures of one version can be compared.
        pub signature_version: Option<u32>,
        /// How the signature came to be, a sentence for each step.
        pub signature_trace: Option<Vec<String>>,
        /// What comparisons with other dumps need; in no document.
        #[serde(skip)]
        pub digest: Kept,
    }

    /// A known issue.
    pub struct KnownRow {
        /// What it is.
        pub title: String,
        /// More about it.
        pub text: Option<String>,
        /// Where to read on.
        pub link: Option<String>,
        /// The version that has it no more.
        pub fixed_in: Option<String>,
    }

    /// A text that somebody left in the dump.
    pub struct AnnotationRow {
        /// Who said it: `crashpad`, `crashpad NAME` of a module, `assertion`, `comment`.
        pub source: String,
        /// Its key.
        pub key: Option<String>,
        /// The text.
        pub value: String,
    }

    /// Whose fault a crash is: the frame whose code made the bad value, or made or kept the object that holds it.
    pub struct BlameRow {
        /// The thread.
        pub tid: u32,
        /// Index in the thread's frames.
        pub frame: u32,
        /// Module of the instruction.
        pub module: Option<String>,
        /// Its function.
        pub function: Option<String>,
        /// From the function's start; from the module's start without a function.
        pub displacement: Option<Hex>,
        /// Its line.
        pub source: Option<SourceRow>,
        /// How sure it is.
        pub confidence: Confidence,
        /// The way from the fault to there, a sentence for each step.
        pub chain: Vec<String>,
    }

    /// A bit that bad hardware may have changed.
    pub struct BitFlipRow {
        /// The register. Null: the address itself.
        pub register: Option<String>,
        /// The bit, from 0.
        pub bit: u8,
        /// The address without the flip.
        pub address: Hex,
        /// `likely` or `possible`.
        pub grade: String,
    }

    /// Why a dump could not be analyzed.
    pub struct ErrorRow {
        /// `io` (the file cannot be read), `not_a_minidump`, `truncated`, `unpack`, `format` (what is wrong with it),
        /// `timeout` and `memory` (a limit), `panic` and `signal` (a bug ended the analysis), `stopped` (by the user).
        pub kind: String,
        /// One line.
        pub message: String,
    }

    /// The process.
    pub struct ProcessRow {
        /// Process id.
        pub pid: Option<u32>,
        /// Name of the program's file.
        pub name: Option<String>,
        /// Full path of the program.
        pub image_path: Option<String>,
        /// Command line.
        pub command_line: Option<String>,
    }

    /// The machine.
    pub struct SystemRow {
        /// `Windows`, `Linux`, `macOS`, `Android`, …
        pub os: Option<String>,
        /// `6.3`, `10.0`.
        pub version: Option<String>,
        /// Build number.
        pub build: Option<u32>,
        /// Architecture of the process.
        pub arch: Arch,
        /// Processors.
        pub cpus: Option<u32>,
        /// True for a 64-bit dump of a 32-bit process.
        pub wow64: bool,
    }

    /// The file.
    pub struct DumpFileRow {
        /// How much memory it holds.
        pub kind: DumpKindName,
        /// Bytes, unpacked.
        pub size: u64,
        /// When it was written, UTC, RFC 3339.
        pub time: Option<String>,
        /// Its streams, in the file's order.
        pub streams: Vec<String>,
    }

    /// A question and whether the dump can answer it.
    pub struct CapabilityRow {
        /// The question.
        pub question: String,
        /// Whether it can be answered.
        pub answerable: bool,
        /// What is there or missing.
        pub why: String,
        /// How to write a dump that answers it: the tools' command lines and the flags.
        pub next_time: Option<String>,
        /// The tools' command lines alone.
        pub tools: Option<String>,
        /// The flags of `MiniDumpWriteDump` alone.
        pub flags: Option<String>,
    }

    /// The recorded exception.
    pub struct ExceptionRow {
        /// The code.
        pub code: Hex,
        /// Its name.
        pub name: Option<String>,
        /// The thread.
        pub tid: u32,
        /// The instruction.
        pub address: Hex,
        /// What a faulting access wanted.
        pub access: Option<Access>,
        /// The address that it wanted.
        pub target: Option<Hex>,
        /// The target is computed from the registers: the recorded one is not what the instruction wanted.
        pub computed: bool,
        /// The faulting instruction. Null: its bytes are not known.
        pub instruction: Option<String>,
        /// Bytes that it wanted.
        pub size: Option<u32>,
        /// The memory that it hit.
        pub region: Option<String>,
        /// Bits whose change makes a good address: signs of bad memory. Null: not looked for.
        pub bit_flips: Option<Vec<BitFlipRow>>,
        /// One sentence.
        pub description: String,
    }

    /// A lock.
    pub struct LockRow {
        /// Address.
        pub address: Hex,
        /// `module!name`.
        pub symbol: Option<String>,
        /// Kind of lock, as in a wait.
        pub kind: Kind,
        /// A runtime's lock: the type of its object.
        pub object_type: Option<String>,
        /// Owning thread.
        pub owner_tid: Option<u32>,
        /// Whether the owner exists.
        pub owner: OwnerState,
        /// Recursion count.
        pub recursion: Option<i64>,
        /// The raw signed word.
        pub lock_count: Option<i64>,
        /// Threads that wait for it.
        pub waiters: Vec<u32>,
        /// How it was found.
        pub source: String,
    }

    /// Open handles.
    pub struct HandlesRow {
        /// All.
        pub total: u64,
        /// By type. Handles whose type was not recorded are missing here.
        pub by_type: BTreeMap<String, u64>,
    }

    /// An outgoing COM call.
    pub struct ComCallRow {
        /// The calling thread.
        pub tid: u32,
        /// The process that serves it.
        pub server_pid: Option<u32>,
        /// The thread that serves it.
        pub server_tid: Option<u32>,
        /// Interface pointer id.
        pub ipid: Option<String>,
        /// Interface id.
        pub iid: Option<String>,
        /// Name of the interface.
        pub interface: Option<String>,
        /// Method number.
        pub method: Option<u32>,
        /// Name of the method, when the Win32 table has the interface.
        #[serde(default)]
        pub method_name: Option<String>,
        /// Its parameters by the Win32 table. Values are null: where the call's arguments lie is not known.
        #[serde(default)]
        pub args: Option<Vec<ArgRow>>,
        /// The chain of calls that it belongs to: the same in the server's dump.
        pub causality: Option<String>,
        /// The class that is activated.
        pub class: Option<String>,
        /// How sure.
        pub confidence: Confidence,
        /// What it rests on.
        pub evidence: Vec<String>,
    }

    /// A COM call that a thread serves.
    pub struct IncomingCallRow {
        /// The serving thread.
        pub tid: u32,
        /// The calling process.
        pub client_pid: u32,
        /// The calling thread.
        pub client_tid: Option<u32>,
        /// Interface pointer id, of this process.
        pub ipid: Option<String>,
        /// Interface id.
        pub iid: Option<String>,
        /// Name of the interface.
        pub interface: Option<String>,
        /// The chain of calls that it belongs to: the same in the caller's dump.
        pub causality: Option<String>,
        /// How sure.
        pub confidence: Confidence,
        /// What it rests on.
        pub evidence: Vec<String>,
    }

    /// A conclusion.
    pub struct FindingRow {
        /// What it is.
        pub kind: FindingKind,
        /// The same in a finer word: that of the kind, or `lost_completion` or `join`.
        pub class: FindingClass,
        /// One sentence.
        pub summary: String,
        /// The thread that it is about.
        pub tid: Option<u32>,
        /// All threads concerned.
        pub tids: Vec<u32>,
        /// The lock concerned.
        pub lock: Option<Hex>,
        /// The lock's owner.
        pub owner_tid: Option<u32>,
        /// The process that is waited for.
        pub server_pid: Option<u32>,
        /// How sure.
        pub confidence: Confidence,
        /// What it rests on.
        pub evidence: Vec<String>,
        /// What to do next.
        pub advice: Option<String>,
    }
}

names! {
    /// Architecture of the process.
    Arch {
        /// 32-bit x86.
        X86,
        /// x86-64.
        X64,
        /// 64-bit ARM.
        Arm64,
        /// Another one.
        Other,
    }
    /// How much memory a dump holds.
    DumpKindName {
        /// All (it has a Memory64List).
        Full,
        /// More than stacks.
        Partial,
        /// Stacks only.
        Mini,
    }
}

/// What is kept of a dump to compare it with others. It is no part of the answer: rows are equal without it.
#[derive(Clone, Debug, Default)]
pub struct Kept(pub Option<Box<dumpscope_analyzers::incident::Digest>>);

impl PartialEq for Kept {
    fn eq(&self, _: &Kept) -> bool {
        true
    }
}

impl Document {
    /// A document without rows.
    #[must_use]
    pub fn new() -> Document {
        Document { schema: SCHEMA.into(), dumps: Vec::new(), buckets: Vec::new(), incidents: None }
    }
}

impl Default for Document {
    fn default() -> Document {
        Document::new()
    }
}

impl DumpRow {
    /// An error row.
    pub fn failed(path: impl Into<String>, error: ErrorRow) -> DumpRow {
        DumpRow { error: Some(error), ..DumpRow::empty(path) }
    }

    /// A row in which all but the path is unknown.
    pub(crate) fn empty(path: impl Into<String>) -> DumpRow {
        DumpRow {
            path: path.into(),
            path_bytes: None,
            error: None,
            warnings: None,
            process: None,
            system: None,
            dump: None,
            capabilities: None,
            exception: None,
            threads: None,
            locks: None,
            handles: None,
            com_calls: None,
            incoming_calls: None,
            runtimes: None,
            script_exceptions: None,
            script_threads: None,
            tasks: None,
            findings: None,
            verdict: None,
            annotations: None,
            blame: None,
            known: None,
            signature: None,
            signature_raw: None,
            signature_version: None,
            signature_trace: None,
            digest: Kept::default(),
        }
    }
}
