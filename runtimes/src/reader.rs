//! What every runtime answers.

use crate::clr::ClrReader;
use crate::jvm::JvmReader;
use crate::model::{
    Death, DetachedWait, Pool, Runtime, ScriptException, ScriptFrame, ScriptLock, ScriptThread, ScriptWait,
    Suspension, Task,
};
use dumpscope_core::{Tid, Va};
use dumpscope_symbols::Frame;
use dumpscope_symbols::unwind::RuntimeCode;

/// A thread's stack as the unwinder walked it, with the reader's [`RuntimeCode`] at hand.
#[derive(Clone, Copy, Debug)]
pub struct Walked<'a> {
    /// The native thread.
    pub tid: Tid,
    /// Machine frames, innermost first.
    pub frames: &'a [Frame],
}

/// A runtime that was recognised. Reads when asked, keeps what it read, is shared between threads.
///
/// All lists are bounded and in a fixed order. What cannot be read is left out, never guessed.
pub trait Reader: std::fmt::Debug + Send + Sync {
    /// What it is.
    fn runtime(&self) -> &Runtime;

    /// Its threads, in the runtime's order.
    fn threads(&self) -> &[ScriptThread] {
        &[]
    }

    /// Its code, for the unwinder and for names.
    fn code(&self) -> Option<&dyn RuntimeCode> {
        None
    }

    /// Method frames of a thread, innermost first.
    fn frames(&self, stack: Walked<'_>) -> Vec<ScriptFrame> {
        let _ = stack;
        Vec::new()
    }

    /// Which of a thread's method frames are the bottom of one run of an interpreter: one machine frame of its loop for each.
    /// Empty for runtimes whose frames are machine frames.
    fn bottoms(&self, tid: Tid) -> Vec<usize> {
        let _ = tid;
        Vec::new()
    }

    /// Method frames of a thread that has no native one ([`ScriptThread::tid`] is `None`), by its record's address,
    /// innermost first.
    fn frames_at(&self, thread: Va) -> Vec<ScriptFrame> {
        let _ = thread;
        Vec::new()
    }

    /// Locks that are held or waited for. `stacks`: all threads.
    fn locks(&self, stacks: &[Walked<'_>]) -> Vec<ScriptLock> {
        let _ = stacks;
        Vec::new()
    }

    /// The system's handle behind the interpreter's global lock. A thread whose sleep or call is over may wait for it
    /// while the runtime's record still says that it sleeps.
    fn global_lock_handle(&self) -> Option<u64> {
        None
    }

    /// What threads wait for, one for each thread that waits inside the runtime. `stacks`: all threads.
    fn waits(&self, stacks: &[Walked<'_>]) -> Vec<ScriptWait> {
        let _ = stacks;
        Vec::new()
    }

    /// What threads without a native one wait for.
    fn detached_waits(&self) -> Vec<DetachedWait> {
        Vec::new()
    }

    /// The file name and id of the line table that belongs to the image at an address (.NET: a portable PDB).
    fn line_table(&self, image: Va) -> Option<(String, [u8; 20])> {
        let _ = image;
        None
    }

    /// The packed line table inside the image at an address (.NET: an embedded portable PDB, as
    /// `PortablePdb::unpack` reads it).
    fn packed_line_table(&self, image: Va) -> Option<Vec<u8>> {
        let _ = image;
        None
    }

    /// Exceptions of threads: the current one, the last thrown.
    fn exceptions(&self) -> Vec<ScriptException> {
        Vec::new()
    }

    /// The exception object at an address.
    fn exception_at(&self, object: Va) -> Option<ScriptException> {
        let _ = object;
        None
    }

    /// The thread that ends the process on purpose. `stacks`: all threads.
    fn death(&self, stacks: &[Walked<'_>]) -> Option<Death> {
        let _ = stacks;
        None
    }

    /// Unfinished asynchronous work that threads wait for. `waits`: what [`Reader::waits`] gave.
    fn tasks(&self, waits: &[ScriptWait]) -> Vec<Task> {
        let _ = waits;
        Vec::new()
    }

    /// Its thread pool.
    fn pool(&self) -> Option<Pool> {
        None
    }

    /// The suspension that is under way.
    fn suspension(&self) -> Option<Suspension> {
        None
    }

    /// What only .NET answers.
    fn clr(&self) -> Option<&dyn ClrReader> {
        None
    }

    /// What only Java answers.
    fn jvm(&self) -> Option<&dyn JvmReader> {
        None
    }

    /// The thread that runs finalizers.
    fn finalizer(&self) -> Option<Tid> {
        None
    }
}
