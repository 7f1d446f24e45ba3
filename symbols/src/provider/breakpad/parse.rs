//! One pass over a `.sym` file: where its records are. Lines and inlined calls of a function are left alone
//! until somebody asks for that function.
//!
//! Format: Breakpad's `docs/symbol_files.md`. Damaged records are skipped: the rest of the file is still good.

use crate::provider::ranges::{Range, Ranges};
use std::str;

/// Bytes of the file, from and to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: u32,
    pub(super) to: u32,
}

impl Span {
    /// The text; bytes that are no UTF-8 are replaced.
    pub(super) fn text(self, file: &[u8]) -> String {
        String::from_utf8_lossy(self.bytes(file)).into_owned()
    }

    pub(super) fn bytes(self, file: &[u8]) -> &[u8] {
        let range = usize::try_from(self.from).unwrap_or(usize::MAX)..usize::try_from(self.to).unwrap_or(0);
        file.get(range).unwrap_or(&[])
    }
}

/// The first line of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// `windows`, `Linux`, `mac`, …
    pub(super) os: String,
    /// `x86`, `x86_64`, …
    pub(super) arch: String,
    /// GUID and age.
    pub(super) id: String,
    /// Name of the file with the debug information.
    pub(super) name: String,
    /// `INFO CODE_ID`: time stamp and size of the image, when told.
    pub(super) code_id: Option<String>,
}

/// A FUNC record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Func {
    pub(super) params: u32,
    pub(super) name: Span,
    /// The lines behind it: INLINE records and source lines.
    pub(super) body: Span,
}

/// A PUBLIC record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Public {
    pub(super) rva: u32,
    pub(super) params: u32,
    pub(super) name: Span,
}

/// A STACK WIN record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Win {
    pub(super) prologue: u32,
    pub(super) params: u32,
    pub(super) saved: u32,
    pub(super) locals: u32,
    pub(super) program: Option<Span>,
    pub(super) uses_bp: bool,
}

/// Where everything is.
#[derive(Debug)]
pub(super) struct Index {
    /// By number.
    pub(super) files: Vec<(u32, Span)>,
    /// By number.
    pub(super) origins: Vec<(u32, Span)>,
    /// The file has INLINE records without a call file; then INLINE_ORIGIN records have a file number.
    pub(super) old_inlines: bool,
    pub(super) funcs: Ranges<Func>,
    /// FUNC records of no size, which say as much as a PUBLIC one, and PUBLIC records; by address.
    pub(super) publics: Vec<Public>,
    /// STACK WIN 4.
    pub(super) programs: Ranges<Win>,
    /// STACK WIN 0.
    pub(super) fpo: Ranges<Win>,
    /// STACK CFI INIT with the STACK CFI records behind it.
    pub(super) cfi: Ranges<Span>,
}

/// The fields of a record.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) fn new(line: &'a [u8]) -> Fields<'a> {
        Fields { rest: line }
    }

    /// The next field; fields are separated by blanks.
    pub(super) fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.rest.iter().position(|&b| b != b' ')?;
        let rest = self.rest.get(start..)?;
        let (field, rest) = rest.split_at(rest.iter().position(|&b| b == b' ').unwrap_or(rest.len()));
        self.rest = rest;
        Some(field)
    }

    pub(super) fn hex(&mut self) -> Option<u32> {
        let field = self.next()?;
        // Addresses have up to 16 digits; what does not fit 32 bits is no RVA.
        let digits = field.len() <= 16 && !field.is_empty() && field.iter().all(u8::is_ascii_hexdigit);
        let value = u64::from_str_radix(str::from_utf8(field).ok().filter(|_| digits)?, 16).ok()?;
        u32::try_from(value).ok()
    }

    pub(super) fn decimal(&mut self) -> Option<u32> {
        let field = self.next()?;
        str::from_utf8(field).ok().filter(|f| f.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
    }

    /// Everything that is left, without blanks around it.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest.trim_ascii()
    }
}

