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
    /// Links to the node that knew it; 0: this one, or the center.
    pub hops: u16,
    /// What it offers to this node; `None` if it did not answer.
    pub offers: Option<Vec<OfferReport>>,
}

/// Whether the node's center serves it (R2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CenterState {
    /// On the way to it.
    Connecting,
    /// Registered, and the link stands.
    Registered,
    /// It cannot be reached: the reason, in the words of the network.
    Away(String),
    /// It refuses this node.
    Refused(CenterRefusal),
    /// The owner has stopped the work.
    Stopped,
}

/// Why a center does not do what the node wants, as far as people can do something about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CenterRefusal {
    /// The name is another node's.
    NameTaken,
    /// It looks like this name of another node.
    NameLooksLike(String),
    /// The center keeps it for itself.
    NameReserved,
    /// The node's name cannot be one in the DNS.
    NoLabel,
    /// Registration needs an invite that holds.
    Invite,
    /// The clocks differ too much, or the statement is not valid.
    NotValid,
    /// Anything else, in the center's words.
    Other(String),
}

/// The node's center as the page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CenterReport {
    /// The string that names it.
    pub center: String,
    /// Whether it serves this node.
    pub state: CenterState,
    /// Where browsers find this node.
    pub url: Option<String>,
    /// When it heard from this node last, RFC 3339.
    pub last_renewed: Option<String>,
    /// The name that was wanted and why it was not given.
    pub name_refused: Option<(String, CenterRefusal)>,
    /// The last lie that it was caught with.
    pub lie: Option<String>,
}

/// The end of a search (R29).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchReport {
    /// Several nodes may have one name.
    pub nodes: Vec<FoundReport>,
    /// The center was to be asked, and could not be, or lied.
    pub center_trouble: Option<String>,
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

    /// The center, if the node has one.
    fn center(&self) -> Option<CenterReport>;

    /// Seeks a node by name or id; ends within a few seconds.
    fn find<'a>(&'a self, what: &'a str) -> Pending<'a, Result<SearchReport, ClusterTrouble>>;

    /// Seeks people by a part of a name or an address in the book of this node, of friends, and of
    /// their friends; ends within a few seconds.
    fn people<'a>(
        &'a self,
        term: &'a Term,
    ) -> Pending<'a, Result<Vec<PersonReport>, ClusterTrouble>>;
}
