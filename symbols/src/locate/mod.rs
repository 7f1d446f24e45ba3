//! Which file could belong to a module, and where it could lie.
//!
//! Pure: nothing here touches the disk. [`candidates`] lists places in the order in which they are tried; the
//! loader opens them and checks that what it finds really belongs to the module. Stores with a URL are part of
//! the parsed path ([`Store::Url`]) and give no candidates: a store client fetches from them into a folder.

mod candidates;
mod key;
mod path;
mod safe_name;

pub use candidates::{Candidate, candidates, folder_paths, store_paths};
pub use key::{FileKey, FileKind, keys};
pub use path::{Element, Store, SymbolPath};
pub use safe_name::{MAX_NAME, SafeName, UnsafeName};
