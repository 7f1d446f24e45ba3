//! DWARF call frame information of x86 images: MinGW and clang keep `.eh_frame` in the loaded image.
//!
//! The string table that holds long section names is not loaded, so the section is known by its contents.

use super::Frame;
use super::image::Image;
use super::step::{Cursor, Env};
use super::x86::Done;
use dumpscope_core::base::x86;
use dumpscope_core::{Machine, ReadMemory, Reg, Va};
use gimli::{
    BaseAddresses, CfaRule, CieOrFde, EhFrame, Encoding, EndianSlice, EvaluationResult, Expression, Format,
    LittleEndian, Location, Piece, RegisterRule, UnwindContext, UnwindSection, Value,
};

type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// Most operations of one expression.
const MAX_OPERATIONS: u32 = 256;
/// A larger section is not read.
const MAX_SECTION: u32 = 16 << 20;
/// Most functions of one table.
const MAX_ENTRIES: usize = 1 << 18;
/// `IMAGE_SCN_MEM_EXECUTE`, `IMAGE_SCN_MEM_WRITE`.
const EXECUTE_OR_WRITE: u32 = 0xa000_0000;

/// A loaded `.eh_frame`: its bytes and where its functions lie.
#[derive(Debug)]
pub(super) struct Table {
    bytes: Vec<u8>,
    at: Va,
    /// First address, address after the last, offset of the FDE; by first address.
    functions: Vec<(u32, u32, usize)>,
}

impl Table {
    /// Finds and indexes the section.
    pub(super) fn read(mem: &dyn ReadMemory, image: &Image) -> Option<Table> {
        if image.machine != Machine::X86 {
            return None;
        }
        let by_name = |s: &&super::image::Section| s.name == *b".eh_fram" || s.name[0] == b'/';
        image
            .sections
            .iter()
            .filter(by_name)
            .filter(|s| s.flags & EXECUTE_OR_WRITE == 0 && s.size <= MAX_SECTION)
            .find_map(|s| Table::parse(mem, image, s.rva.va(image.base), s.size))
    }

    fn parse(mem: &dyn ReadMemory, image: &Image, at: Va, size: u32) -> Option<Table> {
        // A CIE comes first: its length, id 0, version 1.
        let length = mem.u32(at)?;
        if !(8..0x100).contains(&length) || mem.u32(at.offset(4))? != 0 || mem.u8(at.offset(8))? != 1 {
            return None;
        }
        let mut bytes = vec![0u8; size as usize];
        let got = mem.read_at(at, &mut bytes).got;
        bytes.truncate(got);
        let mut functions = Vec::new();
        {
            let section = section(&bytes);
            let bases = bases(at);
            let mut entries = section.entries(&bases);
            // What is damaged ends the list; what was read so far counts.
            while let Ok(Some(entry)) = entries.next() {
                let CieOrFde::Fde(partial) = entry else { continue };
                let Ok(fde) = partial.parse(EhFrame::cie_from_offset) else { break };
                let (start, end) = (u32::try_from(fde.initial_address()), u32::try_from(fde.end_address()));
                let (Ok(start), Ok(end)) = (start, end) else { continue };
                let is_code = Va(start.into()).rva(image.base).and_then(|rva| image.is_code(rva));
                if start < end && is_code == Some(true) {
                    functions.push((start, end, fde.offset()));
                }
                if functions.len() >= MAX_ENTRIES {
                    break;
                }
            }
        }
        functions.sort_unstable();
        (!functions.is_empty()).then_some(Table { bytes, at, functions })
    }

    fn find(&self, va: u32) -> Option<usize> {
        let behind = self.functions.partition_point(|(start, _, _)| *start <= va);
        let (_, end, offset) = self.functions.get(behind.checked_sub(1)?)?;
        (va < *end).then_some(*offset)
    }
}

fn section(bytes: &[u8]) -> EhFrame<Reader<'_>> {
    let mut section = EhFrame::new(bytes, LittleEndian);
    section.set_address_size(4);
    section
}

fn bases(at: Va) -> BaseAddresses {
    BaseAddresses::default().set_eh_frame(at.0)
}

