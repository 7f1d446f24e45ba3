//! A symbol path as one list of places, in its own order.

use super::path::UNC;
use super::{Element, Store, StoreUrl, SymbolPath};
use std::path::{Path, PathBuf};

/// A place where a file may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A plain folder of this machine; it may have a store's folders, too.
    Folder(PathBuf),
    /// A folder of this machine with a store's layout.
    Store(PathBuf),
    /// A server.
    Server(StoreUrl),
    /// What the path names but cannot be looked at.
    Refused {
        /// The text, without secrets. Untrusted.
        text: String,
        /// Why.
        why: &'static str,
    },
}

/// A place with the stores that get a copy of what is found there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where to look.
    pub place: Place,
    /// Stores to its left, the nearest first: of its own chain, then those of `cache*` elements.
    pub stores: Vec<PathBuf>,
}

impl Candidate {
    /// True for a server.
    #[must_use]
    pub fn is_server(&self) -> bool {
        matches!(self.place, Place::Server(_))
    }
}

impl SymbolPath {
    /// Every place that the path names, in its order, servers among them.
    ///
    /// `default` is the cache folder: the store of `srv**URL` and `cache*`, and the one into which a server's files
    /// go that has no store to its left. Without one such a server gives [`Place::Refused`].
    #[must_use]
    pub fn candidates(&self, default: Option<&Path>) -> Vec<Candidate> {
        let mut out: Vec<Candidate> = Vec::new();
        let mut caches: Vec<PathBuf> = Vec::new();
        let mut add = |place: Place, stores: Vec<PathBuf>| {
            let candidate = Candidate { place, stores };
            if !out.contains(&candidate) {
                out.push(candidate);
            }
        };
        for element in &self.elements {
            match element {
                Element::Folder(dir) => add(Place::Folder(dir.clone()), caches.clone()),
                Element::Unc(text) => add(Place::Refused { text: text.clone(), why: UNC }, Vec::new()),
                Element::Invalid { text, why } => {
                    add(Place::Refused { text: text.clone(), why }, Vec::new());
                }
                Element::Cache(store) => match local(store, default) {
                    Some(dir) => {
                        // Nearest first: the last `cache*` is the nearest of them.
                        add(Place::Store(dir.to_owned()), caches.clone());
                        caches.insert(0, dir.to_owned());
                    }
                    None => add(refused(store), Vec::new()),
                },
                Element::Chain(stores) => {
                    let mut left = caches.clone();
                    for store in stores {
                        match (store, local(store, default)) {
                            (_, Some(dir)) => {
                                add(Place::Store(dir.to_owned()), left.clone());
                                left.insert(0, dir.to_owned());
                            }
                            (Store::Url(url), None) => {
                                let mut left = left.clone();
                                if left.is_empty() {
                                    left.extend(default.map(Path::to_owned));
                                }
                                if left.is_empty() {
                                    add(Place::Refused { text: url.to_string(), why: NO_CACHE }, left);
                                } else {
                                    add(Place::Server(url.clone()), left);
                                }
                            }
                            (_, None) => add(refused(store), Vec::new()),
                        }
                    }
                }
            }
        }
        out
    }
}

const NO_CACHE: &str = "there is no cache folder to download into";

fn local<'a>(store: &'a Store, default: Option<&'a Path>) -> Option<&'a Path> {
    match store {
        Store::Dir(dir) => Some(dir),
        Store::Default => default,
        Store::Url(_) | Store::Unc(_) => None,
    }
}

fn refused(store: &Store) -> Place {
    match store {
        Store::Unc(text) => Place::Refused { text: text.clone(), why: UNC },
        _ => Place::Refused { text: "the cache folder".into(), why: "there is none" },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(path: &str, default: Option<&str>) -> Vec<String> {
        let text = |c: &Candidate| {
            let place = match &c.place {
                Place::Folder(dir) => format!("folder {}", dir.display()),
                Place::Store(dir) => format!("store {}", dir.display()),
                Place::Server(url) => format!("server {url}"),
                Place::Refused { text, .. } => format!("refused {text}"),
            };
            let left: Vec<_> = c.stores.iter().map(|s| s.display().to_string()).collect();
            format!("{place} < {}", left.join(" ")).trim_end_matches(" < ").to_owned()
        };
        SymbolPath::parse(path).candidates(default.map(Path::new)).iter().map(text).collect()
    }

    #[test]
    fn the_order_is_the_paths() {
        assert_eq!(
            texts("srv*/a*/b*https://x/y;/f;srv*https://z/", Some("/d")),
            [
                "store /a",
                "store /b < /a",
                "server https://x/y < /b /a",
                "folder /f",
                "server https://z/ < /d"
            ]
        );
        assert_eq!(
            texts("/f;cache*/c;cache*;srv*/a*https://x/;/g", Some("/d")),
            [
                "folder /f",
                "store /c",
                "store /d < /c",
                "store /a < /d /c",
                "server https://x/ < /a /d /c",
                "folder /g < /d /c"
            ]
        );
        assert_eq!(texts("/f;/f", None), ["folder /f"]);
    }

    #[test]
    fn without_a_cache_nothing_is_downloaded() {
        assert_eq!(texts("srv*https://x/;srv*/a*https://x/", None)[0], "refused https://x/");
        assert_eq!(texts("srv*https://x/;srv*/a*https://x/", None)[2], "server https://x/ < /a");
        assert_eq!(texts("cache*;srv**https://u:p@x/", None)[1], "refused https://***@x/");
    }
}
