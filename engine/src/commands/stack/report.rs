//! A stack as a report: rows in WinDbg's columns.

use super::flags::{KFlags, Params};
use super::languages::ScriptRow;
use crate::doc::{Answer, Line, Link, Part, RenderCx, Role, Span};
use crate::document::{ArgRow, Confidence, TrustName};
use crate::fmt::{self, Hex};
use crate::session::Layout;
use dumpscope_core::{ThreadIdx, Va};
use serde::Serialize;

/// Where a row's instruction pointer is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Site {
    /// The address.
    pub(crate) ip: Hex,
    /// WinDbg's module name. `<Unloaded_foo.dll>` for an unloaded module. Untrusted.
    pub(crate) module: Option<String>,
    /// Function. Untrusted.
    pub(crate) function: Option<String>,
    /// From the function's start, else from the module's base.
    pub(crate) displacement: Hex,
}

/// A source position.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Source {
    /// Path as the symbol file has it. Untrusted.
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: u32,
}

/// A parameter with its value, as `kp` shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Param {
    /// Type as WinDbg writes it (`struct _GUID *`). Untrusted.
    #[serde(rename = "type")]
    pub(crate) type_name: String,
    /// Name; empty for one without. Untrusted.
    pub(crate) name: String,
    /// Value as WinDbg writes it; null when it is not known. Untrusted.
    pub(crate) value: Option<String>,
    /// The value as a number, for numbers and pointers.
    pub(crate) bits: Option<Hex>,
    /// Where the value comes from.
    pub(crate) source: Option<&'static str>,
    /// `proven`, `strong`, `guess`.
    pub(crate) confidence: Option<&'static str>,
    /// Why the value is not known.
    pub(crate) note: Option<String>,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    /// Number in `k`, from 0; inlined calls count.
    pub(crate) number: u32,
    /// Where it is.
    #[serde(flatten)]
    pub(crate) site: Site,
    /// Stack pointer.
    pub(crate) sp: Hex,
    /// x86: ChildEBP. Else the stack pointer.
    pub(crate) frame_base: Hex,
    /// Return address.
    pub(crate) return_address: Hex,
    /// Words of the stack area where arguments lie; null where memory is missing. On x64 the home slots, which
    /// optimized code often leaves unwritten.
    pub(crate) stack_words: Vec<Option<Hex>>,
    /// Recovered arguments with their source; null when they were not asked for.
    pub(crate) args: Option<Vec<ArgRow>>,
    /// Parameters with values, from types; null when not known.
    pub(crate) parameters: Option<Vec<Param>>,
    /// Source position.
    pub(crate) source: Option<Source>,
    /// An inlined call, not a frame of its own.
    pub(crate) inline: bool,
    /// How the frame was found.
    pub(crate) trust: TrustName,
    /// Why it is doubtful.
    pub(crate) issue: Option<String>,
    /// Where the name came from.
    pub(crate) symbol_source: Option<&'static str>,
    /// x86 frame data in WinDbg's form: `[Non-Fpo]`.
    pub(crate) fpo: Option<String>,
    /// x86, modern layout: the calling convention.
    #[serde(skip)]
    pub(crate) convention: Option<&'static str>,
    /// WinDbg's warning before the row.
    #[serde(skip)]
    pub(crate) warning: Option<&'static str>,
}

/// A stack.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct StackReport {
    /// The debugger's thread number.
    pub(crate) thread: Option<u32>,
    /// System thread id.
    pub(crate) tid: Option<u32>,
    /// `x86`, `x64`, `arm64`.
    pub(crate) machine: &'static str,
    /// Rows, innermost first.
    pub(crate) frames: Vec<Row>,
    /// Why the walk ended.
    pub(crate) end: String,
    /// Our notes behind the rows.
    pub(crate) notes: Vec<String>,
    /// Frames of the program's language that are no machine frames.
    pub(crate) script: Vec<ScriptRow>,
    /// True after `.ecxr` and `.cxr`.
    pub(crate) set_context: bool,
    /// 64-bit view.
    #[serde(skip)]
    pub(crate) wide: bool,
    /// What to show.
    #[serde(skip)]
    pub(crate) flags: KFlags,
}

