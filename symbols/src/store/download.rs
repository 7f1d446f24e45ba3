//! One file from one URL: redirects, retries, resume.

use super::breaker::Breaker;
use super::create::Temp;
use super::private;
use super::transport::{Head, Receiver, Request, Transport, TransportError};
use super::{Auth, Clock, Event, Policy, Watch};
use crate::locate::StoreUrl;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::time::Duration;
use url::Url;

/// How a download ended without a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// 404 or 410.
    Missing,
    /// 401, 403, or a redirect that is not followed; the text says which.
    Denied(String),
    /// The file is no good: too large.
    Wrong(String),
    /// The server failed after all tries.
    Server(String),
    /// The server is left alone for so many seconds; nothing was asked.
    Breaker(u64),
    /// The disk refused.
    Disk(String),
    /// Stopped.
    Stopped,
    /// No network in this build or session.
    NoNetwork,
}

/// What a download needs.
#[derive(Debug)]
pub(super) struct Downloader<'a> {
    pub(super) transport: &'a dyn Transport,
    pub(super) clock: &'a dyn Clock,
    pub(super) policy: &'a Policy,
    pub(super) breaker: &'a Breaker,
    pub(super) auth: &'a Auth,
    /// Servers that the symbol path names: redirects to them are meant.
    pub(super) named: &'a [StoreUrl],
}

/// Body taker: writes to the temporary file, counts, and keeps what the head says.
struct Body<'a> {
    file: &'a mut File,
    have: u64,
    want_from: u64,
    limit: u64,
    head: Head,
    error: Option<Failed>,
    label: &'a str,
    watch: &'a dyn Watch,
    clock: &'a dyn Clock,
    /// Shortest time and fewest bytes in it.
    slowest: (Duration, u64),
    /// When the time that is looked at began, and how many bytes were there then.
    since: (u64, u64),
}

