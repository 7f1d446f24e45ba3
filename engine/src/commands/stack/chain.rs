//! 32-bit stacks as today's engine walks them: from ebp to ebp where no frame data of a symbol file says otherwise.
//!
//! It leaves out the callers of functions without a frame of their own, above all of system-call stubs. What the bare
//! modern layout says of the current thread's stack is so (`k`, `.frame`, `dv`, `dx`); `k` notes what is left out. Every
//! analysis, the classic layout and the TUI use the whole stack.

use crate::session::{Layout, Session};
use dumpscope_analyzers::{Stack, StackFrame, stacks};
use dumpscope_core::{Machine, ReadMemory, RegSet, Va};
use dumpscope_symbols::{EndReason, Limits, SymbolSource, Trust};

/// Whether stacks are shown as the engine's.
pub(crate) fn applies(session: &Session) -> bool {
    session.sel.layout == Layout::Modern
        && session.sel.machine == Machine::X86
        && !session.sel.numbers
        && session.target.foreign().is_none()
}

/// A return address and the caller's ebp, by the two words at `ebp`.
fn link(session: &Session, ebp: Va) -> Option<(Va, Va)> {
    let memory = session.dump().memory();
    let (next, ret) = (memory.u32(ebp)?, memory.u32(ebp.offset(4))?);
    Some((Va(ret.into()), Va(next.into())))
}

/// True when a symbol file has frame data for a frame, and its image is there, without which the engine finds none.
fn has_frame_data(session: &Session, frame: &StackFrame) -> bool {
    let base = frame.module.and_then(|m| session.target.symbols.modules().get(m)).map(|m| m.base);
    let image = base.is_some_and(|b| session.dump().memory().u16(b).is_some());
    image && session.target.symbols.frame_data(frame.frame.lookup_ip()).is_some()
}

/// The frames of `stack` that the engine shows, at most `most` physical ones, with its ChildEBP and return addresses. As
/// soon as its chain leaves the stack, ours goes on. And the addresses of the frames that it leaves out.
pub(crate) fn engine_view(session: &Session, stack: Stack, most: usize) -> (Stack, Vec<Va>) {
    let mut groups: Vec<Vec<StackFrame>> = vec![Vec::new()];
    for frame in stack.frames {
        let physical = frame.trust != Trust::Inline;
        if let Some(group) = groups.last_mut() {
            group.push(frame);
        }
        if physical {
            groups.push(Vec::new());
        }
    }
    groups.retain(|g| !g.is_empty());
    let mut end = stack.end;
    let mut frames = Vec::new();
    let mut left_out = Vec::new();
    let mut shown = 0;
    let mut at = 0;
    let mut ebp = groups.first().and_then(|g| g.first()).and_then(|f| f.frame.regs.fp());
    while let Some(group) = groups.get(at) {
        if shown >= most {
            end = EndReason::FrameLimit;
            break;
        }
        shown += 1;
        let Some(last) = group.last() else { break };
        let chained =
            ebp.filter(|_| !has_frame_data(session, last)).and_then(|e| Some((e, link(session, e)?)));
        let found = chained.and_then(|(e, (ret, next))| {
            let rest = groups.get(at + 1..).unwrap_or_default();
            let index = rest.iter().position(|g| g.last().is_some_and(|f| f.frame.ip == ret));
            // A chain that ends is the engine's end, too; one that leads elsewhere is not followed.
            (ret.is_null() || index.is_some()).then_some((e, ret, next, index))
        });
        match found {
            Some((e, ret, next, index)) => {
                frames.extend(group.iter().cloned().map(|mut f| {
                    (f.frame.frame_base, f.frame.return_address) = (e, ret);
                    f.has_unwind_info &=
                        f.source.is_some_and(|s| s < SymbolSource::Exports) || f.module.is_none();
                    f
                }));
                let passed = groups.get(at + 1..).unwrap_or_default();
                let passed = passed.iter().take(index.unwrap_or(usize::MAX));
                left_out.extend(passed.filter_map(|g| g.last()).map(|f| f.frame.ip));
                let Some(index) = index else {
                    end = EndReason::Complete;
                    break;
                };
                at += index + 1;
                ebp = Some(next);
            }
            None => {
                frames.extend(group.iter().cloned());
                at += 1;
                ebp = groups.get(at).and_then(|g| g.last()).and_then(|f| f.frame.regs.fp());
            }
        }
    }
    (Stack { machine: stack.machine, frames, end, overflow: stack.overflow }, left_out)
}

/// `k = base`: the first frame's return address lies behind `base`, whatever is there; then ebp as it is.
pub(super) fn from_base(session: &Session, base: Va, most: usize) -> Option<Stack> {
    let regs = session.frame_regs()?;
    let (mut ip, mut ebp) = (regs.ip()?, base);
    let mut frames = Vec::new();
    let limits = Limits { frames: 1, ..Limits::default() };
    for number in 0..most {
        if session.cancel.is_cancelled() {
            break;
        }
        let (ret, next) = link(session, ebp).unwrap_or_default();
        let mut at = RegSet::new(Machine::X86);
        at.set(RegSet::ip_reg(Machine::X86), ip.0);
        at.set(RegSet::sp_reg(Machine::X86), ebp.0);
        at.set(RegSet::fp_reg(Machine::X86), ebp.0);
        for mut frame in stacks::stack_from(&session.target, &at, None, &limits, &session.cancel).frames {
            (frame.frame.frame_base, frame.frame.return_address) = (ebp, ret);
            frame.has_unwind_info = frame.source.is_some_and(|s| s < SymbolSource::Exports);
            frames.push(frame);
        }
        let current = regs.fp()?;
        let caller = if number == 0 && base != current { current } else { next };
        if ret.is_null() || (number > 0 && caller <= ebp) {
            break;
        }
        (ip, ebp) = (ret, caller);
    }
    Some(Stack { machine: Machine::X86, frames, end: EndReason::Complete, overflow: false })
}

/// What the engine's view leaves out, in a sentence.
pub(super) fn left_out_words(session: &Session, left_out: &[Va]) -> Option<String> {
    let name = |ip: &Va| session.name_of(*ip).unwrap_or_else(|| crate::fmt::addr(*ip, false));
    let names: Vec<String> = left_out.iter().take(4).map(name).collect();
    (!names.is_empty()).then(|| {
        format!(
            "WinDbg's engine leaves out callers of functions without a frame, here {}; `.layout classic` shows them.",
            names.join(", ")
        )
    })
}
