//! ThreadNamesStream (24).

use super::{Stream, StreamCx, count, id};
use crate::base::Tid;
use crate::error::Parsed;

/// `MINIDUMP_THREAD_NAME`: thread id and an unaligned 64-bit file offset, 12 bytes.
const ENTRY: usize = 12;

/// The name of one thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadName {
    /// Thread id.
    pub tid: Tid,
    /// The name. Untrusted.
    pub name: String,
}

pub(crate) struct ThreadNamesStream;

impl Stream for ThreadNamesStream {
    const NUMBER: u32 = id::THREAD_NAMES;
    const NAME: &'static str = "ThreadNamesStream";
    const ABOUT: &'static str = "names that the program gave its threads";
    type Value = Vec<ThreadName>;

    /// Parses the stream. Entries whose name cannot be read are left out with a warning.
    fn parse(cx: StreamCx<'_>) -> Parsed<Self::Value> {
        let (mut c, count) = cx.counted_list(ENTRY);
        let mut out = Vec::with_capacity(count);
        for _ in 0..count {
            let (Some(tid), Some(rva)) = (c.u32(), c.u64()) else { break };
            if let Some(name) = cx.string_or_warn(rva, "a thread's name") {
                out.push(ThreadName { tid: Tid(tid), name });
            }
        }
        cx.done(out)
    }

    fn summary(v: &Self::Value) -> String {
        count(v.len(), "name")
    }
}
