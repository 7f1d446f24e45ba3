//! What the metadata's form leaves out, put back.

use crate::model::{Field, Kind, Model, Ty, Type, Value};
use std::collections::BTreeMap;

pub fn mend(model: &mut Model) {
    // Texts that are only read: `constant` in meta.rs names them.
    for (name, of) in [("PCWSTR", "char16"), ("PCSTR", "u8")] {
        let to = Ty::Pointer(Box::new(Ty::base(of)));
        add(model, "Windows.Win32.Foundation", name, Kind::Alias { to, handle: false });
    }
    // The metadata has 64-bit numbers in their place.
    for (name, high) in [("LARGE_INTEGER", "i"), ("ULARGE_INTEGER", "u")] {
        let field = |name: &str, ty: Ty| Field { name: name.to_owned(), ty, bits: Vec::new() };
        let part = |ty: &str| Ty::base(&format!("{high}{ty}"));
        let structure = |union, fields| Kind::Struct { union, packing: 0, size: 0, fields };
        let halves = structure(false, vec![field("LowPart", Ty::base("u32")), field("HighPart", part("32"))]);
        let inner = format!("{name}._Anonymous_e__Struct");
        add(model, "Windows.Win32.Foundation", &inner, halves);
        let anonymous = field("Anonymous", Ty::Named(format!("Windows.Win32.Foundation.{inner}")));
        add(
            model,
            "Windows.Win32.Foundation",
            name,
            structure(true, vec![anonymous, field("QuadPart", part("64"))]),
        );
    }
    for family in crate::constants::FAMILIES {
        let u32 = crate::model::BASES.iter().position(|b| *b == "u32").expect("u32") as u8;
        add(model, "", family, Kind::Enum { underlying: u32, flags: false, members: Vec::new() });
    }
    merge(model);
    constants(model);
    kernel(model);
}

/// Namespaces whose plain constants are kept; those of enumerations, codes and messages always are.
const KEPT: &[&str] = &[
    "Windows.Win32.Foundation",
    "Windows.Win32.Globalization",
    "Windows.Win32.Networking.WinHttp",
    "Windows.Win32.Networking.WinInet",
    "Windows.Win32.Networking.WinSock",
    "Windows.Win32.Security",
    "Windows.Win32.Storage.FileSystem",
    "Windows.Win32.System.Com",
    "Windows.Win32.System.Console",
    "Windows.Win32.System.Diagnostics.Debug",
    "Windows.Win32.System.IO",
    "Windows.Win32.System.Kernel",
    "Windows.Win32.System.Memory",
    "Windows.Win32.System.Pipes",
    "Windows.Win32.System.Registry",
    "Windows.Win32.System.Rpc",
    "Windows.Win32.System.Services",
    "Windows.Win32.System.SystemInformation",
    "Windows.Win32.System.SystemServices",
    "Windows.Win32.System.Threading",
    "Windows.Win32.System.WindowsProgramming",
    "Windows.Win32.UI.Input.KeyboardAndMouse",
    "Windows.Win32.UI.WindowsAndMessaging",
];

fn constants(model: &mut Model) {
    model.constants.retain(|c| match &c.value {
        Value::Int(_) => crate::constants::is_kept_by_value(c) || KEPT.contains(&c.namespace.as_str()),
        Value::Guid(_) => c.name.starts_with("CLSID_") || c.name.starts_with("IID_"),
        Value::Text(t) => t.len() <= 24 && KEPT.contains(&c.namespace.as_str()),
        Value::Float(_) => false,
    });
}

fn add(model: &mut Model, namespace: &str, name: &str, kind: Kind) {
    let key = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") };
    model.types.push(Type { key, name: name.to_owned(), namespace: namespace.to_owned(), arch: 7, kind });
}

/// Of functions that two files tell, the first is kept.
fn merge(model: &mut Model) {
    let mut seen = std::collections::BTreeSet::new();
    model.functions.retain(|f| seen.insert((f.name.clone(), f.arch)));
}

