//! `dumpscope triage` and `dumpscope DUMP`.

use crate::{Dumps, Run, dumpscope, run};
use serde_json::Value;

fn json(r: &Run) -> Value {
    serde_json::from_str(&r.out).unwrap_or_else(|e| panic!("{e}: {}", r.out))
}

fn paths(document: &Value) -> Vec<String> {
    let leaf = |p: &Value| p.as_str().unwrap().rsplit(['/', '\\']).next().unwrap().to_owned();
    document["dumps"].as_array().unwrap().iter().map(|d| leaf(&d["path"])).collect()
}

#[test]
fn a_bad_file_costs_one_row() {
    let dumps = Dumps::new();
    let r = run(dumpscope().args(["triage", "--format", "json"]).arg(dumps.path()).arg("/nowhere/x.dmp"));
    assert_eq!(r.code, 1);
    assert_eq!(r.err.lines().count(), 2, "{}", r.err);
    let document = json(&r);
    assert_eq!(paths(&document), ["a-hang.dmp", "c-bad.dmp", "b-crash.dmp", "x.dmp"]);
    let rows = document["dumps"].as_array().unwrap();
    assert_eq!(rows[1]["error"]["kind"], "not_a_minidump");
    assert!(rows[1]["verdict"].is_null() && rows[1]["threads"].is_null());
    assert_eq!(rows[3]["error"]["kind"], "io");
    assert_eq!(rows[2]["verdict"]["kind"], "crash");
    assert_eq!(rows[2]["verdict"]["tid"], 0x2210);
    assert_eq!(rows[2]["exception"]["code"], "0xc0000005");
    assert_eq!(rows[2]["exception"]["access"], "write");
    assert_eq!(rows[2]["exception"]["target"], "0x10");
    assert_eq!(rows[0]["error"], Value::Null);
    assert_eq!(rows[0]["threads"][0]["user_ms"], 20_211);
    assert_eq!(rows[0]["handles"]["by_type"]["Mutant"], 1);
}

#[test]
fn documents_follow_the_schema() {
    let dumps = Dumps::new();
    let schema = json(&run(dumpscope().arg("schema")));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut inputs = vec![dumps.path().to_owned()];
    match dumpscope_tests::shared() {
        Some(shared) => inputs.push(shared.join("corpus")),
        None => {
            assert!(std::env::var_os("DUMPSCOPE_REQUIRE_SHARED").is_none(), "no folder `shared`");
            eprintln!("documents_follow_the_schema: skipped the corpus, there is no folder `shared`");
        }
    }
    let document = json(&run(dumpscope().args(["triage", "--format", "json"]).args(&inputs)));
    let errors: Vec<String> =
        validator.iter_errors(&document).map(|e| format!("{}: {e}", e.instance_path())).take(5).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    // The other direction: the schema is not so loose that anything passes.
    let mut broken = document.clone();
    broken["dumps"][0]["threads"][0]["tid"] = "0x10".into();
    assert!(!validator.is_valid(&broken));
}

#[test]
fn output_is_equal_over_runs_and_jobs() {
    let dumps = Dumps::new();
    let with = |jobs: &str, format: &str| {
        run(dumpscope().args(["triage", "--jobs", jobs, "--format", format]).arg(dumps.path())).out
    };
    for format in ["text", "json", "jsonl", "markdown", "html", "sarif", "junit", "github"] {
        let one = with("1", format);
        assert_eq!(one, with("3", format), "{format}");
        assert_eq!(one, with("1", format), "{format}");
    }
}

#[test]
fn jsonl_has_the_rows_of_json() {
    let dumps = Dumps::new();
    let document = json(&run(dumpscope().args(["triage", "--format", "json"]).arg(dumps.path())));
    let lines = run(dumpscope().args(["triage", "--format", "jsonl"]).arg(dumps.path())).out;
    let rows: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(document["dumps"], Value::Array(rows));
}

#[test]
fn fail_on_wins_over_a_bad_dump() {
    let dumps = Dumps::new();
    let code = |list: &[&str]| run(dumpscope().arg("triage").args(list).arg(dumps.path())).code;
    assert_eq!(code(&["--fail-on", "crash"]), 3);
    assert_eq!(code(&["--fail-on", "deadlock,crash"]), 3);
    assert_eq!(code(&["--fail-on", "deadlock"]), 1);
    assert_eq!(code(&["--fail-on", "crash", "--min-confidence", "proven"]), 3);
    let hang = run(dumpscope().args(["triage", "--fail-on", "crash"]).arg(dumps.hang()));
    assert_eq!(hang.code, 0);
}

