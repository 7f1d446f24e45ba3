//! What of a dump is written otherwise: texts that no answer needs become zeros, those that one needs lose what is private.

use super::bytes::shaped;
use super::names::machines;
use super::runs::{narrow_runs, wide_runs};
use super::spans::Spans;
use super::{Counts, Names, Redactor, names_of};
use dumpscope_core::base::FileOff;
use dumpscope_core::model::Dump;
use dumpscope_core::write::{FileText, MemoryEdit, TextForm, texts};
use dumpscope_core::{Machine, ReadMemory, Va};
use dumpscope_symbols::image::PeHeaders;

/// On a stack fewer bytes may look like a text by chance.
const SHORTEST_ON_STACK: usize = 8;

/// `IMAGE_SCN_MEM_WRITE`.
const WRITABLE: u32 = 0x8000_0000;

/// Kinds of the built-in rules that are not looked for in constants: there they find words of the program.
const NOT_IN_CONSTANTS: [&str; 11] =
    ["token", "key", "password", "secret", "host", "ip", "mac", "card", "iban", "phone", "query"];

/// Bytes before and behind what is kept, by which rules see what a text is.
const CONTEXT: u64 = 0x100;

/// Bytes that are looked at together.
const PIECE: u64 = 1 << 20;

/// Most edits: a dump whose ranges share bytes of the file could have any number.
const MAX_EDITS: usize = 1 << 22;

/// Why a dump was not redacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotRedacted {
    /// There is too much text.
    TooMuch,
    /// The caller wanted no more.
    Stopped,
}

/// A dump, and how its texts are written otherwise.
#[derive(Debug)]
pub(crate) struct Redaction<'a> {
    dump: &'a Dump,
    redactor: &'a Redactor,
    names: Names,
    /// Code and constants of images: what the program's files hold, and everybody has.
    constants: Spans,
    /// Edits of the file, disjoint.
    file: Vec<(FileOff, Vec<u8>)>,
    /// What was counted for them, and before.
    counts: Counts,
}

/// What memory is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Constant,
    Stack,
    Needed,
    Free,
}

/// What is known of the memory that is kept.
struct Uses {
    stacks: Spans,
    needed: Spans,
}

