//! What the Win32 table says of the function of a frame.
//!
//! A name alone proves nothing: a game may have its own `CreateWindow`. The module must be one of Windows' own, by its
//! file name and the folder that it lies in.

use crate::Target;
use crate::hint_table::{Kind, Parameter, Passing};
use crate::model::StackFrame;
use dumpscope_core::Machine;
use dumpscope_win32::{Arch, Count, Definition, Function, Param, Ty, TypeId, TypeKind, table};

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
    let module = target.symbols.modules().get(frame.module?)?;
    let sure = windows_own(&module.file_name, &module.path)?;
    let function = find(frame.function.as_deref()?, arch(machine))?;
    let all = &function.signature.params;
    let parameters = all.iter().map(|p| parameter(p, all, &function, machine)).collect();
    let hidden = match &function.signature.ret {
        Ty::Named(_) => aggregate(&function.signature.ret, arch(machine))
            .is_some_and(|bytes| machine == Machine::X86 && bytes > 8 || !matches!(bytes, 1 | 2 | 4 | 8)),
        _ => false,
    };
    Some(Known { parameters, hidden, sure, by_table: true })
}

/// True: a module of Windows by its name and folder; false: by its name, and the dump has no folder; `None`: it is none.
fn windows_own(file_name: &str, path: &str) -> Option<bool> {
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
        return Some(false);
    }
    // `C:\Windows\System32`, `\??\C:\Windows\…`, `\Device\HarddiskVolume1\Windows\…`, `\SystemRoot\…`; Wine has the same.
    let folders: Vec<&str> = path.split('\\').collect();
    let at =
        folders.iter().position(|f| matches!(*f, "windows" | "winnt" | "systemroot" | "%systemroot%"))?;
    let inside = folders.get(at + 1).copied().unwrap_or_default();
    let system =
        ["system32", "syswow64", "sysnative", "sysarm32", "syschpe32", "winsxs", "system", "microsoft.net"];
    (at <= 5 && system.contains(&inside)).then_some(true)
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
    let plain = name.strip_prefix('_').and_then(|f| f.split_once('@')).map_or(name, |(f, _)| f);
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

fn parameter(p: &Param, all: &[Param], function: &Function<'_>, machine: Machine) -> Parameter {
    let name_of = |n: usize| all.get(n).map(|p| p.name.clone());
    let passing = passing(&p.ty, arch(machine));
    let kind = match counted_handles(p).and_then(name_of) {
        Some(count) => Kind::Handles(count),
        None => p.values.map_or_else(|| kind(p, function), Kind::Values),
    };
    Parameter {
        name: p.name.clone(),
        kind,
        type_text: Some(table().type_text(&p.ty)),
        passing: Some(passing),
    }
}

/// How a value of a type gets to the function.
fn passing(ty: &Ty, arch: Arch) -> Passing {
    if matches!(bare(ty), Ty::Base(dumpscope_win32::Base::F32 | dumpscope_win32::Base::F64)) {
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
        Ty::Base(dumpscope_win32::Base::Guid) => Some(16),
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

/// What the value means, by its type.
fn kind(p: &Param, function: &Function<'_>) -> Kind {
    use dumpscope_win32::Base;
    if let Some((id, name, kind)) = named(&p.ty) {
        return match (name.as_str(), kind) {
            ("HANDLE" | "SOCKET" | "HKEY", _) => Kind::Handle,
            ("PWSTR" | "PSTR", _) if p.is_out => Kind::Output,
            ("PCWSTR" | "PWSTR", _) if !p.no_zero => Kind::Wide,
            ("PCSTR" | "PSTR", _) if !p.no_zero => Kind::Narrow,
            ("BSTR", _) => Kind::Wide,
            ("BOOL" | "BOOLEAN", _) => Kind::Bool,
            ("HRESULT" | "NTSTATUS", _) | (_, TypeKind::Enum) => Kind::Values(id),
            (_, TypeKind::Callback) => Kind::Code,
            (_, TypeKind::Interface) => Kind::Object,
            _ => Kind::Plain,
        };
    }
    match &p.ty {
        Ty::Base(Base::U32) if p.name.ends_with("esiredAccess") => {
            let rights =
                if function.name.contains("File") { "FILE_ACCESS_RIGHTS" } else { "GENERIC_ACCESS_RIGHTS" };
            table().types_named(rights).first().map_or(Kind::Plain, |id| Kind::Values(*id))
        }
        Ty::Base(Base::U32) if is_time(&p.name) => Kind::Milliseconds,
        Ty::Base(Base::U32) if p.name == "Msg" && function.dll == "user32.dll" => Kind::Message,
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
                (Ty::Base(Base::I64), _) if p.name.ends_with("imeout") && function.dll == "ntdll.dll" => {
                    Kind::Time
                }
                _ => Kind::Pointer,
            }
        }
        _ => Kind::Plain,
    }
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
        all.iter().map(|p| (p.name.clone(), parameter(p, &all, &f, Machine::Amd64).kind)).collect()
    }

    #[test]
    fn kinds_by_type() {
        let create = of("CreateFileW");
        assert_eq!(create[0].1, Kind::Wide);
        assert!(matches!(create[1].1, Kind::Plain | Kind::Values(_)), "{create:?}");
        assert_eq!(of("ReadFile")[1].1, Kind::Output);
        assert_eq!(of("WaitForSingleObject")[1].1, Kind::Milliseconds);
        assert_eq!(of("WaitForMultipleObjects")[1].1, Kind::Handles("nCount".into()));
        assert_eq!(of("connect")[1].1, Kind::SocketAddress);
        assert_eq!(of("_CloseHandle@4")[0].1, Kind::Handle);
        assert!(find("NoSuchFunction", Arch::X64).is_none());
    }

    #[test]
    fn only_modules_of_windows() {
        let own = |path: &str| windows_own(path.rsplit('\\').next().unwrap_or(path), path);
        assert_eq!(own(r"C:\Windows\System32\kernel32.dll"), Some(true));
        assert_eq!(own(r"\Device\HarddiskVolume2\Windows\SysWOW64\ws2_32.dll"), Some(true));
        assert_eq!(own("KERNELBASE.dll"), Some(false));
        assert_eq!(own(r"C:\game\winmm.dll"), None);
        assert_eq!(own(r"C:\Windows\System32\game.exe"), None);
    }
}
