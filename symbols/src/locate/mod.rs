//! Which file could belong to a module, and where it could lie.
//!
//! Pure: nothing here touches the disk. [`SymbolPath::candidates`] lists places in the path's own order, servers among
//! them; [`folder_layouts`] and [`store_layouts`] say where in each of them a file lies. The store client
//! ([`crate::store`]) looks there.

mod candidates;
mod key;
mod layout;
mod path;
mod safe_name;
mod url;

pub use candidates::{Candidate, Place};
pub use key::{FileKey, FileKind, keys};
pub use layout::{Layout, folder_layouts, packed_name, store_layouts, tier};
pub use path::{Element, Store, SymbolPath};
pub use safe_name::{MAX_NAME, SafeName, UnsafeName};
pub use url::{StoreUrl, redacted};
