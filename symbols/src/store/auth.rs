//! Request headers and credentials, from a file of the user or from netrc. Values are never shown.

use std::fmt;
use url::Url;

/// Largest file that is read, bytes.
const MAX_FILE: usize = 256 * 1024;

/// What to send to which server.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Auth {
    /// URL prefixes with headers, in the file's order.
    headers: Vec<(Url, Vec<(String, String)>)>,
    /// Host (`None`: default), login, password.
    netrc: Vec<(Option<String>, String, String)>,
}

impl Auth {
    /// Adds a headers file: a line with a URL, then indented `Name: value` lines that are sent to everything
    /// below it; `#` starts a comment.
    ///
    /// # Errors
    /// The line's number and what is wrong with it.
    pub fn add_headers(&mut self, text: &str) -> Result<(), String> {
        let text = text.get(..text.len().min(MAX_FILE)).unwrap_or_default();
        for (i, line) in text.lines().enumerate() {
            let number = i.saturating_add(1);
            if line.trim().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            if !line.starts_with([' ', '\t']) {
                let url = Url::parse(line.trim()).map_err(|e| format!("line {number}: not a URL: {e}"))?;
                self.headers.push((url, Vec::new()));
                continue;
            }
            let (name, value) =
                line.split_once(':').ok_or_else(|| format!("line {number}: expected `Name: value`"))?;
            let name = name.trim();
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
            if name.is_empty() || !name.bytes().all(plain) || value.chars().any(char::is_control) {
                return Err(format!("line {number}: not a header"));
            }
            let Some((_, headers)) = self.headers.last_mut() else {
                return Err(format!("line {number}: a header before any URL"));
            };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok(())
    }

    /// Adds a netrc file; macros and comments are skipped, unknown words too.
    pub fn add_netrc(&mut self, text: &str) {
        let text = text.get(..text.len().min(MAX_FILE)).unwrap_or_default();
        let mut words = netrc_words(text).into_iter();
        let mut entry: Option<(Option<String>, String, String)> = None;
        while let Some(word) = words.next() {
            match word.as_str() {
                "machine" | "default" => {
                    self.netrc.extend(entry.take());
                    let host = if word == "machine" { words.next() } else { None };
                    entry = Some((host.map(|h| h.to_ascii_lowercase()), String::new(), String::new()));
                }
                "login" | "password" => {
                    if let (Some(e), Some(value)) = (entry.as_mut(), words.next()) {
                        if word == "login" { e.1 = value } else { e.2 = value }
                    }
                }
                "account" => drop(words.next()),
                _ => {}
            }
        }
        self.netrc.extend(entry);
    }

    /// Headers for a request to a server that the symbol path names: what a redirect leads to must not be asked with
    /// them. netrc counts only where neither an `Authorization` header nor a user in the URL is given, and its default
    /// entry only over https.
    #[must_use]
    pub fn headers(&self, url: &Url) -> Vec<(String, String)> {
        let below = |prefix: &Url| {
            prefix.scheme() == url.scheme()
                && prefix.host() == url.host()
                && prefix.port_or_known_default() == url.port_or_known_default()
                && is_below(url.path(), prefix.path())
        };
        let mut out: Vec<(String, String)> =
            self.headers.iter().filter(|(p, _)| below(p)).flat_map(|(_, h)| h.clone()).collect();
        let has_user = !url.username().is_empty() || url.password().is_some();
        if !has_user && !out.iter().any(|(n, _)| n.eq_ignore_ascii_case("authorization")) {
            let host = url.host_str().unwrap_or_default();
            let named = self.netrc.iter().find(|e| e.0.as_deref() == Some(host));
            let default = || self.netrc.iter().find(|e| e.0.is_none() && url.scheme() == "https");
            if let Some((_, login, password)) = named.or_else(default) {
                let pair = format!("{login}:{password}");
                out.push(("Authorization".into(), format!("Basic {}", base64(pair.as_bytes()))));
            }
        }
        out
    }
}

/// Shows how many servers, never what is sent to them.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Auth {{ {} servers, {} netrc entries }}", self.headers.len(), self.netrc.len())
    }
}

/// True when `path` is `prefix` or lies in that folder: `/symbols` is not below `/sym`.
fn is_below(path: &str, prefix: &str) -> bool {
    let rest = path.strip_prefix(prefix.trim_end_matches('/'));
    rest.is_some_and(|r| r.is_empty() || r.starts_with('/'))
}

/// The words of a netrc file: quoted ones may hold blanks and escapes; a line that begins with `#` is a comment, and a
/// macro ends at an empty line.
fn netrc_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut lines = text.lines();
    'lines: while let Some(line) = lines.next() {
        let mut chars = line.chars().peekable();
        if line.trim_start().starts_with('#') {
            continue;
        }
        loop {
            while chars.next_if(|c| c.is_whitespace()).is_some() {}
            let mut word = String::new();
            if chars.next_if_eq(&'"').is_some() {
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    word.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
                }
            } else {
                while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                    word.push(c);
                }
                if word.is_empty() {
                    continue 'lines;
                }
            }
            if word == "macdef" {
                lines.by_ref().find(|l| l.trim().is_empty());
                continue 'lines;
            }
            words.push(word);
        }
    }
    words
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |w, b| w << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = DIGITS.get((word >> (18 - 6 * i) & 63) as usize).copied().unwrap_or(b'=');
            out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_known_texts() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn netrc_files_as_people_write_them() {
        let mut auth = Auth::default();
        auth.add_netrc(
            "# machine a.example login no password no\nmachine A.example\n\tlogin \"my name\"\n\tpassword \"a\\\"b\"\n\
             macdef init\n  login evil password evil\n\nmachine b.example account x login u password p",
        );
        let of = |u: &str| auth.headers(&Url::parse(u).unwrap());
        assert_eq!(of("https://a.example/")[0].1, format!("Basic {}", base64(b"my name:a\"b")));
        assert_eq!(of("http://b.example:8080/")[0].1, format!("Basic {}", base64(b"u:p")));
        // Who names a user in the URL means that one.
        assert!(of("https://x:y@b.example/").is_empty());
        assert!(of("https://c.example/").is_empty());
    }

    #[test]
    fn headers_go_below_their_url_only() {
        let mut auth = Auth::default();
        auth.add_headers("# mine\nhttps://a.example/sym\n  Authorization: Bearer t0p\n\tX-A: 1\n").unwrap();
        auth.add_netrc("machine b.example login u password p\ndefault login d password e");
        let of = |u: &str| auth.headers(&Url::parse(u).unwrap());
        assert_eq!(of("https://a.example/sym/x").len(), 2);
        assert_eq!(of("https://b.example/")[0].1, "Basic dTpw");
        assert_eq!(of("https://c.example/")[0].1, "Basic ZDpl");
        assert!(of("http://c.example/").is_empty());
        assert!(of("http://a.example/sym/x").is_empty());
        assert_eq!(of("https://a.example/symbols")[0].1, "Basic ZDpl");
        assert!(of("https://a.example:444/sym/x")[0].1.starts_with("Basic"));
        assert!(!format!("{auth:?}").contains("t0p"));
        assert!(auth.add_headers("  X: 1").is_ok());
        assert!(Auth::default().add_headers("  X: 1").is_err());
        assert!(Auth::default().add_headers("https://a/\n no header").is_err());
    }
}
