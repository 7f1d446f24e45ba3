//! `Debugger`: the session, pseudo-registers, utilities.

use super::{Members, Model, m};
use crate::dx::ty::Kind;
use crate::dx::typed::PartPlace;
use crate::dx::value::{MAX_ITEMS, Typed, Val};
use crate::dx::world::World;
use crate::lang::evaluate_cpp;
use crate::run::run_captured;
use crate::{RenderCx, Report, Sink};
use dumpscope_core::model::DumpKind;
use dumpscope_core::{Machine, Va};
use std::ops::ControlFlow;

/// Pseudo-registers in the engine's order.
const GENERAL: &[&str] = &[
    "exp", "ea", "ea2", "p", "ra", "thread", "proc", "teb", "peb", "tid", "tpid", "exentry", "dtid", "dpid",
    "dsid", "frame", "bphit", "dbgtime", "csp", "callret", "ptrsize", "pagesize", "fp",
];
/// Those that a dump has no values for, or that only commands set.
const UNSET: &[&str] = &["exp", "ea", "ea2", "p", "bphit", "callret", "fp"];

/// What the target is, in the engine's order.
const TARGET: &[(&str, bool)] = &[
    ("IsUserTarget", true),
    ("IsKernelTarget", false),
    ("IsDumpTarget", true),
    ("IsTTDTarget", false),
    ("IsReptTarget", false),
    ("IsReplayableTarget", false),
    ("IsLiveTarget", false),
    ("IsLocalKernelTarget", false),
    ("IsExdiKernelTarget", false),
    ("IsConnectedKernelTarget", false),
    ("IsNTTarget", true),
];

/// Most lines that a command gives.
const MAX_LINES: usize = MAX_ITEMS;
/// Deepest nesting of commands that run `dx` that runs commands.
const MAX_NESTING: u32 = 4;

#[derive(Default)]
struct Lines(Vec<Val>);

impl Sink for Lines {
    fn report(&mut self, report: &dyn Report, cx: &RenderCx) -> ControlFlow<()> {
        report.lines(cx, &mut |line| {
            if self.0.len() < MAX_LINES {
                self.0.push(Val::Text(line.to_text()));
            }
        });
        ControlFlow::Continue(())
    }
}

