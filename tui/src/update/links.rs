//! Links: threads, frames, addresses, handles, modules and commands open in their panes; back and forward.

use super::{actions, jobs};
use crate::msg::Effect;
use crate::panes::PaneKind;
use crate::state::{Choice, DumpState, MAX_BACK, Popup, Spot, State};
use dumpscope_core::{Machine, ThreadIdx, Va};
use dumpscope_engine::{Link, Role};

/// Remembers what is shown, before something else is.
fn remember(state: &mut State) {
    let focus = state.focus;
    let Some(dump) = state.dump_mut() else { return };
    let Some(spot) = dump.spot(focus) else { return };
    dump.forward.clear();
    dump.back.push(spot);
    if dump.back.len() > MAX_BACK {
        dump.back.remove(0);
    }
}

/// Opens a link where it belongs.
pub(super) fn open(state: &mut State, role: Role, link: &Link) {
    match link {
        Link::Run(line) => {
            super::prompt::run_line(state, line);
        }
        Link::Goto(va) => {
            let code = matches!(role, Role::Symbol | Role::Mnemonic | Role::Module);
            let kind = if code { PaneKind::Disassembly } else { PaneKind::Memory };
            go(state, kind, &address(*va));
        }
        Link::Thread(thread) => {
            remember(state);
            select(state, *thread, 0);
            if state.focus != PaneKind::Threads {
                actions::show(state, PaneKind::Stack);
            }
        }
        Link::Frame(thread, frame) => {
            remember(state);
            select(state, *thread, *frame);
            if state.focus != PaneKind::Stack {
                actions::show(state, PaneKind::Stack);
            }
        }
        Link::Handle(handle) => detail(state, PaneKind::Handles, format!("!handle {handle:x} f")),
        Link::Module(index) => {
            let name = state.dump().and_then(|d| {
                let session = d.session.as_ref()?;
                let known = *index < session.target.symbols.modules().len();
                known.then(|| session.target.symbols.name_in(*index, session.sel.machine).to_owned())
            });
            if let Some(name) = name {
                detail(state, PaneKind::Modules, format!("lmvm {name}"));
            }
        }
        _ => state.notice = Some((Role::Dim, "this link cannot be opened here".into())),
    }
}

fn address(va: Va) -> String {
    format!("0x{:x}", va.0)
}

/// Shows an address expression in memory or code.
pub(super) fn go(state: &mut State, kind: PaneKind, expr: &str) {
    remember(state);
    if let Some(pane) = state.dump_mut().and_then(|d| d.panes.get_mut(&kind)) {
        expr.clone_into(&mut pane.expr);
        (pane.offset, pane.detail, pane.stale) = (0, None, true);
        pane.doc.go(0);
        if kind == PaneKind::Disassembly {
            pane.form = 0;
        }
    }
    actions::show(state, kind);
}

/// Shows a command line in a pane.
fn detail(state: &mut State, kind: PaneKind, line: String) {
    remember(state);
    if let Some(pane) = state.dump_mut().and_then(|d| d.panes.get_mut(&kind)) {
        (pane.detail, pane.stale) = (Some(line), true);
        pane.doc.set_filter("");
        pane.doc.go(0);
    }
    actions::show(state, kind);
}

/// Selects a thread and a frame; all panes follow.
fn select(state: &mut State, thread: ThreadIdx, frame: u32) {
    let Some(dump) = state.dump_mut() else { return };
    let Some(session) = &mut dump.session else { return };
    let known = session.dump().threads().iter().any(|t| t.index == thread);
    if !known {
        state.notice = Some((Role::Warning, format!("there is no thread {}", thread.0)));
        return;
    }
    dump.chosen = true;
    let other = session.sel.thread != Some(thread);
    if other {
        session.sel.select_thread(thread);
    }
    session.sel.frame = frame;
    follow(dump, other);
}

/// Panes that follow the selection show it: memory and code at the new thread's place.
fn follow(dump: &mut DumpState, other: bool) {
    jobs::stale(dump, false);
    for (kind, pane) in &mut dump.panes {
        let info = kind.info();
        // Panes that showed a fixed address stay there: they stand at an expression with registers, or do not move.
        if !info.expr.is_empty() && !pane.expr.contains('@') {
            pane.stale = false;
        }
        if other && *kind == PaneKind::Stack {
            pane.doc.go(0);
            pane.doc.top = 0;
        }
        if !info.expr.is_empty() && pane.stale {
            pane.offset = 0;
        }
    }
}

