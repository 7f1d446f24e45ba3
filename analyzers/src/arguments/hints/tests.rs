//! Tests of hints on built dumps.

use super::*;
use crate::model::{ArgPlace, ArgSource, Confidence, HintSource, Value};
use dumpscope_core::model::Dump;
use dumpscope_symbols::SymbolConfig;

fn article() -> Target {
    let dump = Dump::from_bytes(dumpscope_fixtures::article::ruby_x86().0.bytes()).unwrap();
    Target::new(dump, SymbolConfig::default())
}

#[test]
fn text_behind_the_articles_words() {
    let target = article();
    let hint = text::hint(&target, Machine::X86, Va(0x0262_556e)).unwrap();
    assert!(hint.text.starts_with("\"win32_pnpsigneddriver"), "{hint:?}");
    assert_eq!((hint.source, hint.at), (HintSource::Text, Some(Va(0x0262_556e))));
    assert_eq!(text::hint(&target, Machine::X86, Va(4)), None);
}

#[test]
fn handles_and_times() {
    let target = article();
    let cx = value::Cx { target: &target, machine: Machine::X86 };
    let none = |_: &str| None;
    let text = |kind: Kind, bits| cx.hint(&kind, "", bits, &none).map(|h| h.text);
    assert_eq!(text(Kind::Handle, 0xffff_ffff).as_deref(), Some("the current process"));
    assert_eq!(text(Kind::Time, 0).as_deref(), Some("for ever"));
    assert_eq!(text(Kind::Milliseconds, 1500).as_deref(), Some("1500 ms"));
    assert_eq!(text(Kind::Message, 0x4a).as_deref(), Some("WM_COPYDATA"));
    assert_eq!(text(Kind::Plain, 7), None);
    let count = |_: &str| Some(65);
    assert_eq!(
        cx.hint(&Kind::Handles("Count".into()), "", 0x28_ebe0, &count),
        None,
        "Windows waits for 64 at most"
    );
}

#[test]
fn arguments_without_value_get_none() {
    let target = article();
    let value = Value {
        bits: 0x0262_556e,
        bytes: 4,
        source: ArgSource::StackSlot,
        confidence: Confidence::Strong,
        evidence: Vec::new(),
    };
    let argument = |value| Argument {
        index: 0,
        place: ArgPlace::Stack(4),
        name: None,
        type_text: None,
        value,
        overwritten: false,
        hint: None,
        leads_to: None,
    };
    let stack = crate::stacks::thread_stack(
        &target,
        dumpscope_core::ThreadIdx(0),
        Machine::X86,
        &dumpscope_symbols::Limits::default(),
        &Cancel::default(),
    )
    .unwrap();
    // A function that the table does not know.
    let row = stack.frames.iter().position(|f| f.function.as_deref() == Some("rb_f_send")).unwrap();
    let mut rows = vec![Vec::new(); stack.frames.len()];
    rows[row] = vec![argument(None), argument(Some(value.clone()))];
    // And one of which the table says that its first argument is a number.
    let wait =
        stack.frames.iter().position(|f| f.function.as_deref() == Some("WaitForMultipleObjectsEx")).unwrap();
    rows[wait] = vec![argument(Some(value))];
    add_hints(&target, &stack, &mut rows, &Cancel::default());
    assert!(rows[row][0].hint.is_none() && rows[row][1].hint.is_some() && rows[wait][0].hint.is_none());
}
