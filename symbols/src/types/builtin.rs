//! Layouts that dumpscope knows without any symbol file: the thread and process blocks, the loader's lists,
//! critical sections and the small structures that they consist of.
//!
//! Offsets that `dumpscope_core::layout` has are taken from there. The rest: the Windows SDK (`winnt.h`,
//! `winternl.h`), Geoff Chappell's layouts and phnt; `reference/windows-structures.md` 3 and 4. Structures that grew
//! from one Windows version to the next have no size here and only members that did not move from Windows 7 to 11.

use super::{Enumerator, decode_base};
use super::{Member, MemberKind, PointerKind, Type, TypeId, TypeProvider, TypeSource};
use dumpscope_core::Machine;
use dumpscope_core::layout::{LdrDataLayout, LdrEntryLayout, ParametersLayout, PebLayout, TebLayout};
use std::sync::OnceLock;

const FIRST: u32 = 0x1000;
const FROM: &str = "built-in layout (Windows 7 to 11, only members that did not move)";

/// The layouts for a machine's pointer size.
#[must_use]
pub fn builtin(machine: Machine) -> &'static dyn TypeProvider {
    static NARROW: OnceLock<BuiltIn> = OnceLock::new();
    static WIDE: OnceLock<BuiltIn> = OnceLock::new();
    let is_64 = machine.is_64();
    let slot = if is_64 { &WIDE } else { &NARROW };
    slot.get_or_init(|| BuiltIn::new(is_64))
}

/// One structure: its size, when all versions have the same, and its members.
#[derive(Debug)]
struct Layout {
    members: Vec<Member>,
}

#[derive(Debug)]
struct BuiltIn {
    is_64: bool,
    types: Vec<Type>,
    /// By index in `types`; empty for what is no structure.
    layouts: Vec<Layout>,
}

/// A member: name, offset, type. Types: `u8` `u16` `u32` `u64` `i32` `i64` `char` `wchar`, `word` (an unsigned
/// number of pointer size), a structure's name, `*` and `[n]` before a type.
type Field = (&'static str, u64, &'static str);

impl BuiltIn {
    fn new(is_64: bool) -> BuiltIn {
        let mut out = BuiltIn { is_64, types: Vec::new(), layouts: Vec::new() };
        small(&mut out);
        loader(&mut out);
        process(&mut out);
        thread(&mut out);
        out
    }

    fn add(&mut self, t: Type) -> TypeId {
        let at = self.types.iter().position(|o| *o == t).unwrap_or(self.types.len());
        if at == self.types.len() {
            self.types.push(t);
            self.layouts.push(Layout { members: Vec::new() });
        }
        TypeId(FIRST.saturating_add(u32::try_from(at).unwrap_or(u32::MAX)))
    }

    fn named(&self, name: &str) -> Option<TypeId> {
        let is = |t: &Type| matches!(t, Type::Udt { name: n, .. } if n == name);
        let at = self.types.iter().position(is)?;
        Some(TypeId(FIRST.saturating_add(u32::try_from(at).ok()?)))
    }

    fn pointer_size(&self) -> u8 {
        if self.is_64 { 8 } else { 4 }
    }

    fn ty(&mut self, text: &str) -> TypeId {
        if let Some(to) = text.strip_prefix('*') {
            let (to, size) = (self.ty(to), self.pointer_size());
            return self.add(Type::Pointer { to, size, kind: PointerKind::Pointer });
        }
        if let Some((count, element)) = text.strip_prefix('[').and_then(|t| t.split_once(']')) {
            let element = self.ty(element);
            let count: u64 = count.parse().unwrap_or(0);
            let each = super::size_of(self, element).unwrap_or(0);
            return self.add(Type::Array { element, count, size: count.saturating_mul(each) });
        }
        match text {
            "void" => TypeId::VOID,
            "u8" => TypeId(0x20),
            "u16" => TypeId(0x21),
            "u32" => TypeId(0x22),
            "u64" => TypeId(0x23),
            "i32" => TypeId(0x12),
            "i64" => TypeId(0x13),
            "char" => TypeId(0x70),
            "wchar" => TypeId(0x71),
            "word" => TypeId(if self.is_64 { 0x23 } else { 0x22 }),
            name => match self.named(name) {
                Some(id) => id,
                None => {
                    self.add(Type::Udt { kind: super::UdtKind::Struct, name: name.to_owned(), size: None })
                }
            },
        }
    }

