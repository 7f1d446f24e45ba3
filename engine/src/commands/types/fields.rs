//! Field lists of `dt`: names, prefixes, wildcards, paths.

use crate::expr::wildcard_match;

/// One part of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Name, or pattern with `*` and `?`.
    pub(crate) text: String,
    /// Any name that starts so.
    pub(crate) prefix: bool,
    /// `Name[3]`, counted in decimal.
    pub(crate) index: Option<u64>,
    /// `->` follows.
    pub(crate) arrow: bool,
}

/// A field as typed: `Ldr`, `Ldr.Initialized`, `Tls*`, `Slots[3]`, `Ldr.` (a prefix, opened one level).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    /// The path, at least one part.
    pub(crate) parts: Vec<Part>,
    /// Levels to open: the points at the end.
    pub(crate) expand: u32,
    /// The first part of the path that `dt -l` follows.
    pub(crate) link: bool,
}

/// Most parts of a path.
const MAX_PARTS: usize = 32;

impl Field {
    /// From its text; `prefix` is `-y`'s.
    pub(crate) fn parse(text: &str, prefix: bool) -> Option<Field> {
        // `a->b` means the same as `a.b` here, but for what the path goes through.
        let arrows: Vec<bool> = (0..text.len())
            .filter_map(|i| {
                let rest = text.get(i..)?;
                rest.starts_with("->").then_some(true).or_else(|| rest.starts_with('.').then_some(false))
            })
            .collect();
        let text = text.replace("->", ".");
        let path = text.trim_end_matches('.');
        let expand = text.len().saturating_sub(path.len());
        let mut parts: Vec<Part> = path.split('.').take(MAX_PARTS).map(part).collect::<Option<_>>()?;
        for (part, arrow) in parts.iter_mut().zip(arrows) {
            part.arrow = arrow;
        }
        if let Some(last) = parts.last_mut() {
            last.prefix = prefix || expand > 0;
        }
        Some(Field { parts, expand: u32::try_from(expand).unwrap_or(1), link: false })
    }

    /// True when the path's part `level` means the name.
    pub(crate) fn selects(&self, level: usize, name: &str) -> bool {
        self.parts.get(level).is_some_and(|p| p.selects(name))
    }
}

fn part(text: &str) -> Option<Part> {
    let (name, index) = match text.strip_suffix(']').and_then(|t| t.split_once('[')) {
        Some((name, index)) => (name, Some(index.trim().parse().ok()?)),
        None => (text, None),
    };
    (!name.is_empty()).then(|| Part { text: name.to_owned(), prefix: false, index, arrow: false })
}

impl Part {
    fn selects(&self, name: &str) -> bool {
        if self.text.contains(['*', '?']) {
            return wildcard_match(&self.text, name);
        }
        let start = name.get(..self.text.len());
        start.is_some_and(|s| s.eq_ignore_ascii_case(&self.text))
            && (self.prefix || name.len() == self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_prefixes_and_elements() {
        let f = Field::parse("Ldr.Init.", false).unwrap();
        assert_eq!((f.parts.len(), f.expand), (2, 1));
        assert!(f.selects(0, "Ldr") && !f.selects(0, "LdrData") && f.selects(1, "Initialized"));
        assert!(!f.selects(2, "x"));
        let f = Field::parse("Tls*", false).unwrap();
        assert!(f.selects(0, "TlsSlots") && !f.selects(0, "xTls"));
        let f = Field::parse("Slots[12]", false).unwrap();
        assert_eq!(f.parts[0].index, Some(12));
        assert!(f.selects(0, "slots"));
        assert!(Field::parse("La", true).unwrap().selects(0, "LastError"));
        assert_eq!(Field::parse("a->b", false).unwrap().parts.len(), 2);
        for bad in ["", ".", "a..b", "a[x]", "[1]"] {
            assert_eq!(Field::parse(bad, false), None, "{bad}");
        }
    }
}
