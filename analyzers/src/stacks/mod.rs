//! A thread's stack with names: physical frames from the unwinder, inlined calls from the symbols.
#![warn(clippy::indexing_slicing)]

use crate::arguments::code_frame;
use crate::crash_codes::access_of;
use crate::function_tables::registered_at;
use crate::model::{Stack, StackFrame};
mod foreign;

use crate::runtimes::Runtimes;
use crate::{Cancel, Target};
use dumpscope_core::stream::function_table::FunctionTables;
use dumpscope_core::{Machine, ReadMemory, RegSet, Rva, ThreadIdx, Va};
use dumpscope_symbols::unwind::{
    CodeFrame, DynamicFunction, FrameData, Method, UnwindCache, UnwindContext, UnwindRule, function_part,
    walk,
};
use dumpscope_symbols::{EndReason, Frame, Limits, SymbolKind, SymbolSource, Trust};
use std::cell::OnceCell;

/// Walks a thread's stack in the view of `machine` ([`Machine::X86`] in a WOW64 process: the 32-bit stack).
/// `None` when the dump has no such context.
#[must_use]
pub fn thread_stack(
    target: &Target,
    thread: ThreadIdx,
    machine: Machine,
    limits: &Limits,
    cancel: &Cancel,
) -> Option<Stack> {
    if let Some(foreign) = target.foreign() {
        return foreign.thread_stack(thread, limits.frames);
    }
    let context = if machine == target.dump.machine() {
        target.dump.context(thread)?
    } else if machine == Machine::X86 {
        target.dump.wow64_context(thread)?
    } else {
        return None;
    };
    let bounds = stack_bounds(target, thread, machine, context.sp());
    let (range, overflow) = bounds.map_or((None, false), |b| (Some((b.low, b.high)), b.overflow));
    let mut stack = stack_from(target, &context.regs, range, limits, cancel);
    stack.overflow = overflow;
    Some(stack)
}

/// Where a thread's stack lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackBounds {
    /// Lowest address.
    pub low: Va,
    /// Address after the highest.
    pub high: Va,
    /// The stack pointer is below what the TEB calls the lowest committed address, but still in the reservation.
    pub overflow: bool,
}

/// Bytes behind a symbol without size that are still believed to be its function.
const MAX_UNSIZED: u64 = 0x1000;

/// Largest stack that is believed.
const MAX_STACK: u64 = 1 << 32;

/// The stack that `sp` is in: from the TEB (`StackBase`, `StackLimit`, `DeallocationStack`), else what the thread
/// list says was captured. `None` when neither holds `sp`.
#[must_use]
pub fn stack_bounds(target: &Target, thread: ThreadIdx, machine: Machine, sp: Va) -> Option<StackBounds> {
    let from_teb = || {
        let memory = target.dump.memory();
        let teb = target.dump.teb(thread, machine)?;
        let (base_at, limit_at, reserved_at) =
            if machine.is_64() { (0x8, 0x10, 0x1478) } else { (0x4, 0x8, 0xe0c) };
        let high = memory.ptr(teb.offset(base_at), machine)?;
        let limit = memory.ptr(teb.offset(limit_at), machine)?;
        let reserved = memory.ptr(teb.offset(reserved_at), machine).filter(|r| !r.is_null() && *r <= limit);
        let overflow = sp < limit && reserved.is_some_and(|r| sp >= r);
        let low = if overflow { reserved? } else { limit };
        let size = high.distance_from(low)?;
        (size > 0 && size <= MAX_STACK).then_some(StackBounds { low, high, overflow })
    };
    let captured = || {
        let raw = target.dump.thread(thread)?.raw;
        let high = raw.stack_start.checked_add(raw.stack_size.into())?;
        (raw.stack_size > 0).then_some(StackBounds { low: raw.stack_start, high, overflow: false })
    };
    let holds = |b: &StackBounds| sp >= b.low && sp < b.high;
    let teb = from_teb();
    // Neither holds the stack pointer: the TEB's word is still what the walk has to complain about.
    teb.filter(holds).or_else(|| captured().filter(holds)).or(teb)
}

