//! The state as a screen: `view(&State, &mut Frame)`. It changes nothing and computes nothing.

mod lines;
mod popup;
mod prompt;
mod start;
pub mod theme;

use crate::config::Theme;
use crate::keymap::{Action, Context};
use crate::layout::Place;
use crate::panes::PaneKind;
use crate::state::{DumpState, Phase, State};
use crate::text::Row;
use dumpscope_core::base::text::escape;
use dumpscope_engine::{Link, Part, Role, Session};
use lines::Look;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::symbols::border;
use ratatui::widgets::{Block, Borders, Widget};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use unicode_width::UnicodeWidthStr;

thread_local! {
    /// True while a pane is drawn: a panic then is a message in that pane, and the terminal stays as it is.
    static IN_PANE: Cell<bool> = const { Cell::new(false) };
}

/// True while this thread draws a pane.
#[must_use]
pub fn in_pane() -> bool {
    IN_PANE.with(Cell::get)
}

const ASCII: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

/// Draws the screen.
pub fn view(state: &State, frame: &mut Frame<'_>) {
    let all = frame.area();
    if all.width == 0 || all.height == 0 {
        return;
    }
    if state.dumps.is_empty() {
        start::draw(state, frame);
    } else {
        let body = state.body().intersection(all);
        if body.height < all.height {
            title(state, Rect { height: 1, ..all }, frame.buffer_mut());
            let status_line = Rect { y: all.bottom() - 1, height: 1, ..all };
            status(state, status_line, frame.buffer_mut());
        }
        for place in state.places() {
            let place = Place { area: place.area.intersection(all), ..place };
            IN_PANE.with(|f| f.set(true));
            let drawn = catch_unwind(AssertUnwindSafe(|| pane(state, &place, frame)));
            IN_PANE.with(|f| f.set(false));
            if drawn.is_err() {
                let style = theme::style(state.settings.theme, Role::Error);
                let text = "this pane failed inside dumpscope";
                let width = usize::from(place.area.width);
                frame.buffer_mut().set_stringn(place.area.x, place.area.y, text, width, style);
            }
        }
    }
    if let Some(top) = state.popups.last() {
        popup::draw(state, top, frame);
    }
}

fn block(theme: Theme, ascii: bool, focused: bool) -> Block<'static> {
    let set = match (ascii, focused) {
        (true, _) => ASCII,
        (false, true) => border::THICK,
        (false, false) => border::PLAIN,
    };
    Block::new().borders(Borders::ALL).border_set(set).border_style(theme::border(theme, focused))
}

/// Titles of the tabs of a pane, shortened where room is scarce.
pub(crate) fn titles(panes: &[PaneKind], active: PaneKind, width: u16) -> Vec<(PaneKind, String)> {
    let room = usize::from(width.saturating_sub(2));
    let make = |short: bool| -> Vec<(PaneKind, String)> {
        let name = |k: PaneKind| {
            let info = k.info();
            let title = if short && k != active { info.short } else { info.title };
            if k == active { format!("[{title}]") } else { format!(" {title} ") }
        };
        panes.iter().map(|k| (*k, name(*k))).collect()
    };
    let used = |t: &[(PaneKind, String)]| t.iter().map(|(_, t)| t.width() + 1).sum::<usize>();
    let long = make(false);
    if used(&long) <= room {
        return long;
    }
    let mut short = make(true);
    // Still too long: tabs before the one in front go first, then those behind.
    while used(&short) > room && short.len() > 1 {
        let at = short.iter().position(|(k, _)| *k == active).unwrap_or(0);
        if at > 0 {
            short.remove(0);
        } else {
            short.pop();
        }
    }
    short
}

fn pane(state: &State, place: &Place, frame: &mut Frame<'_>) {
    let (theme, ascii) = (state.settings.theme, state.settings.ascii);
    let kind = place.active;
    let focused = kind == state.focus;
    let area = place.area;
    if area.width < 2 || area.height < 2 {
        return;
    }
    let buf = frame.buffer_mut();
    block(theme, ascii, focused).render(area, buf);
    let mut x = area.x + 1;
    for (tab, title) in titles(&place.panes, kind, area.width) {
        let style = theme::border(theme, focused && tab == kind);
        let style = if tab == kind { style.add_modifier(Modifier::BOLD) } else { style };
        let room = usize::from(area.right().saturating_sub(x + 1));
        buf.set_stringn(x, area.y, &title, room, style);
        x = x.saturating_add(u16::try_from(title.width()).unwrap_or(0)).saturating_add(1);
    }
    let inner = Rect { x: area.x + 1, y: area.y + 1, width: area.width - 2, height: area.height - 2 };
    if kind == PaneKind::Command {
        prompt::draw(state, inner, focused, frame);
        footer(state, kind, area, frame.buffer_mut());
        return;
    }
    footer(state, kind, area, buf);
    let Some(dump) = state.dump() else { return };
    let Some(pane) = dump.panes.get(&kind) else { return };
    if pane.doc.rows().is_empty() {
        let text = match &dump.phase {
            Phase::Opening(..) => "opening ...".to_owned(),
            Phase::Failed(why) if kind == PaneKind::Summary => {
                format!("{why}\n\nCtrl+O opens another dump, Ctrl+Q leaves.")
            }
            Phase::Failed(_) => return,
            Phase::Ready if pane.running.is_some() => "working ...".to_owned(),
            Phase::Ready => "nothing".to_owned(),
        };
        let role = if matches!(dump.phase, Phase::Failed(_)) { Role::Error } else { Role::Dim };
        paragraph(&text, inner, theme::style(theme, role), buf);
        return;
    }
    let look = Look { theme, ascii, focused };
    let session = dump.session.as_ref();
    lines::draw(
        &pane.doc,
        inner,
        look,
        &|r| is_selected(kind, session, r),
        &|r| tail(kind, pane.form, dump, r),
        buf,
    );
}

