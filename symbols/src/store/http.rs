//! HTTP(S) by `reqwest` on a private runtime; TLS by rustls with ring, certificates by the system's verifier,
//! the system's proxies.

use super::Watch;
use super::transport::{Head, Receiver, Request, Transport, TransportError};
use reqwest::header::{self, HeaderMap};
use std::error::Error;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// How often a waiting request looks whether it was cancelled.
const TICK: Duration = Duration::from_millis(100);

/// The transport for real servers.
#[derive(Debug)]
pub struct Http {
    runtime: Runtime,
    client: reqwest::Client,
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
        let client = reqwest::Client::builder()
            .user_agent(concat!("dumpscope/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(connect)
            .build()
            .map_err(|e| chain(&e))?;
        Ok(Http { runtime, client })
    }
}

impl Transport for Http {
    fn get(&self, request: &Request, watch: &dyn Watch, to: &mut dyn Receiver) -> Result<(), TransportError> {
        let mut builder = self.client.get(request.url.clone());
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some((from, validator)) = &request.resume {
            builder =
                builder.header(header::RANGE, format!("bytes={from}-")).header(header::IF_RANGE, validator);
        }
        let start = Instant::now();
        let clock = Limits { start, total: request.total, stall: request.stall };
        self.runtime.block_on(async move {
            let response = clock.wait(watch, builder.send()).await??;
            let head = head(response.status().as_u16(), response.headers());
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
            if let Ok(done) = tokio::time::timeout(TICK.min(self.stall), step.as_mut()).await {
                return Ok(done.map_err(|e| classify(&e)));
            }
            if self.start.elapsed() >= self.total {
                let s = self.total.as_secs_f32();
                return Err(TransportError::Timeout(format!("not done after {s} s")));
            }
            if begun.elapsed() >= self.stall {
                let s = self.stall.as_secs_f32();
                return Err(TransportError::Timeout(format!("no answer for {s} s")));
            }
        }
    }
}

fn classify(e: &reqwest::Error) -> TransportError {
    let text = chain(e);
    if e.is_timeout() && !e.is_connect() {
        TransportError::Timeout(text)
    } else if text.contains("certificate") || text.contains("tls") || text.contains("TLS") {
        TransportError::Tls(text)
    } else if e.is_connect() {
        TransportError::Connect(text)
    } else {
        TransportError::Broken(text)
    }
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
        length: text(header::CONTENT_LENGTH).and_then(|t| t.trim().parse().ok()),
        range_start: text(header::CONTENT_RANGE).and_then(|t| {
            let digits = t.trim().strip_prefix("bytes")?.trim_start().split('-').next()?;
            digits.parse().ok()
        }),
        validator: etag.or_else(|| text(header::LAST_MODIFIED)),
    }
}
