//! The text form: for a person at three in the morning. Verdict first, then what it rests on, then the threads in
//! groups, then what this dump cannot answer.

use super::words::{
    cpu_ms, dump_words, frame_name, incident_advice, kind_name, process_words, seconds, sure, system_words,
    unanswered,
};
use crate::doc::{Line, Link, Role, Span};
use crate::document::{
    BucketRow, CapabilityRow, DumpRow, FindingKind, FindingRow, FrameRow, IncidentRow, ScriptFrameRow,
    ThreadRow, TrustName,
};
use dumpscope_core::ThreadIdx;

/// How much to show.
#[derive(Clone, Copy, Debug)]
pub struct TextOptions {
    /// Every thread with its whole stack.
    pub verbose: bool,
    /// Columns of a line; longer ones are wrapped.
    pub width: usize,
}

impl Default for TextOptions {
    fn default() -> TextOptions {
        TextOptions { verbose: false, width: 110 }
    }
}

/// Frames shown of the thread that the verdict is about.
const CULPRIT_FRAMES: usize = 16;
/// Frames shown of other threads.
const OTHER_FRAMES: usize = 6;
/// Groups of threads shown without `verbose`.
const GROUPS: usize = 40;
/// Dumps named that another one would extend.
const EXTENSIONS: usize = 8;
/// Findings shown besides the verdict without `verbose`.
const FINDINGS: usize = 16;
/// Other waiting threads of an incident that are shown without `verbose`.
const ALSO_WAITING: usize = 16;
/// Warnings shown without `verbose`.
const WARNINGS: usize = 8;

/// The lines of one dump's answer.
pub fn dump_lines(row: &DumpRow, options: &TextOptions, emit: &mut dyn FnMut(Line)) {
    emit(Line::new().role(Role::Heading, dumpscope_core::base::text::escape(&row.path)));
    if let Some(error) = &row.error {
        emit(Line::new().role(Role::Error, format!("cannot be analyzed: {}", error.message)));
        return;
    }
    if let Some(v) = &row.verdict {
        verdict(v, row.exception.as_ref().map(|e| e.description.as_str()), options, emit);
    }
    emit(Line::new());
    about(row, options, emit);
    other_findings(row, options, emit);
    threads(row, options, emit);
    handles(row, options, emit);
    limits(&unanswered(row), options, emit);
    warnings(row.warnings.as_deref().unwrap_or_default(), options, emit);
    if let (Some(signature), true) = (&row.signature, options.verbose) {
        emit(Line::new());
        let version = row.signature_version.map(|v| format!(" (version {v})")).unwrap_or_default();
        emit(Line::plain(format!("Signature{version}: {signature}")));
        for step in row.signature_trace.iter().flatten() {
            emit(Line::new().role(Role::Dim, format!("  - {step}")));
        }
    }
}

/// What the list at the end of a batch says of a dump: its path and its verdict.
#[must_use]
pub fn summary_of(row: &DumpRow) -> (String, String) {
    let says = match (&row.error, &row.verdict) {
        (Some(e), _) => format!("cannot be analyzed: {}", e.message),
        (None, Some(v)) if v.kind == FindingKind::Unknown => kind_name(v.kind).to_owned(),
        (None, Some(v)) => format!("{}: {}", kind_name(v.kind), v.summary),
        (None, None) => String::new(),
    };
    (dumpscope_core::base::text::escape(&row.path).into_owned(), says)
}

/// The list at the end of a batch; nothing for a single dump.
pub fn summary_lines(rows: &[(String, String)], emit: &mut dyn FnMut(Line)) {
    if rows.len() < 2 {
        return;
    }
    emit(Line::new());
    emit(Line::new().role(Role::Heading, format!("{} dumps", rows.len())));
    for (path, says) in rows {
        emit(Line::plain("  ").role(Role::Label, path.clone()).text(format!("  {says}")));
    }
}

/// The lines about dumps of the same cause; nothing when no two dumps share one.
pub fn bucket_lines(buckets: &[BucketRow], emit: &mut dyn FnMut(Line)) {
    let shared: Vec<&BucketRow> = buckets.iter().filter(|b| b.count > 1).collect();
    if shared.is_empty() {
        return;
    }
    emit(Line::new().role(Role::Heading, "Same cause"));
    for bucket in shared {
        emit(Line::plain(format!("  {} dumps  {}", bucket.count, bucket.signature)));
        for path in &bucket.paths {
            emit(Line::new().role(Role::Dim, format!("    {}", dumpscope_core::base::text::escape(path))));
        }
    }
}