    /// Defines a structure; `sizes` are those of 32 and 64 bits, `None` when they differ between versions.
    fn define(&mut self, name: &str, sizes: Option<(u64, u64)>, fields: &[Field]) {
        let id = self.ty(name);
        let members = fields
            .iter()
            .map(|&(name, offset, ty)| Member {
                name: name.to_owned(),
                kind: MemberKind::Field { ty: self.ty(ty), offset },
            })
            .collect();
        let at = (id.0.saturating_sub(FIRST)) as usize;
        let is_64 = self.is_64;
        if let Some(Type::Udt { size, .. }) = self.types.get_mut(at) {
            *size = sizes.map(|(narrow, wide)| if is_64 { wide } else { narrow });
        }
        if let Some(layout) = self.layouts.get_mut(at) {
            layout.members = members;
        }
    }
}

/// Offsets of both sizes: `o(4, 8)`.
fn small(b: &mut BuiltIn) {
    let is_64 = b.is_64;
    let o = |narrow: u64, wide: u64| if is_64 { wide } else { narrow };
    b.define(
        "_GUID",
        Some((16, 16)),
        &[("Data1", 0, "u32"), ("Data2", 4, "u16"), ("Data3", 6, "u16"), ("Data4", 8, "[8]u8")],
    );
    b.define(
        "_LIST_ENTRY",
        Some((8, 16)),
        &[("Flink", 0, "*_LIST_ENTRY"), ("Blink", o(4, 8), "*_LIST_ENTRY")],
    );
    b.define(
        "_LARGE_INTEGER",
        Some((8, 8)),
        &[("LowPart", 0, "u32"), ("HighPart", 4, "i32"), ("QuadPart", 0, "i64")],
    );
    let string = |buffer| [("Length", 0, "u16"), ("MaximumLength", 2, "u16"), ("Buffer", o(4, 8), buffer)];
    b.define("_UNICODE_STRING", Some((8, 16)), &string("*wchar"));
    b.define("_STRING", Some((8, 16)), &string("*char"));
    b.define(
        "_CLIENT_ID",
        Some((8, 16)),
        &[("UniqueProcess", 0, "*void"), ("UniqueThread", o(4, 8), "*void")],
    );
    b.define("_RTL_SRWLOCK", Some((4, 8)), &[("Ptr", 0, "*void")]);
    b.define(
        "_RTL_CRITICAL_SECTION",
        Some((0x18, 0x28)),
        &[
            ("DebugInfo", 0, "*_RTL_CRITICAL_SECTION_DEBUG"),
            ("LockCount", o(4, 8), "i32"),
            ("RecursionCount", o(8, 0xc), "i32"),
            ("OwningThread", o(0xc, 0x10), "*void"),
            ("LockSemaphore", o(0x10, 0x18), "*void"),
            ("SpinCount", o(0x14, 0x20), "word"),
        ],
    );
    b.define(
        "_RTL_CRITICAL_SECTION_DEBUG",
        Some((0x20, 0x30)),
        &[
            ("Type", 0, "u16"),
            ("CreatorBackTraceIndex", 2, "u16"),
            ("CriticalSection", o(4, 8), "*_RTL_CRITICAL_SECTION"),
            ("ProcessLocksList", o(8, 0x10), "_LIST_ENTRY"),
            ("EntryCount", o(0x10, 0x20), "u32"),
            ("ContentionCount", o(0x14, 0x24), "u32"),
            ("Flags", o(0x18, 0x28), "u32"),
            ("CreatorBackTraceIndexHigh", o(0x1c, 0x2c), "u16"),
            ("Identifier", o(0x1e, 0x2e), "u16"),
        ],
    );
    b.define(
        "_EXCEPTION_RECORD",
        Some((0x50, 0x98)),
        &[
            ("ExceptionCode", 0, "i32"),
            ("ExceptionFlags", 4, "u32"),
            ("ExceptionRecord", 8, "*_EXCEPTION_RECORD"),
            ("ExceptionAddress", o(0xc, 0x10), "*void"),
            ("NumberParameters", o(0x10, 0x18), "u32"),
            ("ExceptionInformation", o(0x14, 0x20), "[15]word"),
        ],
    );
    b.define(
        "_EXCEPTION_POINTERS",
        Some((8, 16)),
        &[("ExceptionRecord", 0, "*_EXCEPTION_RECORD"), ("ContextRecord", o(4, 8), "*_CONTEXT")],
    );
}

