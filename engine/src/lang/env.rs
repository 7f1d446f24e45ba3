//! What expressions see of a session.

use crate::expr::{Env, ExprError, RegisterMiss, SymbolMiss};
use crate::lang::registers;
use crate::session::{Layout, Session};
use dumpscope_analyzers::Scope;
use dumpscope_core::context::Context;
use dumpscope_core::{Machine, ReadMemory, RegSet, Va};
use dumpscope_symbols::provider::variable::Location;
use dumpscope_symbols::{SymbolState, Trust};
use std::cell::OnceCell;
use std::sync::atomic::Ordering;

/// A session as the environment of an expression: registers of the context in force, symbols and memory.
#[derive(Debug)]
pub struct SessionEnv<'a> {
    session: &'a Session,
    /// Read when an expression asks for a register.
    context: OnceCell<Option<Context>>,
    /// Found when an expression asks for a name.
    scope: OnceCell<Option<Scope>>,
    /// How deep MASM and C++ expressions are nested in each other.
    depth: u32,
}

impl<'a> SessionEnv<'a> {
    /// The environment of `session` as it is now.
    #[must_use]
    pub fn new(session: &'a Session) -> SessionEnv<'a> {
        SessionEnv::nested(session, 0)
    }

    /// The environment of an expression inside others.
    pub(super) fn nested(session: &'a Session, depth: u32) -> SessionEnv<'a> {
        SessionEnv { session, context: OnceCell::new(), scope: OnceCell::new(), depth }
    }

    fn context(&self) -> Option<&Context> {
        self.context.get_or_init(|| self.session.context()).as_ref()
    }

    pub(super) fn scope(&self) -> Option<&Scope> {
        self.scope.get_or_init(|| self.session.scope()).as_ref()
    }

    pub(super) fn memory(&self) -> &dyn ReadMemory {
        &**self.session.dump().memory()
    }

    fn teb(&self) -> Option<u64> {
        Some(self.session.dump().teb(self.session.sel.thread?, self.session.sel.machine)?.0)
    }

    fn peb(&self) -> Option<Va> {
        self.session.dump().peb(self.session.sel.machine)
    }

    fn reg(&self, pick: fn(&RegSet) -> Option<Va>) -> Option<u64> {
        self.context().and_then(|c| pick(&c.regs)).map(|v| v.0)
    }

    fn read_ptr(&self, va: Va) -> Option<Va> {
        let mut buf = [0u8; 8];
        let size = self.session.sel.machine.ptr_size();
        let part = buf.get_mut(..size)?;
        (self.memory().read_at(va, part).got == size).then(|| Va(u64::from_le_bytes(buf)))
    }

    /// Entry point of the process's program, from the PEB's ImageBaseAddress.
    fn program_entry(&self) -> Option<u64> {
        let machine = self.session.sel.machine;
        let base = self.read_ptr(self.peb()?.offset(if machine.is_64() { 0x10 } else { 8 }))?;
        let u32_at = |va: Va| {
            let mut b = [0u8; 4];
            (self.memory().read_at(va, &mut b).got == 4).then(|| u32::from_le_bytes(b))
        };
        let header = base.offset(u32_at(base.offset(0x3c))?.into());
        if u32_at(header)? != 0x4550 {
            return None;
        }
        Some(base.offset(u32_at(header.offset(24 + 16))?.into()).0)
    }

    /// Return address of the innermost frame.
    fn return_address(&self) -> Option<u64> {
        // The walk learns a frame's return address when it finds the caller.
        let stack = self.session.stack(Some(2))?;
        stack.frames.iter().find(|f| f.trust != Trust::Inline).map(|f| f.frame.return_address.0)
    }

    fn exception(&self, name: &str) -> Option<u64> {
        let record = &self.session.dump().exception().value()?.record;
        match name {
            "exr_code" => Some(record.code.into()),
            // A dump does not say whether the exception was handled before: the engine takes the last chance.
            "exr_chance" => Some(2),
            "exr_numparams" => Some(record.parameters.len() as u64),
            _ => {
                let n: usize = name.strip_prefix("exr_param")?.parse().ok()?;
                record.parameters.get(n).copied()
            }
        }
    }
}

impl Env for SessionEnv<'_> {
    fn machine(&self) -> Machine {
        self.session.sel.machine
    }

    fn radix(&self) -> u32 {
        self.session.sel.radix
    }

    fn modern(&self) -> bool {
        self.session.sel.layout == Layout::Modern
    }

    fn matches(&self, module: Option<&str>, name: &str) -> Vec<String> {
        crate::commands::matched_lines(self.session, module, name)
    }

    fn register(&self, name: &str) -> Result<(u64, u32), RegisterMiss> {
        if self.modern() {
            // Today's engine knows the flags as `efl`; of a vector it takes the low half.
            if name.eq_ignore_ascii_case("eflags") {
                return Err(RegisterMiss::NoSuch);
            }
            if let Some(found) = self.context().and_then(|c| x87(&name.to_ascii_lowercase(), c)) {
                return Ok((found, 64));
            }
            let vector = name.strip_prefix("xmm").and_then(|n| n.parse::<usize>().ok());
            if let Some(raw) = vector.and_then(|n| self.context()?.vectors.get(n)) {
                return Ok((*raw as u64, 64));
            }
        }
        match self.context() {
            Some(context) => registers::lookup(name, &context.regs, Some(context)),
            // No context: only say which names are registers at all.
            None => registers::lookup(name, &RegSet::new(self.session.sel.machine), None),
        }
    }

    fn pseudo(&self, name: &str) -> Option<Result<u64, RegisterMiss>> {
        let session = self.session;
        if let Some(n) = name.strip_prefix('t').and_then(|n| n.parse::<usize>().ok()) {
            return session.language.temporaries.get(n).map(|v| Ok(*v));
        }
        let value = match name {
            "ip" => self.reg(RegSet::ip),
            "scopeip" => session.frame_regs().and_then(|r| r.ip()).map(|v| v.0),
            "eventip" => session
                .dump()
                .exception_context()
                .map(|c| c.ip().0)
                .or_else(|| session.context().map(|c| c.ip().0)),
            "csp" => self.reg(RegSet::sp),
            "ra" => self.return_address(),
            "retreg" | "retreg64" => self.return_register(name == "retreg64"),
            "peb" | "proc" => self.peb().map(|v| v.0),
            "teb" | "thread" => self.teb(),
            "tpid" => session.dump().pid().map(|p| u64::from(p.0)),
            "tid" => session.sel.thread.and_then(|t| session.dump().thread(t)).map(|t| u64::from(t.tid.0)),
            "dtid" => session.sel.thread.map(|t| u64::from(t.0)),
            "dpid" | "dsid" => Some(0),
            // FILETIME: 100 ns since 1601.
            "dbgtime" => Some((u64::from(session.dump().time()) + 11_644_473_600).wrapping_mul(10_000_000)),
            "frame" => Some(session.sel.frame.into()),
            "exentry" => self.program_entry(),
            "ptrsize" => Some(session.sel.machine.ptr_size() as u64),
            "pagesize" => Some(0x1000),
            "p" => Some(session.language.last_value),
            "exp" => Some(session.language.last_expr),
            "extret" => Some(session.language.last_return),
            "argreg" => self.argument_register(),
            "callret" => Some(0),
            "ea" | "ea2" | "previp" | "lastclrex" => None,
            _ if name.starts_with("exr_") => self.exception(name),
            _ => return None,
        };
        Some(value.ok_or(RegisterMiss::Unknown))
    }

    fn symbol(&self, module: Option<&str>, name: &str) -> Result<u64, SymbolMiss> {
        let symbols = &self.session.target.symbols;
        let in_module = match module {
            Some(module) => match symbols.modules_named_in(module, self.session.sel.machine).as_slice() {
                [] => return Err(SymbolMiss::NotFound),
                many => many.to_vec(),
            },
            None => {
                // A module's name alone is its base.
                if let Some(m) = symbols
                    .modules_named_in(name, self.session.sel.machine)
                    .first()
                    .and_then(|i| symbols.modules().get(*i))
                {
                    return Ok(m.base.0);
                }
                Vec::new()
            }
        };
        let hits: Vec<u64> = if module.is_some() {
            in_module.iter().flat_map(|m| symbols.by_name(Some(*m), name)).collect::<Vec<_>>()
        } else {
            symbols.by_name(None, name)
        }
        .iter()
        .filter_map(|(m, s)| Some(s.rva.va(symbols.modules().get(*m)?.base).0))
        .collect();
        match hits.as_slice() {
            [] => Err(SymbolMiss::NotFound),
            [first, rest @ ..] if rest.iter().all(|v| v == first) => Ok(*first),
            _ => Err(SymbolMiss::Ambiguous),
        }
    }

    fn local(&self, name: &str) -> Option<Option<u64>> {
        let scope = self.scope()?;
        let variable = scope.variable(name)?;
        Some(match scope.locate(variable) {
            Location::Memory(va, _) => Some(va.0),
            Location::Register(_, value) => Some(value),
            _ => None,
        })
    }

    fn source_line(&self, module: Option<&str>, file: &str, line: u32) -> Option<u64> {
        let found = self.find_line(module, file, line);
        if self.modern() && !self.session.sel.lines {
            // The engine tells it each time that it asks a module.
            let asked = if found.is_some() { 1 } else { MAX_ASKED };
            self.session.line_warnings.fetch_add(asked, Ordering::Relaxed);
        }
        found
    }

    fn cpp(&self, text: &str) -> Option<Result<u64, ExprError>> {
        Some(super::cpp::number(self.session, text, self.depth.saturating_add(1)))
    }

    fn segment(&self, name: &str) -> Option<u64> {
        match (self.session.sel.machine, name) {
            (Machine::X86, "fs") | (Machine::Amd64, "gs") => self.teb(),
            (Machine::X86 | Machine::Amd64, "cs" | "ds" | "es" | "ss") => Some(0),
            _ => None,
        }
    }

    fn read(&self, va: u64, buf: &mut [u8]) -> usize {
        self.memory().read_at(Va(va), buf).got
    }
}

/// How often the engine asks for a line that it does not find.
const MAX_ASKED: u32 = 3;

impl SessionEnv<'_> {
    /// The address of a source line; of the file that the scope's code comes from when none is named.
    fn find_line(&self, module: Option<&str>, file: &str, line: u32) -> Option<u64> {
        let symbols = &self.session.target.symbols;
        let current;
        let file = if file.is_empty() {
            current = symbols.line(self.session.frame_regs()?.ip()?)?.file;
            &current
        } else {
            file
        };
        let modules = match module {
            Some(name) => symbols.modules_named_in(name, self.session.sel.machine),
            // Without a module those whose symbols are loaded: the others would all have to be.
            None => {
                let loaded = |&i: &usize| symbols.state(i) != SymbolState::Deferred;
                let own = self.session.scope_module();
                own.into_iter().chain((0..symbols.modules().len()).filter(loaded)).collect()
            }
        };
        modules.into_iter().find_map(|m| {
            let base = symbols.modules().get(m)?.base;
            let rva = symbols.providers(m).iter().find_map(|p| p.line_address(file, line))?;
            Some(rva.va(base).0)
        })
    }