/// The lines about a wait chain over several dumps.
pub fn incident_lines(incident: &IncidentRow, options: &TextOptions, emit: &mut dyn FnMut(Line)) {
    let head = format!("INCIDENT ({}): ", incident.confidence.name());
    let mut lines = wrap(&incident.root_cause, options.width, head.len(), 2).into_iter();
    let first = lines.next().unwrap_or_default();
    emit(Line::new().role(Role::Error, head).text(first));
    lines.for_each(|l| emit(Line::plain(format!("  {l}"))));
    for (nth, link) in incident.chain.iter().enumerate() {
        item("  - ", &format!("{}: {}", link.who(), link.waits_for), Role::Plain, options, emit);
        let sure = link.confidence.name();
        // The dump's own verdict tells what a wait rests on; here stands what leads from one dump to the other, and
        // for the symptom what its wait rests on.
        let details = link.evidence.iter().filter(|_| options.verbose || nth == 0);
        for (nth, e) in link.reached_by.iter().chain(details).enumerate() {
            let text = if nth == 0 { format!("{sure}: {e}") } else { e.clone() };
            item("      - ", &text, Role::Dim, options, emit);
        }
    }
    if !incident.also_waiting.is_empty() {
        emit(Line::plain("  Also waiting:"));
    }
    let shown = if options.verbose { incident.also_waiting.len() } else { ALSO_WAITING };
    for link in incident.also_waiting.iter().take(shown) {
        item("  - ", &format!("{}: {}", link.who(), link.waits_for), Role::Plain, options, emit);
    }
    if incident.also_waiting.len() > shown {
        let left = incident.also_waiting.len().saturating_sub(shown);
        emit(Line::new().role(Role::Dim, format!("  and {left} more (-v shows all)")));
    }
    for text in &incident.also_found {
        item("  Also in ", text, Role::Plain, options, emit);
    }
    if let Some(text) = incident_advice(incident) {
        item("  Next: ", &text, Role::Note, options, emit);
    }
}

/// Incidents of one dump: which dump would tell more.
pub fn extension_lines<'a>(all: impl Iterator<Item = &'a IncidentRow>, emit: &mut dyn FnMut(Line)) {
    let mut more = 0_usize;
    for (nth, incident) in all.enumerate() {
        if nth >= EXTENSIONS {
            more = more.saturating_add(1);
            continue;
        }
        let pids: Vec<String> = incident.missing_dumps.iter().map(|p| format!("{p:x} (0n{p})")).collect();
        let path = incident.paths.first().map_or("", String::as_str);
        let path = dumpscope_core::base::text::escape(path);
        emit(Line::new());
        emit(Line::new().role(
            Role::Note,
            format!("One more dump would extend {path}: process {}, triaged together", pids.join(", ")),
        ));
    }
    if more > 0 {
        emit(Line::new().role(Role::Dim, format!("and so it is with {more} more dumps")));
    }
}

fn kind_role(kind: FindingKind) -> Role {
    match kind {
        FindingKind::Idle => Role::Good,
        FindingKind::Unknown => Role::Warning,
        _ => Role::Error,
    }
}

/// Kind, sentence, evidence, advice. A crash's exception is told by its sentence already.
fn verdict(f: &FindingRow, exception: Option<&str>, options: &TextOptions, emit: &mut dyn FnMut(Line)) {
    finding_head(f, options, emit);
    if let (Some(e), true) = (exception, f.kind != FindingKind::Crash) {
        emit(Line::plain(format!("  recorded exception: {e}")));
    }
    finding_body(f, options, emit);
}

fn finding_head(f: &FindingRow, options: &TextOptions, emit: &mut dyn FnMut(Line)) {
    let sure = sure(f).map(|sure| format!(" ({sure})")).unwrap_or_default();
    let head = format!("{}{sure}: ", kind_name(f.kind));
    let indent = 2;
    let mut lines = wrap(&f.summary, options.width, head.len(), indent).into_iter();
    let first = lines.next().unwrap_or_default();
    emit(Line::new().role(kind_role(f.kind), head).text(first));
    lines.for_each(|l| emit(Line::plain(format!("{:indent$}{l}", ""))));
}

