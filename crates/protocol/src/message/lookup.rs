//! Group `lookup`: finding a node, or a contact, without a center (ALPN `cumulet/lookup/1`;
//! `docs/protocol/lookup.md`; R29 to R33, R52).
//!
//! A query wanders from neighbor to neighbor. It names what is sought and never who seeks: each
//! node knows the one that it has the query from. What is found travels the same way back and
//! carries a signature that no node in between can make. A query carries its own limits, and each
//! node passes on less than it got, so a lookup ends whatever the nodes do.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::frame::Message;
use crate::{NodeId, NodeName, NodeRecord, SignedRecord};

mod contact;
mod digest;
mod near;

pub use contact::{
    CARD_BYTES_MAX, CARDS_MAX, ContactCard, ContactError, SignedCards, TERM_BYTES_MAX, Term,
};
pub use digest::{DIGEST_NODES_MAX, Digest, NEAR_LEVELS};
pub use near::Near;

/// A query travels at most so many hops; as far as a walk goes.
pub const HOPS_MAX: u16 = 256;
/// A query causes at most so many messages.
pub const BUDGET_MAX: u32 = 65_536;
/// A query lives at most so long.
pub const DEADLINE_MS_MAX: u32 = 60_000;
/// A walk goes to at most so many neighbors at once.
pub const WIDTH_MAX: u8 = 64;
/// [`Query::chain`] of a query that has crossed a link between nodes that are not friends.
pub const NO_CHAIN: u8 = u8::MAX;

const NAME_CONTEXT: &str = "cumulet lookup 1 name";
const BLINDED_CONTEXT: &str = "cumulet lookup 1 blinded id";
const MS_PER_DAY: i64 = 24 * 3600 * 1000;

/// Number of a query, drawn at random by the node that seeks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QueryId(pub [u8; 16]);

impl fmt::Debug for QueryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.0))
    }
}

/// What is sought.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Target {
    /// The node with this id.
    Node(NodeId),
    /// Nodes with the name whose hash this is; there may be several.
    Name([u8; 32]),
    /// The node whose id gives this hash on this day: only who knows the id knows who is sought.
    Blinded {
        /// Days since 1970 in UTC on the clock of the node that seeks.
        day: u32,
        /// Hash of id and day.
        tag: [u8; 32],
    },
    /// Cards in shared address books (R52); travels over links between friends only.
    Contact {
        /// How far the query may go, and the least that a card must be shared with.
        scope: ContactScope,
        /// Part of a name or address.
        term: Term,
    },
}

/// How far away the books may be that are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ContactScope {
    /// Those of friends.
    Friends,
    /// Those of friends and of their friends.
    FriendsOfFriends,
}

impl Target {
    /// Nodes called `name`.
    #[must_use]
    pub fn named(name: &NodeName) -> Self {
        Self::Name(blake3::derive_key(NAME_CONTEXT, name.as_str().as_bytes()))
    }

    /// `node`, without telling its id to those who do not know it.
    #[must_use]
    pub fn blinded(node: NodeId, day: u32) -> Self {
        Self::Blinded {
            day,
            tag: blinded_tag(node, day),
        }
    }

    /// Days since 1970 at `unix_ms`.
    #[must_use]
    pub fn day(unix_ms: i64) -> u32 {
        u32::try_from(unix_ms.div_euclid(MS_PER_DAY)).unwrap_or(0)
    }

    /// True if `record` is one that is sought.
    #[must_use]
    pub fn matches(&self, record: &NodeRecord) -> bool {
        self.matches_node(record.node, record.name.as_ref())
    }

    /// True if a node with this id and name is sought.
    #[must_use]
    pub fn matches_node(&self, node: NodeId, name: Option<&NodeName>) -> bool {
        match self {
            Self::Node(id) => *id == node,
            Self::Name(_) => name.is_some_and(|name| Self::named(name) == *self),
            Self::Blinded { day, tag } => blinded_tag(node, *day) == *tag,
            Self::Contact { .. } => false,
        }
    }
}

