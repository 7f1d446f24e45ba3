//! What WinDbg's own engine printed (`shared/windbg`, see its README), line by line against ours.
//!
//! Every block runs in a session of its own behind its file's setup lines, as `shared/windbg/conform.py` does with
//! `exec --layout modern`; only the dump and its symbols are opened once for each file.

use dumpscope_core::model::Dump;
use dumpscope_engine::{Host, HostError, Layout, Session, TextSink, run_line};
use dumpscope_symbols::SymbolConfig;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Files whose area has a part of its own in the suite but counts with another.
const JOINED: &[(&str, &str)] = &[
    ("asm", "code"),
    ("unicode", "mem"),
    ("edge", "mem"),
    ("dec", "radix"),
    ("oct", "radix"),
    ("exprcpp", "radix"),
    ("dt2", "dt"),
    ("live86", "live"),
    ("wow32", "wow"),
];

/// One file of the suite.
#[derive(Default)]
struct Suite {
    name: String,
    head: BTreeMap<String, String>,
    setup: Vec<String>,
    /// A line and what the engine printed.
    blocks: Vec<(String, String)>,
}

impl Suite {
    fn parse(path: &Path) -> Suite {
        let text = std::fs::read_to_string(path).unwrap();
        let mut suite =
            Suite { name: path.file_stem().unwrap().to_str().unwrap().into(), ..Suite::default() };
        let mut blocks: Vec<(String, Vec<&str>)> = Vec::new();
        for line in text.split('\n') {
            if let Some(typed) = line.strip_prefix(">>> ") {
                blocks.push((typed.to_owned(), Vec::new()));
            } else if let Some((_, answer)) = blocks.last_mut() {
                answer.push(line);
            } else if let Some(setup) = line.strip_prefix("# setup ") {
                suite.setup.push(setup.to_owned());
            } else if let Some((key, value)) = line.strip_prefix("# ").and_then(|l| l.split_once(' ')) {
                suite.head.insert(key.to_owned(), value.to_owned());
            }
        }
        suite.blocks = blocks
            .into_iter()
            .map(|(typed, answer)| (typed, wanted(&answer.join("\n"))))
            // The engine's own filler, and its own folder.
            .filter(|(typed, answer)| !answer.contains("f0f0f0f0") && !typed.contains(".nvload nosuch"))
            .collect();
        suite
    }

    fn area(&self) -> &str {
        let own = self.head.get("area").map_or(self.name.as_str(), String::as_str);
        JOINED.iter().find(|(part, _)| *part == own).map_or(own, |(_, whole)| whole)
    }

    fn head(&self, key: &str) -> &str {
        self.head.get(key).map_or("", String::as_str)
    }
}

/// A recorded answer without its last newline.
fn wanted(answer: &str) -> String {
    let answer = answer.trim_end_matches('\n');
    answer.strip_suffix("\\ no newline at the end").unwrap_or(answer).trim_end_matches('\n').to_owned()
}

/// The dump of a file: in the suite's own folder, beside it, or in the corpus.
fn dump_path(shared: &Path, name: &str) -> Option<PathBuf> {
    let places =
        [shared.join("windbg/dumps").join(name), shared.join(name), shared.join("corpus").join(name)];
    let packed = shared.join(format!("{name}.zst"));
    places.into_iter().chain([packed]).find(|p| p.exists())
}

/// `text` with any `root` in it as `name`, and the sign behind it as `/`.
fn with_roots(text: &str, roots: &[&str]) -> String {
    let mut out = text.to_owned();
    for (i, root) in roots.iter().enumerate().filter(|(_, r)| !r.is_empty()) {
        let (lower, wanted) = (out.to_ascii_lowercase(), root.to_ascii_lowercase());
        let mut result = String::new();
        let mut at = 0;
        while let Some(found) = lower[at..].find(&wanted) {
            write!(result, "{}<path{i}>", &out[at..at + found]).unwrap();
            at += found + wanted.len();
            if lower[at..].starts_with(['\\', '/']) {
                result.push('/');
                at += 1;
            }
        }
        result.push_str(&out[at..]);
        out = result;
    }
    let shown = |l: &&str| !["<box of stars", "***  ", "*****"].iter().any(|s| l.starts_with(s));
    out.split('\n').filter(shown).collect::<Vec<_>>().join("\n")
}

