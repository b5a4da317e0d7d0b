//! One query on its way through this node: whom it came from, whom it went to, what is left.
//!
//! A neighbor is asked about one query once. Later more budget may be granted to it, by the node
//! that asked it first only: grants go down the tree of first questions, so they end. A neighbor
//! that has the query from elsewhere is not asked at all (R32, no loops in rings).

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use protocol::NodeId;
use protocol::message::lookup::{
    ContactScope, NO_CHAIN, Query, QueryId, Spread, Target, WIDTH_MAX,
};

use super::echo::Echo;
use super::{HOP_TIME_MIN, Linked};

/// A node remembers a query so long.
pub const PASSAGE_LIFETIME: Duration = Duration::from_secs(60);
/// A node remembers at most so many queries, the newest.
pub const PASSAGES_MAX: usize = 65_536;

/// News of one query that are passed on; more are only made by liars.
const NEWS_MAX: usize = 32;
/// A budget is not cut in parts smaller than this: many short ways meet the same nodes again and
/// again where neighbors know each other.
const SHARE_MIN: usize = 8;
/// Whoever was asked within this time may still be at it, if the budget was worth a message.
const AT_WORK: Duration = Duration::from_secs(1);
const AT_WORK_BUDGET: u32 = 16;

/// Asking neighbors on behalf of the previous hop, or of the own node (`None`).
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    pub(super) whom_for: Option<NodeId>,
    /// Messages that may be caused.
    pub(super) budget: u32,
    pub(super) hops_left: u16,
    /// Neighbors that share the budget.
    pub(super) width: usize,
}

/// What happened between this node and one neighbor about one query.
#[derive(Debug)]
struct Edge {
    node: NodeId,
    /// Asked, with the budget that may still come back.
    asked: Option<Ask>,
    asked_at: Duration,
    /// It asked us.
    heard: bool,
    /// It gave budget back, or answered an echo: nobody is left behind it.
    exhausted: bool,
    /// It was asked for its own list only, and has not answered.
    probed: bool,
    /// It has answered that, and may be asked for more.
    probed_in_vain: bool,
}

#[derive(Debug)]
pub(super) struct Passage {
    pub(super) target: Target,
    /// Whom the query came from first; `None`: the own node seeks.
    pub(super) previous: Option<NodeId>,
    /// Links between friends up to here, or `NO_CHAIN`.
    pub(super) chain: u8,
    /// When the answer is of no use any more.
    pub(super) ends_for_asker: Duration,
    /// Found, answered or given up: nobody else is asked.
    pub(super) done: bool,
    /// Somebody stopped at a limit rather than for lack of neighbors.
    pub(super) cut: bool,
    /// The query is an echo.
    pub(super) echo: Option<Echo>,
    /// What is spent when those have answered that seem to know.
    pub(super) held: Option<Ask>,
    edges: Vec<Edge>,
    news: Vec<(NodeId, u64)>,
}

impl Passage {
    pub(super) fn new(
        target: Target,
        previous: Option<NodeId>,
        chain: u8,
        ends_for_asker: Duration,
    ) -> Self {
        Self {
            target,
            previous,
            chain,
            ends_for_asker,
            done: false,
            cut: false,
            echo: None,
            held: None,
            edges: Vec::new(),
            news: Vec::new(),
        }
    }

    fn heard_from(&mut self, from: NodeId) {
        if let Some(edge) = self.edges.iter_mut().find(|edge| edge.node == from) {
            edge.heard = true;
        } else {
            self.edges.push(Edge {
                node: from,
                heard: true,
                asked: None,
                asked_at: Duration::ZERO,
                exhausted: false,
                probed: false,
                probed_in_vain: false,
            });
        }
    }

    /// What `node` was asked, if it was.
    pub(super) fn asked(&self, node: NodeId) -> Option<Ask> {
        let edge = self.edges.iter().find(|edge| edge.node == node)?;
        edge.asked
    }

    /// What `linked` is asked, in the time that it has: only for its own list. Who sends it says what
    /// else it may do.
    pub(super) fn question(&self, now: Duration, qid: QueryId, linked: Linked) -> Query {
        let hop_time = HOP_TIME_MIN.max(linked.rtt * 3 / 2);
        let left = self.ends_for_asker.saturating_sub(now + hop_time);
        Query {
            qid,
            target: self.target.clone(),
            hops_left: 0,
            deadline_left_ms: u32::try_from(left.as_millis()).unwrap_or(0),
            budget: 0,
            spread: Spread::Walk { width: 1 },
            chain: if linked.friend { self.chain } else { NO_CHAIN },
        }
    }

