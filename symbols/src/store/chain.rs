//! Walks the elements of a symbol path.

use super::breaker::Breaker;
use super::create::{self, Temp};
use super::download::{Downloader, Failed};
use super::names::{compressed, follow, home, joined, requests, shown};
use super::negative::{self, Cause, Remembered};
use super::transport::Transport;
use super::unpack::{self, Wrapping};
use super::{Auth, Clock, Event, Policy, Watch};
use crate::locate::{Element, FileKey, Store, SymbolPath, folder_paths, store_paths};
use dumpscope_core::base::text::escape;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, PoisonError};
use url::Url;

/// One file to find.
pub struct Job<'a> {
    /// Which.
    pub key: &'a FileKey,
    /// File name of the module's image, for the subfolders of plain folders.
    pub image: &'a str,
    /// Says whether a file really is the one: GUID and age, or time stamp and size.
    pub verify: &'a (dyn Fn(&Path) -> Result<(), String> + Sync),
    /// Ask again even for what is remembered as missing.
    pub fresh: bool,
}

impl fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Job({})", self.key)
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
    /// The server or the disk failed.
    Failure(String),
    /// Not asked again: a recent answer is remembered.
    Remembered(Remembered),
    /// Not asked, and why.
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
            Outcome::Failure(why) => write!(f, "failed: {why}"),
            Outcome::Remembered(r) => {
                write!(f, "not asked again yet, the last answer was: {}", r.cause)?;
                if r.text.is_empty() { Ok(()) } else { write!(f, " ({})", r.text) }
            }
            Outcome::Skipped(why) => write!(f, "not asked: {why}"),
            Outcome::Stopped => f.write_str("stopped"),
        }
    }
}

/// A place that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// A folder of this machine or a URL without credentials.
    pub place: String,
    /// What it answered.
    pub outcome: Outcome,
}

/// What a fetch gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// The file on this machine.
    pub file: Option<PathBuf>,
    /// Every place in the order in which it was tried.
    pub attempts: Vec<Attempt>,
}

/// The client: one for all modules, shared between threads.
#[derive(Debug)]
pub struct Client {
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    policy: Policy,
    auth: Auth,
    breaker: Breaker,
    /// Servers with `index2.txt`, by URL.
    tiers: Mutex<BTreeMap<String, bool>>,
    /// Left-over temporary files are removed once.
    swept: Once,
    watch: Arc<dyn Watch>,
}

