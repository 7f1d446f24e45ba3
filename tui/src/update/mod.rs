//! What a message changes: `(&mut State, Msg) -> Vec<Effect>`, without terminal, thread or file.

mod actions;
mod jobs;
mod links;
mod mouse;
mod popups;
mod prompt;
mod start;

use crate::keymap::Context;
use crate::msg::{Effect, Msg};
use crate::panes::PaneKind;
use crate::state::{DumpState, Phase, State};
use dumpscope_core::base::text::escape;
use dumpscope_engine::Role;

pub use links::menu_of;
pub use popups::{PaletteItem, palette};

/// Opens a dump in the state; `None` opens the bundled one.
pub fn open(state: &mut State, path: Option<String>) -> Vec<Effect> {
    let dump = state.dumps.len();
    let name = path.clone().unwrap_or_else(|| "demo.dmp".to_owned());
    if state.dumps.is_empty() {
        state.focus = PaneKind::Command;
        let layout = state.layout_mut();
        layout.show(PaneKind::Summary, PaneKind::Command);
    }
    let new = DumpState::new(name);
    let cancel = new.opening.clone();
    state.dumps.push(new);
    state.current = dump;
    vec![Effect::Open { dump, path, cancel }]
}

/// Applies a message.
pub fn update(state: &mut State, msg: Msg) -> Vec<Effect> {
    let mut effects = Vec::new();
    handle(state, msg, &mut effects);
    jobs::settle(state, &mut effects);
    effects
}

fn handle(state: &mut State, msg: Msg, effects: &mut Vec<Effect>) {
    match msg {
        Msg::Key(key) => {
            state.notice = None;
            if let Some(popup) = state.popups.pop() {
                popups::key(state, popup, key, effects);
            } else if state.dumps.is_empty() {
                start::key(state, key, effects);
            } else if state.focus == PaneKind::Command && !state.in_output {
                prompt::key(state, key, effects);
            } else if let Some(action) = state.settings.keymap.action(Context::Pane, key) {
                actions::run(state, action, effects);
            } else if state.focus == PaneKind::Command && matches!(key.code, crate::key::Code::Char(_)) {
                // Typing in the output is typing at the prompt.
                state.in_output = false;
                prompt::key(state, key, effects);
            }
        }
        Msg::Paste(text) => prompt::paste(state, &text, effects),
        Msg::Mouse { what, x, y } => mouse::mouse(state, what, x, y, effects),
        Msg::Resize(w, h) => {
            state.size = (w, h);
            if !state.in_output {
                jobs::to_end(state);
            }
        }
        Msg::Tick => {
            state.ticks = state.ticks.wrapping_add(1);
            for dump in &mut state.dumps {
                let running = dump.panes.values_mut().filter_map(|p| p.running.as_mut());
                for r in running.chain(dump.command.as_mut()) {
                    r.ticks = r.ticks.saturating_add(1);
                }
            }
        }
        Msg::Opening { dump, done, total } => {
            if let Some(d) = state.dumps.get_mut(dump) {
                d.phase = Phase::Opening(done, total);
            }
        }
        Msg::Opened { dump, result } => opened(state, dump, result),
        Msg::Job { dump, slot, generation, event } => {
            jobs::event(state, dump, slot, generation, event, effects);
        }
        Msg::Download(file, done, total) => {
            state.downloads.insert(file, (done, total));
        }
        Msg::DownloadEnded(file) => {
            state.downloads.remove(&file);
        }
        Msg::Saved(Ok(path)) => state.notice = Some((Role::Good, format!("written: {}", escape(&path)))),
        Msg::Saved(Err(why)) => state.notice = Some((Role::Error, escape(&why).into_owned())),
        Msg::Paths(text, paths) => start::paths(state, &text, paths),
        Msg::ClearScreen => state.transcript.clear(),
        Msg::Note(text) => state.notice = Some((Role::Warning, escape(&text).into_owned())),
        Msg::Terminate => effects.push(Effect::Quit),
    }
}

fn opened(
    state: &mut State,
    dump: usize,
    result: Result<Box<(dumpscope_engine::Session, dumpscope_engine::Session)>, String>,
) {
    let only = state.dumps.len() == 1;
    let Some(d) = state.dumps.get_mut(dump) else { return };
    match result {
        Ok(sessions) => {
            state.start.opening = false;
            let (session, bare) = *sessions;
            d.symbols = session.target.symbols.generation();
            (d.session, d.bare, d.phase) = (Some(session), Some(bare), Phase::Ready);
            let path = d.path.clone();
            if path != "demo.dmp" {
                state.recent.retain(|p| *p != path);
                state.recent.insert(0, path);
                state.recent.truncate(20);
            }
        }
        Err(why) if state.start.opening && only => {
            state.dumps.clear();
            state.notice = Some((Role::Error, escape(&why).into_owned()));
        }
        Err(why) => d.phase = Phase::Failed(escape(&why).into_owned()),
    }
}
