//! The node among other nodes: its QUIC endpoint and what is served and asked over it.
//!
//! One [`links::Endpoint`] at the port of HTTPS. [`pairing`] makes friends, [`door`] serves them,
//! [`dial`] asks them, [`tally`] counts what is given and taken. [`Friends`] is all of that for
//! pages and commands.

mod dial;
mod door;
mod friends;
mod pairing;
mod tally;

pub use friends::Friends;
pub(crate) use friends::module;
pub use pairing::Comparison;
