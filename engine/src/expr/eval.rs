//! A tree to its value.

use super::ast::{BinOp, Expr, Func, FuncArg, UnOp};
use super::env::{Env, RegisterMiss, SymbolMiss};
use super::error::{ErrorKind, ExprError};
use super::pattern::wildcard_match;

/// The value of a tree. All values are 64-bit and unsigned, arithmetic wraps; only 32-bit registers are
/// sign-extended (numbers never are, in user mode).
///
/// # Errors
/// What has no value and where it stands.
pub fn eval(expr: &Expr, env: &dyn Env) -> Result<u64, ExprError> {
    let fail = |kind, at: usize| Err(ExprError::new(kind, at));
    match expr {
        Expr::Number(n) => Ok(*n),
        Expr::Dot(at) => pseudo(env, "ip", *at),
        Expr::Word(word, at) => bare_word(env, word, *at),
        Expr::Symbol(module, name, at) => {
            let module = Some(module.as_str()).filter(|m| !m.is_empty());
            env.symbol(module, name).map_err(|miss| symbol_error(miss, *at))
        }
        Expr::Register(name, at) => match env.register(name) {
            Ok((value, bits)) => Ok(extend(value, bits)),
            Err(miss) => Err(register_error(miss, name, *at)),
        },
        Expr::Pseudo(name, at) => pseudo(env, name, *at),
        Expr::Local(name, at) => match env.local(name) {
            Some(found) => local(found, name, *at),
            None => fail(ErrorKind::CouldntResolve, *at),
        },
        Expr::Line(text, at) => line(env, text).ok_or_else(|| ExprError::new(ErrorKind::CouldntResolve, *at)),
        Expr::Segment(name, offset, at) => {
            let base = env.segment(name).ok_or_else(|| ExprError::new(ErrorKind::BadRegister, *at))?;
            Ok(base.wrapping_add(eval(offset, env)?))
        }
        Expr::Cpp(text, at) => match env.cpp(text) {
            Some(Ok(value)) => Ok(value),
            Some(Err(message)) => fail(ErrorKind::Unsupported(message), *at),
            None => fail(ErrorKind::Unsupported("C++ expressions are not available here.".into()), *at),
        },
        Expr::Unary(op, operand, at) => {
            let value = eval(operand, env)?;
            Ok(match op {
                UnOp::Plus | UnOp::AddressOf => value,
                UnOp::Minus => value.wrapping_neg(),
                UnOp::Not => u64::from(value == 0),
                UnOp::Hi => value >> 16 & 0xffff,
                UnOp::Low => value & 0xffff,
                UnOp::By => read(env, value, 1, *at)?,
                UnOp::Wo => read(env, value, 2, *at)?,
                UnOp::Dwo => read(env, value, 4, *at)?,
                UnOp::Qwo => read(env, value, 8, *at)?,
                UnOp::Poi => read(env, value, env.machine().ptr_size(), *at)?,
            })
        }
        Expr::Binary(op, a, b, at) => {
            let (a, b) = (eval(a, env)?, eval(b, env)?);
            binary(*op, a, b).map_or_else(|| fail(ErrorKind::Operand, *at), Ok)
        }
        Expr::Call(func, args, at) => call(env, *func, args, *at),
    }
}

fn binary(op: BinOp, a: u64, b: u64) -> Option<u64> {
    let shift = u32::try_from(b).ok().filter(|n| *n < 64);
    Some(match op {
        BinOp::Mul => a.wrapping_mul(b),
        BinOp::Div => a.checked_div(b)?,
        BinOp::Mod => a.checked_rem(b)?,
        BinOp::Add => a.wrapping_add(b),
        BinOp::Sub => a.wrapping_sub(b),
        BinOp::Shl => shift.map_or(0, |n| a << n),
        BinOp::Shr => shift.map_or(0, |n| a >> n),
        BinOp::Sar => ((a as i64) >> shift.unwrap_or(63)) as u64,
        BinOp::Eq => u64::from(a == b),
        BinOp::Ne => u64::from(a != b),
        BinOp::Lt => u64::from(a < b),
        BinOp::Gt => u64::from(a > b),
        BinOp::Le => u64::from(a <= b),
        BinOp::Ge => u64::from(a >= b),
        BinOp::And => a & b,
        BinOp::Xor => a ^ b,
        BinOp::Or => a | b,
    })
}

fn extend(value: u64, bits: u32) -> u64 {
    if bits == 32 { value as u32 as i32 as i64 as u64 } else { value }
}

/// In a 32-bit view addresses have 32 bits: a sign-extended register is still the address it holds.
fn address(env: &dyn Env, value: u64) -> u64 {
    if env.machine().is_64() { value } else { value & 0xffff_ffff }
}

fn read(env: &dyn Env, va: u64, size: usize, at: usize) -> Result<u64, ExprError> {
    let mut buf = [0u8; 8];
    let part = buf.get_mut(..size).unwrap_or(&mut []);
    if env.read(address(env, va), part) < size {
        return Err(ExprError::new(ErrorKind::Memory, at));
    }
    Ok(u64::from_le_bytes(buf))
}

