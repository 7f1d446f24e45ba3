//! The call as the library describes it to channel hooks (`SChannelHookCallInfo`), kept beside the call's binding.
//!
//! Source: `objidl.h` of the SDK: IID, size of the structure, causality, server's process, method, object. Wine's library has
//! no `CMessageCall`: each call has a state that begins with its binding, two words before that structure (seen in Wine 8, x64
//! and x86). The binding's endpoint there is `OLE_` and the server's OXID in hex: process id, then thread id (`cafe` for the
//! multithreaded apartment).

use super::message::{MAX_METHOD, pointers};
use super::tls::is_id;
use crate::Target;
use crate::model::{LayoutSource, Message, Stack};
use crate::waits::rpc;
use dumpscope_core::base::Guid;
use dumpscope_core::{Machine, Pid, ReadMemory, Tid, Va};

/// The thread of an OXID that stands for the multithreaded apartment.
const ANY_THREAD: u32 = 0xcafe;

/// The call's message, and the endpoint that it goes to. `frames`: how many of the innermost frames belong to the call.
pub(super) fn find(
    target: &Target,
    machine: Machine,
    stack: &Stack,
    frames: usize,
) -> Option<(Message, Option<String>)> {
    let mut found: Option<(Message, Option<String>)> = None;
    for at in pointers(target, machine, stack, frames) {
        let Some(new) = read(target, machine, at) else { continue };
        let what = |m: &Message| (m.iid, m.method, m.causality);
        match &found {
            // Two calls: which of them is the living one is not known.
            Some((old, _)) if what(old) != what(&new.0) => return None,
            Some((old, _)) if old.pid.is_some() || new.0.pid.is_none() => {}
            _ => found = Some(new),
        }
    }
    found
}

/// What the structure says.
struct Info {
    iid: Guid,
    causality: Guid,
    pid: Option<Pid>,
    method: u32,
}

fn info(target: &Target, machine: Machine, at: Va) -> Option<Info> {
    let memory = target.dump.memory();
    let size = if machine.is_64() { 0x38 } else { 0x30 };
    if memory.u32(at.offset(0x10))? != size {
        return None;
    }
    let guid = |o: u64| memory.bytes::<16>(at.offset(o)).map(|b| Guid::from_bytes(&b));
    let some = |g: &Guid| *g != Guid::default();
    Some(Info {
        iid: guid(0).filter(some)?,
        causality: guid(0x14).filter(some)?,
        pid: memory.u32(at.offset(0x24)).filter(|p| is_id(*p)).map(Pid),
        method: memory.u32(at.offset(0x28)).filter(|m| (3..=MAX_METHOD).contains(m))?,
    })
}

/// The chain of calls that a thread serves: the structure lies in the library's frames, and names this process as the
/// server. `None` where it is not the only one.
pub(crate) fn served(target: &Target, stack: &Stack) -> Option<Guid> {
    let machine = stack.machine;
    let own = target.dump.pid()?;
    let p = machine.ptr_size() as u64;
    let mut found = None;
    for frame in stack.physical() {
        let file = frame.module.and_then(|m| target.symbols.modules().get(m)).map(|m| m.file_name.as_str());
        if !file.is_some_and(super::library::is_library) {
            continue;
        }
        let span = frame.frame.frame_base.distance_from(frame.frame.sp).unwrap_or(0).min(super::MAX_SPAN);
        for n in 0..span / p {
            let at = frame.frame.sp.offset(n.saturating_mul(p));
            let Some(info) = info(target, machine, at).filter(|i| i.pid == Some(own)) else { continue };
            if found.is_some_and(|f| f != info.causality) {
                return None;
            }
            found = Some(info.causality);
        }
    }
    found
}

fn read(target: &Target, machine: Machine, at: Va) -> Option<(Message, Option<String>)> {
    let memory = target.dump.memory();
    let p = machine.ptr_size() as u64;
    let Info { iid, causality, pid: said, method } = info(target, machine, at.offset(p.saturating_mul(2)))?;
    let binding = memory.ptr(at, machine).filter(|b| b.0 > 0xffff);
    let endpoint = binding.and_then(|b| rpc::endpoint_of(target, machine, b));
    let oxid = endpoint.as_deref().filter(|_| target.is_wine()).and_then(oxid);
    let message = Message {
        address: at,
        event: None,
        ipid: Guid::default(),
        iid: Some(iid),
        causality: Some(causality),
        pid: said.or(oxid.map(|o| o.0)),
        tid: oxid.and_then(|o| o.1),
        method: Some(method),
        oxid: None,
        layout: LayoutSource::Hook,
    };
    Some((message, endpoint))
}

/// Process and thread that the name of an endpoint has.
fn oxid(endpoint: &str) -> Option<(Pid, Option<Tid>)> {
    let (_, rest) = endpoint.rsplit_once("OLE_")?;
    let digits = rest.strip_suffix(']').unwrap_or(rest);
    let number = (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok())??;
    let (pid, tid) = (u32::try_from(number >> 32).ok()?, u32::try_from(number & 0xffff_ffff).ok()?);
    is_id(pid).then_some((Pid(pid), Some(tid).filter(|t| *t != ANY_THREAD && is_id(*t)).map(Tid)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_name_processes() {
        let of = |text: &str| oxid(text);
        assert_eq!(of("ncalrpc:[\\pipe\\OLE_0000011c0000cafe]"), Some((Pid(0x11c), None)));
        assert_eq!(of("ncalrpc:[OLE_0000011c00000120]"), Some((Pid(0x11c), Some(Tid(0x120)))));
        assert_eq!(of("ncalrpc:[OLE1234]"), None);
        assert_eq!(of("ncalrpc:[OLE_000000000000cafe]"), None);
    }
}
