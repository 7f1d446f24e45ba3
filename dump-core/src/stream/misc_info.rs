//! MiscInfoStream (15), versions 1 to 5; what a version lacks, or its flag bit denies, is `None`.

use crate::base::Pid;

/// `MINIDUMP_MISC_INFO` 1 to 5.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MiscInfo {
    /// Process id.
    pub pid: Option<Pid>,
    /// Process start, seconds since 1970 UTC.
    pub create_time: Option<u32>,
    /// User CPU time, seconds.
    pub user_time: Option<u32>,
    /// Kernel CPU time, seconds.
    pub kernel_time: Option<u32>,
    /// Current processor speed, MHz.
    pub processor_mhz: Option<u32>,
    /// Integrity level.
    pub integrity_level: Option<u32>,
    /// `ProcessExecuteFlags`.
    pub execute_flags: Option<u32>,
    /// Minutes that local time is behind UTC (`Bias`, plus the daylight or standard bias in force).
    pub utc_bias_minutes: Option<i32>,
    /// Build lab text (`10.0.19041.1 (WinBuild.160101.0800)`). Untrusted.
    pub build_string: Option<String>,
    /// dbghelp build text. Untrusted.
    pub dbg_build_string: Option<String>,
    /// Process cookie (version 5).
    pub process_cookie: Option<u32>,
}
