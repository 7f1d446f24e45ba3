//! Remote procedure calls: which message is the living one, its binding, the server's side.

use dumpscope_analyzers::facts::Case;
use dumpscope_analyzers::model::Confidence;
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::Tid;
use dumpscope_core::model::Dump;
use dumpscope_fixtures::scenarios;
use dumpscope_fixtures::symfile::write_folder;
use dumpscope_symbols::SymbolConfig;

fn in_scenarios(prefix: &str, mut see: impl FnMut(&str, bool, &Case<'_>)) {
    let mut seen = 0;
    for s in scenarios::all().iter().filter(|s| s.name.starts_with(prefix)) {
        for symbols in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let mut config = SymbolConfig { offline: true, ..SymbolConfig::default() };
            if symbols {
                write_folder(folder.path(), &s.symbols).unwrap();
                config.symbol_path = folder.path().display().to_string();
            }
            let target = Target::new(Dump::from_bytes(s.dump.bytes()).unwrap(), config);
            let facts = target.facts(&Cancel::default());
            see(&s.name, symbols, &Case { target: &target, facts: &facts });
            seen += 1;
        }
    }
    assert!(seen > 0, "no scenario {prefix}");
}

#[test]
fn the_living_message_and_its_binding() {
    in_scenarios("RPC client (", |name, symbols, facts| {
        let w = facts.thread(Tid(0x1110)).unwrap().wait.as_ref().unwrap();
        let call = w.rpc.as_ref().unwrap_or_else(|| panic!("{name} {symbols}: {:#?}", w.evidence));
        assert_eq!(call.interface.to_string(), "367abb81-9844-35f1-ad32-98f038001003", "{name}");
        assert_eq!((call.name.as_deref(), call.procedure), (Some("svcctl"), 19), "{name}");
        assert_eq!(call.endpoint.as_deref(), Some("ncalrpc:[ntsvcs]"), "{name}: {:#?}", w.evidence);
        assert_eq!(call.service, Some("the service control manager (services.exe)"), "{name}");
        assert!(
            w.sentence.ends_with("that the service control manager (services.exe) serves"),
            "{}",
            w.sentence
        );
        assert!(w.evidence.iter().any(|e| e.contains(r"has the endpoint ncacn_np:[\pipe\svcctl]")), "{name}");
        // x86: the message is the argument of a function that takes it; else it lies in a living frame.
        let argument = !name.contains("x64");
        let sure = if argument { Confidence::Proven } else { Confidence::Strong };
        assert_eq!(call.confidence, sure, "{name} {symbols}: {:#?}", w.evidence);
    });
}

#[test]
fn what_a_server_thread_serves() {
    in_scenarios("RPC server (", |name, symbols, facts| {
        let t = facts.thread(Tid(0x1114)).unwrap();
        let call = t.serves.as_ref().unwrap_or_else(|| panic!("{name} {symbols}"));
        assert_eq!((call.name.as_deref(), call.procedure), (Some("svcctl"), 19), "{name}");
        let text = &t.activity.as_ref().unwrap().text;
        assert!(text.starts_with("waits for the critical section at "), "{text}");
        assert!(text.ends_with("and serves an RPC call (svcctl, procedure 19)"), "{text}");
        assert!(facts.thread(Tid(0x1110)).unwrap().serves.is_none(), "{name}");
    });
}
