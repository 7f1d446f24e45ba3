//! WinDbg's string wildcards.

/// Longest pattern that commands take, bytes: it is tried on every name of a symbol file. No name is as long.
pub const MAX_PATTERN: usize = 1024;

/// True when the whole of `text` matches `pattern`, in any letter case. `*` any text, `?` one character, `[a-c]`
/// one of a set, `#` zero or more of what is before it, `+` one or more, `\` takes the next one literally.
#[must_use]
pub fn wildcard_match(pattern: &str, text: &str) -> bool {
    let pattern = compile(pattern);
    let text: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
    // Sets of reachable pattern positions, one step per character: no backtracking, so no exponential time.
    let mut states = vec![false; pattern.len() + 1];
    if let Some(first) = states.first_mut() {
        *first = true;
    }
    skip(&pattern, &mut states);
    for c in text {
        let mut next = vec![false; states.len()];
        for (i, item) in pattern.iter().enumerate() {
            if states.get(i) != Some(&true) || !item.one.accepts(c) {
                continue;
            }
            let to = if item.many { i } else { i + 1 };
            if let Some(slot) = next.get_mut(to) {
                *slot = true;
            }
        }
        skip(&pattern, &mut next);
        states = next;
    }
    states.last() == Some(&true)
}

/// `many` items may be passed without a character.
fn skip(pattern: &[Item], states: &mut [bool]) {
    for (i, item) in pattern.iter().enumerate() {
        if item.many
            && states.get(i) == Some(&true)
            && let Some(next) = states.get_mut(i + 1)
        {
            *next = true;
        }
    }
}

struct Item {
    one: One,
    many: bool,
}

#[derive(Clone)]
enum One {
    Any,
    Char(char),
    Set(Vec<(char, char)>),
}

impl One {
    fn accepts(&self, c: char) -> bool {
        match self {
            One::Any => true,
            One::Char(x) => *x == c,
            One::Set(ranges) => ranges.iter().any(|(a, b)| (*a..=*b).contains(&c)),
        }
    }
}

fn compile(pattern: &str) -> Vec<Item> {
    let mut out: Vec<Item> = Vec::new();
    let mut chars = pattern.chars().flat_map(char::to_lowercase).peekable();
    while let Some(c) = chars.next() {
        let one = match c {
            '*' => {
                out.push(Item { one: One::Any, many: true });
                continue;
            }
            '#' => {
                if let Some(last) = out.last_mut() {
                    last.many = true;
                }
                continue;
            }
            '+' => {
                if let Some(last) = out.last() {
                    let again = last.one.clone();
                    out.push(Item { one: again, many: true });
                }
                continue;
            }
            '?' => One::Any,
            '[' => {
                let mut set = Vec::new();
                while let Some(a) = chars.next() {
                    if a == ']' {
                        break;
                    }
                    let mut b = a;
                    if chars.peek() == Some(&'-') {
                        chars.next();
                        match chars.next() {
                            Some(']') | None => {
                                set.push(('-', '-'));
                                set.push((a, a));
                                break;
                            }
                            Some(to) => b = to,
                        }
                    }
                    set.push((a, b));
                }
                One::Set(set)
            }
            '\\' => One::Char(chars.next().unwrap_or('\\')),
            other => One::Char(other),
        };
        out.push(Item { one, many: false });
    }
    out
}