    /// Those of `linked` that neither have the query from here nor gave it to this node.
    pub(super) fn not_in(&self, linked: &[Linked]) -> Vec<Linked> {
        let not_in = |linked: &&Linked| !self.edges.iter().any(|edge| edge.node == linked.node);
        linked.iter().filter(not_in).copied().collect()
    }

    /// `node` has not the query yet, or was asked for its own list only.
    fn is_fresh(&self, node: NodeId) -> bool {
        let edge = self.edges.iter().find(|edge| edge.node == node);
        edge.is_none_or(|edge| edge.probed_in_vain && !edge.heard)
    }

    /// Somebody was asked and has not answered.
    pub(super) fn is_open(&self) -> bool {
        let mut edges = self.edges.iter();
        edges.any(|edge| edge.asked.is_some() && !edge.exhausted)
    }

    /// `node` has answered for all that is behind it; false if it was not asked or had answered.
    pub(super) fn close(&mut self, node: NodeId) -> bool {
        let edge = self.edges.iter_mut().find(|edge| edge.node == node);
        edge.is_some_and(|edge| {
            edge.probed = false;
            edge.asked.is_some() && !std::mem::replace(&mut edge.exhausted, true)
        })
    }

    /// Notes that `node` was asked for its own list.
    pub(super) fn note_probed(&mut self, now: Duration, node: NodeId, ask: Ask) {
        self.note_asked(now, node, ask);
        if let Some(edge) = self.edges.iter_mut().find(|edge| edge.node == node) {
            edge.probed = true;
        }
    }

    /// `node` has answered what it knows itself; false if it was not asked that.
    pub(super) fn end_probe(&mut self, node: NodeId) -> bool {
        let edge = self.edges.iter_mut().find(|edge| edge.node == node);
        edge.is_some_and(|edge| {
            edge.probed_in_vain |= edge.probed;
            std::mem::take(&mut edge.probed)
        })
    }

    /// Those that were asked for their own lists may be asked for more.
    pub(super) fn give_up_probes(&mut self) {
        for edge in &mut self.edges {
            edge.probed = false;
        }
    }

    /// Somebody was asked for its own list and has not answered.
    pub(super) fn is_probing(&self) -> bool {
        self.edges.iter().any(|edge| edge.probed)
    }

    /// Who may still be asking others.
    pub(super) fn at_work(&self, now: Duration) -> Vec<NodeId> {
        self.edges
            .iter()
            .filter(|edge| {
                let worth = edge.asked.is_some_and(|ask| ask.budget >= AT_WORK_BUDGET);
                worth && !edge.exhausted && edge.asked_at + AT_WORK > now
            })
            .map(|edge| edge.node)
            .collect()
    }

    /// `node` gives `left` back; at most what it was given is believed. `None` if that is nothing.
    pub(super) fn take_back(&mut self, node: NodeId, left: u32) -> Option<Ask> {
        let edge = self.edges.iter_mut().find(|edge| edge.node == node)?;
        edge.exhausted = true;
        let ask = edge.asked.as_mut()?;
        let left = left.min(ask.budget);
        ask.budget -= left;
        (left > 0).then_some(Ask {
            budget: left,
            ..*ask
        })
    }

    /// True once for each record that is newer than what was passed on of its node.
    pub(super) fn is_news(&mut self, node: NodeId, seq: u64) -> bool {
        if let Some((_, known)) = self.news.iter_mut().find(|(known, _)| *known == node) {
            let newer = seq > *known;
            *known = seq.max(*known);
            return newer;
        }
        let fits = self.news.len() < NEWS_MAX;
        if fits {
            self.news.push((node, seq));
        }
        fits
    }

