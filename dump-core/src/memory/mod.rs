//! One memory view over all captured ranges, with an overlay for image files.

mod overlay;
mod record;
mod search;
mod segments;
mod view;

pub use overlay::ImageSection;
pub use search::MAX_PATTERN;
pub use view::{MemoryRange, MemoryView};

pub(crate) use segments::first_overlap;
