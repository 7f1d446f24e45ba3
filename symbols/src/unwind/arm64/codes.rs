//! ARM64 `.pdata` and `.xdata`: packed records and full unwind codes.
//!
//! Source: "ARM64 exception handling" of the Microsoft documentation. Windows builds: 10.0 and later.

use super::super::Frame;
use super::super::image::Image;
use super::super::step::{Cursor, Env, Missing};
use dumpscope_core::base::arm64;
use dumpscope_core::{ReadMemory, Reg, Rva, Va};

/// Bits of a user address; a signed return address has its signature above them.
const ADDRESS: u64 = (1 << 47) - 1;

/// Why unwind data could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// A stack word is not in the dump.
    Stack(Missing),
    /// The unwind data is missing or makes no sense.
    Data(String),
}

impl From<Missing> for Failure {
    fn from(missing: Missing) -> Failure {
        Failure::Stack(missing)
    }
}

fn bad<T>(text: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Data(text.into()))
}

/// A caller's registers.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) cursor: Cursor,
    /// The frame was entered by an exception: sp and pc come out of a record on the stack.
    pub(super) interrupted: bool,
}

/// A table entry: first byte of the function and its second word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    begin: u32,
    data: u32,
}

/// The table entry that holds `rva`. Fails when it is there but cannot be read.
pub(super) fn lookup(mem: &dyn ReadMemory, image: &Image, rva: Rva) -> Option<Entry> {
    let (table, bytes) = image.pdata?;
    let entry = |i: u32| {
        let at = table.va(image.base).offset(u64::from(i) * 8);
        Some(Entry { begin: mem.u32(at)?, data: mem.u32(at.offset(4))? })
    };
    let (mut low, mut high) = (0u32, bytes / 8);
    while low < high {
        let middle = low + (high - low) / 2;
        if entry(middle)?.begin <= rva.0 { low = middle + 1 } else { high = middle }
    }
    let found = entry(low.checked_sub(1)?)?;
    let offset = rva.0.checked_sub(found.begin)?;
    (offset < length(mem, image.base, found)?).then_some(found)
}

/// Bytes of a function.
fn length(mem: &dyn ReadMemory, base: Va, entry: Entry) -> Option<u32> {
    match entry.data & 3 {
        0 => Some((mem.u32(Rva(entry.data).va(base))? & 0x3_ffff) * 4),
        _ => Some((entry.data >> 2 & 0x7ff) * 4),
    }
}

/// First byte of a function and the first after it; `None` for a fragment, which is entered from elsewhere (packed
/// data with flag 2).
pub(super) fn extent(mem: &dyn ReadMemory, base: Va, entry: Entry) -> Option<(u32, u32)> {
    let whole = entry.data & 3 != 2;
    let end = entry.begin.checked_add(length(mem, base, entry)?)?;
    whole.then_some((entry.begin, end))
}

/// An operation, named by what undoing it does. Each stands for one instruction of four bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Free(u64),
    /// Registers from memory at sp + offset; then sp moves up by `free`.
    Load {
        first: Reg,
        second: Option<Reg>,
        offset: u64,
        free: u64,
    },
    /// The pair after the one that the next `Load` is about.
    LoadNext,
    SpFromFp(u64),
    /// Floating-point registers and instructions without effect on what is tracked; sp moves up.
    Nothing(u64),
    /// A parameter register stored to its home, which epilogues do not undo.
    Home(u64),
    StripLr,
    MachineFrame,
    Context,
}

/// Operations in the order of undoing, and how many of them the function's own prologue has.
struct Codes {
    ops: Vec<Op>,
    prologue: usize,
}

/// Undoes the function that `frame` is in. Volatile registers are left as they are.
pub(super) fn unwind(env: &Env<'_>, base: Va, entry: Entry, frame: &Frame) -> Result<Done, Failure> {
    let ip = frame.ip.rva(base).map_or(entry.begin, |r| r.0);
    let offset = ip.saturating_sub(entry.begin);
    let executed = (offset / 4) as usize;
    let (codes, epilogue) = match entry.data & 3 {
        0 => full(env.mem, Rva(entry.data).va(base), offset, frame.exact_ip)?,
        1 | 2 => packed(entry.data, offset, frame.exact_ip)?,
        _ => return bad("a function entry of a reserved kind"),
    };
    // Only an ip that did not call can be in a prologue or an epilogue.
    let ops = match epilogue {
        Some(ops) => ops,
        None if frame.exact_ip && executed < codes.prologue => {
            codes.ops.get(codes.prologue - executed..).unwrap_or_default().to_vec()
        }
        None => codes.ops,
    };
    run(env, &ops, frame)
}

