//! dump-core over the two lab dumps: their README is the truth.

use dumpscope_core::base::{Pid, ReadMemory, ThreadIdx, Tid, Va};
use dumpscope_core::model::{Dump, DumpKind};
use dumpscope_core::stream::handle_data::{Handle, ObjectInfo};
use dumpscope_core::{Machine, Parsed};

fn lab(name: &str) -> Option<Dump> {
    let shared = crate::core_common::shared_or_skip("core_lab")?;
    Some(Dump::open(&shared.join("lab").join(name)).unwrap())
}

#[test]
fn the_32_bit_dump() {
    let Some(dump) = lab("ruby-x86.dmp.zst") else { return };
    assert_eq!((dump.machine(), dump.kind(), dump.is_wow64()), (Machine::X86, DumpKind::Full, false));
    assert_eq!(dump.pid(), Some(Pid(0x20)));
    let tids: Vec<u32> = dump.threads().iter().map(|t| t.tid.0).collect();
    assert_eq!((tids.len(), tids.first()), (3, Some(&0x24)));
    assert!(matches!(dump.system(), Parsed::Fine(s) if (s.major, s.minor, s.build) == (6, 3, 9600)));
    // The main thread burned CPU before it blocked; the others did not.
    let cpu = |i: usize| dump.threads()[i].info.map(|t| t.user_time).unwrap();
    assert!(cpu(0) > 10 * cpu(1).max(cpu(2)), "{} {} {}", cpu(0), cpu(1), cpu(2));
    // `CMessageCall`: the server's process id and the interface's id.
    let call = Va(0x00ad_b410);
    assert_eq!(dump.memory().u32(call.offset(0xb0)), Some(0x110));
    let iid = dump.memory().guid(call.offset(0x90)).unwrap();
    assert_eq!(iid.to_string(), "423ec01e-2e35-11d2-b604-00104b703efd");
    for t in dump.threads() {
        let context = dump.context(t.index).unwrap();
        assert_eq!(context.machine, Machine::X86);
        assert!(dump.module_at(context.ip()).is_some(), "ip {:?} lies in a module", context.ip());
        assert!(dump.memory().u32(context.sp()).is_some());
    }
    assert!(dump.warnings().is_empty(), "{:?}", dump.warnings());
}

#[test]
fn the_64_bit_dump() {
    let Some(dump) = lab("wmiprvse-x64.dmp.zst") else { return };
    assert_eq!((dump.machine(), dump.kind(), dump.is_wow64()), (Machine::Amd64, DumpKind::Full, false));
    assert_eq!(dump.pid(), Some(Pid(0x110)));
    let tids: Vec<u32> = dump.threads().iter().map(|t| t.tid.0).collect();
    assert_eq!(tids, [0x114, 0x11c, 0x120, 0x124]);
    assert!(dump.thread_by_tid(Tid(0x118)).is_none(), "the lock's owner is gone");
    // RTL_CRITICAL_SECTION.OwningThread
    assert_eq!(dump.memory().u64(Va(0x1_4003_2288 + 0x10)), Some(0x118));
    let main = dump.context(ThreadIdx(0)).unwrap();
    assert_eq!(main.machine, Machine::Amd64);
    assert!(dump.module_at(main.ip()).is_some());
    assert!(dump.warnings().is_empty(), "{:?}", dump.warnings());
}

fn handle(dump: &Dump, value: u64) -> Handle {
    let all = &dump.handles().value().unwrap().handles;
    all.iter().find(|h| h.value == value).unwrap().clone()
}

fn named(dump: &Dump, name: &str) -> Handle {
    let all = &dump.handles().value().unwrap().handles;
    let ends = |h: &&Handle| h.object_name.as_deref().is_some_and(|n| n.ends_with(name));
    all.iter().find(ends).unwrap().clone()
}

#[test]
fn handles_of_the_32_bit_dump() {
    let Some(dump) = lab("ruby-x86.dmp.zst") else { return };
    assert!(matches!(dump.handles(), Parsed::Fine(h) if h.descriptor_size == 40));
    let waited = handle(&dump, 0x58);
    assert_eq!((waited.type_name.as_deref(), waited.object_name), (Some("Event"), None));
    assert_eq!(waited.info, [ObjectInfo::Event { manual_reset: false, signalled: false }]);
    assert!(matches!(
        named(&dump, "ruby_timer_event").info[..],
        [ObjectInfo::Event { signalled: false, .. }]
    ));
    let mutex = named(&dump, "chef-client-running");
    assert_eq!(mutex.type_name.as_deref(), Some("Mutant"));
    assert!(matches!(mutex.info[..], [ObjectInfo::Mutant { current_count: 0, abandoned: false, .. }]));
    // Its own threads, by their 32-bit information blocks.
    let mut tids: Vec<u32> = Vec::new();
    for h in &dump.handles().value().unwrap().handles {
        if let [ObjectInfo::Thread { pid: Pid(0x20), tid, exit_status: 0x103, .. }] = h.info[..] {
            tids.push(tid.0);
        }
    }
    tids.sort_unstable();
    assert_eq!(tids, [0x108, 0x10c]);
}

