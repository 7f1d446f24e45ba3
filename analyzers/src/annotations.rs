//! What the program, its crash handler or the dump's writer said of itself. All of it is untrusted.

use crate::Target;
use dumpscope_core::stream::id;

/// A text that somebody left in the dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// Who said it: `crashpad`, `crashpad NAME` of a module, `assertion`, `comment`.
    pub source: String,
    /// Its key, when it has one.
    pub key: Option<String>,
    /// The text.
    pub value: String,
}

/// Most texts.
const MAX_TEXTS: usize = 512;
/// Longest text that is kept, characters.
const MAX_CHARS: usize = 4096;

/// All texts, those that tell a cause first.
#[must_use]
pub fn annotations(target: &Target) -> Vec<Annotation> {
    let dump = &target.dump;
    let mut out = Vec::new();
    let mut add = |source: &str, key: Option<&str>, value: &str| {
        let value: String = value.trim().chars().take(MAX_CHARS).collect();
        if !value.is_empty() && out.len() < MAX_TEXTS {
            out.push(Annotation { source: source.to_owned(), key: key.map(str::to_owned), value });
        }
    };
    if let Some(a) = dump.assertion().value() {
        let kind = match a.kind {
            1 => "invalid parameter",
            2 => "pure virtual call",
            _ => "assertion",
        };
        add("assertion", Some("kind"), kind);
        add("assertion", Some("expression"), &a.expression);
        add("assertion", Some("function"), &a.function);
        if !a.file.is_empty() {
            add("assertion", Some("file"), &format!("{}:{}", a.file, a.line));
        }
    }
    if let Some(info) = dump.crashpad().value() {
        for m in &info.modules {
            let name = usize::try_from(m.module).ok().and_then(|n| dump.modules().get(n));
            let source = format!("crashpad {}", name.map_or("module", |n| n.file_name.as_str()));
            m.list.iter().for_each(|t| add(&source, None, t));
            m.simple.iter().chain(&m.objects).for_each(|(k, v)| add(&source, Some(k), v));
        }
        info.simple.iter().for_each(|(k, v)| add("crashpad", Some(k), v));
    }
    let theirs = dump.comments().into_iter().filter(|c| !c.starts_with(dumpscope_core::write::COMMENT));
    theirs.for_each(|c| add("comment", None, c));
    out
}

impl Annotation {
    /// True when it may tell why the process ended.
    #[must_use]
    pub fn is_cause(&self) -> bool {
        const WORDS: [&str; 12] = [
            "abort",
            "assert",
            "message",
            "error",
            "exception",
            "fatal",
            "reason",
            "check",
            "panic",
            "expression",
            "function",
            "crash",
        ];
        let key = self.key.as_deref().unwrap_or_default().to_ascii_lowercase();
        self.source == "assertion" || self.key.is_none() || WORDS.iter().any(|w| key.contains(w))
    }

    /// `crashpad, key: value`.
    #[must_use]
    pub fn text(&self) -> String {
        match &self.key {
            Some(key) => format!("{}, {key}: {}", self.source, self.value),
            None => format!("{}: {}", self.source, self.value),
        }
    }
}

/// The command line of `/proc/PID/cmdline`.
#[must_use]
pub fn linux_command_line(target: &Target) -> Option<String> {
    let raw = target.dump.stream_bytes(id::LINUX_CMD_LINE)?;
    let words = raw.split(|b| *b == 0).map(|w| String::from_utf8_lossy(w).into_owned());
    let words: Vec<String> = words.filter(|w| !w.is_empty()).collect();
    (!words.is_empty()).then(|| words.join(" "))
}
