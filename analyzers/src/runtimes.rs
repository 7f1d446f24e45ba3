//! Language runtimes of the process: recognised once, asked by the walker and by the facts.

use crate::Target;
use dumpscope_core::{Machine, ReadMemory, Va};
use dumpscope_runtimes::{NativeThread, Process, Reader, ScriptFrame};
use dumpscope_symbols::Frame;
use dumpscope_symbols::unwind::{Method, UnwindRule};
use std::sync::{Arc, OnceLock};

/// The runtimes of a process, in the order of their table.
#[derive(Clone, Debug, Default)]
pub struct Runtimes(Arc<[Arc<dyn Reader>]>);

impl Runtimes {
    /// Their readers.
    #[must_use]
    pub fn readers(&self) -> &[Arc<dyn Reader>] {
        &self.0
    }

    /// How to unwind at an address that one of them has code at.
    pub(crate) fn rule_at(&self, va: Va) -> Option<UnwindRule> {
        self.0.iter().find_map(|r| r.code()?.rule_at(va))
    }

    /// The method whose code is at an address.
    #[must_use]
    pub fn method_at(&self, va: Va) -> Option<Method> {
        self.0.iter().find_map(|r| r.code()?.method_at(va))
    }

    /// The method of a frame, of interpreted ones too.
    #[must_use]
    pub fn method_of(&self, frame: &Frame) -> Option<Method> {
        self.0.iter().find_map(|r| r.code()?.method_of(frame))
    }
}

/// What is kept with the target.
#[derive(Default)]
struct Kept(OnceLock<Runtimes>);

impl Target {
    /// Runtimes of the process, recognised when first asked for and when the symbol configuration has changed since.
    #[must_use]
    pub fn runtimes(&self) -> Runtimes {
        self.memo::<Kept>().0.get_or_init(|| Runtimes(find(self))).clone()
    }
}

fn find(target: &Target) -> Arc<[Arc<dyn Reader>]> {
    let dump = &target.dump;
    let windows = dump.system().value().is_none_or(|s| s.is_windows());
    let machine = dump.machine();
    if !windows || dump.is_wow64() || !matches!(machine, Machine::Amd64 | Machine::Arm64 | Machine::X86) {
        return Arc::default();
    }
    // Small dumps lack the image by whose exports a runtime is recognised.
    for module in dump.modules().iter().filter(|m| dumpscope_runtimes::is_runtime_file(&m.file_name)) {
        target.map_image(module.base);
    }
    let memory: Arc<dyn ReadMemory> = dump.memory().clone();
    let threads = dump.threads().iter().map(|t| NativeThread {
        tid: t.tid,
        teb: t.raw.teb,
        regs: dump.context(t.index).map(|c| c.regs),
    });
    let process = Process::new(memory, dump.modules().to_vec(), threads.collect(), machine);
    dumpscope_runtimes::find(&Arc::new(process)).into()
}

/// Writes the source position into a frame, where a portable PDB is at hand.
pub fn add_line(target: &Target, reader: &dyn Reader, frame: &mut ScriptFrame) {
    let Some(place) = frame.place.filter(|p| frame.line.is_none() && !p.base.is_null()) else { return };
    let Some(il) = place.il_offset else { return };
    let Some((path, id)) = reader.line_table(place.base) else { return };
    let pdb = target.symbols.portable_pdb(&path, &id, &|| reader.packed_line_table(place.base));
    let position = pdb.and_then(|pdb| pdb.position(place.row, il));
    if let Some(position) = position {
        frame.file = Some(position.file);
        frame.line = Some(position.line);
    }
}