/// Functions of the kernel that ntdll has too, by the start of their names.
const SHARED: &[&str] = &["Nt", "Zw", "Rtl", "Ldr", "Dbg", "Etw", "Csr", "Alpc", "Tp"];
/// DLLs of the kernel, by the end of their names or whole.
const KERNEL: &[&str] = &[".sys", "ntoskrnl.exe", "hal.dll", "bootvid.dll", "clfs.sys"];

/// Namespaces whose structures are for devices, drivers, codecs and extensions of kernel debuggers: of these only what functions
/// and interfaces lead to.
const OF_DRIVERS: &[&str] = &[
    "Windows.Win32.AI.",
    "Windows.Win32.Devices.",
    "Windows.Win32.Graphics.DirectDraw",
    "Windows.Win32.Media.DirectShow.Tv",
    "Windows.Win32.Media.KernelStreaming",
    "Windows.Win32.Media.MediaFoundation",
    "Windows.Win32.NetworkManagement.Ndis",
    "Windows.Win32.NetworkManagement.P2P",
    "Windows.Win32.NetworkManagement.WiFi",
    "Windows.Win32.Storage.IscsiDisc",
    "Windows.Win32.Storage.Nvme",
    "Windows.Win32.System.Diagnostics.Debug.Extensions",
    "Windows.Win32.System.HostComputeSystem",
    "Windows.Win32.System.Hypervisor",
];

/// Of these, what programs use.
const OF_PROGRAMS: &[&str] = &[
    "Windows.Win32.Devices.Bluetooth",
    "Windows.Win32.Devices.DeviceAndDriverInstallation",
    "Windows.Win32.Devices.Display",
    "Windows.Win32.Devices.HumanInterfaceDevice",
    "Windows.Win32.Devices.Usb",
];

/// Leaves out what only drivers see: functions of the kernel, and types that nothing else leads to.
fn kernel(model: &mut Model) {
    model.functions.retain(|f| {
        let dll = f.dll.to_ascii_lowercase();
        !KERNEL.iter().any(|k| dll.ends_with(k)) || SHARED.iter().any(|s| f.name.starts_with(s))
    });
    let mut by_key: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (n, t) in model.types.iter().enumerate() {
        by_key.entry(t.key.split('|').next().unwrap_or("")).or_default().push(n);
    }
    let is_root = |t: &Type| {
        if t.namespace.starts_with("Windows.Wdk.") {
            return t.name.contains("_INFO") || t.name.contains("KEY_") || t.name.starts_with("FILE_");
        }
        let within = |list: &[&str]| list.iter().any(|n| t.namespace.starts_with(n));
        let wireless = t.namespace.ends_with(".WiFi") && !t.name.starts_with("DOT11_");
        !within(OF_DRIVERS) || within(OF_PROGRAMS) || wireless || matches!(t.kind, Kind::Interface { .. })
    };
    let mut keep = vec![false; model.types.len()];
    let mut todo: Vec<usize> = (0..model.types.len()).filter(|n| is_root(&model.types[*n])).collect();
    let reach = |key: &str, todo: &mut Vec<usize>| {
        todo.extend(by_key.get(key.split('|').next().unwrap_or("")).into_iter().flatten().copied());
    };
    for f in &model.functions {
        crate::model::each_name_of(f, &mut |k| reach(k, &mut todo));
    }
    while let Some(n) = todo.pop() {
        if !std::mem::replace(&mut keep[n], true) {
            let t = &model.types[n];
            let plain = t.key.split('|').next().unwrap_or("");
            if let Some((outer, _)) = plain.rsplit_once('.') {
                reach(outer, &mut todo);
            }
            crate::model::each_name(&t.kind, &mut |k| reach(k, &mut todo));
        }
    }
    let mut keep = keep.into_iter();
    model.types.retain(|_| keep.next().unwrap_or(false));
    let known: std::collections::BTreeSet<String> =
        model.types.iter().map(|t| t.key.split('|').next().unwrap_or("").to_owned()).collect();
    model.constants.retain(|c| {
        let mut all = true;
        crate::model::each_name_in(&c.ty, &mut |k| all &= known.contains(k));
        all
    });
}
