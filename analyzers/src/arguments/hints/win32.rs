//! What the Win32 table says of the function of a frame.
//!
//! A name alone proves nothing: a game may have its own `CreateWindow`. The module must be one of Windows' own, by its
//! file name and the folder that it lies in, or by the company that its image names.

use crate::Target;
use crate::hint_table::{Kind, Parameter, Passing};
use crate::model::StackFrame;
use dumpscope_core::Machine;
use dumpscope_symbols::image::{PeHeaders, version_resource};
use dumpscope_win32::{Arch, Base, Count, Definition, Function, Param, Ty, TypeId, TypeKind, table};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// DLLs that hold functions which the metadata names others for.
const TWINS: &[&str] = &[
    "combase",
    "cryptbase",
    "cryptsp",
    "gdi32full",
    "kernel.appcore",
    "kernelbase",
    "mswsock",
    "msvcrt",
    "ntdll",
    "ole32",
    "rpcrt4",
    "sechost",
    "sspicli",
    "ucrtbase",
    "user32",
    "win32u",
    "windows.storage",
    "wow64",
    "wow64win",
    "ws2_32",
];

/// Companies whose DLLs are Windows' own: Wine's name the first one too.
const COMPANIES: &[&str] =
    &["Microsoft Corporation", "Microsoft", "Wine", "The Wine Project", "Wine project"];

/// Whose functions a module's are, by its index: kept, for every frame asks.
#[derive(Debug, Default)]
struct Owners(Mutex<BTreeMap<usize, Option<bool>>>);

/// What is known of a frame's function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::arguments) struct Known {
    pub(in crate::arguments) parameters: Vec<Parameter>,
    /// The result goes to memory that the caller gives: a parameter before all others.
    pub(in crate::arguments) hidden: bool,
    /// Its module is one of Windows' own by name and by folder; false: by name only.
    pub(in crate::arguments) sure: bool,
    /// The Win32 table alone tells them.
    pub(in crate::arguments) by_table: bool,
}

/// The parameters of a frame's function, when it is one of Windows' own.
pub(super) fn known(target: &Target, frame: &StackFrame, machine: Machine) -> Option<Known> {
    let sure = owned(target, frame.module?)?;
    let function = find(frame.function.as_deref()?, arch(machine))?;
    let all = &function.signature.params;
    let parameters = all.iter().map(|p| parameter(p, all, (&function.name, function.dll), machine)).collect();
    let hidden = match &function.signature.ret {
        Ty::Named(_) => aggregate(&function.signature.ret, arch(machine))
            .is_some_and(|bytes| machine == Machine::X86 && bytes > 8 || !matches!(bytes, 1 | 2 | 4 | 8)),
        _ => false,
    };
    Some(Known { parameters, hidden, sure, by_table: true })
}

/// True: a module of Windows; false: by its name only; `None`: it is none.
pub(crate) fn owned(target: &Target, index: usize) -> Option<bool> {
    let owners = target.memo::<Owners>();
    let mut known = owners.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = known.get(&index) {
        return *known;
    }
    let module = target.symbols.modules().get(index)?;
    let company = || {
        let memory = target.dump.memory();
        let headers = PeHeaders::read(memory.as_ref(), module.base).ok()?;
        let version = version_resource(memory.as_ref(), module.base, &headers)?;
        version.get("CompanyName").map(|c| COMPANIES.contains(&c.trim()))
    };
    let owned = windows_own(&module.file_name, &module.path, &company);
    known.insert(index, owned);
    owned
}

