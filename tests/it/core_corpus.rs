//! dump-core over the corpus: dumps that other programs wrote.

use dumpscope_core::base::{Pid, ReadMemory, ThreadIdx, Va};
use dumpscope_core::model::{Dump, DumpKind};
use dumpscope_core::{Machine, Parsed};

fn corpus(name: &str) -> Option<Dump> {
    let shared = crate::core_common::shared_or_skip("core_corpus")?;
    Some(Dump::open(&shared.join("corpus").join(name)).unwrap())
}

#[test]
fn a_wow64_process_dumped_by_a_64_bit_tool() {
    let Some(dump) = corpus("lldb/fizzbuzz_wow64.dmp") else { return };
    assert!(dump.is_wow64());
    assert_eq!(
        (dump.machine(), dump.kind(), dump.pid()),
        (Machine::Amd64, DumpKind::Full, Some(Pid(0x1e9c)))
    );
    let t = ThreadIdx(0);
    assert_eq!(dump.teb(t, Machine::Amd64), Some(Va(0x7efd_b000)));
    assert_eq!(dump.teb(t, Machine::X86), Some(Va(0x7efd_d000)));
    assert_eq!(dump.peb(Machine::Amd64), Some(Va(0x7efd_f000)));
    assert_eq!(dump.peb(Machine::X86), Some(Va(0x7efd_e000)));

    let native = dump.context(t).unwrap();
    assert_eq!(dump.module_at(native.ip()).unwrap().name, "wow64cpu");
    let guest = dump.wow64_context(t).unwrap();
    assert_eq!((guest.machine, guest.ip(), guest.flags), (Machine::X86, Va(0x77ce_01fd), 0x1002f));
    assert_eq!(dump.module_at(guest.ip()).unwrap().name, "ntdll_77cc0000");
    let teb = dump.read_teb(t, Machine::X86).unwrap();
    assert!(teb.is_valid());
    assert!((teb.stack_limit.unwrap()..teb.stack_base.unwrap()).contains(&guest.sp()));
    assert_eq!(teb.thread_id, Some(0x3490));

    // The program is in the module list once for each loader; it is one module.
    let names: Vec<&str> = dump.modules().iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names.iter().filter(|n| n.starts_with("fizzbuzz")).count(), 1, "{names:?}");
    let machine_of = |name: &str| dump.modules().iter().find(|m| m.name == name).and_then(|m| m.machine);
    assert_eq!(machine_of("ntdll"), Some(Machine::Amd64));
    assert_eq!(machine_of("ntdll_77cc0000"), Some(Machine::X86));
    assert_eq!((machine_of("wow64"), machine_of("kernel32")), (Some(Machine::Amd64), Some(Machine::X86)));

    for machine in [Machine::X86, Machine::Amd64] {
        let p = dump.parameters(machine).unwrap();
        assert_eq!(p.command_line.as_deref(), Some("fizzbuzz"));
        assert!(p.image_path.unwrap().ends_with(r"wow64_minidump\fizzbuzz.exe"));
        let loader = dump.loader(machine).unwrap();
        let names: Vec<&str> = loader.entries.iter().filter_map(|e| e.base_name.as_deref()).collect();
        assert_eq!(&names[..2], ["fizzbuzz.exe", "ntdll.dll"]);
        assert_eq!(loader.entries.len(), if machine == Machine::X86 { 11 } else { 5 });
        assert_eq!(loader.memory_order.len(), loader.entries.len());
        assert_eq!(loader.init_order.len(), loader.entries.len() - 1, "the program has no DllMain");
        assert!(loader.warnings.is_empty());
    }
    assert!(matches!(dump.handles(), Parsed::Fine(h) if h.handles.is_empty() && h.descriptor_size == 40));
    let info = dump.threads()[0].info.unwrap();
    assert_eq!(info.exit_status, 0x103);
    assert!(dump.warnings().is_empty(), "{:?}", dump.warnings());
}