fn run(env: &Env<'_>, ops: &[Op], frame: &Frame) -> Result<Done, Failure> {
    let mut cursor = Cursor::of(frame);
    let mut following = 0u64;
    for op in ops {
        match *op {
            Op::Free(bytes) | Op::Nothing(bytes) | Op::Home(bytes) => {
                cursor.set_sp(cursor.sp().offset(bytes))
            }
            Op::Load { first, second, offset, free } => {
                let at = cursor.sp().offset(offset);
                cursor.load(env, first, at)?;
                if let Some(second) = second {
                    cursor.load(env, second, at.offset(8))?;
                }
                for i in 1..=following {
                    let Some(reg) = u8::try_from(u64::from(first.0) + i * 2).ok() else { break };
                    // Behind x28 the pairs go on with floating-point registers.
                    if reg < arm64::FP.0 {
                        cursor.load(env, Reg(reg), at.offset(i * 16))?;
                        cursor.load(env, Reg(reg + 1), at.offset(i * 16 + 8))?;
                    }
                }
                following = 0;
                cursor.set_sp(cursor.sp().offset(free));
            }
            Op::LoadNext => following += 1,
            Op::SpFromFp(offset) => match cursor.regs.fp() {
                Some(fp) => cursor.set_sp(fp.back(offset)),
                None => return bad("the frame pointer is not known"),
            },
            Op::StripLr => {
                if let Some(lr) = cursor.regs.get(arm64::LR) {
                    cursor.regs.set(arm64::LR, lr & ADDRESS);
                }
            }
            Op::MachineFrame => {
                let at = cursor.sp();
                let sp = env.mem.u64(at).ok_or(Missing(at))?;
                let pc = env.mem.u64(at.offset(8)).ok_or(Missing(at.offset(8)))?;
                cursor.set_sp(Va(sp));
                cursor.set_ip(Va(pc));
                return Ok(Done { cursor, interrupted: true });
            }
            Op::Context => return context_record(env, cursor),
        }
    }
    match cursor.regs.get(arm64::LR) {
        Some(lr) => cursor.set_ip(Va(lr)),
        None => return bad("the link register is not known"),
    }
    Ok(Done { cursor, interrupted: false })
}

/// An ARM64 `CONTEXT` on the stack: x0 to x28, fp, lr, sp, pc from offset 8 on.
fn context_record(env: &Env<'_>, mut cursor: Cursor) -> Result<Done, Failure> {
    let at = cursor.sp();
    for reg in 0..=arm64::PC.0 {
        cursor.load(env, Reg(reg), at.offset(8 + u64::from(reg) * 8))?;
    }
    Ok(Done { cursor, interrupted: true })
}

/// Decodes an `.xdata` record. The second value: the operations left when `offset` is inside an epilogue.
fn full(mem: &dyn ReadMemory, at: Va, offset: u32, exact: bool) -> Result<(Codes, Option<Vec<Op>>), Failure> {
    let Some(head) = mem.u32(at) else { return bad("the .xdata record is not in memory") };
    if head >> 18 & 3 != 0 {
        return bad(format!(".xdata version {}", head >> 18 & 3));
    }
    let size = (head & 0x3_ffff) * 4;
    let single = head >> 21 & 1 == 1;
    let (mut epilogues, mut words) = (head >> 22 & 0x1f, head >> 27);
    let mut next = at.offset(4);
    if epilogues == 0 && words == 0 {
        let Some(extra) = mem.u32(next) else { return bad("the .xdata record is not in memory") };
        (epilogues, words) = (extra & 0xffff, extra >> 16 & 0xff);
        next = next.offset(4);
    }
    let scopes = next;
    if !single {
        next = next.offset(u64::from(epilogues) * 4);
    }
    // At most 255 words.
    let mut bytes = vec![0u8; words as usize * 4];
    let got = mem.read_at(next, &mut bytes).got;
    if got < bytes.len() {
        return bad("unwind codes are not in memory");
    }
    let codes = decode(&bytes, 0)?;
    if !exact || offset / 4 < codes.prologue as u32 {
        return Ok((codes, None));
    }
    let inside = |start: u32, index: u32| -> Result<Option<Vec<Op>>, Failure> {
        let Some(done) = offset.checked_sub(start) else { return Ok(None) };
        let epilogue = decode(&bytes, index as usize)?;
        let done = (done / 4) as usize;
        // The return is one more instruction.
        Ok((done <= epilogue.prologue).then(|| epilogue.ops.get(done..).unwrap_or_default().to_vec()))
    };
    let left = if single {
        let epilogue = decode(&bytes, epilogues as usize)?;
        inside(size.saturating_sub((epilogue.prologue as u32 + 1) * 4), epilogues)?
    } else {
        let mut left = None;
        for i in 0..u64::from(epilogues) {
            let Some(scope) = mem.u32(scopes.offset(i * 4)) else {
                return bad("epilogue scopes are cut off");
            };
            left = inside((scope & 0x3_ffff) * 4, scope >> 22)?;
            if left.is_some() {
                break;
            }
        }
        left
    };
    Ok((codes, left))
}

