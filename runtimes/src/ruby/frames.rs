//! Ruby's frames: control frames of the interpreter, their places and names.

use super::core::{Core, Internal};
use super::layout::Lines;
use crate::{FrameKind, ScriptFrame};
use dumpscope_core::Va;
use std::collections::BTreeMap;

/// Most frames of one stack: the whole of Ruby's default VM stack (1 MiB).
const MAX_FRAMES: usize = 1 << 15;
/// Bytes of text that count as a step.
const TEXT_UNIT: usize = 64;
/// Most words of a VM stack.
const MAX_STACK_WORDS: u64 = 1 << 24;
/// Most environments that a C function's frame is looked for through.
const MAX_ENVIRONMENTS: usize = 64;
/// Most instructions of a sequence.
const MAX_CODE: u64 = 1 << 26;
/// Flags of a frame's environment: bits that say its kind, and the kind of a C function.
const KIND_MASK: u64 = 0x7fff_0001;
const KIND_C: u64 = 0x5555_0001;
/// The interpreter returns to its caller when this frame ends.
const FINISH: u64 = 0x20;
/// The environment is a method's own, no block's.
const LOCAL: u64 = 2;

/// A frame, and the object that its method was called on.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) script: ScriptFrame,
    pub(super) receiver: Va,
    /// The interpreter's loop was entered for it.
    pub(super) bottom: bool,
}

/// What an instruction sequence says of itself.
#[derive(Clone, Debug)]
struct Sequence {
    path: Option<String>,
    label: String,
    body: Va,
    code: u64,
    end: u64,
}

/// Frames of an execution context, innermost first. Ends at the first that is not sound, and when `room` is used up:
/// each step takes 1, each 64 bytes of text another.
pub(super) fn frames(core: &Core, context: Va, program: Option<&str>, room: &mut usize) -> Vec<Frame> {
    let mut out: Vec<Frame> = Vec::new();
    // C functions have the place of the next Ruby frame.
    let mut pending = 0;
    let mut known = BTreeMap::new();
    let Some((first, end)) = bounds(core, context) else { return out };
    let mut at = first;
    while at < end && out.len() < MAX_FRAMES && *room > 0 {
        let step = match frame(core, Va(at), &mut known) {
            Some(step) => step,
            // The innermost one may be half made.
            None if at == first => Step::Other,
            None => break,
        };
        at = at.saturating_add(core.layout.frame);
        *room = room.saturating_sub(1 + step.text() / TEXT_UNIT);
        match step {
            Step::Other => {}
            Step::Placeless(frame) => out.push(frame),
            Step::Ruby(frame) => {
                let (file, line, library) =
                    (frame.script.file.clone(), frame.script.line, &frame.script.module);
                for c in out.iter_mut().skip(pending) {
                    place(core, &mut c.script, file.clone(), line);
                    c.script.module.clone_from(library);
                    *room = room.saturating_sub(c.script.full.len() / TEXT_UNIT);
                }
                out.push(frame);
                pending = out.len();
            }
        }
    }
    for c in out.iter_mut().skip(pending) {
        place(core, &mut c.script, program.map(str::to_owned), None);
    }
    out
}

/// The frames' addresses: from the innermost one to the first that is none. They grow down from the end of the VM
/// stack, whose last one is a dummy.
fn bounds(core: &Core, context: Va) -> Option<(u64, u64)> {
    let word = core.layout.word;
    let stack = core.field(context, 0)?.0;
    let words = core.word(context.offset(word)).filter(|w| *w <= MAX_STACK_WORDS)?;
    let first = core.field(context, 2 * word)?.0;
    let end = stack.checked_add(words.checked_mul(word)?)?.checked_sub(core.layout.frame)?;
    (first > stack && first <= end && first % word == 0).then_some((first, end))
}

/// Where the values of a VM stack lie: from its start to the innermost frame's stack pointer.
pub(super) fn values(core: &Core, context: Va) -> Option<(u64, u64)> {
    let (first, _) = bounds(core, context)?;
    let start = core.field(context, 0)?.0;
    let top = core.word(Va(first).offset(core.layout.word))?;
    (start..=first).contains(&top).then_some((start, top))
}

