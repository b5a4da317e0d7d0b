//! The owner task: the only place where the table, the lookups and the links change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use peers::lookup::{self, FindId, Linked, Lookup, Tuning};
use peers::neighbors::{self, Neighbor, Table, Visibility};
use protocol::message::lookup::LookupMessage;
use protocol::message::presence::Visible;
use protocol::message::services::Service;
use protocol::{Clock, NodeId};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

mod around;
mod calls;
mod links;

use self::around::Around;
use super::dialer::Dialer;
use super::talk::{Event, Voice};
use super::{Book, Finding, Introduction, Order, Owner, Shelf, State, View};
use crate::{CloseCode, Endpoint, Link};

/// How often the links are looked at.
const LOOK: Duration = Duration::from_millis(2500);
/// A link gives a sign of life as often (keep-alive).
const BEAT: Duration = Duration::from_secs(5);
/// A neighbor that has missed so many in a row is gone (R23).
const MISSED_MAX: u32 = 3;
/// Neighbors are measured as often.
const MEASURE: Duration = Duration::from_secs(60);
/// Round-trip times that differ by less are the same.
const NOISE: Duration = Duration::from_millis(2);
/// A known node without a link is asked for a sign of life as often.
const REVISIT: Duration = Duration::from_secs(300);
/// After a link has stood, its node is not called again for so long.
const REST: Duration = Duration::from_secs(1);
/// With fewer active neighbors than this, nodes that were only heard of are called too.
const FEW: usize = 8;
/// A neighbor that broke so many rules is left alone for [`SHUN`].
const FAULTS_MAX: u32 = 8;
const SHUN: Duration = Duration::from_secs(600);
/// Nodes that are shunned, the last ones.
const SHUNNED_MAX: usize = 256;

impl Owner {
    /// Keeps the neighborhood until `stop`, then saves the table.
    pub async fn run(mut self, endpoint: Endpoint, stop: CancellationToken) {
        let mut keeper = Keeper::new(&mut self, endpoint);
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            keeper.dial();
            keeper.act();
            let deadline = keeper.next_deadline();
            tokio::select! {
                () = stop.cancelled() => break,
                Some(event) = self.told.recv() => keeper.told(event),
                Some(order) = self.orders.recv() => keeper.order(order),
                _ = look.tick() => keeper.look(),
                () = sleep_until(deadline) => keeper.tick(),
                Some(_) = keeper.tasks.join_next() => {}
            }
        }
        keeper.end().await;
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

struct Keeper {
    endpoint: Endpoint,
    voice: Voice,
    clock: Clock,
    shelf: Arc<dyn Shelf>,
    book: Arc<dyn Book>,
    counters: Arc<super::Counters>,
    begun: Instant,
    size: neighbors::Size,
    table: Table,
    lookup: Lookup,
    dialer: Dialer,
    /// Whom to call, best first; made anew when `stale`.
    wanted: Vec<NodeId>,
    stale: bool,
    /// The table has changed since the lookups were told.
    list_changed: bool,
    /// The number of the own record that the lookups were told of.
    own_seq: u64,
    links: BTreeMap<NodeId, Vec<Standing>>,
    linked: Vec<Linked>,
    notes: HashMap<NodeId, Note>,
    finds: HashMap<FindId, mpsc::Sender<Finding>>,
    next_find: FindId,
    tasks: JoinSet<()>,
    measured: Instant,
}

/// A lookup link that stands.
struct Standing {
    link: Link,
    ours: bool,
    outbox: mpsc::Sender<LookupMessage>,
    since: Instant,
    received: u64,
    heard: Instant,
}

/// What is known of a node beside the table; not kept.
#[derive(Default)]
struct Note {
    version: Option<String>,
    digest: Option<[u8; 8]>,
    services: Option<Vec<Service>>,
    trouble: Option<String>,
    faults: u32,
    shunned_until: Option<Instant>,
}

impl Keeper {
    fn new(owner: &mut Owner, endpoint: Endpoint) -> Self {
        let settings = &mut owner.settings;
        let saved = std::mem::take(&mut settings.saved);
        let seed = settings.seed;
        let [a, b, c, d, e, f, g, h, ..] = seed;
        Self {
            voice: owner.voice.clone(),
            clock: Arc::clone(&settings.clock),
            shelf: Arc::clone(&settings.shelf),
            book: Arc::clone(&settings.book),
            counters: Arc::clone(&owner.counters),
            begun: Instant::now(),
            size: settings.size,
            table: Table::new(endpoint.id(), settings.size, saved),
            lookup: Lookup::new(seed, Tuning::default()),
            dialer: Dialer::new(u64::from_be_bytes([a, b, c, d, e, f, g, h])),
            wanted: Vec::new(),
            stale: true,
            list_changed: true,
            own_seq: 0,
            links: BTreeMap::new(),
            linked: Vec::new(),
            notes: HashMap::new(),
            finds: HashMap::new(),
            next_find: 0,
            tasks: JoinSet::new(),
            measured: Instant::now(),
            endpoint,
        }
    }

    fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    fn order(&mut self, order: Order) {
        let now = self.now();
        self.stale = true;
        match order {
            Order::Meet(candidate) => {
                if candidate.id != self.endpoint.id() && !self.links.contains_key(&candidate.id) {
                    let mut addresses = candidate.addresses;
                    addresses.truncate(protocol::ADDRESSES_MAX);
                    self.dialer.hint(now, candidate.id, addresses);
                }
            }
            Order::Friend(node, friend) => {
                self.known(neighbors::Event::Friend { node, friend });
                self.relink();
            }
            Order::Pin(node, pinned) => self.known(neighbors::Event::Pinned { node, pinned }),
            Order::Forget(node, reply) => {
                let known = self.table.get(node).is_some();
                self.known(neighbors::Event::Forget(node));
                self.dialer.forget(node);
                self.notes.remove(&node);
                let _ = reply.send(known);
            }
            Order::List(reply) => {
                let _ = reply.send(self.list());
            }
            Order::Find(target, limits, findings) => {
                self.next_find += 1;
                self.finds.insert(self.next_find, findings);
                self.seek(lookup::Event::Find {
                    find: self.next_find,
                    target,
                    limits,
                });
            }
        }
    }

    fn told(&mut self, event: Event) {
        match event {
            Event::Said { from, message } => {
                if !matches!(message, LookupMessage::Digest(_)) {
                    self.counters.heard.fetch_add(1, Ordering::Relaxed);
                }
                if self.links.contains_key(&from) {
                    self.seek(lookup::Event::Received { from, message });
                }
            }
            Event::Linked {
                link,
                ours,
                introduction,
                outbox,
            } => self.stands(link, ours, introduction, outbox),
            Event::NotLinked { node, why } => {
                tracing::debug!(%node, %why, "a call failed");
                self.stale = true;
                self.dialer.failed(self.now(), node);
                if self.links.contains_key(&node) {
                    return;
                }
                if self.table.get(node).is_some() {
                    self.note(node).trouble = Some(why);
                    self.known(neighbors::Event::Gone(node));
                } else if self.dialer.failures(&node) > 4 {
                    self.dialer.forget(node);
                }
            }
            Event::Pinged { introduction, rtt } => {
                let node = introduction.record.node;
                self.stale = true;
                self.dialer.answered(self.now(), node, REVISIT);
                self.met(introduction, Some(rtt));
            }
            Event::Renewed(introduction) => self.met(introduction, None),
            Event::Offers { node, services } => {
                let note = self.note(node);
                note.services = Some(services.offers);
            }
            Event::Ended { link, why } => self.ended(&link, why),
        }
    }

    fn met(&mut self, introduction: Introduction, rtt: Option<Duration>) {
        let Introduction { record, hello } = introduction;
        let node = record.node;
        let visibility = match hello.visible {
            Visible::Nobody => Visibility::Hidden,
            Visible::FriendsOfFriends => Visibility::FriendsOfFriends,
            Visible::Everybody => Visibility::Public,
        };
        self.known(neighbors::Event::Met {
            node,
            name: record.name.clone(),
            seq: record.seq,
            expires_at_ms: record.expires_at_ms,
            record: hello.record,
        });
        self.known(neighbors::Event::Visible { node, visibility });
        if let Some(rtt) = rtt {
            self.known(neighbors::Event::Measured {
                node,
                rtt,
                uptime: Duration::from_secs(hello.uptime_s),
                load_percent: hello.load_percent,
            });
        }
        let digest = record.services_digest;
        let note = self.note(node);
        note.version = Some(hello.version);
        if note.digest != Some(digest) && self.links.contains_key(&node) {
            self.note(node).digest = Some(digest);
            let to = self.address(node);
            let (voice, endpoint) = (self.voice.clone(), self.endpoint.clone());
            self.tasks.spawn(voice.ask_services(endpoint, to));
        }
    }

    fn known(&mut self, event: neighbors::Event) {
        let now = self.now();
        self.list_changed |= event != neighbors::Event::Tick;
        self.table.handle(now, event);
        self.stale = true;
    }

