//! The nearest command to a name that is none.

use super::{COMMANDS, Glued};

/// The command whose name is most like `name`, when one is like it at all.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    let name: String = name.chars().take(40).collect::<String>().to_ascii_lowercase();
    let limit = match name.trim_start_matches(['!', '.']).chars().count() {
        0..=4 => 1,
        5..=9 => 2,
        _ => 3,
    };
    COMMANDS
        .iter()
        .flat_map(|c| std::iter::once(c.name).chain(c.aliases.iter().copied()))
        .filter(|n| n.chars().any(char::is_alphanumeric))
        .map(|n| (distance(&name, &n.to_ascii_lowercase()), n))
        .filter(|(d, n)| *d <= limit && *d < n.chars().count())
        .min_by_key(|(d, n)| (*d, n.len(), *n))
        .map(|(_, n)| n)
        .or_else(|| with_flags(&name))
}

/// The command with glued flags that `name` is with a wrong flag: `k` for `kz`.
fn with_flags(name: &str) -> Option<&'static str> {
    COMMANDS
        .iter()
        .filter(|c| matches!(c.glued, Glued::Flags(_) | Glued::FlagsThenText(..)))
        .map(|c| c.name)
        .filter(|n| name.strip_prefix(n).is_some_and(|flags| matches!(flags.chars().count(), 1 | 2)))
        .max_by_key(|n| n.len())
}

/// Fewest insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. A missing or wrong
/// `!` or `.` at the start counts as one edit like any other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let get = |v: &[usize], k: usize| v.get(k).copied().unwrap_or(usize::MAX / 2);
            let mut best =
                (get(&last, j) + usize::from(ca != cb)).min(get(&last, j + 1) + 1).min(get(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(cb) && b.get(j - 1) == Some(ca);
            if swapped {
                best = best.min(get(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn a_wrong_flag_leaves_the_command() {
        assert_eq!(nearest("kz"), Some("k"));
        assert_eq!(nearest("zzzzzz"), None);
    }

    #[test]
    fn only_what_may_be_a_slip_is_near() {
        assert_eq!(nearest("!foo"), None, "`!com` has one letter of it");
        for (slip, meant) in [("!lcoks", "!locks"), ("locks", "!locks"), ("!handel", "!handle")] {
            assert_eq!(nearest(slip), Some(meant));
        }
    }

    #[test]
    fn edits_are_counted() {
        assert_eq!(distance("k", "k"), 0);
        assert_eq!(distance("!handel", "!handle"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("handle", "!handle"), 1);
        assert_eq!(distance("!lokcs", "!locks"), 1);
    }
}
