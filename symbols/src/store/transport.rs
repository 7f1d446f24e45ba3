//! What the client asks of a network, so that policies are tested without one.

use super::Watch;
use crate::locate::StoreUrl;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::Duration;

/// One GET request.
#[derive(Clone)]
pub struct Request {
    /// Where. May hold secrets: it is never shown.
    pub url: StoreUrl,
    /// Headers to add. Values may be secrets: they are never shown.
    pub headers: Vec<(String, String)>,
    /// Bytes that are already there: sends `Range` (with `If-Range: validator`).
    pub resume: Option<(u64, String)>,
    /// Connect to public addresses only.
    pub public_only: bool,
    /// Time for a connection.
    pub connect: Duration,
    /// Longest silence while the answer comes.
    pub stall: Duration,
    /// Time for everything.
    pub total: Duration,
}

/// Names of headers, never their values.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Request").field("url", &self.url).field("headers", &names).finish_non_exhaustive()
    }
}

/// Head of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// HTTP status.
    pub status: u16,
    /// `Location`.
    pub location: Option<String>,
    /// `Retry-After`, seconds; a date counts as absent.
    pub retry_after: Option<u64>,
    /// `Content-Encoding`, in lower case.
    pub encoding: Option<String>,
    /// Who answered, when known: a proxy's address where one is used.
    pub peer: Option<IpAddr>,
    /// `Content-Length`.
    pub length: Option<u64>,
    /// First byte of `Content-Range`.
    pub range_start: Option<u64>,
    /// Strong `ETag`, else `Last-Modified`: lets a broken transfer go on.
    pub validator: Option<String>,
}

/// Why there is no (whole) answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No connection: name, route, refusal.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// TLS was refused.
    #[error("TLS: {0}")]
    Tls(String),
    /// What came is no HTTP, or more header than anybody needs.
    #[error("no proper HTTP answer: {0}")]
    Protocol(String),
    /// The address may not be connected to.
    #[error("{0}")]
    Forbidden(String),
    /// A time limit.
    #[error("{0}")]
    Timeout(String),
    /// The transfer broke.
    #[error("the transfer broke: {0}")]
    Broken(String),
    /// The user or the body's taker stopped it.
    #[error("stopped")]
    Stopped,
    /// Built without network, or told to stay offline.
    #[error("no network in this build")]
    None,
}

impl TransportError {
    /// True when no connection came about, or nothing came over it.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        matches!(self, TransportError::Connect(_) | TransportError::Timeout(_))
    }

    /// True when another try may help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, TransportError::Connect(_) | TransportError::Timeout(_) | TransportError::Broken(_))
    }
}

/// Takes the answer's head, then its body. The head decides whether the body is wanted.
pub trait Receiver {
    /// The head; `Break` leaves the body out.
    fn head(&mut self, head: &Head) -> ControlFlow<()>;
    /// A part of the body; `Break` ends the transfer.
    fn data(&mut self, part: &[u8]) -> ControlFlow<()>;
}

/// Sends a request. Follows no redirect, adds nothing to what the request says but a user agent.
pub trait Transport: Send + Sync + std::fmt::Debug {
    /// Does it.
    ///
    /// # Errors
    /// No connection, a time limit, a broken transfer, or a stop.
    fn get(&self, request: &Request, watch: &dyn Watch, to: &mut dyn Receiver) -> Result<(), TransportError>;
}

/// A transport that refuses: for builds without network and for `--offline`.
#[derive(Clone, Copy, Debug)]
pub struct NoTransport;

impl Transport for NoTransport {
    fn get(&self, _: &Request, _: &dyn Watch, _: &mut dyn Receiver) -> Result<(), TransportError> {
        Err(TransportError::None)
    }
}
