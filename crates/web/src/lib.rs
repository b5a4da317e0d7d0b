//! The HTTP rim of a node: pages, JSON API and WebDAV over one route table.
//!
//! A request goes: [`routes::TABLE`] names what it needs → `asker` finds out who asks → `forgery`
//! refuses foreign pages → `gate` asks `sharing` about the route and then about the entry in the
//! address → the handler → `headers` add what every answer carries. Handlers are thin: they read a
//! form, call `files` or `sharing` on the blocking pool and draw.
//!
//! Invariants: no route outside the table; no handler runs before the permission decision; no
//! answer leaves without a content security policy; user content never runs on our origin; every
//! visible text comes from the message catalogs (R93, R94, R105).
#![forbid(unsafe_code)]

mod address;
mod api;
mod asker;
mod assets;
mod body;
mod call;
mod cluster;
mod content;
mod cookies;
mod dispatch;
mod forgery;
mod form;
mod friends;
mod gate;
mod given;
mod headers;
mod language;
mod pages;
mod parts;
mod problem;
mod refusals;
pub mod routes;
mod status;
mod unread;
mod webdav;

use std::net::SocketAddr;
use std::sync::Arc;

use files::Files;
use protocol::{Clock, NodeId, NodeSecret};
use sharing::{Place, Sharing};

pub use cluster::{
    BookReport, CenterRefusal, CenterReport, CenterState, ClusterSource, ClusterTrouble,
    FoundReport, NeighborPath, NeighborReport, NeighborState, OfferReport, Pending, PersonReport,
    SearchReport,
};
pub use content::FileRange;
pub use dispatch::router;
pub use friends::{FriendReach, NotAccepted, Promise, Unreached};
pub use gate::{gate, gate_whole};
pub use language::Language;
pub use problem::{Caller, Fault, Problem};
pub use status::{StatusSource, VolumeReport, WorkerControl, WorkerReport, WorkerState};
pub use unread::LINGER;
pub use webdav::{FragmentGuard, RequestLine, Watched};

/// All that the rim works on. One per node, shared by every connection.
pub struct App {
    /// The tree.
    pub files: Files,
    /// People, rights, links, audit.
    pub sharing: Sharing,
    /// Tells the present.
    pub clock: Clock,
    /// The node's secret; only the set-up page reads its 24 words.
    pub secret: NodeSecret,
    /// What pages tell about the node.
    pub settings: WebSettings,
    /// Workers, volumes and counters.
    pub status: Arc<dyn StatusSource>,
    /// The nodes of friends.
    pub friends: Arc<dyn FriendReach>,
    /// Other nodes.
    pub cluster: Arc<dyn ClusterSource>,
}

/// Facts about the node that pages show or answers depend on.
#[derive(Debug, Clone)]
pub struct WebSettings {
    /// Name of the node.
    pub name: String,
    /// Its identity.
    pub node_id: NodeId,
    /// SHA-256 fingerprint of its TLS certificate, as shown to people.
    pub fingerprint: String,
    /// The key of that certificate.
    pub tls_key: protocol::TlsKey,
    /// Port of HTTPS.
    pub https_port: u16,
    /// The certificate is one that browsers trust; only then HSTS is sent.
    pub trusted_certificate: bool,
    /// Version of the program.
    pub version: String,
    /// The center where the node is registered, as it is named on the command line; for devices
    /// that look for the node from elsewhere.
    pub center: Option<String>,
}

/// Where a request came in. The server puts it into the request's extensions; a request without
/// it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// The peer, or behind a trusted proxy the address that it forwards.
    pub peer: SocketAddr,
    /// LAN or not.
    pub place: Place,
    /// The client speaks TLS (to us or to a trusted proxy).
    pub tls: bool,
    /// The request came over a link that proved this key; it is asked at each request whose device
    /// that is, or whether it still is a friend.
    pub friend: Option<NodeId>,
}

/// Hides every space of a removed account; what was in them stays on the disk (blocks).
///
/// # Errors
/// If the catalog does not answer.
pub fn retire_spaces_of(
    files: &Files,
    account: protocol::AccountId,
) -> Result<(), files::FilesError> {
    let spaces = files.spaces()?;
    for space in spaces.iter().filter(|space| space.owner == account) {
        files.retire_space(space.id)?;
    }
    Ok(())
}

impl App {
    fn now(&self) -> protocol::Timestamp {
        (self.clock)()
    }
}
