//! `!pstacks`: the stacks of all threads merged into a tree.

use super::safe;
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, Link, RenderCx, Role, Sink, Span};
use crate::session::Session;
use dumpscope_analyzers::text::frame_text;
use dumpscope_core::ThreadIdx;
use serde::Serialize;
use std::collections::BTreeMap;

/// Deepest tree that is printed.
const MAX_DEPTH: usize = 512;
/// Threads that a branch names.
const MAX_NAMED: usize = 6;

pub(crate) const PSTACKS: Command = Command {
    name: "!pstacks",
    aliases: &["!parallelstacks"],
    group: "dotnet",
    syntax: "!pstacks",
    summary: "Merges the stacks of all threads into a tree, with counts",
    help: "Threads of a language runtime by the methods of the program's language, others by their functions. The outermost \
           function stands at the left; a number says how many threads go through it. The fastest view of many threads that do \
           the same.",
    examples: &[("!pstacks", "All threads")],
    needs: &[Needs::Threads],
    run,
    ..Command::BASE
};

/// A function and those that it calls.
#[derive(Clone, Debug, Default, Serialize)]
struct Node {
    threads: Vec<(u32, u32)>,
    callees: BTreeMap<String, Node>,
}

impl Node {
    /// Threads that go through.
    fn count(&self) -> usize {
        self.threads.len() + self.callees.values().map(Node::count).sum::<usize>()
    }
}

#[derive(Clone, Debug, Serialize)]
struct TreeReport {
    root: Node,
    threads: usize,
}

impl Answer for TreeReport {
    const KIND: &'static str = "parallel_stacks";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for (name, node) in &self.root.callees {
            branch(name, node, 0, emit);
            emit(Line::new());
        }
        let roots = self.root.callees.len();
        emit(Line::plain(format!("==> {} threads with {roots} roots", self.threads)));
    }
}

fn branch(name: &str, node: &Node, depth: usize, emit: &mut dyn FnMut(Line)) {
    if depth > MAX_DEPTH {
        return;
    }
    // A chain of calls stands below each other; only where threads part the tree goes to the right.
    let (mut name, mut node) = (name, node);
    let indent = "  ".repeat(depth);
    loop {
        emit(Line::plain(format!("{indent}{:>4} ", node.count())).role(Role::Symbol, name.to_owned()));
        if !node.threads.is_empty() {
            let mut line = Line::plain(format!("{indent}     ~~~~"));
            for (index, tid) in node.threads.iter().take(MAX_NAMED) {
                line = line.text(" ").span(
                    Span::new(Role::Thread, format!("{index}:{tid:x}")).link(Link::Thread(ThreadIdx(*index))),
                );
            }
            let more = node.threads.len().saturating_sub(MAX_NAMED);
            emit(if more > 0 { line.text(format!(" and {more} more")) } else { line });
        }
        match node.callees.iter().next() {
            Some((next, callee)) if node.callees.len() == 1 && node.threads.is_empty() => {
                (name, node) = (next, callee);
            }
            _ => break,
        }
    }
    for (callee, inner) in &node.callees {
        branch(callee, inner, depth + 1, emit);
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    inv.cursor().end()?;
    let facts = session.target.facts(&session.cancel);
    let mut root = Node::default();
    let mut threads = 0_usize;
    for t in &facts.threads {
        let script = facts.script.threads.get(&t.tid).filter(|s| !s.frames.is_empty());
        let names: Vec<String> = match script {
            Some(s) => s.frames.iter().rev().map(|f| safe(&f.display)).collect(),
            None => {
                let frames = t.stack.iter().flat_map(|s| &s.frames).rev();
                // Without the offset: threads in one function belong together.
                frames
                    .map(|f| frame_text(&session.target, f).split('+').next().unwrap_or_default().to_owned())
                    .collect()
            }
        };
        if names.is_empty() {
            continue;
        }
        threads += 1;
        let mut at = &mut root;
        for name in names.into_iter().take(MAX_DEPTH) {
            at = at.callees.entry(name).or_default();
        }
        at.threads.push((t.index.0, t.tid.0));
    }
    session.emit(sink, &TreeReport { root, threads })
}
