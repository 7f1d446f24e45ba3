//! Arguments in the lab's dumps, without PDBs. The truth is in the lab's README.

use crate::core_common::shared_or_skip;
use dumpscope_analyzers::arguments::{add_hints, recover_all, system_call_args};
use dumpscope_analyzers::model::{Argument, Confidence, HintSource, Stack};
use dumpscope_analyzers::stacks::thread_stack;
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::model::Dump;
use dumpscope_core::{Machine, ReadMemory, ThreadIdx, Va};
use dumpscope_symbols::{Limits, SymbolConfig};
use dumpscope_tests::wine_dumps;

fn open(dump: &str) -> Option<Target> {
    let path = shared_or_skip(dump)?.join(dump);
    Some(Target::new(Dump::open(&path).unwrap(), SymbolConfig { offline: true, ..SymbolConfig::default() }))
}

fn walk(target: &Target, thread: u32, machine: Machine) -> (Stack, Vec<Vec<Argument>>) {
    let stack =
        thread_stack(target, ThreadIdx(thread), machine, &Limits::default(), &Cancel::default()).unwrap();
    let args = recover_all(target, &stack, &Cancel::default());
    assert_eq!(stack.frames.len(), args.len());
    (stack, args)
}

fn of<'a>(stack: &Stack, args: &'a [Vec<Argument>], function: &str) -> &'a [Argument] {
    let row = stack.frames.iter().position(|f| f.function.as_deref() == Some(function)).unwrap();
    &args[row]
}

#[test]
fn critical_sections_that_threads_wait_for() {
    let Some(target) = open("lab/wmiprvse-x64.dmp.zst") else { return };
    for (thread, lock) in [(1, 0x1_4003_2288), (2, 0x1_4003_22e0), (3, 0x1_4003_22b8)] {
        let (stack, args) = walk(&target, thread, Machine::Amd64);
        for name in ["RtlEnterCriticalSection", "RtlpWaitForCriticalSection"] {
            let found = of(&stack, &args, name);
            assert_eq!(found[0].at_least(Confidence::Strong), Some(lock), "{name}: {found:x?}");
        }
    }
}

#[test]
fn the_wait_in_ruby_with_its_handle_array_and_the_call_object() {
    let Some(target) = open("lab/ruby-x86.dmp.zst") else { return };
    let (stack, args) = walk(&target, 0, Machine::X86);
    let wait = of(&stack, &args, "NtWaitForMultipleObjects");
    let values: Vec<_> = wait.iter().map(|a| a.at_least(Confidence::Strong)).collect();
    assert_eq!(values, [Some(1), Some(0x21_fa60), Some(1), Some(0), Some(0)]);
    assert_eq!(target.dump.memory().u32(Va(0x21_fa60)), Some(0x58), "the handle that it waits for");
    let outer = of(&stack, &args, "WaitForMultipleObjectsEx");
    let values: Vec<_> = outer.iter().map(|a| a.at_least(Confidence::Strong)).collect();
    assert_eq!(values, [Some(1), Some(0x21_fc10), Some(0), Some(0xffff_ffff), Some(0)]);
    // The CMessageCall, in the frames of combase, which has no names without its PDB.
    let held = args.iter().flatten().any(|a| a.at_least(Confidence::Strong) == Some(0xad_b410));
    assert!(held, "{args:x?}");
}

/// Not a single symbol is needed: the class name, the method and the query come from the frames of ruby and win32ole.
#[test]
fn text_hints_in_ruby() {
    let Some(target) = open("lab/ruby-x86.dmp.zst") else { return };
    let (stack, mut args) = walk(&target, 0, Machine::X86);
    add_hints(&target, &stack, &mut args, &Cancel::default());
    let hints: Vec<_> = args.iter().flatten().filter_map(|a| a.hint.as_ref()).collect();
    for text in ["win32_pnpsigneddriver", "ExecQuery", "SELECT * FROM Win32_PnPSignedDriver"] {
        let quoted = format!("\"{text}\"");
        assert!(hints.iter().any(|h| h.text == quoted && h.source == HintSource::Text), "{text}: {hints:?}");
    }
    let class = hints.iter().find(|h| h.text.contains("win32_pnpsigneddriver")).unwrap();
    assert_eq!(class.at, Some(Va(0x21_fe78)), "as the README says, not a copy in a stream buffer");
    let handles = of(&stack, &args, "WaitForMultipleObjectsEx")[1].hint.as_ref().unwrap();
    assert_eq!((handles.text.as_str(), handles.source), ("58 Event", HintSource::Table));
}

/// The registers of Wine's system calls mean nothing, whatever version it poses as.
#[test]
fn wine_gains_no_value_by_posing_as_windows_10() {
    let Some(shared) = shared_or_skip("args_lab") else { return };
    let honest = Dump::open(&shared.join("lab/wmiprvse-x64.dmp.zst")).unwrap();
    let mut bytes = honest.file_bytes().to_vec();
    let system = honest.directory().iter().find(|d| d.stream_type == 7).unwrap();
    let at = usize::try_from(system.offset.0).unwrap();
    // MINIDUMP_SYSTEM_INFO: MajorVersion at 8, MinorVersion, BuildNumber.
    bytes[at + 8..at + 20].copy_from_slice(&[10, 0, 0, 0, 0, 0, 0, 0, 0x65, 0x4a, 0, 0]);
    let posing = Target::new(Dump::from_bytes(bytes).unwrap(), SymbolConfig::default());
    assert_eq!(posing.dump.system().value().unwrap().build, 19045);
    let honest = Target::new(honest, SymbolConfig::default());
    for thread in 0..4 {
        let (stack, args) = walk(&posing, thread, Machine::Amd64);
        let (_, before) = walk(&honest, thread, Machine::Amd64);
        assert_eq!(args, before, "thread {thread}");
        assert!(system_call_args(&posing, &stack).is_none());
    }
}

/// Functions of Wine's DLLs that align their stack keep a copy of the return address far below their arguments, and
/// these dumps lack the unwind data that tell.
#[test]
fn no_argument_is_the_return_address_of_its_frame() {
    let mut frames = 0;
    for (name, bytes) in wine_dumps().unwrap().into_iter().filter(|(n, _)| n.ends_with("-x86")) {
        let target = Target::new(Dump::from_bytes(bytes).unwrap(), SymbolConfig::default());
        for thread in target.dump.threads() {
            let (stack, args) = walk(&target, thread.index.0, Machine::X86);
            for (f, args) in stack.frames.iter().zip(args) {
                let ret = f.frame.return_address.0;
                let wrong = |a: &Argument| ret != 0 && a.at_least(Confidence::Strong) == Some(ret);
                assert!(!args.iter().any(wrong), "{name}, {:?}: {args:x?}", f.function);
                frames += 1;
            }
        }
    }
    assert!(frames > 50, "{frames}");
}
