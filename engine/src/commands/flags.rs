//! `.symopt` and `.asm`: WinDbg's switches for symbols and code, kept for scripts that set and show them.

use crate::command::{Command, CommandError, Extent, Invocation};
use crate::doc::{Line, Message, Role, Sink};
use crate::session::Session;
use dumpscope_core::base::text::escape;

pub(crate) const SYMOPT: Command = Command {
    name: ".symopt",
    group: "symbols",
    syntax: ".symopt [+ | -] [flags]",
    summary: "Shows or sets WinDbg's symbol options",
    help: "The options are kept and shown, so that scripts run; they do not change how symbols are found here. `.sympath` does.",
    examples: &[(".symopt", "The options"), (".symopt- 100", "One less")],
    run: symopt,
    ..Command::BASE
};

pub(crate) const ASM: Command = Command {
    name: ".asm",
    group: "code",
    syntax: ".asm [-] [option …]",
    summary: "Shows or sets WinDbg's options for code",
    help: "`no_code_bytes`, `source_line`, `ignore_output_width` and `verbose` are kept and shown, so that scripts run; the modern \
           layout leaves the bytes out with `no_code_bytes`.",
    examples: &[(".asm", "The options")],
    extent: Extent::LineToday,
    run: asm,
    ..Command::BASE
};

/// Bits of dbghelp.h, in their order.
const SYMBOL_OPTIONS: &[(u64, &str)] = &[
    (0x1, "CASE_INSENSITIVE"),
    (0x2, "UNDNAME"),
    (0x4, "DEFERRED_LOADS"),
    (0x8, "NO_CPP"),
    (0x10, "LOAD_LINES"),
    (0x20, "OMAP_FIND_NEAREST"),
    (0x40, "LOAD_ANYTHING"),
    (0x80, "IGNORE_CVREC"),
    (0x100, "NO_UNQUALIFIED_LOADS"),
    (0x200, "FAIL_CRITICAL_ERRORS"),
    (0x400, "EXACT_SYMBOLS"),
    (0x800, "ALLOW_ABSOLUTE_SYMBOLS"),
    (0x1000, "IGNORE_NT_SYMPATH"),
    (0x2000, "INCLUDE_32BIT_MODULES"),
    (0x4000, "PUBLICS_ONLY"),
    (0x8000, "NO_PUBLICS"),
    (0x1_0000, "AUTO_PUBLICS"),
    (0x2_0000, "NO_IMAGE_SEARCH"),
    (0x4_0000, "SECURE"),
    (0x8_0000, "NO_PROMPTS"),
    (0x8000_0000, "DEBUG"),
];

/// The options that WinDbg's engine starts with.
const FIRST_SYMBOL_OPTIONS: u64 = 0x3_0327;

const ASM_OPTIONS: &[&str] = &["ignore_output_width", "no_code_bytes", "source_line", "verbose"];

/// Whether `.asm no_code_bytes` is in force.
pub(crate) fn no_code_bytes(session: &Session) -> bool {
    session.language.asm_options >> 1 & 1 == 1
}

fn symopt(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let (plus, minus) = (args.eat_char('+'), args.eat_char('-'));
    if !args.is_empty() {
        let flags = args.expr(session)?;
        let options = session.language.symbol_options.unwrap_or(FIRST_SYMBOL_OPTIONS);
        session.language.symbol_options = Some(match (plus, minus) {
            (true, _) => options | flags,
            (_, true) => options & !flags,
            _ => flags,
        });
    }
    args.end()?;
    let options = session.language.symbol_options.unwrap_or(FIRST_SYMBOL_OPTIONS);
    let mut lines = vec![Line::plain(format!("Symbol options are {options:#x}:"))];
    let named = SYMBOL_OPTIONS.iter().filter(|(bit, _)| options & bit != 0);
    lines.extend(named.map(|(bit, name)| Line::plain(format!("  {bit:#010x} - SYMOPT_{name}"))));
    if plus || minus {
        let note = "note: these options are kept for scripts; they do not change how symbols are found here.";
        lines.push(Line::new().role(Role::Note, note));
    }
    session.emit(sink, &Message(lines))
}

fn asm(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let minus = args.eat_char('-');
    let mut lines = Vec::new();
    for word in args.take_rest().split_whitespace() {
        match ASM_OPTIONS.iter().position(|name| name.eq_ignore_ascii_case(word)) {
            Some(bit) if minus => session.language.asm_options &= !(1 << bit),
            Some(bit) => session.language.asm_options |= 1 << bit,
            None => lines.push(Line::plain(format!("Unknown assembly option '{}'", escape(word)))),
        }
    }
    let options = session.language.asm_options;
    let set: Vec<&str> = ASM_OPTIONS
        .iter()
        .enumerate()
        .filter(|(bit, _)| options >> bit & 1 == 1)
        .map(|(_, name)| *name)
        .collect();
    let shown = if set.is_empty() { "<default>".to_owned() } else { set.join(" ") };
    lines.push(Line::plain(format!("Assembly options: {shown}")));
    session.emit(sink, &Message(lines))
}
