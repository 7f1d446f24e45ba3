//! Linker names to names as WinDbg shows them in stacks.

use crate::demangle::{self, Decoration};
use dumpscope_core::Machine;

/// Constants of the compiler, named by their bits behind an `@`.
const CONSTANTS: [&str; 4] = ["__real", "__xmm", "__ymm", "__zmm"];

/// The name without decoration and parameters.
pub(super) fn undecorate(name: &[u8], machine: Machine) -> String {
    let text = String::from_utf8_lossy(name);
    // The linker's and the compiler's own names lose an underscore on every machine: slots of the import table
    // (`_imp_CreateFileW`), and constants, which are named by their bits (`_real`).
    if machine != Machine::X86 && text.starts_with("__imp_") {
        return text.get(1..).unwrap_or_default().to_owned();
    }
    if let Some(constant) =
        CONSTANTS.iter().find(|c| text.strip_prefix(**c).is_some_and(|t| t.starts_with('@')))
    {
        return constant.get(1..).unwrap_or_default().to_owned();
    }
    let rules = if machine == Machine::X86 { Decoration::X86Linker } else { Decoration::CxxOnly };
    demangle::stack_name(&text, rules).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_names_lose_their_decoration_on_x86_only() {
        let x86 = |n: &str| undecorate(n.as_bytes(), Machine::X86);
        assert_eq!(x86("_NtWaitForMultipleObjects@20"), "NtWaitForMultipleObjects");
        assert_eq!(x86("@RtlpFoo@8"), "RtlpFoo");
        assert_eq!(x86("_main"), "main");
        assert_eq!(x86("__RtlUserThreadStart@8"), "_RtlUserThreadStart");
        assert_eq!(x86("plain"), "plain");
        assert_eq!(x86("?BlockFn@CCliModalLoop@@QAEJPAPAXKPAK@Z"), "CCliModalLoop::BlockFn");
        assert_eq!(undecorate(b"_main", Machine::Amd64), "_main");
        assert_eq!(undecorate(b"__imp_lib_wait", Machine::Amd64), "_imp_lib_wait");
        assert_eq!(undecorate(b"__real@3ff0000000000000", Machine::Amd64), "_real");
        assert_eq!(x86("__real@3ff0000000000000"), "_real");
        assert_eq!(x86("__imp__CreateFileW@28"), "_imp__CreateFileW");
    }
}