/// Decodes operations from `index` on to the end code.
fn decode(bytes: &[u8], index: usize) -> Result<Codes, Failure> {
    let mut ops = Vec::new();
    let mut prologue = None;
    let mut rest = bytes.get(index..).unwrap_or_default();
    loop {
        let Some((&first, tail)) = rest.split_first() else { return bad("unwind codes without an end") };
        match first {
            0xe4 => break,
            // The end of this fragment's own prologue; what follows is that of the function it belongs to.
            0xe5 => {
                prologue = prologue.or(Some(ops.len()));
                rest = tail;
                continue;
            }
            _ => {}
        }
        let Some((op, length)) = operation(rest) else {
            return bad(format!("unwind code {first:#04x}"));
        };
        ops.push(op);
        rest = rest.get(length..).unwrap_or_default();
    }
    let prologue = prologue.unwrap_or(ops.len());
    Ok(Codes { ops, prologue })
}

/// Decodes one operation; gives it with its length.
fn operation(bytes: &[u8]) -> Option<(Op, usize)> {
    let (&a, tail) = bytes.split_first()?;
    let b = tail.first().copied();
    // Two bytes, most significant first.
    let wide = || b.map(|b| u64::from(a) << 8 | u64::from(b));
    let low6 = u64::from(a & 0x3f);
    let x = |n: u64| Reg(19u8.saturating_add(n as u8));
    let pair = |first: Reg, offset, free| Op::Load { first, second: Some(Reg(first.0 + 1)), offset, free };
    let single = |first, offset, free| Op::Load { first, second: None, offset, free };
    let fp_lr = |offset, free| pair(arm64::FP, offset, free);
    Some(match a {
        0x00..=0x1f => (Op::Free(u64::from(a & 0x1f) * 16), 1),
        0x20..=0x3f => (pair(arm64::X19, 0, u64::from(a & 0x1f) * 8), 1),
        0x40..=0x7f => (fp_lr(low6 * 8, 0), 1),
        0x80..=0xbf => (fp_lr(0, (low6 + 1) * 8), 1),
        0xc0..=0xc7 => (Op::Free((wide()? & 0x7ff) * 16), 2),
        0xc8..=0xcb => {
            let w = wide()?;
            (pair(x(w >> 6 & 15), (w & 0x3f) * 8, 0), 2)
        }
        0xcc..=0xcf => {
            let w = wide()?;
            (pair(x(w >> 6 & 15), 0, ((w & 0x3f) + 1) * 8), 2)
        }
        0xd0..=0xd3 => {
            let w = wide()?;
            (single(x(w >> 6 & 15), (w & 0x3f) * 8, 0), 2)
        }
        0xd4..=0xd5 => {
            let w = wide()?;
            (single(x(w >> 5 & 15), 0, ((w & 0x1f) + 1) * 8), 2)
        }
        0xd6..=0xd7 => {
            let w = wide()?;
            let first = x((w >> 6 & 7) * 2);
            (Op::Load { first, second: Some(arm64::LR), offset: (w & 0x3f) * 8, free: 0 }, 2)
        }
        0xd8..=0xd9 | 0xdc..=0xdd => (Op::Nothing(0), wide().map(|_| 2)?),
        0xda..=0xdb => (Op::Nothing(((wide()? & 0x3f) + 1) * 8), 2),
        0xde => (Op::Nothing(((wide()? & 0x1f) + 1) * 8), 2),
        0xe0 => match tail {
            [b, c, d, ..] => (Op::Free(u64::from(u32::from_be_bytes([0, *b, *c, *d])) * 16), 4),
            _ => return None,
        },
        0xe1 => (Op::SpFromFp(0), 1),
        0xe2 => (Op::SpFromFp(u64::from(b?) * 8), 2),
        0xe3 | 0xec => (Op::Nothing(0), 1),
        0xe6 => (Op::LoadNext, 1),
        0xe7 => match tail {
            [b, c, ..] => (any_register(*b, *c)?, 3),
            _ => return None,
        },
        0xe9 => (Op::MachineFrame, 1),
        0xea => (Op::Context, 1),
        0xfc => (Op::StripLr, 1),
        _ => return None,
    })
}

