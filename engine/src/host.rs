//! What the program around the engine does for it. The engine itself touches no file but the dump and what the
//! symbol path names.

use std::fmt;

/// Why a host could not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostError {
    /// The Win32 error that WinDbg would show (2: not found, 3: no such folder, 5: no access).
    pub win32: u32,
    /// The system's text.
    pub text: String,
}

impl From<&std::io::Error> for HostError {
    fn from(e: &std::io::Error) -> HostError {
        let win32 = match e.kind() {
            std::io::ErrorKind::NotFound => 2,
            std::io::ErrorKind::PermissionDenied => 5,
            std::io::ErrorKind::AlreadyExists => 80,
            _ => 31,
        };
        HostError { win32, text: e.to_string() }
    }
}

/// Files and screen, as far as commands ask for them. Paths come from the user's command line only, never from a
/// dump.
pub trait Host: Send + Sync + fmt::Debug {
    /// Opens a log file (`.logopen`), or continues one (`.logappend`). An open one is closed first.
    ///
    /// # Errors
    /// What the system said.
    fn open_log(&self, path: &str, append: bool) -> Result<(), HostError>;

    /// Closes the log file; gives its path when one was open.
    fn close_log(&self) -> Option<String>;

    /// Path of the open log file.
    fn log_file(&self) -> Option<String>;

    /// Writes a line to the open log file.
    fn log(&self, line: &str);

    /// Reads a script (`$$><`).
    ///
    /// # Errors
    /// What the system said.
    fn read_script(&self, path: &str) -> Result<String, HostError>;

    /// Clears the screen (`.cls`).
    fn clear_screen(&self) {}
}
