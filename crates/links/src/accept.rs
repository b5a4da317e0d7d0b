//! The one place that decides who may open which link to this node.
//!
//! Three questions, in this order. Before the handshake an address may knock so often a second
//! ([`Limits::knocks`]); a crowd must first prove that its addresses are its own (RFC 9000 8.1.2).
//! After the handshake the id is proven, and its [`Standing`] says which [`Protocol`] is for it:
//!
//! | | pair, lookup, ping, services, relay-offer | center | files |
//! |---|---|---|---|
//! | unknown | yes | only a center offers it | no |
//! | friend | yes | only a center offers it | yes, the scopes are asked per request |
//! | device of an account | yes | only a center offers it | yes, as that account |
//! | blocked | no | no | no |
//!
//! Last, links are counted: per peer, of strangers, and in all, so that strangers can never take
//! the place of friends. Everything here is bounded and decided without I/O; the time is given.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use iroh::endpoint::WeakConnectionHandle;
use protocol::NodeId;

use crate::bucket::Buckets;
use crate::{CloseCode, Protocol, Rate};

/// Buckets are kept for at most as many addresses, and as many ids.
const BUCKETS_MAX: usize = 4096;

/// How this node stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nobody here knows it.
    Unknown,
    /// The owner and the other side agreed to be friends.
    Friend,
    /// The key is that of a device with which somebody with an account signed in.
    Device,
    /// The owner wants nothing to do with it.
    Blocked,
}

/// Knows whom the owner knows. Asked at each new link, so it answers from memory.
pub trait Acquaintance: Send + Sync + 'static {
    /// How this node stands to `node` now.
    fn standing(&self, node: &NodeId) -> Standing;
}

/// Everybody is unknown.
#[derive(Debug, Clone, Copy)]
pub struct Strangers;

impl Acquaintance for Strangers {
    fn standing(&self, _node: &NodeId) -> Standing {
        Standing::Unknown
    }
}

/// What an endpoint takes from others.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Links that others opened, in all.
    pub links_max: usize,
    /// Of those, links of unknown ids.
    pub strangers_max: usize,
    /// Links that one peer opened.
    pub per_peer_max: usize,
    /// Handshakes that run at the same time.
    pub handshakes_max: usize,
    /// Handshakes from one address (IPv6: one /64).
    pub knocks: Rate,
    /// Links of one peer.
    pub links_per_peer: Rate,
    /// Streams on one link of an unknown id; a friend has 40 times as many.
    pub streams: Rate,
}

impl Limits {
    /// For a home node.
    #[must_use]
    pub fn node() -> Self {
        Self {
            links_max: 512,
            strangers_max: 384,
            per_peer_max: 12,
            handshakes_max: 64,
            knocks: Rate {
                per_second: 20.0,
                burst: 200.0,
            },
            links_per_peer: Rate {
                per_second: 5.0,
                burst: 40.0,
            },
            streams: Rate {
                per_second: 50.0,
                burst: 200.0,
            },
        }
    }

    /// The same, for as many nodes as a center serves: mostly unknown ids, each with one link.
    #[must_use]
    pub fn center(links_max: usize) -> Self {
        Self {
            links_max,
            strangers_max: links_max,
            per_peer_max: 4,
            handshakes_max: 256,
            knocks: Rate {
                per_second: 200.0,
                burst: 4000.0,
            },
            ..Self::node()
        }
    }

    /// How fast a peer of this standing may open streams on one link.
    #[must_use]
    pub fn streams_of(&self, standing: Standing) -> Rate {
        let factor = match standing {
            Standing::Unknown | Standing::Blocked => 1.0,
            Standing::Friend | Standing::Device => 40.0,
        };
        Rate {
            per_second: self.streams.per_second * factor,
            burst: self.streams.burst * factor,
        }
    }
}

/// True if a peer of this standing may use `protocol`, if this endpoint offers it at all.
#[must_use]
pub fn allowed(protocol: Protocol, standing: Standing) -> bool {
    match standing {
        Standing::Blocked => false,
        Standing::Friend | Standing::Device => true,
        Standing::Unknown => match protocol {
            Protocol::Pair
            | Protocol::Lookup
            | Protocol::Ping
            | Protocol::Services
            | Protocol::RelayOffer
            | Protocol::Center => true,
            Protocol::Files => false,
        },
    }
}

/// What becomes of a first packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Knock {
    /// The handshake may begin.
    Come,
    /// First show that the address is yours.
    Prove,
    /// Not now.
    Ignore,
}

/// Why a proven id gets no link.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: CloseCode,
    pub(crate) why: &'static str,
}

/// Counts the links of one endpoint and applies the rule to new ones.
pub(crate) struct Gate {
    limits: Limits,
    acquaintance: Arc<dyn Acquaintance>,
    book: Mutex<Book>,
}

