//! The data flow: what registers and stack hold at one point of a function, over all paths that lead there.

use super::code::{Function, MAX_INSNS, decode};
use super::extent::Extent;
use super::hints::Buffers;
use super::ir::{Abi, Callee, Effect, Flow, Insn, RegNo, Val};
use super::names::{Root, Sym};
use super::state::{Source, State};
use crate::Target;
use dumpscope_core::{Machine, ReadMemory, Va};
use dumpscope_symbols::unwind::follows_call;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Most blocks that one fixed point looks at, repeats included.
const MAX_VISITS: usize = 4096;
/// Most instructions that one fixed point looks at, repeats included.
const MAX_STEPS: usize = 4 * MAX_INSNS;
/// Functions with at most so many instructions are followed everywhere, so that all their parameters are seen.
const SMALL: usize = 1500;
/// Most functions whose code is kept.
const MAX_FUNCTIONS: usize = 256;
/// Most points that are kept.
const MAX_POINTS: usize = 4096;
/// Most instructions that one stack costs, decoding and following together. Code that is not reached by then is
/// taken as unknown.
const MAX_WORK: usize = 1 << 20;
/// Words on the stack that are taken for arguments of a call on x86.
const STACK_ARGS: i32 = 6;
/// Most jumps between a call's target and the function that it reaches.
const MAX_THUNKS: usize = 4;

/// What holds at a point of a function.
#[derive(Debug)]
pub(super) struct Point {
    /// Where the function starts.
    pub(super) entry: Va,
    /// Before the call (at an exact point: before the instruction there).
    pub(super) before: State,
    /// After the call: what of it outlasts it.
    pub(super) after: State,
    /// The call whose return address the point is.
    pub(super) call: Option<CallSite>,
    /// Some path may not have been seen: a computed jump, or code that could not be followed.
    pub(super) weak: bool,
    /// What values that instructions made were read from.
    pub(super) sources: BTreeMap<u64, Source>,
    /// Argument registers whose value at entry is used, by number.
    pub(super) reads: u64,
    /// Offsets of stack words at entry that are read, from the stack pointer at entry. Sorted.
    pub(super) stack_reads: Vec<i32>,
    /// The highest word above its return address whose address it takes, by the offset from the stack pointer at entry.
    pub(super) takes_address: Option<i32>,
    /// Bytes of arguments that the function's return removes.
    pub(super) pops: Option<u16>,
}

/// A call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CallSite {
    /// The call instruction.
    pub(super) at: Va,
    /// What it calls.
    pub(super) callee: Callee,
    /// Where it leads, when the code alone tells.
    pub(super) target: Option<Va>,
    /// Bytes of arguments that the caller removes right after the call (x86).
    pub(super) cleans: Option<u16>,
}

/// A store to memory that is not the function's own stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StoreSite {
    /// Where to.
    pub(super) address: Sym,
    /// What.
    pub(super) value: Sym,
    /// How many bytes.
    pub(super) bytes: u16,
}

/// A call with what it is given in registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GivenCall {
    /// Where it leads.
    pub(super) target: Option<Va>,
    /// What it is given, by the name that the function called has for it: registers, on x86 words on the stack too.
    pub(super) args: Vec<(Root, Sym)>,
}

/// Stores and calls of a function by address, with the names that a point of it uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Survey {
    pub(super) stores: BTreeMap<u64, StoreSite>,
    pub(super) calls: BTreeMap<u64, GivenCall>,
}

type PointKey = (u64, u64, bool, Option<u16>);

/// Decoded functions and the points that were worked out, for one target. Bounded; a full cache starts anew. Fresh when
/// images may have become readable since.
#[derive(Debug, Default)]
pub(super) struct Cache {
    functions: Mutex<BTreeMap<u64, Option<Arc<Function>>>>,
    points: Mutex<BTreeMap<PointKey, Option<Arc<Point>>>>,
    buffers: OnceLock<Buffers>,
}

