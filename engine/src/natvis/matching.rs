//! Names of types against names with `*`.

/// Most template arguments of a name, and how deeply they are nested.
const MAX_ARGUMENTS: usize = 256;
const MAX_DEPTH: usize = 32;

/// A name and its template arguments, as far as it has a list at its end.
fn split(name: &str) -> (&str, Option<Vec<&str>>) {
    let Some(inner) = name.strip_suffix('>') else { return (name, None) };
    let mut depth = 0usize;
    let mut open = None;
    for (i, c) in inner.char_indices().rev() {
        match c {
            '>' => depth += 1,
            '<' if depth == 0 => {
                open = Some(i);
                break;
            }
            '<' => depth -= 1,
            _ => {}
        }
    }
    let Some(open) = open else { return (name, None) };
    let (head, list) = inner.split_at(open);
    let mut out = Vec::new();
    let (mut start, mut depth) = (1usize, 0usize);
    for (i, c) in list.char_indices().skip(1) {
        match c {
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                out.push(list.get(start..i).unwrap_or("").trim());
                start = i + 1;
            }
            _ => {}
        }
        if out.len() > MAX_ARGUMENTS {
            return (name, None);
        }
    }
    out.push(list.get(start..).unwrap_or("").trim());
    (head.trim_end(), Some(out))
}

/// What the stars of a pattern stand for in a name; `None` when it does not fit.
pub(super) fn captures(pattern: &str, name: &str) -> Option<Vec<String>> {
    let mut out = Vec::new();
    fits(pattern.trim(), name.trim(), 0, &mut out).then_some(out)
}

fn fits(pattern: &str, name: &str, depth: usize, out: &mut Vec<String>) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    if pattern == "*" {
        out.push(name.to_owned());
        return true;
    }
    let ((want, wanted), (have, given)) = (split(pattern), split(name));
    match (wanted, given) {
        (None, None) => same(want, have),
        (Some(wanted), Some(given)) => {
            if !same_head(want, have, depth, out) || given.len() < wanted.len() {
                return false;
            }
            let last_star = wanted.last() == Some(&"*");
            if given.len() > wanted.len() && !last_star {
                return false;
            }
            for (pattern, name) in wanted.iter().zip(&given) {
                if !fits(pattern, name, depth + 1, out) {
                    return false;
                }
            }
            // The last star stands for all that follow.
            out.extend(given.iter().skip(wanted.len()).map(|a| (*a).to_owned()));
            true
        }
        _ => false,
    }
}

/// The part before the arguments: `a<*>::b`.
fn same_head(want: &str, have: &str, depth: usize, out: &mut Vec<String>) -> bool {
    match (want.rsplit_once(">::"), have.rsplit_once(">::")) {
        (Some((a, b)), Some((c, d))) => b == d && fits(&format!("{a}>"), &format!("{c}>"), depth + 1, out),
        (None, None) => same(want, have),
        _ => false,
    }
}

fn same(a: &str, b: &str) -> bool {
    let plain = |s: &str| s.chars().filter(|c| *c != ' ').collect::<String>();
    a == b || plain(a) == plain(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_arguments() {
        assert_eq!(captures("my::Vec<*>", "my::Vec<int>").unwrap(), ["int"]);
        assert_eq!(captures("my::Arr<*,*>", "my::Arr<short,4>").unwrap(), ["short", "4"]);
        assert_eq!(captures("a<*>", "a<b<c,d>,e>").unwrap(), ["b<c,d>", "e"]);
        assert_eq!(captures("a<b<*>,*>", "a<b<c>,d>").unwrap(), ["c", "d"]);
        assert_eq!(captures("a<int>", "a<long>"), None);
        assert_eq!(captures("Point", "Point").unwrap(), Vec::<String>::new());
        assert_eq!(captures("Point", "my::Point"), None);
        assert!(captures(&"a<".repeat(5000), &"a<".repeat(5000)).is_some());
    }
}
