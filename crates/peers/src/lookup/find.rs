//! Lookups of the own node: which round comes when, and when it ends.
//!
//! Round 0 asks all neighbors, with no budget behind them: a neighbor that knows answers, the
//! others are silent. Each later round is larger than what was spent before by a fixed part, and
//! goes as a grant to one neighbor, whose own neighbors share it. So what is spent in vain after
//! the hit is a fixed part at most, and nothing has to run after the queries to stop them.

use std::collections::HashMap;
use std::time::Duration;

use protocol::message::lookup::{BUDGET_MAX, DEADLINE_MS_MAX, HOPS_MAX, QueryId, Target};

use super::echo::{Echo, Returned, hold_time};
use super::passage::{Ask, Passage};
use super::{Action, Asker, End, FindId, HOPS_DEFAULT, Limits, Lookup, Outcome, Surroundings};

/// Lookups of the own node at the same time.
pub const FINDS_MAX: usize = 256;

/// After a hit an answer with a higher `seq` may still come.
const GRACE: Duration = Duration::from_millis(100);
/// After the first hit others with the same name may still come.
const GRACE_NAME: Duration = Duration::from_secs(1);
/// Rounds in which others with the same name are sought after the first hit.
const ROUNDS_NAME: u32 = 3;
/// Books of friends of friends are searched within this time.
const CONTACTS_WAIT: Duration = Duration::from_secs(3);
/// Messages that a search for contacts causes at most.
const CONTACTS_BUDGET: u32 = 1024;
/// Neighbors answer round 0 within this time; less if they are known to be near.
const RING_WAIT_MAX: Duration = Duration::from_millis(300);
const RING_WAIT_MIN: Duration = Duration::from_millis(30);

/// What the simulator varies; the defaults are what it found best (docs/protocol/lookup.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// Neighbors that share a budget.
    pub width: u8,
    /// Percent of what was spent that the next round may spend.
    pub growth_percent: u32,
    /// The least budget of a round after the first.
    pub round_min: u32,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            width: 2,
            growth_percent: 25,
            round_min: 64,
        }
    }
}

#[derive(Debug)]
struct Find {
    find: FindId,
    limits: Limits,
    began: Duration,
    ends: Duration,
    round: u32,
    next_round: Duration,
    spent: u32,
    found: bool,
    kind: Kind,
    exhausted: bool,
    stage: Stage,
}

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Everybody is asked once.
    Echo,
    /// An echo did not reach everybody: walks begin with a number of their own.
    EchoFailed,
    /// Those neighbors that seem to know are asked; then all, then others by walks.
    Probes,
    Walks,
}

/// How many answers a lookup may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A node: one.
    Node,
    /// A name: each node that has it.
    Name,
    /// Contacts: each book, whose owner's computer may take its time.
    Contacts,
}

#[derive(Debug, Default)]
pub(super) struct Finds {
    finds: HashMap<QueryId, Find>,
}

impl Finds {
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        let next = |find: &Find| find.ends.min(find.next_round);
        self.finds.values().map(next).min()
    }

    /// Budget came back to the start: nobody is left who could be asked.
    pub(super) fn returned(&mut self, qid: QueryId, left: u32) {
        if let Some(find) = self.finds.get_mut(&qid) {
            find.spent = find.spent.saturating_sub(left);
            find.exhausted |= left > 0 && find.kind != Kind::Contacts;
        }
    }

    /// An echo has ended.
    pub(super) fn echoed(&mut self, qid: QueryId, returned: Returned) {
        if let Some(find) = self.finds.get_mut(&qid) {
            // Neighbors that lie about it do not take away the budget of the walks.
            find.spent = returned.used.min(find.limits.budget / 2);
            if returned.complete {
                find.exhausted = true;
                find.ends = Duration::ZERO;
            } else {
                find.stage = Stage::EchoFailed;
                find.next_round = Duration::ZERO;
            }
        }
    }

    /// Notes a hit; `None` if the lookup is over.
    pub(super) fn found(&mut self, now: Duration, qid: QueryId) -> Option<FindId> {
        let find = self.finds.get_mut(&qid)?;
        if !std::mem::replace(&mut find.found, true) {
            let grace = if find.kind == Kind::Name {
                GRACE_NAME
            } else {
                GRACE
            };
            find.ends = find.ends.min(now + grace);
        }
        Some(find.find)
    }

    pub(super) fn found_cards(&mut self, qid: QueryId) -> Option<FindId> {
        let find = self.finds.get_mut(&qid)?;
        find.found = true;
        Some(find.find)
    }
}

impl Find {
    fn wants_round(&self, now: Duration) -> bool {
        let enough = self.found && (self.kind != Kind::Name || self.round >= ROUNDS_NAME);
        !enough && !self.exhausted && now >= self.next_round
    }

    fn end(&self, now: Duration) -> End {
        if self.found {
            End::Found
        } else if self.exhausted {
            End::Exhausted
        } else if self.spent >= self.limits.budget && now < self.began + self.limits.deadline {
            End::Budget
        } else {
            End::Deadline
        }
    }
}