#[test]
fn paths_come_from_patterns_and_stdin() {
    let dumps = Dumps::new();
    let pattern = dumps.path().join("**/*-crash.dmp");
    let document = json(&run(dumpscope().args(["triage", "--format", "json"]).arg(pattern)));
    assert_eq!(paths(&document), ["b-crash.dmp"]);
    let list = format!("{}\n\n{}\n", dumps.crash().display(), dumps.hang().display());
    let document = json(&run(dumpscope().args(["triage", "-", "--format", "json"]).write_stdin(list)));
    assert_eq!(paths(&document), ["b-crash.dmp", "a-hang.dmp"]);
    let nothing = run(dumpscope().arg("triage").arg(dumps.path().join("*.nothing")));
    assert_eq!((nothing.code, nothing.err.lines().count()), (1, 1));
    assert!(nothing.err.contains("no file matches"));
}

#[test]
fn what_dumps_say_together_is_redacted_too() {
    let all = dumpscope_fixtures::scenarios::several();
    let case = all.into_iter().find(|c| c.name == "COM server thread named by the caller").unwrap();
    let dir = tempfile::tempdir().unwrap();
    for (n, (_, dump)) in case.dumps.iter().enumerate() {
        std::fs::write(dir.path().join(format!("{n}.dmp")), dump.bytes()).unwrap();
    }
    let rules = dir.path().join("rules.toml");
    std::fs::write(&rules, "[[rule]]\nkind = \"program\"\npattern = '(client|middle)\\.exe'\n").unwrap();
    for format in ["json", "text", "html"] {
        let with = |more: &[&std::ffi::OsStr]| {
            run(dumpscope().args(["triage", "--format", format]).arg(dir.path()).args(more))
        };
        let plain = with(&[]);
        assert!(plain.out.contains("client.exe") && plain.out.contains("middle.exe"), "{}", plain.err);
        let r = with(&["--redact".as_ref(), "--redact-rules".as_ref(), rules.as_ref()]);
        assert!(!r.out.contains("client.exe") && !r.out.contains("middle.exe"), "{format}: {}", r.out);
        assert!(r.out.contains("program-") && r.code == 0, "{}", r.err);
    }
}

