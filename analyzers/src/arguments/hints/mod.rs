//! What arguments mean: names and kinds of the parameters of well-known functions, and text or GUIDs that a pointer
//! leads to.

mod buffers;
mod structs;
mod text;
mod value;
mod win32;

pub(super) use buffers::Buffers;
pub(super) use win32::Known;
pub(crate) use win32::owned as is_windows;

use crate::hint_table::{Kind, Parameter};
use crate::model::{ArgPlace, ArgSource, Argument, Confidence, Evidence, Stack, StackFrame, Value};
use crate::{Cancel, Target};
use dumpscope_core::{Machine, ReadMemory, Va};

/// Adds hints to the arguments of all rows of a stack.
pub fn add_hints(target: &Target, stack: &Stack, rows: &mut [Vec<Argument>], cancel: &Cancel) {
    for (frame, arguments) in stack.frames.iter().zip(rows) {
        if cancel.is_cancelled() {
            return;
        }
        add(target, stack, frame, arguments);
    }
}

/// The arguments of a method of an interface, with values from where they lie one after the other behind the object, in the
/// order of the convention (x86; x64 where the first ones were spilled). `at`: that place, and how sure it is.
pub(crate) fn method_arguments(
    target: &Target,
    machine: Machine,
    params: &[dumpscope_win32::Param],
    at: Option<(Va, Confidence)>,
) -> Vec<Argument> {
    let memory = target.dump.memory();
    let word = machine.ptr_size() as u64;
    let mut offset = Some(word);
    let all: Vec<Parameter> = params.iter().map(|p| win32::parameter(p, params, ("", ""), machine)).collect();
    let mut out: Vec<Argument> = Vec::new();
    for (index, p) in all.iter().enumerate() {
        let (bytes, float, large) = p.passing.map_or((word, false, false), |p| {
            (p.bytes, p.float, p.aggregate && machine.is_64() && p.bytes > word)
        });
        // ARM64 keeps fractions apart, and so does x64 in its first four places.
        let found =
            at.zip(offset).filter(|_| !(machine == Machine::Arm64 || machine.is_64() && float || large));
        let value = found.filter(|_| bytes <= 8).and_then(|((at, sure), offset)| {
            let at = at.offset(offset);
            let bits = if machine.is_64() || bytes > 4 { memory.u64(at)? } else { memory.u32(at)?.into() };
            let bytes = u8::try_from(bytes.max(1)).unwrap_or(8);
            Some(Value {
                bits: super::values::mask(bits, bytes),
                bytes,
                source: ArgSource::CallerMemory,
                // The call may have changed its own copy.
                confidence: sure.min(Confidence::Strong),
                evidence: vec![Evidence::Memory(at)],
            })
        });
        let step = if machine.is_64() { word } else { bytes.max(1).next_multiple_of(4) };
        offset = offset.and_then(|o| o.checked_add(step));
        out.push(Argument {
            index,
            place: ArgPlace::Elsewhere,
            name: Some(p.name.clone()),
            type_text: p.type_text.clone(),
            value,
            overwritten: false,
            hint: None,
            leads_to: None,
        });
    }
    tell(target, machine, &all, true, &mut out);
    out
}

/// The arguments of one row with their hints.
pub(crate) fn with_hints_of(target: &Target, stack: &Stack, row: usize, cancel: &Cancel) -> Vec<Argument> {
    let mut arguments = super::recover(target, stack, row, cancel);
    if let Some(frame) = stack.frames.get(row) {
        add(target, stack, frame, &mut arguments);
    }
    arguments
}

fn add(target: &Target, stack: &Stack, frame: &StackFrame, arguments: &mut [Argument]) {
    let known = known(target, frame, stack.machine);
    let all = known.as_ref().map(|k| k.parameters.as_slice()).unwrap_or_default();
    tell(target, stack.machine, all, known.as_ref().is_some_and(|k| k.by_table), arguments);
}

/// Says what arguments with these parameters mean. `by_table`: the Win32 table alone tells the parameters.
fn tell(target: &Target, machine: Machine, all: &[Parameter], by_table: bool, arguments: &mut [Argument]) {
    let values: Vec<(Option<String>, Option<u64>)> =
        arguments.iter().map(|a| (a.name.clone(), a.value.as_ref().map(|v| v.bits))).collect();
    for argument in arguments {
        let Some(bits) = argument.value.as_ref().map(|v| v.bits) else { continue };
        let cx = value::Cx { target, machine };
        // What the Win32 table says is good for what was found by it.
        let fits = |p: &&Parameter| !by_table || argument.name.as_deref() == Some(p.name.as_str());
        let parameter = all.get(argument.index).filter(fits);
        let other =
            |name: &str| values.iter().find(|(n, _)| n.as_deref() == Some(name)).and_then(|(_, v)| *v);
        argument.hint = match parameter.map(|p| &p.kind) {
            Some(Kind::Plain) => None,
            Some(Kind::Pointer) | None => text::hint(target, machine, Va(bits)),
            Some(kind) => {
                let name = parameter.map_or("", |p| p.name.as_str());
                let told = cx.hint(kind, name, bits, &other);
                let text = || text::hint(target, machine, Va(bits));
                if matches!(kind, Kind::Structure(_)) { told.or_else(text) } else { told }
            }
        };
        if let Some(hint) = argument.hint.as_mut().filter(|_| parameter.is_some_and(|p| p.in_out)) {
            hint.text.push_str(" (in and out)");
        }
        let structure = parameter.and_then(|p| p.structure).filter(|_| bits != 0);
        argument.leads_to = structure.and_then(|id| dumpscope_win32::table().type_info(id)).map(|t| t.name);
    }
}

/// The parameters of a frame's function: from the table of well-known functions, which the Win32 table completes, else
/// from that.
pub(super) fn known(target: &Target, frame: &StackFrame, machine: Machine) -> Option<Known> {
    let module = target.symbols.modules().get(frame.module?)?;
    let own = target.hints().parameters(&module.file_name, frame.function.as_deref()?);
    let table = win32::known(target, frame, machine);
    let Some(own) = own else { return table };
    let mut parameters = own.to_vec();
    if let Some(table) = table.filter(|t| t.sure && t.parameters.len() == parameters.len()) {
        let both = table.parameters.iter().zip(&parameters);
        let names: Vec<(String, String)> =
            both.map(|(more, mine)| (more.name.clone(), mine.name.clone())).collect();
        for (mine, more) in parameters.iter_mut().zip(table.parameters) {
            mine.type_text = more.type_text;
            mine.passing = more.passing.filter(|p| !p.aggregate && !p.float);
            (mine.structure, mine.in_out) = (more.structure, more.in_out);
            let plain = mine.kind == Kind::Plain && !matches!(more.kind, Kind::Pointer | Kind::Output);
            if plain || mine.kind == Kind::Pointer {
                mine.kind = more.kind;
            }
        }
        // Counts have the names of this list.
        for p in &mut parameters {
            if let Kind::Handles(count) | Kind::Counted(count, _) = &mut p.kind
                && let Some((_, mine)) = names.iter().find(|(more, _)| more == count)
            {
                count.clone_from(mine);
            }
        }
    }
    Some(Known { parameters, hidden: false, sure: true, by_table: false })
}

#[cfg(test)]
mod tests;
