//! What a thread waits for.

use super::words::words;
use super::{ComCall, Confidence, RpcCall};
use dumpscope_core::{Pid, Tid, Va};
use serde::Deserialize;

/// Kinds of waits that the innermost frames tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum WaitKind {
    /// `RtlEnterCriticalSection`.
    CriticalSection,
    /// A slim reader-writer lock.
    SrwLock,
    /// A condition variable.
    ConditionVariable,
    /// `WaitOnAddress`.
    Address,
    /// A one-time initialization.
    RunOnce,
    /// A keyed event.
    KeyedEvent,
    /// The loader lock or the loader's work queue.
    LoaderLock,
    /// One object of unknown type.
    Object,
    /// Several objects.
    Multiple,
    /// An outgoing COM call.
    ComCall,
    /// An outgoing RPC call.
    RpcCall,
    /// A message queue.
    MessageQueue,
    /// A sent window message.
    SentMessage,
    /// A completion port.
    IoCompletion,
    /// A thread that waits for work.
    WorkerIdle,
    /// `Sleep`.
    Sleep,
    /// A file.
    FileIo,
    /// The network.
    Socket,
    /// Something else.
    Other,
}

words! {
    /// Kinds of waits.
    Kind as "WaitKindName" {
        /// A critical section.
        CriticalSection "critical_section",
        /// A slim reader-writer lock.
        SrwLock "srw_lock",
        /// A condition variable.
        ConditionVariable "condition_variable",
        /// A value in memory.
        Address "address",
        /// An event.
        Event "event",
        /// A mutex.
        Mutex "mutex",
        /// A semaphore.
        Semaphore "semaphore",
        /// The end of a thread.
        Thread "thread",
        /// The end of a process.
        Process "process",
        /// A timer.
        Timer "timer",
        /// Several objects.
        Multiple "multiple",
        /// A COM call.
        ComCall "com_call",
        /// An RPC call.
        RpcCall "rpc_call",
        /// A window message.
        MessageQueue "message_queue",
        /// A completed I/O request.
        IoCompletion "io_completion",
        /// Work for a pool thread.
        WorkerIdle "worker_idle",
        /// Time.
        Sleep "sleep",
        /// The loader lock.
        LoaderLock "loader_lock",
        /// File I/O.
        FileIo "file_io",
        /// A socket.
        Socket "socket",
        /// A runtime's monitor.
        Monitor "monitor",
        /// To be woken by who has a monitor.
        MonitorWait "monitor_wait",
        /// A lock of a runtime.
        ScriptLock "script_lock",
        /// A task of a runtime.
        Task "task",
        /// A class or type initializer.
        ClassInit "class_init",
        /// A garbage collection.
        Gc "gc",
        /// An interpreter's global lock.
        Gvl "gvl",
        /// .NET's `System.Threading.Lock` (locks only).
        DotnetLock "dotnet_lock",
        /// .NET's `ReaderWriterLockSlim` (locks only).
        RwlockSlim "rwlock_slim",
        /// .NET's `SemaphoreSlim` (locks only).
        SemaphoreSlim "semaphore_slim",
        /// Java's `synchronized` (locks only).
        JavaMonitor "java_monitor",
        /// Java's `java.util.concurrent.locks` (locks only).
        JavaLock "java_lock",
        /// Ruby's `Mutex` (locks only).
        RubyMutex "ruby_mutex",
        /// Something else.
        Other "other",
    }
}

impl Kind {
    /// The kind that a pattern names: what the object is may be known better later.
    pub(crate) fn of(wait: WaitKind) -> Kind {
        match wait {
            WaitKind::CriticalSection => Kind::CriticalSection,
            WaitKind::SrwLock => Kind::SrwLock,
            WaitKind::ConditionVariable => Kind::ConditionVariable,
            WaitKind::Address => Kind::Address,
            WaitKind::LoaderLock => Kind::LoaderLock,
            WaitKind::Object | WaitKind::RunOnce | WaitKind::KeyedEvent | WaitKind::Other => Kind::Other,
            WaitKind::Multiple => Kind::Multiple,
            WaitKind::ComCall => Kind::ComCall,
            WaitKind::RpcCall => Kind::RpcCall,
            WaitKind::MessageQueue | WaitKind::SentMessage => Kind::MessageQueue,
            WaitKind::IoCompletion => Kind::IoCompletion,
            WaitKind::WorkerIdle => Kind::WorkerIdle,
            WaitKind::Sleep => Kind::Sleep,
            WaitKind::FileIo => Kind::FileIo,
            WaitKind::Socket => Kind::Socket,
        }
    }
}

/// How long a thread is willing to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeout {
    /// Without end.
    Infinite,
    /// Milliseconds from the call on.
    Ms(u64),
}

/// What a thread waits for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wait {
    /// What kind of thing.
    pub kind: Kind,
    /// The object in words: its name, or the lock's. Untrusted.
    pub object: Option<String>,
    /// Address of the lock or value.
    pub address: Option<Va>,
    /// Handles waited for; `None` when not known.
    pub handles: Option<Vec<u64>>,
    /// How long; `None` when not known. A slice after which it tries again (critical sections, slim locks) is no limit.
    pub timeout: Option<Timeout>,
    /// Several objects: true when all of them must be free, false when one is enough; `None` when not known.
    pub wait_all: Option<bool>,
    /// The thread that has to act.
    pub owner_tid: Option<Tid>,
    /// The process that has to act.
    pub owner_pid: Option<Pid>,
    /// A thread that may have to act: nothing says so for certain, and it is no edge of a proof.
    pub suspect: Option<Tid>,
    /// The outgoing COM call that it is in.
    pub com: Option<Box<ComCall>>,
    /// The RPC call that it makes.
    pub rpc: Option<Box<RpcCall>>,
    /// How sure the object and owner are.
    pub confidence: Confidence,
    /// What it rests on, one sentence each.
    pub evidence: Vec<String>,
    /// What the thread does, one sentence without a full stop. Untrusted.
    pub sentence: String,
}
