//! Asking those first who, by their digests, seem to know.
//!
//! A walk that comes to a node with such neighbors asks one or two of them for their own lists; the
//! rest of its budget waits until they have answered, or for as long as they may need. If they did
//! not know the walk goes on: a wrong digest costs a question and its answer.

use std::time::Duration;

use protocol::NodeId;
use protocol::message::lookup::{Query, QueryId, Target};

use super::echo::hold_time;
use super::passage::Ask;
use super::{Action, Linked, Lookup, Surroundings};

/// Neighbors that are asked for a node, and for a name, which several nodes may have.
const PROBES_NODE: usize = 2;
const PROBES_NAME: usize = 4;
/// A question and the answer that nothing is known.
const PROBE_MESSAGES: u32 = 2;

impl Lookup {
    /// Asks those who seem to know; false if there are none, and nothing was done with `ask`.
    pub(super) fn probe(
        &mut self,
        now: Duration,
        qid: QueryId,
        ask: Ask,
        around: &impl Surroundings,
    ) -> bool {
        let Some(passage) = self.passages.get(qid) else {
            return false;
        };
        if ask.hops_left == 0 {
            return false;
        }
        let probes_max = match passage.target {
            Target::Node(_) => PROBES_NODE,
            Target::Name(_) => PROBES_NAME,
            Target::Blinded { .. } | Target::Contact { .. } => return false,
        };
        let mut knowing: Vec<Linked> = passage.not_in(around.linked());
        knowing.retain(|linked| self.digests.may_know(linked.node, &passage.target));
        let affordable = usize::try_from(ask.budget / PROBE_MESSAGES).unwrap_or(usize::MAX);
        let count = knowing.len().min(probes_max).min(affordable);
        if count == 0 {
            return false;
        }
        self.dice.pick(&mut knowing, count);
        knowing.truncate(count);
        let spent = PROBE_MESSAGES * u32::try_from(count).unwrap_or(0);
        passage.held = Some(Ask {
            budget: ask.budget - spent,
            ..ask
        });
        self.alarms.insert((now + hold_time(&knowing), qid));
        for linked in knowing {
            let probe = Ask {
                whom_for: ask.whom_for,
                budget: PROBE_MESSAGES - 1,
                hops_left: 0,
                width: 1,
            };
            passage.note_probed(now, linked.node, probe);
            let query = Query {
                budget: PROBE_MESSAGES - 1,
                ..passage.question(now, qid, linked)
            };
            self.actions.push_back(Action::ask(linked.node, query));
        }
        true
    }

    /// True if `from` was asked for its own list: then the walk goes on, if it was the last.
    pub(super) fn probe_answered(
        &mut self,
        now: Duration,
        from: NodeId,
        qid: QueryId,
        around: &impl Surroundings,
    ) -> bool {
        let passage = self.passages.get(qid);
        let probed = passage.is_some_and(|passage| passage.end_probe(from));
        if probed {
            self.walk_on(now, qid, around);
        }
        probed
    }

    /// Those who seemed to know have had their time.
    pub(super) fn probes_late(&mut self, now: Duration, qid: QueryId, around: &impl Surroundings) {
        if let Some(passage) = self.passages.get(qid) {
            passage.give_up_probes();
            self.walk_on(now, qid, around);
        }
    }

    fn walk_on(&mut self, now: Duration, qid: QueryId, around: &impl Surroundings) {
        let Some(passage) = self.passages.get(qid) else {
            return;
        };
        if passage.is_probing() || passage.done {
            return;
        }
        let Some(ask) = passage.held.take() else {
            return;
        };
        let left = self.spend(now, qid, ask, around);
        match ask.whom_for {
            Some(previous) => self.give_back(previous, qid, left, ask.hops_left == 0),
            None => self.finds.returned(qid, left),
        }
    }

    /// Goes on without somebody who is not linked any more.
    pub(super) fn go_on_waiting(
        &mut self,
        now: Duration,
        qid: QueryId,
        around: &impl Surroundings,
    ) {
        self.echo_on(now, qid, around);
        self.walk_on(now, qid, around);
    }
}
