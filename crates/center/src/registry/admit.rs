//! How fast strangers may come: new nodes are counted by network and hour.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// Networks counted at once; when there are more, the hour begins anew for all.
const NETWORKS_MAX: usize = 65_536;
const HOUR: Duration = Duration::from_secs(3600);

/// True for addresses of one's own network: RFC 1918, RFC 6598, RFC 4193, link-local, loopback.
#[must_use]
pub(crate) fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
            ip.is_private() || ip.is_link_local() || ip.is_loopback() || shared
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_loopback(),
    }
}

/// The network that one party may hold as a whole: /24 of IPv4, /48 of IPv6.
#[must_use]
pub fn network_of(ip: IpAddr) -> u64 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => u64::from(u32::from(ip) >> 8),
        IpAddr::V6(ip) => (1 << 63) | u64::try_from(u128::from(ip) >> 80).unwrap_or(0),
    }
}

/// Counts new nodes by network.
#[derive(Debug, Default)]
pub struct Gate {
    since: Duration,
    counts: HashMap<u64, u32>,
}

impl Gate {
    /// True if one more may come from there; counts it.
    pub fn pass(&mut self, from: IpAddr, most: u32, tick: Duration) -> bool {
        if tick.saturating_sub(self.since) >= HOUR || self.counts.len() >= NETWORKS_MAX {
            self.counts.clear();
            self.since = tick;
        }
        let count = self.counts.entry(network_of(from)).or_default();
        *count = count.saturating_add(1);
        *count <= most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_its_share_and_another_one_its_own() {
        let mut gate = Gate::default();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for _ in 0..2 {
            assert!(gate.pass(ip("192.0.2.1"), 2, Duration::ZERO));
        }
        assert!(!gate.pass(ip("192.0.2.200"), 2, Duration::ZERO));
        assert!(gate.pass(ip("192.0.3.1"), 2, Duration::ZERO));
        assert!(gate.pass(ip("2001:db8::1"), 2, Duration::ZERO));
        assert!(gate.pass(ip("192.0.2.1"), 2, HOUR));
    }

    #[test]
    fn private_is_what_stays_in_ones_own_network() {
        for ip in [
            "10.1.2.3",
            "192.168.1.1",
            "100.64.0.1",
            "fd00::1",
            "::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(is_private(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["8.8.8.8", "100.128.0.1", "2001:db8::1", "192.0.2.1"] {
            assert!(!is_private(ip.parse().unwrap()), "{ip}");
        }
    }
}
