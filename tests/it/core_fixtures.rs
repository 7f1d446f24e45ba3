//! dump-core over built dumps: the builder writes by layouts of its own, so what is read must be what was put in.

use crate::core_common::{cuts, read_everything};
use dumpscope_core::base::{CodeView, ModuleInfo, ReadMemory, ThreadIdx, Va, x86};
use dumpscope_core::model::{Dump, DumpKind};
use dumpscope_core::source::Source;
use dumpscope_core::stream::handle_data::ObjectInfo;
use dumpscope_core::stream::handle_ops::Operation;
use dumpscope_core::{Machine, Parsed};
use dumpscope_fixtures::dump::{self as build, Cpu, Cv, MemoryForm, Misc};
use dumpscope_fixtures::{article, context, hostile, small};

fn open(built: &build::Dump) -> Dump {
    Dump::from_bytes(built.bytes()).unwrap()
}

fn check_threads(dump: &Dump, built: &build::Dump) {
    assert_eq!(dump.threads().len(), built.threads.len());
    for (got, put) in dump.threads().iter().zip(&built.threads) {
        assert_eq!((got.tid.0, got.raw.teb.0, got.raw.stack_start.0), (put.tid, put.teb, put.stack.0));
        assert_eq!(got.name, put.name);
        let times = |i: build::Times| (i.create, i.exit, i.user, i.kernel, i.start_address, i.exit_status);
        let info = got.info.map(|i| {
            (i.create_time, i.exit_time, i.user_time, i.kernel_time, i.start_address.0, i.exit_status)
        });
        assert_eq!(info, put.info.map(times));
    }
}

fn check_modules(got: &[ModuleInfo], built: &build::Dump) {
    for put in &built.modules {
        let m = got.iter().find(|m| m.base.0 == put.base).unwrap();
        assert_eq!((m.size, m.timestamp, m.checksum), (put.size, put.timestamp, put.checksum), "{}", m.name);
        assert_eq!((&m.path, m.version.map(|v| v.file)), (&put.path, put.version));
        match (&m.codeview, &put.cv) {
            (Some(CodeView::Pdb70 { guid, age, path }), Cv::Rsds(bytes, put_age, put_path)) => {
                assert_eq!(
                    (guid, age, path),
                    (&dumpscope_core::base::Guid::from_bytes(bytes), put_age, put_path)
                );
            }
            (cv, Cv::None) => assert_eq!(*cv, None),
            other => panic!("{}: {other:?}", m.name),
        }
    }
}

#[test]
fn what_is_put_in_is_read() {
    for (built, machine) in [(small::x86().0, Machine::X86), (small::x64().0, Machine::Amd64)] {
        let dump = open(&built);
        assert_eq!((dump.machine(), dump.kind(), dump.time()), (machine, DumpKind::Full, built.time));
        check_threads(&dump, &built);
        check_modules(dump.modules(), &built);
        let misc = dump.misc().value().unwrap();
        assert!(misc.build_string.as_deref().is_some_and(|b| b.ends_with(".1.fixture")));
        assert_eq!((misc.process_cookie, misc.processor_mhz), (Some(0x5eed_c00c), Some(2400)));
        assert_eq!(dump.unloaded().value().unwrap()[0].name, "gone.dll");
        let gone = dump.unloaded().value().unwrap()[0].base;
        assert_eq!(dump.unloaded_at(gone.offset(0x7fff)).map(|u| u.size), Some(0x8000));
        // All memory, byte by byte, through the view.
        for (start, run) in built.space.runs() {
            let mut bytes = vec![0; run.len() + 1];
            let got = dump.memory().read_at(Va(start), &mut bytes).got;
            assert!(got >= run.len() && bytes[..run.len()] == run, "{start:#x}");
        }
        let parameters = dump.parameters(machine).unwrap();
        assert_eq!(parameters.image_path.as_deref(), Some(r"C:\app\demo.exe"));
        let loader = dump.loader(machine).unwrap();
        assert_eq!(loader.entries.len(), built.modules.len());
        assert!(loader.warnings.is_empty() && loader.shutdown_tid.is_none());
        for t in dump.threads() {
            let teb = dump.read_teb(t.index, machine).unwrap();
            assert!(teb.is_valid());
            assert_eq!((teb.thread_id, teb.peb), (Some(t.tid.0.into()), dump.peb(machine)));
            assert!(dump.module_at(dump.context(t.index).unwrap().ip()).is_some());
        }
        assert_eq!(dump.warnings(), [], "{machine:?}");
    }
}

