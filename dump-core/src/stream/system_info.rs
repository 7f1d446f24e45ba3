//! SystemInfoStream (7).

use crate::base::Machine;

/// `MINIDUMP_SYSTEM_INFO`.
#[derive(Clone, Debug, PartialEq)]
pub struct SystemInfo {
    /// Native architecture of the dumped view (a 32-bit dumper of a WOW64 process says x86).
    pub machine: Machine,
    /// `ProcessorLevel`.
    pub processor_level: u16,
    /// `ProcessorRevision`.
    pub processor_revision: u16,
    /// Processors of the machine.
    pub processors: u8,
    /// `VER_NT_WORKSTATION` 1, `VER_NT_DOMAIN_CONTROLLER` 2, `VER_NT_SERVER` 3.
    pub product_type: u8,
    /// Major version.
    pub major: u32,
    /// Minor version.
    pub minor: u32,
    /// Build number.
    pub build: u32,
    /// `VER_PLATFORM_WIN32_NT` 2; Breakpad writes 0x8101 macOS, 0x8201 Linux, 0x8203 Android.
    pub platform_id: u32,
    /// Service pack text. Untrusted.
    pub csd_version: String,
    /// `VER_SUITE_*` bits.
    pub suite_mask: u16,
    /// CPU information union, raw 24 bytes.
    pub cpu: [u8; 24],
}

impl SystemInfo {
    /// True for Windows dumps.
    #[must_use]
    pub fn is_windows(&self) -> bool {
        self.platform_id <= 3
    }
}
