//! Lints of the tables.

use super::*;
use std::collections::BTreeSet;

#[test]
fn names_are_unique() {
    let mut seen = BTreeSet::new();
    for c in COMMANDS {
        for name in std::iter::once(&c.name).chain(c.aliases) {
            assert!(seen.insert(*name), "{name} is in the table twice");
            assert!(!name.contains(char::is_whitespace) && !name.is_empty(), "{name:?}");
        }
    }
}

#[test]
fn every_command_is_documented() {
    for c in COMMANDS {
        assert!(!c.group.is_empty() && !c.syntax.is_empty(), "{}", c.name);
        assert!(!std::ptr::fn_addr_eq(c.run, Command::BASE.run), "{} has no function", c.name);
        assert!(!c.summary.is_empty() && !c.summary.ends_with('.'), "{}: one line, no full stop", c.name);
        assert!(c.help.len() > 20, "{} has no help", c.name);
        assert!(!c.examples.is_empty(), "{} has no example", c.name);
        assert!(c.syntax.contains(c.name), "{}: syntax {:?}", c.name, c.syntax);
    }
}

#[test]
fn every_name_and_example_finds_its_command() {
    for c in COMMANDS {
        for name in std::iter::once(&c.name).chain(c.aliases) {
            let found = find(name).unwrap_or_else(|| panic!("{name} is not found"));
            assert_eq!(found.command.name, c.name, "{name}");
        }
        for (line, what) in c.examples {
            assert!(!what.is_empty(), "{line}");
            let hit = crate::lang::commands_of(line)
                .iter()
                .any(|t| find(t).is_some_and(|f| f.command.name == c.name));
            // `~3k` runs `~` too; `.break` stands inside a block.
            let hit = hit
                || (c.name == "~" && line.starts_with('~'))
                || (line.contains('{') && line.contains(c.name));
            assert!(hit, "example {line:?} does not run {}", c.name);
        }
    }
}

#[test]
fn what_there_is_is_not_listed_as_missing() {
    for o in others::others() {
        assert!(!COMMANDS.iter().any(|c| c.name == o.name || c.aliases.contains(&o.name)), "{}", o.name);
        assert!(other(o.name).is_some());
    }
}
