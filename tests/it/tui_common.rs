//! A TUI without terminal and threads: what it asks for is done at once, its screen is a buffer.

use dumpscope_core::model::Dump;
use dumpscope_engine::Layout;
use dumpscope_fixtures::symfile::{SymFile, write_folder};
use dumpscope_symbols::SymbolConfig;
use dumpscope_tui::config::{Memory, Settings};
use dumpscope_tui::key::Key;
use dumpscope_tui::msg::{Effect, Job, Msg};
use dumpscope_tui::sessions;
use dumpscope_tui::state::State;
use dumpscope_tui::update::{open, update};
use dumpscope_tui::view::view;
use dumpscope_tui::work;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::collections::VecDeque;
use std::sync::Mutex;

/// Where a dump comes from.
pub(crate) enum From {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A dump that is open already; it can be taken once.
    Open(Mutex<Option<Box<Dump>>>),
    /// It cannot be opened.
    Broken(String),
}

/// The program.
pub(crate) struct Tui {
    pub(crate) state: State,
    pub(crate) terminal: Terminal<TestBackend>,
    pub(crate) symbols: SymbolConfig,
    /// What opening gives, in the order of opening.
    dumps: Vec<From>,
    /// What went out of the program.
    pub(crate) copied: Vec<String>,
    pub(crate) saved: Vec<(String, String)>,
    pub(crate) quit: bool,
    /// Work is put here instead of being done, when set.
    pub(crate) hold: Option<VecDeque<Job>>,
    _folder: Option<tempfile::TempDir>,
}

impl Tui {
    pub(crate) fn new(width: u16, height: u16, config: &str) -> Tui {
        let (settings, wrong) = Settings::read(config);
        assert!(wrong.is_empty(), "{wrong:?}");
        Tui {
            state: State::new(settings, Memory::default(), (width, height)),
            terminal: Terminal::new(TestBackend::new(width, height)).unwrap(),
            symbols: SymbolConfig { offline: true, ..SymbolConfig::default() },
            dumps: Vec::new(),
            copied: Vec::new(),
            saved: Vec::new(),
            quit: false,
            hold: None,
            _folder: None,
        }
    }

    /// With a dump of `fixtures` and its symbols.
    pub(crate) fn with(
        width: u16,
        height: u16,
        config: &str,
        (dump, symbols): (dumpscope_fixtures::dump::Dump, Vec<SymFile>),
    ) -> Tui {
        let mut tui = Tui::new(width, height, config);
        let folder = tempfile::tempdir().unwrap();
        write_folder(folder.path(), &symbols).unwrap();
        tui.symbols.symbol_path = folder.path().display().to_string();
        tui._folder = Some(folder);
        tui.open("fixture.dmp", From::Bytes(dump.bytes()));
        tui
    }

    pub(crate) fn open(&mut self, name: &str, from: From) {
        self.dumps.push(from);
        let effects = open(&mut self.state, Some(name.to_owned()));
        self.carry_out(effects);
    }

    /// Applies a message and does what it asks for, and what that asks for, until all is quiet.
    pub(crate) fn send(&mut self, msg: Msg) {
        let effects = update(&mut self.state, msg);
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        let mut todo: VecDeque<Effect> = effects.into();
        while let Some(effect) = todo.pop_front() {
            match effect {
                Effect::Open { dump, path, .. } => {
                    let missing = From::Broken("no such file".into());
                    let result = match self.dumps.get(dump).unwrap_or(&missing) {
                        From::Broken(why) => Err(why.clone()),
                        From::Open(dump) => dump.lock().unwrap().take().map(|d| *d).ok_or("taken".to_owned()),
                        From::Bytes(bytes) => Dump::from_bytes(bytes.clone()).map_err(|e| e.to_string()),
                    };
                    let name = path.unwrap_or_default();
                    let result =
                        result.map(|d| Box::new(sessions(name, d, self.symbols.clone(), Layout::Classic)));
                    todo.extend(update(&mut self.state, Msg::Opened { dump, result }));
                }
                Effect::Run(job) => match &mut self.hold {
                    Some(held) => held.push_back(*job),
                    None => todo.extend(self.work(*job)),
                },
                Effect::Cancel(cancel) => cancel.cancel(),
                Effect::StopDownloads => {}
                Effect::Copy(text) => self.copied.push(text),
                Effect::Save { path, text } => {
                    self.saved.push((path.clone(), text));
                    todo.extend(update(&mut self.state, Msg::Saved(Ok(path))));
                }
                Effect::ListPaths(text) => {
                    let paths = vec![format!("{text}.dmp"), format!("{text}2.dmp")];
                    todo.extend(update(&mut self.state, Msg::Paths(text, paths)));
                }
                Effect::Quit => self.quit = true,
            }
        }
    }

    fn work(&mut self, job: Job) -> Vec<Effect> {
        let (dump, slot, generation) = (job.dump, job.slot, job.generation);
        let history = self.state.history.lines().to_vec();
        let mut events = Vec::new();
        work::run(job, &history, &mut |e| events.push(e));
        let msgs = events.into_iter().map(|event| Msg::Job { dump, slot, generation, event });
        msgs.flat_map(|m| update(&mut self.state, m)).collect()
    }

    /// Does the work that was held back: the oldest or the newest piece.
    pub(crate) fn release(&mut self, newest: bool) -> bool {
        let held = self.hold.as_mut().unwrap();
        let job = if newest { held.pop_back() } else { held.pop_front() };
        let Some(job) = job else { return false };
        let effects = self.work(job);
        self.carry_out(effects);
        true
    }

    /// Presses keys, written as in the config file.
    pub(crate) fn keys(&mut self, keys: &[&str]) {
        for key in keys {
            self.send(Msg::Key(Key::parse(key).unwrap_or_else(|| panic!("{key}"))));
        }
    }

    /// Types text.
    pub(crate) fn text(&mut self, text: &str) {
        for c in text.chars() {
            self.send(Msg::Key(Key::char(c)));
        }
    }

    /// Runs a line at the prompt.
    pub(crate) fn line(&mut self, line: &str) {
        self.keys(&["alt+1"]);
        self.state.input.set(line);
        self.keys(&["enter"]);
    }

    /// The screen as text, without blanks at the ends of lines.
    pub(crate) fn screen(&mut self) -> String {
        let state = &self.state;
        self.terminal.draw(|frame| view(state, frame)).unwrap();
        let buffer = self.terminal.backend().buffer();
        let mut out = String::new();
        for y in 0..buffer.area.height {
            let line: String = (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect();
            // The symbol folder has another name each time.
            let line = match &self._folder {
                Some(f) => line.replace(&f.path().display().to_string(), "SYMBOLS"),
                None => line,
            };
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    /// The text of the command window.
    pub(crate) fn transcript(&self) -> String {
        self.state.transcript.to_text()
    }
}
