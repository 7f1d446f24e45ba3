//! One file from one URL: redirects, retries, resume.

use super::breaker::Breaker;
use super::create::Temp;
use super::transport::{Head, Receiver, Request, Transport, TransportError};
use super::{Auth, Clock, Event, Policy, Watch};
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
    /// The host is left alone for so many seconds.
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
    /// Downloads `url` into `to`. `label` names the file in events.
    pub(super) fn get(&self, url: &Url, label: &str, to: &Temp, watch: &dyn Watch) -> Result<(), Failed> {
        let mut file = File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .open(to.path())
            .map_err(|e| Failed::Disk(e.to_string()))?;
        let begun = self.clock.now();
        let (mut url, mut redirects) = (url.clone(), 0u32);
        let (mut tries, mut have, mut validator) = (0u32, 0u64, None::<String>);
        loop {
            let host = url.host_str().unwrap_or_default().to_owned();
            if let Some(seconds) = self.breaker.closed_for(&host, self.clock.now()) {
                return Err(Failed::Breaker(seconds));
            }
            let spent = self.clock.now().saturating_sub(begun);
            let total = self.policy.total.saturating_sub(Duration::from_secs(spent));
            let request = Request {
                headers: self.auth.headers(&url),
                url: url.clone(),
                resume: validator.clone().filter(|_| have > 0).map(|v| (have, v)),
                connect: self.policy.connect,
                stall: self.policy.stall,
                total,
            };
            let want_from = request.resume.as_ref().map_or(0, |r| r.0);
            let mut body = Body {
                file: &mut file,
                have: 0,
                want_from,
                limit: self.policy.max_download,
                head: Head::default(),
                error: None,
                label,
                watch,
            };
            let result = self.transport.get(&request, watch, &mut body);
            let (head, got, error) = (body.head, body.have, body.error);
            if let Some(error) = error {
                return Err(error);
            }
            let passing = match result {
                Err(TransportError::Stopped) => return Err(Failed::Stopped),
                Err(TransportError::None) => return Err(Failed::NoNetwork),
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
                        return Ok(());
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
                        url = redirect(&url, head.location.as_deref()).map_err(Failed::Denied)?;
                        (have, validator) = (0, None);
                        continue;
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
            if tries >= self.policy.tries || pause.is_none() {
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
