//! Stacks of real dumps: the lab's README and the corpus' own expectations are the truth.

use crate::core_common::shared_or_skip;
use dumpscope_analyzers::model::{Stack, StackFrame};
use dumpscope_analyzers::stacks::{stack_bounds, stack_from, thread_stack};
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::base::{Reg, amd64};
use dumpscope_core::model::Dump;
use dumpscope_core::{Machine, ReadMemory, ThreadIdx, Va};
use dumpscope_symbols::{EndReason, Limits, SymbolConfig, Trust, UnwindIssue};

fn open(dump: &str, symbols: Option<&str>) -> Option<Target> {
    let shared = shared_or_skip(dump)?;
    let symbol_path = symbols.map(|s| shared.join(s).display().to_string()).unwrap_or_default();
    let config = SymbolConfig { symbol_path, offline: true, ..SymbolConfig::default() };
    Some(Target::new(Dump::open(&shared.join(dump)).unwrap(), config))
}

fn walk(target: &Target, thread: u32, machine: Machine) -> Stack {
    thread_stack(target, ThreadIdx(thread), machine, &Limits::default(), &Cancel::default()).unwrap()
}

fn at_exception(target: &Target) -> Stack {
    let context = target.dump.exception_context().unwrap();
    let tid = target.dump.exception().value().unwrap().tid;
    let thread = target.dump.thread_by_tid(tid).unwrap().index;
    let range = stack_bounds(target, thread, context.machine, context.sp()).map(|b| (b.low, b.high));
    stack_from(target, &context.regs, range, &Limits::default(), &Cancel::default())
}

/// `module!function`, or `module` alone.
fn name(target: &Target, frame: &StackFrame) -> String {
    let module = frame.module.map_or("?", |m| &target.symbols.modules()[m].name);
    frame.function.as_ref().map_or(module.to_owned(), |f| format!("{module}!{f}"))
}

fn names(target: &Target, stack: &Stack) -> Vec<String> {
    stack.frames.iter().map(|f| name(target, f)).collect()
}

fn trusts(stack: &Stack) -> Vec<Trust> {
    stack.physical().map(|f| f.trust).collect()
}

#[test]
fn x64_from_the_images_in_memory_alone() {
    let Some(target) = open("lab/wmiprvse-x64.dmp.zst", None) else { return };
    for thread in 0..4 {
        let stack = walk(&target, thread, Machine::Amd64);
        let names = names(&target, &stack);
        assert_eq!(stack.end, EndReason::Complete, "{names:?}");
        assert_eq!(trusts(&stack)[0], Trust::Context);
        assert!(trusts(&stack)[1..].iter().all(|t| *t == Trust::Cfi), "{thread}: {:?}", trusts(&stack));
        assert!(stack.frames.iter().all(|f| f.frame.issue.is_none()), "{names:?}");
        assert!(stack.warnings().is_empty());
        assert_eq!(names[names.len() - 2..], ["kernel32!BaseThreadInitThunk", "ntdll!RtlUserThreadStart"]);
        if thread > 0 {
            assert_eq!(
                names[..4],
                [
                    "ntdll!NtWaitForAlertByThreadId",
                    "ntdll!RtlWaitOnAddress",
                    "ntdll!RtlpWaitForCriticalSection",
                    "ntdll!RtlEnterCriticalSection"
                ]
            );
        }
        assert_chained(&stack);
    }
}

/// What holds in every stack: each frame's return address is the next one's ip, and the stack grows.
fn assert_chained(stack: &Stack) {
    let frames: Vec<_> = stack.physical().collect();
    for pair in frames.windows(2) {
        assert_eq!(pair[0].frame.return_address, pair[1].frame.ip);
        assert!(pair[0].frame.sp < pair[1].frame.sp);
    }
    assert_eq!(frames.last().unwrap().frame.return_address, Va(0));
}

