//! What a called method of an interface is called, and what it was called with.

use crate::Cancel;
use crate::Target;
use crate::arguments::{method_arguments, recover_all};
use crate::model::{ArgPlace, Argument, CalledMethod, Confidence, Stack};
use dumpscope_core::base::Guid;
use dumpscope_core::{Machine, Va};
use dumpscope_win32::table;

/// A method and its parameters.
type Method = (&'static str, &'static [&'static str]);

/// Methods of interfaces that the metadata lacks, from the first one behind `IUnknown`'s three, with the names of their
/// parameters. Source: Microsoft's open specifications MS-WMI (3.1.4) and MS-DCOM (3.1.1.5.6).
const OTHERS: &[(&str, &[Method])] = &[
    (
        "IWbemWCOSmartEnum",
        &[("Next", &["proxyGUID", "lTimeout", "uCount", "puReturned", "pdwBuffSize", "pBuffer"])],
    ),
    ("IWbemFetchSmartEnum", &[("GetSmartEnum", &["ppSmartEnum"])]),
    ("IWbemLoginClientID", &[("SetClientInfo", &["wszClientMachine", "lClientProcId", "lReserved"])]),
    (
        "IWbemLevel1Login",
        &[
            ("EstablishPosition", &["reserved1", "reserved2", "LocaleVersion"]),
            ("RequestChallenge", &["reserved1", "reserved2", "reserved3"]),
            ("WBEMLogin", &["reserved1", "reserved2", "reserved3", "reserved4", "reserved5"]),
            ("NTLMLogin", &["wszNetworkResource", "wszPreferredLocale", "lFlags", "pCtx", "ppNamespace"]),
        ],
    ),
    (
        "IRemUnknown",
        &[
            ("RemQueryInterface", &["ripid", "cRefs", "cIids", "iids", "ppQIResults"]),
            ("RemAddRef", &["cInterfaceRefs", "InterfaceRefs", "pResults"]),
            ("RemRelease", &["cInterfaceRefs", "InterfaceRefs"]),
        ],
    ),
    (
        "IRemUnknown2",
        &[
            ("RemQueryInterface", &["ripid", "cRefs", "cIids", "iids", "ppQIResults"]),
            ("RemAddRef", &["cInterfaceRefs", "InterfaceRefs", "pResults"]),
            ("RemRelease", &["cInterfaceRefs", "InterfaceRefs"]),
            ("RemQueryInterface2", &["ripid", "cIids", "iids", "phr", "ppMIF"]),
        ],
    ),
];

/// Methods of `IUnknown`.
const FIRST: usize = 3;
/// Innermost rows in which the proxy is looked for.
const DEPTH: usize = 24;

/// The method with a number of an interface. `None`: nobody describes such an interface, or it has fewer methods.
pub(super) fn called(
    target: &Target,
    machine: Machine,
    stack: &Stack,
    iid: &Guid,
    number: u32,
) -> Option<CalledMethod> {
    let place = usize::try_from(number).ok()?;
    let at = parameter_area(target, stack, number);
    if let Some(id) = table().type_with_guid(&iid.to_bytes()) {
        let (interface, method) = table().methods(id).into_iter().nth(place)?;
        let parameters = method_arguments(target, machine, &method.signature.params, at);
        return Some(CalledMethod { interface, name: method.name, parameters, by_table: true });
    }
    let interface = target.hints().guid_name(iid)?;
    let (_, methods) = OTHERS.iter().find(|(name, _)| *name == interface)?;
    let (name, names) = methods.get(place.checked_sub(FIRST)?)?;
    let parameter = |(index, name): (usize, &&str)| Argument {
        index,
        place: ArgPlace::Elsewhere,
        name: Some((*name).to_owned()),
        type_text: None,
        value: None,
        overwritten: false,
        hint: None,
        leads_to: None,
    };
    let parameters = names.iter().enumerate().map(parameter).collect();
    Some(CalledMethod {
        interface: interface.into_owned(),
        name: (*name).to_owned(),
        parameters,
        by_table: false,
    })
}

/// Where the arguments of a call lie, the object first: what the proxy's code without a stub of its own was given
/// (`ObjectStublessClient(ParamAddress, Method)` of combase and ole32), when it was called for this very method.
fn parameter_area(target: &Target, stack: &Stack, number: u32) -> Option<(Va, Confidence)> {
    let is_proxy =
        |name: &str| name.trim_start_matches('_').split('@').next() == Some("ObjectStublessClient");
    let row = stack.frames.iter().take(DEPTH).position(|f| f.function.as_deref().is_some_and(is_proxy))?;
    let args = recover_all(target, stack, &Cancel::default()).into_iter().nth(row)?;
    let value = |n: usize| args.iter().find(|a| a.index == n).and_then(|a| a.value.as_ref());
    let method = value(1).filter(|v| v.confidence >= Confidence::Strong)?;
    let area = value(0).filter(|v| v.confidence >= Confidence::Strong)?;
    (method.bits & 0xffff_ffff == u64::from(number)).then_some((Va(area.bits), area.confidence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interface_of_the_list_has_a_guid() {
        let hints = crate::hint_table::HintTable::built_in();
        for (name, methods) in OTHERS {
            assert!(hints.has_guid_named(name), "{name}");
            assert!(!methods.is_empty());
        }
    }

    #[test]
    fn methods_by_number() {
        let dump = dumpscope_core::model::Dump::from_bytes(dumpscope_fixtures::article::ruby_x86().0.bytes())
            .unwrap();
        let target = Target::new(dump, dumpscope_symbols::SymbolConfig::default());
        let end = dumpscope_symbols::EndReason::Complete;
        let stack = Stack { machine: Machine::X86, frames: Vec::new(), end, overflow: false };
        let ask = |iid: &str, n| called(&target, Machine::X86, &stack, &Guid::parse(iid).unwrap(), n);
        let method = ask("9556dc99-828c-11cf-a37e-00aa003240c7", 20).unwrap();
        assert_eq!((method.interface.as_str(), method.name.as_str()), ("IWbemServices", "ExecQuery"));
        let p = &method.parameters[1];
        assert_eq!((p.name.as_deref(), p.type_text.as_deref()), (Some("strQuery"), Some("BSTR")));
        assert!(ask("9556dc99-828c-11cf-a37e-00aa003240c7", 200).is_none());
        let next = ask("423ec01e-2e35-11d2-b604-00104b703efd", 3).unwrap();
        assert_eq!((next.name.as_str(), next.by_table), ("Next", false));
        assert!(ask("00000000-0000-0000-0000-000000000000", 0).is_none());
    }
}
