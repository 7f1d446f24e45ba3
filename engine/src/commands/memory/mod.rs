//! `d*`: shows memory.

mod list;
mod options;
mod read;
mod refs;
mod text;
mod units;

use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Line, Message, Sink};
use crate::session::Session;
use options::Options;

pub(crate) use read::{Bytes, note_line, read_sparse};
pub(crate) use units::{MemoryReport, Unit};

const HELP: &str = "Shows memory from an address on, or from where the last `d` command ended.\n\n\
A range is an address (then a default amount is shown), `address L n` (n objects), `address L-n` (n objects before \
it), or two addresses (the second is included). Over 256 MB need `L?n`; 4 GB is the most. `/c n` sets the number \
of columns.\n\n\
Bytes that the dump does not hold are `??`; bytes that come from an image file instead of the dump are noted.";

const REFS_HELP: &str = "Shows pointers with what they lead to. The second letter is the size of the words (`d` 4 \
bytes, `q` 8, `p` a pointer), the third what they point to (`s` a symbol, `a` ANSI text, `u` UTF-16 text, `p` a \
pointer).\n\nA pointer that cannot be followed shows `????????`.";

type Examples = &'static [(&'static str, &'static str)];

const fn command(
    name: &'static str,
    syntax: &'static str,
    summary: &'static str,
    examples: Examples,
) -> Command {
    Command {
        name,
        group: "memory",
        syntax,
        summary,
        help: HELP,
        examples,
        needs: &[Needs::Memory],
        run,
        ..Command::BASE
    }
}

const fn refs(
    name: &'static str,
    syntax: &'static str,
    summary: &'static str,
    examples: Examples,
) -> Command {
    Command { help: REFS_HELP, ..command(name, syntax, summary, examples) }
}

pub(crate) const D: Command = command(
    "d",
    "d [/c n] [range]",
    "Repeats the last d command",
    &[("d", "Goes on where the last one ended")],
);
pub(crate) const DA: Command = command(
    "da",
    "da [/c n] [range]",
    "Shows ANSI text up to its NUL",
    &[("da @$csp", "Text at the stack pointer")],
);
pub(crate) const DB: Command = command(
    "db",
    "db [/c n] [range]",
    "Shows bytes with their text",
    &[("db @$ip L20", "32 bytes at the instruction pointer")],
);
pub(crate) const DC: Command = command(
    "dc",
    "dc [/c n] [range]",
    "Shows 32-bit words with their text",
    &[("dc @$csp", "128 bytes of the stack")],
);
pub(crate) const DD: Command =
    command("dd", "dd [/c n] [range]", "Shows 32-bit words", &[("dd @$csp L1", "One word of the stack")]);
pub(crate) const DF: Command =
    command("df", "df [/c n] [range]", "Shows 32-bit floats", &[("df @$csp L4", "Four floats")]);
pub(crate) const DOUBLES: Command =
    command("dD", "dD [/c n] [range]", "Shows 64-bit floats", &[("dD @$csp L4", "Four doubles")]);
pub(crate) const DP: Command =
    command("dp", "dp [/c n] [range]", "Shows pointers", &[("dp @$csp L8", "Eight pointers of the stack")]);
pub(crate) const DQ: Command =
    command("dq", "dq [/c n] [range]", "Shows 64-bit words", &[("dq @$csp L8", "Eight words of the stack")]);
pub(crate) const DU: Command = command(
    "du",
    "du [/c n] [range]",
    "Shows UTF-16 text up to its NUL",
    &[("du @$csp", "Text at the stack pointer")],
);
pub(crate) const DW: Command =
    command("dw", "dw [/c n] [range]", "Shows 16-bit words", &[("dw @$csp L8", "Eight words of the stack")]);
