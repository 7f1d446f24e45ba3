//! One client for all modules: asks the places of a symbol path in their order, this machine's and servers alike.

use super::breaker::Breaker;
use super::create;
use super::listing::Listings;
use super::names::home;
use super::negative::Remembered;
use super::transport::{NoTransport, Transport};
use super::{Auth, Clock, Event, Policy, SystemClock, Unwatched, Watch};
use crate::locate::{Candidate, FileKey, Place, StoreUrl};
use dumpscope_core::base::text::escape;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, PoisonError};

/// Opens a file and says whether it really is the one (GUID and age, or time stamp and size): where it lies now, what
/// to call it, and what is looked for there.
pub type Open<'a, T> = dyn Fn(&Path, &Path, &FileKey) -> Result<T, String> + 'a;

/// Files to find: the first that is there.
pub struct Wanted<'a, T> {
    /// Which would do; each place is asked for all of them, in this order.
    pub keys: &'a [FileKey],
    /// File name of the module's image, for the subfolders of plain folders.
    pub image: &'a str,
    /// Opens one.
    pub open: &'a Open<'a, T>,
    /// The folder in which packed files are unpacked that have no store to their left.
    pub cache: Option<&'a Path>,
    /// Ask again even for what is remembered as missing.
    pub fresh: bool,
    /// True: stop.
    pub stop: &'a (dyn Fn() -> bool + Sync),
}

impl<T> fmt::Debug for Wanted<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wanted").field("keys", &self.keys).finish_non_exhaustive()
    }
}

/// What a place answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It lay there.
    Found,
    /// It came from there, so many bytes (as it lies in the store).
    Downloaded(u64),
    /// It is not there.
    Missing,
    /// Something is there, but not what is needed.
    Wrong(String),
    /// The server refuses.
    Denied(String),
    /// The server failed.
    Failure(String),
    /// It could not be written to any store.
    Unwritable(String),
    /// Not asked again: a recent answer is remembered.
    Remembered(Remembered),
    /// Nothing was asked, and why.
    Skipped(String),
    /// The user stopped it.
    Stopped,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Found => f.write_str("found"),
            Outcome::Downloaded(n) => write!(f, "downloaded, {n} bytes"),
            Outcome::Missing => f.write_str("not there"),
            Outcome::Wrong(why) => write!(f, "rejected: {why}"),
            Outcome::Denied(why) => write!(f, "refused: {why}"),
            Outcome::Failure(why) | Outcome::Unwritable(why) => write!(f, "failed: {why}"),
            Outcome::Remembered(r) => r.fmt(f),
            Outcome::Skipped(why) => write!(f, "not asked: {why}"),
            Outcome::Stopped => f.write_str("stopped"),
        }
    }
}

/// A place that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// File name and id that were looked for.
    pub file: String,
    /// A path of this machine or a URL without secrets. Escaped.
    pub place: String,
    /// True for a server.
    pub is_server: bool,
    /// What it answered.
    pub outcome: Outcome,
}

/// A file that was found.
#[derive(Clone, Debug)]
pub struct Found<T> {
    /// What opening it gave.
    pub file: T,
    /// Where it lies on this machine.
    pub path: PathBuf,
    /// Which of the keys.
    pub key: FileKey,
    /// Which of the candidates had it.
    pub candidate: usize,
}

/// What a search gave.
#[derive(Debug)]
pub struct Fetched<T> {
    /// The file.
    pub found: Option<Found<T>>,
    /// Every place in the order in which it was tried.
    pub attempts: Vec<Attempt>,
}

/// The client: one for all modules, shared between threads.
#[derive(Debug)]
pub struct Client {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) policy: Policy,
    pub(super) auth: Auth,
    pub(super) breaker: Breaker,
    pub(super) listings: Listings,
    /// Servers with `index2.txt`, by URL.
    pub(super) tiers: Mutex<BTreeMap<String, bool>>,
    /// Left-over temporary files are removed once.
    pub(super) swept: Once,
    watch: Arc<dyn Watch>,
}

impl Client {
    /// A client over a transport ([`super::NoTransport`] for `--offline`); `watch` sees and may stop all it does.
    pub fn new(
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        policy: Policy,
        auth: Auth,
        watch: Arc<dyn Watch>,
    ) -> Client {
        let (breaker, listings, tiers, swept) =
            (Breaker::default(), Listings::default(), Mutex::default(), Once::new());
        Client { transport, clock, policy, auth, breaker, listings, tiers, swept, watch }
    }

