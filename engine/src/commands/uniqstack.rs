//! `!uniqstack` and `!findstack`: stacks of all threads at once.

use super::stack::report::{Row, StackReport};
use super::stack::{KFlags, stack_report};
use super::threads::report::ThreadRow;
use super::threads::thread_row;
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, Link, RenderCx, Role, Sink, Span};
use crate::expr::wildcard_match;
use crate::fmt;
use crate::session::{Layout, Session};
use dumpscope_analyzers::stacks::thread_stack;
use dumpscope_core::{ThreadIdx, Va};
use dumpscope_symbols::Limits;
use serde::Serialize;

pub(crate) const UNIQSTACK: Command = Command {
    name: "!uniqstack",
    group: "stacks",
    syntax: "!uniqstack [-b | -v | -p] [-n]",
    summary: "Shows all stacks, equal ones once",
    help: "Stacks are equal when all their frames are at the same addresses. `-b`, `-v`, `-p` and `-n` as the flags of `k`.",
    examples: &[
        ("!uniqstack", "All different stacks"),
        ("!uniqstack -bn", "With stack words and frame numbers"),
    ],
    needs: &[Needs::Threads, Needs::Memory],
    run: run_uniqstack,
    ..Command::BASE
};

pub(crate) const FINDSTACK: Command = Command {
    name: "!findstack",
    group: "stacks",
    syntax: "!findstack symbol [0 | 1 | 2]",
    summary: "Finds the threads that have a symbol or a module on their stack",
    help: "The symbol is a module (`ntdll`), a function, or both (`ntdll!NtWait*`), wildcards allowed; the letter case does not \
           matter. A method needs no class: `Walk` also finds `Tree::Walk`. Level 0 shows only the threads, 1 also the frames (the default), 2 the whole stacks.",
    examples: &[
        ("!findstack ntdll", "Threads with ntdll on their stack"),
        ("!findstack *!*Wait* 0", "Threads that wait"),
    ],
    needs: &[Needs::Threads, Needs::Memory],
    run: run_findstack,
    ..Command::BASE
};

/// One stack and the threads that have it.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Group {
    threads: Vec<u32>,
    stack: StackReport,
    #[serde(skip)]
    first: ThreadRow,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct UniqueReport {
    total: usize,
    groups: Vec<Group>,
    /// Threads without a context.
    without_stack: Vec<u32>,
    #[serde(skip)]
    wide: bool,
}

impl Answer for UniqueReport {
    const KIND: &'static str = "unique_stacks";

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::plain(format!("Processing {} threads, please wait", self.total)));
        for group in &self.groups {
            emit(Line::new());
            emit(group.first.status(self.wide));
            group.first.details(self.wide, cx.layout == Layout::Modern, emit);
            group.stack.lines(cx, emit);
        }
        emit(Line::new());
        emit(Line::plain(format!("Total threads: {}", self.total)));
        let mut doubles: Vec<u32> =
            self.groups.iter().flat_map(|g| g.threads.iter().skip(1).copied()).collect();
        doubles.sort_unstable();
        if !doubles.is_empty() {
            emit(Line::plain(format!("Duplicate callstacks: {} (windbg thread #s follow):", doubles.len())));
            let mut line = Line::new();
            for (i, thread) in doubles.iter().enumerate() {
                let comma = if i == 0 { "" } else { ", " };
                let number =
                    Span::new(Role::Thread, thread.to_string()).link(Link::Thread(ThreadIdx(*thread)));
                line = line.text(comma).span(number);
            }
            emit(line);
        }
        // WinDbg does not say which thread has which stack.
        for group in self.groups.iter().filter(|g| g.threads.len() > 1) {
            let list: Vec<String> = group.threads.iter().map(u32::to_string).collect();
            emit(Line::new().role(Role::Note, format!("note: one stack: {}", list.join(", "))));
        }
        if !self.without_stack.is_empty() {
            let list: Vec<String> = self.without_stack.iter().map(u32::to_string).collect();
            emit(Line::new().role(Role::Note, format!("note: no context in the dump: {}", list.join(", "))));
        }
    }
}

/// The stacks of all threads in the effective machine, in thread order.
fn all_stacks(
    session: &Session,
    flags: KFlags,
    sink: &mut dyn Sink,
) -> Result<Vec<(ThreadIdx, Option<StackReport>)>, CommandError> {
    let threads = session.dump().threads();
    if threads.is_empty() {
        return Err(super::stack::no_context(session));
    }
    let limits = Limits { frames: session.sel.max_frames.saturating_add(1), ..Limits::default() };
    let mut out = Vec::with_capacity(threads.len());
    // A context set with `.ecxr` does not count here.
    let mut view = session.clone();
    view.sel.context = None;
    for (done, t) in threads.iter().enumerate() {
        if session.cancel.is_cancelled() {
            return Err(CommandError::Stopped);
        }
        sink.progress("stacks", done as u64, threads.len() as u64);
        let stack = thread_stack(&session.target, t.index, session.sel.machine, &limits, &session.cancel);
        let report = stack.map(|s| stack_report(&view, &s, Some(t.index), flags, session.sel.max_frames));
        out.push((t.index, report));
    }
    Ok(out)
}

/// What makes stacks equal: the addresses of all rows.
fn key(stack: &StackReport) -> Vec<(u64, bool, Option<&str>)> {
    stack.frames.iter().map(|f| (f.site.ip.0, f.inline, f.site.function.as_deref())).collect()
}

