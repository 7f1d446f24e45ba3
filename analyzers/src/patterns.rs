//! Patterns of waits and roles of threads as data: a built-in file and files of users.

use crate::model::{ThreadRole, WaitKind};
use serde::Deserialize;
use std::sync::{Arc, OnceLock};

/// The built-in patterns.
const BUILT_IN: &str = include_str!("../data/patterns.toml");

/// Innermost frames that are looked at when a row does not say.
const DEPTH: usize = 16;

/// Most rows of one file.
const MAX_ROWS: usize = 10_000;

/// A row that tells a wait.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitPattern {
    /// Stable name of the row.
    pub name: String,
    /// Function names, any of which makes a match.
    pub functions: Vec<String>,
    /// Modules in which they count; any when empty.
    #[serde(default)]
    pub modules: Vec<String>,
    /// Module in which all frames before the function are.
    #[serde(default)]
    pub inside: Option<String>,
    /// Innermost frames that are looked at.
    #[serde(default = "depth")]
    pub depth: usize,
    /// Kind of wait.
    pub kind: WaitKind,
    /// One sentence without a full stop.
    pub text: String,
    /// True when such a thread waits for work and blocks nobody.
    #[serde(default)]
    pub idle: bool,
}

/// A row that tells what a thread is there for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RolePattern {
    role: ThreadRole,
    #[serde(default)]
    functions: Vec<String>,
    /// Parts of names, lower case.
    #[serde(default)]
    contains: Vec<String>,
}

fn depth() -> usize {
    DEPTH
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    system: Vec<String>,
    #[serde(default)]
    wait: Vec<WaitPattern>,
    #[serde(default)]
    role: Vec<RolePattern>,
}

/// A pattern file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// It is no TOML, or has unknown or missing fields.
    #[error("not a pattern file: {0}")]
    Format(String),
    /// A row can never match.
    #[error("the row {0} has no functions or no text")]
    Empty(String),
    /// It has too many rows.
    #[error("more than {MAX_ROWS} rows")]
    TooMany,
}

/// All rows, in the order in which they are tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns {
    system: Vec<String>,
    waits: Vec<WaitPattern>,
    roles: Vec<RolePattern>,
}

/// A frame as patterns see it: its module (without extension) and its function.
#[derive(Clone, Copy, Debug)]
pub struct NamedFrame<'a> {
    /// Module name.
    pub module: Option<&'a str>,
    /// Function name.
    pub function: Option<&'a str>,
}

impl Patterns {
    /// The built-in rows.
    #[must_use]
    pub fn built_in() -> Arc<Patterns> {
        static ROWS: OnceLock<Arc<Patterns>> = OnceLock::new();
        // A test reads the file: it cannot be wrong in a program that was tested.
        ROWS.get_or_init(|| Arc::new(Patterns::parse(BUILT_IN).unwrap_or_default())).clone()
    }

    /// Reads a file.
    ///
    /// # Errors
    /// The text is no pattern file.
    pub fn parse(text: &str) -> Result<Patterns, PatternError> {
        let file: File = toml::from_str(text).map_err(|e| PatternError::Format(e.message().to_owned()))?;
        if file.wait.len().saturating_add(file.role.len()) > MAX_ROWS {
            return Err(PatternError::TooMany);
        }
        if let Some(w) = file.wait.iter().find(|w| w.functions.is_empty() || w.text.trim().is_empty()) {
            return Err(PatternError::Empty(w.name.clone()));
        }
        let lower = |mut r: RolePattern| {
            for c in &mut r.contains {
                *c = c.to_ascii_lowercase();
            }
            // An empty text would match every name.
            r.contains.retain(|c| !c.is_empty());
            r
        };
        Ok(Patterns {
            system: file.system.iter().map(|s| s.to_ascii_lowercase()).collect(),
            waits: file.wait,
            roles: file.role.into_iter().map(lower).collect(),
        })
    }

    /// These rows with those of a user's file before them. A row replaces the one with its name.
    #[must_use]
    pub fn with_overlay(&self, overlay: Patterns) -> Patterns {
        let replaced = |name: &str| overlay.waits.iter().any(|w| w.name == name);
        let rest = self.waits.iter().filter(|w| !replaced(&w.name)).cloned();
        let mut system = self.system.clone();
        system.extend(overlay.system.iter().filter(|s| !self.system.contains(s)).cloned());
        Patterns {
            system,
            waits: overlay.waits.iter().cloned().chain(rest).collect(),
            roles: overlay.roles.into_iter().chain(self.roles.iter().cloned()).collect(),
        }
    }

