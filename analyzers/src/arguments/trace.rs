//! Where a value came from: from a frame's register back through moves, loads, arguments and returns, over all paths
//! or not at all.

use super::flow::{Analysis, CallSite, Point, Survey};
use super::frames::{self, Frame};
use super::ir::{Callee, Mem, RegNo, Val};
use super::names::{Root, Sym};
use super::state::Source;
use super::values::{at_offset, evaluate};
use crate::model::Stack;
use crate::{Cancel, Target};
use dumpscope_core::{Machine, ReadMemory, Reg, Va};
use dumpscope_symbols::Trust;
use std::sync::Arc;

/// Most steps back.
const MAX_STEPS: usize = 48;
/// Most memory reads in a row for one address.
const DEPTH: usize = 4;

/// What one step back found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// It was the function's argument in this register or at this offset from its return address; the caller's
    /// instruction set it.
    Argument(Place),
    /// A register that the callee left alone or gave back: the caller's own.
    Kept(Reg),
    /// The instruction widened or narrowed it.
    Derived,
    /// The instruction read it from a fixed address.
    Global {
        /// The address.
        address: Va,
        /// What lies there now.
        holds: Option<u64>,
    },
    /// The instruction read it from an object.
    Field {
        /// The object's name for further questions.
        object: Name,
        /// The object's address.
        base: Option<Va>,
        /// Bytes behind it.
        offset: i64,
        /// What lies there now.
        holds: Option<u64>,
    },
    /// The call returned it.
    Returned {
        /// What was called.
        callee: Option<Va>,
    },
    /// The code has it as a constant.
    Constant(u64),
    /// The address of something on the function's own stack.
    Local,
    /// The instruction computed it from several values, or in a way that is not followed.
    Computed,
    /// It differs between the paths that lead here.
    Merged,
    /// Nothing more is known.
    Lost,
}

/// Where an argument was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Register(Reg),
    Stack(i32),
}

/// A value's name in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(super) frame: usize,
    pub(super) sym: Sym,
}

/// A step back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Row of the stack whose function did it.
    pub(crate) row: usize,
    /// The instruction; `None` where there is no single one.
    pub(crate) at: Option<Va>,
    pub(crate) what: What,
}

/// The way of a value, the newest step first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) steps: Vec<Step>,
    /// The name after each step that led on.
    pub(crate) names: Vec<Name>,
    /// The name of the value where the trace ends, for questions about what it points to.
    pub(crate) end: Name,
    /// Every step is what the code says on all paths; no doubtful frame or call is on the way.
    pub(crate) sure: bool,
}

/// A write that the code shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Writer {
    /// Row of the stack whose function wrote, or called the function that did.
    pub(crate) row: usize,
    /// The storing instruction.
    pub(crate) at: Va,
    /// The call of the function that stores, when it is none of the stack's.
    pub(crate) through: Option<Va>,
    /// What it stores, when that is a constant.
    pub(crate) value: Option<u64>,
}

/// A stack ready for questions.
pub(crate) struct Tracer<'s> {
    cx: Analysis<'s>,
    frames: Vec<Frame<'s>>,
}

