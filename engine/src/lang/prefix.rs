//! Thread prefixes: `~`, `~*`, `~.`, `~#`, `~3`, `~[expr]`, `~~[tid]`.

/// Which threads a prefix names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selector<'a> {
    /// `~` alone.
    None,
    /// `~*`.
    All,
    /// `~.`.
    Current,
    /// `~#`.
    Event,
    /// `~3`: the debugger's number, decimal. `None`: too large.
    Index(Option<u32>),
    /// `~[expr]`: the number as an expression.
    Expr(&'a str),
    /// `~~[expr]`: the system's id as an expression (hexadecimal).
    Tid(&'a str),
}

/// A prefix and its length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadPrefix<'a> {
    /// Which threads.
    pub selector: Selector<'a>,
    /// Bytes of the prefix, blanks after it not counted.
    pub len: usize,
}

/// The thread prefix at the start of a command, if it starts with `~`. `~~[` and `~[` without `]` select up to the
/// end of the text.
#[must_use]
pub fn thread_prefix(text: &str) -> Option<ThreadPrefix<'_>> {
    let rest = text.strip_prefix('~')?;
    // `~ 1` is `~1`.
    let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    let behind = rest.get(blanks..).unwrap_or("");
    if blanks > 0 && behind.starts_with(|c: char| c.is_ascii_digit()) {
        let digits = behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len());
        let index = behind.get(..digits).and_then(|d| d.parse().ok());
        return Some(ThreadPrefix { selector: Selector::Index(index), len: 1 + blanks + digits });
    }
    let bracket = |body: &'_ str, before: usize| -> (usize, usize, usize) {
        let mut depth = 0usize;
        for (i, c) in body.char_indices() {
            match c {
                '[' => depth += 1,
                ']' if depth == 0 => return (before, before + i, before + i + 1),
                ']' => depth -= 1,
                _ => {}
            }
        }
        (before, before + body.len(), before + body.len())
    };
    let make = |selector, len| Some(ThreadPrefix { selector, len });
    if let Some(body) = rest.strip_prefix("~[") {
        let (from, to, len) = bracket(body, 3);
        return make(Selector::Tid(text.get(from..to).unwrap_or("")), len);
    }
    if let Some(body) = rest.strip_prefix('[') {
        let (from, to, len) = bracket(body, 2);
        return make(Selector::Expr(text.get(from..to).unwrap_or("")), len);
    }
    match rest.chars().next() {
        Some('*') => make(Selector::All, 2),
        Some('.') => make(Selector::Current, 2),
        Some('#') => make(Selector::Event, 2),
        Some(c) if c.is_ascii_digit() => {
            let len = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            make(Selector::Index(rest.get(..len).and_then(|d| d.parse().ok())), len + 1)
        }
        _ => make(Selector::None, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors() {
        let check = |text: &str, selector: Selector<'_>, len: usize| {
            assert_eq!(thread_prefix(text), Some(ThreadPrefix { selector, len }), "{text}");
        };
        check("~", Selector::None, 1);
        check("~*k", Selector::All, 2);
        check("~.", Selector::Current, 2);
        check("~#s", Selector::Event, 2);
        check("~12kb", Selector::Index(Some(12)), 3);
        check("~99999999999s", Selector::Index(None), 12);
        check("~~[1a4]k", Selector::Tid("1a4"), 7);
        check("~[@$t0]s", Selector::Expr("@$t0"), 7);
        check("~[poi([a])]s", Selector::Expr("poi([a])"), 11);
        check("~~[1a4", Selector::Tid("1a4"), 6);
        check("~ 1", Selector::Index(Some(1)), 3);
        check("~ k", Selector::None, 1);
        assert_eq!(thread_prefix("k"), None);
    }
}
