//! Arguments in the lab's dumps, without PDBs. The truth is in the lab's README.

use crate::core_common::shared_or_skip;
use dumpscope_analyzers::arguments::{Argument, recover_all};
use dumpscope_analyzers::stacks::{Stack, thread_stack};
use dumpscope_analyzers::triage::Confidence;
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::model::Dump;
use dumpscope_core::{Machine, ThreadIdx};
use dumpscope_symbols::{Limits, SymbolConfig};

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

fn show(target: &Target, stack: &Stack, args: &[Vec<Argument>]) {
    for (f, args) in stack.frames.iter().zip(args) {
        let module = f.module.map_or("?", |m| &target.symbols.modules()[m].name);
        println!("{module}!{}+{:x} ip {:x}", f.function.as_deref().unwrap_or("?"), f.displacement, f.frame.ip.0);
        for a in args {
            match &a.value {
                Some(v) => println!(
                    "    {} {:?} = {:x}/{} {} {} {:x?}",
                    a.index,
                    a.place,
                    v.bits,
                    v.bytes,
                    v.source.name(),
                    v.confidence.name(),
                    v.evidence
                ),
                None => println!("    {} {:?} unknown{}", a.index, a.place, if a.overwritten { " overwritten" } else { "" }),
            }
        }
    }
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
        show(&target, &stack, &args);
        for name in ["RtlEnterCriticalSection", "RtlpWaitForCriticalSection"] {
            let found = of(&stack, &args, name);
            assert_eq!(found[0].at_least(Confidence::Strong), Some(lock), "{name}: {found:x?}");
        }
    }
}

#[test]
fn the_arguments_of_the_wait_in_ruby() {
    let Some(target) = open("lab/ruby-x86.dmp.zst") else { return };
    let (stack, args) = walk(&target, 0, Machine::X86);
    show(&target, &stack, &args);
}
