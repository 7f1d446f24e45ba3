//! How often claims are true, by confidence, source and class: over generated processes, the scenarios, programs that ran
//! under Wine (`fixtures/wine`) and the dumps of the folder `shared` (`shared_truth.txt`).
//!
//! `cargo test --workspace --test it -- calibration --nocapture` prints the tables, `DUMPSCOPE_UPDATE=1` before it writes them
//! into `analyzers/README.md`. `DUMPSCOPE_WORLDS` says over how many generated processes, `DUMPSCOPE_WORLD` shows one by
//! its seed and writes its dump to the folder for temporary files.

use crate::verdicts_foreign::{self, Foreign};
use dumpscope_analyzers::facts::Case;
use dumpscope_analyzers::model::{Confidence, Finding};
use dumpscope_analyzers::triage::{run_rules, verdict};
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::model::Dump;
use dumpscope_fixtures::scenarios::worlds::{World, world};
use dumpscope_fixtures::scenarios::{self, Scenario};
use dumpscope_fixtures::symfile::{SymFile, write_folder};
use dumpscope_symbols::SymbolConfig;
use std::collections::BTreeMap;

/// Generated processes in an ordinary run of the tests.
const WORLDS: u64 = 2000;

/// Where the tables stand in the README of the analyzers.
const OPEN: &str = "<!-- calibration -->\n";
const CLOSE: &str = "<!-- end of calibration -->";

/// Where claims come from.
const SOURCES: [&str; 4] = ["generated processes", "scenarios", "programs under Wine", "lab, lab2, corpus"];

fn findings(bytes: Vec<u8>, symbols: &[SymFile]) -> Vec<Finding> {
    let folder = tempfile::tempdir().unwrap();
    let mut config = SymbolConfig { offline: true, ..SymbolConfig::default() };
    if !symbols.is_empty() {
        write_folder(folder.path(), symbols).unwrap();
        config.symbol_path = folder.path().display().to_string();
    }
    let target = Target::new(Dump::from_bytes(bytes).unwrap(), config);
    let facts = target.facts(&Cancel::default());
    let mut found = run_rules(&Case { target: &target, facts: &facts }).findings;
    if found.is_empty() {
        found.push(verdict(&found));
    }
    found
}

