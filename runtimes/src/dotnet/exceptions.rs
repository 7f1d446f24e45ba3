//! Exceptions: those that threads handle or last threw, with their messages and stacks.

use super::Clr;
use super::layout::Field;
use super::threads::Thread;
use crate::{ExceptionState, FrameKind, MethodPlace, ScriptException, ScriptFrame};
use dumpscope_core::Va;

/// Most exceptions that a thread handles at once.
const MAX_NESTED: usize = 32;
/// Most exceptions that are told.
const MAX_EXCEPTIONS: usize = 1024;
/// Deepest chain of inner exceptions.
const MAX_INNER: usize = 16;
/// Most frames of an exception's stack.
const MAX_FRAMES: u64 = 4096;

impl Clr {
    /// Exceptions of all threads, in the order of threads, the current one first.
    pub(super) fn exceptions(&self) -> Vec<ScriptException> {
        let mut out = Vec::new();
        for thread in self.threads() {
            if out.len() >= MAX_EXCEPTIONS {
                break;
            }
            let current = self.tracked(thread);
            let last = self.last_thrown(thread).filter(|o| !current.contains(o));
            let all = current
                .iter()
                .map(|o| (*o, ExceptionState::Handling))
                .chain(last.map(|o| (o, ExceptionState::LastThrown)));
            for (object, state) in all {
                let Some(mut exception) = self.exception(object, 0) else { continue };
                exception.state = state;
                exception.tid = thread.script.tid;
                out.push(exception);
            }
        }
        out
    }

    /// Exceptions whose handling is under way, the newest first.
    pub(super) fn tracked(&self, thread: &Thread) -> Vec<Va> {
        let core = &self.core;
        let mut out = Vec::new();
        let mut next = core.target(thread.address, Field::ThreadTracker);
        for _ in 0..MAX_NESTED {
            let Some(tracker) = next else { break };
            // A handle, or (seen on 10) the object itself.
            let word = core.target(tracker, Field::ExceptionThrown);
            let object = word.and_then(|w| {
                [Some(w), core.deref(w)]
                    .into_iter()
                    .flatten()
                    .find(|o| self.object_is(*o, "System.Exception"))
            });
            out.extend(object.filter(|o| !out.contains(o)));
            next = core.target(tracker, Field::ExceptionPrevious).filter(|p| *p != tracker);
        }
        out
    }

    /// The exception that a thread threw last.
    pub(super) fn last_thrown(&self, thread: &Thread) -> Option<Va> {
        let handle = self.core.target(thread.address, Field::ThreadLastThrown)?;
        self.core.deref(handle).filter(|o| self.object_is(*o, "System.Exception"))
    }

    /// An exception object and what caused it.
    pub(super) fn exception(&self, object: Va, depth: usize) -> Option<ScriptException> {
        let mt = self.object_type(object)?;
        let inner = self.reference(object, "_innerException").filter(|i| *i != object && depth < MAX_INNER);
        let hresult = self.number(object, "_HResult").and_then(|n| u32::try_from(n & 0xffff_ffff).ok());
        Some(ScriptException {
            address: object,
            tid: None,
            type_name: self.type_name(mt)?.to_string(),
            message: self.text(object, "_message"),
            hresult,
            state: ExceptionState::Heap,
            frames: self.exception_frames(object).unwrap_or_default(),
            inner: inner.and_then(|i| self.exception(i, depth + 1)).map(Box::new),
        })
    }

    /// The stack of an exception: a byte array with a count (64 bits in 8, else 32), the thread, and 32 bytes for each
    /// frame (ip inside the call, sp, method's record, flags); or an array of objects whose first one is that.
    fn exception_frames(&self, object: Va) -> Option<Vec<ScriptFrame>> {
        let mut array = self.reference(object, "_stackTrace")?;
        if self.object_name(array).as_deref() == Some("System.Object[]") {
            array = self.core.deref(array.offset(16))?;
        }
        self.object_type(array)?;
        let memory = self.core.memory();
        let length = u64::from(memory.u32(array.offset(8))?);
        let count =
            u64::from(memory.u32(array.offset(16))?).min(MAX_FRAMES).min(length.saturating_sub(16) / 32);
        let mut out = Vec::new();
        for i in 0..count {
            let at = array.offset(32 + i * 32);
            let word = |o| memory.u64(at.offset(o)).map(Va);
            let (Some(ip), Some(sp), Some(record)) = (word(0), word(8), word(16)) else { break };
            let Some(method) = self.method(Va(record.0 & !1)) else { continue };
            let module = method.module.file(&self.core);
            let code = self.code_at(ip.back(1));
            let displacement = code.as_ref().map_or(0, |c| ip.0.wrapping_sub(c.start.0));
            let il_offset =
                code.filter(|_| !method.is_dynamic()).and_then(|c| self.il_offset(&c, ip.back(1)));
            out.push(ScriptFrame {
                function: method.function(),
                display: method.display(),
                full: self.full_name(&method).to_owned(),
                module: (!module.is_empty()).then_some(module),
                file: None,
                line: None,
                displacement,
                library: super::waits::is_library(&method),
                place: (method.row != 0).then(|| MethodPlace {
                    base: method.module.base,
                    row: method.row,
                    il_offset,
                }),
                kind: FrameKind::Managed,
                ip,
                sp,
            });
        }
        Some(out)
    }
}
