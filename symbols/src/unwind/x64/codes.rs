//! `RUNTIME_FUNCTION` and `UNWIND_INFO`.
//!
//! Source: "x64 exception handling" of the Microsoft documentation (structures, unwind procedure); version 2
//! (`UWOP_EPILOG`) as CoreCLR's MIT-licensed unwinder documents it. Windows builds: 5.2 and later.

use super::super::Frame;
use super::super::image::Image;
use super::super::step::{Cursor, Env, Missing};
use super::epilogue;
use dumpscope_core::base::amd64;
use dumpscope_core::{ReadMemory, Reg, RegSet, Rva, Va};

/// `UNW_FLAG_CHAININFO`.
const CHAININFO: u8 = 4;

/// A `RUNTIME_FUNCTION`: RVAs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuntimeFunction {
    pub(crate) begin: u32,
    pub(crate) end: u32,
    pub(crate) unwind: u32,
}

impl RuntimeFunction {
    pub(crate) fn read(mem: &dyn ReadMemory, at: Va) -> Option<RuntimeFunction> {
        Some(RuntimeFunction {
            begin: mem.u32(at)?,
            end: mem.u32(at.offset(4))?,
            unwind: mem.u32(at.offset(8))?,
        })
    }
}

/// Why unwind data could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
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
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) cursor: Cursor,
    pub(crate) return_slot: Va,
    /// The frame was entered by an exception or interrupt: a machine frame held ip and sp.
    pub(crate) interrupted: bool,
    /// The bytes at the ip are not in the dump, so nobody looked for an epilogue.
    pub(crate) code_unknown: bool,
}

/// The table entry that holds `rva`, by binary search in memory.
pub(crate) fn lookup(mem: &dyn ReadMemory, image: &Image, rva: Rva) -> Option<RuntimeFunction> {
    let (table, bytes) = image.pdata?;
    let entry = |i: u32| RuntimeFunction::read(mem, table.va(image.base).offset(u64::from(i) * 12));
    let (mut low, mut high) = (0u32, bytes / 12);
    while low < high {
        let middle = low + (high - low) / 2;
        if entry(middle)?.begin <= rva.0 { low = middle + 1 } else { high = middle }
    }
    let found = entry(low.checked_sub(1)?)?;
    (rva.0 < found.end).then_some(found)
}

/// Follows entries that only point to another one (bit 0 of the unwind data) and gives the entry with real data.
fn resolve(env: &Env<'_>, base: Va, mut function: RuntimeFunction) -> Result<RuntimeFunction, Failure> {
    for _ in 0..env.limits.chain {
        if function.unwind & 1 == 0 {
            return Ok(function);
        }
        let at = Rva(function.unwind & !1).va(base);
        function = match RuntimeFunction::read(env.mem, at) {
            Some(f) => f,
            None => return bad("an indirect function entry is not in memory"),
        };
    }
    bad("too many indirect function entries")
}

/// Follows chained unwind infos to the piece of the function that calls enter.
pub(crate) fn first_piece(
    mem: &dyn ReadMemory,
    base: Va,
    function: RuntimeFunction,
) -> Option<RuntimeFunction> {
    let mut function = function;
    for _ in 0..super::super::Limits::default().chain {
        if function.unwind & 1 != 0 {
            function = RuntimeFunction::read(mem, Rva(function.unwind & !1).va(base))?;
            continue;
        }
        match Info::read(mem, Rva(function.unwind).va(base)).ok()?.chained {
            Some(next) => function = next,
            None => return Some(function),
        }
    }
    None
}

/// One `UNWIND_INFO`.
struct Info {
    version: u8,
    flags: u8,
    prologue: u8,
    frame_reg: Option<Reg>,
    frame_offset: u64,
    /// Two bytes each: offset in the prologue, operation.
    codes: Vec<[u8; 2]>,
    chained: Option<RuntimeFunction>,
}

