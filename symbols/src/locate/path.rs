//! Symbol and image paths in WinDbg's syntax.
//!
//! `;` separates elements, tried left to right: a folder, `srv*A*B*URL` (a chain of stores; a hit is copied to
//! every store to its left), `symsrv*dll*A*B` (the same with the name of a store DLL, which is ignored),
//! `cache*DIR` (a store for everything to its right).

use std::path::PathBuf;

/// Longest path that is read, bytes.
const MAX_PATH_TEXT: usize = 64 * 1024;
/// Most elements of a path.
const MAX_ELEMENTS: usize = 256;
/// Most stores of a chain; SymSrv takes 10.
const MAX_STORES: usize = 16;

/// A place in a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// A folder of this machine with a store's layout.
    Dir(PathBuf),
    /// The default store (an empty token: `srv**URL`): the cache folder of the configuration.
    Default,
    /// A server.
    Url(String),
    /// A `\\server\share` path, which only Windows can open.
    Unc(String),
}

/// One element of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Element {
    /// A plain folder.
    Folder(PathBuf),
    /// A plain folder on a `\\server\share`, which only Windows can open.
    Unc(String),
    /// `srv*…`: stores, the first is asked first.
    Chain(Vec<Store>),
    /// `cache*DIR`: a store for everything to its right.
    Cache(Store),
    /// Text that is no element, with the reason.
    Invalid {
        /// The element.
        text: String,
        /// What is wrong.
        why: &'static str,
    },
}

/// A parsed path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SymbolPath {
    /// In order.
    pub elements: Vec<Element>,
}

impl SymbolPath {
    /// Reads a path. Never fails: what cannot be understood becomes [`Element::Invalid`].
    #[must_use]
    pub fn parse(text: &str) -> SymbolPath {
        if text.len() > MAX_PATH_TEXT {
            let why = "the path is too long";
            return SymbolPath { elements: vec![Element::Invalid { text: String::new(), why }] };
        }
        let parts = text.split(';').map(|t| t.trim().trim_matches('"').trim()).filter(|t| !t.is_empty());
        SymbolPath { elements: parts.take(MAX_ELEMENTS).map(element).collect() }
    }

    /// True when nothing is to be looked for anywhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// The path without its servers.
    #[must_use]
    pub fn without_urls(&self) -> SymbolPath {
        let mut path = self.clone();
        for element in &mut path.elements {
            if let Element::Chain(stores) = element {
                stores.retain(|s| !matches!(s, Store::Url(_)));
            }
        }
        path
    }

    /// Servers named by the path.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        self.elements
            .iter()
            .flat_map(|e| match e {
                Element::Chain(stores) => stores.as_slice(),
                _ => &[],
            })
            .filter_map(|s| match s {
                Store::Url(u) => Some(u.as_str()),
                _ => None,
            })
    }
}

fn element(text: &str) -> Element {
    let (head, rest) = text.split_once('*').map_or((text, None), |(h, r)| (h, Some(r)));
    match (head.to_ascii_lowercase().as_str(), rest) {
        ("srv", Some(rest)) => chain(rest),
        ("srv", None) => Element::Chain(vec![Store::Default]),
        ("symsrv", Some(rest)) => match rest.split_once('*') {
            Some((_dll, rest)) => chain(rest),
            None => Element::Invalid { text: text.into(), why: "symsrv* needs a DLL name and a store" },
        },
        ("cache", Some(dir)) => match store(dir.split('*').next().unwrap_or(dir)) {
            Store::Url(_) => Element::Invalid { text: text.into(), why: "cache* needs a folder" },
            cache => Element::Cache(cache),
        },
        ("cache", None) => Element::Cache(Store::Default),
        (_, Some(_)) => {
            Element::Invalid { text: text.into(), why: "only srv*, symsrv* and cache* have stars" }
        }
        (_, None) => match store(text) {
            Store::Url(url) => Element::Chain(vec![Store::Default, Store::Url(url)]),
            Store::Unc(unc) => Element::Unc(unc),
            Store::Dir(dir) => Element::Folder(dir),
            Store::Default => Element::Invalid { text: text.into(), why: "empty" },
        },
    }
}

fn chain(rest: &str) -> Element {
    Element::Chain(rest.split('*').take(MAX_STORES).map(|t| store(t.trim())).collect())
}

fn store(text: &str) -> Store {
    let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    if text.is_empty() {
        Store::Default
    } else if lower.starts_with("http://") || lower.starts_with("https://") {
        Store::Url(text.into())
    } else if text.starts_with("\\\\") && !cfg!(windows) {
        Store::Unc(text.into())
    } else {
        Store::Dir(PathBuf::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(s: &str) -> Store {
        Store::Dir(s.into())
    }

    #[test]
    fn windbgs_grammar() {
        let parse = |t| SymbolPath::parse(t).elements;
        assert_eq!(parse(" ; ;; "), []);
        assert_eq!(parse("/a;C:\\b c"), [Element::Folder("/a".into()), Element::Folder("C:\\b c".into())]);
        let url = || Store::Url("https://x/y".into());
        assert_eq!(parse("srv*/a*/b*https://x/y"), [Element::Chain(vec![dir("/a"), dir("/b"), url()])]);
        assert_eq!(parse("SRV**https://x/y"), [Element::Chain(vec![Store::Default, url()])]);
        assert_eq!(parse("symsrv*symsrv.dll*/a*https://x/y"), [Element::Chain(vec![dir("/a"), url()])]);
        assert_eq!(
            parse("cache*/c;srv*https://x/y"),
            [Element::Cache(dir("/c")), Element::Chain(vec![url()])]
        );
        assert_eq!(parse("cache*"), [Element::Cache(Store::Default)]);
        assert_eq!(parse("srv*"), [Element::Chain(vec![Store::Default])]);
        assert_eq!(parse("\"/a b\""), [Element::Folder("/a b".into())]);
        assert!(matches!(parse("foo*bar")[..], [Element::Invalid { .. }]));
        assert!(matches!(parse("symsrv*x")[..], [Element::Invalid { .. }]));
        assert!(matches!(parse("cache*https://x")[..], [Element::Invalid { .. }]));
        assert!(matches!(parse(&"a;".repeat(100_000))[..], [Element::Invalid { .. }]));
        let with = SymbolPath::parse("/a;srv*/b*https://x/y");
        assert_eq!(with.urls().collect::<Vec<_>>(), ["https://x/y"]);
        assert_eq!(with.without_urls(), SymbolPath::parse("/a;srv*/b"));
    }

    #[cfg(not(windows))]
    #[test]
    fn unc_paths_are_named() {
        let unc = "\\\\server\\symbols";
        assert_eq!(SymbolPath::parse(unc).elements, [Element::Unc(unc.into())]);
        let chain = SymbolPath::parse(&format!("srv*{unc}")).elements;
        assert_eq!(chain, [Element::Chain(vec![Store::Unc(unc.into())])]);
    }
}
