//! Whose fault it is: the bad operand followed back to the frame that produced it.
//!
//! The idea of stepping backward from a crash over what the dump still holds is RETracer's (Cui and others, ICSE 2016).
//! What is blamed is a frame of the stack: the one whose code made the bad value, or made or kept the object that
//! holds it.

use super::looks::look;
use crate::arguments::{Name, Place, Trace, Tracer, What, Writer};
use crate::model::{Blame, Confidence, Fault, FaultKind, Look, PatternKind, Stack};
use crate::{Cancel, Target};
use dumpscope_core::base::text::escape;
use dumpscope_core::{ReadMemory, Reg, Va};
use dumpscope_symbols::Trust;

/// How many fields in a row are followed.
const MAX_FIELDS: usize = 4;

/// Follows the bad operand of `fault` back through `stack`, whose first frame stands at the fault.
#[must_use]
pub fn blame(target: &Target, stack: &Stack, fault: &Fault, cancel: &Cancel) -> Option<Blame> {
    if !matches!(
        fault.kind,
        FaultKind::Access | FaultKind::Misaligned | FaultKind::Fetch | FaultKind::DivideByZero
    ) {
        return None;
    }
    let tracer = Tracer::new(target, stack, cancel)?;
    let mut search = Search { target, stack, tracer: &tracer, chain: Vec::new() };
    let found = search.start(fault)?;
    let site = found.site.or_else(|| stack.frames.get(found.row).map(|f| f.frame.lookup_ip()))?;
    let mut confidence = found.confidence.min(Confidence::Strong);
    // The way to the blamed frame is as sure as its frames.
    if stack.frames.iter().take(found.row + 1).any(|f| f.trust == Trust::Scan) {
        confidence = Confidence::Guess;
    }
    let place = search.place(found.row, site);
    search.chain.push(format!("so the bad value comes from {place}"));
    Some(Blame { row: found.row, site, confidence, chain: search.chain })
}

struct Search<'a, 's> {
    target: &'a Target,
    stack: &'a Stack,
    tracer: &'a Tracer<'s>,
    chain: Vec<String>,
}

/// True for names of functions that end an object's life.
fn is_free(name: &str) -> bool {
    let function = name.rsplit(['!', ':']).next().unwrap_or(name);
    let lower = function.to_ascii_lowercase();
    ["free", "delete", "release", "destroy", "dealloc", "dispose", "drop", "~"]
        .iter()
        .any(|w| lower.contains(w))
}

struct Culprit {
    row: usize,
    site: Option<Va>,
    confidence: Confidence,
}

impl Search<'_, '_> {
    fn start(&mut self, fault: &Fault) -> Option<Culprit> {
        if fault.kind == FaultKind::Fetch && !fault.computed {
            // The frame never ran: the caller went through a pointer.
            let called = self.tracer.called_through(1)?;
            let row = self.tracer.row(1)?;
            let bad = fault.target?.0;
            self.say(format!("{} called {}", self.at(called.at), self.hex(bad)));
            return match called.field {
                None => self.value(called.name, Some(bad), 0),
                Some(offset) => self.field(called.name, offset, Some(bad), (row, called.at), 0),
            };
        }
        if fault.through_memory {
            let bad = if fault.kind == FaultKind::DivideByZero { Some(0) } else { fault.target.map(|t| t.0) };
            let row = self.tracer.row(0)?;
            let at = self.stack.frames.get(row)?.frame.ip;
            let shown = fault.instruction.as_deref().unwrap_or("the instruction");
            self.say(format!("`{shown}` used {} from memory", self.short(bad.unwrap_or(0))));
            return match self.tracer.loaded(0, fault.base?, fault.displacement)? {
                (name, None) => self.value(name, bad, 0),
                (object, Some(offset)) => self.field(object, offset, bad, (row, at), 0),
            };
        }
        let (reg, value) = self.bad_operand(fault)?;
        let name = self.tracer.register(0, reg)?;
        let shown = fault.instruction.as_deref().unwrap_or("the instruction");
        let reg_name = fault.operands.iter().find(|o| o.reg == reg).map_or("", |o| o.name);
        self.say(format!("`{shown}` used {reg_name} = {}", self.hex(value)));
        self.value(name, Some(value), 0)
    }