fn pseudo(env: &dyn Env, name: &str, at: usize) -> Result<u64, ExprError> {
    match env.pseudo(name) {
        Some(Ok(value)) => Ok(value),
        Some(Err(miss)) => Err(register_error(miss, name, at)),
        None => Err(ExprError::new(ErrorKind::BadRegister, at)),
    }
}

fn local(found: Option<u64>, name: &str, at: usize) -> Result<u64, ExprError> {
    found.ok_or_else(|| {
        let mut error = ExprError::new(ErrorKind::Memory, at);
        error.note =
            Some(format!("{name} is nowhere at this place in the code: the compiler did not keep it."));
        error
    })
}

/// Numbers were taken by the lexer; a word may be a local variable, a symbol, a module or a register. A full-width
/// register name is taken as the register at once: looking for a symbol of that name would load the symbols of
/// every module.
fn bare_word(env: &dyn Env, word: &str, at: usize) -> Result<u64, ExprError> {
    let register = env.register(word);
    let pointer_bits = if env.machine().is_64() { 64 } else { 32 };
    if let Ok((value, bits)) = register
        && bits == pointer_bits
    {
        return Ok(extend(value, bits));
    }
    if let Some(found) = env.local(word) {
        return local(found, word, at);
    }
    match env.symbol(None, word) {
        Ok(value) => Ok(value),
        Err(SymbolMiss::Ambiguous) => Err(symbol_error(SymbolMiss::Ambiguous, at)),
        Err(SymbolMiss::NotFound) => match register {
            Ok((value, bits)) => Ok(extend(value, bits)),
            Err(RegisterMiss::Unknown) => Err(register_error(RegisterMiss::Unknown, word, at)),
            Err(RegisterMiss::NoSuch) => Err(symbol_error(SymbolMiss::NotFound, at)),
        },
    }
}

fn symbol_error(miss: SymbolMiss, at: usize) -> ExprError {
    ExprError::new(
        match miss {
            SymbolMiss::NotFound => ErrorKind::CouldntResolve,
            SymbolMiss::Ambiguous => ErrorKind::Ambiguous,
        },
        at,
    )
}

fn register_error(miss: RegisterMiss, name: &str, at: usize) -> ExprError {
    let mut error = ExprError::new(ErrorKind::BadRegister, at);
    if miss == RegisterMiss::Unknown {
        error.note = Some(format!("The value of {name} is not known here."));
    }
    error
}

/// `module!file:line`, `file:line`.
fn line(env: &dyn Env, text: &str) -> Option<u64> {
    let (module, rest) = match text.split_once('!') {
        Some((m, rest)) => (Some(m), rest),
        None => (None, text),
    };
    let (file, line) = rest.rsplit_once(':')?;
    env.source_line(module, file, line.trim_end_matches('+').parse().ok()?)
}

fn call(env: &dyn Env, func: Func, args: &[FuncArg], at: usize) -> Result<u64, ExprError> {
    let syntax = || ExprError::new(ErrorKind::Syntax, at);
    let number = |i: usize| match args.get(i) {
        Some(FuncArg::Value(e)) => eval(e, env),
        _ => Err(syntax()),
    };
    let text = |i: usize| match args.get(i) {
        Some(FuncArg::Text(t)) => Ok(t.as_str()),
        _ => Err(syntax()),
    };
    let ordering = |o: std::cmp::Ordering| o as i64 as u64;
    Ok(match func {
        Func::Iment => entry_point(env, number(0)?, at)?,
        Func::Vvalid => {
            let (start, len) = (address(env, number(0)?), number(1)?);
            u64::from(all_known(env, start, len))
        }
        Func::Fnsucc => {
            let text = "$fnsucc needs the function's type, which is not available.";
            return Err(ExprError::new(ErrorKind::Unsupported(text.into()), at));
        }
        Func::Scmp => ordering(text(0)?.cmp(text(1)?)),
        Func::Sicmp => ordering(text(0)?.to_lowercase().cmp(&text(1)?.to_lowercase())),
        Func::Spat => u64::from(wildcard_match(text(1)?, text(0)?)),
    })
}

/// Most bytes that `$vvalid` looks at.
const MAX_VALID: u64 = 256 << 20;

fn all_known(env: &dyn Env, start: u64, len: u64) -> bool {
    if len > MAX_VALID {
        return false;
    }
    let mut buf = vec![0u8; 64 * 1024];
    let mut done = 0;
    while done < len {
        let want = usize::try_from(len - done).unwrap_or(usize::MAX).min(buf.len());
        let Some(part) = buf.get_mut(..want) else { return false };
        if env.read(start.wrapping_add(done), part) < want {
            return false;
        }
        done += want as u64;
    }
    true
}

/// `AddressOfEntryPoint` of the PE image at `base`: at 16 in the optional header, which follows the 4-byte
/// signature and the 20-byte file header.
fn entry_point(env: &dyn Env, base: u64, at: usize) -> Result<u64, ExprError> {
    let base = address(env, base);
    let lfanew = read(env, base.wrapping_add(0x3c), 4, at)?;
    let header = base.wrapping_add(lfanew);
    if read(env, base, 2, at)? != 0x5a4d || read(env, header, 4, at)? != 0x4550 {
        return Err(ExprError::new(ErrorKind::Memory, at));
    }
    let entry = read(env, header.wrapping_add(24 + 16), 4, at)?;
    Ok(base.wrapping_add(entry))
}
