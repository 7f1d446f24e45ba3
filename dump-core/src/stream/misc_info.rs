//! MiscInfoStream (15), versions 1 to 5; what a version lacks, or its flag bit denies, is `None`.

use super::{Stream, StreamCx, id};
use crate::base::Pid;
use crate::bytes::{Cursor, utf16_text};
use crate::error::Parsed;

/// `MINIDUMP_MISC_INFO` 1 to 5.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MiscInfo {
    /// Process id. A recorded 0 is `None`: no user process has it, and some writers set the flag without an id.
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

/// `MINIDUMP_MISC1_PROCESS_ID`.
const PROCESS_ID: u32 = 0x1;
/// `MINIDUMP_MISC1_PROCESS_TIMES`.
const PROCESS_TIMES: u32 = 0x2;
/// `MINIDUMP_MISC1_PROCESSOR_POWER_INFO`.
const PROCESSOR_POWER: u32 = 0x4;
/// `MINIDUMP_MISC3_PROCESS_INTEGRITY`.
const INTEGRITY: u32 = 0x10;
/// `MINIDUMP_MISC3_PROCESS_EXECUTE_FLAGS`.
const EXECUTE_FLAGS: u32 = 0x20;
/// `MINIDUMP_MISC3_TIMEZONE`.
const TIMEZONE: u32 = 0x40;
/// `MINIDUMP_MISC4_BUILDSTRING`.
const BUILD_STRING: u32 = 0x100;
/// `MINIDUMP_MISC5_PROCESS_COOKIE`.
const PROCESS_COOKIE: u32 = 0x200;

/// `TIME_ZONE_ID_STANDARD`.
const ZONE_STANDARD: u32 = 1;
/// `TIME_ZONE_ID_DAYLIGHT`.
const ZONE_DAYLIGHT: u32 = 2;

pub(crate) struct MiscInfoStream;

impl Stream for MiscInfoStream {
    const NUMBER: u32 = id::MISC_INFO;
    const NAME: &'static str = "MiscInfoStream";
    const ABOUT: &'static str = "process id, times, time zone, build";
    type Value = MiscInfo;

    /// Parses the stream. The offsets are those of `MINIDUMP_MISC_INFO_5` (1364 bytes), of which every older form
    /// (24, 44, 232 and 832 bytes) is a prefix.
    fn parse(cx: StreamCx<'_>) -> Parsed<Self::Value> {
        let all = cx.cursor();
        let mut head = all;
        let (Some(_size), Some(flags)) = (head.u32(), head.u32()) else {
            if cx.entry.size < 8 {
                cx.warn(Some(cx.entry.offset), "the stream is too small for its flags");
            }
            return cx.done(MiscInfo::default());
        };
        let has = |bit: u32| flags & bit != 0;
        let word = |bit: u32, at: usize| if has(bit) { all.at(at).u32() } else { None };
        let text = |at: usize, bytes: usize| {
            let raw = all.at(at).take(bytes)?;
            Some(utf16_text(raw)).filter(|t| !t.is_empty())
        };
        let info = MiscInfo {
            pid: word(PROCESS_ID, 0x8).filter(|p| *p != 0).map(Pid),
            create_time: word(PROCESS_TIMES, 0xc),
            user_time: word(PROCESS_TIMES, 0x10),
            kernel_time: word(PROCESS_TIMES, 0x14),
            processor_mhz: word(PROCESSOR_POWER, 0x1c),
            integrity_level: word(INTEGRITY, 0x2c),
            execute_flags: word(EXECUTE_FLAGS, 0x30),
            utc_bias_minutes: if has(TIMEZONE) { utc_bias(all) } else { None },
            build_string: if has(BUILD_STRING) { text(0xe8, 520) } else { None },
            dbg_build_string: if has(BUILD_STRING) { text(0x2f0, 80) } else { None },
            process_cookie: word(PROCESS_COOKIE, 0x550),
        };
        cx.done(info)
    }

    fn summary(m: &Self::Value) -> String {
        let pid = m.pid.map_or("no process id".into(), |p| format!("process {:x}", p.0));
        format!("{pid} {}", m.build_string.as_deref().unwrap_or_default()).trim_end().to_owned()
    }
}

/// `Bias` plus the bias in force, from the zone id and `TIME_ZONE_INFORMATION` (172 bytes at 0x3C: Bias 0,
/// StandardBias 0x54, DaylightBias 0xA8).
fn utc_bias(all: Cursor<'_>) -> Option<i32> {
    let zone = all.at(0x38).u32()?;
    let bias = all.at(0x3c).i32()?;
    let extra = match zone {
        ZONE_STANDARD => all.at(0x3c + 0x54).i32()?,
        ZONE_DAYLIGHT => all.at(0x3c + 0xa8).i32()?,
        _ => 0,
    };
    bias.checked_add(extra)
}
