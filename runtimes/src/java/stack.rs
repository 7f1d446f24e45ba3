//! Walking a thread's Java frames.
//!
//! From the thread's anchor (where it last left Java), or from its registers when it runs Java code, or from the first
//! machine frame in the VM's code. Frames of the interpreter lie below rbp, in words: -1 the caller's stack pointer, -3 the
//! `Method*`, -8 the place in the bytecodes, -9 the last monitor's place (from JDK 21 on relative to rbp). Seen so on
//! 11, 17, 21 and 25. Compiled frames have the size that their code says.

use super::Java;
use super::code_cache::Blob;
use super::metadata::{self, Method};
use super::scopes::{Compiled, FrameAt};
use super::threads::Thread;
use crate::{FrameKind, ScriptFrame, Walked};
use dumpscope_core::base::amd64;
use dumpscope_core::{Reg, Va};
use std::sync::Arc;

/// Most frames of a thread: as many as the VM itself prints.
const MAX_FRAMES: usize = 1024;
/// Most steps, with stubs that are no frames.
const MAX_STEPS: usize = 4096;
/// Most monitors of an interpreter's frame.
const MAX_MONITORS: u64 = 128;
/// The method that starts to run a virtual thread: its frame and those above are not the carrier's own.
const ENTER: &str = "jdk.internal.vm.Continuation";
const ENTER_METHOD: &str = "enterSpecial";

/// A Java frame.
#[derive(Clone, Debug)]
pub(super) struct JavaFrame {
    pub(super) method: Arc<Method>,
    /// Bytecode index.
    pub(super) index: Option<u32>,
    pub(super) kind: FrameKind,
    pub(super) ip: Va,
    pub(super) sp: Va,
    /// Objects whose monitors it entered (or tries to), the last one first.
    pub(super) monitors: Vec<Va>,
}

/// A thread's frames.
#[derive(Clone, Debug, Default)]
pub(super) struct Stack {
    pub(super) frames: Vec<JavaFrame>,
    /// Frames of the virtual thread that runs on it.
    pub(super) mounted: Vec<JavaFrame>,
}

/// Where a walk is.
#[derive(Clone, Copy, Debug)]
struct At {
    pc: Va,
    sp: Va,
    fp: Va,
    /// Place in the bytecodes, when a running interpreter has it in a register (r13).
    running: Option<Option<Va>>,
}

/// Packages of the runtime's own libraries.
const LIBRARIES: &[&str] = &["java.", "javax.", "jdk.", "sun.", "com.sun."];

/// True for a class of the runtime's own libraries.
pub(super) fn is_library(class: &str) -> bool {
    LIBRARIES.iter().any(|l| class.starts_with(l))
}

impl Java {
    /// The frames of a thread. `stack`: as it was walked.
    pub(super) fn stack(&self, thread: &Thread, stack: Option<Walked<'_>>) -> Stack {
        let Some(start) =
            self.anchor(thread.script.address, "JavaThread::_anchor").or_else(|| self.running(thread, stack))
        else {
            return Stack::default();
        };
        let mut frames = self.walk(start);
        let is_enter = |f: &JavaFrame| &*f.method.class == ENTER && f.method.name == ENTER_METHOD;
        let Some(enter) = frames.iter().position(is_enter).filter(|_| thread.mounted.is_some()) else {
            return Stack { frames, mounted: Vec::new() };
        };
        let own = frames.split_off(enter + 1);
        Stack { frames: own, mounted: frames }
    }

    /// Where Java was left: the last frame's stack pointer, its frame pointer and place; a place of 0 lies below the stack
    /// pointer.
    fn anchor(&self, of: Va, field: &str) -> Option<At> {
        let vm = &self.vm;
        let anchor = of.offset(vm.offset(field)?);
        let sp = vm.ptr(anchor, "JavaFrameAnchor::_last_Java_sp")?;
        let fp = vm.u64(anchor, "JavaFrameAnchor::_last_Java_fp").map(Va)?;
        let pc = match vm.ptr(anchor, "JavaFrameAnchor::_last_Java_pc") {
            Some(pc) => pc,
            None => Va(vm.memory.u64(sp.back(8))?),
        };
        Some(At { pc, sp, fp, running: None })
    }

    fn is_java(&self, va: Va) -> bool {
        self.code.in_interpreter(va) || self.code.blob(&self.vm, va).is_some()
    }

    /// A thread that runs Java code, or native code that Java called without leaving an anchor.
    fn running(&self, thread: &Thread, stack: Option<Walked<'_>>) -> Option<At> {
        let tid = thread.script.tid?;
        let regs = self.vm.process.threads.iter().find(|t| t.tid == tid)?.regs?;
        let at = |get: &dyn Fn(Reg) -> Option<u64>, running| {
            let (pc, sp, fp) = (get(amd64::RIP)?, get(amd64::RSP)?, get(amd64::RBP)?);
            Some(At { pc: Va(pc), sp: Va(sp), fp: Va(fp), running })
        };
        if self.is_java(Va(regs.get(amd64::RIP)?)) {
            return at(&|r| regs.get(r), Some(regs.get(amd64::R13).map(Va)));
        }
        let frame = stack?.frames.iter().find(|f| self.is_java(f.ip))?;
        at(&|r| frame.regs.get(r), None)
    }

