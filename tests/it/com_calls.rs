//! Outgoing COM calls: sources that agree, contradict each other, or are old.

use dumpscope_analyzers::facts::Case;
use dumpscope_analyzers::model::{Confidence, LayoutSource, Wait};
use dumpscope_analyzers::triage::{run_rules, verdict};
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::Tid;
use dumpscope_core::model::Dump;
use dumpscope_fixtures::{article, dump};
use dumpscope_symbols::SymbolConfig;

/// `CMessageCall` and `SOleTlsData` of the article's main thread.
const MESSAGE: u64 = 0x0050_5170;
const OLE: u64 = 0x0051_2200;

fn look<T>(dump: &dump::Dump, see: impl FnOnce(&Case<'_>, &Wait) -> T) -> T {
    let target = Target::new(Dump::from_bytes(dump.bytes()).unwrap(), SymbolConfig::default());
    let facts = target.facts(&Cancel::default());
    let facts = Case { target: &target, facts: &facts };
    let wait = facts.thread(Tid(article_main())).unwrap().wait.clone().unwrap();
    see(&facts, &wait)
}

fn article_main() -> u32 {
    0x734
}

#[test]
fn two_sources_and_the_event_prove_the_articles_call() {
    for (dump, _) in [article::ruby_x86(), article::ruby_wow64()] {
        look(&dump, |facts, w| {
            assert_eq!((w.kind.name(), w.owner_pid.map(|p| p.0)), ("com_call", Some(780)));
            assert_eq!(w.confidence, Confidence::Proven, "{:#?}", w.evidence);
            let call = w.com.as_ref().unwrap();
            let m = call.message.unwrap();
            assert_eq!((m.address.0, m.event, m.method), (MESSAGE, Some(0x260), Some(3)));
            assert_eq!(m.ipid.to_string(), "0009042d-030c-0000-5ed7-a7ed59ca66b0");
            assert_eq!(m.iid.unwrap().to_string(), "423ec01e-2e35-11d2-b604-00104b703efd");
            assert_eq!(m.causality.unwrap().to_string(), "1a786d47-0267-499f-b9e9-6678d3e29858");
            assert!(!call.conflict);
            let v = verdict(&run_rules(facts).findings);
            assert_eq!((v.kind.name(), v.confidence), ("blocked_on_process", Confidence::Proven));
            assert_eq!(v.server_pid.map(|p| p.0), Some(780));
        });
    }
}

#[test]
fn one_source_alone_is_strong_and_a_contradiction_is_told() {
    // Only the thread's COM data.
    let (mut dump, _) = article::ruby_x86();
    dump.space.fill(MESSAGE, 0x100, 0);
    look(&dump, |_, w| {
        assert_eq!((w.owner_pid.map(|p| p.0), w.confidence), (Some(780), Confidence::Strong));
        assert!(w.com.as_ref().unwrap().message.is_none());
    });
    // The object whose event the thread waits for, and COM data that know of no call.
    let (mut dump, _) = article::ruby_x86();
    for none in [0, 0xffff_ffff] {
        dump.space.put32(OLE + 0x100, none);
        look(&dump, |_, w| {
            assert_eq!((w.owner_pid.map(|p| p.0), w.confidence), (Some(780), Confidence::Strong));
            let says = "the thread's COM data at 512200 (by the layout of this build) name no outgoing call";
            assert!(w.evidence.iter().any(|e| e.starts_with(says)), "{:#?}", w.evidence);
        });
    }
    // The same object, and COM data that cannot be read: they do not lead back to the TEB.
    dump.space.put32(OLE + 0x14, 0);
    look(&dump, |_, w| {
        assert_eq!((w.owner_pid.map(|p| p.0), w.confidence), (Some(780), Confidence::Proven));
        assert!(w.evidence.iter().any(|e| e.contains("COM data could not be read")), "{:#?}", w.evidence);
    });
    dump.space.put32(OLE + 0x14, 0x7ffd_df80);
    // An object with another event, and COM data that know of no call: it may be old.
    dump.space.put32(MESSAGE + 0x1c, 0x999c);
    look(&dump, |_, w| assert_eq!((w.owner_pid.map(|p| p.0), w.confidence), (Some(780), Confidence::Guess)));
    // That object alone.
    dump.space.put32(OLE + 0x14, 0);
    look(&dump, |_, w| assert_eq!((w.owner_pid.map(|p| p.0), w.confidence), (Some(780), Confidence::Guess)));
    // An object without an event alone: nothing speaks for or against it.
    dump.space.put32(MESSAGE + 0x1c, 0);
    look(&dump, |_, w| assert_eq!((w.owner_pid.map(|p| p.0), w.confidence), (Some(780), Confidence::Strong)));
    dump.space.put32(OLE + 0x14, 0x7ffd_df80);
    // An old object beside COM data that say something else is not used.
    dump.space.put32(OLE + 0x100, 0x444);
    look(&dump, |_, w| {
        assert_eq!((w.owner_pid.map(|p| p.0), w.confidence), (Some(0x444), Confidence::Strong));
        assert!(w.com.as_ref().unwrap().message.is_none());
    });
    // The waited object against the COM data: the waited one, and the contradiction is told.
    let (mut dump, _) = article::ruby_x86();
    dump.space.put32(OLE + 0x100, 0x444);
    look(&dump, |_, w| {
        assert_eq!((w.owner_pid.map(|p| p.0), w.confidence), (Some(780), Confidence::Strong));
        assert!(w.com.as_ref().unwrap().conflict);
        assert!(w.evidence.iter().any(|e| e.contains("different servers")), "{:#?}", w.evidence);
    });
}

#[test]
fn an_object_whose_event_is_not_waited_for_proves_nothing() {
    for (mut dump, _) in [article::ruby_x86(), article::ruby_wow64()] {
        dump.space.put32(MESSAGE + 0x1c, 0x999c);
        look(&dump, |facts, w| {
            // The COM data alone.
            assert_eq!((w.owner_pid.map(|p| p.0), w.confidence), (Some(780), Confidence::Strong));
            let says = "the thread does not wait for the object's event 999c";
            assert!(w.evidence.iter().any(|e| e.starts_with(says)), "{:#?}", w.evidence);
            let call = w.com.as_ref().unwrap();
            assert!(call.stale && call.interface.is_none());
            assert_eq!(call.message.map(|m| (m.iid, m.method, m.causality)), Some((None, None, None)));
            assert!(!w.sentence.contains("IWbem") && !w.sentence.contains("method"), "{}", w.sentence);
            let v = verdict(&run_rules(facts).findings);
            assert_eq!((v.kind.name(), v.confidence), ("blocked_on_process", Confidence::Strong));
            let text = dumpscope_engine_text(facts.target, "!com");
            assert!(!text.contains("interface   ") && !text.contains("ipid   "), "{text}");
        });
    }
}

#[test]
fn a_class_that_is_being_activated() {
    let (mut dump, _) = article::ruby_x86();
    dump.space.fill(MESSAGE, 0x100, 0);
    dump.space.put32(OLE + 0x100, 0xffff_ffff);
    dump.space.write(OLE + 0x10c, &[0x11; 16]);
    look(&dump, |facts, w| {
        assert_eq!((w.kind.name(), w.owner_pid), ("com_call", None));
        assert!(w.sentence.contains("activation of the COM class {11111111-1111-1111-1111-111111111111}"));
        assert!(w.sentence.contains("RpcSs and DcomLaunch"));
        assert_eq!(verdict(&run_rules(facts).findings).kind.name(), "waiting");
    });
}

#[test]
fn the_labs_call_with_and_without_symbols() {
    let Some(shared) = crate::core_common::shared_or_skip("the_labs_call_with_and_without_symbols") else {
        return;
    };
    for symbols in [String::new(), shared.join("lab/symbols/x86").display().to_string()] {
        let with = !symbols.is_empty();
        let config = SymbolConfig { symbol_path: symbols, offline: true, ..SymbolConfig::default() };
        let dump = Dump::open(&shared.join("lab/ruby-x86.dmp.zst")).unwrap();
        let target = Target::new(dump, config);
        let facts = target.facts(&Cancel::default());
        let facts = Case { target: &target, facts: &facts };
        let w = facts.thread(Tid(0x24)).unwrap().wait.as_ref().unwrap();
        let m = w.com.as_ref().unwrap().message.unwrap();
        assert_eq!(
            (m.address.0, m.event, m.layout == LayoutSource::Symbols),
            (0x00ad_b410, Some(0x58), with)
        );
        assert_eq!(m.ipid.to_string(), "0009042d-0110-0000-5ed7-a7ed59ca66b0");
        assert_eq!((m.method, m.pid.map(|p| p.0)), (Some(3), Some(0x110)));
        assert_eq!((w.owner_pid.map(|p| p.0), w.owner_tid), (Some(0x110), None));
        assert_eq!(w.confidence, Confidence::Proven, "{:#?}", w.evidence);
        let text = dumpscope_engine_text(&target, "!com");
        for part in ["423ec01e-2e35-11d2-b604-00104b703efd", "110", "0009042d", "proven"] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}

fn dumpscope_engine_text(target: &Target, line: &str) -> String {
    let bytes = target.dump.file_bytes().to_vec();
    let config = target.symbols.config();
    let target = Target::new(Dump::from_bytes(bytes).unwrap(), config);
    let mut session = dumpscope_engine::Session::new("a.dmp".into(), std::sync::Arc::new(target));
    let mut out = Vec::new();
    dumpscope_engine::run_line(&mut session, line, &mut dumpscope_engine::TextSink::new(&mut out, false));
    String::from_utf8(out).unwrap()
}
