//! The prompt: typing, completion, running lines.

use super::{actions, jobs};
use crate::complete::{Candidates, common};
use crate::key::{Code, Key};
use crate::keymap::{Action, Context};
use crate::msg::{Effect, Job, Slot, Work};
use crate::panes::PaneKind;
use crate::state::{Popup, State};
use crate::text::Row;
use dumpscope_analyzers::Cancel;
use dumpscope_engine::{Line, Link, Role, Span};

/// A key at the prompt.
pub(super) fn key(state: &mut State, key: Key, effects: &mut Vec<Effect>) {
    if state.candidates.is_some() && list_key(state, key, effects) {
        return;
    }
    let plain = matches!(key.code, Code::Char(_)) && !key.ctrl && !key.alt;
    if !plain && let Some(action) = state.settings.keymap.action(Context::Prompt, key) {
        actions::run(state, action, effects);
        return;
    }
    if state.input.key(key) {
        state.history.leave();
        if state.candidates.is_some() {
            ask(state, effects);
        }
    }
}

/// A key while candidates are shown; false when it means what it always means.
fn list_key(state: &mut State, key: Key, effects: &mut Vec<Effect>) -> bool {
    let Some((found, at)) = &mut state.candidates else { return false };
    let n = found.items.len().max(1);
    match (key.code, key.shift) {
        (Code::Down, _) | (Code::Tab, false) => *at = (*at + 1) % n,
        (Code::Up, _) | (Code::Tab, true) => *at = (*at + n - 1) % n,
        (Code::Esc, _) => state.candidates = None,
        (Code::Enter, _) => {
            let text = found.items.get(*at).map(|(t, _)| t.clone());
            let replaces = found.replaces;
            state.candidates = None;
            if let Some(text) = text {
                state.input.replace_before(replaces, &text);
                if text.ends_with('!') && text.len() > 1 {
                    // A module: its symbols come next.
                    ask(state, effects);
                }
            }
        }
        _ => return false,
    }
    true
}

/// Pasted text: at the prompt, or into the question that is asked.
pub(super) fn paste(state: &mut State, text: &str, effects: &mut Vec<Effect>) {
    match state.popups.last_mut() {
        Some(Popup::Ask(_, input) | Popup::Palette(input, _)) => input.insert(text),
        Some(_) => {}
        None if state.dumps.is_empty() => super::start::paste(state, text, effects),
        None => {
            if state.focus != PaneKind::Command {
                actions::show(state, PaneKind::Command);
            }
            state.in_output = false;
            state.input.insert(text);
        }
    }
}

/// An action of the prompt.
pub(super) fn action(state: &mut State, action: Action, effects: &mut Vec<Effect>) {
    match action {
        Action::Submit => {
            let line = state.input.text();
            state.input = Default::default();
            state.candidates = None;
            let line = if line.trim().is_empty() {
                state.history.lines().last().cloned().unwrap_or_default()
            } else {
                line
            };
            if !line.trim().is_empty() {
                effects.extend(run_line(state, &line));
                jobs::to_end(state);
            }
        }
        Action::Complete if state.input.is_empty() => actions::run(state, Action::NextPane, effects),
        Action::Complete => ask(state, effects),
        Action::ToOutput if !state.transcript.is_empty() => {
            state.in_output = true;
            state.focus = PaneKind::Command;
            let doc = &mut state.transcript;
            doc.go(usize::MAX);
            doc.step_link(false);
        }
        Action::HistoryBack | Action::HistoryForward => {
            let typed = state.input.text();
            if let Some(line) = state.history.step(action == Action::HistoryBack, &typed) {
                state.input.set(&line);
            }
        }
        Action::OutputUp | Action::OutputDown => {
            let height = jobs::height(state, PaneKind::Command).max(1);
            let by = isize::try_from(height).unwrap_or(1);
            state.transcript.scroll(if action == Action::OutputUp { -by } else { by }, height);
        }
        Action::ClearLine if !jobs::stop(state, effects) => {
            state.input = Default::default();
            state.history.leave();
            jobs::to_end(state);
        }
        _ => {}
    }
}

/// Runs a line as if it was typed. What concerns several dumps is done here; the rest is the engine's.
pub(super) fn run_line(state: &mut State, line: &str) -> Vec<Effect> {
    state.history.push(line);
    let text = line.trim();
    if let Some(path) = text.strip_prefix(".opendump ").map(str::trim).filter(|p| !p.is_empty()) {
        return super::open(state, Some(path.trim_matches('"').to_owned()));
    }
    if let Some(rest) = text.strip_prefix("||").filter(|_| state.dumps.len() > 1) {
        if rest.trim().is_empty() {
            list_dumps(state);
            return Vec::new();
        }
        if let Some(n) = rest.trim().strip_suffix('s').and_then(|n| n.parse::<usize>().ok()) {
            if n < state.dumps.len() {
                state.current = n;
                list_dumps(state);
            } else {
                jobs::print(state, vec![Row::note(Role::Error, &format!("There is no dump {n}."))]);
            }
            return Vec::new();
        }
    }
    if state.dump().is_some_and(|d| d.session.is_none()) && text == "q" {
        return vec![Effect::Quit];
    }
    jobs::submit(state, line);
    Vec::new()
}

fn list_dumps(state: &mut State) {
    let rows = state.dumps.iter().enumerate().map(|(i, d)| {
        let mark = if i == state.current { "." } else { " " };
        let number = Span::new(Role::Thread, format!("{i:>2}")).link(Link::Run(format!("||{i}s")));
        let line = Line::plain(mark).span(number).text("  ");
        Row::new(line.span(Span::untrusted(Role::Plain, &d.path)))
    });
    let rows = rows.collect();
    jobs::print(state, rows);
}

/// Asks for candidates for what stands before the cursor.
fn ask(state: &mut State, effects: &mut Vec<Effect>) {
    let before = state.input.before();
    state.generation += 1;
    let session = state.dump().and_then(|d| d.session.clone());
    let Some(mut session) = session else {
        let found = crate::complete::complete(None, &before, state.history.lines());
        candidates(state, &before, found);
        return;
    };
    session.cancel = Cancel::default();
    let (dump, generation) = (state.current, state.generation);
    let work = Work::Complete(before);
    effects.push(Effect::Run(Box::new(Job { dump, slot: Slot::Completion, generation, session, work })));
}

/// Candidates are there: one is taken at once, of several the common start; the rest is a list.
pub(super) fn candidates(state: &mut State, text: &str, found: Candidates) {
    if state.input.before() != text || state.focus != PaneKind::Command {
        return;
    }
    let listed = state.candidates.is_some();
    state.candidates = None;
    match found.items.as_slice() {
        [] => state.notice = Some((Role::Dim, "nothing begins like that".into())).filter(|_| !listed),
        [(only, _)] if !listed => state.input.replace_before(found.replaces, only),
        items => {
            let start = common(items);
            let mut found = found.clone();
            if !listed && start.chars().count() > found.replaces {
                state.input.replace_before(found.replaces, &start);
                found.replaces = start.chars().count();
            }
            state.candidates = Some((found, 0));
        }
    }
}
