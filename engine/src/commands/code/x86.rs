//! x86 and x64, by iced-x86's MASM formatter in WinDbg's manner.

use super::engine_names;
use super::instruction::{Instruction, Piece, Target, named};
use dumpscope_analyzers::Target as DumpTarget;
use dumpscope_core::Va;
use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Formatter, FormatterOutput, FormatterTextKind, Instruction as Iced,
    MasmFormatter, MemorySize, MemorySizeOptions, OpKind, Register, SymbolResolver, SymbolResult,
};
use std::sync::Arc;

/// Decodes without text: for the operands' values.
pub(super) fn raw(va: Va, bytes: &[u8], wide: bool) -> Iced {
    Decoder::with_ip(if wide { 64 } else { 32 }, bytes, va.0, DecoderOptions::NONE).decode()
}

/// The word that a call or jump goes through, when the code itself says where it lies.
pub(super) fn word_of_call(va: Va, bytes: &[u8]) -> Option<Va> {
    word_at(va, bytes, true)
}

/// As [`word_of_call`], of 32-bit code too.
pub(super) fn word_at(va: Va, bytes: &[u8], wide: bool) -> Option<Va> {
    let iced = raw(va, bytes, wide);
    let indirect = matches!(iced.flow_control(), FlowControl::IndirectCall | FlowControl::IndirectBranch);
    let fixed = iced.is_ip_rel_memory_operand()
        || (iced.memory_base() == Register::None && iced.memory_index() == Register::None);
    (indirect && iced.op0_kind() == OpKind::Memory && fixed).then(|| Va(iced.memory_displacement64()))
}

pub(super) fn decode(
    target: &Arc<DumpTarget>,
    va: Va,
    bytes: &[u8],
    wide: bool,
    modern: bool,
) -> Instruction {
    let iced = raw(va, bytes, wide);
    if iced.is_invalid() {
        return Instruction {
            address: va,
            bytes: bytes.iter().take(1).copied().collect(),
            valid: false,
            text: vec![(Piece::Mnemonic, "???".to_owned())],
            target: Target::Next,
            from_image: false,
            is_word: false,
        };
    }
    let mut output = Output::default();
    formatter(target, &iced, wide, modern).format(&iced, &mut output);
    if modern && is_double(&iced) {
        // Today's engine calls the double of an SSE instruction so.
        for (_, text) in &mut output.text {
            *text = text.replace("qword ptr", "mmword ptr");
        }
    }
    Instruction {
        address: va,
        bytes: bytes.iter().take(iced.len()).copied().collect(),
        valid: true,
        text: output.pieces(),
        target: leads_to(&iced),
        from_image: false,
        is_word: false,
    }
}

fn leads_to(iced: &Iced) -> Target {
    let near = match iced.op0_kind() {
        OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64 => {
            Some(Va(iced.near_branch_target()))
        }
        _ => None,
    };
    match iced.flow_control() {
        FlowControl::UnconditionalBranch => near.map_or(Target::Away, Target::Jump),
        FlowControl::IndirectBranch | FlowControl::Return | FlowControl::Exception => Target::Away,
        FlowControl::ConditionalBranch | FlowControl::XbeginXabortXend => {
            near.map_or(Target::Next, Target::Branch)
        }
        FlowControl::Call => Target::Call(near),
        FlowControl::IndirectCall => Target::Call(None),
        FlowControl::Next | FlowControl::Interrupt => Target::Next,
    }
}

/// True for an instruction that reads or writes one double in memory, other than those of the x87.
fn is_double(iced: &Iced) -> bool {
    iced.memory_size() == MemorySize::Float64 && !format!("{:?}", iced.mnemonic()).starts_with('F')
}

fn formatter(target: &Arc<DumpTarget>, iced: &Iced, wide: bool, modern: bool) -> MasmFormatter {
    let resolver = Names { target: Arc::clone(target), wide, modern };
    let mut formatter = MasmFormatter::with_options(Some(Box::new(resolver)), None);
    let options = iced_x86::Formatter::options_mut(&mut formatter);
    options.set_first_operand_char_index(8);
    options.set_memory_size_options(MemorySizeOptions::Always);
    options.set_show_branch_size(false);
    options.set_masm_symbol_displ_in_brackets(true);
    options.set_rip_relative_addresses(false);
    options.set_use_pseudo_ops(false);
    // `fs:[00000018h]` and `ds:[00401000h]` have all their digits in 32-bit code.
    let absolute = iced.memory_base() == Register::None && iced.memory_index() == Register::None;
    options.set_displacement_leading_zeros(!wide && absolute && !modern);
    // Today's engine shows a segment prefix that 64-bit code ignores.
    options.set_show_useless_prefixes(modern && wide && iced.segment_prefix() != Register::None);
    formatter
}

/// Names for branch targets, absolute addresses, and immediates that are addresses.
struct Names {
    target: Arc<DumpTarget>,
    wide: bool,
    modern: bool,
}

impl Names {
    fn named(&self, va: Va) -> String {
        if self.modern {
            engine_names::operand(&self.target, va, self.wide)
        } else {
            named(&self.target, va, self.wide)
        }
    }
}

impl SymbolResolver for Names {
    fn symbol(
        &mut self,
        iced: &Iced,
        _operand: u32,
        instruction_operand: Option<u32>,
        address: u64,
        address_size: u32,
    ) -> Option<SymbolResult<'_>> {
        let va = Va(address);
        let kind = instruction_operand.map(|n| iced.op_kind(n));
        let text = match kind {
            Some(OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64) => self.named(va),
            Some(OpKind::Memory) => {
                let plain = iced.memory_base() == Register::None && iced.memory_index() == Register::None;
                let segment = matches!(iced.memory_segment(), Register::FS | Register::GS);
                if segment || !(plain || iced.is_ip_rel_memory_operand()) {
                    return None;
                }
                // Without a name x86 code shows `ds:[00401000h]`, which the formatter writes itself.
                if (!self.wide || (self.modern && plain)) && self.target.symbols.module_at(va).is_none() {
                    return None;
                }
                self.named(va)
            }
            // A constant that is as wide as a pointer and lies in an image is most likely an address.
            Some(_) if address_size == if self.wide { 8 } else { 4 } => {
                self.target.symbols.module_at(va)?;
                self.named(va)
            }
            _ => return None,
        };
        Some(SymbolResult::with_string(address, text))
    }
}

#[derive(Default)]
struct Output {
    text: Vec<(Piece, String)>,
}

impl Output {
    fn pieces(mut self) -> Vec<(Piece, String)> {
        // The formatter pads a mnemonic without operands too.
        while let Some((_, last)) = self.text.last_mut() {
            let len = last.trim_end().len();
            last.truncate(len);
            if !last.is_empty() {
                break;
            }
            self.text.pop();
        }
        self.text
    }
}

impl FormatterOutput for Output {
    fn write(&mut self, text: &str, kind: FormatterTextKind) {
        let piece = match kind {
            FormatterTextKind::Mnemonic | FormatterTextKind::Prefix => Piece::Mnemonic,
            FormatterTextKind::Register => Piece::Register,
            FormatterTextKind::Number => Piece::Number,
            FormatterTextKind::Label
            | FormatterTextKind::LabelAddress
            | FormatterTextKind::FunctionAddress
            | FormatterTextKind::Data
            | FormatterTextKind::Function => Piece::Symbol,
            _ => Piece::Other,
        };
        match self.text.last_mut() {
            Some((last, so_far)) if *last == piece && piece != Piece::Mnemonic => so_far.push_str(text),
            _ => self.text.push((piece, text.to_owned())),
        }
    }
}
