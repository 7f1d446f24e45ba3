//! Parameters and local variables of one row of a stack, from a symbol file: where they are and what they hold.
#![warn(clippy::indexing_slicing)]

use crate::model::Confidence;
use crate::{Stack, Target};
use dumpscope_core::{Machine, RegSet, Va};
use dumpscope_symbols::provider::variable::{FrameRegs, Location, Place, Variable};
use dumpscope_symbols::types::{
    Data, Type, TypeId, TypeProvider, ValueCx, bare, cpp_name, inline_value, size_of,
};
use dumpscope_symbols::unwind::virtual_frame;
use dumpscope_symbols::{SymbolProvider, Trust};
use std::sync::Arc;

/// Largest value that is put together from pieces, bytes.
const MAX_PIECES: u64 = 4096;

/// The variables of one row of a stack. A row of an inlined call has that call's variables, a row of a function
/// those of the function itself.
#[derive(Debug)]
pub struct Scope {
    /// Index of the module in `Target::symbols.modules()`.
    pub module: usize,
    /// The variables in scope, in the order of the symbol file.
    pub variables: Vec<Variable>,
    provider: Arc<dyn SymbolProvider>,
    base: Va,
    machine: Machine,
    regs: RegSet,
    virtual_frame: Option<Va>,
    function: Option<TypeId>,
    inline: bool,
    trust: Trust,
}

/// A variable's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// In the process's memory.
    Memory(Va),
    /// In registers: the bytes themselves.
    Bytes(Vec<u8>),
}

impl Stored {
    /// As the source of a value.
    #[must_use]
    pub fn data(&self) -> Data<'_> {
        match self {
            Stored::Memory(va) => Data::Memory(*va),
            Stored::Bytes(b) => Data::Bytes(b),
        }
    }
}

/// A parameter with its value, as `kP` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Name; empty for one that the source has no name of. Untrusted.
    pub name: String,
    /// Type as declarations write it. Untrusted.
    pub type_name: String,
    /// Value as WinDbg writes it, or why it is not known. Untrusted.
    pub value: Result<String, &'static str>,
    /// The value as a number, for numbers, pointers and enumerations.
    pub bits: Option<u64>,
    /// How sure the value is: that of the frame it was read in. It is what the parameter holds now; the function
    /// may have changed it since it was called.
    pub confidence: Confidence,
}

impl Scope {
    /// The scope of a row. `None` when no symbol file tells the variables of its function.
    #[must_use]
    pub fn of(target: &Target, stack: &Stack, row: usize) -> Option<Scope> {
        let f = stack.frames.get(row)?;
        let module = f.module?;
        let base = target.symbols.modules().get(module)?.base;
        let lookup = f.frame.lookup_ip();
        let rva = lookup.rva(base)?;
        let providers = target.symbols.providers(module);
        let (provider, all) = providers.iter().find_map(|p| Some((p, p.variables(rva)?)))?;
        let inline = f.trust == Trust::Inline;
        // The rows of the calls that were inlined into a function stand before it, innermost first.
        let before = stack.frames.get(..row).unwrap_or_default().iter().rev();
        let site = inline.then(|| before.take_while(|r| r.trust == Trust::Inline).count());
        // A frame is no better than those that led to it.
        let way = stack.frames.get(..=row).unwrap_or_default().iter().map(|r| r.frame.trust);
        let trust = way.max().unwrap_or(Trust::Scan);
        let virtual_frame = if stack.machine == Machine::X86 {
            let data = target.symbols.frame_data(lookup);
            // The return address lies above the slot that ChildEBP names.
            let slot = Some(f.frame.frame_base.offset(4)).filter(|_| !f.frame.frame_base.is_null());
            virtual_frame(data.as_ref(), &f.frame.regs, slot, target.dump.memory().as_ref())
        } else {
            None
        };
        Some(Scope {
            module,
            variables: all.into_iter().filter(|v| v.site == site).collect(),
            provider: Arc::clone(provider),
            base,
            machine: stack.machine,
            regs: f.frame.regs,
            virtual_frame,
            function: provider.function_type(rva),
            inline,
            trust,
        })
    }