    /// The register that holds a function's first argument.
    fn argument_register(&self) -> Option<u64> {
        let name = match self.session.sel.machine {
            Machine::X86 => "eax",
            Machine::Arm64 => "x0",
            Machine::Amd64 | Machine::Other(_) => "rcx",
        };
        self.register(name).ok().map(|(value, _)| value)
    }

    fn return_register(&self, both: bool) -> Option<u64> {
        let (name, high) = match self.session.sel.machine {
            Machine::X86 => ("eax", "edx"),
            Machine::Arm64 => ("x0", ""),
            Machine::Amd64 | Machine::Other(_) => ("rax", ""),
        };
        let low = self.register(name).ok()?.0;
        if both && self.session.sel.machine == Machine::X86 {
            return Some(self.register(high).ok()?.0 << 32 | low);
        }
        Some(low)
    }
}

/// A register of the x87 unit as a whole number.
fn x87(name: &str, context: &Context) -> Option<u64> {
    let control = ["fpcw", "fpsw", "fptw"].iter().position(|n| *n == name);
    if let Some(i) = control {
        return Some(*context.x87.get(8 + i)? as u64);
    }
    let n: usize = name.strip_prefix("st")?.parse().ok().filter(|n| *n < 8)?;
    let raw = *context.x87.get(n)?;
    // As the engine makes a number of it: what is behind the point is dropped.
    Some(crate::commands::registers::long_double(raw) as i64 as u64)
}
