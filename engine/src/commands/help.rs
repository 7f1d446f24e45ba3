//! `.help`, `.hh`: what there is and how it is used.

use crate::command::{self, COMMANDS, Command, CommandError, Completes, Invocation, Needs};
use crate::doc::{Line, Link, RenderCx, Report, Role, Sink, Span};
use crate::session::Session;
use serde_json::{Value, json};

pub(crate) const HELP: Command = Command {
    name: ".help",
    aliases: &[".hh", "!help"],
    group: "session",
    syntax: ".help [command] | .hh [command]",
    summary: "Lists the commands, or explains one",
    help: "Without a name all commands are listed by group. With a name the command's syntax, explanation and examples \
           are shown.",
    examples: &[(".help", "All commands"), (".hh k", "The command k")],
    completes: Completes::Commands,
    run,
    ..Command::BASE
};

/// Width that help is wrapped to.
const WIDTH: usize = 100;

/// All commands, by group.
pub(crate) struct CommandList;

impl Report for CommandList {
    fn kind(&self) -> &'static str {
        "commands"
    }

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let mut groups: Vec<&str> = COMMANDS.iter().map(|c| c.group).collect();
        groups.sort_unstable();
        groups.dedup();
        for (i, group) in groups.iter().enumerate() {
            if i > 0 {
                emit(Line::new());
            }
            emit(Line::new().role(Role::Heading, *group));
            for c in COMMANDS.iter().filter(|c| c.group == *group) {
                let names: Vec<&str> = std::iter::once(c.name).chain(c.aliases.iter().copied()).collect();
                let all = names.join(" ");
                let name =
                    Span::new(Role::Symbol, format!("  {:<22}", if all.len() > 22 { c.name } else { &all }));
                emit(
                    Line(vec![name.link(Link::Run(format!(".hh {}", c.name)))])
                        .text(format!(" {}", c.summary)),
                );
            }
        }
        emit(Line::new());
        emit(Line::plain(".hh NAME explains a command."));
    }

    fn json(&self) -> Value {
        let one = |c: &&Command| json!({ "name": c.name, "aliases": c.aliases, "group": c.group, "syntax": c.syntax, "summary": c.summary });
        json!({ "commands": COMMANDS.iter().map(one).collect::<Vec<_>>() })
    }
}

/// One command.
struct CommandHelp(&'static Command);

impl Report for CommandHelp {
    fn kind(&self) -> &'static str {
        "help"
    }

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let c = self.0;
        emit(Line::new().role(Role::Symbol, c.name).text(" — ").text(c.summary));
        if !c.aliases.is_empty() {
            emit(Line::plain(format!("Also: {}", c.aliases.join(" "))));
        }
        emit(Line::new());
        for syntax in c.syntax.lines() {
            emit(Line::new().role(Role::Label, format!("    {syntax}")));
        }
        emit(Line::new());
        for paragraph in c.help.split('\n') {
            wrap(paragraph, emit);
        }
        emit(Line::new());
        emit(Line::new().role(Role::Heading, "Examples"));
        let width = c.examples.iter().map(|(l, _)| l.chars().count()).max().unwrap_or(0);
        for (line, what) in c.examples {
            let span =
                Span::new(Role::Label, format!("    {line:<width$}")).link(Link::Run((*line).to_owned()));
            emit(Line(vec![span]).text(format!("   {what}")));
        }
        if !c.needs.is_empty() {
            let needs: Vec<&str> = c.needs.iter().map(|n| need(*n)).collect();
            emit(Line::new());
            emit(Line::new().role(Role::Dim, format!("Needs from the dump: {}.", needs.join(", "))));
        }
    }

    fn json(&self) -> Value {
        let c = self.0;
        let example = |(line, what): &(&str, &str)| json!({ "line": line, "what": what });
        json!({
            "name": c.name, "aliases": c.aliases, "group": c.group, "syntax": c.syntax, "summary": c.summary,
            "help": c.help, "examples": c.examples.iter().map(example).collect::<Vec<_>>(),
            "needs": c.needs.iter().map(|n| need(*n)).collect::<Vec<_>>(),
        })
    }
}

fn need(need: Needs) -> &'static str {
    match need {
        Needs::Threads => "threads",
        Needs::ThreadTimes => "thread times",
        Needs::Modules => "modules",
        Needs::Memory => "memory",
        Needs::MemoryInfo => "memory regions",
        Needs::Handles => "handle data",
        Needs::Exception => "an exception",
        Needs::MiscInfo => "process information",
    }
}

fn wrap(paragraph: &str, emit: &mut dyn FnMut(Line)) {
    let mut line = String::new();
    for word in paragraph.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            emit(Line::plain(std::mem::take(&mut line)));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    emit(Line::plain(line));
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    while args.peek().starts_with('/') {
        args.word();
    }
    let name = args.take_rest();
    if name.is_empty() {
        return session.emit(sink, &CommandList);
    }
    if let Some(found) = command::find(name) {
        return session.emit(sink, &CommandHelp(found.command));
    }
    // Names of Windows' functions and types are longer than what a command's name may be mistaken for.
    if let Some(known) = super::win32::about(session, name) {
        return session.emit(sink, &known);
    }
    let near = command::nearest(name).map_or(String::new(), |n| format!(" The nearest is {n}."));
    let name = dumpscope_core::base::text::escape(name);
    Err(CommandError::message(format!("There is no help about '{name}'.{near}")))
}
