//! All stream types, in one table: for `.dumpdebug`, the documentation and the tests that read everything.

use super::assertion::AssertionInfoStream;
use super::comment::{CommentStreamA, CommentStreamW};
use super::crashpad::CrashpadInfoStream;
use super::exception::ExceptionStream;
use super::function_table::FunctionTableStream;
use super::handle_data::HandleDataStream;
use super::handle_ops::HandleOperationListStream;
use super::memory_info::MemoryInfoListStream;
use super::memory_list::{Memory64ListStream, MemoryListStream};
use super::misc_info::MiscInfoStream;
use super::module_list::ModuleListStream;
use super::system_info::SystemInfoStream;
use super::system_memory::SystemMemoryInfoStream;
use super::thread_info::ThreadInfoListStream;
use super::thread_list::{ThreadExListStream, ThreadListStream};
use super::thread_names::ThreadNamesStream;
use super::token::TokenStream;
use super::unloaded::UnloadedModuleListStream;
use super::vm_counters::ProcessVmCountersStream;
use super::{DirectoryEntry, StreamCx, id};
use crate::base::Machine;
use crate::error::{Parsed, Warning};
use std::any::Any;

/// A stream type that is decoded. Its file says all of it; a row of [`STREAMS`] makes it known.
pub(crate) trait Stream {
    /// Stream type number.
    const NUMBER: u32;
    /// Name in the SDK.
    const NAME: &'static str;
    /// What it holds.
    const ABOUT: &'static str;
    /// Its row in the table; a stream that is used but not in the table does not compile.
    const ROW: usize = position(Self::NUMBER);
    /// What it is parsed to.
    type Value: Send + Sync + 'static;

    /// Parses it. Takes any bytes.
    fn parse(cx: StreamCx<'_>) -> Parsed<Self::Value>;

    /// A few words about the value. May hold text of the dump: untrusted.
    fn summary(value: &Self::Value) -> String;

    /// File offset of the end of the bytes that its entries lead to; 0 when they lead nowhere.
    fn end(_: &StreamCx<'_>) -> u64 {
        0
    }
}

/// A parsed stream whose type only its row knows: a `Parsed<S::Value>`.
pub(crate) type Kept = dyn Any + Send + Sync;

/// What a stream type is and how it is read.
#[derive(Clone, Copy, Debug)]
pub struct StreamInfo {
    /// Stream type number.
    pub number: u32,
    /// Name in the SDK (`ThreadListStream`) or in Breakpad's headers.
    pub name: &'static str,
    /// What it holds.
    pub about: &'static str,
    summarize: fn(StreamCx<'_>) -> StreamSummary,
    warnings: fn(&Kept) -> &[Warning],
    end: fn(&StreamCx<'_>) -> u64,
}

/// What a stream holds, in a few words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamSummary {
    /// `3 threads`, `Windows 6.3.9600 x64`. May hold text of the dump: untrusted.
    pub text: String,
    /// What was wrong with it.
    pub warnings: Vec<Warning>,
}

impl StreamInfo {
    /// The name without the word `Stream`: `ThreadList`, `CommentA`.
    #[must_use]
    pub fn short_name(&self) -> String {
        self.name.replacen("Stream", "", 1)
    }

    /// Reads a stream of this type from `file`, the whole dump. `machine` is the dump's.
    /// Takes any bytes: what is damaged becomes a warning.
    #[must_use]
    pub fn summarize(&self, file: &[u8], entry: DirectoryEntry, machine: Machine) -> StreamSummary {
        (self.summarize)(StreamCx::new(self.name, file, entry, machine))
    }

    /// The warnings of a parsed stream of this type.
    pub(crate) fn warnings<'a>(&self, kept: &'a Kept) -> &'a [Warning] {
        (self.warnings)(kept)
    }

    /// See [`Stream::end`].
    pub(crate) fn end(&self, file: &[u8], entry: DirectoryEntry, machine: Machine) -> u64 {
        (self.end)(&StreamCx::new(self.name, file, entry, machine))
    }
}

/// The table's row for a stream type.
#[must_use]
pub fn stream_info(number: u32) -> Option<&'static StreamInfo> {
    STREAMS.iter().find(|s| s.number == number)
}

const fn position(number: u32) -> usize {
    let (mut rows, mut at) = (STREAMS, 0);
    while let [first, rest @ ..] = rows {
        if first.number == number {
            return at;
        }
        (rows, at) = (rest, at + 1);
    }
    assert!(at < STREAMS.len(), "the stream has no row in STREAMS");
    at
}

