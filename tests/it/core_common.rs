//! What the tests of dump-core share.

use std::path::PathBuf;

/// The folder `shared/`; without it says that `test` is skipped, or fails when `DUMPSCOPE_REQUIRE_SHARED` is set.
pub(crate) fn shared_or_skip(test: &str) -> Option<PathBuf> {
    let found = dumpscope_tests::shared();
    if found.is_none() {
        assert!(std::env::var_os("DUMPSCOPE_REQUIRE_SHARED").is_none(), "{test}: no folder `shared`");
        eprintln!("{test}: skipped, there is no folder `shared` beside the checkout");
    }
    found
}
