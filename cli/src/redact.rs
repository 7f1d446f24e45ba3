//! `--redact`: the redactor that the options name, and what it took out.

use crate::args::{RedactArgs, RedactLevelArg};
use crate::console::Console;
use crate::output::read_table;
use anyhow::Context;
use dumpscope_engine::redact::{RedactLevel, Redactor};
use std::io::Read;

/// Most bytes of a key that are used.
const MAX_KEY: u64 = 1 << 16;

/// The redactor; `None` without `--redact`.
pub(crate) fn redactor(args: &RedactArgs) -> anyhow::Result<Option<Redactor>> {
    let level = match args.redact {
        None => return Ok(None),
        Some(RedactLevelArg::Standard) => RedactLevel::Standard,
        Some(RedactLevelArg::Strict) => RedactLevel::Strict,
    };
    let key = match &args.redact_key {
        None => None,
        Some(path) => {
            let mut key = Vec::new();
            let read = std::fs::File::open(path).and_then(|f| f.take(MAX_KEY).read_to_end(&mut key));
            read.with_context(|| format!("reading {}", path.display()))?;
            anyhow::ensure!(!key.is_empty(), "{}: an empty file is no key", path.display());
            Some(key)
        }
    };
    let rules = match &args.redact_rules {
        None => None,
        Some(path) => Some(read_table(path).with_context(|| format!("reading {}", path.display()))?),
    };
    Ok(Some(Redactor::new(level, key.as_deref(), rules.as_deref())?))
}

/// Tells what was taken out, never the values.
pub(crate) fn tell(redactor: Option<&Redactor>, console: &Console) {
    let Some(redactor) = redactor else { return };
    let counts: Vec<String> = redactor.counts().iter().map(|(kind, n)| format!("{n} {kind}")).collect();
    console.note(&match counts.is_empty() {
        true => "redacted: nothing was found".to_owned(),
        false => format!("redacted: {}", counts.join(", ")),
    });
    console.note("rules do not find every secret: look through the result before it leaves the house");
}