    /// The register that made the address bad, and its value.
    fn bad_operand(&self, fault: &Fault) -> Option<(Reg, u64)> {
        let of = |reg: Reg| fault.operands.iter().find(|o| o.reg == reg);
        if fault.kind == FaultKind::DivideByZero {
            return fault.operands.first().map(|o| (o.reg, o.value));
        }
        let base = fault.base.and_then(of);
        let index = fault.index.and_then(|(r, _)| of(r));
        match (base, index) {
            (Some(b), Some(i)) => {
                // A base that is good itself, and far from what was wanted, is not to blame.
                let good = b.look.is_none() && self.target.dump.memory().u8(Va(b.value)).is_some();
                let chosen = if good { i } else { b };
                Some((chosen.reg, chosen.value))
            }
            (Some(o), None) | (None, Some(o)) => Some((o.reg, o.value)),
            (None, None) => None,
        }
    }

    /// Goes back from a name that holds a bad value.
    fn value(&mut self, name: Name, bad: Option<u64>, depth: usize) -> Option<Culprit> {
        let trace = self.tracer.back(name);
        self.tell(&trace);
        let last = trace.steps.last()?;
        let sure = |c: Confidence| if trace.sure { c } else { Confidence::Guess };
        let end = |confidence: Confidence| Some(Culprit { row: last.row, site: last.at, confidence });
        match last.what {
            What::Constant(c) => {
                let same = bad.is_none_or(|b| b == c || trace.steps.len() > 1);
                end(sure(if same { Confidence::Strong } else { Confidence::Guess }))
            }
            What::Returned { .. } | What::Computed | What::Merged => end(sure(Confidence::Strong)),
            What::Field { object, offset, holds, .. } => {
                let bad = holds.or(bad);
                let at = last.at?;
                let found = self.field(object, offset, bad, (last.row, at), depth)?;
                Some(Culprit { confidence: sure(found.confidence), ..found })
            }
            _ => end(Confidence::Guess),
        }
    }

    /// The bad value was read from `offset` bytes behind an object, by the instruction at `read`.
    fn field(
        &mut self,
        object: Name,
        offset: i64,
        bad: Option<u64>,
        (row, at): (usize, Va),
        depth: usize,
    ) -> Option<Culprit> {
        let trace = self.tracer.back(object);
        let names = self.names(object, &trace);
        // Innermost first: inner functions ran later.
        for (name, sure) in &names {
            let Some(writer) = self.tracer.writer(*name, offset) else { continue };
            match (writer.value, bad) {
                (Some(v), Some(b)) if self.narrow(v, b) != b => continue,
                _ => {}
            }
            self.tell_writer(&writer);
            // An unknown value in the very frame that made the object is what lies there now.
            let own = self.is_origin(&trace, writer.row);
            let known = writer.value.is_some() || own;
            let confidence = if *sure && known { Confidence::Strong } else { Confidence::Guess };
            let site = writer.through.unwrap_or(writer.at);
            return Some(Culprit { row: writer.row, site: Some(site), confidence });
        }
        let seen = bad.and_then(|b| look(b, self.stack.machine));
        if matches!(&seen, Some(Look::Pattern(p)) if p.kind == PatternKind::Freed) {
            // Whoever gave it to another function before is who freed it.
            for (name, sure) in &names {
                let Some((call, callee)) = self.tracer.handed(*name).pop() else { continue };
                let row = self.tracer.row_of(*name)?;
                let called = callee.map_or_else(|| "a function".to_owned(), |c| self.at(c));
                self.say(format!(
                    "{} gave the object to {called} at {} before",
                    self.function(row),
                    self.at(call)
                ));
                let frees = callee.is_some_and(|c| is_free(&self.at(c)));
                let confidence = if *sure && frees { Confidence::Strong } else { Confidence::Guess };
                return Some(Culprit { row, site: Some(call), confidence });
            }
        }
        self.tell(&trace);
        let last = trace.steps.last()?;
        let sure = |c: Confidence| if trace.sure { c } else { Confidence::Guess };
        let end =
            |confidence: Confidence| Some(Culprit { row: last.row, site: last.at.or(Some(at)), confidence });
        let dead = matches!(&seen, Some(Look::Pattern(p)) if matches!(p.kind, PatternKind::Freed | PatternKind::Uninitialised));
        match last.what {
            What::Local | What::Returned { .. } | What::Constant(_) => {
                let grade = match seen {
                    // Something wrote text over it.
                    Some(Look::Text(_)) => Confidence::Guess,
                    _ => Confidence::Strong,
                };
                end(sure(grade))
            }
            What::Merged | What::Computed if dead => end(sure(Confidence::Strong)),
            What::Field { object: outer, offset, holds, .. } if dead && depth < MAX_FIELDS => {
                // A dead object that another one still points to: whoever kept that one.
                let found = self.field(outer, offset, holds, (last.row, last.at?), depth + 1)?;
                Some(Culprit { confidence: Confidence::Guess, ..found })
            }
            _ => {
                let _ = row;
                end(Confidence::Guess)
            }
        }
    }

