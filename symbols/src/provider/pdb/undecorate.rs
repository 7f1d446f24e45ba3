//! Linker names to names as WinDbg shows them in stacks.

use dumpscope_core::Machine;

/// The name without decoration and parameters.
pub(super) fn undecorate(name: &[u8], machine: Machine) -> String {
    let text = String::from_utf8_lossy(name);
    if text.starts_with('?') {
        // The demangler recurses once per nested type and has no limit of its own.
        if text.len() <= 1024
            && let Ok(plain) = msvc_demangler::demangle(&text, msvc_demangler::DemangleFlags::NAME_ONLY)
        {
            return plain;
        }
        return text.into_owned();
    }
    if machine != Machine::X86 {
        return text.into_owned();
    }
    // `_name`, `_name@12` (stdcall), `@name@12` (fastcall).
    let inner = text.strip_prefix(['_', '@']).unwrap_or(&text);
    let plain = match inner.rsplit_once('@') {
        Some((head, bytes)) if !bytes.is_empty() && bytes.bytes().all(|b| b.is_ascii_digit()) => head,
        _ => inner,
    };
    if plain.is_empty() { text.into_owned() } else { plain.to_owned() }
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
