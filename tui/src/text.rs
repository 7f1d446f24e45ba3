//! Lines of a pane: the engine's lines, made ready for cells of a screen.

use dumpscope_engine::{Line, Link, Role, Span};
use unicode_width::UnicodeWidthStr;

/// Columns of a tab.
const TAB: usize = 8;

/// One line of a pane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Spans without tabs and control characters.
    pub line: Line,
    /// The text in small letters, for searches.
    pub folded: String,
    /// True for the prompt and what was typed at it.
    pub echo: bool,
}

impl Row {
    /// Takes a line of the engine. Tabs become blanks; a control character that slipped through is escaped.
    #[must_use]
    pub fn new(mut line: Line) -> Row {
        if line.0.iter().any(|s| s.text.contains(|c: char| c.is_control())) {
            let mut column = 0usize;
            for span in &mut line.0 {
                span.text = harmless(&span.text, column);
                column = column.saturating_add(span.text.width());
            }
        }
        let folded = line.to_text().to_lowercase();
        Row { line, folded, echo: false }
    }

    /// Our own text.
    #[must_use]
    pub fn note(role: Role, text: &str) -> Row {
        Row::new(Line(vec![Span::untrusted(role, text)]))
    }

    /// The links of the line: column, width in columns, role, link.
    #[must_use]
    pub fn links(&self) -> Vec<(usize, usize, Role, &Link)> {
        let mut column = 0usize;
        let mut out = Vec::new();
        for span in &self.line.0 {
            let width = span.text.width();
            if let Some(link) = &span.link {
                out.push((column, width, span.role, link));
            }
            column = column.saturating_add(width);
        }
        out
    }

    /// How many links the line has.
    #[must_use]
    pub fn link_count(&self) -> usize {
        self.line.0.iter().filter(|s| s.link.is_some()).count()
    }

    /// Columns of the line.
    #[must_use]
    pub fn width(&self) -> usize {
        self.line.0.iter().map(|s| s.text.width()).sum()
    }
}

fn harmless(text: &str, start: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for part in text.split_inclusive('\t') {
        let (body, tab) = part.strip_suffix('\t').map_or((part, false), |b| (b, true));
        out.push_str(&dumpscope_core::base::text::escape(body));
        if tab {
            let column = start.saturating_add(out.width());
            out.push_str(&" ".repeat(TAB - column % TAB));
        }
    }
    out
}

/// A pane's lines and where the reader is in them.
#[derive(Clone, Debug, Default)]
pub struct Doc {
    rows: Vec<Row>,
    /// Rows that pass the filter; `None`: all.
    passed: Option<Vec<usize>>,
    /// What the list is filtered by, as typed.
    pub filter: String,
    /// What is searched for, as typed.
    pub search: String,
    /// The line under the cursor, counted among those shown.
    pub cursor: usize,
    /// The first line on screen.
    pub top: usize,
    /// The first column on screen.
    pub left: usize,
    /// Long lines go on below themselves.
    pub wrap: bool,
    /// Columns on screen, as far as that is known.
    pub columns: usize,
    /// Which link of the cursor's line is selected.
    pub link: Option<usize>,
    /// Rows dropped at the start because there were too many.
    pub dropped: usize,
}

impl Doc {
    /// Lines shown: those that pass the filter.
    #[must_use]
    pub fn len(&self) -> usize {
        self.passed.as_ref().map_or(self.rows.len(), Vec::len)
    }

    /// True without a line to show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All rows, filter or not.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// A line shown.
    #[must_use]
    pub fn row(&self, shown: usize) -> Option<&Row> {
        match &self.passed {
            Some(passed) => self.rows.get(*passed.get(shown)?),
            None => self.rows.get(shown),
        }
    }

