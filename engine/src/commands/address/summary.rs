//! `!address -summary`.

use super::regions::{COMMIT, FREE, Used};
use crate::doc::{Answer, Line, RenderCx, Role};
use crate::fmt::{self, Hex};
use crate::tables::memory::{protect_name, state_name, type_name};
use serde::Serialize;

/// One line of a block.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct SumRow {
    pub(super) name: String,
    pub(super) regions: u64,
    pub(super) size: u64,
    /// Null for free memory.
    pub(super) percent_of_busy: Option<f64>,
    pub(super) percent_of_total: Option<f64>,
}

/// The largest region of a use.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct LargestRow {
    pub(super) name: String,
    pub(super) base: Hex,
    pub(super) size: u64,
}

/// The five blocks.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct SummaryReport {
    pub(super) usage: Vec<SumRow>,
    #[serde(rename = "type")]
    pub(super) kind: Vec<SumRow>,
    pub(super) state: Vec<SumRow>,
    pub(super) protect: Vec<SumRow>,
    pub(super) largest: Vec<LargestRow>,
    pub(super) notes: Vec<String>,
    #[serde(skip)]
    pub(super) wide: bool,
}

/// Sums in the order of first sight, then by size.
#[derive(Default)]
struct Sums(Vec<(String, u64, u64)>);

impl Sums {
    fn add(&mut self, name: &str, size: u64) {
        match self.0.iter_mut().find(|(n, ..)| n == name) {
            Some((_, count, sum)) => {
                *count = count.saturating_add(1);
                *sum = sum.saturating_add(size);
            }
            None => self.0.push((name.to_string(), 1, size)),
        }
    }

    fn rows(mut self, busy: u64, total: u64) -> Vec<SumRow> {
        self.0.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
        let percent = |part: u64, of: u64| (of != 0).then(|| part as f64 * 100.0 / of as f64);
        let row = |(name, regions, size): (String, u64, u64)| SumRow {
            percent_of_busy: if name == "Free" || name == "MEM_FREE" { None } else { percent(size, busy) },
            percent_of_total: percent(size, total),
            name,
            regions,
            size,
        };
        self.0.into_iter().map(row).collect()
    }
}

impl SummaryReport {
    pub(super) fn new(regions: &[Used], wow64: bool, wide: bool) -> SummaryReport {
        let sum = |of: &dyn Fn(&Used) -> bool| {
            regions.iter().filter(|u| of(u)).fold(0u64, |n, u| n.saturating_add(u.region.size))
        };
        let total = sum(&|_| true);
        let busy = sum(&|u| u.region.state != FREE);
        let (mut usage, mut kind, mut state, mut protect) =
            (Sums::default(), Sums::default(), Sums::default(), Sums::default());
        let mut largest: Vec<LargestRow> = Vec::new();
        for u in regions {
            let (r, name) = (&u.region, u.usage.name(wow64));
            usage.add(name, r.size);
            match largest.iter_mut().find(|l| l.name == name) {
                Some(row) if r.size > row.size => (row.base, row.size) = (r.base.into(), r.size),
                Some(_) => {}
                None => largest.push(LargestRow { name: name.into(), base: r.base.into(), size: r.size }),
            }
            if r.state != FREE && !type_name(r.kind).is_empty() {
                kind.add(type_name(r.kind), r.size);
            }
            if !state_name(r.state).is_empty() {
                state.add(state_name(r.state), r.size);
            }
            if r.state == COMMIT && r.protect != 0 {
                protect.add(&protect_name(r.protect), r.size);
            }
        }
        let usage = usage.rows(busy, total);
        // The last block keeps the order of the first.
        let place = |l: &LargestRow| usage.iter().position(|u| u.name == l.name);
        largest.sort_by_key(place);
        SummaryReport {
            kind: kind.rows(busy, total),
            state: state.rows(busy, total),
            protect: protect.rows(busy, total),
            usage,
            largest,
            notes: Vec::new(),
            wide,
        }
    }
}

