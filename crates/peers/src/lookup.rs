//! Finding a node, or a contact, without a center (R29 to R33, R52).
//!
//! The local list first: a hit sends no packet (R30). Where few links are around everybody is asked
//! once, in an echo. Else all neighbors are asked at once, then those that they know, in rounds of
//! growing budget that wander ever farther, until it is found or hops, budget or time end (R33).
//! Neighbors tell each other digests of their lists, so a node asks first whoever seems to know. A node knows of a query only whom it has it from; it answers if
//! it knows, else it asks others than that one (R32). See `docs/protocol/lookup.md` for the rules
//! and `docs/decisions` for why the rounds are as they are.
//!
//! What always holds: a record is opened (signature, age) before it is believed, kept or passed on;
//! an answer that was not asked for is dropped; a query is passed on with less budget, time and
//! hops than it came with, so every lookup ends; tables, queues and rates are bounded. Nothing is
//! kept on disk: a crash loses the lookups that were running.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use protocol::message::lookup::{
    Answer, ContactScope, LookupMessage, NO_CHAIN, Query, QueryId, Reply, SignedCards, Spread,
    Target, WIDTH_MAX,
};
use protocol::{NodeId, SignedRecord};

use crate::Dice;

mod bucket;
mod cache;
mod digests;
mod echo;
mod event;
mod find;
mod passage;
mod probe;

pub use echo::{ECHO_LINKS_MAX, ECHO_NODES_MAX};
pub use event::{
    Action, Asker, BUDGET_DEFAULT, DEADLINE_DEFAULT, End, Event, Fault, FindId, HOPS_DEFAULT,
    KnownRecord, Limits, Linked, Outcome, Surroundings,
};
pub use find::{FINDS_MAX, Tuning};
pub use passage::{PASSAGE_LIFETIME, PASSAGES_MAX};

use bucket::Buckets;
use cache::Cache;
use digests::Digests;
use echo::Echo;
use find::Finds;
use passage::{Ask, Passages};

/// A node answers one query with at most so many records, those of nodes with the same name.
const RECORDS_MAX: usize = 8;
/// A link's answer takes at least so long, for what is left of a deadline.
const HOP_TIME_MIN: Duration = Duration::from_millis(50);

/// The machine.
#[derive(Debug)]
pub struct Lookup {
    tuning: Tuning,
    dice: Dice,
    passages: Passages,
    finds: Finds,
    cache: Cache,
    buckets: Buckets,
    digests: Digests,
    /// When a query on its way through is looked at again.
    alarms: BTreeSet<(Duration, QueryId)>,
    actions: VecDeque<Action>,
}

impl Lookup {
    /// A machine without lookups; `seed` comes from the operating system, in a simulation from the
    /// seed of the run.
    #[must_use]
    pub fn new(seed: [u8; 32], tuning: Tuning) -> Self {
        Self {
            tuning,
            dice: Dice::new(seed),
            passages: Passages::default(),
            finds: Finds::default(),
            cache: Cache::default(),
            buckets: Buckets::default(),
            digests: Digests::default(),
            alarms: BTreeSet::new(),
            actions: VecDeque::new(),
        }
    }

    /// Tells what happened.
    pub fn handle(&mut self, now: Duration, event: Event, around: &impl Surroundings) {
        match event {
            Event::Find {
                find,
                target,
                limits,
            } => self.begin(now, find, target, limits, around),
            Event::Abandon(find) => self.abandon(now, find),
            Event::Received { from, message } => match message {
                LookupMessage::Query(query) => self.query(now, from, query, around),
                LookupMessage::Reply(reply) => self.reply(now, from, reply, around),
                LookupMessage::Cancel { qid } => self.cancelled(now, from, qid),
                LookupMessage::Digest(digest) => {
                    if self.buckets.takes(now, from) {
                        self.digests.heard(from, *digest);
                    } else {
                        self.fault(from, Fault::TooMany);
                    }
                }
            },
            Event::Linked(node) => self.digests.linked(now, node, self.dice.bytes()),
            Event::Unlinked(node) => {
                self.digests.unlinked(node);
                self.echo_without(now, node, around);
            }
            Event::ListChanged => self.digests.list_changed(),
            Event::Tick => {}
        }
        self.passages.expire(now);
        self.cache.expire(now);
        self.ring(now, around);
        self.go_on(now, around);
        self.actions.extend(self.digests.tell(now, around));
    }

