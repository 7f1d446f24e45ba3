//! `!for_each_frame`, `!for_each_module`: run commands for each.

use super::BASE;
use crate::command::{Command, CommandError, Extent, Invocation, Jump, Needs};
use crate::doc::{Line, Message, Role, Sink};
use crate::fmt;
use crate::run::run_block;
use crate::session::Session;
use dumpscope_core::ModuleInfo;

pub(crate) const EACH_FRAME: Command = Command {
    name: "!for_each_frame",
    extent: Extent::Semicolon,
    syntax: "!for_each_frame [commands]",
    summary: "Runs commands in each frame of the stack",
    help: "Each frame is made current in turn, shown, and the commands run (in quotes if they hold a `;`). The frame \
           that was current is current again afterwards. `@#FrameNum` in the commands is the frame's number.",
    examples: &[("!for_each_frame ? @$frame", "The numbers of all frames")],
    needs: &[Needs::Threads, Needs::Memory],
    run: frames,
    ..BASE
};

pub(crate) const EACH_MODULE: Command = Command {
    name: "!for_each_module",
    extent: Extent::Semicolon,
    syntax: "!for_each_module [commands]",
    summary: "Runs commands for each module",
    help: "These words in the commands stand for the module's data: `@#ModuleName`, `@#ImageName` (its path), `@#Base`, \
           `@#End`, `@#Size`, `@#ModuleIndex`, `@#FileVersion`, `@#ProductVersion`, `@#TimeStamp`, `@#CheckSum`. \
           Without commands the modules are listed.",
    examples: &[("!for_each_module .echo @#ModuleName @#Base", "Names and addresses")],
    needs: &[Needs::Modules],
    run: modules,
    ..BASE
};

fn body<'a>(inv: &Invocation<'a>) -> &'a str {
    let text = inv.args.trim();
    text.strip_prefix('"').and_then(|t| t.strip_suffix('"')).unwrap_or(text)
}

/// Runs the commands of one turn; false when the loop ends.
fn turn(session: &mut Session, commands: &str, sink: &mut dyn Sink) -> Result<bool, CommandError> {
    if session.cancel.is_cancelled() {
        return Err(CommandError::Stopped);
    }
    match run_block(session, commands, sink) {
        Ok(()) | Err(CommandError::Jump(Jump::Continue)) => Ok(true),
        Err(CommandError::Jump(Jump::Break)) => Ok(false),
        Err(e) => Err(e),
    }
}

fn frames(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let commands = body(inv).to_owned();
    let count = session.stack(None).map_or(0, |s| s.frames.len());
    let saved = session.sel.frame;
    let mut result = Ok(());
    for n in 0..count {
        let Ok(number) = u32::try_from(n) else { break };
        let line = Line::new().role(Role::Dim, "_ ".repeat(39).trim_end().to_owned());
        let shown = session
            .emit(sink, &Message(vec![line]))
            .and_then(|()| run_block(session, &format!(".frame 0x{number:x}"), sink))
            .and_then(|()| turn(session, &commands.replace("@#FrameNum", &format!("0x{number:x}")), sink));
        match shown {
            Ok(true) => {}
            Ok(false) => break,
            Err(e) => {
                result = Err(e);
                break;
            }
        }
    }
    session.sel.frame = saved;
    result
}

fn modules(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let commands = body(inv).to_owned();
    let wide = session.sel.machine.is_64();
    for n in 0..session.target.symbols.modules().len() {
        let Some(module) = session.target.symbols.modules().get(n).cloned() else { break };
        let name = session.target.symbols.name_in(n, session.sel.machine).to_owned();
        if commands.is_empty() {
            let line = Line::plain(format!("{n:02}: ")).span(fmt::addr_span(module.base, wide)).text(" ");
            let file = crate::doc::Span::untrusted(Role::Module, &module.file_name);
            session.emit(sink, &Message(vec![line.span(file)]))?;
        } else if !turn(session, &fill(&commands, &module, &name, n), sink)? {
            break;
        }
    }
    Ok(())
}

/// Replaces the words for a module's data. Names come from the dump: what could end a command is taken out.
fn fill(commands: &str, module: &ModuleInfo, name: &str, index: usize) -> String {
    let safe = |text: &str| -> String {
        text.chars()
            .map(|c| if c.is_control() || matches!(c, ';' | '"' | '{' | '}') { '_' } else { c })
            .collect()
    };
    let version =
        |parts: Option<[u16; 4]>| parts.map_or("unknown".to_owned(), |p| p.map(|n| n.to_string()).join("."));
    // Longer words first: `@#ModuleNameSize` is not `@#ModuleName`.
    let words = [
        ("@#ModuleIndex", index.to_string()),
        ("@#ModuleName", safe(name)),
        ("@#ImageName", safe(&module.path)),
        ("@#LoadedImageName", safe(&module.file_name)),
        ("@#FileVersion", version(module.version.map(|v| v.file))),
        ("@#ProductVersion", version(module.version.map(|v| v.product))),
        ("@#TimeStamp", format!("0x{:x}", module.timestamp)),
        ("@#CheckSum", format!("0x{:x}", module.checksum)),
        ("@#Base", format!("0x{:x}", module.base.0)),
        ("@#End", format!("0x{:x}", module.end().0)),
        ("@#Size", format!("0x{:x}", module.size)),
    ];
    words.iter().fold(commands.to_owned(), |text, (word, value)| text.replace(word, value))
}
