//! What the rim shows of other nodes. The composition root implements it; the rim knows nothing of
//! how nodes talk.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use protocol::NodeId;
use protocol::message::lookup::Term;

/// A future of a trait object.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whether a neighbor is there (R23).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeighborState {
    /// It answered the last beat.
    Seen,
    /// It has missed one or two.
    Suspect,
    /// It is gone.
    Gone,
}

/// The way to a neighbor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NeighborPath {
    /// Straight to this address.
    Direct(String),
    /// Through this relay.
    Relayed(String),
    /// There is no link.
    None,
}

/// What another node offers to this one (R34).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferReport {
    /// `pages`, `webdav`, `files`, or a name of a later version.
    pub name: String,
    /// Where a browser reaches it, if it does.
    pub url: Option<String>,
}

/// A neighbor as the page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeighborReport {
    /// Its id.
    pub id: NodeId,
    /// Its name; a claim.
    pub name: Option<String>,
    /// Whether it is there.
    pub state: NeighborState,
    /// The way to it.
    pub path: NeighborPath,
    /// Round-trip time.
    pub rtt: Option<Duration>,
    /// The version it says it runs.
    pub version: Option<String>,
    /// What it offers to this node; `None` if it was not asked yet.
    pub offers: Option<Vec<OfferReport>>,
    /// The owner prefers it.
    pub pinned: bool,
    /// It is a friend.
    pub friend: bool,
}

/// A node that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundReport {
    /// Its id.
    pub id: NodeId,
    /// Its name; a claim.
    pub name: Option<String>,
    /// Where it says it listens.
    pub addresses: Vec<String>,
    /// Links to the node that knew it; 0: this one.
    pub hops: u16,
    /// What it offers to this node; `None` if it did not answer.
    pub offers: Option<Vec<OfferReport>>,
}

/// The end of a search (R29).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchReport {
    /// Several nodes may have one name.
    pub nodes: Vec<FoundReport>,
    /// Messages that it caused.
    pub messages: u32,
    /// How long it took.
    pub took: Duration,
}

/// A card that was found, and where (R52).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonReport {
    /// The person.
    pub name: String,
    /// Where they are reached.
    pub addresses: Vec<String>,
    /// In whose book it is.
    pub book: BookReport,
}

/// Whose address book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BookReport {
    /// This node's.
    Own,
    /// That of a friend, by the name that it has here.
    Friend(String),
    /// That of a friend of a friend.
    Farther(NodeId),
}

/// Why there is nothing to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterTrouble {
    /// The module that knows other nodes does not run.
    Away,
    /// What was sought is neither a name nor an id.
    NoName,
}

/// Other nodes, seen from the pages.
pub trait ClusterSource: Send + Sync {
    /// All known nodes, linked ones first.
    fn neighbors(&self) -> Pending<'_, Result<Vec<NeighborReport>, ClusterTrouble>>;

    /// Seeks a node by name or id; ends within a few seconds.
    fn find<'a>(&'a self, what: &'a str) -> Pending<'a, Result<SearchReport, ClusterTrouble>>;

    /// Seeks people by a part of a name or an address in the book of this node, of friends, and of
    /// their friends; ends within a few seconds.
    fn people<'a>(
        &'a self,
        term: &'a Term,
    ) -> Pending<'a, Result<Vec<PersonReport>, ClusterTrouble>>;
}
