//! `!imgscan`: images in memory, found by their headers.

use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, Link, RenderCx, Role, Sink, Span};
use crate::fmt::{self, Hex};
use crate::session::{Layout, Session};
use dumpscope_core::base::text::escape;
use dumpscope_core::{ReadMemory, Va};
use dumpscope_symbols::image::PeHeaders;
use serde::Serialize;

pub(crate) const IMGSCAN: Command = Command {
    name: "!imgscan",
    aliases: &[".imgscan"],
    group: "modules",
    syntax: "!imgscan",
    summary: "Finds images in memory by their headers",
    help: "Looks at every page of the dump's memory for a PE header. An image that is no known module was loaded by hand or \
           hidden.",
    examples: &[("!imgscan", "All images")],
    needs: &[Needs::Memory],
    run,
    ..Command::BASE
};

const PAGE: u64 = 0x1000;
/// Most pages that are looked at: 64 GiB.
const MAX_PAGES: u64 = 1 << 24;

#[derive(Clone, Debug, PartialEq, Serialize)]
struct ImageRow {
    base: Hex,
    size: u32,
    protect: Option<Hex>,
    #[serde(rename = "type")]
    kind: Option<Hex>,
    /// File name of the module. Null: no known module. Untrusted.
    name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct ImagesReport {
    images: Vec<ImageRow>,
    #[serde(skip)]
    wide: bool,
}

impl Answer for ImagesReport {
    const KIND: &'static str = "images";

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for row in &self.images {
            let base = Va(row.base.0);
            let address = match cx.layout {
                Layout::Classic => fmt::addr_plain(base, self.wide),
                Layout::Modern => fmt::addr(base, self.wide),
            };
            let at = Span::new(Role::Address, address).link(Link::Goto(base));
            let hex = |h: Option<Hex>| format!("{:08x}", h.unwrap_or_default().0);
            emit(Line::plain("MZ at ").span(at).text(format!(
                ", prot {}, type {} - size {:x}",
                hex(row.protect),
                hex(row.kind),
                row.size
            )));
            match &row.name {
                Some(name) => emit(Line::plain("  Name: ").span(Span::untrusted(Role::Text, name))),
                None => emit(Line::new().role(Role::Note, "  note: no module of the process is loaded here")),
            }
        }
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    inv.cursor().end()?;
    let dump = session.dump();
    let memory = dump.memory().as_ref();
    let mut images = Vec::new();
    let mut at = Va(0);
    for n in 0..MAX_PAGES {
        if n.is_multiple_of(4096) && session.cancel.is_cancelled() {
            return Err(CommandError::Stopped);
        }
        let Some(next) = memory.next_readable(at) else { break };
        // Images start on pages.
        let Some(page) = next.0.checked_next_multiple_of(PAGE).map(Va) else { break };
        if memory.u16(page) == Some(0x5a4d)
            && let Ok(headers) = PeHeaders::read(memory, page)
        {
            let region = dump.memory_info().value().and_then(|regions| {
                regions.iter().find(|r| page.distance_from(r.base).is_some_and(|d| d < r.size))
            });
            let module = dump.module_at(page);
            images.push(ImageRow {
                base: page.into(),
                size: headers.size_of_image,
                protect: region.map(|r| r.protect.into()),
                kind: region.map(|r| r.kind.into()),
                name: module.map(|m| escape(&m.file_name).into_owned()),
            });
        }
        let Some(after) = page.checked_add(PAGE) else { break };
        at = after;
    }
    session.emit(sink, &ImagesReport { images, wide: session.render_cx().wide })
}
