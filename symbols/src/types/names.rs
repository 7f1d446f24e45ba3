//! Names of types, as declarations write them and as `dt` does.

use super::{MAX_DEPTH, Type, TypeId, TypeProvider};

/// Longest name that is built, in bytes.
const MAX_LEN: usize = 4096;
/// Text for a type that is not known.
const UNKNOWN: &str = "<no type information>";

/// The name as in `dv /t`, `kP` and `x`: `unsigned long *`, `struct _GUID *`, `class CMessageCall *`. As WinDbg,
/// it leaves out `const` and `volatile` and writes references as pointers. Untrusted.
#[must_use]
pub fn cpp_name(types: &dyn TypeProvider, id: TypeId) -> String {
    let mut out = String::new();
    cpp(types, id, 0, &mut out);
    out
}

fn full(out: &str, depth: usize) -> bool {
    depth >= MAX_DEPTH || out.len() >= MAX_LEN
}

fn cpp(types: &dyn TypeProvider, id: TypeId, depth: usize, out: &mut String) {
    if full(out, depth) {
        out.push_str("...");
        return;
    }
    let inner = depth.saturating_add(1);
    match types.get_type(id) {
        Type::Base(b) => out.push_str(b.cpp),
        Type::Modified(to) => cpp(types, to, inner, out),
        Type::BitField { of, .. } => cpp(types, of, inner, out),
        Type::Pointer { to, .. } => match super::bare(types, to) {
            (_, Type::Function { ret, params, .. }) => {
                cpp(types, ret, inner, out);
                out.push(' ');
                arguments(types, &params, inner, out);
                out.push_str(" *");
            }
            (to, inside) => {
                cpp(types, to, inner, out);
                // `void **`: stars stand together.
                let star = if matches!(inside, Type::Pointer { .. }) { "*" } else { " *" };
                out.push_str(star);
            }
        },
        Type::Array { element, count, .. } => {
            cpp(types, element, inner, out);
            // `int [3][4]`, `char *[3]`: brackets stand close to brackets and stars.
            let gap = if out.ends_with('*') { "" } else { " " };
            match super::bare(types, element).1 {
                // The outer length stands before the inner ones.
                Type::Array { .. } => {
                    let at = first_bracket(out);
                    out.insert_str(at, &format!("[{count}]"));
                }
                _ => out.push_str(&format!("{gap}[{count}]")),
            }
        }
        Type::Function { ret, params, .. } => {
            cpp(types, ret, inner, out);
            out.push(' ');
            arguments(types, &params, inner, out);
        }
        Type::Udt { kind, name, .. } => {
            out.push_str(kind.keyword());
            out.push(' ');
            out.push_str(&name);
        }
        // The engine writes no keyword.
        Type::Enum { name, .. } => out.push_str(&name),
        Type::FunctionTable(_) => out.push_str("<function> *[]"),
        Type::Unknown => out.push_str(UNKNOWN),
    }
}

/// Where the lengths of an array of arrays begin.
fn first_bracket(text: &str) -> usize {
    let mut at = text.len();
    while text.get(..at).is_some_and(|t| t.ends_with(']')) {
        match text.get(..at).and_then(|t| t.rfind('[')) {
            Some(open) => at = open,
            None => break,
        }
    }
    at
}

/// `(int, char **)`, `(void)` for none.
fn arguments(types: &dyn TypeProvider, params: &[TypeId], depth: usize, out: &mut String) {
    out.push('(');
    if params.is_empty() {
        out.push_str("void");
    }
    for (i, p) in params.iter().enumerate() {
        if full(out, depth) {
            out.push_str("...");
            break;
        }
        if i > 0 {
            out.push_str(", ");
        }
        // C's "more parameters" is a parameter without a type.
        if *p == TypeId::NONE {
            out.push_str("...");
        } else {
            cpp(types, *p, depth.saturating_add(1), out);
        }
    }
    out.push(')');
}

/// The name as `??` writes it: a declaration without a variable's name, functions as `<function>`, enumerations without
/// their keyword. Untrusted.
#[must_use]
pub fn declared_name(types: &dyn TypeProvider, id: TypeId, stars: u8) -> String {
    let mut declarator = "*".repeat(stars.into());
    let mut id = id;
    for _ in 0..MAX_DEPTH {
        match types.get_type(id) {
            Type::Modified(to) => id = to,
            Type::BitField { of, .. } => id = of,
            Type::Pointer { to, .. } => {
                declarator.insert(0, '*');
                id = to;
            }
            Type::Array { element, count, .. } => {
                if declarator.starts_with('*') {
                    declarator = format!("({declarator})");
                }
                declarator.push_str(&format!("[{count}]"));
                id = element;
            }
            Type::Enum { name, .. } => return joined(&name, &declarator),
            Type::Function { .. } => return joined("<function>", &declarator),
            _ => return joined(&cpp_name(types, id), &declarator),
        }
    }
    joined("...", &declarator)
}

fn joined(name: &str, declarator: &str) -> String {
    if declarator.is_empty() { name.to_owned() } else { format!("{name} {declarator}") }
}

/// Parameter types of a function, in parentheses, as `x` shows them.
#[must_use]
pub fn parameter_list(types: &dyn TypeProvider, function: TypeId) -> Option<String> {
    let (_, Type::Function { params, .. }) = super::bare(types, function) else { return None };
    let mut out = String::new();
    arguments(types, &params, 0, &mut out);
    Some(out)
}

/// The name as `dt` writes it behind a field: `Uint4B`, `Ptr32 Void`, `[4] Ptr64 Void`, `_GUID`,
/// `Pos 0, 4 Bits`. Untrusted.
#[must_use]
pub fn dt_name(types: &dyn TypeProvider, id: TypeId) -> String {
    let mut out = String::new();
    dt(types, id, 0, &mut out);
    out
}

fn dt(types: &dyn TypeProvider, id: TypeId, depth: usize, out: &mut String) {
    if full(out, depth) {
        out.push_str("...");
        return;
    }
    let inner = depth.saturating_add(1);
    match types.get_type(id) {
        Type::Base(b) => out.push_str(b.dt),
        Type::Modified(to) => dt(types, to, inner, out),
        Type::BitField { pos, len, .. } => {
            let plural = if len == 1 { "" } else { "s" };
            out.push_str(&format!("Pos {pos}, {len} Bit{plural}"));
        }
        Type::Pointer { to, size, .. } => {
            let bits = u32::from(size).saturating_mul(8);
            out.push_str(&format!("Ptr{bits} "));
            dt(types, to, inner, out);
        }
        Type::Array { element, count, .. } => {
            out.push_str(&format!("[{count}] "));
            dt(types, element, inner, out);
        }
        // WinDbg sets a function's return type off with blanks, and a blank follows.
        Type::Function { ret, .. } => {
            out.push_str("    ");
            cpp(types, ret, inner, out);
            out.push(' ');
        }
        Type::Udt { name, .. } | Type::Enum { name, .. } => out.push_str(&name),
        Type::FunctionTable(count) => out.push_str(&format!("[{count}] function table")),
        Type::Unknown => out.push_str(UNKNOWN),
    }
}
