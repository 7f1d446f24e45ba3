//! `lm` as a report.

use super::options::{Column, LmOptions};
use crate::doc::{Answer, Line, Link, RenderCx, Role, Span};
use crate::fmt::{self, Hex};
use crate::session::Layout;
use crate::tables::pe;
use dumpscope_core::Va;
use serde::Serialize;

/// One module.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct ModuleRow {
    /// WinDbg's name. Untrusted.
    pub(super) name: String,
    /// First address.
    pub(super) start: Hex,
    /// Address after the last.
    pub(super) end: Hex,
    /// File name. Untrusted.
    pub(super) image: String,
    /// Full path. Untrusted.
    pub(super) path: String,
    /// Architecture, when the image header is in the dump.
    pub(super) machine: Option<&'static str>,
    /// `TimeDateStamp` as it is.
    pub(super) timestamp: Hex,
    /// The time stamp is a hash of the file, not a time. Null when the debug directory is not in the dump.
    pub(super) reproducible: Option<bool>,
    /// `CheckSum`.
    pub(super) checksum: Hex,
    /// `SizeOfImage`, bytes.
    pub(super) size: u32,
    /// `deferred`, `loaded` or `not_found`.
    pub(super) symbols: &'static str,
    /// Best source of names.
    pub(super) symbol_source: Option<&'static str>,
    /// Symbol file on this machine, or why there is none.
    pub(super) symbol_file: Option<String>,
    /// PDB id as symbol servers write it.
    pub(super) pdb: Option<PdbRow>,
    /// Version information; null without `v`.
    pub(super) version: Option<VersionRow>,
    /// The image itself is in the dump.
    #[serde(skip)]
    pub(super) in_memory: bool,
    /// Position in the module list.
    #[serde(skip)]
    pub(super) index: usize,
}

/// Which PDB belongs to a module.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct PdbRow {
    /// Path that the linker wrote. Untrusted.
    pub(super) path: String,
    /// GUID with braces, or the signature of an old PDB.
    pub(super) guid: String,
    /// Age.
    pub(super) age: u32,
}

/// Version information: numbers from the module stream or the resource, texts from the resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct VersionRow {
    /// `10.0.19041.3996`.
    pub(super) file: Option<String>,
    /// `10.0.19041.3996`.
    pub(super) product: Option<String>,
    /// Flags and their mask.
    pub(super) flags: Option<(Hex, Hex)>,
    /// Operating system.
    pub(super) os: Option<Hex>,
    /// Type and subtype.
    #[serde(rename = "type")]
    pub(super) file_type: Option<(u32, u32)>,
    /// Date, two words.
    pub(super) date: Option<(Hex, Hex)>,
    /// `0409.04b0`.
    pub(super) translations: Vec<String>,
    /// Texts in WinDbg's order. Untrusted. Null when the resource is not in the dump.
    pub(super) strings: Option<Vec<(&'static str, String)>>,
}

/// An unloaded module.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct UnloadedRow {
    pub(super) start: Hex,
    pub(super) end: Hex,
    /// Untrusted.
    pub(super) name: String,
    pub(super) timestamp: Hex,
    pub(super) checksum: Hex,
    pub(super) size: u32,
}

/// The answer of `lm`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct ModulesReport {
    pub(super) modules: Vec<ModuleRow>,
    pub(super) unloaded: Vec<UnloadedRow>,
    #[serde(skip)]
    pub(super) options: LmOptions,
    #[serde(skip)]
    pub(super) wide: bool,
}

/// `Fri Feb  4 19:47:08 2022 (61FD74AC)`, or why there is none.
/// `modern`: as today's engine, which takes it for a signed number.
pub(super) fn time_text(stamp: u32, reproducible: bool, modern: bool) -> String {
    match stamp {
        _ if reproducible => {
            format!("{stamp:08X} (This is a reproducible build file hash, not a timestamp)")
        }
        0 | 0xffff_fffe | 0xffff_ffff => format!("unavailable ({stamp:08X})"),
        0x8000_0000.. if modern => format!("***** Invalid ({stamp:08X})"),
        _ => format!("{} ({stamp:08X})", fmt::time_stamp(stamp)),
    }
}

/// WinDbg's words for the state of a module's symbols.
pub(super) fn state_text(row: &ModuleRow) -> &'static str {
    match (row.symbols, row.symbol_source) {
        ("deferred", _) => "(deferred)",
        (_, Some("private_pdb")) => "(private pdb symbols)",
        (_, Some("public_pdb")) => "(pdb symbols)",
        (_, Some("breakpad")) => "(breakpad symbols)",
        (_, Some("dwarf")) => "(dwarf symbols)",
        (_, Some("coff")) => "(coff symbols)",
        (_, Some("exports")) => "(export symbols)",
        _ => "(no symbols)",
    }
}

