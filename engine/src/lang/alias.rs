//! Aliases: names that stand for text.

use std::collections::BTreeMap;

/// Longest text that expansion may give, bytes.
const MAX_TEXT: usize = 1 << 20;

/// As [`expand`], as today's engine does it: `${/v:name}` stays for the commands that take an alias by name, and blanks in
/// the braces make it no reference.
#[must_use]
pub fn expand_today(text: &str, aliases: &BTreeMap<String, String>) -> String {
    replaced(text, aliases, true)
}

/// Replaces aliases: `${name}` anywhere, a bare name between blanks, `;` and braces. `${/v:name}` is the name itself,
/// `${/n:name}` the name if there is such an alias, `${/d:name}` 1 or 0, `${/f:name}` the text or nothing. The replaced
/// text is not looked at again. Nothing changes when the result would be too long.
#[must_use]
pub fn expand(text: &str, aliases: &BTreeMap<String, String>) -> String {
    replaced(text, aliases, false)
}

fn replaced(text: &str, aliases: &BTreeMap<String, String>, today: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // The first word of a command decides: the alias commands themselves take names as they are.
    let mut command_start = true;
    let mut literal = false;
    while let Some(c) = rest.chars().next() {
        if out.len() > MAX_TEXT {
            return text.to_owned();
        }
        let spaced = today && rest.get(2..).is_some_and(|t| t.starts_with(' '));
        if rest.starts_with("${") && !spaced {
            let len = rest.find('}').map_or(rest.len(), |i| i + 1);
            let whole = rest.get(..len).unwrap_or(rest);
            let name = whole.get(2..).unwrap_or("").trim_end_matches('}');
            let kept = today && name.starts_with("/v:");
            let value = if kept { None } else { reference(name, aliases) };
            out.push_str(&value.unwrap_or_else(|| whole.to_owned()));
            rest = rest.get(len..).unwrap_or("");
            command_start = false;
            continue;
        }
        if is_separator(c) {
            (command_start, literal) = match c {
                ';' | '\n' | '{' | '}' => (true, false),
                '"' => (false, literal),
                _ => (command_start, literal),
            };
            out.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or("");
            continue;
        }
        let len = rest.find(|c: char| is_separator(c) || c == '$').filter(|n| *n > 0).unwrap_or_else(|| {
            if rest.starts_with('$') {
                rest.get(1..)
                    .and_then(|t| t.find(|c: char| is_separator(c) || c == '$'))
                    .map_or(rest.len(), |i| i + 1)
            } else {
                rest.len()
            }
        });
        let word = rest.get(..len).unwrap_or(rest);
        let bare = out.chars().next_back().is_none_or(is_separator)
            && rest.get(len..).and_then(|t| t.chars().next()).is_none_or(is_separator);
        if command_start {
            literal = matches!(word, "as" | "aS" | "ad" | "al");
            command_start = false;
        }
        match aliases.get(word).filter(|_| bare && !literal) {
            Some(value) => out.push_str(value),
            None => out.push_str(word),
        }
        rest = rest.get(len..).unwrap_or("");
    }
    out
}

fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, ';' | '{' | '}' | '"')
}

/// What `${…}` stands for; `None` when it stays as it is.
fn reference(name: &str, aliases: &BTreeMap<String, String>) -> Option<String> {
    let get = |n: &str| aliases.get(n.trim());
    match name.split_once(':') {
        Some(("/v", n)) => Some(n.trim().to_owned()),
        Some(("/n", n)) => get(n).map(|_| n.trim().to_owned()),
        Some(("/d", n)) => Some(u8::from(get(n).is_some()).to_string()),
        Some(("/f", n)) => Some(get(n).cloned().unwrap_or_default()),
        _ => get(name).cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced() {
        let aliases: BTreeMap<String, String> = [("x", "lm1m"), ("$arg1", "a b")]
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect();
        for (text, expected) in [
            ("x", "lm1m"),
            ("k; x ;r", "k; lm1m ;r"),
            ("{x}", "{lm1m}"),
            ("xx x.y", "xx x.y"),
            ("${x}y", "lm1my"),
            (".echo ${$arg1}!", ".echo a b!"),
            (".echo $arg1", ".echo a b"),
            ("${/d:x}${/d:z}", "10"),
            ("${/f:z}|${/n:z}|${/v:x}", "|${/n:z}|x"),
            ("as x 1; x", "as x 1; lm1m"),
            ("${open", "${open"),
            ("@$t0 $$ ü", "@$t0 $$ ü"),
        ] {
            assert_eq!(expand(text, &aliases), expected, "{text}");
        }
    }
}
