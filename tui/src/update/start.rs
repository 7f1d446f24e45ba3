//! The start screen: recent dumps, a path with completion, the bundled dump.

use crate::key::{Code, Key};
use crate::keymap::{Action, Context};
use crate::msg::Effect;
use crate::state::State;
use dumpscope_engine::Role;

/// Lines of the list below the path: recent dumps, and the bundled one at the end.
#[must_use]
fn count(state: &State) -> usize {
    state.recent.len() + 1
}

/// A key.
pub(super) fn key(state: &mut State, key: Key, effects: &mut Vec<Effect>) {
    let known = state.settings.keymap.action(Context::Global, key);
    match (key.code, known) {
        (_, Some(Action::Quit | Action::Stop)) | (Code::Esc, _) => effects.push(Effect::Quit),
        (_, Some(Action::Help)) => super::popups::help(state),
        (Code::Up, _) => state.start.at = state.start.at.saturating_sub(1),
        (Code::Down, _) => state.start.at = (state.start.at + 1).min(count(state)),
        (Code::Tab, _) => effects.push(Effect::ListPaths(state.start.path.text())),
        (Code::Enter, _) => enter(state, effects),
        _ => {
            if state.start.path.key(key) {
                state.start.at = 0;
                state.start.paths.clear();
            }
        }
    }
}

pub(super) fn paste(state: &mut State, text: &str, _effects: &mut Vec<Effect>) {
    state.start.at = 0;
    // A dropped file comes in quotes from many terminals.
    state.start.path.insert(text.trim().trim_matches(['\'', '"']));
}

fn enter(state: &mut State, effects: &mut Vec<Effect>) {
    state.start.opening = true;
    match state.start.at {
        0 => {
            let path = state.start.path.text();
            if path.trim().is_empty() {
                state.notice = Some((Role::Dim, "type a path, or choose below with the arrow keys".into()));
            } else {
                effects.extend(super::open(state, Some(path.trim().to_owned())));
            }
        }
        n => {
            let path = state.recent.get(n - 1).cloned();
            effects.extend(super::open(state, path));
        }
    }
}

/// Paths that begin with what was typed.
pub(super) fn paths(state: &mut State, text: &str, paths: Vec<String>) {
    let input = match state.popups.last_mut() {
        Some(crate::state::Popup::Ask(crate::state::Ask::Open, input)) => input,
        _ => &mut state.start.path,
    };
    if input.text() != text {
        return;
    }
    let items: Vec<(String, String)> = paths.iter().map(|p| (p.clone(), String::new())).collect();
    let start = crate::complete::common(&items);
    if start.len() > text.len() {
        input.set(&start);
    }
    state.start.paths = paths;
    if state.start.paths.is_empty() {
        state.notice = Some((Role::Dim, "no file begins like that".into()));
    }
}
