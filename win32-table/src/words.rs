//! Names as numbers of words: most names are put together from some thousand words, and many are used often.

use std::collections::{BTreeMap, HashMap};

/// Words that one byte names.
const SHORT: usize = 190;
/// All words.
const MOST: usize = SHORT + 0x4000;
/// A whole name becomes a word when it is used as often.
const OFTEN: usize = 6;

/// Splits a name: `CreateFileW` is `Create`, `File`, `W`; `WM_PAINT` is `WM`, `_PAINT`.
fn split(name: &str) -> Vec<&str> {
    let bytes = name.as_bytes();
    let mut cuts = vec![0];
    for i in 1..bytes.len() {
        let (before, here) = (bytes[i - 1], bytes[i]);
        let next = bytes.get(i + 1).copied().unwrap_or(b'A');
        let upper = here.is_ascii_uppercase();
        let starts = here == b'_'
            || here == b'.'
            || upper && before.is_ascii_lowercase()
            || upper && before.is_ascii_uppercase() && next.is_ascii_lowercase()
            || here.is_ascii_digit() && !before.is_ascii_digit();
        if starts && name.is_char_boundary(i) {
            cuts.push(i);
        }
    }
    cuts.push(bytes.len());
    cuts.windows(2).map(|w| &name[w[0]..w[1]]).filter(|w| !w.is_empty()).collect()
}

#[derive(Debug, Default)]
pub struct Words {
    pub all: Vec<String>,
    ids: HashMap<String, usize>,
}

/// A part of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Word(usize),
    Literal(String),
}

impl Words {
    /// Chooses the words; `names` has every use of every name.
    pub fn choose<'a>(names: impl Iterator<Item = &'a str>) -> Words {
        let mut whole: BTreeMap<&str, usize> = BTreeMap::new();
        for n in names {
            *whole.entry(n).or_default() += 1;
        }
        let mut count: BTreeMap<&str, usize> = BTreeMap::new();
        for (name, n) in &whole {
            if *n >= OFTEN {
                *count.entry(name).or_default() += n;
            } else {
                for w in split(name) {
                    *count.entry(w).or_default() += n;
                }
            }
        }
        let mut list: Vec<(&str, usize)> = count
            .into_iter()
            .filter(|(w, n)| *n >= 2 && !w.is_empty() && w.len() < 256 && (w.len() > 1 || *n > 20))
            .collect();
        // What saves most; the most used ones first.
        list.sort_by_key(|(w, n)| (std::cmp::Reverse(n * w.len()), *w));
        list.truncate(MOST);
        list.sort_by_key(|(w, n)| (std::cmp::Reverse(*n), *w));
        let all: Vec<String> = list.into_iter().map(|(w, _)| w.to_owned()).collect();
        let ids = all.iter().cloned().zip(0..).collect();
        Words { all, ids }
    }

    pub fn parts(&self, name: &str) -> Vec<Part> {
        if let Some(id) = self.ids.get(name) {
            return vec![Part::Word(*id)];
        }
        let mut out: Vec<Part> = Vec::new();
        for w in split(name) {
            match (self.ids.get(w), out.last_mut()) {
                (Some(id), _) => out.push(Part::Word(*id)),
                (None, Some(Part::Literal(before))) => before.push_str(w),
                (None, _) => out.push(Part::Literal(w.to_owned())),
            }
        }
        out
    }

    /// Writes parts and their end.
    pub fn write(parts: &[Part], out: &mut Vec<u8>) {
        for p in parts {
            match p {
                Part::Word(id) if *id < SHORT => out.push(*id as u8 + 2),
                Part::Word(id) => {
                    let rest = id - SHORT;
                    out.push(0xc0 | (rest >> 8) as u8);
                    out.push(rest as u8);
                }
                Part::Literal(text) => {
                    for chunk in text.as_bytes().chunks(255) {
                        out.push(1);
                        out.push(chunk.len() as u8);
                        out.extend_from_slice(chunk);
                    }
                }
            }
        }
        out.push(0);
    }

    pub fn name(&self, name: &str, out: &mut Vec<u8>) {
        Words::write(&self.parts(name), out);
    }

    /// Writes a name behind another one of the same list: how many parts are the same, then the rest.
    pub fn after(&self, previous: &mut Vec<Part>, name: &str, out: &mut Vec<u8>) {
        let parts = self.parts(name);
        let same = parts.iter().zip(previous.iter()).take_while(|(a, b)| a == b).count().min(255);
        out.push(same as u8);
        Words::write(&parts[same..], out);
        *previous = parts;
    }
}
