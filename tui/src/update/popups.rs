//! What lies over the panes: help, the palette, questions, menus.

use super::{actions, links};
use crate::fuzzy;
use crate::input::Input;
use crate::key::{Code, Key};
use crate::keymap::{Action, BINDINGS, Context};
use crate::msg::Effect;
use crate::panes::PaneKind;
use crate::state::{Ask, Popup, State};
use crate::text::{Doc, Row};
use dumpscope_engine::{COMMANDS, Line, Role};

/// Lines of a popup's list on screen.
pub(crate) const LIST: usize = 14;

/// An item of the palette.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaletteItem {
    /// An action.
    Do(Action),
    /// A command of the engine, by its place in the table.
    Command(usize),
    /// A dump.
    Dump(usize),
}

/// The palette's items for what is typed, best first: text, keys or summary, item.
#[must_use]
pub fn palette(state: &State, typed: &str) -> Vec<(String, String, PaletteItem)> {
    let mut items: Vec<(String, String, PaletteItem)> = Vec::new();
    for (i, d) in state.dumps.iter().enumerate().filter(|_| state.dumps.len() > 1) {
        let name = dumpscope_core::base::text::escape(d.name()).into_owned();
        items.push((format!("Dump {i}: {name}"), format!("||{i}s"), PaletteItem::Dump(i)));
    }
    for b in BINDINGS.iter().filter(|b| b.context != Context::Prompt) {
        items.push((b.help.to_owned(), state.settings.keymap.text_of(b.action), PaletteItem::Do(b.action)));
    }
    for (i, c) in COMMANDS.iter().enumerate() {
        items.push((c.name.to_owned(), c.summary.to_owned(), PaletteItem::Command(i)));
    }
    if typed.trim().is_empty() {
        return items;
    }
    let mut scored: Vec<(usize, usize, (String, String, PaletteItem))> = items
        .into_iter()
        .enumerate()
        .filter_map(|(n, item)| {
            let by_text = fuzzy::score(typed, &item.0);
            // A command is found by what it does as well, behind those found by name.
            let by_rest = fuzzy::score(typed, &item.1).map(|s| s.saturating_mul(2).saturating_add(4096));
            let best = by_text.into_iter().chain(by_rest).min()?;
            Some((best, n, item))
        })
        .collect();
    scored.sort_by_key(|(score, n, _)| (*score, *n));
    scored.into_iter().map(|(_, _, item)| item).collect()
}

/// Opens help: the keys that work now, then what panes there are.
pub(super) fn help(state: &mut State) {
    let typing = state.focus == PaneKind::Command && !state.in_output && !state.dumps.is_empty();
    if let Some(command) = crate::complete::command_at(&state.input.before()).filter(|_| typing) {
        // The line that is being typed stays.
        super::jobs::submit(state, &format!(".hh {}", command.name));
        return;
    }
    let mut rows = Vec::new();
    let here =
        if state.focus == PaneKind::Command && !state.in_output { Context::Prompt } else { Context::Pane };
    let row = |left: &str, right: &str| {
        Row::new(Line::new().role(Role::Label, format!("  {left:<22} ")).text(right.to_owned()))
    };
    for context in [here, Context::Global] {
        rows.push(Row::new(Line::new().role(Role::Heading, context.title())));
        for b in BINDINGS.iter().filter(|b| b.context == context) {
            let keys = state.settings.keymap.text_of(b.action);
            if !keys.is_empty() {
                rows.push(row(&keys, b.help));
            }
        }
        rows.push(Row::default());
    }
    rows.push(Row::new(Line::new().role(Role::Heading, "Panes")));
    for p in crate::panes::PANES {
        rows.push(row(p.title, p.about));
    }
    rows.push(Row::default());
    rows.push(Row::new(Line::plain("Commands: .help lists them, .hh NAME explains one, with examples.")));
    let mut doc = Doc::default();
    doc.append(rows, 10_000);
    state.popups.push(Popup::Read("Help".into(), doc));
}

