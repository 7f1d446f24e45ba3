//! A tree to its value.

use super::ast::{Binary, Macro, Node, TypeName, Unary};
use super::lex::{INT, INT64, UINT, UINT64};
use super::numbers::{
    BOOL, common, compare, fit, fraction, fractions, is_comparison, is_double, promoted, typed,
};
use super::value::{Scalar, Ty, Value};
use crate::expr::{ErrorKind, ExprError, RegisterMiss, TypeSet};
use dumpscope_analyzers::scope::Stored;
use dumpscope_core::{Machine, ReadMemory, Va};
use dumpscope_symbols::types::{MAX_DEPTH, RowKind, Type, TypeId, bare, rows};

/// What C++ expressions may ask of the world.
pub trait CppEnv {
    /// The machine whose pointers and registers count.
    fn machine(&self) -> Machine;

    /// True for the rules and messages of today's engine.
    fn modern(&self) -> bool {
        false
    }

    /// The process's memory.
    fn memory(&self) -> &dyn ReadMemory;

    /// A type by name, perhaps with a module before it.
    fn find_type(&self, name: &str) -> Option<(TypeSet, TypeId)>;

    /// A local variable, or a global variable or function, perhaps with a module before its name. `Err`: why it has no
    /// value.
    fn variable(&self, name: &str) -> Option<Result<Value, String>>;

    /// The value of an enumeration that has this name.
    fn enumerator(&self, name: &str) -> Option<Value> {
        let _ = name;
        None
    }

    /// Address of a static member of a class.
    fn static_member(&self, set: &TypeSet, class: &str, name: &str) -> Option<Va>;

    /// A register by name without `@`, and its width in bits.
    ///
    /// # Errors
    /// No such register, or not known.
    fn register(&self, name: &str) -> Result<(u64, u32), RegisterMiss>;

    /// A pseudo-register by name without `$`, lower case, with its type. `None`: no such one.
    fn pseudo(&self, name: &str) -> Option<Result<Value, RegisterMiss>>;

    /// Value of a MASM expression.
    ///
    /// # Errors
    /// What is wrong with it.
    fn masm(&self, text: &str) -> Result<u64, String>;
}

/// Operands that an operator does not take.
const CONFLICT: ErrorKind = ErrorKind::At("Type conflict error at");

/// A value of a built-in type.
pub(super) fn number(env: &dyn CppEnv, value: i128, ty: u32) -> Value {
    let set = TypeSet::built_in(env.machine(), None);
    let ty = Ty { set, id: TypeId(ty), stars: 0, alias: None };
    let size = usize::try_from(ty.size().unwrap_or(8)).unwrap_or(8);
    let bytes = value.to_le_bytes().get(..size).unwrap_or_default().to_vec();
    Value { ty, place: Stored::Bytes(bytes) }
}

fn fail<T>(kind: ErrorKind, at: usize) -> Result<T, ExprError> {
    Err(ExprError::new(kind, at))
}

pub(super) fn unsupported<T>(text: impl Into<String>, at: usize) -> Result<T, ExprError> {
    fail(ErrorKind::Unsupported(text.into()), at)
}

