//! The event loop: a heap of (time, receiver, message) on a virtual clock.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::time::Duration;

use peers::Dice;
use peers::lookup::{
    Action, Asker, Event, Fault, FindId, KnownRecord, Limits, Linked, Lookup, Outcome,
    Surroundings, Tuning,
};
use protocol::frame::Message;
use protocol::message::lookup::{
    Answer, DIGEST_NODES_MAX, Digest, LookupMessage, NEAR_LEVELS, Near, Query, QueryId, Reply,
    SignedCards, Target, Term,
};
use protocol::{NodeId, NodeName, NodeRecord, RecordError, SignedRecord};

use crate::census::{Census, NOON};
use crate::{Conduct, Faults, Graph};

/// One way over a link takes at least so long, and up to three times that.
const ONE_WAY_MS_MIN: usize = 10;
const LATE: Duration = Duration::from_secs(1);
/// The `seq` of every node's record.
const SEQ: u64 = 7;

/// What a lookup came to.
#[derive(Debug, Clone)]
pub struct Run {
    /// Nodes that were found.
    pub found: Vec<NodeRecord>,
    /// Links to the node that knew, of the first answer.
    pub hops: u16,
    /// Until the first answer.
    pub first_after: Option<Duration>,
    /// What the machine said at the end.
    pub outcome: Outcome,
    /// Messages that all nodes sent from its start until nothing was under way.
    pub messages: usize,
}

/// Digests that nodes told each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// How many.
    pub digests: usize,
    /// Bytes of their frames.
    pub bytes: usize,
}

/// Nodes, their machines and what is under way between them.
pub struct Network<'a> {
    graph: &'a Graph,
    census: &'a Census,
    faults: Faults,
    machines: Vec<Lookup>,
    linked: Vec<Vec<Linked>>,
    dice: Dice,
    now: Duration,
    queue: BinaryHeap<Parcel>,
    posted: u64,
    sent: usize,
    upkeep: Upkeep,
    /// When the next tick of a node is under way.
    ticks: HashMap<u32, Duration>,
    flooded: HashSet<u32>,
    next_find: FindId,
    faults_seen: Vec<(u32, NodeId, Fault)>,
    echoes: usize,
    events: Vec<(FindId, Duration, Action)>,
}

struct Parcel {
    at: Duration,
    order: u64,
    to: u32,
    what: What,
}

enum What {
    Message { from: u32, message: LookupMessage },
    Tick,
}

impl PartialEq for Parcel {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Parcel {}

impl PartialOrd for Parcel {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Parcel {
    /// The earliest is the greatest, as a `BinaryHeap` gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// One node as its machine sees it.
struct Place<'b> {
    census: &'b Census,
    linked: &'b [Linked],
    own: u32,
    clock_error_ms: i64,
}

impl Place<'_> {
    fn name(&self, node: u32) -> Option<NodeName> {
        self.census.name_of(node).and_then(|name| name.parse().ok())
    }

    fn knows(&self, node: u32) -> bool {
        let id = self.census.id(node as usize);
        node == self.own || self.linked.iter().any(|linked| linked.node == id)
    }
}

impl Surroundings for Place<'_> {
    fn linked(&self) -> &[Linked] {
        self.linked
    }

    fn records(&self, target: &Target, _asker: Asker) -> Vec<KnownRecord> {
        let known = |node| KnownRecord {
            record: self.census.record(node, SEQ),
            seq: SEQ,
            keep: true,
        };
        match target {
            Target::Node(id) => {
                let node = self.census.number(*id).filter(|node| self.knows(*node));
                node.map(known).into_iter().collect()
            }
            Target::Name(_) => self
                .census
                .named()
                .filter(|(node, name)| {
                    let name = name.parse().ok();
                    self.knows(*node)
                        && target.matches_node(self.census.id(*node as usize), name.as_ref())
                })
                .map(|(node, _)| known(node))
                .collect(),
            Target::Blinded { .. } => {
                let ids = self.linked.iter().map(|linked| linked.node);
                ids.chain([self.census.id(self.own as usize)])
                    .filter(|id| target.matches_node(*id, None))
                    .filter_map(|id| self.census.number(id))
                    .map(known)
                    .collect()
            }
            Target::Contact { .. } => Vec::new(),
        }
    }

    fn cards(&self, _: NodeId, _: QueryId, _: u8, _: &Term) -> Option<SignedCards> {
        None
    }

