//! When to call whom again: pure, the time is given.
//!
//! Each failed call doubles the pause, from a second to half an hour, with jitter so that nodes that
//! lost each other at the same moment do not call at the same moment. A fresh hint ends the pause.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use protocol::NodeId;

/// Calls that run at the same time.
pub(super) const CALLS_MAX: usize = 8;
/// Nodes that were heard of and are not in the table yet.
const HINTS_MAX: usize = 512;
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30 * 60);

#[derive(Debug, Default)]
pub(super) struct Dialer {
    calls: BTreeMap<NodeId, Call>,
    running: usize,
    /// A word of a small generator; only spreads calls in time.
    jitter: u64,
}

#[derive(Debug, Default)]
struct Call {
    next: Duration,
    failures: u32,
    running: bool,
    addresses: Vec<SocketAddr>,
}

impl Dialer {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            jitter: seed | 1,
            ..Self::default()
        }
    }

    /// `node` may be at `addresses` now.
    pub(super) fn hint(&mut self, now: Duration, node: NodeId, addresses: Vec<SocketAddr>) {
        if !self.calls.contains_key(&node) && self.calls.len() >= HINTS_MAX {
            return;
        }
        let call = self.calls.entry(node).or_default();
        let news = call.addresses != addresses;
        call.addresses = addresses;
        if news || call.failures > 0 {
            call.failures = 0;
            call.next = now;
        }
    }

    /// Addresses that were heard of.
    pub(super) fn hinted(&self, node: &NodeId) -> &[SocketAddr] {
        self.calls
            .get(node)
            .map_or(&[], |call| call.addresses.as_slice())
    }

    /// Nodes that were heard of, wanted or not.
    pub(super) fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.calls.keys().copied()
    }

    /// Those of `wanted` that are to be called now, best first; they count as called.
    pub(super) fn due(&mut self, now: Duration, wanted: &[NodeId]) -> Vec<NodeId> {
        let mut due = Vec::new();
        for node in wanted {
            if self.running >= CALLS_MAX {
                break;
            }
            let call = self.calls.entry(*node).or_default();
            if !call.running && call.next <= now {
                call.running = true;
                self.running += 1;
                due.push(*node);
            }
        }
        due
    }

    /// When the next of `wanted` is due; `None` while as many calls as allowed are running.
    pub(super) fn next(&self, wanted: &[NodeId]) -> Option<Duration> {
        if self.running >= CALLS_MAX {
            return None;
        }
        wanted
            .iter()
            .filter_map(|node| match self.calls.get(node) {
                Some(call) if call.running => None,
                Some(call) => Some(call.next),
                None => Some(Duration::ZERO),
            })
            .min()
    }

    /// The call to `node` had an answer; the next may be made after `pause`.
    pub(super) fn answered(&mut self, now: Duration, node: NodeId, pause: Duration) {
        self.ended(node);
        let call = self.calls.entry(node).or_default();
        call.failures = 0;
        call.next = now + pause;
    }

    /// The call to `node` failed.
    pub(super) fn failed(&mut self, now: Duration, node: NodeId) {
        self.ended(node);
        self.jitter ^= self.jitter << 13;
        self.jitter ^= self.jitter >> 7;
        self.jitter ^= self.jitter << 17;
        let percent = u32::try_from(75 + self.jitter % 50).unwrap_or(100);
        let call = self.calls.entry(node).or_default();
        let pause = PAUSE_MIN
            .saturating_mul(1 << call.failures.min(11))
            .min(PAUSE_MAX);
        call.failures += 1;
        call.next = now + pause * percent / 100;
    }

    /// Nothing is known of `node` any more.
    pub(super) fn forget(&mut self, node: NodeId) {
        if self.calls.get(&node).is_some_and(|call| !call.running) {
            self.calls.remove(&node);
        }
    }

    /// How often the call to `node` has failed in a row.
    pub(super) fn failures(&self, node: &NodeId) -> u32 {
        self.calls.get(node).map_or(0, |call| call.failures)
    }

    fn ended(&mut self, node: NodeId) {
        if let Some(call) = self.calls.get_mut(&node)
            && std::mem::take(&mut call.running)
        {
            self.running -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId([1; 32]);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_node_that_does_not_answer_is_called_ever_more_seldom_until_it_is_heard_of() {
        let mut dialer = Dialer::new(7);
        let mut now = Duration::ZERO;
        let mut pauses = Vec::new();
        for _ in 0..13 {
            assert_eq!(dialer.due(now, &[NODE]), [NODE]);
            assert!(dialer.due(now, &[NODE]).is_empty(), "one call at a time");
            dialer.failed(now, NODE);
            let next = dialer.next(&[NODE]).unwrap();
            pauses.push(next - now);
            now = next;
        }
        assert!(pauses[0] < 2 * SECOND, "{pauses:?}");
        assert!(pauses[12] > Duration::from_secs(20 * 60), "{pauses:?}");
        assert!(pauses[12] < Duration::from_secs(40 * 60), "{pauses:?}");
        dialer.failed(now, NODE);
        dialer.hint(now, NODE, vec!["192.0.2.1:1".parse().unwrap()]);
        assert_eq!(dialer.due(now, &[NODE]), [NODE]);
    }

    #[test]
    fn only_some_calls_run_at_the_same_time() {
        let mut dialer = Dialer::new(7);
        let wanted: Vec<_> = (0..20).map(|number| NodeId([number; 32])).collect();
        let first = dialer.due(Duration::ZERO, &wanted);
        assert_eq!(first.len(), CALLS_MAX);
        assert!(dialer.due(SECOND, &wanted).is_empty());
        dialer.answered(SECOND, first[0], SECOND);
        assert_eq!(dialer.due(SECOND, &wanted), [wanted[8]]);
    }

    #[test]
    fn strangers_without_number_do_not_fill_the_memory() {
        let mut dialer = Dialer::new(7);
        for number in 0..2000_u32 {
            let mut id = [0; 32];
            id[..4].copy_from_slice(&number.to_be_bytes());
            dialer.hint(Duration::ZERO, NodeId(id), Vec::new());
        }
        assert_eq!(dialer.nodes().count(), HINTS_MAX);
    }
}
