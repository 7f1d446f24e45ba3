//! `.dumpdebug`: the dump file itself, stream by stream.

use crate::command::{Command, CommandError, Invocation};
use crate::doc::{Answer, Line, RenderCx, Role, Sink, Span};
use crate::fmt::{self, Hex};
use crate::session::Session;
use crate::tables::streams::FLAGS;
use dumpscope_core::Va;
use dumpscope_core::base::text::escape;
use dumpscope_core::stream::{DirectoryEntry, id, stream_info};
use serde::Serialize;

pub(crate) const DUMPDEBUG: Command = Command {
    name: ".dumpdebug",
    group: "dump",
    syntax: ".dumpdebug",
    summary: "Shows the header and the streams of the dump file",
    help: "For damaged dumps: which streams there are, where they lie in the file, what they hold and what is wrong with \
           them.",
    examples: &[(".dumpdebug", "Header and streams")],
    run,
    ..Command::BASE
};

/// Most rows of a list that are shown.
const MAX_ROWS: usize = 1000;

#[derive(Clone, Debug, PartialEq, Serialize)]
struct StreamRow {
    number: u32,
    #[serde(rename = "type")]
    kind: u32,
    /// Null: not known.
    name: Option<&'static str>,
    size: u32,
    offset: Hex,
    /// What it holds, in a few words. Untrusted.
    summary: String,
    /// Its entries, for the lists that have names.
    entries: Vec<String>,
    warnings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct DumpFileReport {
    version: Hex,
    flags: Hex,
    flag_names: Vec<&'static str>,
    time: u32,
    file_size: u64,
    streams: Vec<StreamRow>,
    warnings: Vec<String>,
}

impl Answer for DumpFileReport {
    const KIND: &'static str = "dump_file";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::new().role(Role::Heading, "----- User Mini Dump Analysis"));
        emit(Line::new());
        emit(Line::new().role(Role::Heading, "MINIDUMP_HEADER:"));
        let (low, high) = (self.version.0 & 0xffff, self.version.0 >> 16 & 0xffff);
        emit(Line::plain(format!("Version         {low:04X} ({high:04X})")));
        emit(Line::plain(format!("NumberOfStreams {}", self.streams.len())));
        emit(Line::plain(format!("Flags           {:X}", self.flags.0)));
        for (bit, name) in FLAGS.iter().filter(|(bit, _)| self.flags.0 & bit != 0) {
            emit(Line::plain(format!("                {bit:04X} {name}")));
        }
        emit(Line::new());
        emit(Line::new().role(Role::Heading, "Streams:"));
        for s in &self.streams {
            emit(Line::plain(format!(
                "Stream {}: type {} ({}), size {:08X}, RVA {:08X}",
                s.number,
                s.name.unwrap_or("???"),
                s.kind,
                s.size,
                s.offset.0
            )));
            if !s.summary.is_empty() {
                emit(Line::plain("  ").span(Span::untrusted(Role::Plain, &s.summary)));
            }
            for entry in s.entries.iter().take(MAX_ROWS) {
                emit(Line::plain("  ").span(Span::untrusted(Role::Plain, entry)));
            }
            if s.entries.len() > MAX_ROWS {
                let more = s.entries.len() - MAX_ROWS;
                emit(Line::new().role(Role::Note, format!("  note: {more} more are not shown")));
            }
            for warning in &s.warnings {
                emit(
                    Line::new()
                        .role(Role::Warning, "  WARNING: ")
                        .span(Span::untrusted(Role::Warning, warning)),
                );
            }
        }
        for warning in &self.warnings {
            emit(Line::new().role(Role::Warning, "WARNING: ").span(Span::untrusted(Role::Warning, warning)));
        }
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    inv.cursor().end()?;
    let dump = session.dump();
    let flags = dump.flags();
    // Warnings of streams are shown with their streams: here only those of the file as a whole.
    let named = |place: &str| dump.directory().iter().any(|e| stream_name(e) == Some(place));
    let report = DumpFileReport {
        version: dump.version().into(),
        flags: Hex(flags),
        flag_names: FLAGS.iter().filter(|(bit, _)| flags & bit != 0).map(|&(_, n)| n).collect(),
        time: dump.time(),
        file_size: dump.file_size(),
        streams: dump.directory().iter().enumerate().map(|(i, e)| stream_row(session, i, e)).collect(),
        warnings: dump
            .warnings()
            .iter()
            .filter(|w| !named(w.place))
            .map(|w| escape(&format!("{}: {}", w.place, w.text)).into_owned())
            .chain(refused(dump.file_bytes(), flags, dump.directory()))
            .collect(),
    };
    session.emit(sink, &report)
}

/// Bytes of `MINIDUMP_HEADER`.
const HEADER_SIZE: u64 = 32;

/// Why WinDbg's engine would not open the file, as far as its header tells (seen with dbgeng 10.0.29507).
fn refused(file: &[u8], flags: u64, directory: &[DirectoryEntry]) -> Vec<String> {
    // MINIDUMP_HEADER: signature, version, number of streams, StreamDirectoryRva.
    let rva = file.get(12..16).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes).map_or(0, u64::from);
    let end = rva.saturating_add((directory.len() as u64).saturating_mul(12));
    let mut found = Vec::new();
    if rva != HEADER_SIZE {
        found.push(format!(
            "WinDbg does not open this file: its stream directory is at {rva:X}, not behind the header"
        ));
    } else if directory.iter().any(|e| e.size != 0 && e.offset.0 < end) {
        found
            .push("WinDbg does not open this file: a stream lies before the end of the directory".to_owned());
    }
    if flags & 2 != 0 && !directory.iter().any(|e| e.stream_type == id::MEMORY64_LIST) {
        let text =
            "WinDbg does not open this file: the header says full memory, but there is no Memory64ListStream";
        found.push(text.to_owned());
    }
    found
}

