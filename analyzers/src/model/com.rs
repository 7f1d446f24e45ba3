//! COM: a thread's data, the calls that it makes and serves.

use super::{Argument, Confidence};
use dumpscope_core::base::Guid;
use dumpscope_core::{Pid, Tid, Va};

/// COM's data of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComThread {
    /// `SOleTlsData`.
    pub data: Va,
    /// How its layout is known.
    pub layout: LayoutSource,
    /// The apartment.
    pub apartment: Apartment,
    /// The apartment's number; of old builds it is the id of its thread.
    pub apartment_id: u32,
    /// The call that it makes.
    pub outgoing: Option<Outgoing>,
    /// The call that it serves.
    pub incoming: Option<Incoming>,
    /// The class that it activates.
    pub activation: Option<Guid>,
    /// The chain of calls that it is part of: the same in the caller's and in the server's dump. `None` while it
    /// makes and serves no call.
    pub causality: Option<Guid>,
    /// The thread that it waits for by the modal loop of its apartment, with the object that says so.
    pub callee: Option<(Tid, Va)>,
}

/// What kind of apartment a thread is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apartment {
    /// Single-threaded.
    Single,
    /// Single-threaded, of an app: calls do not come in while it waits.
    App,
    /// Multithreaded.
    Multi,
    /// It has COM data but entered none.
    None,
}

impl Apartment {
    /// `STA`, `ASTA`, `MTA` or `none`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Apartment::Single => "STA",
            Apartment::App => "ASTA",
            Apartment::Multi => "MTA",
            Apartment::None => "none",
        }
    }
}

/// Where an outgoing call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Serving process.
    pub pid: Pid,
    /// Serving thread; `None` when any thread of the process may serve it.
    pub tid: Option<Tid>,
}

/// Who called a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The calling process.
    pub pid: Pid,
    /// The calling thread.
    pub tid: Option<Tid>,
    /// The interface pointer of this process that is called.
    pub ipid: Option<Guid>,
    /// Its interface.
    pub iid: Option<Guid>,
    /// Name of the interface, when it is a known one.
    pub interface: Option<String>,
    /// The chain of calls: the same in the caller's dump.
    pub causality: Option<Guid>,
    /// How sure process and thread are.
    pub confidence: Confidence,
    /// What it rests on, one sentence each.
    pub evidence: Vec<String>,
}

/// An outgoing COM call: what its sources say together.
#[derive(Clone, Debug, PartialEq)]
pub struct ComCall {
    /// The serving process.
    pub pid: Option<Pid>,
    /// The serving thread; `None` when any thread may serve it.
    pub tid: Option<Tid>,
    /// What the thread's COM data say.
    pub outgoing: Option<Outgoing>,
    /// The message object.
    pub message: Option<Message>,
    /// True when the thread waits for the message object's event.
    pub waited: bool,
    /// True when the thread waits for other handles than the message object's event: the object may be of an earlier
    /// call. Its interface is not told then.
    pub stale: bool,
    /// True when the object may be of an earlier call to the same server: its interface is not told then.
    pub several: bool,
    /// Name of the interface, when it is a known one.
    pub interface: Option<String>,
    /// The class that is being activated.
    pub activation: Option<Guid>,
    /// Name of that class, when it is a known one.
    pub class: Option<String>,
    /// True when the sources name different servers.
    pub conflict: bool,
    /// Where the call goes, `protocol:[endpoint]`, when its binding was found.
    pub endpoint: Option<String>,
    /// The method that is called, when the Win32 table has its interface.
    pub method: Option<CalledMethod>,
}

/// A method of a COM interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalledMethod {
    /// The interface that has it: the called one or one of its bases.
    pub interface: String,
    /// Its name.
    pub name: String,
    /// Its parameters in order, without the object; with values where they were found.
    pub parameters: Vec<Argument>,
    /// The Win32 table tells it; false: the list of interfaces that Microsoft's protocol documents describe.
    pub by_table: bool,
}

/// What a message object says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its address.
    pub address: Va,
    /// The event that the caller waits for, by its handle.
    pub event: Option<u64>,
    /// The interface pointer that is called.
    pub ipid: Guid,
    /// The interface.
    pub iid: Option<Guid>,
    /// The chain of calls that it belongs to.
    pub causality: Option<Guid>,
    /// Serving process, by its own field or by the server's OXID entry.
    pub pid: Option<Pid>,
    /// Serving thread.
    pub tid: Option<Tid>,
    /// Method number in the interface.
    pub method: Option<u32>,
    /// The server's OXID entry, and the process and thread that it names.
    pub oxid: Option<(Va, Pid, Option<Tid>)>,
    /// How the layout is known.
    pub layout: LayoutSource,
}

/// How a layout is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LayoutSource {
    /// The types of the library's own symbols.
    Symbols,
    /// The code of the library's export that tells the offsets.
    Code,
    /// A table by build of Windows.
    Build,
    /// The public structure that channel hooks get.
    Hook,
    /// The table's row for another build; the memory fits.
    Neighbour,
}

impl LayoutSource {
    /// `by the library's symbols` and the like.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            LayoutSource::Symbols => "by the library's symbols",
            LayoutSource::Code => "by the code of CoGetCallState",
            LayoutSource::Build => "by the layout of this build",
            LayoutSource::Hook => "by the description that channel hooks get",
            LayoutSource::Neighbour => "by the layout of a neighbouring build, which fits",
        }
    }
}
