//! What of a dump is written otherwise: texts that no answer needs become zeros, those that one needs lose what is private.

use super::{Names, Redactor, names_of};
use dumpscope_core::base::FileOff;
use dumpscope_core::model::Dump;
use dumpscope_core::write::{MemoryEdit, TextForm, texts};
use dumpscope_core::{Machine, ReadMemory, Va};
use dumpscope_symbols::image::PeHeaders;

/// Shortest run of ASCII that is taken for a text, and of UTF-16 units.
const SHORTEST: usize = 6;
const SHORTEST_WIDE: usize = 4;

/// On a stack two words may look like a text by chance.
const SHORTEST_ON_STACK: usize = 8;

/// `IMAGE_SCN_MEM_WRITE`.
const WRITABLE: u32 = 0x8000_0000;

/// What is written otherwise.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    pub(crate) memory: Vec<MemoryEdit>,
    pub(crate) file: Vec<(FileOff, Vec<u8>)>,
}

/// The edits of a dump of which `kept` stays. `needed`: what analyses read, to the byte; `stacks`: what of it is stacks. All
/// by address, disjoint.
pub(crate) fn edits(
    dump: &Dump,
    kept: &[(Va, u64)],
    needed: &[(Va, u64)],
    stacks: &[(Va, u64)],
    redactor: &Redactor,
) -> Edits {
    let names = names_of(dump);
    let mut out = Edits::default();
    for text in texts(dump) {
        file_text(&text.bytes, text.at, text.form, redactor, &names, &mut out);
    }
    let work = Work { dump, needed, stacks, constants: constants(dump), redactor, names };
    for &(start, len) in kept {
        work.range(start, len, &mut out.memory);
    }
    work.parameters(&mut out.memory);
    // One edit for each byte: the later ones were made with more knowledge.
    out.memory = disjoint(out.memory);
    out
}

fn file_text(raw: &[u8], at: FileOff, form: TextForm, redactor: &Redactor, names: &Names, out: &mut Edits) {
    let (old, new) = match form {
        TextForm::Utf16 => {
            let old = utf16(raw);
            let new = redactor.same_length(&old, names, true);
            (old, new.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>())
        }
        TextForm::Bytes => {
            let old = String::from_utf8_lossy(raw).into_owned();
            let new = redactor.same_length(&old, names, true);
            (old, new.into_bytes())
        }
    };
    let same = match form {
        TextForm::Utf16 => old.encode_utf16().flat_map(u16::to_le_bytes).eq(new.iter().copied()),
        TextForm::Bytes => old.as_bytes() == new,
    };
    if !same {
        let mut new = new;
        new.resize(raw.len(), 0);
        out.file.push((at, new));
    }
}

fn utf16(raw: &[u8]) -> String {
    let units: Vec<u16> = raw.as_chunks::<2>().0.iter().map(|p| u16::from_le_bytes(*p)).collect();
    String::from_utf16_lossy(&units)
}

/// Code and constants of images: what the program's files hold, and everybody has.
fn constants(dump: &Dump) -> Vec<(Va, u64)> {
    let mut out = Vec::new();
    for m in dump.modules() {
        let Ok(headers) = PeHeaders::read(dump.memory().as_ref(), m.base) else { continue };
        let header = u64::from(headers.size_of_headers.min(m.size));
        out.push((m.base, header));
        for s in headers.sections.iter().filter(|s| s.characteristics & WRITABLE == 0) {
            out.push((s.rva.va(m.base), s.mapped_size().min(m.size).into()));
        }
    }
    out.sort_unstable();
    out
}

struct Work<'a> {
    dump: &'a Dump,
    needed: &'a [(Va, u64)],
    stacks: &'a [(Va, u64)],
    constants: Vec<(Va, u64)>,
    redactor: &'a Redactor,
    names: Names,
}

/// True when one of the spans (by address) reaches into `start..end`.
fn touches(spans: &[(Va, u64)], start: u64, end: u64) -> bool {
    let first = spans.partition_point(|(at, len)| at.0.saturating_add(*len) <= start);
    spans.get(first).is_some_and(|(at, _)| at.0 < end)
}