    /// Looks at the queries whose time to be looked at has come.
    fn ring(&mut self, now: Duration, around: &impl Surroundings) {
        while let Some((at, qid)) = self.alarms.first().copied().filter(|(at, _)| *at <= now) {
            self.alarms.remove(&(at, qid));
            self.echo_alarm(now, qid, around);
            self.probes_late(now, qid, around);
        }
    }

    /// What is to be done next; `None` when all is done.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When the next [`Event::Tick`] is wanted.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        let alarm = self.alarms.first().map(|(at, _)| *at);
        let deadlines = [
            self.finds.next_deadline(),
            alarm,
            self.digests.next_deadline(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Queries that this node remembers.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.passages.len()
    }

    fn query(&mut self, now: Duration, from: NodeId, query: Query, around: &impl Surroundings) {
        let friend = around
            .linked()
            .iter()
            .any(|linked| linked.node == from && linked.friend);
        let qid = query.qid;
        if !self.buckets.takes(now, from) {
            self.actions.push_back(Action::Fault {
                from,
                fault: Fault::TooMany,
            });
            if let Some(left) = query.budget.checked_sub(1)
                && self.buckets.may_deny(now, from)
            {
                self.answer(from, qid, Answer::Denied { left });
            }
            return;
        }
        let chain = if friend {
            query.chain.saturating_add(1)
        } else {
            NO_CHAIN
        };
        let (passage, new) = self.passages.enter(now, from, chain, &query);
        if passage.target != query.target {
            return;
        }
        let width = match query.spread {
            Spread::Echo if new => 0,
            Spread::Echo => return self.echo_again(now, from, &query, around),
            // An echo is nothing that can be given more budget.
            Spread::Walk { .. } if passage.echo.is_some() => return,
            Spread::Walk { width } => usize::from(width),
        };
        if passage.done {
            return;
        }
        if new {
            match &query.target {
                Target::Contact { scope, term } => {
                    if chain > links_of(*scope) {
                        passage.done = true;
                        return self.give_back(from, qid, query.budget, false);
                    }
                    // Before the answer that says who else was asked: on a link they keep their order.
                    if let Some(cards) = around.cards(from, qid, chain, term) {
                        self.answer(from, qid, Answer::Cards { cards, hops: 1 });
                    }
                }
                Target::Node(_) | Target::Name(_) | Target::Blinded { .. } => {
                    let asker = if chain == NO_CHAIN {
                        Asker::Stranger
                    } else {
                        Asker::FriendsAway(chain)
                    };
                    if self.answer_from_own(now, from, &query, asker, around) {
                        return;
                    }
                }
            }
        }
        let ask = Ask {
            whom_for: Some(from),
            budget: query.budget,
            hops_left: query.hops_left,
            width,
        };
        if query.spread == Spread::Echo {
            let echo = Echo::new(query.budget, query.hops_left);
            return self.echo_begin(now, qid, echo, around);
        }
        if new && self.probe(now, qid, ask, around) {
            return;
        }
        let left = self.spend(now, qid, ask, around);
        self.give_back(from, qid, left, query.hops_left == 0);
    }

    /// R32: who knows answers and does not ask others.
    fn answer_from_own(
        &mut self,
        now: Duration,
        from: NodeId,
        query: &Query,
        asker: Asker,
        around: &impl Surroundings,
    ) -> bool {
        let mut known = around.records(&query.target, asker);
        if known.is_empty() {
            known.extend(self.cache.get(now, &query.target));
        }
        known.truncate(RECORDS_MAX);
        for known in &known {
            let answer = Answer::Found {
                record: known.record.clone(),
                hops: 1,
                keep: known.keep,
            };
            self.answer(from, query.qid, answer);
        }
        // A name may belong to several nodes.
        if known.is_empty() || matches!(query.target, Target::Name(_)) {
            return false;
        }
        if let Some(passage) = self.passages.get(query.qid) {
            passage.done = true;
        }
        true
    }

    fn reply(&mut self, now: Duration, from: NodeId, reply: Reply, around: &impl Surroundings) {
        let Reply { qid, answer } = reply;
        // Too old to be remembered, or never asked: both are nothing to us.
        let Some(passage) = self.passages.get(qid) else {
            return;
        };
        if passage.asked(from).is_none() {
            return self.fault(from, Fault::Unasked);
        }
        match answer {
            Answer::Found { record, hops, keep } => {
                self.found(now, from, qid, (record, hops, keep), around);
                self.probe_answered(now, from, qid, around);
            }
            Answer::Cards { cards, hops } => self.found_cards(from, qid, cards, hops),
            Answer::NotFound { left }
            | Answer::Exhausted { left }
            | Answer::Denied { left }
            | Answer::Incomplete { left } => {
                if passage.echo.is_some() {
                    self.echo_answered(now, from, qid, &answer, around);
                } else if !self.probe_answered(now, from, qid, around) {
                    let cut = matches!(answer, Answer::NotFound { .. });
                    self.returned(now, from, qid, left, cut, around);
                }
            }
        }
    }

    /// Budget came back: others are asked with it; if there is nobody left it goes back further.
    fn returned(
        &mut self,
        now: Duration,
        from: NodeId,
        qid: QueryId,
        left: u32,
        cut: bool,
        around: &impl Surroundings,
    ) {
        let Some(passage) = self.passages.get(qid) else {
            return;
        };
        passage.cut |= cut;
        let Some(ask) = passage.take_back(from, left) else {
            return;
        };
        if passage.done {
            return;
        }
        let whom_for = ask.whom_for;
        let left = self.spend(now, qid, ask, around);
        match whom_for {
            Some(previous) => {
                let cut = self.passages.get(qid).is_some_and(|passage| passage.cut);
                self.give_back(previous, qid, left, cut);
            }
            None => self.finds.returned(qid, left),
        }
    }

    fn found(
        &mut self,
        now: Duration,
        from: NodeId,
        qid: QueryId,
        (record, hops, keep): (SignedRecord, u16, bool),
        around: &impl Surroundings,
    ) {
        let Some(passage) = self.passages.get(qid) else {
            return;
        };
        let node = match around.open(&record) {
            Ok(node) if passage.target.matches(&node) => node,
            Ok(_) | Err(_) => return self.fault(from, Fault::BadRecord),
        };
        if !passage.is_news(node.node, node.seq) {
            return;
        }
        // Back to whom the query came from first: that way has no loops.
        let previous = passage.previous;
        if !matches!(passage.target, Target::Name(_)) {
            self.stop(now, qid, Some(from));
        }
        if keep {
            self.cache.put(now, &node, &record);
            self.actions.push_back(Action::Heard {
                node: node.clone(),
                record: record.clone(),
            });
        }
        match previous {
            Some(previous) => {
                let answer = Answer::Found {
                    record,
                    hops: hops.saturating_add(1),
                    keep,
                };
                self.answer(previous, qid, answer);
            }
            None => {
                if let Some(find) = self.finds.found(now, qid) {
                    self.actions.push_back(Action::Found {
                        find,
                        node,
                        record,
                        hops,
                        from: Some(from),
                    });
                }
            }
        }
    }

    fn found_cards(&mut self, from: NodeId, qid: QueryId, cards: SignedCards, hops: u16) {
        let Some(passage) = self.passages.get(qid) else {
            return;
        };
        let contact = matches!(passage.target, Target::Contact { .. });
        let Some((holder, opened)) = cards.open(qid).ok().filter(|_| contact) else {
            return self.fault(from, Fault::BadCards);
        };
        if !passage.is_news(holder, 0) {
            return;
        }
        let previous = passage.previous;
        match previous {
            Some(previous) => {
                let hops = hops.saturating_add(1);
                self.answer(previous, qid, Answer::Cards { cards, hops });
            }
            None => {
                if let Some(find) = self.finds.found_cards(qid) {
                    self.actions.push_back(Action::FoundContacts {
                        find,
                        holder,
                        cards: opened,
                        hops,
                    });
                }
            }
        }
    }

    /// Only the node that asked first may stop a search for everybody else.
    fn cancelled(&mut self, now: Duration, from: NodeId, qid: QueryId) {
        if self
            .passages
            .get(qid)
            .is_some_and(|passage| passage.previous == Some(from))
        {
            self.stop(now, qid, None);
        }
    }

    /// Asks nobody else, and tells those who may be at it, except `finder`.
    fn stop(&mut self, now: Duration, qid: QueryId, finder: Option<NodeId>) {
        let Some(passage) = self.passages.get(qid) else {
            return;
        };
        if std::mem::replace(&mut passage.done, true) || passage.echo.is_some() {
            // An echo is over before it could be stopped.
            return;
        }
        for to in passage.at_work(now) {
            if Some(to) != finder {
                let message = LookupMessage::Cancel { qid };
                self.actions.push_back(Action::Send { to, message });
            }
        }
    }

    /// Asks neighbors with the budget of `ask`; returns what of it nobody could take.
    fn spend(&mut self, now: Duration, qid: QueryId, ask: Ask, around: &impl Surroundings) -> u32 {
        let Some(passage) = self.passages.get(qid) else {
            return ask.budget;
        };
        let (digests, dice) = (&mut self.digests, &mut self.dice);
        // A walk does not go where, as far as is known, everybody is linked here too.
        let everybody =
            ask.width > usize::from(WIDTH_MAX) || matches!(passage.target, Target::Contact { .. });
        let linked: Vec<Linked> = around
            .linked()
            .iter()
            .filter(|linked| everybody || digests.leads_on(linked.node, around))
            .copied()
            .collect();
        let pick = |fresh: &mut [Linked], count| digests.pick(fresh, count, dice, around);
        let chosen = passage.choose(now, ask, &linked, pick);
        if chosen.is_empty() {
            return ask.budget;
        }
        for (linked, budget) in chosen {
            let query = Query {
                budget,
                hops_left: ask.hops_left.saturating_sub(1),
                spread: Spread::Walk {
                    width: u8::try_from(ask.width).unwrap_or(WIDTH_MAX).min(WIDTH_MAX),
                },
                ..passage.question(now, qid, linked)
            };
            self.actions.push_back(Action::ask(linked.node, query));
        }
        0
    }

    /// The negative answer is paid with one message of what is left.
    fn give_back(&mut self, to: NodeId, qid: QueryId, left: u32, cut: bool) {
        if let Some(left) = left.checked_sub(1) {
            let answer = if cut {
                Answer::NotFound { left }
            } else {
                Answer::Exhausted { left }
            };
            self.answer(to, qid, answer);
        }
    }

    fn answer(&mut self, to: NodeId, qid: QueryId, answer: Answer) {
        let message = LookupMessage::Reply(Reply { qid, answer });
        self.actions.push_back(Action::Send { to, message });
    }

    fn fault(&mut self, from: NodeId, fault: Fault) {
        self.actions.push_back(Action::Fault { from, fault });
    }
}

/// Links between friends that join a node to the books that it may search.
fn links_of(scope: ContactScope) -> u8 {
    match scope {
        ContactScope::Friends => 1,
        ContactScope::FriendsOfFriends => 2,
    }
}
