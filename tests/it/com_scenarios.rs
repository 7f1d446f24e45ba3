//! COM calls of the scenarios: both ends of a call, what is known of each build, old objects, sources that disagree.

use dumpscope_analyzers::facts::Case;
use dumpscope_analyzers::model::{Confidence, LayoutSource, Wait};
use dumpscope_analyzers::triage::{run_rules, verdict};
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::Tid;
use dumpscope_core::model::Dump;
use dumpscope_fixtures::pdb::{Fields, base};
use dumpscope_fixtures::scenarios::{self, Scenario};
use dumpscope_fixtures::{article, dump};
use dumpscope_symbols::SymbolConfig;

fn look<T>(dump: &dump::Dump, config: SymbolConfig, see: impl FnOnce(&Case<'_>, &Wait) -> T) -> T {
    let target = Target::new(Dump::from_bytes(dump.bytes()).unwrap(), config);
    let facts = target.facts(&Cancel::default());
    let facts = Case { target: &target, facts: &facts };
    let wait = facts.threads[0].wait.clone().unwrap();
    see(&facts, &wait)
}

fn scenario(name: &str) -> Scenario {
    scenarios::all().into_iter().find(|s| s.name == name).unwrap_or_else(|| panic!("no scenario {name}"))
}

fn of_build(s: &Scenario, build: u32) -> dump::Dump {
    let mut dump = s.dump.clone();
    dump.system.as_mut().unwrap().build = build;
    dump
}

/// A scenario's dump, looked at without symbols.
fn in_scenarios(prefix: &str, mut see: impl FnMut(&str, &Case<'_>)) {
    let mut seen = 0;
    for s in scenarios::all().iter().filter(|s| s.name.starts_with(prefix)) {
        let target = Target::new(Dump::from_bytes(s.dump.bytes()).unwrap(), SymbolConfig::default());
        let facts = target.facts(&Cancel::default());
        see(&s.name, &Case { target: &target, facts: &facts });
        seen += 1;
    }
    assert!(seen > 0, "no scenario {prefix}");
}

#[test]
fn who_called_a_server_and_which_interface() {
    in_scenarios("COM server (", |name, facts| {
        let i = facts.thread(Tid(0x1114)).unwrap().com.as_ref().unwrap().incoming.clone().unwrap();
        assert_eq!((i.pid.0, i.tid), (0x30c, Some(Tid(0x1a4))), "{name}");
        // Nobody published the OXID entry of 32-bit processes since 2004: nothing would confirm the pointer's entry.
        let known = !(name.ends_with("10, x86)") || name.ends_with("11, wow64)"));
        let interface = known.then_some("IWbemServices");
        assert_eq!(i.interface.as_deref(), interface, "{name}: {:#?}", i.evidence);
        let ipid = known.then(|| "0009042d-1f40-0000-5ed7-a7ed59ca66b0".to_owned());
        assert_eq!(i.ipid.map(|g| g.to_string()), ipid, "{name}");
        assert_eq!(i.causality.unwrap().data1, 0x6a63_5c55, "{name}");
        // The call's own object and the thread's data agree where the object's layout is known.
        let object = name.contains("10, x64") || name.contains("11, x64");
        let sure = if object { Confidence::Proven } else { Confidence::Strong };
        assert_eq!(i.confidence, sure, "{name}: {:#?}", i.evidence);
    });
}

#[test]
fn both_ends_of_a_call_within_the_process() {
    in_scenarios("COM call that the server tells (", |name, facts| {
        let w = facts.thread(Tid(0x1110)).unwrap().wait.as_ref().unwrap();
        assert_eq!(w.owner_tid, Some(Tid(0x1114)), "{name}: {:#?}", w.evidence);
        assert!(w.evidence.iter().any(|e| e.contains("says that it serves a call of thread 1110")), "{name}");
        assert!(w.evidence.iter().any(|e| e.contains("same chain of calls")), "{name}");
        let sure = if name.contains("x64") && (name.contains("10,") || name.contains("11,")) {
            Confidence::Proven
        } else {
            Confidence::Strong
        };
        assert_eq!(w.confidence, sure, "{name}: {:#?}", w.evidence);
    });
}

#[test]
fn a_client_of_another_call_is_no_edge() {
    // The server waits for its client itself: it calls back, and the client's newest call is another one.
    in_scenarios("COM callback (", |name, facts| {
        let w = facts.thread(Tid(0x1110)).unwrap().wait.as_ref().unwrap();
        assert_eq!((w.kind.name(), w.owner_tid), ("com_call", None), "{name}: {:#?}", w.evidence);
    });
}

#[test]
fn message_objects_of_every_known_build() {
    in_scenarios("COM call to another process (", |name, facts| {
        let w = facts.thread(Tid(0x1110)).unwrap().wait.as_ref().unwrap();
        let call = w.com.as_ref().unwrap();
        assert_eq!(call.pid.map(|p| p.0), Some(0x30c), "{name}");
        // Nobody published the layouts of these.
        let known = !matches!(name.rsplit_once(" (").unwrap().1, "7, x86)" | "10, x86)" | "11, wow64)");
        let sure = if known { Confidence::Proven } else { Confidence::Strong };
        assert_eq!((call.message.is_some(), w.confidence), (known, sure), "{name}: {:#?}", w.evidence);
        if known {
            assert_eq!(call.interface.as_deref(), Some("IWbemServices"), "{name}");
            assert_eq!(call.message.unwrap().method, Some(20), "{name}");
            assert_eq!(call.message.unwrap().causality.unwrap().data1, 0x463f_3831, "{name}");
        }
    });
}

#[test]
fn the_librarys_code_tells_the_offsets_of_unknown_builds() {
    in_scenarios("COM call of an unknown build (", |name, facts| {
        let t = facts.thread(Tid(0x1110)).unwrap();
        assert_eq!(t.com.as_ref().unwrap().layout, LayoutSource::Code, "{name}");
        let w = t.wait.as_ref().unwrap();
        assert_eq!((w.owner_pid.map(|p| p.0), w.confidence), (Some(0x30c), Confidence::Strong), "{name}");
        assert!(w.evidence.iter().any(|e| e.contains("by the code of CoGetCallState")), "{:#?}", w.evidence);
    });
}

#[test]
fn an_activation_names_the_class() {
    in_scenarios("COM activation (", |name, facts| {
        let w = facts.thread(Tid(0x1110)).unwrap().wait.as_ref().unwrap();
        assert_eq!(w.kind.name(), "com_call", "{name}");
        assert!(w.sentence.contains("the COM class WbemLocator {4590f811-"), "{name}: {}", w.sentence);
        assert_eq!((w.owner_pid, w.owner_tid), (None, None), "{name}");
    });
}

#[test]
fn between_known_builds_a_layout_counts_when_the_memory_fits() {
    let s = scenario("COM call to another process (10, x64)");
    let (object, entry, data) = look(&s.dump, SymbolConfig::default(), |facts, w| {
        let m = w.com.as_ref().unwrap().message.unwrap();
        (m.address.0, m.oxid.unwrap().0.0, facts.threads[0].com.as_ref().unwrap().data.0)
    });
    // Windows 11 24H2: as before, but nobody said so.
    let mut dump = of_build(&s, 26100);
    look(&dump, SymbolConfig::default(), |facts, w| {
        assert_eq!(facts.threads[0].com.as_ref().unwrap().layout, LayoutSource::Neighbour);
        let m = w.com.as_ref().unwrap().message.unwrap();
        assert_eq!((m.address.0, m.layout), (object, LayoutSource::Neighbour));
        assert_eq!((w.owner_pid.map(|p| p.0), w.confidence), (Some(0x30c), Confidence::Strong));
        assert!(w.evidence.iter().any(|e| e.contains("neighbouring build")), "{:#?}", w.evidence);
    });
    // The object alone is not believed then.
    dump.space.put64(data + 0x20, 0);
    look(&dump, SymbolConfig::default(), |_, w| assert!(w.com.is_none(), "{:#?}", w.evidence));
    // Windows 10 1909: the entry of the server has the earlier layout.
    let mut dump = of_build(&s, 18363);
    look(&dump, SymbolConfig::default(), |_, w| {
        assert!(w.com.as_ref().unwrap().message.is_none());
        assert_eq!((w.owner_pid.map(|p| p.0), w.confidence), (Some(0x30c), Confidence::Strong));
    });
    dump.space.put32(entry + 0x10, 0x30c);
    look(&dump, SymbolConfig::default(), |_, w| {
        assert_eq!(w.com.as_ref().unwrap().message.unwrap().address.0, object);
        assert_eq!((w.owner_pid.map(|p| p.0), w.confidence), (Some(0x30c), Confidence::Strong));
    });
    // Both layouts see a call, and different ones: none is believed.
    dump.space.put32(data + 0x1ac, 0x444);
    dump.space.put32(data + 0x1b0, 0);
    look(&dump, SymbolConfig::default(), |facts, _| assert!(facts.threads[0].com.is_none()));
}

#[test]
fn an_old_object_does_not_name_the_interface() {
    in_scenarios("COM call beside an old one (", |name, facts| {
        let w = facts.threads[0].wait.as_ref().unwrap();
        let call = w.com.as_ref().unwrap();
        assert_eq!((w.owner_pid.map(|p| p.0), w.confidence), (Some(0x30c), Confidence::Proven), "{name}");
        // Up to 8.1 the event tells which object is the living one.
        let event = name.contains("8.1");
        assert_eq!(call.several, !event, "{name}");
        assert_eq!(call.message.unwrap().method, event.then_some(20), "{name}");
        assert_eq!(call.interface.is_some(), event, "{name}");
        assert_eq!(w.evidence.iter().any(|e| e.contains("not certain")), !event, "{name}");
    });
}

#[test]
fn rpc_waits_for_handles_of_its_own() {
    in_scenarios("COM call that waits in RPC (", |name, facts| {
        let w = facts.threads[0].wait.as_ref().unwrap();
        let call = w.com.as_ref().unwrap();
        let (event, handles) = (call.message.unwrap().event.unwrap(), w.handles.as_ref().unwrap());
        assert!(!handles.contains(&event) && !call.waited && !call.stale, "{name}: {:#?}", w.evidence);
        assert_eq!((w.owner_pid.map(|p| p.0), w.confidence), (Some(0x30c), Confidence::Proven), "{name}");
        assert_eq!(call.interface.as_deref(), Some("IWbemServices"), "{name}");
    });
}

#[test]
fn sources_that_disagree_are_told() {
    let s = scenario("COM call to another process (8.1, x64)");
    let (object, entry) = look(&s.dump, SymbolConfig::default(), |_, w| {
        let m = w.com.as_ref().unwrap().message.unwrap();
        (m.address.0, m.oxid.unwrap().0.0)
    });
    let mut dump = s.dump.clone();
    dump.space.put32(entry + 0x10, 0x444);
    look(&dump, SymbolConfig::default(), |_, w| {
        assert_eq!((w.owner_pid.map(|p| p.0), w.confidence), (Some(0x30c), Confidence::Strong));
        assert!(
            w.evidence.iter().any(|e| e.contains("OXID entry names another process")),
            "{:#?}",
            w.evidence
        );
    });
    let mut dump = s.dump.clone();
    dump.space.put32(object + 0x11c, 0x1b8);
    dump.space.put32(entry + 0x14, 0x1bc);
    look(&dump, SymbolConfig::default(), |_, w| {
        assert_eq!((w.owner_tid, w.confidence), (Some(Tid(0x1b8)), Confidence::Strong));
        assert!(w.evidence.iter().any(|e| e.contains("different threads")), "{:#?}", w.evidence);
    });
    // An id whose second word is another process's is no object.
    let mut dump = s.dump.clone();
    dump.space.put32(object + 0x44, 0x444);
    look(&dump, SymbolConfig::default(), |_, w| assert!(w.com.as_ref().unwrap().message.is_none()));
}

#[test]
fn the_librarys_symbols_beat_the_table() {
    const OLE: u64 = 0x0051_2200;
    let (mut dump, _) = article::ruby_x86();
    dump.space.fill(0x0050_5170, 0x100, 0);
    // Nothing where the table has it, a call where the types have it.
    dump.space.fill(OLE + 0x100, 0x1c, 0xff);
    for (at, v) in [(0x140, 0x444), (0x144, 0), (0x148, u32::MAX)] {
        dump.space.put32(OLE + at, v);
    }
    dump.space.fill(OLE + 0x14c, 0x10, 0xff);
    look(&dump, SymbolConfig::default(), |_, w| assert!(w.com.is_none()));
    let folder = tempfile::tempdir().unwrap();
    for mut file in article::pdbs() {
        if file.name == "combase.pdb" {
            let l = &mut file.pdb.types;
            let guid = l.structure("tagActivated", 16, Fields::default().member(0, base::UQUAD, "a"));
            let mut out = Fields::default();
            out.member(0, base::ULONG, "dwServerPID").member(4, base::ULONG, "dwServerTID");
            let out = l.structure("tagOutgoingCallData", 8, &out);
            let mut client = Fields::default();
            client.member(0, base::ULONG, "dwClientPID");
            let client = l.structure("tagIncomingCallData", 4, &client);
            let mut f = Fields::default();
            f.member(8, base::ULONG, "dwApartmentID").member(0xc, base::ULONG, "dwFlags");
            f.member(0x14, base::VOID_PTR, "ppTlsSlot").member(0x140, out, "outgoingCallData");
            f.member(0x148, client, "incomingCallData").member(0x14c, guid, "outgoingActivationData");
            l.structure("tagSOleTlsData", 0x160, &f);
        }
        std::fs::write(folder.path().join(&file.name), file.pdb.bytes()).unwrap();
    }
    let symbol_path = folder.path().display().to_string();
    let config = SymbolConfig { symbol_path, offline: true, ..SymbolConfig::default() };
    look(&dump, config, |facts, w| {
        assert_eq!(facts.threads[0].com.as_ref().unwrap().layout, LayoutSource::Symbols);
        assert_eq!((w.owner_pid.map(|p| p.0), w.confidence), (Some(0x444), Confidence::Strong));
        assert!(w.evidence.iter().any(|e| e.contains("by the library's symbols")), "{:#?}", w.evidence);
        let v = verdict(&run_rules(facts).findings);
        assert_eq!((v.kind.name(), v.server_pid.map(|p| p.0)), ("blocked_on_process", Some(0x444)));
    });
}

/// Threads that make the same call of the same server are one finding, which names them all; the main one comes first.
#[test]
fn equal_calls_of_one_server_are_one_finding() {
    const COPIES: u32 = 300;
    let mut dump = scenario("COM call to another process (10, x64)").dump;
    let caller = dump.threads[0].clone();
    for n in 0..COPIES {
        let mut copy = caller.clone();
        copy.tid = 0x2000 + n;
        dump.threads.push(copy);
    }
    let target = Target::new(Dump::from_bytes(dump.bytes()).unwrap(), SymbolConfig::default());
    let facts = target.facts(&Cancel::default());
    let facts = Case { target: &target, facts: &facts };
    let found = run_rules(&facts).findings;
    let blocked: Vec<_> = found.iter().filter(|f| f.server_pid == Some(dumpscope_core::Pid(0x30c))).collect();
    let [one] = blocked.as_slice() else { panic!("{} findings", blocked.len()) };
    assert_eq!(one.tid, Some(Tid(0x1110)));
    let want: Vec<Tid> = std::iter::once(0x1110).chain(0x2000..0x2000 + COPIES).map(Tid).collect();
    assert_eq!(one.tids, want);
    assert!(one.summary.ends_with(", and so do 300 more threads"), "{}", one.summary);
    assert!(one.evidence.iter().all(|e| e.len() < 400), "{:#?}", one.evidence);
}
