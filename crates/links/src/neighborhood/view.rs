//! What people are shown of a neighbor.

use std::net::SocketAddr;
use std::time::Duration;

use protocol::message::services::Service;
use protocol::{NodeId, NodeName};

use crate::Path;

/// Whether a neighbor is there (R23).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It answered the last beat.
    Seen,
    /// It has missed one or two.
    Suspect,
    /// It has missed three, said goodbye or cannot be reached.
    Gone,
}

impl State {
    /// For programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Suspect => "suspect",
            Self::Gone => "gone",
        }
    }
}

/// A neighbor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its id.
    pub id: NodeId,
    /// Its name; a claim.
    pub name: Option<NodeName>,
    /// Whether it is there.
    pub state: State,
    /// Beats missed in a row, 3 when gone.
    pub missed: u32,
    /// The way of its link; none without a link.
    pub path: Option<Path>,
    /// Round-trip time, if it was measured.
    pub rtt: Option<Duration>,
    /// The version it says it runs.
    pub version: Option<String>,
    /// What it offers to this node, if it was asked.
    pub services: Option<Vec<Service>>,
    /// The owner wants it.
    pub pinned: bool,
    /// It is a friend.
    pub friend: bool,
    /// It has a lookup link.
    pub linked: bool,
    /// Where it says it listens.
    pub addresses: Vec<SocketAddr>,
    /// Why the last call failed or the link ended.
    pub trouble: Option<String>,
}