    fn seek(&mut self, event: lookup::Event) {
        let now = self.now();
        let own = self.voice.own.borrow();
        let around = Around {
            linked: &self.linked,
            table: &self.table,
            own: &own,
            book: &*self.book,
            clock: &self.clock,
        };
        self.lookup.handle(now, event, &around);
    }

    /// Does what the machines want done.
    fn act(&mut self) {
        if std::mem::take(&mut self.list_changed) {
            self.seek(lookup::Event::ListChanged);
        }
        loop {
            if let Some(action) = self.table.poll_action() {
                self.stale = true;
                self.arrange(action);
            } else if let Some(action) = self.lookup.poll_action() {
                self.answer(action);
            } else {
                return;
            }
        }
    }

    fn arrange(&mut self, action: neighbors::Action) {
        match action {
            // `dial` calls all active nodes that have no link.
            neighbors::Action::Link(_) => {}
            neighbors::Action::Unlink(node) => {
                let links = self.links.get(&node).into_iter().flatten();
                for standing in links.filter(|standing| standing.ours) {
                    standing
                        .link
                        .close(CloseCode::Done, "another neighbor took the place");
                }
            }
            neighbors::Action::Save => {
                let (shelf, snapshot) = (Arc::clone(&self.shelf), self.table.snapshot());
                self.tasks.spawn(async move {
                    let save = tokio::task::spawn_blocking(move || shelf.save(&snapshot));
                    let _ = save.await;
                });
            }
        }
    }

