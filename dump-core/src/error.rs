//! Errors and warnings.

use crate::base::FileOff;
use std::path::PathBuf;

/// Why a dump could not be opened at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file could not be read or mapped.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file does not start with `MDMP`.
    #[error("not a minidump: {0}")]
    NotAMinidump(String),
    /// The header or the stream directory is outside the file.
    #[error("the dump is cut off: {what} at file offset {offset:#x} needs {need} bytes, the file has {have}", offset = .offset.0)]
    Truncated {
        /// What was read.
        what: &'static str,
        /// Where it should be.
        offset: FileOff,
        /// Bytes needed.
        need: u64,
        /// Bytes there.
        have: u64,
    },
    /// A `.gz` or `.zst` file could not be unpacked.
    #[error("{path}: cannot unpack: {reason}", path = .path.display())]
    Unpack {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Something wrong or incomplete in a dump that did not prevent an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The stream or structure, by its SDK name (`ThreadListStream`).
    pub place: &'static str,
    /// Where in the file, when that is known.
    pub offset: Option<FileOff>,
    /// What is wrong, a sentence without a full stop.
    pub text: String,
}

/// A stream's outcome: absent, damaged (a partial value and warnings) or fine.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Parsed<T> {
    /// The dump has no such stream.
    #[default]
    Absent,
    /// The stream is there but not all of it could be read.
    Damaged(T, Vec<Warning>),
    /// All of it was read.
    Fine(T),
}

impl<T> Parsed<T> {
    /// The value, whole or partial.
    pub fn value(&self) -> Option<&T> {
        match self {
            Parsed::Absent => None,
            Parsed::Damaged(v, _) | Parsed::Fine(v) => Some(v),
        }
    }

    /// What was wrong.
    pub fn warnings(&self) -> &[Warning] {
        match self {
            Parsed::Damaged(_, w) => w,
            Parsed::Absent | Parsed::Fine(_) => &[],
        }
    }

    /// True when the dump has no such stream.
    pub fn is_absent(&self) -> bool {
        matches!(self, Parsed::Absent)
    }
}