fn run_uniqstack(
    session: &mut Session,
    inv: &Invocation<'_>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let mut letters = String::new();
    loop {
        let at = args.pos();
        let Some(word) = args.switch() else { break };
        if !word.chars().all(|c| "bvpn".contains(c)) {
            return Err(CommandError::caret(at, "Syntax error"));
        }
        letters.push_str(word);
    }
    args.end()?;
    let flags = KFlags::parse(&letters).unwrap_or_default();
    let stacks = all_stacks(session, flags, sink)?;
    let total = stacks.len();
    let mut groups: Vec<Group> = Vec::new();
    let mut without_stack = Vec::new();
    for (thread, stack) in stacks {
        let Some(stack) = stack else {
            without_stack.push(thread.0);
            continue;
        };
        if let Some(group) = groups.iter_mut().find(|g| key(&g.stack) == key(&stack)) {
            group.threads.push(thread.0);
            continue;
        }
        let Some(info) = session.dump().thread(thread) else { continue };
        let first = thread_row(session, info, session.sel.thread);
        groups.push(Group { threads: vec![thread.0], stack, first });
    }
    let wide = session.render_cx().wide;
    session.emit(sink, &UniqueReport { total, groups, without_stack, wide })
}

/// A thread whose stack has the symbol.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Found {
    thread: u32,
    tid: Option<u32>,
    frames: Vec<Row>,
    #[serde(skip)]
    stack: StackReport,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct FoundReport {
    symbol: String,
    threads: Vec<Found>,
    #[serde(skip)]
    level: u64,
    #[serde(skip)]
    wide: bool,
}

impl Answer for FoundReport {
    const KIND: &'static str = "found_stacks";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        if self.threads.is_empty() {
            let text = format!("note: no stack has a module or function that is like {}", self.symbol);
            return emit(Line::new().role(Role::Note, text));
        }
        for found in &self.threads {
            let number = Span::new(Role::Thread, format!("{:03}", found.thread));
            emit(
                Line::plain("Thread ")
                    .span(number.link(Link::Thread(ThreadIdx(found.thread))))
                    .text(format!(", {} frame(s) match", found.frames.len())),
            );
            match self.level {
                0 => {}
                1 => found.frames.iter().for_each(|f| emit(self.frame(found.thread, f, "*"))),
                _ => {
                    for f in &found.stack.frames {
                        let mark = if found.frames.contains(f) { "*" } else { " " };
                        emit(self.frame(found.thread, f, mark));
                    }
                }
            }
            if self.level > 0 {
                emit(Line::new());
            }
        }
    }
}

impl FoundReport {
    /// `        * 06 03eaffac 771d9263 app!Foo+0x22a`; the number is decimal here.
    fn frame(&self, thread: u32, f: &Row, mark: &str) -> Line {
        let link = Link::Frame(ThreadIdx(thread), f.number);
        let mut line = Line::plain(format!("        {mark} "))
            .span(Span::new(Role::Label, format!("{:02}", f.number)).link(link))
            .text(" ")
            .span(fmt::addr_span(Va(f.frame_base.0), self.wide))
            .text(" ")
            .span(fmt::addr_span(Va(f.return_address.0), self.wide))
            .text(" ");
        let (name, offset) = super::stack::report::site_spans(&f.site, self.wide);
        for span in name {
            line = line.span(span);
        }
        if let Some(offset) = offset {
            line = line.span(offset);
        }
        line
    }
}

/// True when a row is the symbol that was asked for.
fn is_match(row: &Row, symbol: &str) -> bool {
    let module = row.site.module.as_deref().unwrap_or("");
    let function = row.site.function.as_deref().unwrap_or("");
    let is_function = |f: &str| wildcard_match(f, function) || wildcard_match(f, method(function));
    match symbol.split_once('!') {
        Some((m, f)) => wildcard_match(m, module) && (f.is_empty() || is_function(f)),
        None => wildcard_match(symbol, module) || is_function(symbol),
    }
}

/// A function's name without its class, template arguments and parameters: `Walk` of `Tree<a::b>::Walk`.
fn method(function: &str) -> &str {
    let (mut depth, mut start) = (0usize, 0usize);
    for (i, c) in function.char_indices() {
        match c {
            '(' if depth == 0 && i > start => return function.get(start..i).unwrap_or(function),
            // `(anonymous namespace)::` is a scope, too.
            '<' | '(' => depth = depth.saturating_add(1),
            '>' | ')' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => start = i + 1,
            _ => {}
        }
    }
    function.get(start..).unwrap_or(function)
}

fn run_findstack(
    session: &mut Session,
    inv: &Invocation<'_>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let at = args.pos();
    let Some(symbol) = args.word().map(str::to_string) else {
        return Err(CommandError::caret(at, "Syntax error"));
    };
    let level = args.opt_expr(session)?.unwrap_or(1);
    args.end()?;
    let stacks = all_stacks(session, KFlags::default(), sink)?;
    let threads = stacks
        .into_iter()
        .filter_map(|(thread, stack)| {
            let stack = stack?;
            let frames: Vec<Row> = stack.frames.iter().filter(|f| is_match(f, &symbol)).cloned().collect();
            (!frames.is_empty()).then_some(Found { thread: thread.0, tid: stack.tid, frames, stack })
        })
        .collect();
    let wide = session.render_cx().wide;
    let symbol = dumpscope_core::base::text::escape(&symbol).into_owned();
    session.emit(sink, &FoundReport { symbol, threads, level, wide })
}

#[cfg(test)]
mod tests {
    use super::method;

    #[test]
    fn methods_without_their_class() {
        for (function, expected) in [
            ("WalkTree", "WalkTree"),
            ("Tree<a::b>::WalkTree", "WalkTree"),
            ("Tree::WalkTree(int, a::b)", "WalkTree"),
            ("(anonymous namespace)::Walk", "Walk"),
            ("", ""),
        ] {
            assert_eq!(method(function), expected);
        }
    }
}
