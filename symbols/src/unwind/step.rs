//! What the steps of all machines share: the environment they ask, the registers they restore, their outcome.

use super::code::after_call;
use super::image::Image;
use super::{EndReason, Frame, Limits, Trust, UnwindContext, UnwindIssue};
use dumpscope_core::{Machine, ReadMemory, Reg, RegSet, Va};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Addresses below are never mapped by Windows: a "return address" there is none.
pub(crate) const LOWEST_CODE: u64 = 0x1_0000;

/// Where a walk gets its answers.
pub(crate) struct Env<'a> {
    pub(crate) mem: &'a dyn ReadMemory,
    pub(crate) context: &'a dyn UnwindContext,
    /// Lowest address and address after the highest.
    pub(crate) stack: Option<(Va, Va)>,
    pub(crate) limits: &'a Limits,
    images: RefCell<BTreeMap<Va, Option<Arc<Image>>>>,
}

/// What a word may be, taken as a return address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Known code, after a call.
    Verified,
    /// In a module, but its code bytes are not known.
    Unverified,
    /// In a module, but the bytes before it are no call, or it is no code at all.
    NotAfterCall,
    /// In no module; known bytes say that it follows a call (code made at run time).
    Outside,
    /// None of these.
    No,
}

impl<'a> Env<'a> {
    pub(crate) fn new(
        mem: &'a dyn ReadMemory,
        context: &'a dyn UnwindContext,
        stack: Option<(Va, Va)>,
        limits: &'a Limits,
    ) -> Env<'a> {
        Env { mem, context, stack, limits, images: RefCell::default() }
    }

    /// The headers of the image that holds `va`, when memory has them.
    pub(crate) fn image_at(&self, va: Va) -> Option<Arc<Image>> {
        let (base, size) = self.context.module_at(va)?;
        if let Some(known) = self.images.borrow().get(&base) {
            return known.clone();
        }
        let image = match self.context.cache() {
            Some(cache) => cache.image(self.mem, base, size),
            None => Image::read(self.mem, base, size).map(Arc::new),
        };
        self.images.borrow_mut().insert(base, image.clone());
        image
    }

    /// True when `va` may hold stack data: inside the bounds, or no bounds are known.
    pub(crate) fn in_stack(&self, va: Va) -> bool {
        self.stack.is_none_or(|(low, high)| va >= low && va < high)
    }

    /// True when no instruction at `ip` can have run: the frame is a call or jump that failed to arrive.
    pub(crate) fn never_ran(&self, ip: Va) -> bool {
        if let Some(known) = self.context.executable(ip) {
            return !known;
        }
        match self.context.module_at(ip) {
            None => self.mem.u8(ip).is_none(),
            Some(_) => {
                let image = self.image_at(ip);
                image.and_then(|i| i.is_code(ip.rva(i.base)?)) == Some(false)
            }
        }
    }

    /// True when `va`, which is in no module, may be code: nothing says that it cannot run.
    pub(crate) fn may_be_code(&self, va: Va) -> bool {
        va.0 >= LOWEST_CODE
            && self.context.module_at(va).is_none()
            && self.context.executable(va) != Some(false)
            && !(self.stack.is_some() && self.in_stack(va))
    }

    /// True when a function starts at `va`, as far as symbols know.
    pub(crate) fn starts_function(&self, va: Va) -> bool {
        self.context.function_start(va) == Some(va)
    }

    /// Judges `va` as a return address. Only `Verified` and `Unverified` targets may come out of a scan.
    pub(crate) fn judge(&self, machine: Machine, va: Va) -> Verdict {
        if va.0 < LOWEST_CODE || (machine.is_64() && va.0 >> 47 != 0) {
            return Verdict::No;
        }
        let call = va.back(1);
        if self.context.module_at(call).is_none() && self.context.dynamic_rule(call).is_none() {
            return match after_call(self.mem, machine, va) {
                Some(true) if self.context.executable(call) != Some(false) => Verdict::Outside,
                _ => Verdict::No,
            };
        }
        if let Some(image) = self.image_at(call) {
            let code = call.rva(image.base).and_then(|rva| image.is_code(rva));
            if code == Some(false) || image.machine != machine {
                return Verdict::NotAfterCall;
            }
        }
        if self.context.executable(call) == Some(false) {
            return Verdict::NotAfterCall;
        }
        match after_call(self.mem, machine, va) {
            Some(true) => Verdict::Verified,
            Some(false) => Verdict::NotAfterCall,
            // A function's address is a pointer to it. (A call that does not return can end the function before,
            // but that is rarer than a stored pointer.)
            None if self.context.function_start(va) == Some(va) => Verdict::NotAfterCall,
            None if self.context.in_function(call) == Some(false) => Verdict::NotAfterCall,
            None => Verdict::Unverified,
        }
    }
}

