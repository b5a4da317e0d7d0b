//! Whom the owner calls, in which order, and where.

use std::net::SocketAddr;
use std::time::Instant;

use peers::neighbors::Neighbor;
use protocol::NodeId;

use super::Keeper;
use crate::NodeAddress;

impl Keeper {
    /// Calls those that are wanted and due.
    pub(super) fn dial(&mut self) {
        if std::mem::take(&mut self.stale) {
            self.wanted = self.wanted();
        }
        let now = self.now();
        for node in self.dialer.due(now, &self.wanted) {
            let (to, voice) = (self.address(node), self.voice.clone());
            let endpoint = self.endpoint.clone();
            if self.wants_link(node) {
                self.tasks.spawn(voice.call(endpoint, to));
            } else {
                self.tasks.spawn(voice.ping(endpoint, to));
            }
        }
    }

    fn wanted(&self) -> Vec<NodeId> {
        let mut known: Vec<&Neighbor> = self
            .table
            .known()
            .filter(|known| !self.links.contains_key(&known.node))
            .filter(|known| known.record.is_some() || !self.dialer.hinted(&known.node).is_empty())
            .collect();
        known.sort_by_key(|known| {
            let standing = known.standing;
            (
                !known.active,
                !standing.pinned,
                !standing.friend,
                standing.rtt,
            )
        });
        let hinted = self.dialer.nodes().filter(|node| {
            self.table.get(*node).is_none()
                && !self.links.contains_key(node)
                && !self.dialer.hinted(node).is_empty()
        });
        let now = Instant::now();
        known
            .iter()
            .map(|known| known.node)
            .chain(hinted)
            .filter(|node| {
                let until = self.notes.get(node).and_then(|note| note.shunned_until);
                until.is_none_or(|until| until <= now)
            })
            .collect()
    }

    /// A link, or only a sign of life.
    fn wants_link(&self, node: NodeId) -> bool {
        let known = self.table.get(node);
        let important = known
            .is_some_and(|known| known.active || known.standing.pinned || known.standing.friend);
        important || self.links.len() < self.size.active
    }

    pub(super) fn address(&self, node: NodeId) -> NodeAddress {
        let mut addresses: Vec<SocketAddr> = self.dialer.hinted(&node).to_vec();
        let mut relays = Vec::new();
        let record = self
            .table
            .get(node)
            .and_then(|known| known.record.as_ref())
            .and_then(|record| record.open_at_any_time().ok());
        if let Some(record) = record {
            addresses.extend(record.addresses);
            relays = record.relays;
        }
        addresses.sort_unstable();
        addresses.dedup();
        NodeAddress {
            id: node,
            addresses,
            relays,
        }
    }
}
