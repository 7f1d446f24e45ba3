//! The expression language: any text, a world that answers something to every question.

use dumpscope_core::Machine;
use dumpscope_engine::expr::{Env, RegisterMiss, SymbolMiss, evaluate};

struct World;

impl Env for World {
    fn machine(&self) -> Machine {
        Machine::Amd64
    }

    fn register(&self, name: &str) -> Result<(u64, u32), RegisterMiss> {
        match name.len() {
            1 => Err(RegisterMiss::NoSuch),
            n => Ok((n as u64, 64)),
        }
    }

    fn pseudo(&self, name: &str) -> Option<Result<u64, RegisterMiss>> {
        (name.len() < 8).then_some(Ok(name.len() as u64))
    }

    fn symbol(&self, _: Option<&str>, name: &str) -> Result<u64, SymbolMiss> {
        if name.contains('z') { Err(SymbolMiss::NotFound) } else { Ok(0x1000) }
    }

    fn read(&self, va: u64, buf: &mut [u8]) -> usize {
        buf.fill(va as u8);
        buf.len()
    }
}

/// Evaluates the bytes as an expression.
pub fn expression(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match evaluate(&text, &World) {
        Ok((_, end)) => assert!(text.is_char_boundary(end), "end inside a character"),
        Err(error) => {
            let _ = format!("{error:?}");
        }
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "poi(@rsp+8)+0n10*(2-1)",
        "ntdll!NtClose+0x12",
        "00007ff6`12345678 & 0y1010 | not 1",
        "$iment(@$t0) >>> 2 mod 3",
        "by(1)==wo(2) and dwo(3)!=qwo(4)",
        "`app!main.c:12`",
        "@@c++(1+2)",
    ]
    .map(|s| s.as_bytes().to_vec())
    .into()
}
