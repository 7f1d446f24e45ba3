//! Operators.

use super::ast::Unary;
use super::ty::{DxType, Kind};
use super::typed::pointer;
use super::value::{Typed, Val};
use super::world::World;
use crate::expr::cpp::{Binary, compare, is_comparison};
use dumpscope_analyzers::scope::Stored;

/// A number out of a value.
#[derive(Clone, Debug)]
pub(crate) enum Num {
    /// Value; whether its type is signed; its bytes.
    Int(i128, bool, u64),
    Float(f64),
    /// Address; what it points to.
    Pointer(u64, DxType),
}

/// Longest text that is made, bytes: a loop that doubles one must end.
const MAX_TEXT: usize = 1 << 20;

const NOT_INTRINSIC: &str = "Cannot compare non-intrinsic values to each other.";

impl World<'_> {
    /// The number that a value is. `Ok(None)`: none.
    pub(crate) fn number(&self, val: &Val) -> Result<Option<Num>, String> {
        Ok(Some(match val {
            Val::Int(n, signed) => {
                let small = if *signed { i32::try_from(*n).is_ok() } else { false };
                Num::Int(*n, *signed, if small { 4 } else { 8 })
            }
            Val::Float(f) => Num::Float(*f),
            Val::Bool(b) => Num::Int((*b).into(), true, 4),
            Val::Typed(typed) => {
                let typed = self.resolved((**typed).clone())?;
                if let Some(f) = self.float(&typed) {
                    return Ok(Some(Num::Float(f?)));
                }
                match typed.ty.kind() {
                    Kind::Pointer(to) => Num::Pointer(self.target(&typed)?, to),
                    Kind::Array(element, _) => match typed.address() {
                        Some(va) => Num::Pointer(va, element),
                        None => return Ok(None),
                    },
                    kind => {
                        let Some(n) = self.integer(&typed) else { return Ok(None) };
                        let signed = match kind {
                            Kind::Int(_, signed) | Kind::Enum(_, signed) => signed,
                            Kind::Bits(of, ..) => matches!(typed.ty.with(of).kind(), Kind::Int(_, true)),
                            _ => true,
                        };
                        Num::Int(n?, signed, typed.ty.size().unwrap_or(4))
                    }
                }
            }
            Val::Failed(why) => return Err(why.clone()),
            _ => return Ok(None),
        }))
    }

    /// The whole number that a value is.
    pub(crate) fn whole(&self, val: &Val) -> Result<i128, String> {
        match self.number(val)? {
            Some(Num::Int(n, ..)) => Ok(n),
            Some(Num::Pointer(va, _)) => Ok(va.into()),
            Some(Num::Float(f)) => Ok(f as i128),
            None => Err("Illegal operand for operator".into()),
        }
    }

    pub(crate) fn truth(&self, val: &Val) -> Result<bool, String> {
        match self.number(val)? {
            Some(Num::Int(n, ..)) => Ok(n != 0),
            Some(Num::Pointer(va, _)) => Ok(va != 0),
            Some(Num::Float(f)) => Ok(f != 0.0),
            None => match val {
                Val::Text(text) => Ok(!text.is_empty()),
                Val::Absent => Ok(false),
                _ => Ok(true),
            },
        }
    }

    pub(crate) fn unary(&self, op: Unary, val: &Val) -> Result<Val, String> {
        match op {
            Unary::Not => return Ok(Val::Bool(!self.truth(val)?)),
            Unary::Deref => return self.deref(val),
            Unary::AddressOf => {
                return match val {
                    Val::Typed(typed) => match typed.address() {
                        Some(va) => Ok(Val::Typed(Box::new(pointer(&typed.ty, va)))),
                        None => Err("Unable to take the address of a value without one".into()),
                    },
                    _ => Err("Unable to take the address of a value without one".into()),
                };
            }
            _ => {}
        }
        match (op, self.number(val)?) {
            (Unary::Plus, Some(Num::Int(n, signed, bytes))) => Ok(fit(n, promoted(signed, bytes))),
            (Unary::Minus, Some(Num::Int(n, signed, bytes))) => {
                Ok(fit(n.wrapping_neg(), promoted(signed, bytes)))
            }
            (Unary::Invert, Some(Num::Int(n, signed, bytes))) => Ok(fit(!n, promoted(signed, bytes))),
            (Unary::Plus, Some(Num::Float(f))) => Ok(Val::Float(f)),
            (Unary::Minus, Some(Num::Float(f))) => Ok(Val::Float(-f)),
            _ => Err("Illegal operand for operator".into()),
        }
    }

    pub(crate) fn deref(&self, val: &Val) -> Result<Val, String> {
        const NO_POINTER: &str = "Unable to dereference non pointer object";
        match val {
            Val::Typed(_) => match self.number(val)? {
                Some(Num::Pointer(va, to)) if !matches!(to.kind(), Kind::Void) => {
                    Ok(Val::Typed(Box::new(Typed::at(to, va))))
                }
                _ => Err(NO_POINTER.into()),
            },
            Val::Failed(why) => Err(why.clone()),
            _ => Err(NO_POINTER.into()),
        }
    }

    pub(crate) fn binary(&self, op: Binary, left: &Val, right: &Val) -> Result<Val, String> {
        if let (Some(a), Some(b)) = (self.plain_text(left), self.plain_text(right)) {
            return match op {
                Binary::Add if a.len().saturating_add(b.len()) > MAX_TEXT => {
                    Err("The text is too long".into())
                }
                Binary::Add => Ok(Val::Text(a + &b)),
                _ if is_comparison(op) => Ok(Val::Bool(compare(op, Some(a.cmp(&b))))),
                _ => Err("Illegal operand for operator".into()),
            };
        }
        let (x, y) = (self.number(left)?, self.number(right)?);
        let (Some(x), Some(y)) = (x, y) else {
            return match (op, left, right) {
                (Binary::Eq, Val::Absent, Val::Absent) => Ok(Val::Bool(true)),
                (Binary::Ne, Val::Absent, Val::Absent) => Ok(Val::Bool(false)),
                _ if is_comparison(op) => Err(NOT_INTRINSIC.into()),
                _ => Err("Illegal operand for operator".into()),
            };
        };
        match (op, x, y) {
            (Binary::Add, Num::Pointer(va, to), Num::Int(n, ..))
            | (Binary::Add, Num::Int(n, ..), Num::Pointer(va, to)) => Ok(moved(va, &to, n)),
            (Binary::Sub, Num::Pointer(va, to), Num::Int(n, ..)) => Ok(moved(va, &to, n.wrapping_neg())),
            (Binary::Sub, Num::Pointer(a, to), Num::Pointer(b, _)) => {
                let each = i128::from(to.size().unwrap_or(1).max(1));
                Ok(Val::Int(((a as i64).wrapping_sub(b as i64) as i128) / each, true))
            }
            (op, Num::Float(f), y) => fractions(op, f, float_of(y)?),
            (op, x, Num::Float(g)) => fractions(op, float_of(x)?, g),
            (op, x, y) => {
                let ((a, s, m), (b, t, n)) = (int_of(x), int_of(y));
                let ((s, m), (t, n)) = (promoted(s, m), promoted(t, n));
                let kind = match (op, m.cmp(&n)) {
                    (Binary::Shl | Binary::Shr, _) => (s, m),
                    (_, std::cmp::Ordering::Greater) => (s, m),
                    (_, std::cmp::Ordering::Less) => (t, n),
                    (_, std::cmp::Ordering::Equal) => (s && t, m),
                };
                whole_numbers(op, a, b, kind)
            }
        }
    }

    /// The text of a value that is one.
    pub(crate) fn plain_text(&self, val: &Val) -> Option<String> {
        match val {
            Val::Text(text) => Some(text.clone()),
            _ => None,
        }
    }
}

