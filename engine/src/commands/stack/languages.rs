//! Frames of the program's language between a stack's machine frames.

use super::report::Source;
use crate::session::Session;
use dumpscope_analyzers::{Stack, StackFrame};
use dumpscope_core::base::text::escape;
use dumpscope_core::{RegSet, ThreadIdx};
use dumpscope_runtimes::{Reader, ScriptFrame, Walked};
use dumpscope_symbols::{Frame, Trust};
use serde::Serialize;

/// Functions whose machine frame is one run of Ruby's interpreter.
const LOOPS: [&str; 2] = ["rb_vm_exec", "vm_exec"];

/// A frame of the language.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ScriptRow {
    /// The row of the stack before which it stands; null: behind all.
    pub(crate) before: Option<usize>,
    /// The method.
    pub(crate) function: String,
    /// Where.
    pub(crate) source: Option<Source>,
    /// Another method's compiled code holds it.
    pub(crate) inlined: bool,
}

/// What a runtime adds to a stack.
#[derive(Clone, Debug, Default)]
pub(crate) struct Added {
    pub(crate) rows: Vec<ScriptRow>,
    /// Positions of rows that have none: index, position.
    pub(crate) sources: Vec<(usize, Source)>,
    pub(crate) notes: Vec<String>,
}

fn source(f: &ScriptFrame) -> Option<Source> {
    Some(Source { file: escape(f.file.as_deref()?).into_owned(), line: f.line? })
}

fn row(f: &ScriptFrame, before: Option<usize>, inlined: bool) -> ScriptRow {
    ScriptRow { before, function: escape(&f.display).into_owned(), source: source(f), inlined }
}

/// Asks the runtimes whose frames are not machine frames already.
pub(crate) fn added(session: &Session, stack: &Stack, thread: Option<ThreadIdx>) -> Added {
    let mut out = Added::default();
    let runtimes = session.target.runtimes();
    let readers = runtimes.readers().iter().filter(|r| r.runtime().readable && r.clr().is_none());
    let tid = thread.and_then(|t| session.dump().thread(t)).map(|t| t.tid);
    let Some(tid) = tid.filter(|_| session.sel.context.is_none()) else { return out };
    let mut machine: Option<Vec<Frame>> = None;
    for reader in readers {
        let frames = machine.get_or_insert_with(|| stack.physical().map(|f| f.frame.clone()).collect());
        let script = reader.frames(Walked { tid, frames });
        if script.is_empty() {
            continue;
        }
        let bottoms = reader.bottoms(tid);
        match bottoms.is_empty() {
            true => by_address(stack, &script, &mut out),
            false => by_runs(reader.as_ref(), stack, &script, &bottoms, &mut out),
        }
    }
    out
}

/// One run of the interpreter for each frame marked as its bottom, where there are as many of both.
fn by_runs(reader: &dyn Reader, stack: &Stack, script: &[ScriptFrame], bottoms: &[usize], out: &mut Added) {
    let module = reader.runtime().module;
    let is_loop = |f: &StackFrame| {
        let named = f.function.as_deref().is_some_and(|n| LOOPS.contains(&n));
        f.module == Some(module) && named && f.trust != Trust::Inline
    };
    let loops: Vec<usize> =
        stack.frames.iter().enumerate().filter(|(_, f)| is_loop(f)).map(|(n, _)| n).collect();
    let name = reader.runtime().name;
    if loops.len() != bottoms.len() {
        out.rows.extend(script.iter().map(|f| row(f, None, false)));
        out.notes.push(format!(
            "the machine frames do not tell where {name}'s frames belong ({} runs of the interpreter, {} frames that are the \
             bottom of one): they stand below",
            loops.len(),
            bottoms.len()
        ));
        return;
    }
    for (n, f) in script.iter().enumerate() {
        // Frames behind the last bottom belong to the outermost run.
        let run = bottoms.iter().position(|b| n <= *b).unwrap_or(bottoms.len().saturating_sub(1));
        out.rows.push(row(f, loops.get(run).copied(), false));
    }
    out.notes.push(format!("{name}'s frames stand above the run of the interpreter that they belong to"));
}

/// Frames that are machine frames themselves: positions for those, and the methods that their code inlined.
fn by_address(stack: &Stack, script: &[ScriptFrame], out: &mut Added) {
    let of = |f: &ScriptFrame| {
        stack.frames.iter().position(|m| {
            let fp = || m.frame.regs.get(RegSet::fp_reg(stack.machine));
            let compiled = !f.ip.is_null() && m.frame.ip == f.ip && m.frame.sp == f.sp;
            m.managed && (compiled || f.ip.is_null() && fp() == Some(f.sp.0))
        })
    };
    let mut left = 0_usize;
    let places: Vec<Option<usize>> = script.iter().map(of).collect();
    for (n, f) in script.iter().enumerate() {
        let place = places.get(n).copied().flatten();
        let Some(place) = place else {
            left = left.saturating_add(1);
            continue;
        };
        // The outermost of several methods at one machine frame is the one whose code it is.
        let own = places.get(n.saturating_add(1)).copied().flatten() != Some(place);
        match own {
            true => out.sources.extend(source(f).map(|s| (place, s))),
            false => out.rows.push(row(f, Some(place), true)),
        }
    }
    if left > 0 {
        out.notes.push(format!(
            "{left} frames of the language are not among the machine frames; !script shows all"
        ));
    }
}
