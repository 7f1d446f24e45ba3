//! What comments and pages cite of `docs/reference` is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// All files below a folder whose names end like this.
fn files(folder: &Path, end: &str, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            files(&path, end, out);
        } else if name.ends_with(end) {
            out.push(path);
        }
    }
}

/// GitHub's anchor of a heading.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading.trim().to_lowercase().chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The page and the heading of a citation: what follows up to a blank, a quote or a bracket.
fn exists(folder: &Path, cited: &str) -> bool {
    let (page, heading) = cited.split_once('#').map_or((cited, None), |(p, h)| (p, Some(h)));
    let Ok(text) = std::fs::read_to_string(folder.join(page)) else { return false };
    heading.is_none_or(|h| {
        text.lines().filter(|l| l.starts_with('#')).any(|l| anchor(l.trim_start_matches('#')) == h)
    })
}

fn citations<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(before).skip(1).map(|rest| {
        let end =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.#/".contains(c))).unwrap_or(rest.len());
        rest[..end].trim_end_matches('.')
    })
}

#[test]
fn every_citation_of_the_reference_leads_to_a_heading() {
    let folder = root().join("docs/reference");
    let mut sources = Vec::new();
    files(&root(), ".rs", &mut sources);
    let mut cited = BTreeSet::new();
    for path in sources {
        let text = std::fs::read_to_string(&path).unwrap();
        for citation in citations(&text, concat!("docs/", "reference/")) {
            assert!(exists(&folder, citation), "{}: there is no {citation}", path.display());
            cited.extend(citation.split('#').next().map(str::to_owned));
        }
        let vague = concat!("shared ", "reference");
        assert!(!text.contains(vague), "{}: say which page", path.display());
    }
    let mut pages = Vec::new();
    files(&folder, ".md", &mut pages);
    assert!(pages.len() > 5);
    for path in pages {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(name == "README.md" || cited.contains(&name), "{name}: nothing rests on it");
        let text = std::fs::read_to_string(&path).unwrap();
        for link in citations(&text, "](") {
            assert!(exists(&folder, link), "{name}: there is no {link}");
        }
    }
}