impl Lookup {
    pub(super) fn begin(
        &mut self,
        now: Duration,
        find: FindId,
        target: Target,
        limits: Limits,
        around: &impl Surroundings,
    ) {
        let outcome = |found, end| Outcome {
            found,
            end,
            messages: 0,
            took: Duration::ZERO,
        };
        if self.find_in_own_list(now, find, &target, around) {
            return self.finished(find, outcome(true, End::Found));
        }
        if self.finds.finds.len() >= FINDS_MAX {
            return self.finished(find, outcome(false, End::Busy));
        }
        if around.linked().is_empty() || limits.hops == 0 {
            return self.finished(find, outcome(false, End::Exhausted));
        }
        let limits = Limits {
            hops: limits.hops.min(HOPS_MAX),
            deadline: limits
                .deadline
                .min(Duration::from_millis(u64::from(DEADLINE_MS_MAX))),
            budget: limits.budget.min(BUDGET_MAX),
        };
        let qid = QueryId(self.dice.bytes());
        let ends = now + limits.deadline;
        let kind = match &target {
            Target::Node(_) | Target::Blinded { .. } => Kind::Node,
            Target::Name(_) => Kind::Name,
            Target::Contact { .. } => Kind::Contacts,
        };
        self.passages
            .insert(now, qid, Passage::new(target, None, 0, ends));
        let find = Find {
            find,
            limits,
            began: now,
            ends,
            round: 0,
            next_round: now,
            spent: 0,
            found: false,
            kind,
            exhausted: false,
            stage: Stage::Probes,
        };
        self.finds.finds.insert(qid, find);
        if kind != Kind::Contacts && self.is_small(limits.budget, around) {
            self.begin_echo(now, qid, around);
        }
    }

    fn begin_echo(&mut self, now: Duration, qid: QueryId, around: &impl Surroundings) {
        let (links, _) = self.digests.near(around);
        let (Some(find), Some(passage)) = (self.finds.finds.get_mut(&qid), self.passages.get(qid))
        else {
            return;
        };
        find.stage = Stage::Echo;
        find.round = 1;
        find.next_round = find.ends;
        find.spent = u32::try_from(2 * links).unwrap_or(u32::MAX);
        // Half of the time is left for walks, if somebody is silent.
        passage.ends_for_asker = now + find.limits.deadline / 2;
        let hops = if find.limits.hops >= HOPS_DEFAULT {
            HOPS_MAX
        } else {
            find.limits.hops
        };
        let echo = Echo::new(find.limits.budget, hops);
        self.echo_begin(now, qid, echo, around);
    }

    /// Begins walks after an echo that did not reach everybody; those that it reached do not know
    /// them for the same lookup.
    fn begin_walks(&mut self, now: Duration, qid: QueryId) -> Option<QueryId> {
        let mut find = self.finds.finds.remove(&qid)?;
        let target = self.passages.get(qid)?.target.clone();
        let own = QueryId(self.dice.bytes());
        self.passages
            .insert(now, own, Passage::new(target, None, 0, find.ends));
        find.stage = Stage::Probes;
        find.round = 0;
        self.finds.finds.insert(own, find);
        Some(own)
    }

    /// R30: a hit in the own list sends no packet.
    fn find_in_own_list(
        &mut self,
        now: Duration,
        find: FindId,
        target: &Target,
        around: &impl Surroundings,
    ) -> bool {
        let mut known = around.records(target, Asker::Own);
        if known.is_empty() {
            known.extend(self.cache.get(now, target));
        }
        let mut any = false;
        for known in known {
            if let Ok(node) = around.open(&known.record) {
                any = true;
                self.actions.push_back(Action::Found {
                    find,
                    node,
                    record: known.record,
                    hops: 0,
                    from: None,
                });
            }
        }
        any
    }

    pub(super) fn abandon(&mut self, now: Duration, find: FindId) {
        let running = self
            .finds
            .finds
            .iter()
            .find(|(_, running)| running.find == find);
        if let Some(qid) = running.map(|(qid, _)| *qid) {
            self.end(now, qid, Some(End::Abandoned));
        }
    }

    /// Begins the rounds that are due and ends what is over.
    pub(super) fn go_on(&mut self, now: Duration, around: &impl Surroundings) {
        let due: Vec<QueryId> = self
            .finds
            .finds
            .iter()
            .filter(|(_, find)| now >= find.ends || find.wants_round(now))
            .map(|(qid, _)| *qid)
            .collect();
        for qid in due {
            let over = self
                .finds
                .finds
                .get(&qid)
                .is_none_or(|find| now >= find.ends);
            let failed = self
                .finds
                .finds
                .get(&qid)
                .is_some_and(|find| find.stage == Stage::EchoFailed);
            if over {
                self.end(now, qid, None);
            } else if !failed {
                self.next_round(now, qid, around);
            } else if let Some(qid) = self.begin_walks(now, qid) {
                self.next_round(now, qid, around);
            }
        }
        // What came back to the start ends a lookup as soon as the last answers can be here.
        let wait = ring_wait(around);
        for find in self.finds.finds.values_mut().filter(|find| find.exhausted) {
            find.ends = find.ends.min(now + wait);
            find.next_round = find.ends;
        }
    }