fn finding_body(f: &FindingRow, options: &TextOptions, emit: &mut dyn FnMut(Line)) {
    for e in &f.evidence {
        item("  - ", e, Role::Plain, options, emit);
    }
    if let Some(advice) = &f.advice {
        item("  Next: ", advice, Role::Note, options, emit);
    }
}

fn other_findings(row: &DumpRow, options: &TextOptions, emit: &mut dyn FnMut(Line)) {
    let rest = row.findings.as_deref().unwrap_or_default().get(1..).unwrap_or_default();
    if rest.is_empty() {
        return;
    }
    emit(Line::new());
    emit(Line::new().role(Role::Heading, "Also found"));
    let shown = if options.verbose { rest.len() } else { FINDINGS };
    for f in rest.iter().take(shown) {
        finding_head(f, options, emit);
        finding_body(f, options, emit);
    }
    if rest.len() > shown {
        let left = rest.len().saturating_sub(shown);
        emit(Line::new().role(Role::Dim, format!("  and {left} more findings (-v shows all)")));
    }
}

/// Process, machine and file in a line or two.
fn about(row: &DumpRow, options: &TextOptions, emit: &mut dyn FnMut(Line)) {
    let parts = [process_words(row), system_words(row), dump_words(row)].into_iter().flatten();
    let text = parts.filter(|p| !p.is_empty()).collect::<Vec<_>>().join(", ");
    item("", &text, Role::Plain, options, emit);
    if let Some(command_line) = row.process.as_ref().and_then(|p| p.command_line.as_deref()) {
        item("Command line: ", command_line.trim(), Role::Text, options, emit);
    }
    for r in row.runtimes.iter().flatten() {
        let version = r.version.as_deref().map(|v| format!(" {v}")).unwrap_or_default();
        let more = match (&r.why, r.readable) {
            (Some(why), false) => why,
            _ => &r.how,
        };
        item("Runtime: ", &format!("{}{version} ({}): {more}", r.name, r.module), Role::Plain, options, emit);
    }
}

/// Threads that do the same, told once.
struct Group<'a> {
    threads: Vec<&'a ThreadRow>,
    /// The verdict is about one of them.
    culprit: bool,
}

fn threads(row: &DumpRow, options: &TextOptions, emit: &mut dyn FnMut(Line)) {
    let Some(all) = row.threads.as_deref() else { return };
    let culprits = row.verdict.as_ref().map(|v| v.tids.as_slice()).unwrap_or_default();
    emit(Line::new());
    let count = if all.len() == 1 { "1 thread".into() } else { format!("{} threads", all.len()) };
    emit(Line::new().role(Role::Heading, count));
    let groups = groups(all, culprits, options.verbose);
    let shown = if options.verbose { groups.len() } else { GROUPS };
    let runtimes: Vec<&str> =
        row.runtimes.iter().flatten().filter(|r| r.readable).map(|r| r.module.as_str()).collect();
    for group in groups.iter().take(shown) {
        show_group(group, &runtimes, options, emit);
    }
    if groups.len() > shown {
        let left: usize = groups.iter().skip(shown).map(|g| g.threads.len()).sum();
        emit(Line::new().role(Role::Dim, format!("  and {left} more threads (-v shows all)")));
    }
}

/// Culprits first, then the others by the number of their first thread. Without `apart` equal threads are joined.
fn groups<'a>(all: &'a [ThreadRow], culprits: &[u32], apart: bool) -> Vec<Group<'a>> {
    let culprits: std::collections::BTreeSet<u32> = culprits.iter().copied().collect();
    let mut out: Vec<Group<'a>> = Vec::new();
    let mut by_key = std::collections::BTreeMap::new();
    for thread in all {
        let culprit = culprits.contains(&thread.tid);
        let key = (thread.activity.as_deref(), names_of(thread));
        let known = if culprit || apart { None } else { by_key.get(&key).copied() };
        match known.and_then(|at: usize| out.get_mut(at)) {
            Some(group) => group.threads.push(thread),
            None => {
                if !culprit {
                    by_key.insert(key, out.len());
                }
                out.push(Group { threads: vec![thread], culprit });
            }
        }
    }
    out.sort_by_key(|g| !g.culprit);
    out
}