impl Receiver for Body<'_> {
    fn head(&mut self, head: &Head) -> ControlFlow<()> {
        self.head = head.clone();
        let resumed = head.status == 206 && head.range_start == Some(self.want_from) && self.want_from > 0;
        if head.status != 200 && !resumed {
            return ControlFlow::Break(());
        }
        let from = if resumed { self.want_from } else { 0 };
        let cut = self.file.set_len(from).and_then(|()| self.file.seek(SeekFrom::Start(from)));
        if let Err(e) = cut {
            self.error = Some(Failed::Disk(e.to_string()));
            return ControlFlow::Break(());
        }
        self.have = from;
        self.since = (self.clock.now(), from);
        if head.length.is_some_and(|l| l.saturating_add(from) > self.limit) {
            self.error = Some(too_large(self.limit));
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn data(&mut self, part: &[u8]) -> ControlFlow<()> {
        self.have = self.have.saturating_add(part.len() as u64);
        if self.have > self.limit {
            self.error = Some(too_large(self.limit));
            return ControlFlow::Break(());
        }
        if let Err(e) = self.file.write_all(part) {
            self.error = Some(Failed::Disk(e.to_string()));
            return ControlFlow::Break(());
        }
        let (began, had) = self.since;
        let now = self.clock.now();
        if now.saturating_sub(began) >= self.slowest.0.as_secs() {
            let got = self.have.saturating_sub(had);
            if got < self.slowest.1 {
                let seconds = now.saturating_sub(began);
                self.error = Some(Failed::Server(format!("too slow: {got} bytes in {seconds} s")));
                return ControlFlow::Break(());
            }
            self.since = (now, self.have);
        }
        let from = self.want_from.min(self.have);
        let total =
            self.head.length.map(|l| if self.head.status == 206 { l.saturating_add(from) } else { l });
        self.watch.event(&Event::Progress { file: self.label, done: self.have, total });
        ControlFlow::Continue(())
    }
}

fn too_large(limit: u64) -> Failed {
    Failed::Wrong(format!("larger than {limit} bytes"))
}

impl Downloader<'_> {
    /// Downloads `url` into `to`, at most `limit` bytes; gives the answer's head. `label` names the file in events.
    pub(super) fn get(
        &self,
        url: &Url,
        label: &str,
        to: &mut Temp,
        limit: u64,
        watch: &dyn Watch,
    ) -> Result<Head, Failed> {
        let begun = self.clock.now();
        let (mut url, mut redirects) = (url.clone(), 0u32);
        // Another server was reached by a redirect: nothing that is secret goes there, nor to any after it.
        let (mut strange, mut public_only) = (false, false);
        let (mut tries, mut have, mut validator) = (0u32, 0u64, None::<String>);
        loop {
            let host = url.origin().ascii_serialization();
            if let Some(seconds) = self.breaker.closed_for(&host, self.clock.now()) {
                return Err(match (tries, redirects) {
                    (0, 0) => Failed::Breaker(seconds),
                    _ => Failed::Server(format!("{host} does not answer; asked again in {seconds} s")),
                });
            }
            let spent = self.clock.now().saturating_sub(begun);
            let total = self.policy.total.saturating_sub(Duration::from_secs(spent));
            let request = Request {
                headers: if strange { Vec::new() } else { self.auth.headers(&url) },
                url: url.clone().into(),
                resume: validator.clone().filter(|_| have > 0).map(|v| (have, v)),
                public_only,
                connect: self.policy.connect,
                stall: self.policy.stall,
                total,
            };
            let want_from = request.resume.as_ref().map_or(0, |r| r.0);
            let mut body = Body {
                file: to.file(),
                have: 0,
                want_from,
                limit,
                head: Head::default(),
                error: None,
                label,
                watch,
                clock: self.clock,
                slowest: self.policy.slowest,
                since: (self.clock.now(), 0),
            };
            let result = self.transport.get(&request, watch, &mut body);
            let (head, got, error) = (body.head, body.have, body.error);
            if let Some(error) = error {
                if matches!(error, Failed::Server(_)) {
                    self.fail(&host);
                }
                return Err(error);
            }
            let passing = match result {
                Err(TransportError::Stopped) => return Err(Failed::Stopped),
                Err(TransportError::None) => return Err(Failed::NoNetwork),
                Err(e @ TransportError::Forbidden(_)) => return Err(Failed::Denied(e.to_string())),
                // What is wrong with a certificate is wrong for every file.
                Err(e @ TransportError::Tls(_)) => {
                    self.breaker.failure(&host, self.clock.now(), 1, self.policy.breaker_pause);
                    return Err(Failed::Server(e.to_string()));
                }
                Err(e) if !e.is_passing() => {
                    self.fail(&host);
                    return Err(Failed::Server(e.to_string()));
                }
                // Nobody there: a wrong name, no route, a closed port. Trying again takes seconds for each module.
                Err(e) if e.is_unreachable() && head.status == 0 && !self.breaker.has_answered(&host) => {
                    self.breaker.failure(&host, self.clock.now(), 1, self.policy.breaker_pause);
                    return Err(Failed::Server(e.to_string()));
                }
                Err(e) => {
                    have = got;
                    validator = head.validator.clone();
                    e.to_string()
                }
                Ok(()) => match head.status {
                    200 | 206
                        if want_from == 0 || head.status == 200 || head.range_start == Some(want_from) =>
                    {
                        self.breaker.success(&host);
                        return Ok(head);
                    }
                    206 | 416 => {
                        // The server resumed elsewhere: start again from nothing.
                        (have, validator) = (0, None);
                        format!("HTTP {} for another range", head.status)
                    }
                    404 | 410 => {
                        self.breaker.success(&host);
                        return Err(Failed::Missing);
                    }
                    301 | 302 | 303 | 307 | 308 => {
                        self.breaker.success(&host);
                        redirects = redirects.saturating_add(1);
                        if redirects > self.policy.redirects {
                            return Err(Failed::Denied(format!(
                                "more than {} redirects",
                                self.policy.redirects
                            )));
                        }
                        let mut next = redirect(&url, head.location.as_deref()).map_err(Failed::Denied)?;
                        if next.origin() != url.origin() {
                            strange = true;
                            let _ = next.set_username("");
                            let _ = next.set_password(None);
                        }
                        let meant = || self.named.iter().any(|n| n.secret().origin() == next.origin());
                        if !self.policy.private_redirects && !meant() {
                            private::check(&url, head.peer, &next).map_err(Failed::Denied)?;
                            public_only |= private::is_public(&url, head.peer);
                        }
                        url = next;
                        (have, validator) = (0, None);
                        continue;
                    }
                    // Not implemented, and a version of HTTP that is not spoken: so it stays.
                    status @ (501 | 505) => {
                        self.fail(&host);
                        return Err(Failed::Server(format!("HTTP {status}")));
                    }
                    408 | 429 | 500..=599 => format!("HTTP {}", head.status),
                    status => {
                        self.breaker.success(&host);
                        return Err(Failed::Denied(format!("HTTP {status}")));
                    }
                },
            };
            tries = tries.saturating_add(1);
            let pause = self.pause(tries, head.retry_after);
            if let (None, Some(seconds)) = (pause, head.retry_after) {
                // It says itself how long it wants to be left alone: so it is, for all files.
                let pause = seconds.min(self.policy.breaker_pause);
                self.breaker.failure(&host, self.clock.now(), 1, pause);
                return Err(Failed::Server(format!(
                    "{passing}, the server wants {seconds} s without requests"
                )));
            }
            if tries >= self.policy.tries {
                self.fail(&host);
                let tried = if tries == 1 { String::new() } else { format!(" ({tries} tries)") };
                return Err(Failed::Server(format!("{passing}{tried}")));
            }
            self.clock.sleep(pause.unwrap_or_default(), &|| watch.cancelled());
            if watch.cancelled() {
                return Err(Failed::Stopped);
            }
            if self.clock.now().saturating_sub(begun) >= self.policy.total.as_secs() {
                self.fail(&host);
                return Err(Failed::Server(format!("{passing}; not done after {:?}", self.policy.total)));
            }
        }
    }

    fn fail(&self, host: &str) {
        let p = self.policy;
        self.breaker.failure(host, self.clock.now(), p.breaker_failures, p.breaker_pause);
    }

    /// Pause before the next try; `None` when the server asks for more than is waited for.
    fn pause(&self, tries: u32, retry_after: Option<u64>) -> Option<Duration> {
        match retry_after {
            Some(s) => Some(Duration::from_secs(s)).filter(|d| *d <= self.policy.longest_pause),
            None => Some(self.policy.backoff.saturating_mul(1 << tries.saturating_sub(1).min(10))),
        }
    }
}

/// Where a redirect leads, if it may be followed.
fn redirect(from: &Url, location: Option<&str>) -> Result<Url, String> {
    let location = location.ok_or("a redirect without a target")?;
    let to = from.join(location).map_err(|e| format!("a redirect to nowhere: {e}"))?;
    match to.scheme() {
        "https" => Ok(to),
        "http" if from.scheme() == "http" => Ok(to),
        "http" => Err("a redirect from https to http is not followed".into()),
        other => Err(format!("a redirect to {other}: is not followed")),
    }
}