    /// The rows for waits, in the order in which they are tried.
    #[must_use]
    pub fn waits(&self) -> &[WaitPattern] {
        &self.waits
    }

    /// The first row that matches a stack, innermost frame first.
    #[must_use]
    pub fn wait_of(&self, frames: &[NamedFrame<'_>]) -> Option<&WaitPattern> {
        // Frames from here on have something other than the system's plumbing before them.
        let reach = frames.iter().position(|f| !self.is_system(f.module)).unwrap_or(frames.len());
        self.waits.iter().find(|w| {
            let looked = frames.iter().take(w.depth.min(reach.saturating_add(1))).enumerate();
            let mut hits = looked.filter(|(_, f)| w.matches(f));
            let is_wait = || frames.first().and_then(|f| f.function).is_some_and(|f| f.contains("Wait"));
            match &w.inside {
                None => hits.next().is_some(),
                Some(_) if !is_wait() => false,
                Some(inside) => hits.any(|(at, _)| {
                    frames.iter().take(at).all(|f| f.module.is_some_and(|m| same_module(m, inside)))
                }),
            }
        })
    }

    /// What a thread is there for, by its stack and its name.
    #[must_use]
    pub fn role_of(&self, frames: &[NamedFrame<'_>], thread_name: Option<&str>) -> Option<ThreadRole> {
        let names: Vec<&str> = frames.iter().filter_map(|f| f.function).collect();
        let lower: Vec<String> =
            names.iter().copied().chain(thread_name).map(str::to_ascii_lowercase).collect();
        let hit = self.roles.iter().find(|r| {
            names.iter().any(|n| r.functions.iter().any(|f| f == n))
                || lower.iter().any(|n| r.contains.iter().any(|c| n.contains(c)))
        });
        hit.map(|r| r.role)
    }

    /// True for a module's file (with extension) that only leads to a wait.
    #[must_use]
    pub fn is_system_file(&self, file: &str) -> bool {
        self.is_system(Some(file.rsplit_once('.').map_or(file, |(stem, _)| stem)))
    }

    fn is_system(&self, module: Option<&str>) -> bool {
        module.is_some_and(|m| self.system.iter().any(|s| same_module(m, s)))
    }
}

/// True for the module `name`, and for its second copy in a process (`ntdll_77200000`).
fn same_module(module: &str, name: &str) -> bool {
    let Some((head, tail)) = module.split_at_checked(name.len()) else { return false };
    let second =
        tail.strip_prefix('_').is_some_and(|t| t.len() >= 6 && t.bytes().all(|b| b.is_ascii_hexdigit()));
    head.eq_ignore_ascii_case(name) && (tail.is_empty() || second)
}

impl WaitPattern {
    fn matches(&self, frame: &NamedFrame<'_>) -> bool {
        let named = frame.function.is_some_and(|n| self.functions.iter().any(|f| f == n));
        let there = || {
            self.modules.is_empty()
                || frame.module.is_some_and(|m| self.modules.iter().any(|n| same_module(m, n)))
        };
        named && there()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames<'a>(names: &[&'a str]) -> Vec<NamedFrame<'a>> {
        let part = |n: &&'a str| {
            let (m, f) = n.split_once('!').unwrap();
            NamedFrame { module: Some(m), function: Some(f).filter(|f| !f.is_empty()) }
        };
        names.iter().map(part).collect()
    }

    #[test]
    fn the_built_in_file_is_right() {
        let p = Patterns::parse(BUILT_IN).unwrap();
        assert!(p.waits.len() > 20 && p.system.len() > 10 && !p.roles.is_empty());
        let mut names: Vec<&str> = p.waits.iter().map(|w| w.name.as_str()).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all, "a row's name is used once");
        let mut functions: Vec<&str> =
            p.waits.iter().flat_map(|w| w.functions.iter().map(String::as_str)).collect();
        functions.sort_unstable();
        let all = functions.len();
        functions.dedup();
        assert_eq!(functions.len(), all, "a function stands in one row");
        assert!(p.waits.iter().all(|w| !w.text.ends_with('.') && w.depth > 0));
    }

    #[test]
    fn stacks() {
        let p = Patterns::built_in();
        let kind = |names: &[&str]| p.wait_of(&frames(names)).map(|w| (w.name.clone(), w.idle));
        let named = |n: &str, idle| Some((n.to_owned(), idle));
        assert_eq!(
            kind(&["ntdll!NtWaitForWorkViaWorkerFactory", "ntdll!TppWorkerThread"]),
            named("pool_worker", true)
        );
        // A worker that works is not idle.
        assert_eq!(
            kind(&[
                "ntdll!NtWaitForSingleObject",
                "KERNELBASE!WaitForSingleObjectEx",
                "app!work",
                "ntdll!TppWorkpExecuteCallback",
                "ntdll!TppWorkerThread"
            ]),
            named("object", false)
        );
        // A window procedure that waits while a message is dispatched.
        assert_eq!(
            kind(&[
                "ntdll!NtWaitForSingleObject",
                "app!WndProc",
                "user32!DispatchClientMessage",
                "user32!GetMessageW"
            ]),
            named("object", false)
        );
        // An incoming call that is served while an outgoing one is open waits for its own thing.
        assert_eq!(
            kind(&[
                "ntdll!NtDelayExecution",
                "app!serve",
                "combase!CCliModalLoop::BlockFn",
                "combase!ThreadSendReceive"
            ]),
            named("sleep", false)
        );
        assert_eq!(
            kind(&[
                "win32u!NtUserMsgWaitForMultipleObjectsEx",
                "user32!x",
                "combase!y",
                "combase!ThreadSendReceive"
            ]),
            named("com_call", false)
        );
        assert_eq!(
            kind(&["ntdll_77200000!NtWaitForSingleObject", "ntdll!", "ntdll!", "ntdll!LdrInitializeThunk"]),
            named("loader_unnamed", false)
        );
        assert_eq!(
            kind(&["ntdll!NtWaitForSingleObject", "app!DllMain", "ntdll!", "ntdll!LdrInitializeThunk"]),
            named("object", false)
        );
        assert_eq!(kind(&["ntdll!NtDeviceIoControlFile", "mswsock!WSPRecv"]), named("socket", false));
        assert_eq!(kind(&["ntdll!NtDeviceIoControlFile", "app!recv"]), named("file_io", false));
        assert_eq!(kind(&["app!NtThing"]), None);
    }

    #[test]
    fn a_users_file_comes_first_and_replaces_rows() {
        let user = Patterns::parse(
            r#"
            system = ["mylib"]
            [[wait]]
            name = "our_queue"
            functions = ["Queue::wait"]
            modules = ["mylib"]
            kind = "worker_idle"
            text = "waits for jobs of our queue"
            idle = true
            [[wait]]
            name = "sleep"
            functions = ["NtDelayExecution"]
            kind = "sleep"
            text = "polls"
            idle = true
            [[role]]
            role = "watchdog"
            contains = ["Pulse"]
            "#,
        )
        .unwrap();
        let p = Patterns::built_in().with_overlay(user);
        let hit = |names: &[&str]| p.wait_of(&frames(names)).map(|w| w.text.clone());
        assert_eq!(
            hit(&["ntdll!NtWaitForSingleObject", "mylib!Queue::wait"]).as_deref(),
            Some("waits for jobs of our queue")
        );
        assert_eq!(hit(&["ntdll!NtDelayExecution", "app!x"]).as_deref(), Some("polls"));
        assert_eq!(p.waits.iter().filter(|w| w.name == "sleep").count(), 1);
        assert_eq!(p.role_of(&frames(&["app!x"]), Some("my PULSE thread")), Some(ThreadRole::Watchdog));
        assert_eq!(p.role_of(&frames(&["app!x"]), Some("main")), None);
    }

    #[test]
    fn bad_files_are_told() {
        for bad in [
            "[[wait]]\nname = 1",
            "what = 3",
            "[[wait]]\nname='a'\nfunctions=[]\nkind='sleep'\ntext='x'",
            "[[wait]]\nname='a'\nfunctions=['f']\nkind='nonsense'\ntext='x'",
        ] {
            assert!(Patterns::parse(bad).is_err(), "{bad}");
        }
    }
}
