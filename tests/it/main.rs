//! One integration test binary over all layers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says on stderr that it was skipped"
)]

mod article_replay;
mod core_big;
mod core_common;
mod core_corpus;
mod core_lab;
mod core_robust;
mod hostile;
mod pdb_names;
mod providers_demangle;
mod providers_lab;