/// True when a context has a VM stack with a frame pointer in it.
pub(super) fn is_context(core: &Core, context: Va) -> bool {
    bounds(core, context).is_some()
}

enum Step {
    Ruby(Frame),
    /// One with the place of its caller: a C function.
    Placeless(Frame),
    /// A frame that backtraces do not show.
    Other,
}

impl Step {
    /// Bytes of its text. A C function has the path of the frame below.
    fn text(&self) -> usize {
        match self {
            Step::Ruby(frame) | Step::Placeless(frame) => {
                frame.script.full.len() + frame.script.function.len()
            }
            Step::Other => 0,
        }
    }
}

fn frame(core: &Core, at: Va, known: &mut BTreeMap<Va, Option<Sequence>>) -> Option<Step> {
    let word = core.layout.word;
    let pc = core.word(at)?;
    let iseq = core.word(at.offset(2 * word))?;
    let receiver = Va(core.word(at.offset(3 * word))?);
    let flags = core.field(at, 4 * word).and_then(|environment| core.word(environment)).unwrap_or(0);
    let bottom = iseq != 0 && flags & FINISH != 0;
    let new =
        |kind| Frame { script: ScriptFrame { kind, sp: at, ..ScriptFrame::default() }, receiver, bottom };
    if iseq != 0 && pc != 0 {
        let sequence = known.entry(Va(iseq)).or_insert_with(|| sequence(core, Va(iseq))).as_ref()?;
        if !(sequence.code..=sequence.end).contains(&pc) {
            return None;
        }
        let internal = sequence.path.as_deref().is_some_and(is_internal);
        let mut frame = new(if internal { FrameKind::Internal } else { FrameKind::Interpreted });
        frame.script.function.clone_from(&sequence.label);
        frame.script.display.clone_from(&sequence.label);
        if core.layout.hides_library && internal {
            return Some(Step::Placeless(frame));
        }
        frame.script.module = sequence.path.as_deref().and_then(gem);
        place(core, &mut frame.script, sequence.path.clone(), line(core, sequence, pc));
        return Some(Step::Ruby(frame));
    }
    let environment = core.field(at, 4 * word)?;
    if iseq != 0 || core.word(environment)? & KIND_MASK != KIND_C {
        return Some(Step::Other);
    }
    let mut frame = new(FrameKind::Native);
    frame.script.function = c_name(core, environment).unwrap_or_else(|| "?".to_owned());
    frame.script.display.clone_from(&frame.script.function);
    Some(Step::Placeless(frame))
}

/// Sets a frame's place, and its line of a backtrace as Ruby prints it.
fn place(core: &Core, frame: &mut ScriptFrame, file: Option<String>, line: Option<u32>) {
    let line_text = line.map(|l| format!("{l}:")).unwrap_or_default();
    let path = file.as_deref().unwrap_or("?");
    let quote = if core.layout.hides_library { '\'' } else { '`' };
    frame.full = format!("{path}:{line_text}in {quote}{}'", frame.function);
    frame.library = frame.kind == FrameKind::Internal || file.as_deref().is_some_and(is_library);
    (frame.file, frame.line) = (file, line);
}

