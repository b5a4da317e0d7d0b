//! Pages and JSON through the node's router, without sockets.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod rules;
mod scene;
mod security;
mod stories;
mod words;