    fn answer(&mut self, action: lookup::Action) {
        match action {
            lookup::Action::Send { to, message } => {
                let standing = self.links.get(&to).and_then(|links| links.last());
                let counter = if matches!(message, LookupMessage::Digest(_)) {
                    &self.counters.digests
                } else {
                    &self.counters.said
                };
                if standing.is_some_and(|standing| standing.outbox.try_send(message).is_ok()) {
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            }
            lookup::Action::Found {
                find,
                node,
                record,
                hops,
                from,
            } => {
                let found = Finding::Found {
                    record: Box::new(node),
                    signed: record,
                    hops,
                    from,
                };
                self.tell(find, found);
            }
            lookup::Action::Finished { find, outcome } => {
                self.tell(find, Finding::Finished(outcome));
                self.finds.remove(&find);
            }
            lookup::Action::FoundContacts {
                find,
                holder,
                cards,
                hops,
            } => {
                let found = Finding::Cards {
                    holder,
                    cards,
                    hops,
                };
                self.tell(find, found);
            }
            lookup::Action::Heard { node, record: _ } => {
                let few = self.table.active().count() < FEW.min(self.size.active);
                if few && self.table.get(node.node).is_none() {
                    let now = self.now();
                    self.stale = true;
                    self.dialer.hint(now, node.node, node.addresses);
                }
            }
            lookup::Action::Fault { from, fault } => self.fault(from, fault),
        }
    }

    fn fault(&mut self, from: NodeId, fault: lookup::Fault) {
        let note = self.note(from);
        note.faults += 1;
        tracing::debug!(%from, ?fault, faults = note.faults, "a neighbor broke a rule");
        if note.faults < FAULTS_MAX {
            return;
        }
        note.faults = 0;
        note.shunned_until = Some(Instant::now() + SHUN);
        tracing::warn!(%from, ?fault, "a neighbor broke too many rules and is left alone for 10 min");
        for standing in self.links.remove(&from).into_iter().flatten() {
            standing
                .link
                .close(CloseCode::NotAllowed, "too many answers that were none");
        }
        self.known(neighbors::Event::Gone(from));
        self.relink();
    }

    fn tell(&mut self, find: FindId, finding: Finding) {
        let gone = self
            .finds
            .get(&find)
            .is_some_and(|findings| findings.try_send(finding).is_err());
        if gone {
            self.finds.remove(&find);
            self.seek(lookup::Event::Abandon(find));
        }
    }

    fn tick(&mut self) {
        self.known(neighbors::Event::Tick);
        self.seek(lookup::Event::Tick);
    }

    /// Counts beats and measures.
    fn look(&mut self) {
        let now = Instant::now();
        for standing in self.links.values_mut().flatten() {
            let received = standing.link.datagrams().1;
            if received != standing.received {
                standing.received = received;
                standing.heard = now;
            } else if missed_beats(standing.heard.elapsed()) >= MISSED_MAX {
                // QUIC itself counts from its last question, 5 s later.
                standing
                    .link
                    .close(CloseCode::Late, "three beats without a sign of life");
            }
        }
        if now.duration_since(self.measured) >= MEASURE {
            self.measured = now;
            self.measure(now);
        }
        let given_up: Vec<_> = self
            .finds
            .iter()
            .filter(|(_, findings)| findings.is_closed())
            .map(|(find, _)| *find)
            .collect();
        for find in given_up {
            self.finds.remove(&find);
            self.seek(lookup::Event::Abandon(find));
        }
        let own_seq = self.voice.own.borrow().record.seq;
        self.list_changed |= std::mem::replace(&mut self.own_seq, own_seq) != own_seq;
        self.forget_notes(now);
        self.relink();
    }

    fn measure(&mut self, now: Instant) {
        let measured: Vec<_> = self
            .links
            .iter()
            .filter_map(|(node, links)| {
                let standing = links.last()?;
                let rtt = standing.link.rtt();
                let known = self.table.get(*node)?.standing;
                // Small changes are noise; following them would make and break links.
                let changed = known
                    .rtt
                    .is_none_or(|before| before.abs_diff(rtt) > before / 4 + NOISE);
                let uptime = known.uptime.max(now.duration_since(standing.since));
                changed.then_some((*node, rtt, uptime, known.load_percent))
            })
            .collect();
        for (node, rtt, uptime, load_percent) in measured {
            self.known(neighbors::Event::Measured {
                node,
                rtt,
                uptime,
                load_percent,
            });
        }
    }

    fn forget_notes(&mut self, now: Instant) {
        let (table, links) = (&self.table, &self.links);
        self.notes.retain(|node, note| {
            let shunned = note.shunned_until.is_some_and(|until| until > now);
            shunned || links.contains_key(node) || table.get(*node).is_some()
        });
        while self.notes.len() > self.size.known + SHUNNED_MAX {
            let Some(any) = self.notes.keys().next().copied() else {
                return;
            };
            self.notes.remove(&any);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let call = self.dialer.next(&self.wanted);
        let deadlines = [
            call,
            self.table.next_deadline(),
            self.lookup.next_deadline(),
        ];
        deadlines
            .into_iter()
            .flatten()
            .min()
            .map(|deadline| self.begun + deadline)
    }

    fn list(&self) -> Vec<View> {
        let mut views: Vec<_> = self.table.known().map(|known| self.view(known)).collect();
        views.sort_by_key(|view| (!view.linked, view.state != State::Seen, view.rtt, view.id));
        views
    }

    fn view(&self, known: &Neighbor) -> View {
        let standing = self.links.get(&known.node).and_then(|links| links.last());
        let note = self.notes.get(&known.node);
        let record = known
            .record
            .as_ref()
            .and_then(|record| record.open_at_any_time().ok());
        let missed = match standing {
            Some(standing) => missed_beats(standing.heard.elapsed()),
            None if known.present => 0,
            None => MISSED_MAX,
        };
        View {
            id: known.node,
            name: known.name.clone(),
            state: match (missed, standing) {
                (0, _) => State::Seen,
                (_, Some(_)) => State::Suspect,
                (_, None) => State::Gone,
            },
            missed,
            path: standing.map(|standing| standing.link.path()),
            rtt: standing
                .map(|standing| standing.link.rtt())
                .or(known.standing.rtt),
            version: note.and_then(|note| note.version.clone()),
            services: note.and_then(|note| note.services.clone()),
            pinned: known.standing.pinned,
            friend: known.standing.friend,
            linked: standing.is_some(),
            addresses: record.map(|record| record.addresses).unwrap_or_default(),
            trouble: note.and_then(|note| note.trouble.clone()),
        }
    }

    fn note(&mut self, node: NodeId) -> &mut Note {
        self.notes.entry(node).or_default()
    }

    async fn end(mut self) {
        for standing in self.links.values().flatten() {
            standing.link.close(CloseCode::GoingAway, "the node stops");
        }
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
        let (shelf, snapshot) = (self.shelf, self.table.snapshot());
        let _ = tokio::task::spawn_blocking(move || shelf.save(&snapshot)).await;
    }
}

/// Beats that a silence of `silent` has missed; half a beat of delay is none.
fn missed_beats(silent: Duration) -> u32 {
    let beats = (silent + BEAT / 2).as_millis() / BEAT.as_millis();
    u32::try_from(beats).unwrap_or(u32::MAX).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_counts_beats() {
        let check =
            |ms, missed| assert_eq!(missed_beats(Duration::from_millis(ms)), missed, "{ms}");
        check(0, 0);
        check(7_400, 0);
        check(7_600, 1);
        check(12_600, 2);
        check(14_900, 2);
    }
}
