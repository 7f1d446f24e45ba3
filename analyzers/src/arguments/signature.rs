//! How many arguments a function takes, where the convention puts them, and what a PDB says of them.

use super::flow::{Analysis, Point};
use crate::model::{ArgPlace, ArgSource, Confidence, Evidence, StackFrame, Value};
use dumpscope_core::{Machine, ReadMemory, Reg, Rva, Va};
use dumpscope_symbols::provider::variable::{FrameRegs, Location, Variable};
use dumpscope_symbols::types::{BaseKind, Type, TypeId, TypeProvider, bare, cpp_name, size_of};
use dumpscope_symbols::unwind::virtual_frame;
use dumpscope_symbols::{SymbolProvider, SymbolSource};

/// Most arguments that are believed.
const MAX_PARAMS: usize = 32;
/// Most arguments that only the code tells of.
const MAX_INFERRED: usize = 12;

/// A parameter.
#[derive(Clone, Debug)]
pub(super) struct Param {
    pub(super) name: Option<String>,
    pub(super) type_text: Option<String>,
    pub(super) place: ArgPlace,
    /// Bytes of its type, when they are fewer than a word.
    pub(super) bytes: Option<u8>,
    /// It takes two words of the stack.
    pub(super) wide: bool,
    /// Its value as a PDB's record for this instruction tells it.
    pub(super) told: Option<Value>,
}

impl Param {
    fn at(place: ArgPlace) -> Param {
        Param { name: None, type_text: None, place, bytes: None, wide: false, told: None }
    }
}

/// A function's parameters.
#[derive(Clone, Debug)]
pub(super) struct Signature {
    pub(super) params: Vec<Param>,
    /// How sure it is that they lie where `place` says.
    pub(super) cap: Confidence,
    /// A PDB's types tell them.
    pub(super) from_types: bool,
}

impl Signature {
    /// The stack words that arguments lie in.
    pub(super) fn stack_offsets(&self) -> Vec<i32> {
        let offset = |p: &Param| match p.place {
            ArgPlace::Stack(offset) => Some(offset),
            _ => None,
        };
        self.params.iter().filter_map(offset).collect()
    }
}

/// The parameters of a frame's function: from a PDB, from the name, from what the code and its caller do.
pub(super) fn of(
    cx: &Analysis<'_>,
    frame: &StackFrame,
    point: Option<&Point>,
    caller: Option<&Point>,
) -> Signature {
    if let Some(signature) = from_types(cx, frame) {
        return signature;
    }
    if let Some(known) = super::hints::known(cx.target, frame, cx.machine)
        && let Some(signature) = from_table(cx, frame, point, &known)
    {
        return signature;
    }
    match cx.machine {
        Machine::X86 => inferred_x86(cx, frame, point, caller),
        _ => inferred(cx, point, caller),
    }
}

/// The parameters that a table of Windows' functions tells. `None`: the name is that of another function.
fn from_table(
    cx: &Analysis<'_>,
    frame: &StackFrame,
    point: Option<&Point>,
    known: &super::hints::Known,
) -> Option<Signature> {
    let is_x86 = cx.machine == Machine::X86;
    if known.by_table && frame.source == Some(SymbolSource::Exports) && !starts_here(cx, frame) {
        return None;
    }
    let word = u64::from(cx.abi.word);
    let mut params = Vec::new();
    let (mut slot, mut vector) = (usize::from(known.hidden), 0u8);
    if known.hidden {
        params.push(Param::at(place(cx, 0)));
    }
    for p in &known.parameters {
        let bytes = p.passing.map_or(word, |p| p.bytes).max(1);
        let (float, aggregate) = p.passing.map_or((false, false), |p| (p.float, p.aggregate));
        let in_register = !is_x86 && slot < cx.abi.args.len();
        let mut at = place(cx, slot);
        let index = params.len();
        if p.fastcall && is_x86 {
            at = match cx.abi.args.get(index) {
                Some(reg) => ArgPlace::Register(Reg(*reg)),
                None => ArgPlace::Stack(stack_offset(cx, index.saturating_sub(cx.abi.args.len()))),
            };
        }
        let mut type_text = p.type_text.clone();
        let mut words = 1;
        if is_x86 {
            words = usize::try_from(bytes.div_ceil(4)).unwrap_or(1);
        } else if aggregate && (bytes > 16 || cx.machine == Machine::Amd64 && !matches!(bytes, 1 | 2 | 4 | 8))
        {
            // Its address is passed.
            type_text = type_text.map(|t| format!("{t} *"));
        } else if aggregate && bytes > 8 {
            words = 2;
        }
        // Fractions are in vector registers; on ARM64 they take no other place.
        if float && cx.machine == Machine::Arm64 && vector < 8 {
            (at, words) = (ArgPlace::Vector(vector), 0);
            vector = vector.saturating_add(1);
        } else if float && in_register {
            at = ArgPlace::Vector(u8::try_from(slot).unwrap_or(0));
        } else if words > 1 && !(is_x86 && words == 2) {
            at = ArgPlace::Elsewhere;
        }
        slot = slot.saturating_add(words);
        let narrow =
            u8::try_from(bytes).ok().filter(|b| matches!(b, 1 | 2 | 4) && u64::from(*b) < word && !float);
        let wide = is_x86 && words == 2;
        params.push(Param { name: Some(p.name.clone()), type_text, bytes: narrow, wide, ..Param::at(at) });
    }
    // What the function removes from the stack must be what it was given.
    let pops = point.and_then(|p| p.pops).filter(|n| *n > 0).map(usize::from);
    if known.by_table && is_x86 && pops.is_some_and(|p| p != slot.saturating_mul(4)) {
        return None;
    }
    let cap = if known.sure { Confidence::Proven } else { Confidence::Guess };
    Some(Signature { params, cap, from_types: false })
}

