//! Pages and JSON through the node's router, without sockets.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../home/mod.rs"]
mod home;
mod proof;
mod rules;
mod scene;
mod security;
mod stories;
mod words;
