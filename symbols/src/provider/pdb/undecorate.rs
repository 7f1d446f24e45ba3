//! Linker names to names as WinDbg shows them in stacks.

use crate::demangle::{self, Decoration};
use dumpscope_core::Machine;

/// The name without decoration and parameters.
pub(super) fn undecorate(name: &[u8], machine: Machine) -> String {
    let text = String::from_utf8_lossy(name);
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
    }
}
