//! Debugging aid.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, clippy::indexing_slicing, reason = "debugging aid")]
use dumpscope_analyzers::arguments::recover_all;
use dumpscope_analyzers::stacks::thread_stack;
use dumpscope_analyzers::{Cancel, Target};
use dumpscope_core::ThreadIdx;
use dumpscope_core::model::Dump;
use dumpscope_symbols::{Limits, SymbolConfig};

fn main() {
    let a: Vec<String> = std::env::args().collect();
    let target = Target::new(Dump::open(a[1].as_ref()).unwrap(), SymbolConfig { symbol_path: a.get(3).cloned().unwrap_or_default(), offline: true, ..SymbolConfig::default() });
    let thread: u32 = a.get(2).map_or(0, |t| t.parse().unwrap());
    let machine = target.process_machine();
    let stack = thread_stack(&target, ThreadIdx(thread), machine, &Limits::default(), &Cancel::default()).unwrap();
    let args = recover_all(&target, &stack, &Cancel::default());
    for (f, args) in stack.frames.iter().zip(&args) {
        let module = f.module.map_or("?", |m| &target.symbols.modules()[m].name);
        println!("{module}!{}+{:x} ip {:x} sp {:x} base {:x} {:?}", f.function.as_deref().unwrap_or("?"), f.displacement, f.frame.ip.0, f.frame.sp.0, f.frame.frame_base.0, f.trust);
        for a in args {
            match &a.value {
                Some(v) => println!("    {} {:?} = {:x}/{} {} {} {:x?} {:?}", a.index, a.place, v.bits, v.bytes, v.source.name(), v.confidence.name(), v.evidence, a.name),
                None => println!("    {} {:?} unknown{}", a.index, a.place, if a.overwritten { " overwritten" } else { "" }),
            }
        }
    }
    let t = std::time::Instant::now();
    let _ = recover_all(&target, &stack, &Cancel::default());
    println!("warm: {:?}", t.elapsed());
}