    fn own(&self) -> NodeId {
        self.census.id(self.own as usize)
    }

    fn public(&self) -> Vec<(NodeId, Option<NodeName>)> {
        let linked = self
            .linked
            .iter()
            .filter_map(|linked| self.census.number(linked.node));
        let known = linked.chain([self.own]);
        known
            .map(|node| (self.census.id(node as usize), self.name(node)))
            .collect()
    }

    fn open(&self, record: &SignedRecord) -> Result<NodeRecord, RecordError> {
        // It is noon all day: every node would renew its record in time.
        let mut clock = NOON;
        clock.0 += self.clock_error_ms;
        self.census.open(record, clock)
    }
}

impl<'a> Network<'a> {
    /// A network at rest, in which all neighbors have told each other digests. Everything random follows from `seed`.
    #[must_use]
    pub fn new(
        graph: &'a Graph,
        census: &'a Census,
        tuning: Tuning,
        faults: Faults,
        seed: u64,
    ) -> Self {
        let mut seeds = [0; 32];
        seeds[..8].copy_from_slice(&seed.to_be_bytes());
        let dice = Dice::new(seeds);
        let nodes = u32::try_from(graph.nodes()).expect("fewer than 2^32 nodes");
        let linked_of = |node: u32| {
            let links = graph.links(node as usize).iter();
            links.map(|other| link(census, node, *other)).collect()
        };
        let machine = |node: u32| {
            let mut own = seeds;
            own[8..12].copy_from_slice(&node.to_be_bytes());
            own[12] = 1;
            Lookup::new(own, tuning)
        };
        let mut network = Self {
            graph,
            census,
            faults,
            machines: (0..nodes).map(machine).collect(),
            linked: (0..nodes).map(linked_of).collect(),
            dice,
            now: Duration::ZERO,
            queue: BinaryHeap::new(),
            posted: 0,
            sent: 0,
            upkeep: Upkeep::default(),
            ticks: HashMap::new(),
            flooded: HashSet::new(),
            next_find: 0,
            faults_seen: Vec::new(),
            echoes: 0,
            events: Vec::new(),
        };
        for node in 0..nodes {
            for link in network.linked[node as usize].clone() {
                network.tell(node, Event::Linked(link.node));
            }
        }
        network.rest();
        network
    }

    /// Digests that were told since the start.
    #[must_use]
    pub fn upkeep(&self) -> Upkeep {
        self.upkeep
    }

    /// Links two nodes that were not linked, and lets all learn of it who will.
    pub fn link(&mut self, a: u32, b: u32) {
        for (node, other) in [(a, b), (b, a)] {
            let linked = link(self.census, node, other);
            self.linked[node as usize].push(linked);
            self.tell(node, Event::Linked(linked.node));
            self.tell(node, Event::ListChanged);
        }
        self.rest();
    }

    /// Seeks from `origin` and lets everything come to rest.
    pub fn find(&mut self, origin: u32, target: Target, limits: Limits) -> Run {
        let before = self.sent;
        let find = self.begin(origin, target, limits);
        self.rest();
        let mut run = self.run_of(find);
        run.messages = self.sent - before;
        run
    }

    /// Begins to seek from `origin`.
    pub fn begin(&mut self, origin: u32, target: Target, limits: Limits) -> FindId {
        let find = self.next_find;
        self.next_find += 1;
        let event = Event::Find {
            find,
            target,
            limits,
        };
        self.tell(origin, event);
        find
    }

    /// What came of a lookup that is over, except the count of messages.
    ///
    /// # Panics
    /// If it is not over.
    pub fn run_of(&mut self, find: FindId) -> Run {
        let mut found: Vec<NodeRecord> = Vec::new();
        let (mut hops, mut first, mut outcome) = (0, None, None);
        for (number, at, action) in &self.events {
            if *number != find {
                continue;
            }
            match action {
                Action::Found {
                    node, hops: links, ..
                } => {
                    if first.is_none() {
                        (hops, first) = (*links, Some(*at));
                    }
                    found.retain(|old| old.node != node.node);
                    found.push(node.clone());
                }
                Action::Finished { outcome: end, .. } => outcome = Some((*at, *end)),
                Action::Send { .. }
                | Action::FoundContacts { .. }
                | Action::Heard { .. }
                | Action::Fault { .. } => {}
            }
        }
        self.events.retain(|(number, ..)| *number != find);
        let (at, outcome) = outcome.expect("a lookup always ends");
        let began = at.saturating_sub(outcome.took);
        Run {
            found,
            hops,
            first_after: first.map(|first| first.saturating_sub(began)),
            outcome,
            messages: 0,
        }
    }