impl Answer for StackReport {
    const KIND: &'static str = "stack";

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        if self.set_context {
            let text = "  *** Stack trace for last set context - .thread/.cxr resets it";
            emit(Line::new().role(Role::Warning, text));
        }
        let cols = Columns { wide: self.wide, layout: cx.layout, flags: self.flags };
        emit(cols.header());
        let mut previous: Option<&Row> = None;
        let shown = self.frames.len();
        for (at, row) in self.frames.iter().enumerate() {
            self.script.iter().filter(|s| s.before == Some(at)).for_each(|s| emit(cols.script(s)));
            if let Some(warning) = row.warning {
                emit(Line::new().role(Role::Warning, warning));
            }
            let distance = previous.map(|p| row.frame_base.0.wrapping_sub(p.frame_base.0));
            cols.row(row, distance, self.thread, emit);
            if !row.inline || cx.layout == Layout::Modern {
                previous = Some(row);
            }
        }
        // Those behind the rows; a frame limit may have cut off the row of others.
        let behind = |s: &&ScriptRow| s.before.is_none_or(|b| b >= shown);
        self.script.iter().filter(behind).for_each(|s| emit(cols.script(s)));
        for note in &self.notes {
            emit(Line::new().role(Role::Note, format!("note: {note}")));
        }
    }
}

/// The columns of one layout.
pub(crate) struct Columns {
    pub(crate) wide: bool,
    pub(crate) layout: Layout,
    pub(crate) flags: KFlags,
}

impl Columns {
    fn numbers(&self) -> bool {
        self.flags.numbers || (self.layout == Layout::Modern && !self.flags.bare)
    }

    fn modern(&self) -> bool {
        self.layout == Layout::Modern
    }

    /// Width of the return address: newer versions leave room for more.
    fn return_width(&self) -> usize {
        fmt::addr_width(self.wide) + if self.layout == Layout::Modern { 4 } else { 0 }
    }

    fn words(&self) -> usize {
        if self.wide { 4 } else { 3 }
    }

    fn header(&self) -> Line {
        let mut text = String::new();
        if self.numbers() {
            text.push_str(" # ");
        }
        if self.flags.clean {
            // The engine has no title for it in a 32-bit view.
            text.push_str(if self.modern() && !self.wide { "" } else { "Call Site" });
            return Line::new().span(Span::new(Role::Heading, text).part(Part::Columns));
        }
        if self.flags.distance {
            text.push_str("  Memory  ");
        }
        let width = self.return_width();
        if self.wide {
            if !self.flags.no_base {
                text.push_str(&format!("{:<17} ", "Child-SP"));
            }
            text.push_str(&format!("{:<width$} ", "RetAddr"));
            if self.flags.args {
                let title = if self.flags.recovered { "Args (recovered)" } else { "Args to Child" };
                text.push_str(&format!(": {title:<71} : "));
            }
            text.push_str("Call Site");
        } else {
            text.push_str(&format!("ChildEBP {:<width$} ", "RetAddr"));
            if self.flags.args {
                text.push_str(&format!("{:<27}", "Args to Child"));
            }
        }
        Line::new().span(Span::new(Role::Heading, text).part(Part::Columns))
    }

    /// A frame of the program's language.
    fn script(&self, row: &ScriptRow) -> Line {
        let numbers = if self.numbers() { "   " } else { "" };
        let pad = if self.flags.clean { 0 } else { fmt::addr_width(self.wide) + 1 + self.return_width() + 1 };
        let line = Line::plain(format!("{numbers}{:pad$}", "")).role(Role::Symbol, row.function.clone());
        let line = if row.inlined { line.role(Role::Dim, " (inlined)") } else { line };
        match row.source.as_ref().filter(|_| !self.flags.no_lines && !self.flags.clean) {
            Some(s) => line.role(Role::Source, format!(" [{} @ {}]", s.file, s.line)),
            None => line,
        }
    }