impl<'a> Redaction<'a> {
    /// Looks at the dump's names and streams.
    pub(crate) fn new(dump: &'a Dump, redactor: &'a Redactor) -> Result<Redaction<'a>, NotRedacted> {
        let names = names_of(dump);
        let mut edits = Vec::new();
        for text in texts(dump).ok_or(NotRedacted::TooMuch)? {
            file_text(dump, &text, redactor, &names, &mut edits);
            if edits.len() > MAX_EDITS {
                return Err(NotRedacted::TooMuch);
            }
        }
        // Texts may overlap.
        let whole = |mut e: MemoryEdit| {
            e.bytes.resize(usize::try_from(e.len).unwrap_or(0), 0);
            (FileOff(e.at.0), e.bytes)
        };
        let file = disjoint(edits).into_iter().map(whole).collect();
        let counts = redactor.counted();
        let constants = Spans::new(constants(dump).into_iter());
        Ok(Redaction { dump, redactor, names, constants, file, counts })
    }

    /// The edits of the file.
    pub(crate) fn file(&self) -> &[(FileOff, Vec<u8>)] {
        &self.file
    }

    /// The edits of memory of which `kept` (captured, by address) is written. `needed`: what analyses read, to the byte;
    /// `stacks`: what of it may be stacks. Counts anew each time.
    pub(crate) fn memory(
        &self,
        kept: &[(Va, u64)],
        needed: &[(Va, u64)],
        stacks: &[(Va, u64)],
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Vec<MemoryEdit>, NotRedacted> {
        self.redactor.set_counted(&self.counts);
        let uses =
            Uses { stacks: Spans::new(stacks.iter().copied()), needed: Spans::new(needed.iter().copied()) };
        let mut edits = Vec::new();
        for &(start, len) in kept {
            let end = start.0.saturating_add(len);
            let mut at = start.0;
            while at < end {
                let to = at.saturating_add(PIECE).min(end);
                self.piece(at, to, &uses, &mut edits);
                at = to;
                if edits.len() > MAX_EDITS {
                    return Err(NotRedacted::TooMuch);
                }
                if !goes_on() {
                    return Err(NotRedacted::Stopped);
                }
            }
        }
        self.parameters(&mut edits);
        // One edit for each byte: the later ones were made with more knowledge.
        Ok(disjoint(edits))
    }

    /// Edits of the kept bytes from `start` to `end`.
    fn piece(&self, start: u64, end: u64, uses: &Uses, out: &mut Vec<MemoryEdit>) {
        let memory = self.dump.memory();
        let read = |from: u64, to: u64| {
            let mut bytes = vec![0u8; usize::try_from(to.saturating_sub(from)).unwrap_or(0)];
            let got = memory.scan_at(Va(from), &mut bytes).got;
            bytes.truncate(got);
            bytes
        };
        // As much before it as is captured without a hole.
        let contexts = std::iter::successors(Some(CONTEXT), |n| Some(n / 2)).take_while(|n| *n > 0);
        let is_whole = |n: &u64| read(start.saturating_sub(*n), start).len() as u64 == *n;
        let from = start.saturating_sub(contexts.into_iter().find(is_whole).unwrap_or(0));
        let bytes = read(from, end.saturating_add(CONTEXT));
        let got = from.saturating_add(bytes.len() as u64);
        if got < end {
            // What is kept is captured, so this does not happen; what was not looked at does not go out.
            out.push(MemoryEdit { at: Va(got), len: end.saturating_sub(got), bytes: Vec::new() });
        }
        let clip = (start, end);
        let place = |at: usize| from.saturating_add(at as u64);
        // Names first: what becomes of the text around them is worth more.
        self.known_names(from, &bytes, clip, uses, out);
        wide_runs(&bytes, &mut |at, run| self.text(place(at), run, TextForm::Utf16, clip, uses, out));
        narrow_runs(&bytes, &mut |at, run| self.text(place(at), run, TextForm::Bytes, clip, uses, out));
    }

    /// The parts of `start..end` that are in `clip`, by what they are for.
    fn parts(&self, start: u64, end: u64, clip: (u64, u64), uses: &Uses) -> Vec<(u64, u64, Class)> {
        let (mut at, end) = (start.max(clip.0), end.min(clip.1));
        let mut out = Vec::new();
        while at < end {
            let classes = [
                (Class::Constant, &self.constants),
                (Class::Stack, &uses.stacks),
                (Class::Needed, &uses.needed),
            ];
            let (mut class, mut to) = (Class::Free, end);
            for (this, spans) in classes.into_iter().rev() {
                let (is_inside, border) = spans.at(at);
                class = if is_inside { this } else { class };
                to = to.min(border);
            }
            out.push((at, to, class));
            at = to.max(at.saturating_add(1));
        }
        out
    }

    /// A text: zeros where no answer needs it, else what rules find.
    fn text(
        &self,
        at: u64,
        run: &[u8],
        form: TextForm,
        clip: (u64, u64),
        uses: &Uses,
        out: &mut Vec<MemoryEdit>,
    ) {
        let parts = self.parts(at, at.saturating_add(run.len() as u64), clip, uses);
        let is_free = |class: Class| match class {
            Class::Free => true,
            Class::Stack => run.len() >= SHORTEST_ON_STACK && !is_pointers(self.dump, Va(at), run),
            Class::Constant | Class::Needed => false,
        };
        let (free, read): (Vec<_>, Vec<_>) = parts.into_iter().partition(|(_, _, class)| is_free(*class));
        if !free.is_empty() {
            self.redactor.count("text");
        }
        for (from, to, _) in free {
            out.push(MemoryEdit { at: Va(from), len: to.saturating_sub(from), bytes: Vec::new() });
        }
        if read.is_empty() {
            return;
        }
        let nobody = Names::default();
        for is_constant in [false, true] {
            let parts: Vec<_> = read.iter().filter(|p| (p.2 == Class::Constant) == is_constant).collect();
            if parts.is_empty() {
                continue;
            }
            // Names of functions, and tables that runtimes describe themselves with: the program's files have them.
            let is_exempt = is_constant && memchr::memmem::find(run, b".pdb").is_none();
            for hit in self.redactor.hits(run, form, if is_exempt { &nobody } else { &self.names }) {
                if is_exempt && NOT_IN_CONSTANTS.contains(&hit.kind.as_str()) {
                    continue;
                }
                let start = at.saturating_add(hit.at as u64);
                for (from, to, _) in &parts {
                    if (*from..*to).contains(&start) {
                        self.redactor.count(&hit.kind);
                    }
                    out.extend(clipped(start, &hit.new, *from, *to));
                }
            }
        }
    }

    /// Known names, however short the text is in which they stand.
    fn known_names(&self, at: u64, bytes: &[u8], clip: (u64, u64), uses: &Uses, out: &mut Vec<MemoryEdit>) {
        self.names.in_bytes(bytes, &mut |hit| {
            let start = at.saturating_add(hit.range.start as u64);
            let end = at.saturating_add(hit.range.end as u64);
            let new = shaped(&self.redactor.pseudonym(hit.kind, hit.name), hit.form, hit.range.len());
            for (from, to, class) in self.parts(start, end, clip, uses) {
                let counts = match class {
                    // As in texts; there a part of a word is another word.
                    Class::Needed => hit.is_alone,
                    Class::Stack | Class::Free => hit.is_alone || hit.is_certain,
                    Class::Constant => false,
                };
                if counts {
                    out.extend(clipped(start, &new, from, to));
                }
            }
        });
    }

    /// The command line's values, and the values of the environment: all of them.
    fn parameters(&self, out: &mut Vec<MemoryEdit>) {
        for machine in machines(self.dump) {
            let Some(p) = self.dump.parameters(machine) else { continue };
            let mut at = p.environment_address;
            for line in &p.environment {
                // `=C:=C:\folder` are variables, too.
                let equals = line.char_indices().skip(1).find(|(_, c)| *c == '=');
                let skip = equals.map_or(line.len(), |(n, _)| n.saturating_add(1));
                let (name, value) = line.split_at_checked(skip).unwrap_or((line, ""));
                let raw: Vec<u8> = value.encode_utf16().flat_map(u16::to_le_bytes).collect();
                if !raw.is_empty() {
                    let new = if system_value(name) {
                        self.redactor.clean_bytes(&raw, TextForm::Utf16, &self.names)
                    } else {
                        shaped(&self.redactor.whole("variable", value), TextForm::Utf16, raw.len())
                    };
                    let before = (name.encode_utf16().count() as u64).saturating_mul(2);
                    out.push(MemoryEdit { at: at.offset(before), len: raw.len() as u64, bytes: new });
                }
                let units = line.encode_utf16().count() as u64;
                at = at.offset(units.saturating_add(1).saturating_mul(2));
            }
            if let (Some(line), Some((at, len))) = (&p.command_line, p.command_line_at) {
                let mut new: Vec<u8> = self
                    .redactor
                    .command_line(line, &self.names)
                    .encode_utf16()
                    .flat_map(u16::to_le_bytes)
                    .collect();
                let room = usize::from(len);
                // Blanks keep the length: zeros would end the text for some readers, and not for others.
                while new.len() < room {
                    new.extend([b' ', 0]);
                }
                new.truncate(room);
                out.push(MemoryEdit { at, len: len.into(), bytes: new });
            }
        }
    }
}

