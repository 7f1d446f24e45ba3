//! One step on an ARM64 stack: unwind data of the image in memory, `STACK CFI` rules of a symbol file, the link
//! register of frame 0, the frame pointer chain, a scan.

mod codes;

use super::image::Image;
use super::scan::{frame_pointer, scan};
use super::step::{Callee, Caller, Cursor, Env, Missing, Outcome, Step, Verdict};
use super::{EndReason, Frame, FrameData, Trust, UnwindIssue, cfi};
use codes::{Done, Failure};
use dumpscope_core::base::arm64;
use dumpscope_core::{Machine, ReadMemory, Reg, Rva, Va};

/// Finds the caller of `frame`.
pub(crate) fn step(env: &Env<'_>, frame: &Frame) -> Step {
    let lookup = frame.lookup_ip();
    let image = env.image_at(lookup).filter(|i| i.machine == Machine::Arm64);
    let entry = image.as_ref().and_then(|i| codes::lookup(env.mem, i, lookup.rva(i.base)?));
    let issue = match (&image, entry) {
        (Some(image), Some(entry)) => match codes::unwind(env, image.base, entry, frame) {
            Ok(Done { cursor, interrupted }) => {
                let caller = Caller { exact_ip: interrupted, ..caller(cursor, Trust::Cfi, None) };
                return Step { outcome: Outcome::Caller(Box::new(caller)), issue: None };
            }
            Err(Failure::Stack(Missing(at))) => {
                return Step { outcome: Outcome::End(EndReason::MissingMemory(at), None), issue: None };
            }
            Err(Failure::Data(text)) => UnwindIssue::BadUnwindData(text),
        },
        (Some(image), None) => {
            let is_code = frame.ip.rva(image.base).and_then(|rva| image.is_code(rva));
            if let Some(leaf) = by_link(env, frame)
                && image.pdata.is_some()
                && is_code == Some(true)
            {
                // A function without unwind data neither moves the stack pointer nor calls.
                let caller = Caller { trust: Trust::Cfi, ..leaf };
                return Step { outcome: Outcome::Caller(Box::new(caller)), issue: None };
            }
            UnwindIssue::NoUnwindData
        }
        (None, _) if env.context.module_at(lookup).is_none() => UnwindIssue::NotInModule,
        (None, _) => UnwindIssue::ImageMissing,
    };
    if let Some(FrameData::Cfi { rules }) = env.context.frame_data(lookup)
        && let Some(done) = cfi::apply(env, frame, &rules)
    {
        let caller = caller(done.cursor, Trust::Cfi, done.return_slot);
        return Step { outcome: Outcome::Caller(Box::new(caller)), issue: None };
    }
    let cursor = Cursor::of(frame);
    // Nothing ran since a call through a bad pointer; elsewhere fp is set up nearly always.
    let jumped = match frame.exact_ip && env.never_ran(frame.ip) {
        true => by_link(env, frame).map(|c| Caller { trust: Trust::ReturnAddress, ..c }),
        false if issue == UnwindIssue::NotInModule => by_link(env, frame),
        false => None,
    };
    let found = jumped
        .or_else(|| frame_pointer(env, &cursor))
        .or_else(|| by_link(env, frame))
        .or_else(|| scan(env, &cursor, frame.ip, frame.sp));
    let outcome = match found {
        Some(caller) => Outcome::Caller(Box::new(caller)),
        None if env.mem.u64(frame.sp).is_none() => Outcome::End(EndReason::MissingMemory(frame.sp), None),
        None => Outcome::End(EndReason::NoCaller, None),
    };
    Step { outcome, issue: Some(issue) }
}

/// Begin and end of the function that holds `rva`, and its begin again; `None` for a fragment without a prologue.
pub(super) fn part(mem: &dyn ReadMemory, image: &Image, rva: Rva) -> Option<(Rva, Rva, Rva)> {
    let (begin, end) = codes::extent(mem, image.base, codes::lookup(mem, image, rva)?)?;
    Some((Rva(begin), Rva(end), Rva(begin)))
}

/// Frame 0 with its return address in the link register, where that can be one.
fn by_link(env: &Env<'_>, frame: &Frame) -> Option<Caller> {
    let lr = Va(frame.regs.get(arm64::LR).filter(|_| frame.exact_ip)?);
    if !matches!(env.judge(Machine::Arm64, lr), Verdict::Verified | Verdict::Unverified) {
        return None;
    }
    let mut cursor = Cursor::of(frame);
    cursor.set_ip(lr);
    Some(caller(cursor, Trust::Scan, None))
}

/// x0 to x18 and lr may be changed by a call.
fn caller(mut cursor: Cursor, trust: Trust, return_slot: Option<Va>) -> Caller {
    (0..=18).map(Reg).chain([arm64::LR]).for_each(|r| cursor.forget(r));
    Caller { cursor, trust, return_slot, exact_ip: false, callee: Callee::default() }
}

#[cfg(test)]
mod tests;
