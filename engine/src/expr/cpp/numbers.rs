//! The arithmetic of C++: promotions, common types, fractions, comparisons.

use super::ast::Binary;
use super::eval::{CppEnv, number, scalar, size_type, unsupported};
use super::lex::{DOUBLE, FLOAT, INT, INT64, UINT, UINT64};
use super::value::{Scalar, Value};
use crate::expr::ExprError;
use dumpscope_symbols::types::{Type, TypeId};

/// CodeView's numbers of `long` and `unsigned long`, which have 32 bits here.
const LONG: u32 = 0x12;
const ULONG: u32 = 0x22;
/// CodeView's number of `bool`.
pub(super) const BOOL: u32 = 0x30;

/// Type and value after C++'s promotions: `int`, `unsigned int` or their 64-bit forms.
pub(super) fn promoted(value: &Value, env: &dyn CppEnv, at: usize) -> Result<Value, ExprError> {
    match scalar(value, env, at)? {
        Scalar::Int { value: n, signed, bytes } => Ok(number(env, n, promotion(value, signed, bytes))),
        Scalar::Pointer(_) | Scalar::Float(_) => Ok(value.clone()),
    }
}

/// A `double`, or a `float`.
pub(super) fn fraction(env: &dyn CppEnv, value: f64, double: bool) -> Value {
    match double {
        true => number(env, value.to_bits().into(), DOUBLE),
        false => number(env, (value as f32).to_bits().into(), FLOAT),
    }
}

pub(super) fn is_double(value: &Value) -> bool {
    value.ty.size() == Some(8)
}

/// An operation of which at least one side has a fraction.
pub(super) fn fractions(
    op: Binary,
    (x, left): (Scalar, &Value),
    (y, right): (Scalar, &Value),
    at: usize,
    env: &dyn CppEnv,
) -> Result<Value, ExprError> {
    let number_of = |s: Scalar| match s {
        Scalar::Float(f) => Some(f),
        Scalar::Int { value, .. } => Some(value as f64),
        Scalar::Pointer(_) => None,
    };
    let (Some(f), Some(g)) = (number_of(x), number_of(y)) else {
        return unsupported("Operand types are not usable in this operation.", at);
    };
    if is_comparison(op) {
        return Ok(number(env, compare(op, f.partial_cmp(&g)).into(), BOOL));
    }
    let result = match op {
        Binary::Mul => f * g,
        Binary::Div => f / g,
        Binary::Add => f + g,
        Binary::Sub => f - g,
        _ => return unsupported("Operand types are not usable in this operation.", at),
    };
    let double = |s: Scalar, v: &Value| matches!(s, Scalar::Float(_)) && is_double(v);
    Ok(fraction(env, result, double(x, left) || double(y, right)))
}

fn promotion(value: &Value, signed: bool, bytes: u8) -> u32 {
    if matches!(value.ty.bare(), Some((_, Type::Enum { .. }))) && bytes <= 4 {
        return UINT;
    }
    if let Some((TypeId(id @ (LONG | ULONG)), _)) = value.ty.bare() {
        return id;
    }
    match (bytes, signed) {
        (0..=3, _) | (4, true) => INT,
        (4, false) => UINT,
        (_, true) => INT64,
        (_, false) => UINT64,
    }
}

/// The type that two promoted operands are brought to.
pub(super) fn common(a: u32, b: u32) -> u32 {
    const RANKS: [u32; 6] = [INT, UINT, LONG, ULONG, INT64, UINT64];
    let rank = |t: u32| RANKS.iter().position(|r| *r == t).unwrap_or(RANKS.len());
    match (a, b) {
        // `long` cannot hold all of `unsigned int`.
        (UINT, LONG) | (LONG, UINT) => ULONG,
        _ if rank(a) >= rank(b) => a,
        _ => b,
    }
}

/// A number with its type after promotion.
pub(super) fn typed(scalar: Scalar, of: &Value, env: &dyn CppEnv) -> (i128, u32) {
    match scalar {
        Scalar::Int { value, signed, bytes } => (value, promotion(of, signed, bytes)),
        Scalar::Pointer(va) => (va.into(), size_type(env)),
        Scalar::Float(_) => (0, INT),
    }
}

/// A number cut to a type's width.
pub(super) fn fit(value: i128, ty: u32) -> i128 {
    match ty {
        INT | LONG => (value as i32).into(),
        UINT | ULONG => (value as u32).into(),
        INT64 => (value as i64).into(),
        _ => (value as u64).into(),
    }
}

pub(crate) fn is_comparison(op: Binary) -> bool {
    matches!(op, Binary::Lt | Binary::Gt | Binary::Le | Binary::Ge | Binary::Eq | Binary::Ne)
}

/// Whether a comparison holds for what two operands compared to; without an order only `!=` does.
pub(crate) fn compare(op: Binary, order: Option<std::cmp::Ordering>) -> bool {
    match (op, order) {
        (Binary::Ne, o) => o.is_none_or(|o| o.is_ne()),
        (_, None) => false,
        (Binary::Lt, Some(o)) => o.is_lt(),
        (Binary::Gt, Some(o)) => o.is_gt(),
        (Binary::Le, Some(o)) => o.is_le(),
        (Binary::Ge, Some(o)) => o.is_ge(),
        (_, Some(o)) => o.is_eq(),
    }
}
