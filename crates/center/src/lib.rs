//! The public center: registry, dynamic DNS, lists of neighbors and relays. It sees names,
//! addresses, times and volumes, never content and never a key.
//!
//! `registry` and `names` decide without I/O; `store` keeps what must outlive the process.
#![forbid(unsafe_code)]

pub mod names;
pub mod registry;
pub mod settings;
pub mod store;