    /// One row; `kP` makes several lines of it.
    pub(crate) fn row(
        &self,
        row: &Row,
        distance: Option<u64>,
        thread: Option<u32>,
        emit: &mut dyn FnMut(Line),
    ) {
        let mut line = Line::new();
        if self.numbers() {
            let mut number = Span::new(Role::Label, format!("{:02x}", row.number));
            if let Some(thread) = thread {
                number = number.link(Link::Frame(ThreadIdx(thread), row.number));
            }
            line = line.span(number).text(" ");
        }
        if !self.flags.clean {
            if self.flags.distance {
                let text = match distance {
                    Some(d) if self.modern() => format!("{d:>9x} "),
                    Some(d) if !row.inline => format!("{d:>8x}  "),
                    _ => " ".repeat(10),
                };
                line = line.text(text);
            }
            line = self.addresses(line, row);
        }
        self.call_site(line, row, emit);
    }

    fn addresses(&self, mut line: Line, row: &Row) -> Line {
        let width = self.return_width();
        let dashes = dashes(self.wide);
        if row.inline {
            let (tag, ret) = row_addresses(self.wide, true, Va(0), Va(0));
            // Without the stack pointer today's engine keeps the words and drops the dashes.
            let text = match self.flags.no_base && self.wide {
                true if self.modern() => format!("{tag:<width$} "),
                true => format!("{ret:<width$} "),
                false => format!("{tag} {ret:<width$} "),
            };
            line = line.span(Span::new(Role::Dim, text).part(Part::Inlined));
        } else {
            let return_address = Va(row.return_address.0);
            let pad = width.saturating_sub(fmt::addr_width(self.wide)) + 1;
            if !(self.flags.no_base && self.wide) {
                line = line.span(fmt::addr_span(Va(row.frame_base.0), self.wide)).text(" ");
            }
            line = line.span(fmt::addr_span(return_address, self.wide)).text(" ".repeat(pad));
        }
        if self.flags.args {
            if self.wide {
                line = line.text(": ");
            }
            for i in 0..self.words() {
                let word = match self.flags.recovered {
                    true => recovered(row, i),
                    false => row.stack_words.get(i).copied().flatten(),
                };
                line = match word {
                    _ if row.inline => line.role(Role::Dim, dashes),
                    None if self.flags.recovered => line.role(Role::Dim, dashes),
                    Some(w) => line.span(
                        Span::new(Role::Value, fmt::addr(Va(w.0), self.wide)).link(Link::Goto(Va(w.0))),
                    ),
                    // Today's engine shows what it cannot read as 0; a note beside the output says so.
                    None if self.modern() => line.role(Role::Dim, fmt::addr(Va(0), self.wide)),
                    None => line.role(Role::Dim, if self.wide { "????????`????????" } else { "????????" }),
                };
                line = line.text(" ");
            }
            if self.wide {
                line = line.text(": ");
            }
        }
        line
    }

    fn call_site(&self, mut line: Line, row: &Row, emit: &mut dyn FnMut(Line)) {
        let (mut name, offset) = site_spans(&row.site, self.wide);
        if self.modern() && row.site.module.is_none() && row.site.function.is_none() {
            let ip = Va(row.site.ip.0);
            name = vec![Span::new(Role::Address, format!("0x{}", fmt::short(ip))).link(Link::Goto(ip))];
        }
        if let Some(first) = name.first_mut() {
            first.part = Some(Part::Site);
        }
        line.0.extend(name);
        if self.flags.clean {
            emit(line);
            return;
        }
        match (&row.parameters, self.flags.params) {
            // Of an inlined call the absence of records says nothing.
            (Some(params), Params::Inline | Params::PerLine)
                if params.is_empty() && row.inline && !self.modern() => {}
            (Some(params), Params::Inline | Params::PerLine) if params.is_empty() => {
                line = line.text("(void)");
            }
            (Some(params), Params::Inline) => {
                line = line.text("(");
                for (i, param) in params.iter().enumerate() {
                    line = param_spans(if i > 0 { line.text(", ") } else { line }, param, self.modern());
                }
                line = line.text(")");
            }
            (Some(params), Params::PerLine) => {
                line = line.text("(");
                let indent = if self.modern() { "\t\t\t".to_owned() } else { " ".repeat(12) };
                for (i, param) in params.iter().enumerate() {
                    emit(if i > 0 { line.text(", ") } else { line });
                    line = param_spans(Line::new().text(indent.clone()), param, self.modern());
                }
                line = line.text(")");
            }
            _ => {}
        }
        if let Some(offset) = offset {
            line = line.span(offset);
        }
        if self.flags.verbose {
            if row.inline {
                line = line.text(format!(" (Inline Function @ {})", fmt::addr(Va(row.site.ip.0), self.wide)));
            } else if let Some(fpo) = &row.fpo {
                line = line.text(format!(" (FPO: {fpo})"));
            }
            if let Some(convention) = row.convention {
                line = line.text(format!(" (CONV: {convention})"));
            }
        }
        if let Some(source) = row.source.as_ref().filter(|_| !self.flags.no_lines) {
            line = line
                .text(" [")
                .span(Span::untrusted(Role::Source, &source.file))
                .role(Role::Source, format!(" @ {}", source.line))
                .text(if self.modern() { "]" } else { "] " });
        }
        emit(line);
    }
}

