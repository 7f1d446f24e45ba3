//! One memory view over all captured ranges, with an overlay for image files.

mod overlay;
mod segments;
mod view;

pub use overlay::ImageSection;
pub use view::{MemoryRange, MemoryView};

pub(crate) use segments::first_overlap;
