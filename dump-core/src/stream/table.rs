//! All stream types, in one table: for `.dumpdebug`, the documentation and the tests that read everything.

use super::{
    DirectoryEntry, StreamCx, comment, exception, function_table, handle_data, handle_ops, id, memory_info,
    memory_list, misc_info, module_list, system_info, system_memory, thread_info, thread_list, thread_names,
    token, unloaded, vm_counters,
};
use crate::error::{Parsed, Warning};

/// What a stream type is and how it is read.
#[derive(Clone, Copy, Debug)]
pub struct StreamInfo {
    /// Stream type number.
    pub number: u32,
    /// Name in the SDK (`ThreadListStream`) or in Breakpad's headers.
    pub name: &'static str,
    /// What it holds.
    pub about: &'static str,
    /// Reads it; see [`crate::model::Dump::summarize`].
    summarize: fn(StreamCx<'_>, bool) -> StreamSummary,
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
    /// Reads a stream of this type from `file`, the whole dump. `target_is_64` is the bitness of the dump.
    /// Takes any bytes: what is damaged becomes a warning.
    #[must_use]
    pub fn summarize(&self, file: &[u8], entry: DirectoryEntry, target_is_64: bool) -> StreamSummary {
        let mut cx = StreamCx::new(self.name, file, entry);
        cx.is_32 = !target_is_64;
        (self.summarize)(cx, target_is_64)
    }
}

/// The table's row for a stream type.
#[must_use]
pub fn stream_info(number: u32) -> Option<&'static StreamInfo> {
    STREAMS.iter().find(|s| s.number == number)
}

