//! The process: WOW64, TEBs, the PEB, process parameters, the loader's lists.

use super::{Dump, LoaderData, Peb, ProcessParameters, Teb, Thread};
use crate::base::{Machine, Pid, ReadMemory, ThreadIdx, Va};
use crate::layout::{PEB64, PebLayout, TEB32, TEB64, TebLayout};
use crate::stream::id;

/// Distance of the two TEBs of a WOW64 thread before Windows 10, and usually since.
const WOW_TEB_DISTANCE: u64 = 0x2000;

impl Dump {
    /// Version of the system: major and minor. Windows 10 when the dump does not say.
    pub fn os_version(&self) -> (u32, u32) {
        self.system().value().map_or((10, 0), |s| (s.major, s.minor))
    }

    /// True unless the dump says that it is of another system (Breakpad and Crashpad write such).
    pub fn is_windows(&self) -> bool {
        self.system().value().is_none_or(|s| s.is_windows())
    }

    /// True when a 64-bit dump holds a 32-bit process: a thread has a 32-bit TEB, or `wow64.dll` is loaded.
    pub fn is_wow64(&self) -> bool {
        *self.streams.wow64.get_or_init(|| {
            let loaded = |name: &str| {
                let mut modules = self.module_list().value().into_iter().flatten();
                modules.any(|m| m.file_name.eq_ignore_ascii_case(name))
            };
            self.machine().is_64()
                && self.is_windows()
                && (loaded("wow64.dll") || self.threads().iter().any(|t| self.teb32(t.raw.teb).is_some()))
        })
    }

    /// Process id, from MiscInfo, else from a readable TEB.
    pub fn pid(&self) -> Option<Pid> {
        let of_teb =
            |t: &Thread| u32::try_from(self.native_teb(t)?.process_id?).ok().filter(|p| *p != 0).map(Pid);
        *self.streams.pid.get_or_init(|| {
            let told = self.misc().value().and_then(|m| m.pid);
            self.linux_pid().or(told).or_else(|| self.threads().iter().find_map(of_teb))
        })
    }

    /// Linux: the thread group of `/proc/PID/status`. The status may be that of another thread than the first.
    fn linux_pid(&self) -> Option<Pid> {
        let raw = self.stream_bytes(id::LINUX_PROC_STATUS)?;
        let line = raw.split(|b| *b == b'\n').find_map(|l| l.strip_prefix(b"Tgid:"))?;
        str::from_utf8(line).ok()?.trim().parse().ok().map(Pid)
    }

    /// Address of a thread's TEB in the view of `machine` (TEB32 for [`Machine::X86`] in a WOW64 process).
    pub fn teb(&self, thread: ThreadIdx, machine: Machine) -> Option<Va> {
        let teb = self.thread(thread)?.raw.teb;
        if !self.is_windows() {
            return None;
        }
        if machine.is_64() == self.machine().is_64() {
            return Some(teb).filter(|t| !t.is_null());
        }
        if machine.is_64() { None } else { self.teb32(teb) }
    }

    /// The 32-bit TEB that belongs to a 64-bit one. Its address stands in the first word of the 64-bit TEB; it
    /// is believed when its `Self` agrees, or (where its memory is missing) when the known distance does.
    fn teb32(&self, teb64: Va) -> Option<Va> {
        if teb64.is_null() {
            return None;
        }
        let memory = self.memory();
        let candidate = Va(memory.u32(teb64.offset(TEB64.exception_list))?.into());
        if candidate.is_null() {
            return None;
        }
        if let Some(own) = memory.u32(candidate.offset(TEB32.self_pointer)) {
            return (u64::from(own) == candidate.0).then_some(candidate);
        }
        let distance = match memory.u32(teb64.offset(TEB64.wow_teb_offset)).map(u32::cast_signed) {
            Some(stored) if self.os_version() >= (10, 0) && stored != 0 => i64::from(stored).cast_unsigned(),
            _ => WOW_TEB_DISTANCE,
        };
        (teb64.offset(distance) == candidate).then_some(candidate)
    }

    /// The thread's TEB in the dump's own bitness, when its bytes are a TEB.
    fn native_teb(&self, thread: &Thread) -> Option<Teb> {
        let machine = self.machine();
        let teb = thread.raw.teb;
        // `Self` first: most of the fields are not needed when it is not one.
        let own = self.memory().ptr(teb.offset(TebLayout::of(machine.is_64()).self_pointer), machine)?;
        (own == teb).then(|| Teb::read(&**self.memory(), teb, machine)).filter(Teb::is_valid)
    }

    /// A thread's TEB, decoded, in the view of `machine`. `None` when its address is unknown or not even its
    /// `Self` field is in the dump; see [`Teb::is_valid`].
    pub fn read_teb(&self, thread: ThreadIdx, machine: Machine) -> Option<Teb> {
        let teb = Teb::read(&**self.memory(), self.teb(thread, machine)?, machine);
        teb.self_pointer.is_some().then_some(teb)
    }

    /// Address of the PEB in the view of `machine`: from the first thread whose TEB is readable.
    pub fn peb(&self, machine: Machine) -> Option<Va> {
        let native = machine.is_64() == self.machine().is_64();
        if !native && (machine.is_64() || !self.is_wow64()) {
            return None;
        }
        let of_thread = |t: &Thread| {
            if native {
                return self.native_teb(t)?.peb;
            }
            self.memory().ptr(self.teb32(t.raw.teb)?.offset(TEB32.peb), Machine::X86)
        };
        let [own, guest] = &self.streams.pebs;
        *(if native { own } else { guest })
            .get_or_init(|| self.threads().iter().find_map(|t| of_thread(t).filter(|peb| !peb.is_null())))
    }

    /// The PEB, decoded, in the view of `machine`. `None` when its address is unknown or the dump does not have
    /// its start.
    pub fn read_peb(&self, machine: Machine) -> Option<Peb> {
        let address = self.peb(machine)?;
        let build = self.system().value().map_or(0, |s| s.build);
        let peb = Peb::read(&**self.memory(), address, machine, build);
        peb.image_base.is_some().then_some(peb)
    }

    /// Process parameters in the view of `machine`.
    pub fn parameters(&self, machine: Machine) -> Option<ProcessParameters> {
        let at = PebLayout::of(machine.is_64()).process_parameters;
        let block = self.memory().ptr(self.peb(machine)?.offset(at), machine)?;
        if block.is_null() { None } else { ProcessParameters::read(&**self.memory(), block, machine) }
    }

    /// The loader's lists in the view of `machine`. `None` when PEB or loader data are not in the dump.
    pub fn loader(&self, machine: Machine) -> Option<LoaderData> {
        let at = PebLayout::of(machine.is_64()).ldr;
        let ldr = self.memory().ptr(self.peb(machine)?.offset(at), machine)?;
        if ldr.is_null() {
            return None;
        }
        let data = LoaderData::read(&**self.memory(), ldr, machine, self.os_version());
        data.initialized.is_some().then_some(data)
    }

    /// Base of the program's own image: from the PEB, else the first module of the list.
    pub fn program_base(&self) -> Option<Va> {
        let machine = self.machine();
        let at = if machine.is_64() { PEB64.image_base } else { PebLayout::of(false).image_base };
        let of_peb = self.peb(machine).and_then(|peb| self.memory().ptr(peb.offset(at), machine));
        of_peb.filter(|va| !va.is_null()).or_else(|| self.modules().first().map(|m| m.base))
    }
}
