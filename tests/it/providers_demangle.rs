//! Our own undecorator against `msvc-demangler`, over the names of real PDBs.

use crate::core_common::shared_or_skip;
use dumpscope_symbols::demangle::{Decoration, full_name, stack_name};
use msvc_demangler::DemangleFlags;
use std::collections::BTreeSet;

/// Texts of a PDB that look like decorated C++ names; a block border cuts some, so not all are whole.
fn decorated(bytes: &[u8]) -> BTreeSet<String> {
    let texts = bytes.split(|&b| !(0x21..0x7f).contains(&b));
    let names = texts.filter(|t| t.len() > 4 && t[0] == b'?' && t.contains(&b'@'));
    names.filter_map(|t| String::from_utf8(t.to_vec()).ok()).collect()
}

fn squeeze(text: &str) -> String {
    text.chars().filter(|c| *c != ' ').collect()
}

#[test]
fn names_agree_with_msvc_demangler() {
    let Some(shared) = shared_or_skip("names_agree_with_msvc_demangler") else { return };
    let mut names = BTreeSet::new();
    for pdb in [
        "corpus/bugsplat-net/myConsoleCrasher.pdb",
        "corpus/symbolic/crash.pdb",
        "corpus/lldb/sigsegv.pdb",
        "lab/symbols/x86/ruby.pdb",
        "lab/symbols/x86/combase.pdb",
    ] {
        names.extend(decorated(&std::fs::read(shared.join(pdb)).unwrap()));
    }
    let mut same = 0;
    for name in &names {
        for full in [false, true] {
            let style = if full {
                DemangleFlags::COMPLETE
            } else {
                DemangleFlags::NAME_ONLY | DemangleFlags::NO_CLASS_TYPE
            };
            let Ok(theirs) = msvc_demangler::demangle(name, style | DemangleFlags::MS_TYPENAMES) else {
                continue;
            };
            let ours = if full {
                full_name(name, Decoration::CxxOnly)
            } else {
                stack_name(name, Decoration::CxxOnly)
            };
            // Where undname and clang say something else than msvc-demangler, we follow them.
            let expected = theirs.replace("::`RTTI Type Descriptor'", " `RTTI Type Descriptor'");
            let expected = expected.replace("* const UnDecorator::", "* UnDecorator::");
            let expected = squeeze(&expected).replace("constconst", "const");
            assert_eq!(squeeze(&ours), expected, "{name}");
            same += 1;
        }
    }
    assert!(same > 500, "{same}");
}
