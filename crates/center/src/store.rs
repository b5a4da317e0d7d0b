//! What a center keeps on a disk: one trait, two databases, one test suite that both run.
//!
//! [`Store::commit`] takes a batch of writes as one transaction and answers when it is durable.
//! The database decides what two writers at once could not know of each other: a lower number
//! never replaces a higher one, a name is given once, an invite is used as often as it says.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use protocol::message::center::{Resources, Usage};
use protocol::{NodeId, NodeName, SignedRecord, Timestamp};
use thiserror::Error;

#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;
#[cfg(test)]
mod suite;

#[cfg(feature = "postgres")]
pub use postgres::Postgres;
pub use sqlite::Sqlite;

/// Why the database did not do it.
#[derive(Debug, Clone, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// It cannot be reached now; it is tried again at the next write.
    #[error("the database {place} cannot be reached: {why}")]
    Away {
        /// Which, without a password.
        place: String,
        /// What the attempt said.
        why: String,
    },
    /// It answered with an error.
    #[error("the database failed: {0}")]
    Failed(String),
    /// What it holds is not ours or is damaged.
    #[error("the database holds something that is not of a center: {0}")]
    Foreign(String),
}

/// Names an invite without giving it away: BLAKE3 of its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InviteKey(pub [u8; 32]);

impl InviteKey {
    /// The key of a token.
    #[must_use]
    pub fn of(token: &[u8; 16]) -> Self {
        Self(blake3::derive_key("cumulet center 1 invite", token))
    }
}

/// Something to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A node that is new, or that has a new record or other resources.
    Node {
        /// Who.
        id: NodeId,
        /// Number of its statement.
        said: u64,
        /// Number of its record.
        seq: u64,
        /// As it was signed.
        record: SignedRecord,
        /// Those of the record, for people who look into the database.
        addresses: Vec<SocketAddr>,
        /// What it has.
        resources: Resources,
        /// What of it is in use.
        usage: Usage,
        /// When it came.
        at: Timestamp,
        /// What a new node used up.
        invite: Option<InviteKey>,
    },
    /// A name for a node; its former one rests.
    Name {
        /// Whose.
        id: NodeId,
        /// Number of its statement.
        said: u64,
        /// Which.
        name: NodeName,
        /// When.
        at: Timestamp,
        /// Names that others gave up before this are free.
        free_before: Timestamp,
    },
    /// The texts of a node.
    Texts {
        /// Whose.
        id: NodeId,
        /// Number of its statement.
        said: u64,
        /// All of them.
        texts: Vec<String>,
    },
    /// A new invite.
    Invite {
        /// Its key.
        key: InviteKey,
        /// For so many nodes.
        uses: u32,
        /// Not after.
        until: Timestamp,
    },
    /// A node becomes important or ordinary.
    Pin {
        /// Which.
        id: NodeId,
        /// Important.
        pinned: bool,
    },
    /// A node is forgotten; its name is free.
    Remove {
        /// Which.
        id: NodeId,
    },
}

impl Write {
    /// Whom it is about, if it is about a node.
    #[must_use]
    pub fn node(&self) -> Option<&NodeId> {
        match self {
            Self::Node { id, .. }
            | Self::Name { id, .. }
            | Self::Texts { id, .. }
            | Self::Pin { id, .. }
            | Self::Remove { id } => Some(id),
            Self::Invite { .. } => None,
        }
    }
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is on the disk.
    Done,
    /// The database has this number or a higher one.
    Stale {
        /// Which.
        have: u64,
    },
    /// Somebody else has the name, or one that looks like it.
    NameTaken,
    /// The invite does not hold.
    InviteSpent,
    /// There is no such node.
    NoNode,
}

/// A node as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeRow {
    /// Who.
    pub id: NodeId,
    /// Number of the last statement that was kept.
    pub said: u64,
    /// As it was signed.
    pub record: SignedRecord,
    /// Its name.
    pub name: Option<NodeName>,
    /// What it has.
    pub resources: Resources,
    /// What of it was in use.
    pub usage: Usage,
    /// Its texts.
    pub texts: Vec<String>,
    /// It was there when that was noted last.
    pub online: bool,
    /// Important.
    pub pinned: bool,
    /// When it came first.
    pub first_seen: Timestamp,
    /// When it was heard of, roughly.
    pub last_seen: Timestamp,
}

/// A name that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestingName {
    /// Which.
    pub name: NodeName,
    /// Who had it.
    pub node: NodeId,
    /// Until when.
    pub released: Timestamp,
}

/// Presence and usage, kept now and then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Who.
    pub id: NodeId,
    /// It is there.
    pub online: bool,
    /// When it was heard of.
    pub last_seen: Timestamp,
    /// What is in use.
    pub usage: Usage,
}

/// An answer that comes later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Where a center keeps what must outlive it.
pub trait Store: Send + Sync {
    /// Does all of `writes` as one transaction, each as far as it holds; answers when they are
    /// durable. On an error it is unknown whether they are. At most one write for each node.
    fn commit(&self, writes: Vec<Write>) -> Later<'_, Vec<Outcome>>;

    /// Notes presence and usage.
    fn note(&self, seen: Vec<Seen>) -> Later<'_, ()>;

    /// Every node, a piece at a time, and then the names at rest.
    fn load<'a>(&'a self, each: &'a mut (dyn FnMut(NodeRow) + Send))
    -> Later<'a, Vec<RestingName>>;

    /// Finishes and lets go.
    fn close(&self) -> Later<'_, ()>;
}

fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Failed(error.to_string()))
}
