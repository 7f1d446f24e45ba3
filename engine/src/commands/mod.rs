//! One file per command (or tight family).

mod comment;
mod echo;
mod evaluate;
mod quit;
mod show;
mod stack;
mod threads;

use crate::command::Command;

pub(crate) use show::show_instruction;

/// The table behind [`crate::COMMANDS`]. One line per file; keep it sorted so that additions seldom collide.
pub(crate) const ALL: &[&Command] = &[
    &comment::DOLLAR,
    &comment::STAR,
    &echo::ECHO,
    &evaluate::EVALUATE,
    &quit::Q,
    &stack::K,
    &stack::frame::FRAME,
    &stack::frame::F_DOWN,
    &stack::frame::F_UP,
    &stack::KFRAMES,
    &threads::THREADS,
];
