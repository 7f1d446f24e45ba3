//! Java against the VM's own thread print (`jcmd Thread.print -l`), recorded beside the shared dumps.

use crate::common::Lab;
use dumpscope_core::base::Read;
use dumpscope_core::{Machine, ReadMemory, Tid, Va};
use dumpscope_runtimes::{LockKind, Process, Reader, ScriptFrame, WaitKind, Walked, find};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A thread of a thread print.
#[derive(Debug, Default)]
struct Printed {
    name: String,
    address: u64,
    native: u32,
    /// `Class.method(File.java:12)` lines.
    frames: Vec<String>,
    /// What is said of locks: words and object.
    locks: Vec<(String, u64)>,
}

impl Printed {
    /// The thread that wrote the truth has moved on since, and compiler threads come and go.
    fn stood_still(&self) -> bool {
        self.name != "truth" && !self.name.contains("Compiler")
    }
}

fn number(text: &str) -> u64 {
    text.strip_prefix("0x").map_or_else(|| text.parse().unwrap(), |h| u64::from_str_radix(h, 16).unwrap())
}

fn after<'t>(line: &'t str, key: &str) -> Option<&'t str> {
    line.split_once(key)?.1.split_whitespace().next()
}

/// Without the module: `java.base@25.0.2/Unknown Source` is `Unknown Source`.
fn place(text: &str) -> String {
    let (method, place) = text.strip_suffix(')').unwrap().rsplit_once('(').unwrap();
    let place = place.split_once('/').filter(|(module, _)| module.contains('@')).map_or(place, |(_, p)| p);
    format!("{method}({place})")
}

fn printed(text: &str) -> Vec<Printed> {
    let mut out = Vec::<Printed>::new();
    let mut reading = false;
    for line in text.lines() {
        if line.starts_with("Found ") || line.starts_with("JNI global") {
            break;
        }
        let thread = line.strip_prefix('"').filter(|l| l.contains(" tid=") && l.contains(" nid="));
        if let Some((name, rest)) = thread.and_then(|l| l.rsplit_once("\" ")) {
            reading = true;
            out.push(Printed {
                name: name.to_owned(),
                address: number(after(rest, "tid=").unwrap()),
                native: u32::try_from(number(after(rest, "nid=").unwrap())).unwrap(),
                ..Printed::default()
            });
            continue;
        }
        let line = line.trim();
        if line.starts_with("Locked ownable") {
            reading = false;
        }
        let Some(thread) = out.last_mut().filter(|_| reading) else { continue };
        if let Some(frame) = line.strip_prefix("at ") {
            thread.frames.push(place(frame));
        } else if let Some((words, object)) = line.strip_prefix("- ").and_then(|l| l.split_once('<'))
            && let Some(object) = object.split('>').next().filter(|o| o.starts_with("0x"))
        {
            thread.locks.push((words.trim().to_owned(), number(object)));
        }
    }
    out
}

fn text(frame: &ScriptFrame) -> String {
    let place = match (&frame.file, frame.line) {
        _ if frame.kind.word() == "native" => "Native Method".to_owned(),
        (Some(file), Some(line)) => format!("{file}:{line}"),
        (Some(file), None) => file.clone(),
        (None, _) => "Unknown Source".to_owned(),
    };
    format!("{}({place})", frame.function)
}

/// The dumps with their truth; `None` without `shared/java`.
fn cases(test: &str) -> Option<Vec<(String, PathBuf, Vec<Printed>)>> {
    let Some((dumps, truth)) = dumpscope_tests::java_dumps() else {
        assert!(std::env::var_os("DUMPSCOPE_REQUIRE_SHARED").is_none(), "{test}: no folder `shared/java`");
        eprintln!("{test}: skipped, there is no folder `shared/java` beside the checkout");
        return None;
    };
    let mut paths: Vec<_> = std::fs::read_dir(dumps).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    let case = |path: PathBuf| {
        let name = path.file_stem()?.to_str()?.to_owned();
        let text = std::fs::read_to_string(truth.join(&name).join("jstack.txt")).ok()?;
        Some((name, path, printed(&text)))
    };
    Some(paths.into_iter().filter_map(case).collect())
}

fn java(lab: &Lab) -> &Arc<dyn Reader> {
    let reader = lab.readers.iter().find(|r| r.runtime().name == "Java").expect("a Java runtime");
    assert!(reader.runtime().readable, "{:?}", reader.runtime());
    reader
}

