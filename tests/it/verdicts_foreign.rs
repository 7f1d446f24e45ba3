//! Programs of others and their verdicts: dumps that were written under Wine (`fixtures/wine`), held against what the
//! programs printed; and on all dumps at hand what a wait says against the arguments of the functions around it.

use crate::core_common::shared_or_skip;
use dumpscope_analyzers::arguments::recover_all;
use dumpscope_analyzers::facts::Case;
use dumpscope_analyzers::model::{Confidence, Facts, Finding, Kind, ThreadFacts, Timeout, Wait};
use dumpscope_analyzers::triage::{run_rules, verdict};
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::model::Dump;
use dumpscope_symbols::SymbolConfig;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// What is true of a dump: `true KIND [TID…]` (any thread when none stands there), `first TID` for the thread of the verdict,
/// `wait TID KIND [ADDRESS]`.
#[derive(Debug, Default)]
pub(crate) struct Foreign {
    pub(crate) name: String,
    /// True findings: kind, and the threads one of which it names.
    pub(crate) claims: Vec<(String, Vec<u32>)>,
    first: Option<u32>,
    waits: Vec<(u32, String, Option<u64>)>,
}

impl Foreign {
    pub(crate) fn is_true(&self, f: &Finding) -> bool {
        let tid = f.tid.map(|t| t.0);
        let fits = |tids: &[u32]| tids.is_empty() || tid.is_some_and(|t| tids.contains(&t));
        self.claims.iter().any(|(kind, tids)| kind == f.kind.name() && fits(tids))
    }

    /// True when nothing is wrong with the process.
    pub(crate) fn is_healthy(&self) -> bool {
        self.claims.iter().all(|(kind, _)| kind == "idle")
    }
}

/// What `fixtures/wine/truth.txt` says.
fn truth() -> Vec<Foreign> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/wine/truth.txt");
    parse(&std::fs::read_to_string(path).unwrap())
}

/// The dumps of the folder `shared` whose truth is known (`shared_truth.txt`), judged; none where there is no such folder.
pub(crate) fn judged_shared() -> Vec<(Foreign, Vec<Finding>)> {
    let Some(shared) = shared_or_skip("calibration") else { return Vec::new() };
    let judge = |truth: Foreign| {
        let target = target_of(Dump::open(&shared.join(&truth.name)).unwrap());
        let facts = target.facts(&Cancel::default());
        let found = findings(&target, &facts);
        (truth, found)
    };
    parse(include_str!("shared_truth.txt")).into_iter().map(judge).collect()
}

fn parse(text: &str) -> Vec<Foreign> {
    let mut out: Vec<Foreign> = Vec::new();
    let hex = |t: &str| u32::from_str_radix(t, 16).unwrap();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            out.push(Foreign { name: name.to_owned(), ..Foreign::default() });
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["true", kind, tids @ ..] => {
                let tids = tids.iter().map(|t| hex(t)).collect();
                out.last_mut().unwrap().claims.push(((*kind).to_owned(), tids));
            }
            ["first", tid] => out.last_mut().unwrap().first = Some(hex(tid)),
            ["wait", tid, kind, address @ ..] => {
                let address = address.first().map(|a| u64::from_str_radix(a, 16).unwrap());
                out.last_mut().unwrap().waits.push((hex(tid), (*kind).to_owned(), address));
            }
            _ => {}
        }
    }
    out
}

fn target_of(dump: Dump) -> Target {
    Target::new(dump, SymbolConfig { offline: true, ..SymbolConfig::default() })
}

/// All findings, the verdict first.
pub(crate) fn findings(target: &Target, facts: &Arc<Facts>) -> Vec<Finding> {
    let mut found = run_rules(&Case { target, facts }).findings;
    if found.is_empty() {
        found.push(verdict(&found));
    }
    found
}

/// A committed dump with its truth and its findings.
type Judged = (Foreign, Target, Arc<Facts>, Vec<Finding>);

/// The committed dumps, judged once.
pub(crate) fn judged() -> &'static [Judged] {
    static ALL: OnceLock<Vec<Judged>> = OnceLock::new();
    ALL.get_or_init(judge_all)
}

fn judge_all() -> Vec<Judged> {
    let mut truths = truth();
    let dumps = dumpscope_tests::wine_dumps().unwrap();
    let judge = |(name, bytes): (String, Vec<u8>)| {
        let at = truths.iter().position(|t| t.name == name);
        let truth = truths.swap_remove(at.unwrap_or_else(|| panic!("{name}: no truth")));
        let target = target_of(Dump::from_bytes(bytes).unwrap());
        let facts = target.facts(&Cancel::default());
        let found = findings(&target, &facts);
        (truth, target, facts, found)
    };
    dumps.into_iter().map(judge).collect()
}

