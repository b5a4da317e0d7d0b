//! How many connections there may be: all together, and from one address.
//!
//! A place is taken at accept and given back when its [`Seat`] is dropped. IPv6 peers count by
//! /64, as one household has at least that much. Nothing waits: a connection without a place is
//! closed at once, so that a flood costs an accept and a close each.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// The counters shared by all listeners of a node.
#[derive(Debug)]
pub(crate) struct Limits {
    all_max: usize,
    per_address_max: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
    refused: u64,
}

/// One connection's place; gives it back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    limits: Arc<Limits>,
    address: Option<IpAddr>,
}

impl Limits {
    pub(crate) fn new(all_max: usize, per_address_max: usize) -> Arc<Self> {
        Arc::new(Self {
            all_max,
            per_address_max,
            counts: Mutex::default(),
        })
    }

    /// A place for a connection from `address`, or `None`. A trusted proxy speaks for many
    /// clients: it is counted in the whole only.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr, is_proxy: bool) -> Option<Seat> {
        let address = (!is_proxy).then(|| household(address));
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let here = address.map_or(0, |a| counts.by_address.get(&a).copied().unwrap_or(0));
        if counts.all >= self.all_max || here >= self.per_address_max {
            counts.refused += 1;
            return None;
        }
        counts.all += 1;
        if let Some(address) = address {
            counts.by_address.insert(address, here + 1);
        }
        Some(Seat {
            limits: Arc::clone(self),
            address,
        })
    }

    /// Connections now, and refused ones since the start.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        (counts.all, counts.refused)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self
            .limits
            .counts
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        counts.all -= 1;
        if let Some(address) = self.address
            && let Some(here) = counts.by_address.get_mut(&address)
        {
            *here -= 1;
            if *here == 0 {
                counts.by_address.remove(&address);
            }
        }
    }
}

fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_household_cannot_take_every_place() {
        let limits = Limits::new(10, 2);
        let first = limits.take(ip("2001:db8::1"), false);
        let second = limits.take(ip("2001:db8::2"), false);
        assert!(first.is_some() && second.is_some());
        assert!(limits.take(ip("2001:db8::3"), false).is_none());
        let neighbor = limits.take(ip("2001:db8:0:1::3"), false);
        assert!(neighbor.is_some());
        drop(second);
        assert!(limits.take(ip("2001:db8::3"), false).is_some());
        assert_eq!(limits.counts(), (2, 1));
    }

    #[test]
    fn all_together_are_bounded_and_given_back() {
        let limits = Limits::new(2, 2);
        let seats: Vec<_> = ["10.0.0.1", "10.0.0.2"]
            .map(|a| limits.take(ip(a), false))
            .into();
        assert!(limits.take(ip("10.0.0.3"), true).is_none());
        drop(seats);
        assert_eq!(limits.counts().0, 0);
        assert!(limits.counts.lock().unwrap().by_address.is_empty());
    }

    #[test]
    fn a_trusted_proxy_may_hold_more_than_one_client() {
        let limits = Limits::new(10, 1);
        let seats: Vec<_> = (0..5).map(|_| limits.take(ip("127.0.0.1"), true)).collect();
        assert!(seats.iter().all(Option::is_some));
        assert!(limits.take(ip("127.0.0.1"), false).is_some());
    }
}
