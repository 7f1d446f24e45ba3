//! `dx`: shows objects.

use crate::command::{Command, CommandError, Completes, Glued, Invocation};
use crate::doc::Sink;
use crate::dx::{Options, World};
use crate::session::Session;

pub(crate) const DX: Command = Command {
    name: "dx",
    glued: Glued::Anything,
    group: "types",
    syntax: "dx [-r N] [-c N] [-g] [-n] [-v] expression[,format]",
    summary: "Shows objects: variables with their members, threads, frames, modules, and queries over them",
    help: "The expression is a C++ one (`app!g_list->head`, casts, `[ ]`, arithmetic; numbers are decimal), or starts at an \
           object of the debugger: `@$curprocess` (`.Threads`, `.Modules`, `.Io.Handles`), `@$curthread` \
           (`.Stack.Frames`, `.Registers.User`), `@$curframe` (`.LocalVariables`, `.Parameters`), `@$cursession`, \
           `Debugger`. `@$curprocess.Dumpscope` holds what this program found: `.Waits`, `.Locks`, `.ComCalls`, `.Findings`.\n\n\
           Lists have `Where`, `Select`, `SelectMany`, `OrderBy`, `OrderByDescending`, `GroupBy`, `Count`, `First`, `Last`, \
           `Single`, `Take`, `Skip`, `Any`, `All`, `Sum`, `Min`, `Max`, `Average`, `Aggregate`, `Distinct`, `Contains`, \
           `Concat`, `Reverse` and `Flatten`; functions are written `t => t.Id`, objects `new { A = 1 }`. Texts have \
           `Contains`, `StartsWith`, `EndsWith`, `IndexOf`, `Substring`, `Replace`, `ToUpper`, `ToLower`, `PadLeft`. \
           `@$name = …` keeps a value.\n\n\
           `-r N` opens N levels (1 without it), `-c N` starts lists at element N, `-g` shows a list as a table, `-n` leaves \
           out NatVis views. Formats: `x`, `d`, `o`, `b`, `s`, `sb`, `su`, `sub`, `[N]` for N elements, `!` for the plain \
           members. `.nvload` reads NatVis files.",
    examples: &[
        ("dx @$curprocess.Threads", "All threads"),
        ("dx -r2 @$curthread.Stack.Frames[0]", "The innermost frame with its variables"),
        ("dx @$curprocess.Threads.Where(t => t.Id > 0x100).Count()", "How many threads a condition fits"),
        ("dx -g @$curprocess.Modules.Select(m => new { Name = m.Name, Size = m.Size })", "A table"),
        ("dx @$curprocess.Dumpscope.Waits", "What each thread waits for"),
    ],
    completes: Completes::Types,
    run,
    ..Command::BASE
};

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    if matches!(inv.args.trim(), "-?" | "/?" | "-h" | "-help") {
        return crate::run::run_block(session, ".hh dx", sink);
    }
    let pid = session.dump().pid().map_or(0, |p| p.0.into());
    let (options, text) = options(inv.args, pid);
    // Without anything the root is shown, two levels deep.
    let (text, options) = match text {
        "" if inv.args.is_empty() => ("@$debuggerRootNamespace", Options { depth: 2, ..options }),
        text => (text, options),
    };
    let mut world = World::new(session);
    world.foreign = options.foreign;
    let failed = |why: String| CommandError::message(format!("Error: {why}"));
    let result = match options.grid {
        true => world.grid(text, &options).map_err(failed).and_then(|grid| session.emit(sink, &grid)),
        false => world.listing(text, &options).map_err(failed).and_then(|report| session.emit(sink, &report)),
    };
    let variables = world.variables.into_inner();
    session.language.objects = variables;
    result
}

/// The options before an expression. What is none belongs to it: `-x` is a number.
fn options(args: &str, pid: u64) -> (Options, &str) {
    let mut options = Options::default();
    let mut rest = args.trim();
    while let Some(tail) = rest.strip_prefix('-') {
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (word, after) = tail.split_at_checked(letters).unwrap_or((tail, ""));
        let number = || {
            let body = after.trim_start();
            let (hex, digits) = match body.strip_prefix("0x") {
                Some(hex) => (true, hex),
                None => (false, body),
            };
            let len = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
            let (n, left) = digits.split_at_checked(len)?;
            // A number ends at a blank.
            let ends = left.is_empty() || left.starts_with(char::is_whitespace);
            let n = u64::from_str_radix(n, if hex { 16 } else { 10 }).ok().filter(|_| ends)?;
            Some((n, left.trim_start()))
        };
        match word {
            "r" | "c" => {
                let Some((n, left)) = number() else { break };
                match word {
                    "r" => options.depth = u32::try_from(n).unwrap_or(u32::MAX).min(64),
                    _ => options.skip = n,
                }
                rest = left;
            }
            "id" => {
                let Some((id, left)) = number() else { break };
                options.foreign = id != pid;
                rest = left;
            }
            "g" | "v" | "n" | "nv" if after.starts_with(char::is_whitespace) => {
                options.grid |= word == "g";
                options.raw |= word == "n";
                rest = after.trim_start();
            }
            _ => break,
        }
    }
    (options, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_end_where_the_expression_starts() {
        let read = |text| options(text, 1);
        assert_eq!(read("-r2 a").0.depth, 2);
        assert_eq!(
            read("-r 2 -c3 -g a"),
            (Options { depth: 2, skip: 3, grid: true, ..Options::default() }, "a")
        );
        assert_eq!(read("-1").1, "-1");
        assert_eq!(read("-r app!g").1, "-r app!g");
        assert_eq!(read("-nv a").1, "a");
    }
}
