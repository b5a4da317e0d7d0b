//! Bounded lists: neighbors by nearness and importance (R25), relays by room.

use std::net::IpAddr;

use protocol::message::center::{ListedRelay, Presence};
use protocol::{NodeId, SignedRecord, Timestamp};

use super::Registry;

/// Nodes looked at on each side of the asking address.
const LOOK: usize = 128;

/// An address as a place on one line, IPv4 inside of IPv6.
fn place(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_ipv6_mapped()),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

pub(super) fn places(published: &[IpAddr]) -> impl Iterator<Item = u128> {
    published.iter().map(|ip| place(*ip))
}

impl Registry {
    /// Those who are there, at most `most`: important ones first, on at most half of the places,
    /// then those with the longest common prefix with `from`, older ones first among equals.
    #[must_use]
    pub fn neighbors(&self, asker: &NodeId, from: IpAddr, most: usize) -> Vec<SignedRecord> {
        let there = |node: &NodeId| {
            let entry = self.get(node)?;
            (node != asker && entry.presence == Presence::Online).then_some(entry)
        };
        let mut chosen: Vec<NodeId> = self
            .pinned
            .iter()
            .filter(|node| there(node).is_some())
            .take(most.div_ceil(2))
            .copied()
            .collect();
        let from = place(from.to_canonical());
        let below = self.near.range(..(from, NodeId([0; 32]))).rev().take(LOOK);
        let above = self.near.range((from, NodeId([0; 32]))..).take(LOOK);
        let mut near: Vec<(u32, Timestamp, NodeId)> = below
            .chain(above)
            .filter_map(|(ip, node)| {
                let differing = 128 - (ip ^ from).leading_zeros();
                Some((differing, there(node)?.first_seen, *node))
            })
            .collect();
        near.sort_unstable();
        for (_, _, node) in near {
            if chosen.len() >= most {
                break;
            }
            if !chosen.contains(&node) {
                chosen.push(node);
            }
        }
        chosen
            .iter()
            .filter_map(|node| self.get(node))
            .map(|entry| entry.record.clone())
            .collect()
    }

    /// Relays that are there, at most `most`, those with most room first.
    #[must_use]
    pub fn relays(&self, most: usize) -> Vec<ListedRelay> {
        let there = |node: &NodeId| {
            self.get(node)
                .is_some_and(|entry| entry.presence == Presence::Online)
        };
        let mut relays: Vec<_> = self
            .relays
            .iter()
            .filter(|(node, _)| there(node))
            .map(|(node, offer)| ListedRelay {
                node: *node,
                offer: offer.clone(),
            })
            .collect();
        let room = |relay: &ListedRelay| {
            relay.offer.rate_bps / 100 * u64::from(100 - relay.offer.load_percent.min(100))
        };
        relays.sort_by_key(|relay| std::cmp::Reverse(room(relay)));
        relays.truncate(most);
        relays
    }
}
