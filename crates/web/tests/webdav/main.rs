//! WebDAV through the node's router, on a real volume and catalog in a temporary folder.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod access;
mod conditions;
mod get;
#[path = "../home/mod.rs"]
mod home;
mod locks;
mod properties;
mod put;
mod scene;
mod transfer;
mod tree;