#[test]
fn x64_registers_of_callers_point_at_what_they_restored() {
    let Some(target) = open("lab/wmiprvse-x64.dmp.zst", Some("lab/symbols/x64")) else { return };
    let stack = walk(&target, 1, Machine::Amd64);
    let names = names(&target, &stack);
    let at = |n: &str| names.iter().position(|f| f.ends_with(n)).unwrap_or_else(|| panic!("{n}: {names:?}"));
    assert!(at("WalkTree") < at("CreateList"), "{names:?}");
    // Thread 0x11c waits for the lock at 0x140032288: RtlEnterCriticalSection keeps its argument in a
    // non-volatile register while it waits.
    let enter = &stack.frames[at("RtlEnterCriticalSection")].frame;
    let holders: Vec<Reg> = (0..16).map(Reg).filter(|r| enter.regs.get(*r) == Some(0x1_4003_2288)).collect();
    assert!(!holders.is_empty(), "{:?}", enter.regs);
    for (reg, slot) in &enter.saved_at {
        assert_eq!(target.dump.memory().u64(*slot), enter.regs.get(*reg), "{reg:?}");
        assert!(*slot < enter.sp, "saved by a callee");
    }
    for volatile in [amd64::RAX, amd64::RCX, amd64::R8, amd64::R11] {
        assert_eq!(enter.regs.get(volatile), None);
    }
}

#[test]
fn x86_through_frames_without_frame_pointer() {
    let Some(target) = open("lab/ruby-x86.dmp.zst", Some("lab/symbols/x86")) else { return };
    let stack = walk(&target, 0, Machine::X86);
    let names = names(&target, &stack);
    let ours: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|n| !n.starts_with("kernel") && !n.starts_with("ntdll"))
        .collect();
    let inner = [
        "combase!CCliModalLoop::BlockFn",
        "combase!ModalLoop",
        "combase!ClassicSTAThreadWaitForCall",
        "combase!ThreadSendReceive",
        "combase!CRpcChannelBuffer::SendReceive2",
        "combase!ObjectStublessClient",
    ];
    assert_eq!(ours[..6], inner, "{names:?}");
    assert!(ours[6].starts_with("win32ole"), "{names:?}");
    let outer = ["ruby!rb_f_send", "ruby!rb_iseq_eval_main", "ruby!rb_iseq_eval_main"];
    assert_eq!(ours[7..10], outer, "{names:?}");
    assert_eq!(ours[10..13], ["ruby!rb_iseq_eval_main", "ruby!rb_iseq_eval_main", "ruby!main"], "{names:?}");
    assert!(trusts(&stack)[1..].iter().all(|t| *t <= Trust::FramePointer), "{:?}", trusts(&stack));
    assert_eq!(stack.end, EndReason::Complete);
    // The two inlined calls come before the function that holds them, with lines of their own.
    let inlined: Vec<_> = stack.frames.iter().filter(|f| f.trust == Trust::Inline).collect();
    assert_eq!(inlined.len(), 2);
    assert!(inlined.iter().all(|f| f.line.is_some()));
    let send = stack.frames.iter().find(|f| name(&target, f) == "combase!ThreadSendReceive").unwrap();
    assert_eq!(send.frame.ip, inlined[0].frame.ip);
    assert_chained(&stack);
}

#[test]
fn x86_without_symbols_finds_the_same_frames() {
    let Some(with) = open("lab/ruby-x86.dmp.zst", Some("lab/symbols/x86")) else { return };
    let Some(without) = open("lab/ruby-x86.dmp.zst", None) else { return };
    for thread in 0..3 {
        let bases = |t: &Target| {
            walk(t, thread, Machine::X86)
                .physical()
                .map(|f| (f.frame.frame_base, f.frame.ip))
                .collect::<Vec<_>>()
        };
        assert_eq!(bases(&with), bases(&without));
    }
}

