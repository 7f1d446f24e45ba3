//! x86: a frame as its function's code lays it out, for the stack walk where no symbols tell.

use super::flow::{Analysis, Point};
use super::names::{Root, Sym};
use super::starts::{far_prologue, prologues};
use super::state::REGS;
use super::values::at_offset;
use crate::Target;
use dumpscope_core::{Machine, Reg, Va};
use dumpscope_symbols::Frame;
use dumpscope_symbols::unwind::CodeFrame;

/// The frame by its function's prologue and stack adjustments over all paths to its instruction pointer. `accept`
/// judges the slot of the return address: a wrong start of the function rarely leads to one.
pub(crate) fn code_frame(target: &Target, frame: &Frame) -> Option<CodeFrame> {
    if frame.regs.machine() != Machine::X86 {
        return None;
    }
    let cx = Analysis::new(target, Machine::X86)?;
    let lookup = frame.lookup_ip();
    let symbol = target.symbols.resolve(lookup).filter(|r| r.symbol.is_some());
    let symbol = symbol.map(|r| lookup.back(r.displacement));
    let near = prologues(&cx, lookup);
    let mut tried: Vec<Va> = Vec::new();
    for entry in symbol.into_iter().chain(near).chain(far_prologue(&cx, lookup)) {
        if tried.contains(&entry) {
            continue;
        }
        tried.push(entry);
        let Some(point) = cx.point(entry, frame.ip, frame.exact_ip, None) else { continue };
        if let Some(found) = laid_out(&cx, frame, entry, &point) {
            return Some(found);
        }
    }
    None
}

/// The frame when the function starts at `entry`; `None` when the code does not tell, or a call does not lie before
/// the return address.
fn laid_out(cx: &Analysis<'_>, frame: &Frame, entry: Va, point: &Point) -> Option<CodeFrame> {
    let abi = cx.abi;
    let by_sp = point.before.sp(abi).map(|o| at_offset(abi, frame.sp, -i64::from(o)));
    let fp_offset = point.before.reg(abi.fp).sp_offset(abi);
    let by_fp = fp_offset.and_then(|o| Some(at_offset(abi, Va(frame.regs.get(Reg(abi.fp))?), -i64::from(o))));
    let return_slot = match (by_sp, by_fp) {
        (Some(a), Some(b)) if a != b => return None,
        (a, b) => a.or(b)?,
    };
    if return_slot < frame.sp || !cx.follows_call(return_slot) {
        return None;
    }
    let mut saved = Vec::new();
    let mut kept = Vec::new();
    for reg in abi.kept.iter().copied().chain([abi.fp]) {
        let own = Sym::of(Root::Entry(reg));
        if usize::from(reg) < REGS && point.after.reg(reg).root == own.root && point.after.reg(reg).add == 0 {
            kept.push(Reg(reg));
            continue;
        }
        let slot =
            point.after.slots.iter().find(|(offset, slot)| {
                **offset < 0 && slot.cell.sym.root == own.root && slot.cell.sym.add == 0
            });
        if let Some((offset, _)) = slot {
            saved.push((Reg(reg), at_offset(abi, return_slot, i64::from(*offset))));
        }
    }
    Some(CodeFrame { entry, return_slot, saved, kept, pops: point.pops })
}
