//! The config file (`config.toml`) and what is remembered between runs (`state.json`).
//!
//! ```toml
//! theme = "dark"      # dark, light, none
//! mouse = true
//! ascii = false       # borders and arrows of ASCII characters
//! [keys]
//! zoom = ["F11", "ctrl+z"]
//! ```

use crate::keymap::Keymap;
use crate::layout::Node;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// Light text on a dark ground.
    #[default]
    Dark,
    /// Dark text on a light ground.
    Light,
    /// No colours: bold, underlined, reversed.
    None,
}

/// How the program looks and which keys it has.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Colours.
    pub theme: Theme,
    /// Lines of ASCII characters.
    pub ascii: bool,
    /// The mouse is used.
    pub mouse: bool,
    /// Keys.
    pub keymap: Keymap,
}

/// The file as written.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    theme: Option<Theme>,
    mouse: Option<bool>,
    ascii: bool,
    keys: BTreeMap<String, Vec<String>>,
}

impl Settings {
    /// Reads the text of a config file. Gives what is wrong in it too; what is right counts all the same.
    #[must_use]
    pub fn read(text: &str) -> (Settings, Vec<String>) {
        let mut wrong = Vec::new();
        let file: File = toml::from_str(text).unwrap_or_else(|e| {
            wrong.push(e.message().to_owned());
            File::default()
        });
        let (keymap, keys) = Keymap::new(&file.keys);
        wrong.extend(keys);
        let settings = Settings {
            theme: file.theme.unwrap_or_default(),
            ascii: file.ascii,
            mouse: file.mouse.unwrap_or(true),
            keymap,
        };
        (settings, wrong)
    }
}

/// What is remembered between runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// Layout for large screens.
    pub wide: Option<Node>,
    /// Layout for small screens.
    pub compact: Option<Node>,
    /// Dumps opened before, newest first.
    pub recent: Vec<String>,
    /// Lines typed before, oldest first.
    pub history: Vec<String>,
}

/// Longest file of ours that is read, bytes.
const MAX_FILE: u64 = 16 << 20;

/// Reads a file of ours; `None` when it is not there or not readable.
fn read(path: &Path) -> Option<String> {
    (std::fs::metadata(path).ok()?.len() <= MAX_FILE).then(|| std::fs::read_to_string(path).ok())?
}

impl Memory {
    /// Reads the file; one that is missing or broken is as good as none.
    #[must_use]
    pub fn load(path: &Path) -> Memory {
        read(path).and_then(|t| serde_json::from_str(&t).ok()).unwrap_or_default()
    }

    /// Writes the file: another one first, then its name, so that a full disk leaves the old one.
    ///
    /// # Errors
    /// What the system said.
    pub fn store(&self, path: &Path) -> std::io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let text = serde_json::to_string(self).map_err(std::io::Error::other)?;
        let next = path.with_extension(format!("{}.new", std::process::id()));
        std::fs::write(&next, text)?;
        std::fs::rename(&next, path)
    }
}

/// Reads the config file of a folder; gives what is wrong in it too.
#[must_use]
pub fn load(folder: &Path) -> (Settings, Vec<String>) {
    Settings::read(&read(&folder.join("config.toml")).unwrap_or_default())
}

/// Where the config file and where the remembered state is, by the system's custom.
#[must_use]
pub fn folders() -> (Option<PathBuf>, Option<PathBuf>) {
    let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let home = std::env::home_dir();
    let under = |name: &str, rest: &str| {
        let set = var(name).filter(|p| p.is_absolute());
        set.or_else(|| Some(home.as_ref()?.join(rest))).map(|p| p.join("dumpscope"))
    };
    if cfg!(windows) {
        let both = |n: &str| var(n).map(|p| p.join("dumpscope"));
        return (both("APPDATA"), both("LOCALAPPDATA"));
    }
    if cfg!(target_os = "macos") && var("XDG_CONFIG_HOME").is_none() {
        let support = home.as_ref().map(|h| h.join("Library/Application Support/dumpscope"));
        return (support.clone(), support);
    }
    (under("XDG_CONFIG_HOME", ".config"), under("XDG_STATE_HOME", ".local/state"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_file() {
        let (s, wrong) = Settings::read("theme = \"light\"\nascii = true\n[keys]\nquit = [\"F10\"]\n");
        assert!(wrong.is_empty() && s.ascii && s.theme == Theme::Light && s.mouse);
        let (s, wrong) = Settings::read("theme = \"pink\"");
        assert!(s.theme == Theme::Dark && wrong.len() == 1);
        assert_eq!(Settings::read("[keys]\nfly = [\"x\"]").1.len(), 1);
    }

    #[test]
    fn memory_survives_and_broken_files_do_no_harm() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/state.json");
        assert_eq!(Memory::load(&path), Memory::default());
        let memory = Memory { wide: Some(Node::wide()), recent: vec!["a.dmp".into()], ..Memory::default() };
        memory.store(&path).unwrap();
        assert_eq!(Memory::load(&path), memory);
        std::fs::write(&path, "{oops").unwrap();
        assert_eq!(Memory::load(&path), Memory::default());
    }
}
