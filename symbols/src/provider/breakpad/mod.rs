//! Breakpad `.sym` files: functions, lines, inlined calls, public names, x86 frame data and CFI.
//!
//! A reader of our own. `breakpad-symbols` 0.27 was read first: of two FUNC records that overlap it drops the
//! second, it sorts INLINE records so that their order is lost, and it parses every source line of a file before
//! the first name is known. Here one pass notes where the records are (1.5 ms for the 600 KB of kernel32.sym);
//! lines and inlined calls are parsed for the function that is asked for.

mod body;
mod parse;

use super::{InlineSite, SourceLine, Symbol, SymbolKind, SymbolProvider, SymbolSource};
use crate::demangle;
use crate::file::FileBytes;
use crate::unwind::FrameData;
use dumpscope_core::Rva;
use parse::{Fields, Index, Public, Span};
use std::path::Path;
use std::sync::OnceLock;

/// Most rule changes of one STACK CFI INIT record that are applied.
const MAX_CFI_LINES: usize = 4096;

/// Why a `.sym` file was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BreakpadError {
    /// It could not be read.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// It has no MODULE record.
    #[error("is no Breakpad symbol file (no MODULE line)")]
    NotASymFile,
    /// It belongs to another build of the module.
    #[error("belongs to another build: it is for {found}, the module needs {wanted}")]
    Mismatch {
        /// The file's id.
        found: String,
        /// The module's id.
        wanted: String,
    },
}

/// A Breakpad symbol file.
#[derive(Debug)]
pub struct Breakpad {
    path: Option<String>,
    file: FileBytes,
    index: OnceLock<Index>,
    order: OnceLock<Vec<(u32, Ref)>>,
}

/// A FUNC record or a PUBLIC one, by position.
#[derive(Clone, Copy, Debug)]
enum Ref {
    Func(usize),
    Public(usize),
}

impl Breakpad {
    /// Opens a file and checks that it belongs to the module; its records are read when they are asked for.
    ///
    /// `id` is the module's debug id as stores write it (GUID and age), `code_id` its time stamp and size; one
    /// of them must agree with the file.
    ///
    /// # Errors
    /// The file cannot be read, is no `.sym` file, or belongs to another build.
    pub fn open(path: &Path, id: &str, code_id: &str) -> Result<Breakpad, BreakpadError> {
        Breakpad::open_as(path, path, id, code_id)
    }

    /// As [`Breakpad::open`], of a file that is going to lie at `shown`.
    ///
    /// # Errors
    /// As [`Breakpad::open`].
    pub fn open_as(path: &Path, shown: &Path, id: &str, code_id: &str) -> Result<Breakpad, BreakpadError> {
        let file = FileBytes::open(path)?;
        let mut found = Breakpad::from_bytes(file, id, code_id)?;
        found.path = Some(shown.display().to_string());
        Ok(found)
    }

