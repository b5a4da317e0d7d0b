//! A second network on the same machine: a namespace joined by a pair of virtual cables.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{require_all, require_root, run};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Two namespaces: `home` (the node's, prefix 10.A.B.0/24) and `away`, which reaches it through a
/// router address outside of that prefix, so that it counts as remote. Undone on drop.
#[derive(Debug)]
pub struct Net {
    id: u32,
}

impl Net {
    /// Makes both; `None` (after a line) without root or `ip`.
    #[must_use]
    pub fn new() -> Option<Self> {
        if !require_root() || !require_all(&["ip"]) {
            return None;
        }
        let id = (std::process::id() % 50_000) * 100 + NEXT.fetch_add(1, Ordering::Relaxed);
        let net = Self { id };
        let (home, lan, away) = (net.home(), net.lan(), net.away());
        for space in [&home, &lan, &away] {
            ip(&["netns", "add", space]);
            ip(&["-n", space, "link", "set", "lo", "up"]);
        }
        // home 10.77.0.1/24 <-> 10.77.0.2/24 lan; the guest in lan forwards for away, 192.0.2.0/24.
        net.cable(&home, "10.77.0.1/24", &lan, "10.77.0.2/24", "a");
        // Another machine of the home network: the one above is its router, and a router is no LAN.
        ip(&[
            "-n",
            &lan,
            "address",
            "add",
            "10.77.0.3/24",
            "dev",
            &format!("fa{id}"),
        ]);
        net.cable(&lan, "192.0.2.1/24", &away, "192.0.2.2/24", "b");
        ip(&["-n", &home, "route", "add", "default", "via", "10.77.0.2"]);
        ip(&["-n", &away, "route", "add", "default", "via", "192.0.2.1"]);
        run(Command::new("ip")
            .args(["netns", "exec", &lan, "sh", "-c"])
            .arg("echo 1 > /proc/sys/net/ipv4/ip_forward"));
        Some(net)
    }

    /// Namespace of the node; its address is [`Net::ADDRESS`].
    #[must_use]
    pub fn home(&self) -> String {
        format!("ch{}", self.id)
    }

    /// Namespace of a machine in the node's own network, whose address is [`Net::NEIGHBOR`].
    #[must_use]
    pub fn lan(&self) -> String {
        format!("cl{}", self.id)
    }

    /// Namespace of a machine elsewhere.
    #[must_use]
    pub fn away(&self) -> String {
        format!("ca{}", self.id)
    }

    /// The node's address.
    pub const ADDRESS: &'static str = "10.77.0.1";
    /// The address from which a machine in the node's own network comes.
    pub const NEIGHBOR: &'static str = "10.77.0.3";

    fn cable(&self, left: &str, left_address: &str, right: &str, right_address: &str, name: &str) {
        let (near, far) = (format!("n{name}{}", self.id), format!("f{name}{}", self.id));
        ip(&[
            "link", "add", &near, "netns", left, "type", "veth", "peer", "name", &far, "netns",
            right,
        ]);
        for (space, device, address) in [(left, &near, left_address), (right, &far, right_address)]
        {
            ip(&["-n", space, "address", "add", address, "dev", device]);
            ip(&["-n", space, "link", "set", device, "up"]);
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for space in [self.home(), self.lan(), self.away()] {
            Command::new("ip")
                .args(["netns", "delete", &space])
                .status()
                .ok();
        }
    }
}

fn ip(arguments: &[&str]) {
    run(Command::new("ip").args(arguments));
}
