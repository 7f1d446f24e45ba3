//! Text behind a pointer: at it, or behind a pointer of the object there.

use crate::Target;
use crate::arguments::flow::Cache;
use crate::model::{Hint, HintSource};
use dumpscope_core::{Machine, ReadMemory, Va};

/// Shortest text that is a hint, characters.
const SHORTEST: usize = 4;
/// Longest text that is shown, characters.
const LONGEST: usize = 256;
/// Words of an object that are followed.
const WORDS: u64 = 8;
/// Shortest text behind an object, characters: short runs of letters turn up by chance.
const SHORTEST_IN_OBJECT: usize = 5;

/// The hint for a pointer argument: a GUID with a name, a text, or an object that leads to text.
pub(super) fn hint(target: &Target, machine: Machine, va: Va) -> Option<Hint> {
    if !is_pointer(machine, va) {
        return None;
    }
    let memory = target.dump.memory();
    if let Some(name) = memory.guid(va).and_then(|g| target.hints().guid_name(&g)) {
        return Some(Hint { text: name.into_owned(), source: HintSource::Guid, at: Some(va) });
    }
    if let Some(text) = text_at(target, va, SHORTEST) {
        return Some(Hint { text: quoted(&text), source: HintSource::Text, at: Some(va) });
    }
    // Code has words that look like pointers too.
    if is_code(target, va) {
        return None;
    }
    let size = machine.ptr_size() as u64;
    for n in 0..WORDS {
        let Some(inner) = memory.ptr(va.offset(n.wrapping_mul(size)), machine) else { break };
        if !is_pointer(machine, inner) || is_code(target, inner) {
            continue;
        }
        if let Some(text) = text_at(target, inner, SHORTEST_IN_OBJECT) {
            return Some(Hint { text: quoted(&text), source: HintSource::TextInObject, at: Some(inner) });
        }
    }
    object(target, machine, va)
}

/// `object of module!…`: the first word leads to a table in a module whose first word is code of a module.
fn object(target: &Target, machine: Machine, va: Va) -> Option<Hint> {
    let memory = target.dump.memory();
    let functions = memory.ptr(va, machine).filter(|f| is_pointer(machine, *f))?;
    let module = target.symbols.module_at(functions)?;
    let first = memory.ptr(functions, machine).filter(|f| is_pointer(machine, *f))?;
    let headers = target.symbols.modules().get(module).map(|m| m.base);
    let known = headers.is_some_and(|base| memory.u16(base).is_some());
    if !known || is_code(target, functions) || !is_code(target, first) {
        return None;
    }
    let text = format!("object of {}", target.name_of(functions)?);
    Some(Hint { text, source: HintSource::Object, at: Some(va) })
}

fn is_pointer(machine: Machine, va: Va) -> bool {
    va.0 >= 0x1_0000 && (machine.is_64() || va.0 < 1 << 32) && va.0 >> 47 == 0
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// True in an executable section of a module.
fn is_code(target: &Target, va: Va) -> bool {
    let symbols = &target.symbols;
    let Some(module) = symbols.module_at(va).and_then(|m| symbols.modules().get(m)) else { return false };
    let memory = target.dump.memory().as_ref();
    let headers = dumpscope_symbols::image::PeHeaders::read(memory, module.base).ok();
    let section = headers.as_ref().and_then(|h| h.section_at(va.rva(module.base)?));
    // Without headers a module's memory may be code.
    headers.is_none() || section.is_none_or(|s| s.characteristics & 0x2000_0000 != 0)
}

/// Readable text at `va`, UTF-16 or bytes, that ends with a zero (or goes on longer than is shown) and does not lie
/// in a stream buffer of a C runtime.
pub(super) fn text_at(target: &Target, va: Va, shortest: usize) -> Option<String> {
    let found = wide(target, va, shortest).or_else(|| narrow(target, va, shortest))?;
    (!target.memo::<Cache>().buffers(target).hold(va)).then_some(found)
}

fn wide(target: &Target, va: Va, shortest: usize) -> Option<String> {
    let mut raw = [0u8; 2 * LONGEST];
    let got = target.dump.memory().read_at(va, &mut raw).got;
    let units = raw.get(..got)?.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b));
    let mut text = String::new();
    let mut ended = false;
    for unit in units {
        if unit == 0 {
            ended = true;
            break;
        }
        // Letters of the common alphabets; others are more often numbers than text.
        let c = char::from_u32(unit.into()).filter(|c| is_text(*c) || ('\u{a1}'..'\u{600}').contains(c))?;
        text.push(c);
    }
    let ascii = text.chars().filter(char::is_ascii).count();
    let enough = text.chars().count() >= shortest && ascii * 2 >= text.chars().count();
    (enough && (ended || got == raw.len())).then_some(text)
}

fn narrow(target: &Target, va: Va, shortest: usize) -> Option<String> {
    let mut raw = [0u8; LONGEST];
    let got = target.dump.memory().read_at(va, &mut raw).got;
    let bytes = raw.get(..got)?;
    let end = bytes.iter().position(|b| *b == 0);
    let text = bytes.get(..end.unwrap_or(got))?;
    if text.len() < shortest || end.is_none() && got < raw.len() {
        return None;
    }
    text.iter().map(|b| Some(char::from(*b)).filter(|c| c.is_ascii() && is_text(*c))).collect()
}

fn is_text(c: char) -> bool {
    (' '..='~').contains(&c) || matches!(c, '\t' | '\r' | '\n')
}
