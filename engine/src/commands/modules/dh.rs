//! `!dh`: the headers of an image in memory.

use super::module_arg;
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::commands::missing;
use crate::doc::{Answer, Line, RenderCx, Role, Sink, Span};
use crate::fmt::{self, Hex};
use crate::image::{DebugEntry, debug_directory};
use crate::session::Session;
use crate::tables::pe;
use dumpscope_core::base::CodeView;
use dumpscope_core::base::text::escape;
use dumpscope_core::{ReadMemory, Va};
use dumpscope_symbols::image::PeHeaders;
use serde::Serialize;

pub(crate) const DH: Command = Command {
    name: "!dh",
    group: "modules",
    syntax: "!dh [-f | -s | -a] module",
    summary: "Shows the headers of an image",
    help: "File header, optional header, data directories, sections and debug directories, from the image in the dump's \
           memory. `-f` file headers only, `-s` section headers only. The module is named by its name or an address in it.",
    examples: &[("!dh ntdll", "All headers"), ("!dh -f ntdll", "File headers"), ("!dh -s @$ip", "Sections")],
    needs: &[Needs::Modules, Needs::Memory],
    run,
    ..Command::BASE
};

/// Fields of the file and optional header that [`PeHeaders`] does not keep, raw.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct RawHeaders {
    machine: u16,
    sections: u16,
    timestamp: Hex,
    symbol_table: Hex,
    symbols: u32,
    optional_size: u16,
    characteristics: u16,
    magic: u16,
    linker: (u8, u8),
    code_size: u32,
    data_size: u32,
    bss_size: u32,
    entry: Hex,
    code_base: Hex,
    image_base: Hex,
    section_alignment: u32,
    file_alignment: u32,
    os_version: (u16, u16),
    image_version: (u16, u16),
    subsystem_version: (u16, u16),
    image_size: u32,
    header_size: u32,
    checksum: Hex,
    subsystem: u16,
    dll_characteristics: u16,
    stack_reserve: Hex,
    stack_commit: Hex,
    heap_reserve: Hex,
    heap_commit: Hex,
}

