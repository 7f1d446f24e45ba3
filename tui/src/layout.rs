//! Where panes are: a tree of splits whose leaves are stacks of panes with tabs, as WinDbg's docked windows.

use crate::panes::PaneKind;
use ratatui::layout::{Position, Rect};
use serde::{Deserialize, Serialize};

/// A part of the screen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Node {
    /// Panes behind each other.
    Tabs {
        /// Which, in the order of their tabs; never empty.
        panes: Vec<PaneKind>,
        /// The one in front.
        active: usize,
    },
    /// Two parts.
    Split {
        /// True: one above the other; false: side by side.
        rows: bool,
        /// Share of the first part, in thousandths.
        share: u16,
        /// Left or upper.
        first: Box<Node>,
        /// Right or lower.
        second: Box<Node>,
    },
}

/// A leaf and its place on screen, borders included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where.
    pub area: Rect,
    /// Panes with tabs here.
    pub panes: Vec<PaneKind>,
    /// The one in front.
    pub active: PaneKind,
}

/// Smallest size of a part: two borders and a little text.
const LEAST: (u16, u16) = (12, 3);

/// The two parts of a split area; `None` without room for both.
fn parts(area: Rect, rows: bool, share: u16) -> Option<(Rect, Rect)> {
    let (whole, least) = if rows { (area.height, LEAST.1) } else { (area.width, LEAST.0) };
    if whole < least.saturating_mul(2) {
        return None;
    }
    let one = u32::from(whole).saturating_mul(u32::from(share)) / 1000;
    let one = u16::try_from(one).unwrap_or(whole).clamp(least, whole - least);
    Some(if rows {
        (Rect { height: one, ..area }, Rect { y: area.y + one, height: whole - one, ..area })
    } else {
        (Rect { width: one, ..area }, Rect { x: area.x + one, width: whole - one, ..area })
    })
}

fn tabs(panes: &[PaneKind]) -> Box<Node> {
    Box::new(Node::Tabs { panes: panes.to_vec(), active: 0 })
}

impl Node {
    /// The layout for large screens.
    #[must_use]
    pub fn wide() -> Node {
        use PaneKind::{
            Command, Disassembly, Graph, Handles, Locals, Locks, Memory, Modules, Registers, Stack, Summary,
            Threads,
        };
        let left = Node::Split {
            rows: true,
            share: 580,
            first: tabs(&[Summary, Graph, Disassembly, Memory, Modules, Handles, Locks]),
            second: tabs(&[Command]),
        };
        let below =
            Node::Split { rows: true, share: 600, first: tabs(&[Stack]), second: tabs(&[Locals, Registers]) };
        let right = Node::Split { rows: true, share: 300, first: tabs(&[Threads]), second: Box::new(below) };
        Node::Split { rows: false, share: 580, first: Box::new(left), second: Box::new(right) }
    }

    /// The layout for small screens: one stack of panes above the command window.
    #[must_use]
    pub fn compact() -> Node {
        use PaneKind::{
            Command, Disassembly, Graph, Handles, Locals, Locks, Memory, Modules, Registers, Stack, Summary,
            Threads,
        };
        let all =
            [Summary, Threads, Stack, Locals, Registers, Memory, Disassembly, Modules, Handles, Locks, Graph];
        Node::Split { rows: true, share: 500, first: tabs(&all), second: tabs(&[Command]) }
    }

    /// All leaves with their places in `area`. A part without room for both goes to the one that holds `focus`,
    /// else to the first.
    #[must_use]
    pub fn places(&self, area: Rect, focus: PaneKind) -> Vec<Place> {
        let mut out = Vec::new();
        self.place(area, focus, &mut out);
        out
    }

    fn place(&self, area: Rect, focus: PaneKind, out: &mut Vec<Place>) {
        match self {
            Node::Tabs { panes, active } => {
                if let Some(active) = panes.get(*active).or_else(|| panes.first()) {
                    out.push(Place { area, panes: panes.clone(), active: *active });
                }
            }
            Node::Split { rows, share, first, second } => {
                let Some((a, b)) = parts(area, *rows, *share) else {
                    let part = if second.holds(focus) { second } else { first };
                    return part.place(area, focus, out);
                };
                first.place(a, focus, out);
                second.place(b, focus, out);
            }
        }
    }

