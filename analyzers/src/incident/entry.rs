//! Which thread of a process has to act for a thread of another one that waits for it.
//!
//! In the order of what they prove: the caller's own data name the thread; both dumps hold the id of the call; the
//! thread's data name its caller; its stack shows a call coming in; a finding says what blocks whoever needs it.

use super::digest::Wanted;
use super::joins::{Join, Role};
use super::{Digest, Serving};
use crate::model::{Blocks, Confidence, Finding, FindingKind};
use dumpscope_core::Tid;
use dumpscope_core::base::text::escape;

/// Most threads that are named as other candidates.
const NAMED: usize = 4;

/// Where a chain goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The thread; `None`: none can be named.
    pub(super) tid: Option<Tid>,
    /// A thread that is named and is not there.
    pub(super) gone: Option<Tid>,
    pub(super) sure: Confidence,
    /// The other dump says of itself that it acts for this caller: two sources agree on who waits for whom.
    pub(super) confirmed: bool,
    /// What it rests on.
    pub(super) evidence: Vec<String>,
}

impl Entry {
    fn thread(tid: Tid, sure: Confidence, evidence: String) -> Entry {
        Entry { tid: Some(tid), gone: None, sure, confirmed: false, evidence: vec![evidence] }
    }

    fn confirmed(mut self) -> Entry {
        self.confirmed = true;
        self
    }
}

/// The thread of `to` that `from`'s thread waits for.
pub(super) fn entry(from: &Digest, to: &Digest, join: &Join) -> Entry {
    if let Some(tid) = join.server {
        return named(from, to, join, tid);
    }
    let found = match join.role {
        Role::Wants(Wanted::Answer) => serving(from, to, join.tid),
        _ => None,
    };
    found.or_else(|| blocked(to, join.role)).unwrap_or_else(|| Entry {
        tid: None,
        gone: None,
        sure: Confidence::Guess,
        confirmed: false,
        evidence: vec![format!("nothing in {} is blocked at the time of its dump", to.name())],
    })
}

/// The caller's data name the thread.
fn named(from: &Digest, to: &Digest, join: &Join, tid: Tid) -> Entry {
    let mut out =
        Entry { tid: Some(tid), gone: None, sure: join.sure, confirmed: false, evidence: Vec::new() };
    if join.role == Role::Wants(Wanted::Answer) || from.cross.iter().any(|w| w.tid == join.tid) {
        out.evidence.push(format!(
            "the data of thread {:x} of {} name thread {:x} as the one that has to act",
            join.tid.0,
            from.name(),
            tid.0
        ));
    }
    if !to.threads.contains_key(&tid) {
        (out.tid, out.gone) = (None, Some(tid));
        if !to.all_threads {
            out.sure = out.sure.min(Confidence::Strong);
        }
        return out;
    }
    let ours = |s: &&Serving| {
        s.tid == tid
            && s.client.is_some()
            && s.client == from.pid
            && s.client_tid.is_none_or(|t| t == join.tid)
    };
    if let Some(s) = to.serving.iter().find(ours) {
        let thread = s.client_tid.map(|t| format!(", thread {:x},", t.0)).unwrap_or_default();
        (out.sure, out.confirmed) = (Confidence::Proven, true);
        out.evidence.push(format!(
            "thread {:x}'s own data name {}{thread} as its caller",
            tid.0,
            from.name()
        ));
    }
    out
}

