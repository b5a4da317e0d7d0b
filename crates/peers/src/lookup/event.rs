//! What a lookup is told, what it says, and what it needs to know of its node.

use std::time::Duration;

use protocol::message::lookup::{
    ContactCard, LookupMessage, Query, QueryId, SignedCards, Target, Term,
};
use protocol::{NodeId, NodeName, NodeRecord, RecordError, SignedRecord};

/// Number that the driver gives to a lookup of its own node.
pub type FindId = u64;

/// What the machine needs to know of its node while it handles an event.
pub trait Surroundings {
    /// Nodes that are linked and can be asked, in any order.
    fn linked(&self) -> &[Linked];
    /// Records of nodes that `target` means and that may be given to `asker`: of known nodes, and
    /// the own one. Contacts are not answered here.
    fn records(&self, target: &Target, asker: Asker) -> Vec<KnownRecord>;
    /// Cards of the own address book that `term` means, signed as the answer to `qid` (R52). `from`
    /// is the friend that asked, `links` the number of links between friends that join the one that
    /// seeks to this node: at 1 cards that are shared with friends, at 2 those that are shared with
    /// friends of friends. To be audited.
    fn cards(&self, from: NodeId, qid: QueryId, links: u8, term: &Term) -> Option<SignedCards>;
    /// The own node.
    fn own(&self) -> NodeId;
    /// Known nodes whose records may be given to anybody, and the own one if that holds for it.
    fn public(&self) -> Vec<(NodeId, Option<NodeName>)>;
    /// The record, if it is signed by its node and holds now ([`SignedRecord::open`]).
    ///
    /// # Errors
    /// Those of [`SignedRecord::open`].
    fn open(&self, record: &SignedRecord) -> Result<NodeRecord, RecordError>;
}

/// A node that can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linked {
    /// Its id.
    pub node: NodeId,
    /// Round-trip time of the link, an estimate.
    pub rtt: Duration,
    /// It is a friend.
    pub friend: bool,
}

/// On whose behalf records are sought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// The own node.
    Own,
    /// Somebody whom links between friends join to the own node: so many, at least 1.
    FriendsAway(u8),
    /// Somebody else.
    Stranger,
}

/// A record that may be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRecord {
    /// As its node signed it.
    pub record: SignedRecord,
    /// `seq` in it.
    pub seq: u64,
    /// Nodes on the way may keep it: its node is visible to everybody.
    pub keep: bool,
}

/// Where a lookup of the own node ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Links that a query crosses at most. From [`HOPS_DEFAULT`] on, walks go on beyond it.
    pub hops: u16,
    /// An answer is given after so long at the latest.
    pub deadline: Duration,
    /// Messages that it causes at most, in all nodes together.
    pub budget: u32,
}

/// `cumulet find` without `--max-hops`.
pub const HOPS_DEFAULT: u16 = 6;
/// `cumulet find` without `--deadline`.
pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(10);
/// Messages that a lookup causes at most if nobody says otherwise.
pub const BUDGET_DEFAULT: u32 = 5000;

impl Default for Limits {
    fn default() -> Self {
        Self {
            hops: HOPS_DEFAULT,
            deadline: DEADLINE_DEFAULT,
            budget: BUDGET_DEFAULT,
        }
    }
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The own node seeks.
    Find {
        /// Number of the driver's choice, not in use.
        find: FindId,
        /// What.
        target: Target,
        /// Until when.
        limits: Limits,
    },
    /// The own node does not want to know any more.
    Abandon(FindId),
    /// A message came over the lookup link of `from`.
    Received {
        /// The node whose id the link has proven.
        from: NodeId,
        /// What it said.
        message: LookupMessage,
    },
    /// A lookup link to this node stands.
    Linked(NodeId),
    /// It has none any more.
    Unlinked(NodeId),
    /// What [`Surroundings::public`] gives may be another thing than before.
    ListChanged,
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Say it over the lookup link to `to`. If there is no link any more it is dropped.
    Send {
        /// Whom.
        to: NodeId,
        /// What.
        message: LookupMessage,
    },
    /// A lookup of the own node has found a node, or a newer record of it. Others may follow.
    Found {
        /// Which lookup.
        find: FindId,
        /// The record, opened.
        node: NodeRecord,
        /// As its node signed it.
        record: SignedRecord,
        /// Links to the node that knew it; 0: the own one.
        hops: u16,
        /// The neighbor that the answer came from; `None`: the own list.
        from: Option<NodeId>,
    },
    /// A lookup of the own node has found cards.
    FoundContacts {
        /// Which lookup.
        find: FindId,
        /// Whose book it is.
        holder: NodeId,
        /// What it shares.
        cards: Vec<ContactCard>,
        /// Links to that node.
        hops: u16,
    },
    /// A lookup of the own node is over.
    Finished {
        /// Which lookup.
        find: FindId,
        /// How.
        outcome: Outcome,
    },
    /// A verified record of another node came by; the table of neighbors may want it.
    Heard {
        /// The record, opened.
        node: NodeRecord,
        /// As its node signed it.
        record: SignedRecord,
    },
    /// A neighbor broke a rule; its standing should suffer.
    Fault {
        /// Which.
        from: NodeId,
        /// Which rule.
        fault: Fault,
    },
}

impl Action {
    /// Asks `to`.
    pub(super) fn ask(to: NodeId, query: Query) -> Self {
        let message = LookupMessage::Query(query);
        Self::Send { to, message }
    }
}

/// A rule that a neighbor broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It answered what it was not asked.
    Unasked,
    /// It gave a record that is forged, too old, or not of what was sought.
    BadRecord,
    /// It gave cards that are forged or answer another query.
    BadCards,
    /// It asks more often than allowed.
    TooMany,
}

/// How a lookup ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Something was found.
    pub found: bool,
    /// Why it ended.
    pub end: End,
    /// Messages that it caused at most: what was spent of the budget as far as it is known.
    pub messages: u32,
    /// How long it took.
    pub took: Duration,
}

/// Why a lookup ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was found.
    Found,
    /// Everybody within the limit of hops was asked.
    Exhausted,
    /// The budget is spent.
    Budget,
    /// The time is over.
    Deadline,
    /// The own node gave it up.
    Abandoned,
    /// Too many lookups of the own node run already.
    Busy,
}