/// Lines of a part of the file: offset of the start, offset behind the line break, text without the break.
pub(super) fn lines(file: &[u8], span: Span) -> impl Iterator<Item = (u32, u32, &[u8])> {
    let mut at = span.from;
    let mut rest = span.bytes(file);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', rest);
        let (line, tail) = rest.split_at(end.map_or(rest.len(), |e| e + 1));
        let from = at;
        at = at.saturating_add(u32::try_from(line.len()).unwrap_or(u32::MAX));
        rest = tail;
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        Some((from, at, text.strip_suffix(b"\r").unwrap_or(text)))
    })
}

/// The MODULE record, and CODE_ID when it follows within the first lines. `None`: this is no `.sym` file.
pub(super) fn header(file: &[u8]) -> Option<Header> {
    let head = file.get(..file.len().min(16 * 1024))?;
    let whole = Span { from: 0, to: u32::try_from(head.len()).ok()? };
    let mut lines = lines(head, whole);
    let mut fields = Fields::new(lines.next()?.2.strip_prefix(b"MODULE ")?);
    let mut text = || fields.next().map(|f| String::from_utf8_lossy(f).into_owned());
    let mut header = Header { os: text()?, arch: text()?, id: text()?, ..Header::default() };
    header.name = String::from_utf8_lossy(fields.rest()).into_owned();
    header.code_id = lines
        .take(8)
        .find_map(|(_, _, l)| Some(Fields::new(l.strip_prefix(b"INFO CODE_ID ")?).next()?.to_vec()))
        .map(|id| String::from_utf8_lossy(&id).into_owned());
    Some(header)
}

/// Reads all records; files over 4 GiB up to there.
pub(super) fn index(file: &[u8]) -> Index {
    let mut b = Builder::default();
    let whole = Span { from: 0, to: u32::try_from(file.len()).unwrap_or(u32::MAX) };
    for (from, end, line) in lines(file, whole) {
        b.record(from, end, line);
    }
    b.finish()
}

/// What an open record still collects.
#[derive(Default)]
enum Open {
    #[default]
    Nothing,
    Func,
    Cfi,
}

#[derive(Default)]
struct Builder {
    files: Vec<(u32, Span)>,
    origins: Vec<(u32, Span)>,
    old_inlines: bool,
    funcs: Vec<Range<Func>>,
    publics: Vec<Public>,
    programs: Vec<Range<Win>>,
    fpo: Vec<Range<Win>>,
    cfi: Vec<Range<Span>>,
    open: Open,
}

impl Builder {
    fn record(&mut self, from: u32, end: u32, line: &[u8]) {
        let known = match line.first() {
            Some(b'F') => self.func_or_file(from, end, line),
            Some(b'I') => self.inline_or_info(from, end, line),
            Some(b'P') if line.starts_with(b"PUBLIC ") => {
                self.open = Open::Nothing;
                self.public(from, line);
                true
            }
            Some(b'S') => self.stack(from, end, line),
            Some(b'M') => true,
            _ => false,
        };
        // Anything else is a source line of the open function (or a STACK CFI record was damaged).
        if !known && matches!(self.open, Open::Func) {
            self.extend_func(end);
        }
    }

    fn func_or_file(&mut self, from: u32, end: u32, line: &[u8]) -> bool {
        if let Some(rest) = line.strip_prefix(b"FUNC ") {
            self.open = Open::Nothing;
            let mut f = Fields::new(strip_multiple(rest));
            let (Some(start), Some(size), Some(params)) = (f.hex(), f.hex(), f.hex()) else { return true };
            let name = tail(from, line, f.rest());
            if size == 0 {
                self.publics.push(Public { rva: start, params, name });
            } else {
                let body = Span { from: end, to: end };
                self.funcs.push(Range { start, size, value: Func { params, name, body } });
                self.open = Open::Func;
            }
            return true;
        }
        let Some(rest) = line.strip_prefix(b"FILE ") else { return false };
        let mut f = Fields::new(rest);
        if let Some(number) = f.decimal() {
            self.files.push((number, tail(from, line, f.rest())));
        }
        true
    }

