//! Threads for work: one for each job, and for each pane at most two at a time; the newest request wins.

use crate::msg::{Job, JobEvent, Msg, Slot};
use crate::work;
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::OpenError;
use dumpscope_core::model::Dump;
use dumpscope_engine::files::{refuse_pipe, spare_dumps};
use dumpscope_engine::{Host, Layout, Session};
use dumpscope_symbols::SymbolConfig;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// Work of one slot that may run at once: the newest beside one that was asked to stop and has not yet.
const AT_ONCE: usize = 2;
/// Shortest time between two notes on how far opening is.
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(50);
/// Most paths that are listed.
const MAX_PATHS: usize = 200;

/// Opens the bundled dump.
pub type Demo = fn() -> Result<Dump, OpenError>;

/// Starts threads.
#[derive(Debug)]
pub struct Workers {
    tx: Sender<Msg>,
    symbols: SymbolConfig,
    demo: Demo,
    layout: Layout,
    host: Arc<dyn Host>,
    slots: BTreeMap<(usize, Slot), Line>,
}

/// What waits and runs for one slot.
#[derive(Debug, Default)]
struct Line {
    running: usize,
    waiting: Option<(Job, Vec<String>)>,
}

impl Workers {
    /// Workers that tell `tx` what they find.
    #[must_use]
    pub fn new(
        tx: Sender<Msg>,
        symbols: SymbolConfig,
        demo: Demo,
        layout: Layout,
        host: Arc<dyn Host>,
    ) -> Workers {
        Workers { tx, symbols, demo, layout, host, slots: BTreeMap::new() }
    }

    /// Opens a dump; tells [`Msg::Opened`].
    pub fn open(&self, dump: usize, path: Option<String>, cancel: Cancel) {
        let (tx, symbols, demo, layout) = (self.tx.clone(), self.symbols.clone(), self.demo, self.layout);
        self.spawn(move || {
            let mut told = std::time::Instant::now();
            let mut progress = |_, done, total| {
                if told.elapsed() >= PATIENCE {
                    told = std::time::Instant::now();
                    let _ = tx.send(Msg::Opening { dump, done, total });
                }
                !cancel.is_cancelled()
            };
            let opened = match &path {
                Some(path) => Dump::open_with(Path::new(path), &mut progress),
                None => demo(),
            };
            let name = path.unwrap_or_else(|| "demo.dmp".to_owned());
            let why = |e: OpenError| if cancel.is_cancelled() { "stopped".to_owned() } else { e.to_string() };
            let result = opened.map_err(why).map(|d| Box::new(sessions(name, d, symbols, layout)));
            let _ = tx.send(Msg::Opened { dump, result });
        });
    }

    /// Runs work, now or when the slot has room.
    pub fn run(&mut self, mut job: Job, history: &[String]) {
        if job.slot == Slot::Command {
            job.session.host = Some(self.host.clone());
        }
        let history = if job.slot == Slot::Completion { history.to_vec() } else { Vec::new() };
        let line = self.slots.entry((job.dump, job.slot)).or_default();
        if line.running >= AT_ONCE {
            line.waiting = Some((job, history));
            return;
        }
        line.running += 1;
        self.start(job, history);
    }

    /// Sees what passes: ended work makes room for what waits.
    pub fn note(&mut self, msg: &Msg) {
        let Msg::Job { dump, slot, event: JobEvent::Done(..) | JobEvent::Failed(_), .. } = msg else {
            return;
        };
        let Some(line) = self.slots.get_mut(&(*dump, *slot)) else { return };
        match line.waiting.take() {
            Some((job, history)) => self.start(job, history),
            None => line.running = line.running.saturating_sub(1),
        }
    }

    fn start(&self, job: Job, history: Vec<String>) {
        let tx = self.tx.clone();
        self.spawn(move || {
            let (dump, slot, generation) = (job.dump, job.slot, job.generation);
            let cancel: Cancel = job.session.cancel.clone();
            work::run(job, &history, &mut |event| {
                if tx.send(Msg::Job { dump, slot, generation, event }).is_err() {
                    cancel.cancel();
                }
            });
        });
    }

    /// Writes a file.
    pub fn save(&self, path: String, text: String) {
        let tx = self.tx.clone();
        self.spawn(move || {
            let file = Path::new(&path);
            let sound = refuse_pipe(file).and_then(|()| spare_dumps(file));
            let done = sound.and_then(|()| std::fs::write(file, text)).map_err(|e| format!("{path}: {e}"));
            let _ = tx.send(Msg::Saved(done.map(|()| path)));
        });
    }

    /// Lists paths that begin with a text.
    pub fn list_paths(&self, text: String) {
        let tx = self.tx.clone();
        self.spawn(move || {
            let paths = paths(&text);
            let _ = tx.send(Msg::Paths(text, paths));
        });
    }

    fn spawn(&self, work: impl FnOnce() + Send + 'static) {
        // Stacks of hostile dumps are walked without recursion; types and names go deep.
        let built = std::thread::Builder::new().stack_size(8 << 20).spawn(work);
        if let Err(e) = built {
            let _ = self.tx.send(Msg::Note(format!("no thread for the work: {e}")));
        }
    }
}

/// A session, and one of the same dump that looks for no symbols.
#[must_use]
pub fn sessions(path: String, dump: Dump, symbols: SymbolConfig, layout: Layout) -> (Session, Session) {
    let dump = Arc::new(dump);
    let make = |config| {
        let mut session = Session::new(path.clone(), Arc::new(Target::shared(dump.clone(), config)));
        session.sel.layout = layout;
        session
    };
    let bare = SymbolConfig { offline: true, ..SymbolConfig::default() };
    (make(symbols), make(bare))
}

/// Paths that begin with a text: folders end with a separator.
fn paths(text: &str) -> Vec<String> {
    let at = text.rfind(['/', std::path::MAIN_SEPARATOR]).map_or(0, |i| i + 1);
    let (folder, start) = text.split_at(at);
    let home = folder.strip_prefix("~/").and_then(|rest| Some(std::env::home_dir()?.join(rest)));
    let from = home.unwrap_or_else(|| if folder.is_empty() { ".".into() } else { folder.into() });
    let Ok(entries) = std::fs::read_dir(&from) else { return Vec::new() };
    let shown = if folder.starts_with("~/") { format!("{}/", from.display()) } else { folder.to_owned() };
    let mut out: Vec<String> = entries
        .flatten()
        .filter_map(|e| {
            let name = e.file_name().into_string().ok()?;
            let hidden = name.starts_with('.') && !start.starts_with('.');
            if !name.starts_with(start) || hidden || name.contains(char::is_control) {
                return None;
            }
            let folder = std::fs::metadata(e.path()).is_ok_and(|m| m.is_dir());
            Some(format!("{shown}{name}{}", if folder { std::path::MAIN_SEPARATOR_STR } else { "" }))
        })
        .collect();
    out.sort();
    out.truncate(MAX_PATHS);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_completed() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["app.dmp", "app2.dmp", ".hidden"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        std::fs::create_dir(dir.path().join("apps")).unwrap();
        let base = dir.path().display().to_string();
        let found = paths(&format!("{base}/app"));
        assert_eq!(found.len(), 3);
        assert!(found[2].ends_with(std::path::MAIN_SEPARATOR));
        assert!(paths(&format!("{base}/none/")).is_empty());
    }
}
