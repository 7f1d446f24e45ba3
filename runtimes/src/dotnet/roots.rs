//! Roots, and who keeps an object alive.
//!
//! One walk of the heap turns all references round; from the object they lead back to everything that reaches it, on
//! shortest ways. A root whose object is among them keeps it alive.

use super::Clr;
use super::code::Code;
use super::gc_info::Place;
use super::references::Map;
use crate::Walked;
use crate::clr::{ClrHeap, HeapGaps, Progress, RootPath, RootPlace, Rooted};
use dumpscope_core::{Reg, Va};
use dumpscope_symbols::Frame;
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Most references of a heap that are turned round (16 bytes each).
const MAX_EDGES: usize = 1 << 25;
/// Most objects that reach the one asked for.
const MAX_REACHING: usize = 1 << 23;
/// Most roots that are told, and the longest way.
const MAX_ROOTS: usize = 4096;
const MAX_PATH: usize = 100_000;
/// Objects between two reports of progress.
const STEP: u64 = 1 << 16;

/// Names of registers in the processor's numbering.
const REGISTERS: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15",
];

fn register(r: u8) -> &'static str {
    REGISTERS.get(usize::from(r)).copied().unwrap_or("?")
}

/// `rbp-38`.
fn based(base: &str, offset: i64) -> String {
    let sign = if offset < 0 { '-' } else { '+' };
    format!("{base}{sign}{:x}", offset.unsigned_abs())
}

impl Clr {
    /// Live slots of a frame: name, address (null for a register), reference.
    fn live_slots(&self, frames: &[Frame], at: usize, code: &Code) -> Option<Vec<(String, Va, Va)>> {
        let frame = frames.get(at)?;
        if code.funclet || frame.exact_ip {
            return None;
        }
        let info = self.gc_info(code)?;
        let caller_sp = frames.get(at + 1)?.sp;
        let memory = self.core.memory();
        let offset = frame.ip.distance_from(code.start)?;
        let mut out = Vec::new();
        for slot in info.live(offset).into_iter().filter(|s| !s.interior) {
            let found = match slot.place {
                Place::Register(r) => frame.regs.get(Reg(r)).map(|v| (register(r).to_owned(), Va(0), Va(v))),
                Place::CallerSp(o) => {
                    let at = Va(caller_sp.0.wrapping_add_signed(o));
                    let distance = at.0.wrapping_sub(frame.sp.0).cast_signed();
                    memory.u64(at).map(|v| (based("rsp", distance), at, Va(v)))
                }
                Place::Sp(o) => {
                    let at = Va(frame.sp.0.wrapping_add_signed(o));
                    memory.u64(at).map(|v| (based("rsp", o), at, Va(v)))
                }
                Place::FrameRegister(o) => info.frame_register.and_then(|r| {
                    let at = Va(frame.regs.get(Reg(r))?.wrapping_add_signed(o));
                    Some((based(register(r), o), at, Va(memory.u64(at)?)))
                }),
            };
            out.extend(found.filter(|(_, _, v)| !v.is_null()));
        }
        Some(out)
    }

    /// References on a stack that the runtime would report.
    pub(super) fn roots_of_stack(&self, stack: Walked<'_>) -> Vec<(RootPlace, Va)> {
        let mut out = Vec::new();
        for (i, frame) in stack.frames.iter().enumerate() {
            let Some(code) = self.code_at(frame.lookup_ip()).filter(|c| !c.method.is_null()) else {
                continue;
            };
            let slots = self.live_slots(stack.frames, i, &code).unwrap_or_default();
            if slots.is_empty() {
                continue;
            }
            let method = self.method(code.method).map(|m| self.full_name(&m).to_owned()).unwrap_or_default();
            for (slot, at, object) in slots {
                let (sp, ip, method) = (frame.sp, frame.ip, method.clone());
                out.push((RootPlace::Stack { tid: stack.tid.0, sp, ip, method, slot, at }, object));
            }
        }
        out
    }

    /// All roots: stacks in the runtime's order of threads, handles, objects that wait for the finalizer.
    fn all_roots(&self, stacks: &[Walked<'_>]) -> Vec<(RootPlace, Va)> {
        let mut out = Vec::new();
        for thread in self.threads() {
            let stack = stacks.iter().find(|s| Some(s.tid) == thread.script.tid);
            out.extend(stack.map(|s| self.roots_of_stack(*s)).unwrap_or_default());
        }
        for handle in self.gc_handles().into_iter().filter(|h| h.strong) {
            out.push((RootPlace::Handle { at: handle.address, kind: handle.kind }, handle.object));
        }
        for queue in self.finalizers() {
            let ready = queue.objects.len().saturating_sub(queue.ready_count);
            for (i, object) in (0u64..).zip(queue.objects.iter().skip(ready)) {
                out.push((RootPlace::Finalizer { at: queue.ready.0.offset(i * 8) }, *object));
            }
        }
        out
    }

    /// What keeps `object` alive.
    pub(super) fn who_keeps(&self, object: Va, stacks: &[Walked<'_>], progress: Progress<'_>) -> Rooted {
        let roots = self.all_roots(stacks);
        let total: u64 = self.regions().iter().map(|r| r.end.0.saturating_sub(r.start.0)).sum();
        let mut maps: HashMap<Va, Map> = HashMap::new();
        let mut edges: Vec<(Va, Va)> = Vec::new();
        let (mut count, mut done, mut full) = (0u64, 0u64, false);
        let gaps = self.objects(&mut |o| {
            count += 1;
            done = done.saturating_add(o.size);
            if count.is_multiple_of(STEP) && !progress(done.min(total), total) {
                return false;
            }
            let map = maps.entry(o.type_record).or_insert_with(|| self.reference_map(o.type_record));
            self.each_reference(o.address, o.size, map, &mut |target| {
                if edges.len() < MAX_EDGES {
                    edges.push((target, o.address));
                } else {
                    full = true;
                }
            });
            !full
        });
        for h in self.gc_handles().iter().filter(|h| !h.secondary.is_null()) {
            edges.push((h.secondary, h.object));
        }
        edges.sort_unstable();
        edges.dedup();
        let mut bounded = full || gaps.stopped;
        // From the object backwards: where each one's way goes on.
        let mut next: BTreeMap<Va, Va> = BTreeMap::from([(object, Va(0))]);
        let mut waiting = VecDeque::from([object]);
        while let Some(at) = waiting.pop_front() {
            let from = edges.partition_point(|(target, _)| *target < at);
            for (_, source) in
                edges.get(from..).unwrap_or_default().iter().take_while(|(target, _)| *target == at)
            {
                if next.len() >= MAX_REACHING {
                    bounded = true;
                    break;
                }
                if !next.contains_key(source) {
                    next.insert(*source, at);
                    waiting.push_back(*source);
                }
            }
        }
        let mut paths = Vec::new();
        let mut budget = MAX_PATH;
        for (place, root) in roots {
            if !next.contains_key(&root) {
                continue;
            }
            let mut path = Vec::new();
            let mut at = root;
            while !at.is_null() && path.len() < budget {
                path.push(at);
                at = next.get(&at).copied().unwrap_or_default();
            }
            budget = budget.saturating_sub(path.len());
            if paths.len() >= MAX_ROOTS || budget == 0 {
                bounded = true;
                break;
            }
            paths.push(RootPath { place, path });
        }
        Rooted { paths, gaps: HeapGaps { stopped: false, ..gaps }, bounded }
    }
}