/// Goes back, or forward again.
pub(super) fn back(state: &mut State, back: bool) {
    let focus = state.focus;
    let Some(dump) = state.dump_mut() else { return };
    let Some(now) = dump.spot(focus) else { return };
    let spot = if back { dump.back.pop() } else { dump.forward.pop() };
    let Some(spot) = spot else {
        let text = if back { "nothing to go back to" } else { "nothing to go forward to" };
        state.notice = Some((Role::Dim, text.into()));
        return;
    };
    if back {
        dump.forward.push(now)
    } else {
        dump.back.push(now)
    }
    restore(dump, &spot);
    actions::show(state, spot.focus);
}

fn restore(dump: &mut DumpState, spot: &Spot) {
    let Some(session) = &mut dump.session else { return };
    let sel = &mut session.sel;
    let moved = (sel.thread, sel.frame, sel.machine) != (spot.thread, spot.frame, spot.machine);
    if moved {
        if sel.thread != spot.thread {
            sel.context = None;
        }
        (sel.thread, sel.frame, sel.machine) = (spot.thread, spot.frame, spot.machine);
    }
    if moved {
        jobs::stale(dump, false);
    }
    for (kind, form, expr, offset, detail, cursor) in &spot.views {
        let Some(pane) = dump.panes.get_mut(kind) else { continue };
        if (&pane.form, &pane.expr, &pane.offset, &pane.detail) != (form, expr, offset, detail) {
            (pane.form, pane.offset, pane.stale) = (*form, *offset, true);
            pane.expr.clone_from(expr);
            pane.detail.clone_from(detail);
        }
        pane.doc.cursor = *cursor;
    }
}

/// Switches between the 32-bit and the 64-bit view of a WOW64 process.
pub(super) fn switch_bits(state: &mut State) {
    let Some(session) = state.dump().and_then(|d| d.session.as_ref()) else { return };
    if !session.dump().is_wow64() || session.dump().machine() == Machine::X86 {
        state.notice = Some((Role::Warning, "this is no 64-bit dump of a 32-bit process".into()));
        return;
    }
    remember(state);
    super::prompt::run_line(state, "!wow64exts.sw");
}

/// Opens the menu of the link under the cursor.
pub(super) fn menu(state: &mut State) {
    match state.doc(state.focus).and_then(|d| d.link_here()) {
        Some((role, link)) => {
            let items = menu_of(role, &link);
            state.popups.push(Popup::Menu("Open with".into(), items, 0));
        }
        None => state.notice = Some((Role::Dim, "there is no link on this line".into())),
    }
}

/// What can be done with a link.
#[must_use]
pub fn menu_of(role: Role, link: &Link) -> Vec<(String, Choice)> {
    let mut items = vec![("Open".to_owned(), Choice::Open(role, link.clone()))];
    let run = |line: String| (line.clone(), Choice::Run(line));
    match link {
        Link::Goto(va) => {
            let a = address(*va);
            for kind in [PaneKind::Memory, PaneKind::Disassembly] {
                items.push((format!("Show in {}", kind.info().title), Choice::Show(kind, a.clone())));
            }
            for command in ["ln", "!address", "dps", "uf", "da", "du", "!cs"] {
                items.push(run(format!("{command} {a}")));
            }
            items.push((format!("Copy {a}"), Choice::Copy(a)));
        }
        Link::Thread(ThreadIdx(n)) => {
            for command in ["s", "k", "kvn", "r"] {
                items.push(run(format!("~{n}{command}")));
            }
            items.push(run(format!("~{n}e !teb")));
        }
        Link::Frame(ThreadIdx(n), frame) => {
            items.push(run(format!("~{n}s; .frame {frame:x}")));
            items.push(run(format!("~{n}s; .frame {frame:x}; dv /t /v")));
        }
        Link::Handle(h) => {
            items.push(run(format!("!handle {h:x} f")));
            items.push((format!("Copy {h:x}"), Choice::Copy(format!("{h:x}"))));
        }
        Link::Run(line) => {
            items.push((format!("Copy {line}"), Choice::Copy(line.clone())));
        }
        _ => {}
    }
    items
}

/// Does what a menu's item says.
pub(super) fn choose(state: &mut State, choice: Choice, effects: &mut Vec<Effect>) {
    match choice {
        Choice::Open(role, link) => open(state, role, &link),
        Choice::Show(kind, expr) => go(state, kind, &expr),
        Choice::Run(line) => {
            super::prompt::run_line(state, &line);
        }
        Choice::Copy(text) => {
            effects.push(Effect::Copy(text));
            state.notice = Some((Role::Good, "copied".into()));
        }
    }
}
