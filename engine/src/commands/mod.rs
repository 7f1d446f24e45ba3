//! One file per command (or tight family).

mod comment;
mod echo;
mod evaluate;
mod memory;
mod quit;
mod search;
mod show;
mod stack;
mod threads;

mod handle;
mod missing;
mod runaway;
mod target_info;
use crate::command::Command;

pub(crate) use show::show_instruction;

/// The table behind [`crate::COMMANDS`]. One line per command; keep it sorted so that additions seldom collide.
pub(crate) const ALL: &[&Command] = &[
    &comment::DOLLAR,
    &comment::STAR,
    &echo::ECHO,
    &evaluate::EVALUATE,
    &memory::D,
    &memory::DA,
    &memory::DB,
    &memory::DC,
    &memory::DD,
    &memory::DDA,
    &memory::DDP,
    &memory::DDS,
    &memory::DDU,
    &memory::DF,
    &memory::DL,
    &memory::DOUBLES,
    &memory::DP,
    &memory::DPA,
    &memory::DPP,
    &memory::DPS,
    &memory::DPU,
    &memory::DQ,
    &memory::DQA,
    &memory::DQP,
    &memory::DQS,
    &memory::DQU,
    &memory::DS,
    &memory::DS_WIDE,
    &memory::DU,
    &memory::DW,
    &memory::DW_TEXT,
    &memory::DYB,
    &memory::DYD,
    &quit::Q,
    &search::S,
    &stack::K,
    &stack::KFRAMES,
    &stack::frame::FRAME,
    &stack::frame::F_DOWN,
    &stack::frame::F_UP,
    &threads::THREADS,
    &runaway::RUNAWAY,
    &runaway::TTIME,
    &target_info::PROCESS,
    &target_info::SYSTEM,
    &target_info::TIME,
    &target_info::VERSION,
    &target_info::VERTARGET,
    &handle::HANDLE,
];
