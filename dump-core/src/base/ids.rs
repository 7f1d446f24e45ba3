//! Ids of processes and threads.

use serde::{Deserialize, Serialize};

/// A process id as the system gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Pid(pub u32);

/// A thread id as the system gave it. Not the debugger's thread number: see [`ThreadIdx`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Tid(pub u32);

/// The debugger's number of a thread: its position in the thread list, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ThreadIdx(pub u32);