    /// As [`Breakpad::open`], of bytes in memory.
    ///
    /// # Errors
    /// As [`Breakpad::open`].
    pub fn from_bytes(file: FileBytes, id: &str, code_id: &str) -> Result<Breakpad, BreakpadError> {
        let header = parse::header(file.bytes()).ok_or(BreakpadError::NotASymFile)?;
        let same_id = !id.is_empty() && header.id.eq_ignore_ascii_case(id);
        let same_code = id.is_empty()
            && !code_id.is_empty()
            && header.code_id.as_deref().is_some_and(|c| c.eq_ignore_ascii_case(code_id));
        if !same_id && !same_code {
            let wanted = if id.is_empty() { code_id } else { id }.to_owned();
            let found = if id.is_empty() { header.code_id.unwrap_or(header.id) } else { header.id };
            return Err(BreakpadError::Mismatch { found, wanted });
        }
        Ok(Breakpad { path: None, file, index: OnceLock::new(), order: OnceLock::new() })
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| parse::index(self.file.bytes()))
    }

    /// Functions and public names in address order; a public name at a function's start is left out.
    fn order(&self) -> &[(u32, Ref)] {
        self.order.get_or_init(|| {
            let index = self.index();
            let funcs = index.funcs.items().iter().enumerate().map(|(i, f)| (f.start, Ref::Func(i)));
            let publics = index.publics.iter().enumerate();
            let publics =
                publics.filter(|(_, p)| index.funcs.last_start(p.rva).is_none_or(|f| f.start != p.rva));
            let mut order: Vec<(u32, Ref)> = funcs.collect();
            order.extend(publics.map(|(i, p)| (p.rva, Ref::Public(i))));
            order.sort_by_key(|(rva, _)| *rva);
            order
        })
    }

    fn symbol(&self, at: Ref) -> Option<Symbol> {
        let index = self.index();
        let (start, size, name) = match at {
            Ref::Func(i) => index.funcs.items().get(i).map(|f| (f.start, Some(f.size), f.value.name))?,
            Ref::Public(i) => index.publics.get(i).map(|p| (p.rva, None, p.name))?,
        };
        Some(self.named(start, size, name))
    }

    fn named(&self, start: u32, size: Option<u32>, name: Span) -> Symbol {
        let full = name.text(self.file.bytes());
        let short = demangle::plain_name(&full).into_owned();
        let decorated = (short != full).then_some(full);
        // PUBLIC records name data as well; only FUNC records say what they are.
        let kind = if size.is_some() { SymbolKind::Function } else { SymbolKind::Unknown };
        Symbol { rva: Rva(start), size, name: short, decorated, kind, source: SymbolSource::Breakpad }
    }

    fn public_at(&self, rva: u32) -> Option<&Public> {
        let publics = &self.index().publics;
        let last = publics.get(publics.partition_point(|p| p.rva <= rva).checked_sub(1)?)?;
        let first = publics.get(publics.partition_point(|p| p.rva < last.rva))?;
        // A function between the name and the address, or around the name, ended before the address.
        let hidden = self
            .index()
            .funcs
            .last_start(rva)
            .is_some_and(|f| f.start > first.rva || first.rva.wrapping_sub(f.start) < f.size);
        (!hidden).then_some(first)
    }

    fn file_name(&self, number: u32) -> Option<String> {
        let files = &self.index().files;
        let at = files.partition_point(|(n, _)| *n < number);
        files.get(at).filter(|(n, _)| *n == number).map(|(_, s)| s.text(self.file.bytes()))
    }

    /// Source positions of `rva`: of the function, and of the inlined calls, innermost first.
    fn frames(&self, rva: Rva) -> (Option<SourceLine>, Vec<InlineSite>) {
        let Some(func) = self.index().funcs.innermost(rva.0) else { return (None, Vec::new()) };
        let bytes = self.file.bytes();
        let body = body::Body::read(bytes, func.value.body, rva.0);
        let source_line = |file: Option<u32>, line: u32, start: u32| {
            let file = self.file_name(file?)?;
            let displacement = rva.0.saturating_sub(start);
            // Line 0 stands for code that belongs to no line.
            (line != 0).then_some(SourceLine { file, line, displacement, source: SymbolSource::Breakpad })
        };
        // From the innermost position outwards: an inlined function's own position is known from the record
        // inside it, the position of its caller from its INLINE record.
        let mut position = body.line.and_then(|l| source_line(Some(l.file), l.line, l.start));
        let mut sites = Vec::with_capacity(body.inlines.len());
        for (depth, call) in body.inlines.iter().enumerate().rev() {
            let (name, _) = self.origin(call.origin);
            sites.push(InlineSite {
                name,
                line: position.take(),
                start: Rva(call.start),
                source: SymbolSource::Breakpad,
            });
            // Old files do not name the caller's file: it is that of the enclosing call's origin, or the one
            // that the function starts in.
            let file = call.file.or_else(|| match depth.checked_sub(1).and_then(|d| body.inlines.get(d)) {
                Some(outer) => self.origin(outer.origin).1,
                None => body.first_file,
            });
            position = source_line(file, call.line, call.covering);
        }
        (position, sites)
    }

    /// Name and, in old files, file number of an inlined function.
    fn origin(&self, number: u32) -> (String, Option<u32>) {
        let index = self.index();
        let at = index.origins.partition_point(|(n, _)| *n < number);
        let Some((_, span)) = index.origins.get(at).filter(|(n, _)| *n == number) else {
            return ("<unknown inlined function>".into(), None);
        };
        let text = span.text(self.file.bytes());
        let (file, name) = match text.split_once(' ') {
            Some((file, name)) if index.old_inlines => (file.parse().ok(), name),
            _ => (None, text.as_str()),
        };
        (demangle::plain_name(name).into_owned(), file)
    }

    fn cfi_rules(&self, span: Span, rva: u32) -> String {
        let mut rules: Vec<(String, String)> = Vec::new();
        for (_, _, line) in parse::lines(self.file.bytes(), span).take(MAX_CFI_LINES) {
            let text = match line.strip_prefix(b"STACK CFI INIT ") {
                Some(rest) => {
                    let mut f = Fields::new(rest);
                    (f.hex(), f.hex()).1.map(|_| f.rest())
                }
                None => line.strip_prefix(b"STACK CFI ").and_then(|rest| {
                    let mut f = Fields::new(rest);
                    // Records come in address order, but nothing forces that.
                    f.hex().filter(|at| *at <= rva).map(|_| f.rest())
                }),
            };
            if let Some(text) = text {
                merge_rules(&mut rules, &String::from_utf8_lossy(text));
            }
        }
        rules.iter().map(|(reg, expr)| format!("{reg}: {expr}")).collect::<Vec<_>>().join(" ")
    }
}

