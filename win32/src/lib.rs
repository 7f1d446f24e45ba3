//! All of Win32 in one table: functions with their parameters, COM interfaces with their methods, structures with their
//! layouts, enumerations, codes and constants.
//!
//! The table is made from Microsoft's metadata (`Windows.Win32.winmd` and `Windows.Wdk.winmd`, MIT or Apache-2.0) by the
//! program in `win32-table`, and is embedded. Nothing is unpacked before it is asked for: [`table`] reads a head of some
//! hundred bytes, and every answer unpacks the one or two blocks of 4 to 8 KB that it lies in.
//!
//! Addresses do not occur here; offsets and sizes are bytes. What is not in the table, or cannot be read, is `None` or an
//! empty list.

#![warn(clippy::indexing_slicing)]

mod bytes;
mod flat;
mod format;
mod function;
mod names;
mod ty;
mod types;
mod values;

pub use format::Table;
pub use function::{Count, Function, Param, Signature};
pub use ty::{Arch, Base, Ty, TypeId};
pub use types::{Bits, Definition, Field, Method, Size, TypeInfo, TypeKind};
pub use values::{Constant, Value};

use std::borrow::Cow;
use std::sync::LazyLock;

const FILE: &[u8] = include_bytes!("../data/win32.bin");

/// The embedded table.
#[must_use]
pub fn table() -> &'static Table {
    static TABLE: LazyLock<Table> =
        LazyLock::new(|| Table::open(Cow::Borrowed(FILE)).unwrap_or_else(Table::empty));
    &TABLE
}