/// True when all words of 32 bits in what looks like letters are addresses. `at`: its address or offset.
fn is_pointers(dump: &Dump, at: Va, run: &[u8]) -> bool {
    let skip = usize::try_from(at.0.wrapping_neg() % 4).unwrap_or(0);
    let words = run.get(skip..).unwrap_or_default().as_chunks::<4>().0;
    let is_address = |w: &[u8; 4]| {
        let va = Va(u32::from_le_bytes(*w).into());
        dump.module_at(va).is_some() || !dump.memory().rest_of_range(va).is_empty()
    };
    let narrow = dump.machine() == Machine::X86 || dump.is_wow64();
    narrow && !words.is_empty() && words.iter().all(is_address)
}

/// The part of new bytes for `start` on that lies in `from..to`.
fn clipped(start: u64, new: &[u8], from: u64, to: u64) -> Option<MemoryEdit> {
    let at = start.max(from);
    let skip = usize::try_from(at.saturating_sub(start)).ok()?;
    let len = usize::try_from(to.saturating_sub(at)).ok()?;
    let rest = new.get(skip..).filter(|r| !r.is_empty() && len > 0)?;
    let bytes = rest.get(..len.min(rest.len()))?.to_vec();
    Some(MemoryEdit { at: Va(at), len: bytes.len() as u64, bytes })
}