/// Adds the rules of a STACK CFI record; a register's newer rule replaces the older one.
fn merge_rules(rules: &mut Vec<(String, String)>, text: &str) {
    let mut current: Option<(String, String)> = None;
    let mut put = |rule: Option<(String, String)>| {
        if let Some((reg, expr)) = rule {
            match rules.iter_mut().find(|(r, _)| *r == reg) {
                Some(old) => old.1 = expr,
                None => rules.push((reg, expr)),
            }
        }
    };
    for word in text.split_ascii_whitespace() {
        if let Some(reg) = word.strip_suffix(':') {
            put(current.take());
            current = Some((reg.to_owned(), String::new()));
        } else if let Some((_, expr)) = &mut current {
            if !expr.is_empty() {
                expr.push(' ');
            }
            expr.push_str(word);
        }
    }
    put(current);
}

impl SymbolProvider for Breakpad {
    fn source(&self) -> SymbolSource {
        SymbolSource::Breakpad
    }

    fn file(&self) -> Option<&str> {
        self.path.as_deref()
    }

    fn lookup(&self, rva: Rva) -> Option<Symbol> {
        match self.index().funcs.innermost(rva.0) {
            Some(f) => Some(self.named(f.start, Some(f.size), f.value.name)),
            None => self.public_at(rva.0).map(|p| self.named(p.rva, None, p.name)),
        }
    }

    fn next_after(&self, rva: Rva) -> Option<Symbol> {
        let order = self.order();
        self.symbol(order.get(order.partition_point(|(at, _)| *at <= rva.0))?.1)
    }

    fn by_name(&self, name: &str, ignore_case: bool) -> Vec<Symbol> {
        let same = |a: &str| if ignore_case { a.eq_ignore_ascii_case(name) } else { a == name };
        let index = self.index();
        let bytes = self.file.bytes();
        // What is stripped from a name is at its end: a record can match only if it starts with what is asked
        // (unless it is still decorated).
        let may_match = |s: Span| {
            let have = s.bytes(bytes);
            have.starts_with(b"?")
                || have.starts_with(b"_")
                || have.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()))
        };
        let found = self.order().iter().filter(|(_, at)| {
            may_match(match *at {
                Ref::Func(i) => index.funcs.items().get(i).map_or(Span::default(), |f| f.value.name),
                Ref::Public(i) => index.publics.get(i).map_or(Span::default(), |p| p.name),
            })
        });
        let symbols = found.filter_map(|(_, at)| self.symbol(*at));
        symbols.filter(|s| same(&s.name) || s.decorated.as_deref().is_some_and(same)).collect()
    }

    fn each(&self, f: &mut dyn FnMut(&Symbol) -> bool) {
        for (_, at) in self.order() {
            if self.symbol(*at).is_some_and(|s| !f(&s)) {
                return;
            }
        }
    }

    fn line(&self, rva: Rva) -> Option<SourceLine> {
        self.frames(rva).0
    }

    fn inlines(&self, rva: Rva) -> Vec<InlineSite> {
        self.frames(rva).1
    }

    fn param_bytes(&self, rva: Rva) -> Option<u32> {
        match self.index().funcs.innermost(rva.0) {
            Some(f) => Some(f.value.params),
            None => self.public_at(rva.0).map(|p| p.params),
        }
    }

    fn frame_data(&self, rva: Rva) -> Option<FrameData> {
        let index = self.index();
        if let Some(r) = index.programs.innermost(rva.0)
            && let Some(program) = r.value.program
        {
            return Some(FrameData::Program {
                start: Rva(r.start),
                size: r.size,
                params: r.value.params,
                locals: r.value.locals,
                saved_regs: r.value.saved,
                program: program.text(self.file.bytes()),
            });
        }
        if let Some(r) = index.fpo.innermost(rva.0) {
            return Some(FrameData::Fpo {
                start: Rva(r.start),
                size: r.size,
                params: r.value.params,
                locals: r.value.locals,
                saved_regs: r.value.saved,
                prologue: r.value.prologue,
                uses_bp: r.value.uses_bp,
            });
        }
        let rules = self.cfi_rules(index.cfi.innermost(rva.0)?.value, rva.0);
        (!rules.is_empty()).then_some(FrameData::Cfi { rules })
    }
}

#[cfg(test)]
mod tests;
