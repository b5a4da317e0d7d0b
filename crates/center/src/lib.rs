//! The public center: registry, dynamic DNS, lists of neighbors and relays. It sees names,
//! addresses, times and volumes, never content and never a key.
//!
//! `registry` and `names` decide without I/O; `store` keeps what must outlive the process, behind
//! `writer`, which gathers writes into transactions. `office` puts these together; `desk` serves
//! the links of nodes, `zone` DNS, `admin` the owner. [`serve()`] is the start-up story. `ask` is
//! the other side: what a node or client uses to talk to a center.
//!
//! Invariants: nothing is answered with "accepted" before it is on the disk (R12); a statement
//! counts once; the center has no key of a node and signs nothing for one (R104).
#![forbid(unsafe_code)]

pub mod admin;
pub mod ask;
pub mod config;
pub mod desk;
pub mod home;
pub mod listing;
pub mod names;
pub mod office;
mod pages;
pub mod registry;
mod serve;
pub mod settings;
pub mod store;
pub mod writer;
pub mod zone;

pub use config::Options;
pub use serve::{Offline, Ready, serve, system_clock};