    /// Lets everything that is under way arrive, and all that follows from it.
    pub fn rest(&mut self) {
        while let Some(parcel) = self.queue.pop() {
            self.deliver(parcel);
        }
    }

    /// Lets time pass with nothing under way.
    pub fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Who is in it.
    #[must_use]
    pub fn census(&self) -> &Census {
        self.census
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Messages that were sent since the start.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// Rules that were broken: who noticed it, whose fault, which.
    #[must_use]
    pub fn faults_seen(&self) -> &[(u32, NodeId, Fault)] {
        &self.faults_seen
    }

    /// Queries that a node sent to the neighbor that it had just got them from first (R32: none).
    #[must_use]
    pub fn echoes(&self) -> usize {
        self.echoes
    }

    /// The most queries that one node remembers.
    #[must_use]
    pub fn remembered_most(&self) -> usize {
        let remembered = self.machines.iter().map(Lookup::remembered);
        remembered.max().unwrap_or(0)
    }

    fn deliver(&mut self, parcel: Parcel) {
        self.now = self.now.max(parcel.at);
        match parcel.what {
            What::Tick => {
                if self.ticks.get(&parcel.to) == Some(&parcel.at) {
                    self.ticks.remove(&parcel.to);
                    self.tell(parcel.to, Event::Tick);
                }
            }
            What::Message { from, message } => {
                if let Some(conduct) = self.faults.conduct.get(&parcel.to).copied() {
                    if let LookupMessage::Query(query) = message {
                        self.misbehave(parcel.to, from, &query, conduct);
                    }
                    return;
                }
                let event = Event::Received {
                    from: self.census.id(from as usize),
                    message,
                };
                self.tell(parcel.to, event);
            }
        }
    }

    fn tell(&mut self, node: u32, event: Event) {
        let asked_by = if let Event::Received {
            from,
            message: LookupMessage::Query(_),
        } = &event
        {
            Some(*from)
        } else {
            None
        };
        let place = Place {
            census: self.census,
            linked: &self.linked[node as usize],
            own: node,
            clock_error_ms: self.faults.clock_error_ms.get(&node).copied().unwrap_or(0),
        };
        let machine = &mut self.machines[node as usize];
        machine.handle(self.now, event, &place);
        let mut actions = Vec::new();
        while let Some(action) = machine.poll_action() {
            actions.push(action);
        }
        if let Some(at) = machine.next_deadline() {
            let at = at.max(self.now + Duration::from_micros(1));
            // One tick a node is under way; a later one follows from it.
            if self.ticks.get(&node).is_none_or(|pending| *pending > at) {
                self.ticks.insert(node, at);
                self.post(at, node, What::Tick);
            }
        }
        for action in actions {
            match action {
                Action::Send { to, message } => {
                    if asked_by == Some(to) && matches!(message, LookupMessage::Query(_)) {
                        self.echoes += 1;
                    }
                    let Some(to) = self.census.number(to) else {
                        continue;
                    };
                    let lures = self.faults.conduct.get(&node) == Some(&Conduct::Lures);
                    let message = match &message {
                        LookupMessage::Digest(digest) if lures => self.lure(node, digest),
                        LookupMessage::Digest(_)
                        | LookupMessage::Query(_)
                        | LookupMessage::Reply(_)
                        | LookupMessage::Cancel { .. } => message,
                    };
                    self.send(node, to, message);
                }
                Action::Fault { from, fault } => self.faults_seen.push((node, from, fault)),
                Action::Found { find, .. } | Action::Finished { find, .. } => {
                    self.events.push((find, self.now, action));
                }
                Action::Heard { .. } | Action::FoundContacts { .. } => {}
            }
        }
    }

    fn send(&mut self, from: u32, to: u32, message: LookupMessage) {
        if let LookupMessage::Digest(digest) = &message {
            self.upkeep.digests += 1;
            self.upkeep.bytes += digest.frame_bytes();
        } else {
            self.sent += 1;
        }
        let id = self.census.id(to as usize);
        debug_assert!(
            self.linked[from as usize]
                .iter()
                .any(|linked| linked.node == id)
        );
        let cut = self
            .faults
            .partition
            .is_some_and(|p| p.cuts(self.now, from, to));
        if cut || self.happens(self.faults.lost_percent) {
            return;
        }
        let base = one_way(from, to);
        let jitter = base * u32::try_from(self.dice.below(20)).unwrap_or(0) / 100;
        let mut at = self.now + base + jitter;
        if self.happens(self.faults.late_percent) {
            at += LATE;
        }
        if self.happens(self.faults.doubled_percent) {
            let message = message.clone();
            self.post(at + base, to, What::Message { from, message });
        }
        self.post(at, to, What::Message { from, message });
    }

    fn happens(&mut self, percent: usize) -> bool {
        percent > 0 && self.dice.below(100) < percent
    }

    fn post(&mut self, at: Duration, to: u32, what: What) {
        let order = self.posted;
        self.posted += 1;
        self.queue.push(Parcel {
            at,
            order,
            to,
            what,
        });
    }

    fn misbehave(&mut self, liar: u32, victim: u32, query: &Query, conduct: Conduct) {
        let sought = match &query.target {
            Target::Node(id) => self.census.number(*id).unwrap_or(liar),
            Target::Name(_) | Target::Blinded { .. } | Target::Contact { .. } => liar,
        };
        let found = |record| Answer::Found {
            record,
            hops: 1,
            keep: true,
        };
        let answers = match conduct {
            Conduct::Forges => vec![found(self.forged(sought))],
            Conduct::Replaces => vec![found(self.census.record(liar, SEQ))],
            Conduct::Stale => {
                let issued_at_ms = NOON.0 - 4 * 24 * 3_600_000;
                vec![found(self.census.sign(sought, SEQ - 1, issued_at_ms))]
            }
            Conduct::Denies => vec![Answer::Exhausted { left: 65_536 }],
            Conduct::Silent | Conduct::Lures => vec![],
            Conduct::Floods => {
                let forged = self.forged(sought);
                {
                    let pair = [found(forged), Answer::Exhausted { left: 65_536 }];
                    std::iter::repeat_n(pair, 10).flatten().collect()
                }
            }
        };
        for answer in answers {
            let reply = Reply {
                qid: query.qid,
                answer,
            };
            self.send(liar, victim, LookupMessage::Reply(reply));
        }
        // Once each: two of them that flood each other would tell nothing about the others.
        if conduct == Conduct::Floods && self.flooded.insert(liar) {
            for number in 0..20 {
                let mut qid = query.qid;
                qid.0[0] ^= number;
                let unasked = Reply {
                    qid: QueryId([number; 16]),
                    answer: Answer::Exhausted { left: 65_536 },
                };
                self.send(liar, victim, LookupMessage::Reply(unasked));
                let query = Query {
                    qid,
                    budget: 16,
                    ..query.clone()
                };
                self.send(liar, victim, LookupMessage::Query(query));
            }
        }
    }

    /// A digest that claims 256 nodes all over the net.
    fn lure(&self, liar: u32, honest: &Digest) -> LookupMessage {
        let nodes = self.graph.nodes();
        let claimed: Vec<_> = (0..DIGEST_NODES_MAX)
            .map(|number| (liar as usize + number * nodes.div_ceil(DIGEST_NODES_MAX)) % nodes)
            .map(|node| (self.census.id(node), None))
            .collect();
        let near: Vec<Near> = (0..NEAR_LEVELS).map(|level| honest.near(level)).collect();
        let digest = Digest::new([7; 16], &claimed).with_near(&near);
        LookupMessage::Digest(Box::new(digest))
    }

    /// A record of `sought` that another key signed: the right bytes with a wrong signature.
    fn forged(&self, sought: u32) -> SignedRecord {
        let mut bytes = self
            .census
            .record(sought, SEQ)
            .encode()
            .expect("a signed record");
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
        SignedRecord::decode(&bytes).expect("still a signed record in form")
    }
}

fn link(census: &Census, from: u32, to: u32) -> Linked {
    Linked {
        node: census.id(to as usize),
        rtt: one_way(from, to) * 2,
        friend: true,
    }
}

/// The same for both directions of a link, different from link to link.
fn one_way(a: u32, b: u32) -> Duration {
    let (low, high) = (u64::from(a.min(b)), u64::from(a.max(b)));
    let mixed = (low << 32 | high).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let spread = usize::try_from(mixed).unwrap_or(0) % (2 * ONE_WAY_MS_MIN + 1);
    Duration::from_millis((ONE_WAY_MS_MIN + spread) as u64)
}
