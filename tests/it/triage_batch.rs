//! Many dumps at once: the same bytes whatever the number of jobs, and one error row for one corrupt dump.

use dumpscope_engine::batch::{Incidents, LeftOut, TriageOptions, find_dumps, triage_each};
use dumpscope_engine::document::Buckets;
use dumpscope_engine::forms::{Format, FormatOptions, Tail, writer};
use dumpscope_fixtures::scenarios;
use std::path::Path;

/// Copies with changes of all scenarios, one of them cut.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let whole: Vec<Vec<u8>> = scenarios::all().iter().map(|s| s.dump.bytes()).collect();
    for n in 0..whole.len() * 2 {
        let mut copy = whole[n % whole.len()].clone();
        let (front, len) = (copy.len() / 2, copy.len());
        for i in 0..n {
            copy[front + (n * 7919 + i * 104_729) % (len - front)] ^= 0x55;
        }
        if n == 40 {
            copy.truncate(20);
        }
        std::fs::write(dir.path().join(format!("{n:03}.dmp")), copy).unwrap();
    }
    dir
}

fn write(folder: &Path, format: Format, jobs: usize) -> (String, usize) {
    let options = TriageOptions { jobs, ..TriageOptions::default() };
    let (mut out, mut errors) = (Vec::new(), 0);
    let mut w = writer(format, Box::new(&mut out), &FormatOptions::default());
    let (mut buckets, mut incidents) = (Buckets::default(), Incidents::default());
    triage_each(&find_dumps(folder, &mut LeftOut::default()), &options, &|_| {}, &mut |row| {
        errors += usize::from(row.error.is_some());
        buckets.add(&row);
        incidents.add(&row);
        w.row(&row).unwrap();
    });
    w.end(&Tail { buckets: buckets.rows(), incidents: Some(incidents.rows()) }).unwrap();
    drop(w);
    (String::from_utf8(out).unwrap(), errors)
}

#[test]
fn output_is_the_same_over_jobs_and_runs() {
    let dir = folder();
    let (one, errors) = write(dir.path(), Format::Json, 1);
    assert_eq!(errors, 1);
    for jobs in [2, 5, 1] {
        let (other, _) = write(dir.path(), Format::Json, jobs);
        assert!(other == one, "{jobs} jobs give another document");
    }
    let (page, _) = write(dir.path(), Format::Html, 1);
    assert!(page == write(dir.path(), Format::Html, 3).0);
}