#[test]
fn a_wow64_process_has_two_stacks() {
    let Some(target) = open("corpus/lldb/fizzbuzz_wow64.dmp", None) else { return };
    let native = walk(&target, 0, Machine::Amd64);
    let modules: Vec<String> =
        names(&target, &native).iter().map(|n| n.split('!').next().unwrap().to_owned()).collect();
    assert_eq!(modules, ["wow64cpu", "wow64cpu", "wow64", "wow64", "ntdll", "ntdll", "ntdll"]);
    assert!(trusts(&native)[1..].iter().all(|t| *t == Trust::Cfi));
    assert_eq!(native.end, EndReason::Complete);
    assert_eq!(names(&target, &native).last().unwrap(), "ntdll!LdrInitializeThunk");

    let guest = walk(&target, 0, Machine::X86);
    let names = names(&target, &guest);
    assert!(names[0].ends_with("!NtWaitForMultipleObjects"), "{names:?}");
    assert_eq!(
        names[1..4],
        [
            "KERNELBASE!WaitForMultipleObjectsEx",
            "kernel32!WaitForMultipleObjectsEx",
            "kernel32!WaitForMultipleObjects"
        ]
    );
    assert!(trusts(&guest)[1..].iter().all(|t| *t == Trust::FramePointer), "{:?}", trusts(&guest));
    assert_eq!(guest.end, EndReason::Complete);
    assert_chained(&guest);
}

#[test]
fn breakpads_own_walker_agrees() {
    let Some(target) = open("corpus/breakpad/minidump2.dmp", Some("corpus/breakpad/symbols")) else { return };
    let shared = shared_or_skip("breakpad").unwrap();
    let expected =
        std::fs::read_to_string(shared.join("corpus/breakpad/minidump2.stackwalk.machine_readable.out"))
            .unwrap();
    // thread|frame|module|function|file|line|offset
    let rows: Vec<Vec<&str>> =
        expected.lines().filter(|l| l.starts_with("0|")).map(|l| l.split('|').collect()).collect();
    let stack = at_exception(&target);
    assert_eq!(stack.frames.len(), rows.len(), "{:?}", names(&target, &stack));
    for (frame, row) in stack.frames.iter().zip(&rows) {
        let module = &target.symbols.modules()[frame.module.unwrap()].file_name;
        assert_eq!((module.as_str(), frame.function.as_deref()), (row[2], Some(row[3])));
        let line = frame.line.as_ref();
        assert_eq!(line.map(|l| l.file.as_str()).unwrap_or_default(), row[4]);
        assert_eq!(line.map(|l| l.line.to_string()).unwrap_or_default(), row[5]);
        let offset = u64::from_str_radix(row[6].trim_start_matches("0x"), 16).unwrap();
        match line {
            // Ours counts to the call, Breakpad's to the return address.
            Some(line) => assert_eq!(u64::from(line.displacement) + u64::from(!frame.frame.exact_ip), offset),
            None => assert_eq!(frame.displacement, offset),
        }
    }
    assert!(trusts(&stack)[1..].iter().all(|t| *t == Trust::Cfi));
    assert_eq!(stack.end, EndReason::Complete);
}

#[test]
fn a_small_x64_dump_has_no_unwind_data_but_the_pdb_tells_its_own_frames() {
    let Some(target) = open("corpus/lldb/sigsegv.dmp", Some("corpus/lldb")) else { return };
    let stack = at_exception(&target);
    let names = names(&target, &stack);
    assert_eq!(names[..4], ["sigsegv!crash", "sigsegv!foo", "sigsegv!main", "sigsegv!mainCRTStartup"]);
    assert!(names[4].starts_with("kernel32") && names[5].starts_with("ntdll"), "{names:?}");
    assert!(trusts(&stack)[1..5].iter().all(|t| *t == Trust::Cfi), "{:?}", trusts(&stack));
    assert!(trusts(&stack)[5..].iter().all(|t| *t > Trust::FramePointer), "{:?}", trusts(&stack));
    assert_eq!(stack.frames[0].frame.issue, None);
    assert_eq!(stack.frames[4].frame.issue, Some(UnwindIssue::ImageMissing));
    assert_eq!(stack.warnings().first().map(|w| w.0), Some(4));
    // Without the PDB all of it is a scan.
    let Some(target) = open("corpus/lldb/sigsegv.dmp", None) else { return };
    let stack = at_exception(&target);
    assert!(trusts(&stack)[1..].iter().all(|t| *t > Trust::FramePointer), "{:?}", trusts(&stack));
    assert_eq!(stack.frames[0].frame.issue, Some(UnwindIssue::ImageMissing));
    assert_eq!(stack.warnings().first().map(|w| w.0), Some(0));
}

