//! Postfix expressions of frame data: FrameData programs (`$T0 $ebp = $eip $T0 4 + ^ =`) and `STACK CFI` rules.
//!
//! Source: the Breakpad symbol file format document; DIA's description of `IDiaFrameData::get_program`.

use super::step::Env;
use dumpscope_core::{Machine, Va};
use std::collections::BTreeMap;

/// Longest program that is run, in words.
const MAX_TOKENS: usize = 1024;
/// Most values on the stack.
const MAX_DEPTH: usize = 64;

/// A value and, when it was read from memory just now, where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) bits: u64,
    pub(crate) slot: Option<Va>,
}

impl Value {
    pub(crate) fn plain(bits: u64) -> Value {
        Value { bits, slot: None }
    }
}

#[derive(Clone, Copy)]
enum Item<'t> {
    Name(&'t str),
    Value(Value),
}

/// Variables of one evaluation and the memory it reads.
pub(crate) struct Evaluator<'a, 'e> {
    env: &'a Env<'e>,
    machine: Machine,
    variables: BTreeMap<String, Value>,
}

impl<'a, 'e> Evaluator<'a, 'e> {
    pub(crate) fn new(env: &'a Env<'e>, machine: Machine) -> Evaluator<'a, 'e> {
        Evaluator { env, machine, variables: BTreeMap::new() }
    }

    pub(crate) fn set(&mut self, name: &str, value: Value) {
        self.variables.insert(name.to_owned(), value);
    }

    pub(crate) fn get(&self, name: &str) -> Option<Value> {
        self.variables.get(name).copied()
    }

    /// Runs a program of assignments. `None` when it is damaged, too long, or reads what is not known.
    pub(crate) fn run(&mut self, text: &str) -> Option<()> {
        let mut stack = Vec::new();
        for (count, token) in tokens(text).enumerate() {
            if count >= MAX_TOKENS || stack.len() > MAX_DEPTH {
                return None;
            }
            if token == "=" {
                let value = self.value(stack.pop()?)?;
                let Item::Name(name) = stack.pop()? else { return None };
                self.set(name, value);
            } else {
                self.push(token, &mut stack)?;
            }
        }
        stack.is_empty().then_some(())
    }

    /// Evaluates one expression. `None` as for [`Evaluator::run`].
    pub(crate) fn expression(&self, text: &str) -> Option<Value> {
        let mut stack = Vec::new();
        for (count, token) in tokens(text).enumerate() {
            if count >= MAX_TOKENS || stack.len() > MAX_DEPTH {
                return None;
            }
            self.push(token, &mut stack)?;
        }
        let last = self.value(stack.pop()?)?;
        stack.is_empty().then_some(last)
    }

    fn push<'t>(&self, token: &'t str, stack: &mut Vec<Item<'t>>) -> Option<()> {
        let item = match token {
            "+" | "-" | "*" | "/" | "%" | "@" => {
                let right = self.value(stack.pop()?)?.bits;
                let left = self.value(stack.pop()?)?.bits;
                let bits = match token {
                    "+" => left.wrapping_add(right),
                    "-" => left.wrapping_sub(right),
                    "*" => left.wrapping_mul(right),
                    "/" => left.checked_div(right)?,
                    "%" => left.checked_rem(right)?,
                    // Aligns down.
                    _ => left.checked_sub(left.checked_rem(right)?)?,
                };
                Item::Value(Value::plain(self.fit(bits)))
            }
            "^" => {
                let at = Va(self.value(stack.pop()?)?.bits);
                let word = self.env.mem.ptr(at, self.machine)?;
                Item::Value(Value { bits: word.0, slot: Some(at) })
            }
            _ => match number(token) {
                Some(bits) => Item::Value(Value::plain(self.fit(bits))),
                None => Item::Name(token),
            },
        };
        stack.push(item);
        Some(())
    }

    fn value(&self, item: Item<'_>) -> Option<Value> {
        match item {
            Item::Value(value) => Some(value),
            Item::Name(name) => self.get(name),
        }
    }

    fn fit(&self, bits: u64) -> u64 {
        if self.machine.is_64() { bits } else { bits & 0xffff_ffff }
    }
}

/// The words of a program. Blanks may be missing around operators and before `$` (`4 + =$eip $T0 ^ =$esp`).
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    const OPERATORS: &[u8] = b"+-*/%@^=";
    text.split_ascii_whitespace().flat_map(|word| {
        let mut rest = word;
        std::iter::from_fn(move || {
            let bytes = rest.as_bytes();
            let first = *bytes.first()?;
            // A minus sign at the start of a word belongs to the number behind it.
            let sign =
                first == b'-' && rest.len() == word.len() && bytes.get(1).is_some_and(u8::is_ascii_digit);
            let ends = |b: &u8| OPERATORS.contains(b) || *b == b'$';
            let length = if OPERATORS.contains(&first) && !sign {
                1
            } else {
                let behind = bytes.get(1..).unwrap_or_default().iter().position(ends);
                behind.map_or(bytes.len(), |n| n + 1)
            };
            // Operators and `$` are ASCII: no character is cut.
            let (token, behind) = rest.split_at_checked(length)?;
            rest = behind;
            Some(token)
        })
    })
}

/// A decimal number, negative ones too; hexadecimal behind `0x`.
fn number(token: &str) -> Option<u64> {
    if let Some(hex) = token.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok();
    }
    token.parse::<i64>().map(i64::cast_unsigned).ok().or_else(|| token.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::super::testing::{TestContext, TestMemory};
    use super::*;

    fn eval(text: &str) -> Option<u64> {
        let mut mem = TestMemory::default();
        mem.put32(0x1000, 0x2000);
        let (context, limits) = (TestContext::default(), Limits::default());
        let env = Env::new(&mem, &context, None, &limits);
        let mut e = Evaluator::new(&env, Machine::X86);
        e.set("$ebp", Value::plain(0x1000));
        e.run(text)?;
        e.get("$T0").map(|v| v.bits)
    }

    #[test]
    fn programs() {
        assert_eq!(eval("$T0 $ebp ="), Some(0x1000));
        assert_eq!(eval("$T0 $ebp ^ 4 + ="), Some(0x2004));
        assert_eq!(eval("$T0 $ebp 13 + 8 @ ="), Some(0x1008));
        assert_eq!(eval("$T1 7 = $T0 $T1 2 * 3 % ="), Some(2));
        assert_eq!(eval("$T0 0 4 - ="), Some(0xffff_fffc));
        assert_eq!(eval("$T0 -4 ="), Some(0xffff_fffc));
        // Some writers leave blanks out.
        assert_eq!(eval("$T0 $ebp ^ 4 + =$T1 3 ="), Some(0x2004));
        assert_eq!(eval("$T1 .x 5==$T0 1="), None);
        assert_eq!(eval("$T0 $ebp^4+="), Some(0x2004));
        assert_eq!(eval("$T0 $ebp 4 -16@="), None);
    }

    #[test]
    fn damaged_programs_give_nothing() {
        for text in
            ["$T0", "=", "$T0 =", "1 2 =", "$T0 1 0 / =", "$T0 1 0 @ =", "$T0 9 ^ =", "$T0 nix =", "+"]
        {
            assert_eq!(eval(text), None, "{text}");
        }
        assert_eq!(eval(&"1 ".repeat(100_000)), None);
    }
}
