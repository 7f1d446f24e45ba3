//! `!dumpasync`: async methods that wait. `!threadpool`: the pool.

use super::{dotnet, safe};
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, RenderCx, Role, Sink};
use crate::fmt::Hex;
use crate::session::Session;
use serde::Serialize;

pub(crate) const DUMPASYNC: Command = Command {
    name: "!dumpasync",
    group: "dotnet",
    syntax: "!dumpasync",
    summary: "Shows async methods that have begun and not ended, with what they await",
    help: "Each row is an async method that nobody awaits, followed by what it awaits, innermost last.",
    examples: &[("!dumpasync", "All chains")],
    needs: &[Needs::Memory],
    run: run_dumpasync,
    ..Command::BASE
};

pub(crate) const THREADPOOL: Command = Command {
    name: "!threadpool",
    group: "dotnet",
    syntax: "!threadpool",
    summary: "Shows the .NET thread pool: workers, limits, queued work",
    help: "Workers that run work items, that exist and that the pool wants, its limits, and the items that wait in its queues.",
    examples: &[("!threadpool", "The pool")],
    needs: &[Needs::Memory],
    run: run_threadpool,
    ..Command::BASE
};

#[derive(Clone, Debug, Serialize)]
struct ChainLine {
    address: Hex,
    chain: Vec<String>,
    state: Option<i64>,
    reason: String,
}

#[derive(Clone, Debug, Serialize)]
struct AsyncReport {
    chains: Vec<ChainLine>,
    stopped: bool,
}

impl Answer for AsyncReport {
    const KIND: &'static str = "clr_async";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::plain(format!("Async methods that have not ended: {}", self.chains.len())));
        for c in &self.chains {
            emit(Line::plain(format!("{:016x} ", c.address.0)).role(Role::Symbol, c.chain.join(" <- ")));
            emit(Line::new().role(Role::Dim, format!("                 {}", c.reason)));
        }
        if self.stopped {
            emit(Line::new().role(Role::Dim, "The walk of the heap was stopped: there may be more."));
        }
    }
}

fn run_dumpasync(
    session: &mut Session,
    inv: &Invocation<'_>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    inv.cursor().end()?;
    let reader = dotnet(session)?;
    let Some(clr) = reader.clr() else { return Ok(()) };
    let (all, stopped) = clr.async_chains();
    let line = |c: &dumpscope_runtimes::clr::AsyncChain| ChainLine {
        address: c.address.into(),
        chain: c.chain.iter().map(|n| safe(n)).collect(),
        state: c.state,
        reason: safe(&c.reason),
    };
    session.emit(sink, &AsyncReport { chains: all.iter().map(line).collect(), stopped })
}

#[derive(Clone, Debug, Serialize)]
struct PoolReport {
    working: u32,
    existing: u32,
    goal: u32,
    min: u32,
    max: u32,
    queued: u64,
}

impl Answer for PoolReport {
    const KIND: &'static str = "clr_pool";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let idle = self.existing.saturating_sub(self.working);
        emit(Line::plain(format!("Workers Total:  {}", self.existing)));
        emit(Line::plain(format!("Workers Running: {}", self.working)));
        emit(Line::plain(format!("Workers Idle:   {idle}")));
        emit(Line::plain(format!("Worker Goal:    {}", self.goal)));
        emit(Line::plain(format!("Worker Min Limit: {}", self.min)));
        emit(Line::plain(format!("Worker Max Limit: {}", self.max)));
        emit(Line::plain(format!("Work Items Queued: {}", self.queued)));
    }
}

fn run_threadpool(
    session: &mut Session,
    inv: &Invocation<'_>,
    sink: &mut dyn Sink,
) -> Result<(), CommandError> {
    inv.cursor().end()?;
    let reader = dotnet(session)?;
    let Some(p) = reader.pool() else {
        return Err(CommandError::noted(
            "Failed to obtain ThreadPool data.",
            "The program has not started its pool.",
        ));
    };
    let report = PoolReport {
        working: p.working,
        existing: p.existing,
        goal: p.goal,
        min: p.min,
        max: p.max,
        queued: p.queued,
    };
    session.emit(sink, &report)
}
