//! HandleOperationListStream (18): who opened and closed handles, when Application Verifier traced it.

use super::{Stream, StreamCx, count, id};
use crate::base::{FileOff, Pid, Tid, Va};
use crate::bytes::Cursor;
use crate::error::Parsed;

/// `AVRF_HANDLE_OPERATION` (SDK `avrfsdk.h`): 288 bytes.
const ENTRY: usize = 288;
/// `AVRF_MAX_TRACES`.
const MAX_FRAMES: usize = 32;

/// What was done with a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The entry is not used.
    Unused,
    /// Opened.
    Open,
    /// Closed.
    Close,
    /// Used although it was not open.
    BadReference,
    /// A value that is not known.
    Other(u32),
}

/// One traced operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandleOperation {
    /// The handle's value.
    pub handle: u64,
    /// Process that did it.
    pub pid: Pid,
    /// Thread that did it.
    pub tid: Tid,
    /// What was done.
    pub operation: Operation,
    /// Return addresses, innermost first.
    pub stack: Vec<Va>,
}

pub(crate) struct HandleOperationListStream;

impl Stream for HandleOperationListStream {
    const NUMBER: u32 = id::HANDLE_OPERATION_LIST;
    const NAME: &'static str = "HandleOperationListStream";
    const ABOUT: &'static str = "traced handle operations";
    type Value = Vec<HandleOperation>;

    /// Parses the stream: header of 16 bytes, then entries.
    fn parse(cx: StreamCx<'_>) -> Parsed<Self::Value> {
        let out = cx.sized_entries(false, ENTRY, entry);
        cx.done(out)
    }

    fn summary(v: &Self::Value) -> String {
        count(v.len(), "operation")
    }
}

fn entry(raw: &[u8]) -> Option<HandleOperation> {
    let mut c = Cursor::new(raw, FileOff(0));
    let handle = c.u64()?;
    let (pid, tid) = (Pid(c.u32()?), Tid(c.u32()?));
    let operation = match c.u32()? {
        0 => Operation::Unused,
        1 => Operation::Open,
        2 => Operation::Close,
        3 => Operation::BadReference,
        other => Operation::Other(other),
    };
    let _spare = c.u32()?;
    let depth = (c.u32()? as usize).min(MAX_FRAMES);
    let _index = c.u32()?;
    let stack = (0..depth).map_while(|_| c.u64().map(Va)).collect();
    Some(HandleOperation { handle, pid, tid, operation, stack })
}
