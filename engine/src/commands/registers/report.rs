//! Whole register sets.

use super::values;
use crate::doc::{Line, RenderCx, Report, Role};
use crate::fmt::Hex;
use crate::lang::registers::{DEBUG, SEGMENTS};
use crate::session::Layout;
use dumpscope_core::context::Context;
use dumpscope_core::{Machine, Reg, RegSet};
use serde_json::{Map, Value, json};

/// Which registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    Integers,
    /// Integers and flags without the segments.
    Bare,
    Floats,
    /// Two in a line, as today's engine arranges them.
    FloatPairs,
    Mmx,
    Segments,
    Debug,
    Vectors,
}

pub(super) struct RegistersReport {
    pub(super) context: Context,
    /// False for a caller's frame: flags and segments are not known.
    pub(super) complete: bool,
    pub(super) values: Values,
}

/// Rows of register numbers, as WinDbg arranges them.
const X64_ROWS: &[&[&str]] = &[
    &["rax", "rbx", "rcx"],
    &["rdx", "rsi", "rdi"],
    &["rip", "rsp", "rbp"],
    &["r8", "r9", "r10"],
    &["r11", "r12", "r13"],
    &["r14", "r15"],
];
const X86_ROWS: &[&[&str]] = &[&["eax", "ebx", "ecx", "edx", "esi", "edi"], &["eip", "esp", "ebp"]];

impl RegistersReport {
    fn show(&self, reg: Option<Reg>) -> String {
        let digits = self.context.machine.ptr_size() * 2;
        match reg.and_then(|r| self.context.regs.get(r)) {
            Some(value) => format!("{value:0digits$x}"),
            None => "?".repeat(digits),
        }
    }

    fn row(&self, names: &[&str], name_width: usize, gap: &str) -> Line {
        let mut line = Line::new();
        for (i, name) in names.iter().enumerate() {
            let reg = RegSet::by_name(self.context.machine, name);
            line = line.text(if i > 0 { gap } else { "" });
            line = line.role(Role::Register, format!("{name:>name_width$}")).text("=");
            line = line.role(Role::Value, self.show(reg));
        }
        line
    }

    /// `iopl=0         nv up ei pl zr na pe nc`.
    fn flags(&self, modern: bool) -> String {
        if !self.complete {
            return "iopl=?         ?? ?? ?? ?? ?? ?? ?? ??".to_owned();
        }
        let efl = self.context.eflags;
        let bit =
            |n: u32, set: &'static str, clear: &'static str| if efl >> n & 1 == 1 { set } else { clear };
        let words = [
            bit(11, "ov", "nv"),
            bit(10, "dn", "up"),
            bit(9, "ei", "di"),
            bit(7, "ng", "pl"),
            bit(6, "zr", "nz"),
            bit(4, "ac", "na"),
            // Today's engine says it the wrong way round on x64.
            if modern && self.context.machine.is_64() { bit(2, "po", "pe") } else { bit(2, "pe", "po") },
            bit(0, "cy", "nc"),
        ];
        let vip = bit(20, "vip", "   ");
        let vif = bit(19, "vif", "   ");
        format!("iopl={:x} {vip} {vif} {}", efl >> 12 & 3, words.join(" "))
    }

    fn segments(&self) -> String {
        if !self.complete {
            return "cs=????  ss=????  ds=????  es=????  fs=????  gs=????             efl=????????"
                .to_owned();
        }
        let [cs, ds, es, fs, gs, ss] = self.context.segments;
        format!(
            "cs={cs:04x}  ss={ss:04x}  ds={ds:04x}  es={es:04x}  fs={fs:04x}  gs={gs:04x}             efl={:08x}",
            self.context.eflags
        )
    }

    fn integers(&self, modern: bool, emit: &mut dyn FnMut(Line)) {
        match self.context.machine {
            Machine::X86 => {
                if let [first, second] = X86_ROWS {
                    emit(self.row(first, 3, " "));
                    emit(self.row(second, 3, " ").text(format!(" {}", self.flags(modern))));
                }
            }
            Machine::Arm64 => {
                let names: Vec<String> =
                    (0..29).map(|n| format!("x{n}")).chain(["fp", "lr", "sp"].map(String::from)).collect();
                for chunk in names.chunks(4) {
                    let chunk: Vec<&str> = chunk.iter().map(String::as_str).collect();
                    emit(self.row(&chunk, 3, "  "));
                }
                let psr = self.context.eflags;
                let flag = |n: u32, c: char| if psr >> n & 1 == 1 { c } else { '-' };
                let flags: String =
                    [(31, 'N'), (30, 'Z'), (29, 'C'), (28, 'V')].map(|(n, c)| flag(n, c)).iter().collect();
                let rest = if self.complete {
                    format!("  psr={psr:08x} {flags} EL{}", psr >> 2 & 3)
                } else {
                    "  psr=????????".to_owned()
                };
                emit(self.row(&["pc"], 3, "").text(rest));
            }
            Machine::Amd64 | Machine::Other(_) => {
                X64_ROWS.iter().for_each(|row| emit(self.row(row, 3, " ")));
                emit(Line::plain(self.flags(modern)));
            }
        }
    }