impl Answer for ModulesReport {
    const KIND: &'static str = "modules";

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let o = &self.options;
        if o.names_only {
            for row in &self.modules {
                emit(
                    Line::new().span(Span::untrusted(Role::Module, &row.name).link(Link::Module(row.index))),
                );
            }
            for row in &self.unloaded {
                emit(Line::new().span(Span::untrusted(Role::Module, &row.name)));
            }
            return;
        }
        let modern = cx.layout == Layout::Modern;
        if o.filtered() && o.links && modern {
            let all = Span::new(Role::Dim, "Browse full module list").link(Link::Run("lm".into()));
            emit(Line::new().span(all));
        }
        let width = fmt::addr_width(self.wide);
        let header = format!("{:<width$} {:<width$}   module name", "start", "end");
        emit(Line::new().role(Role::Heading, header));
        for row in &self.modules {
            emit(if modern { self.modern_row(row) } else { self.row(row) });
            if o.verbose {
                verbose(row, cx.layout, o.links, emit);
            }
        }
        if self.unloaded.is_empty() {
            return;
        }
        emit(Line::new());
        emit(Line::new().role(Role::Heading, "Unloaded modules:"));
        for row in &self.unloaded {
            let blank = if modern { "" } else { " " };
            emit(self.range(row.start, row.end).span(Span::untrusted(Role::Module, &row.name)).text(blank));
            if o.verbose || (modern && o.time) {
                let stamp = (row.timestamp.0 & 0xffff_ffff) as u32;
                emit(Line::plain(format!("    Timestamp: {}", time_text(stamp, false, modern))));
                emit(Line::plain(format!("    Checksum:  {:08X}", row.checksum.0)));
                emit(Line::plain(format!("    ImageSize:  {:08X}", row.size)));
            }
        }
    }
}

impl ModulesReport {
    fn range(&self, start: Hex, end: Hex) -> Line {
        Line::new()
            .span(fmt::addr_span(Va(start.0), self.wide))
            .text(" ")
            .span(fmt::addr_span(Va(end.0), self.wide))
            .text("   ")
    }

    /// A row in the columns of today's engine.
    fn modern_row(&self, row: &ModuleRow) -> Line {
        let o = &self.options;
        let name = Span::untrusted(Role::Module, &row.name).link(Link::Module(row.index));
        let blanks = " ".repeat(8usize.saturating_sub(row.name.chars().count()));
        let mut line = self.range(row.start, row.end).span(name).text(blanks);
        let stamp = (row.timestamp.0 & 0xffff_ffff) as u32;
        let time = || time_text(stamp, row.reproducible == Some(true), true);
        let column = match o.column {
            Column::Path => Some(row.path.clone()),
            Column::Mapped => Some(format!("{:<12}", "<none>")),
            _ if o.image_name => Some(format!("{:<12}", row.image)),
            _ => None,
        };
        if let Some(text) = column {
            line = line.text(" ").span(Span::untrusted(Role::Text, &text));
            return if o.time { line.text(format!(" {}", time())) } else { line };
        }
        if o.time {
            return line.text(format!("  {}", time()));
        }
        // `T`: the engine has no image whose time stamp it could compare; `C`: the checksum is missing.
        let state = state_text(row);
        let flag = match (row.symbols, row.in_memory) {
            ("deferred", _) => ' ',
            (_, false) => 'T',
            (_, true) if row.checksum.0 == 0 => 'C',
            _ => ' ',
        };
        line = line.text(format!(" {flag} {state:<23}"));
        let file = match row.symbols {
            "loaded" if row.symbol_source == Some("exports") || o.column == Column::Image => Some(&row.image),
            "loaded" => row.symbol_file.as_ref(),
            _ => None,
        };
        if let Some(file) = file {
            line = line.span(Span::untrusted(Role::Text, file));
        }
        if o.checksum { line.text(format!(" {:08X}", row.checksum.0)) } else { line }
    }

    fn row(&self, row: &ModuleRow) -> Line {
        let o = &self.options;
        let pad = |text: &str, width: usize| " ".repeat(width.saturating_sub(text.chars().count()));
        let mut line = self
            .range(row.start, row.end)
            .span(Span::untrusted(Role::Module, &row.name).link(Link::Module(row.index)))
            .text(pad(&row.name, 8));
        if o.time || o.image_name {
            if o.image_name {
                line = line.text(" ").span(Span::untrusted(Role::Text, &row.image)).text(pad(&row.image, 12));
            }
            if o.time {
                let stamp = (row.timestamp.0 & 0xffff_ffff) as u32;
                line = line.text(" ").text(time_text(stamp, row.reproducible == Some(true), false));
            }
            return line;
        }
        match o.column {
            Column::Image => return line.text(" ").span(Span::untrusted(Role::Text, &row.image)),
            Column::Path => return line.text(" ").span(Span::untrusted(Role::Text, &row.path)),
            // The dump maps no files.
            Column::Mapped => return line,
            Column::Symbols => {}
        }
        if o.checksum {
            let text = format!(" ImageSize: {:08X} CheckSum: {:08X}", row.size, row.checksum.0);
            return line.text(text);
        }
        line = line.text("   ");
        let state = state_text(row);
        match row.symbol_file.as_deref().filter(|_| row.symbols == "loaded") {
            Some(file) => line.text(format!("{state:<23}")).span(Span::untrusted(Role::Text, file)),
            None => line.text(format!("{state:<23}")),
        }
    }
}

