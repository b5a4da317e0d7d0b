//! The home node: configuration, start-up, listeners, background modules, admin socket.
//!
//! This crate only puts together: `files` holds the tree, `sharing` decides who may, `web` answers
//! requests. [`serve`] is the start-up story; [`State`] is what lies on disks, opened under a
//! lock; [`Modules`] are the workers (R1); [`admin`] is what the command line talks to, over a
//! socket or in-process.
//!
//! Invariants: one process per state folder; keys are readable for their user only; nothing but
//! the ready line goes to stdout; every task belongs to a module or to the admin socket, and a
//! stop ends all of them within 8 s; every wait for a client is bounded.
#![forbid(unsafe_code)]

pub mod admin;
pub mod certificate;
pub mod cluster;
pub mod config;
mod connection;
#[cfg(feature = "http")]
mod early;
pub mod greeting;
#[cfg(feature = "http")]
mod handover;
mod keys;
mod known_time;
pub mod lan;
pub mod layout;
mod limits;
mod listener;
pub mod modules;
mod multiplex;
#[cfg(feature = "http")]
mod plain;
mod pulse;
mod report;
mod running;
pub mod serve;
mod state;
mod tls;
mod withheld;
mod witness;
mod workers;

pub use admin::{Admin, Failure, Kind};
pub use config::Config;
pub use greeting::Ready;
pub use keys::KeyError;
pub use known_time::{Doubt, KnownTime};
pub use layout::{Layout, LayoutError};
pub use modules::Modules;
pub use running::Running;
pub use serve::{Options, serve};
pub use state::{State, system_clock};