fn loader(b: &mut BuiltIn) {
    let data = LdrDataLayout::of(b.is_64);
    b.define(
        "_PEB_LDR_DATA",
        Some((0x30, 0x58)),
        &[
            ("Length", 0, "u32"),
            ("Initialized", data.initialized, "u8"),
            ("InLoadOrderModuleList", data.in_load_order, "_LIST_ENTRY"),
            ("InMemoryOrderModuleList", data.in_memory_order, "_LIST_ENTRY"),
            ("InInitializationOrderModuleList", data.in_init_order, "_LIST_ENTRY"),
            ("EntryInProgress", data.entry_in_progress, "*void"),
            ("ShutdownInProgress", data.shutdown_in_progress, "u8"),
            ("ShutdownThreadId", data.shutdown_thread_id, "*void"),
        ],
    );
    let entry = LdrEntryLayout::of(b.is_64);
    b.define(
        "_LDR_DATA_TABLE_ENTRY",
        None,
        &[
            ("InLoadOrderLinks", entry.load_links, "_LIST_ENTRY"),
            ("InMemoryOrderLinks", entry.memory_links, "_LIST_ENTRY"),
            ("InInitializationOrderLinks", entry.init_links, "_LIST_ENTRY"),
            ("DllBase", entry.dll_base, "*void"),
            ("EntryPoint", entry.entry_point, "*void"),
            ("SizeOfImage", entry.size_of_image, "u32"),
            ("FullDllName", entry.full_name, "_UNICODE_STRING"),
            ("BaseDllName", entry.base_name, "_UNICODE_STRING"),
            ("Flags", entry.flags, "u32"),
            ("LoadCount", entry.load_count, "u16"),
            ("TlsIndex", entry.tls_index, "u16"),
            ("TimeDateStamp", entry.timestamp, "u32"),
        ],
    );
}

fn process(b: &mut BuiltIn) {
    let is_64 = b.is_64;
    let o = |narrow: u64, wide: u64| if is_64 { wide } else { narrow };
    b.define(
        "_CURDIR",
        Some((0xc, 0x18)),
        &[("DosPath", 0, "_UNICODE_STRING"), ("Handle", o(8, 0x10), "*void")],
    );
    let p = ParametersLayout::of(is_64);
    b.define(
        "_RTL_USER_PROCESS_PARAMETERS",
        None,
        &[
            ("MaximumLength", p.maximum_length, "u32"),
            ("Length", p.length, "u32"),
            ("Flags", p.flags, "u32"),
            ("ConsoleHandle", p.console_handle, "*void"),
            ("StandardInput", p.standard_input, "*void"),
            ("StandardOutput", p.standard_output, "*void"),
            ("StandardError", p.standard_error, "*void"),
            ("CurrentDirectory", p.current_directory, "_CURDIR"),
            ("DllPath", p.dll_path, "_UNICODE_STRING"),
            ("ImagePathName", p.image_path, "_UNICODE_STRING"),
            ("CommandLine", p.command_line, "_UNICODE_STRING"),
            ("Environment", p.environment, "*void"),
            ("WindowTitle", p.window_title, "_UNICODE_STRING"),
            ("DesktopInfo", p.desktop_info, "_UNICODE_STRING"),
            ("EnvironmentSize", p.environment_size, "word"),
        ],
    );
    let p = PebLayout::of(is_64);
    b.define(
        "_PEB",
        None,
        &[
            ("BeingDebugged", p.being_debugged, "u8"),
            ("BitField", p.bit_field, "u8"),
            ("ImageBaseAddress", p.image_base, "*void"),
            ("Ldr", p.ldr, "*_PEB_LDR_DATA"),
            ("ProcessParameters", p.process_parameters, "*_RTL_USER_PROCESS_PARAMETERS"),
            ("SubSystemData", p.sub_system_data, "*void"),
            ("ProcessHeap", p.process_heap, "*void"),
            ("FastPebLock", p.fast_peb_lock, "*_RTL_CRITICAL_SECTION"),
            ("CrossProcessFlags", p.cross_process_flags, "u32"),
            ("ApiSetMap", p.api_set_map, "*void"),
            ("TlsBitmap", p.tls_bitmap, "*void"),
            ("NumberOfProcessors", p.number_of_processors, "u32"),
            ("NtGlobalFlag", p.nt_global_flag, "u32"),
            ("CriticalSectionTimeout", p.critical_section_timeout, "_LARGE_INTEGER"),
            ("NumberOfHeaps", p.number_of_heaps, "u32"),
            ("ProcessHeaps", p.process_heaps, "**void"),
            ("LoaderLock", p.loader_lock, "*_RTL_CRITICAL_SECTION"),
            ("OSMajorVersion", p.os_major, "u32"),
            ("OSMinorVersion", p.os_minor, "u32"),
            ("OSBuildNumber", p.os_build, "u16"),
            ("SessionId", p.session_id, "u32"),
            ("CSDVersion", p.csd_version, "_UNICODE_STRING"),
        ],
    );
}

