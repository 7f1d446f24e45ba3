//! One page that needs nothing else: no scripts, no fonts, no network; it reads well without its style, too.

use super::words::{
    cpu_ms, dump_words, frame_name, incident_advice, process_words, seconds, sure, system_words, unanswered,
};
use super::{FormatOptions, RowWriter, Tail, svg::svg};
use crate::document::WaitGraph;
use crate::document::{DumpRow, FindingRow, FrameRow, LockRow, OwnerState, ThreadRow, TrustName};
use dumpscope_core::base::text::escape;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Frames shown of a thread without `verbose`.
const FRAMES: usize = 100;

const STYLE: &str = include_str!("html.css");

/// A page with a section for each dump; the list of all stands last in the file and first on the screen.
pub(super) struct Html<W: Write> {
    out: W,
    verbose: bool,
    begun: bool,
    /// Rows of the list of all dumps.
    list: String,
    rows: usize,
}

impl<W: Write> Html<W> {
    pub(super) fn new(out: W, options: &FormatOptions) -> Html<W> {
        Html { out, verbose: options.verbose, begun: false, list: String::new(), rows: 0 }
    }

    fn begin(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        // The policy forbids everything that a hostile text could want, should it ever get through.
        write!(
            self.out,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"generator\" content=\"dumpscope {}\">\n<title>dumpscope</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n",
            env!("CARGO_PKG_VERSION")
        )
    }
}

impl<W: Write> RowWriter for Html<W> {
    fn row(&mut self, row: &DumpRow) -> io::Result<()> {
        self.begin()?;
        self.rows = self.rows.saturating_add(1);
        let id = format!("d{}", self.rows);
        let mut text = String::new();
        section(row, &id, self.verbose, &mut text);
        list_row(row, &id, &mut self.list);
        self.out.write_all(text.as_bytes())
    }

    fn end(&mut self, tail: &Tail) -> io::Result<()> {
        self.begin()?;
        let mut text = String::new();
        let count = if self.rows == 1 { "1 dump".into() } else { format!("{} dumps", self.rows) };
        let _ = writeln!(text, "<header class=\"all\">\n<h1>{count}</h1>");
        if self.rows > 0 {
            let _ = writeln!(
                text,
                "<table><thead><tr><th>Dump</th><th>Verdict</th><th></th></tr></thead><tbody>\n{}</tbody></table>",
                self.list
            );
        }
        buckets(tail, &mut text);
        incidents(tail, &mut text);
        text.push_str("</header>\n</body>\n</html>\n");
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

/// Text for HTML and XML, elements and attributes alike. Characters that XML may not hold at all are escaped as
/// unsafe ones.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in escape(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Escaped text; what stands between backticks is code.
fn with_code(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return escaped(text);
    }
    let part = |(n, part): (usize, &&str)| match n % 2 {
        1 => format!("<code>{}</code>", escaped(part)),
        _ => escaped(part),
    };
    parts.iter().enumerate().map(part).collect()
}

/// `<strong class="kind crash">Crash</strong> proven`.
fn badge(f: &FindingRow) -> String {
    let sure = sure(f).map(|sure| format!(" <span class=\"sure\">{sure}</span>")).unwrap_or_default();
    format!("<strong class=\"kind {}\">{}</strong>{sure}", f.kind.name(), f.kind.row().title)
}

fn list_row(row: &DumpRow, id: &str, out: &mut String) {
    let (verdict, says) = match (&row.error, &row.verdict) {
        (Some(e), _) => ("<strong class=\"kind error\">Error</strong>".into(), escaped(&e.message)),
        (None, Some(v)) => (badge(v), escaped(&v.summary)),
        (None, None) => (String::new(), String::new()),
    };
    let path = escaped(&row.path);
    let _ = writeln!(
        out,
        "<tr><td><a href=\"#{id}\">{path}</a></td><td class=\"nowrap\">{verdict}</td><td>{says}</td></tr>"
    );
}

fn buckets(tail: &Tail, out: &mut String) {
    let mut shared = tail.buckets.iter().filter(|b| b.count > 1).peekable();
    if shared.peek().is_none() {
        return;
    }
    out.push_str("<h2>Same cause</h2>\n");
    for bucket in shared {
        let signature = escaped(&bucket.signature);
        let _ =
            writeln!(out, "<details><summary>{} dumps: <code>{signature}</code></summary><ul>", bucket.count);
        for path in &bucket.paths {
            let _ = writeln!(out, "<li>{}</li>", escaped(path));
        }
        out.push_str("</ul></details>\n");
    }
}

fn incidents(tail: &Tail, out: &mut String) {
    for (nth, incident) in tail.incidents().enumerate() {
        let sure = incident.confidence.name();
        let cause = escaped(&incident.root_cause);
        let _ = writeln!(out, "<h2>Incident <span class=\"sure\">{sure}</span></h2>\n<p>{cause}</p>");
        let graph = WaitGraph::of_chain(incident);
        if !graph.is_empty() {
            let picture = svg(&graph, &format!("i{nth}"));
            let _ = writeln!(
                out,
                "<figure>\n<figcaption>Who waits for whom over the processes</figcaption>\n{picture}</figure>"
            );
        }
        out.push_str("<ol>\n");
        for link in &incident.chain {
            let _ = writeln!(out, "<li>{}: {}", escaped(&link.who()), escaped(&link.waits_for));
            let sure = link.confidence.name();
            evidence(sure, link.reached_by.iter().chain(&link.evidence), out);
            out.push_str("</li>\n");
        }
        out.push_str("</ol>\n");
        if !incident.also_waiting.is_empty() {
            out.push_str("<p>Also waiting:</p>\n<ul>\n");
            for link in &incident.also_waiting {
                let _ = writeln!(out, "<li>{}: {}</li>", escaped(&link.who()), escaped(&link.waits_for));
            }
            out.push_str("</ul>\n");
        }
        for text in &incident.also_found {
            let _ = writeln!(out, "<p>Also in {}</p>", escaped(text));
        }
        if let Some(next) = incident_advice(incident) {
            let _ = writeln!(out, "<p class=\"next\"><b>Next:</b> {}</p>", with_code(&next));
        }
    }
}

/// What a step of a chain rests on.
fn evidence<'a>(sure: &str, all: impl Iterator<Item = &'a String>, out: &mut String) {
    let mut all = all.peekable();
    if all.peek().is_none() {
        return;
    }
    let _ = writeln!(out, "\n<details><summary class=\"dim\">{sure}: why</summary><ul>");
    for e in all {
        let _ = writeln!(out, "<li>{}</li>", escaped(e));
    }
    out.push_str("</ul></details>");
}