    /// Whom to ask with which budget behind it. Those who do not have the query come first; then
    /// those who were asked and may know others, one at a time, if the budget comes from the node
    /// that asked first.
    pub(super) fn choose(
        &mut self,
        now: Duration,
        ask: Ask,
        linked: &[Linked],
        pick: impl FnOnce(&mut [Linked], usize),
    ) -> Vec<(Linked, u32)> {
        if self.done || ask.budget == 0 || ask.hops_left == 0 || now >= self.ends_for_asker {
            return Vec::new();
        }
        let may_ask =
            |linked: &&Linked| Some(linked.node) != ask.whom_for && self.may_cross(linked);
        let mut fresh: Vec<Linked> = linked
            .iter()
            .filter(may_ask)
            .filter(|linked| self.is_fresh(linked.node))
            .copied()
            .collect();
        let budget = usize::try_from(ask.budget).unwrap_or(usize::MAX);
        // Round 0 has nothing to share, books are few; else each part is worth its way.
        let contact = matches!(self.target, Target::Contact { .. });
        let parts = if contact || ask.width > usize::from(WIDTH_MAX) {
            budget
        } else {
            (budget / SHARE_MIN).max(1)
        };
        let mut count = ask.width.min(fresh.len()).min(parts);
        if count == 0 && ask.whom_for == self.previous {
            let grant = linked.iter().filter(|linked| self.may_grant(linked));
            fresh = grant.copied().collect();
            count = fresh.len().min(1);
        }
        pick(&mut fresh, count);
        fresh.truncate(count);
        let shares = Shares::new(ask.budget, count);
        let chosen: Vec<(Linked, u32)> = fresh.into_iter().zip(shares).collect();
        for (linked, budget) in &chosen {
            let asked = Ask {
                budget: *budget,
                ..ask
            };
            self.note_asked(now, linked.node, asked);
        }
        chosen
    }

    pub(super) fn note_asked(&mut self, now: Duration, node: NodeId, ask: Ask) {
        if let Some(edge) = self.edges.iter_mut().find(|edge| edge.node == node) {
            let before = edge.asked.map_or(0, |ask| ask.budget);
            let budget = ask.budget.saturating_add(before);
            edge.asked = Some(Ask { budget, ..ask });
            edge.asked_at = now;
            edge.probed_in_vain = false;
        } else {
            self.edges.push(Edge {
                node,
                heard: false,
                asked: Some(ask),
                asked_at: now,
                exhausted: false,
                probed: false,
                probed_in_vain: false,
            });
        }
    }

    fn may_grant(&self, linked: &Linked) -> bool {
        let edge = self.edges.iter().find(|edge| edge.node == linked.node);
        edge.is_some_and(|edge| edge.asked.is_some() && !edge.exhausted)
    }

    /// A search for contacts crosses links between friends only, and as many as its scope says.
    fn may_cross(&self, linked: &Linked) -> bool {
        match &self.target {
            Target::Contact { scope, .. } => {
                let links = match scope {
                    ContactScope::Friends => 1,
                    ContactScope::FriendsOfFriends => 2,
                };
                linked.friend && self.chain < links
            }
            Target::Node(_) | Target::Name(_) | Target::Blinded { .. } => true,
        }
    }
}

/// A budget cut in equal parts, each less the message that brings it.
struct Shares {
    each: u32,
    larger: u32,
}

impl Shares {
    fn new(budget: u32, count: usize) -> Self {
        let count = u32::try_from(count.max(1)).unwrap_or(u32::MAX);
        Self {
            each: budget / count,
            larger: budget % count,
        }
    }
}

impl Iterator for Shares {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let more = u32::from(self.larger > 0);
        self.larger -= more;
        Some((self.each + more).saturating_sub(1))
    }
}

/// All queries that are remembered.
#[derive(Debug, Default)]
pub(super) struct Passages {
    passages: HashMap<QueryId, Passage>,
    /// In the order in which they came, each with its end.
    order: VecDeque<(Duration, QueryId)>,
}

impl Passages {
    pub(super) fn len(&self) -> usize {
        self.passages.len()
    }

    pub(super) fn get(&mut self, qid: QueryId) -> Option<&mut Passage> {
        self.passages.get_mut(&qid)
    }

    /// The passage of a query that came from `from`, and whether it is new here.
    pub(super) fn enter(
        &mut self,
        now: Duration,
        from: NodeId,
        chain: u8,
        query: &Query,
    ) -> (&mut Passage, bool) {
        let new = !self.passages.contains_key(&query.qid);
        if new {
            let left = Duration::from_millis(u64::from(query.deadline_left_ms));
            let passage = Passage::new(query.target.clone(), Some(from), chain, now + left);
            self.insert(now, query.qid, passage);
        }
        let passage = self
            .passages
            .get_mut(&query.qid)
            .expect("it was there or was just put there");
        passage.heard_from(from);
        (passage, new)
    }

    pub(super) fn insert(&mut self, now: Duration, qid: QueryId, passage: Passage) {
        self.passages.insert(qid, passage);
        self.order.push_back((now + PASSAGE_LIFETIME, qid));
        while self.order.len() > PASSAGES_MAX {
            self.forget_oldest();
        }
    }

    pub(super) fn expire(&mut self, now: Duration) {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, oldest)) = self.order.pop_front() {
            self.passages.remove(&oldest);
        }
    }
}
