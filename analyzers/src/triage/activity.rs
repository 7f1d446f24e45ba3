//! One sentence on what a thread is doing, from the names of its innermost frames.
//!
//! First form: a table of well-known waits. It names the wait, not what is waited for.

use super::facts::frame_text;
use crate::Target;
use crate::crash::{ExceptionFacts, Interest};
use crate::stacks::Stack;

/// What a thread is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    /// One sentence without a full stop. Holds no unsafe characters.
    pub text: String,
    /// What kind of wait it is, when it is one.
    pub wait: Option<WaitKind>,
    /// True when such a thread waits for work and blocks nobody.
    pub idle: bool,
}

/// Kinds of waits that the innermost frames tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// A thread-pool worker without work.
    WorkerIdle,
    /// `Sleep`.
    Sleep,
}

/// A row: the thread is in a system call and one of `functions` is among the innermost frames.
struct Pattern {
    functions: &'static [&'static str],
    wait: WaitKind,
    text: &'static str,
    idle: bool,
}

const fn waits(functions: &'static [&'static str], wait: WaitKind, text: &'static str) -> Pattern {
    Pattern { functions, wait, text, idle: false }
}

const fn idles(functions: &'static [&'static str], wait: WaitKind, text: &'static str) -> Pattern {
    Pattern { functions, wait, text, idle: true }
}

/// Innermost frames that are looked at.
const DEPTH: usize = 16;

/// The table, most telling first: a COM call waits in an event, and the COM call is what matters.
/// Source: stacks of Windows 7 to 11 (shared reference, section 4.6).
const PATTERNS: &[Pattern] = &[
    waits(
        &["LdrpAcquireLoaderLock", "LdrpDrainWorkQueue", "LdrLockLoaderLock"],
        WaitKind::LoaderLock,
        "waits for the loader lock or the loader's work queue",
    ),
    waits(
        &[
            "MTAThreadDispatchCrossApartmentCall",
            "MTAThreadWaitForCall",
            "ClassicSTAThreadWaitForCall",
            "ASTAThreadWaitForCall",
            "CSyncClientCall::SendReceive2",
            "CRpcChannelBuffer::SendReceive2",
            "CRpcChannelBuffer::SwitchAptAndDispatchCall",
            "CSyncClientCall::SwitchAptAndDispatchCall",
            "ThreadSendReceive",
            "GetToSTA",
        ],
        WaitKind::ComCall,
        "waits for the answer to a COM call",
    ),
    waits(
        &[
            "LRPC_BASE_CCALL::DoSendReceive",
            "LRPC_CCALL::SendReceive",
            "LRPC_BASE_CCALL::SendReceive",
            "LRPC_CASSOCIATION::AlpcSendWaitReceivePort",
        ],
        WaitKind::RpcCall,
        "waits for the answer to an RPC call",
    ),
    waits(
        &[
            "RtlEnterCriticalSection",
            "RtlpEnterCriticalSectionContended",
            "RtlpWaitOnCriticalSection",
            "RtlpWaitForCriticalSection",
        ],
        WaitKind::CriticalSection,
        "waits for a critical section",
    ),
    waits(
        &["RtlAcquireSRWLockExclusive", "RtlAcquireSRWLockShared"],
        WaitKind::SrwLock,
        "waits for a slim reader-writer lock",
    ),
    waits(
        &[
            "RtlSleepConditionVariableSRW",
            "RtlSleepConditionVariableCS",
            "SleepConditionVariableSRW",
            "SleepConditionVariableCS",
        ],
        WaitKind::ConditionVariable,
        "waits on a condition variable",
    ),
    idles(
        &["TppWorkerThread", "NtWaitForWorkViaWorkerFactory", "ZwWaitForWorkViaWorkerFactory"],
        WaitKind::WorkerIdle,
        "is a thread-pool worker without work",
    ),
    waits(&["RtlWaitOnAddress", "WaitOnAddress"], WaitKind::Address, "waits for a value in memory to change"),
    waits(
        &["NtUserMessageCall", "SendMessageTimeoutW", "SendMessageTimeoutA"],
        WaitKind::SentMessage,
        "waits for a window to answer a message",
    ),
    idles(
        &["NtUserGetMessage", "GetMessageW", "GetMessageA"],
        WaitKind::MessageQueue,
        "waits for a window message",
    ),
    waits(
        &[
            "MsgWaitForMultipleObjectsEx",
            "RealMsgWaitForMultipleObjectsEx",
            "NtUserMsgWaitForMultipleObjectsEx",
        ],
        WaitKind::MessageQueue,
        "waits for a window message or an object",
    ),
    idles(
        &["NtRemoveIoCompletion", "NtRemoveIoCompletionEx", "GetQueuedCompletionStatus"],
        WaitKind::IoCompletion,
        "waits for a completed I/O request",
    ),
    waits(&["NtDelayExecution", "ZwDelayExecution", "SleepEx"], WaitKind::Sleep, "sleeps"),
    waits(
        &["NtWaitForMultipleObjects", "ZwWaitForMultipleObjects", "WaitForMultipleObjectsEx"],
        WaitKind::Multiple,
        "waits for several objects",
    ),
    waits(
        &["NtWaitForSingleObject", "ZwWaitForSingleObject", "WaitForSingleObjectEx"],
        WaitKind::Object,
        "waits for an object",
    ),
];

/// Says what a thread does. `raised`: the exception, when this thread raised it.
pub(super) fn activity_of(
    target: &Target,
    stack: Option<&Stack>,
    raised: Option<&ExceptionFacts>,
    is_writer: bool,
) -> Option<Activity> {
    let plain = |text: String| Some(Activity { text, wait: None, idle: false });
    let frames = stack.map_or(&[][..], |s| &s.frames);
    let first = frames.first().map(|f| frame_text(target, f));
    if let Some(e) = raised.filter(|e| matches!(e.interest, Interest::Crash | Interest::OwnBreakpoint)) {
        let place = first.unwrap_or_else(|| format!("0x{:x}", e.address.0));
        return plain(format!("raised exception {:08x} at {place}", e.code));
    }
    if is_writer {
        return plain("wrote the dump".into());
    }
    let names: Vec<&str> = frames.iter().take(DEPTH).filter_map(|f| f.function.as_deref()).collect();
    if names.first().is_some_and(|f| is_system_call(f)) {
        let hit = PATTERNS.iter().find_map(|p| {
            let name = names.iter().find(|n| p.functions.contains(n))?;
            Some((p, *name))
        });
        if let Some((p, _)) = hit {
            return Some(Activity { text: p.text.into(), wait: Some(p.wait), idle: p.idle });
        }
    }
    first.and_then(|f| plain(format!("is in {f}")))
}

/// True for the names of system-call stubs.
fn is_system_call(name: &str) -> bool {
    let is_stub = |prefix: &str| {
        name.strip_prefix(prefix).is_some_and(|r| r.starts_with(|c: char| c.is_ascii_uppercase()))
    };
    is_stub("Nt") || is_stub("Zw") || name == "KiFastSystemCallRet" || name == "KiFastSystemCall"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_calls() {
        assert!(is_system_call("NtWaitForSingleObject"));
        assert!(is_system_call("ZwDelayExecution"));
        assert!(is_system_call("KiFastSystemCallRet"));
        assert!(!is_system_call("Nthing"));
        assert!(!is_system_call("RtlEnterCriticalSection"));
    }

    #[test]
    fn a_function_stands_in_one_row() {
        let all: Vec<&str> = PATTERNS.iter().flat_map(|p| p.functions.iter().copied()).collect();
        let mut unique = all.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(all.len(), unique.len());
    }
}