/// Equal, when paths of the recording stand for ours, `<now>` for any text and the box of stars for any or none.
fn same(wanted: &str, got: &str, seen: &[&str; 2], here: &[&str; 2]) -> bool {
    let (wanted, got) = (with_roots(wanted, seen), with_roots(got, here));
    if wanted == got {
        return true;
    }
    let mut parts = wanted.split("<now>");
    let Some(mut rest) = parts.next().and_then(|first| got.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    for (i, part) in parts.iter().enumerate() {
        let found = if i + 1 == parts.len() { rest.len().checked_sub(part.len()) } else { rest.find(part) };
        let Some(at) = found.filter(|at| rest.get(*at..).is_some_and(|t| t.starts_with(part))) else {
            return false;
        };
        if rest[..at].contains('\n') {
            return false;
        }
        rest = &rest[at + part.len()..];
    }
    !parts.is_empty()
}

/// Equal, equal but for blanks, all.
#[derive(Clone, Copy, Default)]
pub(crate) struct Score {
    pub(crate) equal: usize,
    pub(crate) loosely: usize,
    pub(crate) all: usize,
}

/// Reads the suite's own files, writes none.
#[derive(Debug)]
pub(crate) struct Files;

impl Host for Files {
    fn open_log(&self, _path: &str, _append: bool) -> Result<(), HostError> {
        Err(HostError { win32: 5, text: "read only".into() })
    }

    fn close_log(&self) -> Option<String> {
        None
    }

    fn log_file(&self) -> Option<String> {
        None
    }

    fn log(&self, _line: &str) {}

    fn read_script(&self, path: &str) -> Result<String, HostError> {
        std::fs::read_to_string(path).map_err(|e| HostError::from(&e))
    }
}

fn open(dump: &Path, symbols: Option<&Path>, images: Option<&Path>) -> Session {
    let text = |p: Option<&Path>| p.map(|p| p.display().to_string()).unwrap_or_default();
    let config = SymbolConfig {
        symbol_path: text(symbols),
        image_path: text(images),
        offline: true,
        ..SymbolConfig::default()
    };
    let target = dumpscope_analyzers::Target::new(Dump::open(dump).unwrap(), config);
    let mut session = Session::new(dump.display().to_string(), Arc::new(target));
    session.host = Some(Arc::new(Files));
    session.sel.layout = Layout::Modern;
    session.as_bare_engine();
    session
}

fn run(session: &mut Session, line: &str) -> String {
    let mut out = Vec::new();
    let mut sink = TextSink::new(&mut out, false);
    let _ = run_line(session, line, &mut sink);
    sink.finish().unwrap();
    String::from_utf8(out).unwrap()
}

/// Runs one file; `differs` gets each line whose answer is another.
fn run_suite(shared: &Path, suite: &Suite, differs: &mut dyn FnMut(&str, &str, &str)) -> Option<Score> {
    let dump = dump_path(shared, suite.head("dump"))?;
    let name = suite.head("symbols");
    let folder = |p: PathBuf| Some(p).filter(|p| !name.is_empty() && p.is_dir());
    let symbols = folder(shared.join("windbg/symbols").join(name)).or_else(|| folder(shared.join(name)));
    let images = folder(shared.join("windbg/images").join(name));
    let shown = |p: Option<&Path>| p.map(|p| p.display().to_string()).unwrap_or_default();
    let seen = [suite.head("symbols-seen-as"), suite.head("dump-seen-as")];
    let here = [shown(symbols.as_deref()), shown(Some(&dump))];
    let here = [here[0].as_str(), here[1].as_str()];
    let ours = |line: &str| match (seen[0], here[0]) {
        ("", _) | (_, "") => line.to_owned(),
        (there, here) => line.replace(&format!("{there}\\"), &format!("{here}/")),
    };
    let fresh = || {
        let mut session = open(&dump, symbols.as_deref(), images.as_deref());
        for line in &suite.setup {
            run(&mut session, &ours(line));
        }
        session
    };
    let kept = fresh();
    let mut score = Score::default();
    for (line, wanted) in &suite.blocks {
        // What a line changes in the target would be there for the next.
        let lasting = [".reload", "path", ".symfix", "ld ", "!sym", ".nv"].iter().any(|w| line.contains(w));
        let mut session = if lasting { fresh() } else { kept.clone() };
        let got = run(&mut session, &ours(line));
        let got = got.trim_end_matches('\n');
        score.all += 1;
        if same(wanted, got, &seen, &here) {
            score.equal += 1;
            score.loosely += 1;
        } else {
            score.loosely += usize::from(wanted.split_whitespace().eq(got.split_whitespace()));
            differs(line, wanted, got);
        }
    }
    Some(score)
}

/// Runs the files of these areas (of all without one), two at a time: the score of each area, and the differences as text.
pub(crate) fn run_areas(shared: &Path, areas: &[&str]) -> (BTreeMap<String, Score>, String) {
    let mut files: Vec<PathBuf> = std::fs::read_dir(shared.join("windbg/suite"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "txt"))
        .collect();
    files.sort();
    let suites: Vec<Suite> = files.iter().map(|p| Suite::parse(p)).collect();
    let wanted =
        |s: &Suite| areas.is_empty() || [s.area(), s.head("area"), &s.name].iter().any(|n| areas.contains(n));
    let suites: Vec<&Suite> = suites.iter().filter(|s| wanted(s)).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(suite) = suites.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut text = String::new();
            let score = run_suite(shared, suite, &mut |line, wanted, got| {
                let lines = |sign: char, t: &str| {
                    t.split('\n').fold(String::new(), |s, l| s + &format!("{sign} {l}\n"))
                };
                write!(text, "--- {}\n>>> {line}\n{}{}", suite.name, lines('-', wanted), lines('+', got))
                    .unwrap();
            });
            done.push((suite.name.clone(), suite.area().to_owned(), score, text));
        }
        done
    };
    let mut done = std::thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut done = work();
        done.extend(other.join().unwrap());
        done
    });
    done.sort_by(|a, b| a.0.cmp(&b.0));
    let mut scores: BTreeMap<String, Score> = BTreeMap::new();
    let mut text = String::new();
    for (name, area, score, differences) in done {
        let Some(score) = score else {
            writeln!(text, "{name}: its dump is not there").unwrap();
            continue;
        };
        let sum = scores.entry(area).or_default();
        sum.equal += score.equal;
        sum.loosely += score.loosely;
        sum.all += score.all;
        text += &differences;
    }
    (scores, text)
}