/// Walks a stack from any register set (`.ecxr`, `.cxr`, `k =`), with names. `bounds`: the stack's lowest address
/// and the address after its highest.
#[must_use]
pub fn stack_from(
    target: &Target,
    regs: &RegSet,
    bounds: Option<(Va, Va)>,
    limits: &Limits,
    cancel: &Cancel,
) -> Stack {
    if let Some(stack) = target.foreign().and_then(|f| f.stack_at(regs, limits.frames)) {
        return stack;
    }
    let context = Context::new(target, cancel);
    let walked = walk(regs, target.dump.memory().as_ref(), &context, bounds, limits);
    let mut frames = Vec::with_capacity(walked.frames.len());
    let mut rest = walked.frames.as_slice();
    while let Some((frame, callers)) = rest.split_first() {
        name_frame(target, frame, callers.first(), &mut frames);
        rest = callers;
    }
    Stack { machine: regs.machine(), frames, end: walked.end, overflow: false }
}

/// A stack of any depth.
#[derive(Clone, Debug, PartialEq)]
pub struct Depth {
    /// Each physical frame by the address of its call (the innermost: its instruction), innermost first.
    pub calls: Vec<Va>,
    /// The outermost frames with names; never frames that were also the innermost ones.
    pub outermost: Vec<StackFrame>,
    /// Why it ended; [`EndReason::FrameLimit`]: there are more than were counted.
    pub end: EndReason,
}

/// Most frames that are counted.
const MOST_COUNTED: usize = 1 << 18;

/// Counts all frames of a stack, however many: a recursion may be much deeper than what a stack shows. Registers and
/// bounds as for [`stack_from`].
#[must_use]
pub fn depth(target: &Target, regs: &RegSet, bounds: Option<(Va, Va)>, cancel: &Cancel) -> Depth {
    let limits = Limits { frames: 64, counted: MOST_COUNTED, ..Limits::default() };
    let context = Context::new(target, cancel);
    let walked = walk(regs, target.dump.memory().as_ref(), &context, bounds, &limits);
    let cut = walked.cut.unwrap_or_default();
    let mut calls: Vec<Va> = walked.frames.iter().map(Frame::lookup_ip).collect();
    calls.extend(cut.omitted);
    calls.extend(cut.tail.iter().map(Frame::lookup_ip));
    let mut outermost = Vec::new();
    for (n, frame) in cut.tail.iter().enumerate() {
        name_frame(target, frame, cut.tail.get(n + 1), &mut outermost);
    }
    Depth { calls, outermost, end: walked.end }
}

/// Adds the rows of one physical frame: inlined calls first, innermost first.
pub(crate) fn name_frame(target: &Target, frame: &Frame, caller: Option<&Frame>, rows: &mut Vec<StackFrame>) {
    let symbols = &target.symbols;
    let lookup = frame.lookup_ip();
    if let Some(method) = target.runtimes().method_of(frame) {
        rows.push(method_row(target, frame, method));
        return;
    }
    let Some(resolved) = symbols.resolve(lookup) else {
        rows.push(StackFrame {
            trust: frame.trust,
            frame: frame.clone(),
            module: None,
            function: None,
            assembly: None,
            managed: false,
            source: None,
            symbol: None,
            displacement: 0,
            line: None,
            // A runtime's stubs have no names, but it knows their frames.
            has_unwind_info: target.runtimes().rule_at(lookup).is_some(),
        });
        return;
    };
    let module = Some(resolved.module);
    let base = symbols.modules().get(resolved.module).map(|m| m.base).unwrap_or_default();
    // Names are looked up where the call is, distances are counted from where the frame goes on.
    let distance = |start: Va| frame.ip.0.wrapping_sub(start.0);
    let has_unwind_info = has_unwind_info(target, resolved.module, frame, caller);
    for site in symbols.inlines(lookup) {
        rows.push(StackFrame {
            frame: frame.clone(),
            trust: Trust::Inline,
            module,
            displacement: distance(site.start.va(base)),
            function: Some(site.name),
            assembly: None,
            managed: false,
            source: Some(site.source),
            symbol: None,
            line: site.line,
            has_unwind_info,
        });
    }
    let symbol = resolved.symbol;
    rows.push(StackFrame {
        trust: frame.trust,
        frame: frame.clone(),
        module,
        function: symbol.as_ref().map(|s| s.name.clone()),
        assembly: None,
        managed: false,
        source: symbol.as_ref().map(|s| s.source),
        displacement: distance(symbol.as_ref().map_or(base, |s| s.rva.va(base))),
        symbol,
        line: symbols.line(lookup),
        has_unwind_info,
    });
}