/// Claims and how many of them are true, by class and confidence.
#[derive(Default)]
struct Table {
    rows: BTreeMap<(String, &'static str), (u32, u32)>,
    /// The same by where they come from.
    sources: BTreeMap<(usize, &'static str), (u32, u32)>,
    /// Dumps, by where they come from.
    dumps: [u32; SOURCES.len()],
    /// What was claimed and is not so, for the reader.
    wrong: Vec<String>,
    /// Faults that a whole dump shows: all, told in any confidence.
    visible: (u32, u32),
    /// Faults that were not told.
    missed: Vec<String>,
    /// Processes with nothing wrong: all, told to be idle.
    healthy: (u32, u32),
    /// Claims of a hang, `strong` or `proven`, where nothing is wrong.
    alarms: u32,
}

impl Table {
    fn claim(&mut self, source: usize, f: &Finding, is_true: bool, about: &str) {
        if f.kind.name() == "unknown" {
            return;
        }
        let row = self.rows.entry((f.class.name().to_owned(), f.confidence.name())).or_default();
        row.0 += 1;
        row.1 += u32::from(is_true);
        let row = self.sources.entry((source, f.confidence.name())).or_default();
        row.0 += 1;
        row.1 += u32::from(is_true);
        if !is_true && f.confidence >= Confidence::Strong {
            let tid = f.tid.map_or(0, |t| t.0);
            self.wrong.push(format!(
                "{about}: {} {} {tid:x}: {}",
                f.kind.name(),
                f.confidence.name(),
                f.summary
            ));
        }
    }

    fn generated(&mut self, w: &World, found: &[Finding]) {
        let about = format!("world {} ({})", w.seed, w.name);
        self.dumps[0] += 1;
        for f in found {
            self.claim(0, f, w.is_true(f.kind.name(), f.tid.map(|t| t.0)), &about);
        }
        let Some(v) = found.first() else { return };
        if w.visible {
            let told = w.is_true(v.kind.name(), v.tid.map(|t| t.0));
            self.visible.0 += 1;
            self.visible.1 += u32::from(told);
            if !told {
                self.missed.push(format!("{about}: {} {}", v.kind.name(), v.summary));
            }
        }
        if w.fault.is_none() {
            self.healthy.0 += 1;
            self.healthy.1 += u32::from(v.kind.name() == "idle");
        }
        let quiet = ["idle", "unknown"].contains(&v.kind.name());
        self.alarms += u32::from(w.fault.is_none() && !quiet && v.confidence >= Confidence::Strong);
    }

    fn scenario(&mut self, s: &Scenario, found: &[Finding]) {
        let Some(v) = found.first() else { return };
        let truth = &s.truth;
        let tid = v.tid.map(|t| t.0);
        let culprit =
            truth.tid.is_none() || tid == truth.tid || tid.is_some_and(|t| truth.or_tids.contains(&t));
        self.dumps[1] += 1;
        self.claim(1, v, v.kind.name() == truth.kind && culprit, &s.name);
    }

    fn foreign(&mut self, source: usize, truth: &Foreign, found: &[Finding]) {
        self.dumps[source] += 1;
        for f in found {
            self.claim(source, f, truth.is_true(f), &truth.name);
        }
        let Some(v) = found.first() else { return };
        let told = truth.is_true(v);
        if truth.is_healthy() {
            self.healthy.0 += 1;
            self.healthy.1 += u32::from(told);
            let quiet = ["idle", "unknown"].contains(&v.kind.name());
            self.alarms += u32::from(!quiet && v.confidence >= Confidence::Strong);
        } else {
            self.visible.0 += 1;
            self.visible.1 += u32::from(told);
            if !told {
                self.missed.push(format!("{}: {} {}", truth.name, v.kind.name(), v.summary));
            }
        }
    }

    /// The tables and what they say of faults, as they stand in the README.
    fn text(&self) -> String {
        let cell = |(n, right): (u32, u32)| if n == 0 { "–".to_owned() } else { format!("{right} of {n}") };
        let line = |name: &str, of: &dyn Fn(&'static str) -> (u32, u32)| {
            format!("| {name} | {} | {} | {} |\n", cell(of("proven")), cell(of("strong")), cell(of("guess")))
        };
        let mut out = "| source | proven | strong | guess |\n| --- | --- | --- | --- |\n".to_owned();
        for (source, name) in SOURCES.iter().enumerate() {
            let of = |c| self.sources.get(&(source, c)).copied().unwrap_or_default();
            out.push_str(&line(&format!("{name} ({})", self.dumps[source]), &of));
        }
        out.push_str(&line("all", &|c| self.of(c)));
        out.push_str("\n| class | proven | strong | guess |\n| --- | --- | --- | --- |\n");
        let mut classes: Vec<&str> = self.rows.keys().map(|(c, _)| c.as_str()).collect();
        classes.dedup();
        for class in classes {
            let of = |c| self.rows.get(&(class.to_owned(), c)).copied().unwrap_or_default();
            out.push_str(&line(class, &of));
        }
        out + &format!(
            "\nOf {} faults that a whole dump shows {} were the verdict; of {} processes with nothing wrong {} were called idle; \
             {} got an alarm that was `strong` or more.\n",
            self.visible.0, self.visible.1, self.healthy.0, self.healthy.1, self.alarms
        )
    }

    fn of(&self, confidence: &str) -> (u32, u32) {
        let rows = self.rows.iter().filter(|((_, c), _)| *c == confidence);
        rows.fold((0, 0), |a, (_, r)| (a.0 + r.0, a.1 + r.1))
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn claims_are_as_sure_as_they_say() {
    let seeds: Vec<u64> = match number("DUMPSCOPE_WORLD") {
        Some(one) => vec![one],
        None => (0..number("DUMPSCOPE_WORLDS").unwrap_or(WORLDS)).collect(),
    };
    let half = |odd: u64| -> Vec<(World, Vec<Finding>)> {
        let mine = seeds.iter().filter(|s| *s % 2 == odd);
        mine.map(|s| world(*s)).map(|w| (w.clone(), findings(w.dump.bytes(), &w.symbols))).collect()
    };
    let mut all = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        let mut all = half(0);
        all.extend(other.join().unwrap());
        all
    });
    all.sort_by_key(|(w, _)| w.seed);
    let mut table = Table::default();
    all.iter().for_each(|(w, found)| table.generated(w, found));
    if seeds.len() == 1 {
        for (w, found) in &all {
            let path = std::env::temp_dir().join(format!("dumpscope-world-{}.dmp", w.seed));
            std::fs::write(&path, w.dump.bytes()).unwrap();
            println!("{}\ntrue: {:x?}\n{}", w.name, w.claims, path.display());
            found.iter().for_each(|f| println!("{} {} {}", f.kind.name(), f.confidence.name(), f.summary));
        }
    }
    for s in scenarios::all() {
        table.scenario(&s, &findings(s.dump.bytes(), &[]));
    }
    for (truth, _, _, found) in verdicts_foreign::judged() {
        table.foreign(2, truth, found);
    }
    for (truth, found) in verdicts_foreign::judged_shared() {
        table.foreign(3, &truth, &found);
    }
    let text = table.text();
    println!("{text}");
    if std::env::var_os("DUMPSCOPE_UPDATE").is_some() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../analyzers/README.md");
        let readme = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = readme.split_once(OPEN).unwrap();
        let (_, after) = rest.split_once(CLOSE).unwrap();
        std::fs::write(&path, format!("{before}{OPEN}{text}{CLOSE}{after}")).unwrap();
    }
    let (proven, strong) = (table.of("proven"), table.of("strong"));
    table.wrong.iter().for_each(|w| println!("WRONG {w}"));
    table.missed.iter().for_each(|w| println!("MISSED {w}"));
    assert_eq!(proven.0, proven.1, "proven is never wrong");
    assert!(strong.1 * 100 >= strong.0 * 99, "strong is wrong at most once in a hundred");
    assert!(table.visible.1 * 100 >= table.visible.0 * 95, "too many hangs are missed");
    assert_eq!(table.alarms, 0, "an alarm where nothing is wrong");
}
