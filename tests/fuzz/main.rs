//! The fuzz targets over their seeds and changed copies of them, without libFuzzer. A program of its own: every panic ends
//! it, those too that the code under test catches. `DUMPSCOPE_FUZZ_ROUNDS` says how many copies (default 20).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test fails by panicking; clippy.toml's exception reaches only functions marked #[test]"
)]

#[path = "../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "the fuzz crate's own library")]
mod targets;

#[test]
fn targets_take_every_changed_seed() {
    let rounds = std::env::var("DUMPSCOPE_FUZZ_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(20);
    targets::replay::end_at_panics();
    targets::TARGETS.iter().for_each(|t| targets::replay::change(t, rounds));
}
