//! Markdown as GitHub reads it: reports, and the text of an issue.

use super::words::{
    cpu_ms, dump_words, frame_name, incident_advice, kind_and_confidence, process_words, seconds,
    system_words, unanswered,
};
use super::{FormatOptions, RowWriter, Tail};
use crate::document::{DumpRow, FindingRow, ThreadRow, TrustName};
use dumpscope_core::base::text::escape;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Frames shown of a thread without `verbose`.
const FRAMES: usize = 40;
/// Threads shown without `verbose`.
const THREADS: usize = 60;

/// A section for each dump.
pub(super) struct Markdown<W: Write> {
    out: W,
    verbose: bool,
    rows: Vec<(String, String, String)>,
}

impl<W: Write> Markdown<W> {
    pub(super) fn new(out: W, options: &FormatOptions) -> Markdown<W> {
        Markdown { out, verbose: options.verbose, rows: Vec::new() }
    }
}

impl<W: Write> RowWriter for Markdown<W> {
    fn row(&mut self, row: &DumpRow) -> io::Result<()> {
        let mut text = if self.rows.is_empty() { String::new() } else { "\n".to_owned() };
        let (kind, says) = headline(row);
        let _ = writeln!(text, "## {}: {kind}\n", md(&row.path));
        body(row, self.verbose, &mut text);
        self.rows.push((md(&row.path), kind, says));
        self.out.write_all(text.as_bytes())
    }

