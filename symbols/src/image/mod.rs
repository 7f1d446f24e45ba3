//! PE images: headers, sections and export tables, read from memory or from a file laid out like memory.

mod exports;
mod file;
mod headers;
#[cfg(test)]
pub(crate) mod testing;
mod version;

pub use exports::{ExportEntry, ExportTable, MAX_EXPORTS};
pub use file::{ImageFile, ImageFileError, ImageMemory, ImagePart};
pub use headers::{DataDirectory, ImageError, PeHeaders, Section, directory};
pub use version::{VersionResource, version_resource};