#[test]
fn handles_of_the_64_bit_dump() {
    let Some(dump) = lab("wmiprvse-x64.dmp.zst") else { return };
    let mutex = handle(&dump, 0x48);
    assert_eq!(mutex.object_name.as_deref(), Some(r"\BaseNamedObjects\wmi-guard"));
    assert!(
        matches!(mutex.info[..], [ObjectInfo::Mutant { current_count: 0, .. }]),
        "a count, no owner record"
    );
    assert_eq!(named(&dump, "sem").info, [ObjectInfo::Semaphore { count: 2, limit: 5 }]);
    assert!(matches!(named(&dump, "sect").info[..], [ObjectInfo::Section { size: 0x1000, .. }]));
    assert_eq!(named(&dump, "himds").type_name.as_deref(), Some("File"));
}

#[test]
fn times_and_parameters() {
    let Some(ruby) = lab("ruby-x86.dmp.zst") else { return };
    let Some(wmi) = lab("wmiprvse-x64.dmp.zst") else { return };
    for (dump, image, base) in
        [(&ruby, r"C:\chef\ruby.exe", 0x40_0000u64), (&wmi, r"C:\wbem\WmiPrvSE.exe", 0x1_4000_0000)]
    {
        let machine = dump.machine();
        let parameters = dump.parameters(machine).unwrap();
        assert_eq!(parameters.image_path.as_deref(), Some(image));
        assert!(parameters.command_line.as_ref().unwrap().starts_with(&format!("\"{image}\"")));
        assert!(parameters.variable("WINEDEBUG").is_some());
        assert_eq!(dump.program_base(), Some(Va(base)));
        let loader = dump.loader(machine).unwrap();
        assert_eq!(loader.entries.len(), dump.modules().len());
        for m in dump.modules() {
            assert!(loader.entries.iter().any(|e| e.base == m.base && e.size == m.size), "{}", m.name);
            assert_eq!(m.machine, Some(machine), "{}", m.name);
        }
        for t in dump.threads() {
            let teb = dump.read_teb(t.index, machine).unwrap();
            assert!(teb.is_valid());
            assert_eq!(teb.thread_id, Some(t.tid.0.into()));
            assert_eq!(teb.process_id, dump.pid().map(|p| p.0.into()));
            let sp = dump.context(t.index).unwrap().sp();
            assert!(teb.stack_limit.unwrap() <= sp && sp < teb.stack_base.unwrap());
            let info = t.info.unwrap();
            assert!(info.create_time > 0 && info.exit_time == 0 && info.exit_status == 0x103);
        }
    }
    // TEB.ReservedForOle of the thread that is in the COM call.
    let teb = ruby.read_teb(ThreadIdx(0), Machine::X86).unwrap();
    assert!(!teb.reserved_for_ole.unwrap().is_null());
}

#[test]
fn texts_in_memory_are_found() {
    let Some(dump) = lab("ruby-x86.dmp.zst") else { return };
    let mut hits = Vec::new();
    dump.memory().search(Va(0), Va(u64::MAX), b"win32_pnpsigneddriver", &mut |va| {
        hits.push(va);
        std::ops::ControlFlow::Continue(())
    });
    assert!(!hits.is_empty());
    for va in hits {
        assert!(dump.memory().c_str(va, 64).unwrap().starts_with(b"win32_pnpsigneddriver"));
    }
}

#[test]
fn regions_say_what_lies_where() {
    let Some(dump) = lab("wmiprvse-x64.dmp.zst") else { return };
    let ip = dump.context(ThreadIdx(0)).unwrap().ip();
    let code = dump.region_at(ip).unwrap();
    // PAGE_EXECUTE_READ or PAGE_EXECUTE_WRITECOPY, MEM_COMMIT, MEM_IMAGE.
    assert!(matches!(code.protect, 0x20 | 0x80), "{code:?}");
    assert_eq!((code.state, code.kind), (0x1000, 0x100_0000));
    assert!(code.base <= ip && ip.0 < code.base.0 + code.size);
    assert!(dump.region_at(Va(u64::MAX)).is_none());
    for r in dump.memory_info().value().unwrap() {
        assert_eq!(dump.region_at(r.base), Some(r));
        assert_eq!(dump.region_at(Va(r.base.0 + r.size - 1)), Some(r));
    }
}
