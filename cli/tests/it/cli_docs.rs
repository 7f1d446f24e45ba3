//! Every command line in the README and in `docs` runs.
//!
//! A line of a block that is marked `sh` is a command line: it is run by a shell, in a folder with the files that the
//! texts speak of. Its exit code is 3 with `--fail-on`, else 0.

use crate::{Dumps, args};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The pages.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = vec![root.join("README.md")];
    files.extend(std::fs::read_dir(root.join("docs")).unwrap().map(|e| e.unwrap().path()));
    files.retain(|f| f.extension().is_some_and(|e| e == "md"));
    files.sort();
    files
        .into_iter()
        .map(|f| (f.clone(), std::fs::read_to_string(f).unwrap().replace("\r\n", "\n")))
        .collect()
}

/// The lines of all blocks, each with the mark of its block and the page's name.
fn block_lines() -> Vec<(String, String, String)> {
    let mut out = Vec::new();
    for (path, text) in pages() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut mark: Option<String> = None;
        for line in text.lines() {
            match (line.trim_start().strip_prefix("```"), &mark) {
                (Some(begin), None) => mark = Some(begin.trim().to_owned()),
                (Some(_), Some(_)) => mark = None,
                (None, Some(mark)) => out.push((name.clone(), mark.clone(), line.to_owned())),
                (None, None) => {}
            }
        }
        assert!(mark.is_none(), "{name}: a block has no end");
    }
    out
}

#[test]
fn command_lines_stand_in_blocks_that_are_run() {
    let lines = block_lines();
    for (page, mark, line) in &lines {
        let command = ["dumpscope ", "cargo "].iter().any(|c| line.starts_with(c));
        assert!(!command || mark == "sh", "{page}: the block is not marked sh: {line}");
    }
    assert!(lines.iter().filter(|l| l.1 == "sh").count() > 40);
    // In the text: the subcommands that it names are there.
    let text: String = pages().into_iter().map(|p| p.1).collect();
    let named: BTreeSet<&str> = text
        .split("`dumpscope ")
        .skip(1)
        .filter_map(|rest| rest.split([' ', '`']).next())
        .filter(|w| w.chars().all(|c| c.is_ascii_lowercase()))
        .collect();
    let help = args(&["--help"]).out;
    for name in named {
        // `worker` is for programs.
        assert!(name == "worker" || help.contains(&format!("\n  {name} ")), "dumpscope {name}");
    }
}

#[test]
fn the_test_command_of_the_readme_is_what_ci_runs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let command = readme.lines().find(|l| l.starts_with("cargo test ")).unwrap();
    let command = command.split('#').next().unwrap().trim_end();
    let ci = std::fs::read_to_string(root.join(".ci/run")).unwrap();
    assert!(ci.lines().any(|l| l.trim_start().starts_with(command)), ".ci/run does not run `{command}`");
}

/// What stands before each line: `cargo run -- ARGS` is the program, what only builds is not run here.
#[cfg(unix)]
const CARGO: &str = "cargo() {
    case \"$1\" in
    run) while [ \"$1\" != -- ]; do shift; done; shift; dumpscope \"$@\" ;;
    build | install | test) ;;
    *) return 99 ;;
    esac
}
";

/// A folder with the files that the texts speak of.
#[cfg(unix)]
fn place() -> tempfile::TempDir {
    let dumps = Dumps::new();
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for folder in ["dumps", "symbols", "images", "cli/data"] {
        std::fs::create_dir_all(at(folder)).unwrap();
    }
    for name in ["app.dmp", "1.dmp", "dumps/a.dmp"] {
        std::fs::copy(dumps.hang(), at(name)).unwrap();
    }
    std::fs::write(at("2.dmp"), dumps.later()).unwrap();
    std::fs::copy(dumps.crash(), at("dumps/b.dmp")).unwrap();
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/data/demo.dmp");
    std::fs::copy(demo, at("cli/data/demo.dmp")).unwrap();
    std::fs::write(at("script.txt"), "k\n").unwrap();
    dir
}

#[cfg(unix)]
#[test]
fn every_command_line_of_the_texts_runs() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let lines: BTreeSet<String> =
        block_lines().into_iter().filter(|l| l.1 == "sh" && !l.2.trim().is_empty()).map(|l| l.2).collect();
    let lines: Vec<String> = lines.into_iter().collect();
    let program = Path::new(env!("CARGO_BIN_EXE_dumpscope")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let next = AtomicUsize::new(0);
    let one = |line: &str| {
        let dir = place();
        let mut shell = assert_cmd::Command::new("sh");
        for name in ["_NT_SYMBOL_PATH", "_NT_ALT_SYMBOL_PATH", "_NT_EXECUTABLE_IMAGE_PATH"] {
            shell.env_remove(name);
        }
        let run = crate::run(
            shell.current_dir(dir.path()).env("PATH", &path).arg("-c").arg(format!("{CARGO}{line}")),
        );
        let want = if line.contains("--fail-on") { 3 } else { 0 };
        (run.code != want).then(|| format!("{line}\n  exit code {}: {}{}", run.code, run.err, run.out))
    };
    let failed: Vec<String> = std::thread::scope(|scope| {
        let work = || {
            let take = || lines.get(next.fetch_add(1, Ordering::Relaxed));
            std::iter::from_fn(take).filter_map(|l| one(l)).collect::<Vec<_>>()
        };
        let lanes: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        lanes.into_iter().flat_map(|l| l.join().unwrap()).collect()
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
