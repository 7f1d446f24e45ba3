//! URLs of symbol servers, which often hold secrets: a user and password, a signature in the query.

use dumpscope_core::base::text::escape;
use std::fmt;
use url::Url;

/// What stands where a secret was.
const HIDDEN: &str = "***";

/// The URL of a server. Printed in any way it shows neither user information nor values of its query; only
/// [`StoreUrl::secret`] gives the whole of it, to send it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl(Url);

impl StoreUrl {
    /// Reads an http or https URL with a host; `None`: it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<StoreUrl> {
        let url = Url::parse(text).ok()?;
        let good = matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|h| !h.is_empty());
        good.then_some(StoreUrl(url))
    }

    /// All of it, secrets too: to send, never to show.
    #[must_use]
    pub fn secret(&self) -> &Url {
        &self.0
    }
}

impl From<Url> for StoreUrl {
    fn from(url: Url) -> StoreUrl {
        StoreUrl(url)
    }
}

/// Without its secrets, and without blanks and control characters (they are percent-encoded).
impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

/// As [`fmt::Display`].
impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn shown(url: &Url) -> String {
    let mut out = url.clone();
    let query: Vec<String> = url
        .query()
        .into_iter()
        .flat_map(|q| q.split('&'))
        .filter(|p| !p.is_empty())
        // A query without a name is a value.
        .map(|p| p.split_once('=').map_or(HIDDEN.to_owned(), |(name, _)| format!("{name}={HIDDEN}")))
        .collect();
    out.set_query(if query.is_empty() { None } else { Some(query.join("&")) }.as_deref());
    out.set_fragment(None);
    if !out.username().is_empty() || out.password().is_some() {
        let _ = out.set_password(None);
        let _ = out.set_username(HIDDEN);
    }
    out.into()
}

/// A symbol path as it was typed, for people: what its URLs hold in secrets is not there, and nothing of a URL that
/// cannot be read (its password may be what makes it unreadable). Not escaped.
#[must_use]
pub fn redacted(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut torn = false;
    for (i, element) in path.split(';').enumerate() {
        if i > 0 {
            out.push(';');
        }
        // The rest of a URL that a `;` in its password has torn apart.
        if torn && element.contains('@') && !element.contains("://") {
            out.push_str(HIDDEN);
            torn = false;
            continue;
        }
        torn = false;
        for (i, token) in element.split('*').enumerate() {
            if i > 0 {
                out.push('*');
            }
            match url_in(token) {
                None => out.push_str(token),
                Some(Ok(text)) => out.push_str(&text),
                Some(Err(scheme)) => {
                    out.push_str(&format!("{scheme}://{HIDDEN}"));
                    torn = true;
                    break;
                }
            }
        }
    }
    out
}

/// A token that is a URL, as it may be shown; `Err`: its scheme only. `None`: it is none.
fn url_in(token: &str) -> Option<Result<String, String>> {
    let text = token.trim().trim_matches('"').trim();
    let lower = text.get(..6).unwrap_or(text).to_ascii_lowercase();
    let (scheme, rest) = match text.split_once("://") {
        Some(parts) => parts,
        // As lax as readers of URLs are.
        None if lower.starts_with("http:") || lower == "https:" => text.split_once(':')?,
        None => return None,
    };
    let scheme: String = scheme.chars().filter(char::is_ascii_alphanumeric).take(16).collect();
    let Ok(url) = Url::parse(text) else { return Some(Err(scheme)) };
    // As it was typed where there is nothing to hide.
    if !rest.contains(['@', '?', '#']) {
        return Some(Ok(token.to_owned()));
    }
    Some(Ok(shown(&url)))
}

/// Text that cannot be read as part of a path, for messages: escaped and without secrets.
pub(super) fn refused_text(text: &str) -> String {
    escape(&redacted(text)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        for (typed, shown) in [
            ("https://x.example/sym", "https://x.example/sym"),
            ("https://user:s3cr3t@x.example/sym", "https://***@x.example/sym"),
            ("https://t0ken@x.example:8080/sym", "https://***@x.example:8080/sym"),
            ("https://:s3cr3t@x.example/", "https://***@x.example/"),
            ("http://x.example/?sig=SECRET&sv=1&SECRET#s3cr3t", "http://x.example/?sig=***&sv=***&***"),
            ("http://user:a%40s3cr3t@x.example/", "http://***@x.example/"),
            ("http://user:a@s3cr3t@x.example/", "http://***@x.example/"),
        ] {
            let url = StoreUrl::parse(typed).unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), shown);
            assert_eq!(url.secret().as_str(), Url::parse(typed).unwrap().as_str());
        }
        for none in ["ftp://x", "http://", "x", "https:", "file:///x"] {
            assert!(StoreUrl::parse(none).is_none(), "{none}");
        }
    }

    #[test]
    fn paths_are_shown_as_typed_without_secrets() {
        for (typed, shown) in [
            ("SRV**https://X.example/y;/a b; cache*/c", "SRV**https://X.example/y;/a b; cache*/c"),
            ("srv*/c*http://u:s3cr3t@h/x?sig=SECRET", "srv*/c*http://***@h/x?sig=***"),
            ("ftp://u:s3cr3t@h/x", "ftp://***@h/x"),
            ("srv*/c*http://u:s3/cr3t@h/x;/d", "srv*/c*http://***;/d"),
            ("srv*/c*http://u:s3*cr3t@h/x;/d", "srv*/c*http://***;/d"),
            ("srv*/c*http://u:s3;cr3t@h/x;/d", "srv*/c*http://***;***;/d"),
            ("\"https://u:s3cr3t@h/\"", "https://***@h/"),
            ("foo*http://u:s3cr3t@h/x", "foo*http://***@h/x"),
            ("srv*/c*http://u:s3cr3t@[::1/x", "srv*/c*http://***"),
            ("/a@b;C:\\x@y", "/a@b;C:\\x@y"),
        ] {
            assert_eq!(redacted(typed), shown);
        }
    }
}
