//! What neighbors' lists hold, and telling them of the own one.
//!
//! A digest is told when a link stands and when it would be another one than the last, the pause
//! between two of them doubling from a quarter second to 30 s. Digests are hints: nothing is
//! believed because of one, and a wrong one costs a question.

use std::collections::HashMap;
use std::time::Duration;

use protocol::message::lookup::{Digest, LookupMessage, NEAR_LEVELS, Near, Target};
use protocol::{NodeId, NodeName};

use super::{Action, Linked, Surroundings};
use crate::Dice;

const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A neighbor leads to at most so many nodes, whatever it says: else a liar would be everybody's
/// best choice.
const GAIN_MAX: usize = 32;
/// What a neighbor is thought to lead to that has told nothing.
const GAIN_UNKNOWN: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Digests {
    neighbors: HashMap<NodeId, Told>,
    /// What is within 1 to [`NEAR_LEVELS`] + 1 links, when not `stale`.
    near: [Near; NEAR_LEVELS + 1],
    /// A link or a neighbor's digest has changed since `near` was computed.
    stale: bool,
    /// Something that would be told has changed, perhaps.
    news: bool,
    /// Somebody waits for news that may be told then.
    wake: Option<Duration>,
}

#[derive(Debug)]
struct Told {
    heard: Option<Digest>,
    /// Nodes that it knows and this node is not linked with; computed when first asked for.
    gain: Option<usize>,
    salt: [u8; 16],
    /// The list that it was told last, and its digest without counts.
    list: Option<(blake3::Hash, Digest)>,
    /// The counts that it was told last.
    near: Option<blake3::Hash>,
    next: Duration,
    pause: Duration,
}

impl Digests {
    pub(super) fn linked(&mut self, now: Duration, node: NodeId, salt: [u8; 16]) {
        let told = Told {
            heard: None,
            gain: None,
            salt,
            list: None,
            near: None,
            next: now,
            pause: PAUSE_MIN,
        };
        self.neighbors.insert(node, told);
        self.links_changed();
    }

    pub(super) fn unlinked(&mut self, node: NodeId) {
        self.neighbors.remove(&node);
        self.links_changed();
    }

    fn links_changed(&mut self) {
        (self.stale, self.news) = (true, true);
        for told in self.neighbors.values_mut() {
            told.gain = None;
        }
    }

    /// What the own list holds may have changed.
    pub(super) fn list_changed(&mut self) {
        self.news = true;
    }

    pub(super) fn heard(&mut self, from: NodeId, digest: Digest) {
        if let Some(told) = self.neighbors.get_mut(&from) {
            told.heard = Some(digest);
            told.gain = None;
            (self.stale, self.news) = (true, true);
        }
    }

    /// True if the list of `node` probably holds `target`.
    pub(super) fn may_know(&self, node: NodeId, target: &Target) -> bool {
        let heard = self
            .neighbors
            .get(&node)
            .and_then(|told| told.heard.as_ref());
        heard.is_some_and(|digest| digest.may_know(target))
    }

    /// How many nodes `node` leads to that are not linked here.
    pub(super) fn gain(&mut self, node: NodeId, around: &impl Surroundings) -> usize {
        let Some(told) = self.neighbors.get_mut(&node) else {
            return GAIN_UNKNOWN;
        };
        let Some(heard) = &told.heard else {
            return GAIN_UNKNOWN;
        };
        *told.gain.get_or_insert_with(|| {
            let linked = around.linked().iter().map(|linked| linked.node);
            let own = [node, around.own()];
            let both = linked
                .filter(|linked| *linked != node)
                .chain(own)
                .filter(|known| heard.may_know(&Target::Node(*known)))
                .count();
            heard.nodes().saturating_sub(both).min(GAIN_MAX)
        })
    }

    /// True if `node` knows somebody who is not linked here, as far as it has told.
    pub(super) fn leads_on(&mut self, node: NodeId, around: &impl Surroundings) -> bool {
        self.gain(node, around) > 0
    }

    /// About how many links and how many nodes there are within five links.
    pub(super) fn near(&mut self, around: &impl Surroundings) -> (usize, usize) {
        self.count(around);
        let near = &self.near[NEAR_LEVELS];
        (near.links(), near.nodes())
    }

    fn count(&mut self, around: &impl Surroundings) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        let mut own = Near::default();
        for node in self.neighbors.keys() {
            own.count_link(around.own(), *node);
        }
        self.near = [own; NEAR_LEVELS + 1];
        for heard in self
            .neighbors
            .values()
            .filter_map(|told| told.heard.as_ref())
        {
            for level in 0..NEAR_LEVELS {
                self.near[level + 1].unite(&heard.near(level));
            }
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        if !self.news {
            return self.wake;
        }
        self.neighbors.values().map(|told| told.next).min()
    }

    /// Tells those who may be told now and for whom there is news.
    pub(super) fn tell(&mut self, now: Duration, around: &impl Surroundings) -> Vec<Action> {
        let mut actions = Vec::new();
        if self.next_deadline().is_none_or(|next| next > now) {
            return actions;
        }
        self.count(around);
        let public: Vec<(NodeId, Option<NodeName>)> = around.public();
        let list = hash(&public);
        let near = &self.near[..NEAR_LEVELS];
        let counts = blake3::hash(&Near::bytes(near));
        self.news = false;
        self.wake = None;
        for (node, told) in &mut self.neighbors {
            // The clock may have been set back.
            told.next = told.next.min(now + told.pause);
            if now >= told.next + PAUSE_MAX {
                told.pause = PAUSE_MIN;
            }
            let known = told.list.as_ref().filter(|(told, _)| *told == list);
            if known.is_some() && told.near == Some(counts) {
                continue;
            }
            if told.next > now {
                self.wake = Some(self.wake.map_or(told.next, |wake| wake.min(told.next)));
                continue;
            }
            told.next = now + told.pause;
            told.pause = (told.pause * 2).min(PAUSE_MAX);
            told.near = Some(counts);
            if known.is_none() {
                let digest = Digest::new(told.salt, &public);
                told.list = Some((list, digest));
            }
            let Some((_, digest)) = &told.list else {
                continue;
            };
            let digest = digest.with_near(near);
            actions.push(Action::Send {
                to: *node,
                message: LookupMessage::Digest(Box::new(digest)),
            });
        }
        actions
    }

    /// Moves `count` of `of` to the front, each the one of three random ones that leads to most.
    pub(super) fn pick(
        &mut self,
        of: &mut [Linked],
        count: usize,
        dice: &mut Dice,
        around: &impl Surroundings,
    ) {
        for place in 0..count.min(of.len()) {
            let rest = &mut of[place..];
            dice.pick(rest, CANDIDATES);
            let best = (0..rest.len().min(CANDIDATES))
                .max_by_key(|place| self.gain(rest[*place].node, around))
                .unwrap_or(0);
            rest.swap(0, best);
        }
    }
}

fn hash(list: &[(NodeId, Option<NodeName>)]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for (node, name) in list {
        hasher.update(&node.0);
        hasher.update(name.as_ref().map_or("", NodeName::as_str).as_bytes());
        hasher.update(&[0]);
    }
    hasher.finalize()
}

/// Neighbors among which the one is chosen that leads to most.
const CANDIDATES: usize = 3;