/// False when a frame's name is that of an export before the function that it is in.
fn starts_here(cx: &Analysis<'_>, frame: &StackFrame) -> bool {
    if crate::syscalls::is_far(frame) {
        return false;
    }
    let lookup = frame.frame.lookup_ip();
    let start = frame.frame.ip.back(frame.displacement);
    cx.machine == Machine::X86 || super::extent::part_at(cx.target, lookup).is_none_or(|p| p.entry == start)
}

/// Where the convention of Windows' own functions puts argument `n`: registers first; x86: stdcall.
fn place(cx: &Analysis<'_>, n: usize) -> ArgPlace {
    let regs = if cx.machine == Machine::X86 { &[][..] } else { cx.abi.args };
    match regs.get(n) {
        Some(reg) => ArgPlace::Register(Reg(*reg)),
        None => ArgPlace::Stack(stack_offset(cx, n.saturating_sub(regs.len()))),
    }
}

/// The offset of the `n`th argument on the stack.
fn stack_offset(cx: &Analysis<'_>, n: usize) -> i32 {
    let n = i32::try_from(n).unwrap_or(i32::MAX / 16);
    cx.abi.first_stack_arg.saturating_add(n.saturating_mul(cx.abi.word.into()))
}

/// x64 and ARM64: up to the last argument register that the code uses, and the stack words that it reads.
fn inferred(cx: &Analysis<'_>, point: Option<&Point>, caller: Option<&Point>) -> Signature {
    let Some(point) = point else {
        // Nothing is known of the function: whatever its caller loaded may be arguments.
        let params = (0..4).map(|n| Param::at(place(cx, n))).collect();
        return Signature { params, cap: Confidence::Strong, from_types: false };
    };
    let used = cx.abi.args.iter().rposition(|r| point.reads >> r & 1 == 1).map_or(0, |n| n + 1);
    let word = i32::from(cx.abi.word);
    let on_stack =
        point.stack_reads.iter().map(|o| (o - cx.abi.first_stack_arg) / word + 1).max().unwrap_or(0);
    let variadic = variadic_words(cx, Some(point), caller);
    let on_stack = usize::try_from(on_stack).unwrap_or(0).max(variadic);
    let count = if on_stack > 0 { cx.abi.args.len().saturating_add(on_stack) } else { used };
    let params = (0..count.min(MAX_INFERRED)).map(|n| Param::at(place(cx, n))).collect();
    Signature { params, cap: Confidence::Proven, from_types: false }
}

/// x86: what the return instruction or the caller removes from the stack, the `@n` of the name, the PDB; ecx and edx
/// when the code uses them as they came.
fn inferred_x86(
    cx: &Analysis<'_>,
    frame: &StackFrame,
    point: Option<&Point>,
    caller: Option<&Point>,
) -> Signature {
    let call = caller.and_then(|c| c.call);
    let lookup = frame.frame.lookup_ip();
    let popped = point.and_then(|p| p.pops).filter(|n| *n > 0).map(u32::from);
    let decorated = || {
        let symbol = frame.symbol.as_ref()?;
        decorated_bytes(symbol.decorated.as_deref().unwrap_or(&symbol.name))
    };
    let told = || cx.target.symbols.param_bytes(lookup);
    let cleaned = || call.and_then(|c| c.cleans).map(u32::from);
    let read = || {
        let last = point?.stack_reads.last()?;
        u32::try_from(last.saturating_sub(cx.abi.first_stack_arg)).ok().map(|n| n + 4)
    };
    let (bytes, cap) = match popped.or_else(decorated).or_else(told) {
        Some(bytes) => (bytes, Confidence::Proven),
        // What a caller removes may belong to several calls, or be its own.
        None => {
            match read().max(u32::try_from(4 * variadic_words(cx, point, caller)).ok().filter(|b| *b > 0)) {
                Some(bytes) => (bytes, Confidence::Proven),
                None => (cleaned().filter(|_| point.is_none()).unwrap_or(0), Confidence::Strong),
            }
        }
    };
    let reads = point.map_or(0, |p| p.reads);
    let in_regs = cx.abi.args.iter().rposition(|r| reads >> r & 1 == 1).map_or(0, |n| n + 1);
    let regs = cx.abi.args.iter().take(in_regs).map(|r| Param::at(ArgPlace::Register(Reg(*r))));
    let words = usize::try_from(bytes / 4).unwrap_or(0).min(MAX_PARAMS);
    let on_stack = (0..words).map(|n| Param::at(ArgPlace::Stack(stack_offset(cx, n))));
    Signature { params: regs.chain(on_stack).collect(), cap, from_types: false }
}

