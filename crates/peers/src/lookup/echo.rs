//! Asking everybody once where there are few: an echo (Chang 1982, "Echo algorithms").
//!
//! The query goes to all neighbors but the one that it came from; the answer goes back once, when
//! all that were asked have answered. A query that crosses an own one is its answer: both sides
//! have it from elsewhere. So each link carries two messages, whatever the net looks like. A
//! neighbor whose digest says that it knows is asked alone first, for as long as it may need. Who
//! is silent is waited for until the query's time is over, then the answer says `Incomplete`.

use std::time::Duration;

use protocol::NodeId;
use protocol::message::lookup::{Answer, Query, QueryId, Spread};

use super::passage::Ask;
use super::{Action, HOP_TIME_MIN, Linked, Lookup, Surroundings};

/// With no more links around an echo is begun and passed on.
pub const ECHO_LINKS_MAX: usize = 256;
/// Nor with more nodes, however many links they have: where they are dense, whoever is there is
/// mostly known to a neighbor, and only a miss costs two messages a link.
pub const ECHO_NODES_MAX: usize = 96;

/// An echo at one node.
#[derive(Debug)]
pub(super) struct Echo {
    /// What it may cost, here and behind.
    pub(super) budget: u32,
    hops_left: u16,
    /// Messages that it did cost.
    used: u32,
    /// Until then only those are asked that seem to know.
    held: Option<Duration>,
    /// It stopped at a limit of hops.
    cut: bool,
    /// Somebody refused or was silent.
    incomplete: bool,
}

/// How an echo ended at the node that began it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Returned {
    pub(super) used: u32,
    /// Everybody within the limit of hops was asked.
    pub(super) complete: bool,
}

impl Echo {
    pub(super) fn new(budget: u32, hops_left: u16) -> Self {
        Self {
            budget,
            hops_left,
            used: 0,
            held: None,
            cut: false,
            incomplete: false,
        }
    }
}

impl Lookup {
    /// True if all links around can be asked within `budget`.
    pub(super) fn is_small(&mut self, budget: u32, around: &impl Surroundings) -> bool {
        let (links, nodes) = self.digests.near(around);
        let few = links <= ECHO_LINKS_MAX || nodes <= ECHO_NODES_MAX;
        few && u32::try_from(2 * links).is_ok_and(|messages| messages <= budget)
    }

    /// An echo came here again: crossing the own question it is the answer to it, else whoever
    /// asks is told that nothing is to be had here.
    pub(super) fn echo_again(
        &mut self,
        now: Duration,
        from: NodeId,
        query: &Query,
        around: &impl Surroundings,
    ) {
        let Some(passage) = self.passages.get(query.qid) else {
            return;
        };
        if passage.previous == Some(from) {
            return;
        }
        if passage.asked(from).is_some() {
            passage.close(from);
            self.echo_on(now, query.qid, around);
        } else {
            let left = query.budget.saturating_sub(1);
            self.answer(from, query.qid, Answer::Exhausted { left });
        }
    }

    /// Passes a new echo on, or answers if nobody is to be asked. `budget` is what the query had.
    pub(super) fn echo_begin(
        &mut self,
        now: Duration,
        qid: QueryId,
        mut echo: Echo,
        around: &impl Surroundings,
    ) {
        let small = self.is_small(echo.budget, around);
        let Some(passage) = self.passages.get(qid) else {
            return;
        };
        if echo.hops_left == 0 {
            echo.cut = true;
        } else if !small {
            echo.incomplete = true;
        } else {
            let asked = passage.not_in(around.linked());
            let knows = |linked: &&Linked| self.digests.may_know(linked.node, &passage.target);
            let knowing: Vec<Linked> = asked.iter().filter(knows).copied().collect();
            if !knowing.is_empty() {
                echo.held = Some(now + hold_time(&knowing));
            }
        }
        let ends = echo.held.unwrap_or(passage.ends_for_asker);
        let ends = ends.min(passage.ends_for_asker);
        passage.echo = Some(echo);
        self.alarms.insert((ends, qid));
        self.echo_ask(now, qid, around);
        self.echo_on(now, qid, around);
    }