#[test]
fn object_information_in_both_bitnesses() {
    for built in [small::x86().0, small::x64().0] {
        let dump = open(&built);
        let Parsed::Fine(data) = dump.handles() else { panic!("{:?}", dump.handles()) };
        let info: Vec<&ObjectInfo> = data.handles.iter().flat_map(|h| &h.info).collect();
        let text = format!("{info:?}");
        assert!(matches!(info[0], ObjectInfo::Event { manual_reset: false, signalled: false }), "{text}");
        assert!(matches!(info[1], ObjectInfo::Mutant { current_count: 0, abandoned: false, .. }), "{text}");
        assert!(
            matches!(info[2], ObjectInfo::MutantOwner { pid, tid } if (pid.0, tid.0) == (0x1a2c, 0x2210))
        );
        assert!(matches!(info[3], ObjectInfo::Semaphore { count: 2, limit: 5 }), "{text}");
        assert!(matches!(info[4], ObjectInfo::Thread { tid, teb: Va(0x7efd_c000), .. } if tid.0 == 0x2210));
        assert!(matches!(info[5], ObjectInfo::Section { size: 0x1_0000, .. }), "{text}");
        assert!(
            matches!(info[6], ObjectInfo::Process { pid, parent, .. } if (pid.0, parent.0) == (0x30c, 4))
        );
        assert_eq!(data.handles.last().unwrap().object_name.as_deref(), Some(r"\Device\NamedPipe\demo"));

        for (size, has_info) in [(32, false), (40, true), (48, true)] {
            let mut other = built.clone();
            other.handle_descriptor = size;
            let dump = open(&other);
            let Parsed::Fine(data) = dump.handles() else { panic!("{:?}", dump.handles()) };
            assert_eq!((data.descriptor_size, data.handles.len()), (size, 7));
            assert_eq!(data.handles[0].info.is_empty(), !has_info);
        }
    }
}

#[test]
fn forms_of_memory_lists_and_padding() {
    let mut built = small::x64().0;
    for (form, kind) in [
        (MemoryForm::Full, DumpKind::Full),
        (MemoryForm::List, DumpKind::Partial),
        (MemoryForm::Stacks, DumpKind::Mini),
    ] {
        for pad in [false, true] {
            built.memory = form;
            built.pad_lists = pad;
            built.flags = if form == MemoryForm::Full { 0x1926 } else { 0x1024 };
            let dump = open(&built);
            assert_eq!(dump.kind(), kind, "{form:?} {pad}");
            check_threads(&dump, &built);
            let context = dump.context(ThreadIdx(0)).unwrap();
            assert!(dump.memory().u64(context.sp()).is_some(), "{form:?}");
            assert_eq!(dump.warnings(), [], "{form:?} {pad}");
        }
    }
    built.memory = MemoryForm::None;
    let dump = open(&built);
    assert_eq!((dump.kind(), dump.memory().captured(), dump.pid().is_some()), (DumpKind::Mini, 0, true));
    assert!(dump.peb(Machine::Amd64).is_none() && dump.loader(Machine::Amd64).is_none());
}

#[test]
fn all_versions_of_misc_info() {
    for version in 1..=5u8 {
        let mut built = build::Dump::new(Cpu::X64, 19045);
        built.misc = Some(Misc {
            version,
            user_seconds: 3,
            time_zone_id: 2,
            bias: 480,
            build_string: "19041.1".into(),
            ..Misc::process(0x77, 1_600_000_000)
        });
        let dump = open(&built);
        let Parsed::Fine(m) = dump.misc() else { panic!() };
        assert_eq!(
            (m.pid.map(|p| p.0), m.create_time, m.user_time),
            (Some(0x77), Some(1_600_000_000), Some(3))
        );
        assert_eq!(m.processor_mhz.is_some(), version >= 2);
        assert_eq!(
            (m.integrity_level, m.utc_bias_minutes.is_some()),
            ((version >= 3).then_some(0x2000), version >= 3)
        );
        assert!(version < 3 || m.utc_bias_minutes == Some(420), "daylight time");
        assert_eq!(m.build_string.as_deref(), (version >= 4).then_some("19041.1"));
        assert_eq!(m.process_cookie.is_some(), version >= 5);
    }
}