/// `save_any_reg`: `0pxrrrrr ttoooooo`, pair, pre-indexed, register, kind, offset.
fn any_register(b: u8, c: u8) -> Option<Op> {
    let (is_pair, moves, reg) = (b & 0x40 != 0, b & 0x20 != 0, b & 0x1f);
    let kind = c >> 6;
    if b & 0x80 != 0 || kind == 3 {
        return None;
    }
    let unit = if is_pair || moves || kind == 2 { 16 } else { 8 };
    let distance = u64::from(c & 0x3f) * unit;
    let (offset, free) = if moves { (0, distance) } else { (distance, 0) };
    if kind != 0 {
        return Some(Op::Nothing(free));
    }
    let second = is_pair.then_some(Reg(reg + 1)).filter(|r| *r <= arm64::LR);
    (reg <= arm64::LR.0).then_some(Op::Load { first: Reg(reg), second, offset, free })
}

/// Expands a packed record to the canonical prologue that it stands for.
fn packed(data: u32, offset: u32, exact: bool) -> Result<(Codes, Option<Vec<Op>>), Failure> {
    let size = (data >> 2 & 0x7ff) * 4;
    let (reg_f, reg_i) = (u64::from(data >> 13 & 7), u64::from(data >> 16 & 15));
    let (homes, chained) = (data >> 20 & 1 == 1, data >> 21 & 3);
    let frame = u64::from(data >> 23) * 16;
    if reg_i > 10 {
        return bad("a packed record saves registers that do not exist");
    }
    let ints = reg_i * 8 + if chained == 1 { 8 } else { 0 };
    let floats = if reg_f > 0 { (reg_f + 1) * 8 } else { 0 };
    let saves = (ints + floats + if homes { 64 } else { 0 }).next_multiple_of(16);
    let Some(locals) = frame.checked_sub(saves) else {
        return bad("a packed record's frame is smaller than what it saves");
    };
    // In the prologue's order; undoing goes backwards.
    let mut ops = Vec::new();
    if chained == 2 {
        ops.push(Op::StripLr);
    }
    let mut at = 0;
    // Only the first store moves sp.
    let free_once = |ops: &[Op]| {
        let moved = ops.iter().any(|o| !matches!(o, Op::StripLr));
        if moved { 0 } else { saves }
    };
    let mut i = 0;
    while i < reg_i {
        let first = Reg(19 + i as u8);
        let second = if i + 1 < reg_i { Some(Reg(first.0 + 1)) } else { (chained == 1).then_some(arm64::LR) };
        let free = free_once(&ops);
        ops.push(Op::Load { first, second, offset: at, free });
        at += 16;
        i += 2;
    }
    if chained == 1 && reg_i % 2 == 0 {
        let free = free_once(&ops);
        ops.push(Op::Load { first: arm64::LR, second: None, offset: reg_i * 8, free });
    }
    for _ in 0..(if reg_f > 0 { (reg_f + 2) / 2 } else { 0 }) {
        let free = free_once(&ops);
        ops.push(Op::Nothing(free));
    }
    let homed = if homes { 4 } else { 0 };
    for _ in 0..homed {
        let free = free_once(&ops);
        ops.push(Op::Home(free));
    }
    if chained >= 2 {
        if locals <= 512 {
            ops.push(Op::Load { first: arm64::FP, second: Some(arm64::LR), offset: 0, free: locals });
        } else {
            allocate(&mut ops, locals);
            ops.push(Op::Load { first: arm64::FP, second: Some(arm64::LR), offset: 0, free: 0 });
        }
        ops.push(Op::SpFromFp(0));
    } else if locals > 0 {
        allocate(&mut ops, locals);
    }
    ops.reverse();
    // A fragment has no prologue of its own.
    let prologue = if data & 3 == 2 { 0 } else { ops.len() };
    let in_prologue = offset / 4 < prologue as u32;
    let mut left = None;
    if exact && !in_prologue && data & 3 == 1 {
        // The epilogue mirrors the prologue, without setting fp and without the home stores (but for their sp).
        let undone: Vec<Op> =
            ops.iter().copied().filter(|o| !matches!(o, Op::SpFromFp(_) | Op::Home(0))).collect();
        let start = size.saturating_sub((undone.len() as u32 + 1) * 4);
        if let Some(done) = offset.checked_sub(start) {
            left = Some(undone.get((done / 4) as usize..).unwrap_or_default().to_vec());
        }
    }
    Ok((Codes { ops, prologue }, left))
}

/// `sub sp, sp, #n`, in two instructions when it does not fit in one.
fn allocate(ops: &mut Vec<Op>, bytes: u64) {
    if bytes > 4080 {
        ops.push(Op::Free(4080));
        ops.push(Op::Free(bytes - 4080));
    } else {
        ops.push(Op::Free(bytes));
    }
}
