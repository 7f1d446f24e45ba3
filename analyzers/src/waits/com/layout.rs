//! Where the fields of `CMessageCall` are: from combase's own symbols, else by the build of Windows.
//!
//! Source of the table: PDB types of the builds named, and a published analysis (`docs/reference/com.md#calls`).

use super::library::of_type;
use crate::Target;
use crate::model::LayoutSource;
use dumpscope_core::Machine;

/// Offsets in a `CMessageCall`, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// `_callcat`.
    pub category: u64,
    /// `_hEvent`.
    pub event: Option<u64>,
    /// `_ipid`.
    pub ipid: u64,
    /// `_iidWire`.
    pub iid: Option<u64>,
    /// `_guidCausality`.
    pub causality: Option<u64>,
    /// `_dwServerPid`.
    pub pid: Option<u64>,
    /// `_dwServerTid`.
    pub tid: Option<u64>,
    /// `_iMethodWire` and its size.
    pub method: Option<(u64, u8)>,
    /// `_pServerOXIDEntry`.
    pub oxid: Option<u64>,
    /// How it is known.
    pub source: LayoutSource,
}

const fn row(category: u64, event: Option<u64>, ipid: u64, iid: u64) -> Layout {
    Layout {
        category,
        event,
        ipid,
        iid: Some(iid),
        causality: None,
        pid: None,
        tid: None,
        method: None,
        oxid: None,
        source: LayoutSource::Build,
    }
}

/// Lowest and highest build, machine, layout.
const TABLE: &[(u32, u32, Machine, Layout)] = &[
    (
        7600,
        7601,
        Machine::Amd64,
        Layout {
            causality: Some(0xf4),
            pid: Some(0x104),
            method: Some((0x108, 4)),
            ..row(0x18, Some(0x28), 0x38, 0xe0)
        },
    ),
    (
        9200,
        9200,
        Machine::Amd64,
        Layout {
            causality: Some(0xf8),
            pid: Some(0x108),
            tid: Some(0x10c),
            method: Some((0x110, 4)),
            ..row(0x20, Some(0x30), 0x40, 0xe8)
        },
    ),
    (
        9600,
        9600,
        Machine::Amd64,
        Layout {
            causality: Some(0x108),
            pid: Some(0x118),
            tid: Some(0x11c),
            method: Some((0x120, 4)),
            oxid: Some(0x180),
            ..row(0x20, Some(0x30), 0x40, 0xf8)
        },
    ),
    (
        9200,
        9200,
        Machine::X86,
        Layout {
            causality: Some(0x98),
            pid: Some(0xa8),
            tid: Some(0xac),
            method: Some((0xb0, 4)),
            ..row(0x10, Some(0x1c), 0x24, 0x88)
        },
    ),
    (
        9600,
        9600,
        Machine::X86,
        Layout {
            causality: Some(0xa0),
            pid: Some(0xb0),
            tid: Some(0xb4),
            method: Some((0xb8, 4)),
            oxid: Some(0xfc),
            ..row(0x10, Some(0x1c), 0x24, 0x90)
        },
    ),
    (
        14393,
        14393,
        Machine::Amd64,
        Layout {
            causality: Some(0xe8),
            pid: Some(0xf8),
            tid: Some(0xfc),
            method: Some((0x100, 2)),
            oxid: Some(0x150),
            ..row(0x10, None, 0x1c, 0xd8)
        },
    ),
    (
        19041,
        22631,
        Machine::Amd64,
        Layout {
            causality: Some(0x1c4),
            tid: Some(0x88),
            method: Some((0x8c, 2)),
            oxid: Some(0x140),
            ..row(0x10, None, 0x1c, 0x78)
        },
    ),
];

/// Builds whose layout nobody published, and the builds whose layouts are tried there.
const BETWEEN: &[(u32, u32, Machine, &[u32])] = &[
    (10240, 10586, Machine::Amd64, &[14393, 9600]),
    (10240, 10586, Machine::X86, &[9600]),
    (15063, 18363, Machine::Amd64, &[14393, 19041]),
    (22632, u32::MAX, Machine::Amd64, &[19041]),
];

fn of_build(build: u32, machine: Machine) -> Option<Layout> {
    TABLE.iter().find(|(from, to, m, _)| *m == machine && (*from..=*to).contains(&build)).map(|k| k.3)
}

/// The layouts that may hold: that of the symbols, of the build, or of its neighbours.
pub(super) fn layouts(target: &Target, machine: Machine) -> Vec<Layout> {
    if let Some(l) = of_symbols(target, machine) {
        return vec![l];
    }
    let build = target.dump.system().value().map_or(0, |s| s.build);
    if let Some(l) = of_build(build, machine) {
        return vec![l];
    }
    let between = BETWEEN.iter().find(|(from, to, m, _)| *m == machine && (*from..=*to).contains(&build));
    let builds = between.map_or(&[][..], |b| b.3);
    let neighbour = |l| Layout { source: LayoutSource::Neighbour, ..l };
    builds.iter().filter_map(|b| of_build(*b, machine)).map(neighbour).collect()
}

/// `CSyncClientCall` or `CMessageCall` as the symbols of the COM library define it.
fn of_symbols(target: &Target, machine: Machine) -> Option<Layout> {
    of_type(target, machine, &["CSyncClientCall", "CMessageCall"], |f| {
        Some(Layout {
            category: f.offset("_callcat")?,
            event: f.offset("_hEvent"),
            ipid: f.offset("_ipid")?,
            iid: f.offset("_iidWire"),
            causality: f.offset("_guidCausality"),
            pid: f.offset("_dwServerPid"),
            tid: f.offset("_dwServerTid"),
            method: f.place("_iMethodWire").map(|(o, size)| (o, if size == Some(2) { 2 } else { 4 })),
            oxid: f.offset("_pServerOXIDEntry"),
            source: LayoutSource::Symbols,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_do_not_overlap() {
        for (from, to, machine, builds) in BETWEEN {
            assert!(builds.iter().all(|b| of_build(*b, *machine).is_some()), "{from}");
            assert!(of_build(*from, *machine).is_none() && of_build(*to, *machine).is_none(), "{from}");
        }
        for (i, a) in TABLE.iter().enumerate() {
            for b in TABLE.iter().skip(i + 1).filter(|b| b.2 == a.2) {
                assert!(a.1 < b.0 || b.1 < a.0, "{} and {}", a.0, b.0);
            }
        }
    }
}