/// The value of a tree. Arithmetic wraps in the width of its type.
///
/// # Errors
/// What has no value, and where it stands.
pub fn eval(node: &Node, env: &dyn CppEnv) -> Result<Value, ExprError> {
    match node {
        Node::Number(n, ty) => Ok(number(env, (*n).into(), *ty)),
        Node::Name(name, at) => match env.variable(name) {
            Some(Ok(value)) => Ok(value),
            Some(Err(why)) => {
                let mut error = ExprError::new(ErrorKind::Memory, *at);
                error.note = Some(format!("{name}: {why}"));
                Err(error)
            }
            None => env.enumerator(name).ok_or_else(|| ExprError::new(ErrorKind::CouldntResolve, *at)),
        },
        Node::Register(name, at) if env.modern() && name.starts_with("xmm") => {
            fail(ErrorKind::At("Internal implementation error at"), *at)
        }
        Node::Register(name, at) => match env.register(name) {
            Ok((value, bits)) => {
                // The engine gives all registers the type of a pointer-sized number.
                let bits = if env.modern() { if env.machine().is_64() { 64 } else { 32 } } else { bits };
                let ty = match bits {
                    0..=8 => 0x20,
                    9..=16 => 0x21,
                    17..=32 => UINT,
                    _ => UINT64,
                };
                Ok(number(env, value.into(), ty))
            }
            Err(miss) => register(miss, name, *at),
        },
        Node::Pseudo(name, at) => match env.pseudo(name) {
            Some(Ok(value)) => Ok(value),
            Some(Err(miss)) => register(miss, name, *at),
            None => fail(ErrorKind::BadRegister, *at),
        },
        Node::Masm(text, at) => match env.masm(text) {
            Ok(value) => Ok(number(env, value.into(), UINT64)),
            Err(message) => unsupported(message, *at),
        },
        Node::Unary(op, inner, at) => unary(*op, inner, *at, env),
        Node::Binary(op, a, b, at) => binary(*op, a, b, *at, env),
        Node::Choice(test, yes, no) => {
            let truth = truth(&eval(test, env)?, env, 0)?;
            eval(if truth { yes } else { no }, env)
        }
        Node::Member(inner, name, arrow, at, name_at) => {
            let value = eval(inner, env)?;
            if env.modern() {
                checked_member(value, name, *arrow, (*at, *name_at), env)
            } else {
                member(value, name, *name_at, env)
            }
        }
        Node::Call(inner, at) => {
            eval(inner, env)?;
            unsupported("Functions cannot be called: a dump does not run.", *at)
        }
        Node::Comma(first, second) => {
            eval(first, env)?;
            eval(second, env)
        }
        Node::Index(inner, index, at) => {
            let base = eval(inner, env)?;
            if env.modern() && base.ty.element().is_none() && base.ty.pointee().is_none() {
                return fail(ErrorKind::At("Type is not an array or pointer for operator[]"), *at);
            }
            let index = integer(&eval(index, env)?, env, *at)?;
            deref(&add(&base, index, env, *at)?, env, *at)
        }
        // The engine points at the type's name, behind the bracket.
        Node::Cast(name, _, at)
            if env.modern() && name.built_in.is_none() && env.find_type(&name.name).is_none() =>
        {
            fail(ErrorKind::CouldntResolve, at + 1)
        }
        Node::Cast(name, inner, at) => cast(&resolve(name, env, *at)?, &eval(inner, env)?, env, *at),
        Node::SizeOfType(name, at) => size(resolve(name, env, *at)?.size(), env, *at),
        Node::SizeOf(inner, at) => size(eval(inner, env)?.ty.size(), env, *at),
        Node::Macro(which, values, ty, path, at) => call(*which, values, ty.as_ref(), path, *at, env),
    }
}

fn register<T>(miss: RegisterMiss, name: &str, at: usize) -> Result<T, ExprError> {
    let mut error = ExprError::new(ErrorKind::BadRegister, at);
    if miss == RegisterMiss::Unknown {
        error.note = Some(format!("The value of {name} is not known here."));
    }
    Err(error)
}

fn size(size: Option<u64>, env: &dyn CppEnv, at: usize) -> Result<Value, ExprError> {
    match size {
        Some(n) => Ok(number(env, n.into(), size_type(env))),
        None => unsupported("The size is not known.", at),
    }
}

/// `size_t`.
pub(super) fn size_type(env: &dyn CppEnv) -> u32 {
    if env.machine().is_64() { UINT64 } else { UINT }
}

fn resolve(name: &TypeName, env: &dyn CppEnv, at: usize) -> Result<Ty, ExprError> {
    let (set, id) = match name.built_in {
        Some(number) => (TypeSet::built_in(env.machine(), None), TypeId(number)),
        None => match env.find_type(&name.name) {
            Some(found) => found,
            None => return fail(ErrorKind::CouldntResolve, at),
        },
    };
    // A name for a built-in type is shown as it was written.
    let named = name.built_in.is_none() && matches!(bare(set.types(), id).1, Type::Base(_));
    let alias = named.then(|| name.name.rsplit('!').next().unwrap_or_default().to_owned());
    Ok(Ty { set, id, stars: name.stars, alias })
}