/// Finds the caller of `frame`. `None` without a usable rule.
pub(super) fn unwind(env: &Env<'_>, frame: &Frame) -> Option<Done> {
    let image = env.image_at(frame.lookup_ip())?;
    let table = image.dwarf(env.mem)?;
    let lookup = frame.lookup_ip();
    let offset = table.find(u32::try_from(lookup.0).ok()?)?;
    let section = section(&table.bytes);
    let bases = bases(table.at);
    let fde = section.fde_from_offset(&bases, offset.into(), EhFrame::cie_from_offset).ok()?;
    let mut context = UnwindContext::new();
    let row = fde.unwind_info_for_address(&section, &bases, &mut context, lookup.0).ok()?;
    let cfa = match row.cfa() {
        CfaRule::RegisterAndOffset { register, offset } => {
            Va(frame.regs.get(number(*register)?)?.wrapping_add_signed(*offset) & 0xffff_ffff)
        }
        CfaRule::Expression(e) => evaluate(env, frame, e.get(&section).ok()?, None)?,
    };
    let slot = |offset: i64| Va(cfa.0.wrapping_add_signed(offset) & 0xffff_ffff);
    let mut cursor = Cursor::of(frame);
    let mut return_slot = None;
    for (register, rule) in row.registers() {
        let Some(reg) = number(*register) else { continue };
        match rule {
            RegisterRule::Offset(n) if reg == x86::EIP => return_slot = Some(slot(*n)),
            RegisterRule::Offset(n) => cursor.load(env, reg, slot(*n)).ok()?,
            RegisterRule::ValOffset(n) if reg != x86::EIP => {
                cursor.forget(reg);
                cursor.regs.set(reg, slot(*n).0);
            }
            RegisterRule::SameValue => {}
            RegisterRule::Register(from) => match number(*from).and_then(|r| frame.regs.get(r)) {
                Some(value) if reg != x86::EIP => cursor.regs.set(reg, value),
                _ => cursor.forget(reg),
            },
            RegisterRule::Expression(e) => {
                let at = evaluate(env, frame, e.get(&section).ok()?, Some(cfa))?;
                if reg == x86::EIP { return_slot = Some(at) } else { cursor.load(env, reg, at).ok()? }
            }
            _ => cursor.forget(reg),
        }
    }
    let return_slot = return_slot?;
    let ip = env.mem.u32(return_slot)?;
    cursor.set_ip(Va(ip.into()));
    cursor.set_sp(cfa);
    Some(Done { cursor, return_slot, params: 0 })
}

/// Evaluates an expression in `frame`'s registers; the CFA, when given, is on its stack already. Functions that
/// align their stack keep the old stack pointer in memory and need this.
fn evaluate(env: &Env<'_>, frame: &Frame, expression: Expression<Reader<'_>>, cfa: Option<Va>) -> Option<Va> {
    let encoding = Encoding { address_size: 4, format: Format::Dwarf32, version: 4 };
    let mut evaluation = expression.evaluation(encoding);
    evaluation.set_max_iterations(MAX_OPERATIONS);
    if let Some(cfa) = cfa {
        evaluation.set_initial_value(cfa.0);
    }
    let mut state = evaluation.evaluate().ok()?;
    // Each round runs at least one operation; the evaluation counts them.
    loop {
        state = match state {
            EvaluationResult::Complete => break,
            EvaluationResult::RequiresRegister { register, .. } => {
                let value = frame.regs.get(number(register)?)?;
                evaluation.resume_with_register(Value::Generic(value)).ok()?
            }
            EvaluationResult::RequiresMemory { address, size: 4, .. } => {
                let word = env.mem.u32(Va(address & 0xffff_ffff))?;
                evaluation.resume_with_memory(Value::Generic(word.into())).ok()?
            }
            _ => return None,
        };
    }
    match evaluation.as_result() {
        [Piece { location: Location::Address { address }, .. }] => Some(Va(*address & 0xffff_ffff)),
        _ => None,
    }
}

/// DWARF numbers of i386 are the processor's, with 8 for eip.
fn number(register: gimli::Register) -> Option<Reg> {
    u8::try_from(register.0).ok().filter(|n| *n <= x86::EIP.0).map(Reg)
}
