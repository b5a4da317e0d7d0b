//! Discovery on the local network by mDNS and DNS-SD (R5, R21, R22, R23, R78; RFC 6762, RFC 6763).
//!
//! [`Lan`] is the adapter: it announces this node and tells what is announced by others.
//! [`Watcher`] runs `peers::presence` on it, so that a silent node is gone after three missed beats.
//! [`look_around`] is for clients, which announce nothing. What is found is a hint where to ask; only
//! the handshake of a link proves an id.
//!
//! Everything is bounded: [`INSTANCES_MAX`] announcements, [`ADDRESSES_MAX`] addresses of each.
//! Nothing is kept on disk, nothing is lost at a crash but what the network tells again.

mod announcing;
mod instance;
mod lan;
mod sighting;
mod watcher;

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::NodeId;
use thiserror::Error;

pub use announcing::{Disguise, Presented, host_name};
pub use lan::{Event, Lan};
pub use sighting::Sighting;
pub use watcher::{Nearby, Surroundings, Watcher};

/// Announcements of others that are kept at once; more are not noted.
pub const INSTANCES_MAX: usize = peers::presence::WATCHED_MAX;
/// Addresses that are kept of one node.
pub const ADDRESSES_MAX: usize = protocol::ADDRESSES_MAX;

/// Records of all kinds that the daemon may keep, some 10 MB. It has no limit of its own; a large
/// home network has a few hundred.
pub const RECORDS_MAX: u64 = 20_000;

/// Why the local network cannot be heard or told.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// The mDNS daemon refused a command or ended.
    #[error("cannot {attempt} on the local network")]
    Mdns {
        /// What was attempted.
        attempt: &'static str,
        /// Why not.
        source: mdns_sd::Error,
    },
    /// Somebody fills the daemon's memory with records that may never run out.
    #[error(
        "the local network is flooded: {records} mDNS records are kept, limit {RECORDS_MAX}; \
         discovery begins anew without them"
    )]
    Flooded {
        /// How many there are.
        records: u64,
    },
}

impl DiscoveryError {
    fn while_(attempt: &'static str) -> impl FnOnce(mdns_sd::Error) -> Self {
        move |source| Self::Mdns { attempt, source }
    }
}

/// Listens for `time` and tells which nodes are announced, by name and id. Announces nothing.
pub async fn look_around(time: Duration) -> Result<Vec<Sighting>, DiscoveryError> {
    let mut lan = Lan::open(None)?;
    let mut seen = BTreeMap::new();
    let until = tokio::time::Instant::now() + time;
    while let Ok(event) = tokio::time::timeout_at(until, lan.next()).await {
        match event? {
            Event::Found(sighting) => {
                seen.insert(sighting.node, sighting);
            }
            Event::Goodbye(node) => {
                seen.remove(&node);
            }
            Event::Alive(_) => {}
        }
    }
    lan.close().await;
    let mut seen: Vec<(NodeId, Sighting)> = seen.into_iter().collect();
    seen.sort_by(|(a, left), (b, right)| (&left.name, a).cmp(&(&right.name, b)));
    Ok(seen.into_iter().map(|(_, sighting)| sighting).collect())
}