/// What makes stacks equal: modules and functions, and offsets where there is no function.
fn names_of(thread: &ThreadRow) -> Vec<(Option<&str>, Option<&str>, Option<u64>)> {
    let frame = |f: &'_ FrameRow| f.displacement.filter(|_| f.function.is_none()).map(|d| d.0);
    let frames = thread.frames.as_deref().unwrap_or_default();
    // What a scan finds differs from thread to thread.
    let sure = frames.iter().take_while(|f| f.trust != TrustName::Scan);
    sure.map(|f| (f.module.as_deref(), f.function.as_deref(), frame(f))).collect()
}

/// A row of a stack as it is shown.
enum Shown<'a> {
    /// A frame and its number.
    Frame(usize, &'a FrameRow),
    /// Frames of a runtime's own code, which only carry the program's: how many, whose.
    Folded(usize, &'a str),
}

/// Folds the frames of a runtime's own code; documents have them all.
fn fold<'a>(frames: &'a [FrameRow], runtimes: &[&str]) -> Vec<Shown<'a>> {
    let own = |f: &'a FrameRow| {
        f.module.as_deref().filter(|m| runtimes.contains(m) && f.symbol_exact != Some(true))
    };
    let mut out: Vec<Shown<'a>> = Vec::new();
    for (n, f) in frames.iter().enumerate() {
        match (own(f), out.last_mut()) {
            (Some(module), Some(Shown::Folded(count, of))) if *of == module => {
                *count = count.saturating_add(1)
            }
            (Some(module), _) => out.push(Shown::Folded(1, module)),
            (None, _) => out.push(Shown::Frame(n, f)),
        }
    }
    // One frame alone is shown as it is.
    let mut at = 0;
    for shown in &mut out {
        match shown {
            Shown::Folded(1, _) => {
                if let Some(f) = frames.get(at) {
                    *shown = Shown::Frame(at, f);
                }
                at = at.saturating_add(1);
            }
            Shown::Folded(n, _) => at = at.saturating_add(*n),
            Shown::Frame(..) => at = at.saturating_add(1),
        }
    }
    out
}

fn show_group(group: &Group<'_>, runtimes: &[&str], options: &TextOptions, emit: &mut dyn FnMut(Line)) {
    let Some(first) = group.threads.first() else { return };
    let mut line = Line::plain(if group.culprit { "> " } else { "  " });
    const IDS: usize = 8;
    for (nth, t) in group.threads.iter().take(IDS).enumerate() {
        let id = Span::new(Role::Thread, format!("{}:{:x}", t.index, t.tid));
        line = line.text(if nth > 0 { ", " } else { "" }).span(id.link(Link::Thread(ThreadIdx(t.index))));
    }
    if group.threads.len() > IDS {
        line = line.text(format!(" and {} more", group.threads.len().saturating_sub(IDS)));
    }
    let own_name = first.script_thread.as_ref().and_then(|t| t.name.as_ref());
    if let (Some(name), 1) = (first.name.as_ref().or(own_name), group.threads.len()) {
        line = line.role(Role::Text, format!(" \"{name}\""));
    }
    if let Some(activity) = &first.activity {
        line = line.text(format!("  {activity}"));
    }
    if let Some(cpu) = group.threads.iter().filter_map(|t| cpu_ms(t)).max() {
        let (most, of) = match group.threads.len() {
            1 => ("", first.elapsed_ms.map(|e| format!(" of {}", seconds(e))).unwrap_or_default()),
            _ => ("at most ", String::new()),
        };
        line = line.role(Role::Dim, format!("  (CPU {most}{}{of})", seconds(cpu)));
    }
    emit(line);
    let script = of_language(first);
    if !script.is_empty() && (group.culprit || options.verbose) {
        let most = if options.verbose { usize::MAX } else { CULPRIT_FRAMES };
        script.iter().take(most).for_each(|f| emit(script_line(f)));
        if script.len() > most {
            let left = script.len().saturating_sub(most);
            emit(Line::new().role(Role::Dim, format!("      and {left} more frames (!script shows all)")));
        }
    } else if !script.is_empty() {
        let names: Vec<&str> = script.iter().take(OTHER_FRAMES).map(|f| f.display.as_str()).collect();
        item("      ", &names.join(" < "), Role::Dim, options, emit);
        return;
    }
    match first.frames.as_deref() {
        None => emit(Line::new().role(Role::Dim, "      no registers in the dump")),
        Some([]) => {}
        Some(frames) if options.verbose || group.culprit && script.is_empty() => {
            let most = if options.verbose { usize::MAX } else { CULPRIT_FRAMES };
            let rows = if options.verbose { fold(frames, &[]) } else { fold(frames, runtimes) };
            let mut told = 0_usize;
            for row in rows.iter().take(most) {
                match row {
                    Shown::Frame(n, f) => {
                        told = told.saturating_add(1);
                        emit(frame_line(first, *n, f));
                    }
                    Shown::Folded(n, module) => {
                        told = told.saturating_add(*n);
                        emit(Line::plain("      ").role(Role::Dim, format!("({n} frames of {module})")));
                    }
                }
            }
            if frames.len() > told {
                let left = frames.len().saturating_sub(told);
                emit(Line::new().role(Role::Dim, format!("      and {left} more frames")));
            }
        }
        Some(frames) => {
            // Where only a scan found something the first frame is all that is known.
            let sure = frames.iter().take_while(|f| f.trust != TrustName::Scan).count();
            let rows = fold(frames.get(..sure).unwrap_or_default(), runtimes);
            let name = |row: &Shown<'_>| match row {
                Shown::Frame(_, f) => frame_name(f),
                Shown::Folded(n, module) => format!("({n} frames of {module})"),
            };
            let names: Vec<String> = rows.iter().take(OTHER_FRAMES).map(name).collect();
            item("      ", &names.join(" < "), Role::Dim, options, emit);
        }
    }
}