impl Info {
    fn read(mem: &dyn ReadMemory, at: Va) -> Result<Info, Failure> {
        let Some(word) = mem.u32(at) else { return bad("UNWIND_INFO is not in memory") };
        let [head, prologue, count, frame] = word.to_le_bytes();
        let version = head & 7;
        if version != 1 && version != 2 {
            return bad(format!("UNWIND_INFO version {version}"));
        }
        let mut raw = vec![0u8; usize::from(count) * 2];
        if mem.read_at(at.offset(4), &mut raw).got < raw.len() {
            return bad("unwind codes are not in memory");
        }
        let flags = head >> 3;
        let chained = if flags & CHAININFO != 0 {
            // The entry is aligned to 4 bytes behind the codes.
            let behind = at.offset(4 + u64::from(count).next_multiple_of(2) * 2);
            match RuntimeFunction::read(mem, behind) {
                Some(f) => Some(f),
                None => return bad("a chained function entry is not in memory"),
            }
        } else {
            None
        };
        Ok(Info {
            version,
            flags,
            prologue,
            frame_reg: (frame & 15 != 0).then_some(Reg(frame & 15)),
            frame_offset: u64::from(frame >> 4) * 16,
            codes: raw.as_chunks::<2>().0.to_vec(),
            chained,
        })
    }
}

/// A decoded operation, named by what undoing it does.
enum Op {
    Pop(Reg),
    Free(u64),
    SpFromFrame,
    Load(Reg, u64),
    MachineFrame {
        error_code: bool,
    },
    /// Saved xmm registers and epilogue positions.
    Nothing,
}

/// Decodes the operation at the head of `codes`; gives it with the number of slots it takes.
fn decode(version: u8, codes: &[[u8; 2]]) -> Result<(Op, usize), Failure> {
    let Some(([_, head], rest)) = codes.split_first() else { return bad("no unwind code") };
    let (op, info) = (head & 15, head >> 4);
    let short = || rest.first().map(|b| u64::from(u16::from_le_bytes(*b)));
    let long = || match rest {
        [[a, b], [c, d], ..] => Some(u64::from(u32::from_le_bytes([*a, *b, *c, *d]))),
        _ => None,
    };
    let decoded = match (op, info) {
        (0, _) => Some((Op::Pop(Reg(info)), 1)),
        (1, 0) => short().map(|n| (Op::Free(n * 8), 2)),
        (1, 1) => long().map(|n| (Op::Free(n), 3)),
        (2, _) => Some((Op::Free(u64::from(info) * 8 + 8), 1)),
        (3, _) => Some((Op::SpFromFrame, 1)),
        (4, _) => short().map(|n| (Op::Load(Reg(info), n * 8), 2)),
        (5, _) => long().map(|n| (Op::Load(Reg(info), n), 3)),
        // Version 2: positions of epilogues, one slot each. Version 1: the old SAVE_XMM.
        (6, _) if version >= 2 => Some((Op::Nothing, 1)),
        (6 | 8, _) => Some((Op::Nothing, 2)),
        (7 | 9, _) => Some((Op::Nothing, 3)),
        (10, 0 | 1) => Some((Op::MachineFrame { error_code: info == 1 }, 1)),
        _ => return bad(format!("unwind operation {op} with info {info}")),
    };
    match decoded {
        Some(d) => Ok(d),
        None => bad("the last unwind operation is cut off"),
    }
}

/// What the epilogue records of a version 2 info say about `offset` bytes into a function of `size` bytes:
/// inside an epilogue or not. `None` without such records.
fn epilogue_recorded(info: &Info, offset: u32, size: u32) -> Option<bool> {
    if info.version < 2 {
        return None;
    }
    let mut records = info.codes.iter().take_while(|[_, op]| op & 15 == 6);
    let [length, head] = records.next()?;
    let length = u32::from(*length);
    let inside =
        |back: u32| size.checked_sub(back).is_some_and(|start| offset >= start && offset - start < length);
    let at_end = head >> 4 & 1 == 1 && inside(length);
    Some(
        at_end
            || records
                .map(|[low, op]| u32::from(*low) | u32::from(op >> 4) << 8)
                .any(|b| b != 0 && inside(b)),
    )
}

