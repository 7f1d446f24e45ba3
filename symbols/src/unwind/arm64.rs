//! ARM64.
use super::step::{Env, Outcome, Step};
use super::{EndReason, Frame};

pub(crate) fn step(_env: &Env<'_>, _frame: &Frame) -> Step {
    Step { outcome: Outcome::End(EndReason::NoCaller, None), issue: None }
}
