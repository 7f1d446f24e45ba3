//! A path with what its elements are.

use crate::doc::{Answer, Line, RenderCx, Role, Span};
use dumpscope_core::base::text::escape;
use dumpscope_symbols::SymbolConfig;
use dumpscope_symbols::locate::{Element, Store, SymbolPath, redacted};
use dumpscope_symbols::store::open_to_others;
use serde::Serialize;
use std::path::Path;

/// One element of a path.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Row {
    /// `OK`, `Deferred` (a server or a store: asked when something is needed) or `Error`.
    response: &'static str,
    /// The element. Untrusted.
    location: String,
    /// What is wrong with it.
    problem: Option<String>,
}

/// The answer of `.sympath` and `.exepath`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct PathReport {
    /// The path as it was set. Untrusted.
    path: String,
    /// With the cache folder where the path means it.
    expanded: Option<String>,
    elements: Vec<Row>,
    note: Option<String>,
    #[serde(skip)]
    label: &'static str,
    /// True for the symbol path: without one little is found.
    #[serde(skip)]
    wanted: bool,
}

impl PathReport {
    pub(super) fn new(label: &'static str, wanted: bool, path: String, config: &SymbolConfig) -> PathReport {
        let parsed = SymbolPath::parse(&path);
        let cache = config.cache.as_deref();
        let texts: Vec<String> = parsed.elements.iter().map(|e| element_text(e, cache)).collect();
        let elements = parsed.elements.iter().zip(&texts).map(|(e, text)| row(e, text, cache)).collect();
        let expanded = texts.join(";");
        let note = if wanted { super::offline_note(config) } else { None };
        let expanded = (wanted && !path.is_empty()).then(|| escape(&expanded).into_owned());
        let path = escape(&redacted(&path)).into_owned();
        PathReport { path, expanded, elements, note, label, wanted }
    }
}

/// An element as the store client sees it.
fn element_text(element: &Element, cache: Option<&Path>) -> String {
    let store = |s: &Store| match s {
        Store::Dir(dir) => dir.display().to_string(),
        // Without a cache folder the place stays open, as it was written.
        Store::Default => cache.map_or(String::new(), |c| c.display().to_string()),
        Store::Url(url) => url.to_string(),
        Store::Unc(unc) => unc.clone(),
    };
    match element {
        Element::Folder(dir) => dir.display().to_string(),
        Element::Unc(unc) => unc.clone(),
        Element::Chain(stores) => format!("srv*{}", stores.iter().map(store).collect::<Vec<_>>().join("*")),
        Element::Cache(s) => format!("cache*{}", store(s)),
        Element::Invalid { text, .. } => text.clone(),
    }
}

fn row(element: &Element, text: &str, cache: Option<&Path>) -> Row {
    let location = escape(text).into_owned();
    let (response, problem) = match element {
        Element::Folder(dir) if dir.is_dir() => ("OK", None),
        Element::Folder(_) => ("Error", Some("there is no such folder".to_owned())),
        Element::Unc(_) => ("Error", Some("network shares can be opened on Windows only".to_owned())),
        Element::Invalid { why, .. } => ("Error", Some((*why).to_owned())),
        Element::Chain(stores) => ("Deferred", stores.iter().find_map(|s| open_store(s, cache))),
        Element::Cache(store) => ("Deferred", open_store(store, cache)),
    };
    Row { response, location, problem }
}

/// What is wrong with a store of this machine whose files somebody else may exchange.
fn open_store(store: &Store, cache: Option<&Path>) -> Option<String> {
    match store {
        Store::Dir(dir) => open_to_others(dir),
        Store::Default => open_to_others(cache?),
        Store::Url(_) | Store::Unc(_) => None,
    }
}

/// WinDbg's box for a session without a symbol path.
const BOX: [&str; 5] = [
    "****************************************************************************",
    "* Symbol loading may be unreliable without a symbol search path.           *",
    "* Use .symfix to have the debugger choose a symbol path.                   *",
    "* After setting your symbol path, use .reload to refresh symbol locations. *",
    "****************************************************************************",
];

impl Answer for PathReport {
    const KIND: &'static str = "path";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let label = Line::new().role(Role::Label, format!("{}: ", self.label));
        if self.path.is_empty() {
            if self.wanted {
                emit(label.text("*** Invalid ***"));
                BOX.iter().for_each(|line| emit(Line::plain(*line)));
            } else {
                emit(label);
            }
            return;
        }
        emit(label.span(Span::untrusted(Role::Text, &self.path)));
        if let Some(expanded) = &self.expanded {
            let label = Line::new().role(Role::Label, "Expanded Symbol search path is: ");
            emit(label.span(Span::untrusted(Role::Text, expanded)));
        }
        emit(Line::new());
        emit(Line::plain("************* Path validation summary **************"));
        emit(Line::plain(format!("{:<33}{:<14}Location", "Response", "Time (ms)")));
        for row in &self.elements {
            let role = if row.problem.is_some() { Role::Warning } else { Role::Plain };
            let line = Line::new().role(role, format!("{:<47}", row.response));
            emit(line.span(Span::untrusted(Role::Text, &row.location)));
            if let Some(problem) = &row.problem {
                emit(Line::new().role(Role::Note, format!("{:47}{problem}", "")));
            }
        }
        if let Some(text) = &self.note {
            emit(super::note(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Layout;

    fn lines(wanted: bool, path: &str, config: &SymbolConfig) -> Vec<String> {
        let mut out = Vec::new();
        let cx = RenderCx { layout: Layout::Classic, wide: true };
        PathReport::new("Symbol search path is", wanted, path.into(), config)
            .lines(&cx, &mut |l| out.push(l.to_text().trim_end().to_owned()));
        out
    }

    #[test]
    fn elements_are_checked() {
        let dir = tempfile::tempdir().unwrap();
        let good = dir.path().display().to_string();
        let config = SymbolConfig {
            symbol_path: "srv**https://x/y".into(),
            cache: Some("/c".into()),
            ..SymbolConfig::default()
        };
        let got = lines(true, &format!("srv**https://x/y;{good};/no/where;foo*bar"), &config);
        assert_eq!(got[0], format!("Symbol search path is: srv**https://x/y;{good};/no/where;foo*bar"));
        assert_eq!(
            got[1],
            format!("Expanded Symbol search path is: srv*/c*https://x/y;{good};/no/where;foo*bar")
        );
        assert_eq!(got[4], "Response                         Time (ms)     Location");
        assert_eq!(got[5], "Deferred                                       srv*/c*https://x/y");
        assert_eq!(got[6], format!("OK                                             {good}"));
        assert_eq!(got[7], "Error                                          /no/where");
        assert!(got[8].ends_with("there is no such folder"));
        assert!(got[10].ends_with("only srv*, symsrv* and cache* have stars"));
        assert_eq!(got[11], "https://x/y is not asked: this session has no store client.");
    }

    #[test]
    fn without_a_path_windbgs_box_says_what_to_do() {
        let got = lines(true, "", &SymbolConfig::default());
        assert_eq!(got[0], "Symbol search path is: *** Invalid ***");
        assert_eq!(got.len(), 6);
        assert_eq!(lines(false, "", &SymbolConfig::default()).len(), 1);
    }
}
