//! Helpers of the integration tests: where `shared/` lies, how commands are run.
#![forbid(unsafe_code)]

mod dotnet;
mod java;

pub use dotnet::dotnet_dumps;
pub use java::java_dumps;

use std::path::PathBuf;

/// The folder `shared/` beside the checkout (or `DUMPSCOPE_SHARED`), when it is there.
#[must_use]
pub fn shared() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let path = std::env::var_os("DUMPSCOPE_SHARED").map_or(beside, PathBuf::from);
    path.is_dir().then_some(path)
}