    /// The border between two parts at a cell: the way to its split, true for each second part.
    #[must_use]
    pub fn border_at(&self, area: Rect, at: Position) -> Option<Vec<bool>> {
        let Node::Split { rows, share, first, second } = self else { return None };
        let (a, b) = parts(area, *rows, *share)?;
        // Both parts draw a border where they meet.
        let meets = match rows {
            true => at.y + 1 == b.y || at.y == b.y,
            false => at.x + 1 == b.x || at.x == b.x,
        };
        if meets && area.contains(at) {
            return Some(Vec::new());
        }
        let in_second = b.contains(at);
        let (part, area) = if in_second { (second, b) } else { (first, a) };
        let mut way = part.border_at(area, at)?;
        way.insert(0, in_second);
        Some(way)
    }

    /// Moves the border of a split ([`Node::border_at`]) to a cell.
    pub fn drag(&mut self, area: Rect, way: &[bool], to: Position) {
        let Node::Split { rows, share, first, second } = self else { return };
        let Some((a, b)) = parts(area, *rows, *share) else { return };
        match way.split_first() {
            Some((true, rest)) => second.drag(b, rest, to),
            Some((false, rest)) => first.drag(a, rest, to),
            None => {
                let (from, at, whole) =
                    if *rows { (area.y, to.y, area.height) } else { (area.x, to.x, area.width) };
                // Rounded up, so that the border comes to lie where the mouse is.
                let cells = u32::from(at.saturating_sub(from)).saturating_mul(1000);
                let thousandths = cells.div_ceil(u32::from(whole).max(1)).clamp(100, 900);
                *share = u16::try_from(thousandths).unwrap_or(*share);
            }
        }
    }

    /// True when a pane has a tab here.
    #[must_use]
    pub fn holds(&self, pane: PaneKind) -> bool {
        match self {
            Node::Tabs { panes, .. } => panes.contains(&pane),
            Node::Split { first, second, .. } => first.holds(pane) || second.holds(pane),
        }
    }

    /// All panes, in the order of the screen.
    #[must_use]
    pub fn panes(&self) -> Vec<PaneKind> {
        match self {
            Node::Tabs { panes, .. } => panes.clone(),
            Node::Split { first, second, .. } => {
                let mut all = first.panes();
                all.extend(second.panes());
                all
            }
        }
    }

    /// Puts a pane in front; opens it beside `near` (not beside the command window) when it is nowhere.
    pub fn show(&mut self, pane: PaneKind, near: PaneKind) {
        if self.holds(pane) {
            self.raise(pane);
            return;
        }
        let near = if near == PaneKind::Command || !self.holds(near) {
            self.panes().into_iter().find(|p| *p != PaneKind::Command)
        } else {
            Some(near)
        };
        match near {
            Some(near) => self.insert(pane, near),
            None => {
                // Only the command window is left.
                let below = Box::new(self.clone());
                *self = Node::Split { rows: true, share: 600, first: tabs(&[pane]), second: below };
            }
        }
    }

    fn raise(&mut self, pane: PaneKind) {
        match self {
            Node::Tabs { panes, active } => {
                if let Some(at) = panes.iter().position(|p| *p == pane) {
                    *active = at;
                }
            }
            Node::Split { first, second, .. } => {
                first.raise(pane);
                second.raise(pane);
            }
        }
    }

    fn insert(&mut self, pane: PaneKind, near: PaneKind) {
        match self {
            Node::Tabs { panes, active } => {
                if let Some(at) = panes.iter().position(|p| *p == near) {
                    panes.insert(at + 1, pane);
                    *active = at + 1;
                }
            }
            Node::Split { first, second, .. } => {
                if first.holds(near) {
                    first.insert(pane, near)
                } else {
                    second.insert(pane, near)
                }
            }
        }
    }

    /// Closes a pane. The command window and the last pane stay.
    pub fn close(&mut self, pane: PaneKind) {
        if pane != PaneKind::Command && self.panes().len() > 1 {
            self.remove(pane);
        }
    }

    fn remove(&mut self, pane: PaneKind) {
        match self {
            Node::Tabs { panes, active } => {
                panes.retain(|p| *p != pane);
                *active = (*active).min(panes.len().saturating_sub(1));
            }
            Node::Split { first, second, .. } => {
                first.remove(pane);
                second.remove(pane);
                if first.panes().is_empty() {
                    *self = (**second).clone();
                } else if second.panes().is_empty() {
                    *self = (**first).clone();
                }
            }
        }
    }

