//! Servers: what is remembered of them, one download at a time for one file, two-tier stores, pointers.

use super::client::{Outcome, Walk};
use super::create::{self, Temp};
use super::download::{Downloader, Failed};
use super::names::{MAX_POINTER, follow_url, home, joined, pointer_request, requests};
use super::negative::{self, Cause};
use super::{Event, Watch, unpack};
use crate::locate::{FileKey, StoreUrl};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use url::Url;

/// Where a download goes.
struct Goal<'a> {
    store: &'a Path,
    to: &'a Path,
    key: &'a FileKey,
    /// Name of the file in events.
    label: &'a str,
}

impl<T> Walk<'_, T> {
    /// Asks a server, unless a recent answer is remembered; downloads into the nearest store that can be written.
    pub(super) fn server(
        &mut self,
        url: &StoreUrl,
        stores: &[PathBuf],
        key: &FileKey,
    ) -> Option<(T, PathBuf)> {
        // Without an id nothing can be asked for.
        stores.first().and_then(|s| home(s, key))?;
        let what = format!("{url} {key}");
        for store in stores {
            // Another chain, thread or process may have brought it since.
            if let Some(found) = self.brought(store, key) {
                return Some(found);
            }
            if self.wanted.fresh {
                negative::forget(store, &what);
            } else if let Some(r) = negative::recall(store, &what, self.client.clock.now()) {
                self.say_of(url, key, Outcome::Remembered(r));
                return None;
            }
        }
        let mut refusal = String::new();
        for (i, store) in stores.iter().enumerate() {
            let lock = match create::lock(store, &what, &|| self.watch.cancelled()) {
                Ok(Some(lock)) => lock,
                Ok(None) => {
                    self.say_of(url, key, Outcome::Stopped);
                    return None;
                }
                Err(e) => {
                    if refusal.is_empty() {
                        refusal = format!("the cache {} cannot be written: {e}", store.display());
                    }
                    continue;
                }
            };
            let found = self.locked(url, &what, store, key);
            drop(lock);
            let (file, path) = found?;
            self.copied(&path, stores.get(i.saturating_add(1)..).unwrap_or_default(), key);
            return Some((file, path));
        }
        self.say_of(url, key, Outcome::Unwritable(refusal));
        None
    }

    /// What lies in a store already.
    fn brought(&mut self, store: &Path, key: &FileKey) -> Option<(T, PathBuf)> {
        let to = home(store, key).filter(|to| to.is_file())?;
        let file = (self.wanted.open)(&to, &to, key).ok()?;
        self.say(key, &to.to_string_lossy(), Outcome::Found);
        Some((file, to))
    }

    fn locked(&mut self, url: &StoreUrl, what: &str, store: &Path, key: &FileKey) -> Option<(T, PathBuf)> {
        // While we waited for the lock its holder may have brought it, or learnt that it is not there.
        if let Some(found) = self.brought(store, key) {
            return Some(found);
        }
        let now = self.client.clock.now();
        if let Some(r) = negative::recall(store, what, now).filter(|_| !self.wanted.fresh) {
            self.say_of(url, key, Outcome::Remembered(r));
            return None;
        }
        self.client.swept.call_once(|| create::sweep(store));
        let to = home(store, key)?;
        let label = key.to_string();
        self.watch.event(&Event::Started { file: &label, url });
        let (outcome, file) = match self.download(url, &Goal { store, to: &to, key, label: &label }) {
            Ok((size, file)) => (Outcome::Downloaded(size), Some(file)),
            Err(failed) => (outcome(failed, store), None),
        };
        self.watch.event(&Event::Ended { file: &label, outcome: &outcome });
        let cause = match &outcome {
            Outcome::Missing => Some((Cause::Missing, "")),
            Outcome::Denied(why) => Some((Cause::Denied, why.as_str())),
            Outcome::Wrong(why) => Some((Cause::Wrong, why.as_str())),
            Outcome::Failure(why) => Some((Cause::Failure, why.as_str())),
            _ => None,
        };
        if let Some((cause, text)) = cause {
            negative::remember(store, what, cause, self.client.clock.now(), text);
        }
        self.say_of(url, key, outcome);
        file.map(|f| (f, to))
    }

    fn download(&self, base: &StoreUrl, goal: &Goal<'_>) -> Result<(u64, T), Failed> {
        let client = self.client;
        let loader = Downloader {
            transport: &*client.transport,
            clock: &*client.clock,
            policy: &client.policy,
            breaker: &client.breaker,
            auth: &client.auth,
            named: &self.named,
        };
        let tiers = || client.tiers.lock().unwrap_or_else(PoisonError::into_inner);
        let tier_key = base.secret().as_str();
        let known = tiers().get(tier_key).copied();
        let mut tiered = known.unwrap_or(false);
        let mut asked = false;
        let mut ask = |url: &Url| {
            let done = self.one(&loader, url, goal);
            match done {
                Err(Failed::Breaker(s)) if asked => {
                    Err(Failed::Server(format!("the server does not answer; asked again in {s} s")))
                }
                done => {
                    asked = true;
                    done
                }
            }
        };
        let mut worst = Failed::Missing;
        loop {
            for segments in requests(goal.key, tiered) {
                match ask(&joined(base.secret(), &segments)) {
                    Err(Failed::Missing) => {}
                    // Another spelling or the packed file may still be good.
                    Err(failed @ (Failed::Wrong(_) | Failed::Denied(_))) => worst = failed,
                    done => return done,
                }
                if self.watch.cancelled() {
                    return Err(Failed::Stopped);
                }
            }
            // Only a server that misses something is asked for more.
            if worst != Failed::Missing {
                return Err(worst);
            }
            if let Some(pointer) = pointer_request(goal.key, tiered)
                && let Some(text) = self.small(&loader, &joined(base.secret(), &pointer), goal)?
            {
                return ask(&follow_url(base, &text).map_err(Failed::Wrong)?);
            }
            if known.is_some() || tiered {
                return Err(worst);
            }
            let index = self.small(&loader, &joined(base.secret(), &["index2.txt".into()]), goal)?;
            tiered = index.is_some();
            tiers().insert(tier_key.to_owned(), tiered);
            if !tiered {
                return Err(worst);
            }
        }
    }

    /// One small text; `None`: there is none, or no small one.
    fn small(&self, loader: &Downloader<'_>, url: &Url, goal: &Goal<'_>) -> Result<Option<String>, Failed> {
        let mut temp = temp(goal.store)?;
        match loader.get(url, goal.label, &mut temp, MAX_POINTER, &self.watch) {
            Ok(_) => {
                let bytes = std::fs::read(temp.path()).map_err(disk)?;
                Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
            }
            Err(Failed::Missing | Failed::Denied(_) | Failed::Wrong(_)) => Ok(None),
            Err(failed) => Err(failed),
        }
    }

    /// One request: download, unpack, open, move to its place. Gives the bytes of the finished file.
    fn one(&self, loader: &Downloader<'_>, url: &Url, goal: &Goal<'_>) -> Result<(u64, T), Failed> {
        let policy = &self.client.policy;
        let (next, stop) = (|| temp(goal.store), || self.watch.cancelled());
        let mut temp = next()?;
        let head = loader.get(url, goal.label, &mut temp, policy.max_download, &self.watch)?;
        if size(&temp)? == 0 {
            return Err(Failed::Wrong("the server sent an empty file".into()));
        }
        let temp = unpack::decoded(temp, &head, &next, policy.max_unpacked, &stop)?;
        let plain = unpack::unpacked(temp.path(), &next, policy.max_unpacked, &stop)?;
        let temp = plain.unwrap_or(temp);
        let file = (self.wanted.open)(temp.path(), goal.to, goal.key).map_err(Failed::Wrong)?;
        let size = size(&temp)?;
        if let Err(e) = temp.keep(goal.to) {
            // Somebody was faster, and holds what we cannot replace.
            return match (self.wanted.open)(goal.to, goal.to, goal.key) {
                Ok(file) => Ok((size, file)),
                Err(_) => Err(disk(e)),
            };
        }
        Ok((size, file))
    }
}

fn temp(store: &Path) -> Result<Temp, Failed> {
    Temp::new(store).map_err(disk)
}

fn disk(e: std::io::Error) -> Failed {
    Failed::Disk(e.to_string())
}

fn size(temp: &Temp) -> Result<u64, Failed> {
    std::fs::metadata(temp.path()).map(|m| m.len()).map_err(disk)
}

fn outcome(failed: Failed, store: &Path) -> Outcome {
    match failed {
        Failed::Missing => Outcome::Missing,
        Failed::Denied(why) => Outcome::Denied(why),
        Failed::Wrong(why) => Outcome::Wrong(why),
        Failed::Server(why) => Outcome::Failure(why),
        Failed::Disk(why) => {
            Outcome::Unwritable(format!("the cache {} cannot be written: {why}", store.display()))
        }
        Failed::Breaker(s) => Outcome::Skipped(format!("the server does not answer; asked again in {s} s")),
        Failed::NoNetwork => Outcome::Skipped("offline".into()),
        Failed::Stopped => Outcome::Stopped,
    }
}
