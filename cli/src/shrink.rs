//! `dumpscope shrink`: a smaller dump with the same answers.

use crate::Exit;
use crate::args::{CommonArgs, ShrinkArgs, ShrinkLevel};
use crate::batch;
use crate::console::Console;
use crate::interrupt::{Writing, on_interrupt};
use crate::progress::Bar;
use crate::redact;
use crate::store;
use dumpscope_engine::batch::TriageOptions;
use dumpscope_engine::shrink::{Level, ShrinkError, ShrinkOptions, Step, shrink};
use std::io::Write;
use std::sync::OnceLock;

pub(crate) fn run(args: &ShrinkArgs, common: &CommonArgs, console: &Console) -> anyhow::Result<Exit> {
    let cancel = on_interrupt();
    let triage = TriageOptions {
        symbols: store::config(common, &cancel, console),
        patterns: batch::patterns(common)?.map(|p| p.0),
        hints: batch::hints(common)?.map(|h| h.0),
        cancel,
        ..TriageOptions::default()
    };
    let level = match args.level {
        ShrinkLevel::Triage => Level::Triage,
        ShrinkLevel::Stacks => Level::Stacks,
        ShrinkLevel::Debugging => Level::Debugging,
    };
    let also = args.also.clone();
    let redact = redact::redactor(&args.redact)?;
    let options = ShrinkOptions {
        level,
        triage,
        also,
        max_size: args.max_size,
        without_images: args.without_images,
        redact: redact.clone(),
        force: args.force,
    };
    let bar = Bar::bytes(console);
    // The new file has a name of its own until it is compared: who leaves in the middle leaves that behind.
    let writing = OnceLock::new();
    let done = shrink(&args.dump, &args.output, &options, &|step| match step {
        Step::Unpacking(done, total) => bar.work("unpacking", done, total),
        Step::Asking => bar.work("reading", 0, 0),
        Step::Writing(done, total) => {
            writing.get_or_init(Writing::begin);
            bar.work("writing", done, total);
        }
        Step::Proving => bar.work("comparing", 0, 0),
        _ => {}
    });
    bar.clear();
    let done = match done {
        Ok(done) => done,
        Err(ShrinkError::Stopped) => return Ok(Exit::Interrupted),
        Err(error @ (ShrinkError::Open(_) | ShrinkError::Redact(_) | ShrinkError::TooLarge { .. })) => {
            console.error(&error.to_string());
            return Ok(Exit::BadDump);
        }
        Err(error) => anyhow::bail!("{error}"),
    };
    for note in &done.written.notes {
        console.note(note);
    }
    redact::tell(redact.as_ref(), console);
    let mut out = console.out();
    let permille = done.written.size.saturating_mul(1000).checked_div(done.before).unwrap_or(0);
    writeln!(
        out,
        "{}: {} bytes, {}.{} % of {}; {} ranges of memory",
        args.output.display(),
        done.written.size,
        permille / 10,
        permille % 10,
        done.before,
        done.written.ranges,
    )?;
    for what in &done.left_out {
        writeln!(out, "Left out: {what}.")?;
    }
    let equal = done.differences.is_empty();
    if equal {
        if redact.is_some() {
            writeln!(
                out,
                "Triage gives the same answers, but for {} texts that are redacted; what commands print was not compared.",
                done.redacted
            )?;
        } else {
            writeln!(out, "It gives the same answers: triage and the stacks were compared.")?;
        }
    } else {
        writeln!(out, "It does not give the same answers:")?;
        for difference in &done.differences {
            writeln!(out, "  {}", dumpscope_core::base::text::escape(difference))?;
        }
    }
    out.flush()?;
    Ok(if equal { Exit::Done } else { Exit::BadDump })
}