fn stream_name(entry: &DirectoryEntry) -> Option<&'static str> {
    match entry.stream_type {
        0 => Some("UnusedStream"),
        n => stream_info(n).map(|s| s.name),
    }
}

fn stream_row(session: &Session, number: usize, entry: &DirectoryEntry) -> StreamRow {
    let dump = session.dump();
    let summary = dump.summarize(*entry).unwrap_or_default();
    let mut warnings: Vec<String> = summary.warnings.iter().map(|w| escape(&w.text).into_owned()).collect();
    let end = entry.offset.0.saturating_add(entry.size.into());
    if entry.stream_type != 0 && end > dump.file_size() && warnings.is_empty() {
        warnings.push("the stream lies outside the file".into());
    }
    StreamRow {
        number: u32::try_from(number).unwrap_or(u32::MAX),
        kind: entry.stream_type,
        name: stream_name(entry),
        size: entry.size,
        offset: Hex(entry.offset.0),
        summary: escape(&summary.text).into_owned(),
        entries: entries(session, entry),
        warnings,
    }
}

/// The entries of the lists that a person wants to see.
fn entries(session: &Session, entry: &DirectoryEntry) -> Vec<String> {
    let dump = session.dump();
    let wide = dump.machine().is_64();
    let range = |start: Va, size: u64| {
        format!("{} - {}", fmt::addr_plain(start, wide), fmt::addr_plain(start.offset(size), wide))
    };
    // Lists start with their count; four bytes of padding may follow it.
    let rva = |count: usize, size: u32, i: usize| {
        let used = (count as u64).saturating_mul(size.into());
        let head = u64::from(entry.size).saturating_sub(used).clamp(4, 8);
        entry.offset.0.saturating_add(head).saturating_add((i as u64).saturating_mul(size.into()))
    };
    match entry.stream_type {
        id::THREAD_LIST => {
            let threads = dump.thread_list().value().map_or(&[][..], Vec::as_slice);
            let line = |(i, t): (usize, &dumpscope_core::stream::thread_list::RawThread)| {
                format!("RVA {:08X}, ID {:X}, Teb:{:016X}", rva(threads.len(), 48, i), t.tid.0, t.teb.0)
            };
            threads.iter().enumerate().map(line).collect()
        }
        id::MODULE_LIST => {
            let modules = dump.module_list().value().map_or(&[][..], Vec::as_slice);
            let line = |(i, m): (usize, &dumpscope_core::ModuleInfo)| {
                let at = rva(modules.len(), 108, i);
                escape(&format!("RVA {at:08X}, {}: '{}'", range(m.base, m.size.into()), m.path)).into_owned()
            };
            modules.iter().enumerate().map(line).collect()
        }
        id::UNLOADED_MODULE_LIST => {
            let modules = dump.unloaded().value().map_or(&[][..], Vec::as_slice);
            modules
                .iter()
                .map(|m| escape(&format!("{}: '{}'", range(m.base, m.size.into()), m.name)).into_owned())
                .collect()
        }
        id::MEMORY_LIST | id::MEMORY64_LIST => {
            let list = match entry.stream_type {
                id::MEMORY_LIST => dump.memory_list(),
                _ => dump.memory64_list(),
            };
            let ranges = list.value().map_or(&[][..], Vec::as_slice);
            let line = |r: &dumpscope_core::stream::memory_list::RawRange| {
                format!("RVA {:08X}, {}, size {:08X}", r.offset.0, range(r.start, r.size), r.size)
            };
            ranges.iter().map(line).collect()
        }
        _ => Vec::new(),
    }
}
