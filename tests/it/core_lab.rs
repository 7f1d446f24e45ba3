//! dump-core over the two lab dumps: their README is the truth.

use dumpscope_core::base::{Pid, ReadMemory, ThreadIdx, Tid, Va};
use dumpscope_core::model::{Dump, DumpKind};
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