    /// True when the object of the trace was made in the frame at `row`.
    fn is_origin(&self, trace: &Trace, row: usize) -> bool {
        let made = |w: &What| matches!(w, What::Local | What::Returned { .. });
        trace.sure && trace.steps.last().is_some_and(|s| s.row == row && made(&s.what))
    }

    /// The names of one object along a trace, and whether the way to each is sure.
    fn names(&self, object: Name, trace: &Trace) -> Vec<(Name, bool)> {
        let mut out = vec![(object, true)];
        out.extend(trace.names.iter().map(|n| (*n, trace.sure)));
        out
    }

    /// A stored constant as a value of the width that was read.
    fn narrow(&self, stored: u64, read: u64) -> u64 {
        if read <= 0xffff_ffff { stored & 0xffff_ffff } else { stored }
    }

    fn tell_writer(&mut self, writer: &Writer) {
        let value = writer.value.map_or(String::new(), |v| format!(" {}", self.short(v)));
        let text = match writer.through {
            Some(call) => format!(
                "the last writer that the code shows: {} stores{value}, called at {}",
                self.at(writer.at),
                self.at(call)
            ),
            None => format!("the last writer that the code shows: {} stores{value}", self.at(writer.at)),
        };
        self.say(text);
    }

    fn tell(&mut self, trace: &Trace) {
        for step in &trace.steps {
            let at = step.at.map_or_else(|| "the code".to_owned(), |a| self.at(a));
            let function = self.function(step.row);
            let text = match &step.what {
                What::Argument(place) => {
                    let place = match place {
                        Place::Register(r) => self.register(*r).to_owned(),
                        Place::Stack(o) => format!("at +0x{o:x} of its stack"),
                    };
                    format!("it is an argument of {function} ({place}), which {at} set")
                }
                What::Kept(reg) => {
                    format!("{function} left {} alone, which {at} set", self.register(*reg))
                }
                What::Derived => format!("{at} derived it from one other value"),
                What::Global { address, holds } => {
                    format!("{at} loaded it from {} ({})", self.at(*address), self.memory(*holds))
                }
                What::Field { base, offset, holds, .. } => {
                    let base = base
                        .map_or_else(|| "an object".into(), |b| format!("the object at {}", self.hex(b.0)));
                    format!("{at} loaded it from {base} + 0x{offset:x} ({})", self.memory(*holds))
                }
                What::Returned { callee } => match callee {
                    Some(c) => format!("{} returned it to {at}", self.at(*c)),
                    None => format!("the function called at {at} returned it"),
                },
                What::Constant(c) => format!("{at} has it as the constant {}", self.short(*c)),
                What::Local => format!("it is the address of a local variable of {function}"),
                What::Computed => format!("{at} computed it"),
                What::Merged => format!("{function} has different values for it on different paths"),
                What::Lost => format!("what {function} had it from is not known"),
            };
            self.say(text);
        }
    }

    fn say(&mut self, text: String) {
        self.chain.push(escape(&text).into_owned());
    }

    fn at(&self, va: Va) -> String {
        self.target.name_of(va).unwrap_or_else(|| format!("0x{:x}", va.0))
    }

    fn function(&self, row: usize) -> String {
        let Some(f) = self.stack.frames.get(row) else { return "the function".into() };
        let module = f.module.map(|m| self.target.symbols.name_in(m, self.stack.machine));
        match (module, &f.function) {
            (Some(m), Some(n)) => format!("{m}!{n}"),
            (None, Some(n)) => n.clone(),
            _ => self.at(f.frame.lookup_ip()),
        }
    }

    /// The blamed place with its line.
    fn place(&self, row: usize, site: Va) -> String {
        let line = self.target.symbols.line(site);
        let line = line.map_or(String::new(), |l| {
            let file = l.file.rsplit(['\\', '/']).next().unwrap_or_default().to_owned();
            format!(", {file}:{}", l.line)
        });
        escape(&format!("{} ({}{line})", self.function(row), self.at(site))).into_owned()
    }

    fn register(&self, reg: Reg) -> &'static str {
        dumpscope_core::RegSet::names(self.stack.machine)
            .get(usize::from(reg.0))
            .copied()
            .unwrap_or("a register")
    }

    fn hex(&self, value: u64) -> String {
        if self.stack.machine.is_64() { format!("{value:016x}") } else { format!("{value:08x}") }
    }

    fn short(&self, value: u64) -> String {
        if value < 10 { value.to_string() } else { format!("0x{value:x}") }
    }

    fn memory(&self, holds: Option<u64>) -> String {
        match holds {
            Some(v) => format!("memory holds {}", self.short(v)),
            None => "memory that is not in the dump".into(),
        }
    }
}
