//! `shrink`: a smaller dump, into the folder of `--write`.

use crate::mcp::answer::quoted;
use crate::mcp::call::{Answered, Call};
use dumpscope_engine::batch::TriageOptions;
use dumpscope_engine::redact::{RedactLevel, Redactor};
use dumpscope_engine::shrink::{Level, ShrinkOptions, shrink as write_small};
use serde_json::json;

/// Longest name of a new file.
const MAX_NAME: usize = 100;

pub(super) fn shrink(call: &Call) -> Answered {
    let Some(folder) = &call.state.write else {
        return Err("this server writes nothing: start it with `--write FOLDER`".into());
    };
    let opened = call.dump()?;
    let name = call.text("name").unwrap_or("");
    if !is_plain(name) {
        return Err("`name` must be letters, digits, `-`, `_` and `.`, and end in .dmp".into());
    }
    let level = match call.text("level").unwrap_or("triage") {
        "stacks" => Level::Stacks,
        "debugging" => Level::Debugging,
        _ => Level::Triage,
    };
    let redact = match call.flag("redact") {
        true => Some(Redactor::new(RedactLevel::Standard, None, None).map_err(|e| e.to_string())?),
        false => None,
    };
    let triage = TriageOptions { cancel: call.cancel.clone(), ..call.state.options.clone() };
    let options = ShrinkOptions { level, triage, redact, ..ShrinkOptions::default() };
    // Never over a file that is there.
    let done = write_small(&opened.file, &folder.join(name), &options, &|_| {});
    let done = done.map_err(|e| e.to_string().replace(&*folder.to_string_lossy(), "the folder"))?;
    Ok(json!({
        "dump": opened.id,
        "written": name,
        "bytes": done.written.size,
        "bytes_before": done.before,
        "same_answers": done.differences.is_empty(),
        "differences": done.differences.iter().take(10).map(|d| quoted(d)).collect::<Vec<_>>(),
        "redacted_texts": done.redacted,
        "left_out": done.left_out.iter().take(10).map(|t| quoted(t)).collect::<Vec<_>>(),
    }))
}

/// A name of a file and nothing else.
fn is_plain(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.len() <= MAX_NAME
        && name.len() > 4
        && !name.starts_with('.')
        && name.ends_with(".dmp")
        && name.chars().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere() {
        assert!(is_plain("small.dmp") && is_plain("a-b_c.1.dmp"));
        for bad in [
            "",
            ".dmp",
            "../a.dmp",
            "a/b.dmp",
            "a\\b.dmp",
            "c:a.dmp",
            "a.exe",
            "a.dmp\0",
            ".hidden.dmp",
            "a b.dmp",
        ] {
            assert!(!is_plain(bad), "{bad:?}");
        }
    }
}