    fn end(&mut self, tail: &Tail) -> io::Result<()> {
        let mut text = String::new();
        if self.rows.len() > 1 {
            let _ =
                write!(text, "\n## {} dumps\n\n| Dump | Verdict | |\n| --- | --- | --- |\n", self.rows.len());
            for (path, kind, says) in &self.rows {
                let _ = writeln!(text, "| {path} | {kind} | {says} |");
            }
        }
        let shared: Vec<_> = tail.buckets.iter().filter(|b| b.count > 1).collect();
        if !shared.is_empty() {
            text.push_str("\n## Same cause\n\n");
            for bucket in shared {
                let _ = writeln!(text, "- {} dumps: {}", bucket.count, code(&bucket.signature));
                for path in &bucket.paths {
                    let _ = writeln!(text, "  - {}", md(path));
                }
            }
        }
        for incident in tail.incidents() {
            let _ = write!(
                text,
                "\n## Incident ({})\n\n{}\n\n",
                incident.confidence.name(),
                md(&incident.root_cause)
            );
            for (nth, link) in incident.chain.iter().enumerate() {
                let who = md(&link.who());
                let _ = writeln!(text, "{}. {who}: {}", nth.saturating_add(1), md(&link.waits_for));
                let sure = link.confidence.name();
                for (nth, e) in link.reached_by.iter().chain(&link.evidence).enumerate() {
                    let sure = if nth == 0 { format!("{sure}: ") } else { String::new() };
                    let _ = writeln!(text, "   - {sure}{}", md(e));
                }
            }
            if !incident.also_waiting.is_empty() {
                text.push_str("\nAlso waiting:\n\n");
            }
            for link in &incident.also_waiting {
                let _ = writeln!(text, "- {}: {}", md(&link.who()), md(&link.waits_for));
            }
            for also in &incident.also_found {
                let _ = writeln!(text, "\nAlso in {}", md(also));
            }
            if let Some(next) = incident_advice(incident) {
                let _ = writeln!(text, "\n**Next:** {}", md_code(&next));
            }
        }
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

/// Title and text of an issue about a dump, for a program that files one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// One line of plain text.
    pub title: String,
    /// Markdown. Nothing of a dump's texts in it is a link, a mention or markup.
    pub body: String,
}

/// The text of an issue about a dump. Issues of dumps with the same `signature` are about the same cause.
#[must_use]
pub fn issue(row: &DumpRow) -> Issue {
    let process = row.process.as_ref().and_then(|p| p.name.clone()).unwrap_or_else(|| row.path.clone());
    let says = match (&row.error, &row.verdict) {
        (Some(e), _) => format!("dump cannot be analyzed: {}", e.message),
        (None, Some(v)) => format!("{}: {}", v.kind.row().title, v.summary),
        (None, None) => "no verdict".into(),
    };
    let mut body = String::new();
    self::body(row, false, &mut body);
    let title: String = escape(&format!("{process}: {says}")).chars().take(200).collect();
    Issue { title, body }
}

fn headline(row: &DumpRow) -> (String, String) {
    match (&row.error, &row.verdict) {
        (Some(e), _) => ("cannot be analyzed".into(), md(&e.message)),
        (None, Some(v)) => (kind_and_confidence(v), md(&v.summary)),
        (None, None) => ("no verdict".into(), String::new()),
    }
}

fn body(row: &DumpRow, verbose: bool, out: &mut String) {
    if let Some(e) = &row.error {
        let _ = writeln!(out, "**Cannot be analyzed:** {}", md(&e.message));
        return;
    }
    if let Some(v) = &row.verdict {
        let _ = writeln!(out, "**{}**\n", md(&v.summary));
        finding(v, out);
    }
    about(row, out);
    for f in row.findings.iter().flatten().skip(1) {
        let _ = writeln!(out, "\n### Also: {}\n\n{}\n", kind_and_confidence(f), md(&f.summary));
        finding(f, out);
    }
    threads(row, verbose, out);
    let missing = unanswered(row);
    if !missing.is_empty() {
        out.push_str("\n### This dump cannot answer\n\n");
        for c in missing {
            let _ = writeln!(out, "- {} ({})", md(&c.question), md(&c.why));
            if let Some(next) = &c.next_time {
                let _ = writeln!(out, "  - next time: {}", md_code(next));
            }
        }
    }
    let warnings = row.warnings.as_deref().unwrap_or_default();
    if !warnings.is_empty() {
        out.push_str("\n### Warnings\n\n");
        let shown = if verbose { warnings.len() } else { 8 };
        for w in warnings.iter().take(shown) {
            let _ = writeln!(out, "- {}", md(w));
        }
        if warnings.len() > shown {
            let _ = writeln!(out, "- and {} more", warnings.len().saturating_sub(shown));
        }
    }
}

fn finding(f: &FindingRow, out: &mut String) {
    for e in &f.evidence {
        let _ = writeln!(out, "- {}", md(e));
    }
    if let Some(advice) = &f.advice {
        let blank = if f.evidence.is_empty() { "" } else { "\n" };
        let _ = writeln!(out, "{blank}**Next:** {}", md(advice));
    }
}

fn about(row: &DumpRow, out: &mut String) {
    out.push_str("\n| | |\n| --- | --- |\n");
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            let _ = writeln!(out, "| {name} | {value} |");
        }
    };
    line("Process", process_words(row).map(|w| md(&w)));
    let process = row.process.as_ref();
    line("Command line", process.and_then(|p| p.command_line.as_deref()).map(|c| code(c.trim())));
    line("System", system_words(row).map(|w| md(&w)));
    line("Dump", dump_words(row).map(|w| md(&w)));
    line("Exception", row.exception.as_ref().map(|e| md(&e.description)));
    line("Signature", row.signature.as_deref().map(code));
}

fn threads(row: &DumpRow, verbose: bool, out: &mut String) {
    let Some(all) = row.threads.as_deref().filter(|t| !t.is_empty()) else { return };
    let culprits = row.verdict.as_ref().map(|v| v.tids.as_slice()).unwrap_or_default();
    let (first, rest): (Vec<&ThreadRow>, Vec<&ThreadRow>) =
        all.iter().partition(|t| culprits.contains(&t.tid));
    let _ = writeln!(out, "\n### Threads\n");
    let most = if verbose { usize::MAX } else { THREADS };
    for t in first.iter().chain(&rest).take(most) {
        thread(t, culprits.contains(&t.tid), verbose, out);
    }
    if all.len() > most {
        let _ = writeln!(out, "and {} more threads", all.len().saturating_sub(most));
    }
}