    /// Control, status and tag word; on x86 with what their bits say.
    fn float_words(&self, emit: &mut dyn FnMut(Line)) {
        let word = |i: usize| self.context.x87.get(i).copied().unwrap_or(0) as u16;
        let (control, status, tags) = (word(8), word(9), word(10));
        if self.context.machine != Machine::X86 {
            return emit(Line::plain(format!("fpcw={control:04X}    fpsw={status:04X}    fptw={tags:04X}")));
        }
        let pick =
            |words: &[&'static str; 4], bits: u16| words.get(usize::from(bits & 3)).copied().unwrap_or("");
        let rounding = pick(&["rn", "rd", "ru", "rz"], control >> 10);
        let precision = pick(&["24", "??", "53", "64"], control >> 8);
        let masks: String = "PUOZDI"
            .chars()
            .enumerate()
            .map(|(i, c)| if control >> (5 - i) & 1 == 1 { c.to_ascii_lowercase() } else { c })
            .collect();
        let flags: String = "espuozdi"
            .chars()
            .enumerate()
            .map(|(i, c)| if status >> (7 - i) & 1 == 1 { c } else { '-' })
            .collect();
        let condition = [14u16, 10, 9, 8].map(|n| if status >> n & 1 == 1 { '1' } else { '0' });
        emit(Line::plain(format!(
            "fpcw={control:04X}: {rounding} {precision} {masks}  fpsw={status:04X}: top={} cc={} {flags}  fptw={tags:04X}",
            status >> 11 & 7,
            condition.iter().collect::<String>()
        )));
    }
}

impl Report for RegistersReport {
    fn kind(&self) -> &'static str {
        "registers"
    }

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let modern = cx.layout == Layout::Modern;
        let context = &self.context;
        match self.values {
            Values::Integers => {
                self.integers(modern, emit);
                if context.machine != Machine::Arm64 {
                    emit(Line::plain(self.segments()));
                }
            }
            Values::Bare => self.integers(modern, emit),
            Values::FloatPairs => {
                if context.x87.len() < 11 {
                    return emit(missing("floating-point"));
                }
                self.float_words(emit);
                let raw: Vec<String> =
                    context.x87.iter().take(8).map(|raw| values::long_float(*raw)).collect();
                for (i, pair) in raw.chunks(2).enumerate() {
                    let text = pair.iter().enumerate().map(|(k, text)| format!("st{}={text}", 2 * i + k));
                    emit(Line::plain(text.collect::<Vec<_>>().join("  ")));
                }
            }
            Values::Mmx => {
                let raw: Vec<u64> = context.x87.iter().take(8).map(|raw| *raw as u64).collect();
                for (i, pair) in raw.chunks(2).enumerate() {
                    let text = pair.iter().enumerate().map(|(k, raw)| format!("mm{}={raw:016x}", 2 * i + k));
                    emit(Line::plain(text.collect::<Vec<_>>().join("  ")));
                }
            }
            Values::Segments => emit(Line::plain(self.segments())),
            Values::Debug => {
                let digits = context.machine.ptr_size() * 2;
                let text = |(name, value): (&&str, &u64)| format!("{name}={value:0digits$x}");
                let all: Vec<String> = DEBUG.iter().zip(&context.debug).map(text).collect();
                all.chunks(3).for_each(|c| emit(Line::plain(c.join(" "))));
            }
            Values::Floats => {
                if context.x87.len() < 11 {
                    return emit(missing("floating-point"));
                }
                let word = |i: usize| context.x87.get(i).copied().unwrap_or(0) as u16;
                emit(Line::plain(format!(
                    "fpcw={:04X}  fpsw={:04X}  fptw={:04X}",
                    word(8),
                    word(9),
                    word(10)
                )));
                for (i, raw) in context.x87.iter().take(8).enumerate() {
                    emit(
                        Line::new()
                            .role(Role::Register, format!("st{i}"))
                            .text(format!("= {}", values::extended(*raw))),
                    );
                }
            }
            Values::Vectors => {
                if context.vectors.is_empty() {
                    return emit(missing("vector"));
                }
                let prefix = if context.machine == Machine::Arm64 { "v" } else { "xmm" };
                for (i, raw) in context.vectors.iter().enumerate() {
                    let text = values::floats(*raw);
                    emit(Line::new().role(Role::Register, format!("{prefix}{i}")).text(format!("={text}")));
                }
            }
        }
    }

    fn json(&self) -> Value {
        let context = &self.context;
        let mut out = Map::new();
        match self.values {
            Values::Integers | Values::Bare => {
                for (n, name) in RegSet::names(context.machine).iter().enumerate() {
                    let value = u8::try_from(n).ok().and_then(|n| context.regs.get(Reg(n)));
                    out.insert((*name).to_owned(), json!(value.map(Hex)));
                }
                let flags = self.complete.then(|| Hex(context.eflags.into()));
                out.insert(
                    if context.machine == Machine::Arm64 { "psr" } else { "efl" }.into(),
                    json!(flags),
                );
            }
            Values::Segments => {
                for (name, value) in SEGMENTS.iter().zip(&context.segments) {
                    out.insert((*name).to_owned(), json!(self.complete.then(|| Hex((*value).into()))));
                }
            }
            Values::Debug => {
                for (name, value) in DEBUG.iter().zip(&context.debug) {
                    out.insert((*name).to_owned(), json!(Hex(*value)));
                }
            }
            Values::Floats | Values::FloatPairs | Values::Mmx => {
                let names = ["st0", "st1", "st2", "st3", "st4", "st5", "st6", "st7", "fpcw", "fpsw", "fptw"];
                for (name, value) in names.iter().zip(&context.x87) {
                    out.insert((*name).to_owned(), json!(format!("{value:#x}")));
                }
            }
            Values::Vectors => {
                let prefix = if context.machine == Machine::Arm64 { "v" } else { "xmm" };
                for (i, value) in context.vectors.iter().enumerate() {
                    out.insert(format!("{prefix}{i}"), json!(format!("{value:#034x}")));
                }
            }
        }
        json!({ "machine": context.machine.json_name(), "registers": out })
    }
}

fn missing(what: &str) -> Line {
    Line::new().role(Role::Note, format!("note: the dump's context has no {what} registers."))
}
