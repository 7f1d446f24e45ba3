//! The command line: a contract with scripts and users.

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  dumpscope app.dmp                              why did it crash or hang? (on a terminal: look around in it)
  dumpscope exec app.dmp -c \"!runaway 7; ~*kb\"   run debugger commands
  dumpscope triage dumps/ --format json -o out.json
  dumpscope triage \"dumps/**/*.dmp\" --fail-on crash,deadlock

Exit codes:
  0    done
  1    a dump could not be analyzed (the others were), `symbols fetch` failed, or `shrink` gave other answers
  2    wrong usage
  3    a kind named by --fail-on was found
  130  stopped with Ctrl+C

Environment:
  _NT_SYMBOL_PATH            symbol path when -y is not given
  _NT_EXECUTABLE_IMAGE_PATH  image path when -i is not given
  DUMPSCOPE_SYMBOL_HEADERS   file with request headers for symbol servers; NETRC or ~/.netrc has passwords
  DUMPSCOPE_PRIVATE_REDIRECTS=1
                             follow redirects of public symbol servers to private addresses
  NO_COLOR                   no colours when --color is auto";

const EXEC_EXAMPLES: &str = "\
Examples:
  dumpscope exec app.dmp -c \"!runaway 7\" -c \"~*kb\"
  dumpscope exec app.dmp -c \"~*k\" --echo             as a transcript, each command behind its prompt
  dumpscope exec app.dmp -f commands.txt
  echo '!teb' | dumpscope exec app.dmp -c -
  dumpscope exec app.dmp -c k --format json
  dumpscope exec app.dmp -c .help                    all commands

A command that fails says so in its output; the exit code is 0 all the same, as in WinDbg.";

#[cfg(windows)]
macro_rules! list_of_dumps {
    () => {
        "dir /s /b *.dmp | dumpscope triage - --format jsonl"
    };
}
#[cfg(not(windows))]
macro_rules! list_of_dumps {
    () => {
        "find . -name '*.dmp' -mtime -1 -print0 | dumpscope triage - --format jsonl"
    };
}

const TRIAGE_EXAMPLES: &str = concat!(
    "\
Examples:
  dumpscope triage app.dmp
  dumpscope triage dumps/ \"other/*.mdmp\"             folders are searched with all their subfolders
  ",
    list_of_dumps!(),
    "
  dumpscope triage dumps/ --fail-on crash,deadlock --min-confidence strong
  dumpscope triage dumps/ --budget 10 --jobs 2 -o report.txt
  dumpscope triage app.dmp --redact --redact-key our.key   a report without names, addresses and secrets"
);

const SHRINK_EXAMPLES: &str = "\
Examples:
  dumpscope shrink hang.dmp -o small.dmp             as small as the same triage allows
  dumpscope shrink hang.dmp -o small.dmp --for debugging --max-size 20M
  dumpscope shrink hang.dmp -o small.dmp --redact --redact-key our.key
  dumpscope shrink hang.dmp -o small.dmp --also \"dd 7ff612340000 L40; dt app!g_state\"

The new dump is triaged, too, with and without symbols, and its stacks are walked. It grows until the answers are equal; what
differs in the end is told, and the exit code is 1. With --max-size is left out, in this order, until it fits: what pointers on
the stacks lead to; whole stacks and what only command lines read; code and constants of images; all but stacks. A file
of that name is replaced and keeps its permissions, a new one gets those of any new file; devices are not replaced. Memory that no analysis read is missing in it, so it holds less of what the
program worked on; it is no promise that nothing private is left.";

const MCP_EXAMPLES: &str = "\
Examples:
  dumpscope mcp --root dumps/                        what an assistant's configuration starts
  dumpscope mcp --root dumps/ -y symbols/            with symbols from a folder

No file outside of the folders is opened, links included. Nothing is written without --write, and then only by the tool `shrink`.
The network is used only when -y names a server here: _NT_SYMBOL_PATH is not asked for one. Text of a dump stands in fields named
`from_dump`.";

/// Says why a Windows process crashed or hung, from its minidump, on any system.
///
/// Opens dumps (.dmp, .mdmp, also packed as .zst or .gz), walks the stacks of all threads and answers with a verdict
/// and its evidence. Nothing is downloaded unless the symbol path names a server.
#[derive(Debug, Parser)]
#[command(name = "dumpscope", version, after_help = EXAMPLES, max_term_width = 110)]
#[command(subcommand_negates_reqs = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) open: OpenArgs,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