fn thread(t: &ThreadRow, culprit: bool, verbose: bool, out: &mut String) {
    let mut head = format!("{}:{:x}", t.index, t.tid);
    if let Some(name) = &t.name {
        let _ = write!(head, " \"{name}\"");
    }
    if let Some(activity) = &t.activity {
        let _ = write!(head, " {activity}");
    }
    if let Some(cpu) = cpu_ms(t) {
        let _ = write!(head, " (CPU {})", seconds(cpu));
    }
    let open = if culprit { " open" } else { "" };
    // The summary is HTML; a blank line ends it for what follows.
    let _ = writeln!(out, "<details{open}><summary>{}</summary>\n", html_text(&head));
    let Some(frames) = &t.frames else {
        out.push_str("no registers in the dump\n\n</details>\n\n");
        return;
    };
    let most = if verbose { usize::MAX } else { FRAMES };
    let mut lines: Vec<String> = Vec::new();
    for f in frames.iter().take(most) {
        let mut line = escape(&frame_name(f)).into_owned();
        if let Some(s) = &f.source {
            let _ = write!(line, "  [{} @ {}]", escape(&s.file), s.line);
        }
        line.push_str(match f.trust {
            TrustName::Inline => "  (inlined)",
            TrustName::Scan => "  (found by scanning the stack)",
            _ => "",
        });
        lines.push(line);
    }
    if frames.len() > most {
        lines.push(format!("and {} more frames", frames.len().saturating_sub(most)));
    }
    let fence = fence(&lines, 3);
    let _ = writeln!(out, "{fence}text\n{}\n{fence}\n\n</details>\n", lines.join("\n"));
}

/// Backticks, more than any text between them has in a row.
fn fence(lines: &[String], least: usize) -> String {
    let mut longest = 0;
    for line in lines {
        let mut run = 0usize;
        for c in line.chars() {
            run = if c == '`' { run.saturating_add(1) } else { 0 };
            longest = longest.max(run);
        }
    }
    "`".repeat(least.max(longest.saturating_add(1)))
}

/// A code span that stays in its table cell.
fn code(text: &str) -> String {
    // A code span cannot hold `|` in a table cell without the backslash showing elsewhere: written as HTML.
    format!("<code>{}</code>", html_text(text))
}

/// Text in HTML within Markdown: also what Markdown would read in it.
fn html_text(text: &str) -> String {
    let mut out = String::new();
    for c in escape(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' | '#' | '@' | '!' => {
                let _ = write!(out, "&#{};", c as u32);
            }
            c => out.push(c),
        }
    }
    // These would become links.
    out.replace("www.", "www&#46;").replace("://", "&#58;//")
}

/// Text as Markdown shows it: no markup, no HTML, no link, no mention, no reference to an issue.
pub(super) fn md(text: &str) -> String {
    let text = escape(text);
    let mut out = String::with_capacity(text.len() + 16);
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied().unwrap_or(' ');
        match c {
            // Mentions and references are found in what Markdown shows, so a backslash does not help; code does.
            '@' | '#' if !before.is_alphanumeric() && next.is_alphanumeric() => {
                let _ = write!(out, "`{c}`");
            }
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '$' | '&'
            | '@' => {
                out.push('\\');
                out.push(c);
            }
            // `http://` and `www.` would become links.
            ':' if next == '/' => out.push_str("\\:"),
            '.' if before.eq_ignore_ascii_case(&'w') => out.push_str("\\."),
            c => out.push(c),
        }
        before = c;
    }
    out
}

/// As [`md`]; what stands between backticks is code.
fn md_code(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return md(text);
    }
    let part = |(n, part): (usize, &&str)| match n % 2 {
        1 if !part.is_empty() => format!("`{}`", escape(part)),
        _ => md(part),
    };
    parts.iter().enumerate().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_texts() {
        assert_eq!(md("a*b_c <b>|x| [l](u)"), "a\\*b\\_c \\<b\\>\\|x\\| \\[l\\](u)");
        assert_eq!(md("ask @octocat, see #12"), "ask `@`octocat, see `#`12");
        assert_eq!(md("_foo@8+0x1"), "\\_foo\\@8+0x1");
        assert_eq!(md("https://x www.y"), "https\\://x www\\.y");
        assert_eq!(md("a\nb"), "a\\\\x0ab");
        assert_eq!(html_text("\"C:\\x\" https://y"), "\"C:&#92;x\" https&#58;//y");
        assert_eq!(html_text("<b>*x*</b>"), "&lt;b&gt;&#42;x&#42;&lt;/b&gt;");
        assert_eq!(md_code("`procdump -ma` or *x*"), "`procdump -ma` or \\*x\\*");
        assert_eq!(md_code("a ` b"), "a \\` b");
        assert_eq!(fence(&["a``` b".into()], 3), "````");
    }
}