    /// Appends rows; keeps at most `limit` by dropping the oldest.
    pub fn append(&mut self, rows: Vec<Row>, limit: usize) {
        let first = self.rows.len();
        self.rows.extend(rows);
        let needle = self.filter.to_lowercase();
        if let Some(passed) = &mut self.passed {
            let new = self.rows.iter().enumerate().skip(first);
            passed.extend(new.filter(|(_, r)| r.folded.contains(&needle)).map(|(i, _)| i));
        }
        if self.rows.len() > limit {
            // Not one by one: an eighth of all goes, so that appending stays cheap.
            let gone = (self.rows.len() - limit).saturating_add(limit / 8).min(self.rows.len());
            self.rows.drain(..gone);
            self.dropped = self.dropped.saturating_add(gone);
            let before = self.len();
            self.refilter();
            let shift = if self.passed.is_some() { before.saturating_sub(self.len()) } else { gone };
            self.cursor = self.cursor.saturating_sub(shift);
            self.top = self.top.saturating_sub(shift);
        }
    }

    /// Puts other rows in place of the old; the reader stays where he was as far as the lines reach.
    pub fn replace(&mut self, rows: Vec<Row>) {
        self.rows = rows;
        self.dropped = 0;
        self.refilter();
        self.clamp();
    }

    /// Drops all rows.
    pub fn clear(&mut self) {
        self.replace(Vec::new());
    }

    /// Filters by a text; the empty one shows all.
    pub fn set_filter(&mut self, text: &str) {
        let at = self.passed.as_ref().map_or(Some(self.cursor), |p| p.get(self.cursor).copied());
        text.clone_into(&mut self.filter);
        self.refilter();
        // The cursor stays on its line when that is still there, else goes to the next one.
        if let Some(at) = at {
            self.cursor = self.passed.as_ref().map_or(at, |p| p.partition_point(|i| *i < at));
        }
        self.clamp();
    }

    fn refilter(&mut self) {
        let needle = self.filter.to_lowercase();
        self.passed = (!needle.is_empty()).then(|| {
            let rows = self.rows.iter().enumerate();
            rows.filter(|(_, r)| r.folded.contains(&needle)).map(|(i, _)| i).collect()
        });
    }

    fn clamp(&mut self) {
        let last = self.len().saturating_sub(1);
        self.cursor = self.cursor.min(last);
        self.top = self.top.min(last);
        self.link = None;
    }

    /// Moves the cursor by lines.
    pub fn step(&mut self, by: isize) {
        self.go(self.cursor.saturating_add_signed(by));
    }

    /// Puts the cursor on a line.
    pub fn go(&mut self, line: usize) {
        self.cursor = line.min(self.len().saturating_sub(1));
        self.link = None;
    }

    /// Scrolls so that the cursor is among the `height` lines on screen.
    pub fn follow(&mut self, height: usize) {
        self.top = self.top.min(self.cursor).max(self.first_before(self.cursor, height));
        // No empty lines at the end while there are some above.
        self.top = self.top.min(self.last_top(height));
    }

    /// Scrolls by lines; the cursor comes along.
    pub fn scroll(&mut self, by: isize, height: usize) {
        self.top = self.top.saturating_add_signed(by).min(self.last_top(height));
        // The last line that is wholly on screen.
        let last = match self.at_screen_line(height.saturating_sub(1)) {
            Some((line, part)) if part + 1 < self.height_of(line) => line.saturating_sub(1),
            Some((line, _)) => line,
            None => self.len().saturating_sub(1),
        };
        let cursor = self.cursor.clamp(self.top, last.max(self.top));
        if cursor != self.cursor {
            self.go(cursor);
        }
    }

    /// Selects the next or previous link, on this line or on another one; says whether there was one.
    pub fn step_link(&mut self, forward: bool) -> bool {
        let here = self.row(self.cursor).map_or(0, Row::link_count);
        let next = match (self.link, forward) {
            (None, true) => Some(0),
            (None, false) => None,
            (Some(n), true) => n.checked_add(1),
            (Some(n), false) => n.checked_sub(1),
        };
        if let Some(n) = next.filter(|n| *n < here) {
            self.link = Some(n);
            return true;
        }
        let mut line = self.cursor;
        loop {
            line = match if forward { line.checked_add(1) } else { line.checked_sub(1) } {
                Some(l) if l < self.len() => l,
                _ => return false,
            };
            let links = self.row(line).map_or(0, Row::link_count);
            if links > 0 {
                self.cursor = line;
                self.link = Some(if forward { 0 } else { links - 1 });
                return true;
            }
        }
    }