/// The gem that a path lies in: `…/gems/rack-2.2.4/lib/…`.
pub(super) fn gem(path: &str) -> Option<String> {
    let (_, rest) = path.rsplit_once("/gems/")?;
    let (name, _) = rest.split_once('/')?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// True for Ruby code in the DLL itself.
fn is_internal(path: &str) -> bool {
    path.starts_with("<internal:")
}

/// True for a file of Ruby's own library: `…/lib/ruby/3.1.0/monitor.rb`, `<internal:kernel>`.
pub(super) fn is_library(path: &str) -> bool {
    is_internal(path) || path.contains("/lib/ruby/") && gem(path).is_none()
}

fn sequence(core: &Core, iseq: Va) -> Option<Sequence> {
    let layout = &core.layout;
    if !core.is_internal(iseq, Internal::Iseq) {
        return None;
    }
    let body = core.field(iseq, 2 * layout.word)?;
    let code = core.field(body, 8)?.0;
    let words = u64::from(core.u32(body.offset(4))?).min(MAX_CODE);
    let location = body.offset(layout.location);
    Some(Sequence {
        path: core.field(location, 0).and_then(|v| core.path(v)),
        label: core.string(core.field(location, layout.label)?)?,
        body,
        code,
        end: code.checked_add(words * layout.word)?,
    })
}

fn line(core: &Core, sequence: &Sequence, pc: u64) -> Option<u32> {
    let word = core.layout.word;
    // The counter is past the instruction that runs.
    let position = (pc.checked_sub(sequence.code)? / word).saturating_sub(1);
    match core.layout.lines {
        Lines::Unknown => None,
        Lines::Pairs { table, size } => {
            let table = core.field(sequence.body, table)?;
            let count = core.u32(sequence.body.offset(size))?.min(1 << 20);
            let (mut low, mut high) = (0, count);
            while low < high {
                let middle = low + (high - low) / 2;
                if u64::from(core.u32(table.offset(u64::from(middle) * 8))?) <= position {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            core.u32(table.offset(u64::from(low.checked_sub(1)?) * 8 + 4))
        }
        Lines::Succinct { info, entry } => {
            let info = sequence.body.offset(info);
            let entries = core.field(info, 0)?;
            let count = u64::from(core.u32(info.offset(2 * word))?);
            let index = match count {
                0 => return None,
                1 => 0,
                _ => rank(core, core.field(info, 3 * word)?, position)?.checked_sub(1)?,
            };
            (index < count).then(|| core.u32(entries.offset(index * entry)))?
        }
    }
}

/// How many entries begin at or before a position. The first 54 positions have 7 bits each, 9 to a word; later ones
/// blocks of 512 positions (80 bytes): a count, counts of 64 positions with 9 bits each, one bit for each position.
fn rank(core: &Core, index: Va, position: u64) -> Option<u64> {
    let Some(later) = position.checked_sub(54) else {
        return Some(core.u64(index.offset(8 * (position / 9)))? >> (7 * (position % 9)) & 0x7f);
    };
    let block = index.offset(48 + later / 512 * 80);
    let (small, bit) = (later % 512 / 64, later % 64);
    let before = u64::from(core.u32(block)?);
    let in_block = match small.checked_sub(1) {
        Some(i) => core.u64(block.offset(8))? >> (9 * i) & 0x1ff,
        None => 0,
    };
    let bits = core.u64(block.offset(16 + 8 * small))? << (63 - bit);
    Some(before + in_block + u64::from(bits.count_ones()))
}

/// The name of the C function that an environment belongs to.
fn c_name(core: &Core, environment: Va) -> Option<String> {
    let word = core.layout.word;
    let entry = method_entry(core, environment)?;
    let definition = core.field(entry, 2 * word)?;
    // Behind two words: the body, three words on 32 bits.
    let id = core.word(definition.offset(if word == 8 { 32 } else { 20 }))?;
    core.id_name(id)
}

fn method_entry(core: &Core, environment: Va) -> Option<Va> {
    let word = core.layout.word;
    let mut at = environment;
    for _ in 0..MAX_ENVIRONMENTS {
        let owner = core.field(at.back(2 * word), 0);
        if let Some(entry) = owner.filter(|o| core.is_internal(*o, Internal::Method)) {
            return Some(entry);
        }
        if core.word(at)? & LOCAL != 0 {
            let variables = owner.filter(|o| core.is_internal(*o, Internal::Svar))?;
            let entry = core.field(variables, word)?;
            return core.is_internal(entry, Internal::Method).then_some(entry);
        }
        at = Va(core.word(at.back(word))? & !3);
    }
    None
}