impl Cache {
    /// Stream buffers of C runtimes, searched for at the first question.
    pub(super) fn buffers(&self, target: &Target) -> &Buffers {
        self.buffers.get_or_init(|| Buffers::find(target))
    }
}

/// Answers questions about the code of one machine in a target.
pub(super) struct Analysis<'a> {
    pub(super) target: &'a Target,
    pub(super) machine: Machine,
    pub(super) abi: &'static Abi,
    cache: Arc<Cache>,
    work: Cell<usize>,
}

impl<'a> Analysis<'a> {
    pub(super) fn new(target: &'a Target, machine: Machine) -> Option<Analysis<'a>> {
        let abi = Abi::of(machine)?;
        Some(Analysis { target, machine, abi, cache: target.memo(), work: Cell::new(0) })
    }

    /// The code of the function at `entry`.
    pub(super) fn function(&self, entry: Va) -> Option<Arc<Function>> {
        let functions = &self.cache.functions;
        if let Some(known) = functions.lock().unwrap_or_else(PoisonError::into_inner).get(&entry.0) {
            return known.clone();
        }
        if self.work.get() > MAX_WORK {
            return None;
        }
        let extent = Extent::new(self.target, self.machine, entry);
        let memory = self.target.dump.memory().as_ref();
        let found = decode(memory, self.machine, entry, &extent).map(Arc::new);
        self.spend(found.as_ref().map_or(1, |f| f.insn_count()));
        let mut functions = functions.lock().unwrap_or_else(PoisonError::into_inner);
        if functions.len() >= MAX_FUNCTIONS {
            functions.clear();
        }
        functions.insert(entry.0, found.clone());
        found
    }

    /// What holds at `ip` in the function at `entry`. `exact`: before the instruction there, else after the call
    /// that ends there. `entry_sp`: the stack pointer at entry, which only counts where the function aligns it.
    pub(super) fn point(&self, entry: Va, ip: Va, exact: bool, entry_sp: Option<Va>) -> Option<Arc<Point>> {
        let function = self.function(entry)?;
        let residue = entry_sp.filter(|_| function.aligns).map(|sp| (sp.0 & 0xfff) as u16);
        let key = (entry.0, ip.0, exact, residue);
        let points = &self.cache.points;
        if let Some(known) = points.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return known.clone();
        }
        if self.work.get() > MAX_WORK {
            return None;
        }
        let mut solver = Solver::new(self, &function);
        let found = solver.run(ip, exact, residue).map(Arc::new);
        self.spend(solver.steps);
        let mut points = points.lock().unwrap_or_else(PoisonError::into_inner);
        if points.len() >= MAX_POINTS {
            points.clear();
        }
        points.insert(key, found.clone());
        found
    }

    /// True when the word at `slot` is the address behind a call.
    pub(super) fn follows_call(&self, slot: Va) -> bool {
        let memory = self.target.dump.memory().as_ref();
        memory.ptr(slot, self.machine).is_some_and(|t| follows_call(memory, self.machine, t) == Some(true))
    }

    /// Stores and calls of the function at `entry` on the paths to `ip`; arguments as for [`Analysis::point`].
    pub(super) fn survey(&self, entry: Va, ip: Va, exact: bool, entry_sp: Option<Va>) -> Option<Arc<Survey>> {
        let function = self.function(entry)?;
        let residue = entry_sp.filter(|_| function.aligns).map(|sp| (sp.0 & 0xfff) as u16);
        if self.work.get() > MAX_WORK {
            return None;
        }
        let mut solver = Solver::new(self, &function);
        solver.survey = Some(Survey::default());
        solver.run(ip, exact, residue)?;
        self.spend(solver.steps);
        solver.survey.map(Arc::new)
    }

