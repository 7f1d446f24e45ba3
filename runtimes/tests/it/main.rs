//! Readers of runtimes against the truth that is recorded beside the shared dumps.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking; clippy.toml's exception reaches only functions marked #[test]"
)]

mod common;
mod dotnet;
mod java;
mod ruby;
