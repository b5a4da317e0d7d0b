//! Links between nodes over QUIC, and discovery on the local network: the rim around `peers`.
//!
//! An [`Endpoint`] owns the UDP ports of a node. It dials other nodes by their id and accepts
//! [`Link`]s from them; each link carries one [`Protocol`], each question on it has a [`Stream`] of
//! its own. Both ends have proven their ids in the handshake (TLS 1.3 with raw public keys,
//! RFC 7250), so `Link::peer` is never a claim. [`accept`] is the one place that decides who may
//! do what. A [`Router`] hands accepted links to whoever serves their protocol.
//!
//! The QUIC stack is iroh; its types stay inside this crate. No relay, name server or registry of
//! anybody is built in: an endpoint sends packets only to addresses that it was told.
#![forbid(unsafe_code)]

pub mod accept;
mod bucket;
pub mod discovery;
mod endpoint;
mod error;
mod link;
pub mod neighborhood;
mod protocol;
mod router;
mod stream;

pub use accept::{Acquaintance, Limits, Standing, Strangers};
pub use bucket::Rate;
pub use endpoint::{CONNECT_LIMIT, Endpoint, NodeAddress, NodeAddressError};
pub use error::{CloseCode, LinkError};
pub use link::{Link, Path};
pub use protocol::Protocol;
pub use router::{Handler, Router};
pub use stream::{FRAME_PATIENCE, Reader, Stream, Writer};