fn section(row: &DumpRow, id: &str, verbose: bool, out: &mut String) {
    let _ = writeln!(out, "<section id=\"{id}\">\n<h2>{}</h2>", escaped(&row.path));
    if let Some(e) = &row.error {
        let message = escaped(&e.message);
        let _ = writeln!(
            out,
            "<p><strong class=\"kind error\">Cannot be analyzed</strong> {message}</p>\n</section>"
        );
        return;
    }
    if let Some(v) = &row.verdict {
        let _ = writeln!(out, "<div class=\"verdict\">\n<p>{} {}</p>", badge(v), escaped(&v.summary));
        finding(v, out);
        out.push_str("</div>\n");
    }
    let graph = WaitGraph::of(row);
    if !graph.is_empty() {
        let _ = write!(out, "<figure>\n<figcaption>Who waits for whom</figcaption>\n{}", svg(&graph, id));
        if graph.left_out > 0 {
            let _ = writeln!(out, "<p>and {} more threads that wait</p>", graph.left_out);
        }
        out.push_str("</figure>\n");
    }
    about(row, out);
    for f in row.findings.iter().flatten().skip(1) {
        let _ = writeln!(
            out,
            "<div class=\"also\">\n<h3>Also found</h3>\n<p>{} {}</p>",
            badge(f),
            escaped(&f.summary)
        );
        finding(f, out);
        out.push_str("</div>\n");
    }
    locks(row, out);
    threads(row, verbose, out);
    limits(row, out);
    out.push_str("</section>\n");
}

fn finding(f: &FindingRow, out: &mut String) {
    if !f.evidence.is_empty() {
        out.push_str("<ul>\n");
        for e in &f.evidence {
            let _ = writeln!(out, "<li>{}</li>", escaped(e));
        }
        out.push_str("</ul>\n");
    }
    if let Some(advice) = &f.advice {
        let _ = writeln!(out, "<p class=\"next\"><b>Next:</b> {}</p>", escaped(advice));
    }
}

fn about(row: &DumpRow, out: &mut String) {
    out.push_str("<dl>\n");
    let mut line = |name: &str, value: Option<&str>, tag: &str| {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            let _ = writeln!(out, "<dt>{name}</dt><dd><{tag}>{}</{tag}></dd>", escaped(value));
        }
    };
    line("Process", process_words(row).as_deref(), "span");
    line("Command line", row.process.as_ref().and_then(|p| p.command_line.as_deref()).map(str::trim), "code");
    line("System", system_words(row).as_deref(), "span");
    line("Dump", dump_words(row).as_deref(), "span");
    line("Exception", row.exception.as_ref().map(|e| e.description.as_str()), "span");
    line("Signature", row.signature.as_deref(), "code");
    out.push_str("</dl>\n");
}

fn locks(row: &DumpRow, out: &mut String) {
    let all: Vec<&LockRow> = row.locks.iter().flatten().collect();
    if all.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "<details><summary>{} locks</summary>\n<table><thead><tr><th>Lock</th><th>Owner</th><th>Waiters</th></tr>\
         </thead><tbody>",
        all.len()
    );
    for l in all {
        let name = l.symbol.as_deref().map(|s| format!(" {}", escaped(s))).unwrap_or_default();
        let owner = match (l.owner_tid, l.owner) {
            (Some(t), OwnerState::Missing) => format!("{t:x}, which no longer exists"),
            (Some(t), OwnerState::Alive) => format!("{t:x}"),
            (Some(t), OwnerState::Unknown) => format!("{t:x}?"),
            (None, _) => "not known".into(),
        };
        let waiters: Vec<String> = l.waiters.iter().map(|t| format!("{t:x}")).collect();
        let _ = writeln!(
            out,
            "<tr><td><code>{:x}</code>{name}</td><td>{owner}</td><td>{}</td></tr>",
            l.address.0,
            waiters.join(", ")
        );
    }
    out.push_str("</tbody></table></details>\n");
}

