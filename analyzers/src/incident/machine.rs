//! Which machine, and which of its boots, a dump is of.
//!
//! Process ids repeat over machines and over boots. Three things tell them apart: the computer's name, the moment of
//! the boot, and where ntdll lies, which Windows chooses anew at each boot, for all processes alike.

use crate::Target;
use crate::model::Confidence;
use dumpscope_core::base::text::escape;
use dumpscope_core::model::ProcessParameters;
use dumpscope_core::{Machine, ReadMemory, Va};
use serde::{Deserialize, Serialize};

/// `KUSER_SHARED_DATA`, at the same address in every process of x86, x64 and ARM64 Windows, and in Wine.
/// Source: `ntddk.h` of the WDK; the offsets are the same from Windows 2000 to 11 (seen: 9600 under Wine).
const SHARED_DATA: Va = Va(0x7ffe_0000);
/// `InterruptTime`: a `KSYSTEM_TIME`, 100 ns since the boot.
const INTERRUPT_TIME: u64 = 0x8;
/// `SystemTime`: a `KSYSTEM_TIME`, 100 ns since 1601.
const SYSTEM_TIME: u64 = 0x14;

/// 100 ns units in a second.
const SECOND: u64 = 10_000_000;
/// Both clocks move together: their difference changes only when the clock is set.
const SAME_BOOT: u64 = SECOND;
/// Further apart it is no correction of the clock but another boot.
const OTHER_BOOT: u64 = 300 * SECOND;

/// From here on lie the system libraries of 64-bit Windows 8.1 and later, where at least 19 bits are random.
const RANDOM_BASES: u64 = 0x7ff0_0000_0000;

/// Which machine a dump is of, as far as it says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineId {
    /// `COMPUTERNAME`, upper case. Untrusted.
    pub computer: Option<String>,
    /// Build of Windows.
    pub build: Option<u32>,
    /// When the machine was booted, 100 ns since 1601, by its own clock.
    pub boot: Option<u64>,
    /// Timestamp, size and base of the system's ntdll.
    pub ntdll: Option<(u32, u32, Va)>,
}

impl MachineId {
    /// Takes what the dump says.
    #[must_use]
    pub fn of(target: &Target, parameters: Option<&ProcessParameters>) -> MachineId {
        let computer = parameters.and_then(|p| p.variable("COMPUTERNAME"));
        MachineId {
            computer: computer.filter(|c| !c.is_empty()).map(str::to_uppercase),
            build: target.dump.system().value().map(|s| s.build).filter(|b| *b != 0),
            boot: boot(target),
            ntdll: ntdll(target),
        }
    }

    /// Whether two dumps are of one machine and boot, and what says so: `None` when something contradicts it, a
    /// guess when nothing says it.
    #[must_use]
    pub fn same(&self, other: &MachineId) -> Option<(Confidence, Vec<String>)> {
        if self.build.zip(other.build).is_some_and(|(a, b)| a != b) {
            return None;
        }
        let mut says: Vec<String> = Vec::new();
        match (&self.computer, &other.computer) {
            (Some(a), Some(b)) if a == b => says.push(format!("both dumps are of computer {}", escape(a))),
            (Some(_), Some(_)) => return None,
            _ => {}
        }
        match self.boot.zip(other.boot).map(|(a, b)| a.abs_diff(b)) {
            Some(apart) if apart > OTHER_BOOT => return None,
            Some(apart) if apart <= SAME_BOOT => {
                says.push("both dumps' machine was booted at the same moment".into());
            }
            _ => {}
        }
        match (self.ntdll, other.ntdll) {
            (Some((time, size, a)), Some((t, s, b))) if (time, size) == (t, s) => {
                if a != b {
                    return None;
                }
                if a.0 >= RANDOM_BASES {
                    says.push(format!("both have ntdll at {:x}, a place that each boot chooses anew", a.0));
                }
            }
            _ => {}
        }
        // One sign may be chance: names are copied with images, machines are booted together.
        let sure = match says.len() {
            0 => Confidence::Guess,
            1 => Confidence::Strong,
            _ => Confidence::Proven,
        };
        if says.is_empty() {
            says.push("nothing says that both dumps are of one machine".into());
        }
        Some((sure, says))
    }
}

/// How long the machine had been running, in units of 100 ns; `None` where the page of the clocks is not in the dump.
#[must_use]
pub fn system_uptime(target: &Target) -> Option<u64> {
    let uptime = system_time(target, INTERRUPT_TIME).filter(|_| target.dump.is_windows())?;
    (uptime != 0).then_some(uptime)
}

/// When the machine was booted: what one clock says less what the other one says.
fn boot(target: &Target) -> Option<u64> {
    let since_boot = system_uptime(target)?;
    // Both clocks are needed.
    system_time(target, SYSTEM_TIME)?.checked_sub(since_boot)
}

/// `KSYSTEM_TIME`: low part, high part, the high part again, written in the opposite order.
fn system_time(target: &Target, at: u64) -> Option<u64> {
    let memory = target.dump.memory();
    let word = |n: u64| memory.u32(SHARED_DATA.offset(at.saturating_add(n)));
    let (low, high, again) = (word(0)?, word(4)?, word(8)?);
    (high == again).then_some(u64::from(high) << 32 | u64::from(low))
}

/// The ntdll of the machine's own width: the 64-bit one in a 64-bit dump of a 32-bit process.
fn ntdll(target: &Target) -> Option<(u32, u32, Va)> {
    if !target.dump.is_windows() {
        return None;
    }
    let wide = target.dump.machine() != Machine::X86;
    let named = |m: &&dumpscope_core::base::ModuleInfo| m.file_name.eq_ignore_ascii_case("ntdll.dll");
    let high = |base: Va| base.0 > u64::from(u32::MAX);
    let found = target.dump.modules().iter().filter(named).find(|m| high(m.base) == wide)?;
    // Wine may place it anew in each process.
    if found.timestamp == 0 || target.is_wine() {
        return None;
    }
    Some((found.timestamp, found.size, found.base))
}
