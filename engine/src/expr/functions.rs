//! MASM's functions: `$iment(…)`, `$scmp(…)` and the like.

use super::env::Env;
use super::error::{ErrorKind, ExprError};
use super::lex::Token;
use super::masm::{Masm, address, read};
use super::pattern::wildcard_match;

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Func {
    /// `$iment(base)`: entry point of the image.
    Iment,
    /// `$vvalid(address, length)`: 1 when all bytes are known.
    Vvalid,
    /// `$fnsucc(function, value, flag)`: 1 when the value, returned by the function, means success.
    Fnsucc,
    /// `$scmp("a", "b")`: -1, 0 or 1.
    Scmp,
    /// `$sicmp("a", "b")`: the same, any letter case.
    Sicmp,
    /// `$spat("text", "pattern")`: 1 when the pattern matches.
    Spat,
}

const NAMES: &[(&str, Func)] = &[
    ("iment", Func::Iment),
    ("vvalid", Func::Vvalid),
    ("fnsucc", Func::Fnsucc),
    ("scmp", Func::Scmp),
    ("sicmp", Func::Sicmp),
    ("spat", Func::Spat),
];

/// The function of this name (without `$`, lower case).
pub(super) fn find(name: &str) -> Option<Func> {
    NAMES.iter().find(|(n, _)| *n == name).map(|(_, f)| *f)
}

/// Most bytes that `$vvalid` looks at.
const MAX_VALID: u64 = 256 << 20;

/// Reads the arguments of a function that began at `at` and gives its value.
pub(super) fn call(masm: &mut Masm<'_>, func: Func, at: usize, depth: usize) -> Result<u64, ExprError> {
    let open = masm.at;
    masm.expect("(")?;
    if matches!(func, Func::Scmp | Func::Sicmp | Func::Spat) {
        // Two texts, or it is no call at all.
        let bad = ExprError::new(ErrorKind::Syntax, if masm.env.modern() { open } else { at });
        let mut text = |closed: &str| -> Result<String, ExprError> {
            masm.count()?;
            let Ok(Token::Text(text)) = &masm.token else { return Err(bad.clone()) };
            let text = text.clone();
            masm.advance();
            if !masm.is_op(closed) {
                return Err(bad.clone());
            }
            masm.advance();
            Ok(text)
        };
        let (a, b) = (text(",")?, text(")")?);
        let ordering = |o: std::cmp::Ordering| o as i64 as u64;
        return Ok(match func {
            Func::Scmp => ordering(a.cmp(&b)),
            Func::Sicmp => ordering(a.to_lowercase().cmp(&b.to_lowercase())),
            _ => u64::from(wildcard_match(&b, &a)),
        });
    }
    let mut number = |closed: &str| -> Result<u64, ExprError> {
        masm.count()?;
        let value = masm.binary(1, depth + 1)?;
        masm.expect(closed)?;
        Ok(value)
    };
    match func {
        Func::Vvalid => {
            let (start, len) = (number(",")?, number(")")?);
            Ok(all_known(masm.env, address(masm.env, start), len).into())
        }
        Func::Fnsucc => {
            let (_, value, as_status) = (number(",")?, number(",")?, number(")")?);
            // With the flag the value is an HRESULT or NTSTATUS, else anything but 0 (or FALSE) is success.
            Ok(if as_status != 0 { u64::from(value as u32 as i32 >= 0) } else { u64::from(value != 0) })
        }
        _ => {
            let base = number(")")?;
            entry_point(masm.env, base, at)
        }
    }
}

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
    let find = || {
        let lfanew = read(env, base.wrapping_add(0x3c), 4, at)?;
        let header = base.wrapping_add(lfanew);
        if read(env, base, 2, at)? != 0x5a4d || read(env, header, 4, at)? != 0x4550 {
            return Err(ExprError::new(ErrorKind::Memory, at));
        }
        Ok(base.wrapping_add(read(env, header.wrapping_add(24 + 16), 4, at)?))
    };
    find().map_err(|e: ExprError| match env.modern() {
        true => ExprError::new(ErrorKind::Caret("Unknown image error"), at),
        false => e,
    })
}
