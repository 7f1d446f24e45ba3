//! The command registry: one `const` table; help, completion, docs and the test matrix come from it.

mod error;
mod lookup;
mod nearest;
mod others;
mod unknown;

pub use error::{CommandError, ErrorReport, Jump};
pub(crate) use lookup::{EXTENSIONS, engine_find};
pub use lookup::{Found, find};
pub use nearest::nearest;
pub use others::{Other, OtherKind, other, others};
pub(crate) use unknown::{known_other, unknown};

use crate::doc::Sink;
use crate::lang::Cursor;
use crate::session::Session;
use dumpscope_core::ThreadIdx;

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

/// What may follow a command's name without a blank. Punctuation may always follow a name that is a word
/// (`dd@esp`, `.echo"x"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Glued {
    /// Only punctuation.
    #[default]
    Nothing,
    /// Letters of this set, then perhaps digits: the flags of `kvnL`, `lmvm`. They belong to
    /// [`Invocation::name`].
    Flags(&'static str),
    /// As `Flags`; behind one of the letters of the second set any text may follow: `lmvmntdll`.
    FlagsThenText(&'static str, &'static str),
    /// Anything (`?1+2`, `*text`, `reax`).
    Anything,
}

/// Where a command's text ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Extent {
    /// At the next `;` outside quotes and braces, or at the end of the line.
    #[default]
    Semicolon,
    /// At the end of the line: `;` belongs to the text (`*`, `$<`).
    Line,
    /// In the modern layout as `Line`, else as `Semicolon`: today's engine takes the rest of the line (`.effmach`).
    LineToday,
    /// In the modern layout at the next `;` outside quotes, whatever the braces; else as `Semicolon`.
    PlainToday,
    /// Behind its last `{ }` block (`.if`, `.for`); without a block as `Semicolon`.
    Block,
}

/// What may be completed in a command's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Completes {
    /// Modules and their symbols.
    #[default]
    Symbols,
    /// Modules and their types.
    Types,
    /// Commands.
    Commands,
    /// Names of the Win32 table.
    Win32,
}

/// One command.
pub struct Command {
    /// Main name, as typed (`k`, `!runaway`, `.frame`).
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// What may follow the name without a blank.
    pub glued: Glued,
    /// Where its text ends.
    pub extent: Extent,
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
    /// What completion offers behind its name.
    pub completes: Completes,
    /// True when it reaches out of the dump: it touches a file, or changes where files and symbols are looked for. A
    /// confined session ([`Session::confined`]) refuses it.
    pub outside: bool,
    /// Runs it.
    pub run: fn(&mut Session, &Invocation<'_>, &mut dyn Sink) -> Result<(), CommandError>,
}

impl Command {
    /// What a row says that says nothing: no aliases, nothing glued to the name, ends at `;`, works on every dump.
    /// Every row of the table is written over it.
    pub const BASE: Command = Command {
        name: "",
        aliases: &[],
        glued: Glued::Nothing,
        extent: Extent::Semicolon,
        group: "",
        syntax: "",
        summary: "",
        help: "",
        examples: &[],
        needs: &[],
        completes: Completes::Symbols,
        outside: false,
        run: nothing,
    };
}

/// What a row without `run` would do; a test finds such rows.
fn nothing(_: &mut Session, inv: &Invocation<'_>, _: &mut dyn Sink) -> Result<(), CommandError> {
    Err(CommandError::message(format!("'{}' does nothing.", inv.name)))
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Command").field("name", &self.name).finish_non_exhaustive()
    }
}

/// How threads were selected with a `~` prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelKind {
    /// `~` alone: the list, one line each.
    List,
    /// `~*`.
    All,
    /// `~.`.
    Current,
    /// `~#`.
    Event,
    /// `~3`, `~[expr]`, `~~[tid]`.
    One,
}

/// Threads selected with a `~` prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadSel {
    /// How.
    pub kind: SelKind,
    /// Which. For a command after the selector (`~*k`) the runner makes each thread current in turn and runs the
    /// command once per thread; the list then holds that one thread. Only the command `~` itself sees all.
    pub threads: Vec<ThreadIdx>,
    /// The thread that was current when the line was typed: the `.` of header lines.
    pub home: Option<ThreadIdx>,
}

/// One use of a command.
#[derive(Clone, Copy, Debug)]
pub struct Invocation<'a> {
    /// The whole command text as typed (for error messages), without a thread prefix.
    pub text: &'a str,
    /// The name as typed, with glued flags (`kvnL`, `lmvm`), without an extension prefix (`!ntsdexts.`).
    pub name: &'a str,
    /// What follows the name, untrimmed at the end.
    pub args: &'a str,
    /// The thread prefix, if there was one. The session's current thread is already the selected one. A command
    /// prints a header line per thread when `kind` is [`SelKind::All`] (`~*k`; `~0k` prints none).
    pub threads: Option<&'a ThreadSel>,
}

impl<'a> Invocation<'a> {
    /// A cursor over the arguments. Its errors count positions in [`Invocation::text`].
    #[must_use]
    pub fn cursor(&self) -> Cursor<'a> {
        // `args` is a tail of `text`.
        Cursor::new(self.text, self.text.len().saturating_sub(self.args.len()))
    }

    /// True for `~*k`: the command prints the thread's header line first.
    #[must_use]
    pub fn wants_thread_header(&self) -> bool {
        self.threads.is_some_and(|t| t.kind == SelKind::All)
    }
}

/// All commands, by group and name.
pub const COMMANDS: &[&Command] = crate::commands::ALL;

#[cfg(test)]
mod tests;