#[test]
fn crashpads_handles_and_a_long_context() {
    let Some(dump) = corpus("breakpad/tiny-exe-with-cet-xsave.dmp") else { return };
    let handles = dump.handles().value().unwrap();
    assert_eq!((handles.handles.len(), handles.descriptor_size), (147, 32));
    assert!(handles.handles.iter().all(|h| h.object_name.is_none() && h.info.is_empty()));
    let of_type =
        |name: Option<&str>| handles.handles.iter().filter(|h| h.type_name.as_deref() == name).count();
    assert_eq!([of_type(Some("Event")), of_type(Some("Section")), of_type(None)], [18, 31, 46]);
    let unloaded: Vec<&str> = dump.unloaded().value().unwrap().iter().map(|u| u.name.as_str()).collect();
    assert_eq!(unloaded, ["shcore.dll"]);
    assert!(dump.threads()[0].raw.context_size > 0x4d0);
    let context = dump.context(ThreadIdx(0)).unwrap();
    assert_eq!(dump.module_at(context.ip()).unwrap().name, "ntdll");
    assert_eq!(context.vectors.len(), 16);
    assert_eq!(dump.memory_info().value().unwrap().len(), 0x22d);
    let p = dump.parameters(Machine::Amd64).unwrap();
    assert_eq!(p.variable("programdata"), Some(r"C:\ProgramData"));
    assert!(dump.exception().is_absent() && !dump.is_wow64());
}

#[test]
fn thread_names() {
    let Some(dump) = corpus("breakpad/thread_name_list.dmp") else { return };
    let names: Vec<Option<&str>> = dump.threads().iter().map(|t| t.name.as_deref()).collect();
    assert_eq!(names, [Some("main thread"), None, None, None, Some("sleep thread"), Some("overflow thread")]);
    let exception = dump.exception().value().unwrap();
    assert_eq!((exception.tid.0, exception.record.code), (0x2ae0, 0xc000_0005));
    let context = dump.exception_context().unwrap();
    assert_eq!(context.ip(), exception.record.address);
}

#[test]
fn breakpads_own_stack_walker_agrees() {
    let Some(dump) = corpus("breakpad/minidump2.dmp") else { return };
    let shared = crate::core_common::shared_or_skip("core_corpus").unwrap();
    let text =
        std::fs::read_to_string(shared.join("corpus/breakpad/minidump2.stackwalk.machine_readable.out"));
    let expected: Vec<Vec<String>> =
        text.unwrap().lines().map(|l| l.split('|').map(str::to_owned).collect()).collect();
    let modules: Vec<&Vec<String>> = expected.iter().filter(|r| r[0] == "Module").collect();
    assert_eq!(dump.modules().len(), modules.len());
    for row in modules {
        let base = u64::from_str_radix(row[5].trim_start_matches("0x"), 16).unwrap();
        let module = dump.module_at(Va(base)).unwrap();
        assert_eq!(module.file_name, row[1]);
        assert_eq!(module.end().0 - 1, u64::from_str_radix(row[6].trim_start_matches("0x"), 16).unwrap());
        if let Some(version) = module.version
            && !row[2].is_empty()
        {
            assert_eq!(version.file.map(|p| p.to_string()).join("."), row[2], "{}", module.file_name);
        }
    }
    let crash = expected.iter().find(|r| r[0] == "Crash").unwrap();
    assert_eq!(dump.exception().value().unwrap().record.parameters[1], 0x45, "{crash:?}");
}

#[test]
fn memory_of_the_exception_is_readable() {
    for name in
        ["breakpad/null_read_av.dmp", "bugsplat-net/minidump.dmp", "lldb/sigsegv.dmp", "electron/windows.dmp"]
    {
        let Some(dump) = corpus(name) else { return };
        let context = dump.exception_context().unwrap();
        assert!(dump.memory().u32(context.sp()).is_some(), "{name}");
        assert_eq!(context.machine, dump.machine(), "{name}");
        assert!(dump.module_at(dump.exception().value().unwrap().record.address).is_some(), "{name}");
        assert_ne!(dump.kind(), DumpKind::Full, "{name}");
    }
}
