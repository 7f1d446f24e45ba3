//! Helpers of the integration tests: where `shared/` lies, how commands are run.
#![forbid(unsafe_code)]

mod dotnet;
mod java;
mod wine;

pub use dotnet::dotnet_dumps;
pub use java::java_dumps;
pub use wine::wine_dumps;

use std::path::PathBuf;

/// True for a command line that looks into the Win32 table and at no dump: one run says as much as one on each dump, and
/// looking through 30,000 names takes its time.
#[must_use]
pub fn asks_no_dump(line: &str) -> bool {
    ["!api ", "!const ", "!iid "].iter().any(|c| line.starts_with(c))
}

/// The folder `shared/` beside the checkout (or `DUMPSCOPE_SHARED`), when it is there.
#[must_use]
pub fn shared() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let path = std::env::var_os("DUMPSCOPE_SHARED").map_or(beside, PathBuf::from);
    path.is_dir().then_some(path)
}
