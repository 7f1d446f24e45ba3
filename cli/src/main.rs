//! The `dumpscope` program.
#![forbid(unsafe_code)]

fn main() {}
