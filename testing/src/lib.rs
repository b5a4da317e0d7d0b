//! Process harness for the integration tests: real nodes, real sockets, real disks.
//!
//! A test starts `cumulet serve` on port 0 in a temporary folder ([`Node`]), talks to it over
//! sockets that it controls byte by byte ([`Client`], [`Wire`]), and may put its volumes on disks of
//! their own ([`Mount`]) or its clients into other networks ([`Net`]). Everything made here is undone
//! on drop, also when the test panics. Harness functions panic with the reason, because a test that
//! cannot set its scene has failed.
//!
//! A test that needs a program from a Debian package asks [`require`]; where the package is missing
//! the test prints which one and ends, with `CI=true` it fails.

#![expect(
    clippy::print_stderr,
    reason = "skip lines and the log of a failed test are for the person who runs the tests"
)]

mod center;
mod client;
mod clock;
mod dice;
mod disk;
mod lan;
mod net;
mod node;
mod postgres;
mod process;
mod require;
mod trust;
mod wire;
mod wires;

pub use center::Center;
pub use client::{Client, Reply, Request};
pub use clock::FakeClock;
pub use dice::Dice;
pub use disk::{Disk, Mount};
pub use lan::{Avahi, Family, Lan};
pub use net::Net;
pub use node::{Node, NodeBuilder, Outcome, PASSWORD, Ready};
pub use postgres::Postgres;
pub use process::{Child, cpu_ticks, open_files, resident_kib, run, until, wait_until};
pub use require::{require, require_all, require_root};
pub use wire::Wire;
pub use wires::Wires;
