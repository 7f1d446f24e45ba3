//! Symbol and image paths in WinDbg's syntax.
//!
//! `;` separates elements, tried left to right: a folder, `srv*A*B*URL` (a chain of stores; a hit is copied to
//! every store to its left), `symsrv*dll*A*B` (the same with the name of a store DLL, which is ignored),
//! `cache*DIR` (a store for everything to its right).

use super::StoreUrl;
use super::url::refused_text;
use std::path::PathBuf;

/// Why a share is not looked at.
pub(super) const UNC: &str = "network shares can be opened on Windows only; mount it and give the folder";

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
    Url(StoreUrl),
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
        /// The element, escaped and without secrets.
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
        let mut elements: Vec<Element> = Vec::new();
        for part in parts.take(MAX_ELEMENTS) {
            let torn = matches!(elements.last(), Some(Element::Invalid { why, .. }) if *why == NO_URL);
            if torn && part.contains('@') && !part.contains("://") {
                // The rest of a URL with a `;` in its password: no folder, and not to be shown.
                continue;
            }
            elements.push(element(part));
        }
        SymbolPath { elements }
    }

    /// True when nothing is to be looked for anywhere.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Servers named by the path.
    pub fn urls(&self) -> impl Iterator<Item = &StoreUrl> {
        self.elements
            .iter()
            .flat_map(|e| match e {
                Element::Chain(stores) => stores.as_slice(),
                _ => &[],
            })
            .filter_map(|s| match s {
                Store::Url(u) => Some(u),
                _ => None,
            })
    }
}

/// Why a URL is not asked.
const NO_URL: &str = "not an http or https URL (in a password, `@ : / ; *` are written as %40 and so on)";

fn element(text: &str) -> Element {
    let invalid = |why| Element::Invalid { text: refused_text(text), why };
    let (head, rest) = text.split_once('*').map_or((text, None), |(h, r)| (h, Some(r)));
    let chain = |rest: &str| {
        let stores = rest.split('*').take(MAX_STORES).map(|t| store(t.trim()));
        stores.collect::<Option<Vec<_>>>().map_or_else(|| invalid(NO_URL), Element::Chain)
    };
    match (head.to_ascii_lowercase().as_str(), rest) {
        ("srv", Some(rest)) => chain(rest),
        ("srv", None) => Element::Chain(vec![Store::Default]),
        ("symsrv", Some(rest)) => match rest.split_once('*') {
            Some((_dll, rest)) => chain(rest),
            None => invalid("symsrv* needs a DLL name and a store"),
        },
        ("cache", Some(dir)) => match store(dir.split('*').next().unwrap_or(dir)) {
            None | Some(Store::Url(_)) => invalid("cache* needs a folder"),
            Some(cache) => Element::Cache(cache),
        },
        ("cache", None) => Element::Cache(Store::Default),
        (_, Some(_)) => invalid("only srv*, symsrv* and cache* have stars"),
        (_, None) => match store(text) {
            None => invalid(NO_URL),
            Some(Store::Url(url)) => Element::Chain(vec![Store::Default, Store::Url(url)]),
            Some(Store::Unc(unc)) => Element::Unc(unc),
            Some(Store::Dir(dir)) => Element::Folder(dir),
            Some(Store::Default) => invalid("empty"),
        },
    }
}

/// One place; `None`: a URL that cannot be asked.
fn store(text: &str) -> Option<Store> {
    Some(if text.is_empty() {
        Store::Default
    } else if text.contains("://") || text.get(..5).is_some_and(|t| t.eq_ignore_ascii_case("http:")) {
        Store::Url(StoreUrl::parse(text)?)
    } else if text.starts_with("\\\\") && !cfg!(windows) {
        Store::Unc(text.into())
    } else {
        Store::Dir(PathBuf::from(text))
    })
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
        let url = || Store::Url(StoreUrl::parse("https://x/y").unwrap());
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
        assert_eq!(with.urls().map(ToString::to_string).collect::<Vec<_>>(), ["https://x/y"]);
    }

    #[test]
    fn urls_that_cannot_be_read_keep_their_secrets() {
        for text in [
            "srv*/a*http://u:s3/cr3t@h/",
            "srv*/a*http://u:s3*cr3t@h/",
            "srv*/a*http://u:s3;cr3t@h/",
            "ftp://u:s3cr3t@h/",
            "http:u:s3cr3t@:x",
            "foo*http://u:s3cr3t@h/",
        ] {
            let path = SymbolPath::parse(text);
            assert!(matches!(path.elements[..], [Element::Invalid { .. }]), "{path:?}");
            assert!(!format!("{path:?}").contains("cr3t"), "{path:?}");
        }
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
