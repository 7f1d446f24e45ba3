//! .NET against two oracles: Microsoft's ClrMD and SOS, recorded beside the shared dumps.

use crate::common::{Lab, dumps_or_skip, walked};
use dumpscope_core::Tid;
use dumpscope_runtimes::Walked;
use serde_json::Value;

fn hex(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().unwrap_or("0x0").trim_start_matches("0x"), 16).unwrap()
}

/// Threads of which the oracle shows less than there is: their call has no transition frame.
const MORE_THAN_THE_ORACLE: &[(&str, u32)] = &[("gc-10", 0)];

#[test]
fn frames_of_all_threads_are_the_oracles() {
    let Some((dumps, truth)) = dumps_or_skip("frames_of_all_threads_are_the_oracles") else { return };
    let (mut equal, mut all, mut extra) = (0, 0, 0);
    let (mut offsets, mut offsets_equal) = (0, 0);
    let mut wrong = Vec::new();
    for path in names(&truth) {
        let name = path.clone();
        let oracle: Value =
            serde_json::from_slice(&std::fs::read(truth.join(format!("{name}.json"))).unwrap()).unwrap();
        let lab = Lab::open(&dumps.join(format!("{name}.dmp")));
        let [reader] = lab.readers.as_slice() else { panic!("{name}: {:?}", lab.readers) };
        assert!(reader.runtime().readable, "{name}: {:?}", reader.runtime());
        for thread in oracle["threads"].as_array().unwrap() {
            let tid = u32::try_from(hex(&thread["os"])).unwrap();
            let wanted: Vec<_> = thread["frames"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|f| f["kind"] == "ManagedMethod")
                .map(|f| (f["method"].as_str().unwrap().to_owned(), hex(&f["sp"])))
                .collect();
            let frames = lab.walk(tid);
            let script = reader.frames(Walked { tid: Tid(tid), frames: &frames });
            for f in thread["frames"].as_array().unwrap().iter().filter(|f| f["kind"] == "ManagedMethod") {
                // The oracle says 0 where it looks at another body of the method.
                let Some(il) = f["il"].as_u64().filter(|il| *il != 0) else { continue };
                let mine = script.iter().find(|s| s.sp.0 == hex(&f["sp"]) && s.ip.0 == hex(&f["ip"]));
                let Some(mine) = mine else { continue };
                offsets += 1;
                let got = mine.place.and_then(|p| p.il_offset).map(u64::from);
                offsets_equal += u32::from(got == Some(il));
                if got != Some(il) {
                    eprintln!("{name} {} IL {il}, got {got:?}", mine.full);
                }
            }
            let got: Vec<_> = script.iter().map(|f| (f.full.clone(), f.sp.0)).collect();
            all += 1;
            if got == wanted {
                equal += 1;
            } else if MORE_THAN_THE_ORACLE.iter().any(|(n, _)| *n == name)
                && wanted.is_empty()
                && !got.is_empty()
            {
                extra += 1;
            } else {
                wrong.push(format!("{name} {tid:x}\n  got    {got:#?}\n  wanted {wanted:#?}"));
            }
        }
    }
    eprintln!("threads equal to the oracle: {equal} of {all}, right where it shows none: {extra}");
    eprintln!("IL offsets equal to the oracle where it says one: {offsets_equal} of {offsets}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(offsets > 100 && offsets_equal * 100 >= offsets * 95, "{offsets_equal} of {offsets}");
}

/// Names of the shared dumps that have an oracle.
fn names(truth: &std::path::Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(truth)
        .unwrap()
        .filter_map(|e| {
            e.unwrap().file_name().into_string().unwrap().strip_suffix(".json").map(str::to_owned)
        })
        .collect();
    names.sort();
    names
}

#[test]
fn threads_locks_and_exceptions_are_the_oracles() {
    let Some((dumps, truth)) = dumps_or_skip("threads_locks_and_exceptions_are_the_oracles") else { return };
    let (mut threads, mut locks, mut exceptions) = (0, 0, 0);
    for name in names(&truth) {
        let oracle: Value =
            serde_json::from_slice(&std::fs::read(truth.join(format!("{name}.json"))).unwrap()).unwrap();
        let lab = Lab::open(&dumps.join(format!("{name}.dmp")));
        let reader = lab.readers.first().unwrap();
        let by_address = |a: u64| reader.threads().iter().find(|t| t.address.0 == a);
        for wanted in oracle["threads"].as_array().unwrap() {
            let got = by_address(hex(&wanted["address"])).unwrap();
            assert_eq!(got.id, wanted["managed"].as_u64().unwrap(), "{name}");
            if wanted["alive"] == true {
                assert_eq!(u64::from(got.tid.unwrap().0), hex(&wanted["os"]), "{name}");
            }
            threads += 1;
        }
        for wanted in oracle["names"].as_array().unwrap() {
            let id = wanted["id"].as_u64().unwrap();
            let Some(got) = reader.threads().iter().find(|t| t.id == id) else { continue };
            assert_eq!(
                got.name.as_deref().unwrap_or(""),
                wanted["name"].as_str().unwrap_or(""),
                "{name} {id}"
            );
        }
        let stacks = lab.stacks();
        let all = reader.locks(&walked(&stacks));
        for wanted in oracle["syncblocks"].as_array().unwrap() {
            let address = hex(&wanted["obj"]);
            let got = all.iter().find(|l| l.address.0 == address);
            if wanted["held"] == false {
                assert!(got.is_none_or(|l| l.owners.is_empty()), "{name}: {got:?}");
                continue;
            }
            let got = got.unwrap_or_else(|| panic!("{name}: no lock {address:x}"));
            let owner = by_address(hex(&wanted["owner"])).unwrap();
            assert_eq!(got.owners[0].id, Some(owner.id), "{name}: {got:?}");
            assert_eq!(u64::from(got.recursion), wanted["recursion"].as_u64().unwrap(), "{name}: {got:?}");
            assert_eq!(got.object_type.as_deref(), wanted["type"].as_str(), "{name}");
            // The oracle counts 1000 for an object in Monitor.Wait.
            if wanted["waiting"] != 1000 {
                assert_eq!(u64::from(got.waiting), wanted["waiting"].as_u64().unwrap(), "{name}: {got:?}");
            }
            locks += 1;
        }
        for wanted in oracle["exceptions"].as_array().unwrap() {
            let got = reader.exception_at(dumpscope_core::Va(hex(&wanted["address"]))).unwrap();
            assert_eq!(Some(got.type_name.as_str()), wanted["type"].as_str(), "{name}");
            assert_eq!(got.hresult.map(u64::from), Some(hex(&wanted["hresult"])), "{name}");
            if let Some(message) = wanted["message"].as_str() {
                assert_eq!(got.message.as_deref().unwrap_or(message), message, "{name}");
            }
            let stack = wanted["stack"].as_array().unwrap();
            assert_eq!(got.frames.len(), stack.len(), "{name}: {got:?}");
            exceptions += 1;
        }
    }
    eprintln!("threads {threads}, held locks {locks}, exceptions {exceptions}: all as the oracle says");
}

/// What the programs say of themselves: thread, kind of wait, its object's type (a part of it), the thread waited for.
const WAITS: &[(&str, &str, &str, &str, Option<&str>)] = &[
    ("mon2-10", "payer", "monitor", "System.Object", None),
    ("mon2-10", "saver", "monitor", "System.Object", None),
    ("mon2-8", "payer", "monitor", "System.Object", None),
    ("mon2-8", "saver", "monitor", "System.Object", None),
    ("pinvoke-10", "native-first", "monitor", "Lab.Account", None),
    ("soa-10", "ui", "task", "<Page>d__", None),
    ("frames-10", "frames", "event", "ManualResetEvent", None),
    ("handled-10", "catcher", "event", "ManualResetEvent", None),
    ("starve-10", ".NET TP Worker", "task", "UnwrapPromise", None),
];

#[test]
fn waits_chains_and_the_pool_are_what_the_programs_say() {
    let Some((dumps, _)) = dumps_or_skip("waits_chains_and_the_pool_are_what_the_programs_say") else {
        return;
    };
    for (name, thread, kind, of, target) in WAITS {
        let lab = Lab::open(&dumps.join(format!("{name}.dmp")));
        let reader = lab.readers.first().unwrap();
        let stacks = lab.stacks();
        let waits = reader.waits(&walked(&stacks));
        let named =
            |tid| reader.threads().iter().find(|t| t.tid == Some(tid)).and_then(|t| t.name.as_deref());
        let fits = waits.iter().filter(|w| named(w.tid) == Some(*thread)).any(|w| {
            w.kind.word() == *kind
                && w.object_type.as_deref().is_some_and(|t| t.contains(of))
                && w.target.and_then(named) == *target
                && w.proof == dumpscope_runtimes::Proof::LiveReference
        });
        assert!(fits, "{name} {thread}: {waits:#?}");
        for task in reader.tasks(&waits) {
            eprintln!("{name} {task:?}");
        }
        eprintln!("{name} {:?} {:?}", reader.pool(), reader.suspension());
    }
}
