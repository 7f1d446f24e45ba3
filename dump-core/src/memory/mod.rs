//! One memory view over all captured ranges, with an overlay for image files.

mod view;

pub use view::{MemoryRange, MemoryView};
