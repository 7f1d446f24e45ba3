//! Resources: schemas of the documents, help of the commands.

use dumpscope_engine::COMMANDS;
use dumpscope_engine::command::find;
use rmcp::model::{Resource, ResourceContents, ResourceTemplate};
use serde_json::Value;
use std::fmt::Write;

/// A document's schema.
struct Schema {
    uri: &'static str,
    name: &'static str,
    make: fn() -> Value,
}

const SCHEMAS: &[Schema] = &[
    Schema {
        uri: "dumpscope://schema/triage",
        name: "Schema of triage --format json",
        make: dumpscope_engine::document::triage_schema,
    },
    Schema {
        uri: "dumpscope://schema/exec",
        name: "Schema of exec --format json",
        make: dumpscope_engine::render::exec_schema,
    },
    Schema {
        uri: "dumpscope://schema/diff",
        name: "Schema of diff --format json",
        make: dumpscope_engine::diff::diff_schema,
    },
];

const COMMAND_LIST: &str = "dumpscope://help";
const COMMAND_HELP: &str = "dumpscope://help/";

pub(super) fn list() -> Vec<Resource> {
    let mut all: Vec<Resource> = SCHEMAS
        .iter()
        .map(|s| Resource::new(s.uri, s.name).with_mime_type("application/schema+json"))
        .collect();
    all.push(Resource::new(COMMAND_LIST, "Commands of the tool `run`").with_mime_type("text/markdown"));
    all
}

pub(super) fn templates() -> Vec<ResourceTemplate> {
    let help = ResourceTemplate::new(format!("{COMMAND_HELP}{{command}}"), "Help of one command");
    vec![
        help.with_description("The command without escapes: dumpscope://help/!locks")
            .with_mime_type("text/markdown"),
    ]
}

pub(super) fn read(uri: &str) -> Option<ResourceContents> {
    if let Some(schema) = SCHEMAS.iter().find(|s| s.uri == uri) {
        let text = serde_json::to_string(&(schema.make)()).ok()?;
        return Some(ResourceContents::text(text, uri).with_mime_type("application/schema+json"));
    }
    let text = match uri {
        COMMAND_LIST => commands(),
        _ => help(&plain(uri.strip_prefix(COMMAND_HELP)?))?,
    };
    Some(ResourceContents::text(text, uri).with_mime_type("text/markdown"))
}

/// Takes `%21` and the like out: clients may escape what stands in a URI.
fn plain(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *byte == b'%').and_then(|h| std::str::from_utf8(h).ok());
        match (hex.and_then(|h| u8::from_str_radix(h, 16).ok()), after.get(2..)) {
            (Some(code), Some(behind)) => {
                out.push(code);
                rest = behind;
            }
            _ => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Those that `run` runs, by name.
fn commands() -> String {
    let mut out = String::from("# Commands of the tool `run`\n\n");
    let mut all: Vec<_> = COMMANDS.iter().filter(|c| !c.outside).collect();
    all.sort_by_key(|c| (c.group, c.name));
    for c in all {
        let _ = writeln!(out, "- `{}` ({}): {}", c.name, c.group, c.summary);
    }
    out
}

fn help(name: &str) -> Option<String> {
    let command = find(name)?.command;
    let mut out = format!(
        "# {}\n\n{}.\n\n    {}\n\n{}\n\n",
        command.name, command.summary, command.syntax, command.help
    );
    if command.outside {
        out.push_str("It reaches out of the dump: `run` refuses it.\n\n");
    }
    for (line, what) in command.examples {
        let _ = writeln!(out, "- `{line}`: {what}");
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resource_can_be_read_and_nothing_else() {
        for resource in list() {
            assert!(read(&resource.uri).is_some(), "{}", resource.uri);
        }
        for c in COMMANDS {
            assert!(read(&format!("{COMMAND_HELP}{}", c.name)).is_some(), "{}", c.name);
        }
        assert!(read("dumpscope://help/%21locks").is_some());
        for uri in ["", "dumpscope://help/no_such_command", "file:///etc/passwd", "dumpscope://help/%"] {
            assert!(read(uri).is_none(), "{uri}");
        }
    }
}