/// Words of arguments on the stack that the caller wrote for a function which takes the address of its arguments: one
/// with a variable number of them.
fn variadic_words(cx: &Analysis<'_>, point: Option<&Point>, caller: Option<&Point>) -> usize {
    // The address of a word that it does not read by itself: others may take that of a parameter.
    let takes_address = point
        .is_some_and(|p| p.takes_address.is_some_and(|o| p.stack_reads.last().is_none_or(|last| o > *last)));
    let Some(caller) = caller.filter(|c| takes_address && c.call.is_some()) else { return 0 };
    let Some(sp) = caller.before.sp(cx.abi) else { return 0 };
    let from = sp.saturating_add(cx.abi.home);
    let bytes = caller.before.row_of_words(from, cx.abi).saturating_sub(from);
    usize::try_from(bytes / i32::from(cx.abi.word)).unwrap_or(0).min(MAX_INFERRED)
}

/// The bytes of `_name@8` and `@name@8`.
fn decorated_bytes(name: &str) -> Option<u32> {
    let (head, tail) = name.rsplit_once('@')?;
    let bytes: u32 = tail.parse().ok()?;
    // `@name@8`: two of the words are in registers.
    let in_regs = if head.starts_with('@') { 8 } else { 0 };
    (head.starts_with(['_', '@']) && bytes.is_multiple_of(4) && bytes <= 256)
        .then(|| bytes.saturating_sub(in_regs))
}

/// From a PDB's type of the function and its records of the parameters.
fn from_types(cx: &Analysis<'_>, frame: &StackFrame) -> Option<Signature> {
    let lookup = frame.frame.lookup_ip();
    let module = cx.target.symbols.module_at(lookup)?;
    let base = cx.target.symbols.modules().get(module)?.base;
    let rva = lookup.rva(base)?;
    let providers = cx.target.symbols.providers(module);
    let provider = providers.iter().find(|p| p.variables(rva).is_some() || p.function_type(rva).is_some())?;
    let variables: Vec<Variable> = provider.variables(rva).unwrap_or_default();
    let variables: Vec<Variable> = variables.into_iter().filter(|v| v.is_param && v.site.is_none()).collect();
    let types = provider.types()?;
    let of_type = provider.function_type(rva).map(|t| bare(types, t).1);
    let mut cap = Confidence::Proven;
    let mut params = Vec::new();
    match of_type {
        Some(Type::Function { ret, params: list, this, call }) => {
            let hidden = match bare(types, ret).1 {
                Type::Udt { size, .. } => match size {
                    Some(1 | 2 | 4 | 8) => {
                        // A class with a constructor is returned through memory, a plain structure in a register.
                        cap = Confidence::Guess;
                        false
                    }
                    _ => true,
                },
                _ => false,
            };
            layout(cx, types, (&list, this, hidden, call), &mut params);
        }
        _ if variables.is_empty() => return None,
        _ => params.extend((0..variables.len()).map(|_| Param::at(ArgPlace::Elsewhere))),
    }
    let is_this = |p: &Param| p.name.as_deref() == Some("this");
    let mut others = variables.iter().filter(|v| v.name != "this");
    for param in params.iter_mut().take(MAX_PARAMS) {
        if param.name.as_deref() == Some("") {
            param.name = None;
            continue;
        }
        let variable = match is_this(param) {
            true => variables.iter().find(|v| v.name == "this"),
            false => others.next(),
        };
        let Some(variable) = variable else { continue };
        param.name = Some(variable.name.clone());
        param.type_text = Some(cpp_name(types, variable.ty));
        param.told = told(cx, frame, (provider.as_ref(), types, base, rva), variable);
    }
    params.truncate(MAX_PARAMS);
    Some(Signature { params, cap, from_types: true })
}