    /// The link that Enter opens: the selected one, else what the cursor's line is about (a thread, a module),
    /// else its first address.
    #[must_use]
    pub fn link_here(&self) -> Option<(Role, Link)> {
        let links = self.row(self.cursor)?.links();
        let thing = || links.iter().position(|(.., link)| !matches!(link, Link::Goto(_)));
        let (_, _, role, link) = links.get(self.link.or_else(thing).unwrap_or(0))?;
        Some((*role, (*link).clone()))
    }

    /// The text of the selected link, else of the cursor's line.
    #[must_use]
    pub fn text_here(&self) -> Option<String> {
        let row = self.row(self.cursor)?;
        let mut links = row.line.0.iter().filter(|s| s.link.is_some());
        let link = self.link.and_then(|n| links.nth(n));
        Some(link.map_or_else(|| row.line.to_text().trim_end().to_owned(), |s| s.text.trim().to_owned()))
    }

    /// Goes to the next (previous) line with the text that is searched for, around the end; says whether there is
    /// one. With `here` the cursor's own line counts.
    pub fn find(&mut self, forward: bool, here: bool) -> bool {
        let needle = self.search.to_lowercase();
        let n = self.len();
        if needle.is_empty() || n == 0 {
            return false;
        }
        let first = usize::from(!here);
        for k in first..n.saturating_add(first) {
            let line = if forward { (self.cursor + k) % n } else { (self.cursor + n - k % n) % n };
            if self.row(line).is_some_and(|r| r.folded.contains(&needle)) {
                self.go(line);
                return true;
            }
        }
        false
    }

    /// The text of all lines shown.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        for row in (0..self.len()).filter_map(|i| self.row(i)) {
            out.push_str(&row.line.to_text());
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dumpscope_core::Va;

    fn doc(lines: &[&str]) -> Doc {
        let mut doc = Doc::default();
        doc.append(lines.iter().map(|l| Row::note(Role::Plain, l)).collect(), 100);
        doc
    }

    #[test]
    fn tabs_and_control_characters_do_not_reach_the_screen() {
        let row = Row::new(Line::plain("ab\tc\u{1b}[2J"));
        assert_eq!(row.line.to_text(), "ab      c\\x1b[2J");
    }

    #[test]
    fn filters_keep_the_cursor_on_its_line() {
        let mut d = doc(&["one", "two", "three", "Twofold"]);
        d.go(3);
        d.set_filter("TWO");
        assert_eq!((d.len(), d.cursor), (2, 1));
        d.append(vec![Row::note(Role::Plain, "two more"), Row::note(Role::Plain, "x")], 100);
        assert_eq!(d.len(), 3);
        d.set_filter("");
        assert_eq!((d.len(), d.cursor), (6, 3));
    }

    #[test]
    fn searches_go_around_the_end() {
        let mut d = doc(&["a", "b", "a"]);
        d.search = "A".into();
        assert!(d.find(true, false));
        assert_eq!(d.cursor, 2);
        assert!(d.find(true, false));
        assert_eq!(d.cursor, 0);
        assert!(d.find(false, false));
        assert_eq!(d.cursor, 2);
        d.search = "none".into();
        assert!(!d.find(true, true));
    }

    #[test]
    fn old_rows_go_when_there_are_too_many() {
        let mut d = Doc::default();
        for i in 0..100 {
            d.append(vec![Row::note(Role::Plain, &i.to_string())], 16);
        }
        assert!(d.len() <= 16 && d.dropped >= 84);
        assert_eq!(d.row(d.len() - 1).unwrap().folded, "99");
    }

    #[test]
    fn links_are_walked_across_lines() {
        let link = |n| Span::new(Role::Address, "x").link(Link::Goto(Va(n)));
        let mut d = Doc::default();
        let lines = [Line::plain("no"), Line(vec![link(1), link(2)]), Line::plain("no"), Line(vec![link(3)])];
        d.append(lines.into_iter().map(Row::new).collect(), 100);
        let mut seen = Vec::new();
        while d.step_link(true) {
            seen.push(d.link_here().unwrap().1);
        }
        assert_eq!(seen, [Link::Goto(Va(1)), Link::Goto(Va(2)), Link::Goto(Va(3))]);
        assert!(d.step_link(false) && d.step_link(false) && !{ d.step_link(false) && d.step_link(false) });
    }
}
