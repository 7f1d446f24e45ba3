//! A batch is processes: what ends one of them costs one row.

use crate::{Dumps, Run, dumpscope, run};
use serde_json::Value;

fn rows(r: &Run) -> Vec<Value> {
    let document: Value = serde_json::from_str(&r.out).unwrap_or_else(|e| panic!("{e}: {} {}", r.out, r.err));
    document["dumps"].as_array().unwrap().clone()
}

#[test]
fn workers_change_nothing_in_the_answer() {
    let dumps = Dumps::new();
    for format in ["text", "json", "html"] {
        let with = |more: &[&str]| {
            let r = run(dumpscope().args(["triage", "--format", format]).args(more).arg(dumps.path()));
            (r.out, r.err, r.code)
        };
        let here = with(&["--in-process", "-j", "1"]);
        assert_eq!(with(&["-j", "1"]), here, "{format}");
        assert_eq!(with(&["-j", "2"]), here, "{format}");
    }
}

#[test]
fn tables_of_the_user_reach_the_workers() {
    let dumps = Dumps::new();
    let known = dumps.path().join("known.toml");
    std::fs::write(&known, "[[issue]]\ntitle = \"the one we know\"\ncode = \"c0000005\"\n").unwrap();
    let r = run(dumpscope().args(["triage", "--format", "json", "--known"]).arg(&known).arg(dumps.crash()));
    assert_eq!(rows(&r)[0]["known"][0]["title"], "the one we know", "{}", r.err);
}

#[test]
fn lists_as_find_writes_them() {
    let dumps = Dumps::new();
    let mut list = Vec::new();
    for path in [dumps.hang(), dumps.crash()] {
        list.extend(path.as_os_str().as_encoded_bytes());
        list.push(0);
    }
    let r = run(dumpscope().args(["triage", "-", "--format", "json"]).write_stdin(list));
    assert_eq!((rows(&r).len(), r.code, r.err.as_str()), (2, 0, ""));
}

#[cfg(target_os = "linux")]
mod ended {
    use super::*;
    use std::ffi::OsStr;
    use std::io::Read;
    use std::os::unix::ffi::OsStrExt;
    use std::path::{Path, PathBuf};
    use std::process::{Child, Stdio};
    use std::time::{Duration, Instant};

    /// A dump of many threads and nothing else: it takes a while.
    fn slow(to: &Path, threads: u32) {
        let mut bytes = b"MDMP".to_vec();
        let size = 4 + threads * 48;
        for v in [0xa793u32, 2, 32, 0, 0, 0, 0, 7, 56, 56, 3, size, 112] {
            bytes.extend(v.to_le_bytes());
        }
        for v in [9u32, 0, 10, 0, 19045, 2] {
            bytes.extend(v.to_le_bytes());
        }
        bytes.resize(112, 0);
        bytes.extend(threads.to_le_bytes());
        for n in 0..threads {
            bytes.extend((0x1000 + n * 4).to_le_bytes());
            bytes.extend([0; 44]);
        }
        std::fs::write(to, bytes).unwrap();
    }

    fn signal(pid: &str, name: &str) -> bool {
        std::process::Command::new("kill").args([name, pid]).status().unwrap().success()
    }

