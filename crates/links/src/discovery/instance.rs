//! One announcement as it is followed over time: what it said last, and whether it can still be asked.
//!
//! The daemon tells that records vanished, not why: because a question remained without answer (it
//! flushes what it was told to verify), because the announcer said goodbye, because their time ran
//! out or because an interface of ours went. Only a goodbye makes a node gone at once.

use std::time::{Duration, Instant};

use super::Sighting;

/// Records of SRV and addresses live 120 s (RFC 6762 10): what vanishes so long after the last sign of
/// life may have run out.
const MAY_RUN_OUT_AFTER: Duration = Duration::from_secs(100);
/// The daemon flushes what was not verified a little after the deadline.
const FLUSH_EARLY: Duration = Duration::from_millis(30);
const FLUSH_LATE: Duration = Duration::from_millis(120);
/// A lost interface of ours is reported about then as its records vanish.
const VERDICT_AFTER: Duration = Duration::from_millis(200);

/// An announcement that was seen.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) sighting: Sighting,
    /// The daemon holds its records.
    resolved: bool,
    /// When it was last known to be there.
    heard: Instant,
    /// Until when the question that was asked is to be answered.
    asked: Option<Instant>,
    /// When its records vanished without a reason that we know.
    vanished: Option<Instant>,
}

/// What has become of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It answered.
    Alive,
    /// It said goodbye.
    Left,
    /// Its records are gone though it did not say goodbye: look again.
    Lost,
}

impl Instance {
    pub(super) fn new(sighting: Sighting, now: Instant) -> Self {
        Self {
            sighting,
            resolved: true,
            heard: now,
            asked: None,
            vanished: None,
        }
    }

    /// The daemon holds records; true if it did not before, which is a sign of life.
    pub(super) fn found(&mut self, sighting: Sighting, now: Instant) -> bool {
        let back = !self.resolved;
        self.sighting = sighting;
        self.resolved = true;
        self.vanished = None;
        if back {
            self.heard = now;
        }
        back
    }

    pub(super) fn resolved(&self) -> bool {
        self.resolved
    }

    /// The daemon was told to verify the records by `deadline`.
    pub(super) fn ask(&mut self, deadline: Instant) {
        self.asked = Some(deadline);
    }

    /// The daemon's records vanished.
    pub(super) fn removed(&mut self, now: Instant) -> Option<Verdict> {
        self.resolved = false;
        if let Some(deadline) = self.asked
            && now + FLUSH_EARLY >= deadline
        {
            self.asked = None;
            return Some(Verdict::Lost);
        }
        self.asked = None;
        if now.duration_since(self.heard) > MAY_RUN_OUT_AFTER {
            return Some(Verdict::Lost);
        }
        self.vanished = Some(now);
        None
    }

    /// When [`Instance::decide`] is to be asked.
    pub(super) fn due(&self) -> Option<Instant> {
        let asked = self.asked.map(|deadline| deadline + FLUSH_LATE);
        let vanished = self.vanished.map(|at| at + VERDICT_AFTER);
        asked.into_iter().chain(vanished).min()
    }

    /// `interface_lost`: when an address of ours was lost last.
    pub(super) fn decide(
        &mut self,
        now: Instant,
        interface_lost: Option<Instant>,
    ) -> Option<Verdict> {
        if self.due().is_none_or(|due| due > now) {
            return None;
        }
        if let Some(at) = self.vanished.take() {
            let ours = interface_lost.is_some_and(|lost| {
                lost.max(at).duration_since(lost.min(at)) < Duration::from_secs(2)
            });
            return Some(if ours { Verdict::Lost } else { Verdict::Left });
        }
        self.asked = None;
        self.resolved.then(|| {
            self.heard = now;
            Verdict::Alive
        })
    }
}

#[cfg(test)]
mod tests {
    use protocol::NodeId;

    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn instance(now: Instant) -> Instance {
        let sighting = Sighting {
            node: NodeId([1; 32]),
            name: None,
            addresses: vec![],
            https_port: 1,
            api: 1,
        };
        Instance::new(sighting, now)
    }

    #[test]
    fn an_answered_question_is_a_sign_of_life() {
        let t = Instant::now();
        let mut one = instance(t);
        one.ask(t + ms(2000));
        assert_eq!(one.decide(t + ms(2000), None), None);
        assert_eq!(one.decide(t + ms(2120), None), Some(Verdict::Alive));
        assert_eq!(one.due(), None);
    }

    #[test]
    fn a_flush_at_the_deadline_is_a_missed_answer_and_no_goodbye() {
        let t = Instant::now();
        let mut one = instance(t);
        one.ask(t + ms(2000));
        assert_eq!(one.removed(t + ms(2001)), Some(Verdict::Lost));
        assert_eq!(one.decide(t + ms(9000), None), None);
        let back = one.sighting.clone();
        assert!(one.found(back.clone(), t + ms(9001)));
        assert!(!one.found(back, t + ms(9002)));
    }

    #[test]
    fn records_that_vanish_unasked_are_a_goodbye_unless_our_interface_went() {
        let t = Instant::now();
        let mut one = instance(t);
        one.ask(t + ms(2000));
        assert_eq!(one.removed(t + ms(1000)), None);
        assert_eq!(one.decide(t + ms(1100), None), None);
        assert_eq!(one.decide(t + ms(1200), None), Some(Verdict::Left));
        let mut other = instance(t);
        assert_eq!(other.removed(t + ms(1000)), None);
        let lost = Some(t + ms(1150));
        assert_eq!(other.decide(t + ms(1200), lost), Some(Verdict::Lost));
    }

    #[test]
    fn records_whose_time_may_have_run_out_are_no_goodbye() {
        let t = Instant::now();
        let mut one = instance(t);
        let late = t + MAY_RUN_OUT_AFTER + ms(1);
        assert_eq!(one.removed(late), Some(Verdict::Lost));
    }
}
