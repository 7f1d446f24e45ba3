//! The tools: one table, a file for each concern.

mod look;
mod open;
mod run;
mod several;
mod shrink;
mod symbols;
mod verdict;

use super::call::{Answered, Call};

/// A tool.
#[derive(Debug)]
pub(super) struct Tool {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// What it answers, for the client.
    pub(super) about: &'static str,
    pub(super) args: &'static [Arg],
    /// True when it writes a file.
    pub(super) writes: bool,
    pub(super) run: fn(&Call) -> Answered,
}

/// An argument.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arg {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
    pub(super) about: &'static str,
}

/// What an argument may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    Number,
    Flag,
    Words(&'static [&'static str]),
    Texts,
}

const fn must(name: &'static str, kind: Kind, about: &'static str) -> Arg {
    Arg { name, kind, required: true, about }
}

const fn may(name: &'static str, kind: Kind, about: &'static str) -> Arg {
    Arg { name, kind, required: false, about }
}

const DUMP: Arg = may("dump", Kind::Text, "Id that open_dump gave; not needed while one dump is open");
const DUMPS: Arg = may("dumps", Kind::Texts, "Ids that open_dump gave; without them all open dumps");
const OFFSET: Arg = may("offset", Kind::Number, "First item; the next_offset of the page before");
const LIMIT: Arg = may("limit", Kind::Number, "Most items of the page");
const THREAD: Arg = must("thread", Kind::Number, "The thread's index (not its system id)");

/// All tools, in the order in which they are used.
pub(super) const TOOLS: &[Tool] = &[
    Tool {
        name: "list_dumps",
        title: "List dumps",
        about: "The dumps that are open, and the dump files that can be opened",
        args: &[OFFSET, LIMIT],
        writes: false,
        run: open::list,
    },
    Tool {
        name: "open_dump",
        title: "Open a dump",
        about: "Opens a dump file and says what it is; gives the id that other tools want",
        args: &[must("path", Kind::Text, "Path of the file, as list_dumps shows it")],
        writes: false,
        run: open::open,
    },
    Tool {
        name: "close_dump",
        title: "Close a dump",
        about: "Closes a dump that is no longer needed",
        args: &[must("dump", Kind::Text, "Id that open_dump gave")],
        writes: false,
        run: open::close,
    },
    Tool {
        name: "verdict",
        title: "Verdict",
        about: "Why the process crashed or hung: sentences with the ids of their evidence, how sure they are, what to do next",
        args: &[DUMP],
        writes: false,
        run: verdict::verdict,
    },
    Tool {
        name: "evidence",
        title: "Evidence",
        about: "What a sentence of a verdict rests on: the finding, its thread with the top of its stack, its lock, and commands \
                that show it",
        args: &[DUMP, must("id", Kind::Text, "Id of a sentence or a finding: v, v.1, f2, f2.3")],
        writes: false,
        run: verdict::evidence,
    },
    Tool {
        name: "threads",
        title: "Threads",
        about: "The threads: what each does, how much processor time it used, whether it waits",
        args: &[DUMP, OFFSET, LIMIT],
        writes: false,
        run: look::threads,
    },
    Tool {
        name: "stack",
        title: "Stack",
        about: "The stack of a thread, innermost frame first, with arguments that could be recovered",
        args: &[
            DUMP,
            THREAD,
            may(
                "which",
                Kind::Words(&["frames", "native", "script"]),
                "frames (default), the 64-bit frames of a WOW64 process, or those of a language runtime",
            ),
            OFFSET,
            LIMIT,
        ],
        writes: false,
        run: look::stack,
    },
    Tool {
        name: "waits",
        title: "Waits",
        about: "What each waiting thread waits for, and who owns it",
        args: &[DUMP, OFFSET, LIMIT],
        writes: false,
        run: look::waits,
    },
    Tool {
        name: "locks",
        title: "Locks",
        about: "Locks that are held or waited for: owner, waiters",
        args: &[DUMP, OFFSET, LIMIT],
        writes: false,
        run: look::locks,
    },
    Tool {
        name: "memory",
        title: "Memory",
        about: "Memory of the process at an address",
        args: &[
            DUMP,
            must(
                "address",
                Kind::Text,
                "An address or a MASM expression: 0x7ff612340000, @rsp+20, app!g_state",
            ),
            may(
                "form",
                Kind::Words(&["bytes", "dwords", "qwords", "pointers", "ansi", "utf16"]),
                "How it is shown; bytes by default",
            ),
            may("count", Kind::Number, "Units that are shown, at most 512"),
        ],
        writes: false,
        run: run::memory,
    },
    Tool {
        name: "types",
        title: "Types",
        about: "The layout of a type, or an object's values",
        args: &[
            DUMP,
            must("name", Kind::Text, "The type: app!Node, _TEB, win32!MSG"),
            may("address", Kind::Text, "Address of an object"),
            OFFSET,
            LIMIT,
        ],
        writes: false,
        run: run::types,
    },
    Tool {
        name: "run",
        title: "Run a command",
        about: "Runs a line of WinDbg commands (resource dumpscope://help lists them) and gives its output by lines. Commands \
                that reach files or change where they are looked for are refused. What is selected stays selected",
        args: &[DUMP, must("command", Kind::Text, "The command line: ~*k, !locks, .args"), OFFSET, LIMIT],
        writes: false,
        run: run::run,
    },
    Tool {
        name: "incident",
        title: "Incident",
        about: "What open dumps of several processes say together: chains of waits from process to process, and the root cause",
        args: &[DUMPS],
        writes: false,
        run: several::incident,
    },
    Tool {
        name: "diff",
        title: "Compare dumps",
        about: "Open dumps of one process, written one after the other: is it stuck, slow, spinning or idle, and by which thread",
        args: &[DUMPS, OFFSET, LIMIT],
        writes: false,
        run: several::diff,
    },
    Tool {
        name: "symbols_status",
        title: "Symbols",
        about: "Which modules have symbols, which have none and why",
        args: &[DUMP, OFFSET, LIMIT],
        writes: false,
        run: symbols::status,
    },
    Tool {
        name: "shrink",
        title: "Write a smaller dump",
        about: "Writes a smaller dump that gives the same answers, into the folder that the server was started with (--write)",
        args: &[
            DUMP,
            must("name", Kind::Text, "Name of the new file, without a folder"),
            may(
                "level",
                Kind::Words(&["triage", "stacks", "debugging"]),
                "What the new dump is for; triage by default",
            ),
            may("redact", Kind::Flag, "Takes out names of users, secrets and the like"),
        ],
        writes: true,
        run: shrink::shrink,
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn rows_are_complete() {
        let names: BTreeSet<&str> = TOOLS.iter().map(|t| t.name).collect();
        assert_eq!(names.len(), TOOLS.len());
        for tool in TOOLS {
            assert!(
                tool.about.len() > 20 && !tool.about.ends_with('.') && !tool.title.is_empty(),
                "{}",
                tool.name
            );
            let args: BTreeSet<&str> = tool.args.iter().map(|a| a.name).collect();
            assert_eq!(args.len(), tool.args.len(), "{}", tool.name);
            assert!(tool.args.iter().all(|a| !a.about.is_empty()), "{}", tool.name);
            assert_eq!(args.contains("offset"), args.contains("limit"), "{}", tool.name);
        }
        assert_eq!(TOOLS.iter().filter(|t| t.writes).count(), 1, "only shrink writes");
    }
}
