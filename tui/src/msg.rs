//! What can happen, and what the program then does: all of it, closed.

use crate::complete::Candidates;
use crate::key::Key;
use crate::panes::{PaneKind, Shape};
use crate::text::Row;
use dumpscope_analyzers::Cancel;
use dumpscope_engine::document::DumpRow;
use dumpscope_engine::{LineStatus, Session};
use std::sync::Arc;

/// Something happened.
#[derive(Clone, Debug)]
pub enum Msg {
    /// A key was pressed.
    Key(Key),
    /// Text was pasted.
    Paste(String),
    /// The mouse did something at a cell.
    Mouse {
        /// What.
        what: Mouse,
        /// Column, from 0.
        x: u16,
        /// Line, from 0.
        y: u16,
    },
    /// The screen has another size, in cells.
    Resize(u16, u16),
    /// Time passed while work goes on in the background.
    Tick,
    /// A packed dump is being unpacked.
    Opening {
        /// Which dump of the state.
        dump: usize,
        /// Bytes read.
        done: u64,
        /// Bytes of the file.
        total: u64,
    },
    /// A dump is open, or it cannot be opened.
    Opened {
        /// Which dump of the state.
        dump: usize,
        /// The session and one without symbols, or why not.
        result: Result<Box<(Session, Session)>, String>,
    },
    /// Work has something to tell.
    Job {
        /// Which dump of the state.
        dump: usize,
        /// For whom it works.
        slot: Slot,
        /// Which request it answers.
        generation: u64,
        /// What it tells.
        event: JobEvent,
    },
    /// A download began or went on: name, bytes so far, all bytes.
    Download(String, u64, Option<u64>),
    /// A download ended.
    DownloadEnded(String),
    /// A file was written, or why not.
    Saved(Result<String, String>),
    /// Paths that begin with a text.
    Paths(String, Vec<String>),
    /// `.cls`.
    ClearScreen,
    /// Something to tell in the status line.
    Note(String),
    /// The system asks the program to end.
    Terminate,
}

/// What the mouse did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mouse {
    /// The left button went down.
    Click,
    /// The wheel, up.
    WheelUp,
    /// The wheel, down.
    WheelDown,
    /// The mouse moved with the button down.
    Drag,
}

/// For whom work is done. The newest request of a slot wins, but for [`Slot::Command`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// The command window: one line after the other.
    Command,
    /// A pane.
    Pane(PaneKind),
    /// The stack without symbols, until the real one is there.
    QuickStack,
    /// The verdict without symbols, until the real one is there.
    QuickSummary,
    /// Completion at the prompt.
    Completion,
}

/// What work tells.
#[derive(Clone, Debug)]
pub enum JobEvent {
    /// Lines, in their order.
    Lines(Vec<Row>),
    /// The next line is the one to look at.
    Mark,
    /// How far it is: what, done, total (0: unknown).
    Progress(String, u64, u64),
    /// The verdict, its text, and the wait graph.
    Summary(Box<Summary>),
    /// Candidates for the text.
    Candidates(String, Candidates),
    /// It is over.
    Done(Box<Session>, LineStatus),
    /// It broke.
    Failed(String),
}

/// A verdict and its renderings.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The document's row.
    pub row: Arc<DumpRow>,
    /// The summary pane's lines.
    pub text: Vec<Row>,
    /// The wait graph's lines.
    pub graph: Vec<Row>,
}

/// What to do.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Open a dump.
    Open {
        /// Which dump of the state.
        dump: usize,
        /// Its path; `None`: the bundled one.
        path: Option<String>,
        /// Stops it.
        cancel: Cancel,
    },
    /// Run work in the background.
    Run(Box<Job>),
    /// Ask work to stop.
    Cancel(Cancel),
    /// Ask all downloads to stop.
    StopDownloads,
    /// Put text into the clipboard.
    Copy(String),
    /// Write a file.
    Save {
        /// Where.
        path: String,
        /// What.
        text: String,
    },
    /// List paths that begin with a text.
    ListPaths(String),
    /// Leave.
    Quit,
}

/// Work for the background.
#[derive(Clone, Debug)]
pub struct Job {
    /// Which dump of the state.
    pub dump: usize,
    /// For whom.
    pub slot: Slot,
    /// Which request; counts up.
    pub generation: u64,
    /// A session of its own; its [`Cancel`] stops the work.
    pub session: Session,
    /// What.
    pub work: Work,
}

/// What work there is.
#[derive(Clone, Debug)]
pub enum Work {
    /// A line typed at the prompt.
    Line(String),
    /// A pane's command lines. Before the last of them stands the mark.
    Pane {
        /// Command lines.
        lines: Vec<String>,
        /// What is made of their lines.
        shape: Shape,
    },
    /// The verdict.
    Triage(Look),
    /// The verdict's renderings anew, for another width, with the incidents of all dumps' verdicts.
    Render(Arc<DumpRow>, Vec<Arc<DumpRow>>, Look),
    /// Candidates for the text before the cursor.
    Complete(String),
}

/// How a verdict is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Columns of the summary.
    pub width: usize,
    /// Columns of the wait graph.
    pub graph_width: usize,
    /// Lines of ASCII characters.
    pub ascii: bool,
    /// True when symbols are still to come.
    pub early: bool,
}
