//! How a center behaves: the numbers that its decisions rest on, with their reasons.

use std::time::Duration;

/// Numbers of the registry; `center.toml` may change them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// A node without an open link renews so often.
    pub renew: Duration,
    /// So many renewals may be missing before the node counts as gone (R28).
    pub missed_max: u32,
    /// After a link has broken, the node has so long to dial again.
    pub link_grace: Duration,
    /// More nodes are not registered: about 600 bytes of memory each.
    pub nodes_max: usize,
    /// New nodes an hour from one network (IPv4 /24, IPv6 /48).
    pub new_per_network_hour: u32,
    /// Nodes on private addresses register without invite or work.
    pub open_on_private: bool,
    /// Zero bits that strangers work for; 0 = invites only.
    pub work_bits: u8,
    /// A name that was given up stays closed to others for so long: links to it are still around.
    pub name_rest: Duration,
    /// A node may change something so often in a burst, and then once a second.
    pub changes_burst: u8,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            renew: Duration::from_secs(60),
            missed_max: 3,
            link_grace: Duration::from_secs(5),
            nodes_max: 2_000_000,
            new_per_network_hour: 100,
            open_on_private: true,
            work_bits: 22,
            name_rest: Duration::from_hours(30 * 24),
            changes_burst: 20,
        }
    }
}

impl Settings {
    /// Silence of this length means gone.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.renew * self.missed_max
    }
}
