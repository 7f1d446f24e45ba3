//! The event loop: messages in, screens out. It sleeps until something happens.

mod clipboard;
mod keys;
mod terminal;
mod workers;

use crate::config;
use crate::msg::{Effect, Msg};
use crate::state::State;
use crate::update::{open, update};
use crate::view::view;
use dumpscope_engine::{Host, HostError, Layout};
use dumpscope_symbols::SymbolConfig;
use dumpscope_symbols::store::{Event, Watch};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use terminal::Guard;

pub use workers::{Demo, Workers, sessions};

/// Time between two signs of life while something runs.
const TICK: Duration = Duration::from_millis(200);
/// Longest time that messages are taken in before the screen is drawn.
const BURST: Duration = Duration::from_millis(8);

/// Makes the symbol configuration; downloads are told to the watch.
pub type Symbols<'a> = Box<dyn FnOnce(Arc<dyn Watch>) -> SymbolConfig + 'a>;

/// How to start.
pub struct Options<'a> {
    /// Dumps to open; none: the start screen.
    pub dumps: Vec<PathBuf>,
    /// Open the bundled dump.
    pub demo: bool,
    /// The bundled dump.
    pub demo_dump: Demo,
    /// Makes the symbol configuration.
    pub symbols: Symbols<'a>,
    /// Layout of command output.
    pub layout: Layout,
    /// Files for commands.
    pub host: Arc<dyn Host>,
    /// False: no colours, whatever the config file says.
    pub color: bool,
    /// Gets what ends the program politely from outside (a signal's handler).
    pub on_start: Box<dyn FnOnce(Stopper)>,
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("dumps", &self.dumps)
            .field("demo", &self.demo)
            .finish_non_exhaustive()
    }
}

/// Ends the program politely.
#[derive(Clone, Debug)]
pub struct Stopper(Sender<Msg>);

impl Stopper {
    /// Asks the program to end.
    pub fn stop(&self) {
        // Nobody listens any more: it has ended.
        let _ = self.0.send(Msg::Terminate);
    }
}

/// Runs until the user leaves.
///
/// # Errors
/// The terminal cannot be used.
pub fn run(options: Options<'_>) -> io::Result<()> {
    let (tx, rx) = channel();
    let watch = Arc::new(Downloads::new(tx.clone()));
    let symbols = (options.symbols)(watch.clone());
    let (config_folder, state_folder) = config::folders();
    let (mut settings, wrong) =
        config_folder.as_deref().map(config::load).unwrap_or_else(|| config::Settings::read(""));
    if !options.color {
        settings.theme = config::Theme::None;
    }
    let state_file = state_folder.map(|f| f.join("state.json"));
    let memory = state_file.as_deref().map(config::Memory::load).unwrap_or_default();
    (options.on_start)(Stopper(tx.clone()));

    let mut guard = Guard::enter(settings.mouse)?;
    let size = guard.size()?;
    let mut state = State::new(settings, memory, size);
    let host = Arc::new(Screen { inner: options.host, tx: tx.clone() });
    let mut workers = Workers::new(tx.clone(), symbols, options.demo_dump, options.layout, host);
    keys::listen(tx.clone());

    let mut effects = Vec::new();
    for path in &options.dumps {
        effects.extend(open(&mut state, Some(path.display().to_string())));
    }
    if options.demo {
        effects.extend(open(&mut state, None));
    }
    state.current = 0;
    for text in wrong {
        effects.extend(update(&mut state, Msg::Note(format!("config.toml: {text}"))));
    }
    let mut program = Program { state, rx, watch };
    let result = program.go(effects, &mut guard, &mut workers);
    drop(guard);
    if let Some(file) = state_file {
        // Not being able to remember is no reason to fail.
        let _ = program.state.memory().store(&file);
    }
    result
}

struct Program {
    state: State,
    rx: Receiver<Msg>,
    watch: Arc<Downloads>,
}