    /// The variables of the function at an address, without a frame: only what needs no register has a place.
    #[must_use]
    pub fn of_function(target: &Target, va: Va) -> Option<Scope> {
        let module = target.symbols.module_at(va)?;
        let info = target.symbols.modules().get(module)?;
        let rva = va.rva(info.base)?;
        let providers = target.symbols.providers(module);
        let (provider, all) = providers.iter().find_map(|p| Some((p, p.variables(rva)?)))?;
        let machine = info.machine.unwrap_or_else(|| target.dump.machine());
        Some(Scope {
            module,
            variables: all.into_iter().filter(|v| v.site.is_none()).collect(),
            provider: Arc::clone(provider),
            base: info.base,
            machine,
            regs: RegSet::new(machine),
            virtual_frame: None,
            function: provider.function_type(rva),
            inline: false,
            trust: Trust::Context,
        })
    }

    /// The variable with a name, in any letter case when none has it exactly. Of several the innermost.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        let exact = self.variables.iter().rfind(|v| v.name == name);
        exact.or_else(|| self.variables.iter().rfind(|v| v.name.eq_ignore_ascii_case(name)))
    }

    /// The source of the variables.
    #[must_use]
    pub fn provider(&self) -> &Arc<dyn SymbolProvider> {
        &self.provider
    }

    /// The types that the variables have.
    #[must_use]
    pub fn types(&self) -> Option<&dyn TypeProvider> {
        self.provider.types()
    }

    /// Where a variable is.
    #[must_use]
    pub fn locate(&self, variable: &Variable) -> Location {
        variable.locate(&FrameRegs {
            regs: &self.regs,
            virtual_frame: self.virtual_frame,
            module_base: self.base,
        })
    }

    /// A variable's bytes.
    ///
    /// # Errors
    /// Why they are not known.
    pub fn stored(&self, variable: &Variable) -> Result<Stored, &'static str> {
        let size = self.types().and_then(|t| size_of(t, variable.ty));
        stored(self.locate(variable), size)
    }

    /// The address that a register-relative variable's base register holds, and its name, for `dv /V`.
    #[must_use]
    pub fn base_register(&self, place: Place) -> Option<(&'static str, i32)> {
        match place {
            Place::Relative(reg, offset) => {
                Some((RegSet::names(self.machine).get(usize::from(reg.0)).copied()?, offset))
            }
            _ => None,
        }
    }

    /// A variable's value as WinDbg writes it in lists. Untrusted.
    ///
    /// # Errors
    /// Why it is not known.
    pub fn value(&self, target: &Target, variable: &Variable) -> Result<String, &'static str> {
        self.read(target, variable).map(|(text, _)| text)
    }

    fn read(&self, target: &Target, variable: &Variable) -> Result<(String, Option<u64>), &'static str> {
        let types = self.types().ok_or("the symbol file has no types")?;
        let stored = self.stored(variable)?;
        let symbol = |va: Va| target.name_of(va);
        let memory = target.dump.memory();
        let cx = ValueCx { types, mem: memory.as_ref(), machine: self.machine, symbol: &symbol };
        let text = inline_value(&cx, variable.ty, stored.data()).ok_or(match stored {
            Stored::Memory(_) => "its memory is not in the dump",
            Stored::Bytes(_) => "its registers hold only a part of it",
        })?;
        let bits = cx.integer(variable.ty, stored.data());
        // Signed numbers keep the bits of their size.
        let mask = match size_of(types, variable.ty) {
            Some(size @ 1..8) => !(u64::MAX << (size * 8)),
            _ => u64::MAX,
        };
        Ok((text, bits.map(|n| (n as u64) & mask)))
    }

    /// The parameters without `this`, as `kP` shows them; empty when the function has none (`(void)`), `None` when
    /// the symbol file does not say.
    #[must_use]
    pub fn parameters(&self, target: &Target) -> Option<Vec<Parameter>> {
        let types = self.types()?;
        let confidence = self.confidence();
        let parameter = |v: &Variable| {
            let read = self.read(target, v);
            let bits = read.as_ref().ok().and_then(|(_, bits)| *bits);
            Parameter {
                name: v.name.clone(),
                type_name: cpp_name(types, v.ty),
                value: read.map(|(text, _)| text),
                bits,
                confidence,
            }
        };
        let shown = self.variables.iter().filter(|v| v.is_param && v.name != "this");
        let found: Vec<Parameter> = shown.map(parameter).collect();
        if found.is_empty() && !self.inline {
            // Nothing is said of the variables, but the function's type counts its parameters.
            let declared = match self.function.map(|f| bare(types, f).1) {
                Some(Type::Function { params, .. }) => params,
                _ => Vec::new(),
            };
            let unnamed = |ty: &TypeId| Parameter {
                name: String::new(),
                type_name: cpp_name(types, *ty),
                value: Err("the symbol file does not tell where it is"),
                bits: None,
                confidence,
            };
            return Some(declared.iter().filter(|t| **t != TypeId::NONE).map(unnamed).collect());
        }
        Some(found)
    }

    /// How much the frame's registers can be trusted.
    #[must_use]
    pub fn confidence(&self) -> Confidence {
        match self.trust {
            Trust::Context | Trust::Cfi => Confidence::Proven,
            Trust::FramePointer | Trust::ReturnAddress => Confidence::Strong,
            Trust::FramePointerUnverified | Trust::Scan | Trust::Inline => Confidence::Guess,
        }
    }
}