impl World<'_> {
    /// `User mini dump: PATH`.
    pub(super) fn session_text(&self) -> String {
        let kind = match self.session.dump().kind() {
            DumpKind::Full => "Full memory user mini dump",
            DumpKind::Partial | DumpKind::Mini => "User mini dump",
        };
        format!("{kind}: {}", self.session.path)
    }

    pub(super) fn debugger_members(&self, model: Model) -> Members {
        let to = |name: &str, model: Model| m(name, Val::Model(model));
        match model {
            Model::Debugger => vec![
                to("Sessions", Model::Sessions),
                to("Settings", Model::Settings),
                to("State", Model::State),
                to("Utility", Model::Utility),
            ],
            Model::Session => vec![
                to("Processes", Model::Processes),
                m("Id", Val::Int(0, true)),
                to("Attributes", Model::SessionAttributes),
            ],
            Model::SessionAttributes => vec![to("Machine", Model::Machine), to("Target", Model::Target)],
            Model::Machine => self.machine_members(),
            Model::Target => TARGET
                .iter()
                .map(|(name, is)| m(name, Val::Bool(*is)))
                .chain([to("Details", Model::TargetDetails)])
                .collect(),
            Model::TargetDetails => vec![m("DumpFileName", Val::Text(self.session.path.clone()))],
            Model::State => vec![to("PseudoRegisters", Model::PseudoRegisters)],
            Model::PseudoRegisters => vec![to("General", Model::GeneralRegisters)],
            Model::GeneralRegisters => GENERAL.iter().map(|name| m(name, self.general(name))).collect(),
            Model::Utility => vec![to("Collections", Model::Collections), to("Control", Model::Control)],
            Model::Collections => vec![m(
                "FromListEntry",
                Val::Method(
                    "FromListEntry(head, [module], type, field): the objects of a doubly linked list",
                ),
            )],
            Model::Control => {
                vec![m(
                    "ExecuteCommand",
                    Val::Method("ExecuteCommand(command): the lines that a command prints"),
                )]
            }
            _ => Vec::new(),
        }
    }

    fn machine_members(&self) -> Members {
        let machine = self.session.sel.machine;
        let (full, short) = match machine {
            Machine::X86 => ("x86 compatible", "x86"),
            Machine::Arm64 => ("ARM 64-bit (AArch64)", "ARM64"),
            Machine::Amd64 | Machine::Other(_) => ("x64", "AMD64"),
        };
        vec![
            m("FullName", Val::text(full)),
            m("AbbrevName", Val::text(short)),
            m("PageSize", Val::uint(0x1000)),
            m("PointerSize", Val::uint(machine.ptr_size() as u64)),
            m("IsBigEndian", Val::Bool(false)),
        ]
    }

    fn general(&self, name: &str) -> Val {
        let unset = || Val::Failed("Unable to access pseudo-register".into());
        if UNSET.contains(&name) {
            return unset();
        }
        match evaluate_cpp(self.session, &format!("@${name}")) {
            Ok((value, _)) => {
                let val = crate::dx::names::from_cpp(value);
                match (name, self.whole(&val)) {
                    // Of the machine's width whatever it is.
                    ("frame" | "dbgtime", Ok(n)) => self.wide(n),
                    _ => val,
                }
            }
            Err(_) => unset(),
        }
    }

    fn wide(&self, n: i128) -> Val {
        use crate::expr::TypeSet;
        use dumpscope_symbols::types::TypeId;
        let set = TypeSet::built_in(self.session.sel.machine, None);
        crate::dx::arithmetic_of_type(&crate::dx::DxType::new(set, TypeId(0x77)), n)
    }

    /// `ExecuteCommand(text)`.
    pub(super) fn execute(&self, given: &[Val]) -> Result<Val, String> {
        let [Val::Text(text)] = given else {
            return Err("Invalid number of arguments to method 'ExecuteCommand'".into());
        };
        // A command that runs `dx` that runs commands has an end.
        let mut session = self.session.clone();
        if session.language.depth > MAX_NESTING {
            return Err("Commands are nested too deeply".into());
        }
        let mut lines = Lines::default();
        let _ = run_captured(&mut session, text, &mut lines);
        Ok(Val::counted(lines.0))
    }

    /// `FromListEntry(head, [module], type, field)`.
    pub(super) fn list_entries(&self, given: &[Val]) -> Result<Val, String> {
        let (head, module, ty, field) = match given {
            [head, Val::Text(ty), Val::Text(field)] => (head, None, ty, field),
            [head, Val::Text(module), Val::Text(ty), Val::Text(field)] => (head, Some(module), ty, field),
            _ => return Err("Invalid number of arguments to method 'FromListEntry'".into()),
        };
        let no_head = || "First argument to 'FromListEntry' must be a LIST_ENTRY object".to_owned();
        let head = self.typed_argument(Some(head)).ok_or_else(no_head)?;
        if !matches!(head.ty.kind(), Kind::Udt(_, name) if name.ends_with("LIST_ENTRY")) {
            return Err(no_head());
        }
        let start = head.address().ok_or_else(no_head)?;
        let name = match module {
            Some(module) => format!("{module}!{ty}"),
            None => ty.clone(),
        };
        let ty = self.type_named(&name).ok_or("Unable to find specified type")?;
        let by =
            self.field_offset(&Typed::at(ty.clone(), 0), field).ok_or("Unable to find specified field")?;
        let mut out = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        let mut at = self.memory().ptr(Va(start), head.ty.set.machine());
        while let Some(entry) = at.filter(|e| e.0 != start && !e.is_null()) {
            self.step()?;
            if out.len() >= MAX_ITEMS || !seen.insert(entry) {
                break;
            }
            out.push(self.object_at(ty.clone(), entry.0.wrapping_sub(by)));
            at = self.memory().ptr(entry, head.ty.set.machine());
        }
        Ok(Val::counted(out))
    }

    /// Where a field with a path of names lies.
    fn field_offset(&self, typed: &Typed, path: &str) -> Option<u64> {
        let mut typed = typed.clone();
        let mut by = 0u64;
        for name in path.split('.').take(16) {
            let parts = self.parts(&typed.ty, &typed.place, false);
            let part = parts.iter().rfind(|p| p.name == name)?;
            let PartPlace::Offset(at) = part.place else { return None };
            by = by.checked_add(at)?;
            typed = Typed::at(typed.ty.with(part.ty), 0);
        }
        Some(by)
    }
}
