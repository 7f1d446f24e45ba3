//! Tests of what is believed of the arguments of waits.

use super::argued::{Argued, Given, INT, given};
use super::call::{agreed, timeout};
use crate::Target;
use crate::model::{ArgPlace, ArgSource, Argument, Confidence, Timeout, Value};
use crate::testing::{frame, stack};
use dumpscope_core::model::Dump;
use dumpscope_symbols::SymbolConfig;

fn target(dump: &dumpscope_fixtures::dump::Dump) -> Target {
    Target::new(Dump::from_bytes(dump.bytes()).unwrap(), SymbolConfig::default())
}

#[test]
fn functions_that_wait_are_those_around_this_wait() {
    let target = target(&dumpscope_fixtures::small::x64().0);
    let module = |name: &str| {
        let at = target.symbols.modules().iter().position(|m| m.file_name.eq_ignore_ascii_case(name));
        assert!(at.is_some(), "no module {name}");
        at
    };
    let (ntdll, kernel, own) = (module("ntdll.dll"), module("kernelbase.dll"), module("demo.exe"));
    let rows = |frames: &[(Option<usize>, &str)]| {
        let all = stack(frames.iter().map(|(m, f)| frame(*m, f)).collect());
        let argued = Argued::new(&target, &all);
        argued.rows_of(|n| n.starts_with("Sleep")).map(|(row, _)| row).collect::<Vec<_>>()
    };
    let call = (ntdll, "NtDelayExecution");
    // Functions that call each other.
    assert_eq!(rows(&[call, (kernel, "SleepEx"), (kernel, "Sleep"), (own, "main")]), [1, 2]);
    // Outside of the program's code it is another call.
    assert_eq!(rows(&[call, (kernel, "SleepEx"), (own, "hook"), (kernel, "Sleep")]), [1]);
    assert_eq!(rows(&[call, (own, "hook"), (kernel, "Sleep")]), [0_usize; 0]);
    // So it is in a wait that Windows interrupted for something.
    for interrupts in ["KiUserApcDispatcher", "KiUserCallbackDispatcher", "KiUserExceptionDispatch"] {
        assert_eq!(rows(&[call, (ntdll, interrupts), (kernel, "SleepEx")]), [0_usize; 0], "{interrupts}");
    }
    // A function of Windows that waits a second time by itself.
    assert_eq!(rows(&[call, (kernel, "SleepEx"), (kernel, "Other"), (kernel, "Sleep")]), [1]);
}

fn argument(bits: u64, bytes: u8, confidence: Confidence) -> [Argument; 1] {
    let value = Value { bits, bytes, source: ArgSource::StackSlot, confidence, evidence: Vec::new() };
    [Argument {
        index: 0,
        place: ArgPlace::Stack(8),
        name: None,
        type_text: None,
        value: Some(value),
        overwritten: false,
        hint: None,
        leads_to: None,
    }]
}

#[test]
fn half_of_an_address_is_none() {
    let strong = |bytes| argument(0x5678, bytes, Confidence::Strong);
    assert_eq!(given(&strong(4), 0, 8), None);
    assert_eq!(given(&strong(2), 0, INT), None);
    let whole = Some(Given { value: 0x5678, sure: Confidence::Strong });
    assert_eq!((given(&strong(4), 0, INT), given(&strong(8), 0, 8)), (whole, whole));
    assert_eq!(given(&argument(0x5678, 8, Confidence::Guess), 0, 8), None);
    assert_eq!(given(&strong(8), 1, 8), None);
}

#[test]
fn what_several_functions_were_called_with() {
    let said = |value, sure| Given { value, sure };
    use Confidence::{Proven, Strong};
    assert_eq!(agreed::<bool>(&[]), None);
    assert_eq!(agreed(&[said(5, Strong), said(5, Proven)]), Some(said(5, Proven)));
    assert_eq!(agreed(&[said(5, Strong), said(6, Proven)]), None);
}

#[test]
fn limits_below_a_millisecond_are_some() {
    const AT: u64 = 0x5a_0000;
    let of = |ticks: i64| {
        let (mut dump, _) = dumpscope_fixtures::small::x64();
        dump.space.put64(AT, ticks.cast_unsigned());
        timeout(&target(&dump), AT)
    };
    assert_eq!(of(0), None);
    assert_eq!(of(-1), Some(Timeout::Ms(1)));
    assert_eq!(of(-10_000), Some(Timeout::Ms(1)));
    assert_eq!(of(-10_001), Some(Timeout::Ms(2)));
    assert_eq!(of(i64::MIN), Some(Timeout::Infinite));
}
