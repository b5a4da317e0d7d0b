//! The client on a laptop: finds home at home and away, lists, fetches and stores files.
//!
//! [`login`] meets a node for the first time: it checks that the node's id vouches for the TLS key
//! of the connection, and gets a password for this device. [`Logins`] keeps what is needed to come
//! back, [`Home`] is a connection to a node that proves to be the same one. [`list`](Home::list),
//! [`fetch`] and [`store`] are what commands do there (R11, R18, R101).
//!
//! Invariants: no password leaves before the other side has proved to hold the pinned key or a key
//! that the pinned node vouches for. Nothing on either side is replaced unless that was asked for.
//! A file that is being fetched has a name of its own until it is complete and checked.
//!
//! Files are read and written where the command waits for them; this crate is for a program that
//! does one thing at a time.
#![forbid(unsafe_code)]

mod connection;
mod error;
mod fetch;
mod home;
mod login;
mod logins;
mod place;
mod progress;
mod store;
mod trust;

pub use error::{ClientError, Kind};
pub use fetch::{Fetch, Fetched, fetch};
pub use home::{Entry, EntryKind, Home, Via};
pub use login::{Credentials, Introduction, meet, sign_in};
pub use logins::{Login, Logins};
pub use place::{Address, Place};
pub use progress::{Progress, Silent};
pub use store::{Store, Stored, store};

use tokio::sync::mpsc;

/// Nodes that a [`Finder`] may find and nobody has looked at yet.
pub(crate) const FOUND_MAX: usize = 32;

/// Where nodes are looked for that are not at the address where they were last.
pub trait Finder {
    /// Hands over nodes with this name or id as they are found; ends when no more will be. Sends
    /// nothing if nobody of that name is seen. Ends early when nobody receives any more.
    fn find(
        &self,
        name: &str,
        found: mpsc::Sender<Found>,
    ) -> impl Future<Output = Result<(), ClientError>>;
}

/// A node that was found. Nothing of it is proved yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Who it says it is.
    pub node: protocol::NodeId,
    /// Where HTTPS is.
    pub addresses: Vec<std::net::SocketAddr>,
}
