//! A home network of the test's own: machines as network namespaces on one virtual switch.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::{Child, require_all, require_root, run, wait_until};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Which addresses the machines of a [`Lan`] have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// 10.88.0.N/24 and nothing else.
    V4,
    /// fd88::N/64 and the link-local address of the cable.
    V6,
    /// All of them.
    Both,
}

/// Machines on one switch. Undone on drop.
#[derive(Debug)]
pub struct Lan {
    id: u32,
    family: Family,
    machines: Vec<String>,
}

impl Lan {
    /// Machines 0, 1, … with the addresses 1, 2, …; `None` (after a line) without root or `ip`.
    #[must_use]
    pub fn new(machines: usize, family: Family) -> Option<Self> {
        if !require_root() || !require_all(&["ip"]) {
            return None;
        }
        let id = (std::process::id() % 50_000) * 100 + NEXT.fetch_add(1, Ordering::Relaxed);
        let mut lan = Self {
            id,
            family,
            machines: (0..machines).map(|n| format!("cd{id}n{n}")).collect(),
        };
        let switch = lan.switch();
        lan.machines.push(switch.clone());
        for space in &lan.machines {
            ip(&["netns", "add", space]);
            ip(&["-n", space, "link", "set", "lo", "up"]);
        }
        lan.machines.pop();
        ip(&["-n", &switch, "link", "add", "br0", "type", "bridge"]);
        // A switch that looks into multicast drops what nobody asked for yet.
        in_space(
            &switch,
            "echo 0 > /sys/class/net/br0/bridge/multicast_snooping || true",
        );
        ip(&["-n", &switch, "link", "set", "br0", "up"]);
        for number in 0..machines {
            lan.plug(number, "eth0");
        }
        Some(lan)
    }

    /// The namespace of a machine.
    #[must_use]
    pub fn machine(&self, number: usize) -> &str {
        &self.machines[number]
    }

    /// Words that run a program on a machine.
    #[must_use]
    pub fn on(&self, number: usize) -> [&str; 4] {
        ["ip", "netns", "exec", self.machine(number)]
    }

    /// The IPv4 address of a machine's first interface, or the IPv6 one where there is no IPv4.
    #[must_use]
    pub fn address(&self, number: usize) -> String {
        match self.family {
            Family::V4 | Family::Both => format!("10.88.0.{}", number + 1),
            Family::V6 => format!("fd88::{}", number + 1),
        }
    }

    /// Adds an interface to a machine: a cable to the switch, with the machine's addresses.
    pub fn plug(&self, number: usize, interface: &str) {
        let (space, switch) = (self.machine(number), self.switch());
        let port = format!("p{number}{interface}");
        let ipv6 = self.family != Family::V4;
        in_space(
            space,
            &format!(
                "echo {} > /proc/sys/net/ipv6/conf/default/disable_ipv6",
                u8::from(!ipv6)
            ),
        );
        in_space(
            &switch,
            "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6",
        );
        ip(&[
            "link", "add", interface, "netns", space, "type", "veth", "peer", "name", &port,
            "netns", &switch,
        ]);
        ip(&["-n", &switch, "link", "set", &port, "master", "br0", "up"]);
        if self.family != Family::V6 {
            let address = format!("10.88.0.{}/24", number + 1);
            ip(&["-n", space, "address", "add", &address, "dev", interface]);
        }
        if ipv6 {
            let address = format!("fd88::{}/64", number + 1);
            // Without the search for a twin, which takes a second or two.
            ip(&[
                "-n", space, "address", "add", &address, "dev", interface, "nodad",
            ]);
        }
        ip(&["-n", space, "link", "set", interface, "up"]);
        // A link-local address that is being checked cannot send yet.
        if ipv6 {
            wait_until(
                "the link-local address is ready",
                Duration::from_secs(5),
                || {
                    let shown = in_space(space, &format!("ip -6 address show dev {interface}"));
                    shown.contains("fe80::") && !shown.contains("tentative")
                },
            );
        }
    }

    /// Gives the first interface of a machine another IPv4 address instead of all that it has.
    pub fn move_to(&self, number: usize, address: &str) {
        let space = self.machine(number);
        ip(&["-n", space, "-4", "address", "flush", "dev", "eth0"]);
        let address = format!("{address}/24");
        ip(&["-n", space, "address", "add", &address, "dev", "eth0"]);
    }

