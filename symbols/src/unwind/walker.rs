//! The walk: from frame 0 step by step to the first frame, bounded and checked for progress.

use super::step::{Callee, Caller, Env, LOWEST_CODE, Outcome, Step, Verdict};
use super::{Cut, EndReason, Frame, Limits, Trust, UnwindContext, UnwindIssue, Walk, arm64, x64, x86};
use dumpscope_core::{Machine, ReadMemory, RegSet, Va};
use std::collections::VecDeque;

/// Outermost frames that are kept of a stack that is only counted.
const TAIL: usize = 32;

/// A walk under way.
pub(crate) struct Walker<'a> {
    env: Env<'a>,
}

impl<'a> Walker<'a> {
    pub(crate) fn new(
        mem: &'a dyn ReadMemory,
        context: &'a dyn UnwindContext,
        stack: Option<(Va, Va)>,
        limits: &'a Limits,
    ) -> Walker<'a> {
        Walker { env: Env::new(mem, context, stack, limits) }
    }

    pub(crate) fn run(mut self, regs: &RegSet) -> Walk {
        let (Some(ip), Some(sp)) = (regs.ip(), regs.sp()) else {
            return Walk { frames: Vec::new(), end: EndReason::NoCaller, cut: None };
        };
        let mut frame = Frame {
            ip,
            sp,
            frame_base: sp,
            return_address: Va(0),
            regs: *regs,
            saved_at: Vec::new(),
            trust: Trust::Context,
            issue: None,
            exact_ip: true,
        };
        if !self.env.in_stack(sp) {
            // Another stack (a fiber, a signal stack) or a broken register: the bounds are of no use.
            self.env.stack = None;
            frame.issue = Some(UnwindIssue::OutsideStack);
        }
        let most = self.env.limits.frames.max(1);
        let mut frames = Vec::new();
        let mut omitted = Vec::new();
        let mut tail = VecDeque::new();
        let mut callee = Callee::default();
        let end = loop {
            if frames.len() + omitted.len() + tail.len() + 1 >= most.saturating_add(self.env.limits.counted) {
                break EndReason::FrameLimit;
            }
            if self.env.context.cancelled() {
                break EndReason::Cancelled;
            }
            let step = self.step(&frame, callee);
            if step.issue.is_some() && frame.issue.is_none() {
                frame.issue = step.issue;
            }
            let caller = match step.outcome {
                Outcome::Caller(caller) => caller,
                Outcome::End(reason, slot) => {
                    frame.frame_base = self.frame_base(&frame, slot);
                    break reason;
                }
            };
            frame.frame_base = self.frame_base(&frame, caller.return_slot);
            callee = caller.callee;
            let next = match self.caller_frame(&frame, *caller) {
                Ok(next) => next,
                Err(reason) => break reason,
            };
            frame.return_address = next.ip;
            let done = std::mem::replace(&mut frame, next);
            if frames.len() + 1 < most || self.env.limits.counted == 0 {
                frames.push(done);
                continue;
            }
            tail.push_back(done);
            if tail.len() > TAIL {
                omitted.extend(tail.pop_front().map(|f: Frame| f.lookup_ip()));
            }
        };
        if tail.is_empty() {
            frames.push(frame);
            return Walk { frames, end, cut: None };
        }
        tail.push_back(frame);
        Walk { frames, end, cut: Some(Cut { omitted, tail: tail.into() }) }
    }

    /// Turns a step's result into a frame, or says why the walk ends at `frame`.
    fn caller_frame(&self, frame: &Frame, caller: Caller) -> Result<Frame, EndReason> {
        let Caller { cursor, trust, exact_ip, .. } = caller;
        let (ip, sp) = (cursor.regs.ip().unwrap_or_default(), cursor.sp());
        if ip.is_null() {
            return Err(EndReason::Complete);
        }
        // An ARM64 leaf has no stack of its own; everywhere else the return address itself is one word.
        let still =
            frame.regs.machine() == Machine::Arm64 && sp == frame.sp && ip != frame.ip && frame.exact_ip;
        if sp <= frame.sp && !still {
            return Err(EndReason::NoProgress);
        }
        if let Some((low, high)) = self.env.stack
            && (sp < low || sp > high)
        {
            return Err(EndReason::OutsideStack(sp));
        }
        if ip.0 < LOWEST_CODE {
            return Err(EndReason::NoCaller);
        }
        // A stack that was written over has words that no call put there.
        let doubtful = !exact_ip && self.env.judge(frame.regs.machine(), ip) == Verdict::NotAfterCall;
        Ok(Frame {
            ip,
            sp,
            frame_base: sp,
            return_address: Va(0),
            regs: cursor.regs,
            saved_at: cursor.saved_at,
            trust,
            issue: doubtful.then_some(UnwindIssue::NotAfterCall),
            exact_ip,
        })
    }

    fn frame_base(&self, frame: &Frame, return_slot: Option<Va>) -> Va {
        if frame.regs.machine() != Machine::X86 {
            return frame.sp;
        }
        return_slot.map(|slot| slot.back(4)).or(frame.regs.fp()).unwrap_or(frame.sp)
    }

    fn step(&self, frame: &Frame, callee: Callee) -> Step {
        match frame.regs.machine() {
            Machine::Amd64 => x64::step(&self.env, frame),
            Machine::X86 => x86::step(&self.env, frame, callee),
            Machine::Arm64 => arm64::step(&self.env, frame),
            Machine::Other(_) => Step { outcome: Outcome::End(EndReason::NoCaller, None), issue: None },
        }
    }
}