impl Cli {
    /// Dumps to open before a subcommand: an error of usage.
    pub(crate) fn misplaced(&self) -> Option<clap::Error> {
        let opens = self.open.demo || !self.open.dumps.is_empty();
        (opens && self.command.is_some()).then(|| {
            let text = "dumps stand behind the subcommand's name\n";
            <Cli as clap::CommandFactory>::command().error(clap::error::ErrorKind::ArgumentConflict, text)
        })
    }
}

#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// Dumps to open.
    #[arg(value_name = "DUMP")]
    pub(crate) dumps: Vec<PathBuf>,
    /// Open the dump that comes with the program.
    #[arg(long, conflicts_with = "dumps")]
    pub(crate) demo: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run debugger commands on a dump, print their output, leave
    #[command(after_help = EXEC_EXAMPLES)]
    Exec(ExecArgs),
    /// Verdicts for dumps, folders and patterns
    #[command(after_help = TRIAGE_EXAMPLES)]
    Triage(TriageArgs),
    /// Compare dumps of one process taken one after the other: hang or slow progress
    Diff(DiffArgs),
    /// Download symbols, or explain which are missing and why
    Symbols(SymbolsArgs),
    /// Write a smaller dump that gives the same answers
    #[command(after_help = SHRINK_EXAMPLES)]
    Shrink(ShrinkArgs),
    /// Work with files of known issues
    Known {
        #[command(subcommand)]
        command: KnownCommand,
    },
    /// Answer an assistant: a server of the Model Context Protocol on stdin and stdout
    #[command(after_help = MCP_EXAMPLES)]
    Mcp(McpArgs),
    /// Analyze the dumps that are named on stdin, for another process of this program
    #[command(hide = true)]
    Worker,
    /// Print the JSON Schema of a document
    Schema {
        /// Of which command's.
        #[arg(value_enum, default_value_t = SchemaOf::Triage)]
        of: SchemaOf,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// `triage --format json`
    Triage,
    /// `exec --format json`
    Exec,
    /// `diff --format json`
    Diff,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KnownCommand {
    /// Run the tests that a file of known issues holds; exit code 1 when one fails
    Check {
        /// The TOML file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// Options of all subcommands.
#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct CommonArgs {
    /// Symbol path in WinDbg's syntax [default: $_NT_SYMBOL_PATH]
    #[arg(short = 'y', long, global = true, value_name = "PATH")]
    pub(crate) symbol_path: Option<String>,
    /// Folders with program files, separated by `;` [default: $_NT_EXECUTABLE_IMAGE_PATH]
    #[arg(short = 'i', long, global = true, value_name = "PATH")]
    pub(crate) image_path: Option<String>,
    /// Folder for downloaded symbols [default: the user's cache folder]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
    /// Never use the network, whatever the symbol path says
    #[arg(long, global = true)]
    pub(crate) offline: bool,
    /// TOML file with patterns of waits and idle threads, tried before the built-in ones
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) patterns: Option<PathBuf>,
    /// TOML file with what arguments of functions mean and names of GUIDs, laid over the built-in table
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) hints: Option<PathBuf>,
    /// Layout of command output: WinDbg's of old, or of 2023
    #[arg(long, global = true, value_enum, default_value_t = LayoutArg::Classic, hide_possible_values = false)]
    pub(crate) layout: LayoutArg,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = ColorArg::Auto)]
    pub(crate) color: ColorArg,
    /// No progress and no notes on stderr (errors are still told)
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Show more: every thread with its whole stack, all warnings
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LayoutArg {
    /// The layout of 2016 and before
    Classic,
    /// The layout of WinDbg 2023
    Modern,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorArg {
    /// When stdout is a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Args)]
pub(crate) struct McpArgs {
    /// Dumps to open at the start, by their paths in these folders: d1, d2, …
    #[arg(value_name = "DUMP")]
    pub(crate) dumps: Vec<String>,
    /// Folder that dumps may be opened from, with its subfolders; may be given several times [default: the current folder]
    #[arg(long = "root", value_name = "DIR")]
    pub(crate) roots: Vec<PathBuf>,
    /// Folder that `shrink` may write to; without it nothing is written
    #[arg(long, value_name = "DIR")]
    pub(crate) write: Option<PathBuf>,
    /// Seconds for one call
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "20")]
    pub(crate) budget: std::time::Duration,
}

