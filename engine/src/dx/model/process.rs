//! The process, its threads and modules.

use super::{Members, Model, m};
use crate::dx::value::{Key, Val};
use crate::dx::world::World;
use crate::fmt;
use dumpscope_core::base::ModuleInfo;
use dumpscope_core::{ThreadIdx, Va};
use dumpscope_symbols::SymbolSource;

impl World<'_> {
    pub(super) fn module(&self, index: usize) -> Option<&ModuleInfo> {
        self.session.target.symbols.modules().get(index)
    }

    /// File name of the program.
    pub(super) fn process_name(&self) -> String {
        let dump = self.session.dump();
        let modules = dump.modules();
        let program = dump.program_base().and_then(|base| modules.iter().find(|m| m.base == base));
        let program =
            program.or_else(|| modules.iter().find(|m| m.file_name.to_lowercase().ends_with(".exe")));
        program.or_else(|| modules.first()).map_or_else(String::new, |m| m.file_name.clone())
    }

    pub(super) fn process_members(&self, model: Model) -> Members {
        let pid = self.session.dump().pid().map_or(0, |p| u64::from(p.0));
        match model {
            Model::Process => vec![
                m("Name", Val::Text(self.process_name())),
                m("Id", Val::uint(pid)),
                m("Index", Val::uint(0)),
                m("Handle", Val::uint(pid)),
                m("Threads", Val::Model(Model::Threads)),
                m("Modules", Val::Model(Model::Modules)),
                m("Environment", Val::Model(Model::ProcessEnvironment)),
            ],
            Model::Io => vec![m("Handles", Val::Model(Model::Handles))],
            Model::ProcessEnvironment => {
                self.block("_PEB", self.session.dump().peb(self.session.sel.machine))
            }
            Model::Module(index) => self.module_members(index),
            _ => Vec::new(),
        }
    }

    fn module_members(&self, index: usize) -> Members {
        let Some(module) = self.module(index) else { return Vec::new() };
        let providers = self.session.target.symbols.providers(index);
        let best = providers.first();
        let (kind, file) = match best.map(|p| p.source()) {
            Some(SymbolSource::PrivatePdb) => {
                ("PDB (Private)", best.and_then(|p| p.file()).map(str::to_owned))
            }
            Some(SymbolSource::PublicPdb) => ("PDB (Public)", best.and_then(|p| p.file()).map(str::to_owned)),
            Some(SymbolSource::Exports) => ("Export", Some(module.file_name.clone())),
            Some(SymbolSource::Dwarf) => ("DWARF", best.and_then(|p| p.file()).map(str::to_owned)),
            Some(SymbolSource::Coff) => ("COFF", Some(module.file_name.clone())),
            Some(SymbolSource::Breakpad) => ("Breakpad", best.and_then(|p| p.file()).map(str::to_owned)),
            None => ("None", None),
        };
        let mut out = vec![
            m("BaseAddress", Val::uint(module.base.0)),
            m("Name", Val::Text(module.path.clone())),
            m("Size", Val::uint(module.size.into())),
            m("MappingForm", Val::text("Loaded")),
            m("SymbolType", Val::text(kind)),
        ];
        out.extend(file.map(|file| m("SymbolSource", Val::Text(file))));
        out
    }

    /// Where the thread started: `app!worker (00007ff6`123413d0) `.
    pub(super) fn thread_text(&self, thread: ThreadIdx) -> Option<String> {
        let info = self.session.dump().thread(thread)?.info.as_ref()?;
        let start = Some(info.start_address).filter(|a| !a.is_null())?;
        let address = fmt::addr(start, self.session.sel.machine.is_64());
        Some(match self.session.name_of(start) {
            Some(name) => format!("{name} ({address}) "),
            None => format!("({address}) "),
        })
    }

    /// `all`: names that the thread has not, too.
    pub(super) fn thread_members(&self, thread: ThreadIdx, all: bool) -> Members {
        let Some(t) = self.session.dump().thread(thread) else { return Vec::new() };
        let mut out = vec![m("Id", Val::uint(t.tid.0.into())), m("Index", Val::uint(thread.0.into()))];
        match &t.name {
            Some(name) => out.push(m("Name", Val::Text(name.clone()))),
            None if all => out.push(m("Name", Val::Absent)),
            None => {}
        }
        out.push(m("Stack", Val::Model(Model::Stack(thread))));
        out.push(m("Registers", Val::Model(Model::Registers(thread))));
        out.push(m("Environment", Val::Model(Model::ThreadEnvironment(thread))));
        out
    }

    pub(super) fn environment(&self, thread: ThreadIdx) -> Members {
        self.block("_TEB", self.session.dump().teb(thread, self.session.sel.machine))
    }

    /// The environment block of a type of ntdll's: without its symbol file the engine cannot show it.
    fn block(&self, ty: &str, va: Option<Va>) -> Members {
        let found = self.type_named(&format!("ntdll!{ty}")).filter(|t| !t.set.is_built_in());
        let val = match (found, va) {
            (Some(ty), Some(va)) => self.object_at(ty, va.0),
            _ => Val::Failed("Unexpected failure to dereference object".into()),
        };
        vec![m("EnvironmentBlock", val)]
    }

    /// Handles, as `!handle 0 f` tells them.
    pub(super) fn handles(&self) -> Vec<(Key, Val)> {
        let mut out = Vec::new();
        for report in self.reports("!handle 0 f") {
            let Some(rows) = report.get("handles").and_then(|h| h.as_array()) else { continue };
            for row in rows {
                let hex = row.get("handle").and_then(|h| h.as_str()).and_then(|h| h.strip_prefix("0x"));
                let value = hex.and_then(|h| u64::from_str_radix(h, 16).ok()).unwrap_or(0);
                out.push((Key::UInt(value), super::own::value(row, 0)));
            }
        }
        out
    }
}