pub(crate) const DW_TEXT: Command = command(
    "dW",
    "dW [/c n] [range]",
    "Shows 16-bit words with their text",
    &[("dW @$csp L8", "Eight words of the stack")],
);
pub(crate) const DYB: Command = command(
    "dyb",
    "dyb [/c n] [range]",
    "Shows bits, by bytes",
    &[("dyb @$csp L4", "The bits of four bytes")],
);
pub(crate) const DYD: Command = command(
    "dyd",
    "dyd [/c n] [range]",
    "Shows bits, by 32-bit words",
    &[("dyd @$csp L2", "The bits of two words")],
);
pub(crate) const DDS: Command = refs(
    "dds",
    "dds [range]",
    "Shows 32-bit words with symbols",
    &[("dds @$csp L10", "Return addresses on the stack")],
);
pub(crate) const DPS: Command = refs(
    "dps",
    "dps [range]",
    "Shows pointers with symbols",
    &[("dps @$csp L40", "Return addresses on the stack")],
);
pub(crate) const DQS: Command = refs(
    "dqs",
    "dqs [range]",
    "Shows 64-bit words with symbols",
    &[("dqs @$csp L10", "Return addresses on the stack")],
);
pub(crate) const DDA: Command = refs(
    "dda",
    "dda [range]",
    "Shows 32-bit pointers to ANSI text",
    &[("dda @$csp L4", "Texts the stack points to")],
);
pub(crate) const DDU: Command = refs(
    "ddu",
    "ddu [range]",
    "Shows 32-bit pointers to UTF-16 text",
    &[("ddu @$csp L4", "Texts the stack points to")],
);
pub(crate) const DDP: Command = refs(
    "ddp",
    "ddp [range]",
    "Shows 32-bit pointers to pointers",
    &[("ddp @$csp L4", "What the stack points to")],
);
pub(crate) const DPA: Command = refs(
    "dpa",
    "dpa [range]",
    "Shows pointers to ANSI text",
    &[("dpa @$csp L4", "Texts the stack points to")],
);
pub(crate) const DPU: Command = refs(
    "dpu",
    "dpu [range]",
    "Shows pointers to UTF-16 text",
    &[("dpu @$csp L4", "Texts the stack points to")],
);
pub(crate) const DPP: Command =
    refs("dpp", "dpp [range]", "Shows pointers to pointers", &[("dpp @$csp L4", "What the stack points to")]);
pub(crate) const DQA: Command = refs(
    "dqa",
    "dqa [range]",
    "Shows 64-bit pointers to ANSI text",
    &[("dqa @$csp L4", "Texts the stack points to")],
);
pub(crate) const DQU: Command = refs(
    "dqu",
    "dqu [range]",
    "Shows 64-bit pointers to UTF-16 text",
    &[("dqu @$csp L4", "Texts the stack points to")],
);
pub(crate) const DQP: Command = refs(
    "dqp",
    "dqp [range]",
    "Shows 64-bit pointers to pointers",
    &[("dqp @$csp L4", "What the stack points to")],
);
pub(crate) const DS: Command = Command {
    help: "Shows the text of an `ANSI_STRING` structure. A structure whose length is larger than its maximum is \
           refused.",
    ..command(
        "ds",
        "ds address",
        "Shows the text of an ANSI_STRING",
        &[("ds @$csp", "The structure at the stack pointer")],
    )
};
pub(crate) const DS_WIDE: Command = Command {
    help: "Shows the text of a `UNICODE_STRING` structure. A structure whose length is larger than its maximum or \
           odd is refused.",
    ..command(
        "dS",
        "dS address",
        "Shows the text of a UNICODE_STRING",
        &[("dS @$peb+70", "The structure at this address")],
    )
};
pub(crate) const DL: Command = Command {
    help: "Follows a linked list from an element on: each row shows the address of an element and its first `size` \
           pointers. `count` is the most elements (32), `size` the pointers of each (2). `dlb` follows the second \
           pointer of each element (backwards) instead of the first. The walk ends at 0, at the start, at an \
           element seen before and at memory that the dump does not hold; it says which.",
    aliases: &["dlb"],
    run: list::run,
    ..command(
        "dl",
        "dl[b] address [count [size]]",
        "Follows a linked list",
        &[("dl @$csp 4 2", "Four elements")],
    )
};

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let name = match inv.name {
        "d" => session.language.last_d.clone().unwrap_or_else(|| "db".to_owned()),
        other => other.to_owned(),
    };
    let mut args = inv.cursor();
    let options = Options::take(&mut args, session)?;
    if let Some(letter) = options.unknown {
        session.emit(sink, &Message(vec![Line::plain(format!("Unknown option '{letter}'"))]))?;
    }
    session.language.last_d = Some(name.clone());
    match name.as_str() {
        "da" | "du" => text::run(session, &name, &mut args, options, sink),
        "ds" | "dS" => text::run_counted(session, &name, &mut args, sink),
        other => match refs::kind(other, session.sel.machine) {
            Some(kind) => refs::run(session, kind, &mut args, options, sink),
            None => units::run(session, other, &mut args, options, sink),
        },
    }
}

/// Where a `d` command without an address starts: after what the last one showed, else at the instruction pointer.
fn default_start(session: &Session) -> Option<dumpscope_core::Va> {
    session.language.next_data.or_else(|| session.register_context()?.ip())
}