const HEADERS: [&str; 5] = [
    "--- Usage Summary ---------------- RgnCount ----------- Total Size -------- %ofBusy %ofTotal",
    "--- Type Summary (for busy) ------ RgnCount ----------- Total Size -------- %ofBusy %ofTotal",
    "--- State Summary ---------------- RgnCount ----------- Total Size -------- %ofBusy %ofTotal",
    "--- Protect Summary (for commit) - RgnCount ----------- Total Size -------- %ofBusy %ofTotal",
    "--- Largest Region by Usage ----------- Base Address -------- Region Size ----------",
];

impl Answer for SummaryReport {
    const KIND: &'static str = "address_summary";

    fn lines(&self, _cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        let [usage, kind, state, protect, largest] = HEADERS;
        let blocks =
            [(usage, &self.usage), (kind, &self.kind), (state, &self.state), (protect, &self.protect)];
        for (header, rows) in blocks {
            emit(Line::new());
            emit(Line::new().role(Role::Heading, header));
            for row in rows {
                let percent = |p: Option<f64>| p.map(|p| format!("{p:.2}%")).unwrap_or_default();
                emit(Line::plain(format!(
                    "{:<32}{:>11} {:>17} ({}){:>8}{:>9}",
                    row.name,
                    row.regions,
                    fmt::size_hex(row.size, self.wide),
                    fmt::size_unit(row.size),
                    percent(row.percent_of_busy),
                    percent(row.percent_of_total)
                )));
            }
        }
        emit(Line::new());
        emit(Line::new().role(Role::Heading, largest));
        for row in &self.largest {
            emit(Line::plain(format!(
                "{:<32}{:>20} {:>17} ({})",
                row.name,
                fmt::size_hex(row.base.0, self.wide),
                fmt::size_hex(row.size, self.wide),
                fmt::size_unit(row.size)
            )));
        }
        for note in &self.notes {
            emit(Line::new().role(Role::Note, format!("note: {note}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::regions::Usage;
    use super::*;
    use crate::session::Layout;
    use dumpscope_core::Va;
    use dumpscope_core::stream::memory_info::MemoryRegion;

    fn used(base: u64, size: u64, state: u32, kind: u32, protect: u32, usage: Usage) -> Used {
        let region = MemoryRegion {
            base: Va(base),
            allocation_base: Va(base),
            allocation_protect: protect,
            size,
            state,
            protect,
            kind,
        };
        Used { region, usage }
    }

    #[test]
    fn layout_of_the_reference() {
        let regions = [
            used(0x21e_6c05_c000, 0x7ffe_d06b_b000, FREE, 0, 1, Usage::Free),
            used(0x1000, 0xfeb0_f000, COMMIT, 0x2_0000, 4, Usage::Unknown),
            used(0x10_0000, 0x0e98_9000, COMMIT, 0x100_0000, 0x104, Usage::Image(None)),
        ];
        let report = SummaryReport::new(&regions, false, true);
        let mut out = vec![];
        let cx = RenderCx { layout: Layout::Classic, wide: true };
        report.lines(&cx, &mut |l| out.push(l.to_text()));
        assert_eq!(out[1], HEADERS[0]);
        assert_eq!(
            out[2],
            "Free                                      1     7ffe`d06bb000 ( 127.995 TB)          100.00%"
        );
        assert_eq!(
            out[3],
            "<unknown>                                 1        0`feb0f000 (   3.980 GB)  94.58%    0.00%"
        );
        let protect = out.iter().find(|l| l.starts_with("PAGE_READWRITE | PAGE_GUARD")).unwrap();
        assert_eq!(&protect[42..61], "1        0`0e989000");
        let last = out.iter().rfind(|l| l.starts_with("Free")).unwrap();
        assert_eq!(
            last,
            "Free                                    21e`6c05c000     7ffe`d06bb000 ( 127.995 TB)"
        );
        assert_eq!(crate::doc::Report::json(&report)["usage"][0]["percent_of_busy"], serde_json::Value::Null);
    }
}
