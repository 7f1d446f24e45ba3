//! `!pstacks`: the stacks of all threads merged into a tree.

use super::safe;
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, Link, RenderCx, Role, Sink, Span};
use crate::session::Session;
use dumpscope_analyzers::model::{StackFrame, ThreadFacts};
use dumpscope_analyzers::stacks::is_exact;
use dumpscope_analyzers::text::frame_text;
use dumpscope_core::ThreadIdx;
use dumpscope_runtimes::FrameKind;
use serde::Serialize;

/// Frames of a thread that are merged.
const MAX_DEPTH: usize = 512;
/// Threads that a branch names.
const MAX_NAMED: usize = 6;

pub(crate) const PSTACKS: Command = Command {
    name: "!pstacks",
    aliases: &["!parallelstacks"],
    group: "dotnet",
    syntax: "!pstacks",
    summary: "Merges the stacks of all threads into a tree, with counts",
    help: "Threads of a language runtime by the methods of the program's language, others by their functions. Each block begins with \
           the threads and what they run, its last line is the outermost function; a number says how many threads go through it; \
           where threads part, the text stands further right. The fastest view of many threads that do the same.",
    examples: &[("!pstacks", "All threads")],
    needs: &[Needs::Threads],
    run,
    ..Command::BASE
};

/// A function and those that it calls, in the order of the threads.
#[derive(Clone, Debug, Default, Serialize)]
struct Node {
    function: String,
    /// Threads that go through.
    count: usize,
    /// Threads that stand here: number, system id.
    threads: Vec<(u32, u32)>,
    callees: Vec<Node>,
}

impl Node {
    /// Puts a thread behind the functions, outermost first.
    fn add(&mut self, functions: &[String], thread: (u32, u32)) {
        let Some((first, rest)) = functions.split_first() else {
            self.threads.push(thread);
            return;
        };
        let at = self.callees.iter().position(|c| c.function == *first);
        let at = at.unwrap_or_else(|| {
            self.callees.push(Node { function: first.clone(), ..Node::default() });
            self.callees.len() - 1
        });
        if let Some(next) = self.callees.get_mut(at) {
            next.count += 1;
            next.add(rest, thread);
        }
    }
}

#[derive(Clone, Debug, Serialize)]
struct TreeReport {
    /// Outermost functions.
    roots: Vec<Node>,
    threads: usize,
}

impl Answer for TreeReport {
    const KIND: &'static str = "parallel_stacks";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for root in &self.roots {
            emit(Line::plain("________________________________________________"));
            branch(root, 0, emit);
            emit(Line::new());
            emit(Line::new());
        }
        emit(Line::plain(format!("==> {} threads with {} roots", self.threads, self.roots.len())));
    }
}

/// What is called stands above, further right where threads part.
fn branch(root: &Node, depth: usize, emit: &mut dyn FnMut(Line)) {
    let mut run = vec![root];
    while let Some(last) = run.last().copied() {
        match last.callees.as_slice() {
            [only] if last.threads.is_empty() => run.push(only),
            _ => break,
        }
    }
    let indent = " ".repeat(5 * depth);
    let Some(last) = run.last() else { return };
    if !last.threads.is_empty() {
        // Threads that stand where others go on are told first.
        let inner = if last.callees.is_empty() { depth } else { depth + 1 };
        let mut line = Line::plain(format!("{} ~~~~ ", " ".repeat(5 * inner)));
        for (i, (index, tid)) in last.threads.iter().take(MAX_NAMED).enumerate() {
            let comma = if i > 0 { "," } else { "" };
            let span = Span::new(Role::Thread, format!("{tid:x}")).link(Link::Thread(ThreadIdx(*index)));
            line = line.text(comma).span(span);
        }
        let more = last.threads.len().saturating_sub(MAX_NAMED);
        emit(if more > 0 { line.text(format!(" and {more} more")) } else { line });
    }
    for callee in &last.callees {
        branch(callee, depth + 1, emit);
    }
    for node in run.iter().rev() {
        emit(Line::plain(format!("{indent}{:>5} ", node.count)).role(Role::Symbol, node.function.clone()));
    }
}

/// A method as this command writes it: types without namespaces in its parameters, none in the brackets of generics.
fn short_method(full: &str) -> String {
    let (name, parameters) = match full.find('(') {
        Some(at) => full.split_at(at),
        None => (full, ""),
    };
    let mut out = String::new();
    let mut depth = 0usize;
    for c in name.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ if depth == 0 => out.push(c),
            _ => {}
        }
    }
    let mut word = String::new();
    for c in parameters.chars() {
        if c.is_alphanumeric() || matches!(c, '.' | '`' | '_' | '+' | '/') {
            word.push(c);
            continue;
        }
        flush(&mut word, &mut out);
        out.push(c);
    }
    flush(&mut word, &mut out);
    out
}

/// The last part of a name, without its number of arguments.
fn flush(word: &mut String, out: &mut String) {
    let last = word.rsplit(['.', '+']).next().unwrap_or_default();
    out.push_str(last.split('`').next().unwrap_or(last));
    word.clear();
}

/// A native frame's function. Where the name is only the nearest one, the distance from it stays: other functions would
/// be taken for it.
fn function(session: &Session, frame: &StackFrame) -> String {
    let text = frame_text(&session.target, frame);
    let exact = frame.function.is_some() && is_exact(&session.target, frame);
    match text.rsplit_once("+0x") {
        Some((name, _)) if exact => name.to_owned(),
        _ => text,
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    inv.cursor().end()?;
    let facts = session.target.facts(&session.cancel);
    let mut root = Node::default();
    let mut threads = 0_usize;
    let script = |t: &ThreadFacts| facts.script.threads.get(&t.tid).filter(|s| !s.frames.is_empty());
    // Threads of language runtimes first, then the others.
    let (with, without): (Vec<_>, Vec<_>) = facts.threads.iter().partition(|t| script(t).is_some());
    for t in with.into_iter().chain(without) {
        let names: Vec<String> = match script(t) {
            Some(s) => s
                .frames
                .iter()
                .rev()
                .map(|f| {
                    safe(&if f.kind == FrameKind::Managed {
                        short_method(&f.full)
                    } else {
                        f.display.clone()
                    })
                })
                .collect(),
            None => t.stack.iter().flat_map(|s| &s.frames).rev().map(|f| function(session, f)).collect(),
        };
        if names.is_empty() {
            continue;
        }
        threads += 1;
        root.add(names.get(..MAX_DEPTH).unwrap_or(&names), (t.index.0, t.tid.0));
    }
    session.emit(sink, &TreeReport { roots: root.callees, threads })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_shortened() {
        let full = "System.Number.ThrowFormatException[[System.Char, System.Private.CoreLib]](System.ReadOnlySpan`1<Char>)";
        assert_eq!(short_method(full), "System.Number.ThrowFormatException(ReadOnlySpan<Char>)");
        assert_eq!(
            short_method("Lab.Program+<>c.<Go>b__0(Lab.Account, Boolean ByRef)"),
            "Lab.Program+<>c.<Go>b__0(Account, Boolean ByRef)"
        );
    }
}
