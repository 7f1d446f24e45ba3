//! Handles as a report, in the layouts of older and newer versions.

use crate::doc::{Line, Link, Part, RenderCx, Report, Role, Span};
use crate::fmt::{self, Hex};
use crate::session::Layout;
use crate::tables::access;
use dumpscope_core::Va;
use serde::Serialize;

/// Type.
pub(crate) const TYPE: u64 = 1;
/// Attributes, access and counts.
pub(crate) const BASIC: u64 = 2;
/// Name.
pub(crate) const NAME: u64 = 4;
/// Object information.
pub(crate) const OBJECT: u64 = 8;

/// One handle.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct HandleRow {
    /// Its value.
    pub(crate) handle: Hex,
    /// Object type; null when not recorded. Untrusted.
    #[serde(rename = "type")]
    pub(crate) type_name: Option<String>,
    /// Object name; null when it has none or it is not recorded. Untrusted.
    pub(crate) name: Option<String>,
    /// Attribute bits.
    pub(crate) attributes: Hex,
    /// Access mask.
    pub(crate) granted_access: Hex,
    /// Open handles of the object.
    pub(crate) handle_count: u32,
    /// References to the object.
    pub(crate) pointer_count: u32,
    /// What is known of the object; null when the dump holds nothing of it.
    pub(crate) object: Option<ObjectRow>,
}

/// What is known of an object, by kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct ObjectRow {
    /// An event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) event: Option<EventRow>,
    /// A mutex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mutant: Option<MutantRow>,
    /// A semaphore.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) semaphore: Option<SemaphoreRow>,
    /// A thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) thread: Option<ThreadObject>,
    /// A process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) process: Option<ProcessObject>,
    /// A section.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) section: Option<SectionRow>,
}

/// An event's state.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct EventRow {
    /// False: auto reset.
    pub(crate) manual_reset: bool,
    /// Set.
    pub(crate) signalled: bool,
}

/// A mutex's state.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct MutantRow {
    /// Raw count: 1 free, 0 and less owned. Null when only the owner is recorded.
    pub(crate) count: Option<i32>,
    /// The owner ended while holding it. Null when not recorded.
    pub(crate) abandoned: Option<bool>,
    /// Owning process; null when free or not recorded.
    pub(crate) owner_pid: Option<u32>,
    /// Owning thread.
    pub(crate) owner_tid: Option<u32>,
    /// `alive`, `missing` (no such thread any more), `unknown` (the dump may lack it) or null: another process's, or no owner recorded.
    pub(crate) owner: Option<&'static str>,
}

impl MutantRow {
    fn owned(&self) -> bool {
        self.count.map_or(self.owner_tid.is_some(), |c| c <= 0)
    }
}

/// A semaphore's counts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct SemaphoreRow {
    pub(crate) count: u32,
    pub(crate) limit: u32,
}

/// A thread.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ThreadObject {
    pub(crate) pid: u32,
    pub(crate) tid: u32,
    pub(crate) priority: i32,
    pub(crate) base_priority: i32,
    /// Null while it runs.
    pub(crate) exit_status: Option<Hex>,
    /// Null when it is not a thread of the dump.
    pub(crate) start: Option<Hex>,
    /// Untrusted.
    pub(crate) start_symbol: Option<String>,
}

/// A process.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct ProcessObject {
    pub(crate) pid: u32,
    pub(crate) parent_pid: u32,
    pub(crate) base_priority: i32,
    /// Null while it runs.
    pub(crate) exit_status: Option<Hex>,
}

/// A section.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct SectionRow {
    pub(crate) size: u64,
    pub(crate) attributes: Hex,
}

/// The answer of `!handle`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct HandlesReport {
    /// Handles shown; empty for the summary alone.
    pub(crate) handles: Vec<HandleRow>,
    /// Counts by type, most first; null when one handle was asked for.
    pub(crate) by_type: Option<Vec<(String, u64)>>,
    /// All handles; null when one handle was asked for.
    pub(crate) total: Option<u64>,
    /// The type that was asked for.
    pub(crate) filter: Option<String>,
    /// Why there is nothing, when there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    /// What to show of each.
    #[serde(skip)]
    pub(crate) flags: u64,
    /// 64-bit process: 16 digits.
    #[serde(skip)]
    pub(crate) wide: bool,
}

