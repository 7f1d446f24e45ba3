//! Actions: what the keys of the table do.

use super::{jobs, links, popups, prompt};
use crate::config::Theme;
use crate::keymap::Action;
use crate::layout::Node;
use crate::msg::Effect;
use crate::panes::PaneKind;
use crate::state::{Ask, Popup, State};
use crate::work::bytes_per_line;
use dumpscope_core::Va;
use dumpscope_engine::{Line, Link, Role};

/// Thousandths that a border moves at once.
const STEP: i16 = 40;

/// Runs an action.
pub(super) fn run(state: &mut State, action: Action, effects: &mut Vec<Effect>) {
    let focus = state.focus;
    match action {
        Action::Help | Action::HelpHere => popups::help(state),
        Action::Palette => state.popups.push(Popup::Palette(Default::default(), 0)),
        Action::NextPane => step_pane(state, true),
        Action::PrevPane => step_pane(state, false),
        Action::PaneCommand => show(state, PaneKind::Command),
        Action::PaneSummary => show(state, PaneKind::Summary),
        Action::PaneLocals => show(state, PaneKind::Locals),
        Action::PaneRegisters => show(state, PaneKind::Registers),
        Action::PaneMemory => show(state, PaneKind::Memory),
        Action::PaneStack => show(state, PaneKind::Stack),
        Action::PaneDisassembly => show(state, PaneKind::Disassembly),
        Action::PaneModules => show(state, PaneKind::Modules),
        Action::PaneThreads => show(state, PaneKind::Threads),
        Action::PaneHandles => show(state, PaneKind::Handles),
        Action::PaneLocks => show(state, PaneKind::Locks),
        Action::PaneGraph => show(state, PaneKind::Graph),
        Action::Zoom => state.zoom = !state.zoom,
        Action::ClosePane => {
            state.zoom = false;
            state.layout_mut().close(focus);
            if !state.layout().holds(state.focus) {
                show(state, PaneKind::Command);
            }
        }
        Action::Wider => resize(state, false, STEP),
        Action::Narrower => resize(state, false, -STEP),
        Action::Taller => resize(state, true, STEP),
        Action::Lower => resize(state, true, -STEP),
        Action::ResetLayout => {
            (state.wide, state.compact, state.zoom) = (Node::wide(), Node::compact(), false)
        }
        Action::Back | Action::GoBack => links::back(state, true),
        Action::Forward => links::back(state, false),
        Action::Bits => links::switch_bits(state),
        Action::NextDump => {
            if !state.dumps.is_empty() {
                state.current = (state.current + 1) % state.dumps.len();
            }
        }
        Action::OpenDump => state.popups.push(Popup::Ask(Ask::Open, Default::default())),
        Action::SaveTranscript => state.popups.push(Popup::Ask(Ask::SaveTranscript, Default::default())),
        Action::Theme => {
            state.settings.theme = match state.settings.theme {
                Theme::Dark => Theme::Light,
                Theme::Light => Theme::None,
                Theme::None => Theme::Dark,
            }
        }
        Action::Stop => {
            if !jobs::stop(state, effects) {
                state.input = Default::default();
                state.candidates = None;
            }
        }
        Action::Quit => effects.push(Effect::Quit),
        Action::FindOutput => {
            state.in_output = !state.transcript.is_empty();
            run(state, Action::Search, effects);
        }
        Action::Submit
        | Action::Complete
        | Action::ToOutput
        | Action::HistoryBack
        | Action::HistoryForward
        | Action::OutputUp
        | Action::OutputDown
        | Action::ClearLine => prompt::action(state, action, effects),
        Action::Up | Action::Down | Action::PageUp | Action::PageDown => scroll(state, action),
        Action::Top => with_doc(state, |doc| doc.go(0)),
        Action::Bottom => with_doc(state, |doc| doc.go(usize::MAX)),
        Action::Left => with_doc(state, |doc| doc.left = doc.left.saturating_sub(8)),
        Action::Right => with_doc(state, |doc| doc.left = doc.left.saturating_add(8).min(4096)),
        Action::Wrap => with_doc(state, |doc| (doc.wrap, doc.left) = (!doc.wrap, 0)),
        Action::NextLink | Action::PrevLink => {
            let forward = action == Action::NextLink;
            let found = state.doc_mut(focus).is_some_and(|doc| doc.step_link(forward));
            if !found {
                if focus == PaneKind::Command && forward {
                    state.in_output = false;
                    jobs::to_end(state);
                } else {
                    state.notice = Some((Role::Dim, "no more links".into()));
                }
            }
        }
        Action::Follow => match state.doc(focus).and_then(|d| d.link_here()) {
            Some((role, link)) => links::open(state, role, &link),
            None => state.notice = Some((Role::Dim, "there is no link on this line".into())),
        },
        Action::FollowWith => links::menu(state),
        Action::Search => {
            let at = state.doc(focus).map_or(0, |d| d.cursor);
            state.popups.push(Popup::Ask(Ask::Search(at), Default::default()));
        }
        Action::SearchNext | Action::SearchPrev => {
            let found = state.doc_mut(focus).is_none_or(|d| d.find(action == Action::SearchNext, false));
            if !found {
                state.notice = Some((Role::Warning, "not found".into()));
            }
        }
        Action::Filter => {
            let text = state.doc(focus).map(|d| d.filter.clone()).unwrap_or_default();
            state.popups.push(Popup::Ask(Ask::Filter, crate::input::Input::new(&text)));
        }
        Action::Form => next_form(state),
        Action::Address => {
            let info = focus.info();
            if info.expr.is_empty() {
                state.notice = Some((Role::Dim, "only memory and code have an address".into()));
            } else {
                // Empty: what is typed replaces the address, which the pane's edge shows.
                state.popups.push(Popup::Ask(Ask::Address, crate::input::Input::new("")));
            }
        }
        Action::PrevTab | Action::NextTab => step_tab(state, action == Action::NextTab),
        Action::CopyLine => {
            if let Some(text) = state.doc(focus).and_then(|d| d.text_here()) {
                effects.push(Effect::Copy(text));
                state.notice = Some((Role::Good, "copied".into()));
            }
        }
        Action::CopyPane => {
            if let Some(doc) = state.doc(focus) {
                let (text, n) = (doc.to_text(), doc.len());
                effects.push(Effect::Copy(text));
                state.notice = Some((Role::Good, format!("{n} lines copied")));
            }
        }
        Action::SavePane => state.popups.push(Popup::Ask(Ask::SavePane, Default::default())),
        Action::Refresh => {
            // The graph is drawn from the summary's verdict.
            let focus = if focus == PaneKind::Graph { PaneKind::Summary } else { focus };
            if let Some(pane) = state.dump_mut().and_then(|d| d.panes.get_mut(&focus)) {
                pane.stale = true;
            }
        }
        Action::Type => {
            show(state, PaneKind::Command);
            jobs::to_end(state);
        }
        Action::Leave => leave(state, effects),
    }
}

