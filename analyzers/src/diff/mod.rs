//! Two or more dumps of one process (`procdump -n 3 -s 5`): hang or slow progress?
//!
//! One dump cannot tell a thread that is stuck from one that is slow. Two can: CPU time, stack and waited object are
//! compared thread by thread.

mod snapshot;
mod standing;

pub use snapshot::{Snapshot, ThreadSnapshot, WaitKey};

use crate::facts::INNERMOST;
use crate::model::{Confidence, FindingKind};
use dumpscope_core::{Pid, Tid, Va};
use standing::{Standing, standing};
use std::collections::{BTreeMap, BTreeSet};

/// 100 ns units in a millisecond.
const MS: u64 = 10_000;

/// CPU time that a waiting thread may use between two dumps and still be stuck: two ticks of the clock.
const TICKS: u64 = 32 * MS;

/// CPU time that says that a thread went on, whatever it waits for now.
const USED: u64 = 4 * TICKS;

/// Seconds by which the creation time of one process may differ between dumps.
const SAME_START: u32 = 2;

/// What a thread did between the dumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It runs in every dump and used most of the time.
    Spinning,
    /// The same stack and the same wait.
    Stuck,
    /// Its stack changed, or it waits for nothing and used CPU time.
    Moving,
    /// It waits for work in every dump.
    Idle,
    /// It is not in the first dump.
    New,
    /// It is not in the last dump.
    Gone,
    /// The dumps do not say.
    Unknown,
}

impl State {
    /// The name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            State::Spinning => "spinning",
            State::Stuck => "stuck",
            State::Moving => "moving",
            State::Idle => "idle",
            State::New => "new",
            State::Gone => "gone",
            State::Unknown => "unknown",
        }
    }
}

/// What the dumps say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// What matters does not move.
    Hang,
    /// A thread runs without end.
    Spinning,
    /// It moves.
    Slow,
    /// Everything waits for work.
    Idle,
    /// The dumps do not say.
    Unknown,
}

impl Progress {
    /// The name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Progress::Hang => "hang",
            Progress::Spinning => "spinning",
            Progress::Slow => "slow_progress",
            Progress::Idle => "idle",
            Progress::Unknown => "unknown",
        }
    }
}

/// One thread over all dumps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadChange {
    /// System id.
    pub tid: Tid,
    /// Its name. Untrusted.
    pub name: Option<String>,
    /// What it did.
    pub state: State,
    /// CPU time between the first and the last dump it is in, 100 ns.
    pub cpu: Option<u64>,
    /// What it does in the last dump it is in, one sentence without a full stop. Untrusted.
    pub does: String,
    /// The innermost frame that all dumps have in common, counted from the stack's outer end. Untrusted.
    pub common: Option<String>,
    /// How sure.
    pub confidence: Confidence,
    /// True for the process's first thread.
    pub is_main: bool,
}

/// Several dumps of one process, compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Positions of the dumps in the input, in the order in which they were written.
    pub order: Vec<usize>,
    /// Process id.
    pub pid: Option<Pid>,
    /// Seconds between the first and the last dump; 0 when they were written within one second.
    pub seconds: u32,
    /// Threads: those that matter most first.
    pub threads: Vec<ThreadChange>,
    /// What it comes to.
    pub progress: Progress,
    /// The thread that says so.
    pub tid: Option<Tid>,
    /// One sentence without a full stop. Untrusted.
    pub summary: String,
    /// How sure.
    pub confidence: Confidence,
    /// Open handles in each dump, in time order; `None` where a dump has no handle data.
    pub handles: Vec<Option<u64>>,
    /// Types of which not every dump has as many handles, with their counts in time order. Untrusted.
    pub handle_types: Vec<(String, Vec<u64>)>,
    /// Handles of the last dump that the first one has not, and the other way round; `None` without handle data.
    pub opened_closed: Option<(u64, u64)>,
    /// What the files lack: position in the input and one sentence.
    pub warnings: Vec<(usize, String)>,
}

