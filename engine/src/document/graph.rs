//! Who waits for whom, as boxes and arrows.

use super::{Confidence, DumpRow, FindingRow, IncidentRow, LockRow, OwnerState, ThreadRow};
use dumpscope_core::base::text::escape;
use std::collections::BTreeMap;

/// What a box stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A thread of the dump.
    Thread,
    /// A thread that is named as an owner and is not in the dump.
    GoneThread,
    /// A lock.
    Lock,
    /// Another process.
    Process,
}

/// A box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it stands for.
    pub kind: NodeKind,
    /// First line, without unsafe characters.
    pub label: String,
    /// Second line, without unsafe characters; may be empty.
    pub detail: String,
    /// The verdict is about it.
    pub culprit: bool,
}

/// An arrow: `from` waits for `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Index of the one that waits.
    pub from: usize,
    /// Index of what it waits for.
    pub to: usize,
    /// How sure that is.
    pub confidence: Confidence,
}

/// Boxes and arrows of one dump, in the order of its threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitGraph {
    /// Boxes.
    pub nodes: Vec<Node>,
    /// Arrows; no two lead from one box to the same other one.
    pub edges: Vec<Edge>,
    /// Threads that wait for one of the boxes and were left out because there are too many.
    pub left_out: usize,
}

/// Most boxes: more is no picture.
const MAX_NODES: usize = 48;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Thread(u32),
    Lock(u64),
    Process(u32),
}

struct Builder<'a> {
    row: &'a DumpRow,
    graph: WaitGraph,
    known: BTreeMap<Key, usize>,
    /// Waiters that did not fit, each once.
    left_out: std::collections::BTreeSet<u32>,
}

impl WaitGraph {
    /// The graph of a dump: threads that wait for a lock, a thread or another process, and what they wait for.
    /// Waits for nothing in particular (idle threads, timers) are no part of it.
    #[must_use]
    pub fn of(row: &DumpRow) -> WaitGraph {
        let mut b = Builder {
            row,
            graph: WaitGraph::default(),
            known: BTreeMap::new(),
            left_out: std::collections::BTreeSet::new(),
        };
        // What the verdict is about comes first: it must not fall out of a large picture.
        let culprits = row.verdict.as_ref().map(|v| v.tids.as_slice()).unwrap_or_default();
        let locks: Vec<&LockRow> = row.locks.iter().flatten().collect();
        let (first, rest): (Vec<&LockRow>, Vec<&LockRow>) =
            locks.into_iter().partition(|l| row.verdict.as_ref().is_some_and(|v| concerns(v, l)));
        first.into_iter().chain(rest).for_each(|l| b.lock(l));
        let threads = || row.threads.iter().flatten();
        let (first, rest): (Vec<&ThreadRow>, Vec<&ThreadRow>) =
            threads().partition(|t| culprits.contains(&t.tid));
        first.into_iter().chain(rest).for_each(|t| b.waits(t));
        b.graph.left_out = b.left_out.len();
        b.graph
    }

    /// The graph of a chain over several dumps: a box for each of its threads, and for the process without a dump
    /// in which it ends.
    #[must_use]
    pub fn of_chain(incident: &IncidentRow) -> WaitGraph {
        let safe = |text: &str| escape(text).into_owned();
        let mut graph = WaitGraph::default();
        let last = incident.chain.len().saturating_sub(1);
        for (nth, link) in incident.chain.iter().take(MAX_NODES).enumerate() {
            let pid = link.pid.map(|p| format!(" {p:x}")).unwrap_or_default();
            let tid = link.tid.map(|t| format!(".{t:x}")).unwrap_or_default();
            let process = link.process.as_deref().unwrap_or("process");
            graph.nodes.push(Node {
                kind: if link.tid.is_some() { NodeKind::Thread } else { NodeKind::GoneThread },
                label: safe(&format!("{process}{pid}{tid}")),
                detail: safe(&link.waits_for),
                culprit: nth == last,
            });
            if let Some(from) = nth.checked_sub(1) {
                graph.edges.push(Edge { from, to: nth, confidence: link.confidence });
            }
        }
        let end = graph.nodes.len().saturating_sub(1);
        let sure = incident.chain.last().map_or(Confidence::Guess, |l| l.confidence);
        let closes = incident.closes_at.and_then(|at| usize::try_from(at).ok()).filter(|at| *at < end);
        if let Some(to) = closes {
            graph.edges.push(Edge { from: end, to, confidence: sure });
        }
        // A link without a thread says itself which one is gone.
        let waits = incident.chain.last().is_some_and(|l| l.tid.is_some());
        if let (Some(gone), true) = (incident.gone_tid, waits) {
            let to = graph.nodes.len();
            graph.nodes.push(Node {
                kind: NodeKind::GoneThread,
                label: format!("thread {gone:x}"),
                detail: "no longer exists".into(),
                culprit: true,
            });
            graph.edges.push(Edge { from: end, to, confidence: sure });
        }
        let count = if graph.nodes.is_empty() { 0 } else { 4 };
        for pid in incident.missing_dumps.iter().take(count) {
            let to = graph.nodes.len();
            graph.nodes.push(Node {
                kind: NodeKind::Process,
                label: format!("process {pid:x}"),
                detail: "its dump is missing".into(),
                culprit: false,
            });
            graph.edges.push(Edge { from: end, to, confidence: sure });
        }
        graph
    }