/// Frames of a language whose frames are not all machine frames.
fn of_language(thread: &ThreadRow) -> &[ScriptFrameRow] {
    let frames = thread.script_frames.as_deref().unwrap_or_default();
    if frames.iter().any(|f| f.kind == "managed") { &[] } else { frames }
}

fn script_line(f: &ScriptFrameRow) -> Line {
    let line = Line::plain("      ").role(Role::Symbol, f.display.clone());
    match f.source() {
        Some(source) => line.role(Role::Source, format!("  [{} @ {}]", source.file, source.line)),
        None => line,
    }
}

fn frame_line(thread: &ThreadRow, nth: usize, f: &FrameRow) -> Line {
    let link = Link::Frame(ThreadIdx(thread.index), u32::try_from(nth).unwrap_or(u32::MAX));
    let mut line = Line::plain("      ").span(Span::new(Role::Symbol, frame_name(f)).link(link));
    if let Some(source) = &f.source {
        line = line.role(Role::Source, format!("  [{} @ {}]", source.file, source.line));
    }
    match f.trust {
        TrustName::Inline => line.role(Role::Dim, "  (inlined)"),
        TrustName::Scan => line.role(Role::Warning, "  (found by scanning the stack)"),
        TrustName::Context | TrustName::Cfi | TrustName::FramePointer | TrustName::ReturnAddress => line,
    }
}

fn handles(row: &DumpRow, options: &TextOptions, emit: &mut dyn FnMut(Line)) {
    let Some(h) = &row.handles else { return };
    let mut types: Vec<(&String, &u64)> = h.by_type.iter().collect();
    types.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let list: Vec<String> = types.iter().map(|(name, n)| format!("{n} {name}")).collect();
    emit(Line::new());
    match h.total {
        0 => emit(Line::plain("No handle is recorded")),
        n => item(&format!("{n} handles: "), &list.join(", "), Role::Plain, options, emit),
    }
}

/// What the dump cannot answer, and how to write one that can. Remedies of the same tools are told together.
fn limits(missing: &[&CapabilityRow], options: &TextOptions, emit: &mut dyn FnMut(Line)) {
    if missing.is_empty() {
        return;
    }
    emit(Line::new());
    emit(Line::new().role(Role::Heading, "This dump cannot answer"));
    let mut remedies: Vec<(&str, Vec<&str>)> = Vec::new();
    for c in missing {
        item("  - ", &format!("{} ({})", c.question, c.why), Role::Plain, options, emit);
        let (Some(tools), Some(flags)) = (&c.tools, &c.flags) else { continue };
        let at = remedies.iter().position(|(t, _)| t == tools).unwrap_or(remedies.len());
        if at == remedies.len() {
            remedies.push((tools, Vec::new()));
        }
        if let Some((_, all)) = remedies.get_mut(at)
            && !all.contains(&flags.as_str())
        {
            all.push(flags);
        }
    }
    for (tools, flags) in remedies {
        let text = format!("{tools}; from a program MiniDumpWriteDump with {}", flags.join(" | "));
        item("  Next time: ", &text, Role::Note, options, emit);
    }
}