/// True: a module of Windows by its name, and by its folder or its company; false: by its name, and the dump has neither;
/// `None`: it is none.
fn windows_own(file_name: &str, path: &str, company: &dyn Fn() -> Option<bool>) -> Option<bool> {
    let file = file_name.to_ascii_lowercase();
    let stem = file.rsplit_once('.').map_or(file.as_str(), |(stem, _)| stem);
    let named = TWINS.contains(&stem)
        || stem.starts_with("api-ms-win-")
        || stem.starts_with("ext-ms-")
        || table().has_dll(&file)
        || table().has_dll(&format!("{stem}.dll"));
    if !named {
        return None;
    }
    let path = path.to_ascii_lowercase().replace('/', "\\");
    if !path.contains('\\') {
        // Without a folder the company alone makes it sure; another one's module it is not.
        return company().map_or(Some(false), |own| own.then_some(true));
    }
    // `C:\Windows\System32`, `\??\C:\Windows\…`, `\Device\HarddiskVolume1\Windows\…`, `\SystemRoot\…`; Wine has the same.
    let folders: Vec<&str> = path.split('\\').collect();
    let at = folders.iter().position(|f| matches!(*f, "windows" | "winnt" | "systemroot" | "%systemroot%"));
    let inside = at.and_then(|at| folders.get(at + 1)).copied().unwrap_or_default();
    let system =
        ["system32", "syswow64", "sysnative", "sysarm32", "syschpe32", "winsxs", "system", "microsoft.net"];
    if at.is_some_and(|at| at <= 5) && system.contains(&inside) {
        return Some(true);
    }
    (company() == Some(true)).then_some(true)
}

fn arch(machine: Machine) -> Arch {
    match machine {
        Machine::X86 => Arch::X86,
        Machine::Arm64 => Arch::Arm64,
        _ => Arch::X64,
    }
}

/// The function of a symbol's name: as it is, without the decoration of stdcall names, without what Microsoft's symbols put
/// behind names of functions that are thunks elsewhere, and system calls by both of their names.
fn find(name: &str, arch: Arch) -> Option<Function<'static>> {
    let plain = crate::hint_table::plain_name(name);
    let plain = plain.strip_prefix("__imp_").unwrap_or(plain);
    let bare = ["Implementation", "Stub"].iter().find_map(|s| plain.strip_suffix(s));
    let twin = plain.strip_prefix("Zw").map(|rest| format!("Nt{rest}"));
    let bit = match arch {
        Arch::X86 => 1,
        Arch::X64 => 2,
        Arch::Arm64 => 4,
    };
    [Some(plain), bare, twin.as_deref()].into_iter().flatten().find_map(|name| {
        let mut all = table().functions(name);
        let at = all.iter().position(|f| f.arch & bit != 0)?;
        Some(all.swap_remove(at))
    })
}

pub(super) fn parameter(p: &Param, all: &[Param], function: (&str, &str), machine: Machine) -> Parameter {
    let name_of = |n: usize| all.get(n).map(|p| p.name.clone());
    let passing = passing(&p.ty, arch(machine));
    let fits = passing.bytes <= machine.ptr_size() as u64;
    let by_value = || match bare(&p.ty) {
        Ty::Named(id) if passing.aggregate && fits => Some(Kind::ByValue(id)),
        _ => None,
    };
    let kind = match (counted_handles(p).and_then(name_of), counted_text(p)) {
        (Some(count), _) => Kind::Handles(count),
        (_, Some((n, wide))) => name_of(n).map_or(Kind::Pointer, |count| Kind::Counted(count, wide)),
        _ => p.values.map(Kind::Values).or_else(by_value).unwrap_or_else(|| kind(p, function)),
    };
    Parameter {
        kind,
        type_text: Some(table().type_text(&p.ty)),
        passing: Some(passing),
        structure: p.ty.pointee().and_then(structure),
        in_out: p.is_in && p.is_out,
        ..Parameter::new(p.name.clone(), Kind::Plain)
    }
}

/// The structure that a type is.
fn structure(ty: &Ty) -> Option<TypeId> {
    match bare(ty) {
        Ty::Named(id) => {
            let is = matches!(table().type_info(id)?.kind, TypeKind::Struct | TypeKind::Union);
            is.then_some(id)
        }
        _ => None,
    }
}

/// For text that another argument gives the length of: that one's index, and whether it is UTF-16.
fn counted_text(p: &Param) -> Option<(usize, bool)> {
    let Some(Count::ElementsOf(n) | Count::BytesOf(n)) = p.count else { return None };
    let of = named(&p.ty)?.1;
    let wide = of.ends_with("WSTR");
    let is_text = wide || matches!(of.as_str(), "PSTR" | "PCSTR");
    let units = !wide || matches!(p.count, Some(Count::ElementsOf(_)));
    (is_text && units && !p.is_out).then_some((n, wide))
}