#[test]
fn rare_streams_and_comments() {
    let mut built = build::Dump::new(Cpu::X64, 22631);
    built.comment_ansi = Some(b"*** procdump -h demo.exe\0".to_vec());
    built.comment_wide = Some("\u{fc}ber".into());
    built.tokens = vec![
        build::Token { id: 0x20, handle: 0x44, data: vec![1, 2, 3, 4] },
        build::Token { id: 0x24, handle: 0x48, data: vec![5; 8] },
    ];
    built.handle_operations = vec![build::HandleOperation {
        handle: 0x58,
        pid: 0x20,
        tid: 0x24,
        operation: 2,
        stack: vec![0x7ff6_0000_1000, 0x7ff6_0000_2000],
    }];
    built.function_tables = vec![
        build::FunctionTable { range: (0x1000, 0x2000, 0x1000), entries: vec![(0, 0x10, 0x500)] },
        build::FunctionTable {
            range: (0x5000, 0x6000, 0x5000),
            entries: vec![(0, 8, 0x600), (8, 16, 0x700)],
        },
    ];
    built.raw = vec![
        build::system_memory_info(0x10_0000, 0x8_0000),
        build::process_vm_counters(0x12_3000, 0x45_6000),
        (20, vec![0; 12]),
        (23, vec![0; 3]),
    ];
    let dump = open(&built);
    assert_eq!(dump.comments(), ["*** procdump -h demo.exe", "\u{fc}ber"]);
    let Parsed::Fine(tokens) = dump.tokens() else { panic!("{:?}", dump.tokens()) };
    assert_eq!(
        tokens.iter().map(|t| (t.id, t.handle, t.size)).collect::<Vec<_>>(),
        [(0x20, 0x44, 4), (0x24, 0x48, 8)]
    );
    let Parsed::Fine(operations) = dump.handle_operations() else { panic!() };
    assert_eq!((operations[0].operation, operations[0].stack.len()), (Operation::Close, 2));
    let Parsed::Fine(tables) = dump.function_tables() else { panic!("{:?}", dump.function_tables()) };
    assert_eq!((tables.entry_size, tables.tables.len()), (12, 2));
    let second = tables.tables[1];
    assert_eq!((second.minimum, second.base, second.entry_count), (Va(0x5000), Va(0x5000), 2));
    let at = second.entries.0 as usize;
    assert_eq!(dump.file_bytes()[at + 12..at + 24], [8, 0, 0, 0, 16, 0, 0, 0, 0, 7, 0, 0]);
    let Parsed::Fine(memory) = dump.system_memory() else { panic!() };
    assert_eq!(
        (memory.page_size, memory.physical_pages, memory.available_pages),
        (Some(4096), Some(0x10_0000), Some(0x8_0000))
    );
    let Parsed::Fine(counters) = dump.vm_counters() else { panic!() };
    assert_eq!(
        (counters.working_set, counters.private, counters.page_faults),
        (Some(0x12_3000), Some(0x45_6000), Some(12_345))
    );
    // Every stream of the directory has a row in the table and a summary.
    for entry in dump.directory() {
        let summary = dump.summarize(*entry).unwrap();
        assert!(!summary.text.is_empty() && summary.warnings.is_empty(), "{} {summary:?}", entry.stream_type);
    }
}

