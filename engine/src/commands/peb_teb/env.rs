//! `!envvar` and `!gflag`.

use crate::command::{Command, CommandError, Invocation, Needs};
use crate::commands::missing;
use crate::doc::{Line, RenderCx, Report, Role, Sink, Span};
use crate::fmt::Hex;
use crate::session::Session;
use crate::tables::gflags;
use dumpscope_core::base::text::escape;

pub(crate) const ENVVAR: Command = Command {
    name: "!envvar",
    group: "process",
    syntax: "!envvar name",
    summary: "Shows an environment variable of the process",
    help: "`!peb` lists all of them.",
    examples: &[("!envvar PATH", "The search path")],
    needs: &[Needs::Memory],
    run: run_envvar,
    ..Command::BASE
};

pub(crate) const GFLAG: Command = Command {
    name: "!gflag",
    group: "process",
    syntax: "!gflag",
    summary: "Shows the global flags of the process",
    help: "Flags that gflags.exe set: heap checks, loader snaps, page heap, application verifier.",
    examples: &[("!gflag", "The flags in force")],
    needs: &[Needs::Memory],
    run: run_gflag,
    ..Command::BASE
};

struct Variable {
    name: String,
    value: Option<String>,
}

impl Report for Variable {
    fn kind(&self) -> &'static str {
        "environment_variable"
    }

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        match &self.value {
            Some(value) => emit(
                Line::plain("        ")
                    .span(Span::untrusted(Role::Label, &self.name))
                    .text(" = ")
                    .span(Span::untrusted(Role::Text, value)),
            ),
            None => emit(
                Line::new()
                    .role(Role::Note, "note: the environment has no variable ")
                    .span(Span::untrusted(Role::Note, &self.name)),
            ),
        }
    }

    fn json(&self) -> serde_json::Value {
        let value = self.value.as_deref().map(escape);
        serde_json::json!({ "name": escape(&self.name), "value": value })
    }
}

fn run_envvar(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    let name = args.take_rest().trim_matches('"').to_string();
    if name.is_empty() {
        return Err(CommandError::message("Usage: !envvar <variable name>"));
    }
    let params = session.dump().parameters(session.target.process_machine());
    let Some(params) = params.filter(|p| !p.environment.is_empty()) else {
        return Err(missing::process_data("Unable to read the process environment"));
    };
    let value = params.variable(&name).map(str::to_string);
    session.emit(sink, &Variable { name, value })
}

struct GlobalFlags(u32);

impl Report for GlobalFlags {
    fn kind(&self) -> &'static str {
        "global_flags"
    }

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::plain(format!("Current NtGlobalFlag contents: {:#010x}", self.0)));
        for (_, short, text) in gflags::FLAGS.iter().filter(|(bit, ..)| self.0 & bit != 0) {
            emit(Line::plain(format!("    {short} - {text}")));
        }
    }

    fn json(&self) -> serde_json::Value {
        let set = gflags::FLAGS.iter().filter(|(bit, ..)| self.0 & bit != 0);
        let names: Vec<_> =
            set.map(|(bit, short, text)| serde_json::json!({ "bit": Hex::from(*bit), "name": short.trim(), "text": text })).collect();
        serde_json::json!({ "flags": Hex::from(self.0), "set": names })
    }
}

fn run_gflag(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    inv.cursor().end()?;
    let peb = session.dump().read_peb(session.target.process_machine());
    let Some(flags) = peb.and_then(|p| p.nt_global_flag) else {
        return Err(missing::process_data("Unable to get NtGlobalFlag"));
    };
    session.emit(sink, &GlobalFlags(flags))
}
