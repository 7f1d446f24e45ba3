//! All that the program knows while it runs. No terminal, no thread, no file is in here.

use crate::complete::Candidates;
use crate::config::{Memory, Settings};
use crate::input::{History, Input};
use crate::layout::{Node, Place};
use crate::panes::{PANES, PaneKind};
use crate::text::Doc;
use dumpscope_analyzers::Cancel;
use dumpscope_core::{Machine, ThreadIdx};
use dumpscope_engine::document::DumpRow;
use dumpscope_engine::{Link, Role, Selection, Session};
use ratatui::layout::Rect;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Most lines of the command window.
pub const MAX_TRANSCRIPT: usize = 200_000;
/// Most lines of another pane.
pub const MAX_PANE: usize = 500_000;
/// Steps that back remembers.
pub const MAX_BACK: usize = 200;

/// Everything.
#[derive(Debug)]
pub struct State {
    /// Open dumps; none: the start screen is shown.
    pub dumps: Vec<DumpState>,
    /// The one that is shown.
    pub current: usize,
    /// The start screen.
    pub start: Start,
    /// Layout for large screens.
    pub wide: Node,
    /// Layout for small screens.
    pub compact: Node,
    /// The pane that has the keys.
    pub focus: PaneKind,
    /// That pane alone.
    pub zoom: bool,
    /// The border that the mouse holds.
    pub dragged: Option<Vec<bool>>,
    /// In the command window: the keys go to the output, not to the prompt.
    pub in_output: bool,
    /// The line at the prompt.
    pub input: Input,
    /// Lines typed before.
    pub history: History,
    /// Candidates for completion, and the selected one.
    pub candidates: Option<(Candidates, usize)>,
    /// Output of the command window.
    pub transcript: Doc,
    /// What lies over the panes; the last one has the keys.
    pub popups: Vec<Popup>,
    /// What the status line tells.
    pub notice: Option<(Role, String)>,
    /// Themes, keys.
    pub settings: Settings,
    /// Screen size in cells.
    pub size: (u16, u16),
    /// Dumps opened before, newest first.
    pub recent: Vec<String>,
    /// Downloads: file, bytes so far, all bytes.
    pub downloads: BTreeMap<String, (u64, Option<u64>)>,
    /// Counts requests.
    pub generation: u64,
    /// Counts ticks, for the sign that something is running.
    pub ticks: u64,
}

/// The start screen.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// The path that is typed.
    pub path: Input,
    /// A dump is being opened from here: when that fails this screen comes back.
    pub opening: bool,
    /// Paths that it could become.
    pub paths: Vec<String>,
    /// The selected line of the list; 0 is the path.
    pub at: usize,
}

/// Where a dump stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It is being opened: bytes unpacked, all bytes.
    Opening(u64, u64),
    /// It cannot be opened.
    Failed(String),
    /// It is open.
    Ready,
}

/// A dump.
#[derive(Debug)]
pub struct DumpState {
    /// Its path as the user gave it.
    pub path: String,
    /// Where it stands.
    pub phase: Phase,
    /// Stops opening it.
    pub opening: Cancel,
    /// The session; there when [`Phase::Ready`].
    pub session: Option<Session>,
    /// The same dump without symbols.
    pub bare: Option<Session>,
    /// Panes but the command window.
    pub panes: BTreeMap<PaneKind, Pane>,
    /// The verdict.
    pub row: Option<Arc<DumpRow>>,
    /// What threads do, by their number: from the verdict.
    pub activity: BTreeMap<u32, String>,
    /// Ids of threads that own a lock and are not there any more: from the verdict.
    pub gone: BTreeSet<u32>,
    /// The command that runs, with the line.
    pub command: Option<Running>,
    /// Lines that wait for it.
    pub queue: VecDeque<String>,
    /// A thread was selected, or a command was run: the verdict selects none any more.
    pub chosen: bool,
    /// What was shown before.
    pub back: Vec<Spot>,
    /// What was shown before going back.
    pub forward: Vec<Spot>,
    /// The symbol configuration that the panes were made with.
    pub symbols: u64,
    /// Verdicts of how many dumps the summary's chains across processes were made from.
    pub incidents: usize,
}