    /// Runs a script of the shell on a machine and gives what it prints.
    #[track_caller]
    #[must_use]
    pub fn run(&self, number: usize, script: &str) -> String {
        in_space(self.machine(number), script)
    }

    /// Takes an interface away.
    pub fn unplug(&self, number: usize, interface: &str) {
        ip(&["-n", self.machine(number), "link", "delete", interface]);
    }

    /// Packets that a machine's interface has sent.
    #[must_use]
    pub fn sent(&self, number: usize, interface: &str) -> u64 {
        let file = format!("cat /sys/class/net/{interface}/statistics/tx_packets");
        let text = in_space(self.machine(number), &file);
        text.trim().parse().expect("the kernel counts packets")
    }

    fn switch(&self) -> String {
        format!("cd{}sw", self.id)
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for space in self.machines.iter().chain([&self.switch()]) {
            Command::new("ip")
                .args(["netns", "delete", space])
                .status()
                .ok();
        }
    }
}

/// The responder of other systems on a machine: avahi with a system bus of its own.
#[derive(Debug)]
pub struct Avahi {
    bus: String,
    space: String,
    _daemons: [Child; 2],
}

impl Avahi {
    /// Starts it on a machine with its files in `scratch`; `None` (after a line) without the programs.
    #[must_use]
    pub fn start(lan: &Lan, number: usize, scratch: &Path) -> Option<Self> {
        if !require_all(&["avahi-daemon", "avahi-browse", "dbus-daemon", "unshare"]) {
            return None;
        }
        let socket = scratch.join("bus");
        let bus = format!("unix:path={}", socket.display());
        let bus_config = write(
            &scratch.join("bus.conf"),
            &format!(
                "<!DOCTYPE busconfig PUBLIC '-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN' \
                 'http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd'>\n\
                 <busconfig><type>system</type><listen>{bus}</listen><auth>EXTERNAL</auth>\
                 <policy context='default'><allow own='*'/><allow send_destination='*'/>\
                 <allow receive_sender='*'/><allow user='*'/></policy></busconfig>"
            ),
        );
        let avahi_config = write(
            &scratch.join("avahi.conf"),
            "[server]\nhost-name=stranger\nuse-ipv4=yes\nuse-ipv6=yes\nenable-dbus=yes\n\
             [publish]\npublish-workstation=no\n",
        );
        let space = lan.machine(number).to_owned();
        let dbus = Child::start(
            on(&space, "dbus-daemon")
                .arg(format!("--config-file={}", bus_config.display()))
                .args(["--nofork", "--nopidfile"])
                .stdout(Stdio::null()),
        );
        wait_until("the bus is there", Duration::from_secs(5), || {
            socket.exists()
        });
        let avahi = Child::start(
            on(&space, "unshare")
                .args(["-m", "sh", "-c"])
                .arg(format!(
                    "mkdir -p /run/avahi-daemon && mount -t tmpfs tmpfs /run/avahi-daemon && \
                     exec avahi-daemon --no-drop-root --no-chroot --no-rlimits -f {}",
                    avahi_config.display()
                ))
                .env("DBUS_SYSTEM_BUS_ADDRESS", &bus)
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        );
        Some(Self {
            bus,
            space,
            _daemons: [dbus, avahi],
        })
    }

    /// What `avahi-browse -rtp TYPE` prints; empty until avahi is ready.
    #[must_use]
    pub fn browse(&self, service: &str) -> String {
        let output = on(&self.space, "avahi-browse")
            .args(["-rtp", service])
            .env("DBUS_SYSTEM_BUS_ADDRESS", &self.bus)
            .stdin(Stdio::null())
            .output()
            .expect("avahi-browse starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn on(space: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", space, program]);
    command
}

fn write(file: &Path, text: &str) -> PathBuf {
    std::fs::write(file, text).expect("the scratch folder is writable");
    file.to_owned()
}

fn in_space(space: &str, script: &str) -> String {
    run(on(space, "sh").args(["-c", script]))
}

fn ip(arguments: &[&str]) {
    run(Command::new("ip").args(arguments));
}
