//! Image files on the image path, for a dump that holds stacks only.

use dumpscope_analyzers::Target;
use dumpscope_analyzers::stacks::thread_stack;
use dumpscope_core::model::Dump;
use dumpscope_core::{Machine, ReadMemory, ThreadIdx, Va};
use dumpscope_fixtures::context::X64;
use dumpscope_fixtures::dump::{Cpu, Cv, Dump as DumpSpec, MemoryForm, Module, Thread};
use dumpscope_symbols::image::ImageFile;
use dumpscope_symbols::{Limits, SymbolConfig, SymbolSource, Trust};
use std::path::{Path, PathBuf};

const BASE: u64 = 0x7ff7_1230_0000;

fn images() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/images")
}

/// A thread in `Cart::total`, called from `checkout`, called from `both`; no byte of the module in the dump.
fn stack_only() -> Dump {
    let file = std::fs::read(images().join("dwarf-x64.dll")).unwrap();
    let headers = ImageFile::from_bytes(file.into(), "dwarf-x64.dll").unwrap().headers().clone();
    let mut spec = DumpSpec::new(Cpu::X64, 19045);
    spec.memory = MemoryForm::Stacks;
    spec.modules.push(Module {
        base: BASE,
        size: headers.size_of_image,
        checksum: 0,
        timestamp: headers.timestamp,
        path: r"C:\shop\dwarf-x64.dll".into(),
        version: None,
        cv: Cv::None,
    });
    let stack = 0x12_0000u64;
    spec.space.commit(stack, 0x1000);
    // Both callers have frames of 0x38 bytes.
    let mut at = stack + 0x100;
    spec.space.put64(at, BASE + 0x104a);
    at += 8 + 0x38;
    spec.space.put64(at, BASE + 0x108e);
    let context = X64 { rip: BASE + 0x100f, rsp: stack + 0x100, ..X64::default() };
    spec.threads.push(Thread {
        tid: 0x44,
        stack: (stack, 0x1000),
        context: context.bytes(),
        ..Thread::default()
    });
    Dump::from_bytes(spec.bytes()).unwrap()
}

fn frames(target: &Target) -> Vec<(String, Trust)> {
    let stack =
        thread_stack(target, ThreadIdx(0), Machine::Amd64, &Limits::default(), &Default::default()).unwrap();
    stack.frames.iter().map(|f| (f.function.clone().unwrap_or_default(), f.trust)).collect()
}

#[test]
fn an_image_on_the_path_gives_unwind_data_names_and_code() {
    let image_path = images().display().to_string();
    let target = Target::new(stack_only(), SymbolConfig { image_path, ..SymbolConfig::default() });
    let shown = frames(&target);
    let shown: Vec<(&str, Trust)> = shown.iter().map(|(n, t)| (n.as_str(), *t)).collect();
    assert_eq!(
        shown,
        [
            ("shop::twice", Trust::Inline),
            ("shop::four_times", Trust::Inline),
            ("shop::Cart::total", Trust::Context),
            ("checkout", Trust::Cfi),
            ("checkout", Trust::Inline),
            ("both", Trust::Cfi),
        ]
    );
    let memory = target.dump.memory();
    assert_eq!(memory.u8(Va(BASE + 0x1026)), Some(0xc3));
    // Writable data is the process's own: the file does not know it.
    assert_eq!(memory.u8(Va(BASE + 0x2000)), None);
}

#[test]
fn without_the_image_nothing_is_made_up() {
    let target = Target::new(stack_only(), SymbolConfig::default());
    assert!(frames(&target).iter().all(|(name, _)| name.is_empty()));
    assert!(target.symbols.missing(0).is_some());
    // The path can be given later.
    let image_path = images().display().to_string();
    target.symbols.set_config(SymbolConfig { image_path, ..SymbolConfig::default() });
    assert_eq!(frames(&target).len(), 6);
    let name = target.symbols.resolve(Va(BASE + 0x1034)).unwrap().symbol.unwrap();
    assert_eq!((name.name.as_str(), name.source), ("checkout", SymbolSource::Dwarf));
}
