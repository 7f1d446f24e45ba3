//! All forms of the same rows, hostile texts among them.

use super::*;
use crate::document::{
    Arch, Buckets, CapabilityRow, Confidence, Document, DumpFileRow, DumpKindName, ErrorRow, FindingClass,
    FindingKind, FindingRow, FrameRow, Kind, LinkRow, LockRow, NodeKind, OwnerState, ProcessRow, SourceRow,
    SystemRow, ThreadRow, TrustName, WaitGraph,
};
use crate::fmt::Hex;

/// What a hostile dump would like to say in every text.
const EVIL: &str =
    "<script>alert(1)</script>\"'&]]>`|*[x](javascript:y)@octocat %0A::error::x\n\u{1b}[31m\u{202e}";

fn frame(function: &str) -> FrameRow {
    FrameRow {
        ip: Hex(0x7ff6_0000_1234),
        sp: Hex(0x1000),
        module: Some("app".into()),
        function: Some(function.into()),
        symbol_exact: Some(true),
        displacement: Some(Hex(0x12)),
        source: Some(SourceRow { file: "C:\\b\\a <1>.c".into(), line: 7 }),
        inline: false,
        trust: TrustName::Context,
        issue: None,
        args: None,
    }
}

fn thread(index: u32, text: &str) -> ThreadRow {
    ThreadRow {
        index,
        tid: 0x100 + index,
        name: Some(text.into()),
        user_ms: Some(20),
        kernel_ms: Some(1),
        elapsed_ms: None,
        activity: Some(text.into()),
        frames: Some(vec![frame(text), frame("main")]),
        native_frames: None,
        script_frames: None,
        script_thread: None,
        wait: None,
        dll_main: None,
    }
}

fn finding(kind: FindingKind, text: &str) -> FindingRow {
    FindingRow {
        kind,
        class: FindingClass::Waiting,
        summary: text.into(),
        tid: Some(0x100),
        tids: vec![0x100, 0x101],
        lock: Some(Hex(0x5000)),
        owner_tid: Some(0x101),
        server_pid: None,
        confidence: Confidence::Proven,
        evidence: vec![text.into()],
        advice: Some(text.into()),
    }
}

fn row(path: &str, text: &str) -> DumpRow {
    let lock = |address, owner, waiter| LockRow {
        address: Hex(address),
        symbol: Some(text.into()),
        kind: Kind::CriticalSection,
        object_type: None,
        owner_tid: Some(owner),
        owner: OwnerState::Alive,
        recursion: Some(1),
        lock_count: Some(-6),
        waiters: vec![waiter],
        source: "list".into(),
    };
    let deadlock = finding(FindingKind::Deadlock, text);
    DumpRow {
        warnings: Some(vec![text.into()]),
        process: Some(ProcessRow {
            pid: Some(0x20),
            name: Some(text.into()),
            image_path: Some(text.into()),
            command_line: Some(text.into()),
        }),
        system: Some(SystemRow {
            os: Some(text.into()),
            version: Some("10.0".into()),
            build: Some(19045),
            arch: Arch::X64,
            cpus: Some(2),
            wow64: false,
        }),
        dump: Some(DumpFileRow { kind: DumpKindName::Full, size: 4096, time: None, streams: Vec::new() }),
        capabilities: Some(vec![CapabilityRow {
            question: text.into(),
            answerable: false,
            why: text.into(),
            next_time: Some(text.into()),
            tools: None,
            flags: None,
        }]),
        threads: Some(vec![thread(0, text), thread(1, text)]),
        locks: Some(vec![lock(0x5000, 0x101, 0x100), lock(0x6000, 0x100, 0x101)]),
        verdict: Some(deadlock.clone()),
        findings: Some(vec![deadlock, finding(FindingKind::Waiting, text)]),
        signature: Some(text.into()),
        ..DumpRow::empty(path)
    }
}

fn rows(text: &str) -> Vec<DumpRow> {
    let error = ErrorRow { kind: "truncated".into(), message: text.into() };
    let idle = DumpRow {
        verdict: Some(finding(FindingKind::Idle, "all threads are idle")),
        ..DumpRow::empty("idle.dmp")
    };
    vec![row("a.dmp", text), row(text, text), DumpRow::failed(text, error), idle]
}

