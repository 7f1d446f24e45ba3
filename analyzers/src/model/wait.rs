//! What a thread waits for.

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

/// What kind of thing is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A critical section.
    CriticalSection,
    /// A slim reader-writer lock.
    SrwLock,
    /// A condition variable.
    ConditionVariable,
    /// A value in memory.
    Address,
    /// An event.
    Event,
    /// A mutex.
    Mutex,
    /// A semaphore.
    Semaphore,
    /// The end of a thread.
    Thread,
    /// The end of a process.
    Process,
    /// A timer.
    Timer,
    /// Several objects.
    Multiple,
    /// A COM call.
    ComCall,
    /// An RPC call.
    RpcCall,
    /// A window message.
    MessageQueue,
    /// A completed I/O request.
    IoCompletion,
    /// Work for a pool thread.
    WorkerIdle,
    /// Time.
    Sleep,
    /// The loader lock.
    LoaderLock,
    /// File I/O.
    FileIo,
    /// A socket.
    Socket,
    /// A runtime's monitor.
    Monitor,
    /// To be woken by who has a monitor.
    MonitorWait,
    /// Another lock of a runtime.
    ScriptLock,
    /// A task of a runtime.
    Task,
    /// A class or type initializer.
    ClassInit,
    /// A garbage collection.
    Gc,
    /// An interpreter's global lock.
    Gvl,
    /// Something else.
    Other,
}

impl Kind {
    /// The name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::CriticalSection => "critical_section",
            Kind::SrwLock => "srw_lock",
            Kind::ConditionVariable => "condition_variable",
            Kind::Address => "address",
            Kind::Event => "event",
            Kind::Mutex => "mutex",
            Kind::Semaphore => "semaphore",
            Kind::Thread => "thread",
            Kind::Process => "process",
            Kind::Timer => "timer",
            Kind::Multiple => "multiple",
            Kind::ComCall => "com_call",
            Kind::RpcCall => "rpc_call",
            Kind::MessageQueue => "message_queue",
            Kind::IoCompletion => "io_completion",
            Kind::WorkerIdle => "worker_idle",
            Kind::Sleep => "sleep",
            Kind::LoaderLock => "loader_lock",
            Kind::FileIo => "file_io",
            Kind::Socket => "socket",
            Kind::Monitor => "monitor",
            Kind::MonitorWait => "monitor_wait",
            Kind::ScriptLock => "script_lock",
            Kind::Task => "task",
            Kind::ClassInit => "class_init",
            Kind::Gc => "gc",
            Kind::Gvl => "gvl",
            Kind::Other => "other",
        }
    }

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
