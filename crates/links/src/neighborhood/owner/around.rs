//! What lookups see of this node and its neighbors, and whose record is given to whom.

use peers::lookup::{Asker, KnownRecord, Linked, Surroundings};
use peers::neighbors::{Neighbor, Table, Visibility};
use protocol::message::lookup::{QueryId, SignedCards, Target, Term};
use protocol::message::presence::Visible;
use protocol::{Clock, NodeId, NodeName, NodeRecord, RecordError, SignedRecord};

use super::super::{Book, Own};

/// What the lookups see of this node.
pub(super) struct Around<'a> {
    pub(super) linked: &'a [Linked],
    pub(super) table: &'a Table,
    pub(super) own: &'a Own,
    pub(super) book: &'a dyn Book,
    pub(super) clock: &'a Clock,
}

impl Surroundings for Around<'_> {
    fn linked(&self) -> &[Linked] {
        self.linked
    }

    fn records(&self, target: &Target, asker: Asker) -> Vec<KnownRecord> {
        let own = self.own;
        let of_self = target.matches(&own.record) && shows_itself(own.visible, asker);
        let of_self = of_self.then(|| KnownRecord {
            record: own.signed.clone(),
            seq: own.record.seq,
            keep: own.visible == Visible::Everybody,
        });
        let others = self.table.known().filter(|known| {
            known.present
                && target.matches_node(known.node, known.name.as_ref())
                && may_be_given(known, asker)
        });
        let others = others.filter_map(|known| {
            Some(KnownRecord {
                record: known.record.clone()?,
                seq: known.seq,
                keep: known.visibility == Visibility::Public,
            })
        });
        of_self.into_iter().chain(others).collect()
    }

    fn cards(&self, from: NodeId, qid: QueryId, links: u8, term: &Term) -> Option<SignedCards> {
        self.book.search(from, qid, links, term)
    }

    fn own(&self) -> NodeId {
        self.own.record.node
    }

    fn public(&self) -> Vec<(NodeId, Option<NodeName>)> {
        let own = &self.own.record;
        let of_self =
            shows_itself(self.own.visible, Asker::Stranger).then(|| (own.node, own.name.clone()));
        let others = self.table.known().filter(|known| {
            known.present && known.record.is_some() && may_be_given(known, Asker::Stranger)
        });
        let others = others.map(|known| (known.node, known.name.clone()));
        of_self.into_iter().chain(others).collect()
    }

    fn open(&self, record: &SignedRecord) -> Result<NodeRecord, RecordError> {
        record.open((self.clock)())
    }
}

fn shows_itself(visible: Visible, asker: Asker) -> bool {
    match asker {
        Asker::Own => true,
        Asker::FriendsAway(links) => match visible {
            Visible::Nobody => false,
            Visible::FriendsOfFriends => links <= 2,
            Visible::Everybody => true,
        },
        Asker::Stranger => visible == Visible::Everybody,
    }
}

/// A friend's record goes to this node's friends if the friend is visible to friends of friends.
fn may_be_given(known: &Neighbor, asker: Asker) -> bool {
    match asker {
        Asker::Own => true,
        Asker::FriendsAway(links) => match known.visibility {
            Visibility::Hidden => false,
            Visibility::FriendsOfFriends => known.standing.friend && links <= 1,
            Visibility::Public => true,
        },
        Asker::Stranger => known.visibility == Visibility::Public,
    }
}