    /// True when nobody waits for anybody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edges.is_empty()
    }
}

fn concerns(verdict: &FindingRow, lock: &LockRow) -> bool {
    verdict.lock == Some(lock.address) || lock.waiters.iter().any(|w| verdict.tids.contains(w))
}

impl Builder<'_> {
    fn lock(&mut self, lock: &LockRow) {
        // A lock that nobody waits for is no part of who waits for whom.
        if lock.waiters.is_empty() {
            return;
        }
        let label = lock.symbol.clone().unwrap_or_else(|| format!("{:#x}", lock.address.0));
        let detail = match lock.symbol {
            Some(_) => format!("lock {:x}", lock.address.0),
            None => "lock".into(),
        };
        let confidence = |tid: u32| self.wait_confidence(tid);
        let waiters: Vec<(u32, Confidence)> =
            lock.waiters.iter().map(|&tid| (tid, confidence(tid))).collect();
        let Some(to) = self.node(Key::Lock(lock.address.0), NodeKind::Lock, label, detail) else {
            self.left_out.extend(&lock.waiters);
            return;
        };
        if let Some(owner) = lock.owner_tid {
            let owner = self.thread(owner, lock.owner == OwnerState::Missing);
            self.edge(Some(to), owner, Confidence::Proven);
        }
        for (tid, confidence) in waiters {
            let from = self.thread(tid, false);
            if from.is_none() {
                self.left_out.insert(tid);
            }
            self.edge(from, Some(to), confidence);
        }
    }

    fn wait_confidence(&self, tid: u32) -> Confidence {
        let wait = self.row.threads.iter().flatten().find(|t| t.tid == tid).and_then(|t| t.wait.as_ref());
        wait.map_or(Confidence::Strong, |w| w.confidence)
    }

    fn waits(&mut self, thread: &ThreadRow) {
        let call = self.row.com_calls.iter().flatten().find(|c| c.tid == thread.tid);
        let wait = thread.wait.as_ref();
        let own = self.row.process.as_ref().and_then(|p| p.pid);
        let pid = call.and_then(|c| c.server_pid).or(wait.and_then(|w| w.owner_pid));
        let confidence = call.map(|c| c.confidence).or(wait.map(|w| w.confidence));
        let confidence = confidence.unwrap_or(Confidence::Guess);
        if let Some(pid) = pid.filter(|p| Some(*p) != own) {
            let what = call.and_then(|c| c.interface.clone()).unwrap_or_default();
            let to = self.node(Key::Process(pid), NodeKind::Process, format!("process {pid:x}"), what);
            let from = self.thread(thread.tid, false);
            if from.is_none() || to.is_none() {
                self.left_out.insert(thread.tid);
            }
            self.edge(from, to, confidence);
            return;
        }
        let from = self.known.get(&Key::Thread(thread.tid)).copied();
        let has_edge = from.is_some_and(|f| self.graph.edges.iter().any(|e| e.from == f));
        let owner = call.and_then(|c| c.server_tid).or(wait.and_then(|w| w.owner_tid));
        if let (Some(owner), false) = (owner.filter(|o| *o != thread.tid), has_edge) {
            let to = self.thread(owner, false);
            let from = self.thread(thread.tid, false);
            if from.is_none() || to.is_none() {
                self.left_out.insert(thread.tid);
            }
            self.edge(from, to, confidence);
        }
    }

    fn thread(&mut self, tid: u32, gone: bool) -> Option<usize> {
        let row = self.row.threads.iter().flatten().find(|t| t.tid == tid);
        let (kind, label, detail) = match row {
            Some(t) => {
                let name = t.name.as_deref().map(|n| format!(" \"{n}\"")).unwrap_or_default();
                let top = t.frames.iter().flatten().find(|f| f.function.is_some());
                let top = top.and_then(|f| f.function.clone()).unwrap_or_default();
                (NodeKind::Thread, format!("thread {}:{tid:x}{name}", t.index), top)
            }
            None => {
                let why = if gone { "no longer exists" } else { "not in the dump" };
                (NodeKind::GoneThread, format!("thread {tid:x}"), why.to_owned())
            }
        };
        self.node(Key::Thread(tid), kind, label, detail)
    }

    fn node(&mut self, key: Key, kind: NodeKind, label: String, detail: String) -> Option<usize> {
        if let Some(&at) = self.known.get(&key) {
            return Some(at);
        }
        if self.graph.nodes.len() >= MAX_NODES {
            return None;
        }
        let verdict = self.row.verdict.as_ref();
        let culprit = verdict.is_some_and(|v| match key {
            Key::Thread(tid) => v.tid == Some(tid) || v.tids.contains(&tid) || v.owner_tid == Some(tid),
            Key::Lock(address) => v.lock.is_some_and(|l| l.0 == address),
            Key::Process(pid) => v.server_pid == Some(pid),
        });
        let safe = |text: String| escape(&text).into_owned();
        let at = self.graph.nodes.len();
        self.graph.nodes.push(Node { kind, label: safe(label), detail: safe(detail), culprit });
        self.known.insert(key, at);
        Some(at)
    }

    fn edge(&mut self, from: Option<usize>, to: Option<usize>, confidence: Confidence) {
        let (Some(from), Some(to)) = (from, to) else { return };
        if !self.graph.edges.iter().any(|e| e.from == from && e.to == to) {
            self.graph.edges.push(Edge { from, to, confidence });
        }
    }
}
