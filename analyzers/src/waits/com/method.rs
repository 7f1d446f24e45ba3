//! What a method of an interface is called, by the Win32 table.

use crate::model::CalledMethod;
use dumpscope_core::base::Guid;
use dumpscope_win32::table;

/// The method with a number of an interface. `None`: the table has no such interface, or it has fewer methods.
pub(super) fn called(iid: &Guid, number: u32) -> Option<CalledMethod> {
    let table = table();
    let id = table.type_with_guid(&iid.to_bytes())?;
    let (interface, method) = table.methods(id).into_iter().nth(usize::try_from(number).ok()?)?;
    let parameter = |p: &dumpscope_win32::Param| (p.name.clone(), table.type_text(&p.ty));
    let parameters = method.signature.params.iter().map(parameter).collect();
    Some(CalledMethod { interface, name: method.name, parameters })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_by_number() {
        let services = Guid::parse("9556dc99-828c-11cf-a37e-00aa003240c7").unwrap();
        let method = called(&services, 20).unwrap();
        assert_eq!((method.interface.as_str(), method.name.as_str()), ("IWbemServices", "ExecQuery"));
        assert_eq!(method.parameters[1], ("strQuery".to_owned(), "BSTR".to_owned()));
        assert_eq!(called(&services, 200), None);
        assert_eq!(called(&Guid::default(), 0), None);
    }
}