    /// All stores and calls of the function at `entry`.
    pub(super) fn survey_all(&self, entry: Va) -> Option<Arc<Survey>> {
        let function = self.function(entry).filter(|f| f.insn_count() <= SMALL)?;
        let last = function
            .blocks
            .values()
            .filter_map(|b| b.insns.last())
            .find(|i| matches!(i.flow, Flow::Return(_)))?;
        self.survey(entry, Va(last.at), true, None)
    }

    fn spend(&self, work: usize) {
        self.work.set(self.work.get().saturating_add(work));
    }

    /// Follows jumps from a call's target to the function that it reaches.
    pub(super) fn behind_jumps(&self, target: Va) -> Va {
        let mut at = target;
        for _ in 0..MAX_THUNKS {
            let Some(next) = self.jump_at(at) else { break };
            at = next;
        }
        at
    }

    /// Where the code at `at` jumps to, when it does nothing else.
    fn jump_at(&self, at: Va) -> Option<Va> {
        self.target.map_image(at);
        let memory = self.target.dump.memory();
        let mut bytes = [0u8; 16];
        let got = memory.read_at(at, &mut bytes).got;
        let bytes = bytes.get(..got)?;
        let insn = match self.machine {
            Machine::Arm64 => super::lift_arm64::decode(at.0, bytes)?,
            m => super::lift_x86::Lifter::new(m.is_64()).decode(at.0, bytes)?,
        };
        match insn.flow {
            Flow::Jump(to) => Some(Va(to)),
            Flow::Indirect(Val::Load(mem)) if mem.base.is_none() && !mem.fuzzy => {
                let slot = Va(self.abi.wrap(mem.disp.cast_unsigned()));
                memory.ptr(slot, self.machine).filter(|t| !t.is_null())
            }
            _ => None,
        }
    }

    /// Where a call leads in a state.
    fn call_target(&self, callee: Callee, state: &State, sources: &BTreeMap<u64, Source>) -> Option<Va> {
        let memory = self.target.dump.memory();
        let pointer = |at: u64| memory.ptr(Va(at), self.machine).filter(|t| !t.is_null());
        match callee {
            Callee::Direct(to) => Some(Va(to)),
            Callee::Through(Val::Load(mem)) if mem.base.is_none() && !mem.fuzzy => {
                pointer(self.abi.wrap(mem.disp.cast_unsigned()))
            }
            Callee::Through(Val::Reg(reg, _)) => {
                let sym = state.reg(reg);
                match sym.root {
                    Root::Const => Some(Va(self.abi.wrap(sym.add.cast_unsigned()))),
                    Root::Made(by, _) if sym.add == 0 => match sources.get(&by) {
                        Some(Source::Global(at)) => pointer(*at),
                        _ => None,
                    },
                    _ => None,
                }
            }
            Callee::Through(_) => None,
        }
    }
}

/// One fixed point.
struct Solver<'a> {
    cx: &'a Analysis<'a>,
    f: &'a Function,
    sources: BTreeMap<u64, Source>,
    reads: u64,
    stack_reads: BTreeSet<i32>,
    takes_address: Option<i32>,
    steps: usize,
    /// Filled when somebody wants it.
    survey: Option<Survey>,
}