/// The bytes at a location; `size` is the variable's.
fn stored(location: Location, size: Option<u64>) -> Result<Stored, &'static str> {
    match location {
        Location::Memory(va, _) => Ok(Stored::Memory(va)),
        Location::Register(part, value) => {
            let bytes = value.to_le_bytes().get(..usize::from(part.bytes)).unwrap_or_default().to_vec();
            Ok(Stored::Bytes(bytes))
        }
        Location::Pieces(pieces) => pieced(&pieces, size.filter(|s| *s <= MAX_PIECES)),
        Location::Unavailable(why) => Err(why),
    }
}

/// Puts a value together from registers. Pieces in memory that stand where the whole would lie make it whole too.
fn pieced(pieces: &[(u32, Location)], size: Option<u64>) -> Result<Stored, &'static str> {
    const PART: &str = "only a part of it is known in this frame";
    let starts = |p: &(u32, Location)| match p.1 {
        Location::Memory(va, _) => Some(va.back(p.0.into())),
        _ => None,
    };
    if let Some(first) = pieces.first().and_then(starts)
        && pieces.iter().all(|p| starts(p) == Some(first))
    {
        return Ok(Stored::Memory(first));
    }
    let size = size.and_then(|s| usize::try_from(s).ok()).ok_or(PART)?;
    let mut bytes = vec![0u8; size];
    let mut known = vec![false; size];
    for (offset, location) in pieces {
        let Location::Register(part, value) = location else { return Err(PART) };
        for (i, byte) in value.to_le_bytes().iter().take(part.bytes.into()).enumerate() {
            let Some(at) = usize::try_from(*offset).ok().and_then(|o| o.checked_add(i)) else { break };
            if let (Some(slot), Some(flag)) = (bytes.get_mut(at), known.get_mut(at)) {
                (*slot, *flag) = (*byte, true);
            }
        }
    }
    if known.iter().all(|k| *k) { Ok(Stored::Bytes(bytes)) } else { Err(PART) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dumpscope_symbols::provider::variable::RegPart;

    fn register(number: u16, value: u64) -> Location {
        Location::Register(RegPart::from_codeview(Machine::X86, number).unwrap(), value)
    }

    #[test]
    fn pieces_make_a_whole_or_say_that_they_do_not() {
        let pair = [(0, register(17, 0x1122_3344)), (4, register(18, 0x5566_7788))];
        assert_eq!(
            pieced(&pair, Some(8)),
            Ok(Stored::Bytes(vec![0x44, 0x33, 0x22, 0x11, 0x88, 0x77, 0x66, 0x55]))
        );
        assert!(pieced(&pair, Some(12)).is_err());
        assert!(pieced(&[(0, Location::Unavailable("gone"))], Some(4)).is_err());
        assert!(pieced(&pair, None).is_err());
        let at = |offset: u32, va: u64| (offset, Location::Memory(Va(va), Place::Frame(0)));
        assert_eq!(pieced(&[at(0, 0x1000), at(4, 0x1004)], Some(8)), Ok(Stored::Memory(Va(0x1000))));
        assert!(pieced(&[at(0, 0x1000), at(4, 0x2004)], Some(8)).is_err());
    }

    #[test]
    fn a_part_of_a_register_gives_only_its_bytes() {
        let low = stored(register(9, 0x3344), Some(4));
        assert_eq!(low, Ok(Stored::Bytes(vec![0x44, 0x33])));
    }
}
