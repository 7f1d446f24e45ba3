//! The program from outside: arguments, output, exit codes. Here and not with the other integration tests because
//! cargo tells only a package's own tests where its binary is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says on stderr that it was skipped"
)]

mod cli_docs;
mod cli_exec;
mod cli_general;
mod cli_readme;
mod cli_symbols;
mod cli_triage;
mod cli_workers;
mod mcp;
mod tui_pty;

use assert_cmd::Command;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The program, without the environment that changes its answers.
fn dumpscope() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dumpscope"));
    for name in ["_NT_SYMBOL_PATH", "_NT_ALT_SYMBOL_PATH", "_NT_EXECUTABLE_IMAGE_PATH", "NO_COLOR"] {
        command.env_remove(name);
    }
    command
}

/// What a run printed and how it ended.
struct Run {
    out: String,
    err: String,
    code: i32,
}

fn run(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    Run {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap(),
    }
}

fn args<S: AsRef<std::ffi::OsStr>>(list: &[S]) -> Run {
    run(dumpscope().args(list))
}

/// A folder with two good dumps (one of a crash) and a file that is none.
struct Dumps {
    dir: TempDir,
}

impl Dumps {
    fn new() -> Dumps {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("more")).unwrap();
        std::fs::write(dir.path().join("a-hang.dmp"), dumpscope_fixtures::small::x86().0.bytes()).unwrap();
        std::fs::write(dir.path().join("more/b-crash.dmp"), dumpscope_fixtures::small::x64_crash().0.bytes())
            .unwrap();
        std::fs::write(dir.path().join("c-bad.dmp"), b"not a dump at all").unwrap();
        Dumps { dir }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn hang(&self) -> PathBuf {
        self.path().join("a-hang.dmp")
    }

    /// The hanging process ten seconds later: the header's time is at offset 20.
    fn later(&self) -> Vec<u8> {
        let mut bytes = std::fs::read(self.hang()).unwrap();
        let time = u32::from_le_bytes(bytes[20..24].try_into().unwrap()) + 10;
        bytes[20..24].copy_from_slice(&time.to_le_bytes());
        bytes
    }

    fn crash(&self) -> PathBuf {
        self.path().join("more/b-crash.dmp")
    }

    fn bad(&self) -> PathBuf {
        self.path().join("c-bad.dmp")
    }
}