/// The first two columns of a row as text: ChildEBP or the stack pointer (`base`), and the return address.
pub(crate) fn row_addresses(wide: bool, inline: bool, base: Va, ret: Va) -> (String, String) {
    match inline {
        true if wide => ("(Inline Function)".into(), dashes(wide).into()),
        true => ("(Inline)".into(), dashes(wide).into()),
        false => (fmt::addr(base, wide), fmt::addr(ret, wide)),
    }
}

/// What stands for an address that a row does not have.
fn dashes(wide: bool) -> &'static str {
    if wide { "--------`--------" } else { "--------" }
}

/// WinDbg's words for a value that is not known.
pub(crate) const UNAVAILABLE: &str = "<value unavailable>";

/// The value of a recovered argument that is more than a guess.
fn recovered(row: &Row, index: usize) -> Option<Hex> {
    let arg = row.args.as_ref()?.get(index)?;
    arg.value.filter(|_| arg.confidence.is_some_and(|c| c != Confidence::Guess))
}

fn param_spans(line: Line, param: &Param, modern: bool) -> Line {
    let mut line = line.span(Span::untrusted(Role::Type, &param.type_name));
    if !param.name.is_empty() {
        let gap = if param.type_name.is_empty() { "" } else { " " };
        line = line.text(gap).span(Span::untrusted(Role::Symbol, &param.name));
    }
    line = line.text(" = ");
    match &param.value {
        Some(value) => line.span(Span::untrusted(Role::Value, value)),
        None => line.role(Role::Dim, if modern { "<Value unavailable error>" } else { UNAVAILABLE }),
    }
}

/// The spans of `module!function` and of `+0xdisplacement`.
pub(crate) fn site_spans(site: &Site, wide: bool) -> (Vec<Span>, Option<Span>) {
    let ip = Va(site.ip.0);
    // Code of a runtime that has no modules.
    if let (None, Some(function)) = (&site.module, &site.function) {
        let offset = (site.displacement.0 != 0)
            .then(|| Span::new(Role::Plain, format!("+0x{:x}", site.displacement.0)));
        return (vec![Span::untrusted(Role::Symbol, function).link(Link::Goto(ip))], offset);
    }
    let Some(module) = &site.module else {
        return (
            vec![Span::new(Role::Address, format!("0x{}", fmt::addr(ip, wide))).link(Link::Goto(ip))],
            None,
        );
    };
    let mut spans = vec![Span::untrusted(Role::Module, module)];
    match &site.function {
        Some(function) => {
            spans.push(Span::new(Role::Plain, "!"));
            spans.push(Span::untrusted(Role::Symbol, function).link(Link::Goto(ip)));
        }
        None => spans = vec![Span::untrusted(Role::Module, module).link(Link::Goto(ip))],
    }
    // An inlined call may start behind the address: the distance wraps in the view's width.
    let displacement = if wide { site.displacement.0 } else { site.displacement.0 & 0xffff_ffff };
    let offset = (displacement != 0).then(|| Span::new(Role::Plain, format!("+0x{displacement:x}")));
    (spans, offset)
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