impl<'a> Solver<'a> {
    fn new(cx: &'a Analysis<'a>, f: &'a Function) -> Solver<'a> {
        Solver {
            cx,
            f,
            sources: BTreeMap::new(),
            reads: 0,
            stack_reads: BTreeSet::new(),
            takes_address: None,
            steps: 0,
            survey: None,
        }
    }

    fn run(&mut self, ip: Va, exact: bool, residue: Option<u16>) -> Option<Point> {
        let is_it = |i: &Insn| {
            if exact {
                i.at == ip.0
            } else {
                i.next() == ip.0 && matches!(i.flow, Flow::Call(_) | Flow::System)
            }
        };
        let (goal, index) = self.f.find(is_it)?;
        let needed = match self.f.insn_count() {
            0..=SMALL => self.f.blocks.keys().copied().collect(),
            _ => self.leading_to(goal),
        };
        let order = self.order(&needed);
        let mut states: BTreeMap<u64, State> = BTreeMap::new();
        states.insert(self.f.entry, State::entry(self.cx.abi, residue));
        let mut work: VecDeque<u64> = VecDeque::from([self.f.entry]);
        let mut queued: BTreeSet<u64> = work.iter().copied().collect();
        let mut visits = 0;
        while let Some(at) = next_in_order(&mut work, &order) {
            queued.remove(&at);
            visits += 1;
            if visits > MAX_VISITS || self.steps > MAX_STEPS {
                return None;
            }
            let block = self.f.blocks.get(&at)?;
            let mut state = states.get(&at)?.clone();
            for (n, insn) in block.insns.iter().enumerate() {
                self.step(insn, block.insns.get(n + 1), &mut state);
            }
            for next in block.next.iter().filter(|n| needed.contains(n)) {
                let changed = match states.get_mut(next) {
                    Some(known) => known.meet(&state, *next),
                    None => {
                        states.insert(*next, state.clone());
                        true
                    }
                };
                if changed && queued.insert(*next) {
                    work.push_back(*next);
                }
            }
        }
        let block = self.f.blocks.get(&goal)?;
        let mut before = states.remove(&goal)?;
        for (n, insn) in block.insns.iter().enumerate().take(index) {
            self.step(insn, block.insns.get(n + 1), &mut before);
        }
        let insn = block.insns.get(index)?;
        let mut after = before.clone();
        let mut call = None;
        if !exact {
            let following = self.following(insn, block.insns.get(index + 1));
            if let Flow::Call(callee) = insn.flow {
                let target = self.cx.call_target(callee, &before, &self.sources);
                call = Some(CallSite { at: Va(insn.at), callee, target, cleans: following });
            }
            self.step(insn, block.insns.get(index + 1), &mut after);
        }
        Some(Point {
            entry: Va(self.f.entry),
            before,
            after,
            call,
            weak: self.f.computed || self.f.cut,
            sources: std::mem::take(&mut self.sources),
            reads: self.reads,
            stack_reads: self.stack_reads.iter().copied().collect(),
            takes_address: self.takes_address,
            pops: self.f.pops,
        })
    }

    /// Blocks from which `goal` can be reached.
    fn leading_to(&self, goal: u64) -> BTreeSet<u64> {
        let mut back: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for (at, block) in &self.f.blocks {
            for next in &block.next {
                back.entry(*next).or_default().push(*at);
            }
        }
        let mut found = BTreeSet::from([goal]);
        let mut work = vec![goal];
        while let Some(at) = work.pop() {
            for from in back.get(&at).into_iter().flatten() {
                if found.insert(*from) {
                    work.push(*from);
                }
            }
        }
        found
    }

    /// Reverse postorder numbers: blocks before those that they lead to, as far as loops allow.
    fn order(&self, needed: &BTreeSet<u64>) -> BTreeMap<u64, usize> {
        let mut order = BTreeMap::new();
        let mut seen = BTreeSet::from([self.f.entry]);
        let mut stack = vec![(self.f.entry, 0usize)];
        let mut number = self.f.blocks.len();
        while let Some((at, nth)) = stack.pop() {
            let next = self.f.blocks.get(&at).and_then(|b| b.next.get(nth)).copied();
            match next {
                Some(n) => {
                    stack.push((at, nth + 1));
                    if needed.contains(&n) && seen.insert(n) {
                        stack.push((n, 0));
                    }
                }
                None => {
                    order.insert(at, number);
                    number = number.saturating_sub(1);
                }
            }
        }
        order
    }

    /// Bytes that the instruction after a call removes from the stack; `None` when it does not.
    fn following(&self, call: &Insn, next: Option<&Insn>) -> Option<u16> {
        let next = match next {
            Some(n) => n,
            None => self.f.blocks.get(&call.next())?.insns.first()?,
        };
        match next.effects.as_slice() {
            [Effect::Set { reg, val: Val::Reg(from, by), .. }]
                if *reg == self.cx.abi.sp && from == reg && *by > 0 =>
            {
                u16::try_from(*by).ok()
            }
            // pop ecx: one word.
            [Effect::Pop(1)] if self.cx.machine == Machine::X86 => Some(4),
            _ => None,
        }
    }

    /// Bytes that the instruction after a call takes from the stack again, to make up for those that the callee
    /// removed.
    fn taken_back(&self, call: &Insn, next: Option<&Insn>) -> Option<i32> {
        let next = match next {
            Some(n) => n,
            None => self.f.blocks.get(&call.next())?.insns.first()?,
        };
        match next.effects.as_slice() {
            [Effect::Set { reg, val: Val::Reg(from, by), .. }]
                if *reg == self.cx.abi.sp && from == reg && *by < 0 =>
            {
                i32::try_from(-*by).ok()
            }
            _ => None,
        }
    }

    fn step(&mut self, insn: &Insn, next: Option<&Insn>, state: &mut State) {
        self.steps = self.steps.saturating_add(1);
        let abi = self.cx.abi;
        self.note_reads(insn, state);
        self.note_sites(insn, state);
        for effect in &insn.effects {
            state.apply(*effect, insn.at, abi, &mut self.sources);
        }
        match insn.flow {
            Flow::Call(callee) => self.call(insn, callee, next, state),
            Flow::System => {
                state.call(insn.at, 0, &[], abi);
            }
            _ => {}
        }
    }

    fn note_sites(&mut self, insn: &Insn, state: &State) {
        let Some(mut survey) = self.survey.take() else { return };
        let abi = self.cx.abi;
        for effect in &insn.effects {
            let Effect::Store { at, val, bytes } = effect else { continue };
            let Some(address) = state.address(*at, abi).filter(|a| a.root != Root::Sp) else { continue };
            let value = match val {
                Val::Const(n) => Sym { add: n.cast_signed(), ..Sym::of(Root::Const) },
                Val::Reg(reg, by) => state.reg(*reg).plus(*by, abi),
                _ => Sym::UNKNOWN,
            };
            survey.stores.insert(insn.at, StoreSite { address, value, bytes: *bytes });
        }
        if let Flow::Call(callee) = insn.flow {
            let target = self.cx.call_target(callee, state, &self.sources);
            let mut args: Vec<(Root, Sym)> =
                abi.args.iter().map(|r| (Root::Entry(*r), state.reg(*r))).collect();
            let words = if abi.pushes_return && abi.word == 4 { STACK_ARGS } else { 0 };
            for n in 0..words {
                let Some(at) = state.sp(abi).and_then(|sp| sp.checked_add(n.checked_mul(4)?)) else { break };
                args.push((Root::Stack(abi.first_stack_arg + n * 4), state.load_slot(at, 4)));
            }
            survey.calls.insert(insn.at, GivenCall { target, args });
        }
        self.survey = Some(survey);
    }

    fn note_reads(&mut self, insn: &Insn, state: &State) {
        let abi = self.cx.abi;
        for &reg in abi.args {
            if insn.reads >> reg & 1 == 1 && state.reg(reg).root == Root::Entry(reg) {
                self.reads |= 1 << reg;
            }
        }
        let sums = insn.effects.iter().filter_map(|e| match e {
            Effect::Set { reg, val: Val::Addr(m), .. } if *reg != abi.sp && !m.fuzzy => Some(*m),
            _ => None,
        });
        for mem in sums {
            let offset = mem
                .base
                .and_then(|b| state.reg(b).sp_offset(abi))
                .map(|o| i64::from(o).wrapping_add(mem.disp));
            let offset = offset.and_then(|o| i32::try_from(o).ok()).filter(|o| *o >= i32::from(abi.word));
            self.takes_address = self.takes_address.max(offset);
        }
        let loads = insn.effects.iter().filter_map(|e| match e {
            Effect::Set { val: Val::Load(m), .. }
            | Effect::Push(Val::Load(m))
            | Effect::Store { val: Val::Load(m), .. } => Some(*m),
            _ => None,
        });
        for mem in loads {
            let Some(base) = mem.base.filter(|_| !mem.fuzzy) else { continue };
            let sym = state.reg(base);
            let Some(offset) = sym.sp_offset(abi) else { continue };
            let Ok(offset) = i32::try_from(i64::from(offset).wrapping_add(mem.disp)) else { continue };
            if offset >= abi.first_stack_arg
                && self.stack_reads.len() < 64
                && matches!(state.load_slot(offset, 1).root, Root::Stack(_))
            {
                self.stack_reads.insert(offset);
            }
        }
    }

    fn call(&mut self, insn: &Insn, callee: Callee, next: Option<&Insn>, state: &mut State) {
        let abi = self.cx.abi;
        if let Some(bytes) = self.stack_probe(insn, next, state) {
            // It touches the pages of a large frame and changes no argument.
            let kept: Vec<RegNo> = abi.args.iter().copied().chain([0]).collect();
            if self.cx.machine == Machine::X86 {
                let sp = state.reg(abi.sp);
                state.set(abi.sp, Sym { add: sp.add.wrapping_sub(bytes), ..sp }, insn.at);
            }
            for &reg in abi.volatile.iter().filter(|r| !kept.contains(r)) {
                state.set(reg, Sym::UNKNOWN, insn.at);
            }
            return;
        }
        if let (Machine::X86, Callee::Direct(to)) = (self.cx.machine, callee)
            && insn.at.wrapping_sub(self.f.entry) < 0x20
            && let Some(cookie) = super::seh::helper_at(self.cx.target.dump.memory().as_ref(), Va(to))
            && super::seh::apply(state, insn.at, cookie, abi).is_some()
        {
            return;
        }
        let mut popped = 0;
        if self.cx.machine == Machine::X86 && self.following(insn, next).is_none() {
            let target = self.cx.call_target(callee, state, &self.sources);
            let known = target.and_then(|t| self.pops_of(t)).map(i32::from);
            // Else: what the caller takes back at once, or all that was pushed for it. What the real stack pointer
            // is at the end shows whether that was right.
            popped = known.or_else(|| self.taken_back(insn, next)).unwrap_or(state.pushed);
        }
        state.call(insn.at, popped, &[], abi);
    }

    /// A call to the helper that touches the pages of a large frame: the size is in eax. x64: `sub rsp, rax` follows;
    /// x86: it moves the stack pointer itself.
    fn stack_probe(&self, insn: &Insn, next: Option<&Insn>, state: &State) -> Option<i64> {
        let size = state.reg(0);
        if size.root != Root::Const || !(0x100..=1 << 30).contains(&size.add) {
            return None;
        }
        if self.cx.machine == Machine::Amd64 {
            let next = match next {
                Some(n) => n,
                None => self.f.blocks.get(&insn.next())?.insns.first()?,
            };
            let moves = next.reads & 1 == 1
                && next
                    .effects
                    .iter()
                    .any(|e| matches!(e, Effect::Set { reg, .. } if *reg == self.cx.abi.sp));
            return moves.then_some(size.add);
        }
        let early = insn.at.wrapping_sub(self.f.entry) < 0x20 && size.add >= 0x1000;
        (self.cx.machine == Machine::X86 && early).then_some(size.add)
    }

    /// x86: bytes of arguments that the function which a call reaches removes.
    fn pops_of(&self, target: Va) -> Option<u16> {
        let entry = self.cx.behind_jumps(target);
        self.cx.function(entry)?.pops
    }
}

/// The waiting block that comes first in the order.
fn next_in_order(work: &mut VecDeque<u64>, order: &BTreeMap<u64, usize>) -> Option<u64> {
    let best = work.iter().enumerate().min_by_key(|(_, at)| order.get(at).copied().unwrap_or(usize::MAX))?.0;
    work.remove(best)
}