#[test]
fn the_answer_goes_to_a_file() {
    let dumps = Dumps::new();
    let out = dumps.path().join("out.json");
    let r = run(dumpscope().args(["triage", "--format", "json", "-o"]).arg(&out).arg(dumps.hang()));
    assert_eq!((r.code, r.out.as_str()), (0, ""));
    let document: Value = serde_json::from_str(&std::fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!(paths(&document), ["a-hang.dmp"]);
    let nowhere = run(dumpscope().args(["triage", "-o", "/nowhere/out.json"]).arg(dumps.hang()));
    assert_eq!((nowhere.code, nowhere.err.lines().count()), (2, 1));
}

#[test]
fn a_used_up_budget_still_answers() {
    let dumps = Dumps::new();
    let r = run(dumpscope().args(["triage", "--budget", "0", "--format", "json"]).arg(dumps.crash()));
    assert_eq!(r.code, 0);
    let row = &json(&r)["dumps"][0];
    assert!(row["error"].is_null());
    assert_eq!(row["process"]["name"], "demo.exe");
    assert_eq!(row["verdict"]["kind"], "crash");
    let warnings = row["warnings"].to_string();
    assert!(warnings.contains("budget") && warnings.contains("0 of 2 threads"), "{warnings}");
}

#[test]
fn text_has_the_verdict_first_and_says_what_is_missing() {
    let dumps = Dumps::new();
    let r = run(dumpscope().arg(dumps.crash()));
    assert_eq!(r.code, 0);
    let mut lines = r.out.lines();
    assert!(lines.next().unwrap().ends_with("b-crash.dmp"));
    assert!(lines.next().unwrap().starts_with("CRASH (proven): thread 2210 crashed in "));
    assert!(r.out.contains("> 1:2210 \"worker\""), "{}", r.out);
    assert!(r.out.lines().all(|l| l.chars().count() <= 140), "{}", r.out);
    let several = run(dumpscope().arg("triage").arg(dumps.path()));
    assert!(several.out.contains("\n3 dumps\n"), "{}", several.out);
}

#[test]
fn the_demo_needs_no_file() {
    let r = run(dumpscope().arg("--demo"));
    assert_eq!((r.code, r.err.as_str()), (0, ""));
    assert!(r.out.starts_with("demo.dmp\n") && r.out.contains("ruby.exe, pid 90c"), "{}", r.out);
    assert!(r.out.contains("waits for the answer to a COM call"), "{}", r.out);
    assert_eq!(r.out, run(dumpscope().arg("--demo")).out);
}

#[test]
fn forms_go_to_files_and_agree_on_the_verdict() {
    let dumps = Dumps::new();
    let out = dumps.path().join("report");
    let form = |format: &str| {
        let r = run(dumpscope().args(["triage", "--format", format, "-o"]).arg(&out).arg(dumps.crash()));
        assert_eq!((r.code, r.out.as_str()), (0, ""), "{format}");
        std::fs::read_to_string(&out).unwrap()
    };
    for (format, start, says) in [
        ("markdown", "## ", "Crash (proven)"),
        ("html", "<!DOCTYPE html>", "<strong class=\"kind crash\">Crash</strong>"),
        ("sarif", "{\"$schema\"", "\"ruleId\":\"crash\""),
        ("junit", "<?xml ", "<failure type=\"crash\""),
        ("github", "::error file=", "title=Crash (proven)"),
    ] {
        let text = form(format);
        assert!(text.starts_with(start) && text.contains(says), "{format}: {text}");
    }
    // JUnit's failures are those of --fail-on.
    let r =
        run(dumpscope().args(["triage", "--format", "junit", "--fail-on", "deadlock"]).arg(dumps.crash()));
    assert!(r.code == 0 && r.out.contains("failures=\"0\""), "{}", r.out);
}

#[test]
fn diff_compares_dumps_of_one_process() {
    let dumps = Dumps::new();
    let again = dumps.path().join("again.dmp");
    std::fs::write(&again, dumps.later()).unwrap();
    let r = run(dumpscope().args(["diff", "--format", "json"]).arg(dumps.hang()).arg(&again));
    let document: Value = serde_json::from_str(&r.out).unwrap();
    assert_eq!((r.code, document["pid"].as_u64()), (0, Some(0x1a2c)), "{}", r.err);
    assert_eq!(document["paths"].as_array().unwrap().len(), 2);
    let text = run(dumpscope().arg("diff").arg(dumps.hang()).arg(&again));
    assert!(text.code == 0 && text.out.contains("pid 1a2c, 2 dumps"), "{}", text.out);
    let same = run(dumpscope().arg("diff").arg(dumps.hang()).arg(dumps.hang()));
    assert!(same.code == 2 && same.err.contains("of one moment"), "{}", same.err);
    let bad = run(dumpscope().arg("diff").arg(dumps.hang()).arg(dumps.bad()));
    assert_eq!((bad.code, bad.err.lines().count()), (1, 1), "{}", bad.err);
    assert_eq!(run(dumpscope().arg("diff").arg(dumps.hang())).code, 2);
}

#[test]
fn a_file_that_was_cut_off_says_so_first() {
    let dumps = Dumps::new();
    let whole = std::fs::read(dumps.hang()).unwrap();
    let cut = dumps.path().join("cut.dmp");
    std::fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    let row = &json(&run(dumpscope().args(["triage", "--format", "json"]).arg(&cut)))["dumps"][0];
    assert!(row["warnings"][0].as_str().unwrap().starts_with("the dump file has been truncated"), "{row}");
    let mut heap = row["capabilities"].as_array().unwrap().iter();
    let heap = heap.find(|c| c["question"] == "Who owns a critical section?").unwrap();
    assert_eq!(heap["answerable"], false, "{heap}");
    assert!(heap["next_time"].as_str().unwrap().contains("copy the file again"), "{heap}");
    let note = run(dumpscope().arg("exec").arg(&cut).args(["-c", "!locks"])).out;
    assert!(note.contains("has been truncated"), "{note}");
}

#[test]
fn an_unknown_verdict_says_what_was_missing() {
    let dumps = Dumps::new();
    let r = run(dumpscope().args(["triage", "--budget", "0", "--format", "json"]).arg(dumps.hang()));
    let verdict = &json(&r)["dumps"][0]["verdict"];
    assert!(verdict["summary"].as_str().unwrap().contains("stopped after 0 of 2 threads"), "{verdict}");
    // A header and nothing else.
    let mut bytes = b"MDMP".to_vec();
    for word in [0xa793u32, 0, 32, 0, 0, 0, 0] {
        bytes.extend(word.to_le_bytes());
    }
    let empty = dumps.path().join("empty.dmp");
    std::fs::write(&empty, bytes).unwrap();
    let row = &json(&run(dumpscope().args(["triage", "--format", "json"]).arg(&empty)))["dumps"][0];
    assert!(row["verdict"]["summary"].as_str().unwrap().contains("damaged"), "{row}");
    assert!(row["locks"].is_null() && row["com_calls"].is_null(), "{row}");
}

#[test]
fn a_file_is_one_row_and_an_empty_list_is_told() {
    let dumps = Dumps::new();
    let file = dumps.path().join("a-hang.dmp");
    let r = run(dumpscope().args(["triage", "--format", "json"]).args([&file, &file]));
    assert_eq!(paths(&json(&r)), ["a-hang.dmp"]);
    let r = run(dumpscope().args(["triage", "-"]).write_stdin("\n"));
    assert_eq!((r.code, r.out.as_str()), (2, ""));
    assert!(r.err.contains("no dumps to look at"), "{}", r.err);
    // A file that is not there is named once.
    let r = run(dumpscope().args(["diff", "/nowhere/x.dmp"]).arg(&file));
    assert_eq!((r.code, r.err.matches("x.dmp").count()), (1, 1), "{}", r.err);
}