fn threads(row: &DumpRow, verbose: bool, out: &mut String) {
    let all = row.threads.as_deref().unwrap_or_default();
    let culprits = row.verdict.as_ref().map(|v| v.tids.as_slice()).unwrap_or_default();
    let (first, rest): (Vec<&ThreadRow>, Vec<&ThreadRow>) =
        all.iter().partition(|t| culprits.contains(&t.tid));
    let count = if all.len() == 1 { "1 thread".into() } else { format!("{} threads", all.len()) };
    let _ = writeln!(out, "<h3>{count}</h3>");
    for t in first.iter().chain(&rest) {
        thread(t, culprits.contains(&t.tid), verbose, out);
    }
}

fn thread(t: &ThreadRow, culprit: bool, verbose: bool, out: &mut String) {
    let class = if culprit { " class=\"culprit\" open" } else { "" };
    let _ = write!(out, "<details{class}><summary><code>{}:{:x}</code>", t.index, t.tid);
    if let Some(name) = &t.name {
        let _ = write!(out, " “{}”", escaped(name));
    }
    if let Some(activity) = &t.activity {
        let _ = write!(out, " {}", escaped(activity));
    }
    if let Some(cpu) = cpu_ms(t) {
        let _ = write!(out, " <span class=\"dim\">CPU {}</span>", seconds(cpu));
    }
    out.push_str("</summary>\n");
    match &t.frames {
        Some(frames) => stack(frames, verbose, out),
        None => out.push_str("<p class=\"dim\">no registers in the dump</p>\n"),
    }
    if let Some(native) = t.native_frames.as_deref().filter(|n| !n.is_empty()) {
        out.push_str("<details><summary>64-bit stack</summary>\n");
        stack(native, verbose, out);
        out.push_str("</details>\n");
    }
    out.push_str("</details>\n");
}

fn stack(frames: &[FrameRow], verbose: bool, out: &mut String) {
    out.push_str("<ol class=\"stack\" start=\"0\">\n");
    let most = if verbose { usize::MAX } else { FRAMES };
    for f in frames.iter().take(most) {
        let _ = write!(out, "<li><code>{}</code>", escaped(&frame_name(f)));
        if let Some(s) = &f.source {
            let _ = write!(out, " <span class=\"dim\">{}:{}</span>", escaped(&s.file), s.line);
        }
        let trust = match f.trust {
            TrustName::Inline => " <span class=\"dim\">inlined</span>",
            TrustName::Scan => " <span class=\"warning\">found by scanning the stack</span>",
            _ => "",
        };
        out.push_str(trust);
        args(f, out);
        out.push_str("</li>\n");
    }
    out.push_str("</ol>\n");
    if frames.len() > most {
        let _ = writeln!(out, "<p class=\"dim\">and {} more frames</p>", frames.len().saturating_sub(most));
    }
}

/// Arguments that are known, with what they mean.
fn args(f: &FrameRow, out: &mut String) {
    let known: Vec<String> = f
        .args
        .iter()
        .flatten()
        .filter_map(|a| {
            let value = format!("{:#x}", a.value.as_ref()?.0);
            let name = a.name.as_deref().map(|n| format!("{n} = ")).unwrap_or_default();
            let hint = a.hint.as_deref().map(|h| format!(" ({h})")).unwrap_or_default();
            Some(escaped(&format!("{name}{value}{hint}")))
        })
        .collect();
    if !known.is_empty() {
        let _ = write!(out, "<br><span class=\"dim\">{}</span>", known.join(", "));
    }
}

fn limits(row: &DumpRow, out: &mut String) {
    let missing = unanswered(row);
    if !missing.is_empty() {
        out.push_str("<details><summary>This dump cannot answer</summary>\n<ul>\n");
        for c in missing {
            let _ = write!(out, "<li>{} ({})", escaped(&c.question), escaped(&c.why));
            if let Some(next) = &c.next_time {
                let _ = write!(out, "<br><span class=\"next\">Next time: {}</span>", with_code(next));
            }
            out.push_str("</li>\n");
        }
        out.push_str("</ul></details>\n");
    }
    let warnings = row.warnings.as_deref().unwrap_or_default();
    if !warnings.is_empty() {
        let _ = writeln!(out, "<details><summary>{} warnings</summary>\n<ul>", warnings.len());
        for w in warnings {
            let _ = writeln!(out, "<li>{}</li>", escaped(w));
        }
        out.push_str("</ul></details>\n");
    }
}