pub(super) fn scalar(value: &Value, env: &dyn CppEnv, at: usize) -> Result<Scalar, ExprError> {
    match value.scalar(env.memory()) {
        Ok(scalar) => Ok(scalar),
        Err(true) => {
            let mut error = ExprError::new(ErrorKind::Memory, at);
            if let Some(va) = value.address() {
                error.note = Some(format!("The memory at {:#x} is not in the dump.", va.0));
            }
            Err(error)
        }
        Err(false) if env.modern() => fail(CONFLICT, at),
        Err(false) if value.ty.stars == 0 && value.ty.id == TypeId::VOID => {
            unsupported("Type information missing error: only the symbol's address is known.", at)
        }
        Err(false) => unsupported("Operand types are not usable in this operation.", at),
    }
}

/// The whole number that a value is.
fn integer(value: &Value, env: &dyn CppEnv, at: usize) -> Result<i128, ExprError> {
    match scalar(value, env, at)? {
        Scalar::Int { value, .. } => Ok(value),
        Scalar::Pointer(va) => Ok(va.into()),
        Scalar::Float(_) => unsupported("Operand types are not usable in this operation.", at),
    }
}

fn truth(value: &Value, env: &dyn CppEnv, at: usize) -> Result<bool, ExprError> {
    Ok(match scalar(value, env, at)? {
        Scalar::Int { value, .. } => value != 0,
        Scalar::Pointer(va) => va != 0,
        Scalar::Float(f) => f != 0.0,
    })
}

fn unary(op: Unary, inner: &Node, at: usize, env: &dyn CppEnv) -> Result<Value, ExprError> {
    let value = eval(inner, env)?;
    match op {
        Unary::Plus => promoted(&value, env, at),
        Unary::Minus => {
            let value = promoted(&value, env, at)?;
            if let Scalar::Float(f) = scalar(&value, env, at)? {
                return Ok(fraction(env, -f, is_double(&value)));
            }
            let n = integer(&value, env, at)?;
            Ok(number(env, n.wrapping_neg(), value.ty.id.0))
        }
        Unary::Invert => {
            let value = promoted(&value, env, at)?;
            let n = integer(&value, env, at)?;
            Ok(number(env, !n, value.ty.id.0))
        }
        Unary::Not => Ok(number(env, (!truth(&value, env, at)?).into(), BOOL)),
        Unary::Deref => deref(&decayed(value), env, at),
        Unary::AddressOf => match value.address() {
            Some(_) if matches!(value.ty.bare(), Some((_, Type::BitField { .. }))) => match env.modern() {
                true => fail(ErrorKind::At("No address for operator&"), at),
                false => unsupported("A bit field has no address.", at),
            },
            // An array's address is that of its first element.
            Some(_) if env.modern() && value.ty.element().is_some() => Ok(decayed(value)),
            Some(va) => Ok(pointer(value.ty.pointer(), va)),
            None if env.modern() => fail(ErrorKind::At("No address for operator&"), at),
            None => unsupported("The value is in a register or computed: it has no address.", at),
        },
    }
}

/// A pointer value.
fn pointer(ty: Ty, va: Va) -> Value {
    let size = usize::from(ty.set.types().pointer_bytes());
    let bytes = va.0.to_le_bytes().get(..size).unwrap_or_default().to_vec();
    Value { ty, place: Stored::Bytes(bytes) }
}

/// An array as the pointer to its first element.
fn decayed(value: Value) -> Value {
    match (value.ty.element(), value.address()) {
        (Some((element, _)), Some(va)) => pointer(element.pointer(), va),
        _ => value,
    }
}