/// Dumps that cannot be compared.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiffError {
    /// Fewer than two.
    #[error("two dumps at least are needed")]
    TooFew,
    /// They are of one moment: nothing can have moved between them.
    #[error("the dumps are of one moment: dumps some seconds apart tell a hang from slow progress")]
    OneMoment,
    /// They are of different processes.
    #[error("the dumps are of different processes: {0}")]
    OtherProcess(String),
}

/// Compares dumps of one process; their order is that of their times.
///
/// # Errors
/// Fewer than two dumps, or dumps of different processes.
pub fn compare(dumps: &[Snapshot]) -> Result<Comparison, DiffError> {
    let Some(first) = dumps.first().filter(|_| dumps.len() > 1) else { return Err(DiffError::TooFew) };
    for d in dumps {
        same_process(first, d)?;
    }
    let mut order: Vec<usize> = (0..dumps.len()).collect();
    // Whole seconds: equal ones are told apart by the CPU time that the process had used.
    order.sort_by_key(|i| dumps.get(*i).map(|d| (d.time, d.cpu(), *i)));
    let sorted: Vec<&Snapshot> = order.iter().filter_map(|i| dumps.get(*i)).collect();
    let seconds = match (sorted.first(), sorted.last()) {
        (Some(a), Some(b)) => b.time.saturating_sub(a.time),
        _ => 0,
    };
    let copies = sorted.iter().zip(sorted.iter().skip(1)).any(|(a, b)| a == b);
    if seconds == 0 || copies {
        return Err(DiffError::OneMoment);
    }
    let tids: BTreeSet<Tid> = sorted.iter().flat_map(|d| d.threads.iter().map(|t| t.tid)).collect();
    let numbers: BTreeMap<Tid, usize> =
        sorted.iter().flat_map(|d| d.threads.iter().enumerate().map(|(i, t)| (t.tid, i))).collect();
    let lasting = standing(&sorted);
    let mut threads: Vec<ThreadChange> =
        tids.iter().filter_map(|t| change(&sorted, &lasting, *t, seconds)).collect();
    let rank = |s: State| match s {
        State::Spinning => 0,
        State::Stuck => 1,
        State::Moving => 2,
        State::Unknown => 3,
        State::New | State::Gone => 4,
        State::Idle => 5,
    };
    let number = |t: &ThreadChange| numbers.get(&t.tid).copied();
    threads.sort_by_key(|t| (rank(t.state), !t.is_main, number(t)));
    let (progress, tid, summary, confidence) = verdict(&sorted, &lasting, &threads, seconds);
    Ok(Comparison {
        pid: first.pid,
        seconds,
        threads,
        progress,
        tid,
        summary,
        confidence,
        handles: sorted.iter().map(|d| d.handles.as_ref().map(|h| h.len() as u64)).collect(),
        handle_types: handle_types(&sorted),
        opened_closed: opened_closed(&sorted),
        warnings: order
            .iter()
            .flat_map(|i| dumps.get(*i).into_iter().flat_map(|d| &d.warnings).map(|w| (*i, w.clone())))
            .collect(),
        order,
    })
}

/// Types whose handles become more or fewer; nothing unless all dumps have handle data.
fn handle_types(dumps: &[&Snapshot]) -> Vec<(String, Vec<u64>)> {
    let mut counts: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (n, d) in dumps.iter().enumerate() {
        let Some(handles) = &d.handles else { return Vec::new() };
        for (type_name, _) in handles.values() {
            let all = counts.entry(type_name.as_str()).or_insert_with(|| vec![0; dumps.len()]);
            if let Some(count) = all.get_mut(n) {
                *count = count.saturating_add(1);
            }
        }
    }
    let differ = |all: &Vec<u64>| all.iter().any(|c| Some(c) != all.first());
    counts.into_iter().filter(|(_, all)| differ(all)).map(|(t, all)| (t.to_owned(), all)).collect()
}

