//! `RPC_MESSAGE` and the description of an interface that it leads to.
//!
//! Source: `rpcdcep.h` of the SDK: `RPC_MESSAGE`, `RPC_CLIENT_INTERFACE`, `RPC_SERVER_INTERFACE`, `RPC_PROTSEQ_ENDPOINT`
//! (`docs/reference/rpc.md#message`). The same in all versions of Windows.

use crate::Target;
use dumpscope_core::base::Guid;
use dumpscope_core::{Machine, ReadMemory, Va};

/// Transfer syntaxes that every interface has one of: NDR and NDR64.
const NDR: &str = "8a885d04-1ceb-11c9-9fe8-08002b104860";
const NDR64: &str = "71710533-beba-4937-8319-b5dbef9ccc36";

/// Largest procedure number that is believed.
const MAX_PROCEDURE: u32 = 0x1000;
/// Most endpoints of an interface that are read.
const MAX_ENDPOINTS: u32 = 8;
/// Longest protocol sequence or endpoint, characters.
const MAX_TEXT: u64 = 64;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// The interface.
    pub interface: Guid,
    /// Procedure number.
    pub procedure: u32,
    /// `Handle`: the call, or the binding before the call is made.
    pub handle: Option<Va>,
    /// Endpoints that the interface is described with, `protocol:[endpoint]`.
    pub endpoints: Vec<String>,
}

/// Reads the message at `at`; `None` when it can be none.
pub(super) fn read(target: &Target, machine: Machine, at: Va) -> Option<Message> {
    let memory = target.dump.memory();
    let wide = machine.is_64();
    let (number_at, interface_at, length) = if wide { (0x1c, 0x28, 0x60) } else { (0x10, 0x18, 0x44) };
    let procedure = memory.u32(at.offset(number_at)).filter(|n| *n <= MAX_PROCEDURE)?;
    // The low bit may be a flag.
    let interface = memory.ptr(at.offset(interface_at), machine).map(|p| Va(p.0 & !1))?;
    if interface.0 <= 0xffff || memory.u32(interface)? != length {
        return None;
    }
    let guid = |o: u64| memory.bytes::<16>(interface.offset(o)).map(|b| Guid::from_bytes(&b));
    let syntax = guid(0x18)?.to_string();
    (syntax == NDR || syntax == NDR64).then_some(())?;
    Some(Message {
        interface: guid(4)?,
        procedure,
        handle: memory.ptr(at, machine).filter(|h| h.0 > 0xffff),
        endpoints: endpoints(target, machine, interface).unwrap_or_default(),
    })
}

fn endpoints(target: &Target, machine: Machine, interface: Va) -> Option<Vec<String>> {
    let memory = target.dump.memory();
    let (count_at, list_at) = if machine.is_64() { (0x38, 0x40) } else { (0x30, 0x34) };
    let count = memory.u32(interface.offset(count_at))?.min(MAX_ENDPOINTS);
    let list = memory.ptr(interface.offset(list_at), machine).filter(|l| l.0 > 0xffff)?;
    let p = machine.ptr_size() as u64;
    let text = |n: u64| narrow(target, memory.ptr(list.offset(n.saturating_mul(p)), machine)?);
    let one = |n: u64| {
        let n = n.saturating_mul(2);
        let protocol = text(n).filter(|p| p.starts_with("nca"))?;
        Some(format!("{protocol}:[{}]", text(n.saturating_add(1))?))
    };
    Some((0..u64::from(count)).filter_map(one).collect())
}

/// Text in bytes, printable.
fn narrow(target: &Target, at: Va) -> Option<String> {
    let mut out = String::new();
    for n in 0..MAX_TEXT {
        match target.dump.memory().u8(at.offset(n))? {
            0 => return (!out.is_empty()).then_some(out),
            b @ 0x20..=0x7e => out.push(char::from(b)),
            _ => return None,
        }
    }
    None
}
