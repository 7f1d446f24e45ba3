//! A thread: ThreadList, ThreadInfoList and ThreadNames joined.

use crate::base::{ThreadIdx, Tid};
use crate::stream::thread_info::ThreadInfo;
use crate::stream::thread_list::RawThread;

/// One thread.
#[derive(Clone, Debug, PartialEq)]
pub struct Thread {
    /// Position in the thread list.
    pub index: ThreadIdx,
    /// System id.
    pub tid: Tid,
    /// Its entry in the thread list.
    pub raw: RawThread,
    /// Times and start address, when the dump has them for this thread.
    pub info: Option<ThreadInfo>,
    /// Name given by the program. Untrusted.
    pub name: Option<String>,
}