/// A key for the popup on top, which was taken off; it is put back unless it closes.
pub(super) fn key(state: &mut State, popup: Popup, key: Key, effects: &mut Vec<Effect>) {
    let quit = state.settings.keymap.action(Context::Global, key) == Some(Action::Quit);
    if quit {
        effects.push(Effect::Quit);
        return;
    }
    let closes = key.code == Code::Esc || (key.ctrl && key.code == Code::Char('c'));
    match popup {
        Popup::Read(title, mut doc) => {
            if closes || matches!(key.code, Code::Enter | Code::Char('q' | '?') | Code::F(1)) {
                return;
            }
            let height = usize::from(state.size.1).saturating_sub(6).max(1);
            let page = isize::try_from(height).unwrap_or(1);
            match state.settings.keymap.action(Context::Pane, key) {
                Some(Action::Up) => doc.scroll(-1, height),
                Some(Action::Down) => doc.scroll(1, height),
                Some(Action::PageUp) => doc.scroll(-page, height),
                Some(Action::PageDown) => doc.scroll(page, height),
                Some(Action::Top) => doc.top = 0,
                Some(Action::Bottom) => doc.scroll(isize::MAX, height),
                _ => {}
            }
            state.popups.push(Popup::Read(title, doc));
        }
        Popup::Palette(mut input, mut at) => {
            let items = palette(state, &input.text());
            match key.code {
                _ if closes => return,
                Code::Enter => {
                    if let Some((text, _, item)) = items.get(at) {
                        pick(state, *item, text, effects);
                    }
                    return;
                }
                Code::Up => at = at.saturating_sub(1),
                Code::Down => at = (at + 1).min(items.len().saturating_sub(1)),
                Code::PageUp => at = at.saturating_sub(LIST),
                Code::PageDown => at = (at + LIST).min(items.len().saturating_sub(1)),
                _ => {
                    if input.key(key) {
                        at = 0;
                    }
                }
            }
            state.popups.push(Popup::Palette(input, at));
        }
        Popup::Menu(title, items, mut at) => {
            match key.code {
                _ if closes => return,
                Code::Enter => {
                    if let Some((_, choice)) = items.into_iter().nth(at) {
                        links::choose(state, choice, effects);
                    }
                    return;
                }
                Code::Up | Code::Char('k') => at = at.saturating_sub(1),
                Code::Down | Code::Char('j') => at = (at + 1).min(items.len().saturating_sub(1)),
                _ => {}
            }
            state.popups.push(Popup::Menu(title, items, at));
        }
        Popup::Ask(ask, input) => asked(state, ask, input, key, closes, effects),
    }
}

fn pick(state: &mut State, item: PaletteItem, _text: &str, effects: &mut Vec<Effect>) {
    match item {
        PaletteItem::Do(action) => actions::run(state, action, effects),
        PaletteItem::Dump(n) => state.current = n,
        PaletteItem::Command(n) => {
            if let Some(command) = COMMANDS.get(n) {
                actions::show(state, PaneKind::Command);
                state.input.set(&format!("{} ", command.name));
            }
        }
    }
}

/// A key for a question.
fn asked(state: &mut State, ask: Ask, mut input: Input, key: Key, closes: bool, effects: &mut Vec<Effect>) {
    let focus = state.focus;
    if closes {
        match ask {
            Ask::Search(at) => {
                if let Some(doc) = state.doc_mut(focus) {
                    doc.search.clear();
                    doc.go(at);
                }
            }
            Ask::Filter => {
                if let Some(doc) = state.doc_mut(focus) {
                    doc.set_filter("");
                }
            }
            _ => {}
        }
        return;
    }
    if key.code == Code::Enter {
        answer(state, &ask, &input.text(), effects);
        return;
    }
    if key.code == Code::Tab && ask == Ask::Open {
        effects.push(Effect::ListPaths(input.text()));
    } else if input.key(key) {
        let text = input.text();
        match ask {
            Ask::Search(at) => {
                let found = state.doc_mut(focus).is_none_or(|doc| {
                    doc.search.clone_from(&text);
                    doc.go(at);
                    text.is_empty() || doc.find(true, true)
                });
                if !found {
                    state.notice = Some((Role::Warning, "not found".into()));
                }
            }
            Ask::Filter => {
                if let Some(doc) = state.doc_mut(focus) {
                    doc.set_filter(&text);
                }
            }
            _ => {}
        }
    }
    state.popups.push(Popup::Ask(ask, input));
}

fn answer(state: &mut State, ask: &Ask, text: &str, effects: &mut Vec<Effect>) {
    let focus = state.focus;
    let text = text.trim();
    match ask {
        // The search went along while it was typed.
        Ask::Search(_) | Ask::Filter => {}
        Ask::Address => {
            if !text.is_empty() {
                links::go(state, focus, text);
            }
        }
        Ask::SavePane => {
            if let (false, Some(doc)) = (text.is_empty(), state.doc(focus)) {
                effects.push(Effect::Save { path: text.to_owned(), text: doc.to_text() });
            }
        }
        Ask::SaveTranscript => {
            if !text.is_empty() {
                let text_of = state.transcript.to_text();
                effects.push(Effect::Save { path: text.to_owned(), text: text_of });
            }
        }
        Ask::Open => {
            if !text.is_empty() {
                effects.extend(super::open(state, Some(text.to_owned())));
            }
        }
    }
}