/// False where a frame's name is the nearest export, and unwind data say that the code belongs to another function.
#[must_use]
pub fn is_exact(target: &Target, f: &StackFrame) -> bool {
    if f.managed || f.source != Some(SymbolSource::Exports) {
        return true;
    }
    let Some((symbol, module)) =
        f.symbol.as_ref().zip(f.module.and_then(|m| target.symbols.modules().get(m)))
    else {
        return true;
    };
    let memory = target.dump.memory().as_ref();
    let image = (module.base, module.size);
    let part = function_part(memory, &target.unwind, image, f.frame.lookup_ip());
    let start = symbol.rva.va(module.base);
    match part {
        Some(p) => start == p.entry || (p.begin <= start && start < p.end),
        // A function without unwind data, a system call's stub for one, is behind the export's when that one ends before.
        // Where the export has none either, nobody knows where it ends.
        None => {
            function_part(memory, &target.unwind, image, start).is_none_or(|p| f.frame.lookup_ip() < p.end)
        }
    }
}

/// The row of a runtime's method. Never the name of a near export: that is another function.
fn method_row(target: &Target, frame: &Frame, method: Method) -> StackFrame {
    StackFrame {
        frame: frame.clone(),
        trust: frame.trust,
        module: target.symbols.module_at(frame.lookup_ip()),
        displacement: frame.ip.0.wrapping_sub(method.start.0),
        function: Some(method.name),
        assembly: method.module,
        managed: true,
        source: None,
        symbol: None,
        line: None,
        has_unwind_info: true,
    }
}

fn has_unwind_info(target: &Target, module: usize, frame: &Frame, caller: Option<&Frame>) -> bool {
    let by = caller.map(|c| c.trust);
    if by == Some(Trust::Cfi) || (by.is_none() && frame.issue.is_none()) {
        return true;
    }
    if frame.regs.machine() == Machine::X86 {
        return by != Some(Trust::Scan)
            && best_source(target, module).is_some_and(|s| s < SymbolSource::Exports);
    }
    by.is_none() && frame.issue.is_none()
}

fn best_source(target: &Target, module: usize) -> Option<SymbolSource> {
    target.symbols.providers(module).iter().map(|p| p.source()).min()
}

/// `MEM_COMMIT`.
const MEM_COMMIT: u32 = 0x1000;
/// `MEM_IMAGE`.
const MEM_IMAGE: u32 = 0x100_0000;

/// True when memory with this protection may be run: `PAGE_EXECUTE` to `PAGE_EXECUTE_WRITECOPY`.
pub(crate) fn may_run(protect: u32) -> bool {
    const PAGE_ANY_EXECUTE: u32 = 0xf0;
    protect & PAGE_ANY_EXECUTE != 0
}

/// The address from which no instruction could be fetched, when that is what the recorded exception says.
fn not_fetched(target: &Target) -> Option<Va> {
    let record = &target.dump.exception().value()?.record;
    let (access, wanted) = access_of(record);
    (access.is_some() && wanted == Some(record.address)).then_some(record.address)
}

/// What the walker asks, answered by the target.
struct Context<'a> {
    target: &'a Target,
    cancel: &'a Cancel,
    /// (base, size, index) in address order.
    modules: Vec<(Va, u32, usize)>,
    /// Functions registered at run time, read at the first question.
    tables: OnceCell<FunctionTables>,
    /// Where the processor could not fetch an instruction, as the exception says.
    not_fetched: Option<Va>,
    /// Language runtimes, whose code is in no image.
    runtimes: Runtimes,
}