/// Escape in a pane: the innermost thing ends.
fn leave(state: &mut State, effects: &mut Vec<Effect>) {
    let focus = state.focus;
    if jobs::stop(state, effects) {
        return;
    }
    if let Some(doc) = state.doc_mut(focus) {
        if doc.link.take().is_some() {
            return;
        }
        if !doc.search.is_empty() {
            doc.search.clear();
            return;
        }
        if !doc.filter.is_empty() {
            doc.set_filter("");
            return;
        }
    }
    state.zoom = false;
    show(state, PaneKind::Command);
    jobs::to_end(state);
}

fn with_doc(state: &mut State, change: impl FnOnce(&mut crate::text::Doc)) {
    if let Some(doc) = state.doc_mut(state.focus) {
        change(doc);
    }
}

/// Puts a pane on screen and gives it the keys.
pub(super) fn show(state: &mut State, kind: PaneKind) {
    let near = state.focus;
    state.layout_mut().show(kind, near);
    state.focus = kind;
    state.in_output = false;
    state.candidates = None;
}

fn step_pane(state: &mut State, forward: bool) {
    state.zoom = false;
    let places = state.places();
    let at = places.iter().position(|p| p.active == state.focus).unwrap_or(0);
    let n = places.len().max(1);
    let next = if forward { (at + 1) % n } else { (at + n - 1) % n };
    if let Some(place) = places.get(next) {
        let kind = place.active;
        show(state, kind);
    }
}

