//! `?`: evaluates an expression.

use crate::command::{Command, CommandError, Glued, Invocation};
use crate::doc::{Line, RenderCx, Report, Role, Sink};
use crate::fmt::{self, Hex};
use crate::session::{Layout, Session};
use dumpscope_core::Va;

pub(crate) const EVALUATE: Command = Command {
    name: "?",
    glued: Glued::Anything,
    group: "expressions",
    syntax: "? [expression]",
    summary: "Evaluates a MASM expression; alone: lists the commands",
    help: "Prints the value in decimal (signed) and in hexadecimal.\n\n\
           Numbers are hexadecimal unless `n 10` changed that; `0n` decimal, `0x` hexadecimal, `0t` octal, `0y` binary. \
           Registers are `@rax`, pseudo-registers `@$peb`, symbols `module!name`; `poi(a)`, `dwo(a)`, `by(a)` read memory.",
    examples: &[("? 1228", "4648"), ("? poi(@$csp) + 0n16", "Reads a pointer from the stack and adds 16")],
    run,
    ..Command::BASE
};

struct Evaluation {
    value: u64,
}

impl Report for Evaluation {
    fn kind(&self) -> &'static str {
        "evaluation"
    }

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let decimal = fmt::signed(self.value, cx.wide).to_string();
        let line = Line::plain("Evaluate expression: ").role(Role::Value, decimal);
        emit(line.text(" = ").role(Role::Address, fmt::addr(Va(self.value), cx.wide)));
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({ "value": Hex(self.value), "decimal": self.value as i64 })
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut args = inv.cursor();
    if args.is_empty() {
        return session.emit(sink, &super::help::CommandList);
    }
    let value = args.expr(session)?;
    if session.sel.layout == Layout::Modern {
        // Today's engine shows the value before it looks at what follows.
        session.language.last_expr = value;
        session.emit(sink, &Evaluation { value })?;
        return args.end();
    }
    args.end()?;
    session.language.last_expr = value;
    session.emit(sink, &Evaluation { value })
}
