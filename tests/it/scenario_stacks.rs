//! The scenarios' stacks, walked and named: every frame that was described is found, none is scanned.

use crate::article_replay::session_with_symbols;
use dumpscope_engine::{JsonSink, TextSink, run_line};
use dumpscope_fixtures::scenarios::{self, Scenario};

/// What is wrong with the walked stacks of a scenario.
fn complaints(s: &Scenario) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut opened = session_with_symbols((s.dump.clone(), s.symbols.clone()));
    if s.name.contains("wow64") {
        opened.session.sel.machine = dumpscope_core::Machine::X86;
    }
    for (index, (tid, expected)) in s.stacks.iter().enumerate() {
        let mut sink = JsonSink::new(false);
        run_line(&mut opened.session, &format!("~{index}k"), &mut sink);
        let value = sink.into_value();
        let frames = value[0]["data"]["frames"].as_array().cloned().unwrap_or_default();
        let names: Vec<String> = frames
            .iter()
            .map(|f| {
                let text = |k: &str| f[k].as_str().unwrap_or_default().to_owned();
                match text("displacement").as_str() {
                    "0x0" | "" => format!("{}!{}", text("module"), text("function")),
                    d => format!("{}!{}+{d}", text("module"), text("function")),
                }
            })
            .collect();
        if &names != expected {
            let mut out = Vec::new();
            run_line(&mut opened.session, &format!("~{index}k"), &mut TextSink::new(&mut out, false));
            wrong.push(format!(
                "{}: thread {tid:x}\n  expected {expected:?}\n  found    {names:?}\n{}",
                s.name,
                String::from_utf8_lossy(&out)
            ));
        }
        if frames.iter().any(|f| f["trust"] == "scan") {
            wrong.push(format!("{}: thread {tid:x} has scanned frames", s.name));
        }
    }
    wrong
}

#[test]
fn every_described_frame_is_found() {
    let mut wrong = Vec::new();
    for s in scenarios::all() {
        wrong.extend(complaints(&s));
    }
    let shown = wrong.iter().take(4).cloned().collect::<Vec<_>>().join("\n");
    assert!(wrong.is_empty(), "{} complaints\n{shown}", wrong.len());
}
