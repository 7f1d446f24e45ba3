//! `!eeheap`: the collector's regions.

use super::{clr, dotnet};
use crate::command::{Command, CommandError, Invocation, Needs};
use crate::doc::{Answer, Line, RenderCx, Sink};
use crate::fmt::Hex;
use crate::session::Session;
use dumpscope_runtimes::clr::HeapSegment;
use serde::Serialize;

pub(crate) const EEHEAP: Command = Command {
    name: "!eeheap",
    group: "dotnet",
    syntax: "!eeheap [-gc]",
    summary: "Shows the regions of the .NET heap",
    help: "Each region with its objects' addresses and sizes, by generation: small objects (0 to 2), objects that are never freed \
           (`NonGC`), large and pinned ones. The runtime's own heaps (`-loader`) are not read.",
    examples: &[("!eeheap -gc", "All regions")],
    needs: &[Needs::Memory],
    run,
    ..Command::BASE
};

#[derive(Clone, Debug, Serialize)]
struct SegmentLine {
    heap: u64,
    /// `0`, `1`, `2`, `frozen`, `large`, `pinned`.
    kind: &'static str,
    record: Hex,
    start: Hex,
    end: Hex,
    committed: Hex,
    allocated_bytes: u64,
    committed_bytes: u64,
}

#[derive(Clone, Debug, Serialize)]
struct HeapsReport {
    heaps: usize,
    segments: Vec<SegmentLine>,
    allocated: u64,
    committed: u64,
}

const HEAD: &str =
    "         segment            begin        allocated        committed allocated size   committed size  ";

impl Answer for HeapsReport {
    const KIND: &'static str = "clr_segments";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        emit(Line::plain("========================================"));
        emit(Line::plain(format!("Number of GC Heaps: {}", self.heaps)));
        emit(Line::plain("----------------------------------------"));
        for heap in 0..self.heaps as u64 {
            if self.heaps > 1 {
                emit(Line::plain(format!("Heap {heap}")));
            }
            let of =
                |kind: &'static str| self.segments.iter().filter(move |s| s.heap == heap && s.kind == kind);
            emit(Line::plain("Small object heap"));
            emit(Line::plain(HEAD));
            for (kind, title) in [("0", "generation 0:"), ("1", "generation 1:"), ("2", "generation 2:")] {
                emit(Line::plain(title));
                of(kind).for_each(|s| emit(segment(s)));
            }
            for (kind, title) in
                [("frozen", "NonGC heap"), ("large", "Large object heap"), ("pinned", "Pinned object heap")]
            {
                emit(Line::plain(title));
                emit(Line::plain(HEAD));
                of(kind).for_each(|s| emit(segment(s)));
            }
            emit(Line::plain("------------------------------"));
        }
        let sum = |n: u64| format!("Size: 0x{n:x} ({n}) bytes.");
        emit(Line::plain(format!("GC Allocated Heap Size:    {}", sum(self.allocated))));
        emit(Line::plain(format!("GC Committed Heap Size:    {}", sum(self.committed))));
    }
}

fn segment(s: &SegmentLine) -> Line {
    let place = |h: Hex| format!("{:012x}", h.0);
    let bytes = |n: u64| if n == 0 { String::new() } else { format!("0x{n:x} ({n})") };
    Line::plain(format!(
        "{:>16} {:>16} {:>16} {:>16} {:<16} {:<16}",
        place(s.record),
        place(s.start),
        place(s.end),
        place(s.committed),
        bytes(s.allocated_bytes),
        bytes(s.committed_bytes)
    ))
}

fn line(s: &HeapSegment) -> SegmentLine {
    let kind = match (s.frozen, s.generation) {
        (true, _) => "frozen",
        (_, 0) => "0",
        (_, 1) => "1",
        (_, 2) => "2",
        (_, 3) => "large",
        _ => "pinned",
    };
    // Bookkeeping in front of the first object is committed, too; regions begin at whole pages.
    let begin = s.start.0 & !0xfff;
    SegmentLine {
        heap: s.heap,
        kind,
        record: s.record.into(),
        start: s.start.into(),
        end: s.end.into(),
        committed: s.committed.into(),
        allocated_bytes: s.end.0.saturating_sub(s.start.0),
        committed_bytes: s.committed.0.saturating_sub(begin),
    }
}

fn run(session: &mut Session, inv: &Invocation<'_>, sink: &mut dyn Sink) -> Result<(), CommandError> {
    let mut cursor = inv.cursor();
    cursor.eat("-gc");
    cursor.end()?;
    let reader = dotnet(session)?;
    let clr = clr(&reader)?;
    let segments: Vec<_> = clr.segments().iter().map(line).collect();
    let heaps = segments.iter().map(|s| s.heap).max().unwrap_or(0).saturating_add(1);
    let report = HeapsReport {
        heaps: usize::try_from(heaps).unwrap_or(1),
        allocated: segments.iter().map(|s| s.allocated_bytes).fold(0, u64::saturating_add),
        committed: segments.iter().map(|s| s.committed_bytes).fold(0, u64::saturating_add),
        segments,
    };
    session.emit(sink, &report)
}