/// Edits of a text of the file, at its offsets.
fn file_text(dump: &Dump, text: &FileText, redactor: &Redactor, names: &Names, out: &mut Vec<MemoryEdit>) {
    let at = |at: usize| Va(text.at.0.saturating_add(at as u64));
    // Names in other encodings than the text's, and in texts of which some bytes are no letters.
    names.in_bytes(&text.bytes, &mut |hit| {
        if hit.is_alone {
            let bytes = shaped(&redactor.pseudonym(hit.kind, hit.name), hit.form, hit.range.len());
            out.push(MemoryEdit { at: at(hit.range.start), len: bytes.len() as u64, bytes });
        }
    });
    if text.form == TextForm::Data {
        let mut run = |from: usize, run: &[u8]| {
            if run.len() >= SHORTEST_ON_STACK && !is_pointers(dump, at(from), run) {
                redactor.count("text");
                out.push(MemoryEdit { at: at(from), len: run.len() as u64, bytes: Vec::new() });
            }
        };
        wide_runs(&text.bytes, &mut run);
        narrow_runs(&text.bytes, &mut run);
        return;
    }
    for hit in redactor.hits(&text.bytes, text.form, names) {
        redactor.count(&hit.kind);
        out.push(MemoryEdit { at: at(hit.at), len: hit.new.len() as u64, bytes: hit.new });
    }
}

/// Headers, code and constants of images: address and bytes.
pub(crate) fn constants(dump: &Dump) -> Vec<(Va, u64)> {
    let mut out = Vec::new();
    for m in dump.modules() {
        let Ok(headers) = PeHeaders::read(dump.memory().as_ref(), m.base) else { continue };
        out.push((m.base, u64::from(headers.size_of_headers.min(m.size))));
        for s in headers.sections.iter().filter(|s| s.characteristics & WRITABLE == 0) {
            out.push((s.rva.va(m.base), s.mapped_size().min(m.size).into()));
        }
    }
    out
}

/// Variables whose values every machine has.
fn system_value(name: &str) -> bool {
    const SAME: [&str; 9] = [
        "OS=",
        "SYSTEMROOT=",
        "SYSTEMDRIVE=",
        "WINDIR=",
        "COMSPEC=",
        "PATHEXT=",
        "NUMBER_OF_PROCESSORS=",
        "PROCESSOR_ARCHITECTURE=",
        "PROCESSOR_ARCHITEW6432=",
    ];
    SAME.iter().any(|n| name.eq_ignore_ascii_case(n))
}

/// Edits by address; where two overlap the one that was made later counts, and the rest of the other is zeros.
fn disjoint(edits: Vec<MemoryEdit>) -> Vec<MemoryEdit> {
    let mut out: std::collections::BTreeMap<Va, MemoryEdit> = std::collections::BTreeMap::new();
    for edit in edits {
        let end = edit.at.0.saturating_add(edit.len);
        let before = out.range(..Va(end)).rev().take_while(|(_, e)| e.at.0.saturating_add(e.len) > edit.at.0);
        let overlapped: Vec<Va> = before.map(|(at, _)| *at).collect();
        for at in overlapped {
            let Some(old) = out.remove(&at) else { continue };
            let old_end = old.at.0.saturating_add(old.len);
            if old.at < edit.at {
                let len = edit.at.0.saturating_sub(old.at.0);
                out.insert(old.at, MemoryEdit { at: old.at, len, bytes: old.bytes.clone() });
            }
            if old_end > end {
                let skip = usize::try_from(end.saturating_sub(old.at.0)).unwrap_or(usize::MAX);
                let bytes = old.bytes.get(skip..).unwrap_or_default().to_vec();
                out.insert(Va(end), MemoryEdit { at: Va(end), len: old_end.saturating_sub(end), bytes });
            }
        }
        out.insert(edit.at, edit);
    }
    out.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(at: u64, len: u64, byte: u8) -> MemoryEdit {
        MemoryEdit { at: Va(at), len, bytes: vec![byte; usize::try_from(len).unwrap()] }
    }

    #[test]
    fn later_edits_win() {
        let got = disjoint(vec![edit(0, 10, 1), edit(20, 4, 1), edit(3, 2, 2), edit(8, 14, 3)]);
        let spans: Vec<(u64, u64, u8)> = got.iter().map(|e| (e.at.0, e.len, e.bytes[0])).collect();
        assert_eq!(spans, [(0, 3, 1), (3, 2, 2), (5, 3, 1), (8, 14, 3), (22, 2, 1)]);
    }
}