fn deref(value: &Value, env: &dyn CppEnv, at: usize) -> Result<Value, ExprError> {
    let Some(ty) = value.ty.pointee() else {
        if env.modern() {
            return fail(ErrorKind::At("No pointer for operator*"), at);
        }
        return unsupported("Operand types are not usable in this operation: it is no pointer.", at);
    };
    let Scalar::Pointer(va) = scalar(value, env, at)? else { return fail(ErrorKind::Syntax, at) };
    Ok(Value { ty, place: Stored::Memory(Va(va)) })
}

fn binary(op: Binary, a: &Node, b: &Node, at: usize, env: &dyn CppEnv) -> Result<Value, ExprError> {
    let left = eval(a, env)?;
    // The right side only when it counts.
    match op {
        Binary::Both if !truth(&left, env, at)? => return Ok(number(env, 0, BOOL)),
        Binary::Either if truth(&left, env, at)? => return Ok(number(env, 1, BOOL)),
        Binary::Both | Binary::Either => {
            return Ok(number(env, truth(&eval(b, env)?, env, at)?.into(), BOOL));
        }
        _ => {}
    }
    let right = eval(b, env)?;
    // The engine does not take arrays as pointers here.
    let array = left.ty.element().is_some() || right.ty.element().is_some();
    if env.modern() && array && matches!(op, Binary::Add | Binary::Sub) {
        return fail(CONFLICT, at);
    }
    let (left, right) = (decayed(left), decayed(right));
    let (x, y) = (scalar(&left, env, at)?, scalar(&right, env, at)?);
    match (op, x, y) {
        (Binary::Add, Scalar::Pointer(_), Scalar::Int { value, .. }) => return add(&left, value, env, at),
        (Binary::Add, Scalar::Int { value, .. }, Scalar::Pointer(_)) => return add(&right, value, env, at),
        (Binary::Sub, Scalar::Pointer(_), Scalar::Int { value, .. }) => {
            return add(&left, value.wrapping_neg(), env, at);
        }
        (Binary::Sub, Scalar::Pointer(p), Scalar::Pointer(q)) => {
            let each = left.ty.pointee().and_then(|t| t.size()).unwrap_or(1).max(1);
            let distance = i128::from(p).wrapping_sub(i128::from(q));
            let ty = if env.machine().is_64() { INT64 } else { INT };
            return Ok(number(env, distance.checked_div(each.into()).unwrap_or(0), ty));
        }
        _ => {}
    }
    let (first, second) = match (x, y) {
        (Scalar::Float(_), _) | (_, Scalar::Float(_)) => {
            return fractions(op, (x, &left), (y, &right), at, env);
        }
        (x, y) => (typed(x, &left, env), typed(y, &right, env)),
    };
    // Shifts keep the left side's type.
    let ty = if matches!(op, Binary::Shl | Binary::Shr) { first.1 } else { common(first.1, second.1) };
    let (x, y) = (fit(first.0, ty), fit(second.0, ty));
    if is_comparison(op) {
        return Ok(number(env, compare(op, Some(x.cmp(&y))).into(), BOOL));
    }
    let result = match op {
        Binary::Mul => x.wrapping_mul(y),
        Binary::Div => x.checked_div(y).map_or_else(|| fail(ErrorKind::Operand, at), Ok)?,
        Binary::Rem => x.checked_rem(y).map_or_else(|| fail(ErrorKind::Operand, at), Ok)?,
        Binary::Add => x.wrapping_add(y),
        Binary::Sub => x.wrapping_sub(y),
        Binary::Shl => u32::try_from(second.0).ok().and_then(|n| x.checked_shl(n)).unwrap_or(0),
        Binary::Shr => {
            u32::try_from(second.0).ok().and_then(|n| x.checked_shr(n)).unwrap_or(if x < 0 { -1 } else { 0 })
        }
        Binary::And => x & y,
        Binary::Xor => x ^ y,
        Binary::Or => x | y,
        _ => return fail(ErrorKind::Syntax, at),
    };
    Ok(number(env, result, ty))
}

