//! Fuzzy matching for the palette.

/// How well `needle` fits `text`: all its characters in order, better when together and at starts of words. Smaller
/// is better; `None`: not at all.
#[must_use]
pub fn score(needle: &str, text: &str) -> Option<usize> {
    let text: Vec<char> = text.to_lowercase().chars().collect();
    let mut at = 0usize;
    let mut cost = 0usize;
    for (n, c) in needle.to_lowercase().chars().filter(|c| !c.is_whitespace()).enumerate() {
        let from = at;
        let rest = text.get(from..)?;
        let found = from + rest.iter().position(|t| *t == c)?;
        let word = found == 0 || text.get(found - 1).is_some_and(|p| !p.is_alphanumeric());
        let gap = found - from;
        cost += if gap == 0 && n > 0 {
            0
        } else if word {
            1
        } else {
            2 + gap.min(20)
        };
        at = found + 1;
    }
    // Of two that fit as well the shorter one is meant.
    Some(cost * 256 + text.len().min(255))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_of_words_and_runs_win() {
        assert!(score("wg", "Show the wait graph").is_some());
        assert!(score("xyz", "Show").is_none());
        assert!(score("stack", "Stack") < score("stack", "Save to a copy kit"));
        assert!(score("k", "k") < score("k", "uniqstack"));
        assert_eq!(score("", "a"), Some(1));
    }
}