/// `VS_FF_…` of verrsrc.h, as today's engine names them.
const FILE_FLAGS: [(u64, &str); 6] = [
    (0x1, "Debug"),
    (0x2, "Pre-release"),
    (0x4, "Patched"),
    (0x8, "Private"),
    (0x10, "Info-inferred"),
    (0x20, "Special"),
];

/// The block of `lmv`.
fn verbose(row: &ModuleRow, layout: Layout, links: bool, emit: &mut dyn FnMut(Line)) {
    let modern = layout == Layout::Modern;
    let text = |label: &str, value: &str| {
        Line::new().role(Role::Label, format!("    {label}: ")).span(Span::untrusted(Role::Text, value))
    };
    if modern || (row.symbols == "loaded" && row.symbol_source != Some("exports")) {
        emit(text("Loaded symbol image file", &row.image));
    }
    emit(text("Image path", &row.path));
    emit(text("Image name", &row.image));
    if modern && links {
        let browse = format!("x {}!*", row.name);
        emit(
            Line::plain("    ").span(
                Span::new(Role::Dim, "Browse all global symbols  functions  data  Symbol Reload")
                    .link(Link::Run(browse)),
            ),
        );
    }
    let reproducible = row.reproducible == Some(true);
    if reproducible {
        emit(Line::plain("    Image was built with /Brepro flag."));
    }
    let field =
        |label: &str, value: String| Line::new().role(Role::Label, format!("    {label:<18}")).text(value);
    let stamp = (row.timestamp.0 & 0xffff_ffff) as u32;
    emit(field("Timestamp:", time_text(stamp, reproducible, modern)));
    emit(field("CheckSum:", format!("{:08X}", row.checksum.0)));
    emit(field("ImageSize:", format!("{:08X}", row.size)));
    if modern {
        emit(field("Mapping Form:", "Loaded".into()));
        if let Some(pdb) = row.pdb.as_ref().filter(|p| !row.in_memory && p.guid.starts_with('{')) {
            let guid: String = pdb.guid.chars().filter(char::is_ascii_hexdigit).collect();
            emit(field("Index Key:", format!("(GUID) {guid}")));
        }
    }
    let none = VersionRow::default();
    let v = match &row.version {
        Some(v) => v,
        None if modern => &none,
        None => return,
    };
    if let Some(file) = &v.file {
        emit(field("File version:", file.clone()));
    }
    if let Some(product) = &v.product {
        emit(field("Product version:", product.clone()));
    }
    if let Some((flags, mask)) = v.flags {
        let mut text = format!("{:X} (Mask {:X})", flags.0, mask.0);
        if modern {
            let set = FILE_FLAGS.iter().filter(|(bit, _)| flags.0 & mask.0 & bit != 0);
            set.for_each(|(_, name)| text.push_str(&format!(" {name}")));
        }
        emit(field("File flags:", text));
    }
    if let Some(os) = v.os {
        let name = pe::file_os_name((os.0 & 0xffff_ffff) as u32);
        let unknown = if modern && os.0 >> 16 == 0 && !name.starts_with("Unknown") { "Unknown " } else { "" };
        emit(field("File OS:", format!("{:X} {unknown}{name}", os.0)));
    }
    if let Some((kind, subtype)) = v.file_type {
        emit(field("File type:", format!("{kind:X}.{subtype:X} {}", pe::file_type_name(kind))));
    }
    if let Some((high, low)) = v.date {
        emit(field("File date:", format!("{:08X}.{:08X}", high.0, low.0)));
    }
    if v.translations.is_empty() {
        emit(field("Translations:", "0000.04b0 0000.04e4 0409.04b0 0409.04e4".into()));
    } else {
        emit(field("Translations:", v.translations.join(" ")));
    }
    if modern && v.strings.as_ref().is_none_or(Vec::is_empty) {
        emit(Line::plain("    Information from resource tables:"));
    }
    if let Some(strings) = v.strings.as_ref().filter(|s| !s.is_empty()) {
        emit(Line::plain("    Information from resource tables:"));
        for (key, value) in strings {
            emit(
                Line::new()
                    .role(Role::Label, format!("        {:<18}", format!("{key}:")))
                    .span(Span::untrusted(Role::Text, value)),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, start: u64, size: u32, source: Option<&'static str>) -> ModuleRow {
        ModuleRow {
            name: name.into(),
            start: Hex(start),
            end: Hex(start + u64::from(size)),
            image: format!("{name}.exe"),
            path: format!(r"C:\s\{name}.exe"),
            size,
            timestamp: Hex(0x61fd_74ac),
            checksum: Hex(0x3e3a3),
            symbols: if source.is_some() { "loaded" } else { "deferred" },
            symbol_source: source,
            symbol_file: source.map(|_| format!(r"C:\s\{name}.pdb")),
            ..ModuleRow::default()
        }
    }

    fn text(modules: Vec<ModuleRow>, options: LmOptions, wide: bool, layout: Layout) -> Vec<String> {
        let report = ModulesReport { modules, unloaded: vec![], options, wide };
        let mut out = vec![];
        report.lines(&RenderCx { layout, wide }, &mut |l| out.push(l.to_text().trim_end().to_string()));
        out
    }

    #[test]
    fn columns() {
        let rows = vec![
            row("notepad", 0x7ff6_0f62_0000, 0x38000, None),
            row("ntdll", 0x7ffb_1bcb_0000, 0x1f8000, Some("public_pdb")),
        ];
        assert_eq!(
            text(rows, LmOptions::default(), true, Layout::Classic),
            [
                "start             end                 module name",
                "00007ff6`0f620000 00007ff6`0f658000   notepad    (deferred)",
                r"00007ffb`1bcb0000 00007ffb`1bea8000   ntdll      (pdb symbols)          C:\s\ntdll.pdb",
            ]
        );
        let exports =
            ModuleRow { symbol_file: None, ..row("win32ole", 0x6ab8_0000, 0x1000, Some("exports")) };
        assert_eq!(
            text(vec![exports], LmOptions::default(), false, Layout::Classic),
            ["start    end        module name", "6ab80000 6ab81000   win32ole   (export symbols)"]
        );
    }

    #[test]
    fn other_columns() {
        let rows = vec![row("notepad", 0x40_0000, 0x1000, None)];
        let lm = |o: LmOptions| text(rows.clone(), o, false, Layout::Classic).pop().unwrap();
        assert_eq!(
            lm(LmOptions { time: true, image_name: true, ..LmOptions::default() }),
            "00400000 00401000   notepad  notepad.exe  Fri Feb  4 18:47:08 2022 (61FD74AC)"
        );
        assert_eq!(
            lm(LmOptions { column: Column::Path, ..LmOptions::default() }),
            r"00400000 00401000   notepad  C:\s\notepad.exe"
        );
        assert_eq!(lm(LmOptions { names_only: true, ..LmOptions::default() }), "notepad");
        assert_eq!(
            time_text(0x2800_487f, true, false),
            "2800487F (This is a reproducible build file hash, not a timestamp)"
        );
        assert_eq!(time_text(0xffff_fffe, false, false), "unavailable (FFFFFFFE)");
    }

    #[test]
    fn verbose_block() {
        let mut r = row("notepad", 0x40_0000, 0x38000, None);
        r.version = Some(VersionRow {
            file: Some("10.0.19041.3996".into()),
            product: Some("10.0.19041.3996".into()),
            flags: Some((Hex(0), Hex(0x3f))),
            os: Some(Hex(0x4_0004)),
            file_type: Some((1, 0)),
            date: Some((Hex(0), Hex(0))),
            translations: vec!["0409.04b0".into()],
            strings: Some(vec![("CompanyName", "Microsoft Corporation".into())]),
        });
        let o = LmOptions { verbose: true, name: Some("notepad".into()), ..LmOptions::default() };
        let lines = text(vec![r], o, false, Layout::Modern);
        assert_eq!(lines[0], "start    end        module name");
        assert_eq!(
            lines[2..],
            [
                "    Loaded symbol image file: notepad.exe",
                r"    Image path: C:\s\notepad.exe",
                "    Image name: notepad.exe",
                "    Timestamp:        Fri Feb  4 18:47:08 2022 (61FD74AC)",
                "    CheckSum:         0003E3A3",
                "    ImageSize:        00038000",
                "    Mapping Form:     Loaded",
                "    File version:     10.0.19041.3996",
                "    Product version:  10.0.19041.3996",
                "    File flags:       0 (Mask 3F)",
                "    File OS:          40004 NT Win32",
                "    File type:        1.0 App",
                "    File date:        00000000.00000000",
                "    Translations:     0409.04b0",
                "    Information from resource tables:",
                "        CompanyName:      Microsoft Corporation",
            ]
        );
    }
}
