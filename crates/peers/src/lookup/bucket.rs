//! How often a neighbor may ask: 10 queries a second, 50 at once.

use std::collections::HashMap;
use std::time::Duration;

use protocol::NodeId;

/// Queries a second in the long run.
const RATE: f64 = 10.0;
/// Queries at once after a pause.
const BURST: f64 = 50.0;
/// Refusals that are told, a second; the others are silent.
const DENIALS: f64 = 5.0;
/// Neighbors that are counted; more are only linked under attack.
const COUNTED_MAX: usize = 1024;

#[derive(Debug)]
struct Bucket {
    queries: f64,
    denials: f64,
    filled: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Buckets {
    buckets: HashMap<NodeId, Bucket>,
}

impl Buckets {
    /// True if `from` may ask now; takes one from its bucket.
    pub(super) fn takes(&mut self, now: Duration, from: NodeId) -> bool {
        if self.buckets.len() >= COUNTED_MAX && !self.buckets.contains_key(&from) {
            // A bucket that is full again says nothing.
            self.buckets.retain(|_, bucket| {
                bucket.fill(now);
                bucket.queries < BURST
            });
            if self.buckets.len() >= COUNTED_MAX {
                return false;
            }
        }
        let bucket = self.buckets.entry(from).or_insert(Bucket {
            queries: BURST,
            denials: DENIALS,
            filled: now,
        });
        bucket.fill(now);
        take(&mut bucket.queries)
    }

    /// True if `from` may be told that it asks too often.
    pub(super) fn may_deny(&mut self, now: Duration, from: NodeId) -> bool {
        self.buckets.get_mut(&from).is_some_and(|bucket| {
            bucket.fill(now);
            take(&mut bucket.denials)
        })
    }
}

impl Bucket {
    fn fill(&mut self, now: Duration) {
        let seconds = now.saturating_sub(self.filled).as_secs_f64();
        self.filled = now;
        self.queries = (self.queries + seconds * RATE).min(BURST);
        self.denials = (self.denials + seconds * DENIALS).min(DENIALS);
    }
}

fn take(tokens: &mut f64) -> bool {
    if *tokens < 1.0 {
        return false;
    }
    *tokens -= 1.0;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifty_at_once_then_ten_a_second() {
        let (node, other) = (NodeId([1; 32]), NodeId([2; 32]));
        let mut buckets = Buckets::default();
        let mut taken = |node, ms| {
            let now = Duration::from_millis(ms);
            (0..200).filter(|_| buckets.takes(now, node)).count()
        };
        assert_eq!(taken(node, 0), 50);
        assert_eq!(taken(other, 0), 50);
        assert_eq!(taken(node, 1000), 10);
        assert_eq!(
            taken(node, 500),
            0,
            "a clock that was set back gives nothing"
        );
        assert_eq!(taken(node, 100_000), 50);
    }

    #[test]
    fn the_buckets_are_bounded_and_come_free_again() {
        let mut buckets = Buckets::default();
        let node = |number: usize| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&number.to_be_bytes());
            NodeId(id)
        };
        for number in 0..5000 {
            buckets.takes(Duration::ZERO, node(number));
        }
        assert_eq!(buckets.buckets.len(), COUNTED_MAX);
        assert!(buckets.takes(Duration::from_secs(1), node(9000)));
    }
}