fn step_tab(state: &mut State, forward: bool) {
    let focus = state.focus;
    let zoom = std::mem::take(&mut state.zoom);
    let place = state.places().into_iter().find(|p| p.panes.contains(&focus));
    state.zoom = zoom;
    let Some(place) = place else { return };
    let n = place.panes.len().max(1);
    let at = place.panes.iter().position(|p| *p == focus).unwrap_or(0);
    let next = if forward { (at + 1) % n } else { (at + n - 1) % n };
    if let Some(kind) = place.panes.get(next) {
        show(state, *kind);
    }
}

fn resize(state: &mut State, rows: bool, by: i16) {
    let focus = state.focus;
    state.layout_mut().resize(focus, rows, by);
}

fn next_form(state: &mut State) {
    let focus = state.focus;
    let Some(pane) = state.dump_mut().and_then(|d| d.panes.get_mut(&focus)) else { return };
    let forms = focus.info().forms;
    if forms.is_empty() {
        return;
    }
    if pane.detail.take().is_none() {
        pane.form = (pane.form + 1) % forms.len();
    }
    pane.stale = true;
    let text = forms.get(pane.form).map_or("", |f| f.line);
    let text = text.replace(" {e}", "").replace(" L{n}", "");
    state.notice = Some((Role::Dim, text));
}

/// Moves by lines or pages; memory and code go on where their lines end.
fn scroll(state: &mut State, action: Action) {
    let focus = state.focus;
    let height = jobs::height(state, focus).max(1);
    let page = isize::try_from(height).unwrap_or(1);
    let by = match action {
        Action::Up => -1,
        Action::Down => 1,
        Action::PageUp => -page,
        _ => page,
    };
    if !focus.info().expr.is_empty() && page_on(state, focus, by, height) {
        return;
    }
    if let Some(doc) = state.doc_mut(focus) {
        if by.abs() > 1 && doc.wrapped_at().is_some() {
            // As many lines as are on a screen.
            let to = match by > 0 {
                true => doc.at_screen_line(height).map_or(doc.len(), |(line, _)| line.max(doc.top + 1)),
                false => doc.first_before(doc.top, height).min(doc.top.saturating_sub(1)),
            };
            doc.top = to;
            return doc.go(to);
        }
        if by.abs() > 1 {
            doc.top = doc.top.saturating_add_signed(by);
        }
        doc.step(by);
    }
}

/// Goes on beyond the first or last line of memory or code; says whether it did.
fn page_on(state: &mut State, kind: PaneKind, by: isize, height: usize) -> bool {
    let Some(dump) = state.dump_mut() else { return false };
    let wide = dump.session.as_ref().is_some_and(|s| s.sel.machine.is_64());
    let Some(pane) = dump.panes.get_mut(&kind).filter(|p| p.detail.is_none()) else { return false };
    let (cursor, n) = (pane.doc.cursor, pane.doc.len());
    let inside = if by < 0 { cursor > 0 } else { cursor + 1 < n };
    let whole_page = by.unsigned_abs() >= height;
    if inside && !(whole_page && n <= height) {
        return false;
    }
    if let Some(bytes) = bytes_per_line(kind, pane.form, wide) {
        let lines = i64::try_from(by).unwrap_or(0);
        pane.offset = pane.offset.wrapping_add(bytes.wrapping_mul(lines));
        pane.stale = true;
        return true;
    }
    if kind != PaneKind::Disassembly || pane.form == 1 {
        return false;
    }
    // Instructions have no fixed size: code goes on from the address of its last or first line.
    let addresses: Vec<Va> = pane.doc.rows().iter().filter_map(|r| address_of(&r.line)).collect();
    let next = if by > 0 { addresses.last() } else { addresses.first() };
    let Some(next) = next else { return false };
    pane.expr = format!("0x{:01$x}", next.0, if wide { 16 } else { 8 });
    (pane.form, pane.stale) = (if by > 0 { 2 } else { 0 }, true);
    true
}

/// The address that a line of code begins with.
fn address_of(line: &Line) -> Option<Va> {
    match line.0.first().filter(|s| s.role == Role::Address)?.link {
        Some(Link::Goto(va)) => Some(va),
        _ => None,
    }
}