/// Undoes the function that `frame` is in. Volatile registers are left as they are.
pub(crate) fn unwind(
    env: &Env<'_>,
    (base, function): (Va, RuntimeFunction),
    frame: &Frame,
) -> Result<Done, Failure> {
    let mut cursor = Cursor::of(frame);
    let mut function = resolve(env, base, function)?;
    let mut info = Info::read(env.mem, Rva(function.unwind).va(base))?;
    let ip = frame.ip.rva(base).map_or(function.begin, |r| r.0);
    let offset = ip.saturating_sub(function.begin);
    let in_prologue = offset < u32::from(info.prologue);
    let mut code_unknown = false;
    // Nobody calls from an epilogue: only an exact ip can be in one.
    if frame.exact_ip && !in_prologue {
        let size = function.end.saturating_sub(function.begin);
        if epilogue_recorded(&info, offset, size) != Some(false) {
            let place = epilogue::Place { base, begin: function.begin, end: function.end };
            match epilogue::run(env, Some(&place), frame.ip, info.frame_reg, &mut cursor)? {
                epilogue::Found::Yes(return_slot) => {
                    return Ok(Done { cursor, return_slot, interrupted: false, code_unknown: false });
                }
                epilogue::Found::No => {}
                epilogue::Found::CodeUnknown => code_unknown = true,
            }
        }
    }
    // Visited infos: a chain that comes back to one would repeat its pops for ever.
    let mut visited = Vec::new();
    let mut limit = in_prologue.then_some(offset);
    loop {
        if visited.contains(&function.unwind) {
            return bad("the chain of unwind infos is a loop");
        }
        if visited.len() >= env.limits.chain {
            return bad("the chain of unwind infos is too long");
        }
        visited.push(function.unwind);
        if let Some((return_slot, sp)) = undo(env, &info, limit, &mut cursor)? {
            cursor.set_sp(sp);
            return Ok(Done { cursor, return_slot, interrupted: true, code_unknown });
        }
        // The prologue of what it is chained to ran completely.
        limit = None;
        let Some(next) = info.chained else { break };
        function = resolve(env, base, next)?;
        info = Info::read(env.mem, Rva(function.unwind).va(base))?;
    }
    let return_slot = cursor.ret(env)?;
    Ok(Done { cursor, return_slot, interrupted: false, code_unknown })
}

/// Undoes one info's operations; those that `limit` (bytes of the prologue that ran) says are not done yet are
/// left out. Gives the slot of the ip and the sp out of a machine frame.
fn undo(
    env: &Env<'_>,
    info: &Info,
    limit: Option<u32>,
    cursor: &mut Cursor,
) -> Result<Option<(Va, Va)>, Failure> {
    let is_done = |at: u8| limit.is_none_or(|l| u32::from(at) <= l);
    // Save slots count from the frame register if it is set up by now, else from rsp.
    let mut codes = info.codes.as_slice();
    let mut frame_base = cursor.sp();
    if let Some(reg) = info.frame_reg {
        let set = limit.is_none()
            || info.codes.iter().any(|[at, op]| op & 15 == 3 && is_done(*at))
            || info.flags & CHAININFO != 0;
        if set {
            frame_base = frame_value(info, reg, &cursor.regs)?;
        }
    }
    while let Some([at, _]) = codes.first() {
        let (op, slots) = decode(info.version, codes)?;
        let ran = is_done(*at);
        codes = codes.get(slots..).unwrap_or_default();
        if !ran {
            continue;
        }
        match op {
            Op::Pop(reg) => cursor.pop(env, reg)?,
            Op::Free(bytes) => cursor.set_sp(cursor.sp().offset(bytes)),
            Op::SpFromFrame => match info.frame_reg {
                Some(reg) => cursor.set_sp(frame_value(info, reg, &cursor.regs)?),
                None => return bad("SET_FPREG without a frame register"),
            },
            Op::Load(reg, offset) => cursor.load(env, reg, frame_base.offset(offset))?,
            Op::MachineFrame { error_code } => {
                let ip_slot = cursor.sp().offset(if error_code { 8 } else { 0 });
                let sp_slot = ip_slot.offset(24);
                let ip = env.mem.u64(ip_slot).ok_or(Missing(ip_slot))?;
                let sp = env.mem.u64(sp_slot).ok_or(Missing(sp_slot))?;
                cursor.set_ip(Va(ip));
                return Ok(Some((ip_slot, Va(sp))));
            }
            Op::Nothing => {}
        }
    }
    Ok(None)
}

fn frame_value(info: &Info, reg: Reg, regs: &RegSet) -> Result<Va, Failure> {
    match regs.get(reg) {
        Some(value) => Ok(Va(value).back(info.frame_offset)),
        None => {
            let name = amd64::NAMES.get(usize::from(reg.0)).copied().unwrap_or("?");
            bad(format!("the frame register {name} is not known"))
        }
    }
}
