//! The command registry: one `const` table; help, completion, docs and the test matrix come from it.

use crate::doc::Sink;
use crate::session::Session;

/// What a command needs from the dump, for help and for greying out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// ThreadList.
    Threads,
    /// ThreadInfoList.
    ThreadTimes,
    /// ModuleList.
    Modules,
    /// Memory ranges.
    Memory,
    /// MemoryInfoList.
    MemoryInfo,
    /// HandleData.
    Handles,
    /// An exception stream.
    Exception,
    /// MiscInfo.
    MiscInfo,
}

/// Why a command gave no answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum CommandError {
    /// WinDbg's message for it, complete, one or more lines, and perhaps our note on what to do.
    Message {
        /// WinDbg's text.
        text: String,
        /// What would help ("`procdump -ma` includes handle data").
        note: Option<String>,
    },
    /// An error in the line at this byte offset of the command's own text: `^ Syntax error in '...'`.
    Caret {
        /// Byte offset in the command text.
        at: usize,
        /// WinDbg's words, without the quoted command: `Memory access error`.
        text: String,
    },
    /// The sink or the user asked to stop.
    Stopped,
}

/// One command.
pub struct Command {
    /// Main name, as typed (`k`, `!runaway`, `.frame`).
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// Group in help.
    pub group: &'static str,
    /// Syntax line.
    pub syntax: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Full help, Markdown, without the syntax and the examples.
    pub help: &'static str,
    /// Example command lines with what they do. At least one; tests run them on every dump.
    pub examples: &'static [(&'static str, &'static str)],
    /// What it needs.
    pub needs: &'static [Needs],
    /// Runs it.
    pub run: fn(&mut Session, &Invocation<'_>, &mut dyn Sink) -> Result<(), CommandError>,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Command").field("name", &self.name).finish_non_exhaustive()
    }
}

/// One use of a command.
#[derive(Clone, Copy, Debug)]
pub struct Invocation<'a> {
    /// The whole command text as typed (for error messages).
    pub text: &'a str,
    /// The name as typed, with glued flags (`kvnL`, `lmvm`).
    pub name: &'a str,
    /// What follows the name, untrimmed at the end.
    pub args: &'a str,
}

/// All commands, by group and name.
pub const COMMANDS: &[&Command] = crate::commands::ALL;