/// How a value of a type gets to the function.
fn passing(ty: &Ty, arch: Arch) -> Passing {
    if matches!(bare(ty), Ty::Base(Base::F32 | Base::F64)) {
        let bytes = table().size_of(ty, arch).map_or(8, |s| s.bytes);
        return Passing { bytes, float: true, aggregate: false };
    }
    match aggregate(ty, arch) {
        Some(bytes) => Passing { bytes, float: false, aggregate: true },
        None => {
            let bytes = table().size_of(ty, arch).map_or(arch.pointer(), |s| s.bytes);
            Passing { bytes, float: false, aggregate: false }
        }
    }
}

/// Bytes of a structure that is passed by value.
fn aggregate(ty: &Ty, arch: Arch) -> Option<u64> {
    match bare(ty) {
        Ty::Named(id) => {
            let info = table().type_info(id)?;
            let is = matches!(info.kind, TypeKind::Struct | TypeKind::Union);
            is.then(|| table().size_of(&Ty::Named(id), arch).map(|s| s.bytes)).flatten()
        }
        Ty::Base(Base::Guid) => Some(16),
        _ => None,
    }
}

/// A type without its other names.
fn bare(ty: &Ty) -> Ty {
    let mut ty = ty.clone();
    for _ in 0..8 {
        let Ty::Named(id) = &ty else { break };
        match table().definition(*id) {
            Some(Definition::Alias { to, .. }) => ty = to,
            _ => break,
        }
    }
    ty
}

fn named(ty: &Ty) -> Option<(TypeId, String, TypeKind)> {
    match ty {
        Ty::Named(id) => {
            let info = table().type_info(*id)?;
            Some((*id, info.name, info.kind))
        }
        _ => None,
    }
}

/// For an array of handles: the parameter that counts them.
fn counted_handles(p: &Param) -> Option<usize> {
    let Some(Count::ElementsOf(n)) = p.count else { return None };
    let to = named(p.ty.pointee()?)?;
    (p.is_in && to.1 == "HANDLE").then_some(n)
}

/// What the value means, by its type. The names of function and DLL tell some that the types do not.
fn kind(p: &Param, (function, dll): (&str, &str)) -> Kind {
    if let Some((id, name, kind)) = named(&p.ty) {
        return match (name.as_str(), kind) {
            ("HANDLE" | "SOCKET" | "HKEY", _) => Kind::Handle,
            ("PWSTR" | "PSTR", _) if p.is_out => Kind::Output,
            ("PCWSTR" | "PWSTR", _) if !p.no_zero => Kind::Wide,
            ("PCSTR" | "PSTR", _) if !p.no_zero => Kind::Narrow,
            ("BSTR", _) => Kind::Bstr,
            ("HSTRING", _) => Kind::HString,
            ("BOOL" | "BOOLEAN", _) => Kind::Bool,
            ("HRESULT" | "NTSTATUS", _) | (_, TypeKind::Enum) => Kind::Values(id),
            (_, TypeKind::Callback) => Kind::Code,
            (_, TypeKind::Interface) => Kind::Object,
            _ => Kind::Plain,
        };
    }
    match &p.ty {
        Ty::Base(Base::U32) if p.name.ends_with("esiredAccess") => {
            let of = |word: &str| function.contains(word);
            let rights = match () {
                () if of("File") || of("Pipe") => "FILE_ACCESS_RIGHTS",
                () if of("Key") => "REG_SAM_FLAGS",
                () if of("Process") => "PROCESS_ACCESS_RIGHTS",
                () if of("Thread") => "THREAD_ACCESS_RIGHTS",
                () => "GENERIC_ACCESS_RIGHTS",
            };
            table().types_named(rights).first().map_or(Kind::Plain, |id| Kind::Access(*id))
        }
        Ty::Base(Base::U32) if is_time(&p.name) => Kind::Milliseconds,
        Ty::Base(Base::U32) if p.name == "Msg" && dll == "user32.dll" => Kind::Message,
        Ty::Pointer(to) => {
            if p.is_out && !p.is_in {
                return Kind::Output;
            }
            match (&**to, named(to).as_ref().map(|n| n.1.as_str())) {
                (Ty::Base(Base::Guid), _) => Kind::Guid,
                (_, Some("UNICODE_STRING")) => Kind::UnicodeString,
                (_, Some("OBJECT_ATTRIBUTES")) => Kind::ObjectAttributes,
                (_, Some("CRITICAL_SECTION" | "RTL_CRITICAL_SECTION")) => Kind::CriticalSection,
                (_, Some("SRWLOCK" | "RTL_SRWLOCK")) => Kind::SrwLock,
                (_, Some("CONDITION_VARIABLE" | "RTL_CONDITION_VARIABLE")) => Kind::ConditionVariable,
                (_, Some("SOCKADDR")) => Kind::SocketAddress,
                (_, Some("FILETIME")) => Kind::FileTime,
                (_, Some("SYSTEMTIME")) => Kind::SystemTime,
                (Ty::Base(Base::I64), _) if is_span(&p.name) => Kind::Time,
                (Ty::Base(Base::U32 | Base::I32), _) if p.is_in && p.count.is_none() => Kind::Number(4),
                (Ty::Base(Base::U64 | Base::I64), _) if p.is_in && p.count.is_none() => Kind::Number(8),
                _ => structure(to).map_or(Kind::Pointer, Kind::Structure),
            }
        }
        _ => Kind::Plain,
    }
}

