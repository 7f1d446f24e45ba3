//! .NET dumps from the outside: the one stack, locks, exceptions and verdicts of the triage document, against two
//! recorded oracles and against what the programs say of themselves.

use crate::core_common::Random;
use dumpscope_analyzers::facts::Case;
use dumpscope_analyzers::model::Confidence;
use dumpscope_analyzers::triage::run_rules;
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::model::Dump;
use dumpscope_engine::batch::triage_target;
use dumpscope_symbols::SymbolConfig;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn dumps_or_skip(test: &str) -> Option<(PathBuf, PathBuf)> {
    let found = dumpscope_tests::dotnet_dumps();
    if found.is_none() {
        assert!(std::env::var_os("DUMPSCOPE_REQUIRE_SHARED").is_none(), "{test}: no folder `shared/dotnet`");
        eprintln!("{test}: skipped, there is no folder `shared/dotnet` beside the checkout");
    }
    found
}

/// The row of the triage document.
fn row_of(path: &Path) -> Value {
    let target = Target::new(Dump::open(path).unwrap(), SymbolConfig::default());
    let row = triage_target("x.dmp", &target, &Cancel::default());
    serde_json::to_value(row).unwrap()
}

/// What a dump's verdict must be: kind, class, thread by name (`""`: any), words of the summary, signature.
type Truth = (&'static str, &'static str, &'static str, &'static [&'static str], &'static str);

/// What the programs say of themselves (`truth/NAME.txt`).
const VERDICTS: &[(&str, Truth)] = &[
    (
        "mon2-10",
        (
            "deadlock",
            "deadlock",
            "",
            &["\"payer\"", "\"saver\"", "System.Object", "Lab.Program.Transfer"],
            "hang:deadlock|Lab.Program.Transfer|Lab.Program.Transfer",
        ),
    ),
    (
        "mon2-8",
        (
            "deadlock",
            "deadlock",
            "",
            &["\"payer\"", "\"saver\"", "System.Object", "Lab.Program.Transfer"],
            "hang:deadlock|Lab.Program.Transfer|Lab.Program.Transfer",
        ),
    ),
    (
        "pinvoke-10",
        (
            "deadlock",
            "deadlock",
            "",
            &["\"managed-first\"", "\"native-first\"", "critical section", "Lab.Account"],
            "hang:deadlock|Lab.Program.Do_pinvoke.lambda|Lab.Program.Do_pinvoke.lambda",
        ),
    ),
    (
        "soa-10",
        (
            "deadlock",
            "sync_over_async",
            "ui",
            &["\"ui\"", "Lab.Program.Page", "Lab.Program.Click"],
            "hang:sync_over_async|Lab.Program.Click",
        ),
    ),
    (
        "starve-10",
        (
            "waiting",
            "pool_starvation",
            ".NET TP Worker",
            &["8 workers", "Lab.Program.Handle"],
            "hang:pool_starvation|Lab.Program.Handle|task",
        ),
    ),
    (
        "gc-10",
        (
            "waiting",
            "gc_suspension",
            "no-transition",
            &["\"no-transition\"", "\"allocator\"", "Lab.Program.Do_gc"],
            "hang:gc_suspension|Lab.Program.Do_gc.lambda|sleep",
        ),
    ),
    (
        "async-10",
        (
            "waiting",
            "never_completed",
            "",
            &["Lab.Program.Outer", "Lab.Program.Middle", "Lab.Program.Deepest"],
            "hang:never_completed|Lab.Program.Do_async|task",
        ),
    ),
    (
        "custom-10",
        (
            "crash",
            "crash",
            "",
            &[
                "Lab.OrderException",
                "order 4711 cannot be read",
                "Lab.Program.Validate",
                "System.FormatException",
            ],
            "crash:Lab.OrderException|Lab.Program.Validate",
        ),
    ),
    (
        "custom-8",
        (
            "crash",
            "crash",
            "",
            &[
                "Lab.OrderException",
                "order 4711 cannot be read",
                "Lab.Program.Validate",
                "System.FormatException",
            ],
            "crash:Lab.OrderException|Lab.Program.Validate",
        ),
    ),
    ("idle-10", ("idle", "idle", "", &[], "")),
    (
        "frames-10",
        (
            "waiting",
            "waiting",
            "frames",
            &["\"frames\"", "System.Threading.ManualResetEvent", "Inner.Wait"],
            "",
        ),
    ),
    (
        "frames-8",
        (
            "waiting",
            "waiting",
            "frames",
            &["\"frames\"", "System.Threading.ManualResetEvent", "Inner.Wait"],
            "",
        ),
    ),
    (
        "handled-10",
        (
            "waiting",
            "waiting",
            "catcher",
            &["\"catcher\"", "System.Threading.ManualResetEvent", "Lab.Program.Do_handled.lambda"],
            "",
        ),
    ),
];

/// Those of which nothing leaves no other reading.
const NOT_PROVEN: &[&str] =
    &["soa-10", "starve-10", "async-10", "idle-10", "frames-10", "frames-8", "handled-10"];

/// Found and wanted, for the printed score.
#[derive(Default)]
struct Score {
    right: usize,
    found: usize,
    wanted: usize,
}

impl Score {
    fn print(&self, what: &str) {
        let part = |of: usize| if of == 0 { 100.0 } else { 100.0 * self.right as f64 / of as f64 };
        eprintln!(
            "{what:<12} precision {:5.1} % ({} of {}), recall {:5.1} % (of {})",
            part(self.found),
            self.right,
            self.found,
            part(self.wanted),
            self.wanted
        );
    }
}

/// A method of SOS as documents name it: without arguments and type arguments.
fn plain(method: &str) -> String {
    let (mut out, mut depth) = (String::new(), 0);
    for c in method.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            '(' if depth == 0 => break,
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

/// Stacks as SOS prints them: thread, then stack pointers and methods.
fn sos_stacks(text: &str) -> Vec<(u64, Vec<(u64, String)>)> {
    let mut out: Vec<(u64, Vec<(u64, String)>)> = Vec::new();
    for line in text.lines() {
        if let Some(id) = line.strip_prefix("OS Thread Id: 0x") {
            out.push((u64::from_str_radix(id.split_whitespace().next().unwrap(), 16).unwrap(), Vec::new()));
            continue;
        }
        let Some((sp, rest)) = line.split_once(' ').filter(|(sp, _)| sp.len() == 16) else { continue };
        let (Ok(sp), Some((_, method))) = (u64::from_str_radix(sp, 16), rest.split_once(' ')) else {
            continue;
        };
        if let Some((_, frames)) = out.last_mut().filter(|_| !method.starts_with('[')) {
            frames.push((sp, plain(method)));
        }
    }
    out
}

fn hex(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap_or("0x0").trim_start_matches("0x"), 16).unwrap()
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

/// The whole document of every shared dump against both oracles and the programs' own words, with precision and recall.
#[test]
fn documents_are_the_oracles_and_verdicts_the_programs() {
    let Some((dumps, truth)) = dumps_or_skip("documents_are_the_oracles_and_verdicts_the_programs") else {
        return;
    };
    let (mut frames, mut owners, mut waiters, mut exceptions, mut verdicts) =
        (Score::default(), Score::default(), Score::default(), Score::default(), Score::default());
    let mut wrong = Vec::new();
    for (name, wanted) in VERDICTS {
        let row = row_of(&dumps.join(format!("{name}.dmp")));
        let sos = std::fs::read_to_string(truth.join(format!("{name}.sos.txt"))).unwrap();
        let oracle: Value =
            serde_json::from_slice(&std::fs::read(truth.join(format!("{name}.json"))).unwrap()).unwrap();
        let threads = list(&row, "threads");
        let thread = |tid: u64| threads.iter().find(|t| t["tid"].as_u64() == Some(tid));
        for (tid, stack) in sos_stacks(&sos) {
            let Some(t) = thread(tid) else { continue };
            let got: Vec<_> = list(t, "script_frames")
                .iter()
                .map(|f| (hex(&f["sp"]), f["function"].as_str().unwrap().to_owned()))
                .collect();
            // SOS shows nothing of a call that has no transition frame.
            let got = if stack.is_empty() { Vec::new() } else { got };
            let right = got.iter().zip(&stack).filter(|(a, b)| a == b).count();
            frames.right += right;
            frames.found += got.len();
            frames.wanted += stack.len();
            if got != stack {
                wrong.push(format!("{name} {tid:x}: {got:#?}\n{stack:#?}"));
            }
            // The machine frames hold the same methods, in the same order.
            let machine: BTreeSet<_> = list(t, "frames")
                .iter()
                .map(|f| (hex(&f["sp"]), f["function"].as_str().unwrap_or("").to_owned()))
                .collect();
            if let Some(missing) = got.iter().find(|f| !machine.contains(f)) {
                wrong.push(format!("{name} {tid:x}: no machine frame {missing:?}"));
            }
        }
        let held = list(&oracle, "syncblocks").iter().filter(|s| s["held"] == true);
        let mine: Vec<_> = list(&row, "locks")
            .iter()
            .filter(|l| l["kind"] == "monitor" && !l["owner_tid"].is_null())
            .collect();
        owners.found += mine.len();
        for s in held {
            owners.wanted += 1;
            let by =
                list(&oracle, "threads").iter().find(|t| t["address"] == s["owner"]).map(|t| hex(&t["os"]));
            let lock = mine.iter().find(|l| hex(&l["address"]) == hex(&s["obj"]));
            let right = lock.is_some_and(|l| {
                l["owner_tid"].as_u64() == by
                    && l["recursion"] == s["recursion"]
                    && l["object_type"] == s["type"]
            });
            owners.right += usize::from(right);
            let count = lock.map_or(0, |l| list(l, "waiters").len());
            waiters.found += count;
            if s["waiting"] != 1000 {
                let wanted = usize::try_from(s["waiting"].as_u64().unwrap()).unwrap();
                waiters.wanted += wanted;
                waiters.right += wanted.min(count);
            }
            if !right {
                wrong.push(format!("{name}: lock {s}: {lock:?}"));
            }
        }
        // The current exception of each thread.
        for t in list(&oracle, "threads").iter().filter(|t| !t["exception"].is_null()) {
            exceptions.wanted += 1;
            let e = list(&row, "script_exceptions").iter().find(|e| e["tid"].as_u64() == Some(hex(&t["os"])));
            exceptions.found += usize::from(e.is_some());
            let w = &t["exception"];
            let same = |e: &&Value| {
                e["type"] == w["type"]
                    && hex(&e["hresult"]) == hex(&w["hresult"])
                    && e["message"] == w["message"]
            };
            let right = e.is_some_and(|e| same(&e));
            exceptions.right += usize::from(right);
            if !right {
                wrong.push(format!("{name}: exception {w}: {e:?}"));
            }
        }
        let (kind, class, of, words, signature) = wanted;
        let v = &row["verdict"];
        let summary = v["summary"].as_str().unwrap();
        let named = v["tid"]
            .as_u64()
            .and_then(thread)
            .and_then(|t| t["script_thread"]["name"].as_str())
            .unwrap_or("");
        let proven = v["confidence"] == "proven";
        let fits = v["kind"] == *kind
            && v["class"] == *class
            && (of.is_empty() || named == *of)
            && words.iter().all(|w| summary.contains(w))
            && proven != NOT_PROVEN.contains(name)
            && (signature.is_empty() || row["signature"] == *signature);
        verdicts.wanted += 1;
        verdicts.found += 1;
        verdicts.right += usize::from(fits);
        eprintln!(
            "{name}: {} {} {}: {summary} [{}]",
            v["kind"], v["class"], v["confidence"], row["signature"]
        );
        if !fits {
            wrong.push(format!("{name}: {v:#} {}", row["signature"]));
        }
    }
    frames.print("frames");
    owners.print("owners");
    waiters.print("waiters");
    exceptions.print("exceptions");
    verdicts.print("verdicts");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(frames.wanted > 150 && owners.wanted >= 5 && exceptions.wanted >= 3);
}

/// The runtime's own small dump of a death: no exception stream, no data of the runtime. Nothing is proven by it.
#[test]
fn a_dump_without_the_runtime_proves_nothing() {
    let Some((dumps, _)) = dumps_or_skip("a_dump_without_the_runtime_proves_nothing") else { return };
    let row = row_of(&dumps.join("custom-10-createdump-mini.dmp"));
    let runtime = &row["runtimes"][0];
    assert_eq!((&runtime["name"], &runtime["readable"]), (&Value::from(".NET"), &Value::from(false)));
    assert!(
        runtime["version"].as_str().is_some_and(|v| v.starts_with("10.0")) && runtime["why"].is_string(),
        "{runtime}"
    );
    let v = &row["verdict"];
    assert!(v["confidence"] == "guess" && (v["kind"] == "crash" || v["kind"] == "unknown"), "{v}");
    assert_eq!(row["exception"], Value::Null);
}

/// Damaged bytes where the reader looks: no panic, and an answer. More of them: `cargo run --release -p dumpscope-tests
/// --example runtime-mutants -- dotnet`.
#[test]
fn damaged_runtime_data_are_survived() {
    let Some((dumps, _)) = dumps_or_skip("damaged_runtime_data_are_survived") else { return };
    let bytes = std::fs::read(dumps.join("mon2-10.dmp")).unwrap();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..4 {
        let mut broken = bytes.clone();
        for _ in 0..4000 {
            // Runtime data are words: whole ones are changed, in the part of the file that is memory.
            let at = (broken.len() / 8 + random.below(broken.len() * 7 / 8 - 16)) & !7;
            let value = match random.below(4) {
                0 => 0,
                1 => u64::MAX,
                2 => random.next() & 0x7fff_ffff_fff8,
                _ => random.next(),
            };
            if let Some(word) = broken.get_mut(at..at + 8) {
                word.copy_from_slice(&value.to_le_bytes());
            }
        }
        let Ok(dump) = Dump::from_bytes(broken) else { continue };
        let target = Target::new(dump, SymbolConfig::default());
        let facts = target.facts(&Cancel::default());
        let case = Case { target: &target, facts: &facts };
        let found = run_rules(&case);
        assert!(found.warnings.is_empty(), "{:?}", found.warnings);
        assert!(found.findings.iter().all(|f| f.confidence <= Confidence::Proven));
    }
}