    fn walk(&self, start: At) -> Vec<JavaFrame> {
        let mut out = Vec::new();
        let mut next = Some(start);
        for _ in 0..MAX_STEPS {
            let Some(at) = next else { break };
            // Stacks grow down: a caller lies higher. This cuts circles.
            next = self.step(at, &mut out).filter(|n| n.sp > at.sp);
            if out.len() >= MAX_FRAMES {
                break;
            }
        }
        out.truncate(MAX_FRAMES);
        out
    }

    /// Adds the frames at a place and gives the caller's.
    fn step(&self, at: At, out: &mut Vec<JavaFrame>) -> Option<At> {
        let vm = &self.vm;
        if self.code.in_interpreter(at.pc) {
            out.push(self.interpreted(at.fp, at.running.flatten())?);
            let word = |o: Va| vm.memory.u64(o).map(Va);
            return Some(At {
                pc: word(at.fp.offset(8))?,
                sp: word(at.fp.back(8))?,
                fp: word(at.fp)?,
                running: None,
            });
        }
        if self.code.call_stub_return == Some(at.pc) {
            let words = vm.constant("frame::entry_frame_call_wrapper_offset").unwrap_or(2);
            let wrapper = at.fp.offset(words.wrapping_mul(8).cast_unsigned());
            return self.anchor(Va(vm.memory.u64(wrapper)?), "JavaCallWrapper::_anchor");
        }
        let blob = self.code.blob(vm, at.pc)?;
        if blob.compiled {
            out.extend(self.compiled(&blob, at.pc, FrameAt { sp: at.sp, fp: at.fp }));
        }
        let in_prologue = at.running.is_some()
            && blob.compiled
            && at.pc.distance_from(blob.code).is_some_and(|o| o < blob.complete);
        if in_prologue {
            // The frame does not stand yet: the return address is all there is.
            return Some(At { pc: Va(vm.memory.u64(at.sp)?), sp: at.sp.offset(8), fp: at.fp, running: None });
        }
        if blob.frame < 2 {
            return None;
        }
        let sp = at.sp.checked_add(u64::from(blob.frame) * 8)?;
        Some(At {
            pc: Va(vm.memory.u64(sp.back(8))?),
            fp: Va(vm.memory.u64(sp.back(16))?),
            sp,
            running: None,
        })
    }

    /// The frame of the interpreter below `fp`. `running`: r13 of a running thread; the slot is stale then.
    pub(super) fn interpreted(&self, fp: Va, running: Option<Va>) -> Option<JavaFrame> {
        let vm = &self.vm;
        let method = self.names.method(vm, Va(vm.memory.u64(fp.back(24))?))?;
        let place = running.and_then(|r| method.index_of(r)).or_else(|| {
            let slot = Va(vm.memory.u64(fp.back(64))?);
            method.index_of(slot)
        });
        Some(JavaFrame {
            kind: if method.native { FrameKind::Native } else { FrameKind::Interpreted },
            index: place.filter(|_| !method.native),
            monitors: if method.native { Vec::new() } else { self.interpreter_monitors(fp) },
            method,
            ip: Va(0),
            sp: fp,
        })
    }

    fn interpreter_monitors(&self, fp: Va) -> Vec<Va> {
        let vm = &self.vm;
        let read = || {
            let size = vm.size("BasicObjectLock").filter(|s| (8..=64).contains(s))?;
            let object = vm.offset("BasicObjectLock::_obj")?;
            let (end, slot) = (fp.back(72), vm.memory.u64(fp.back(72))?);
            let relative = slot < 0x1_0000 || slot.cast_signed() < 0;
            let top = if relative { fp.offset(slot.wrapping_mul(8)) } else { Va(slot) };
            let count = end.distance_from(top)? / size;
            if count > MAX_MONITORS {
                return None;
            }
            let read = |i| vm.memory.u64(top.offset(i * size).offset(object)).and_then(|o| vm.wide(o));
            Some((0..count).filter_map(read).collect())
        };
        read().unwrap_or_default()
    }

    /// The frames of compiled code at a place: one, or several with inlined ones.
    pub(super) fn compiled(&self, blob: &Blob, pc: Va, frame: FrameAt) -> Vec<JavaFrame> {
        let vm = &self.vm;
        let Some(compiled) = Compiled::of(vm, blob) else { return Vec::new() };
        let pc = compiled.original_pc(vm, pc, frame.sp).unwrap_or(pc);
        let one = |method: Arc<Method>, index, monitors| JavaFrame {
            kind: if method.native { FrameKind::Native } else { FrameKind::Compiled },
            method,
            index,
            monitors,
            ip: pc,
            sp: frame.sp,
        };
        match self.names.method(vm, compiled.method) {
            Some(method) if method.native => vec![one(method, None, Vec::new())],
            _ => {
                let scopes = compiled.scopes(vm, pc, Some(frame)).into_iter();
                let read = |s: super::scopes::Scope| {
                    Some(one(self.names.method(vm, s.method)?, s.index, s.monitors))
                };
                scopes.map_while(read).collect()
            }
        }
    }

    /// As readers give frames.
    pub(super) fn script_frame(&self, frame: &JavaFrame) -> ScriptFrame {
        let function = frame.method.function();
        let line = frame.index.and_then(|i| metadata::line(&self.vm, &frame.method, i));
        ScriptFrame {
            library: is_library(&frame.method.class),
            displacement: 0,
            display: function.clone(),
            full: format!("{function}{}", frame.method.arguments),
            function,
            module: None,
            file: frame.method.file.clone(),
            line,
            place: None,
            kind: frame.kind,
            ip: frame.ip,
            sp: frame.sp,
        }
    }
}