#[test]
fn programs_under_wine_get_the_verdict_that_they_printed() {
    let all = judged();
    assert!(all.len() >= 20, "{} dumps", all.len());
    let mut wrong = Vec::new();
    println!("| program | true | verdict | confidence |\n| --- | --- | --- | --- |");
    for (truth, _, facts, found) in all {
        let v = found.first().unwrap();
        let kinds: Vec<&str> = truth.claims.iter().map(|(k, _)| k.as_str()).collect();
        println!("| {} | {} | {} | {} |", truth.name, kinds.join(", "), v.class.name(), v.confidence.name());
        let first = truth.first.is_none_or(|tid| v.tid.map(|t| t.0) == Some(tid));
        if !truth.is_true(v) || !first {
            wrong.push(format!("{}: {} {}", truth.name, v.kind.name(), v.summary));
        }
        for f in found.iter().filter(|f| f.confidence >= Confidence::Strong && !truth.is_true(f)) {
            wrong.push(format!("{}: {} {}", truth.name, f.confidence.name(), f.summary));
        }
        for (tid, kind, address) in &truth.waits {
            let t = facts.threads.iter().find(|t| t.tid.0 == *tid).unwrap();
            let w = t.wait.as_ref().map(|w| (w.kind.name(), w.address.map(|a| a.0)));
            if w.is_none_or(|(k, a)| k != kind || address.is_some() && a != *address) {
                wrong.push(format!("{}: thread {tid:x}: {w:x?}, not {kind} {address:x?}", truth.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Functions, the parameter that is the address waited for, and the one that is a limit in milliseconds.
const WAITERS: [(&str, Option<usize>, Option<usize>); 14] = [
    ("RtlEnterCriticalSection", Some(0), None),
    ("RtlAcquireSRWLockExclusive", Some(0), None),
    ("RtlAcquireSRWLockShared", Some(0), None),
    ("RtlSleepConditionVariableCS", Some(0), None),
    ("RtlSleepConditionVariableSRW", Some(0), None),
    ("SleepConditionVariableCS", Some(0), Some(2)),
    ("SleepConditionVariableSRW", Some(0), Some(2)),
    ("RtlRunOnceExecuteOnce", Some(0), None),
    ("WaitOnAddress", Some(0), Some(3)),
    ("Sleep", None, Some(0)),
    ("WaitForSingleObject", None, Some(1)),
    ("WaitForSingleObjectEx", None, Some(1)),
    ("WaitForMultipleObjects", None, Some(3)),
    ("WaitForMultipleObjectsEx", None, Some(3)),
];

/// Most innermost frames that belong to the wait.
const INNER: usize = 6;

/// What the wait says otherwise than the arguments, and how many of them were compared.
fn disagreements(target: &Target, t: &ThreadFacts, wait: &Wait) -> (usize, Vec<String>) {
    let (mut compared, mut out) = (0, Vec::new());
    let Some(stack) = t.stack.as_ref() else { return (0, out) };
    let slim =
        [Kind::CriticalSection, Kind::LoaderLock, Kind::SrwLock, Kind::ConditionVariable, Kind::Address];
    let rows = recover_all(target, stack, &Cancel::default());
    for (f, args) in stack.frames.iter().zip(&rows).take(INNER) {
        let row = WAITERS.iter().find(|(n, ..)| f.function.as_deref() == Some(n));
        let Some((name, address, limit)) = row.filter(|_| f.displacement < 0x1000) else { continue };
        let value =
            |index: Option<usize>| args.iter().find(|a| Some(a.index) == index)?.at_least(Confidence::Strong);
        let at = wait.address.filter(|_| slim.contains(&wait.kind));
        if let (Some(given), Some(at)) = (value(*address), at) {
            compared += 1;
            if given != at.0 {
                out.push(format!("thread {:x}: {name}({given:x}), {}", t.tid.0, wait.sentence));
            }
        }
        let limit = value(*limit).map(|v| v & 0xffff_ffff);
        let objects = !slim.contains(&wait.kind) || wait.kind == Kind::ConditionVariable;
        if let (Some(given), Some(said), true) = (limit, wait.timeout, objects) {
            compared += 1;
            let same = match said {
                Timeout::Infinite => given == 0xffff_ffff,
                Timeout::Ms(ms) => ms == given,
            };
            if !same {
                out.push(format!("thread {:x}: {name} for {given:x} ms, {said:?}", t.tid.0));
            }
        }
    }
    (compared, out)
}

/// All dumps of Windows processes in a folder.
fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if path.is_dir() {
            files(&path, out);
        } else if [".dmp", ".mdmp", ".dmp.zst"].iter().any(|e| name.ends_with(e)) {
            out.push(path);
        }
    }
}

/// The wait and the arguments of its frames come from one source.
#[test]
fn waits_say_what_the_arguments_say() {
    let mut compared = 0;
    let mut wrong = Vec::new();
    let mut look = |name: &str, target: &Target, facts: &Facts| {
        for t in &facts.threads {
            let Some(wait) = t.wait.as_ref() else { continue };
            let (n, found) = disagreements(target, t, wait);
            compared += n;
            wrong.extend(found.into_iter().map(|f| format!("{name}: {f}")));
        }
    };
    for (truth, target, facts, _) in judged() {
        look(&truth.name, target, facts);
    }
    let mut paths = Vec::new();
    if let Some(shared) = shared_or_skip("waits_say_what_the_arguments_say") {
        for folder in ["lab", "lab2", "corpus"] {
            files(&shared.join(folder), &mut paths);
        }
    }
    // A folder of one's own, to look at more.
    if let Some(more) = std::env::var_os("DUMPSCOPE_MORE_DUMPS") {
        files(Path::new(&more), &mut paths);
    }
    for path in paths {
        let Ok(dump) = Dump::open(&path) else { continue };
        let target = target_of(dump);
        if !target.dump.modules().is_empty() {
            let facts = target.facts(&Cancel::default());
            look(&path.display().to_string(), &target, &facts);
        }
    }
    println!("{compared} values compared");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(compared > 30, "{compared}");
}