/// A pointer (or array) moved by a number of elements.
fn add(base: &Value, count: i128, env: &dyn CppEnv, at: usize) -> Result<Value, ExprError> {
    let base = decayed(base.clone());
    let Some(target) = base.ty.pointee() else {
        return unsupported("Operand types are not usable in this operation: it is no pointer.", at);
    };
    let Scalar::Pointer(va) = scalar(&base, env, at)? else { return fail(ErrorKind::Syntax, at) };
    // `void *` moves by bytes, as in GNU C.
    let each = target.size().unwrap_or(1);
    let by = count.wrapping_mul(each.into());
    Ok(pointer(base.ty, Va(va.wrapping_add(by as u64))))
}

/// A member as the engine takes it: `.` of structures only, `->` of pointers whose target can be read.
fn checked_member(
    value: Value,
    name: &str,
    arrow: bool,
    (at, name_at): (usize, usize),
    env: &dyn CppEnv,
) -> Result<Value, ExprError> {
    let pointer = value.ty.pointee().is_some();
    match (arrow, pointer) {
        (false, _) if !value.ty.is_aggregate() => {
            return fail(ErrorKind::At("Type is not struct/class/union for operator."), at);
        }
        (true, false) => {
            return fail(ErrorKind::At("Type is not pointer to struct/class/union for operator->"), at);
        }
        (true, true) if !value.ty.pointee().is_some_and(|t| t.is_aggregate()) => {
            return fail(ErrorKind::At("Type is not pointer to struct/class/union for operator->"), at);
        }
        _ => {}
    }
    let found = member(value, name, name_at, env)?;
    if arrow && let Some(va) = found.address() {
        let mut byte = [0u8];
        if env.memory().read_at(va, &mut byte).got == 0 {
            return fail(ErrorKind::Memory, name_at);
        }
    }
    Ok(found)
}

/// A member by name, those of base classes included.
fn member(value: Value, name: &str, at: usize, env: &dyn CppEnv) -> Result<Value, ExprError> {
    let value = if value.ty.pointee().is_some() { deref(&value, env, at)? } else { value };
    if !value.ty.is_aggregate() {
        return unsupported("Operand types are not usable in this operation: it is no structure.", at);
    }
    let set = &value.ty.set;
    let all = rows(set.types(), value.ty.id);
    // The last one with the name is the most derived class's.
    let found = all.iter().rfind(|r| r.name == name);
    let Some(row) = found.or_else(|| all.iter().rfind(|r| r.name.eq_ignore_ascii_case(name))) else {
        let missing = ErrorKind::At("Type does not have given member error at");
        let kind = if env.modern() { missing } else { ErrorKind::CouldntResolve };
        let mut error = ExprError::new(kind, at);
        error.note = Some(format!("{} has no member {name}.", value.ty.name()));
        return Err(error);
    };
    let place = match row.kind {
        RowKind::Field(offset) | RowKind::FunctionTable(offset) => match &value.place {
            Stored::Memory(va) => Stored::Memory(va.offset(offset)),
            Stored::Bytes(bytes) => {
                let rest = usize::try_from(offset).ok().and_then(|o| bytes.get(o..));
                Stored::Bytes(rest.unwrap_or_default().to_vec())
            }
        },
        RowKind::Static => match env.static_member(set, &row.owner, &row.name) {
            Some(va) => Stored::Memory(va),
            None => return unsupported("The static member has no storage.", at),
        },
        RowKind::VirtualBase(..) => return unsupported("A virtual base has no fixed place.", at),
    };
    let ty = match row.kind {
        RowKind::FunctionTable(_) => Ty { set: set.clone(), id: TypeId::VOID, stars: 2, alias: None },
        _ => Ty { set: set.clone(), id: row.ty, stars: 0, alias: None },
    };
    Ok(Value { ty, place })
}