impl Program {
    fn go(&mut self, first: Vec<Effect>, guard: &mut Guard, workers: &mut Workers) -> io::Result<()> {
        if self.carry_out(first, guard, workers)? {
            return Ok(());
        }
        let mut ticked = Instant::now();
        loop {
            guard.draw(|frame| view(&self.state, frame))?;
            let busy = self.state.is_busy();
            let mut next = if busy {
                match self.rx.recv_timeout(TICK) {
                    Ok(msg) => Some(msg),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                }
            } else {
                match self.rx.recv() {
                    Ok(msg) => Some(msg),
                    Err(_) => return Ok(()),
                }
            };
            let began = Instant::now();
            while let Some(msg) = next {
                workers.note(&msg);
                if matches!(msg, Msg::Resize(..)) {
                    // Terminals cut or wrap what they hold when their size changes, even there and back again.
                    guard.clear()?;
                }
                let effects = update(&mut self.state, msg);
                if self.carry_out(effects, guard, workers)? {
                    return Ok(());
                }
                next = if began.elapsed() < BURST { self.rx.try_recv().ok() } else { None };
            }
            if busy && ticked.elapsed() >= TICK {
                ticked = Instant::now();
                let effects = update(&mut self.state, Msg::Tick);
                if self.carry_out(effects, guard, workers)? {
                    return Ok(());
                }
            }
        }
    }

    /// Does what a message asked for; true: leave.
    fn carry_out(
        &mut self,
        effects: Vec<Effect>,
        guard: &mut Guard,
        workers: &mut Workers,
    ) -> io::Result<bool> {
        for effect in effects {
            match effect {
                Effect::Quit => return Ok(true),
                Effect::Open { dump, path, cancel } => workers.open(dump, path, cancel),
                Effect::Run(job) => workers.run(*job, self.state.history.lines()),
                Effect::Cancel(cancel) => cancel.cancel(),
                Effect::StopDownloads => self.watch.stop(),
                Effect::Copy(text) => {
                    if !clipboard::copy(guard, &text)? {
                        let text = "too much for the clipboard of a terminal: save it to a file (S)";
                        self.state.notice = Some((dumpscope_engine::Role::Warning, text.into()));
                    }
                }
                Effect::Save { path, text } => workers.save(path, text),
                Effect::ListPaths(text) => workers.list_paths(text),
            }
        }
        Ok(false)
    }
}

/// Tells downloads to the screen.
#[derive(Debug)]
struct Downloads {
    tx: Mutex<Sender<Msg>>,
    open: AtomicU64,
    stopped: AtomicBool,
}

impl Downloads {
    fn new(tx: Sender<Msg>) -> Downloads {
        Downloads { tx: Mutex::new(tx), open: AtomicU64::new(0), stopped: AtomicBool::new(false) }
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn tell(&self, msg: Msg) {
        let _ = self.tx.lock().unwrap_or_else(PoisonError::into_inner).send(msg);
    }
}

impl Watch for Downloads {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Started { file, .. } => {
                self.open.fetch_add(1, Ordering::Relaxed);
                self.tell(Msg::Download((*file).to_owned(), 0, None));
            }
            Event::Progress { file, done, total } => {
                self.tell(Msg::Download((*file).to_owned(), *done, *total));
            }
            Event::Ended { file, .. } => {
                if self.open.fetch_sub(1, Ordering::Relaxed) <= 1 {
                    // All that were asked to stop have stopped: later ones may run.
                    self.stopped.store(false, Ordering::Relaxed);
                }
                self.tell(Msg::DownloadEnded((*file).to_owned()));
            }
        }
    }

    fn cancelled(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// The program's files, and a screen that can be cleared.
#[derive(Debug)]
struct Screen {
    inner: Arc<dyn Host>,
    tx: Sender<Msg>,
}

impl Host for Screen {
    fn open_log(&self, path: &str, append: bool) -> Result<(), HostError> {
        self.inner.open_log(path, append)
    }

    fn close_log(&self) -> Option<String> {
        self.inner.close_log()
    }

    fn log_file(&self) -> Option<String> {
        self.inner.log_file()
    }

    fn log(&self, line: &str) {
        self.inner.log(line);
    }

    fn read_script(&self, path: &str) -> Result<String, HostError> {
        self.inner.read_script(path)
    }

    fn clear_screen(&self) {
        let _ = self.tx.send(Msg::ClearScreen);
    }
}