const fn row<S: Stream>() -> StreamInfo {
    StreamInfo {
        number: S::NUMBER,
        name: S::NAME,
        about: S::ABOUT,
        summarize: |cx| {
            let parsed = S::parse(cx);
            let text = parsed.value().map(S::summary).unwrap_or_default();
            StreamSummary { text, warnings: parsed.warnings().to_vec() }
        },
        warnings: |kept| kept.downcast_ref::<Parsed<S::Value>>().map_or(&[], Parsed::warnings),
        end: S::end,
    }
}

/// A stream type whose content is not decoded here.
const fn raw(number: u32, name: &'static str, about: &'static str) -> StreamInfo {
    let summarize = |cx: StreamCx<'_>| {
        let text = format!("{:#x} bytes", cx.cursor().left());
        StreamSummary { text, warnings: cx.done(()).warnings().to_vec() }
    };
    StreamInfo { number, name, about, summarize, warnings: |_| &[], end: |_| 0 }
}

/// `3 threads`.
pub(crate) fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// Every stream type with a name. Warnings are told in this order.
pub const STREAMS: &[StreamInfo] = &[
    row::<SystemInfoStream>(),
    row::<MiscInfoStream>(),
    row::<ExceptionStream>(),
    row::<ThreadListStream>(),
    row::<ThreadExListStream>(),
    row::<ThreadInfoListStream>(),
    row::<ThreadNamesStream>(),
    row::<ModuleListStream>(),
    row::<UnloadedModuleListStream>(),
    row::<Memory64ListStream>(),
    row::<MemoryListStream>(),
    row::<MemoryInfoListStream>(),
    row::<HandleDataStream>(),
    row::<CommentStreamA>(),
    row::<CommentStreamW>(),
    row::<FunctionTableStream>(),
    row::<HandleOperationListStream>(),
    row::<TokenStream>(),
    row::<SystemMemoryInfoStream>(),
    row::<ProcessVmCountersStream>(),
    raw(id::JAVA_SCRIPT_DATA, "JavaScriptDataStream", "JavaScript data, no public layout"),
    raw(id::IPT_TRACE, "IptTraceStream", "Intel processor trace, no public layout"),
    raw(0x4767_0001, "BreakpadInfoStream", "Breakpad: the dumping and the crashed thread"),
    row::<AssertionInfoStream>(),
    raw(0x4767_0003, "LinuxCpuInfo", "Breakpad: /proc/cpuinfo"),
    raw(0x4767_0004, "LinuxProcStatus", "Breakpad: /proc/PID/status"),
    raw(0x4767_0005, "LinuxLsbRelease", "Breakpad: /etc/lsb-release"),
    raw(0x4767_0006, "LinuxCmdLine", "Breakpad: /proc/PID/cmdline"),
    raw(0x4767_0007, "LinuxEnviron", "Breakpad: /proc/PID/environ"),
    raw(0x4767_0008, "LinuxAuxv", "Breakpad: /proc/PID/auxv"),
    raw(0x4767_0009, "LinuxMaps", "Breakpad: /proc/PID/maps"),
    raw(0x4767_000a, "LinuxDsoDebug", "Breakpad: the dynamic linker's list"),
    row::<CrashpadInfoStream>(),
    raw(0x4b6b_0002, "StabilityReportStream", "Chromium: stability report"),
    raw(0x4d7a_0001, "MozMacosCrashInfoStream", "Firefox: macOS crash information"),
    raw(0x4d7a_0002, "MozMacosBootargsStream", "Firefox: macOS boot arguments"),
    raw(0x4d7a_0003, "MozLinuxLimitsStream", "Firefox: /proc/PID/limits"),
    raw(0x4d7a_0004, "MozSoftErrorsStream", "Firefox: what its dump writer could not do"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique() {
        for (i, a) in STREAMS.iter().enumerate() {
            assert!(
                STREAMS.iter().skip(i + 1).all(|b| a.number != b.number && a.name != b.name),
                "{}",
                a.name
            );
            assert_eq!(stream_info(a.number).unwrap().name, a.name);
        }
        assert!(stream_info(0).is_none());
    }

    #[test]
    fn every_parser_takes_any_bytes() {
        // Counts and offsets of all ones, zeros and small numbers, in streams of every size.
        for fill in [0u8, 0xff, 1, 16, 40] {
            let file = vec![fill; 700];
            let machine = if fill % 2 == 0 { Machine::Amd64 } else { Machine::X86 };
            for size in [0u32, 1, 3, 4, 7, 8, 12, 16, 24, 56, 108, 168, 492, 700, 701, u32::MAX] {
                for s in STREAMS {
                    let offset = crate::base::FileOff(0);
                    let entry = DirectoryEntry { stream_type: s.number, size, offset };
                    let summary = s.summarize(&file, entry, machine);
                    assert!(summary.warnings.len() <= 33);
                    let _ = s.end(&file, entry, machine);
                    assert!(size <= 700 || !summary.warnings.is_empty(), "{} {size}", s.name);
                }
            }
        }
    }
}
