//! Who runs a one-time initialization that others wait for.

use super::section::pointers;
use super::wait_blocks::ONCE_IN_PROGRESS;
use super::word;
use crate::Target;
use crate::model::{Confidence, StackFrame, ThreadFacts, WaitKind};
use crate::text::thread_words;
use dumpscope_core::{Machine, Tid, Va};
use dumpscope_symbols::Trust;
use std::collections::BTreeMap;

/// Functions that call the initialization and stay on the stack meanwhile.
const RUNNERS: [&str; 2] = ["RtlRunOnceExecuteOnce", "InitOnceExecuteOnce"];

/// Frames of a stack in which a runner is looked for.
const DEPTH: usize = 256;

/// Nothing in memory names the thread. One that stands in the function that runs initializations, with this one's
/// address there, and does not wait for it, runs it: never more than `strong`.
pub(crate) fn owners(target: &Target, machine: Machine, threads: &mut [ThreadFacts]) {
    let waits_for = |t: &ThreadFacts| {
        let once = t.activity.as_ref().is_some_and(|a| a.wait == Some(WaitKind::RunOnce));
        t.wait.as_ref().filter(|_| once)?.address
    };
    let mut runners: BTreeMap<Va, Vec<(Tid, Trust)>> = BTreeMap::new();
    for at in threads.iter().filter_map(waits_for) {
        runners.entry(at).or_default();
    }
    if runners.is_empty() {
        return;
    }
    for t in threads.iter() {
        let own = waits_for(t);
        for (at, found) in runners.iter_mut().filter(|(at, _)| own != Some(**at)) {
            found.extend(runs(target, machine, t, *at).map(|trust| (t.tid, trust)));
        }
    }
    for t in threads.iter_mut() {
        let Some(at) = waits_for(t) else { continue };
        let Some(&[(tid, trust)]) = runners.get(&at).map(Vec::as_slice) else { continue };
        let Some(wait) = t.wait.as_mut() else { continue };
        let who = thread_words(target, tid);
        wait.evidence
            .push(format!("{who} is the only one that stands in RtlRunOnceExecuteOnce with that address"));
        let in_progress = word(target, machine, at).is_some_and(|w| w & 3 == ONCE_IN_PROGRESS);
        if !in_progress || trust == Trust::Scan {
            wait.suspect = Some(tid);
            continue;
        }
        wait.evidence.push(format!("the word at {:x} says that the initialization is in progress", at.0));
        wait.owner_tid = Some(tid);
        wait.confidence = wait.confidence.min(Confidence::Strong);
        wait.sentence = format!("waits for the one-time initialization at {:x}, which {who} runs", at.0);
    }
}

/// How sure the frame is in which the thread runs the initialization at `at`.
fn runs(target: &Target, machine: Machine, t: &ThreadFacts, at: Va) -> Option<Trust> {
    let frames: Vec<&StackFrame> = t.stack.as_ref()?.physical().take(DEPTH).collect();
    let is_runner = |f: &&StackFrame| f.function.as_deref().is_some_and(|n| RUNNERS.contains(&n));
    let mut from = 0_usize;
    while let Some(first) = frames.iter().skip(from).position(is_runner).map(|n| n.saturating_add(from)) {
        let last = frames.iter().skip(first).take_while(|f| is_runner(f)).count();
        // From the function that was called: it saved the registers in which the address was kept.
        let part = frames.get(first.saturating_sub(1)..).unwrap_or_default();
        let trust = frames.get(first)?.trust;
        if pointers(target, machine, part, last).contains(&at) {
            return Some(trust);
        }
        from = first.saturating_add(last);
    }
    None
}