impl Report for HandlesReport {
    fn kind(&self) -> &'static str {
        "handles"
    }

    fn lines(&self, cx: &RenderCx, emit: &mut dyn FnMut(Line)) {
        for row in &self.handles {
            self.handle(row, cx.layout, emit);
        }
        let tab = if cx.layout == Layout::Modern { "\t" } else { "" };
        if let (Some(filter), Some(total)) = (&self.filter, self.total) {
            emit(Line::plain(format!("{total} handles of type ")).span(Span::untrusted(Role::Type, filter)));
        } else if let (Some(by_type), Some(total)) = (&self.by_type, self.total) {
            emit(Line::plain(format!("{total} Handles")));
            emit(Line::new().role(Role::Heading, format!("{:<15}{tab}Count", "Type")));
            for (name, count) in by_type {
                let pad = " ".repeat(15usize.saturating_sub(name.chars().count()));
                emit(
                    Line::new()
                        .span(Span::untrusted(Role::Type, name))
                        .text(format!("{pad}{tab}"))
                        .role(Role::Value, count.to_string()),
                );
            }
        }
        if let Some(note) = &self.note {
            emit(Line::new().role(Role::Note, "note: ").span(Span::untrusted(Role::Note, note)));
        }
    }

    fn json(&self) -> serde_json::Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let (Some(by_type), Some(object)) = (&self.by_type, value.as_object_mut()) {
            let map: serde_json::Map<_, _> = by_type.iter().map(|(n, c)| (n.clone(), (*c).into())).collect();
            object.insert("by_type".into(), map.into());
        }
        value
    }
}

impl HandlesReport {
    fn handle(&self, row: &HandleRow, layout: Layout, emit: &mut dyn FnMut(Line)) {
        let modern = layout == Layout::Modern;
        let value = Span::new(Role::Handle, fmt::addr_plain(Va(row.handle.0), self.wide));
        emit(Line::plain("Handle ").span(value.link(Link::Handle(row.handle.0))));
        let label = |name: &str| {
            let text = if modern { format!("  {name:<13}\t") } else { format!("  {name:<14}") };
            Line::new().span(Span::new(Role::Label, text).part(Part::More))
        };
        if self.flags & TYPE != 0 {
            let name = row.type_name.as_deref().unwrap_or("<unknown>");
            emit(label("Type").span(Span::untrusted(Role::Type, name)));
        }
        if self.flags & BASIC != 0 {
            emit(label("Attributes").text(format!("{:#x}", row.attributes.0).replacen("0x0", "0", 1)));
            emit(label("GrantedAccess").text(format!("{:#x}:", row.granted_access.0)));
            if modern {
                let mask = (row.granted_access.0 & 0xffff_ffff) as u32;
                let specific = access::specific(row.type_name.as_deref().unwrap_or(""), mask);
                for names in [access::standard(mask), specific].into_iter().filter(|n| !n.is_empty()) {
                    emit(Line::plain(format!("         {names}")));
                }
            }
            emit(label("HandleCount").text(row.handle_count.to_string()));
            emit(label("PointerCount").text(row.pointer_count.to_string()));
        }
        if self.flags & NAME != 0 {
            let name = row.name.as_deref();
            emit(match name {
                Some(name) => label("Name").span(Span::untrusted(Role::Text, name)),
                None => label("Name").text("<none>"),
            });
        }
        if self.flags & OBJECT != 0 {
            match &row.object {
                Some(object) => {
                    emit(Line::plain("  Object specific information"));
                    object.lines(self.wide, &mut |text| emit(Line::plain("    ").text(text)));
                    object.notes(&mut |text| emit(Line::new().role(Role::Note, format!("    note: {text}"))));
                }
                None => emit(Line::plain("  No object specific information available")),
            }
        }
    }
}

impl ObjectRow {
    fn lines(&self, wide: bool, emit: &mut dyn FnMut(String)) {
        if let Some(e) = &self.event {
            emit(format!("Event Type {}", if e.manual_reset { "Manual Reset" } else { "Auto Reset" }));
            emit(format!("Event is {}", if e.signalled { "Set" } else { "Waiting" }));
        }
        if let Some(m) = &self.mutant {
            emit(format!("Mutex is {}", if m.owned() { "Owned" } else { "Free" }));
            if let (Some(pid), Some(tid)) = (m.owner_pid, m.owner_tid) {
                emit(format!("Mutant Owner {pid:x}.{tid:x}"));
            }
        }
        if let Some(s) = &self.semaphore {
            emit(format!("Semaphore Count {}", s.count));
            emit(format!("Semaphore Limit {}", s.limit));
        }
        if let Some(t) = &self.thread {
            emit(format!("Thread Id {:x}.{:x}", t.pid, t.tid));
            emit(format!("Priority {}", t.priority));
            emit(format!("Base Priority {}", t.base_priority));
            if let Some(start) = t.start {
                let symbol = t.start_symbol.as_deref().unwrap_or("");
                emit(format!("Start Address {} {symbol}", fmt::addr_plain(Va(start.0), wide)));
            }
        }
        if let Some(p) = &self.process {
            emit(format!("Process Id {}", p.pid));
            emit(format!("Parent Process {}", p.parent_pid));
            emit(format!("Base Priority {}", p.base_priority));
        }
        if let Some(s) = &self.section {
            emit(format!("Section Size {:#x}", s.size));
            emit(format!("Section Attributes {:#x}", s.attributes.0));
        }
    }