#[test]
fn a_small_x86_dump_follows_its_frame_pointers() {
    let Some(target) = open("corpus/bugsplat-net/minidump.dmp", Some("corpus/bugsplat-net")) else { return };
    let stack = at_exception(&target);
    let names = names(&target, &stack);
    let ours = ["MemoryException", "wmain", "invoke_main", "__scrt_common_main_seh"];
    assert_eq!(names[..4], ours.map(|n| format!("myConsoleCrasher!{n}")));
    assert!(!trusts(&stack).contains(&Trust::Scan), "{:?}", trusts(&stack));
    assert_eq!(stack.end, EndReason::Complete);
    // A thread that waits: the stub has no frame of its own, its caller's ebp frame follows.
    let waiting = walk(&target, 1, Machine::X86);
    let frames: Vec<_> = waiting.physical().collect();
    assert_eq!(frames[0].frame.frame_base, frames[0].frame.sp.back(4));
    assert_eq!(frames.len(), 5);
    assert_eq!(waiting.end, EndReason::Complete);
}

#[test]
fn a_call_to_data_keeps_its_caller() {
    let Some(target) = open("corpus/breakpad/exec_av_on_stack.dmp", None) else { return };
    let stack = at_exception(&target);
    assert_eq!(stack.frames[0].frame.issue, Some(UnwindIssue::NotInModule));
    assert!(name(&target, &stack.frames[1]).starts_with("crashme1"), "{:?}", names(&target, &stack));
    assert_eq!(stack.end, EndReason::Complete);
}

#[test]
fn an_exhausted_stack_is_bounded() {
    let Some(target) = open("corpus/breakpad/stack_exhaustion.dmp", None) else { return };
    let stack = at_exception(&target);
    // A MiB of stack in frames of 4 KiB, down to the thread's start.
    assert!((200..Limits::default().frames).contains(&stack.frames.len()), "{}", stack.frames.len());
    assert_eq!(stack.end, EndReason::Complete);
    let few = Limits { frames: 7, ..Limits::default() };
    let short =
        stack_from(&target, &target.dump.exception_context().unwrap().regs, None, &few, &Cancel::default());
    assert_eq!(short.physical().count(), 7);
}

#[test]
fn a_cancelled_walk_stops() {
    let Some(target) = open("lab/wmiprvse-x64.dmp.zst", None) else { return };
    let cancel = Cancel::default();
    cancel.cancel();
    let stack = thread_stack(&target, ThreadIdx(1), Machine::Amd64, &Limits::default(), &cancel).unwrap();
    assert_eq!((stack.frames.len(), stack.end), (1, EndReason::Cancelled));
}

/// Every Windows dump of the corpus: walks end, and what is not unwind data is never called so.
#[test]
fn every_dump_walks() {
    let Some(shared) = shared_or_skip("every_dump_walks") else { return };
    let mut walked = 0;
    for folder in ["breakpad", "lldb", "bugsplat-net", "electron", "rust-minidump"] {
        for entry in std::fs::read_dir(shared.join("corpus").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|e| e != "dmp") {
                continue;
            }
            let Ok(dump) = Dump::open(&path) else { continue };
            let target = Target::new(dump, SymbolConfig { offline: true, ..SymbolConfig::default() });
            for thread in target.dump.threads() {
                let machine = target.dump.machine();
                let stack =
                    thread_stack(&target, thread.index, machine, &Limits::default(), &Cancel::default());
                let Some(stack) = stack else { continue };
                walked += 1;
                for pair in stack.frames.windows(2) {
                    if pair[1].trust == Trust::Cfi && pair[0].trust != Trust::Inline {
                        let base = pair[0].module.map(|m| target.symbols.modules()[m].base).unwrap();
                        assert!(target.dump.memory().u16(base).is_some(), "{}", path.display());
                    }
                }
            }
        }
    }
    assert!(walked > 40, "{walked}");
}
