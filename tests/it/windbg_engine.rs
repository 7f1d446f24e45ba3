//! Agreement with WinDbg's engine: the recorded answers of `shared/windbg`, line by line, and its stacks.
//!
//! The scores stand in `docs/windbg.md`, and an area must not fall below its own. `DUMPSCOPE_UPDATE=1` writes them anew;
//! `DUMPSCOPE_WINDBG=masm,cpp` (areas, or `all`) prints what differs.

use crate::core_common::shared_or_skip;
use crate::windbg_suite::{Score, run_areas};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

const OPEN: &str = "<!-- windbg -->\n";
const CLOSE: &str = "<!-- /windbg -->";

fn page() -> (PathBuf, String) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/windbg.md");
    let text = std::fs::read_to_string(&path).unwrap().replace("\r\n", "\n");
    (path, text)
}

fn table(scores: &BTreeMap<String, Score>) -> String {
    let mut out = String::from("| area | lines | equal | |\n| --- | ---: | ---: | ---: |\n");
    let (mut equal, mut all) = (0, 0);
    for (area, score) in scores {
        equal += score.equal;
        all += score.all;
        writeln!(out, "| {area} | {} | {} | {} |", score.all, score.equal, percent(score.equal, score.all))
            .unwrap();
    }
    writeln!(out, "| all | {all} | {equal} | {} |", percent(equal, all)).unwrap();
    out
}

fn percent(equal: usize, all: usize) -> String {
    format!("{:.1} %", 100.0 * equal as f64 / all.max(1) as f64)
}

/// The number of equal lines of each area in a table.
fn committed(table: &str) -> BTreeMap<String, usize> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        Some(((*cells.get(1)?).to_owned(), cells.get(3)?.parse().ok()?))
    };
    table.lines().filter_map(row).collect()
}

#[test]
fn no_area_falls_below_its_score() {
    let Some(shared) = shared_or_skip("windbg").filter(|s| s.join("windbg").is_dir()) else { return };
    let wanted = std::env::var("DUMPSCOPE_WINDBG").unwrap_or_default();
    let areas: Vec<&str> = wanted.split(',').filter(|a| !a.is_empty() && *a != "all").collect();
    let (scores, differences) = run_areas(&shared, &areas);
    let new = table(&scores);
    if !wanted.is_empty() {
        println!("{differences}\n{new}");
        return;
    }
    let (path, text) = page();
    let (before, rest) = text.split_once(OPEN).unwrap();
    let (old, after) = rest.split_once(CLOSE).unwrap();
    if std::env::var_os("DUMPSCOPE_UPDATE").is_some() {
        std::fs::write(&path, format!("{before}{OPEN}{new}{CLOSE}{after}")).unwrap();
        return;
    }
    let committed = committed(old);
    assert!(committed.len() > 10, "docs/windbg.md has no table of scores: {old}");
    for (area, score) in &scores {
        let least = committed.get(area).copied().unwrap_or(0);
        assert!(
            score.equal >= least,
            "{area}: {} of {} lines equal, docs/windbg.md says {least}; DUMPSCOPE_WINDBG={area} shows them\n{new}",
            score.equal,
            score.all
        );
    }
    if new != old {
        eprintln!("the scores are better than docs/windbg.md says: DUMPSCOPE_UPDATE=1 writes them\n{new}");
    }
}
