//! Keys to actions: one table. The help screen, the status line and `docs/keys.md` come from it.

use crate::key::Key;
use std::collections::BTreeMap;

/// Where a key works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Context {
    /// Everywhere.
    Global,
    /// At the prompt.
    Prompt,
    /// In a pane, and in the output of the command window.
    Pane,
}

impl Context {
    /// Heading in help.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Context::Global => "Everywhere",
            Context::Prompt => "At the prompt",
            Context::Pane => "In panes and in output",
        }
    }
}

macro_rules! actions {
    ($($context:ident $action:ident $name:literal [$($key:literal),*] $help:literal;)*) => {
        /// What a key does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action {
            $(#[doc = $help] $action,)*
        }

        /// The table of keys.
        pub const BINDINGS: &[Binding] = &[
            $(Binding { action: Action::$action, name: $name, context: Context::$context, keys: &[$($key),*], help: $help },)*
        ];
    };
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// What it does.
    pub action: Action,
    /// Its name in the config file.
    pub name: &'static str,
    /// Where it works.
    pub context: Context,
    /// Its keys unless the config file names others.
    pub keys: &'static [&'static str],
    /// What it does, for people.
    pub help: &'static str,
}

actions! {
    Global Help "help" ["F1"] "Show the keys that work now; with a command at the prompt its help";
    Global Palette "palette" ["Ctrl+P"] "Find a command, a pane or an action by a few letters";
    Global NextPane "next_pane" ["F6"] "Go to the next pane";
    Global PrevPane "prev_pane" ["Shift+F6"] "Go to the previous pane";
    Global PaneCommand "command" ["Alt+1"] "Go to the command window";
    Global PaneSummary "summary" ["Alt+2"] "Open the summary";
    Global PaneLocals "locals" ["Alt+3"] "Open locals and arguments";
    Global PaneRegisters "registers" ["Alt+4"] "Open the registers";
    Global PaneMemory "memory" ["Alt+5"] "Open memory";
    Global PaneStack "stack" ["Alt+6"] "Open the stack";
    Global PaneDisassembly "disassembly" ["Alt+7"] "Open the disassembly";
    Global PaneModules "modules" ["Alt+8"] "Open the modules";
    Global PaneThreads "threads" ["Alt+9"] "Open the threads";
    Global PaneHandles "handles" ["Alt+0"] "Open the handles";
    Global PaneLocks "locks" ["Alt+L"] "Open locks and waits";
    Global PaneGraph "graph" ["Alt+W"] "Open the wait graph";
    Global Zoom "zoom" ["F11", "Alt+Z"] "Show this pane alone, or all again";
    Global ClosePane "close_pane" ["Ctrl+F4", "Alt+X"] "Close this pane";
    Global Wider "wider" ["Alt+Shift+Right"] "Make this pane wider";
    Global Narrower "narrower" ["Alt+Shift+Left"] "Make this pane narrower";
    Global Taller "taller" ["Alt+Shift+Up"] "Make this pane taller";
    Global Lower "lower" ["Alt+Shift+Down"] "Make this pane lower";
    Global ResetLayout "reset_layout" [] "Put all panes back where they were at first";
    Global Back "back" ["Alt+Left"] "Go back to what was shown before";
    Global Forward "forward" ["Alt+Right"] "Go forward again";
    Global Bits "bits" ["F8"] "Switch between the 32-bit and the 64-bit view of a WOW64 process";
    Global NextDump "next_dump" ["F4"] "Go to the next dump (`||1s`)";
    Global OpenDump "open_dump" ["Ctrl+O"] "Open another dump";
    Global SaveTranscript "save_transcript" [] "Save all output of the command window to a file";
    Global Theme "theme" [] "Change between dark, light and no colours";
    Global Stop "stop" ["Ctrl+C"] "Stop what is running; with nothing running clear the line";
    Global Quit "quit" ["Ctrl+Q"] "Leave";
    Prompt Submit "submit" ["Enter"] "Run the line; an empty one repeats the last command";
    Prompt Complete "complete" ["Tab", "Ctrl+Space"] "Complete commands, modules, symbols, types and past lines; with an empty line go to the next pane";
    Prompt ToOutput "to_output" ["Shift+Tab", "Ctrl+Up"] "Go up into the output";
    Prompt HistoryBack "history_back" ["Up"] "Previous line that begins as typed";
    Prompt HistoryForward "history_forward" ["Down"] "Next line";
    Prompt FindOutput "find_output" ["Ctrl+F"] "Search in the output";
    Prompt OutputUp "output_up" ["PgUp"] "Scroll the output up";
    Prompt OutputDown "output_down" ["PgDn"] "Scroll the output down";
    Prompt ClearLine "clear_line" ["Esc"] "Stop what is running, or clear the line";
    Pane Up "up" ["Up", "k"] "One line up; in memory and code on to lower addresses";
    Pane Down "down" ["Down", "j"] "One line down; in memory and code on to higher addresses";
    Pane PageUp "page_up" ["PgUp", "Ctrl+B"] "One page up";
    Pane PageDown "page_down" ["PgDn", "Ctrl+F", "Space"] "One page down";
    Pane Top "top" ["Home", "g"] "First line";
    Pane Bottom "bottom" ["End", "G"] "Last line";
    Pane Left "left" ["Left", "h"] "Scroll left";
    Pane Right "right" ["Right", "l"] "Scroll right";
    Pane Wrap "wrap" ["w"] "Let long lines go on below themselves, or cut them off again";
    Pane NextLink "next_link" ["Tab"] "Next link";
    Pane PrevLink "prev_link" ["Shift+Tab"] "Previous link";
    Pane Follow "follow" ["Enter"] "Open the link: a thread, frame, address, handle, module or command";
    Pane FollowWith "follow_with" ["o"] "Choose how to open the link";
    Pane GoBack "go_back" ["Backspace"] "Go back to what was shown before";
    Pane Search "search" ["/"] "Search";
    Pane SearchNext "search_next" ["n"] "Next place";
    Pane SearchPrev "search_prev" ["N"] "Previous place";
    Pane Filter "filter" ["&", "f"] "Show only lines with a text";
    Pane Form "form" ["v"] "Show the pane in its next form";
    Pane Address "address" ["a", "Ctrl+G"] "Type the address expression of memory or code";
    Pane PrevTab "prev_tab" ["["] "Pane behind this one, to the left";
    Pane NextTab "next_tab" ["]"] "Pane behind this one, to the right";
    Pane CopyLine "copy_line" ["y"] "Copy the line or the selected link to the clipboard";
    Pane CopyPane "copy_pane" ["Y"] "Copy the pane to the clipboard";
    Pane SavePane "save_pane" ["S"] "Save the pane to a file";
    Pane Refresh "refresh" ["R"] "Ask anew";
    Pane HelpHere "help_here" ["?"] "Show the keys that work now";
    Pane Type "type" [":"] "Go to the prompt";
    Pane Leave "leave" ["Esc"] "Stop what is running, end a search or a filter, or go to the prompt";
}

