//! Runs fuzz targets without libFuzzer: `replay [--rounds N] [--seed-dir DIR] [TARGET [FILE...]]`.
//!
//! With files, each is given to the target once. Without, the target's seeds are given as they are and then changed
//! at random, the same way in every run. `--seed-dir` writes the seeds, as a corpus to begin with.

use dumpscope_fuzz::replay::{change, end_at_panics, give};
use dumpscope_fuzz::{TARGETS, Target};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

struct Options {
    rounds: u32,
    seed_dir: Option<PathBuf>,
    target: Option<String>,
    files: Vec<PathBuf>,
}

fn options() -> Option<Options> {
    let mut out = Options { rounds: 1000, seed_dir: None, target: None, files: Vec::new() };
    let mut args = std::env::args_os().skip(1);
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--rounds") => out.rounds = args.next()?.to_str()?.parse().ok()?,
            Some("--seed-dir") => out.seed_dir = Some(args.next()?.into()),
            Some(name) if out.target.is_none() => out.target = Some(name.to_owned()),
            _ => out.files.push(arg.into()),
        }
    }
    Some(out)
}

fn main() -> ExitCode {
    end_at_panics();
    let Some(options) = options() else {
        eprintln!("usage: replay [--rounds N] [--seed-dir DIR] [TARGET [FILE...]]");
        return ExitCode::from(2);
    };
    let wanted = |t: &&Target| options.target.as_deref().is_none_or(|name| name == t.name);
    let targets: Vec<&Target> = TARGETS.iter().filter(wanted).collect();
    if targets.is_empty() {
        eprintln!("no such target; there are: {}", TARGETS.map_names());
        return ExitCode::from(2);
    }
    for target in targets {
        let outcome = match &options.seed_dir {
            Some(dir) => write_seeds(target, dir),
            None if options.files.is_empty() => {
                change(target, options.rounds);
                Ok(())
            }
            None => options.files.iter().try_for_each(|f| std::fs::read(f).map(|bytes| give(target, &bytes))),
        };
        if let Err(e) = outcome {
            eprintln!("{}: {e}", target.name);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

trait Names {
    fn map_names(&self) -> String;
}

impl Names for &[Target] {
    fn map_names(&self) -> String {
        self.iter().map(|t| t.name).collect::<Vec<_>>().join(", ")
    }
}

fn write_seeds(target: &Target, dir: &Path) -> std::io::Result<()> {
    let dir = dir.join(target.name);
    std::fs::create_dir_all(&dir)?;
    for (nth, seed) in (target.seeds)().iter().enumerate() {
        std::fs::write(dir.join(format!("seed-{nth:03}")), seed)?;
    }
    Ok(())
}
