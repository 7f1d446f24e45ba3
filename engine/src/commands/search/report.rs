//! Hits of a search: collected, filtered, shown in batches.

use super::options::{Kind, Options};
use crate::command::CommandError;
use crate::commands::memory::{MemoryReport, Unit, read_sparse};
use crate::doc::{Line, RenderCx, Report, Role, Sink, Span};
use crate::fmt::{self, Hex};
use crate::session::{Layout, Session};
use dumpscope_core::Va;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Hits per report.
const BATCH: usize = 256;

enum Hit {
    Memory(MemoryReport),
    Text(Va, String),
    Address(Va),
}

struct SearchReport(Vec<Hit>);

impl Report for SearchReport {
    fn kind(&self) -> &'static str {
        "search"
    }

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for hit in &self.0 {
            match hit {
                Hit::Memory(report) => emit(report.row(0, cx)),
                Hit::Text(va, text) => {
                    let line = Line::new().span(fmt::addr_span(*va, cx.wide)).text("  ");
                    emit(line.span(Span::untrusted(Role::Text, &format!("\"{text}\""))));
                }
                Hit::Address(va) => {
                    let before = if cx.layout == Layout::Modern { "0x" } else { "" };
                    emit(Line::plain(before).span(fmt::addr_span(*va, cx.wide)));
                }
            }
        }
    }

    fn json(&self) -> Value {
        let hit = |h: &Hit| match h {
            Hit::Memory(report) => {
                let mut data = report.json();
                data.get_mut("rows").and_then(|r| r.get_mut(0)).map_or(Value::Null, Value::take)
            }
            Hit::Text(va, text) => json!({ "address": Hex(va.0), "text": text }),
            Hit::Address(va) => json!({ "address": Hex(va.0) }),
        };
        json!({ "hits": self.0.iter().map(hit).collect::<Vec<_>>() })
    }
}

/// Takes hits.
pub(super) struct Hits {
    options: Options,
    /// Writable regions, start and end, sorted.
    writable: Option<Vec<(u64, u64)>>,
    among: Option<BTreeSet<Va>>,
    saved: Vec<Va>,
    batch: Vec<Hit>,
}

impl Hits {
    pub(super) fn new(session: &Session, options: &Options) -> Result<Hits, CommandError> {
        let writable = if options.writable {
            let Some(regions) = session.dump().memory_info().value() else {
                return Err(CommandError::noted(
                    "The dump does not say which memory is writable.",
                    "MiniDumpWithFullMemoryInfo (procdump -ma, .dump /ma) includes that.",
                ));
            };
            // PAGE_READWRITE, PAGE_WRITECOPY and the same with execute; upper bits are modifiers (guard, no cache).
            let ok = |protect: u32| protect & (0x04 | 0x08 | 0x40 | 0x80) != 0 && protect & 0x100 == 0;
            let committed = regions.iter().filter(|r| r.state == 0x1000 && ok(r.protect));
            let mut list: Vec<_> = committed.map(|r| (r.base.0, r.base.0.saturating_add(r.size))).collect();
            list.sort_unstable();
            Some(list)
        } else {
            None
        };
        let among = options.among_saved.then(|| session.language.saved_hits.iter().copied().collect());
        Ok(Hits { options: *options, writable, among, saved: Vec::new(), batch: Vec::new() })
    }

    fn wanted(&self, va: Va) -> bool {
        let writable = self.writable.as_ref().is_none_or(|list| {
            let after = list.partition_point(|(start, _)| *start <= va.0);
            after.checked_sub(1).and_then(|i| list.get(i)).is_some_and(|(_, end)| va.0 < *end)
        });
        writable && self.among.as_ref().is_none_or(|set| set.contains(&va))
    }

    fn take(&mut self, session: &Session, sink: &mut dyn Sink, va: Va, hit: Hit) -> Result<(), CommandError> {
        if self.options.save && self.saved.len() < self.options.max_saved {
            self.saved.push(va);
        }
        self.batch.push(if self.options.addresses_only { Hit::Address(va) } else { hit });
        if self.batch.len() >= BATCH { self.flush(session, sink) } else { Ok(()) }
    }

    /// A place where the pattern stands.
    pub(super) fn found(
        &mut self,
        session: &Session,
        sink: &mut dyn Sink,
        va: Va,
    ) -> Result<(), CommandError> {
        if !self.wanted(va) {
            return Ok(());
        }
        let (unit, columns) = match self.options.kind {
            Kind::Words | Kind::Wide | Kind::WideTexts => (Unit::WordsText, 8),
            Kind::Dwords => (Unit::DwordsText, 4),
            Kind::Qwords => (Unit::Qwords, 2),
            Kind::Bytes | Kind::Ascii | Kind::AsciiTexts => (Unit::Bytes, 16),
        };
        let bytes = read_sparse(&**session.dump().memory(), va, 16);
        self.take(session, sink, va, Hit::Memory(MemoryReport { unit, columns, bytes }))
    }

    /// A text.
    pub(super) fn text(
        &mut self,
        session: &Session,
        sink: &mut dyn Sink,
        va: Va,
        text: String,
    ) -> Result<(), CommandError> {
        if self.wanted(va) { self.take(session, sink, va, Hit::Text(va, text)) } else { Ok(()) }
    }

    fn flush(&mut self, session: &Session, sink: &mut dyn Sink) -> Result<(), CommandError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        session.emit(sink, &SearchReport(std::mem::take(&mut self.batch)))
    }

    /// Shows what is left; gives the hits to save.
    pub(super) fn finish(
        mut self,
        session: &Session,
        sink: &mut dyn Sink,
    ) -> Result<Option<Vec<Va>>, CommandError> {
        self.flush(session, sink)?;
        Ok(self.options.save.then_some(self.saved))
    }
}
