//! What arguments mean: names and kinds of the parameters of well-known functions, and text or GUIDs that a pointer
//! leads to.

mod buffers;
mod text;
mod value;

pub(super) use buffers::Buffers;

use crate::hint_table::{Kind, Parameter};
use crate::model::{Argument, Stack, StackFrame};
use crate::{Cancel, Target};
use dumpscope_core::Va;

/// Adds hints to the arguments of all rows of a stack.
pub fn add_hints(target: &Target, stack: &Stack, rows: &mut [Vec<Argument>], cancel: &Cancel) {
    for (frame, arguments) in stack.frames.iter().zip(rows) {
        if cancel.is_cancelled() {
            return;
        }
        add(target, stack, frame, arguments);
    }
}

fn add(target: &Target, stack: &Stack, frame: &StackFrame, arguments: &mut [Argument]) {
    let known = parameters(target, frame).unwrap_or_default();
    let kinds: Vec<Kind> = known.iter().map(|p| p.kind.clone()).collect();
    let values: Vec<(Option<String>, Option<u64>)> =
        arguments.iter().map(|a| (a.name.clone(), a.value.as_ref().map(|v| v.bits))).collect();
    for argument in arguments {
        let Some(bits) = argument.value.as_ref().map(|v| v.bits) else { continue };
        let cx = value::Cx { target, machine: stack.machine };
        argument.hint = match kinds.get(argument.index) {
            Some(Kind::Plain) => None,
            Some(Kind::Pointer) | None => text::hint(target, stack.machine, Va(bits)),
            Some(kind) => cx.hint(kind, bits, &|name| {
                values.iter().find(|(n, _)| n.as_deref() == Some(name)).and_then(|(_, v)| *v)
            }),
        };
    }
}

/// The parameters of a frame's function, when the table has it.
pub(super) fn parameters<'a>(target: &'a Target, frame: &StackFrame) -> Option<&'a [Parameter]> {
    let module = target.symbols.modules().get(frame.module?)?;
    target.hints().parameters(&module.file_name, frame.function.as_deref()?)
}

#[cfg(test)]
mod tests;