fn thread(b: &mut BuiltIn) {
    let t = TebLayout::of(b.is_64);
    b.define(
        "_NT_TIB",
        Some((0x1c, 0x38)),
        &[
            ("ExceptionList", t.exception_list, "*_EXCEPTION_REGISTRATION_RECORD"),
            ("StackBase", t.stack_base, "*void"),
            ("StackLimit", t.stack_limit, "*void"),
            ("SubSystemTib", t.sub_system_tib, "*void"),
            ("FiberData", t.fiber_data, "*void"),
            ("ArbitraryUserPointer", t.arbitrary_user_pointer, "*void"),
            ("Self", t.self_pointer, "*_NT_TIB"),
        ],
    );
    b.define(
        "_TEB",
        None,
        &[
            ("NtTib", 0, "_NT_TIB"),
            ("EnvironmentPointer", t.environment_pointer, "*void"),
            ("ClientId", t.process_id, "_CLIENT_ID"),
            ("ActiveRpcHandle", t.active_rpc_handle, "*void"),
            ("ThreadLocalStoragePointer", t.tls_pointer, "*void"),
            ("ProcessEnvironmentBlock", t.peb, "*_PEB"),
            ("LastErrorValue", t.last_error, "u32"),
            ("CountOfOwnedCriticalSections", t.owned_critical_sections, "u32"),
            ("Win32ThreadInfo", t.win32_thread_info, "*void"),
            ("WOW32Reserved", t.wow32_reserved, "*void"),
            ("CurrentLocale", t.current_locale, "u32"),
            ("ActivationContextStackPointer", t.activation_context_stack, "*void"),
            ("RealClientId", t.real_process_id, "_CLIENT_ID"),
            ("LastStatusValue", t.last_status, "u32"),
            ("DeallocationStack", t.deallocation_stack, "*void"),
            ("TlsSlots", t.tls_slots, "[64]*void"),
            ("ReservedForNtRpc", t.reserved_for_nt_rpc, "*void"),
            ("HardErrorMode", t.hard_error_mode, "u32"),
            ("SubProcessTag", t.sub_process_tag, "*void"),
            ("GdiBatchCount", t.gdi_batch_count, "u32"),
            ("GuaranteedStackBytes", t.guaranteed_stack_bytes, "u32"),
            ("ReservedForOle", t.reserved_for_ole, "*void"),
            ("WaitingOnLoaderLock", t.waiting_on_loader_lock, "u32"),
            ("ThreadPoolData", t.thread_pool_data, "*void"),
            ("TlsExpansionSlots", t.tls_expansion_slots, "**void"),
            ("FlsData", t.fls_data, "*void"),
            ("CrossTebFlags", t.cross_teb_flags, "u16"),
            ("SameTebFlags", t.same_teb_flags, "u16"),
            ("LockCount", t.lock_count, "u32"),
            ("WowTebOffset", t.wow_teb_offset, "i32"),
        ],
    );
}