    /// A client that finds what lies on this machine and asks no server.
    #[must_use]
    pub fn local() -> Client {
        let (policy, auth) = (Policy::default(), Auth::default());
        Client::new(Arc::new(NoTransport), Arc::new(SystemClock), policy, auth, Arc::new(Unwatched))
    }

    /// Asks hosts again that were left alone because they failed, and reads folders again (`.reload`).
    pub fn forgive(&self) {
        self.breaker.reset();
        self.listings.forget();
        self.tiers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Asks one place after the other, and each for all that is wanted, until one has it. A hit is copied to the stores
    /// to its left, as SymSrv does; what comes from a server or is packed goes through a temporary file there, is
    /// opened once, and appears in the store by a rename.
    pub fn find<T>(&self, candidates: &[Candidate], wanted: &Wanted<'_, T>) -> Fetched<T> {
        let named = candidates.iter().filter_map(|c| match &c.place {
            Place::Server(url) => Some(url.clone()),
            _ => None,
        });
        let watch = Both { watch: &*self.watch, stop: wanted.stop };
        let mut walk = Walk { client: self, wanted, watch, named: named.collect(), attempts: Vec::new() };
        let mut found = None;
        'places: for (i, candidate) in candidates.iter().enumerate() {
            for key in wanted.keys {
                if let Some((file, path)) = walk.place(candidate, key) {
                    found = Some(Found { file, path, key: key.clone(), candidate: i });
                    break 'places;
                }
                if walk.watch.cancelled() {
                    break 'places;
                }
                // A server that fails does not fail less for another name of the same module.
                let failed = walk.attempts.last().is_some_and(|a| {
                    a.is_server && matches!(a.outcome, Outcome::Failure(_) | Outcome::Unwritable(_))
                });
                if failed {
                    break;
                }
            }
        }
        Fetched { found, attempts: walk.attempts }
    }
}

/// The client's watch, and who asks may stop it, too.
pub(super) struct Both<'a> {
    watch: &'a dyn Watch,
    stop: &'a (dyn Fn() -> bool + Sync),
}

impl fmt::Debug for Both<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.watch.fmt(f)
    }
}

impl Watch for Both<'_> {
    fn event(&self, event: &Event<'_>) {
        self.watch.event(event);
    }

    fn cancelled(&self) -> bool {
        (self.stop)() || self.watch.cancelled()
    }
}

/// One search.
pub(super) struct Walk<'a, T> {
    pub(super) client: &'a Client,
    pub(super) wanted: &'a Wanted<'a, T>,
    pub(super) watch: Both<'a>,
    /// Servers that the path names.
    pub(super) named: Vec<StoreUrl>,
    pub(super) attempts: Vec<Attempt>,
}

impl<T> Walk<'_, T> {
    fn place(&mut self, candidate: &Candidate, key: &FileKey) -> Option<(T, PathBuf)> {
        match &candidate.place {
            Place::Folder(dir) => self.local(dir, true, &candidate.stores, key),
            Place::Store(dir) => self.local(dir, false, &candidate.stores, key),
            Place::Server(url) => self.server(url, &candidate.stores, key),
            Place::Refused { text, why } => {
                self.say(key, text, Outcome::Skipped((*why).to_owned()));
                None
            }
        }
    }

    /// Writes down what a place of this machine, or one that is no place, answered. Names may come from a dump.
    pub(super) fn say(&mut self, key: &FileKey, place: &str, outcome: Outcome) {
        self.tell(key, place, false, outcome);
    }

    /// Writes down what a server answered.
    pub(super) fn say_of(&mut self, url: &StoreUrl, key: &FileKey, outcome: Outcome) {
        self.tell(key, &url.to_string(), true, outcome);
    }

    fn tell(&mut self, key: &FileKey, place: &str, is_server: bool, outcome: Outcome) {
        let attempt =
            Attempt { file: key.to_string(), place: escape(place).into_owned(), is_server, outcome };
        // One file name may be asked for by several keys of equal names.
        if self.attempts.last() != Some(&attempt) {
            self.attempts.push(attempt);
        }
    }

    /// Copies a file to stores, the nearest first; one that cannot be written is passed over. Gives the last copy.
    pub(super) fn copied(&self, from: &Path, stores: &[PathBuf], key: &FileKey) -> Option<PathBuf> {
        let mut last: Option<PathBuf> = None;
        for store in stores {
            let Some(to) = home(store, key).filter(|to| to != from) else { continue };
            if create::copy_whole(last.as_deref().unwrap_or(from), store, &to).is_ok() {
                last = Some(to);
            }
        }
        last
    }
}
