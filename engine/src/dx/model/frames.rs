//! Frames and their variables.

use super::{Members, Model, m};
use crate::commands::stack::{KFlags, row};
use crate::dx::ty::Kind;
use crate::dx::value::{Typed, Val};
use crate::dx::world::World;
use crate::dx::{DxType, Format};
use crate::expr::TypeSet;
use dumpscope_analyzers::Scope;
use dumpscope_core::{Machine, ThreadIdx};
use dumpscope_symbols::Trust;
use dumpscope_symbols::provider::variable::Variable;

impl World<'_> {
    /// `app!main + 0x53`.
    pub(super) fn frame_text(&self, thread: ThreadIdx, number: u32) -> Option<String> {
        let stack = self.stack(thread)?;
        let row = row(self.session, &stack, number as usize, KFlags::default())?;
        let place = match (&row.site.module, &row.site.function) {
            (Some(module), Some(function)) => format!("{module}!{function}"),
            (Some(module), None) => module.clone(),
            (None, _) => return Some(format!("0x{:x}", row.site.ip.0)),
        };
        // The engine writes what lies before a name as a large number.
        Some(format!("{place} + 0x{:x}", row.site.displacement.0))
    }

    pub(super) fn frame_attributes(&self, thread: ThreadIdx, number: u32) -> Members {
        let Some(stack) = self.stack(thread) else { return Vec::new() };
        let row = number as usize;
        let Some(f) = stack.frames.get(row) else { return Vec::new() };
        let inline = f.trust == Trust::Inline;
        let frame = &f.frame;
        // x64: the frame ends below what the caller pushed; x86: ChildEBP.
        let rest = stack.frames.get(row..).unwrap_or_default();
        let caller = rest.iter().find(|c| c.frame.sp != frame.sp).map(|c| c.frame.sp.0.wrapping_sub(0x10));
        let base = match stack.machine {
            Machine::X86 => frame.frame_base.0,
            _ => caller.unwrap_or(frame.sp.0),
        };
        let machine = match stack.machine {
            Machine::X86 => "x86",
            Machine::Arm64 => "ARM64",
            Machine::Amd64 | Machine::Other(_) => "AMD64",
        };
        vec![
            m("IsInlineFrame", Val::Bool(inline)),
            m("InstructionOffset", Val::uint(frame.ip.0)),
            m("ReturnOffset", Val::uint(frame.return_address.0)),
            m("FrameOffset", Val::uint(base)),
            m("StackOffset", Val::uint(frame.sp.0)),
            m("FuncTableEntry", Val::uint(0)),
            m("Virtual", Val::Int(1, true)),
            m("FrameNumber", Val::uint(number.into())),
            m("SourceInformation", Val::Model(Model::FrameSource(thread, number))),
            m("FrameMachine", Val::text(machine)),
        ]
    }

    pub(super) fn frame_source(&self, thread: ThreadIdx, number: u32) -> Members {
        let line = self.stack(thread).and_then(|s| s.frames.get(number as usize)?.line.clone());
        match line {
            Some(line) => {
                vec![m("SourceFile", Val::Text(line.file)), m("SourceLine", Val::uint(line.line.into()))]
            }
            None => Vec::new(),
        }
    }

    fn frame_scope(&self, thread: ThreadIdx, number: u32) -> Option<Scope> {
        let stack = self.stack(thread)?;
        Scope::of(&self.session.target, &stack, number as usize)
    }

    fn variable(&self, scope: &Scope, v: &Variable, thread: ThreadIdx) -> Val {
        let set = TypeSet::of(scope.provider(), self.session.sel.machine, scope.module);
        match scope.stored(v) {
            Ok(place) => {
                let mut typed = Typed::new(DxType::new(set, v.ty), place);
                // The engine reads no texts of variables that it reaches by rsp, or in other threads.
                let reached =
                    self.session.sel.machine == Machine::X86 && self.session.sel.thread == Some(thread);
                typed.placeless = !reached && matches!(typed.ty.kind(), Kind::Array(..));
                Val::Typed(Box::new(typed))
            }
            Err(_) => Val::Failed(format!("Value unavailable error for {}", v.name)),
        }
    }

    /// By name, as the engine lists them.
    pub(super) fn variables(&self, thread: ThreadIdx, number: u32, parameters: bool) -> Members {
        let Some(scope) = self.frame_scope(thread, number) else { return Vec::new() };
        // The engine counts `this` to neither.
        let of_kind = |v: &&Variable| v.is_param == parameters && v.name != "this";
        let mut out: Members = scope
            .variables
            .iter()
            .filter(of_kind)
            .map(|v| m(&v.name, self.variable(&scope, v, thread)))
            .collect();
        out.sort_by(|a, b| a.0.cmp(&b.0));
        out
    }

    /// `(int n = 2, Point pt)`.
    pub(super) fn parameters_text(&self, thread: ThreadIdx, number: u32) -> Option<String> {
        let scope = self.frame_scope(thread, number)?;
        let mut parts = Vec::new();
        for v in scope.variables.iter().filter(|v| v.is_param && v.name != "this") {
            let val = self.variable(&scope, v, thread);
            let text = match &val {
                Val::Failed(_) => format!("{} = <unavailable>", v.name),
                val => {
                    let ty = self.type_name(val, false).unwrap_or_default();
                    match self.text(val, &Format::default(), 0) {
                        Ok(Some(text)) => format!("{ty} {} = {text}", v.name),
                        Ok(None) => format!("{ty} {}", v.name),
                        Err(why) => format!("{ty} {} = {why}", v.name),
                    }
                }
            };
            parts.push(text);
        }
        Some(format!("({})", parts.join(", ")))
    }
}
