//! What is known of a thread.

use super::{ComThread, DllMain, RpcCall, Stack, Wait, WaitKind};
use dumpscope_core::{ThreadIdx, Tid};
use serde::Deserialize;

/// One thread.
#[derive(Debug)]
pub struct ThreadFacts {
    /// The debugger's number.
    pub index: ThreadIdx,
    /// System id.
    pub tid: Tid,
    /// Name given by the program. Untrusted.
    pub name: Option<String>,
    /// CPU time in user mode, 100 ns.
    pub user: Option<u64>,
    /// CPU time in kernel mode, 100 ns.
    pub kernel: Option<u64>,
    /// Time from creation to the dump, 100 ns.
    pub elapsed: Option<u64>,
    /// True for the thread that wrote the dump.
    pub is_writer: bool,
    /// What it is there for, when that is to look after others.
    pub role: Option<ThreadRole>,
    /// True for the process's first thread; when the process is ending, for the one that ends it.
    pub is_main: bool,
    /// Whether it runs: false in a system call, `None` when that cannot be said.
    pub running: Option<bool>,
    /// The stack of the process's own architecture: the 32-bit one in a WOW64 process. For the thread that crashed
    /// it starts at the exception. `None` when the dump has no context for it.
    pub stack: Option<Stack>,
    /// WOW64: the 64-bit stack.
    pub native_stack: Option<Stack>,
    /// COM's data of it, when it has some.
    pub com: Option<Box<ComThread>>,
    /// The RPC call that it serves; COM's calls are in `com`.
    pub serves: Option<Box<RpcCall>>,
    /// What it waits for, when it waits.
    pub wait: Option<Wait>,
    /// The DLL's entry point that the loader called and that it is in.
    pub dll_main: Option<DllMain>,
    /// What it is doing, when its frames say so.
    pub activity: Option<Activity>,
}

/// What a thread is there for, when that is to look after others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ThreadRole {
    /// It watches whether others make progress.
    Watchdog,
    /// It writes the dump.
    DumpWriter,
}

/// What a thread is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// One sentence without a full stop. Holds no unsafe characters.
    pub text: String,
    /// What kind of wait it is, when it is one.
    pub wait: Option<WaitKind>,
    /// True when such a thread waits for work and blocks nobody.
    pub idle: bool,
    /// Name of the pattern that said so.
    pub pattern: Option<String>,
}