const fn row(
    number: u32,
    name: &'static str,
    about: &'static str,
    summarize: fn(StreamCx<'_>, bool) -> StreamSummary,
) -> StreamInfo {
    StreamInfo { number, name, about, summarize }
}

/// Every stream type with a name.
pub const STREAMS: &[StreamInfo] = &[
    row(id::THREAD_LIST, "ThreadListStream", "threads: id, TEB, stack, context", |cx, _| {
        list(thread_list::parse(cx), "thread")
    }),
    row(id::MODULE_LIST, "ModuleListStream", "loaded modules with version and PDB", |cx, _| {
        list(module_list::parse(cx), "module")
    }),
    row(id::MEMORY_LIST, "MemoryListStream", "captured memory, below 4 GiB of file", |cx, _| {
        ranges(memory_list::parse(cx))
    }),
    row(id::EXCEPTION, "ExceptionStream", "the exception and its context", |cx, _| {
        say(exception::parse(cx), |e| {
            let r = &e.stream.record;
            format!("code {:08x} at {:#x}, thread {:x}", r.code, r.address.0, e.stream.tid.0)
        })
    }),
    row(id::SYSTEM_INFO, "SystemInfoStream", "operating system and processor", |cx, _| {
        say(system_info::parse(cx), |s| {
            let arch = s.machine.json_name();
            format!(
                "{}.{}.{} {arch}, {} processors {}",
                s.major, s.minor, s.build, s.processors, s.csd_version
            )
        })
    }),
    row(id::THREAD_EX_LIST, "ThreadExListStream", "threads with a backing store (Itanium)", |cx, _| {
        list(thread_list::parse_ex(cx), "thread")
    }),
    row(id::MEMORY64_LIST, "Memory64ListStream", "captured memory of a full dump", |cx, _| {
        ranges(memory_list::parse64(cx))
    }),
    row(id::COMMENT_A, "CommentStreamA", "a comment, ANSI", |cx, _| say(comment::parse_a(cx), Clone::clone)),
    row(id::COMMENT_W, "CommentStreamW", "a comment, UTF-16", |cx, _| {
        say(comment::parse_w(cx), Clone::clone)
    }),
    row(id::HANDLE_DATA, "HandleDataStream", "open handles", |cx, is_64| {
        say(handle_data::parse(cx, is_64), |h| {
            format!("{}, descriptors of {} bytes", count(h.handles.len(), "handle"), h.descriptor_size)
        })
    }),
    row(id::FUNCTION_TABLE, "FunctionTableStream", "unwind tables made at run time", |cx, _| {
        say(function_table::parse(cx), |t| count(t.tables.len(), "table"))
    }),
    row(id::UNLOADED_MODULE_LIST, "UnloadedModuleListStream", "modules that were unloaded", |cx, _| {
        list(unloaded::parse(cx), "module")
    }),
    row(id::MISC_INFO, "MiscInfoStream", "process id, times, time zone, build", |cx, _| {
        say(misc_info::parse(cx), |m| {
            let pid = m.pid.map_or("no process id".into(), |p| format!("process {:x}", p.0));
            format!("{pid} {}", m.build_string.as_deref().unwrap_or_default()).trim_end().to_owned()
        })
    }),
    row(id::MEMORY_INFO_LIST, "MemoryInfoListStream", "memory regions with protection", |cx, _| {
        list(memory_info::parse(cx), "region")
    }),
    row(id::THREAD_INFO_LIST, "ThreadInfoListStream", "thread times and start addresses", |cx, _| {
        list(thread_info::parse(cx), "thread")
    }),
    row(id::HANDLE_OPERATION_LIST, "HandleOperationListStream", "traced handle operations", |cx, _| {
        list(handle_ops::parse(cx), "operation")
    }),
    row(id::TOKEN, "TokenStream", "security tokens", |cx, _| list(token::parse(cx), "token")),
    row(id::JAVA_SCRIPT_DATA, "JavaScriptDataStream", "JavaScript data, no public layout", raw),
    row(id::SYSTEM_MEMORY_INFO, "SystemMemoryInfoStream", "memory of the machine", |cx, _| {
        say(system_memory::parse(cx), |m| {
            let pages = |v: Option<u64>| v.map_or("?".into(), |v| v.to_string());
            let physical = m.physical_pages.map(u64::from);
            format!("{} of {} pages available", pages(m.available_pages), pages(physical))
        })
    }),
    row(id::PROCESS_VM_COUNTERS, "ProcessVmCountersStream", "memory counters of the process", |cx, _| {
        say(vm_counters::parse(cx), |v| {
            let bytes = |v: Option<u64>| v.map_or("?".into(), |v| format!("{v:#x}"));
            format!("working set {}, private {}", bytes(v.working_set), bytes(v.private))
        })
    }),
    row(id::IPT_TRACE, "IptTraceStream", "Intel processor trace, no public layout", raw),
    row(id::THREAD_NAMES, "ThreadNamesStream", "names that the program gave its threads", |cx, _| {
        list(thread_names::parse(cx), "name")
    }),
    row(0x4767_0001, "BreakpadInfoStream", "Breakpad: the dumping and the crashed thread", raw),
    row(0x4767_0002, "AssertionInfoStream", "Breakpad: a failed assertion", raw),
    row(0x4767_0003, "LinuxCpuInfo", "Breakpad: /proc/cpuinfo", raw),
    row(0x4767_0004, "LinuxProcStatus", "Breakpad: /proc/PID/status", raw),
    row(0x4767_0005, "LinuxLsbRelease", "Breakpad: /etc/lsb-release", raw),
    row(0x4767_0006, "LinuxCmdLine", "Breakpad: /proc/PID/cmdline", raw),
    row(0x4767_0007, "LinuxEnviron", "Breakpad: /proc/PID/environ", raw),
    row(0x4767_0008, "LinuxAuxv", "Breakpad: /proc/PID/auxv", raw),
    row(0x4767_0009, "LinuxMaps", "Breakpad: /proc/PID/maps", raw),
    row(0x4767_000a, "LinuxDsoDebug", "Breakpad: the dynamic linker's list", raw),
    row(0x4350_0001, "CrashpadInfoStream", "Crashpad: annotations", raw),
    row(0x4b6b_0002, "StabilityReportStream", "Chromium: stability report", raw),
    row(0x4d7a_0001, "MozMacosCrashInfoStream", "Firefox: macOS crash information", raw),
    row(0x4d7a_0002, "MozMacosBootargsStream", "Firefox: macOS boot arguments", raw),
];

fn say<T>(parsed: Parsed<T>, text: impl FnOnce(&T) -> String) -> StreamSummary {
    let text = parsed.value().map(text).unwrap_or_default();
    StreamSummary { text, warnings: parsed.warnings().to_vec() }
}

fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

fn list<T>(parsed: Parsed<Vec<T>>, noun: &str) -> StreamSummary {
    say(parsed, |v| count(v.len(), noun))
}

fn ranges(parsed: Parsed<Vec<memory_list::RawRange>>) -> StreamSummary {
    say(parsed, |v| {
        let bytes = v.iter().fold(0u64, |sum, r| sum.saturating_add(r.size));
        format!("{}, {bytes:#x} bytes", count(v.len(), "range"))
    })
}

/// A stream whose content is not decoded here.
fn raw(cx: StreamCx<'_>, _: bool) -> StreamSummary {
    let there = cx.cursor().left();
    say(cx.done(there), |n| format!("{n:#x} bytes"))
}

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
            for size in [0u32, 1, 3, 4, 7, 8, 12, 16, 24, 56, 108, 168, 492, 700, 701, u32::MAX] {
                for s in STREAMS {
                    let offset = crate::base::FileOff(0);
                    let entry = DirectoryEntry { stream_type: s.number, size, offset };
                    let summary = s.summarize(&file, entry, fill % 2 == 0);
                    assert!(summary.warnings.len() <= 33);
                    assert!(size <= 700 || !summary.warnings.is_empty(), "{} {size}", s.name);
                }
            }
        }
    }
}