impl<'a> Context<'a> {
    fn new(target: &'a Target, cancel: &'a Cancel) -> Context<'a> {
        let all = target.symbols.modules().iter().enumerate();
        let mut modules: Vec<_> = all.map(|(i, m)| (m.base, m.size, i)).collect();
        modules.sort_unstable();
        let (not_fetched, runtimes) = (not_fetched(target), target.runtimes());
        Context { target, cancel, modules, tables: OnceCell::new(), not_fetched, runtimes }
    }

    /// As the dump's stream has it.
    fn listed(&self, va: Va) -> Option<DynamicFunction> {
        let dump = &self.target.dump;
        let tables = self.tables.get_or_init(|| dump.function_tables().value().cloned().unwrap_or_default());
        // RUNTIME_FUNCTION of x64.
        if tables.entry_size != 12 {
            return None;
        }
        let table = tables.tables.iter().find(|t| va >= t.minimum && va < t.maximum)?;
        let rva = va.rva(table.base)?;
        let entries = dump.function_table_entries(table, 12).as_chunks::<12>().0;
        let words = |e: &[u8; 12]| {
            let [b0, b1, b2, b3, e0, e1, e2, e3, u0, u1, u2, u3] = *e;
            let word = |b| Rva(u32::from_le_bytes(b));
            (word([b0, b1, b2, b3]), word([e0, e1, e2, e3]), word([u0, u1, u2, u3]))
        };
        let behind = entries.partition_point(|e| words(e).0 <= rva);
        let (begin, end, unwind_info) = words(entries.get(behind.checked_sub(1)?)?);
        (rva < end).then_some(DynamicFunction { base: table.base, begin, end, unwind_info })
    }

    fn find(&self, va: Va) -> Option<(Va, u32, usize)> {
        let behind = self.modules.partition_point(|(base, _, _)| *base <= va);
        // Overlapping modules: the nearest base below wins.
        let (base, size, index) = *self.modules.get(behind.checked_sub(1)?)?;
        (va.distance_from(base)? < u64::from(size)).then_some((base, size, index))
    }
}

impl UnwindContext for Context<'_> {
    fn module_at(&self, va: Va) -> Option<(Va, u32)> {
        // Small dumps hold neither the code nor the unwind data of their modules.
        self.target.map_image(va);
        self.find(va).map(|(base, size, _)| (base, size))
    }

    fn frame_data(&self, va: Va) -> Option<FrameData> {
        self.target.symbols.frame_data(va)
    }

    fn dynamic_rule(&self, va: Va) -> Option<UnwindRule> {
        if let Some(rule) = self.runtimes.rule_at(va) {
            return Some(rule);
        }
        let function = self.listed(va).or_else(|| registered_at(self.target, va))?;
        Some(UnwindRule::Codes(function))
    }

    fn in_function(&self, va: Va) -> Option<bool> {
        let (_, _, module) = self.find(va)?;
        if best_source(self.target, module).is_none_or(|s| s >= SymbolSource::Coff) {
            return None;
        }
        let resolved = self.target.symbols.resolve(va)?;
        let Some(symbol) = resolved.symbol else { return Some(false) };
        match (symbol.kind, symbol.size) {
            (SymbolKind::Data | SymbolKind::Placeholder, _) => Some(false),
            (_, Some(_)) => Some(true),
            // Public symbols have no sizes: far behind one there may be something else.
            (_, None) if resolved.displacement <= MAX_UNSIZED => None,
            (_, None) => Some(self.target.symbols.frame_data(va).is_some()),
        }
    }

    fn function_start(&self, va: Va) -> Option<Va> {
        let (base, _, _) = self.find(va)?;
        Some(self.target.symbols.resolve(va)?.symbol?.rva.va(base))
    }

    fn executable(&self, va: Va) -> Option<bool> {
        if self.not_fetched == Some(va) {
            return Some(false);
        }
        let region = self.target.dump.region_at(va)?;
        // Sections say it better of images, whose pages change their protection while they are patched.
        if region.kind == MEM_IMAGE || region.protect == 0 && region.state == MEM_COMMIT {
            return None;
        }
        Some(region.state == MEM_COMMIT && may_run(region.protect))
    }

    fn code_frame(&self, frame: &Frame) -> Option<CodeFrame> {
        code_frame(self.target, frame)
    }

    fn cache(&self) -> Option<&UnwindCache> {
        Some(&self.target.unwind)
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}
