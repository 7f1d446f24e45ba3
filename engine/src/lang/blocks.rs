//! Blocks: `(condition) { commands }` and what belongs to them.

/// Length of the block command at the start of `text` (`.if (…) {…} .else {…}`, `.for (…) {…}`, `.do {…} (…)`,
/// `.foreach (x {…}) {…}`). `None` when it has no complete block.
#[must_use]
pub fn block_command_end(text: &str) -> Option<usize> {
    let name = word(text);
    let mut end = after_block(text, 0)?;
    if name.eq_ignore_ascii_case(".do") {
        let tail = text.get(end..)?;
        let open = end + (tail.len() - tail.trim_start().len());
        if text.get(open..).is_some_and(|t| t.starts_with('(')) {
            end = open + group(text.get(open..)?)?;
        }
    }
    if name.eq_ignore_ascii_case(".if") {
        // `.else` may stand behind a `;` or on a line of its own: scripts are joined with `;`.
        loop {
            let tail = text.get(end..)?;
            let next = tail.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
            let start = end + (tail.len() - next.len());
            let word = word(next);
            if !word.eq_ignore_ascii_case(".elsif") && !word.eq_ignore_ascii_case(".else") {
                break;
            }
            end = after_block(text, start)?;
        }
    }
    Some(end)
}

/// The word at the start of a text: a dot and letters.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '.' || c == '_')).unwrap_or(text.len());
    text.get(..end).unwrap_or("")
}

/// Where the first `{…}` outside parentheses ends, from `start` on.
fn after_block(text: &str, start: usize) -> Option<usize> {
    let mut at = start;
    while let Some(c) = text.get(at..)?.chars().next() {
        at += match c {
            '(' => group(text.get(at..)?)?,
            '{' => return Some(at + group(text.get(at..)?)?),
            '"' => quoted(text.get(at..)?),
            '\n' | ';' => return None,
            c => c.len_utf8(),
        };
    }
    None
}

/// Length of the bracketed group at the start of `text`, brackets included. `None` when it does not end.
#[must_use]
pub(super) fn group(text: &str) -> Option<usize> {
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(c) = text.get(at..)?.chars().next() {
        match c {
            '(' => open.push(')'),
            '{' => open.push('}'),
            ')' | '}' => {
                if open.pop() != Some(c) {
                    return None;
                }
                if open.is_empty() {
                    return Some(at + 1);
                }
            }
            '"' => {
                at += quoted(text.get(at..)?);
                continue;
            }
            _ if open.is_empty() => return None,
            _ => {}
        }
        at += c.len_utf8();
    }
    None
}

/// Length of the quoted text at the start, quotes included; an open one ends with its line.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            '\n' => return i,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return i + 1,
            _ => {}
        }
    }
    text.len()
}

/// Splits off a group: what is in its brackets, and what follows it. Blanks before it are skipped.
#[must_use]
pub fn take_group(text: &str, open: char) -> Option<(&str, &str)> {
    let text = text.trim_start();
    if !text.starts_with(open) {
        return None;
    }
    let len = group(text)?;
    Some((text.get(1..len.checked_sub(1)?)?, text.get(len..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_commands_end_with_their_last_block() {
        for (text, rest) in [
            (".if (1) {a; b} c", " c"),
            (".if (1) {a} .else {b}; c", "; c"),
            (".if(1){a};.elsif (2) { b }\n.else {c}\nd", "\nd"),
            (".for (r $t0=0; @$t0<5; r $t0=@$t0+1) { .echo \"}\"; k } r", " r"),
            (".while (1) { .break }", ""),
            (".do { k } (0); r", "; r"),
            (".foreach /pS 1 (x {lm1m; k}) { .echo x }; r", "; r"),
            (".block { a { b } }c", "c"),
        ] {
            let end = block_command_end(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(&text[end..], rest, "{text}");
        }
        for text in [".if (1", ".if (1) a", ".while (1); {k}", ".if (1) {a", ".do (1}", ""] {
            assert_eq!(block_command_end(text), None, "{text}");
        }
    }

    #[test]
    fn groups() {
        assert_eq!(take_group("  (a (b) \")\") c", '('), Some(("a (b) \")\"", " c")));
        assert_eq!(take_group("(a}", '('), None);
        assert_eq!(take_group("x", '('), None);
    }
}
