//! The object model: one name for each object; what it shows, has and holds is made when asked for.

mod debugger;
mod frames;
mod own;
mod process;
mod registers;

use super::value::{Key, Val};
use super::world::World;
use dumpscope_core::ThreadIdx;

/// An object of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    /// `@$debuggerRootNamespace`.
    Root,
    Debugger,
    Sessions,
    Session,
    SessionAttributes,
    Machine,
    Target,
    TargetDetails,
    Settings,
    State,
    PseudoRegisters,
    GeneralRegisters,
    Utility,
    Collections,
    Control,
    /// `Debugger.Utility.Objects`: not listed, there is nothing that it could make.
    Objects,
    /// `@$scripts`.
    Scripts,
    Processes,
    Process,
    ProcessEnvironment,
    Io,
    Handles,
    Threads,
    Thread(ThreadIdx),
    ThreadEnvironment(ThreadIdx),
    Stack(ThreadIdx),
    Frames(ThreadIdx),
    Frame(ThreadIdx, u32),
    Locals(ThreadIdx, u32),
    Parameters(ThreadIdx, u32),
    FrameAttributes(ThreadIdx, u32),
    FrameSource(ThreadIdx, u32),
    Registers(ThreadIdx),
    UserRegisters(ThreadIdx),
    /// Registers that are not listed: `SIMD`, `FloatingPoint`, `CET`.
    OtherRegisters,
    Modules,
    Module(usize),
    /// `@$curprocess.Dumpscope`: what our own analyses say.
    Own,
    OwnReport(&'static str),
}

type Members = Vec<(String, Val)>;

/// A member with its name.
fn m(name: &str, val: Val) -> (String, Val) {
    (name.to_owned(), val)
}

impl World<'_> {
    /// What stands behind the colon.
    pub(crate) fn model_text(&self, model: Model) -> Option<String> {
        match model {
            Model::Session => Some(self.session_text()),
            Model::Process => Some(self.process_name()),
            Model::Thread(thread) => self.thread_text(thread),
            Model::Frame(thread, row) => self.frame_text(thread, row),
            Model::Parameters(thread, row) => self.parameters_text(thread, row),
            Model::Module(index) => Some(self.module(index)?.path.clone()),
            _ => None,
        }
    }

    /// The members that listings show.
    pub(crate) fn model_members(&self, model: Model) -> Members {
        match model {
            Model::Root => vec![m("Debugger", Val::Model(Model::Debugger))],
            Model::Debugger
            | Model::Session
            | Model::SessionAttributes
            | Model::Machine
            | Model::Target
            | Model::TargetDetails
            | Model::State
            | Model::PseudoRegisters
            | Model::GeneralRegisters
            | Model::Utility
            | Model::Collections
            | Model::Control => self.debugger_members(model),
            Model::Process | Model::ProcessEnvironment | Model::Io | Model::Module(_) => {
                self.process_members(model)
            }
            Model::Thread(thread) => self.thread_members(thread, false),
            Model::ThreadEnvironment(thread) => self.environment(thread),
            Model::Stack(thread) => vec![m("Frames", Val::Model(Model::Frames(thread)))],
            Model::Frame(thread, row) => vec![
                m("LocalVariables", Val::Model(Model::Locals(thread, row))),
                m("Parameters", Val::Model(Model::Parameters(thread, row))),
                m("Attributes", Val::Model(Model::FrameAttributes(thread, row))),
            ],
            Model::Locals(thread, row) => self.variables(thread, row, false),
            Model::Parameters(thread, row) => self.variables(thread, row, true),
            Model::FrameAttributes(thread, row) => self.frame_attributes(thread, row),
            Model::FrameSource(thread, row) => self.frame_source(thread, row),
            Model::Registers(thread) => self.register_groups(thread),
            Model::UserRegisters(thread) => self.user_registers(thread),
            Model::Own => own::members(),
            Model::OwnReport(name) => self.own_members(name),
            Model::Sessions
            | Model::Settings
            | Model::Objects
            | Model::Scripts
            | Model::Processes
            | Model::Threads
            | Model::Frames(_)
            | Model::Modules
            | Model::Handles
            | Model::OtherRegisters => Vec::new(),
        }
    }

    /// A member by name, those that listings omit included.
    pub(crate) fn model_member(&self, model: Model, name: &str) -> Option<Val> {
        match (model, name) {
            (Model::Process, "Io") => return Some(Val::Model(Model::Io)),
            (Model::Utility, "Objects") => return Some(Val::Model(Model::Objects)),
            (Model::Process, "Dumpscope") => return Some(Val::Model(Model::Own)),
            (Model::Thread(thread), "Name") => {
                return self
                    .thread_members(thread, true)
                    .into_iter()
                    .find(|(n, _)| n == name)
                    .map(|(_, v)| v);
            }
            _ => {}
        }
        self.model_members(model).into_iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// The elements of a list; `None` for what is none.
    pub(crate) fn model_items(&self, model: Model) -> Option<Vec<(Key, Val)>> {
        match model {
            Model::Sessions => Some(vec![(Key::UInt(0), Val::Model(Model::Session))]),
            Model::Processes => {
                let pid = self.session.dump().pid().map_or(0, |p| p.0.into());
                Some(vec![(Key::UInt(pid), Val::Model(Model::Process))])
            }
            Model::Threads => {
                let of = |t: &dumpscope_core::model::Thread| {
                    (Key::UInt(t.tid.0.into()), Val::Model(Model::Thread(t.index)))
                };
                Some(self.session.dump().threads().iter().map(of).collect())
            }
            Model::Frames(thread) => {
                let count = self.stack(thread).map_or(0, |s| s.frames.len());
                let of = |row: u32| (Key::UInt(row.into()), Val::Model(Model::Frame(thread, row)));
                Some((0..u32::try_from(count).unwrap_or(0)).map(of).collect())
            }
            Model::Modules => {
                // By address.
                let modules = self.session.target.symbols.modules();
                let mut order: Vec<usize> = (0..modules.len()).collect();
                order.sort_by_key(|i| modules.get(*i).map(|m| m.base));
                let of = |(n, i): (usize, usize)| (Key::UInt(n as u64), Val::Model(Model::Module(i)));
                Some(order.into_iter().enumerate().map(of).collect())
            }
            Model::Handles => Some(self.handles()),
            Model::OwnReport(name) => self.own_items(name),
            Model::Scripts => Some(Vec::new()),
            _ => None,
        }
    }

    /// An element by what only this list is searched by: modules by name.
    pub(crate) fn model_indexed(&self, model: Model, index: &Val) -> Option<Val> {
        match (model, index) {
            (Model::Modules, Val::Text(name)) => {
                let symbols = &self.session.target.symbols;
                let named = symbols.modules_named_in(name, self.session.sel.machine).first().copied();
                let file = || symbols.modules().iter().position(|m| m.file_name.eq_ignore_ascii_case(name));
                named.or_else(file).map(|i| Val::Model(Model::Module(i)))
            }
            _ => None,
        }
    }

    /// A method of an object of the model.
    pub(crate) fn model_method(
        &self,
        model: Model,
        name: &str,
        given: &[Val],
    ) -> Option<Result<Val, String>> {
        match (model, name) {
            (Model::Control, "ExecuteCommand") => Some(self.execute(given)),
            (Model::Objects, "CreateInstance") => Some(Err(
                "CreateInstance must be invoked on a constructable model or the name of such a model".into(),
            )),
            (Model::Collections, "FromListEntry") => Some(self.list_entries(given)),
            _ => None,
        }
    }
}