fn blinded_tag(node: NodeId, day: u32) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(BLINDED_CONTEXT);
    hasher.update(&node.0);
    hasher.update(&day.to_be_bytes());
    *hasher.finalize().as_bytes()
}

/// How a query is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Spread {
    /// To all others. Each answers once, when all that it asked have answered; a query that crosses
    /// an own one is its answer. So two messages pass each link. The budget is not shared: it is
    /// what the whole echo may cost, and who counts more links around refuses.
    Echo,
    /// To so many neighbors at once, which share the budget.
    Walk {
        /// 1 to [`WIDTH_MAX`].
        width: u8,
    },
}

/// "Do you know this one, and if not, would you ask others?"
///
/// The same number over the same link again is no loop but, in a walk, a grant: more budget for a
/// search that the receiver has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// Which lookup.
    pub qid: QueryId,
    /// What is sought.
    pub target: Target,
    /// How many links it may still cross after this one; 0: answer, do not pass on.
    pub hops_left: u16,
    /// Milliseconds until the answer is of no use to the receiver's previous hop.
    pub deadline_left_ms: u32,
    /// How many further messages the receiver may cause, a negative answer included; 0: answer if
    /// you know it, else say nothing.
    pub budget: u32,
    /// How it is passed on.
    pub spread: Spread,
    /// Links between friends that it has crossed before this one; [`NO_CHAIN`] if any was another.
    pub chain: u8,
}

/// What a [`Query`] brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The record of a node that is sought.
    Found {
        /// As its node signed it.
        record: SignedRecord,
        /// Links between the node that sought and the one that knew, counted on the way back.
        hops: u16,
        /// Nodes in between may keep the record for a while.
        keep: bool,
    },
    /// Cards of one address book.
    Cards {
        /// As the node with the book signed them.
        cards: SignedCards,
        /// As in [`Answer::Found`].
        hops: u16,
    },
    /// Nothing up to the limits of the query; there are nodes that were not asked.
    NotFound {
        /// Budget that was not used.
        left: u32,
    },
    /// Nothing, and nobody is left who could be asked.
    Exhausted {
        /// Budget that was not used.
        left: u32,
    },
    /// Not asked: too many queries come from this neighbor.
    Denied {
        /// Budget that was not used.
        left: u32,
    },
    /// Nothing, but an echo did not reach everybody: there are too many links, or somebody was
    /// silent. Others must be asked by walks.
    Incomplete {
        /// Budget that was not used.
        left: u32,
    },
}

/// The answer to the query `qid`, to the node that it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Which lookup.
    pub qid: QueryId,
    /// What it brought.
    pub answer: Answer,
}

/// Everything that is said over a lookup link, one frame each, in both directions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LookupMessage {
    /// Asks.
    Query(Query),
    /// Answers.
    Reply(Reply),
    /// It is found or given up: ask nobody else.
    Cancel {
        /// Which lookup.
        qid: QueryId,
    },
    /// Tells what the own list holds; boxed, because it is rare and large.
    Digest(Box<Digest>),
}

impl Message for LookupMessage {
    const WHAT: &'static str = "lookup message";
    const BYTES_MAX: usize = contact::CARDS_BYTES_MAX + 256;

    fn check(&self) -> Result<(), &'static str> {
        match self {
            Self::Query(query) => query.check(),
            Self::Reply(reply) => reply.check(),
            Self::Cancel { .. } => Ok(()),
            Self::Digest(digest) => digest.check(),
        }
    }
}