    fn inline_or_info(&mut self, from: u32, end: u32, line: &[u8]) -> bool {
        if let Some(rest) = line.strip_prefix(b"INLINE ") {
            let mut f = Fields::new(rest);
            let mut count = 0usize;
            while f.next().is_some() {
                count += 1;
            }
            self.old_inlines |= count % 2 == 1;
            if matches!(self.open, Open::Func) {
                self.extend_func(end);
            }
            return true;
        }
        if let Some(rest) = line.strip_prefix(b"INLINE_ORIGIN ") {
            let mut f = Fields::new(rest);
            if let Some(number) = f.decimal() {
                self.origins.push((number, tail(from, line, f.rest())));
            }
        }
        true
    }

    fn public(&mut self, from: u32, line: &[u8]) {
        let mut f = Fields::new(strip_multiple(line.get(7..).unwrap_or(&[])));
        if let (Some(rva), Some(params)) = (f.hex(), f.hex()) {
            self.publics.push(Public { rva, params, name: tail(from, line, f.rest()) });
        }
    }

    fn stack(&mut self, from: u32, end: u32, line: &[u8]) -> bool {
        if let Some(rest) = line.strip_prefix(b"STACK CFI INIT ") {
            self.open = Open::Nothing;
            let mut f = Fields::new(rest);
            if let (Some(start), Some(size)) = (f.hex(), f.hex()) {
                self.cfi.push(Range { start, size, value: Span { from, to: end } });
                self.open = Open::Cfi;
            }
            return true;
        }
        if line.starts_with(b"STACK CFI ") {
            if let (Open::Cfi, Some(last)) = (&self.open, self.cfi.last_mut()) {
                last.value.to = end;
            }
            return true;
        }
        let Some(rest) = line.strip_prefix(b"STACK WIN ") else { return false };
        self.open = Open::Nothing;
        let mut f = Fields::new(rest);
        if let (Some(kind), Some((start, size, win))) = (f.hex(), win(from, line, &mut f)) {
            let range = Range { start, size, value: win };
            // The other kinds (trap and task frames, standard frames) have no layout of their own.
            match (kind, win.program.is_some()) {
                (4 | 0, true) => self.programs.push(range),
                (4 | 0, false) => self.fpo.push(range),
                _ => {}
            }
        }
        true
    }

    fn extend_func(&mut self, end: u32) {
        if let Some(f) = self.funcs.last_mut() {
            f.value.body.to = end;
        }
    }

    fn finish(mut self) -> Index {
        self.files.sort_by_key(|(n, _)| *n);
        self.origins.sort_by_key(|(n, _)| *n);
        // Stable: of several publics at one address the first of the file stays first.
        self.publics.sort_by_key(|p| p.rva);
        Index {
            files: self.files,
            origins: self.origins,
            old_inlines: self.old_inlines,
            funcs: Ranges::new(self.funcs),
            publics: self.publics,
            programs: Ranges::new(self.programs),
            fpo: Ranges::new(self.fpo),
            cfi: Ranges::new(self.cfi),
        }
    }
}

/// `m ` marks a record whose address several symbols share.
fn strip_multiple(rest: &[u8]) -> &[u8] {
    rest.strip_prefix(b"m ").unwrap_or(rest)
}

/// The span of `part`, which is the end of `line` (blanks behind it aside).
fn tail(from: u32, line: &[u8], part: &[u8]) -> Span {
    let trimmed = line.trim_ascii_end().len();
    let to = from.saturating_add(u32::try_from(trimmed).unwrap_or(u32::MAX));
    Span { from: to.saturating_sub(u32::try_from(part.len()).unwrap_or(u32::MAX)), to }
}

fn win(from: u32, line: &[u8], f: &mut Fields<'_>) -> Option<(u32, u32, Win)> {
    let (start, size, prologue, _epilogue) = (f.hex()?, f.hex()?, f.hex()?, f.hex()?);
    let (params, saved, locals, _max_stack) = (f.hex()?, f.hex()?, f.hex()?, f.hex()?);
    let has_program = f.hex()? != 0;
    let rest = f.rest();
    let program = has_program.then(|| tail(from, line, rest));
    Some((
        start,
        size,
        Win { prologue, params, saved, locals, program, uses_bp: !has_program && rest == b"1" },
    ))
}
