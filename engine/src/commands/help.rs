//! `.help`, `.hh`: what there is and how it is used.

use crate::command::{self, COMMANDS, Command, CommandError, Completes, Invocation, Needs};
use crate::doc::{Line, Link, Message, RenderCx, Report, Role, Sink, Span};
use crate::session::Session;
use serde_json::{Value, json};

pub(crate) const HELP: Command = Command {
    name: ".help",
    aliases: &[".hh", "!help"],
    group: "session",
    syntax: ".help [command | words] | .hh [command | words]",
    summary: "Lists the commands, explains one, or finds them by words",
    help: "Without a name all commands are listed by group. With a name the command's syntax, explanation and examples \
           are shown. Other words are looked for in names and summaries.",
    examples: &[
        (".help", "All commands"),
        (".hh k", "The command k"),
        (".help waits", "Commands that have to do with waits"),
    ],
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
                emit(row(c, if all.len() > 22 { c.name } else { &all }));
            }
        }
        emit(Line::new());
        emit(Line::plain(".hh NAME explains a command."));
    }

    fn json(&self) -> Value {
        json!({ "commands": COMMANDS.iter().copied().map(one).collect::<Vec<_>>() })
    }
}

/// The commands whose names, then those whose summaries hold all words of `text`.
fn search(text: &str) -> Vec<&'static Command> {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    if words.is_empty() {
        return Vec::new();
    }
    let named = |c: &Command| {
        let names = std::iter::once(c.name).chain(c.aliases.iter().copied());
        let bare = words.concat();
        let bare = bare.trim_start_matches(['!', '.']);
        // One letter is in every name.
        names.into_iter().any(|n| {
            let n = n.to_lowercase();
            let n = n.trim_start_matches(['!', '.']);
            n == bare || (bare.len() > 1 && n.contains(bare))
        })
    };
    let summed = |c: &Command| {
        let summary = c.summary.to_lowercase();
        // `waits` finds `waiting`, `threads` finds `thread`.
        words.iter().all(|w| {
            w.len() > 1 && summary.contains(w.strip_suffix('s').filter(|s| s.len() > 2).unwrap_or(w))
        })
    };
    let (mut first, mut then) = (Vec::new(), Vec::new());
    for c in COMMANDS.iter().copied() {
        if named(c) {
            first.push(c);
        } else if summed(c) {
            then.push(c);
        }
    }
    first.append(&mut then);
    first
}

/// What a search found.
struct Found {
    /// Untrusted: what the user typed.
    word: String,
    commands: Vec<&'static Command>,
}

impl Report for Found {
    fn kind(&self) -> &'static str {
        "commands"
    }

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::plain("Commands about '").span(Span::untrusted(Role::Text, &self.word)).text("':"));
        for c in &self.commands {
            emit(row(c, c.name));
        }
        emit(Line::new());
        emit(Line::plain(".hh NAME explains a command."));
    }

    fn json(&self) -> Value {
        json!({ "commands": self.commands.iter().copied().map(one).collect::<Vec<_>>() })
    }
}

/// A command's line in a list, and its JSON.
fn row(c: &Command, names: &str) -> Line {
    let name = Span::new(Role::Symbol, format!("  {names:<22}"));
    Line(vec![name.link(Link::Run(format!(".hh {}", c.name)))]).text(format!(" {}", c.summary))
}

fn one(c: &Command) -> Value {
    json!({ "name": c.name, "aliases": c.aliases, "group": c.group, "syntax": c.syntax, "summary": c.summary })
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
    // A sentence that begins with a command's name (`k stack`) is no name.
    if let Some(found) = command::find(name).filter(|f| f.args.trim().is_empty()) {
        return session.emit(sink, &CommandHelp(found.command));
    }
    let known = command::other(name);
    if let Some(other) = known.filter(|_| name.starts_with(['!', '.'])) {
        return session.emit(sink, &Message(vec![Line::plain(other.line(name))]));
    }
    let found = search(name);
    if !found.is_empty() {
        return session.emit(sink, &Found { word: name.to_owned(), commands: found });
    }
    if let Some(other) = known {
        return session.emit(sink, &Message(vec![Line::plain(other.line(name))]));
    }
    // Names of Windows' functions and types are longer than what a command's name may be mistaken for.
    if let Some(known) = super::win32::about(session, name) {
        return session.emit(sink, &known);
    }
    let near = command::nearest(name).map_or(String::new(), |n| format!(" The nearest is {n}."));
    let name = dumpscope_core::base::text::escape(name);
    Err(CommandError::message(format!("There is no help about '{name}'.{near}")))
}
