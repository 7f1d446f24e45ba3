//! Rows of language runtimes.

use super::SourceRow;
use crate::fmt::Hex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A language runtime in the process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct RuntimeRow {
    /// `.NET`, `Ruby`, `Java`, …
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// The module that it is in, as WinDbg writes it.
    pub module: String,
    /// Where the layout of its structures comes from.
    pub how: String,
    /// Whether its threads and frames can be read.
    pub readable: bool,
    /// Why not, or what is missing.
    pub why: Option<String>,
}

/// A method frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ScriptFrameRow {
    /// Index in `runtimes`.
    pub runtime: usize,
    /// The method as the runtime names it.
    pub function: String,
    /// What the user wrote.
    pub display: String,
    /// Assembly, gem, … Null: the runtime has none.
    pub module: Option<String>,
    /// Source file.
    pub file: Option<String>,
    /// Line in it.
    pub line: Option<u32>,
    /// `managed`, `interpreted`, `compiled`, `native` or `internal`.
    pub kind: String,
    /// Instruction pointer.
    pub ip: Hex,
    /// Stack pointer.
    pub sp: Hex,
}

/// A thread as its runtime knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ScriptThreadRow {
    /// Index in `runtimes`.
    pub runtime: usize,
    /// The runtime's own id.
    pub id: u64,
    /// The name that the program gave it.
    pub name: Option<String>,
    /// Words of its state.
    pub state: Vec<String>,
    /// Addresses of locks that it holds.
    pub holds: Vec<Hex>,
}

/// A thread of a runtime without a native one of its own: an unmounted virtual thread, a suspended fiber.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct UnmountedRow {
    /// Index in `runtimes`.
    pub runtime: usize,
    /// The runtime's own id.
    pub id: u64,
    /// The name that the program gave it.
    pub name: Option<String>,
    /// Words of its state.
    pub state: Vec<String>,
    /// Addresses of locks that it holds.
    pub holds: Vec<Hex>,
    /// Its method frames, innermost first.
    pub script_frames: Vec<ScriptFrameRow>,
    /// What it waits for.
    pub wait: Option<UnmountedWaitRow>,
}

/// What a thread without a native one waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct UnmountedWaitRow {
    /// As in `threads[].wait`.
    pub kind: String,
    /// Class of the object.
    pub object: Option<String>,
    /// The object.
    pub address: Option<Hex>,
    /// The system's id of the thread that holds it; null for one without.
    pub owner_tid: Option<u32>,
    /// The runtime's id of that thread.
    pub owner_id: Option<u64>,
    /// Its name.
    pub owner_name: Option<String>,
}

/// An exception object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ScriptExceptionRow {
    /// The thread that threw it.
    pub tid: Option<u32>,
    /// Index in `runtimes`.
    pub runtime: usize,
    /// Its class.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Its message.
    pub message: Option<String>,
    /// .NET: its HRESULT.
    pub hresult: Option<Hex>,
    /// The object.
    pub address: Hex,
    /// `unhandled`, `handling`, `last_thrown` or `heap`.
    pub state: String,
    /// Where it was thrown, innermost first.
    pub frames: Vec<ScriptFrameRow>,
    /// What caused it.
    pub inner: Option<Box<ScriptExceptionRow>>,
}

/// Asynchronous work that is not finished.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct TaskRow {
    /// Methods that await each other, innermost last.
    pub chain: Vec<String>,
    /// The thread that blocks on the outermost.
    pub blocked_tid: Option<u32>,
    /// What the innermost waits for.
    pub reason: String,
}

impl ScriptFrameRow {
    /// Its source position.
    #[must_use]
    pub fn source(&self) -> Option<SourceRow> {
        Some(SourceRow { file: self.file.clone()?, line: self.line? })
    }
}
