//! Small subcommands: schema, completions, manual page.

use crate::Exit;
use crate::args::{Cli, SchemaOf};
use clap::CommandFactory;
use std::io::Write;

/// `dumpscope schema`.
pub(crate) fn schema(of: SchemaOf) -> anyhow::Result<Exit> {
    let schema = match of {
        SchemaOf::Triage => dumpscope_engine::document::triage_schema(),
        SchemaOf::Exec => dumpscope_engine::render::exec_schema(),
        SchemaOf::Diff => dumpscope_engine::diff::diff_schema(),
    };
    let text = serde_json::to_string_pretty(&schema)?;
    print(format!("{text}\n").as_bytes())
}

/// `dumpscope completions SHELL`.
pub(crate) fn completions(shell: clap_complete::Shell) -> anyhow::Result<Exit> {
    // Into memory first: the generator panics when stdout is closed.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "dumpscope", &mut text);
    print(&text)
}

/// `dumpscope man`: the program's page, then one for each subcommand's options.
pub(crate) fn man() -> anyhow::Result<Exit> {
    let mut command = Cli::command();
    command.build();
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut text)?;
    for sub in command.get_subcommands().filter(|s| !s.is_hide_set() && s.get_name() != "help") {
        text.extend_from_slice(format!(".SH \"DUMPSCOPE {}\"\n", sub.get_name().to_uppercase()).as_bytes());
        let page = clap_mangen::Man::new(sub.clone());
        page.render_synopsis_section(&mut text)?;
        page.render_description_section(&mut text)?;
        page.render_options_section(&mut text)?;
    }
    print(&text)
}

fn print(text: &[u8]) -> anyhow::Result<Exit> {
    let mut out = std::io::stdout().lock();
    out.write_all(text)?;
    out.flush()?;
    Ok(Exit::Done)
}