fn incident(text: &str) -> IncidentRow {
    IncidentRow {
        paths: vec![text.into(), "b.dmp".into()],
        chain: vec![LinkRow {
            path: Some(text.into()),
            pid: Some(0x20),
            tid: None,
            process: Some(text.into()),
            waits_for: text.into(),
            confidence: Confidence::Strong,
            reached_by: vec![text.into()],
            evidence: vec![text.into()],
        }],
        closes_at: None,
        gone_tid: None,
        also_waiting: Vec::new(),
        root_cause: text.into(),
        missing_dumps: vec![0x30c],
        confidence: Confidence::Strong,
        findings: Vec::new(),
        also_found: vec![text.into()],
    }
}

fn tail_of(rows: &[DumpRow], text: &str) -> Tail {
    let mut buckets = Buckets::default();
    rows.iter().for_each(|r| buckets.add(r));
    Tail { buckets: buckets.rows(), incidents: Some(vec![incident(text)]) }
}

fn write(format: Format, rows: &[DumpRow], tail: &Tail) -> String {
    write_with(format, rows, tail, &FormatOptions::default())
}

fn write_with(format: Format, rows: &[DumpRow], tail: &Tail, options: &FormatOptions) -> String {
    let mut bytes = Vec::new();
    let mut w = writer(format, Box::new(&mut bytes), options);
    rows.iter().for_each(|r| w.row(r).unwrap());
    w.end(tail).unwrap();
    drop(w);
    String::from_utf8(bytes).unwrap()
}

/// Checks that a text is a tree: every element is closed, in the right order, with quoted attributes; gives the
/// texts between them. `void` elements have no end.
fn tree(text: &str, void: &[&str]) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    let mut texts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let before = &rest[..at];
        assert!(!before.contains('>') || open.last().is_some_and(|t| t == "style"), "stray > in {before:?}");
        texts.push(before.to_owned());
        let mut quoted = false;
        let end = rest[at..].find(|c| {
            quoted ^= c == '"';
            c == '>' && !quoted
        });
        let tag = &rest[at + 1..at + end.expect("an open tag")];
        rest = &rest[at + tag.len() + 2..];
        if tag.starts_with(['!', '?']) {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closing");
            continue;
        }
        let name = tag.split([' ', '/', '\n']).next().unwrap();
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{tag:?}");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag:?}");
        if !tag.ends_with('/') && !void.contains(&name) {
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty(), "not closed: {open:?}");
    texts.push(rest.to_owned());
    texts
}

/// `&` only as the start of a reference.
fn references_are_whole(text: &str) {
    for (at, _) in text.match_indices('&') {
        let rest = &text[at + 1..];
        let end = rest.find(';').expect("a reference without end");
        let name = &rest[..end];
        let known = ["amp", "lt", "gt", "quot", "apos"].contains(&name) || name.starts_with('#');
        assert!(known, "&{name};");
    }
}

#[test]
fn json_by_rows_is_the_serialized_document() {
    for rows in [rows("x"), Vec::new()] {
        let tail = tail_of(&rows, "x");
        let document = Document {
            dumps: rows.clone(),
            buckets: tail.buckets.clone(),
            incidents: tail.incidents.clone(),
            ..Document::new()
        };
        let whole = serde_json::to_string_pretty(&document).unwrap() + "\n";
        assert_eq!(write(Format::Json, &rows, &tail), whole);
        let lines = write(Format::Jsonl, &rows, &tail);
        let back: Vec<DumpRow> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(back, rows);
    }
}

#[test]
fn nothing_hostile_gets_through_as_it_is() {
    let rows = rows(EVIL);
    let tail = tail_of(&rows, EVIL);
    for format in [Format::Text, Format::Markdown, Format::Html, Format::Junit, Format::Github] {
        let text = write(format, &rows, &tail);
        let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(bad, None, "{format:?}");
        if matches!(format, Format::Html | Format::Junit) {
            assert!(!text.contains("<script"), "{format:?}: {text}");
        }
    }
    // JSON and SARIF are JSON: quoting is the serializer's, SARIF's messages hold no control characters.
    let sarif: serde_json::Value = serde_json::from_str(&write(Format::Sarif, &rows, &tail)).unwrap();
    let message = sarif["runs"][0]["results"][0]["message"]["text"].as_str().unwrap();
    assert!(message.chars().all(|c| c == '\n' || !c.is_control()));
}

