//! `!cpuid`: the processors of the dump's machine.

use crate::command::{Command, CommandError};
use crate::doc::{Line, Message, Role, Sink, Span};
use crate::session::Session;
use dumpscope_core::Machine;
use dumpscope_core::base::text::escape;

pub(crate) const CPUID: Command = Command {
    name: "!cpuid",
    group: "dump",
    syntax: "!cpuid",
    summary: "Shows the processors of the machine",
    help: "Family, model, stepping, maker and speed, as far as the dump has them: the maker's name is in dumps of 32-bit \
           systems only.",
    examples: &[("!cpuid", "All processors")],
    run: |session, inv, sink| {
        inv.cursor().take_rest();
        run(session, sink)
    },
    ..Command::BASE
};

fn run(session: &Session, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let Some(i) = session.dump().system().value() else {
        return Err(CommandError::message("The dump has no system information."));
    };
    // SYSTEM_INFO of the SDK: the revision is model and stepping, a byte each; on ARM64 variant and revision.
    let [stepping, model] = i.processor_revision.to_le_bytes();
    let maker = match (i.machine, i.cpu.first_chunk::<12>()) {
        (Machine::X86, Some(id)) if id.iter().all(u8::is_ascii_graphic) => {
            String::from_utf8_lossy(id).into_owned()
        }
        _ => "<unavailable>".to_owned(),
    };
    let mhz = session.dump().misc().value().and_then(|m| m.processor_mhz);
    let mhz = mhz.filter(|m| *m != 0).map_or_else(|| "<unavailable>".to_owned(), |m| m.to_string());
    let mut lines = vec![Line::plain("CP  F/M/S  Manufacturer     MHz")];
    for n in 0..i.processors.max(1) {
        let text = format!("{n:2}  {},{model},{stepping}  {:<16} {mhz}", i.processor_level, escape(&maker));
        lines.push(Line(vec![Span::untrusted(Role::Plain, &text)]));
    }
    session.emit(sink, &Message(lines))
}
