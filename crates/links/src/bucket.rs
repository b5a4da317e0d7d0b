//! Token buckets: so many at once, so many a second after that.
//!
//! Pure: the caller says what time it is.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// How much of something is allowed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Refilled per second; more than 0.
    pub per_second: f64,
    /// At most so many at once; at least 1.
    pub burst: f64,
}

/// One bucket; starts full.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    pub(crate) fn full(rate: Rate, now: Instant) -> Self {
        Self {
            tokens: rate.burst,
            at: now,
        }
    }

    /// Takes one. Else says how long until there is one.
    pub(crate) fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        self.refill(rate, now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64(
            (1.0 - self.tokens) / rate.per_second,
        ))
    }

    fn refill(&mut self, rate: Rate, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = rate.burst.min(self.tokens + passed * rate.per_second);
        self.at = now;
    }

    fn is_full(&mut self, rate: Rate, now: Instant) -> bool {
        self.refill(rate, now);
        self.tokens >= rate.burst
    }
}

/// A bucket for each key, at most `max` of them: a full bucket says nothing and is forgotten, and
/// if none is full the longest untouched one is.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    rate: Rate,
    max: usize,
    buckets: HashMap<K, Bucket>,
}

impl<K: Hash + Eq + Copy> Buckets<K> {
    pub(crate) fn new(rate: Rate, max: usize) -> Self {
        Self {
            rate,
            max,
            buckets: HashMap::new(),
        }
    }

    pub(crate) fn take(&mut self, key: K, now: Instant) -> Result<(), Duration> {
        let rate = self.rate;
        if !self.buckets.contains_key(&key) && self.buckets.len() >= self.max {
            self.make_room(now);
        }
        self.buckets
            .entry(key)
            .or_insert_with(|| Bucket::full(rate, now))
            .take(rate, now)
    }

    fn make_room(&mut self, now: Instant) {
        let oldest = self
            .buckets
            .iter()
            .min_by_key(|(_, bucket)| bucket.at)
            .map(|(key, _)| *key);
        let rate = self.rate;
        self.buckets.retain(|_, bucket| !bucket.is_full(rate, now));
        if self.buckets.len() >= self.max
            && let Some(oldest) = oldest
        {
            self.buckets.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        per_second: 10.0,
        burst: 2.0,
    };

    #[test]
    fn a_burst_is_let_through_and_then_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::full(RATE, start);
        assert_eq!(bucket.take(RATE, start), Ok(()));
        assert_eq!(bucket.take(RATE, start), Ok(()));
        let wait = bucket.take(RATE, start).unwrap_err();
        assert!(wait <= Duration::from_millis(100), "{wait:?}");
        assert_eq!(
            bucket.take(RATE, start + Duration::from_millis(101)),
            Ok(())
        );
        assert!(
            bucket
                .take(RATE, start + Duration::from_millis(102))
                .is_err()
        );
    }

    #[test]
    fn strangers_without_number_do_not_fill_the_memory() {
        let start = Instant::now();
        let mut buckets = Buckets::new(RATE, 10);
        for stranger in 0..1000 {
            assert!(buckets.take(stranger, start).is_ok());
        }
        assert_eq!(buckets.buckets.len(), 10);
        let later = start + Duration::from_secs(60);
        assert!(buckets.take(1000, later).is_ok());
        assert_eq!(buckets.buckets.len(), 1, "full buckets are forgotten");
    }
}
