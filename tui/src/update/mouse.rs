//! The mouse: clicks give a pane the keys, put the cursor, open links; borders can be dragged; the wheel scrolls.

use super::{actions, jobs, links};
use crate::msg::{Effect, Mouse};
use crate::panes::PaneKind;
use crate::state::State;
use ratatui::layout::Position;

/// Lines that the wheel scrolls.
const WHEEL: isize = 3;

pub(super) fn mouse(state: &mut State, what: Mouse, x: u16, y: u16, _effects: &mut Vec<Effect>) {
    if !state.popups.is_empty() || state.dumps.is_empty() {
        return;
    }
    let place = state.places().into_iter().find(|p| p.area.contains(Position { x, y }));
    let Some(place) = place else { return };
    let kind = place.active;
    match what {
        Mouse::WheelUp | Mouse::WheelDown => {
            let height = jobs::height(state, kind).max(1);
            if let Some(doc) = state.doc_mut(kind) {
                doc.scroll(if what == Mouse::WheelUp { -WHEEL } else { WHEEL }, height);
            }
        }
        Mouse::Drag => {
            if let Some(way) = state.dragged.clone() {
                let area = state.body();
                state.layout_mut().drag(area, &way, Position { x, y });
            }
        }
        Mouse::Click => {
            state.dragged = None;
            let tab = if y == place.area.y { tab_at(&place.panes, kind, x, &place.area) } else { None };
            if let Some(tab) = tab {
                actions::show(state, tab);
                return;
            }
            if !state.zoom {
                state.dragged = state.layout().border_at(state.body(), Position { x, y });
            }
            if state.dragged.is_some() || y == place.area.y {
                return;
            }
            let had = state.focus == kind;
            if !had {
                actions::show(state, kind);
            }
            let height = jobs::height(state, kind);
            let line = usize::from(y.saturating_sub(place.area.y + 1));
            if line >= height {
                state.in_output = false;
                return;
            }
            let Some(doc) = state.doc_mut(kind) else { return };
            let Some((shown, part)) = doc.at_screen_line(line) else { return };
            doc.go(shown);
            let left = doc.wrapped_at().map_or(doc.left, |columns| part * columns);
            // One column of frame, one for the cursor's mark.
            let column = usize::from(x.saturating_sub(place.area.x + 2)) + left;
            let hit = doc.row(shown).and_then(|r| {
                let found = r.links().into_iter().enumerate();
                found
                    .filter(|(_, (at, width, ..))| (*at..at + width).contains(&column))
                    .map(|(i, (_, _, role, link))| (i, role, link.clone()))
                    .next()
            });
            if kind == PaneKind::Command {
                state.in_output = true;
            }
            if let Some((i, role, link)) = hit {
                if let Some(doc) = state.doc_mut(kind) {
                    doc.link = Some(i);
                }
                links::open(state, role, &link);
            }
        }
    }
}

/// The tab under a column of a pane's upper border.
fn tab_at(panes: &[PaneKind], active: PaneKind, x: u16, area: &ratatui::layout::Rect) -> Option<PaneKind> {
    let titles = crate::view::titles(panes, active, area.width);
    let mut at = area.x + 1;
    for (kind, title) in titles {
        let width = u16::try_from(unicode_width::UnicodeWidthStr::width(title.as_str())).unwrap_or(0);
        if (at..at.saturating_add(width)).contains(&x) {
            return Some(kind);
        }
        at = at.saturating_add(width).saturating_add(1);
    }
    None
}
