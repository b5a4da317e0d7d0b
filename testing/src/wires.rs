//! Several machines on the same computer: a network namespace each, joined by cables that can be
//! pulled. Nothing forwards: only machines with a common cable reach each other.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{require_all, require_root, run};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Machines and the cables between them. Undone on drop.
#[derive(Debug)]
pub struct Wires {
    id: u32,
    machines: usize,
    cables: Vec<(usize, usize)>,
}

impl Wires {
    /// So many machines without a cable; `None` (after a line) without root or `ip`.
    #[must_use]
    pub fn new(machines: usize) -> Option<Self> {
        if !require_root() || !require_all(&["ip"]) {
            return None;
        }
        let id = (std::process::id() % 50_000) * 100 + NEXT.fetch_add(1, Ordering::Relaxed);
        let wires = Self {
            id,
            machines,
            cables: Vec::new(),
        };
        for machine in 0..machines {
            ip(&["netns", "add", &wires.space(machine)]);
            ip(&["-n", &wires.space(machine), "link", "set", "lo", "up"]);
        }
        Some(wires)
    }

    /// The namespace of a machine.
    #[must_use]
    pub fn space(&self, machine: usize) -> String {
        format!("w{}m{machine}", self.id)
    }

    /// Joins two machines by a cable of its own network. Gives the addresses of both on it.
    pub fn join(&mut self, left: usize, right: usize) -> (String, String) {
        let number = self.cables.len();
        self.cables.push((left, right));
        let (near, far) = self.ends(number);
        let spaces = (self.space(left), self.space(right));
        ip(&[
            "link", "add", &near, "netns", &spaces.0, "type", "veth", "peer", "name", &far,
            "netns", &spaces.1,
        ]);
        let addresses = (format!("10.88.{number}.1"), format!("10.88.{number}.2"));
        for (space, device, address) in [
            (&spaces.0, &near, &addresses.0),
            (&spaces.1, &far, &addresses.1),
        ] {
            let address = format!("{address}/24");
            ip(&["-n", space, "address", "add", &address, "dev", device]);
            ip(&["-n", space, "link", "set", device, "up"]);
        }
        addresses
    }

    /// Lets the cable with this number (in the order of [`Wires::join`]) lose all packets, without
    /// either side noticing, or carry them again.
    pub fn carries(&self, cable: usize, carries: bool) {
        let (left, right) = self.cables[cable];
        let (near, far) = self.ends(cable);
        for (machine, device) in [(left, near), (right, far)] {
            let space = self.space(machine);
            if carries {
                ip(&[
                    "netns", "exec", &space, "tc", "qdisc", "del", "dev", &device, "root",
                ]);
            } else {
                // A rate of next to nothing and no queue: every packet is dropped.
                ip(&[
                    "netns", "exec", &space, "tc", "qdisc", "add", "dev", &device, "root", "tbf",
                    "rate", "8bit", "burst", "10", "limit", "1",
                ]);
            }
        }
    }

    fn ends(&self, cable: usize) -> (String, String) {
        (
            format!("l{}c{cable}", self.id),
            format!("r{}c{cable}", self.id),
        )
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        for machine in 0..self.machines {
            Command::new("ip")
                .args(["netns", "delete", &self.space(machine)])
                .status()
                .ok();
        }
    }
}

fn ip(arguments: &[&str]) {
    run(Command::new("ip").args(arguments));
}