#[test]
fn the_page_is_well_formed_and_needs_nothing_else() {
    for text in ["x", EVIL] {
        let rows = rows(text);
        let page = write(Format::Html, &rows, &tail_of(&rows, text));
        assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"));
        tree(&page, &["meta", "br"]);
        references_are_whole(&page);
        for needs in ["<script", "src=", "@import", "url(http", " onclick", "<link", "<iframe"] {
            let where_from = page.replace("url(#arrow", "");
            assert!(!where_from.contains(needs), "{needs}");
        }
        assert!(page.contains("Content-Security-Policy\" content=\"default-src 'none'"));
        // The picture: two threads, two locks, four arrows; stacks in <details>, open for the culprits.
        // And one of the incident: its thread, and the process whose dump is missing.
        assert_eq!(page.matches("<svg class=\"graph\"").count(), 3);
        assert_eq!(page.matches("<path class=\"edge").count(), 9);
        assert!(page.contains("process 30c") && page.contains("<code>procdump -ma 780</code>"));
        assert!(page.contains("<details class=\"culprit\" open><summary><code>0:100</code>"));
        assert_eq!(page.matches("<section id=").count(), rows.len());
        // Each picture's arrow heads are its own.
        assert!(["d1", "d2", "i0"].iter().all(|id| page.contains(&format!("id=\"arrow-{id}\""))));
    }
    let empty = write(Format::Html, &[], &Tail::default());
    tree(&empty, &["meta", "br"]);
    assert!(empty.contains("0 dumps"));
}

#[test]
fn sarif_has_what_its_rules_require() {
    let rows = rows(EVIL);
    let log: serde_json::Value =
        serde_json::from_str(&write(Format::Sarif, &rows, &tail_of(&rows, EVIL))).unwrap();
    assert_eq!(log["version"], "2.1.0");
    assert_eq!(log["$schema"], "https://json.schemastore.org/sarif-2.1.0.json");
    let run = &log["runs"][0];
    assert_eq!(run["tool"]["driver"]["name"], "dumpscope");
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), 6);
    // The chain over several dumps is a code flow, a step for each link.
    let flow = &results[5]["codeFlows"][0]["threadFlows"][0]["locations"];
    assert_eq!((&results[5]["ruleId"], flow.as_array().unwrap().len()), (&"incident".into(), 1));
    let text = flow[0]["location"]["message"]["text"].as_str().unwrap();
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()) && flow[0]["executionOrder"] == 1);
    uri_is_one(&flow[0]["location"]["physicalLocation"]["artifactLocation"]["uri"]);
    assert!(results[..5].iter().all(|r| r["codeFlows"].is_null()));
    for result in results {
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(["none", "note", "warning", "error"].contains(&result["level"].as_str().unwrap()));
        // 3.27.10: a kind other than `fail` goes with level `none`.
        assert_eq!(result["kind"] == "fail", result["level"] != "none");
        for location in result["locations"].as_array().unwrap() {
            uri_is_one(&location["physicalLocation"]["artifactLocation"]["uri"]);
        }
        for stack in result["stacks"].as_array().into_iter().flatten() {
            for frame in stack["frames"].as_array().unwrap() {
                uri_is_one(&frame["location"]["physicalLocation"]["artifactLocation"]["uri"]);
                assert_eq!(frame["location"]["physicalLocation"]["region"]["startLine"], 7);
            }
        }
    }
    assert_eq!(results[0]["partialFingerprints"]["dumpscopeSignature/v1"], EVIL);
    assert!(results[1]["partialFingerprints"].is_null());
    let invocation = &run["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], true);
    assert_eq!(invocation["toolExecutionNotifications"][0]["level"], "error");
    // Without dumps it is a log without results.
    let empty: serde_json::Value =
        serde_json::from_str(&write(Format::Sarif, &[], &Tail::default())).unwrap();
    assert_eq!(empty["runs"][0]["results"], serde_json::json!([]));
}

#[track_caller]
fn uri_is_one(uri: &serde_json::Value) {
    let uri = uri.as_str().unwrap();
    let fine = |b: u8| b.is_ascii_alphanumeric() || b"-._~/:%".contains(&b);
    assert!(!uri.is_empty() && uri.bytes().all(fine), "{uri}");
}