/// Work that runs.
#[derive(Clone, Debug)]
pub struct Running {
    /// Stops it.
    pub cancel: Cancel,
    /// Which request it answers.
    pub generation: u64,
    /// What it does, in words.
    pub what: String,
    /// Progress: done, total (0: unknown).
    pub progress: (u64, u64),
    /// Ticks since it began.
    pub ticks: u32,
    /// The selection at its start.
    pub before: Option<Selection>,
}

/// A pane of a dump.
#[derive(Clone, Debug, Default)]
pub struct Pane {
    /// Its lines.
    pub doc: Doc,
    /// Which of its forms.
    pub form: usize,
    /// Its address expression.
    pub expr: String,
    /// Bytes added to the expression by paging.
    pub offset: i64,
    /// A command line shown in place of the form.
    pub detail: Option<String>,
    /// It must run anew.
    pub stale: bool,
    /// Request whose lines are shown; 0: none.
    pub shown: u64,
    /// The request that runs.
    pub running: Option<Running>,
    /// Lines that were asked for (grids and code), or columns (the summary).
    pub asked: usize,
    /// The cursor goes to the end when the lines are there (after paging up).
    pub to_end: bool,
    /// The lines are not the last word: symbols are still to come.
    pub early: bool,
}

/// Something that back can return to.
#[derive(Clone, Debug)]
pub struct Spot {
    /// Thread.
    pub thread: Option<ThreadIdx>,
    /// Frame.
    pub frame: u32,
    /// Machine.
    pub machine: Machine,
    /// The pane with the keys.
    pub focus: PaneKind,
    /// What panes showed: form, expression, offset, detail, cursor.
    pub views: Vec<(PaneKind, usize, String, i64, Option<String>, usize)>,
}

/// What lies over the panes.
#[derive(Clone, Debug)]
pub enum Popup {
    /// Text to read, with a title.
    Read(String, Doc),
    /// The palette: what is typed, the selected line.
    Palette(Input, usize),
    /// A question with a line for the answer.
    Ask(Ask, Input),
    /// A list to choose from: title, items, the selected one.
    Menu(String, Vec<(String, Choice)>, usize),
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// What to search for; the cursor to return to.
    Search(usize),
    /// What to filter by.
    Filter,
    /// An address expression.
    Address,
    /// Where to save the pane.
    SavePane,
    /// Where to save the transcript.
    SaveTranscript,
    /// A dump to open.
    Open,
}

/// What a menu's item does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Opens a link.
    Open(Role, Link),
    /// Shows an address in a pane.
    Show(PaneKind, String),
    /// Runs a command line.
    Run(String),
    /// Copies text.
    Copy(String),
}

impl State {
    /// A state without dumps.
    #[must_use]
    pub fn new(settings: Settings, memory: Memory, size: (u16, u16)) -> State {
        let sound = |n: Option<Node>, or: Node| n.filter(Node::is_sound).unwrap_or(or);
        State {
            dumps: Vec::new(),
            current: 0,
            start: Start::default(),
            wide: sound(memory.wide, Node::wide()),
            compact: sound(memory.compact, Node::compact()),
            focus: PaneKind::Command,
            zoom: false,
            dragged: None,
            in_output: false,
            input: Input::default(),
            history: History::new(memory.history),
            candidates: None,
            transcript: Doc::default(),
            popups: Vec::new(),
            notice: None,
            settings,
            size,
            recent: memory.recent,
            downloads: BTreeMap::new(),
            generation: 0,
            ticks: 0,
        }
    }

    /// What is worth remembering for the next time.
    #[must_use]
    pub fn memory(&self) -> Memory {
        Memory {
            wide: Some(self.wide.clone()),
            compact: Some(self.compact.clone()),
            recent: self.recent.clone(),
            history: self.history.lines().to_vec(),
        }
    }

    /// The dump that is shown.
    #[must_use]
    pub fn dump(&self) -> Option<&DumpState> {
        self.dumps.get(self.current)
    }

