//! Whom to know (R25): a bounded table of nodes, the nearest or most important first.
//!
//! Known nodes (at most [`Size::known`]) are those with a record; the active ones among them (at
//! most [`Size::active`]) are kept linked and asked in a lookup. Pinned nodes stand first, then
//! friends, then the others by round-trip time, uptime and load: a near node displaces the worst
//! that is not pinned, a pinned one is never displaced. Of a node only the record with the highest
//! `seq` is kept. The table is never sent out; single records are, as their nodes' visibility says.
//! Saved as a [`Snapshot`] every 5 min and at exit; a crash costs the newest acquaintances.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use protocol::{NodeId, NodeName, SignedRecord};
use serde::{Deserialize, Serialize};

mod score;
mod snapshot;

pub use score::Standing;
pub use snapshot::{Snapshot, SnapshotEntry};

/// Bounds of the table; `--max-neighbors` sets `active`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Nodes that are kept linked.
    pub active: usize,
    /// Nodes that are known, the active ones included; at least `active`.
    pub known: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            active: 32,
            known: 256,
        }
    }
}

/// To whom a node's record may be given; said by the node itself over its link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Visibility {
    /// To nobody.
    Hidden,
    /// To its friends and to their friends.
    FriendsOfFriends,
    /// To everybody.
    Public,
}

/// What is known of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbor {
    /// Its id.
    pub node: NodeId,
    /// The name in its record; a claim.
    pub name: Option<NodeName>,
    /// Its newest record; none for a friend or pinned node that was not met yet.
    pub record: Option<SignedRecord>,
    /// `seq` of the record.
    pub seq: u64,
    /// When the record ends, milliseconds since 1970 on the node's own clock.
    pub expires_at_ms: i64,
    /// To whom the record may be given.
    pub visibility: Visibility,
    /// What it is worth to us.
    pub standing: Standing,
    /// It was met and is not gone since.
    pub present: bool,
    /// It is kept linked.
    pub active: bool,
}

/// What happened. A record is told only after it was verified, as its opened parts.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A node was heard of: by mDNS, a center, a friend, an answer, a link.
    Met {
        /// Its id.
        node: NodeId,
        /// The name in its record.
        name: Option<NodeName>,
        /// `seq` of the record.
        seq: u64,
        /// When the record ends.
        expires_at_ms: i64,
        /// The record, verified.
        record: SignedRecord,
    },
    /// It was measured, or said something about itself.
    Measured {
        /// Its id.
        node: NodeId,
        /// Round-trip time of its link.
        rtt: Duration,
        /// How long it has been there without a break.
        uptime: Duration,
        /// How busy it says it is, 0 to 100.
        load_percent: u8,
    },
    /// It said to whom its record may be given.
    Visible {
        /// Its id.
        node: NodeId,
        /// To whom.
        visibility: Visibility,
    },
    /// It became a friend, or is none any more.
    Friend {
        /// Its id.
        node: NodeId,
        /// Now.
        friend: bool,
    },
    /// The owner pinned it, or no longer.
    Pinned {
        /// Its id.
        node: NodeId,
        /// Now.
        pinned: bool,
    },
    /// It is gone (`presence`), or its link cannot be made: no active neighbor until it is met or
    /// measured again.
    Gone(NodeId),
    /// The owner removed it.
    Forget(NodeId),
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Keep a link to it.
    Link(NodeId),
    /// A better one took its place, or it is gone: no link is needed for its sake.
    Unlink(NodeId),
    /// The table has changed since it was last saved: save a snapshot.
    Save,
}

/// Changes are saved at most so often.
pub const SAVE_INTERVAL: Duration = Duration::from_secs(300);

/// The machine.
#[derive(Debug)]
pub struct Table {
    own: NodeId,
    size: Size,
    known: BTreeMap<NodeId, Neighbor>,
    /// When the changes since the last [`Action::Save`] are saved.
    save_at: Option<Duration>,
    actions: VecDeque<Action>,
}

impl Table {
    /// The table of the node `own` with what was saved of it.
    #[must_use]
    pub fn new(own: NodeId, size: Size, saved: Snapshot) -> Self {
        let size = Size {
            active: size.active.max(1),
            known: size.known.max(size.active).max(1),
        };
        let mut table = Self {
            own,
            size,
            known: BTreeMap::new(),
            save_at: None,
            actions: VecDeque::new(),
        };
        for entry in saved.neighbors {
            if entry.node != own {
                table.known.insert(entry.node, entry.into());
                table.shrink(None);
            }
        }
        table
    }