#[test]
fn junit_is_xml_with_right_counts() {
    let rows = rows(EVIL);
    let tail = tail_of(&rows, EVIL);
    let text = write(Format::Junit, &rows, &tail);
    assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"dumpscope\""));
    tree(&text, &[]);
    references_are_whole(&text);
    assert!(
        text.contains("<testsuite name=\"dumps\" tests=\"4\" failures=\"2\" errors=\"1\" skipped=\"0\">")
    );
    assert_eq!(text.matches("<testcase ").count(), 4);
    assert_eq!(text.matches("<system-out>INCIDENT (strong): ").count(), 1);
    assert_eq!(text.matches("<failure type=\"deadlock\"").count(), 2);
    assert_eq!(text.matches("<error type=\"truncated\"").count(), 1);
    // What counts can be chosen.
    let fail_on = FailOn { kinds: vec![FindingKind::Waiting], least: Some(Confidence::Proven) };
    let options = FormatOptions { fail_on, ..FormatOptions::default() };
    let text = write_with(Format::Junit, &rows, &tail, &options);
    assert_eq!(text.matches("<failure type=\"waiting\"").count(), 2);
    let fail_on = FailOn { kinds: vec![FindingKind::Crash], least: None };
    let options = FormatOptions { fail_on, ..FormatOptions::default() };
    assert!(write_with(Format::Junit, &rows, &tail, &options).contains("failures=\"0\""));
}

#[test]
fn github_annotations_are_one_line_each() {
    let rows = rows(EVIL);
    let text = write(Format::Github, &rows, &tail_of(&rows, EVIL));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), rows.len() + 1);
    assert!(lines[4].contains(",title=Incident (strong)::") && lines[4].contains("procdump -ma 780"));
    assert!(lines[0].starts_with("::error file=a.dmp,title=Deadlock (proven)::<script>"), "{}", lines[0]);
    assert!(lines[2].contains(",title=Dump cannot be analyzed::"));
    assert!(lines[3].starts_with("::notice file=idle.dmp,"));
    // A property ends only where we end it.
    let (head, _) = lines[1][2..].split_once("::").unwrap();
    assert_eq!((head.matches(',').count(), head.matches(':').count()), (1, 0), "{head}");
    assert!(lines.iter().all(|l| !l.contains("%0A::error::x") || l.contains("%250A::error::x")));
}

#[test]
fn markdown_keeps_texts_in_their_place() {
    let rows = rows(EVIL);
    let text = write(Format::Markdown, &rows, &tail_of(&rows, EVIL));
    // Outside of code blocks no tag but ours.
    let mut code = false;
    for line in text.lines() {
        if line.starts_with("```") {
            code = !code;
            continue;
        }
        if code {
            continue;
        }
        for (at, _) in line.match_indices('<') {
            let ours = ["<details", "</details>", "<summary>", "</summary>", "<code>", "</code>"];
            let escaped = line[..at].ends_with('\\');
            assert!(escaped || ours.iter().any(|tag| line[at..].starts_with(tag)), "{line}");
        }
        assert!(!line.contains("](javascript") || line.contains("\\](javascript"), "{line}");
    }
    assert!(!code);
    let issue = issue(&rows[0]);
    assert_eq!(issue.title.lines().count(), 1);
    assert!(issue.title.chars().count() <= 200 && !issue.title.chars().any(char::is_control));
    assert!(issue.body.starts_with("**\\<script\\>"));
}

#[test]
fn the_graph_names_threads_and_locks_once() {
    let graph = WaitGraph::of(&row("a.dmp", "x"));
    let kinds: Vec<NodeKind> = graph.nodes.iter().map(|n| n.kind).collect();
    assert_eq!(kinds, [NodeKind::Lock, NodeKind::Thread, NodeKind::Thread, NodeKind::Lock]);
    assert_eq!(graph.edges.len(), 4);
    assert!(graph.nodes.iter().filter(|n| n.culprit).count() == 3, "{:?}", graph.nodes);
    // Thousands of waiters are counted, not drawn.
    let mut big = row("a.dmp", "x");
    let threads: Vec<ThreadRow> = (0..5000).map(|n| thread(n, "x")).collect();
    if let Some(lock) = big.locks.as_mut().and_then(|l| l.first_mut()) {
        lock.waiters = threads.iter().map(|t| t.tid).collect();
    }
    big.threads = Some(threads);
    let graph = WaitGraph::of(&big);
    assert!(graph.nodes.len() < 60 && graph.left_out > 4900, "{}", graph.left_out);
}
