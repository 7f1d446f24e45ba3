//! HTTP(S) by `reqwest` on a private runtime; TLS by rustls with ring, certificates by the system's verifier,
//! the system's proxies.

use super::Watch;
use super::private;
use super::transport::{Head, Receiver, Request, Transport, TransportError};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{self, HeaderMap};
use std::error::Error;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// How often a waiting request looks whether it was cancelled.
const TICK: Duration = Duration::from_millis(100);

/// The transport for real servers.
#[derive(Debug)]
pub struct Http {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    client: reqwest::Client,
    connect: Duration,
    /// Connects to public addresses only; made when it is first needed.
    public: OnceLock<Result<reqwest::Client, String>>,
}

impl Http {
    /// A transport with its own runtime (one thread) and connection pool. `connect` is the time for a connection.
    ///
    /// # Errors
    /// The runtime or the TLS set-up failed; the text says how.
    pub fn new(connect: Duration) -> Result<Http, String> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("symbol-store")
            .enable_io()
            .enable_time()
            .build()
            .map_err(|e| e.to_string())?;
        // The provider is process-wide in rustls; a second installation by an embedding program is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = client(connect).build().map_err(|e| chain(&e))?;
        Ok(Http { runtime: Some(runtime), client, connect, public: OnceLock::new() })
    }

    fn client_for(&self, request: &Request) -> Result<&reqwest::Client, TransportError> {
        if !request.public_only {
            return Ok(&self.client);
        }
        let make = || client(self.connect).dns_resolver(PublicOnly).build().map_err(|e| chain(&e));
        self.public.get_or_init(make).as_ref().map_err(|e| TransportError::Connect(e.clone()))
    }
}

/// Does not wait for what still runs, such as the look-up of a name that nobody answers.
impl Drop for Http {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn client(connect: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("dumpscope/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect)
}

/// Looks names up as usual, and knows private addresses only to refuse them.
#[derive(Clone, Copy, Debug)]
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if let Some(inside) = found.iter().find(|a| private::is_private(a.ip())) {
                return Err(Box::new(Inside(inside.ip())) as Box<dyn Error + Send + Sync>);
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// A name leads to this address, which is no public one.
#[derive(Debug)]
struct Inside(IpAddr);

impl fmt::Display for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&private::refusal(self.0))
    }
}

impl Error for Inside {}

impl Transport for Http {
    fn get(&self, request: &Request, watch: &dyn Watch, to: &mut dyn Receiver) -> Result<(), TransportError> {
        let Some(runtime) = &self.runtime else { return Err(TransportError::None) };
        let mut url = request.url.secret().clone();
        // Two answers to the same question would be none.
        if request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
            let _ = url.set_username("");
            let _ = url.set_password(None);
        }
        // Symbol files are packed already or read in place: what arrives should be the file.
        let mut builder = self.client_for(request)?.get(url).header(header::ACCEPT_ENCODING, "identity");
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some((from, validator)) = &request.resume {
            builder =
                builder.header(header::RANGE, format!("bytes={from}-")).header(header::IF_RANGE, validator);
        }
        let start = Instant::now();
        let clock = Limits { start, total: request.total, stall: request.stall };
        runtime.block_on(async move {
            let response = clock.wait(watch, builder.send()).await??;
            let peer = response.remote_addr().map(|a| a.ip());
            let head = Head { peer, ..head(response.status().as_u16(), response.headers()) };
            if to.head(&head).is_break() {
                return Ok(());
            }
            let mut response = response;
            while let Some(part) = clock.wait(watch, response.chunk()).await?? {
                if to.data(&part).is_break() {
                    return Err(TransportError::Stopped);
                }
            }
            Ok(())
        })
    }
}

/// The time limits of one request.
struct Limits {
    start: Instant,
    total: Duration,
    stall: Duration,
}

impl Limits {
    /// Waits for one step of the transfer, and for the user's word.
    async fn wait<T>(
        &self,
        watch: &dyn Watch,
        step: impl Future<Output = Result<T, reqwest::Error>>,
    ) -> Result<Result<T, TransportError>, TransportError> {
        let begun = Instant::now();
        let mut step = std::pin::pin!(step);
        loop {
            if watch.cancelled() {
                return Err(TransportError::Stopped);
            }
            if self.start.elapsed() >= self.total {
                let s = self.total.as_secs_f32();
                return Err(TransportError::Timeout(format!("not done after {s} s")));
            }
            if let Ok(done) = tokio::time::timeout(TICK.min(self.stall), step.as_mut()).await {
                return Ok(done.map_err(classify));
            }
            if begun.elapsed() >= self.stall {
                let s = self.stall.as_secs_f32();
                return Err(TransportError::Timeout(format!("no answer for {s} s")));
            }
        }
    }
}

fn classify(e: reqwest::Error) -> TransportError {
    let (timeout, connect, builder) = (e.is_timeout(), e.is_connect(), e.is_builder());
    // Its own text would name the URL with all that is in it.
    let e = e.without_url();
    let text = chain(&e);
    if is_inside(&e) {
        TransportError::Forbidden(text)
    } else if timeout && !connect {
        TransportError::Timeout(text)
    } else if text.contains("certificate") || text.contains("tls") || text.contains("TLS") {
        TransportError::Tls(text)
    } else if connect {
        TransportError::Connect(text)
    } else if builder || text.ends_with(" parsed") || text.contains("head is too large") {
        TransportError::Protocol(text)
    } else {
        TransportError::Broken(text)
    }
}

fn is_inside(e: &reqwest::Error) -> bool {
    let mut next = e.source();
    for _ in 0..8 {
        let Some(cause) = next else { return false };
        if cause.is::<Inside>() {
            return true;
        }
        next = cause.source();
    }
    false
}

/// The innermost causes are what a user understands ("Connection refused"); the outer ones repeat the URL.
fn chain(e: &dyn Error) -> String {
    let mut texts = Vec::new();
    let mut next = e.source();
    while let Some(cause) = next {
        if texts.len() >= 8 {
            break;
        }
        texts.push(cause.to_string());
        next = cause.source();
    }
    let text = texts.pop().unwrap_or_else(|| e.to_string());
    dumpscope_core::base::text::escape(&text).into_owned()
}

fn head(status: u16, headers: &HeaderMap) -> Head {
    let text = |name: header::HeaderName| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let etag = text(header::ETAG).filter(|t| !t.starts_with("W/"));
    Head {
        status,
        location: text(header::LOCATION),
        retry_after: text(header::RETRY_AFTER).and_then(|t| t.trim().parse().ok()),
        encoding: text(header::CONTENT_ENCODING).map(|t| t.trim().to_ascii_lowercase()),
        peer: None,
        length: text(header::CONTENT_LENGTH).and_then(|t| t.trim().parse().ok()),
        range_start: text(header::CONTENT_RANGE).and_then(|t| {
            let digits = t.trim().strip_prefix("bytes")?.trim_start().split('-').next()?;
            digits.parse().ok()
        }),
        validator: etag.or_else(|| text(header::LAST_MODIFIED)),
    }
}
