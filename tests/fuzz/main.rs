//! The fuzz targets over their seeds and changed copies of them, without libFuzzer. A program of its own: every panic ends
//! it, those too that the code under test catches. `DUMPSCOPE_FUZZ_ROUNDS` says how many copies (default 20),
//! `DUMPSCOPE_ATTACK` how many seconds whole dumps are attacked (default 0), `DUMPSCOPE_ATTACK_SEED` with which changes.
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
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let seconds = std::time::Duration::from_secs(number("DUMPSCOPE_ATTACK").unwrap_or(0));
    if seconds.is_zero() {
        return;
    }
    let done = targets::attack::attack(100_000, seconds, number("DUMPSCOPE_ATTACK_SEED").unwrap_or(0));
    assert!(done.opened * 2 > done.mutants, "most changed dumps do not open: nothing is tested by them");
}
