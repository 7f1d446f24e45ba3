//! The panes: a pane is a command line of the engine that is run anew when what it depends on changes.

use serde::{Deserialize, Serialize};

/// The panes, in the order of their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PaneKind {
    /// The command window.
    Command,
    /// The verdict and what it rests on.
    Summary,
    /// Locals and arguments of the selected frame.
    Locals,
    /// Registers.
    Registers,
    /// Memory at an expression.
    Memory,
    /// The stack of the selected thread.
    Stack,
    /// Code at an expression.
    Disassembly,
    /// Modules.
    Modules,
    /// Threads.
    Threads,
    /// Handles.
    Handles,
    /// Locks and waits.
    Locks,
    /// Who waits for whom.
    Graph,
}

/// What a pane is.
#[derive(Clone, Copy, Debug)]
pub struct PaneInfo {
    /// The pane.
    pub kind: PaneKind,
    /// Its title.
    pub title: &'static str,
    /// Its title where room is scarce.
    pub short: &'static str,
    /// Its key after Alt: WinDbg's where WinDbg has one.
    pub key: char,
    /// What it shows, one line.
    pub about: &'static str,
    /// Its forms: command lines. `{e}` is its address expression with parentheses, `{n}` the number of units that
    /// fill it. The lines of several commands are separated by `;`, as typed.
    pub forms: &'static [Form],
    /// True when it must run anew after another thread, frame or machine was selected.
    pub follows: bool,
    /// Its expression until another one is typed; empty when it has none.
    pub expr: &'static str,
}

/// One form of a pane.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// The command line.
    pub line: &'static str,
    /// Bytes of one unit (of `L`); 0: one pointer.
    pub unit: u64,
    /// Units on a line; 0: not a grid.
    pub per_line: u64,
    /// What is made of its lines.
    pub shape: Shape,
}

/// What a pane makes of a command's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As they are.
    Plain,
    /// Lines that tell more of the thing above them continue its line: a list with one line for each thing.
    Joined,
    /// Of stack frames number and call site: what stands between them has no room in a small pane.
    Sites,
}

const fn line(line: &'static str) -> Form {
    Form { line, unit: 1, per_line: 0, shape: Shape::Plain }
}

const fn grid(line: &'static str, unit: u64, per_line: u64) -> Form {
    Form { line, unit, per_line, shape: Shape::Plain }
}

/// The table of panes.
pub const PANES: &[PaneInfo] = &[
    PaneInfo {
        kind: PaneKind::Command,
        title: "Command",
        short: "Cmd",
        key: '1',
        about: "Commands and their output",
        forms: &[],
        follows: false,
        expr: "",
    },
    PaneInfo {
        kind: PaneKind::Summary,
        title: "Summary",
        short: "Sum",
        key: '2',
        about: "The verdict, its evidence, what to look at next",
        forms: &[],
        follows: false,
        expr: "",
    },
    PaneInfo {
        kind: PaneKind::Locals,
        title: "Locals",
        short: "Loc",
        key: '3',
        about: "Locals and arguments of the selected frame",
        forms: &[line(".args; dv"), line("dv /t /v"), line(".args explain")],
        follows: true,
        expr: "",
    },
    PaneInfo {
        kind: PaneKind::Registers,
        title: "Registers",
        short: "Reg",
        key: '4',
        about: "Registers of the selected frame",
        forms: &[line(".frame /r"), line("r")],
        follows: true,
        expr: "",
    },
    PaneInfo {
        kind: PaneKind::Memory,
        title: "Memory",
        short: "Mem",
        key: '5',
        about: "Memory at an address expression, page by page",
        forms: &[
            grid("db {e} L{n}", 1, 16),
            grid("dps {e} L{n}", 0, 1),
            grid("dd {e} L{n}", 4, 4),
            grid("dq {e} L{n}", 8, 2),
            grid("dc {e} L{n}", 4, 4),
            line("da {e}"),
            line("du {e}"),
        ],
        follows: true,
        expr: "@$csp",
    },
    PaneInfo {
        kind: PaneKind::Stack,
        title: "Stack",
        short: "Stk",
        key: '6',
        about: "The stack of the selected thread",
        forms: &[
            Form { shape: Shape::Sites, ..line("kn") },
            line("kn"),
            line("kbn"),
            line("kvn"),
            line("kPn"),
        ],
        follows: true,
        expr: "",
    },
    PaneInfo {
        kind: PaneKind::Disassembly,
        title: "Disassembly",
        short: "Dis",
        key: '7',
        about: "Code at an address expression",
        forms: &[line("ub {e} L8; u {e} L{n}"), line("uf {e}"), line("u {e} L{n}")],
        follows: true,
        expr: "@$scopeip",
    },
    PaneInfo {
        kind: PaneKind::Modules,
        title: "Modules",
        short: "Mod",
        key: '8',
        about: "Modules and the state of their symbols",
        forms: &[line("lm"), line("lmf"), line("lmv")],
        follows: false,
        expr: "",
    },
    PaneInfo {
        kind: PaneKind::Threads,
        title: "Threads",
        short: "Thr",
        key: '9',
        about: "Threads and what they do",
        forms: &[line("~"), line("~ "), line("!runaway 7"), line("!uniqstack")],
        follows: true,
        expr: "",
    },
    PaneInfo {
        kind: PaneKind::Handles,
        title: "Handles",
        short: "Hnd",
        key: '0',
        about: "Open handles",
        forms: &[Form { shape: Shape::Joined, ..line("!handle 0 5") }, line("!handle 0 f"), line("!handle")],
        follows: false,
        expr: "",
    },
    PaneInfo {
        kind: PaneKind::Locks,
        title: "Locks",
        short: "Lck",
        key: 'l',
        about: "Critical sections and what each thread waits for",
        forms: &[line("!locks; !waits"), line("!waits -v"), line("!deadlock; !com"), line("!locks -v")],
        follows: false,
        expr: "",
    },
    PaneInfo {
        kind: PaneKind::Graph,
        title: "Wait graph",
        short: "Gra",
        key: 'w',
        about: "Who waits for whom, as boxes and arrows",
        forms: &[],
        follows: false,
        expr: "",
    },
];

impl PaneKind {
    /// Its entry in the table.
    #[must_use]
    pub fn info(self) -> &'static PaneInfo {
        // The table has all kinds: a test holds it to that.
        PANES.iter().find(|p| p.kind == self).unwrap_or(&PANES[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_each_pane_once() {
        let kinds: Vec<PaneKind> = PANES.iter().map(|p| p.kind).collect();
        let mut sorted = kinds.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), PANES.len());
        for p in PANES {
            assert_eq!(p.kind.info().title, p.title);
        }
    }
}
