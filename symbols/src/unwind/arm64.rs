//! One step on an ARM64 stack: `STACK CFI` rules of a symbol file, the frame pointer chain, the link register of
//! frame 0, a scan.

use super::scan::{frame_pointer, scan};
use super::step::{Callee, Caller, Cursor, Env, Missing, Outcome, Step, Verdict};
use super::{EndReason, Frame, FrameData, Trust, UnwindIssue, cfi};
use dumpscope_core::base::arm64;
use dumpscope_core::{Machine, Reg, Va};

/// Finds the caller of `frame`.
pub(crate) fn step(env: &Env<'_>, frame: &Frame) -> Step {
    let in_module = env.context.module_at(frame.lookup_ip()).is_some();
    let issue = Some(if in_module { UnwindIssue::NoUnwindData } else { UnwindIssue::NotInModule });
    if let Some(FrameData::Cfi { rules }) = env.context.frame_data(frame.lookup_ip())
        && let Some(done) = cfi::apply(env, frame, &rules)
    {
        let caller = caller(done.cursor, Trust::Cfi, done.return_slot);
        return Step { outcome: Outcome::Caller(Box::new(caller)), issue: None };
    }
    let outcome = match guess(env, frame) {
        Ok(Some(caller)) => Outcome::Caller(Box::new(caller)),
        Ok(None) => Outcome::End(EndReason::NoCaller, None),
        Err(Missing(at)) => Outcome::End(EndReason::MissingMemory(at), None),
    };
    Step { outcome, issue }
}

fn guess(env: &Env<'_>, frame: &Frame) -> Result<Option<Caller>, Missing> {
    let cursor = Cursor::of(frame);
    if let Some(found) = frame_pointer(env, &cursor) {
        return Ok(Some(found));
    }
    // A function that keeps no frame still has its return address in lr.
    if frame.exact_ip
        && let Some(lr) = cursor.regs.get(arm64::LR).map(Va)
        && matches!(env.judge(Machine::Arm64, lr), Verdict::Verified | Verdict::Unverified)
    {
        let mut next = cursor;
        next.set_ip(lr);
        return Ok(Some(caller(next, Trust::Scan, None)));
    }
    if env.mem.u64(frame.sp).is_none() {
        return Err(Missing(frame.sp));
    }
    Ok(scan(env, &cursor, frame.ip, frame.sp))
}

/// x0 to x18 and lr may be changed by a call.
fn caller(mut cursor: Cursor, trust: Trust, return_slot: Option<Va>) -> Caller {
    (0..=18).map(Reg).chain([arm64::LR]).for_each(|r| cursor.forget(r));
    Caller { cursor, trust, return_slot, exact_ip: false, callee: Callee::default() }
}
