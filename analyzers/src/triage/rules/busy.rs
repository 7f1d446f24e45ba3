//! A thread that runs without end: it is in no wait, and has used much of its time.

use super::graph::{crashed, is_bystander};
use crate::facts::Case;
use crate::model::{Confidence, Finding, FindingClass, FindingKind, ThreadFacts, Timeout};
use crate::script::place_words;
use crate::syscalls::system_call_name;
use crate::text::frame_text;
use dumpscope_core::base::text::escape;
use dumpscope_symbols::Trust;

/// 100 ns units in a millisecond.
const MS: u64 = 10_000;

/// CPU time below which nothing is said: 0.5 s. A machine under load gives a thread little.
const LEAST: u64 = 500 * MS;

/// CPU time from which on its share of the time says something: 2 s.
const MUCH: u64 = 2_000 * MS;

/// Frames that the evidence quotes.
const QUOTED: usize = 5;

pub(super) fn run(facts: &Case<'_>) -> Vec<Finding> {
    if crashed(facts) {
        return Vec::new();
    }
    // The thread that a debugger stopped runs its break instruction.
    let raised = facts.exception.as_ref().map(|e| e.tid);
    let mut out: Vec<(u64, Finding)> = Vec::new();
    for t in &facts.threads {
        // Being in a wait at the moment of the dump refutes it, however much the thread has used; giving way is none.
        let yields = gives_way(facts, t);
        let runs = (t.running == Some(true) && t.wait.is_none() || yields)
            && !is_bystander(t)
            && raised != Some(t.tid);
        let Some(cpu) = t.user.zip(t.kernel).map(|(u, k)| u.saturating_add(k)) else { continue };
        // A thread that only gives way may get next to no time: who asks for that again and again loops.
        let enough = cpu >= LEAST || yields;
        let Some(elapsed) = t.elapsed.filter(|e| *e > 0 && runs && enough) else { continue };
        let percent = cpu.saturating_mul(100).checked_div(elapsed).unwrap_or(0);
        // How much of its time a thread gets depends on what else the machine does.
        let much = percent >= 50 && (cpu >= MUCH || script(facts, t));
        let sure = if much && !yields { Confidence::Strong } else { Confidence::Guess };
        out.push((cpu, finding(facts, t, Used { sure, yields, cpu, elapsed, percent })));
    }
    // The one that used most first; equal ones stay in thread order.
    out.sort_by_key(|(cpu, _)| std::cmp::Reverse(*cpu));
    out.into_iter().map(|(_, f)| f).collect()
}

/// True for a thread that runs the program's code in a runtime: nothing else explains why it runs.
fn script(facts: &Case<'_>, t: &ThreadFacts) -> bool {
    facts.script.user_frame(t.tid).is_some() && !t.is_main
}

/// `Sleep(0)`, waits with a limit of 0, `SwitchToThread`: they come back at once.
fn gives_way(facts: &Case<'_>, t: &ThreadFacts) -> bool {
    let top = t.stack.as_ref().and_then(|s| system_call_name(facts.target, s.machine, s.physical().next()?));
    let limit = t.wait.as_ref().and_then(|w| w.timeout);
    limit == Some(Timeout::Ms(0)) || matches!(top, Some("NtYieldExecution" | "ZwYieldExecution"))
}

/// Whole seconds, tenths below two.
fn seconds(cpu: u64) -> String {
    let tenths = cpu / (100 * MS);
    if tenths < 20 { format!("{}.{}", tenths / 10, tenths % 10) } else { (tenths / 10).to_string() }
}

/// What a thread has used.
struct Used {
    sure: Confidence,
    /// It only gives way to others.
    yields: bool,
    /// CPU time, 100 ns.
    cpu: u64,
    /// Time since it was created, 100 ns.
    elapsed: u64,
    percent: u64,
}

fn finding(facts: &Case<'_>, t: &ThreadFacts, used: Used) -> Finding {
    let Used { sure, yields, cpu, elapsed, percent } = used;
    let frames = t.stack.as_ref().map_or(&[][..], |s| &s.frames);
    let place = frames.first().map_or_else(|| "unknown code".into(), |f| frame_text(facts.target, f));
    let mut out = Finding::new(
        FindingKind::BusyLoop,
        sure,
        match facts.script.threads.get(&t.tid).filter(|s| !s.frames.is_empty()) {
            Some(script) => escape(&format!(
                "{} runs{} and has used {} s of CPU time",
                facts.script.words(t.tid),
                place_words(&script.frames),
                seconds(cpu)
            ))
            .into_owned(),
            None if yields && cpu < LEAST => {
                format!(
                    "thread {:x} only gives way to others, in {place}: it seems to ask for something in a loop",
                    t.tid.0
                )
            }
            None => {
                format!("thread {:x} runs in {place} and has used {} s of CPU time", t.tid.0, seconds(cpu))
            }
        },
    );
    out.tid = Some(t.tid);
    out.tids = vec![t.tid];
    if yields {
        out.class = FindingClass::Livelock;
        out.evidence.push("it only gives way to others for a moment, again and again".into());
    } else {
        out.evidence.push("its instruction pointer is in no system call and no wait".into());
    }
    out.evidence.push(format!(
        "it used {} ms of CPU time in the {} ms since it was created: {} %",
        cpu / MS,
        elapsed / MS,
        percent.min(100)
    ));
    let known = frames.iter().take_while(|f| f.trust != Trust::Scan).take(QUOTED);
    let quoted: Vec<String> = known.map(|f| frame_text(facts.target, f)).collect();
    out.evidence.push(format!("its stack: {}", quoted.join(", called from ")));
    out.advice = Some(
        "write two or three dumps some seconds apart (procdump -n 3 -s 5) and compare them: the frames that stay the same hold the loop"
            .into(),
    );
    out
}
