//! Processor architectures.

/// The architecture that a context, an image or a process belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Machine {
    /// 32-bit x86.
    X86,
    /// x86-64.
    Amd64,
    /// 64-bit ARM.
    Arm64,
    /// Anything else; the value is the `PROCESSOR_ARCHITECTURE_*` or `IMAGE_FILE_MACHINE_*` number.
    Other(u16),
}

impl Machine {
    /// Pointer size in bytes; unknown machines count as 64-bit.
    #[must_use]
    pub fn ptr_size(self) -> usize {
        if self == Machine::X86 { 4 } else { 8 }
    }

    /// True when pointers are 8 bytes.
    #[must_use]
    pub fn is_64(self) -> bool {
        self.ptr_size() == 8
    }

    /// From the `Machine` field of a PE file header.
    #[must_use]
    pub fn from_pe(machine: u16) -> Machine {
        match machine {
            0x14c => Machine::X86,
            0x8664 => Machine::Amd64,
            0xaa64 => Machine::Arm64,
            other => Machine::Other(other),
        }
    }

    /// From `MINIDUMP_SYSTEM_INFO.ProcessorArchitecture`.
    #[must_use]
    pub fn from_processor_architecture(arch: u16) -> Machine {
        match arch {
            0 | 10 | 14 => Machine::X86,
            9 => Machine::Amd64,
            12 | 0x8003 => Machine::Arm64,
            other => Machine::Other(other),
        }
    }

    /// The name in JSON documents: `x86`, `x64`, `arm64` or `other`.
    #[must_use]
    pub fn json_name(self) -> &'static str {
        match self {
            Machine::X86 => "x86",
            Machine::Amd64 => "x64",
            Machine::Arm64 => "arm64",
            Machine::Other(_) => "other",
        }
    }
}
