//! Contexts of threads: native, the exception's, and the 32-bit one of a WOW64 thread.

use super::{Dump, join};
use crate::base::ThreadIdx;
use crate::context::Context;
use crate::model::Thread;

impl Dump {
    /// The thread with a debugger's number.
    pub fn thread(&self, thread: ThreadIdx) -> Option<&Thread> {
        self.threads().get(usize::try_from(thread.0).ok()?)
    }

    /// A thread's native context.
    pub fn context(&self, thread: ThreadIdx) -> Option<Context> {
        let raw = &self.thread(thread)?.raw;
        Context::decode(join::located(self, raw.context_offset, raw.context_size)?, self.machine())
    }

    /// The context of the exception stream.
    pub fn exception_context(&self) -> Option<Context> {
        let entry = self.exception_parts().1.as_ref()?;
        Context::decode(join::located(self, entry.context_offset, entry.context_size)?, self.machine())
    }
}