    /// Tells what happened.
    pub fn handle(&mut self, now: Duration, event: Event) {
        let changed = match event {
            Event::Met {
                node,
                name,
                seq,
                expires_at_ms,
                record,
            } => self.met(node, name, seq, expires_at_ms, record),
            Event::Measured {
                node,
                rtt,
                uptime,
                load_percent,
            } => self.change(node, |neighbor| {
                neighbor.present = true;
                neighbor.standing.rtt = Some(rtt);
                neighbor.standing.uptime = uptime;
                neighbor.standing.load_percent = load_percent.min(100);
            }),
            Event::Visible { node, visibility } => {
                self.change(node, |neighbor| neighbor.visibility = visibility)
            }
            Event::Friend { node, friend } => {
                self.wanted(node, friend, |standing| standing.friend = friend)
            }
            Event::Pinned { node, pinned } => {
                self.wanted(node, pinned, |standing| standing.pinned = pinned)
            }
            Event::Gone(node) => self.change(node, |neighbor| neighbor.present = false),
            Event::Forget(node) => self.forget(node),
            Event::Tick => false,
        };
        if changed {
            self.save_at.get_or_insert(now + SAVE_INTERVAL);
            self.choose_active();
        }
        // The clock may have been set back.
        if let Some(at) = self.save_at {
            let at = at.min(now + SAVE_INTERVAL);
            self.save_at = Some(at);
            if at <= now {
                self.save_at = None;
                self.actions.push_back(Action::Save);
            }
        }
    }

    /// What is to be done next; `None` when all is done.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When the next [`Event::Tick`] is wanted.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.save_at
    }

    /// All known nodes, in the order of their ids.
    pub fn known(&self) -> impl Iterator<Item = &Neighbor> {
        self.known.values()
    }

    /// What is known of `node`.
    #[must_use]
    pub fn get(&self, node: NodeId) -> Option<&Neighbor> {
        self.known.get(&node)
    }

    /// The nodes that are kept linked.
    pub fn active(&self) -> impl Iterator<Item = &Neighbor> {
        self.known.values().filter(|neighbor| neighbor.active)
    }

    /// What is to be saved, best first.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut neighbors: Vec<&Neighbor> = self.known.values().collect();
        neighbors.sort_by_key(|neighbor| std::cmp::Reverse(neighbor.standing.score()));
        Snapshot {
            neighbors: neighbors.into_iter().map(SnapshotEntry::from).collect(),
        }
    }

    fn met(
        &mut self,
        node: NodeId,
        name: Option<NodeName>,
        seq: u64,
        expires_at_ms: i64,
        record: SignedRecord,
    ) -> bool {
        if node == self.own {
            return false;
        }
        let neighbor = self.entry(node);
        neighbor.present = true;
        if neighbor.record.is_none() || seq > neighbor.seq {
            neighbor.name = name;
            neighbor.seq = seq;
            neighbor.expires_at_ms = expires_at_ms;
            neighbor.record = Some(record);
        }
        self.shrink(None);
        true
    }

    fn change(&mut self, node: NodeId, change: impl FnOnce(&mut Neighbor)) -> bool {
        let Some(neighbor) = self.known.get_mut(&node) else {
            return false;
        };
        change(neighbor);
        true
    }

    /// Friends and pinned nodes are known before they are met.
    fn wanted(&mut self, node: NodeId, wanted: bool, change: impl FnOnce(&mut Standing)) -> bool {
        if node == self.own || (!wanted && !self.known.contains_key(&node)) {
            return false;
        }
        change(&mut self.entry(node).standing);
        self.shrink(Some(node));
        true
    }

    fn forget(&mut self, node: NodeId) -> bool {
        let Some(neighbor) = self.known.remove(&node) else {
            return false;
        };
        if neighbor.active {
            self.actions.push_back(Action::Unlink(node));
        }
        true
    }

    fn entry(&mut self, node: NodeId) -> &mut Neighbor {
        self.known.entry(node).or_insert_with(|| Neighbor {
            node,
            name: None,
            record: None,
            seq: 0,
            expires_at_ms: 0,
            visibility: Visibility::Public,
            standing: Standing::default(),
            present: false,
            active: false,
        })
    }

    /// Removes the worst until the bound is kept: absent ones before present ones of the same kind.
    /// Pinned ones go only if all others are gone, and then not `newest`, which the owner just chose.
    fn shrink(&mut self, newest: Option<NodeId>) {
        while self.known.len() > self.size.known {
            let worst = self.known.values().min_by_key(|neighbor| {
                let (pinned, friend, cost) = neighbor.standing.score();
                let newest = newest == Some(neighbor.node);
                (
                    pinned,
                    newest,
                    friend,
                    neighbor.present,
                    cost,
                    neighbor.node,
                )
            });
            let Some(worst) = worst.map(|neighbor| neighbor.node) else {
                return;
            };
            self.forget(worst);
        }
    }

    fn choose_active(&mut self) {
        let mut present: Vec<&Neighbor> = self
            .known
            .values()
            .filter(|neighbor| neighbor.present)
            .collect();
        // Of equals the one that is linked already, so that links are not changed for nothing.
        present.sort_by_key(|neighbor| {
            std::cmp::Reverse((neighbor.standing.score(), neighbor.active, neighbor.node))
        });
        let chosen: Vec<NodeId> = present
            .iter()
            .take(self.size.active)
            .map(|neighbor| neighbor.node)
            .collect();
        let mut links = Vec::new();
        for neighbor in self.known.values_mut() {
            let active = chosen.contains(&neighbor.node);
            if neighbor.active && !active {
                self.actions.push_back(Action::Unlink(neighbor.node));
            } else if active && !neighbor.active {
                links.push(Action::Link(neighbor.node));
            }
            neighbor.active = active;
        }
        self.actions.extend(links);
    }
}