/// Where parameters of these types lie.
fn layout(
    cx: &Analysis<'_>,
    types: &dyn TypeProvider,
    (list, this, hidden, call): (&[TypeId], Option<TypeId>, bool, u8),
    out: &mut Vec<Param>,
) {
    let word = u64::from(cx.abi.word);
    // CodeView: 4 near fast, 11 this call. On x86 only these use registers.
    let mut regs = match (cx.machine, call) {
        (Machine::X86, 4) => cx.abi.args,
        (Machine::X86, 11) => cx.abi.args.get(..1).unwrap_or_default(),
        (Machine::X86, _) => &[],
        _ => cx.abi.args,
    }
    .iter();
    let mut stack = 0usize;
    let mut next = |size: u64, float: bool, is_this: bool| {
        if cx.machine == Machine::X86 {
            // this call: only `this` is in a register; fastcall: what fits.
            let fits = size <= word && !float && (is_this || call == 4);
            if fits && let Some(reg) = regs.next() {
                return ArgPlace::Register(Reg(*reg));
            }
            let at = stack_offset(cx, stack);
            stack = stack.saturating_add(usize::try_from(size.div_ceil(4).max(1)).unwrap_or(1));
            return if size <= word { ArgPlace::Stack(at) } else { ArgPlace::Elsewhere };
        }
        // ARM64 counts vector registers apart; x64 leaves the place of a float out.
        if float && cx.machine == Machine::Arm64 {
            return ArgPlace::Elsewhere;
        }
        match regs.next() {
            Some(_) if float => ArgPlace::Elsewhere,
            Some(reg) => ArgPlace::Register(Reg(*reg)),
            None => {
                let at = stack_offset(cx, stack);
                stack = stack.saturating_add(1);
                ArgPlace::Stack(at)
            }
        }
    };
    if let Some(this) = this {
        let text = cpp_name(types, this);
        let place = next(word, false, true);
        out.push(Param { name: Some("this".into()), type_text: Some(text), ..Param::at(place) });
    }
    if hidden {
        // Where the result goes; it has no name.
        let place = next(word, false, false);
        out.push(Param { name: Some(String::new()), ..Param::at(place) });
    }
    for ty in list.iter().take(MAX_PARAMS) {
        let size = size_of(types, *ty).unwrap_or(word);
        let float = matches!(bare(types, *ty).1, Type::Base(b) if b.kind == BaseKind::Float);
        let place = next(size, float, false);
        let bytes = u8::try_from(size).ok().filter(|s| matches!(s, 1 | 2 | 4) && u64::from(*s) < word);
        let type_text = Some(cpp_name(types, *ty));
        out.push(Param { type_text, bytes, ..Param::at(place) });
    }
}

/// A parameter's value where the PDB says it is at this instruction.
fn told(
    cx: &Analysis<'_>,
    frame: &StackFrame,
    (provider, types, base, rva): (&dyn SymbolProvider, &dyn TypeProvider, Va, Rva),
    variable: &Variable,
) -> Option<Value> {
    let memory = cx.target.dump.memory();
    let f = &frame.frame;
    let slot = (cx.machine == Machine::X86).then(|| f.frame_base.offset(4));
    let virtual_frame = virtual_frame(provider.frame_data(rva).as_ref(), &f.regs, slot, memory.as_ref());
    let place = variable.locate(&FrameRegs { regs: &f.regs, virtual_frame, module_base: base });
    let size = size_of(types, variable.ty).filter(|s| (1..=8).contains(s))?;
    let bytes = u8::try_from(size).ok()?;
    let (bits, evidence, bytes) = match place {
        Location::Register(part, bits) => {
            (bits, Evidence::Register(usize::MAX, part.reg), bytes.min(part.bytes))
        }
        Location::Memory(va, _) => {
            let mut raw = [0u8; 8];
            let want = raw.get_mut(..usize::from(bytes))?;
            if memory.read_at(va, want).got < usize::from(bytes) {
                return None;
            }
            (u64::from_le_bytes(raw), Evidence::Memory(va), bytes)
        }
        _ => return None,
    };
    let bits = if bytes < 8 { bits & !(u64::MAX << (u32::from(bytes) * 8)) } else { bits };
    Some(Value {
        bits,
        bytes,
        source: ArgSource::Pdb,
        confidence: Confidence::Proven,
        evidence: vec![evidence],
    })
}

#[cfg(test)]
mod tests {
    use super::decorated_bytes;

    #[test]
    fn decorated_names() {
        assert_eq!(decorated_bytes("_RtlpWaitOnCriticalSection@8"), Some(8));
        assert_eq!(decorated_bytes("@fast@12"), Some(4));
        assert_eq!(decorated_bytes("?f@@YAXXZ"), None);
        assert_eq!(decorated_bytes("plain"), None);
    }
}
