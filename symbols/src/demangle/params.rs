//! Names with parameters as text: `ns::f(int) const` becomes `ns::f`.

/// Cuts parameters, and what may follow them, off a name that some tool has undecorated already. A name
/// without any comes back whole.
///
/// `operator()` and `(anonymous namespace)` are names, not parameters; quotes as in
/// `` `anonymous namespace'::f`` are passed over.
#[must_use]
pub fn without_parameters(name: &str) -> &str {
    let trimmed = without_qualifiers(name);
    if !trimmed.ends_with(')') {
        // A qualifier is only one behind parameters: `Foo const` is a name that we do not understand.
        return name;
    }
    let Some(open) = matching_paren(trimmed) else { return name };
    let Some(head) = trimmed.get(..open) else { return name };
    let head = head.trim_end();
    // `operator()` without parameters, `(anonymous namespace)` or a cast as the last part: all part of the name.
    if head.is_empty() || head.ends_with("::") || head.ends_with("operator") {
        return name;
    }
    head
}

/// Takes off what may follow a parameter list.
fn without_qualifiers(name: &str) -> &str {
    const AFTER: [&str; 8] =
        ["const", "volatile", "noexcept", "&&", "&", "__ptr64", "__unaligned", "restrict"];
    let mut rest = name.trim_end();
    // Each turn takes something off; compilers add one or two of these.
    for _ in 0..8 {
        if let Some(cut) = rest.strip_suffix(']').and_then(|r| r.rfind(" [").map(|at| r.split_at(at).0)) {
            rest = cut.trim_end();
        } else if let Some(cut) = clone_suffix(rest) {
            rest = cut;
        } else if let Some(cut) = AFTER.iter().find_map(|a| rest.strip_suffix(a)) {
            rest = cut.trim_end();
        } else {
            return rest;
        }
    }
    rest
}

/// GCC's ` (.cold)`, ` (.isra.0)`.
fn clone_suffix(name: &str) -> Option<&str> {
    let (head, tail) = name.strip_suffix(')')?.rsplit_once(" (.")?;
    tail.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.').then_some(head)
}

/// Position of the parenthesis that the last character closes.
fn matching_paren(name: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (i, b) in name.bytes().enumerate().rev() {
        match b {
            b')' => depth += 1,
            b'(' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(i);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::without_parameters as cut;

    #[test]
    fn parameters_go_and_names_stay() {
        for (full, short) in [
            ("main", "main"),
            ("bar()", "bar"),
            ("DName::operator+(char)", "DName::operator+"),
            ("std::function<void (int)>::operator()(int) const", "std::function<void (int)>::operator()"),
            ("Foo::operator()", "Foo::operator()"),
            ("(anonymous namespace)::f(int)", "(anonymous namespace)::f"),
            ("(anonymous namespace)", "(anonymous namespace)"),
            ("a::(anonymous namespace)", "a::(anonymous namespace)"),
            ("`anonymous namespace'::CrashFunction", "`anonymous namespace'::CrashFunction"),
            ("`anonymous namespace'::CrashFunction()", "`anonymous namespace'::CrashFunction"),
            ("f(void (*)(int), char) const &", "f"),
            ("f(int) [clone .cold]", "f"),
            ("f(int) (.isra.0)", "f"),
            ("std::vector<int,std::allocator<int> >::back()", "std::vector<int,std::allocator<int> >::back"),
            (
                "type_info::`scalar deleting destructor'(unsigned int)",
                "type_info::`scalar deleting destructor'",
            ),
            ("operator new(unsigned int)", "operator new"),
            ("Foo::operator char const *() const", "Foo::operator char const *"),
            ("f(int) const noexcept", "f"),
            ("not a (name", "not a (name"),
            ("x)", "x)"),
            ("", ""),
            ("Foo const", "Foo const"),
        ] {
            assert_eq!(cut(full), short, "{full}");
        }
    }
}
