//! Names of operands and targets as today's engine writes them.

use crate::session::Session;
use dumpscope_analyzers::Target;
use dumpscope_core::base::text::escape;
use dumpscope_core::{Machine, Va};
use dumpscope_symbols::image::{PeHeaders, Section};
use dumpscope_symbols::{Symbol, SymbolSource};

/// `module!name+0x12 (00401234)`; the bare address when no module holds it.
pub(super) fn operand(target: &Target, va: Va, wide: bool) -> String {
    let address = crate::fmt::addr(va, wide);
    let machine = if wide { Machine::Amd64 } else { Machine::X86 };
    match far_name(target, va, machine).or_else(|| target.name_of(va)) {
        Some(name) => format!("{} ({address})", escape(&undecorated(&name, wide))),
        None => address,
    }
}

/// C decoration that dbghelp takes off: one underscore of `__imp_` on x64, and what follows the `@` of constants.
fn undecorated(name: &str, wide: bool) -> String {
    let Some((module, symbol)) = name.split_once('!') else { return name.to_owned() };
    let symbol = match symbol.strip_prefix("__") {
        Some(rest) if wide && (rest.starts_with("imp_") || constant(rest)) => format!("_{rest}"),
        _ => symbol.to_owned(),
    };
    let symbol = match symbol.strip_prefix('_').filter(|s| constant(s)).and_then(|s| s.split_once('@')) {
        Some((kind, rest)) => {
            let digits = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
            format!("_{kind}{}", rest.get(digits..).unwrap_or(""))
        }
        None => symbol,
    };
    format!("{module}!{symbol}")
}

/// `real@40200000`, `xmm@0011…`: floating-point constants.
fn constant(name: &str) -> bool {
    ["real@", "xmm@", "ymm@"].iter().any(|p| name.starts_with(p))
}

/// The engine's name of an address in a module whose symbol file has none for its section: the last symbol before the
/// section (else the first one) and the place in the module, `app!lib_wait <PERF> (app+0x3010)`.
pub(crate) fn far_name(target: &Target, va: Va, machine: Machine) -> Option<String> {
    let symbols = &target.symbols;
    let resolved = symbols.resolve(va)?;
    if resolved.symbol.is_some() {
        return None;
    }
    let source = symbols.providers(resolved.module).iter().map(|p| p.source()).min()?;
    if source > SymbolSource::PublicPdb {
        return None;
    }
    let base = symbols.modules().get(resolved.module)?.base;
    let before = last_before(target, base, va);
    let symbol = before.or_else(|| first_of_all(target, base))?;
    let module = symbols.name_in(resolved.module, machine);
    Some(format!("{module}!{symbol} <PERF> ({module}+0x{:x})", va.0.wrapping_sub(base.0)))
}

/// The first symbol of the first section that has one.
fn first_of_all(target: &Target, base: Va) -> Option<String> {
    let symbols = &target.symbols;
    sections(target, base)?.into_iter().find_map(|(start, _)| {
        let here = symbols.resolve(start).and_then(|r| r.symbol);
        here.or_else(|| symbols.next_after(start)).map(|s| s.name)
    })
}

/// The last symbol of the sections that end before `va`.
fn last_before(target: &Target, base: Va, va: Va) -> Option<String> {
    let all = sections(target, base)?;
    let before = all.iter().rev().filter(|(_, end)| *end <= va);
    before.into_iter().find_map(|(_, end)| target.symbols.resolve(end.back(1))?.symbol.map(|s| s.name))
}

/// Start and end of an image's sections, in address order.
fn sections(target: &Target, base: Va) -> Option<Vec<(Va, Va)>> {
    let headers = PeHeaders::read(&**target.dump.memory(), base).ok()?;
    let place = |s: &Section| (s.rva.va(base), s.rva.va(base).offset(s.virtual_size.into()));
    let mut found: Vec<(Va, Va)> = headers.sections.iter().map(place).filter(|(s, e)| e > s).collect();
    found.sort_unstable();
    Some(found)
}

/// `module!name+0x12` of the innermost inlined call at an address.
pub(crate) fn inlined_name(session: &Session, va: Va) -> Option<String> {
    let symbols = &session.target.symbols;
    let site = symbols.inlines(va).into_iter().next()?;
    let module = symbols.module_at(va)?;
    let base = symbols.modules().get(module)?.base;
    let module = symbols.name_in(module, session.sel.machine);
    let offset = match va.0.wrapping_sub(site.start.va(base).0) {
        0 => String::new(),
        n => format!("+0x{n:x}"),
    };
    Some(format!("{module}!{}{offset}", site.name))
}

/// What today's engine calls an export: of several names of one address that of the kernel (`Zw…`), and in 32-bit code
/// without the underscore of C.
pub(crate) fn export_name(session: &Session, module: usize, symbol: &Symbol) -> Option<String> {
    if session.sel.layout != crate::session::Layout::Modern || symbol.source != SymbolSource::Exports {
        return None;
    }
    if let Some(rest) = symbol.name.strip_prefix("Nt") {
        let other = format!("Zw{rest}");
        let same = |(m, s): &(usize, Symbol)| *m == module && s.rva == symbol.rva;
        return session.target.symbols.by_name(Some(module), &other).iter().any(same).then_some(other);
    }
    let rest = symbol.name.strip_prefix('_').filter(|r| !r.starts_with('_') && !r.is_empty())?;
    (session.sel.machine == Machine::X86).then(|| rest.to_owned())
}

/// The name of a line's address: the engine's, in the modern layout.
pub(crate) fn header_name(session: &Session, va: Va) -> Option<String> {
    let modern = session.sel.layout == crate::session::Layout::Modern;
    let far = if modern { far_name(&session.target, va, session.sel.machine) } else { None };
    far.or_else(|| session.name_of(va))
}

#[cfg(test)]
mod tests {
    use super::undecorated;

    #[test]
    fn decorations() {
        assert_eq!(undecorated("app!__imp_lib_calc", true), "app!_imp_lib_calc");
        assert_eq!(undecorated("app!_imp__lib_calc", false), "app!_imp__lib_calc");
        assert_eq!(undecorated("app!__real@40200000", true), "app!_real");
        assert_eq!(undecorated("app!_real@40200000+0x4", false), "app!_real+0x4");
        assert_eq!(undecorated("app!main+0x3", true), "app!main+0x3");
    }
}
