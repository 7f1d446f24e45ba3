//! The symbol configuration of a run: options, environment, and the client that asks servers.

use crate::args::CommonArgs;
use crate::console::Console;
use dumpscope_analyzers::Cancel;
use dumpscope_symbols::SymbolConfig;
use dumpscope_symbols::store::{
    Auth, Client, Event, Http, NoTransport, Policy, Receiver, Request, SystemClock, Transport,
    TransportError, Watch, default_cache,
};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Where symbols and images are looked for: options first, then the environment. Only a URL in a path leads
/// to the network; with `--offline` nothing does.
pub(crate) fn config(common: &CommonArgs, cancel: &Cancel, console: &Console) -> SymbolConfig {
    config_of(common, common.offline, console, cancel)
}

/// As [`config`], with or without the network.
pub(crate) fn config_of(
    common: &CommonArgs,
    offline: bool,
    console: &Console,
    cancel: &Cancel,
) -> SymbolConfig {
    config_with(common, offline, console, Arc::new(Downloads::new(cancel.clone(), console.is_quiet())))
}

/// As [`config`], telling downloads to another watch.
pub(crate) fn config_for(common: &CommonArgs, console: &Console, watch: Arc<dyn Watch>) -> SymbolConfig {
    config_with(common, common.offline, console, watch)
}

fn config_with(common: &CommonArgs, offline: bool, console: &Console, watch: Arc<dyn Watch>) -> SymbolConfig {
    let env = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    // WinDbg looks along the alternate path first.
    let from_env = || {
        let paths: Vec<String> =
            ["_NT_ALT_SYMBOL_PATH", "_NT_SYMBOL_PATH"].iter().filter_map(|n| env(n)).collect();
        paths.join(";")
    };
    let symbol_path = common.symbol_path.clone().unwrap_or_else(from_env);
    let image_path =
        common.image_path.clone().or_else(|| env("_NT_EXECUTABLE_IMAGE_PATH")).unwrap_or_default();
    let client = client(offline, &mut |wrong| console.error(wrong), watch);
    SymbolConfig {
        symbol_path,
        image_path,
        cache: common.cache.clone().or_else(default_cache),
        offline,
        store: Some(Arc::new(client)),
        fresh: false,
    }
}

/// The client that asks the places of a symbol path; `wrong` is told of files of credentials that cannot be used.
pub(crate) fn client(offline: bool, wrong: &mut dyn FnMut(&str), watch: Arc<dyn Watch>) -> Client {
    let inside = std::env::var("DUMPSCOPE_PRIVATE_REDIRECTS").is_ok_and(|v| v == "1");
    let policy = Policy { private_redirects: inside, ..Policy::default() };
    // A session may name a server later (`.symfix`): what the network needs is set up by the first request.
    let transport: Arc<dyn Transport> = if offline {
        Arc::new(NoTransport)
    } else {
        Arc::new(Network { connect: policy.connect, http: OnceLock::new() })
    };
    let auth = auth(!offline, wrong);
    Client::new(transport, Arc::new(SystemClock), policy, auth, watch)
}

/// The network, set up when it is first needed.
#[derive(Debug)]
struct Network {
    connect: Duration,
    http: OnceLock<Result<Http, String>>,
}

impl Transport for Network {
    fn get(&self, request: &Request, watch: &dyn Watch, to: &mut dyn Receiver) -> Result<(), TransportError> {
        match self.http.get_or_init(|| Http::new(self.connect)) {
            Ok(http) => http.get(request, watch, to),
            Err(why) => Err(TransportError::Connect(format!("no network: {why}"))),
        }
    }
}

/// Headers from the file that `DUMPSCOPE_SYMBOL_HEADERS` names, credentials from `NETRC` or `~/.netrc`.
fn auth(wanted: bool, wrong: &mut dyn FnMut(&str)) -> Auth {
    let mut auth = Auth::default();
    if !wanted {
        return auth;
    }
    if let Some(path) = std::env::var_os("DUMPSCOPE_SYMBOL_HEADERS") {
        let path = PathBuf::from(path);
        let added = std::fs::read_to_string(&path).map_err(|e| e.to_string());
        if let Err(why) = added.and_then(|text| auth.add_headers(&text)) {
            wrong(&format!("{}: {why}", path.display()));
        }
    }
    let home = || std::env::home_dir().map(|h| h.join(".netrc"));
    let netrc = std::env::var_os("NETRC").map(PathBuf::from).or_else(home);
    if let Some(text) = netrc.and_then(|path| std::fs::read_to_string(path).ok()) {
        auth.add_netrc(&text);
    }
    auth
}

/// A bar for each download that takes longer than a moment, on stderr when that is a terminal.
#[derive(Debug)]
struct Downloads {
    cancel: Cancel,
    bars: MultiProgress,
    open: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Downloads {
    fn new(cancel: Cancel, hidden: bool) -> Downloads {
        let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        Downloads { cancel, bars: MultiProgress::with_draw_target(target), open: Mutex::default() }
    }
}

impl Watch for Downloads {
    fn event(&self, event: &Event<'_>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started { file, .. } => {
                let style =
                    ProgressStyle::with_template("{bytes:>10} {total_bytes:>10} {bytes_per_sec:>12} {msg}");
                let bar = self.bars.add(ProgressBar::new(0));
                bar.set_style(style.unwrap_or(ProgressStyle::default_bar()));
                bar.set_message(dumpscope_core::base::text::escape(file).into_owned());
                bar.enable_steady_tick(Duration::from_millis(250));
                open.insert((*file).to_owned(), bar);
            }
            Event::Progress { file, done, total } => {
                if let Some(bar) = open.get(*file) {
                    bar.set_length(total.unwrap_or(*done));
                    bar.set_position(*done);
                }
            }
            Event::Ended { file, .. } => {
                if let Some(bar) = open.remove(*file) {
                    bar.finish_and_clear();
                    self.bars.remove(&bar);
                }
            }
        }
    }

    fn cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }
}