/// Keys in use: the table's, with those of the config file in their place.
#[derive(Clone, Debug)]
pub struct Keymap {
    keys: BTreeMap<(Context, Key), Action>,
}

impl Default for Keymap {
    fn default() -> Keymap {
        Keymap::new(&BTreeMap::new()).0
    }
}

impl Keymap {
    /// Joins the table with `changed`: names of actions and their keys. Gives back what was wrong in it too.
    #[must_use]
    pub fn new(changed: &BTreeMap<String, Vec<String>>) -> (Keymap, Vec<String>) {
        let mut keys = BTreeMap::new();
        let mut wrong = Vec::new();
        for name in changed.keys().filter(|n| !BINDINGS.iter().any(|b| b.name == n.as_str())) {
            wrong.push(format!("there is no action {name:?}"));
        }
        // The user's keys last: they win where two actions want one key.
        for own in [false, true] {
            for b in BINDINGS {
                let theirs = changed.get(b.name);
                if theirs.is_some() != own {
                    continue;
                }
                let texts: Vec<&str> = match theirs {
                    Some(list) => list.iter().map(String::as_str).collect(),
                    None => b.keys.to_vec(),
                };
                for text in texts {
                    match Key::parse(text) {
                        Some(key) => {
                            keys.insert((b.context, key), b.action);
                        }
                        None => wrong.push(format!("{text:?} is no key ({})", b.name)),
                    }
                }
            }
        }
        (Keymap { keys }, wrong)
    }

