//! The output model: reports, lines of role-tagged spans, sinks.

use crate::session::Layout;
use dumpscope_core::{ThreadIdx, Va};
use std::ops::ControlFlow;

/// What a piece of text is; a theme maps it to a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Role {
    /// Ordinary text.
    #[default]
    Plain,
    /// An address.
    Address,
    /// A function or variable name.
    Symbol,
    /// A module name.
    Module,
    /// A register name.
    Register,
    /// A value.
    Value,
    /// Quoted text from the process.
    Text,
    /// An instruction mnemonic.
    Mnemonic,
    /// Raw bytes.
    Bytes,
    /// A source position.
    Source,
    /// A type name.
    Type,
    /// A field name or label.
    Label,
    /// A table or section heading.
    Heading,
    /// A thread number or id.
    Thread,
    /// A handle.
    Handle,
    /// Less important text.
    Dim,
    /// A warning.
    Warning,
    /// An error.
    Error,
    /// Our note behind WinDbg's text.
    Note,
    /// A prompt with the command typed at it.
    Prompt,
    /// Something good: alive, set, resolved.
    Good,
}

/// Where a span leads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Link {
    /// Runs a command line.
    Run(String),
    /// Shows an address.
    Goto(Va),
    /// Selects a thread.
    Thread(ThreadIdx),
    /// Selects a frame (by row number in `k`) of a thread.
    Frame(ThreadIdx, u32),
    /// Shows a handle.
    Handle(u64),
    /// Shows a module (index in the module list).
    Module(usize),
}

/// What a span is to a pane that shows lines in its own way: the text of an answer may change, this does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// The titles of columns.
    Columns,
    /// Stands for the addresses of a call that the compiler inlined.
    Inlined,
    /// A frame's place begins: module and function, or the address.
    Site,
    /// The id of the thread that owns a lock.
    Owner(u64),
    /// What `~` says of a thread's suspension and blocks begins.
    State,
    /// The line tells more of the thing in the lines above.
    More,
}

/// Text with a role and perhaps a link. The text holds no control characters: see [`Span::untrusted`].
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Span {
    /// Text, one line.
    pub text: String,
    /// What it is.
    pub role: Role,
    /// Where it leads.
    pub link: Option<Link>,
    /// What it is to a pane.
    pub part: Option<Part>,
}

impl Span {
    /// Our own text.
    pub fn new(role: Role, text: impl Into<String>) -> Span {
        Span { text: text.into(), role, link: None, part: None }
    }

    /// Text from a dump, an image or a symbol file: control and bidirectional characters are escaped.
    #[must_use]
    pub fn untrusted(role: Role, text: &str) -> Span {
        Span::new(role, dumpscope_core::base::text::escape(text))
    }

    /// The same span, which is this to a pane.
    #[must_use]
    pub fn part(mut self, part: Part) -> Span {
        self.part = Some(part);
        self
    }

    /// The same span with a link.
    #[must_use]
    pub fn link(mut self, link: Link) -> Span {
        self.link = Some(link);
        self
    }
}

/// One line of output.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Line(pub Vec<Span>);

impl Line {
    /// An empty line.
    #[must_use]
    pub fn new() -> Line {
        Line::default()
    }

    /// A line of plain text of our own.
    pub fn plain(text: impl Into<String>) -> Line {
        Line(vec![Span::new(Role::Plain, text)])
    }

    /// Adds plain text of our own.
    #[must_use]
    pub fn text(self, text: impl Into<String>) -> Line {
        self.span(Span::new(Role::Plain, text))
    }

    /// Adds text of our own with a role.
    #[must_use]
    pub fn role(self, role: Role, text: impl Into<String>) -> Line {
        self.span(Span::new(role, text))
    }

    /// Adds a span.
    #[must_use]
    pub fn span(mut self, span: Span) -> Line {
        self.0.push(span);
        self
    }

    /// True when a span is this to a pane.
    #[must_use]
    pub fn has(&self, part: Part) -> bool {
        self.0.iter().any(|s| s.part == Some(part))
    }

    /// The text of all spans.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.0.iter().map(|s| s.text.as_str()).collect()
    }
}

/// What a rendering needs to know.
#[derive(Clone, Copy, Debug)]
pub struct RenderCx {
    /// Which WinDbg's layout.
    pub layout: Layout,
    /// True on 64-bit views: 16-digit addresses.
    pub wide: bool,
}

/// The outcome of a command: typed, rendered by the sink.
pub trait Report {
    /// The kind of report: the `report` field of its JSON (`threads`, `stack`, `memory`).
    fn kind(&self) -> &'static str;

    /// Emits its lines.
    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line));

    /// Text that goes on where the last one ended and has no line of its own (`.printf`); line breaks are in it.
    fn fragment(&self) -> Option<&str> {
        None
    }

    /// Its JSON. Addresses, handles and codes are hex strings, ids and counts numbers, unknown is null.
    fn json(&self) -> serde_json::Value;
}

/// A report whose fields are its JSON, as most are: this is all that a command's file says of it. [`Report`] is for
/// the others and for the sinks.
pub trait Answer: serde::Serialize {
    /// See [`Report::kind`].
    const KIND: &'static str;

    /// See [`Report::lines`].
    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line));
}

impl<T: Answer> Report for T {
    fn kind(&self) -> &'static str {
        T::KIND
    }

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        Answer::lines(self, cx, emit);
    }

    fn json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// Takes what commands produce.
pub trait Sink {
    /// The command that the following reports answer, without thread prefix; and the thread it was selected for.
    fn command(&mut self, text: &str, thread: Option<ThreadIdx>) {
        let _ = (text, thread);
    }

    /// A report; `Break` asks the command to stop.
    fn report(&mut self, report: &dyn Report, cx: &RenderCx) -> ControlFlow<()>;

    /// A sentence of our own beside the output: what to do next. No part of the command's answer, so that transcripts
    /// and scripts do not see it.
    fn note(&mut self, text: &str) {
        let _ = text;
    }

    /// A note on how far a long command is (`what`, done, total; total 0 when unknown).
    fn progress(&mut self, what: &str, done: u64, total: u64) {
        let _ = (what, done, total);
    }
}

/// Plain lines as a report, for messages and small commands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message(pub Vec<Line>);

impl Report for Message {
    fn kind(&self) -> &'static str {
        "message"
    }

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        self.0.iter().cloned().for_each(emit);
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({ "lines": self.0.iter().map(Line::to_text).collect::<Vec<_>>() })
    }
}

/// Text without a line of its own. The runner joins fragments to lines, which reach the sink as [`Message`]s.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fragment(pub String);

impl Report for Fragment {
    fn kind(&self) -> &'static str {
        "fragment"
    }

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        self.0.lines().for_each(|l| emit(Line(vec![Span::untrusted(Role::Plain, l)])));
    }

    fn fragment(&self) -> Option<&str> {
        Some(&self.0)
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({ "text": self.0 })
    }
}
