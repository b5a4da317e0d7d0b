//! Finding a node, or a contact, without a center (R29 to R33, R52).
//!
//! The local list first: a hit sends no packet (R30). Then all neighbors are asked at once, then
//! those that they know, in rounds of growing budget that wander ever farther, until it is found or
//! hops, budget or time end (R33). A node knows of a query only whom it has it from; it answers if
//! it knows, else it asks others than that one (R32). See `docs/protocol/lookup.md` for the rules
//! and `docs/decisions` for why the rounds are as they are.
//!
//! What always holds: a record is opened (signature, age) before it is believed, kept or passed on;
//! an answer that was not asked for is dropped; a query is passed on with less budget, time and
//! hops than it came with, so every lookup ends; tables, queues and rates are bounded. Nothing is
//! kept on disk: a crash loses the lookups that were running.

use std::collections::VecDeque;
use std::time::Duration;

use protocol::message::lookup::{
    Answer, ContactScope, LookupMessage, NO_CHAIN, Query, QueryId, Reply, SignedCards, Target,
    WIDTH_MAX,
};
use protocol::{NodeId, SignedRecord};

use crate::Dice;

mod bucket;
mod cache;
mod event;
mod find;
mod passage;

pub use event::{
    Action, Asker, BUDGET_DEFAULT, DEADLINE_DEFAULT, End, Event, Fault, FindId, HOPS_DEFAULT,
    KnownRecord, Limits, Linked, Outcome, Surroundings,
};
pub use find::{FINDS_MAX, Tuning};
pub use passage::{PASSAGE_LIFETIME, PASSAGES_MAX};

use bucket::Buckets;
use cache::Cache;
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
            },
            Event::Tick => {}
        }
        self.passages.expire(now);
        self.cache.expire(now);
        self.go_on(now, around);
    }

    /// What is to be done next; `None` when all is done.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When the next [`Event::Tick`] is wanted.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.finds.next_deadline()
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
        if passage.target != query.target || passage.done {
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
            width: usize::from(query.width),
        };
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
        if known.is_empty() {
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
            }
            Answer::Cards { cards, hops } => self.found_cards(from, qid, cards, hops),
            Answer::NotFound { left } => self.returned(now, from, qid, left, true, around),
            Answer::Exhausted { left } | Answer::Denied { left } => {
                self.returned(now, from, qid, left, false, around);
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
        if std::mem::replace(&mut passage.done, true) {
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
        let chosen = passage.choose(now, ask, around.linked(), &mut self.dice);
        if chosen.is_empty() {
            return ask.budget;
        }
        for (linked, budget) in chosen {
            let hop_time = HOP_TIME_MIN.max(linked.rtt * 3 / 2);
            let left = passage.ends_for_asker.saturating_sub(now + hop_time);
            let query = Query {
                qid,
                target: passage.target.clone(),
                hops_left: ask.hops_left.saturating_sub(1),
                deadline_left_ms: u32::try_from(left.as_millis()).unwrap_or(0),
                budget,
                width: u8::try_from(ask.width).unwrap_or(WIDTH_MAX).min(WIDTH_MAX),
                chain: if linked.friend {
                    passage.chain
                } else {
                    NO_CHAIN
                },
            };
            self.actions.push_back(Action::Send {
                to: linked.node,
                message: LookupMessage::Query(query),
            });
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
