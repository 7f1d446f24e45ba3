//! The runtime's explicit frames: records on the stack that mark where managed code is left and entered again.
//!
//! Order of a stack as the runtime's own debugger prints it: managed frames as unwound; where they are left, explicit
//! frames up to one that leads back into managed code. What lies below the stack pointer by then is dropped.
//! Layouts and names: `frames.h` of dotnet/runtime (MIT). 10 has numbers for the kinds (in the contract descriptor),
//! earlier ones the address of a virtual function table, which stand in `g_dacTable` in the order of the classes.

use super::Clr;
use super::layout::{Field, Release};
use crate::clr::StackItem;
use dumpscope_core::Va;
use dumpscope_symbols::Frame;
use std::collections::BTreeSet;

/// Most explicit frames of a thread.
const MAX_FRAMES: usize = 10_000;

/// Classes with virtual functions, in the order of the sources.
const CLASSES: &[&str] = &[
    "ComMethodFrame",
    "ComPlusMethodFrame",
    "ComPrestubMethodFrame",
    "DebuggerClassInitMarkFrame",
    "DebuggerSecurityCodeMarkFrame",
    "DebuggerExitFrame",
    "DebuggerU2MCatchHandlerFrame",
    "FaultingExceptionFrame",
    "FuncEvalFrame",
    "HelperMethodFrame",
    "HelperMethodFrame_1OBJ",
    "HelperMethodFrame_2OBJ",
    "HelperMethodFrame_3OBJ",
    "HelperMethodFrame_PROTECTOBJ",
    "HijackFrame",
    "InlinedCallFrame",
    "MulticastFrame",
    "PInvokeCalliFrame",
    "PrestubMethodFrame",
    "ProtectByRefsFrame",
    "ProtectValueClassFrame",
    "ResumableFrame",
    "RedirectedThreadFrame",
    "StubDispatchFrame",
    "CallCountingHelperFrame",
    "ExternalMethodFrame",
    "DynamicHelperFrame",
    "ExceptionFilterFrame",
];

impl Clr {
    /// The kind of an explicit frame.
    fn frame_kind(&self, frame: Va) -> Option<String> {
        let identity = self.core.memory().u64(frame)?;
        let first = match self.core.layout.release {
            Release::V8 => 132_usize,
            Release::V9 => 134,
            Release::V10 | Release::Later => {
                let d = self.core.descriptor.as_ref()?;
                let named = |(name, v): (&str, u64)| {
                    (v == identity).then(|| name.strip_suffix("Identifier")).flatten().map(str::to_owned)
                };
                return d.constants().find_map(named);
            }
        };
        let first =
            isize::try_from(self.core.table_shift()).ok().and_then(|d| first.checked_add_signed(d))?;
        let at = self.core.table_position(Va(identity))?.checked_sub(first)?;
        CLASSES.get(at).map(|s| (*s).to_owned())
    }

    /// Managed and explicit frames of a thread, in the order of the runtime's own debugger.
    pub(super) fn woven(&self, thread: &super::threads::Thread, frames: &[Frame]) -> Vec<StackItem> {
        let mut out = Vec::new();
        let mut explicit = thread.frame;
        let mut seen = BTreeSet::new();
        let mut ip = frames.first().map(|f| f.ip).unwrap_or_default();
        let mut at = 0usize;
        let is_managed = |f: &Frame| self.code_at(f.lookup_ip()).is_some_and(|c| !c.method.is_null());
        // Where an explicit frame leads to, when it says: the label behind its call.
        let mut label = None;
        loop {
            // A run of managed frames.
            let run = frames.get(at..).unwrap_or_default().iter().take_while(|f| is_managed(f)).count();
            for (i, frame) in (at..).zip(frames.get(at..at + run).unwrap_or_default()) {
                let ip = label.take().unwrap_or(frame.ip);
                if let Some(mut script) = self.frame(frame) {
                    // Counted from the label, not from where the call returns to.
                    script.displacement = script.displacement.wrapping_sub(frame.ip.0.wrapping_sub(ip.0));
                    out.push(StackItem {
                        sp: frame.sp,
                        ip,
                        kind: None,
                        frame: Some(script),
                        method: None,
                        machine: Some(i),
                    });
                }
            }
            at += run;
            let next = frames.get(at);
            if run > 0 {
                ip = next.map(|f| f.ip).unwrap_or_default();
                let sp = next.map_or(Va(u64::MAX), |f| f.sp);
                while let Some(f) = explicit.filter(|f| *f < sp && out.len() < MAX_FRAMES) {
                    explicit = self.next_frame(f);
                }
            }
            // Native code: explicit frames up to the next managed one.
            let to = frames.get(at..).unwrap_or_default().iter().position(is_managed).map(|n| at + n);
            let limit =
                to.and_then(|n| Some((frames.get(n)?, frames.get(n + 1).map_or(Va(u64::MAX), |f| f.sp))));
            let mut entered = false;
            while let Some(f) = explicit.filter(|f| seen.insert(*f) && out.len() < MAX_FRAMES) {
                if let Some((_, end)) = limit
                    && f >= end
                {
                    seen.remove(&f);
                    break;
                }
                let kind = self.frame_kind(f).unwrap_or_else(|| "Frame".to_owned());
                let method = self.helper_method(f);
                let item = |ip| StackItem {
                    sp: f,
                    ip,
                    kind: Some(kind.clone()),
                    frame: None,
                    method: method.clone(),
                    machine: None,
                };
                out.push(item(ip));
                explicit = self.next_frame(f);
                if kind == "InlinedCallFrame"
                    && let Some(target) = self.core.target(f, Field::CallReturn)
                {
                    out.push(item(target));
                    label = Some(target);
                    ip = target;
                    entered = true;
                    break;
                }
            }
            let _ = entered;
            match to {
                Some(n) => at = n,
                None => break,
            }
            if out.len() >= MAX_FRAMES {
                break;
            }
        }
        out
    }

    fn next_frame(&self, frame: Va) -> Option<Va> {
        self.core.target(frame, Field::FrameNext).filter(|f| f.0 != u64::MAX)
    }
}