/// A thread that says that it serves this call, or whose stack shows it.
fn serving(from: &Digest, to: &Digest, tid: Tid) -> Option<Entry> {
    let caller = from.name();
    let causality = from.cross.iter().find(|w| w.tid == tid).and_then(|w| w.causality);
    let ours = || to.serving.iter().filter(|s| s.client.is_some() && s.client == from.pid);
    let same = |s: &&Serving| {
        s.causality.is_some() && s.causality == causality && s.client.is_none_or(|c| Some(c) == from.pid)
    };
    // Who is called back in a chain of calls has two threads with its id.
    let chain: Vec<&Serving> = to.serving.iter().filter(same).collect();
    if let (&[s], Some(id)) = (chain.as_slice(), causality) {
        let text = format!(
            "both dumps hold the causality id {{{id}}} of this call, this one in thread {:x}",
            s.tid.0
        );
        return Some(Entry::thread(s.tid, Confidence::Proven, text).confirmed());
    }
    if let Some(s) = ours().find(|s| s.client_tid == Some(tid)) {
        let text =
            format!("the data of thread {:x} name {caller}, thread {:x}, as its caller", s.tid.0, tid.0);
        return Some(Entry::thread(s.tid, s.confidence, text).confirmed());
    }
    let blocked = |tid: Tid| to.threads.get(&tid).is_some_and(|w| w.confidence.is_some());
    // Who surely serves another thread of the caller does not serve this one.
    let other = |s: &&Serving| s.client_tid.is_some() && s.confidence == Confidence::Proven;
    let some: Vec<&Serving> = ours().filter(|s| !other(s)).collect();
    let tids: Vec<Tid> = some.iter().map(|s| s.tid).collect();
    if let Some((tid, others)) = pick(&tids, blocked) {
        let alone = others.is_empty() && some.iter().all(|s| s.client_tid.is_none());
        let sure = if alone { Confidence::Strong } else { Confidence::Guess };
        let text = format!(
            "the data of thread {:x} name {caller} as its caller{}",
            tid.0,
            also(&others, "so do those of")
        );
        return Some(Entry::thread(tid, sure, text));
    }
    // Nobody says whom it serves: who serves a call of this procedure, then who serves any.
    if let Some(rpc) = from.threads.get(&tid).and_then(|w| w.rpc) {
        let some: Vec<Tid> =
            to.serving.iter().filter(|s| s.rpc == Some(rpc) && s.client.is_none()).map(|s| s.tid).collect();
        if let Some((tid, others)) = pick(&some, blocked) {
            let sure = if others.is_empty() { Confidence::Strong } else { Confidence::Guess };
            let text = format!(
                "thread {:x} serves a call of the same interface {{{}}} and procedure {}{}",
                tid.0,
                rpc.0,
                rpc.1,
                also(&others, "others that do")
            );
            return Some(Entry::thread(tid, sure, text));
        }
    }
    let some: Vec<Tid> =
        to.serving.iter().filter(|s| s.client.is_none() && s.through.is_some()).map(|s| s.tid).collect();
    let (tid, others) = pick(&some, blocked)?;
    let sure = if others.is_empty() { Confidence::Strong } else { Confidence::Guess };
    let through = to.serving.iter().find(|s| s.tid == tid).and_then(|s| s.through.as_deref()).unwrap_or("");
    let text = format!(
        "nothing in the dump says which thread serves the call; thread {:x} serves one, by {} on its stack{}",
        tid.0,
        escape(through),
        also(&others, "others that do")
    );
    Some(Entry::thread(tid, sure, text))
}

/// The first blocked thread, else the first one; and the others.
fn pick(some: &[Tid], blocked: impl Fn(Tid) -> bool) -> Option<(Tid, Vec<Tid>)> {
    let best = some.iter().copied().find(|t| blocked(*t)).or_else(|| some.first().copied())?;
    Some((best, some.iter().copied().filter(|t| *t != best).collect()))
}

/// `; blocked, too: 120, 124`.
fn also(others: &[Tid], what: &str) -> String {
    let names: Vec<String> = others.iter().take(NAMED).map(|t| format!("{:x}", t.0)).collect();
    match others.len().saturating_sub(names.len()) {
        _ if names.is_empty() => String::new(),
        0 => format!("; {what}: {}", names.join(", ")),
        more => format!("; {what}: {} and {more} more", names.join(", ")),
    }
}

/// What a finding says blocks whoever needs this process.
fn blocked(to: &Digest, role: Role) -> Option<Entry> {
    let mut ranked: Vec<(Blocks, &Finding)> = to
        .findings
        .iter()
        .filter(|f| f.tid.is_some())
        .filter_map(|f| Some((f.kind.row().blocks?, f)))
        .collect();
    ranked.sort_by_key(|(b, _)| b.rank);
    let unknown = match role {
        Role::Wants(Wanted::Answer) => "nothing in the dump says which thread serves the call",
        Role::Wants(Wanted::Object) => "nothing in the dump says which thread owns the object",
        Role::Wants(Wanted::End) => "nothing in the dump says what keeps the process from ending",
        Role::Shares => "nothing in the dump says which thread has to act",
    };
    let Some(&(blocks, best)) = ranked.first() else {
        // Who waits for the end of a process waits for its main thread, mostly.
        let main = to.main.filter(|_| role == Role::Wants(Wanted::End))?;
        let text = format!("{unknown}; thread {:x} is its first one", main.0);
        return Some(Entry::thread(main, Confidence::Guess, text));
    };
    let tid = first_victim(best)?;
    let rivals: Vec<&Finding> =
        ranked.iter().skip(1).map(|(_, f)| *f).filter(|f| !f.tids.contains(&tid)).collect();
    let mut text = format!("{unknown}; thread {:x} {}", tid.0, blocks.does);
    let others: Vec<Tid> = rivals.iter().flat_map(|f| f.tids.iter().copied()).collect();
    text.push_str(&also(&others, "blocked, too"));
    // Any other thread that is as blocked could be the one that serves the call; one that just waits is not.
    let only = rivals.iter().all(|f| f.kind == FindingKind::Waiting);
    let answer = role == Role::Wants(Wanted::Answer);
    let sure = if only && blocks.fixed && answer {
        best.confidence.min(Confidence::Strong)
    } else {
        Confidence::Guess
    };
    Some(Entry::thread(tid, sure, text))
}

/// The thread of a finding that a request would be: a waiter, not the owner.
fn first_victim(f: &Finding) -> Option<Tid> {
    match f.kind {
        FindingKind::LockContention => f.tids.first().copied().or(f.tid),
        _ => f.tid,
    }
}