    /// What WinDbg does not say.
    fn notes(&self, emit: &mut dyn FnMut(String)) {
        if let Some(m) = &self.mutant {
            if m.abandoned == Some(true) {
                emit("abandoned: its last owner ended while holding it".into());
            }
            if let Some(recursion) = m.count.filter(|c| *c < 0).map(|c| 1i64.saturating_sub(c.into())) {
                emit(format!("taken {recursion} times by its owner"));
            }
            if m.owner == Some("missing") {
                emit("the owner is no thread of this process any more".into());
            }
        }
        if let Some(t) = self.thread.as_ref().and_then(|t| t.exit_status) {
            emit(format!("the thread has ended, exit status {:#x}", t.0));
        }
        if let Some(p) = self.process.as_ref().and_then(|p| p.exit_status) {
            emit(format!("the process has ended, exit status {:#x}", p.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> HandleRow {
        HandleRow {
            handle: Hex(0x260),
            type_name: Some("Event".into()),
            name: None,
            attributes: Hex(0),
            granted_access: Hex(0x1f_0003),
            handle_count: 2,
            pointer_count: 35085,
            object: Some(ObjectRow {
                event: Some(EventRow { manual_reset: false, signalled: false }),
                ..ObjectRow::default()
            }),
        }
    }

    fn report(handles: Vec<HandleRow>, flags: u64, wide: bool) -> HandlesReport {
        HandlesReport { handles, by_type: None, total: None, filter: None, note: None, flags, wide }
    }

    fn text(report: &HandlesReport, layout: Layout) -> String {
        let mut out = String::new();
        let cx = RenderCx { layout, wide: report.wide };
        report.lines(&cx, &mut |l| out.push_str(&(l.to_text() + "\n")));
        out
    }

    #[test]
    fn article() {
        assert_eq!(
            text(&report(vec![event()], 0xf, false), Layout::Classic),
            "Handle 00000260\n  Type          Event\n  Attributes    0\n  GrantedAccess 0x1f0003:\n  HandleCount   2\n  \
             PointerCount  35085\n  Name          <none>\n  Object specific information\n    Event Type Auto Reset\n    \
             Event is Waiting\n"
        );
    }

    #[test]
    fn modern() {
        assert_eq!(
            text(&report(vec![event()], 0xf, true), Layout::Modern),
            "Handle 0000000000000260\n  Type         \tEvent\n  Attributes   \t0\n  GrantedAccess\t0x1f0003:\n         \
             Delete,ReadControl,WriteDac,WriteOwner,Synch\n         QueryState,ModifyState\n  HandleCount  \t2\n  \
             PointerCount \t35085\n  Name         \t<none>\n  Object specific information\n    Event Type Auto Reset\n    \
             Event is Waiting\n"
        );
    }

    #[test]
    fn mutants() {
        let mut row = event();
        row.object = Some(ObjectRow {
            mutant: Some(MutantRow {
                count: Some(-1),
                abandoned: Some(true),
                owner_pid: Some(0x2dd8),
                owner_tid: Some(0x23a0),
                owner: Some("missing"),
            }),
            ..ObjectRow::default()
        });
        assert_eq!(
            text(&report(vec![row.clone()], OBJECT, false), Layout::Classic),
            "Handle 00000260\n  Object specific information\n    Mutex is Owned\n    Mutant Owner 2dd8.23a0\n    note: \
             abandoned: its last owner ended while holding it\n    note: taken 2 times by its owner\n    note: the owner is \
             no thread of this process any more\n"
        );
        row.object = None;
        let none = text(&report(vec![row], OBJECT, false), Layout::Classic);
        assert!(none.ends_with("  No object specific information available\n"));
    }

    #[test]
    fn summary() {
        let mut all = report(vec![], 0, false);
        all.by_type = Some(vec![("Section".into(), 1), ("Event".into(), 1)]);
        all.total = Some(2);
        assert_eq!(
            text(&all, Layout::Modern),
            "2 Handles\nType           \tCount\nSection        \t1\nEvent          \t1\n"
        );
        assert_eq!(all.json()["by_type"]["Event"], 1);
        all.filter = Some("Semaphore".into());
        assert_eq!(text(&all, Layout::Classic), "2 handles of type Semaphore\n");
        (all.total, all.note) = (Some(0), Some("why".into()));
        assert_eq!(text(&all, Layout::Classic), "0 handles of type Semaphore\nnote: why\n");
    }
}