fn warnings(all: &[String], options: &TextOptions, emit: &mut dyn FnMut(Line)) {
    if all.is_empty() {
        return;
    }
    emit(Line::new());
    emit(Line::new().role(Role::Heading, "Warnings"));
    let shown = if options.verbose { all.len() } else { WARNINGS };
    for w in all.iter().take(shown) {
        item("  - ", w, Role::Warning, options, emit);
    }
    if all.len() > shown {
        let left = all.len().saturating_sub(shown);
        emit(Line::new().role(Role::Dim, format!("  and {left} more (-v shows all)")));
    }
}

/// A head and a text that continues below itself.
fn item(head: &str, text: &str, role: Role, options: &TextOptions, emit: &mut dyn FnMut(Line)) {
    let indent = head.chars().count();
    for (nth, part) in wrap(text, options.width, indent, indent).into_iter().enumerate() {
        let front = if nth == 0 { head.to_owned() } else { " ".repeat(indent) };
        emit(Line::plain(front).role(role, part));
    }
}

/// Breaks a text at blanks: the first line begins at column `first`, the others at `rest`. Words longer than a line
/// stay whole. Never empty.
fn wrap(text: &str, width: usize, first: usize, rest: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut column = first;
    for word in text.split(' ') {
        let len = word.chars().count();
        let Some(last) = lines.last_mut() else { break };
        if !last.is_empty() && column.saturating_add(len).saturating_add(1) > width {
            lines.push(word.to_owned());
            column = rest.saturating_add(len);
            continue;
        }
        if !last.is_empty() {
            last.push(' ');
            column = column.saturating_add(1);
        }
        last.push_str(word);
        column = column.saturating_add(len);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fmt::Hex;

    fn thread(index: u32, function: &str) -> ThreadRow {
        let frame = FrameRow {
            ip: Hex(1),
            sp: Hex(2),
            module: Some("m".into()),
            function: Some(function.into()),
            symbol_exact: Some(true),
            displacement: Some(Hex(u64::from(index))),
            source: None,
            inline: false,
            trust: TrustName::Context,
            issue: None,
            args: None,
        };
        ThreadRow {
            index,
            tid: index + 0x10,
            name: None,
            user_ms: None,
            kernel_ms: None,
            elapsed_ms: None,
            activity: None,
            frames: Some(vec![frame]),
            native_frames: None,
            script_frames: None,
            script_thread: None,
            wait: None,
            dll_main: None,
        }
    }

    #[test]
    fn equal_threads_are_told_once_and_culprits_first() {
        let all = [thread(0, "a"), thread(1, "b"), thread(2, "a"), thread(3, "b")];
        let ids = |gs: Vec<Group<'_>>| {
            gs.iter().map(|g| g.threads.iter().map(|t| t.index).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        assert_eq!(ids(groups(&all, &[], false)), [vec![0, 2], vec![1, 3]]);
        assert_eq!(ids(groups(&all, &[0x13], false)), [vec![3], vec![0, 2], vec![1]]);
        assert_eq!(ids(groups(&all, &[], true)).len(), 4);
    }

    #[test]
    fn wrapping_keeps_long_words() {
        assert_eq!(wrap("aa bb cccccccccc d", 6, 0, 2), ["aa bb", "cccccccccc", "d"]);
        assert_eq!(wrap("", 6, 0, 2), [""]);
    }

    #[test]
    fn an_error_row_says_why() {
        let row = DumpRow::failed(
            "x\u{1b}.dmp",
            crate::document::ErrorRow { kind: "io".into(), message: "gone".into() },
        );
        let mut lines = Vec::new();
        dump_lines(&row, &TextOptions::default(), &mut |l| lines.push(l.to_text()));
        assert_eq!(lines, ["x\\x1b.dmp", "cannot be analyzed: gone"]);
    }
}