/// Words, wrapped.
fn paragraph(text: &str, area: Rect, style: ratatui::style::Style, buf: &mut Buffer) {
    use ratatui::widgets::{Paragraph, Wrap};
    Paragraph::new(text.to_owned()).style(style).wrap(Wrap { trim: true }).render(area, buf);
}

/// True for the line of the selected thread or frame.
fn is_selected(kind: PaneKind, session: Option<&Session>, row: &Row) -> bool {
    let Some(sel) = session.map(|s| &s.sel) else { return false };
    row.line.0.iter().filter_map(|s| s.link.as_ref()).any(|link| match (kind, link) {
        (PaneKind::Threads, Link::Thread(t)) => sel.thread == Some(*t),
        (PaneKind::Stack, Link::Frame(t, n)) => sel.thread == Some(*t) && sel.frame == *n,
        _ => false,
    })
}

/// What is known of a line from the verdict. What a thread does: it takes the place of what `~` says about suspension and blocks.
fn tail(kind: PaneKind, form: usize, dump: &DumpState, row: &Row) -> Option<(usize, String)> {
    let parts = || row.line.0.iter().filter_map(|s| s.part);
    if kind == PaneKind::Locks {
        let gone =
            |p| matches!(p, Part::Owner(tid) if u32::try_from(tid).is_ok_and(|t| dump.gone.contains(&t)));
        return parts()
            .any(gone)
            .then(|| (row.width() + 1, " no longer exists: no thread of the dump has this id".to_owned()));
    }
    if kind != PaneKind::Threads || form != 0 {
        return None;
    }
    let thread = row.line.0.iter().find_map(|s| match s.link {
        Some(Link::Thread(t)) => Some(t.0),
        _ => None,
    })?;
    let state = row.line.0.iter().position(|s| s.part == Some(Part::State))?;
    let column = row.line.0.iter().take(state).map(|s| s.text.width()).sum();
    Some((column, dump.activity.get(&thread)?.clone()))
}

/// The lower border: what is shown, filters, position.
fn footer(state: &State, kind: PaneKind, area: Rect, buf: &mut Buffer) {
    let Some(doc) = state.doc(kind) else { return };
    let theme = state.settings.theme;
    let mut left = String::new();
    if let Some(pane) = state.dump().and_then(|d| d.panes.get(&kind)) {
        if let Some(detail) = &pane.detail {
            left = format!(" {detail} ");
        } else if !pane.expr.is_empty() {
            let offset = match pane.offset {
                0 => String::new(),
                n if n < 0 => format!("-0x{:x}", n.unsigned_abs()),
                n => format!("+0x{n:x}"),
            };
            left = format!(" {}{offset} ", pane.expr);
        }
        if pane.running.as_ref().is_some_and(|r| r.ticks > 0) {
            left.push_str(" working ... ");
        }
    }
    if !doc.filter.is_empty() {
        left.push_str(&format!(" filter: {} ", doc.filter));
    }
    if !doc.search.is_empty() {
        left.push_str(&format!(" /{} ", doc.search));
    }
    let style = theme::border(theme, kind == state.focus);
    let y = area.bottom() - 1;
    let room = usize::from(area.width.saturating_sub(2));
    buf.set_stringn(area.x + 1, y, &left, room, style);
    let n = doc.len();
    if n > usize::from(area.height.saturating_sub(2)) {
        let text = format!(" {}/{n} ", doc.cursor.min(n.saturating_sub(1)) + 1);
        let width = u16::try_from(text.width()).unwrap_or(0);
        if usize::from(width) + left.width() + 2 <= room {
            buf.set_stringn(area.right() - 1 - width, y, &text, usize::from(width), style);
        }
    }
}

