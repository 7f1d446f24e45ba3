//! Contexts of threads: native, the exception's, and the 32-bit one of a WOW64 thread.

use super::{Dump, Thread, join};
use crate::base::{Machine, ReadMemory, ThreadIdx, Va, amd64, x86};
use crate::context::{Context, X86_SIZE};
use crate::layout::{TEB64, WOW64_CPU_AREA_SLOT};

/// Code segment of 32-bit code in a 64-bit Windows (`KGDT64_R3_CMCODE | 3`).
const CS_32_BIT: u16 = 0x23;
/// `IMAGE_FILE_MACHINE_ARMNT`: the guest is 32-bit ARM, not x86.
const MACHINE_ARMNT: u16 = 0x1c4;
/// `WOW64_CONTEXT` follows the four bytes of `WOW64_CPURESERVED` (flags, machine) at once.
const CPU_AREA_CONTEXT: u64 = 4;

impl Dump {
    /// The thread with a debugger's number.
    pub fn thread(&self, thread: ThreadIdx) -> Option<&Thread> {
        self.threads().get(usize::try_from(thread.0).ok()?)
    }

    /// A thread's native context.
    pub fn context(&self, thread: ThreadIdx) -> Option<Context> {
        let raw = &self.thread(thread)?.raw;
        Context::decode(join::located(self, raw.context_offset, raw.context_size)?, self.machine())
    }

    /// The context of the exception stream.
    pub fn exception_context(&self) -> Option<Context> {
        let e = self.exception().value()?;
        Context::decode(join::located(self, e.context_offset, e.context_size)?, self.machine())
    }

    /// The 32-bit context of a WOW64 thread.
    ///
    /// A thread that runs 32-bit code has it in its native context (code segment 0x23). Else the 64-bit half
    /// saved it: 64-bit TEB, TLS slot 1, `WOW64_CPURESERVED`. The machine word there is 0 on Windows 7.
    pub fn wow64_context(&self, thread: ThreadIdx) -> Option<Context> {
        if !self.is_wow64() {
            return None;
        }
        if let Some(native) = self.context(thread)
            && native.machine == Machine::Amd64
            && native.segments.first() == Some(&CS_32_BIT)
        {
            return Some(narrow(&native));
        }
        let memory = self.memory();
        let teb = self.thread(thread)?.raw.teb;
        let slot = teb.offset(TEB64.tls_slots).offset(WOW64_CPU_AREA_SLOT.wrapping_mul(8));
        let area = memory.u64(slot).map(Va).filter(|a| !teb.is_null() && !a.is_null())?;
        if memory.u16(area.offset(2))? == MACHINE_ARMNT {
            return None;
        }
        let mut raw = [0u8; X86_SIZE];
        let got = memory.read_at(area.offset(CPU_AREA_CONTEXT), &mut raw).got;
        Context::decode(raw.get(..got)?, Machine::X86)
    }
}

/// The 32-bit half of the registers of a thread that runs 32-bit code.
fn narrow(native: &Context) -> Context {
    let mut out =
        Context { machine: Machine::X86, regs: crate::base::RegSet::new(Machine::X86), ..native.clone() };
    // The low bits of the flags mean the same on both; the machine's bit differs.
    out.flags = native.flags & 0x1f | 0x1_0000;
    // The first eight registers have the same numbers on both.
    for n in x86::EAX.0..=x86::EDI.0 {
        if let Some(v) = native.regs.get(crate::base::Reg(n)) {
            out.regs.set(crate::base::Reg(n), v);
        }
    }
    if let Some(ip) = native.regs.get(amd64::RIP) {
        out.regs.set(x86::EIP, ip);
    }
    out.vectors.truncate(8);
    out
}