fn cast(ty: &Ty, value: &Value, env: &dyn CppEnv, at: usize) -> Result<Value, ExprError> {
    if ty.is_aggregate() {
        let same = value.ty.is_aggregate() && value.ty.name() == ty.name();
        return if same { Ok(value.clone()) } else { unsupported("A number cannot become a structure.", at) };
    }
    let Some(size) = ty.size().filter(|s| *s <= 8) else {
        return unsupported("The type of the cast has no known size.", at);
    };
    let number = match (scalar(value, env, at)?, ty.bare().map(|t| t.1)) {
        (from, Some(Type::Base(b))) if b.kind == dumpscope_symbols::types::BaseKind::Float => {
            let f = match from {
                Scalar::Float(f) => f,
                Scalar::Int { value, .. } => value as f64,
                Scalar::Pointer(_) => return unsupported("A pointer cannot become a fraction.", at),
            };
            let bytes = if size == 4 { (f as f32).to_le_bytes().to_vec() } else { f.to_le_bytes().to_vec() };
            return Ok(Value { ty: ty.clone(), place: Stored::Bytes(bytes) });
        }
        (_, Some(Type::Base(b))) if b.kind == dumpscope_symbols::types::BaseKind::Bool => {
            i128::from(truth(value, env, at)?)
        }
        (Scalar::Float(f), _) => f as i128,
        (Scalar::Int { value, .. }, _) => value,
        (Scalar::Pointer(va), _) => va.into(),
    };
    let bytes = number.to_le_bytes().get(..usize::try_from(size).unwrap_or(8)).unwrap_or_default().to_vec();
    Ok(Value { ty: ty.clone(), place: Stored::Bytes(bytes) })
}

fn call(
    which: Macro,
    values: &[Node],
    ty: Option<&TypeName>,
    path: &[String],
    at: usize,
    env: &dyn CppEnv,
) -> Result<Value, ExprError> {
    let ty = match ty.map(|t| (t, resolve(t, env, at))) {
        // The engine reads the text that the macro stands for.
        Some((t, Err(_))) if env.modern() => {
            let text = format!("Couldn't resolve error at '{} *)0)->{}))'", t.name, path.join("."));
            return unsupported(text, at);
        }
        Some((_, found)) => Some(found?),
        None => None,
    };
    let first = values.first().map(|v| eval(v, env)).transpose()?;
    let unknown = || ExprError::new(ErrorKind::CouldntResolve, at);
    match (which, ty, first) {
        (Macro::FieldOffset, Some(ty), _) => {
            let (offset, _) = field(&ty, path).ok_or_else(unknown)?;
            Ok(number(env, offset.into(), 0x12))
        }
        (Macro::FieldSize, Some(ty), _) => size(field(&ty, path).ok_or_else(unknown)?.1.size(), env, at),
        (Macro::ContainsField, _, Some(value)) => {
            let ty = value.ty.pointee().unwrap_or(value.ty);
            let (offset, inner) = field(&ty, path).ok_or_else(unknown)?;
            let given = values.get(1).map(|v| integer(&eval(v, env)?, env, at)).transpose()?.unwrap_or(0);
            let end = i128::from(offset).saturating_add(inner.size().unwrap_or(0).into());
            Ok(number(env, (end <= given).into(), BOOL))
        }
        (Macro::ContainingRecord, Some(ty), Some(value)) => {
            let (offset, _) = field(&ty, path).ok_or_else(unknown)?;
            let va = integer(&value, env, at)?;
            Ok(pointer(ty.pointer(), Va((va as u64).wrapping_sub(offset))))
        }
        (Macro::NumberOf, _, Some(value)) => match value.ty.element() {
            Some((_, count)) => Ok(number(env, count.into(), size_type(env))),
            None => unsupported("#RTL_NUMBER_OF needs an array.", at),
        },
        _ => fail(ErrorKind::Syntax, at),
    }
}

/// Offset and type of a field by its path.
fn field(ty: &Ty, path: &[String]) -> Option<(u64, Ty)> {
    let (mut id, mut offset) = (ty.bare()?.0, 0u64);
    for name in path.iter().take(MAX_DEPTH) {
        let all = rows(ty.set.types(), id);
        let row = all.iter().rfind(|r| r.name == *name)?;
        let RowKind::Field(at) = row.kind else { return None };
        offset = offset.checked_add(at)?;
        id = row.ty;
    }
    Some((offset, Ty { id: bare(ty.set.types(), id).0, ..ty.clone() }))
}
