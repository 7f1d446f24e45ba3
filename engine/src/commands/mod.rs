//! One file per command (or tight family).

use crate::command::Command;

/// The table behind [`crate::COMMANDS`].
pub(crate) const ALL: &[&Command] = &[];