/// A handle whose number now stands for something else is a new one.
fn opened_closed(dumps: &[&Snapshot]) -> Option<(u64, u64)> {
    let (first, last) = (dumps.first()?.handles.as_ref()?, dumps.last()?.handles.as_ref()?);
    let opened = last.iter().filter(|(value, what)| first.get(value) != Some(what)).count();
    let closed = first.iter().filter(|(value, what)| last.get(value) != Some(what)).count();
    Some((opened as u64, closed as u64))
}

fn same_process(a: &Snapshot, b: &Snapshot) -> Result<(), DiffError> {
    let err = |what: &str, x: String, y: String| Err(DiffError::OtherProcess(format!("{what} {x} and {y}")));
    if let (Some(x), Some(y)) = (a.pid, b.pid)
        && x != y
    {
        return err("process ids", format!("{:x}", x.0), format!("{:x}", y.0));
    }
    if let (Some(x), Some(y)) = (&a.process, &b.process)
        && !x.eq_ignore_ascii_case(y)
    {
        return err("programs", x.clone(), y.clone());
    }
    if let (Some(x), Some(y)) = (a.started, b.started)
        && x.abs_diff(y) > SAME_START
    {
        return err("creation times", x.to_string(), y.to_string());
    }
    if let (Some(x), Some(y)) = (&a.machine.computer, &b.machine.computer)
        && x != y
    {
        return err("computers", x.clone(), y.clone());
    }
    Ok(())
}

/// One thread; `None` for those that only wrote a dump.
fn change(dumps: &[&Snapshot], lasting: &[Standing], tid: Tid, seconds: u32) -> Option<ThreadChange> {
    let seen: Vec<Option<&ThreadSnapshot>> = dumps.iter().map(|d| d.thread(tid)).collect();
    let there: Vec<&ThreadSnapshot> = seen.iter().flatten().copied().collect();
    let (first, last) = (there.first()?, there.last()?);
    if there.iter().all(|t| t.is_writer) {
        return None;
    }
    let cpu = first.cpu.zip(last.cpu).and_then(|(a, b)| b.checked_sub(a));
    let mut out = ThreadChange {
        tid,
        name: last.name.clone(),
        state: State::Unknown,
        cpu,
        does: last.does.clone(),
        common: common(&there),
        confidence: Confidence::Strong,
        is_main: last.is_main,
    };
    out.state = if seen.first().is_some_and(Option::is_none) {
        State::New
    } else if seen.last().is_some_and(Option::is_none) {
        State::Gone
    } else {
        let waits = lasting.iter().find(|s| s.tids.contains(&tid));
        let (state, sure) = match waits {
            // Whatever its inner frames do: what it waits for never comes.
            Some(s) => (State::Stuck, s.confidence.min(Confidence::Strong)),
            None => judge(&there, cpu, seconds),
        };
        out.confidence = sure;
        state
    };
    Some(out)
}

/// The innermost frame that all dumps have in common, from the outer end.
fn common(there: &[&ThreadSnapshot]) -> Option<String> {
    let first = there.first()?;
    let mut n = first.frames.len();
    for t in there.iter().skip(1) {
        let same =
            first.frames.iter().rev().zip(t.frames.iter().rev()).take_while(|(a, b)| a.0 == b.0).count();
        n = n.min(same);
    }
    let at = first.frames.len().checked_sub(n).filter(|_| n > 0)?;
    // A frame whose callees differ is at the same function, not at the same instruction.
    first.frames.get(at).map(|f| f.1.clone())
}

/// Milliseconds that lie between two dumps at least: their times are whole seconds, so up to one may be missing.
fn surely_ms(seconds: u32) -> u64 {
    u64::from(seconds.saturating_sub(1)).saturating_mul(1000)
}

/// True for the same frames. How deep a stack was walked may depend on the other threads of its dump: of such stacks
/// the innermost part that both have is compared.
fn same_frames(a: &[(Va, String)], b: &[(Va, String)]) -> bool {
    let both = a.len().min(b.len());
    let deep = both >= INNERMOST || a.len() == b.len();
    both > 0 && deep && a.iter().zip(b).all(|(a, b)| a == b)
}