impl<'s> Tracer<'s> {
    /// `None` where code of the machine is not understood, or when asked to stop.
    pub(crate) fn new(target: &'s Target, stack: &'s Stack, cancel: &Cancel) -> Option<Tracer<'s>> {
        if target.foreign().is_some() {
            return None;
        }
        let cx = Analysis::new(target, stack.machine)?;
        let frames = frames::solved(&cx, stack, cancel)?;
        Some(Tracer { cx, frames })
    }

    /// Row of the stack of a physical frame.
    pub(crate) fn row(&self, frame: usize) -> Option<usize> {
        Some(self.frames.get(frame)?.row)
    }

    /// Row of the stack of a name's frame.
    pub(crate) fn row_of(&self, name: Name) -> Option<usize> {
        self.row(name.frame)
    }

    /// The name of a register before the instruction (or the call) where a frame stands.
    pub(crate) fn register(&self, frame: usize, reg: Reg) -> Option<Name> {
        let point = self.frames.get(frame)?.point.as_ref()?;
        Some(Name { frame, sym: point.before.reg(reg.0) })
    }

    /// What a frame's call went through: a register or memory. `None` for direct calls.
    pub(crate) fn called_through(&self, frame: usize) -> Option<Called> {
        let point = self.frames.get(frame)?.point.as_ref()?;
        let CallSite { at, callee, .. } = point.call?;
        match callee {
            Callee::Direct(_) => None,
            Callee::Through(Val::Reg(reg, 0)) => {
                Some(Called { at, name: Name { frame, sym: point.before.reg(reg) }, field: None })
            }
            Callee::Through(Val::Load(Mem { base: Some(base), disp, fuzzy: false })) => {
                let (name, field) = self.loaded(frame, Reg(base), disp)?;
                Some(Called { at, name, field })
            }
            Callee::Through(_) => None,
        }
    }

    /// What a frame's instruction or call reads `disp` bytes behind a register: the value's own name on its stack, else
    /// the object's name and the offset in it.
    pub(crate) fn loaded(&self, frame: usize, reg: Reg, disp: i64) -> Option<(Name, Option<i64>)> {
        let point = self.frames.get(frame)?.point.as_ref()?;
        let sym = point.before.reg(reg.0);
        let abi = self.cx.abi;
        let Some(offset) = sym.plus(disp, abi).sp_offset(abi) else {
            return Some((Name { frame, sym: Sym { add: 0, ..sym } }, Some(sym.add.wrapping_add(disp))));
        };
        Some((Name { frame, sym: point.before.load_slot(offset, abi.word) }, None))
    }

    /// Calls that a frame's code made before it got to where it stands, with the object as an argument: their places
    /// and where they lead.
    pub(crate) fn handed(&self, name: Name) -> Vec<(Va, Option<Va>)> {
        let of = || {
            let frame = self.frames.get(name.frame)?;
            let point = frame.point.as_ref()?;
            let f = &frame.frame.frame;
            let here = point.call.map_or(f.ip, |c| c.at);
            let survey = self.cx.survey(point.entry, f.ip, f.exact_ip, frame.entry_sp)?;
            let calls = survey.calls.iter().filter(|(at, _)| **at < here.0);
            let given = |s: &Sym| {
                s.root == name.sym.root
                    && s.add == name.sym.add
                    && !matches!(s.root, Root::Unknown | Root::Const)
            };
            let with = calls.filter(|(_, c)| c.args.iter().any(|(_, s)| given(s)));
            Some(with.map(|(at, c)| (Va(*at), c.target.map(|t| self.cx.behind_jumps(t)))).collect())
        };
        of().unwrap_or_default()
    }

    /// Goes back from a name to where its value was made.
    pub(crate) fn back(&self, from: Name) -> Trace {
        let mut out = Trace { steps: Vec::new(), names: Vec::new(), end: from, sure: true };
        let mut by = 0;
        for _ in 0..MAX_STEPS {
            let Some(frame) = self.frames.get(out.end.frame) else { break };
            let Some(point) = frame.point.clone() else {
                out.push(frame.row, by, What::Lost);
                break;
            };
            out.sure &= !point.weak && frame.frame.trust != Trust::Scan;
            match self.step(frame, &point, out.end, by) {
                Found::On(step, next, cell) => {
                    out.sure &= !step.doubtful;
                    out.steps.push(Step { row: frame.row, at: some(step.at), what: step.what });
                    out.end = next;
                    out.names.push(next);
                    by = cell;
                }
                Found::End(at, what) => {
                    out.push(frame.row, at, what);
                    break;
                }
            }
        }
        out
    }

    fn step(&self, frame: &Frame<'_>, point: &Point, name: Name, by: u64) -> Found {
        let sym = name.sym;
        match sym.root {
            Root::Unknown => Found::End(by, What::Lost),
            Root::Const => Found::End(by, What::Constant(self.cx.abi.wrap(sym.add.cast_unsigned()))),
            Root::Sp => Found::End(by, What::Local),
            Root::Entry(reg) => self.to_caller(frame, name, Place::Register(Reg(reg))),
            Root::Stack(offset) => self.to_caller(frame, name, Place::Stack(offset)),
            Root::Met(..) => Found::End(by, What::Merged),
            Root::Made(at, _) => self.made(frame, point, name, at),
        }
    }

    /// On to the caller, which put the value where the function found it.
    fn to_caller(&self, frame: &Frame<'_>, name: Name, place: Place) -> Found {
        let lost = Found::End(0, What::Lost);
        let Some(caller) = self.frames.get(name.frame + 1) else { return lost };
        let Some(point) = &caller.point else { return lost };
        let verified = frames::verified(&self.cx, frame, caller);
        if point.call.is_none() || verified == Some(false) {
            return lost;
        }
        let abi = self.cx.abi;
        let cell = match place {
            Place::Register(reg) => point.before.regs.get(usize::from(reg.0)).copied(),
            Place::Stack(offset) => {
                let pushed = if abi.pushes_return { i32::from(abi.word) } else { 0 };
                let slot = point.before.sp(abi).and_then(|sp| sp.checked_add(offset.checked_sub(pushed)?));
                slot.and_then(|o| point.before.slots.get(&o)).map(|s| s.cell)
            }
        };
        let Some(cell) = cell else { return lost };
        let kept = |r: RegNo| abi.kept.contains(&r) || r == abi.fp;
        let what = match place {
            Place::Register(reg) if kept(reg.0) => What::Kept(reg),
            place => What::Argument(place),
        };
        let sym = if name.sym.add == 0 { cell.sym } else { cell.sym.plus(name.sym.add, abi) };
        let step = Taken { at: cell.by, what, doubtful: caller.frame.trust == Trust::Scan };
        Found::On(step, Name { frame: name.frame + 1, sym }, cell.by)
    }

    /// The instruction at `at` made it.
    fn made(&self, frame: &Frame<'_>, point: &Point, name: Name, at: u64) -> Found {
        let Some(function) = self.cx.function(point.entry) else { return Found::End(at, What::Lost) };
        let insn =
            function.find(|i| i.at == at).and_then(|(b, n)| function.blocks.get(&b)?.insns.get(n).cloned());
        let Some(insn) = insn else { return Found::End(at, What::Lost) };
        if let super::ir::Flow::Call(callee) = insn.flow {
            let there = self.cx.point(point.entry, Va(insn.next()), false, frame.entry_sp);
            let target = match callee {
                Callee::Direct(to) => Some(Va(to)),
                Callee::Through(_) => there.and_then(|p| p.call.and_then(|c| c.target)),
            };
            return Found::End(at, What::Returned { callee: target.map(|t| self.cx.behind_jumps(t)) });
        }
        let memory = self.cx.target.dump.memory();
        let read = |va: Va| memory.ptr(va, self.cx.machine).map(|v| v.0);
        match point.sources.get(&at) {
            Some(Source::Global(va)) => {
                return Found::End(at, What::Global { address: Va(*va), holds: read(Va(*va)) });
            }
            Some(Source::Behind(sym)) => {
                let object = Name { frame: name.frame, sym: Sym { add: 0, ..*sym } };
                let address = evaluate(&self.cx, frame, point, *sym, DEPTH).map(|v| Va(v.bits));
                let base = address.map(|a| at_offset(self.cx.abi, a, sym.add.wrapping_neg()));
                let holds = address.and_then(read);
                return Found::End(at, What::Field { object, base, offset: sym.add, holds });
            }
            None => {}
        }
        // Widening: one register is the source.
        let there = self.cx.point(point.entry, Va(at), true, frame.entry_sp);
        if let (Some(there), Some(reg)) = (there, self.only_source(at)) {
            let cell = there.before.regs.get(usize::from(reg.0)).copied();
            if let Some(cell) = cell.filter(|c| c.sym.root != name.sym.root) {
                let step = Taken { at, what: What::Derived, doubtful: false };
                return Found::On(step, Name { frame: name.frame, sym: cell.sym }, cell.by);
            }
        }
        Found::End(at, What::Computed)
    }

    /// The register that an instruction widens.
    fn only_source(&self, at: u64) -> Option<Reg> {
        use iced_x86::{Code, Decoder, DecoderOptions, Mnemonic as M, OpKind, Register};
        let bits = match self.cx.machine {
            Machine::X86 => 32,
            Machine::Amd64 => 64,
            _ => return None,
        };
        let mut bytes = [0u8; 16];
        let got = self.cx.target.dump.memory().read_at(Va(at), &mut bytes).got;
        let i = Decoder::with_ip(bits, bytes.get(..got)?, at, DecoderOptions::NONE).decode();
        let reg = |r: Register| {
            let full = r.is_gpr().then(|| r.full_register() as usize)?;
            Some(Reg(u8::try_from(full.checked_sub(Register::RAX as usize)?).ok()?))
        };
        if matches!(i.code(), Code::Cdqe | Code::Cwde) {
            return Some(Reg(0));
        }
        let register = |n: u32| (i.op_kind(n) == OpKind::Register).then(|| i.op_register(n));
        // Other arithmetic makes a new value: there the search ends.
        matches!(i.mnemonic(), M::Movsxd | M::Movsx | M::Movzx | M::Mov).then(|| reg(register(1)?))?
    }

    /// Stores to `offset` bytes behind the object `name` that the code of its frame shows, or that of functions which
    /// the frame calls with the object; the last one by address.
    pub(crate) fn writer(&self, name: Name, offset: i64) -> Option<Writer> {
        let frame = self.frames.get(name.frame)?;
        let point = frame.point.as_ref()?;
        let abi = self.cx.abi;
        let wanted = name.sym.plus(offset, abi);
        let row = frame.row;
        let constant = |sym: Sym| (sym.root == Root::Const).then(|| abi.wrap(sym.add.cast_unsigned()));
        if let Some(at) = wanted.sp_offset(abi) {
            // An object on the frame's own stack: its slots are followed.
            let low = at.saturating_sub(64);
            let slot = point.before.slots.range(low..=at).rev().find(|(o, s)| at - **o < i32::from(s.bytes));
            if let Some((_, slot)) = slot.filter(|(_, s)| s.cell.by != 0) {
                return Some(Writer {
                    row,
                    at: Va(slot.cell.by),
                    through: None,
                    value: constant(slot.cell.sym),
                });
            }
        }
        let survey =
            self.cx.survey(point.entry, frame.frame.frame.ip, frame.frame.frame.exact_ip, frame.entry_sp)?;
        let covers = |address: Sym, bytes: u16, wanted: Sym| {
            let behind = wanted.add.wrapping_sub(address.add);
            address.root == wanted.root && behind >= 0 && behind < i64::from(bytes)
        };
        let here = point.call.map_or(frame.frame.frame.ip, |c| c.at);
        let own =
            survey.stores.iter().rev().find(|(at, s)| **at < here.0 && covers(s.address, s.bytes, wanted));
        let own = own.map(|(at, s)| Writer { row, at: Va(*at), through: None, value: constant(s.value) });
        let called = survey.calls.iter().rev().filter(|(at, _)| **at < here.0).find_map(|(at, call)| {
            let callee = self.cx.behind_jumps(call.target?);
            let (place, arg) =
                call.args.iter().find(|(_, a)| a.root == name.sym.root && a.root != Root::Const)?;
            let inside = Sym { root: *place, add: wanted.add.wrapping_sub(arg.add), bytes: 8 };
            let stores = self.whole(callee)?;
            let (store, s) = stores.stores.iter().rev().find(|(_, s)| covers(s.address, s.bytes, inside))?;
            // What the callee was given to store.
            let given = call.args.iter().find(|(place, _)| s.value.add == 0 && *place == s.value.root);
            let value = constant(given.map_or(s.value, |(_, sym)| *sym));
            Some(Writer { row, at: Va(*store), through: Some(Va(*at)), value })
        });
        match (own, called) {
            (Some(own), Some(called)) if called.through.is_some_and(|t| t > own.at) => Some(called),
            (own, called) => own.or(called),
        }
    }

    /// All stores of a small function.
    fn whole(&self, entry: Va) -> Option<Arc<Survey>> {
        self.cx.survey_all(entry)
    }
}

/// What a call went through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Called {
    /// The call.
    pub(crate) at: Va,
    /// The register's value, or that of the address register.
    pub(crate) name: Name,
    /// Bytes behind it where the pointer to the function lies.
    pub(crate) field: Option<i64>,
}

struct Taken {
    at: u64,
    what: What,
    doubtful: bool,
}

enum Found {
    On(Taken, Name, u64),
    End(u64, What),
}

fn some(at: u64) -> Option<Va> {
    (at != 0).then_some(Va(at))
}

impl Trace {
    fn push(&mut self, row: usize, at: u64, what: What) {
        self.steps.push(Step { row, at: some(at), what });
    }
}