/// 100 ns units: the native functions and waitable timers call them so.
fn is_span(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["timeout", "duetime", "interval"].iter().any(|w| lower.ends_with(w))
}

/// Milliseconds: Windows' functions call them so.
fn is_time(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.contains("milliseconds") || lower.ends_with("timeout") || lower == "utimeout"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str) -> Vec<(String, Kind)> {
        let f = find(name, Arch::X64).unwrap();
        let all = f.signature.params.clone();
        all.iter()
            .map(|p| (p.name.clone(), parameter(p, &all, (&f.name, f.dll), Machine::Amd64).kind))
            .collect()
    }

    #[test]
    fn kinds_by_type() {
        let create = of("CreateFileW");
        assert_eq!(create[0].1, Kind::Wide);
        assert!(matches!(create[1].1, Kind::Access(_)), "{create:?}");
        assert_eq!(of("ReadFile")[1].1, Kind::Output);
        assert_eq!(of("WaitForSingleObject")[1].1, Kind::Milliseconds);
        assert_eq!(of("WaitForMultipleObjects")[1].1, Kind::Handles("nCount".into()));
        assert_eq!(of("connect")[1].1, Kind::SocketAddress);
        assert_eq!(of("_CloseHandle@4")[0].1, Kind::Handle);
        assert!(find("NoSuchFunction", Arch::X64).is_none());
    }

    #[test]
    fn only_modules_of_windows() {
        let own = |path: &str| windows_own(path.rsplit('\\').next().unwrap_or(path), path, &|| None);
        assert_eq!(own(r"C:\Windows\System32\kernel32.dll"), Some(true));
        assert_eq!(own(r"\Device\HarddiskVolume2\Windows\SysWOW64\ws2_32.dll"), Some(true));
        assert_eq!(own("KERNELBASE.dll"), Some(false));
        assert_eq!(own(r"C:\game\winmm.dll"), None);
        assert_eq!(own(r"C:\Windows\System32\game.exe"), None);
        let by_company = |path: &str, company: Option<bool>| {
            windows_own(path.rsplit('\\').next().unwrap_or(path), path, &|| company)
        };
        assert_eq!(by_company(r"D:\app\ucrtbase.dll", Some(true)), Some(true));
        assert_eq!(by_company(r"D:\app\ucrtbase.dll", Some(false)), None);
        assert_eq!(by_company("ws2_32.dll", Some(true)), Some(true));
        assert_eq!(by_company("ws2_32.dll", Some(false)), None, "another company's");
    }
}