    /// What a key does in a context: the context's own meaning first.
    #[must_use]
    pub fn action(&self, context: Context, key: Key) -> Option<Action> {
        let own = self.keys.get(&(context, key));
        own.or_else(|| self.keys.get(&(Context::Global, key))).copied()
    }

    /// The keys of an action.
    #[must_use]
    pub fn keys_of(&self, action: Action) -> Vec<Key> {
        self.keys.iter().filter(|(_, a)| **a == action).map(|((_, k), _)| *k).collect()
    }

    /// The keys of an action as text, in the table's order where they are the table's.
    #[must_use]
    pub fn text_of(&self, action: Action) -> String {
        let mut keys = self.keys_of(action);
        let table: Vec<Key> = BINDINGS
            .iter()
            .filter(|b| b.action == action)
            .flat_map(|b| b.keys.iter().filter_map(|k| Key::parse(k)))
            .collect();
        keys.sort_by_key(|k| table.iter().position(|t| t == k).unwrap_or(usize::MAX));
        keys.iter().map(Key::to_string).collect::<Vec<_>>().join(", ")
    }
}

/// The keys as a Markdown table, for `docs/keys.md`.
#[must_use]
pub fn markdown() -> String {
    let keymap = Keymap::default();
    let mut out = String::from("| keys | what they do | name |\n| --- | --- | --- |\n");
    let mut context = None;
    for b in BINDINGS {
        if context != Some(b.context) {
            context = Some(b.context);
            out.push_str(&format!("| **{}** | | |\n", b.context.title()));
        }
        let keys: Vec<String> = keymap
            .text_of(b.action)
            .split(", ")
            .filter(|k| !k.is_empty())
            .map(|k| format!("`{k}`"))
            .collect();
        out.push_str(&format!("| {} | {} | `{}` |\n", keys.join(" "), b.help.replace('|', "\\|"), b.name));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_of_the_table_has_one_meaning_and_every_row_works() {
        let keymap = Keymap::default();
        for b in BINDINGS {
            for text in b.keys {
                let key = Key::parse(text).unwrap_or_else(|| panic!("{text}"));
                assert_eq!(keymap.action(b.context, key), Some(b.action), "{text} in {:?}", b.context);
            }
        }
        let mut names: Vec<&str> = BINDINGS.iter().map(|b| b.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), BINDINGS.len());
    }

    #[test]
    fn the_config_changes_keys() {
        let changed = BTreeMap::from([
            ("zoom".to_owned(), vec!["ctrl+z".to_owned()]),
            ("quit".to_owned(), vec!["F6".to_owned(), "nokey!".to_owned()]),
            ("fly".to_owned(), vec![]),
        ]);
        let (keymap, wrong) = Keymap::new(&changed);
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        let key = |t| Key::parse(t).unwrap();
        assert_eq!(keymap.action(Context::Pane, key("ctrl+z")), Some(Action::Zoom));
        assert_eq!(keymap.action(Context::Pane, key("f11")), None);
        assert_eq!(keymap.action(Context::Prompt, key("f6")), Some(Action::Quit));
        assert_eq!(keymap.text_of(Action::NextPane), "");
    }
}