/// The upper line of the screen: which dump, which thread.
fn title(state: &State, area: Rect, buf: &mut Buffer) {
    let style = theme::bar(state.settings.theme);
    buf.set_style(area, style);
    let Some(dump) = state.dump() else { return };
    let mut text = String::from(" dumpscope  ");
    if state.dumps.len() > 1 {
        text.push_str(&format!("||{} of {}  ", state.current, state.dumps.len()));
    }
    text.push_str(&escape(dump.name()));
    if let Some(session) = &dump.session {
        let sel = &session.sel;
        if let Some(row) = &dump.row
            && let Some(process) = &row.process
        {
            if let Some(name) = &process.name {
                text.push_str(&format!("  {}", escape(name)));
            }
            if let Some(pid) = process.pid {
                text.push_str(&format!(" pid {pid:x}"));
            }
        }
        if let Some(thread) = sel.thread {
            let tid = session.dump().thread(thread).map(|t| t.tid.0);
            let tid = tid.map(|t| format!(" (id {t:x})")).unwrap_or_default();
            text.push_str(&format!("  thread {}{tid}", thread.0));
        }
        text.push_str(&format!("  frame {:x}  {}", sel.frame, sel.machine.json_name()));
        if sel.machine != session.dump().machine() {
            text.push_str(" (WOW64)");
        }
    }
    buf.set_stringn(area.x, area.y, text, usize::from(area.width), style);
    let right = progress(state);
    let width = u16::try_from(right.width()).unwrap_or(0);
    if width > 0 && width < area.width {
        let style = style.add_modifier(Modifier::BOLD);
        buf.set_stringn(area.right() - width, area.y, right, usize::from(width), style);
    }
}

/// What runs in the background: what, how far, how many bytes.
fn progress(state: &State) -> String {
    let Some(dump) = state.dump() else { return String::new() };
    let spin = ["|", "/", "-", "\\"].get((state.ticks % 4) as usize).copied().unwrap_or("|");
    if let Phase::Opening(done, total) = dump.phase {
        let percent = done.saturating_mul(100).checked_div(total);
        let far = percent.map(|p| format!(" {p} % of {}", bytes(total))).unwrap_or_default();
        return format!(" {spin} opening{far} ");
    }
    let mut parts = Vec::new();
    if let Some((file, (done, total))) = state.downloads.iter().next() {
        let file = escape(file.split('/').next().unwrap_or(file)).into_owned();
        let of = total.map(|t| format!(" of {}", bytes(t))).unwrap_or_default();
        let more = match state.downloads.len() {
            0 | 1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        parts.push(format!("{file} {}{of}{more}", bytes(*done)));
    }
    let running = dump.command.iter().chain(dump.panes.values().filter_map(|p| p.running.as_ref()));
    if let Some(r) = running.filter(|r| r.ticks > 0).max_by_key(|r| r.ticks) {
        let mut what: String = r.what.chars().take(24).collect();
        match r.progress {
            (0, 0) => {}
            (done, 0) => what.push_str(&format!(" {done}")),
            (done, total) => what.push_str(&format!(" {done}/{total}")),
        }
        parts.push(what);
    }
    if parts.is_empty() { String::new() } else { format!(" {spin} {}  Esc stops ", parts.join("  ")) }
}

/// A number of bytes for people.
fn bytes(n: u64) -> String {
    match n {
        0..=9_999 => format!("{n} B"),
        10_000..=9_999_999 => format!("{} KB", n / 1000),
        _ => format!("{}.{} MB", n / 1_000_000, n / 100_000 % 10),
    }
}

/// The lower line of the screen: what just happened, else the most useful keys.
fn status(state: &State, area: Rect, buf: &mut Buffer) {
    let theme = state.settings.theme;
    if let Some((role, text)) = &state.notice {
        buf.set_stringn(area.x + 1, area.y, text, usize::from(area.width - 1), theme::style(theme, *role));
        return;
    }
    let here =
        if state.focus == PaneKind::Command && !state.in_output { Context::Prompt } else { Context::Pane };
    let mut keys: Vec<(Action, &str)> = Vec::new();
    match here {
        Context::Prompt => {
            let tab = if state.input.is_empty() { "next pane" } else { "complete" };
            keys.extend([
                (Action::Help, "help"),
                (Action::Palette, "palette"),
                (Action::Quit, "leave"),
                (Action::Complete, tab),
                (Action::Zoom, "zoom"),
                (Action::ToOutput, "links"),
                (Action::NextPane, "next pane"),
            ]);
        }
        _ => {
            keys.extend([(Action::Leave, "prompt"), (Action::HelpHere, "keys"), (Action::Follow, "open")]);
            if !state.focus.info().expr.is_empty() {
                keys.push((Action::Address, "address"));
            }
            keys.extend([
                (Action::Form, "form"),
                (Action::Search, "search"),
                (Action::Filter, "filter"),
                (Action::Zoom, "zoom"),
                (Action::FollowWith, "open with"),
                (Action::NextTab, "next tab"),
                (Action::NextPane, "next pane"),
                (Action::Quit, "leave"),
            ]);
        }
    }
    let mut x = area.x + 1;
    for (action, what) in keys {
        let key = state.settings.keymap.keys_of(action);
        let text = state.settings.keymap.text_of(action);
        let Some(first) = text.split(", ").next().filter(|_| !key.is_empty()) else { continue };
        let both = u16::try_from(first.width() + what.width() + 3).unwrap_or(u16::MAX);
        if x.saturating_add(both) > area.right() {
            return;
        }
        let bold = theme::style(theme, Role::Heading);
        let (after, _) = buf.set_stringn(x, area.y, first, 24, bold);
        buf.set_stringn(after + 1, area.y, what, 24, theme::style(theme, Role::Plain));
        x = x.saturating_add(both);
    }
}
