//! A shared dump, its runtimes and its stacks.

use dumpscope_core::model::Dump;
use dumpscope_core::{ReadMemory, Va};
use dumpscope_runtimes::{NativeThread, Process, Reader, Walked, find};
use dumpscope_symbols::unwind::{UnwindCache, UnwindContext, UnwindRule, walk};
use dumpscope_symbols::{Frame, Limits};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The shared dumps and truths; without them says that `test` is skipped, or fails when they are required.
pub(crate) fn dumps_or_skip(test: &str) -> Option<(PathBuf, PathBuf)> {
    let found = dumpscope_tests::dotnet_dumps();
    if found.is_none() {
        assert!(std::env::var_os("DUMPSCOPE_REQUIRE_SHARED").is_none(), "{test}: no folder `shared/dotnet`");
        eprintln!("{test}: skipped, there is no folder `shared/dotnet` beside the checkout");
    }
    found
}

/// An open dump.
pub(crate) struct Lab {
    pub(crate) process: Arc<Process>,
    pub(crate) readers: Vec<Arc<dyn Reader>>,
}

impl Lab {
    pub(crate) fn open(path: &Path) -> Lab {
        let dump = Dump::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let memory: Arc<dyn ReadMemory> = dump.memory().clone();
        let threads = dump.threads().iter().map(|t| NativeThread {
            tid: t.tid,
            teb: t.raw.teb,
            regs: dump.context(t.index).map(|c| c.regs),
        });
        let process = Process::new(memory, dump.modules().to_vec(), threads.collect(), dump.machine());
        let process = Arc::new(process);
        let readers = find(&process);
        Lab { process, readers }
    }

    /// Machine frames of a thread.
    pub(crate) fn walk(&self, tid: u32) -> Vec<Frame> {
        let Some(regs) = self.process.threads.iter().find(|t| t.tid.0 == tid).and_then(|t| t.regs) else {
            return Vec::new();
        };
        let context = Context { lab: self, cache: UnwindCache::default() };
        let limits = Limits { frames: 4096, ..Limits::default() };
        walk(&regs, self.process.memory.as_ref(), &context, None, &limits).frames
    }

    /// All stacks, for readers that want them.
    pub(crate) fn stacks(&self) -> Vec<(dumpscope_core::Tid, Vec<Frame>)> {
        self.process.threads.iter().map(|t| (t.tid, self.walk(t.tid.0))).collect()
    }
}

/// As readers take them.
pub(crate) fn walked(stacks: &[(dumpscope_core::Tid, Vec<Frame>)]) -> Vec<Walked<'_>> {
    stacks.iter().map(|(tid, frames)| Walked { tid: *tid, frames }).collect()
}

struct Context<'a> {
    lab: &'a Lab,
    cache: UnwindCache,
}

impl UnwindContext for Context<'_> {
    fn module_at(&self, va: Va) -> Option<(Va, u32)> {
        self.lab.process.modules.iter().find(|m| m.contains(va)).map(|m| (m.base, m.size))
    }

    fn dynamic_rule(&self, va: Va) -> Option<UnwindRule> {
        self.lab.readers.iter().find_map(|r| r.code()?.rule_at(va))
    }

    fn cache(&self) -> Option<&UnwindCache> {
        Some(&self.cache)
    }
}

/// How many changed memories each test tries, when the environment says (`DUMPSCOPE_MUTANTS`).
pub(crate) fn mutants() -> Option<u64> {
    std::env::var("DUMPSCOPE_MUTANTS").ok()?.parse().ok()
}
