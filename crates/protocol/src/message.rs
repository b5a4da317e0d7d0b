//! What nodes say to each other, one file per group of messages.
//!
//! The group's version stands in the ALPN of its link; `docs/protocol/` has a page for each.

pub mod center;
pub mod lookup;
pub mod pair;
pub mod presence;
pub mod services;
