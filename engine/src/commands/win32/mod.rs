//! What the Win32 table knows: `!api`, `!iid`, `!const`.

mod api;
mod constant;
mod iid;
mod item;
mod pattern;

pub(crate) use api::{API, about};
pub(crate) use constant::CONST;
pub(crate) use iid::IID;
pub use pattern::win32_names;
