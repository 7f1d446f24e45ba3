//! Words that look random: keys and tokens of kinds that no rule knows.

use std::ops::Range;

/// Shortest such word, characters.
const SHORTEST: usize = 20;

/// Fewest changes between digits and letters.
const FEWEST_CHANGES: usize = 3;

/// Least information of a character, bits.
const BITS: f64 = 3.5;

/// Hands out the words of a text that look random.
pub(super) fn find(text: &str, found: &mut dyn FnMut(Range<usize>)) {
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        let inside = c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '_' | '-' | '=' | '.' | '~');
        match (inside, start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                start = None;
                if text.get(from..at).is_some_and(is_random) {
                    found(from..at);
                }
            }
            _ => {}
        }
    }
}

/// Long, of several kinds of characters that are mixed, and no GUID, path or number in hex.
fn is_random(word: &str) -> bool {
    let word = word.trim_matches(['.', '-', '=', '/']);
    if word.len() < SHORTEST || word.starts_with("0x") || is_guid(word) {
        return false;
    }
    let count = |of: fn(&char) -> bool| word.chars().filter(of).count();
    let (digits, upper, lower) =
        (count(char::is_ascii_digit), count(char::is_ascii_uppercase), count(char::is_ascii_lowercase));
    if word.len() >= 32 && word.chars().all(|c| c.is_ascii_hexdigit()) && digits >= 4 && digits < word.len() {
        return true;
    }
    // Names of functions and files have words in them: changes between digits and letters are rare.
    let changes = word.as_bytes().windows(2).filter(|w| is_digit(w.first()) != is_digit(w.last())).count();
    digits >= 2
        && upper >= 2
        && lower >= 2
        && changes >= FEWEST_CHANGES
        && changes.saturating_mul(8) >= word.len()
        && bits(word) >= BITS
}

fn is_digit(byte: Option<&u8>) -> bool {
    byte.is_some_and(u8::is_ascii_digit)
}

fn is_guid(word: &str) -> bool {
    word.len() == 36
        && word
            .chars()
            .enumerate()
            .all(|(n, c)| if matches!(n, 8 | 13 | 18 | 23) { c == '-' } else { c.is_ascii_hexdigit() })
}

/// Shannon's measure of a character.
fn bits(word: &str) -> f64 {
    let mut counts = [0u32; 256];
    for byte in word.bytes() {
        if let Some(n) = counts.get_mut(usize::from(byte)) {
            *n = n.saturating_add(1);
        }
    }
    let all = word.len() as f64;
    counts.iter().filter(|n| **n > 0).map(|n| f64::from(*n) / all).map(|p| -p * p.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(text: &str) -> Vec<&str> {
        let mut out = Vec::new();
        find(text, &mut |r| out.push(&text[r]));
        out
    }

    #[test]
    fn random_words_and_others() {
        assert_eq!(hits("id Zx81kQp02LmTtY77aBcD, x"), ["Zx81kQp02LmTtY77aBcD"]);
        assert_eq!(hits("9f86d081884c7d659a2feaa0c55ad015"), ["9f86d081884c7d659a2feaa0c55ad015"]);
        for text in [
            "RtlpWaitOnCriticalSectionEx64",
            "423ec01e-2e35-11d2-b604-00104b703efd",
            "msvcrt_ruby200.dll is a file of some length",
            "api-ms-win-core-processthreads-l1-1-0",
            "0x00007ff612340000aabbccddeeff0011",
            "System.Threading.Tasks.Task.InnerInvoke",
        ] {
            assert_eq!(hits(text), [""; 0], "{text}");
        }
    }
}