/// A place of a chain.
enum Place<'a> {
    Folder(&'a Path),
    Store(&'a Path),
    Server(&'a str),
    Refused(String, &'static str),
}

const UNC: &str = "a \\\\server\\share path opens only on Windows; copy or mount the folder and name it here";

impl Client {
    /// A client over a transport ([`super::NoTransport`] for `--offline`); `watch` sees and may stop all it does.
    pub fn new(
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        policy: Policy,
        auth: Auth,
        watch: Arc<dyn Watch>,
    ) -> Client {
        let (breaker, tiers, swept) = (Breaker::default(), Mutex::default(), Once::new());
        Client { transport, clock, policy, auth, breaker, tiers, swept, watch }
    }

    /// Asks hosts again that were left alone because they failed (`.reload`).
    pub fn forgive(&self) {
        self.breaker.reset();
        self.tiers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Finds a file along `path`. `default` is the cache folder: the store of `srv**URL`, of `cache*`, and of
    /// servers without a local store to their left.
    pub fn fetch(&self, path: &SymbolPath, default: &Path, job: &Job<'_>) -> Fetched {
        let watch = &*self.watch;
        let mut out = Fetched::default();
        let mut caches: Vec<Place<'_>> = Vec::new();
        for element in &path.elements {
            let mut chain: Vec<Place<'_>> = Vec::new();
            match element {
                Element::Cache(store) => {
                    caches.push(place(store, default));
                    continue;
                }
                Element::Folder(dir) => chain.push(Place::Folder(dir)),
                Element::Chain(stores) => chain.extend(stores.iter().map(|s| place(s, default))),
                Element::Unc(text) => chain.push(Place::Refused(text.clone(), UNC)),
                Element::Invalid { text, why } => chain.push(Place::Refused(text.clone(), why)),
            }
            let all: Vec<&Place<'_>> = caches.iter().chain(&chain).collect();
            if let Some(found) = self.walk(&all, default, job, watch, &mut out.attempts) {
                out.file = Some(found);
                return out;
            }
            if watch.cancelled() {
                break;
            }
        }
        out
    }

    fn walk(
        &self,
        chain: &[&Place<'_>],
        default: &Path,
        job: &Job<'_>,
        watch: &dyn Watch,
        attempts: &mut Vec<Attempt>,
    ) -> Option<PathBuf> {
        for (i, place) in chain.iter().enumerate() {
            let left = chain.get(..i).unwrap_or_default();
            let stores =
                || left.iter().rev().filter_map(|p| if let Place::Store(d) = p { Some(*d) } else { None });
            let bottom = stores().next().unwrap_or(default);
            let found = match place {
                Place::Folder(dir) => {
                    let mut paths = folder_paths(dir, job.key, job.image);
                    paths.extend(store_paths(dir, job.key));
                    self.local(dir, paths, bottom, job, attempts)
                }
                Place::Store(dir) => self.local(dir, store_paths(dir, job.key), bottom, job, attempts),
                Place::Server(url) => self.server(url, bottom, job, watch, attempts),
                Place::Refused(text, why) => {
                    say(attempts, text, Outcome::Skipped((*why).to_owned()));
                    None
                }
            };
            if let Some(found) = found {
                let mut best = found;
                // SymSrv copies a hit to every store to its left; one that cannot be written is passed over.
                for dir in stores() {
                    let to = home(dir, job.key);
                    if to.exists() || create::copy_whole(&best, dir, &to).is_ok() {
                        best = to;
                    }
                }
                return Some(best);
            }
            if watch.cancelled() {
                return None;
            }
        }
        None
    }

    /// Looks in a local folder: plain files, compressed ones, and `file.ptr`.
    fn local(
        &self,
        root: &Path,
        paths: Vec<PathBuf>,
        bottom: &Path,
        job: &Job<'_>,
        attempts: &mut Vec<Attempt>,
    ) -> Option<PathBuf> {
        let mut told = false;
        let mut reject = |path: &Path, why: String| {
            told = true;
            say(attempts, &path.to_string_lossy(), Outcome::Wrong(why));
        };
        let mut found = None;
        for path in &paths {
            if path.is_file() {
                match self.checked(path, bottom, job) {
                    Ok(file) => {
                        found = Some((path.clone(), file));
                        break;
                    }
                    Err(why) => reject(path, why),
                }
            }
            let packed = compressed(path);
            if packed.is_file() {
                match self.checked(&packed, bottom, job) {
                    Ok(file) => {
                        found = Some((packed, file));
                        break;
                    }
                    Err(why) => reject(&packed, why),
                }
            }
            let pointer = path.with_file_name("file.ptr");
            match follow(&pointer, root) {
                None => {}
                Some(Ok(target)) => match self.checked(&target, bottom, job) {
                    Ok(file) => {
                        found = Some((pointer, file));
                        break;
                    }
                    Err(why) => reject(&target, why),
                },
                Some(Err(why)) => reject(&pointer, why),
            }
        }
        match found {
            Some((place, file)) => {
                say(attempts, &place.to_string_lossy(), Outcome::Found);
                Some(file)
            }
            None => {
                if !told {
                    say(attempts, &root.to_string_lossy(), Outcome::Missing);
                }
                None
            }
        }
    }

    /// Verifies a file; a packed one is unpacked into `bottom` first.
    fn checked(&self, path: &Path, bottom: &Path, job: &Job<'_>) -> Result<PathBuf, String> {
        if std::fs::metadata(path).map_err(|e| e.to_string())?.len() == 0 {
            return Err("the file is empty".into());
        }
        if unpack::wrapping(path).map_err(|e| e.to_string())? == Wrapping::None {
            return (job.verify)(path).map(|()| path.to_owned());
        }
        let temp = Temp::new(bottom).map_err(|e| format!("{}: {e}", bottom.display()))?;
        let temp = self.unpacked(path, temp, bottom)?;
        (job.verify)(temp.path())?;
        let to = home(bottom, job.key);
        temp.keep(&to).map_err(|e| format!("{}: {e}", to.display()))?;
        Ok(to)
    }

    /// Unwraps `path` into `temp`, twice at most (a CAB may hold an MSFZ file).
    fn unpacked(&self, path: &Path, temp: Temp, cache: &Path) -> Result<Temp, String> {
        let mut temp = temp;
        let mut from = path.to_owned();
        let mut last = None;
        for _ in 0..2 {
            match unpack::wrapping(&from).map_err(|e| e.to_string())? {
                Wrapping::None => break,
                Wrapping::Cab => unpack::expand_cab(&from, &temp, self.policy.max_unpacked)?,
                Wrapping::Msfz => {
                    // Unpacked in memory: bounded more tightly than what goes to disk.
                    let limit = self.policy.max_unpacked.min(2 << 30);
                    crate::provider::pdb::convert_msfz(&from, temp.path(), limit)
                        .map_err(|e| e.to_string())?;
                }
            }
            let next = Temp::new(cache).map_err(|e| e.to_string())?;
            from = temp.path().to_owned();
            last = Some(std::mem::replace(&mut temp, next));
        }
        Ok(last.unwrap_or(temp))
    }

    /// Asks a server, unless a recent answer is remembered; downloads into `store`.
    fn server(
        &self,
        base: &str,
        store: &Path,
        job: &Job<'_>,
        watch: &dyn Watch,
        attempts: &mut Vec<Attempt>,
    ) -> Option<PathBuf> {
        let to = home(store, job.key);
        // Another chain, thread or process may have brought it since.
        if to.is_file() && (job.verify)(&to).is_ok() {
            say(attempts, &to.to_string_lossy(), Outcome::Found);
            return Some(to);
        }
        let url = match Url::parse(base) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.host_str().is_some() => url,
            _ => {
                say(attempts, base, Outcome::Skipped("not an http or https URL".into()));
                return None;
            }
        };
        let shown = shown(&url);
        let what = format!("{shown} {}", job.key);
        if job.fresh {
            negative::forget(store, &what);
        } else if let Some(r) = negative::recall(store, &what, self.clock.now()) {
            say(attempts, &shown, Outcome::Remembered(r));
            return None;
        }
        let lock = match create::lock(store, &what, &|| watch.cancelled()) {
            Ok(Some(lock)) => lock,
            Ok(None) => {
                say(attempts, &shown, Outcome::Stopped);
                return None;
            }
            Err(e) => {
                let why = format!("the cache {} cannot be written: {e}", store.display());
                say(attempts, &shown, Outcome::Failure(why));
                return None;
            }
        };
        // While we waited for the lock its holder may have brought it, or learnt that it is not there.
        if to.is_file() && (job.verify)(&to).is_ok() {
            say(attempts, &to.to_string_lossy(), Outcome::Found);
            return Some(to);
        }
        if let Some(r) = negative::recall(store, &what, self.clock.now()).filter(|_| !job.fresh) {
            say(attempts, &shown, Outcome::Remembered(r));
            return None;
        }
        self.swept.call_once(|| create::sweep(store));
        let label = job.key.to_string();
        watch.event(&Event::Started { file: &label, url: &shown });
        let outcome = self.download(&url, store, &to, job, &label, watch);
        drop(lock);
        watch.event(&Event::Ended { file: &label, outcome: &outcome });
        let cause = match &outcome {
            Outcome::Missing => Some((Cause::Missing, String::new())),
            Outcome::Denied(why) => Some((Cause::Denied, why.clone())),
            Outcome::Wrong(why) => Some((Cause::Wrong, why.clone())),
            Outcome::Failure(why) => Some((Cause::Failure, why.clone())),
            _ => None,
        };
        if let Some((cause, text)) = cause {
            negative::remember(store, &what, cause, self.clock.now(), &text);
        }
        let done = matches!(outcome, Outcome::Downloaded(_));
        say(attempts, &shown, outcome);
        done.then_some(to)
    }

    fn download(
        &self,
        base: &Url,
        store: &Path,
        to: &Path,
        job: &Job<'_>,
        label: &str,
        watch: &dyn Watch,
    ) -> Outcome {
        let loader = Downloader {
            transport: &*self.transport,
            clock: &*self.clock,
            policy: &self.policy,
            breaker: &self.breaker,
            auth: &self.auth,
        };
        let known = self.tiers.lock().unwrap_or_else(PoisonError::into_inner).get(base.as_str()).copied();
        let mut tiered = known.unwrap_or(false);
        let mut worst = Outcome::Missing;
        loop {
            for segments in requests(job.key, tiered) {
                match self.one(&loader, base, &segments, store, to, job, label, watch) {
                    Ok(bytes) => return Outcome::Downloaded(bytes),
                    Err(Failed::Missing) => {}
                    // Another spelling or the packed file may still be good.
                    Err(Failed::Wrong(why)) => worst = Outcome::Wrong(why),
                    Err(Failed::Denied(why)) => worst = Outcome::Denied(why),
                    Err(failed) => return give_up(failed),
                }
                if watch.cancelled() {
                    return Outcome::Stopped;
                }
            }
            // Only a server that misses something is asked whether it is a two-tier one.
            if known.is_some() || tiered || worst != Outcome::Missing {
                return worst;
            }
            let probe = Temp::new(store).map_err(|e| Failed::Disk(e.to_string()));
            let answer =
                probe.and_then(|t| loader.get(&joined(base, &["index2.txt".into()]), label, &t, watch));
            tiered = match answer {
                Ok(()) => true,
                Err(Failed::Missing | Failed::Denied(_) | Failed::Wrong(_)) => false,
                Err(failed) => return give_up(failed),
            };
            self.tiers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(base.as_str().to_owned(), tiered);
            if !tiered {
                return worst;
            }
        }
    }

    /// One request: download, unpack, verify, move to its place. Gives the bytes of the finished file.
    #[expect(clippy::too_many_arguments, reason = "one call site; a struct would only rename the arguments")]
    fn one(
        &self,
        loader: &Downloader<'_>,
        base: &Url,
        segments: &[String],
        store: &Path,
        to: &Path,
        job: &Job<'_>,
        label: &str,
        watch: &dyn Watch,
    ) -> Result<u64, Failed> {
        let disk = |e: std::io::Error| Failed::Disk(e.to_string());
        let temp = Temp::new(store).map_err(disk)?;
        loader.get(&joined(base, segments), label, &temp, watch)?;
        let size = std::fs::metadata(temp.path()).map_err(disk)?.len();
        if size == 0 {
            return Err(Failed::Wrong("the server sent an empty file".into()));
        }
        let temp = match unpack::wrapping(temp.path()).map_err(disk)? {
            Wrapping::None => temp,
            Wrapping::Cab | Wrapping::Msfz => {
                let packed = temp.path().to_owned();
                let next = Temp::new(store).map_err(disk)?;
                self.unpacked(&packed, next, store).map_err(Failed::Wrong)?
            }
        };
        (job.verify)(temp.path()).map_err(Failed::Wrong)?;
        let size = std::fs::metadata(temp.path()).map_err(disk)?.len();
        temp.keep(to).map_err(disk)?;
        Ok(size)
    }
}

fn give_up(failed: Failed) -> Outcome {
    match failed {
        Failed::Missing => Outcome::Missing,
        Failed::Denied(why) => Outcome::Denied(why),
        Failed::Wrong(why) => Outcome::Wrong(why),
        Failed::Server(why) => Outcome::Failure(why),
        Failed::Disk(why) => Outcome::Skipped(format!("the cache cannot be written: {why}")),
        Failed::Breaker(s) => Outcome::Skipped(format!("the server does not answer; asked again in {s} s")),
        Failed::NoNetwork => Outcome::Skipped("offline".into()),
        Failed::Stopped => Outcome::Stopped,
    }
}

fn say(attempts: &mut Vec<Attempt>, place: &str, outcome: Outcome) {
    attempts.push(Attempt { place: escape(place).into_owned(), outcome });
}

fn place<'a>(store: &'a Store, default: &'a Path) -> Place<'a> {
    match store {
        Store::Dir(dir) => Place::Store(dir),
        Store::Default => Place::Store(default),
        Store::Url(url) => Place::Server(url),
        Store::Unc(text) => Place::Refused(text.clone(), UNC),
    }
}
