//! Ruby against its own backtraces, recorded beside the shared dumps.

use crate::common::Lab;
use dumpscope_core::base::{Provenance, Read};
use dumpscope_core::{ReadMemory, Tid, Va};
use dumpscope_runtimes::{
    FrameKind, LockKind, NativeThread, Process, Proof, Reader, ScriptLock, ScriptWait, Walked, find,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Dumps and their truths.
const DUMPS: &[(&str, &str, &str)] = &[
    ("ruby31s-deadlock-trim", "ruby31s-deadlock", "exports, layout 3.1"),
    ("ruby31s-ole-trim", "ruby31s-ole", "exports, layout 3.1"),
    ("ruby31x86s-ole-trim", "ruby31x86s-ole", "exports, layout 3.1"),
];

/// The shared folder; without it says that `test` is skipped, or fails when it is required.
fn shared_or_skip(test: &str) -> Option<PathBuf> {
    let found = dumpscope_tests::shared().map(|s| s.join("ruby")).filter(|s| s.is_dir());
    if found.is_none() {
        assert!(std::env::var_os("DUMPSCOPE_REQUIRE_SHARED").is_none(), "{test}: no folder `shared/ruby`");
        eprintln!("{test}: skipped, there is no folder `shared/ruby` beside the checkout");
    }
    found
}

fn open(test: &str, name: &str) -> Option<(Lab, PathBuf)> {
    let shared = shared_or_skip(test)?;
    Some((Lab::open(&shared.join(format!("{name}.dmp.zst"))), shared))
}

/// A thread as Ruby says of itself.
#[derive(Default)]
struct Truth {
    tid: u32,
    name: Option<String>,
    main: bool,
    frames: Vec<String>,
}

fn truths(text: &str) -> Vec<Truth> {
    let mut all: Vec<Truth> = Vec::new();
    for line in text.lines() {
        if let Some(frame) = line.strip_prefix("  ") {
            all.last_mut().unwrap().frames.push(frame.to_owned());
        } else if line.starts_with("thread ") {
            let (_, native) = line.rsplit_once("native=").unwrap();
            let tid = native.split(' ').next().unwrap().parse().unwrap();
            let (_, name) = line.split_once(" name=").unwrap();
            let name = name.strip_prefix('"').and_then(|n| n.split('"').next()).map(str::to_owned);
            all.push(Truth { tid, name, main: native.ends_with(" main"), frames: Vec::new() });
        }
    }
    all
}

fn frames(reader: &dyn Reader, tid: u32) -> Vec<dumpscope_runtimes::ScriptFrame> {
    reader.frames(Walked { tid: Tid(tid), frames: &[] })
}

#[test]
fn frames_of_all_threads_are_rubys_own() {
    for (dump, truth, how) in DUMPS {
        let Some((lab, shared)) = open("frames_of_all_threads_are_rubys_own", dump) else { return };
        let [reader] = lab.readers.as_slice() else { panic!("{dump}: {:?}", lab.readers) };
        let runtime = reader.runtime();
        assert!(runtime.readable, "{dump}: {runtime:?}");
        assert_eq!((runtime.version.as_deref(), runtime.how.as_str()), (Some("3.1.2"), *how), "{dump}");
        let truths = truths(&std::fs::read_to_string(shared.join(format!("{truth}.txt"))).unwrap());
        let (mut right, mut all) = (0, 0);
        for truth in &truths {
            let thread = reader.threads().iter().find(|t| t.tid == Some(Tid(truth.tid))).unwrap();
            assert_eq!(thread.name, truth.name, "{dump}");
            assert_eq!(thread.state.contains(&"main"), truth.main, "{dump}: {thread:?}");
            let got: Vec<_> = frames(reader.as_ref(), truth.tid).into_iter().map(|f| f.full).collect();
            all += truth.frames.len();
            right += got.iter().rev().zip(truth.frames.iter().rev()).filter(|(a, b)| a == b).count();
            assert_eq!(got, truth.frames, "{dump} {}", truth.tid);
        }
        assert_eq!(reader.threads().iter().filter(|t| t.tid.is_some()).count(), truths.len(), "{dump}");
        eprintln!("{dump}: {} threads, frames right {right} of {all}", truths.len());
    }
}

/// Locks, waits and names of a dump.
fn facts(lab: &Lab) -> (Vec<ScriptLock>, Vec<ScriptWait>, BTreeMap<Tid, String>) {
    let reader = lab.readers.first().unwrap();
    let name = |t: &dumpscope_runtimes::ScriptThread| {
        Some((t.tid?, t.name.clone().unwrap_or_else(|| "main".to_owned())))
    };
    (reader.locks(&[]), reader.waits(&[]), reader.threads().iter().filter_map(name).collect())
}

/// What the threads of a dump wait for: name, kind, class of the object, owner of the lock.
fn waits(lab: &Lab) -> BTreeSet<(String, &'static str, String, String)> {
    let (locks, waits, names) = facts(lab);
    let one = |w: &ScriptWait| {
        assert_eq!(w.proof, Proof::Record, "{w:?}");
        let lock = locks.iter().find(|l| Some(l.address) == w.object);
        let owner = lock.and_then(|l| names.get(&l.owners.first()?.tid?)).cloned();
        let object = w.object_type.clone().unwrap_or_default();
        (names[&w.tid].clone(), w.kind.word(), object, owner.unwrap_or_default())
    };
    waits.iter().map(one).collect()
}

fn wanted(rows: &[[&'static str; 4]]) -> BTreeSet<(String, &'static str, String, String)> {
    rows.iter().map(|[a, b, c, d]| ((*a).to_owned(), *b, (*c).to_owned(), (*d).to_owned())).collect()
}

#[test]
fn two_crossed_mutexes_are_named_with_both_threads() {
    let Some((lab, _)) = open("two_crossed_mutexes_are_named_with_both_threads", DUMPS[0].0) else { return };
    let want = wanted(&[
        ["main", "script_lock", "Mutex", "deadlock-peer"],
        ["deadlock-peer", "script_lock", "Mutex", "main"],
        ["lock-waiter", "script_lock", "Mutex", "lock-holder"],
        ["lock-holder", "sleep", "", ""],
        ["splay-timer", "sleep", "", ""],
        ["event-dispatcher", "worker_idle", "Queue", ""],
    ]);
    assert_eq!(waits(&lab), want);
    let (locks, ..) = facts(&lab);
    let mutexes = locks.iter().filter(|l| l.kind == LockKind::RubyMutex);
    assert!(mutexes.clone().all(|l| l.waiting <= 1 && l.owners.len() == 1), "{locks:?}");
    assert_eq!(mutexes.filter(|l| l.waiting == 1).count(), 3);
    let gvl = locks.iter().find(|l| l.kind == LockKind::Gvl).unwrap();
    assert!(gvl.owners.is_empty() && gvl.waiting == 0, "{gvl:?}");
}

#[test]
fn a_com_call_holds_the_global_lock() {
    for (dump, handle) in [(DUMPS[1].0, 0x60), (DUMPS[2].0, 0x60)] {
        let Some((lab, _)) = open("a_com_call_holds_the_global_lock", dump) else { return };
        let want = wanted(&[
            // By Ruby's record; that its sleep is over and it waits for the lock only its handle says.
            ["splay-timer", "sleep", "", ""],
            ["lock-waiter", "script_lock", "Mutex", "lock-holder"],
            ["lock-holder", "sleep", "", ""],
            ["event-dispatcher", "worker_idle", "Queue", ""],
        ]);
        assert_eq!(waits(&lab), want, "{dump}");
        let reader = lab.readers.first().unwrap();
        let main = reader.threads().iter().find(|t| t.state.contains(&"main")).unwrap();
        assert_eq!(main.state, ["main", "runnable"]);
        let (locks, ..) = facts(&lab);
        let gvl = locks.iter().find(|l| l.kind == LockKind::Gvl).unwrap();
        assert_eq!(gvl.owners.first().and_then(|o| o.tid), main.tid, "{gvl:?}");
        assert_eq!(reader.global_lock_handle(), Some(handle), "{dump}");
        let top = frames(reader.as_ref(), main.tid.unwrap().0).into_iter().next().unwrap();
        assert_eq!((top.function.as_str(), top.line, top.kind), ("each", Some(11), FrameKind::Native));
        assert!(top.file.unwrap().ends_with("/ohai_plugin.rb"));
    }
}

/// Memory with some words changed, that says which were read.
struct Changed {
    inner: Arc<dyn ReadMemory>,
    words: BTreeMap<u64, u64>,
    read: Mutex<BTreeSet<u64>>,
}

impl ReadMemory for Changed {
    fn read_at(&self, va: Va, buf: &mut [u8]) -> Read {
        self.read.lock().unwrap().insert(va.0 & !7);
        let read = self.inner.read_at(va, buf);
        let end = va.0.saturating_add(read.got as u64);
        for (at, word) in self.words.range(va.0.saturating_sub(7)..end) {
            for (i, byte) in word.to_le_bytes().iter().enumerate() {
                let place = (at + i as u64).checked_sub(va.0).filter(|p| *p < read.got as u64);
                if let Some(place) = place.and_then(|p| buf.get_mut(usize::try_from(p).unwrap())) {
                    *place = *byte;
                }
            }
        }
        Read { got: read.got, provenance: Provenance::Dump }
    }

    fn next_readable(&self, va: Va) -> Option<Va> {
        self.inner.next_readable(va)
    }
}

fn changed(lab: &Lab, words: BTreeMap<u64, u64>) -> (Arc<Changed>, Vec<Arc<dyn Reader>>) {
    let memory = Arc::new(Changed { inner: lab.process.memory.clone(), words, read: Mutex::default() });
    let threads: Vec<NativeThread> = lab.process.threads.clone();
    let process = Process::new(memory.clone(), lab.process.modules.clone(), threads, lab.process.machine);
    (memory, find(&Arc::new(process)))
}

/// All that a reader is asked; how many frames it gave.
fn ask(readers: &[Arc<dyn Reader>], tids: &[Tid]) -> usize {
    let mut frames = 0;
    for reader in readers {
        frames += tids.iter().map(|t| reader.frames(Walked { tid: *t, frames: &[] }).len()).sum::<usize>();
        frames += reader.threads().iter().map(|t| reader.frames_at(t.address).len()).sum::<usize>();
        tids.iter().for_each(|t| drop(reader.bottoms(*t)));
        reader.locks(&[]);
        reader.waits(&[]);
    }
    frames
}

/// A seeded sequence of words (the constants of Knuth's MMIX).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 ^ self.0 >> 29
    }
}

#[test]
fn no_changed_word_that_is_read_panics_or_hangs() {
    let test = "no_changed_word_that_is_read_panics_or_hangs";
    for (seed, (dump, ..)) in DUMPS.iter().enumerate() {
        let Some((lab, _)) = open(test, dump) else { return };
        let tids: Vec<_> = lab.process.threads.iter().map(|t| t.tid).collect();
        let (memory, readers) = changed(&lab, BTreeMap::new());
        let whole = ask(&readers, &tids);
        let read: Vec<u64> = memory.read.lock().unwrap().iter().copied().collect();
        let mut random = Random(seed as u64 + 1);
        let pick = |random: &mut Random| read[usize::try_from(random.next() % read.len() as u64).unwrap()];
        let (mut fewer, mut none) = (0, 0);
        let mutants = crate::common::mutants().unwrap_or(100);
        for _ in 0..mutants {
            let mut words = BTreeMap::new();
            for _ in 0..1 + random.next() % 24 {
                let value = match random.next() % 6 {
                    0 => 0,
                    1 => u64::MAX,
                    2 => random.next(),
                    3 => random.next() & 0xffff,
                    // Cycles and objects of another type.
                    _ => pick(&mut random),
                };
                words.insert(pick(&mut random), value);
            }
            let (_, readers) = changed(&lab, words);
            let frames = ask(&readers, &tids);
            fewer += u32::from(frames < whole);
            none += u32::from(frames == 0);
        }
        eprintln!("{dump}: {mutants} mutants, {fewer} with fewer frames, {none} with none");
        assert!(whole > 60 && fewer > 0);
    }
}