fn judge(there: &[&ThreadSnapshot], cpu: Option<u64>, seconds: u32) -> (State, Confidence) {
    if there.iter().all(|t| t.idle) {
        return (State::Idle, Confidence::Strong);
    }
    let Some(first) = there.first() else { return (State::Unknown, Confidence::Guess) };
    let interval = u64::from(seconds).saturating_mul(1000 * MS);
    let runs = there.iter().all(|t| t.running == Some(true) && t.wait.is_none());
    if let Some(cpu) = cpu.filter(|_| runs && interval > 0) {
        // More than half of the time between the dumps; dump times are whole seconds, and dumping takes time too.
        if cpu >= interval / 2 {
            return (State::Spinning, Confidence::Strong);
        }
        // A machine under load gives it less; it may have waited in between.
        if cpu >= USED && cpu >= interval / 20 {
            return (State::Spinning, Confidence::Guess);
        }
    }
    let same_stack = there.iter().all(|t| t.sp == first.sp && same_frames(&t.frames, &first.frames));
    let same_wait = there.iter().all(|t| t.wait.is_some() && t.wait == first.wait);
    // Such a wait had ended when the last dump was written: it is another one of the same kind.
    let anew = first.wait.as_ref().and_then(|w| w.limit).is_some_and(|ms| ms < surely_ms(seconds));
    match (same_stack, same_wait, cpu) {
        // A thread that asks for the same again and again goes on, but may never get anywhere.
        (true, true, _) if anew => (State::Moving, Confidence::Guess),
        (true, true, Some(c)) if c > USED => (State::Moving, Confidence::Guess),
        // Within one second even a busy thread can be found twice at the same place.
        (true, true, Some(c)) if c <= TICKS && seconds > 0 => (State::Stuck, Confidence::Strong),
        // Without times the stack alone says it. With CPU time it may have come back to the same wait; but a wait
        // that is tried again and again, or that serves messages, uses some, too.
        (true, true, _) => (State::Stuck, Confidence::Guess),
        (true, _, Some(0)) if !runs => (State::Stuck, Confidence::Guess),
        (false, ..) => (State::Moving, Confidence::Strong),
        (true, _, Some(c)) if c > TICKS => (State::Moving, Confidence::Strong),
        _ => (State::Unknown, Confidence::Guess),
    }
}

/// A thread that runs.
fn spinning(t: &ThreadChange, span: &str) -> (Progress, Option<Tid>, String, Confidence) {
    let place = t.common.as_ref().map(|c| format!(", in or below {c}")).unwrap_or_default();
    let ms = t.cpu.unwrap_or(0) / MS;
    let waits = if t.confidence == Confidence::Guess { "is in no wait in any dump" } else { "never waits" };
    let text = format!("thread {:x} used {ms} ms of CPU time {span} and {waits}{place}", t.tid.0);
    (Progress::Spinning, Some(t.tid), text, t.confidence)
}

/// Nothing moved: the sentence, and what speaks against it.
fn hang(t: &ThreadChange, span: &str) -> (Progress, Option<Tid>, String, Confidence) {
    let mut text = format!("thread {:x} did not move {span}: it {}", t.tid.0, t.does);
    if let Some(cpu) = t.cpu.filter(|c| *c > TICKS) {
        let ms = cpu / MS;
        text.push_str(&format!(
            "; it used {ms} ms of CPU time, so it tries again and again or came back to the same wait"
        ));
    }
    (Progress::Hang, Some(t.tid), text, t.confidence)
}

/// What every dump shows and what never ends by itself.
fn stands(
    lasting: &[Standing],
    threads: &[ThreadChange],
    dumps: usize,
) -> Option<(Progress, Option<Tid>, String, Confidence)> {
    let first = lasting.first()?;
    let all = if dumps == 2 { "in both dumps".to_owned() } else { format!("in all {dumps} dumps") };
    let says: Vec<&str> = lasting.iter().map(|s| s.summary.as_str()).collect();
    let mut text = format!("{all} {}", says.join("; "));
    if let Some(t) = threads.iter().find(|t| t.state == State::Spinning) {
        text.push_str(&format!("; thread {:x} runs without a wait", t.tid.0));
    }
    let sure = lasting.iter().map(|s| s.confidence).min().unwrap_or(Confidence::Guess);
    Some((Progress::Hang, Some(first.tid), text, sure))
}

