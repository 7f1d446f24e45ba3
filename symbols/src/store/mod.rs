//! The symbol store client: finds a file in the places of a symbol path and brings it into the local stores.
//!
//! [`Client::find`] asks the candidates of a path ([`crate::locate::SymbolPath::candidates`]) in their order, folders,
//! stores and servers alike. A hit is copied to every local store to its left, as SymSrv does; what comes from a server
//! goes through a temporary file, is opened (which checks GUID and age, or time stamp and size), and appears in the store
//! by a rename. Every place that was asked is told in the answer ([`Attempt`]), which is what `symbols check` prints.
//!
//! Names from the dump are [`crate::locate::SafeName`]s, URLs are [`crate::locate::StoreUrl`]s, which print no secrets.
//! Redirects lead only to http(s), never from https to http, never from outside to inside, and take no credentials to
//! another server; a path without a URL, or `offline`, never reaches the transport.

mod auth;
mod breaker;
mod client;
mod clock;
mod create;
mod default;
mod download;
#[cfg(feature = "net")]
mod http;
mod listing;
mod local;
mod names;
mod negative;
mod private;
mod server;
#[cfg(test)]
mod tests;
mod transport;
mod unpack;

pub use auth::Auth;
pub use client::{Attempt, Client, Fetched, Found, Open, Outcome, Wanted};
pub use clock::{Clock, SystemClock};
pub use create::open_to_others;
pub use default::default_cache;
#[cfg(feature = "net")]
pub use http::Http;
pub use negative::{Cause, Remembered};
pub use transport::{Head, NoTransport, Receiver, Request, Transport, TransportError};

use crate::locate::StoreUrl;
use std::time::Duration;

/// Time and size limits. The defaults suit a person who waits; tests set their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Time for a connection.
    pub connect: Duration,
    /// Longest silence while an answer comes.
    pub stall: Duration,
    /// Time for one file, all tries together.
    pub total: Duration,
    /// Tries for one request.
    pub tries: u32,
    /// Pause before the second try; doubled before each further one.
    pub backoff: Duration,
    /// Longest `Retry-After` that is waited for; a longer one ends the tries.
    pub longest_pause: Duration,
    /// A body that brings fewer bytes than this in such a time is given up.
    pub slowest: (Duration, u64),
    /// Largest file that is downloaded, bytes.
    pub max_download: u64,
    /// Largest file that a packed one may expand to, bytes.
    pub max_unpacked: u64,
    /// Redirects that are followed.
    pub redirects: u32,
    /// Follow redirects from public addresses to private ones.
    pub private_redirects: bool,
    /// Failures in a row after which a host is left alone.
    pub breaker_failures: u32,
    /// Seconds for which it is left alone.
    pub breaker_pause: u64,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(20),
            total: Duration::from_secs(15 * 60),
            tries: 3,
            backoff: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
            slowest: (Duration::from_secs(30), 8 << 10),
            max_download: 4 << 30,
            max_unpacked: 8 << 30,
            redirects: 5,
            private_redirects: false,
            breaker_failures: 3,
            breaker_pause: 300,
        }
    }
}

/// Sees what happens, and may stop it.
pub trait Watch: Send + Sync + std::fmt::Debug {
    /// Something happened. A download has one [`Event::Started`], any number of [`Event::Progress`] and exactly
    /// one [`Event::Ended`].
    fn event(&self, event: &Event<'_>) {
        let _ = event;
    }

    /// True to stop.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Sees nothing, stops nothing.
#[derive(Clone, Copy, Debug)]
pub struct Unwatched;

impl Watch for Unwatched {}

/// What happens during a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A file is asked for at a server.
    Started {
        /// File name and id.
        file: &'a str,
        /// The server.
        url: &'a StoreUrl,
    },
    /// Bytes came.
    Progress {
        /// File name and id.
        file: &'a str,
        /// Bytes so far.
        done: u64,
        /// All bytes, when the server says.
        total: Option<u64>,
    },
    /// It is over, one way or the other.
    Ended {
        /// File name and id.
        file: &'a str,
        /// How.
        outcome: &'a Outcome,
    },
}