    /// Makes the part with `pane` larger or smaller by thousandths; `rows`: its height, else its width. Says
    /// whether something changed.
    pub fn resize(&mut self, pane: PaneKind, rows: bool, by: i16) -> bool {
        let Node::Split { rows: here, share, first, second } = self else { return false };
        let in_first = first.holds(pane);
        if !in_first && !second.holds(pane) {
            return false;
        }
        let inner = if in_first { &mut *first } else { &mut *second };
        if inner.resize(pane, rows, by) {
            return true;
        }
        if *here != rows {
            return false;
        }
        let by = if in_first { by } else { by.saturating_neg() };
        *share = share.saturating_add_signed(by).clamp(100, 900);
        true
    }

    /// False when a remembered layout is not usable: a pane twice, an empty leaf, no command window.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let mut panes = self.panes();
        let n = panes.len();
        panes.sort();
        panes.dedup();
        n == panes.len() && panes.contains(&PaneKind::Command) && self.leaves_are_sound(0)
    }

    fn leaves_are_sound(&self, depth: u32) -> bool {
        match self {
            Node::Tabs { panes, .. } => !panes.is_empty(),
            Node::Split { first, second, share, .. } => {
                depth < 16
                    && (100..=900).contains(share)
                    && first.leaves_are_sound(depth + 1)
                    && second.leaves_are_sound(depth + 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(node: &Node, w: u16, h: u16) {
        let area = Rect::new(0, 0, w, h);
        let places = node.places(area, PaneKind::Command);
        let cells: u32 = places.iter().map(|p| p.area.area()).sum();
        assert_eq!(cells, area.area(), "{w}x{h}");
    }

    #[test]
    fn every_size_is_covered_without_overlap() {
        for w in [1, 11, 12, 23, 24, 40, 80, 200, 500] {
            for h in [1, 3, 5, 6, 7, 24, 60] {
                covers(&Node::wide(), w, h);
                covers(&Node::compact(), w, h);
            }
        }
    }

    #[test]
    fn panes_close_and_open_again() {
        let mut node = Node::wide();
        for pane in node.panes() {
            node.close(pane);
            assert!(node.is_sound(), "{pane:?}");
        }
        assert_eq!(node.panes(), [PaneKind::Command]);
        node.show(PaneKind::Stack, PaneKind::Command);
        node.show(PaneKind::Memory, PaneKind::Stack);
        assert_eq!(node.panes(), [PaneKind::Stack, PaneKind::Memory, PaneKind::Command]);
        let places = node.places(Rect::new(0, 0, 80, 24), PaneKind::Command);
        assert_eq!(places[0].active, PaneKind::Memory);
    }

    #[test]
    fn resizing_moves_the_nearest_border_of_that_direction() {
        let mut node = Node::wide();
        let width = |n: &Node| n.places(Rect::new(0, 0, 200, 50), PaneKind::Command)[0].area.width;
        let before = width(&node);
        assert!(node.resize(PaneKind::Command, false, 50));
        assert!(width(&node) > before);
        assert!(node.resize(PaneKind::Stack, false, 50));
        assert_eq!(width(&node), before);
        for _ in 0..100 {
            node.resize(PaneKind::Stack, true, 50);
        }
        assert!(node.is_sound());
    }

    #[test]
    fn borders_are_dragged_to_where_the_mouse_is() {
        let area = Rect::new(0, 1, 200, 50);
        let mut node = Node::wide();
        for (from, to) in [((116, 10), (80, 10)), ((90, 16), (90, 30))] {
            let at = |(x, y)| Position { x, y };
            let way = node.border_at(area, at(from)).unwrap();
            node.drag(area, &way, at(to));
            assert_eq!(node.border_at(area, at(to)), Some(way.clone()), "{from:?}");
            assert_eq!(node.places(area, PaneKind::Command).len(), 5);
            // Far outside: the parts keep their least share.
            node.drag(area, &way, at((u16::MAX, u16::MAX)));
            node.drag(area, &way, at((0, 0)));
            assert!(node.is_sound());
            node.drag(area, &way, at(to));
        }
        assert_eq!(node.places(area, PaneKind::Command)[0].area.width, 80);
        assert_eq!(node.border_at(area, Position { x: 20, y: 5 }), None);
    }

    #[test]
    fn unusable_layouts_are_seen() {
        assert!(Node::wide().is_sound() && Node::compact().is_sound());
        assert!(!Node::Tabs { panes: vec![], active: 0 }.is_sound());
        assert!(!Node::Tabs { panes: vec![PaneKind::Stack], active: 0 }.is_sound());
    }
}