    /// Asks those who are to be asked now.
    fn echo_ask(&mut self, now: Duration, qid: QueryId, around: &impl Surroundings) {
        let Some(passage) = self.passages.get(qid) else {
            return;
        };
        let mut asked = passage.not_in(around.linked());
        let Some(echo) = &mut passage.echo else {
            return;
        };
        if echo.cut || echo.incomplete || passage.done {
            return;
        }
        if echo.held.is_some() {
            asked.retain(|linked| self.digests.may_know(linked.node, &passage.target));
        }
        for linked in asked {
            let question = passage.question(now, qid, linked);
            let Some(echo) = &mut passage.echo else {
                return;
            };
            if question.deadline_left_ms == 0 {
                echo.incomplete = true;
                continue;
            }
            echo.used = echo.used.saturating_add(1);
            let query = Query {
                hops_left: echo.hops_left - 1,
                budget: echo.budget,
                spread: Spread::Echo,
                ..question
            };
            let ask = Ask {
                whom_for: passage.previous,
                budget: echo.budget,
                hops_left: query.hops_left,
                width: 0,
            };
            passage.note_asked(now, linked.node, ask);
            self.actions.push_back(Action::ask(linked.node, query));
        }
    }

    /// `from` has answered that nothing is behind it, or not everything.
    pub(super) fn echo_answered(
        &mut self,
        now: Duration,
        from: NodeId,
        qid: QueryId,
        answer: &Answer,
        around: &impl Surroundings,
    ) {
        let Some(passage) = self.passages.get(qid) else {
            return;
        };
        if passage.done || !passage.close(from) {
            return;
        }
        let Some(echo) = &mut passage.echo else {
            return;
        };
        let left = match answer {
            Answer::NotFound { left } => {
                echo.cut = true;
                *left
            }
            Answer::Denied { left } | Answer::Incomplete { left } => {
                echo.incomplete = true;
                *left
            }
            Answer::Exhausted { left } => *left,
            Answer::Found { .. } | Answer::Cards { .. } => echo.budget,
        };
        echo.used = echo.used.saturating_add(echo.budget.saturating_sub(left));
        self.echo_on(now, qid, around);
    }

    /// Goes on after something was answered: asks the others, or answers when all have.
    pub(super) fn echo_on(&mut self, now: Duration, qid: QueryId, around: &impl Surroundings) {
        let Some(passage) = self.passages.get(qid) else {
            return;
        };
        let open = passage.is_open();
        let Some(echo) = &mut passage.echo else {
            return;
        };
        if open || passage.done {
            return;
        }
        if echo.held.take().is_some() {
            self.alarms.insert((passage.ends_for_asker, qid));
            self.echo_ask(now, qid, around);
            return self.echo_on(now, qid, around);
        }
        self.echo_end(qid);
    }

    /// The time of an echo here is over, or that in which only some were asked.
    pub(super) fn echo_alarm(&mut self, now: Duration, qid: QueryId, around: &impl Surroundings) {
        let Some(passage) = self.passages.get(qid) else {
            return;
        };
        let ends = passage.ends_for_asker;
        let Some(echo) = &mut passage.echo else {
            return;
        };
        if passage.done {
            return;
        }
        if now >= ends {
            echo.incomplete = true;
            return self.echo_end(qid);
        }
        if echo.held.is_some_and(|held| now >= held) {
            echo.held = None;
            self.alarms.insert((ends, qid));
            self.echo_ask(now, qid, around);
            self.echo_on(now, qid, around);
        }
    }

    fn echo_end(&mut self, qid: QueryId) {
        let Some(passage) = self.passages.get(qid) else {
            return;
        };
        passage.done = true;
        let previous = passage.previous;
        let Some(echo) = &passage.echo else {
            return;
        };
        match previous {
            Some(previous) => {
                let left = echo.budget.saturating_sub(echo.used.saturating_add(1));
                let answer = if echo.incomplete {
                    Answer::Incomplete { left }
                } else if echo.cut {
                    Answer::NotFound { left }
                } else {
                    Answer::Exhausted { left }
                };
                self.answer(previous, qid, answer);
            }
            None => {
                let returned = Returned {
                    used: echo.used,
                    complete: !echo.incomplete,
                };
                self.finds.echoed(qid, returned);
            }
        }
    }

    /// A neighbor is not linked any more: nobody waits for it.
    pub(super) fn echo_without(&mut self, now: Duration, node: NodeId, around: &impl Surroundings) {
        let waiting: Vec<QueryId> = self.alarms.iter().map(|(_, qid)| *qid).collect();
        for qid in waiting {
            let passage = self.passages.get(qid);
            if passage.is_some_and(|passage| passage.close(node)) {
                self.go_on_waiting(now, qid, around);
            }
        }
    }
}

/// Those who seem to know may take so long.
pub(super) fn hold_time(linked: &[Linked]) -> Duration {
    let slowest = linked.iter().map(|linked| linked.rtt).max();
    slowest.unwrap_or_default() * 2 + HOP_TIME_MIN
}