impl TypeProvider for BuiltIn {
    fn type_source(&self) -> TypeSource {
        TypeSource::BuiltIn(FROM)
    }

    fn pointer_bytes(&self) -> u8 {
        self.pointer_size()
    }

    /// Also without the leading underscore, as the SDK's typedefs.
    fn find_type(&self, name: &str, ignore_case: bool) -> Vec<TypeId> {
        let same = |have: &str| {
            [have, have.trim_start_matches('_')]
                .iter()
                .any(|h| if ignore_case { h.eq_ignore_ascii_case(name) } else { *h == name })
        };
        let defined = self.types.iter().zip(&self.layouts).zip(FIRST..);
        let hits = defined
            .filter(|((t, l), _)| !l.members.is_empty() && matches!(t, Type::Udt { name, .. } if same(name)));
        hits.map(|(_, id)| TypeId(id)).collect()
    }

    fn each_type(&self, f: &mut dyn FnMut(TypeId, &str) -> bool) {
        for ((t, layout), id) in self.types.iter().zip(&self.layouts).zip(FIRST..) {
            if let Type::Udt { name, .. } = t
                && !layout.members.is_empty()
                && !f(TypeId(id), name)
            {
                return;
            }
        }
    }

    fn get_type(&self, id: TypeId) -> Type {
        match id.0.checked_sub(FIRST) {
            Some(at) => self.types.get(at as usize).cloned().unwrap_or(Type::Unknown),
            None => decode_base(id, self.pointer_size()),
        }
    }

    fn members(&self, id: TypeId) -> Vec<Member> {
        let at = id.0.checked_sub(FIRST).map(|at| at as usize);
        at.and_then(|at| self.layouts.get(at)).map(|l| l.members.clone()).unwrap_or_default()
    }

    fn enumerators(&self, _id: TypeId) -> Vec<Enumerator> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{RowKind, dt_name, rows, size_of};

    #[test]
    fn structures_of_a_known_size_are_full() {
        for machine in [Machine::X86, Machine::Amd64] {
            let types = builtin(machine);
            let mut names = Vec::new();
            types.each_type(&mut |id, name| {
                names.push(name.to_owned());
                let Some(size) = size_of(types, id) else { return true };
                let mut end = 0;
                for r in rows(types, id) {
                    let RowKind::Field(at) = r.kind else { panic!() };
                    end = end.max(at + size_of(types, r.ty).unwrap());
                }
                assert!(end <= size && end + 8 > size, "{machine:?} {name}: {end:#x} of {size:#x}");
                true
            });
            assert!(names.contains(&"_TEB".to_owned()) && names.contains(&"_PEB".to_owned()));
        }
    }

    #[test]
    fn members_of_both_sizes() {
        let row = |machine, ty: &str, name: &str| {
            let types = builtin(machine);
            let id = *types.find_type(ty, false).first().unwrap();
            let r = rows(types, id).into_iter().find(|r| r.name == name).unwrap();
            let RowKind::Field(at) = r.kind else { panic!() };
            (at, dt_name(types, r.ty))
        };
        assert_eq!(row(Machine::X86, "_TEB", "LastErrorValue"), (0x34, "Uint4B".into()));
        assert_eq!(row(Machine::Amd64, "_TEB", "ProcessEnvironmentBlock"), (0x60, "Ptr64 _PEB".into()));
        assert_eq!(row(Machine::Amd64, "_TEB", "TlsSlots"), (0x1480, "[64] Ptr64 Void".into()));
        assert_eq!(row(Machine::Amd64, "RTL_CRITICAL_SECTION", "SpinCount"), (0x20, "Uint8B".into()));
        assert!(builtin(Machine::X86).find_type("_CONTEXT", false).is_empty(), "only its name is known");
    }
}