impl Work<'_> {
    fn range(&self, start: Va, len: u64, out: &mut Vec<MemoryEdit>) {
        let mut bytes = vec![0u8; usize::try_from(len).unwrap_or(0)];
        let got = self.dump.memory().scan_at(start, &mut bytes).got;
        bytes.truncate(got);
        wide_runs(start, &bytes, &mut |at, run| self.text(at, run, true, out));
        narrow_runs(&bytes, &mut |from, run| self.text(start.offset(from as u64), run, false, out));
    }

    fn text(&self, at: Va, run: &[u8], wide: bool, out: &mut Vec<MemoryEdit>) {
        let end = at.0.saturating_add(run.len() as u64);
        if touches(&self.constants, at.0, end) {
            return;
        }
        let on_stack = touches(self.stacks, at.0, end);
        if on_stack && !wide && (run.len() < SHORTEST_ON_STACK || self.is_pointers(at, run)) {
            return;
        }
        if on_stack || !touches(self.needed, at.0, end) {
            self.redactor.count("text");
            out.push(MemoryEdit { at, len: run.len() as u64, bytes: Vec::new() });
            return;
        }
        let old = if wide { utf16(run) } else { String::from_utf8_lossy(run).into_owned() };
        let new = self.redactor.same_length(&old, &self.names, true);
        if new != old {
            let bytes =
                if wide { new.encode_utf16().flat_map(u16::to_le_bytes).collect() } else { new.into_bytes() };
            out.push(MemoryEdit { at, len: run.len() as u64, bytes });
        }
    }

    /// True when words of 32 bits that look like letters are addresses.
    fn is_pointers(&self, at: Va, run: &[u8]) -> bool {
        let skip = usize::try_from(at.0.wrapping_neg() % 4).unwrap_or(0);
        let words = run.get(skip..).unwrap_or_default().as_chunks::<4>().0;
        let is_address = |w: &[u8; 4]| {
            let va = Va(u32::from_le_bytes(*w).into());
            self.dump.module_at(va).is_some() || !self.dump.memory().rest_of_range(va).is_empty()
        };
        let narrow = self.dump.machine() == Machine::X86 || self.dump.is_wow64();
        narrow
            && !words.is_empty()
            && words.iter().filter(|w| is_address(w)).count().saturating_mul(2) >= words.len()
    }

    /// The command line's values, and the values of the environment: all of them.
    fn parameters(&self, out: &mut Vec<MemoryEdit>) {
        for machine in [self.dump.machine(), Machine::X86] {
            let Some(p) = self.dump.parameters(machine) else { continue };
            let mut at = p.environment_address;
            for line in &p.environment {
                let units = line.encode_utf16().count() as u64;
                // `=C:=C:\folder` are variables, too.
                let skip = line
                    .char_indices()
                    .skip(1)
                    .find(|(_, c)| *c == '=')
                    .map_or(line.len(), |(n, _)| n.saturating_add(1));
                let value = line.get(skip..).unwrap_or_default();
                if !value.is_empty() {
                    let before = line.get(..skip).unwrap_or_default().encode_utf16().count() as u64;
                    let kept = system_value(line.get(..skip).unwrap_or_default());
                    let new: Vec<u8> = if kept {
                        self.redactor
                            .same_length(value, &self.names, true)
                            .encode_utf16()
                            .flat_map(u16::to_le_bytes)
                            .collect()
                    } else {
                        let len = value.encode_utf16().count();
                        let pseudonym = self.redactor.whole("variable", value);
                        let filled =
                            pseudonym.encode_utf16().chain(std::iter::repeat(u16::from(b'-'))).take(len);
                        filled.flat_map(u16::to_le_bytes).collect()
                    };
                    let len = value.encode_utf16().count() as u64;
                    out.push(MemoryEdit {
                        at: at.offset(before.wrapping_mul(2)),
                        len: len.saturating_mul(2),
                        bytes: new,
                    });
                }
                at = at.offset(units.wrapping_add(1).wrapping_mul(2));
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

/// Runs of printable ASCII.
fn narrow_runs(bytes: &[u8], found: &mut dyn FnMut(usize, &[u8])) {
    let mut start = 0usize;
    for end in 0..=bytes.len() {
        let printable = bytes.get(end).is_some_and(|b| matches!(b, 0x20..=0x7e | b'\t' | b'\r' | b'\n'));
        if !printable {
            let run = bytes.get(start..end).unwrap_or_default();
            if run.len() >= SHORTEST {
                found(start, run);
            }
            start = end.saturating_add(1);
        }
    }
}

/// Runs of UTF-16, at odd addresses too: letters of Latin, Greek, Cyrillic and their neighbours.
fn wide_runs(start: Va, bytes: &[u8], found: &mut dyn FnMut(Va, &[u8])) {
    for skip in [0usize, 1] {
        let bytes = bytes.get(skip..).unwrap_or_default();
        let units = bytes.as_chunks::<2>().0;
        let mut from = 0usize;
        for end in 0..=units.len() {
            let unit = units.get(end).map(|u| u16::from_le_bytes(*u));
            let is_letter = unit
                .is_some_and(|u| matches!(u, 0x9 | 0xa | 0xd | 0x20..=0x7e | 0xa0..=0x24f | 0x370..=0x5ff));
            if !is_letter {
                if end.saturating_sub(from) >= SHORTEST_WIDE {
                    let at = from.saturating_mul(2);
                    let run = bytes.get(at..end.saturating_mul(2)).unwrap_or_default();
                    found(start.offset(skip.saturating_add(at) as u64), run);
                }
                from = end.saturating_add(1);
            }
        }
    }
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

    #[test]
    fn runs_of_text() {
        let mut seen = Vec::new();
        narrow_runs(b"\0secret\x01abc\xffpassword", &mut |at, run| seen.push((at, run.to_vec())));
        assert_eq!(seen, [(1, b"secret".to_vec()), (12, b"password".to_vec())]);
        let wide: Vec<u8> = "x\0Käse\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut seen = Vec::new();
        wide_runs(Va(0x100), &wide, &mut |at, run| seen.push((at, utf16(run))));
        assert_eq!(seen, [(Va(0x104), "Käse".to_owned())]);
    }
}