impl Query {
    fn check(&self) -> Result<(), &'static str> {
        if self.hops_left > HOPS_MAX {
            return Err("more than 256 hops");
        }
        if self.deadline_left_ms > DEADLINE_MS_MAX {
            return Err("a deadline of more than 60 s");
        }
        if self.budget > BUDGET_MAX {
            return Err("a budget of more than 65536 messages");
        }
        match self.spread {
            Spread::Echo => {}
            Spread::Walk { width } if (1..=WIDTH_MAX).contains(&width) => {}
            Spread::Walk { .. } => return Err("a width that is not between 1 and 64"),
        }
        if let Target::Contact { term, .. } = &self.target {
            term.check()?;
        }
        Ok(())
    }
}

impl Reply {
    fn check(&self) -> Result<(), &'static str> {
        match &self.answer {
            Answer::Found { hops, .. } if *hops > HOPS_MAX => Err("more than 256 hops"),
            Answer::Cards { hops, .. } if *hops > HOPS_MAX => Err("more than 256 hops"),
            Answer::Found { record, .. } => record.check(),
            Answer::Cards { cards, .. } => cards.check(),
            Answer::NotFound { left }
            | Answer::Exhausted { left }
            | Answer::Denied { left }
            | Answer::Incomplete { left } => {
                if *left > BUDGET_MAX {
                    return Err("a budget of more than 65536 messages");
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NodeSecret;

    fn query() -> Query {
        Query {
            qid: QueryId([3; 16]),
            target: Target::named(&"anna".parse().unwrap()),
            hops_left: 6,
            deadline_left_ms: 2000,
            budget: 5000,
            spread: Spread::Walk { width: 2 },
            chain: 0,
        }
    }

    fn check(change: impl FnOnce(&mut Query), good: bool) {
        let mut query = query();
        change(&mut query);
        let message = LookupMessage::Query(query);
        match message.encode() {
            Ok(bytes) => {
                assert!(good, "{message:?}");
                assert_eq!(LookupMessage::decode(&bytes).unwrap(), message);
            }
            Err(error) => assert!(!good, "{error}"),
        }
    }

    #[test]
    fn a_query_comes_back_whole_and_out_of_bounds_it_does_not_travel() {
        check(|_| {}, true);
        check(|query| query.budget = BUDGET_MAX, true);
        check(|query| query.budget = BUDGET_MAX + 1, false);
        check(|query| query.hops_left = HOPS_MAX + 1, false);
        check(|query| query.deadline_left_ms = DEADLINE_MS_MAX + 1, false);
        check(|query| query.spread = Spread::Echo, true);
        let walk = |width| Spread::Walk { width };
        check(|query| query.spread = walk(0), false);
        check(|query| query.spread = walk(WIDTH_MAX + 1), false);
        let contact = |text: &str| Target::Contact {
            scope: ContactScope::Friends,
            term: Term(text.into()),
        };
        check(|query| query.target = contact("chen"), true);
        check(|query| query.target = contact(""), false);
        check(|query| query.target = contact(&"x".repeat(65)), false);
    }

    #[test]
    fn a_blinded_id_is_known_to_those_who_know_the_id_and_changes_each_day() {
        let id = NodeSecret::from_bytes([7; 32]).id();
        let other = NodeSecret::from_bytes([8; 32]).id();
        let target = Target::blinded(id, 20_000);
        assert!(target.matches_node(id, None));
        assert!(!target.matches_node(other, None));
        assert_ne!(target, Target::blinded(id, 20_001));
        assert_eq!(Target::day(20_000 * MS_PER_DAY + 5), 20_000);
        assert_eq!(Target::day(-1), 0);
    }

    #[test]
    fn a_name_is_sought_by_its_hash() {
        let id = NodeSecret::from_bytes([7; 32]).id();
        let anna: NodeName = "anna".parse().unwrap();
        let target = Target::named(&"Anna".parse().unwrap());
        assert!(target.matches_node(id, Some(&anna)));
        assert!(!target.matches_node(id, None));
        assert!(!format!("{:?}", LookupMessage::Query(query()).encode().unwrap()).contains("anna"));
    }
}
