//! ntdll's list of critical sections (`RtlCriticalSectionList`), found without symbols.

use crate::Target;
use crate::model::{CriticalSection, DebugBlock};
use dumpscope_core::{Machine, ReadMemory, Va};
use std::collections::BTreeSet;

/// Most links that are followed.
const MAX_LINKS: usize = 1 << 16;

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Sections in list order, from the head on when the head was met.
    pub sections: Vec<CriticalSection>,
    /// Debug blocks whose section is not readable or does not point back.
    pub orphaned: Vec<DebugBlock>,
    /// Why the walk ended early.
    pub stopped: Option<String>,
}

enum Node {
    Section(CriticalSection),
    /// The head: it is in ntdll's data and is no debug block.
    Head,
    Orphan(DebugBlock),
    Unreadable,
}

/// The list's head by name, where the symbols of ntdll have it. A WOW64 process has two of them: the links must lead
/// back in the way of this machine.
pub(super) fn head(target: &Target, machine: Machine) -> Option<Va> {
    let memory = target.dump.memory();
    let p = machine.ptr_size() as u64;
    let leads_back = |at: &Va| {
        let next = memory.ptr(*at, machine).filter(|n| !n.is_null());
        next.and_then(|n| memory.ptr(n.offset(p), machine)) == Some(*at)
    };
    let ntdll = target.symbols.modules_named("ntdll").into_iter();
    let named = ntdll.flat_map(|m| target.symbols.by_name(Some(m), HEAD));
    named.filter_map(|(m, s)| Some(s.rva.va(target.symbols.modules().get(m)?.base))).find(leads_back)
}

/// Name of the head in ntdll's symbols.
const HEAD: &str = "RtlCriticalSectionList";

/// Walks the list from `start`, an address of a `ProcessLocksList` or the `head`.
pub(super) fn walk(target: &Target, machine: Machine, start: Va, head: Option<Va>) -> Walk {
    let mut out = Walk::default();
    let mut seen = BTreeSet::new();
    let mut head_at = None;
    let mut at = start;
    let stop = loop {
        if at == start && !seen.is_empty() {
            break None;
        }
        if seen.len() >= MAX_LINKS {
            break Some(format!("no more than {MAX_LINKS} links are followed"));
        }
        if !seen.insert(at) {
            break Some("its links go in a circle".to_owned());
        }
        match if head == Some(at) { Node::Head } else { node(target, machine, at) } {
            Node::Section(s) => out.sections.push(s),
            Node::Head => head_at = Some(out.sections.len()),
            Node::Orphan(d) => out.orphaned.push(d),
            Node::Unreadable => break Some(format!("the debug block at {:x} is not in the dump", at.0)),
        }
        match target.dump.memory().ptr(at, machine) {
            Some(next) if !next.is_null() => at = next,
            _ => break Some(format!("the link at {:x} leads nowhere", at.0)),
        }
    };
    // List order begins behind the head, wherever the walk began.
    if let Some(n) = head_at {
        let all = out.sections.len();
        out.sections.rotate_left(n.min(all));
    }
    if stop.is_some() {
        backwards(target, machine, start, &mut seen, &mut out);
    }
    out.stopped = stop;
    out
}

/// The other way round, for what lies behind a hole.
fn backwards(target: &Target, machine: Machine, start: Va, seen: &mut BTreeSet<Va>, out: &mut Walk) {
    let blink = |at: Va| target.dump.memory().ptr(at.offset(machine.ptr_size() as u64), machine);
    let mut at = blink(start);
    let mut found = Vec::new();
    while let Some(here) = at.filter(|a| !a.is_null() && seen.len() < MAX_LINKS) {
        if !seen.insert(here) {
            break;
        }
        match node(target, machine, here) {
            Node::Section(s) => found.push(s),
            Node::Head => {}
            Node::Orphan(d) => out.orphaned.push(d),
            Node::Unreadable => break,
        }
        at = blink(here);
    }
    found.reverse();
    found.append(&mut out.sections);
    out.sections = found;
}

fn node(target: &Target, machine: Machine, at: Va) -> Node {
    let memory = target.dump.memory().as_ref();
    let Some(block) = DebugBlock::read(memory, at.back(DebugBlock::link_offset(machine)), machine) else {
        return Node::Unreadable;
    };
    let in_ntdll = || {
        let module = target.dump.module_at(at);
        module.is_some_and(|m| m.file_name.eq_ignore_ascii_case("ntdll.dll"))
    };
    let section = CriticalSection::read(memory, block.section, machine);
    match section.filter(|s| s.debug_info == block.address && s.points_back()) {
        Some(s) => Node::Section(s),
        // The words before the head are another list's: it has no type, or is its own section.
        None if in_ntdll() && (block.kind > 1 || block.section == block.address) => Node::Head,
        None => Node::Orphan(block),
    }
}

/// True when a block is linked with others.
pub(super) fn is_linked(block: &DebugBlock, machine: Machine) -> bool {
    let own = block.address.offset(DebugBlock::link_offset(machine));
    !block.next.is_null() && !block.previous.is_null() && block.next != own
}
