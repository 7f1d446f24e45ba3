//! The wait graph as lines: boxes for threads and processes, arrows for waits. It shows the waits of the triage
//! document; it concludes nothing.

use crate::text::Row;
use dumpscope_core::ThreadIdx;
use dumpscope_engine::document::{Confidence, DumpRow, LockRow, OwnerState, ThreadRow, WaitRow};
use dumpscope_engine::{Line, Link, Role, Span};
use std::collections::{BTreeMap, BTreeSet};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Most boxes that are drawn.
const MAX_BOXES: usize = 2000;
/// Most threads named in one box.
const MAX_NAMED: usize = 12;

/// Who waits or is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Id {
    /// A thread of the dump, by its place in the list.
    Thread(usize),
    /// A thread id that is not in the dump.
    Gone(u32),
    /// A thread of another process; 0: not known which.
    Other(u32, u32),
}

/// An arrow.
#[derive(Clone, Debug)]
struct Arrow {
    to: Id,
    label: String,
    confidence: Confidence,
}

/// Characters of lines.
struct Pen {
    horizontal: &'static str,
    vertical: &'static str,
    corners: [&'static str; 4],
    down: &'static str,
    left: &'static str,
    strong: &'static str,
    guess: &'static str,
}

const LINES: Pen = Pen {
    horizontal: "─",
    vertical: "│",
    corners: ["┌", "┐", "└", "┘"],
    down: "▼",
    left: "◄",
    strong: "┆",
    guess: "┊",
};

const ASCII: Pen = Pen {
    horizontal: "-",
    vertical: "|",
    corners: ["+", "+", "+", "+"],
    down: "v",
    left: "<",
    strong: ":",
    guess: ".",
};

/// The lines of a dump's wait graph.
#[must_use]
pub fn rows(row: &DumpRow, width: usize, ascii: bool) -> Vec<Row> {
    let threads = row.threads.as_deref().unwrap_or_default();
    let mut picture = Picture {
        row,
        threads,
        pen: if ascii { &ASCII } else { &LINES },
        width: width.max(24),
        arrows: BTreeMap::new(),
        drawn: BTreeSet::new(),
        lines: Vec::new(),
    };
    picture.collect();
    picture.draw();
    picture.lines.into_iter().map(Row::new).collect()
}

struct Picture<'a> {
    row: &'a DumpRow,
    threads: &'a [ThreadRow],
    pen: &'static Pen,
    width: usize,
    arrows: BTreeMap<Id, Arrow>,
    drawn: BTreeSet<Id>,
    lines: Vec<Line>,
}

fn confidence(c: Confidence) -> (&'static str, Role) {
    let role = match c {
        Confidence::Proven => Role::Good,
        Confidence::Strong => Role::Value,
        Confidence::Guess => Role::Dim,
    };
    (c.name(), role)
}