    /// The dump that is shown.
    pub fn dump_mut(&mut self) -> Option<&mut DumpState> {
        self.dumps.get_mut(self.current)
    }

    /// True when the small layout is in use.
    #[must_use]
    pub fn is_small(&self) -> bool {
        self.size.0 < 110 || self.size.1 < 30
    }

    /// The layout in use.
    #[must_use]
    pub fn layout(&self) -> &Node {
        if self.is_small() { &self.compact } else { &self.wide }
    }

    /// The layout in use.
    pub fn layout_mut(&mut self) -> &mut Node {
        if self.is_small() { &mut self.compact } else { &mut self.wide }
    }

    /// The part of the screen that holds panes: all but the title and the status line.
    #[must_use]
    pub fn body(&self) -> Rect {
        let (w, h) = self.size;
        if h < 4 { Rect::new(0, 0, w, h) } else { Rect::new(0, 1, w, h - 2) }
    }

    /// The panes on screen.
    #[must_use]
    pub fn places(&self) -> Vec<Place> {
        if self.zoom {
            let panes = vec![self.focus];
            return vec![Place { area: self.body(), panes, active: self.focus }];
        }
        self.layout().places(self.body(), self.focus)
    }

    /// The lines of a pane: the transcript for the command window.
    #[must_use]
    pub fn doc(&self, kind: PaneKind) -> Option<&Doc> {
        match kind {
            PaneKind::Command => Some(&self.transcript),
            _ => self.dump()?.panes.get(&kind).map(|p| &p.doc),
        }
    }

    /// The lines of a pane: the transcript for the command window.
    pub fn doc_mut(&mut self, kind: PaneKind) -> Option<&mut Doc> {
        match kind {
            PaneKind::Command => Some(&mut self.transcript),
            _ => self.dump_mut()?.panes.get_mut(&kind).map(|p| &mut p.doc),
        }
    }

    /// The prompt, with the dump's number when there are several.
    #[must_use]
    pub fn prompt(&self) -> String {
        let Some(dump) = self.dump() else { return "> ".to_owned() };
        let prompt = dump.session.as_ref().map_or("?:???> ".to_owned(), Session::prompt);
        if self.dumps.len() > 1 { format!("||{}:{prompt}", self.current) } else { prompt }
    }

    /// True while something runs in the background.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.downloads.is_empty()
            || self.dumps.iter().any(|d| {
                matches!(d.phase, Phase::Opening(..))
                    || d.command.is_some()
                    || d.panes.values().any(|p| p.running.is_some())
            })
    }
}

impl DumpState {
    /// A dump that is about to be opened.
    #[must_use]
    pub fn new(path: String) -> DumpState {
        let panes = PANES
            .iter()
            .filter(|p| p.kind != PaneKind::Command)
            .map(|p| (p.kind, Pane { expr: p.expr.to_owned(), stale: true, early: true, ..Pane::default() }));
        DumpState {
            path,
            phase: Phase::Opening(0, 0),
            opening: Cancel::default(),
            session: None,
            bare: None,
            panes: panes.collect(),
            row: None,
            activity: BTreeMap::new(),
            gone: BTreeSet::new(),
            command: None,
            queue: VecDeque::new(),
            chosen: false,
            back: Vec::new(),
            forward: Vec::new(),
            symbols: 0,
            incidents: 1,
        }
    }

    /// File name of the path.
    #[must_use]
    pub fn name(&self) -> &str {
        self.path.rsplit(['/', '\\']).next().unwrap_or(&self.path)
    }

    /// What is shown now, to return to.
    #[must_use]
    pub fn spot(&self, focus: PaneKind) -> Option<Spot> {
        let sel = &self.session.as_ref()?.sel;
        let views = self
            .panes
            .iter()
            .filter(|(k, _)| !k.info().expr.is_empty() || !k.info().forms.is_empty())
            .map(|(k, p)| (*k, p.form, p.expr.clone(), p.offset, p.detail.clone(), p.doc.cursor))
            .collect();
        Some(Spot { thread: sel.thread, frame: sel.frame, machine: sel.machine, focus, views })
    }
}