struct Book {
    knocks: Buckets<IpAddr>,
    arrivals: Buckets<NodeId>,
    incoming: usize,
    strangers: usize,
    next: u64,
    peers: HashMap<NodeId, Vec<Entry>>,
}

struct Entry {
    number: u64,
    direction: Direction,
    connection: Option<WeakConnectionHandle>,
}

/// Who opened a link, and what they were then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ours,
    Stranger,
    Friend,
}

impl Gate {
    pub(crate) fn new(limits: Limits, acquaintance: Arc<dyn Acquaintance>) -> Arc<Self> {
        Arc::new(Self {
            limits,
            acquaintance,
            book: Mutex::new(Book {
                knocks: Buckets::new(limits.knocks, BUCKETS_MAX),
                arrivals: Buckets::new(limits.links_per_peer, BUCKETS_MAX),
                incoming: 0,
                strangers: 0,
                next: 0,
                peers: HashMap::new(),
            }),
        })
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// A first packet from `address`, while `running` handshakes are not finished.
    pub(crate) fn knock(
        &self,
        address: IpAddr,
        address_is_proven: bool,
        running: usize,
        now: Instant,
    ) -> Knock {
        if running >= self.limits.handshakes_max {
            return Knock::Ignore;
        }
        if !address_is_proven && running * 4 >= self.limits.handshakes_max {
            return Knock::Prove;
        }
        match self.book().knocks.take(network(address), now) {
            Ok(()) => Knock::Come,
            Err(_) => Knock::Ignore,
        }
    }

    /// A proven id wants a link for `protocol`.
    pub(crate) fn admit(
        self: &Arc<Self>,
        peer: NodeId,
        protocol: Protocol,
        now: Instant,
    ) -> Result<(Place, Standing), Refusal> {
        let standing = self.acquaintance.standing(&peer);
        if !allowed(protocol, standing) {
            return Err(Refusal {
                code: CloseCode::NotAllowed,
                why: "this node does not offer that to you",
            });
        }
        let busy = |why| Refusal {
            code: CloseCode::Busy,
            why,
        };
        let mut book = self.book();
        if book.arrivals.take(peer, now).is_err() {
            return Err(busy("too many new links from you; try again in a minute"));
        }
        let of_peer = book.peers.get(&peer).map_or(0, |links| {
            links
                .iter()
                .filter(|link| link.direction != Direction::Ours)
                .count()
        });
        if of_peer >= self.limits.per_peer_max {
            return Err(busy("too many open links from you"));
        }
        let direction = match standing {
            Standing::Friend | Standing::Device => Direction::Friend,
            Standing::Unknown | Standing::Blocked => Direction::Stranger,
        };
        if book.incoming >= self.limits.links_max
            || (direction == Direction::Stranger && book.strangers >= self.limits.strangers_max)
        {
            return Err(busy("too many links at this node"));
        }
        Ok((self.place(&mut book, peer, direction), standing))
    }

    /// A link that this node opens is counted with its peer, not against it.
    pub(crate) fn own(self: &Arc<Self>, peer: NodeId) -> (Place, Standing) {
        let standing = self.acquaintance.standing(&peer);
        let place = self.place(&mut self.book(), peer, Direction::Ours);
        (place, standing)
    }

    fn place(self: &Arc<Self>, book: &mut Book, peer: NodeId, direction: Direction) -> Place {
        book.next += 1;
        book.incoming += usize::from(direction != Direction::Ours);
        book.strangers += usize::from(direction == Direction::Stranger);
        book.peers.entry(peer).or_default().push(Entry {
            number: book.next,
            direction,
            connection: None,
        });
        Place {
            gate: Arc::clone(self),
            peer,
            number: book.next,
        }
    }

    /// The open connections of `peer`.
    pub(crate) fn connections(&self, peer: &NodeId) -> Vec<WeakConnectionHandle> {
        self.book()
            .peers
            .get(peer)
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.connection.clone())
            .collect()
    }

    /// All open connections.
    pub(crate) fn all_connections(&self) -> Vec<WeakConnectionHandle> {
        self.book()
            .peers
            .values()
            .flatten()
            .filter_map(|entry| entry.connection.clone())
            .collect()
    }

