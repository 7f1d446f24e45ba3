//! `dumpscope mcp`: the answers of this program for assistants, over the Model Context Protocol.
//!
//! The client is trusted to ask, the dumps are not: what comes out of a dump stands in fields named `from_dump`
//! ([`answer`]). No path outside of the folders that the server was started with is opened ([`roots`]), no command that
//! reaches out of a dump is run, and nothing is written but by `shrink` into the folder of `--write`.

mod answer;
mod call;
mod opened;
mod prompts;
mod resources;
mod roots;
mod server;
mod tools;

use crate::Exit;
use crate::args::{CommonArgs, McpArgs};
use crate::console::Console;
use crate::{batch, store};
use anyhow::Context;
use dumpscope_analyzers::Cancel;
use dumpscope_engine::batch::TriageOptions;
use opened::Dumps;
use roots::Roots;
use server::{Limits, Server, State};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What the end of the input leaves to work that does not stop by itself.
const PATIENCE: Duration = Duration::from_millis(300);

/// Serves until the input ends.
pub(crate) fn run(args: &McpArgs, common: &CommonArgs, console: &Console) -> anyhow::Result<Exit> {
    let roots = Roots::new(&args.roots)?;
    let write = args.write.as_deref().map(folder).transpose()?;
    // Only a URL that was typed for this server leads to the network: one in the environment is somebody else's.
    let named = common.symbol_path.as_deref().is_some_and(|p| p.contains("://"));
    let symbols = store::config_of(common, common.offline || !named, console, &Cancel::default());
    let options = TriageOptions {
        symbols,
        patterns: batch::patterns(common)?.map(|p| p.0),
        hints: batch::hints(common)?.map(|h| h.0),
        ..TriageOptions::default()
    };
    let limits = Limits { budget: args.budget, ..Limits::default() };
    let dumps = Dumps::default();
    for named in &args.dumps {
        let opened = roots
            .find(named)
            .map_err(str::to_owned)
            .and_then(|(file, shown)| dumps.open(&file, &shown, &options, &Cancel::default()));
        opened.map_err(|why| anyhow::anyhow!("{named}: {why}"))?;
    }
    let state = State { roots, write, options, limits, dumps };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("starting the server")?;
    let served = runtime.block_on(server::serve(Server::new(Arc::new(state))));
    runtime.shutdown_timeout(PATIENCE);
    served?;
    Ok(Exit::Done)
}

fn folder(dir: &Path) -> anyhow::Result<std::path::PathBuf> {
    let dir = dir.canonicalize().with_context(|| dir.display().to_string())?;
    anyhow::ensure!(dir.is_dir(), "{}: not a folder", dir.display());
    Ok(dir)
}