/// Reads the raw fields; what is missing stays 0, for the whole header was readable once.
fn raw_headers(mem: &dyn ReadMemory, base: Va) -> Option<RawHeaders> {
    let nt = base.checked_add(mem.u32(base.offset(0x3c))?.into())?;
    let optional = nt.offset(24);
    let half = |at: u64| mem.u16(optional.offset(at)).unwrap_or(0);
    let word = |at: u64| mem.u32(optional.offset(at)).unwrap_or(0);
    let byte = |at: u64| mem.u8(optional.offset(at)).unwrap_or(0);
    let magic = half(0);
    let wide = magic == 0x20b;
    // The four sizes of stacks and heaps, and the image base, are pointers.
    let sized = |i: u64| {
        let at = optional.offset(72 + i * if wide { 8 } else { 4 });
        Hex(if wide { mem.u64(at).unwrap_or(0) } else { mem.u32(at).unwrap_or(0).into() })
    };
    let image_base = if wide { mem.u64(optional.offset(24)).unwrap_or(0) } else { word(28).into() };
    Some(RawHeaders {
        machine: mem.u16(nt.offset(4))?,
        sections: mem.u16(nt.offset(6))?,
        timestamp: mem.u32(nt.offset(8))?.into(),
        symbol_table: mem.u32(nt.offset(12))?.into(),
        symbols: mem.u32(nt.offset(16))?,
        optional_size: mem.u16(nt.offset(20))?,
        characteristics: mem.u16(nt.offset(22))?,
        magic,
        linker: (byte(2), byte(3)),
        code_size: word(4),
        data_size: word(8),
        bss_size: word(12),
        entry: word(16).into(),
        code_base: word(20).into(),
        image_base: Hex(image_base),
        section_alignment: word(32),
        file_alignment: word(36),
        os_version: (half(40), half(42)),
        image_version: (half(44), half(46)),
        subsystem_version: (half(48), half(50)),
        image_size: word(56),
        header_size: word(60),
        checksum: word(64).into(),
        subsystem: half(68),
        dll_characteristics: half(70),
        stack_reserve: sized(0),
        stack_commit: sized(1),
        heap_reserve: sized(2),
        heap_commit: sized(3),
    })
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct DirectoryRow {
    name: &'static str,
    rva: Hex,
    size: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct SectionRow {
    /// Untrusted.
    name: String,
    virtual_size: u32,
    rva: Hex,
    raw_size: u32,
    raw_offset: Hex,
    flags: Hex,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct DebugRow {
    #[serde(rename = "type")]
    kind: &'static str,
    size: u32,
    rva: Hex,
    pointer: Hex,
    /// The PDB it names. Untrusted.
    pdb: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct HeadersReport {
    base: Hex,
    headers: RawHeaders,
    directories: Vec<DirectoryRow>,
    sections: Vec<SectionRow>,
    debug: Vec<DebugRow>,
    #[serde(skip)]
    files: bool,
    #[serde(skip)]
    section_headers: bool,
}

impl Answer for HeadersReport {
    const KIND: &'static str = "image_headers";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        if self.files {
            self.file_header(emit);
            self.optional_header(emit);
        }
        if self.section_headers {
            self.section_lines(emit);
        }
        if !self.debug.is_empty() && self.section_headers {
            emit(Line::plain(format!("Debug Directories({})", self.debug.len())));
            emit(Line::new().role(Role::Heading, "\tType       Size     Address  Pointer"));
            for row in &self.debug {
                let mut line = Line::plain(format!(
                    "\t{:<8} {:>6x} {:>11x} {:>8x}",
                    row.kind, row.size, row.rva.0, row.pointer.0
                ));
                if let Some(pdb) = &row.pdb {
                    line = line.text("\tFormat: RSDS, ").span(Span::untrusted(Role::Text, pdb));
                }
                emit(line);
            }
        }
    }
}

impl HeadersReport {
    fn file_header(&self, emit: &mut dyn FnMut(Line)) {
        let h = &self.headers;
        let kind = if h.characteristics & 0x2000 != 0 { "DLL" } else { "EXECUTABLE IMAGE" };
        emit(Line::new());
        emit(Line::plain(format!("File Type: {kind}")));
        emit(Line::new().role(Role::Heading, "FILE HEADER VALUES"));
        emit(Line::plain(format!("{:>8X} machine ({})", h.machine, pe::machine_name(h.machine))));
        emit(Line::plain(format!("{:>8X} number of sections", h.sections)));
        let stamp = (h.timestamp.0 & 0xffff_ffff) as u32;
        emit(Line::plain(format!("{stamp:>8X} time date stamp {}", fmt::time_stamp(stamp))));
        emit(Line::new());
        emit(Line::plain(format!("{:>8X} file pointer to symbol table", h.symbol_table.0)));
        emit(Line::plain(format!("{:>8X} number of symbols", h.symbols)));
        emit(Line::plain(format!("{:>8X} size of optional header", h.optional_size)));
        emit(Line::plain(format!("{:>8X} characteristics", h.characteristics)));
        for (_, name) in pe::CHARACTERISTICS.iter().filter(|(bit, _)| h.characteristics & bit != 0) {
            emit(Line::plain(format!("            {name}")));
        }
        emit(Line::new());
    }

    fn optional_header(&self, emit: &mut dyn FnMut(Line)) {
        let h = &self.headers;
        let wide = h.magic == 0x20b;
        emit(Line::new().role(Role::Heading, "OPTIONAL HEADER VALUES"));
        emit(Line::plain(format!("{:>8X} magic #", h.magic)));
        let version = |(major, minor): (u16, u16)| format!("{major:>5}.{minor:02}");
        emit(Line::plain(format!("{:>5}.{:02} linker version", h.linker.0, h.linker.1)));
        for (value, text) in [
            (u64::from(h.code_size), "size of code"),
            (h.data_size.into(), "size of initialized data"),
            (h.bss_size.into(), "size of uninitialized data"),
            (h.entry.0, "address of entry point"),
            (h.code_base.0, "base of code"),
        ] {
            emit(Line::plain(format!("{value:>8X} {text}")));
        }
        emit(Line::plain("         ----- new -----"));
        let pointer = |v: Hex| fmt::addr_plain(Va(v.0), wide);
        emit(Line::plain(format!("{} image base", pointer(h.image_base))));
        emit(Line::plain(format!("{:>8X} section alignment", h.section_alignment)));
        emit(Line::plain(format!("{:>8X} file alignment", h.file_alignment)));
        emit(Line::plain(format!("{:>8X} subsystem ({})", h.subsystem, pe::subsystem_name(h.subsystem))));
        emit(Line::plain(format!("{} operating system version", version(h.os_version))));
        emit(Line::plain(format!("{} image version", version(h.image_version))));
        emit(Line::plain(format!("{} subsystem version", version(h.subsystem_version))));
        emit(Line::plain(format!("{:>8X} size of image", h.image_size)));
        emit(Line::plain(format!("{:>8X} size of headers", h.header_size)));
        emit(Line::plain(format!("{:>8X} checksum", h.checksum.0)));
        emit(Line::plain(format!("{} size of stack reserve", pointer(h.stack_reserve))));
        emit(Line::plain(format!("{} size of stack commit", pointer(h.stack_commit))));
        emit(Line::plain(format!("{} size of heap reserve", pointer(h.heap_reserve))));
        emit(Line::plain(format!("{} size of heap commit", pointer(h.heap_commit))));
        emit(Line::plain(format!("{:>8X}  DLL characteristics", h.dll_characteristics)));
        for (_, name) in pe::DLL_CHARACTERISTICS.iter().filter(|(bit, _)| h.dll_characteristics & bit != 0) {
            emit(Line::plain(format!("            {name}")));
        }
        for d in &self.directories {
            emit(Line::plain(format!("{:>8X} [{:>8X}] address [size] of {}", d.rva.0, d.size, d.name)));
        }
        emit(Line::new());
    }

    fn section_lines(&self, emit: &mut dyn FnMut(Line)) {
        for (i, s) in self.sections.iter().enumerate() {
            emit(Line::new());
            emit(Line::new().role(Role::Heading, format!("SECTION HEADER #{:X}", i + 1)));
            let pad = " ".repeat(8usize.saturating_sub(s.name.chars().count()));
            emit(Line::plain(pad).span(Span::untrusted(Role::Text, &s.name)).text(" name"));
            for (value, text) in [
                (u64::from(s.virtual_size), "virtual size"),
                (s.rva.0, "virtual address"),
                (s.raw_size.into(), "size of raw data"),
                (s.raw_offset.0, "file pointer to raw data"),
            ] {
                emit(Line::plain(format!("{value:>8X} {text}")));
            }
            let flags = (s.flags.0 & 0xffff_ffff) as u32;
            emit(Line::plain(format!("{flags:08X} flags")));
            let names = |from: u32, to: u32| {
                let set =
                    pe::SECTION_FLAGS.iter().filter(|(bit, _)| (from..=to).contains(bit) && flags & bit != 0);
                set.map(|&(_, n)| n).collect::<Vec<_>>()
            };
            for name in names(0, 0x1000_0000) {
                emit(Line::plain(format!("         {name}")));
            }
            if flags & 0xf0_0000 == 0 {
                emit(Line::plain("         (no align specified)"));
            }
            let access = names(0x2000_0000, u32::MAX);
            if !access.is_empty() {
                emit(Line::plain(format!("         {}", access.join(" "))));
            }
        }
        emit(Line::new());
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let (mut files, mut sections) = (false, false);
    loop {
        let at = args.pos();
        match args.switch() {
            Some("f") => files = true,
            Some("s") => sections = true,
            Some("a") => (files, sections) = (true, true),
            Some("e" | "i") => {}
            Some(_) => return Err(CommandError::caret(at, "Syntax error")),
            None => break,
        }
    }
    if !files && !sections {
        (files, sections) = (true, true);
    }
    let memory = session.dump().memory().as_ref();
    // An address that is in no module may still be the base of an image.
    let before = args.clone();
    let (base, codeview) = match module_arg(session, &mut args) {
        Ok(index) => {
            let module = session.target.symbols.modules().get(index);
            (module.map(|m| m.base).unwrap_or_default(), module.and_then(|m| m.codeview.clone()))
        }
        Err(error) => {
            args = before;
            match args.address(session) {
                Ok(base) => (base, None),
                Err(_) => return Err(error),
            }
        }
    };
    // Switches may stand behind the module, too.
    let mut behind = false;
    loop {
        let at = args.pos();
        match args.switch() {
            Some("f") if !behind => (files, sections, behind) = (true, false, true),
            Some("s") if !behind => (files, sections, behind) = (false, true, true),
            Some("f" | "s" | "a") => (files, sections, behind) = (true, true, true),
            Some("e" | "i") => {}
            Some(_) => return Err(CommandError::caret(at, "Syntax error")),
            None => break,
        }
    }
    args.end()?;
    let headers = PeHeaders::read(memory, base).ok().zip(raw_headers(memory, base));
    let Some((headers, raw)) = headers else {
        let at = fmt::addr_plain(base, session.render_cx().wide);
        return Err(CommandError::noted(format!("Unable to read image headers at {at}"), missing::MEMORY));
    };
    let directories = headers.directories.iter().zip(pe::DIRECTORIES);
    let debug = debug_directory(memory, base, &headers);
    let report = HeadersReport {
        base: base.into(),
        headers: raw,
        directories: directories
            .map(|(d, name)| DirectoryRow { name, rva: d.rva.0.into(), size: d.size })
            .collect(),
        sections: headers
            .sections
            .iter()
            .map(|s| SectionRow {
                name: escape(&s.name).into_owned(),
                virtual_size: s.virtual_size,
                rva: s.rva.0.into(),
                raw_size: s.raw_size,
                raw_offset: s.raw_offset.into(),
                flags: s.characteristics.into(),
            })
            .collect(),
        debug: debug.iter().map(|e| debug_row(e, codeview.as_ref())).collect(),
        files,
        section_headers: sections,
    };
    session.emit(sink, &report)
}

fn debug_row(e: &DebugEntry, codeview: Option<&CodeView>) -> DebugRow {
    let pdb = match codeview {
        Some(CodeView::Pdb70 { guid, age, path }) if e.kind == 2 => {
            Some(escape(&format!("guid, {age}, {path} {{{guid}}}")).into_owned())
        }
        _ => None,
    };
    DebugRow {
        kind: pe::debug_type_name(e.kind),
        size: e.size,
        rva: e.rva.into(),
        pointer: e.pointer.into(),
        pdb,
    }
}