fn verdict(
    dumps: &[&Snapshot],
    lasting: &[Standing],
    threads: &[ThreadChange],
    seconds: u32,
) -> (Progress, Option<Tid>, String, Confidence) {
    let span = match seconds {
        0 => "between the dumps".to_owned(),
        n => format!("in {n} s"),
    };
    if let Some(answer) = stands(lasting, threads, dumps.len()) {
        return answer;
    }
    let state = |tid: Tid| threads.iter().find(|t| t.tid == tid);
    // The culprits that the dumps' own verdicts name.
    let named = dumps.iter().rev().find_map(|d| d.verdict.filter(|(k, _)| k.row().hang).map(|(_, t)| t));
    let held =
        named.and_then(state).filter(|t| t.state == State::Stuck && t.confidence >= Confidence::Strong);
    let burns = threads.iter().filter(|t| t.state == State::Spinning);
    // Who may have waited in between says less than a thread that is known not to move.
    let burns = burns.filter(|t| held.is_none() || t.confidence >= Confidence::Strong);
    if let Some(t) = burns.max_by_key(|t| (t.confidence, t.cpu, std::cmp::Reverse(t.tid))) {
        return spinning(t, &span);
    }
    // Waits of which no dump says that they are late did not get later.
    let waits = threads.iter().any(|t| t.state != State::Idle);
    if waits && dumps.iter().all(|d| d.quiet) {
        let works = threads.iter().any(|t| t.cpu.is_some_and(|c| c > USED));
        let text = match works {
            true => "no dump shows anything that is blocked, and threads used CPU time between them",
            false => "no dump shows anything that is blocked: the threads wait for work",
        };
        return (Progress::Idle, None, text.into(), Confidence::Guess);
    }
    // A thread that the dumps find running, however little it got.
    let busy = |d: &&Snapshot| d.verdict.filter(|(k, _)| *k == FindingKind::BusyLoop).map(|(_, t)| t);
    if dumps.iter().all(|d| busy(d).is_some())
        && let Some(t) = dumps.last().and_then(busy).and_then(state)
    {
        let text = format!(
            "thread {:x} runs {span} without getting on, as far as the dumps show: it {}",
            t.tid.0, t.does
        );
        return (Progress::Spinning, Some(t.tid), text, Confidence::Guess);
    }
    // The named culprit, then the main thread.
    let main = threads.iter().find(|t| t.is_main && t.state != State::Idle).map(|t| t.tid);
    for t in named.into_iter().chain(main).filter_map(state) {
        match t.state {
            State::Stuck if Some(t.tid) == named => return hang(t, &span),
            // What a main thread waits for may be the end of the program.
            State::Stuck => {
                let (progress, tid, text, _) = hang(t, &span);
                return (progress, tid, text, Confidence::Guess);
            }
            State::Moving => {
                let text =
                    format!("thread {:x} moves: it is slow, not stuck; at the end it {}", t.tid.0, t.does);
                return (Progress::Slow, Some(t.tid), text, t.confidence);
            }
            _ => {}
        }
    }
    if let Some(t) = threads.iter().find(|t| t.state == State::Moving) {
        let text = format!("thread {:x} moves; the threads that wait for work do not matter", t.tid.0);
        return (Progress::Slow, Some(t.tid), text, t.confidence.min(Confidence::Guess));
    }
    if let Some(t) = threads.iter().find(|t| t.state == State::Stuck) {
        let (progress, tid, text, _) = hang(t, &span);
        return (progress, tid, text, Confidence::Guess);
    }
    if !threads.is_empty() && threads.iter().all(|t| t.state == State::Idle) {
        return (
            Progress::Idle,
            None,
            format!("all {} threads wait for work", threads.len()),
            Confidence::Strong,
        );
    }
    (Progress::Unknown, None, "the dumps do not say whether anything moves".into(), Confidence::Guess)
}

#[cfg(test)]
mod tests;