impl Picture<'_> {
    fn collect(&mut self) {
        let own = self.row.process.as_ref().and_then(|p| p.pid);
        let at: BTreeMap<u32, usize> = self.threads.iter().enumerate().map(|(i, t)| (t.tid, i)).collect();
        for (i, thread) in self.threads.iter().enumerate() {
            let Some(wait) = &thread.wait else { continue };
            let call = self.row.com_calls.iter().flatten().find(|c| c.tid == thread.tid);
            let pid = wait.owner_pid.or_else(|| call.and_then(|c| c.server_pid));
            let tid = wait.owner_tid.or_else(|| call.and_then(|c| c.server_tid));
            let outside = pid.filter(|p| own.is_some_and(|o| o != *p));
            let to = match (outside, tid) {
                (Some(pid), tid) => Id::Other(pid, tid.unwrap_or(0)),
                (None, Some(tid)) => at.get(&tid).map_or(Id::Gone(tid), |i| Id::Thread(*i)),
                (None, None) => continue,
            };
            let arrow = Arrow { to, label: label(wait), confidence: wait.confidence };
            self.arrows.insert(Id::Thread(i), arrow);
        }
    }

    fn draw(&mut self) {
        if self.arrows.is_empty() {
            self.lines.push(Line::plain("No thread is known to wait for another thread or process."));
            self.alone();
            return;
        }
        for cycle in self.cycles() {
            let title = format!("Cycle of {}: none of them can go on", count(cycle.len(), "thread"));
            self.lines.push(Line::new().role(Role::Error, title));
            self.cycle(&cycle);
            self.lines.push(Line::new());
        }
        // Chains that nobody waits for begin a drawing; those with the same target share their first box.
        let targets: BTreeSet<Id> = self.arrows.values().map(|a| a.to).collect();
        let mut groups: BTreeMap<(Id, String), Vec<Id>> = BTreeMap::new();
        for (from, arrow) in &self.arrows {
            if !targets.contains(from) && !self.drawn.contains(from) {
                groups.entry((arrow.to, arrow.label.clone())).or_default().push(*from);
            }
        }
        // The longest queue first.
        let mut groups: Vec<Vec<Id>> = groups.into_values().collect();
        groups.sort_by_key(|g| (std::cmp::Reverse(g.len()), g.first().copied()));
        for group in groups {
            if self.drawn.len() > MAX_BOXES {
                self.lines.push(Line::new().role(Role::Warning, "There are more; they are not drawn."));
                return;
            }
            self.chain(&group);
            self.lines.push(Line::new());
        }
    }

    /// Nothing is known of owners: the threads of the verdict and what they wait for.
    fn alone(&mut self) {
        let tids = self.row.verdict.as_ref().map(|v| v.tids.clone()).unwrap_or_default();
        let about: Vec<usize> = (0..self.threads.len())
            .filter(|i| self.threads.get(*i).is_some_and(|t| t.wait.is_some() && tids.contains(&t.tid)))
            .take(20)
            .collect();
        for i in about {
            self.lines.push(Line::new());
            self.boxed(&[Id::Thread(i)]);
            if let Some(wait) = self.threads.get(i).and_then(|t| t.wait.as_ref()) {
                let arrow = Arrow { to: Id::Gone(0), label: label(wait), confidence: wait.confidence };
                self.arrow(&arrow, false);
                self.lines.push(Line::plain("   ").role(Role::Warning, "? nobody is known to hold it"));
            }
        }
    }

    /// Cycles, each once, beginning with its first thread.
    fn cycles(&self) -> Vec<Vec<Id>> {
        let mut found: Vec<Vec<Id>> = Vec::new();
        let mut done: BTreeSet<Id> = BTreeSet::new();
        for start in self.arrows.keys() {
            let mut path: Vec<Id> = Vec::new();
            let mut at = *start;
            while !done.contains(&at) {
                done.insert(at);
                path.push(at);
                match self.arrows.get(&at) {
                    Some(arrow) => at = arrow.to,
                    None => break,
                }
            }
            if let Some(from) = path.iter().position(|p| *p == at)
                && self.arrows.contains_key(&at)
            {
                let mut cycle = path.split_off(from);
                let first = cycle.iter().enumerate().min_by_key(|(_, id)| **id).map_or(0, |(i, _)| i);
                cycle.rotate_left(first);
                found.push(cycle);
            }
        }
        found
    }

    fn cycle(&mut self, members: &[Id]) {
        let start = self.lines.len();
        for (nth, id) in members.iter().enumerate() {
            self.boxed(&[*id]);
            if let Some(arrow) = self.arrows.get(id).cloned() {
                self.arrow(&arrow, nth + 1 == members.len());
            }
        }
        // The way back to the first box, along the right side.
        let widest = self.lines.iter().skip(start).map(width_of).max().unwrap_or(0);
        let rail = widest.saturating_add(2);
        let pen = self.pen;
        let last = self.lines.len().saturating_sub(1);
        for (i, line) in self.lines.iter_mut().enumerate().skip(start + 1) {
            let pad = rail.saturating_sub(width_of(line));
            let text = if i == start + 1 {
                let bar = pen.horizontal.repeat(pad.saturating_sub(1));
                format!("{}{bar}{}", pen.left, pen.corners[1])
            } else if i == last {
                format!("{}{}", pen.horizontal.repeat(pad), pen.corners[3])
            } else {
                format!("{}{}", " ".repeat(pad), pen.vertical)
            };
            line.0.push(Span::new(Role::Error, text));
        }
    }

    fn chain(&mut self, group: &[Id]) {
        self.boxed(group);
        let mut at = group.first().copied();
        for _ in 0..MAX_BOXES {
            let Some(arrow) = at.and_then(|id| self.arrows.get(&id).cloned()) else { return };
            self.arrow(&arrow, false);
            if self.drawn.contains(&arrow.to) {
                let mut line = Line::plain("   ");
                line.0.extend(self.name(arrow.to));
                self.lines.push(line.role(Role::Dim, ", drawn above"));
                return;
            }
            self.boxed(&[arrow.to]);
            at = Some(arrow.to);
        }
    }

    /// An arrow downwards, with what it is; `last`: the start of a cycle's way back.
    fn arrow(&mut self, arrow: &Arrow, last: bool) {
        let (sure, role) = confidence(arrow.confidence);
        let bar = match arrow.confidence {
            Confidence::Proven => self.pen.vertical,
            Confidence::Strong => self.pen.strong,
            _ => self.pen.guess,
        };
        let room = self.width.saturating_sub(20).max(10);
        let label = cut(&arrow.label, room);
        self.lines.push(
            Line::plain("   ")
                .role(role, bar)
                .text(format!(" waits for {label} "))
                .role(Role::Dim, format!("[{sure}]")),
        );
        let end = if last { format!("   {}", self.pen.corners[2]) } else { format!("   {}", self.pen.down) };
        self.lines.push(Line::new().role(if last { Role::Error } else { role }, end));
    }

    /// A box for one or several threads that wait for the same.
    fn boxed(&mut self, ids: &[Id]) {
        self.drawn.extend(ids);
        let room = self.width.saturating_sub(8).max(12);
        let mut content: Vec<Vec<Span>> = Vec::new();
        let mut title: Vec<Span> = Vec::new();
        if ids.len() > 1 {
            title.push(Span::new(Role::Heading, format!("{}: ", count(ids.len(), "thread"))));
        }
        for (nth, id) in ids.iter().take(MAX_NAMED).enumerate() {
            let name = self.name(*id);
            let used: usize = title.iter().map(|s| s.text.width()).sum();
            let more: usize = name.iter().map(|s| s.text.width()).sum();
            if nth > 0 && used.saturating_add(more).saturating_add(2) > room {
                content.push(std::mem::take(&mut title));
            } else if nth > 0 {
                title.push(Span::new(Role::Plain, ", "));
            }
            title.extend(name);
        }
        if ids.len() > MAX_NAMED {
            title.push(Span::new(Role::Dim, format!(" and {} more", ids.len() - MAX_NAMED)));
        }
        content.push(title);
        if let [Id::Thread(i)] = ids
            && let Some(text) = self.threads.get(*i).and_then(|t| t.activity.as_deref())
        {
            content.push(vec![Span::new(Role::Dim, cut(&dumpscope_core::base::text::escape(text), room))]);
        }
        let wide = content.iter().map(|c| c.iter().map(|s| s.text.width()).sum()).max().unwrap_or(0);
        let pen = self.pen;
        let bar = pen.horizontal.repeat(wide + 2);
        self.lines.push(Line::plain(format!("{}{bar}{}", pen.corners[0], pen.corners[1])));
        for spans in content {
            let used: usize = spans.iter().map(|s| s.text.width()).sum();
            let mut line = Line::plain(format!("{} ", pen.vertical));
            line.0.extend(spans);
            self.lines.push(line.text(format!("{} {}", " ".repeat(wide - used.min(wide)), pen.vertical)));
        }
        self.lines.push(Line::plain(format!("{}{bar}{}", pen.corners[2], pen.corners[3])));
    }

    fn name(&self, id: Id) -> Vec<Span> {
        match id {
            Id::Thread(i) => {
                let Some(t) = self.threads.get(i) else { return Vec::new() };
                let link = Link::Thread(ThreadIdx(t.index));
                let id = Span::new(Role::Thread, format!("{}:{:x}", t.index, t.tid)).link(link);
                let mut out = vec![Span::new(Role::Plain, "thread "), id];
                if let Some(name) = &t.name {
                    let name = cut(&dumpscope_core::base::text::escape(name), 24);
                    out.push(Span::new(Role::Text, format!(" {name}")));
                }
                out
            }
            Id::Gone(tid) => {
                // Only a complete list of threads says that one is gone.
                let ended = |l: &LockRow| l.owner_tid == Some(tid) && l.owner == OwnerState::Missing;
                let gone = self.row.locks.iter().flatten().any(ended);
                let why = if gone { "which no longer exists" } else { "which is not in the dump" };
                vec![Span::new(Role::Warning, format!("thread id {tid:x}, {why}"))]
            }
            Id::Other(pid, 0) => vec![Span::new(Role::Warning, format!("process {pid:x}"))],
            Id::Other(pid, tid) => {
                vec![Span::new(Role::Warning, format!("process {pid:x}, thread id {tid:x}"))]
            }
        }
    }
}

fn label(wait: &WaitRow) -> String {
    let kind = serde_json::to_value(wait.kind).ok();
    let kind = kind.as_ref().and_then(|v| v.as_str()).unwrap_or("something").replace('_', " ");
    match &wait.object {
        Some(object) => dumpscope_core::base::text::escape(object).into_owned(),
        None => format!("a {kind}"),
    }
}

fn width_of(line: &Line) -> usize {
    line.0.iter().map(|s| s.text.width()).sum()
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// The start of a text that fits into `room` columns.
fn cut(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let mut used = 1usize;
    let mut out: String = text
        .chars()
        .take_while(|c| {
            used = used.saturating_add(c.width().unwrap_or(0));
            used <= room
        })
        .collect();
    out.push('…');
    out
}