    /// How many links others opened.
    pub(crate) fn incoming(&self) -> usize {
        self.book().incoming
    }

    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One counted link; free again when dropped.
pub(crate) struct Place {
    gate: Arc<Gate>,
    peer: NodeId,
    number: u64,
}

impl Place {
    /// Remembers the connection, so that it can be closed when the peer's standing changes.
    pub(crate) fn remember(&self, connection: WeakConnectionHandle) {
        let mut book = self.gate.book();
        let entry = book
            .peers
            .get_mut(&self.peer)
            .and_then(|links| links.iter_mut().find(|link| link.number == self.number));
        if let Some(entry) = entry {
            entry.connection = Some(connection);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut book = self.gate.book();
        let Some(links) = book.peers.get_mut(&self.peer) else {
            return;
        };
        let Some(at) = links.iter().position(|link| link.number == self.number) else {
            return;
        };
        let direction = links.swap_remove(at).direction;
        if links.is_empty() {
            book.peers.remove(&self.peer);
        }
        book.incoming -= usize::from(direction != Direction::Ours);
        book.strangers -= usize::from(direction == Direction::Stranger);
    }
}

/// One household: an IPv4 address, or an IPv6 /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    struct FirstByte;

    impl Acquaintance for FirstByte {
        fn standing(&self, node: &NodeId) -> Standing {
            match node.0[0] {
                1 => Standing::Friend,
                2 => Standing::Blocked,
                _ => Standing::Unknown,
            }
        }
    }

    fn gate(change: impl FnOnce(&mut Limits)) -> Arc<Gate> {
        let mut limits = Limits::node();
        change(&mut limits);
        Gate::new(limits, Arc::new(FirstByte))
    }

    fn peer(kind: u8, number: u8) -> NodeId {
        let mut id = [number; 32];
        id[0] = kind;
        NodeId(id)
    }

    #[test]
    fn an_unknown_id_may_do_five_things_and_never_reach_files() {
        for protocol in Protocol::ALL {
            let for_strangers = protocol != Protocol::Files;
            assert_eq!(
                allowed(protocol, Standing::Unknown),
                for_strangers,
                "{protocol}"
            );
            assert!(allowed(protocol, Standing::Friend), "{protocol}");
            assert!(!allowed(protocol, Standing::Blocked), "{protocol}");
        }
        let refusal = gate(|_| {}).admit(peer(0, 1), Protocol::Files, Instant::now());
        assert_eq!(refusal.map(|_| ()).unwrap_err().code, CloseCode::NotAllowed);
    }

    #[test]
    fn strangers_leave_places_to_friends() {
        let gate = gate(|limits| {
            limits.links_max = 3;
            limits.strangers_max = 2;
        });
        let now = Instant::now();
        let enter = |id| gate.admit(id, Protocol::Ping, now).map(|(place, _)| place);
        let _first = enter(peer(0, 1)).ok().unwrap();
        let second = enter(peer(0, 2)).ok().unwrap();
        assert_eq!(enter(peer(0, 3)).err().unwrap().code, CloseCode::Busy);
        let _friend = enter(peer(1, 4)).ok().unwrap();
        assert_eq!(enter(peer(1, 5)).err().unwrap().code, CloseCode::Busy);
        drop(second);
        assert!(enter(peer(0, 3)).is_ok());
    }

    #[test]
    fn one_peer_has_a_few_links_and_a_pace() {
        let gate = gate(|limits| {
            limits.per_peer_max = 2;
            limits.links_per_peer.burst = 3.0;
        });
        let now = Instant::now();
        let enter = |now| gate.admit(peer(0, 1), Protocol::Ping, now);
        let first = enter(now);
        let _second = enter(now);
        assert!(enter(now).is_err(), "two are open");
        drop(first);
        assert!(enter(now).is_err(), "three attempts at once");
        assert!(enter(now + Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn links_of_our_own_do_not_count_against_the_peer() {
        let gate = gate(|limits| limits.per_peer_max = 1);
        let _own = gate.own(peer(0, 1));
        assert!(
            gate.admit(peer(0, 1), Protocol::Lookup, Instant::now())
                .is_ok()
        );
        assert_eq!(gate.incoming(), 0, "the place was dropped");
    }

    #[test]
    fn a_crowd_proves_its_address_and_one_address_has_a_pace() {
        let gate = gate(|limits| {
            limits.handshakes_max = 8;
            limits.knocks.burst = 2.0;
        });
        let now = Instant::now();
        let from = |address: &str, proven, running| {
            gate.knock(address.parse().unwrap(), proven, running, now)
        };
        assert_eq!(from("11.0.0.1", false, 8), Knock::Ignore);
        assert_eq!(from("11.0.0.1", false, 2), Knock::Prove);
        assert_eq!(from("11.0.0.1", true, 2), Knock::Come);
        assert_eq!(from("::ffff:11.0.0.1", false, 0), Knock::Come);
        assert_eq!(from("11.0.0.1", true, 0), Knock::Ignore);
        assert_eq!(from("2001:db8::1", false, 0), Knock::Come);
        assert_eq!(from("2001:db8::2", false, 0), Knock::Come);
        assert_eq!(from("2001:db8::3", false, 0), Knock::Ignore);
        assert_eq!(from("2001:db8:0:1::3", false, 0), Knock::Come);
    }
}