#[derive(Debug, Args)]
pub(crate) struct ExecArgs {
    /// The dump.
    pub(crate) dump: PathBuf,
    /// Command line to run; may be given several times; `-` reads a script from stdin
    #[arg(short = 'c', long = "command", value_name = "LINE", required_unless_present = "file")]
    pub(crate) commands: Vec<String>,
    /// Script to run, one command line per line, after the lines of -c
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,
    /// Exit code 1 when a command failed (all lines still run)
    #[arg(long)]
    pub(crate) strict: bool,
    /// Print each command line behind its prompt first, as in a transcript
    #[arg(long)]
    pub(crate) echo: bool,
    /// NatVis file by which `dx` and `dv` show objects; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) natvis: Vec<PathBuf>,
    /// Seconds for everything; what was printed until then stays
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) budget: Option<std::time::Duration>,
    /// Output format
    #[arg(long, value_enum, default_value_t = ExecFormat::Text)]
    pub(crate) format: ExecFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExecFormat {
    /// As WinDbg prints it
    Text,
    /// One JSON array of reports
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct TriageArgs {
    /// Dumps, folders (searched with their subfolders), patterns; `-` reads paths from stdin, one per line or as
    /// `find -print0` writes them
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t = TriageFormat::Text)]
    pub(crate) format: TriageFormat,
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Dumps analyzed at the same time [default: one per processor]
    #[arg(short, long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) jobs: usize,
    /// Seconds per dump; the best answer so far is still written [default: 55]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) budget: Option<std::time::Duration>,
    /// Analyze in this process: no limit of memory, and a dump that ends it ends the batch
    #[arg(long)]
    pub(crate) in_process: bool,
    /// Memory for one dump, MiB, besides the dump itself [default: 1024]
    #[arg(long, value_name = "MIB", conflicts_with = "in_process", value_parser = clap::value_parser!(u64).range(1..=1 << 24))]
    pub(crate) memory: Option<u64>,
    /// TOML file of known issues, instead of the built-in one
    #[arg(long, value_name = "FILE")]
    pub(crate) known: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) redact: RedactArgs,
    /// Leave with exit code 3 when a finding of one of these kinds is there
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = kinds())]
    pub(crate) fail_on: Vec<String>,
    /// Findings below this confidence do not count for --fail-on
    #[arg(long, value_enum, default_value_t = ConfidenceArg::Guess, value_name = "CONFIDENCE")]
    pub(crate) min_confidence: ConfidenceArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TriageFormat {
    /// For people
    Text,
    /// One JSON document (see `dumpscope schema`)
    Json,
    /// One JSON object per dump and line
    Jsonl,
    /// Markdown
    Markdown,
    /// One self-contained page
    Html,
    /// SARIF 2.1
    Sarif,
    /// JUnit XML
    Junit,
    /// GitHub annotations
    Github,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConfidenceArg {
    /// The facts leave no other reading
    Proven,
    /// Several signs agree
    Strong,
    /// Plausible
    Guess,
}

#[derive(Debug, Args)]
pub(crate) struct ShrinkArgs {
    /// The dump.
    pub(crate) dump: PathBuf,
    /// The new dump
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// What the new dump is for
    #[arg(long = "for", value_enum, default_value_t = ShrinkLevel::Triage, value_name = "LEVEL")]
    pub(crate) level: ShrinkLevel,
    /// Command line whose answer the new dump must give as well; may be given several times
    #[arg(long, value_name = "COMMANDS")]
    pub(crate) also: Vec<String>,
    /// Leave out of the new dump what makes it larger than this, and say what (bytes; K, M and G are known)
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub(crate) max_size: Option<u64>,
    /// Leave out code and constants of images that the symbol or image path gives (`-y`, `-i`)
    #[arg(long)]
    pub(crate) without_images: bool,
    /// Replace a dump of that name
    #[arg(long)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) redact: RedactArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RedactArgs {
    /// Take out what is private: values of command lines and of the environment, names, addresses, tokens, keys
    #[arg(long, value_enum, value_name = "LEVEL", num_args = 0..=1, require_equals = true, default_missing_value = "standard")]
    pub(crate) redact: Option<RedactLevelArg>,
    /// File with a key (any bytes): the same key makes the same pseudonyms [default: a fresh key]
    #[arg(long, value_name = "FILE", requires = "redact")]
    pub(crate) redact_key: Option<PathBuf>,
    /// TOML file with more rules, tried before the built-in ones
    #[arg(long, value_name = "FILE", requires = "redact")]
    pub(crate) redact_rules: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RedactLevelArg {
    /// What rules find
    Standard,
    /// All texts that the program worked on
    Strict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShrinkLevel {
    /// Triage and stacks: smallest
    Triage,
    /// Whole stacks, thread and process blocks too
    Stacks,
    /// What the stacks lead to as well
    Debugging,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// Dumps of one process, oldest first.
    #[arg(value_name = "DUMP", required = true, num_args = 2..)]
    pub(crate) dumps: Vec<PathBuf>,
    /// How to write the answer
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
    pub(crate) format: String,
}

#[derive(Debug, Args)]
pub(crate) struct SymbolsArgs {
    #[command(subcommand)]
    pub(crate) command: SymbolsCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SymbolsCommand {
    /// Download the symbols of all modules
    Fetch {
        /// Dumps.
        #[arg(value_name = "DUMP", required = true)]
        dumps: Vec<PathBuf>,
    },
    /// Explain which symbols are missing and why
    Check {
        /// Dumps.
        #[arg(value_name = "DUMP", required = true)]
        dumps: Vec<PathBuf>,
    },
}

/// The kinds of findings, from the engine's list.
fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(dumpscope_analyzers::model::FindingKind::ALL.iter().map(|k| k.name()))
}

/// `500K`, `20M`, `1G`, with or without `B` or `iB` behind.
fn bytes(text: &str) -> Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end).unwrap_or((text, ""));
    let factor: u64 = match unit.trim().to_ascii_lowercase().trim_end_matches("ib").trim_end_matches('b') {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return Err("not a size: 500K, 20M and 1G are".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "not a size".to_owned())?;
    number.checked_mul(factor).ok_or_else(|| "not a possible size".to_owned())
}

fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let number: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    std::time::Duration::try_from_secs_f64(number).map_err(|_| "not a possible time".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn clap_accepts_the_definition() {
        Cli::command().debug_assert();
    }

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn dumps_and_subcommands() {
        assert_eq!(parse("dumpscope a.dmp b.dmp -q").unwrap().open.dumps.len(), 2);
        let exec = parse("dumpscope exec a.dmp -c k -c ~ --echo -y srv*").unwrap();
        assert_eq!(exec.common.symbol_path.as_deref(), Some("srv*"));
        assert!(matches!(exec.command, Some(Command::Exec(e)) if e.commands == ["k", "~"] && e.echo));
        assert!(parse("dumpscope exec a.dmp").is_err());
        assert!(parse("dumpscope").unwrap().open.dumps.is_empty());
        assert!(parse("dumpscope --demo a.dmp").is_err());
        // Options of all subcommands stand before or behind the subcommand's name.
        let exec = parse("dumpscope -q --offline -y srv* exec a.dmp -c k").unwrap();
        assert!(exec.common.quiet && exec.common.offline && exec.open.dumps.is_empty());
        assert!(exec.misplaced().is_none() && matches!(exec.command, Some(Command::Exec(_))));
        assert!(parse("dumpscope --demo triage b.dmp").unwrap().misplaced().is_some());
    }

    #[test]
    fn sizes() {
        for (text, size) in [("7", 7), ("2K", 2048), ("3MiB", 3 << 20), ("1gb", 1 << 30)] {
            assert_eq!(bytes(text), Ok(size), "{text}");
        }
        assert!(bytes("K").is_err() && bytes("1T").is_err() && bytes("99999999999999G").is_err());
    }

    #[test]
    fn kinds_and_budgets() {
        let triage = |line: &str| match parse(line).unwrap().command {
            Some(Command::Triage(t)) => t,
            other => panic!("{other:?}"),
        };
        let t = triage("dumpscope triage - --fail-on crash,orphaned_lock --budget 0.5");
        assert_eq!(t.fail_on, ["crash", "orphaned_lock"]);
        assert_eq!(t.budget, Some(std::time::Duration::from_millis(500)));
        assert!(parse("dumpscope triage x --fail-on oops").is_err());
        assert!(parse("dumpscope triage x --budget -1").is_err());
        assert!(parse("dumpscope triage x --budget nan").is_err());
    }
}