    /// The next child of a process that is none of those known.
    fn child_of(parent: &Child, known: &[String]) -> String {
        let list = format!("/proc/{0}/task/{0}/children", parent.id());
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            let children = std::fs::read_to_string(&list).unwrap_or_default();
            if let Some(new) = children.split_whitespace().find(|c| !known.iter().any(|k| k == c)) {
                return new.to_owned();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("no worker")
    }

    /// The same, when it has begun with the slow dump and is not done: the dump is mapped.
    fn reader_of(parent: &Child, known: &[String]) -> String {
        let worker = child_of(parent, known);
        let maps = format!("/proc/{worker}/maps");
        let begun = Instant::now();
        while !std::fs::read_to_string(&maps).unwrap_or_default().contains("1-slow.dmp") {
            assert!(begun.elapsed() < Duration::from_secs(20), "the worker reads no dump");
            std::thread::sleep(Duration::from_millis(1));
        }
        worker
    }

    fn begin(args: &[&OsStr]) -> Child {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dumpscope"));
        command.args(["triage", "--format", "json", "-j", "1"]).args(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn end(child: Child) -> Run {
        let output = child.wait_with_output().unwrap();
        Run {
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code().unwrap(),
        }
    }

    fn folder() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("1-slow.dmp"), dir.path().join("2.dmp"));
        slow(&first, 40_000);
        std::fs::write(&second, dumpscope_fixtures::small::x64_crash().0.bytes()).unwrap();
        (dir, first, second)
    }

    fn kinds(r: &Run) -> Vec<Value> {
        rows(r).iter().map(|row| row["error"]["kind"].clone()).collect()
    }

    #[test]
    fn one_that_hangs_costs_its_row() {
        let (dir, ..) = folder();
        let child = begin(&["--budget".as_ref(), "1".as_ref(), dir.path().as_ref()]);
        assert!(signal(&reader_of(&child, &[]), "-STOP"));
        let r = end(child);
        assert_eq!(kinds(&r), [Value::from("timeout"), Value::Null]);
        assert!(r.err.contains("1-slow.dmp") && r.err.lines().count() == 1 && r.code == 1, "{}", r.err);
    }

    #[test]
    fn one_that_is_killed_is_tried_once_more() {
        let (dir, ..) = folder();
        let child = begin(&["--budget".as_ref(), "0.3".as_ref(), dir.path().as_ref()]);
        assert!(signal(&reader_of(&child, &[]), "-ABRT"));
        let r = end(child);
        assert_eq!((kinds(&r), r.code), (vec![Value::Null, Value::Null], 0), "{}", r.err);

        let child = begin(&["--budget".as_ref(), "5".as_ref(), dir.path().as_ref()]);
        // Rust answers the first fault that another process sends (SEGV, BUS) by going on.
        let first = reader_of(&child, &[]);
        assert!(signal(&first, "-ABRT"));
        assert!(signal(&reader_of(&child, &[first]), "-KILL"));
        let r = end(child);
        assert_eq!((kinds(&r), r.code), (vec!["signal".into(), Value::Null], 1), "{}", r.err);
        assert!(r.err.contains("1-slow.dmp") && r.err.contains("signal 9"), "{}", r.err);
    }

    #[test]
    fn one_that_takes_all_memory_costs_its_row() {
        let (dir, first, _) = folder();
        slow(&first, 1_000_000);
        let r = end(begin(&["--memory".as_ref(), "40".as_ref(), dir.path().as_ref()]));
        assert_eq!((kinds(&r), r.code), (vec!["memory".into(), Value::Null], 1), "{}", r.err);
    }

    #[test]
    fn ctrl_c_ends_the_workers_with_one_line() {
        let (dir, first, _) = folder();
        for n in 0..20 {
            std::fs::copy(&first, dir.path().join(format!("{n}-more.dmp"))).unwrap();
        }
        let child = begin(&[dir.path().as_ref()]);
        let worker = child_of(&child, &[]);
        let asked = Instant::now();
        assert!(signal(&child.id().to_string(), "-INT"));
        let r = end(child);
        assert_eq!((r.code, r.err.lines().count()), (130, 1), "{}", r.err);
        assert!(asked.elapsed() < Duration::from_secs(20));
        assert!(!Path::new(&format!("/proc/{worker}")).exists(), "the worker lives on");
    }

    #[test]
    fn ctrl_c_cuts_no_answer_whose_reader_is_slow() {
        let (dir, _, crash) = folder();
        let script = dir.path().join("script");
        std::fs::write(&script, "~*k\n".repeat(3000)).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_dumpscope"));
        command.arg("exec").arg(crash).args(["--format", "json", "-f"]).arg(script);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0];
        child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
        // By now the pipe is full, and then the program's patience is over.
        std::thread::sleep(Duration::from_millis(1000));
        assert!(signal(&child.id().to_string(), "-INT"));
        std::thread::sleep(Duration::from_millis(1000));
        let r = end(child);
        assert_eq!((first, r.code), ([b'['], 130), "{}", r.err);
        let document: Value = serde_json::from_str(&format!("[{}", r.out)).unwrap();
        assert!(document.as_array().unwrap().len() < 3000);
    }

    #[test]
    fn names_that_are_no_text_can_be_opened_again() {
        let (dir, _, second) = folder();
        let name = OsStr::from_bytes(b"\xffx.dmp");
        std::fs::copy(second, dir.path().join(name)).unwrap();
        let r = end(begin(&[dir.path().join(name).as_ref()]));
        let row = &rows(&r)[0];
        assert!(row["error"].is_null(), "{row}");
        assert!(row["path_bytes"].as_str().unwrap().ends_with("ff782e646d70"), "{row}");
    }

    #[test]
    fn commands_have_a_budget() {
        let (_dir, first, _) = folder();
        let args = ["--budget", "0.05", "-c", "!analyze -v", "-c", "~*k"];
        let r = run(dumpscope().arg("exec").arg(first).args(args));
        assert!(r.code == 1 && r.err.contains("--budget"), "{}", r.err);
    }
}