#[test]
fn a_wow64_process_of_windows_10_and_its_32_bit_twin() {
    let (built, plain) = (article::ruby_wow64().0, article::ruby_x86().0);
    let (dump, twin) = (open(&built), open(&plain));
    assert!(dump.is_wow64() && !twin.is_wow64());
    assert_eq!(dump.warnings(), []);
    for thread in twin.threads() {
        let guest = dump.wow64_context(dump.thread_by_tid(thread.tid).unwrap().index).unwrap();
        let want = twin.context(thread.index).unwrap();
        assert_eq!((guest.ip(), guest.sp(), guest.regs.fp()), (want.ip(), want.sp(), want.regs.fp()));
        let teb = dump.read_teb(dump.thread_by_tid(thread.tid).unwrap().index, Machine::X86).unwrap();
        assert!(teb.is_valid());
        assert_eq!(twin.wow64_context(thread.index), None);
    }
    for m in twin.modules() {
        assert!(dump.module_at(m.base).is_some_and(|w| w.base == m.base && w.size == m.size), "{}", m.name);
    }
    assert_eq!(
        dump.parameters(Machine::X86).unwrap().command_line,
        twin.parameters(Machine::X86).unwrap().command_line
    );

    // The 32-bit modules are found through the 32-bit loader list when the module list has only the others.
    let mut bare = built.clone();
    bare.modules.retain(|m| m.base > u64::from(u32::MAX) || m.path.to_lowercase().contains("wow64"));
    let dump_bare = open(&bare);
    assert!(dump_bare.module_list().value().unwrap().len() < dump.modules().len());
    for m in dump_bare.loader(Machine::X86).unwrap().entries {
        assert_eq!(dump_bare.module_at(m.base).map(|f| f.size), Some(m.size), "{:?}", m.base_name);
    }

    // A thread that was stopped in 32-bit code: its registers are in the 64-bit context, the saved ones are old.
    let mut running = built.clone();
    let mut raw =
        context::X64 { rip: 0x1234_5678, rsp: 0x8_0000, rbp: 0x8_0010, rax: 7, ..Default::default() }.bytes();
    raw[0x38..0x3a].copy_from_slice(&0x23u16.to_le_bytes());
    running.threads[0].context = raw;
    let guest = open(&running).wow64_context(ThreadIdx(0)).unwrap();
    assert_eq!((guest.machine, guest.ip(), guest.sp()), (Machine::X86, Va(0x1234_5678), Va(0x8_0000)));
    assert_eq!((guest.regs.get(x86::EAX), guest.regs.get(x86::EBP)), (Some(7), Some(0x8_0010)));
}

#[test]
fn sign_extended_addresses_of_32_bit_dumps() {
    let mut built = build::Dump::new(Cpu::X86, 7601);
    built.exception = Some(build::Exception {
        tid: 1,
        code: 0xc000_0005,
        address: 0xffff_ffff_9000_1000,
        parameters: vec![1, 0xffff_ffff_8000_0004],
        ..build::Exception::default()
    });
    built.modules = vec![build::Module {
        base: 0xffff_ffff_9000_0000,
        size: 0x2000,
        checksum: 0,
        timestamp: 0,
        path: r"C:\high.dll".into(),
        version: None,
        cv: Cv::Nb10(5, 6, "high.pdb".into()),
    }];
    let dump = open(&built);
    let record = &dump.exception().value().unwrap().record;
    assert_eq!((record.address, record.parameters[1]), (Va(0x9000_1000), 0x8000_0004));
    let module = dump.module_at(record.address).unwrap();
    assert_eq!(module.codeview, Some(CodeView::Pdb20 { signature: 5, age: 6, path: "high.pdb".into() }));
}

#[test]
fn arm64_contexts() {
    let mut built = build::Dump::new(Cpu::Arm64, 22631);
    let registers = context::Arm64 { pc: 0x7ff6_0000_1000, sp: 0x10_0000, lr: 0x33, ..Default::default() };
    built.threads = vec![build::Thread { tid: 5, context: registers.bytes(), ..build::Thread::default() }];
    let dump = open(&built);
    let got = dump.context(ThreadIdx(0)).unwrap();
    assert_eq!((got.machine, got.ip(), got.sp()), (Machine::Arm64, Va(0x7ff6_0000_1000), Va(0x10_0000)));
    assert_eq!(got.regs.get(dumpscope_core::base::arm64::LR), Some(0x33));
}

#[test]
fn hostile_dumps_end() {
    for case in hostile::all() {
        eprintln!("hostile: {}", case.name);
        read_everything(Source::from_bytes(case.bytes));
    }
}

#[test]
fn truncated_article_dumps() {
    for built in [article::ruby_x86().0, article::ruby_wow64().0, article::wmiprvse_x86().0] {
        let whole = open(&built);
        for cut in cuts(&whole, 200) {
            let source = whole.source().truncated(cut);
            read_everything(source.clone());
            match Dump::from_source(source) {
                Err(e) => assert!(cut < 44, "cut at {cut:#x}: {e}"),
                Ok(dump) => {
                    dump.memory();
                    dump.modules();
                    dump.threads();
                    assert!(
                        cut as u64 == whole.file_size() || !dump.warnings().is_empty(),
                        "cut at {cut:#x}"
                    );
                }
            }
        }
    }
}
