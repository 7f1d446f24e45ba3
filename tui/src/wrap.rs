//! Which lines are on screen when long ones may go on below themselves.

use crate::text::Doc;

impl Doc {
    /// Columns after which lines go on below; `None`: they are cut off and scrolled sideways.
    #[must_use]
    pub fn wrapped_at(&self) -> Option<usize> {
        Some(self.columns).filter(|c| self.wrap && *c > 0)
    }

    /// Lines on screen that a line takes.
    #[must_use]
    pub fn height_of(&self, shown: usize) -> usize {
        let Some(columns) = self.wrapped_at() else { return 1 };
        self.row(shown).map_or(1, |r| r.width().div_ceil(columns).max(1))
    }

    /// The first of the lines that, with `last` as the last one, fit on a screen of `height`. A line that is higher
    /// than the screen stands alone on it.
    #[must_use]
    pub fn first_before(&self, last: usize, height: usize) -> usize {
        if self.wrapped_at().is_none() {
            return last.saturating_add(1).saturating_sub(height.max(1));
        }
        let mut left = height.saturating_sub(self.height_of(last));
        let mut first = last;
        while let Some(before) = first.checked_sub(1) {
            let needs = self.height_of(before);
            if needs > left {
                break;
            }
            left -= needs;
            first = before;
        }
        first
    }

    /// The first line of the last screen.
    #[must_use]
    pub fn last_top(&self, height: usize) -> usize {
        self.first_before(self.len().saturating_sub(1), height)
    }

    /// The line, and the part of it, that is on line `y` of the screen.
    #[must_use]
    pub fn at_screen_line(&self, y: usize) -> Option<(usize, usize)> {
        if self.wrapped_at().is_none() {
            let shown = self.top.saturating_add(y);
            return (shown < self.len()).then_some((shown, 0));
        }
        let (mut shown, mut left) = (self.top, y);
        while shown < self.len() {
            let height = self.height_of(shown);
            if left < height {
                return Some((shown, left));
            }
            left -= height;
            shown += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::text::{Doc, Row};
    use dumpscope_engine::Role;

    #[test]
    fn long_lines_take_several_screen_lines() {
        let mut doc = Doc::default();
        (doc.wrap, doc.columns) = (true, 10);
        let lines = ["short", "", "exactly ten", "0123456789", &"x".repeat(95)];
        doc.append(lines.iter().map(|l| Row::note(Role::Plain, l)).collect(), 100);
        let heights: Vec<usize> = (0..doc.len()).map(|i| doc.height_of(i)).collect();
        assert_eq!(heights, [1, 1, 2, 1, 10]);
        assert_eq!(doc.at_screen_line(3), Some((2, 1)));
        assert_eq!(doc.at_screen_line(14), Some((4, 9)));
        assert_eq!(doc.at_screen_line(15), None);
        // The last line is in view with what fits above it.
        assert_eq!((doc.last_top(12), doc.last_top(11), doc.last_top(3)), (3, 3, 4));
        doc.go(4);
        doc.follow(13);
        assert_eq!(doc.top, 2);
        doc.scroll(-1, 13);
        assert_eq!((doc.top, doc.cursor), (1, 3));
        doc.wrap = false;
        assert_eq!((doc.last_top(3), doc.at_screen_line(1)), (2, Some((2, 0))));
    }
}