fn open(path: &Path) -> Lab {
    Lab::open(path)
}

#[test]
fn frames_of_all_threads_are_the_vms_own() {
    let Some(cases) = cases("frames_of_all_threads_are_the_vms_own") else { return };
    let mut wrong = Vec::new();
    for (name, path, truth) in cases {
        let lab = open(&path);
        let reader = java(&lab);
        let (mut threads, mut equal, mut frames, mut right) = (0, 0, 0, 0);
        for wanted in truth.iter().filter(|t| t.stood_still()) {
            let Some(got) = reader.threads().iter().find(|t| t.address.0 == wanted.address) else {
                // Threads of the VM itself are no Java threads and have no frames.
                if !wanted.frames.is_empty() {
                    wrong.push(format!("{name}: no thread {}", wanted.name));
                }
                continue;
            };
            assert_eq!(got.name.as_deref(), Some(wanted.name.as_str()), "{name}");
            assert_eq!(got.tid, Some(Tid(wanted.native)), "{name} {}", wanted.name);
            let stack = lab.walk(wanted.native);
            let script = reader.frames(Walked { tid: Tid(wanted.native), frames: &stack });
            let script: Vec<_> = script.iter().map(text).collect();
            threads += 1;
            frames += wanted.frames.len();
            right += script.iter().rev().zip(wanted.frames.iter().rev()).filter(|(a, b)| a == b).count();
            if script == wanted.frames {
                equal += 1;
            } else {
                wrong.push(format!(
                    "{name} {}\n  got {script:#?}\n  wanted {:#?}",
                    wanted.name, wanted.frames
                ));
            }
        }
        eprintln!("{name}: threads equal to jstack {equal} of {threads}, frames {right} of {frames}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The word that jstack uses for what a lock's line says.
fn is_held(words: &str) -> bool {
    words == "locked" || words.starts_with("waiting to re-lock")
}

#[test]
fn locks_and_waits_are_the_vms_own() {
    let Some(cases) = cases("locks_and_waits_are_the_vms_own") else { return };
    let mut wrong = Vec::new();
    for (name, path, truth) in cases {
        let lab = open(&path);
        let reader = java(&lab);
        let stacks = lab.stacks();
        let walked = crate::common::walked(&stacks);
        let (waits, locks) = (reader.waits(&walked), reader.locks(&walked));
        let (mut all, mut right, mut held, mut held_right) = (0, 0, 0, 0);
        for thread in truth.iter().filter(|t| t.stood_still()) {
            let wait = waits.iter().find(|w| w.tid == Tid(thread.native));
            for (words, object) in &thread.locks {
                let monitor_waited = thread.locks.iter().any(|(w, o)| w == "waiting on" && o == object);
                if is_held(words) && !monitor_waited {
                    held += 1;
                    let lock = locks.iter().find(|l| l.address.0 == *object);
                    let owned =
                        lock.is_some_and(|l| l.owners.iter().any(|o| o.tid == Some(Tid(thread.native))));
                    held_right += u32::from(owned);
                    if !owned {
                        wrong.push(format!("{name} {}: {words} {object:x}: {lock:?}", thread.name));
                    }
                } else if !is_held(words) {
                    all += 1;
                    let same = wait.is_some_and(|w| w.object.map(|o| o.0) == Some(*object));
                    right += u32::from(same);
                    if !same {
                        wrong.push(format!("{name} {}: {words} {object:x}: {wait:?}", thread.name));
                    }
                }
            }
        }
        eprintln!("{name}: waits {right} of {all}, held monitors {held_right} of {held}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The dump of that name.
fn lab(cases: &[(String, PathBuf, Vec<Printed>)], name: &str) -> Lab {
    open(&cases.iter().find(|(n, _, _)| n == name).unwrap_or_else(|| panic!("no {name}")).1)
}

/// What the programs do: thread, kind of wait, class of its object, the thread that holds it or is waited for.
const WAITS: &[(&str, &str, WaitKind, &str, Option<&str>)] = &[
    ("SyncDeadlock-17", "payer-1", WaitKind::Monitor, "SyncDeadlock$Account", Some("payer-2")),
    ("SyncDeadlock-21", "payer-2", WaitKind::Monitor, "SyncDeadlock$Account", Some("payer-1")),
    ("SyncDeadlock-25", "payer-1", WaitKind::Monitor, "SyncDeadlock$Account", Some("payer-2")),
    ("SyncDeadlock-25", "main", WaitKind::Thread, "java.lang.Thread", Some("payer-1")),
    ("LockDeadlock-17", "lock-A", WaitKind::ScriptLock, "ReentrantLock$FairSync", Some("lock-B")),
    ("LockDeadlock-25", "lock-B", WaitKind::ScriptLock, "ReentrantLock$NonfairSync", Some("lock-A")),
    (
        "LockDeadlock-25",
        "reader-R",
        WaitKind::ScriptLock,
        "ReentrantReadWriteLock$NonfairSync",
        Some("writer-W"),
    ),
    ("NativeBlock-25", "main", WaitKind::Monitor, "java.lang.Object", Some("java-then-cs")),
    ("ReadHolding-25", "user-1", WaitKind::Monitor, "ReadHolding$Cache", Some("main")),
    ("PoolStarve-17", "cf-joiner", WaitKind::Task, "CompletableFuture$Signaller", None),
    ("PoolStarve-17", "pool-1-thread-1", WaitKind::Task, "FutureTask", None),
    ("HotBlock-21", "hot-lock", WaitKind::ScriptLock, "ReentrantLock$NonfairSync", Some("main")),
    ("HotBlock-21", "hot-wait", WaitKind::MonitorWait, "java.lang.Object", None),
    ("VPinned-25", "ForkJoinPool-1-worker-1", WaitKind::Idle, "ForkJoinPool", None),
];

#[test]
fn waits_say_who_holds_what() {
    let Some(cases) = cases("waits_say_who_holds_what") else { return };
    for (dump, thread, kind, class, holder) in WAITS {
        let lab = lab(&cases, dump);
        let reader = java(&lab);
        let stacks = lab.stacks();
        let walked = crate::common::walked(&stacks);
        let named = |name: &str| reader.threads().iter().find(|t| t.name.as_deref() == Some(name));
        let waits = reader.waits(&walked);
        let wait = waits.iter().find(|w| Some(w.tid) == named(thread).unwrap().tid).unwrap();
        assert_eq!(wait.kind, *kind, "{dump} {thread}: {wait:?}");
        assert!(wait.object_type.as_ref().unwrap().ends_with(class), "{dump} {thread}: {wait:?}");
        let locks = reader.locks(&walked);
        let lock = locks.iter().find(|l| Some(l.address) == wait.object && *kind != WaitKind::MonitorWait);
        let owner = lock.and_then(|l| l.owners.first()?.tid).or(wait.target);
        assert_eq!(owner, holder.and_then(|h| named(h).unwrap().tid), "{dump} {thread}: {wait:?} {lock:?}");
    }
}

#[test]
fn virtual_threads_that_do_not_run_have_frames() {
    let Some(cases) = cases("virtual_threads_that_do_not_run_have_frames") else { return };
    let lab = lab(&cases, "VPinned-25");
    let reader = java(&lab);
    let threads: Vec<_> = reader.threads().iter().filter(|t| t.tid.is_none()).collect();
    let names: Vec<_> = threads.iter().map(|t| t.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["v-holder", "v-parked", "v-want-0", "v-want-1", "v-want-2"]);
    for thread in threads {
        assert!(thread.state.contains(&"unmounted"), "{thread:?}");
        let frames: Vec<_> = reader.frames_at(thread.address).iter().map(text).collect();
        let own = match thread.name.as_deref().unwrap() {
            "v-holder" => "VPinned.hold(VPinned.java:5)",
            "v-parked" => "VPinned.lambda$main$0(VPinned.java:11)",
            _ => "VPinned.want(VPinned.java:6)",
        };
        assert!(frames.iter().any(|f| f == own), "{thread:?}: {frames:#?}");
        assert!(frames.iter().any(|f| f.starts_with("java.lang.VirtualThread.run(")), "{frames:#?}");
    }
}

/// Memory that is not what it was; counts what is read of it.
struct Broken {
    inner: Arc<dyn ReadMemory>,
    /// Words by address.
    words: BTreeMap<u64, u64>,
    reads: AtomicU64,
    pages: Mutex<BTreeSet<u64>>,
}

impl ReadMemory for Broken {
    fn read_at(&self, va: Va, buf: &mut [u8]) -> Read {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.pages.lock().unwrap().insert(va.0 >> 12);
        let read = self.inner.read_at(va, buf);
        let end = va.0.saturating_add(read.got as u64);
        for (at, word) in self.words.range(va.0.saturating_sub(7)..end) {
            for (i, byte) in word.to_le_bytes().iter().enumerate() {
                let place = at.wrapping_add(i as u64).checked_sub(va.0).and_then(|p| usize::try_from(p).ok());
                if let Some(slot) = place.and_then(|p| buf.get_mut(..read.got)?.get_mut(p)) {
                    *slot = *byte;
                }
            }
        }
        read
    }

    fn next_readable(&self, va: Va) -> Option<Va> {
        self.inner.next_readable(va)
    }
}

fn next(seed: &mut u64) -> u64 {
    // xorshift64
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// Asks everything.
fn ask(lab: &Lab, memory: &Arc<Broken>) {
    let memory: Arc<dyn ReadMemory> = Arc::clone(memory) as Arc<dyn ReadMemory>;
    let (modules, threads) = (lab.process.modules.clone(), lab.process.threads.clone());
    let process = Arc::new(Process::new(memory, modules, threads, Machine::Amd64));
    for reader in find(&process) {
        let walked: Vec<_> = process.threads.iter().map(|t| Walked { tid: t.tid, frames: &[] }).collect();
        for stack in &walked {
            let frames = reader.frames(*stack);
            for frame in frames {
                let code = reader.code().unwrap();
                let _ = (code.rule_at(frame.ip), code.method_at(frame.ip));
            }
        }
        for thread in reader.threads() {
            let _ = reader.frames_at(thread.address);
        }
        if let Some(jvm) = reader.jvm() {
            let _ = (jvm.jvm_threads(&walked), jvm.synchronizers(), reader.detached_waits());
        }
        let waits = reader.waits(&walked);
        assert!(waits.len() <= reader.threads().len());
        assert!(reader.locks(&walked).iter().all(|l| l.kind != LockKind::Monitor));
    }
}

#[test]
fn broken_memory_neither_panics_nor_takes_long() {
    let Some(cases) = cases("broken_memory_neither_panics_nor_takes_long") else { return };
    for (name, runs) in [("SyncDeadlock-17", 30u64), ("HotBlock-21", 30), ("VPinned-25", 30)] {
        let runs = crate::common::mutants().unwrap_or(runs);
        let lab = lab(&cases, name);
        let broken = |words| {
            let inner = Arc::clone(&lab.process.memory);
            Arc::new(Broken { inner, words, reads: AtomicU64::new(0), pages: Mutex::default() })
        };
        let clean = broken(BTreeMap::new());
        ask(&lab, &clean);
        let usual = clean.reads.load(Ordering::Relaxed);
        let pages: Vec<u64> = clean.pages.lock().unwrap().iter().copied().collect();
        // Most of them aim at what the VM and the program wrote, not at the VM's tables.
        let in_module = |p: &u64| lab.process.module_at(Va(p << 12)).is_some();
        let (_, own): (Vec<u64>, Vec<u64>) = pages.iter().partition(|p| in_module(p));
        let mut most = 0;
        for run in 0..runs {
            let pages = if run % 5 == 0 { &pages } else { &own };
            let mut seed = 0x9e37_79b9_7f4a_7c15 ^ (run + 1);
            let mut words = BTreeMap::new();
            for _ in 0..1 + run % 3 {
                let page = pages[usize::try_from(next(&mut seed) % pages.len() as u64).unwrap()] << 12;
                // A few words, or most of a page.
                let count = if run % 2 == 0 { 16 } else { 400 };
                for _ in 0..count {
                    let at = page + next(&mut seed) % 512 * 8;
                    let other = pages[usize::try_from(next(&mut seed) % pages.len() as u64).unwrap()] << 12;
                    let word = match next(&mut seed) % 6 {
                        0 => 0,
                        1 => u64::MAX,
                        2 => next(&mut seed),
                        3 => next(&mut seed) % 300,
                        4 => 0x7fff_ffff_8000_0000,
                        _ => other + next(&mut seed) % 512 * 8,
                    };
                    words.insert(at, word);
                }
            }
            let memory = broken(words);
            let done = catch_unwind(AssertUnwindSafe(|| ask(&lab, &memory)));
            assert!(done.is_ok(), "{name}: run {run}");
            let reads = memory.reads.load(Ordering::Relaxed);
            most = most.max(reads);
            assert!(reads < usual * 20, "{name}: run {run} reads {reads} times, usually {usual}");
        }
        eprintln!("{name}: {runs} broken memories, {usual} reads usually, {most} at most");
    }
}