fn moved(va: u64, to: &DxType, by: i128) -> Val {
    let by = by.wrapping_mul(to.size().unwrap_or(1).into());
    Val::Typed(Box::new(pointer(to, va.wrapping_add(by as u64))))
}

fn int_of(num: Num) -> (i128, bool, u64) {
    match num {
        Num::Int(n, signed, bytes) => (n, signed, bytes),
        Num::Pointer(va, _) => (va.into(), false, 8),
        Num::Float(f) => (f as i128, true, 8),
    }
}

fn float_of(num: Num) -> Result<f64, String> {
    match num {
        Num::Int(n, ..) => Ok(n as f64),
        Num::Float(f) => Ok(f),
        Num::Pointer(..) => Err("Illegal operand for operator".into()),
    }
}

/// What is smaller than an `int` has become one.
fn promoted(signed: bool, bytes: u64) -> (bool, u64) {
    if bytes < 4 { (true, 4) } else { (signed, bytes.min(8)) }
}

/// A number cut to a width. What `int` does not hold keeps growing: the engine's literals are wide.
fn fit(n: i128, (signed, bytes): (bool, u64)) -> Val {
    let cut = match (signed, bytes) {
        (true, 4) => i128::from(n as i64),
        (false, 4) => i128::from(n as u32),
        (true, _) => i128::from(n as i64),
        (false, _) => i128::from(n as u64),
    };
    Val::Int(cut, signed)
}

fn whole_numbers(op: Binary, a: i128, b: i128, kind: (bool, u64)) -> Result<Val, String> {
    let cut = |n: i128| match fit(n, kind) {
        Val::Int(n, _) => n,
        _ => n,
    };
    let (a, b) = (cut(a), if matches!(op, Binary::Shl | Binary::Shr) { b } else { cut(b) });
    if is_comparison(op) {
        return Ok(Val::Bool(compare(op, Some(a.cmp(&b)))));
    }
    let zero = || "Attempt to divide by zero".to_owned();
    let shift = u32::try_from(b).unwrap_or(127).min(127);
    Ok(fit(
        match op {
            Binary::Mul => a.wrapping_mul(b),
            Binary::Div => a.checked_div(b).ok_or_else(zero)?,
            Binary::Rem => a.checked_rem(b).ok_or_else(zero)?,
            Binary::Add => a.wrapping_add(b),
            Binary::Sub => a.wrapping_sub(b),
            Binary::Shl => a.checked_shl(shift).unwrap_or(0),
            Binary::Shr => a >> shift,
            Binary::And => a & b,
            Binary::Xor => a ^ b,
            Binary::Or => a | b,
            _ => return Err("Illegal operand for operator".into()),
        },
        kind,
    ))
}

fn fractions(op: Binary, f: f64, g: f64) -> Result<Val, String> {
    Ok(Val::Float(match op {
        Binary::Mul => f * g,
        Binary::Div => f / g,
        Binary::Add => f + g,
        Binary::Sub => f - g,
        _ if is_comparison(op) => return Ok(Val::Bool(compare(op, f.partial_cmp(&g)))),
        _ => return Err("Illegal operand for operator".into()),
    }))
}

/// A number of a type as a typed object.
pub(crate) fn of_type(ty: &DxType, n: i128) -> Val {
    let size = usize::try_from(ty.size().unwrap_or(8)).unwrap_or(8).min(16);
    Val::typed(ty.clone(), Stored::Bytes(n.to_le_bytes().get(..size).unwrap_or_default().to_vec()))
}
