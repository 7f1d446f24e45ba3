//! Plain data that analyses take and return: no target, no work.
//!
//! Everything else in this crate may use it, and it uses nothing of the rest.

mod argument;
mod com;
mod confidence;
mod exception;
mod facts;
mod fault;
mod finding;
mod foreign;
mod loader;
mod lock;
mod rpc;
mod script;
mod section;
mod stack;
mod thread;
mod wait;
mod words;

pub use argument::{ArgPlace, ArgSource, Argument, Evidence, Hint, HintSource, Value};
pub use com::{Apartment, CalledMethod, ComCall, ComThread, Incoming, LayoutSource, Message, Outgoing};
pub use confidence::Confidence;
pub use exception::{Access, ExceptionFacts, Interest, Reported};
pub use facts::Facts;
pub use fault::{
    BitFlip, Blame, Fault, FaultKind, FlipGrade, Look, Operand, Pattern, PatternKind, Recursion,
};
pub use finding::{Blocks, Finding, FindingClass, FindingKind, KindRow, Severity};
pub use foreign::{ForeignCrash, ForeignDump};
pub use loader::{DllMain, ProcessExit, Reason};
pub use lock::{Lock, LockSource, Locks, OwnerState, SlimLock};
pub use rpc::RpcCall;
pub use script::{ScriptFacts, ThreadScript, Unmounted};
pub use section::{Counting, CriticalSection, DebugBlock};
pub use stack::{Stack, StackFrame, StackWarning};
pub use thread::{Activity, ThreadFacts, ThreadRole};
pub use wait::{Kind, Timeout, Wait, WaitKind};
