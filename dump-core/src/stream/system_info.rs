//! SystemInfoStream (7).

use super::{Stream, StreamCx, id};
use crate::base::Machine;
use crate::error::Parsed;

/// `dwPlatformId` of every Windows that writes minidumps.
const VER_PLATFORM_WIN32_NT: u32 = 2;

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

pub(crate) struct SystemInfoStream;

impl Stream for SystemInfoStream {
    const NUMBER: u32 = id::SYSTEM_INFO;
    const NAME: &'static str = "SystemInfoStream";
    const ABOUT: &'static str = "operating system and processor";
    type Value = SystemInfo;

    /// Parses the stream: 56 bytes (SDK `MINIDUMP_SYSTEM_INFO`). A short stream gives what it holds.
    fn parse(cx: StreamCx<'_>) -> Parsed<Self::Value> {
        let mut c = cx.cursor();
        let raw_arch = c.u16();
        let machine = raw_arch.map_or(Machine::Other(0xffff), Machine::from_processor_architecture);
        let processor_level = c.u16().unwrap_or(0);
        let processor_revision = c.u16().unwrap_or(0);
        let processors = c.u8().unwrap_or(0);
        let product_type = c.u8().unwrap_or(0);
        let major = c.u32().unwrap_or(0);
        let minor = c.u32().unwrap_or(0);
        let build = c.u32().unwrap_or(0);
        let platform_id = c.u32();
        let csd_rva = c.u32().unwrap_or(0);
        let suite_mask = c.u16().unwrap_or(0);
        let _reserved = c.u16();
        let cpu = c.array::<24>();
        if cpu.is_none() && cx.entry.size < 56 {
            cx.warn(Some(cx.entry.offset), format!("{} bytes instead of 56", cx.entry.size));
        }
        let csd_version = cx.string_or_warn(csd_rva.into(), "the service pack text").unwrap_or_default();
        cx.done(SystemInfo {
            machine,
            processor_level,
            processor_revision,
            processors,
            product_type,
            major,
            minor,
            build,
            platform_id: platform_id.unwrap_or(VER_PLATFORM_WIN32_NT),
            csd_version,
            suite_mask,
            cpu: cpu.unwrap_or_default(),
        })
    }

    fn summary(s: &Self::Value) -> String {
        let arch = s.machine.json_name();
        format!("{}.{}.{} {arch}, {} processors {}", s.major, s.minor, s.build, s.processors, s.csd_version)
    }
}
