//! Who is registered, under which name, and whether they are there: decisions without I/O.
//!
//! A statement goes through three steps. [`Registry::judge`] says whether it holds and what must be
//! written; the caller writes that and waits until it is on the disk; [`Registry::apply`] then
//! counts it. Between the steps other statements may pass; the database is the arbiter (a lower
//! `seq` does not replace a higher one, a name is given once), and `apply` never goes back.
//!
//! Presence lives here alone: renewals that change nothing cost no write. After a restart every
//! node that was there is unknown for one patience and keeps its answers; then it is gone (R28).
//! Time comes in as an argument: `tick` counts from an arbitrary start and never jumps, `now` is
//! the wall clock that people read.
//!
//! Lost at a crash: presence, last-seen times and usage of the last minutes. Names, records and
//! resources are on the disk before they are answered (R12).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use protocol::message::center::{Presence, Refusal, Resources, Statement, Target, Usage};
use protocol::{NodeId, NodeName, NodeRecord, RelayOffer, SignedRecord, Timestamp};

use crate::names;
use crate::settings::Settings;
use crate::store::{NodeRow, Seen};

mod admit;
mod dns;
mod judge;
mod near;

pub(crate) use admit::is_private;
pub use admit::{Gate, network_of};
pub use dns::{Answer, Kind, Value, widest};
pub use judge::{Asked, Judged};

/// What is known of one node.
#[derive(Debug, Clone)]
pub struct Entry {
    /// As the node signed it.
    pub record: SignedRecord,
    /// That record's number.
    pub seq: u64,
    /// Number of the last statement.
    pub said: u64,
    /// Addresses that its name leads to.
    pub published: Box<[IpAddr]>,
    /// Its name in the zone.
    pub name: Option<NodeName>,
    /// What it has.
    pub resources: Resources,
    /// What of it is in use.
    pub usage: Usage,
    /// Texts for certificate challenges.
    pub texts: Box<[String]>,
    /// Whether it is there.
    pub presence: Presence,
    /// Important: stays in every neighbor list (R25).
    pub pinned: bool,
    /// When it came first.
    pub first_seen: Timestamp,
    /// When it was last heard of.
    pub last_seen: Timestamp,
    links: u16,
    /// Changes that it may make at once.
    allowance: u8,
    allowance_at: Duration,
    /// When it counts as gone unless it is heard of.
    deadline: Duration,
    /// Usage or time that the database does not know yet.
    unsaved: bool,
}

/// All nodes of a center.
#[derive(Debug)]
pub struct Registry {
    settings: Settings,
    nodes: HashMap<NodeId, Box<Entry>>,
    /// Skeleton of each name that is given, and whose it is. Two names with one skeleton cannot be.
    names: HashMap<Box<str>, NodeId>,
    /// Names given up: closed to others until then.
    resting: HashMap<Box<str>, (NodeId, Timestamp)>,
    /// Near is what has the longest common prefix: neighbors in the order of addresses.
    near: BTreeSet<(u128, NodeId)>,
    pinned: BTreeSet<NodeId>,
    relays: BTreeMap<NodeId, RelayOffer>,
    /// Earliest first; an item may be out of date, its entry's own deadline counts.
    deadlines: BinaryHeap<Reverse<(Duration, NodeId)>>,
    unsaved: Vec<NodeId>,
    /// Whose presence has turned since the database was told.
    turned: Vec<NodeId>,
    online: usize,
}