/// Registers on their way from a frame to its caller, with the slots they were saved in.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    pub(crate) regs: RegSet,
    pub(crate) saved_at: Vec<(Reg, Va)>,
}

/// A stack word that the dump does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing(pub(crate) Va);

impl Cursor {
    pub(crate) fn of(frame: &Frame) -> Cursor {
        Cursor { regs: frame.regs, saved_at: frame.saved_at.clone() }
    }

    pub(crate) fn sp(&self) -> Va {
        self.regs.sp().unwrap_or_default()
    }

    pub(crate) fn set_sp(&mut self, sp: Va) {
        self.regs.set(RegSet::sp_reg(self.regs.machine()), sp.0);
    }

    pub(crate) fn set_ip(&mut self, ip: Va) {
        self.regs.set(RegSet::ip_reg(self.regs.machine()), ip.0);
    }

    /// Restores `reg` from the stack word at `slot`.
    pub(crate) fn load(&mut self, env: &Env<'_>, reg: Reg, slot: Va) -> Result<(), Missing> {
        let value = env.mem.ptr(slot, self.regs.machine()).ok_or(Missing(slot))?;
        self.restored(reg, value.0, slot);
        Ok(())
    }

    /// Notes that `reg` had `value` and was saved at `slot`.
    pub(crate) fn restored(&mut self, reg: Reg, value: u64, slot: Va) {
        self.regs.set(reg, value);
        match self.saved_at.iter_mut().find(|(r, _)| *r == reg) {
            Some(entry) => entry.1 = slot,
            None => self.saved_at.push((reg, slot)),
        }
    }

    /// Makes `reg` unknown.
    pub(crate) fn forget(&mut self, reg: Reg) {
        self.regs.clear(reg);
        self.saved_at.retain(|(r, _)| *r != reg);
    }

    /// Restores `reg` from the top of the stack and drops the word.
    pub(crate) fn pop(&mut self, env: &Env<'_>, reg: Reg) -> Result<(), Missing> {
        let sp = self.sp();
        self.load(env, reg, sp)?;
        self.set_sp(sp.offset(self.regs.machine().ptr_size() as u64));
        Ok(())
    }

    /// Takes the return address from the top of the stack; gives its slot.
    pub(crate) fn ret(&mut self, env: &Env<'_>) -> Result<Va, Missing> {
        let slot = self.sp();
        let machine = self.regs.machine();
        let ip = env.mem.ptr(slot, machine).ok_or(Missing(slot))?;
        self.set_ip(ip);
        self.set_sp(slot.offset(machine.ptr_size() as u64));
        Ok(slot)
    }
}

/// What an x86 step knows of the frame below, besides its registers.
///
/// The stack pointer of a caller's frame lies right above the return address: the callee's parameters are still
/// on the stack, as unwind data sees it at the call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Callee {
    /// Bytes of parameters that it took, as frame data or its `ret n` says.
    pub(crate) params: u32,
    /// Bytes that its return instruction removes, when that was seen.
    pub(crate) popped: Option<u32>,
}

/// A caller's frame, found.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Its registers.
    pub(crate) cursor: Cursor,
    /// How it was found.
    pub(crate) trust: Trust,
    /// Stack address of the return address into it; `None` when it came out of a register or a context record.
    pub(crate) return_slot: Option<Va>,
    /// True when its ip is where it was interrupted, not a return address.
    pub(crate) exact_ip: bool,
    /// What the frame below did to the stack (x86).
    pub(crate) callee: Callee,
}

/// Outcome of a step from a frame to its caller.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// There is a caller.
    Caller(Box<Caller>),
    /// There is none; the slot where the return address should be, if that is known.
    End(EndReason, Option<Va>),
}

/// A step's outcome and what is doubtful about the frame that it started from.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) outcome: Outcome,
    pub(crate) issue: Option<UnwindIssue>,
}