    fn next_round(&mut self, now: Duration, qid: QueryId, around: &impl Surroundings) {
        let Some(passage) = self.passages.get(qid) else {
            return self.end(now, qid, None);
        };
        let contact = match &passage.target {
            Target::Contact { scope, .. } => Some(super::links_of(*scope)),
            Target::Node(_) | Target::Name(_) | Target::Blinded { .. } => None,
        };
        let Some(find) = self.finds.finds.get_mut(&qid) else {
            return;
        };
        let remaining = find.limits.budget.saturating_sub(find.spent);
        let neighbors = u32::try_from(around.linked().len()).unwrap_or(u32::MAX);
        let mut ask = Ask {
            whom_for: None,
            budget: remaining.min(neighbors),
            hops_left: find.limits.hops,
            width: usize::MAX,
        };
        if find.stage == Stage::Probes && contact.is_none() {
            find.stage = Stage::Walks;
            if self.probe(now, qid, ask, around) {
                return self.probed(now, qid, ask.budget, around);
            }
        }
        let Some(find) = self.finds.finds.get_mut(&qid) else {
            return;
        };
        let round = find.round;
        find.round += 1;
        if let Some(links) = contact {
            ask.budget = remaining.min(CONTACTS_BUDGET);
            ask.hops_left = u16::from(links);
            find.ends = find.ends.min(now + CONTACTS_WAIT);
            find.next_round = find.ends;
        } else if round == 0 {
            find.next_round = now + ring_wait(around);
        } else {
            if remaining == 0 {
                return self.end(now, qid, None);
            }
            if find.limits.hops == 1 {
                find.exhausted = true;
                return;
            }
            let part = u64::from(find.spent) * u64::from(self.tuning.growth_percent) / 100;
            let part = u32::try_from(part).unwrap_or(u32::MAX);
            ask.budget = part.max(self.tuning.round_min).min(remaining);
            ask.width = usize::from(self.tuning.width);
            if find.limits.hops >= HOPS_DEFAULT {
                ask.hops_left = HOPS_MAX;
            }
            find.next_round = now + self.tuning.round_wait(now, find, ask.budget, around);
        }
        find.spent = find.spent.saturating_add(ask.budget);
        let left = self.spend(now, qid, ask, around);
        self.finds.returned(qid, left);
    }

    /// Neighbors that seem to know were asked, from a budget of which they leave the rest unused.
    fn probed(&mut self, now: Duration, qid: QueryId, budget: u32, around: &impl Surroundings) {
        let passage = self.passages.get(qid);
        let unused = passage.and_then(|passage| passage.held.take());
        if let Some(find) = self.finds.finds.get_mut(&qid) {
            let unused = unused.map_or(0, |ask| ask.budget);
            find.spent = find.spent.saturating_add(budget - unused);
            find.next_round = now + hold_time(around.linked());
        }
    }

    /// Ends the lookup; `end` if it is not for one of its limits.
    fn end(&mut self, now: Duration, qid: QueryId, end: Option<End>) {
        self.stop(now, qid, None);
        let Some(find) = self.finds.finds.remove(&qid) else {
            return;
        };
        let outcome = Outcome {
            found: find.found,
            end: end.unwrap_or_else(|| find.end(now)),
            messages: find.spent,
            took: now.saturating_sub(find.began),
        };
        self.finished(find.find, outcome);
    }

    fn finished(&mut self, find: FindId, outcome: Outcome) {
        self.actions.push_back(Action::Finished { find, outcome });
    }
}

impl Tuning {
    /// How long a round takes to go out and come back, as far as the deadline allows.
    fn round_wait(
        &self,
        now: Duration,
        find: &Find,
        budget: u32,
        around: &impl Surroundings,
    ) -> Duration {
        let depth = budget.max(2).ilog2() / u32::from(self.width).max(2).ilog2() + 4;
        let wait = rtt_mean(around) * depth;
        let mut rounds = 1;
        let mut spent = u64::from(find.spent) + u64::from(budget);
        while spent < u64::from(find.limits.budget) && rounds < 1000 {
            let part = spent * u64::from(self.growth_percent) / 100;
            spent += part.max(u64::from(self.round_min)).max(1);
            rounds += 1;
        }
        wait.min(find.ends.saturating_sub(now) / rounds)
    }
}

fn rtt_mean(around: &impl Surroundings) -> Duration {
    let linked = around.linked();
    let count = u32::try_from(linked.len()).unwrap_or(u32::MAX).max(1);
    let sum: Duration = linked.iter().map(|linked| linked.rtt).sum();
    (sum / count).clamp(Duration::from_millis(5), Duration::from_secs(1))
}

fn ring_wait(around: &impl Surroundings) -> Duration {
    let slowest = around.linked().iter().map(|linked| linked.rtt).max();
    (slowest.unwrap_or_default() * 2).clamp(RING_WAIT_MIN, RING_WAIT_MAX)
}