impl Registry {
    /// An empty one.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            nodes: HashMap::new(),
            names: HashMap::new(),
            resting: HashMap::new(),
            near: BTreeSet::new(),
            pinned: BTreeSet::new(),
            relays: BTreeMap::new(),
            deadlines: BinaryHeap::new(),
            unsaved: Vec::new(),
            turned: Vec::new(),
            online: 0,
        }
    }

    /// The numbers that decide.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Makes room for so many nodes, so that no table is copied while it grows.
    pub fn reserve(&mut self, nodes: usize) {
        self.nodes.reserve(nodes);
        self.names.reserve(nodes);
    }

    /// Takes what the database has, after a start. A row whose record does not hold is left out;
    /// false then.
    pub fn restore(&mut self, row: NodeRow, tick: Duration) -> bool {
        let Ok(record) = row.record.open_at_any_time() else {
            return false;
        };
        if record.node != row.id {
            return false;
        }
        let presence = if row.online {
            Presence::Unknown
        } else {
            Presence::Gone
        };
        let deadline = tick + self.settings.patience();
        let entry = Entry {
            seq: record.seq,
            said: row.said,
            published: dns::published(&record),
            name: row.name,
            resources: row.resources,
            usage: row.usage,
            texts: row.texts.into_boxed_slice(),
            presence,
            pinned: row.pinned,
            first_seen: row.first_seen,
            last_seen: row.last_seen,
            links: 0,
            allowance: self.settings.changes_burst,
            allowance_at: tick,
            deadline,
            unsaved: false,
            record: row.record,
        };
        self.index(&record, &entry);
        if let Some(name) = &entry.name {
            self.names.insert(names::skeleton(name), row.id);
        }
        if presence == Presence::Unknown {
            self.deadlines.push(Reverse((deadline, row.id)));
        }
        self.nodes.insert(row.id, Box::new(entry));
        true
    }

    /// Takes a name that was given up, after a start.
    pub fn restore_resting(&mut self, name: &NodeName, node: NodeId, released: Timestamp) {
        let until = released.plus(self.settings.name_rest);
        self.resting.insert(names::skeleton(name), (node, until));
    }

    /// A node by its id.
    #[must_use]
    pub fn get(&self, node: &NodeId) -> Option<&Entry> {
        self.nodes.get(node).map(Box::as_ref)
    }

    /// Every node, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&NodeId, &Entry)> {
        self.nodes.iter().map(|(id, entry)| (id, entry.as_ref()))
    }

    /// How many are registered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// True if nobody is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How many are there.
    #[must_use]
    pub fn online(&self) -> usize {
        self.online
    }

    /// Whose name it is.
    #[must_use]
    pub fn owner_of(&self, name: &NodeName) -> Option<(&NodeId, &Entry)> {
        let node = self.names.get(&names::skeleton(name))?;
        let entry = self.get(node)?;
        (entry.name.as_ref() == Some(name)).then_some((node, entry))
    }

    /// Whom a question is about.
    #[must_use]
    pub fn find(&self, target: &Target) -> Option<&Entry> {
        match target {
            Target::Id(node) => self.get(node),
            Target::Name(name) => self.owner_of(name).map(|(_, entry)| entry),
        }
    }

    /// A link whose other end has proven to be `node` was opened.
    pub fn link_opened(&mut self, node: &NodeId) {
        if let Some(entry) = self.nodes.get_mut(node) {
            entry.links = entry.links.saturating_add(1);
        }
    }

    /// A link of `node` has ended. Without another one it has a short time to dial again.
    pub fn link_closed(&mut self, node: &NodeId, now: Timestamp, tick: Duration) {
        let grace = self.settings.link_grace.min(self.settings.patience());
        let Some(entry) = self.nodes.get_mut(node) else {
            return;
        };
        entry.links = entry.links.saturating_sub(1);
        if entry.links == 0 && entry.presence == Presence::Online {
            entry.last_seen = now;
            entry.deadline = tick + grace;
            self.deadlines.push(Reverse((entry.deadline, *node)));
        }
    }

    /// When [`Registry::poll`] has something to do at the earliest.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.deadlines
            .peek()
            .map(|Reverse((deadline, _))| *deadline)
    }

    /// Lets those go who were silent for too long; true if somebody went. At most so many at a
    /// time that others get their turn; call again while it is due.
    pub fn poll(&mut self, now: Timestamp, tick: Duration) -> bool {
        const TURN_MAX: usize = 10_000;
        let mut went = false;
        for _ in 0..TURN_MAX {
            let Some(Reverse((due, node))) = self.deadlines.peek().copied() else {
                break;
            };
            if due > tick {
                break;
            }
            self.deadlines.pop();
            went |= self.look_after(&node, now, tick);
        }
        self.resting.retain(|_, (_, until)| *until > now);
        went
    }

    fn look_after(&mut self, node: &NodeId, now: Timestamp, tick: Duration) -> bool {
        let patience = self.settings.patience();
        let Some(entry) = self.nodes.get_mut(node) else {
            return false;
        };
        if entry.presence == Presence::Gone {
            return false;
        }
        if entry.links > 0 {
            entry.last_seen = now;
            entry.deadline = tick + patience;
        }
        if entry.deadline > tick {
            self.deadlines.push(Reverse((entry.deadline, *node)));
            return false;
        }
        self.set_presence(node, Presence::Gone);
        true
    }

    /// True if the link of this node is its heartbeat.
    #[must_use]
    pub fn is_linked(&self, node: &NodeId) -> bool {
        self.nodes.get(node).is_some_and(|entry| entry.links > 0)
    }

    fn set_presence(&mut self, node: &NodeId, presence: Presence) {
        let Some(entry) = self.nodes.get_mut(node) else {
            return;
        };
        if entry.presence == presence {
            return;
        }
        let is_online = |presence| presence == Presence::Online;
        if is_online(presence) {
            self.online += 1;
        } else if is_online(entry.presence) {
            self.online -= 1;
        }
        entry.presence = presence;
        self.turned.push(*node);
    }

    fn mark_unsaved(&mut self, node: &NodeId) {
        if let Some(entry) = self.nodes.get_mut(node)
            && !entry.unsaved
        {
            entry.unsaved = true;
            self.unsaved.push(*node);
        }
    }

    /// Usage that the database does not know yet, at most `most` rows, each node once.
    pub fn take_unsaved(&mut self, most: usize) -> Vec<Seen> {
        let from = self.unsaved.len().saturating_sub(most);
        let taken = self.unsaved.split_off(from);
        self.seen(taken)
    }

    /// Those whose presence has turned, at most `most` rows, each node once.
    pub fn take_turned(&mut self, most: usize) -> Vec<Seen> {
        let from = self.turned.len().saturating_sub(most);
        let mut taken = self.turned.split_off(from);
        taken.sort_unstable();
        taken.dedup();
        self.seen(taken)
    }

    fn seen(&mut self, nodes: Vec<NodeId>) -> Vec<Seen> {
        let mut rows = Vec::with_capacity(nodes.len());
        for node in nodes {
            if let Some(entry) = self.nodes.get_mut(&node) {
                entry.unsaved = false;
                rows.push(Seen {
                    id: node,
                    online: entry.presence != Presence::Gone,
                    last_seen: entry.last_seen,
                    usage: entry.usage,
                });
            }
        }
        rows
    }

    /// The database did not take them.
    pub fn put_back(&mut self, rows: &[Seen]) {
        self.turned.extend(rows.iter().map(|row| row.id));
    }

    /// The owner of the center finds this node important, or no longer; false = no such node.
    pub fn pin(&mut self, node: &NodeId, pinned: bool) -> bool {
        let Some(entry) = self.nodes.get_mut(node) else {
            return false;
        };
        entry.pinned = pinned;
        if pinned {
            self.pinned.insert(*node);
        } else {
            self.pinned.remove(node);
        }
        true
    }

    /// Forgets a node and frees its name; false = no such node.
    pub fn remove(&mut self, node: &NodeId) -> bool {
        self.set_presence(node, Presence::Gone);
        let Some(entry) = self.nodes.remove(node) else {
            return false;
        };
        self.unindex(node, &entry);
        if let Some(name) = &entry.name {
            self.names.remove(&names::skeleton(name));
        }
        true
    }

    fn index(&mut self, record: &NodeRecord, entry: &Entry) {
        for ip in near::places(&entry.published) {
            self.near.insert((ip, record.node));
        }
        if entry.pinned {
            self.pinned.insert(record.node);
        }
        if let Some(offer) = &record.offer {
            self.relays.insert(record.node, offer.clone());
        }
    }

    fn unindex(&mut self, node: &NodeId, entry: &Entry) {
        for ip in near::places(&entry.published) {
            self.near.remove(&(ip, *node));
        }
        self.pinned.remove(node);
        self.relays.remove(node);
    }

    /// Counts a statement that [`Registry::judge`] passed and whose write is on the disk.
    pub fn apply(&mut self, statement: &Statement, asked: &Asked<'_>) {
        judge::apply(self, statement, asked);
    }

    /// Whether a statement holds, and what must be written before it is answered.
    ///
    /// # Errors
    /// The refusal.
    pub fn judge(&self, statement: &Statement, asked: &Asked<'_>) -> Result<Judged, Refusal> {
        judge::judge(self, statement, asked)
    }
}

#[cfg(test)]
mod tests;
